// Package wire sends an HTTP request, says what the response proves and decides on a retry. It does not know topics,
// verbs or reports.
package wire

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// MaxAnswer is the largest size of an answer, in bytes after decompression.
const MaxAnswer = 256 << 20

// A Sender sends requests to a server. Its fields must not change after the first use. A Sender is safe for concurrent
// use.
type Sender struct {
	Transport http.RoundTripper
	// Credential writes the headers that authenticate an attempt.
	Credential func(ctx context.Context, h http.Header) error
	UserAgent  string
	// Timeout bounds an attempt, from asking the credential to the last byte of the response.
	Timeout time.Duration
	// RetryFor bounds the retries of a request; negative allows a single attempt.
	RetryFor time.Duration
	Limiter  *Limiter
	Logger   *slog.Logger
}

// A Request is a request with the reader of its answer.
type Request struct {
	// Make makes the request with the given body.
	Make func(body io.Reader) (*http.Request, error)
	// Body is sent; nil for a GET.
	Body []byte
	// Safe says that the request changes nothing and may always be retried.
	Safe bool
	// ProofOnly forbids a retry after a 429 without proof.
	ProofOnly bool
	// Read reads the body of a 200 of type application/json. Read is called at most once for each attempt and must
	// forget earlier attempts.
	Read func(h http.Header, body io.Reader) error
	// Secrets are removed from every foreign text.
	Secrets *Secrets
	// Log describes the request in log records.
	Log []slog.Attr
}

// Evidence is the result of an attempt.
type Evidence struct {
	Start    time.Time
	Duration time.Duration

	// Proof says what is proved about the requested work. Assumed says that Proof rests on an assumption about the
	// server.
	Proof   Proof
	Assumed bool
	// Doubt says why a refused request may have been processed first; "" without such a sign.
	Doubt string

	// Status is the HTTP status; 0 if there was no response. Date is the response's Date header, by the server's clock.
	Status int
	Date   time.Time
	// Answer says that the response was a 200 of type application/json, passed to Read.
	Answer bool
	// The following fields are the response's. The texts are printable and without secrets.
	Code        int
	Message     string
	RequestID   string
	RetryAfter  time.Duration
	RateLimited bool // the rate limiter rejected the request

	// Err says why there is no response, why the answer was not read to its end or why no further attempt was made. Err
	// has no secret.
	Err error

	retry retry
}

// attempt makes an attempt. refused are the credential's headers that got a 401. If the credential writes the same
// headers again, nothing is sent and same is true.
func (s *Sender) attempt(caller context.Context, q *Request, refused http.Header) (
	e Evidence, written http.Header, same bool,
) {
	e.Start = time.Now()
	defer func() { e.Duration = time.Since(e.Start) }()
	body := &body{data: bytes.NewReader(q.Body)}
	ctx, cancel := s.begin(caller, body, q.Safe)
	defer cancel()
	r, written, err := s.request(ctx, q, body)
	switch {
	case err == nil && ctx.Err() != nil:
		err = errors.New("the credential returned too late")
		fallthrough
	case err != nil:
		body.seal()
		e.fail(caller, ctx, NotDone, "nothing was sent", err)
		return e, written, false
	case refused != nil && maps.EqualFunc(refused, written, slices.Equal):
		return e, written, true
	}
	var heads atomic.Int32 // how often the head of the request was written
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { heads.Add(1) }})
	resp, err := s.Transport.RoundTrip(r.WithContext(traced))
	switch {
	case err != nil:
	case resp == nil:
		err = errors.New("the transport returned neither a response nor an error")
	case resp.StatusCode == 0:
		err = errors.New("the transport's response has no status")
	}
	if err != nil {
		taken := body.seal()
		if q.Body == nil {
			taken = heads.Load() > 0
		}
		err = q.Secrets.foreign(err)
		switch {
		case !taken:
			e.fail(caller, ctx, NotDone, "the request was not sent", err)
		case q.Safe:
			e.fail(caller, ctx, Nothing, "no response came", err)
		default:
			e.fail(caller, ctx, Nothing, "the request may have been carried out, and no response came", err)
		}
		return e, written, false
	}
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	defer resp.Body.Close() //nolint:errcheck // the rest of the body does not matter
	if resp.Request != nil {
		q.Secrets.Add(resp.Request.Header)
	}
	e.respond(caller, ctx, q, resp, body)
	n, gateway := heads.Load(), gatewayAttempts(resp.Header)
	switch {
	case q.Safe:
	case n > 1:
		e.Doubt = fmt.Sprintf("the transport sent the request %d times", n)
	case gateway > 1:
		e.Doubt = fmt.Sprintf("a gateway sent the request more than once (x-envoy-attempt-count %d)", gateway)
	}
	if e.Doubt != "" {
		e.retry = never
		if body.seal() {
			e.doubt(e.Doubt)
		}
	}
	return e, written, false
}

// begin returns the context of an attempt. The context ends after Timeout. The end of the caller's context ends a safe
// request at once, and an unsafe request only while nothing of the body was taken: a change that has begun gets its
// answer.
func (s *Sender) begin(caller context.Context, b *body, safe bool) (context.Context, context.CancelFunc) {
	inner, end := context.WithCancelCause(context.WithoutCancel(caller))
	stop := context.AfterFunc(caller, func() {
		if safe || !b.seal() {
			end(context.Cause(caller))
		}
	})
	ctx, cancel := context.WithTimeoutCause(inner, s.Timeout, fmt.Errorf("time-out after %v", s.Timeout))
	return ctx, func() { stop(); cancel(); end(nil) }
}

// request makes an attempt's request, credential included.
func (s *Sender) request(ctx context.Context, q *Request, b *body) (*http.Request, http.Header, error) {
	var from io.Reader
	if q.Body != nil {
		from = b
	}
	r, err := q.Make(from)
	if err != nil {
		return nil, nil, err
	}
	// With GetBody, and on a connection that was used before, net/http may send a request twice or lose it.
	r.GetBody, r.ContentLength, r.Close = nil, int64(len(q.Body)), true
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", s.UserAgent)
	if q.Body == nil {
		r.Header.Set("Cache-Control", "no-cache")
	}
	written := http.Header{}
	err = s.Credential(ctx, written)
	q.Secrets.Add(written)
	if err == nil {
		err = checkHeader(written)
	}
	if err != nil {
		return nil, written, Because("the credential failed", q.Secrets.foreign(err))
	}
	maps.Copy(r.Header, written)
	return r, written, nil
}

// checkHeader refuses a header that would break the request. The error does not quote the header.
func checkHeader(h http.Header) error {
	for name, values := range h {
		for _, value := range values {
			if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
				return errors.New("the header " + name + " has a control character in it")
			}
		}
	}
	return nil
}

// respond reads the response and says what the response proves.
func (e *Evidence) respond(caller, ctx context.Context, q *Request, resp *http.Response, b *body) {
	e.Status = resp.StatusCode
	e.Date, _ = http.ParseTime(resp.Header.Get("Date"))
	e.RequestID = q.Secrets.Show(resp.Header.Get("X-Request-Id"), 128)
	e.RetryAfter = retryAfter(resp.StatusCode, resp.Header, time.Now())
	coding := contentCoding(resp.Header)
	if e.Status != http.StatusOK || !isJSON(resp.Header) || coding != "" {
		p := readPage(resp, coding)
		e.prove(resp.Header, p, b.seal() || q.Body == nil, q.ProofOnly)
		e.tell(resp.Header, p, q.Secrets)
		return
	}
	e.Answer = true
	err := q.Read(resp.Header, http.MaxBytesReader(nil, resp.Body, MaxAnswer))
	if tooLong := (*http.MaxBytesError)(nil); errors.As(err, &tooLong) {
		err = fmt.Errorf("it is longer than %d bytes", tooLong.Limit)
	}
	if err != nil {
		e.fail(caller, ctx, Nothing, "the answer could not be read to its end", q.Secrets.foreign(err))
		return
	}
	e.Proof = Answered
}

// fail records why an attempt ended without an answer.
func (e *Evidence) fail(caller, ctx context.Context, p Proof, where string, err error) {
	e.Proof = p
	switch {
	case caller.Err() != nil && ctx.Err() != nil: // the caller's context ended the attempt
		e.Err = Ended(caller, where, err)
		return
	case p == Nothing:
		e.retry = lost
	case ctx.Err() != nil || passes(err):
		e.retry = notSent
	}
	if ctx.Err() != nil {
		err = &Error{cmp.Or(context.Cause(ctx), ctx.Err()).Error(), errors.Join(ctx.Err(), err)}
	}
	e.Err = Because(where, err)
}

// doubt makes a refusal prove nothing.
func (e *Evidence) doubt(why string) {
	e.Doubt = why
	if e.Proof == NotDone {
		e.Proof, e.Assumed = Nothing, false
	}
}
