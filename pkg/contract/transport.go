package contract

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// Options are the options of a Transport. The zero value of every field is ready to use.
type Options struct {
	// Strict makes a Drift a Violation.
	Strict bool
	// MaxBody bounds the bytes of a body that are kept and checked, before and after decoding of the content
	// encoding; 0 is 32 MiB. A longer body passes unchanged and gets a note instead of a check.
	MaxBody int
}

// Transport is an http.RoundTripper that checks requests and responses. It changes no byte, and passes on errors and
// traces unchanged. It is safe for concurrent use.
type Transport struct {
	base    http.RoundTripper
	out     outbox
	options Options
	routes  []route
	sent    atomic.Int64 // requests
	// ended is called once for each request: with why nothing was checked, or with "".
	ended func(why string)
}

// NewTransport returns a Transport that calls found with each Finding. The Transport sends through base, or through
// mirror.NewTransport if base is nil. A nil found is an error.
//
// Findings about the request and the head of the response come before RoundTrip returns. Findings about the
// response's body come at the end of the body, or when the body is closed. If RoundTrip returns before the request's
// body was sent to its end, both bodies are checked together. A failed request is checked too, with a Status of 0.
//
// Calls of found come one at a time. The function found may use the Transport: meanwhile findings from any goroutine
// wait until found returns. For each request and each response, found gets at most 100 findings of each severity.
//
// Requests for paths or methods outside the contract are not checked.
func NewTransport(base http.RoundTripper, found func(Finding), o Options) (*Transport, error) {
	if found == nil {
		return nil, errors.New("contract: there is nothing to call with the findings")
	}
	routes, err := loaded()
	if err != nil {
		return nil, err
	}
	if base == nil {
		base = mirror.NewTransport()
	}
	if o.MaxBody == 0 {
		o.MaxBody = 32 << 20
	}
	return &Transport{base: base, out: outbox{found: found}, options: o, routes: routes, ended: func(string) {}}, nil
}

// exchange is a request and its response.
type exchange struct {
	t          *Transport
	operation  *openapi3.Operation
	verb       string            // the verb of the operation; "" for a read
	parameters map[string]string // of the path
	request    *http.Request
	about      Finding // the members that all findings share

	mu   sync.Mutex
	sent []*capture // the request's body, once for each sending

	judged   bool     // whether the request's body was judged
	sentBody bool     // a body was sent to its end
	asked    []string // the names in the request; nil if unknown or a pattern

	answer openapi3.Content // declared in the contract
}

// RoundTrip sends the request through the base, and checks the request and the response.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL == nil {
		return t.base.RoundTrip(r) // which returns an error
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
	if resp.Body == nil || resp.Body == http.NoBody { // as from a fake
		received.ended = true
		end()
		return resp, nil
	}
	resp.Body = &tap{ReadCloser: resp.Body, to: received, end: end}
	return resp, nil
}

// judge returns a judge of the request or of the response.
func (x *exchange) judge(request bool, status int) *judge {
	about := x.about
	about.Request, about.Status = request, status
	return &judge{about: about, strict: x.t.options.Strict}
}

// tapped returns the request with a body that is captured at each sending.
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

// tap captures one sending of the request's body.
func (x *exchange) tap(body io.ReadCloser) io.ReadCloser {
	x.mu.Lock()
	defer x.mu.Unlock()
	c := &capture{limit: x.t.options.MaxBody}
	x.sent = append(x.sent, c)
	return &tap{ReadCloser: body, to: c, end: func() {}}
}
