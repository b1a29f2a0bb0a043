package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"time"

	"github.com/seed25095279/clusterlink-go/gen"
	"github.com/seed25095279/clusterlink-go/pkg/internal/printable"
)

// exchange is one attempt at a request, watched closely enough to tell whether the server can
// have seen it. The request's body is read through it.
type exchange struct {
	mu       sync.Mutex
	body     io.Reader
	heads    int  // how often a head may have been written; more than once is a transport's doing
	reports  bool // the transport reports to the trace: it is known to, or it did
	bodyRead bool // a part of the body may be on the wire
	sealed   bool // nothing of the body is handed out any more
}

// trace makes the transport report to e.
func (e *exchange) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:      func(string) { e.asked() },
		WroteHeaders: e.wroteHead,
	})
}

func (e *exchange) asked() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.reports = true
}

func (e *exchange) wroteHead() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heads++
}

// sends returns how often the request may have been on the wire.
func (e *exchange) sends() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.heads
}

// Read hands out the request's body, until the exchange is sealed.
func (e *exchange) Read(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.sealed {
		return 0, errors.New("the attempt is over")
	}
	e.bodyRead = true
	return e.body.Read(p)
}

// Close satisfies io.ReadCloser.
func (e *exchange) Close() error { return nil }

// notSent tells whether the server cannot have seen the request, now or later. It takes a positive
// sign: a transport that reports what it does, and reported neither that it wrote the head nor took
// anything of the body. A transport that reports nothing proves nothing. A goroutine of the
// transport may outlive its RoundTrip; since the body is sealed here, it cannot complete the
// request any more.
func (e *exchange) notSent() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sealed = true
	return e.reports && e.heads == 0 && !e.bodyRead
}

// verdict is what one attempt proves about the topics that no row of an answer is about.
type verdict struct {
	outcome Outcome
	err     error // nil if a 200 was read to its end
	passing bool  // nothing was sent, for a cause that may be gone the next time
}

// request is what an attempt sends, and what is known of earlier attempts at it.
type request struct {
	operation
	batch Batch
	body  []byte

	authorization   string // of the latest attempt
	unauthenticated bool   // the server answered 401
	refused         string // to this Authorization header
}

// errSameCredential ends an attempt that would send the credential that got a 401 before.
var errSameCredential = errors.New("the credential is still the one that was refused")

// attempt sends the request once, and enters what the answer says in p.
func (c *Client) attempt(ctx context.Context, q *request, p *part) verdict {
	a := Attempt{Batch: q.batch.Index, Topics: len(q.batch.Topics), Start: time.Now()}
	e := &exchange{body: bytes.NewReader(q.body), reports: c.reports}
	v := c.exchange(ctx, q, p, e, &a)
	a.Duration = time.Since(a.Start)
	a.Outcome, a.Sends = v.outcome, e.sends()
	var api *APIError
	switch {
	case v.err == nil:
		a.Outcome = Accepted
	case errors.As(v.err, &api):
		a.Status, a.RequestID, a.Error = api.Status, api.RequestID, api.Error()
	default:
		a.Error = v.err.Error()
	}
	p.attempts = []Attempt{a}
	return v
}

func (c *Client) exchange(ctx context.Context, q *request, p *part, e *exchange, a *Attempt) verdict {
	if ctx.Err() != nil {
		return verdict{outcome: Untouched, err: stopped(ctx, "nothing was sent", nil)}
	}
	parent := ctx
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, fmt.Errorf("no answer within %v", c.timeout))
	defer cancel()

	began := false
	resp, err := q.send(e.trace(ctx), &gen.Client{
		Server: c.server,
		Client: doer(func(r *http.Request) (*http.Response, error) {
			began = true
			return c.http.Do(r) //nolint:gosec // the endpoint is the caller's own choice
		}),
	}, e, func(ctx context.Context, r *http.Request) error { return c.edit(ctx, r, q) })
	switch {
	case err != nil && !began:
		return verdict{outcome: Untouched, err: stopped(ctx, "nothing was sent", err)}
	case err != nil && e.notSent():
		passing := isPassing(err) || ctx.Err() != nil && parent.Err() == nil
		return verdict{outcome: Untouched, err: stopped(ctx, "the request was not sent", err), passing: passing}
	case err != nil:
		return verdict{outcome: Unknown, err: stopped(ctx, "the request may have been carried out, and no answer came", err)}
	}
	defer resp.Body.Close() //nolint:errcheck // it was read as far as it matters
	a.Status = resp.StatusCode
	a.RequestID = requestID(resp.Header)

	if resp.StatusCode != http.StatusOK || !isJSON(resp.Header) {
		v := judge(resp)
		if e.notSent() { // an answer from before the request, such as 408 on a connection just made
			v.outcome, v.passing = Untouched, resp.StatusCode == http.StatusRequestTimeout
		}
		return v
	}
	read, err := readAnswer(&bounded{r: resp.Body, left: c.maxAnswer, limit: c.maxAnswer}, p.enter)
	p.next = read.next
	if err != nil {
		where := fmt.Sprintf("the answer could not be read to its end (%s read)", count(read.rows, "row"))
		return verdict{outcome: Unknown, err: stopped(ctx, where, err)}
	}
	return verdict{outcome: Unknown}
}

// doer makes a function of what the generated client sends through.
type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }

// edit makes the request that the generated client built into the one that is sent.
func (c *Client) edit(ctx context.Context, r *http.Request, q *request) error {
	// The names of cluster and link must have stayed what they were, each in its own segment.
	path := "/v3/clusters/" + url.PathEscape(c.clusterID) + "/links/" + url.PathEscape(q.batch.Link) + "/" + q.action
	if got := r.URL.EscapedPath(); got != "/kafka"+path {
		return fmt.Errorf("the request's path came out as %s", quote(got))
	}
	path = c.prefix + path
	unescaped, err := url.PathUnescape(path)
	if err != nil {
		return err
	}
	r.URL.Path, r.URL.RawPath = unescaped, path

	r.GetBody = nil // with it, net/http may send the request twice
	r.ContentLength = int64(len(q.body))
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", c.userAgent)
	if err := c.credential(ctx, r.Header); err != nil {
		return cause("the credential failed", err)
	}
	q.authorization = r.Header.Get("Authorization")
	if q.unauthenticated && q.authorization == q.refused {
		return errSameCredential
	}
	return nil
}

// stopped is the cause of an attempt that ended without an answer. Where the context ended it,
// both what the context says and why it says so can be found in the error.
func stopped(ctx context.Context, where string, err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // its text repeats the URL
	}
	if ctx.Err() == nil {
		return cause(where, err)
	}
	why := context.Cause(ctx)
	text := where + ": " + printable.Line(why.Error(), maxText)
	return &causeError{text: text, err: errors.Join(ctx.Err(), why, err)}
}
