package mirror

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

// request is an HTTP request of a call, and what is known of the attempts at it.
type request struct {
	name string // of the operation
	link string
	path string // after the link's
	body []byte // nil for a read
	// make makes the request with the given body.
	make func(server, clusterID, link string, body io.Reader) (*http.Request, error)
	// safe says that it changes nothing, so that it may be sent again in any case; single, that it
	// is sent once all the same; and proofOnly, that a 429 is no reason to send it again without proof.
	safe, single, proofOnly bool
	// read reads the body of a 200, and returns how many rows it had; reset forgets what it read.
	read  func(header http.Header, body io.Reader) (rows int, err error)
	reset func()

	told     Attempt // what every attempt says: run, batch, topics
	attempts []Attempt
	verdict  verdict // of the last attempt
	hide     *redactor
	limiter  filterHeader // of the last response
	limited  limited
	doubt    string // why a refusal may have come after the request was processed; "" if it cannot have

	credential http.Header   // what the credential wrote for the latest attempt
	refused    http.Header   // what it had written when the server answered 401; nil if it has not
	written    []http.Header // what it wrote for all attempts
}

// limited counts what the rate limiter did to requests.
type limited struct {
	rejected   int
	letThrough int // over the limit, after a delay or when others were done
}

func (l *limited) add(other limited) {
	l.rejected += other.rejected
	l.letThrough += other.letThrough
}

// oneObject is the count of rows of an answer that is one object.
const oneObject = -1

// attempt sends the request once, and has the answer read.
func (c *Client) attempt(ctx context.Context, q *request) (v verdict) {
	a := q.told
	a.Number, a.Start = len(q.attempts)+1, time.Now()
	w := &tracker{body: bytes.NewReader(q.body), over: make(chan struct{})}
	defer close(w.over)
	var header http.Header
	finished := false
	defer func() {
		if !finished { // a credential or middleware panics, or ends the goroutine
			v.outcome, v.err = Untouched, cause("a credential or middleware panicked before anything was sent", nil)
			if q.body == nil {
				v.err = cause("a credential or middleware panicked", nil)
			}
			if w.seal() {
				v.outcome, v.err = Unknown, cause("middleware panicked, and the request may have been carried out", nil)
			}
			q.verdict = v
		}
		a.Duration = time.Since(a.Start)
		a.Outcome, a.Assumed = v.outcome, v.assumed
		if v.err == nil {
			a.Outcome = Accepted
		} else {
			a.Error = v.err.Error()
		}
		a.Sends = w.state().sends
		q.attempts = append(q.attempts, a)
	}()
	v, header = c.exchange(ctx, q, w, &a)
	q.limiter = doSFilter(header)
	if q.limiter.letThrough {
		q.limited.letThrough++
	}
	if v.retry == rejected {
		q.limited.rejected++
	}
	if sends := w.state().sends; sends > 1 {
		v.sentTwice = fmt.Sprintf("the request was sent %d times by the middleware", sends)
	} else if n := gatewayAttempts(header); n != "" {
		v.sentTwice = "a gateway sent the request more than once (x-envoy-attempt-count " + n + ")"
	}
	if !q.safe && v.sentTwice != "" {
		v.doubt(v.sentTwice)
	}
	finished = true
	return v
}

// exchange is one HTTP exchange: it sends the request, and reads the response as far as it matters.
func (c *Client) exchange(ctx context.Context, q *request, w *tracker, a *Attempt) (verdict, http.Header) {
	if ctx.Err() != nil {
		return verdict{outcome: Untouched, err: stopped(ctx, "nothing was sent", nil)}, nil
	}
	caller := ctx
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, c.timedOut)
	defer cancel()
	w.ctx = ctx
	// timedOut is a cause that can pass, unlike the end of the caller's own context.
	timedOut := func() bool { return ctx.Err() != nil && caller.Err() == nil }

	r, err := c.newRequest(ctx, q, w)
	if err != nil {
		v := verdict{outcome: Untouched, err: err}
		if isPassing(err, false) || timedOut() {
			v.retry = notSent
		}
		return v, nil
	}
	if q.refused != nil && maps.EqualFunc(q.refused, q.credential, slices.Equal) {
		err := cause("the credential is still the one that was refused", nil)
		return verdict{outcome: Untouched, sameCredential: true, err: err}, nil
	}
	if ctx.Err() != nil {
		err := stopped(ctx, "nothing was sent", cause("the credential returned too late", nil))
		return verdict{outcome: Untouched, err: err, retry: notSent}, nil
	}
	q.hide = newRedactor(q.written...)
	resp, err := c.roundTripper.RoundTrip(r) //nolint:bodyclose // the contextReader closes it
	if err == nil && resp == nil {
		err = errors.New("the middleware returned neither a response nor an error")
	}
	if err == nil {
		return c.respond(ctx, q, w, a, resp), resp.Header
	}
	if resp != nil && resp.Body != nil {
		go closeQuietly(resp.Body)
	}
	taken, said := w.seal(), w.state()
	blamed := c.blame(ctx, said, q, err)
	hadConn := said.hasConn && said.failedWith(err)
	switch {
	case taken && !q.safe:
		err = stopped(ctx, "the request may have been carried out, and no response came", blamed)
		return verdict{outcome: Unknown, err: err, retry: maybeDone}, nil
	case taken, q.body == nil && said.hasConn && isPassing(cmp.Or(said.err, err), true): // it may have been sent
		return verdict{outcome: Unknown, err: stopped(ctx, "no response came", blamed), retry: maybeDone}, nil
	}
	v := verdict{outcome: Untouched, err: stopped(ctx, "the request was not sent", blamed)}
	if isPassing(err, hadConn) || timedOut() {
		v.retry = notSent
	}
	return v, nil
}

// respond says what a response comes to, and has an answer read.
func (c *Client) respond(ctx context.Context, q *request, w *tracker, a *Attempt, resp *http.Response) verdict {
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	body := newContextReader(ctx, resp.Body)
	defer body.Close() //nolint:errcheck // it was read as far as it matters
	a.HTTPStatus = resp.StatusCode
	a.RequestID = requestID(resp.Header, q.hide)

	method := http.MethodPost
	if q.body == nil {
		method = http.MethodGet
	}
	another := resp.Request != nil && cmp.Or(resp.Request.Method, http.MethodGet) != method
	if another || resp.StatusCode != http.StatusOK || !isJSON(resp.Header) {
		taken := w.seal() || q.body == nil
		v := classify(resp, body, q.hide)
		switch {
		case !taken && resp.StatusCode != http.StatusOK:
			// It came before the request's body, such as a 408 on a connection just made.
			v.outcome, v.assumed = Untouched, false
			if v.retry == maybeDone || v.retry == final && canPass(resp.StatusCode) {
				v.retry = notSent
			}
		case another:
			method := text.Line(resp.Request.Method, 16)
			err := cause("the middleware answered with the response to another request ("+method+")", v.err)
			v = verdict{outcome: Unknown, err: err, retry: maybeDone}
		}
		return v
	}
	if coding := contentCoding(resp.Header, q.hide); coding != "" {
		return verdict{outcome: Unknown, err: cause("the answer has "+coding, nil), retry: maybeDone}
	}
	rows, err := q.read(resp.Header, http.MaxBytesReader(nil, body, c.maxAnswer))
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		err = fmt.Errorf("it is longer than %d bytes", tooLong.Limit)
	case ctx.Err() != nil && err != nil:
		err = ctx.Err() // the reader says the same
	}
	if err != nil {
		where := "the answer could not be read"
		if rows != oneObject {
			where += fmt.Sprintf(" to its end (%s read)", count(rows, "row"))
		}
		return verdict{outcome: Unknown, err: stopped(ctx, where, q.hide.foreign(err)), retry: maybeDone}
	}
	return verdict{outcome: Unknown}
}

// blame says which part failed, where it was not the cluster.
func (c *Client) blame(ctx context.Context, said transportState, q *request, err error) error {
	proxied, proxyCredential := said.proxied()
	hide := newRedactor(append(slices.Clip(q.written), proxyCredential)...)
	var proxy *proxyError
	var op *net.OpError
	isProxys := func() bool {
		return proxied || errors.As(said.err, &proxy) || errors.As(said.err, &op) && op.Op == "proxyconnect"
	}
	isContexts := func() bool {
		return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
	}
	switch {
	case c.wrapped && !said.failedWith(err):
		return cause("the middleware failed", hide.foreign(err))
	case said.err != nil && guarded(isProxys):
		return cause("the proxy failed", hide.foreign(err))
	case ctx.Err() == nil && c.wrapped && guarded(isContexts):
		return cause("the middleware ended the request's context", hide.foreign(err))
	case ctx.Err() == nil && guarded(isContexts):
		return cause("DialContext failed", hide.foreign(err))
	}
	return hide.foreign(err)
}

// checkHeader returns an error if a header cannot be sent, which names the header.
func checkHeader(h http.Header) error {
	for name, values := range h {
		bad := func(r rune) bool { return r < '!' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r) }
		if name == "" || strings.ContainsFunc(name, bad) {
			return badCredential("invalid header field name " + text.Quote(name))
		}
		for _, value := range values {
			if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
				return badCredential("invalid header field value for " + text.Quote(name))
			}
		}
	}
	return nil
}

// newRequest makes the request that the attempt sends, credential and all.
func (c *Client) newRequest(ctx context.Context, q *request, w *tracker) (*http.Request, error) {
	var body io.Reader
	if q.body != nil {
		body = w
	}
	r, err := q.make(c.server, c.clusterID, q.link, body)
	if err != nil {
		return nil, cause("the request could not be made", err)
	}
	// The names of cluster and link must have stayed what they were, each in its own segment.
	path := "/v3/clusters/" + url.PathEscape(c.clusterID) + "/links/" + url.PathEscape(q.link) + q.path
	if got := r.URL.EscapedPath(); got != "/kafka"+path {
		return nil, cause("the request's path came out as "+text.Quote(got), nil)
	}
	path = c.pathPrefix + path
	unescaped, err := url.PathUnescape(path)
	if err != nil {
		return nil, cause("the request could not be made", err)
	}
	r.URL.Path, r.URL.RawPath = unescaped, path

	r.GetBody = nil
	r.ContentLength = int64(len(q.body))
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", c.userAgent)
	written := http.Header{}
	err = c.credential(ctx, written)
	q.credential, q.written = written, append(q.written, written)
	if err == nil {
		err = checkHeader(written)
	}
	if err != nil {
		hide := newRedactor(q.written...)
		return nil, stopped(ctx, "nothing was sent", cause("the credential failed", hide.credentialError(err)))
	}
	maps.Copy(r.Header, written)
	return r.WithContext(context.WithValue(ctx, trackerKey{}, w)), nil
}

// timeoutError is why the context of an attempt ends at Config.Timeout.
type timeoutError struct{ after time.Duration }

func (e *timeoutError) Error() string { return fmt.Sprintf("time-out after %v", e.after) }

// stopped is the cause of something that ended without an answer. Where the context ended it, both
// what the context says and why it says so can be found in the error.
func stopped(ctx context.Context, where string, err error) error {
	if ctx.Err() == nil {
		return cause(where, err)
	}
	why := foreign(context.Cause(ctx))
	parts := []string{where, clean(why.Error())}
	if err != nil && err.Error() != why.Error() && err.Error() != ctx.Err().Error() {
		parts = append(parts, clean(err.Error()))
		var timeout *timeoutError
		if guarded(func() bool { return errors.As(context.Cause(ctx), &timeout) }) { // whose words are the cause
			parts = []string{where, parts[2] + " (" + parts[1] + ")"}
		}
	}
	return &causeError{text: strings.Join(parts, ": "), err: errors.Join(ctx.Err(), why, err)}
}

// contextReader reads a body until ctx ends, whether the body honours ctx or not.
type contextReader struct {
	ctx     context.Context // of one attempt
	body    io.ReadCloser
	stop    func() bool
	buffer  []byte
	results chan readResult
}

type readResult struct {
	n   int
	err error
	ending
}

// ending is how a goroutine ended that runs somebody else's code.
type ending struct {
	returned bool // if not, the code panicked, or ended the goroutine
	panicked any  // with this; nil if it ended the goroutine
}

// end is deferred by that goroutine.
func (e *ending) end() {
	if !e.returned {
		e.panicked = recover()
	}
}

// goOn does on this goroutine what happened on the other one.
func (e *ending) goOn() {
	switch {
	case e.returned:
	case e.panicked == nil:
		runtime.Goexit()
	default:
		panic(e.panicked)
	}
}

func newContextReader(ctx context.Context, body io.ReadCloser) *contextReader {
	return &contextReader{
		ctx: ctx, body: body, buffer: make([]byte, 32<<10), results: make(chan readResult, 1),
		stop: context.AfterFunc(ctx, func() { closeQuietly(body) }),
	}
}

// Read reads on a goroutine of its own, which is left behind if ctx ends first. If the body panics, or
// ends that goroutine, so does Read.
func (r *contextReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	into := r.buffer[:min(len(p), len(r.buffer))]
	go func() {
		var got readResult
		defer func() { r.results <- got }()
		defer got.end()
		got.n, got.err = r.body.Read(into)
		got.returned = true
	}()
	select {
	case got := <-r.results:
		got.goOn()
		switch {
		case got.n < 0 || got.n > len(into):
			return 0, errors.New("the body returned an impossible count of bytes")
		case got.err != nil && got.err != io.EOF: //nolint:errorlint // only this very error is an end
			got.err = foreign(got.err)
		}
		return copy(p, into[:got.n]), got.err
	case <-r.ctx.Done():
		return 0, context.Cause(r.ctx)
	}
}

// Close closes the body, unless the end of ctx has, and waits for that no longer than ctx.
func (r *contextReader) Close() error {
	if r.stop() {
		closed := make(chan struct{})
		go func() { defer close(closed); closeQuietly(r.body) }()
		select {
		case <-closed:
		case <-r.ctx.Done():
		}
	}
	return nil
}

// closeQuietly closes a body that is of no further use.
func closeQuietly(body io.Closer) {
	defer func() { _ = recover() }()
	_ = body.Close()
}
