package contract

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

// Options say how a Transport checks. The zero value of every field is ready to use.
type Options struct {
	// Strict makes a Drift a Violation.
	Strict bool
	// MaxBody bounds what is kept of a body to be checked, in bytes, before and after its content
	// encoding is taken off; 0 is 32 MiB. A longer body goes through untouched and gets a note in place
	// of a check.
	MaxBody int
}

// Transport is a RoundTripper that checks what goes through it. It changes no byte, and passes on
// errors and traces as they are. It is safe for concurrent use.
type Transport struct {
	base    http.RoundTripper
	out     outbox
	options Options
	routes  []route
	sent    atomic.Int64 // requests
	// ended is told of each request once: why nothing of the contract was checked, or "".
	ended func(why string)
}

// NewTransport returns a Transport that sends through base, or through http.DefaultTransport if base
// is nil, and calls found with each Finding.
//
// What is found about the request and the answer's head is told before RoundTrip returns; what is
// found about the answer's body when that was read to its end, or is closed. A request's body that was
// not sent to its end when RoundTrip returns is checked together with the answer's body. A request
// that failed is checked too, with a Status of 0.
//
// The calls of found come one at a time. It may use the Transport itself: what is found meanwhile, in
// any goroutine, is told when it has returned. At most 100 findings of each severity are told of a
// request or an answer.
//
// Requests for paths or methods that the contract does not have are not checked. It is an error if found
// is nil.
func NewTransport(base http.RoundTripper, found func(Finding), o Options) (*Transport, error) {
	if found == nil {
		return nil, errors.New("contract: there is nothing to call with the findings")
	}
	routes, err := loaded()
	if err != nil {
		return nil, err
	}
	if base == nil {
		base = http.DefaultTransport
	}
	if o.MaxBody == 0 {
		o.MaxBody = 32 << 20
	}
	return &Transport{base: base, out: outbox{found: found}, options: o, routes: routes, ended: func(string) {}}, nil
}

// exchange is one request and its answer.
type exchange struct {
	t          *Transport
	operation  *openapi3.Operation
	verb       string            // what the operation does to mirror topics; "" if it only reads
	parameters map[string]string // of the path
	request    *http.Request
	about      Finding // what all findings have in common

	mu   sync.Mutex
	sent []*capture // the request's body, once for each time that it was sent

	judged   bool     // what was sent
	sentBody bool     // a body was sent to its end
	asked    []string // by name; nil if that is not known, or by pattern

	answer openapi3.Content // that the contract declares
}

// RoundTrip sends the request through the base, and checks it and its answer.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL == nil {
		return t.base.RoundTrip(r) // which says so
	}
	x := &exchange{t: t, request: r}
	x.about = Finding{Method: methodOf(r), Path: r.URL.Path, Number: int(t.sent.Add(1))}
	route, parameters, found, alike := find(t.routes, r.URL)
	if found {
		x.parameters, x.verb, x.operation = parameters, route.verb(), route.item.GetOperation(methodOf(r))
	}
	if x.operation == nil {
		j := x.judge(true, 0)
		switch {
		case found:
			j.whole(RuleUnchecked, Note, "the contract has no %s here", text.Line(methodOf(r), 16))
		case alike:
			j.whole(RuleUnchecked, Note, "the path is not written as the contract has it")
		}
		t.out.send(j.all())
		t.ended("is not of the contract")
		return t.base.RoundTrip(r)
	}
	resp, err := t.base.RoundTrip(x.tapped(r))
	if err != nil || resp == nil {
		x.judgeRequest(0)
		x.judgeSent(0, true)
		t.ended(map[bool]string{false: "got no answer"}[x.sentBody])
		return resp, err
	}
	status, header, length := resp.StatusCode, resp.Header.Clone(), resp.ContentLength
	x.judgeRequest(status)
	hasBody := x.judgeHead(status, header)
	x.judgeSent(status, !hasBody)
	if !hasBody {
		return resp, nil
	}
	received := &capture{limit: t.options.MaxBody}
	end := func() {
		x.judgeSent(status, true)
		x.judgeAnswer(status, header, received, length)
	}
	if resp.Body == nil || resp.Body == http.NoBody { // as fakes have it
		received.ended = true
		end()
		return resp, nil
	}
	resp.Body = &tap{ReadCloser: resp.Body, to: received, end: end}
	return resp, nil
}

// judge returns a judge of the request or of the answer.
func (x *exchange) judge(request bool, status int) *judge {
	about := x.about
	about.Request, about.Status = request, status
	return &judge{about: about, strict: x.t.options.Strict}
}

// tapped returns the request with a body that is kept as it is read, as often as it is sent.
func (x *exchange) tapped(r *http.Request) *http.Request {
	if r.Body == nil || r.Body == http.NoBody {
		return r
	}
	through := r.WithContext(r.Context()) // a copy
	through.Body = x.tap(r.Body)
	if r.GetBody != nil {
		through.GetBody = func() (io.ReadCloser, error) {
			body, err := r.GetBody()
			if err != nil || body == nil || body == http.NoBody {
				return body, err
			}
			return x.tap(body), nil
		}
	}
	return through
}

// tap keeps what is sent of a body of the request.
func (x *exchange) tap(body io.ReadCloser) io.ReadCloser {
	x.mu.Lock()
	defer x.mu.Unlock()
	c := &capture{limit: x.t.options.MaxBody}
	x.sent = append(x.sent, c)
	return &tap{ReadCloser: body, to: c, end: func() {}}
}
