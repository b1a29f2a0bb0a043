package wire

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What the tests of this package share.

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// taking is a transport that takes the request's body, and then does f.
func taking(f roundTrip) roundTrip {
	return func(r *http.Request) (*http.Response, error) {
		if r.Body != nil {
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return nil, err
			}
		}
		return f(r)
	}
}

// reply is a response with a status, a body, and headers given as name, value, name, value.
func reply(status int, body string, header ...string) *http.Response {
	w := httptest.NewRecorder()
	for i := 0; i < len(header); i += 2 {
		w.Header().Add(header[i], header[i+1])
	}
	resp := w.Result()
	resp.StatusCode, resp.Header, resp.Body = status, w.Header(), io.NopCloser(strings.NewReader(body))
	return resp
}

// replies is a transport that takes each request and gives it the next of the replies, and the last to all after it.
func replies(each ...func() *http.Response) roundTrip {
	n := 0
	return taking(func(*http.Request) (*http.Response, error) {
		n++
		return each[min(n, len(each))-1](), nil
	})
}

// with makes a reply of a status and headers.
func with(status int, header ...string) func() *http.Response {
	return func() *http.Response { return reply(status, "", header...) }
}

// newSender is a Sender with the library's defaults.
func newSender(transport http.RoundTripper) *Sender {
	return &Sender{
		Transport: transport, Credential: func(context.Context, http.Header) error { return nil },
		Timeout: time.Minute, RetryFor: time.Minute, Limiter: &Limiter{}, Logger: slog.New(slog.DiscardHandler),
	}
}

// newRequest is a request that changes something. Its answer is read to its end.
func newRequest() *Request {
	return &Request{
		Make: func(body io.Reader) (*http.Request, error) {
			return http.NewRequest(http.MethodPost, "http://server.invalid/x", body)
		},
		Body: []byte("the body"), Secrets: &Secrets{},
		Read: func(_ http.Header, body io.Reader) error {
			_, err := io.Copy(io.Discard, body)
			return err
		},
	}
}

// newRead is a GET.
func newRead() *Request {
	q := newRequest()
	q.Body, q.Safe = nil, true
	return q
}

var errOwn = errors.New("an error of its own")

// bubble runs a test in virtual time.
func bubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}
