package mirror_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// Faults on the wire, and in a transport between the library and the wire.
func TestFaults_Wire(t *testing.T) {
	runFaults(t, "wire", append(faultsOfConnections(), faultsOfTransports()...))
}

func faultsOfConnections() []fault {
	proper := rows(good("a"), good("b"))
	answer := func(before string) string {
		return before + fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			len(proper), proper)
	}
	broken := &net.OpError{Op: "write", Err: syscall.ECONNRESET}
	// breaking breaks the first connections before anything of the body is taken.
	breaking := func(times int, how func(net.Conn) net.Conn) func(*env) {
		return all(longToken, func(e *env) {
			e.dial(func(_ context.Context, n int, next func() (net.Conn, error)) (net.Conn, error) {
				c, err := next()
				if err == nil && n <= times {
					c = how(c)
				}
				return c, err
			})
		})
	}
	resets := func(c net.Conn) net.Conn { return &failingConn{Conn: c, err: broken} }
	threeInTwo := func(e *env) { e.cfg.BatchSize = 2 }
	cases := []fault{
		{
			name: "reset before the body is taken", setup: breaking(999, resets),
			outcomes: "2 untouched", check: retriedFor10s, is: []error{syscall.ECONNRESET},
		},
		{
			name: "reset before the body is taken, healing", setup: breaking(2, resets),
			outcomes: "2 accepted", seen: 1, applied: "a b", check: attempts(3),
		},
		{
			name: "closed by the server at once, before or after the body is taken", loopback: true,
			setup:    all(neverRetry, func(e *env) { e.cfg.Endpoint = "http://" + e.listen(func(net.Conn) {}) }),
			outcomes: "2 unknown or 2 untouched",
		},
		{
			name: "reset after the body is taken", setup: func(e *env) {
				e.dial(func(_ context.Context, _ int, next func() (net.Conn, error)) (net.Conn, error) {
					c, err := next()
					return &failingConn{Conn: c, err: broken, writes: 1}, err // of the head, and not of the body
				})
			},
			outcomes: "2 unknown", is: []error{syscall.ECONNRESET}, check: attempts(1),
		},
		{
			name: "408 at once, before the head", setup: all(longToken, func(e *env) {
				e.dial(func(context.Context, int, func() (net.Conn, error)) (net.Conn, error) {
					client, server := net.Pipe()
					go func() {
						io.ReadFull(server, make([]byte, 1))
						io.WriteString(server, "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
						time.Sleep(time.Second) // the client has the answer before the end
						server.Close()
					}()
					return client, nil
				})
			}),
			outcomes: "2 untouched", says: "HTTP 408", check: retriedFor10s,
		},
		{
			name: "reset in the middle of the body", loopback: true, setup: func(e *env) {
				e.cfg.Endpoint = "http://" + e.listen(func(c net.Conn) {
					e.seen.Add(1)
					io.ReadFull(c, make([]byte, 2000))
					reset(c)
				})
				e.topics = longNames(500)
				e.cfg.BatchSize = len(e.topics)
			},
			outcomes: "500 unknown", seen: 1,
		},
		{
			name: "headers slower than Timeout", inject: after(silent()),
			outcomes: "2 unknown", seen: 1, applied: "a b", is: []error{context.DeadlineExceeded}, check: took(time.Minute),
		},
		{
			name: "a body that drips past the deadline", inject: after(drip(200, 14*time.Second)),
			outcomes: "accepted, unknown", seen: 1, applied: "a b", is: []error{context.DeadlineExceeded},
			check: took(time.Minute),
		},
		{
			name: "context ends in flight, and the answer comes", inject: after(late(30 * time.Second)),
			setup:    all(threeInTwo, cancelled(time.Second, nil)),
			outcomes: "2 accepted, untouched", seen: 1, applied: "a b", is: []error{context.Canceled},
			check: took(30 * time.Second),
		},
		{
			name: "context ends in flight, with a cause, and the answer comes", inject: after(late(30 * time.Second)),
			setup:    all(threeInTwo, cancelled(time.Second, errStop)),
			outcomes: "2 accepted, untouched", seen: 1, applied: "a b", is: []error{context.Canceled, errStop},
		},
		{
			name: "deadline passes in flight, and the answer comes", inject: after(late(30 * time.Second)),
			setup:    all(threeInTwo, deadline(time.Second)),
			outcomes: "2 accepted, untouched", seen: 1, applied: "a b", is: []error{context.DeadlineExceeded},
		},
		{
			name: "context ends in flight, and all are accepted", inject: after(late(30 * time.Second)),
			setup:    cancelled(time.Second, errStop),
			outcomes: "2 accepted", seen: 1, applied: "a b", check: func(e *env) { require.NoError(e, e.err) },
		},
		{
			name: "context ends in flight, and no answer comes", inject: after(silent()),
			setup:    all(threeInTwo, cancelled(time.Second, errStop)),
			outcomes: "2 unknown, untouched", seen: 1, applied: "a b", is: []error{context.Canceled, errStop},
			check: took(time.Minute),
		},
		{
			name: "context ends in flight, and the answer is a 503", inject: after(late(30*time.Second, 503)),
			setup:    all(threeInTwo, cancelled(time.Second, errStop)),
			outcomes: "2 unknown, untouched", seen: 1, applied: "a b", is: []error{context.Canceled, errStop},
		},
		{
			name: "context ends in flight, and the rate limiter rejects the request",
			inject: before(mirrortest.Handle(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
				time.Sleep(30 * time.Second)
				w.Header().Set("DoSFilter", "unavailable")
				w.WriteHeader(http.StatusTooManyRequests)
			})),
			setup:    cancelled(time.Second, errStop),
			outcomes: "2 untouched", seen: 1, is: []error{context.Canceled, errStop, mirror.ErrRateLimited},
			check: all(took(30*time.Second), attempts(1)),
		},
		{
			name: "context ends in flight, a dry run", inject: before(silent()),
			setup:    all(dryRun, cancelled(time.Second, errStop)),
			outcomes: "2 unknown", seen: 1, is: []error{context.Canceled, errStop}, check: took(time.Second),
		},
		{
			name: "malformed status line", inject: after(raw("HTTP/1.1 OK 200\r\n\r\n")),
			outcomes: "2 unknown", seen: 1, applied: "a b", check: attempts(1),
		},
		{
			name: "11 MiB of headers",
			inject: after(raw("HTTP/1.1 200 OK\r\n" +
				strings.Repeat("X: "+strings.Repeat("y", 1000)+"\r\n", 11<<10) + "\r\n")),
			outcomes: "2 unknown", seen: 1, applied: "a b", check: attempts(1),
		},
		{
			name: "100 before the answer", inject: after(raw(answer("HTTP/1.1 100 Continue\r\n\r\n"))),
			outcomes: "2 accepted", seen: 1, applied: "a b",
		},
		{
			name: "103 before the answer", inject: after(raw(answer("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"))),
			outcomes: "2 accepted", seen: 1, applied: "a b",
		},
		{
			name: "idle connections are closed between batches", loopback: true, setup: all(oneEach, func(e *env) {
				e.cfg.Recorder = hooks{answered: func(mirror.Batch, *mirror.Report) error {
					e.transport.CloseIdleConnections()
					return nil
				}}
			}),
			outcomes: "2 accepted", seen: 2, applied: "a b", check: func(e *env) {
				for _, r := range e.requests() {
					require.Equal(e, "close", r.Header.Get("Connection"), "each request has a connection of its own")
				}
			},
		},
	}
	for name, do := range map[string]mirrortest.Action{"reset": mirrortest.Reset(0), "EOF": mirrortest.Cut(0)} {
		cases = append(cases,
			fault{
				name: name + " after the full request, before apply", loopback: true, inject: before(do),
				outcomes: "2 unknown", seen: 1, check: attempts(1),
			},
			fault{
				name: name + " after the full request, after apply", loopback: true, inject: after(do),
				outcomes: "2 unknown", seen: 1, applied: "a b", check: attempts(1),
			})
	}
	return cases
}

// late sends the proper answer, or one with the status, after a while.
func late(wait time.Duration, status ...int) mirrortest.Action {
	return mirrortest.Handle(func(w http.ResponseWriter, r *http.Request, proper http.Handler) {
		time.Sleep(wait)
		if len(status) > 0 {
			w.WriteHeader(status[0])
			return
		}
		proper.ServeHTTP(w, r)
	})
}

// failingConn fails to write, after so many writes.
type failingConn struct {
	net.Conn
	err    error
	writes int
}

func (c *failingConn) Write(p []byte) (int, error) {
	if c.writes--; c.writes < 0 {
		return 0, c.err
	}
	return c.Conn.Write(p)
}

// Read fails as Write does: net/http tells whichever comes first.
func (c *failingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		err = c.err
	}
	return n, err
}

// longToken makes the head of a request longer than net/http's buffer, so that some of it is written before any of the
// body is taken.
func longToken(e *env) {
	token := strings.Repeat("t", 16<<10)
	e.pair.Local.AcceptToken(token, "")
	tokens(token)(e)
}

func longNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("topic-%s-%05d", strings.Repeat("x", 200), i)
	}
	return names
}

func faultsOfTransports() []fault {
	open := errors.New("the circuit is open")
	wrap := func(f func(*http.Request, http.RoundTripper) (*http.Response, error)) func(*env) {
		return func(e *env) { e.wrap(f) }
	}
	// reads has the transport read the body, and return a response and an error of its own.
	reads := func(resp *http.Response, err error) func(*env) {
		return wrap(func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
			io.Copy(io.Discard, r.Body)
			return resp, err
		})
	}
	// sends has the transport send the request, and do something with the response.
	sends := func(f func(*http.Response) (*http.Response, error)) func(*env) {
		return wrap(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			if err != nil {
				return nil, err
			}
			return f(resp)
		})
	}
	// fails sends the request, and returns an error in place of the response.
	fails := func(err error) func(*env) {
		return sends(func(resp *http.Response) (*http.Response, error) {
			resp.Body.Close()
			return nil, err
		})
	}
	twice := wrap(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
		body, _ := io.ReadAll(r.Body)
		again := func() (*http.Response, error) {
			r := r.Clone(r.Context())
			r.Body = io.NopCloser(bytes.NewReader(body))
			return next.RoundTrip(r)
		}
		resp, err := again()
		if err != nil {
			return nil, err
		}
		resp.Body.Close()
		return again()
	})
	own := func(code int, kind, body string) *http.Response {
		return &http.Response{
			StatusCode: code, Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(strings.NewReader(body)),
		}
	}
	keepsKey := func(getBody bool) func(*env) {
		return wrap(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
			r = r.Clone(r.Context())
			r.Header.Set("Idempotency-Key", "k")
			if getBody {
				body, _ := io.ReadAll(r.Body)
				r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
				r.Body, _ = r.GetBody()
			}
			return next.RoundTrip(r)
		})
	}
	cases := []fault{
		{
			name: "transport fails after it has read the body", setup: reads(nil, open),
			outcomes: "2 unknown", is: []error{open}, check: attempts(1),
		},
		{
			name: "transport sends twice", setup: twice,
			outcomes: "2 unknown", seen: 2, applied: "a b", says: "the transport sent the request 2 times",
			check: func(e *env) {
				require.Contains(e, e.report.Results[0].Why, "already stopped", "the report shows the refusal")
				require.NotEmpty(e, e.report.Results[0].Notes)
			},
		},
		{
			name: "transport sends twice, a dry run", setup: all(twice, dryRun, func(e *env) {
				e.pair.Local.SetStatus("b", mirror.StatusStopped)
			}),
			outcomes: "accepted, failed", seen: 2,
		},
		{
			name: "transport follows a 303", setup: wrap(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
				return (&http.Client{Transport: next}).Do(r.Clone(r.Context()))
			}),
			inject:   after(mirrortest.Answer(303, "", "Location", "/elsewhere")),
			outcomes: "2 unknown", seen: 2, applied: "a b",
		},
		{
			name: "transport drops the context", setup: wrap(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
				return next.RoundTrip(r.WithContext(context.Background()))
			}),
			outcomes: "2 accepted", seen: 1, applied: "a b",
		},
		{
			name: "transport sends, and returns neither a response nor an error", setup: fails(nil),
			outcomes: "2 unknown", seen: 1, applied: "a b", says: "neither a response nor an error", check: attempts(1),
		},
		{
			name: "transport returns a response without a body", setup: reads(&http.Response{
				StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {jsonType}},
			}, nil),
			outcomes: "2 unknown", says: "it is empty",
		},
		{
			name: "transport returns a 503 without a header", setup: reads(&http.Response{StatusCode: http.StatusServiceUnavailable}, nil),
			outcomes: "2 unknown", says: "HTTP 503",
		},
		{
			name: "transport returns a redirect without a header", setup: reads(&http.Response{StatusCode: http.StatusFound}, nil),
			outcomes: "2 untouched", says: "HTTP 302",
		},
		{
			name: "transport returns a response and an error", inject: after(mirrortest.Error(403, 40301, "x")),
			setup:    sends(func(resp *http.Response) (*http.Response, error) { return resp, open }),
			outcomes: "2 unknown", seen: 1, applied: "a b", is: []error{open},
		},
		{
			name: "transport answers 200 itself, and has read nothing",
			setup: all(madeUp, wrap(func(*http.Request, http.RoundTripper) (*http.Response, error) {
				return own(200, jsonType, rows(good("a"))), nil
			})),
			outcomes: "accepted, unknown",
		},
		{
			name: "transport answers 200 as HTML, and has read nothing",
			setup: wrap(func(*http.Request, http.RoundTripper) (*http.Response, error) {
				return own(200, "text/html", ""), nil
			}),
			outcomes: "2 unknown",
		},
		{
			name: "transport answers 202, and has read nothing",
			setup: wrap(func(*http.Request, http.RoundTripper) (*http.Response, error) {
				return own(202, jsonType, ""), nil
			}),
			outcomes: "2 untouched", check: attempts(1),
		},
		{
			name: "transport gives up while the connection is made, which comes later", setup: all(slowly, breaker(time.Second)),
			outcomes: "2 untouched", is: []error{errGaveUp}, check: attempts(1),
		},
		{
			name:     "context ends while the connection is made, which comes later",
			setup:    all(slowly, cancelled(time.Second, errStop)),
			outcomes: "2 untouched", is: []error{context.Canceled, errStop}, check: took(time.Second),
		},
		{
			name: "transport gives up after it has sent", inject: after(late(5 * time.Second)), setup: breaker(time.Second),
			outcomes: "2 unknown", seen: 1, applied: "a b", is: []error{errGaveUp}, check: attempts(1),
		},
		{
			name: "transport sets Idempotency-Key, connection lost", loopback: true, inject: after(mirrortest.Reset(0)),
			setup: keepsKey(false), outcomes: "2 unknown", seen: 1, applied: "a b",
		},
		{
			name: "transport sets Idempotency-Key and GetBody, connection lost", loopback: true,
			inject: after(mirrortest.Reset(0)), setup: keepsKey(true), outcomes: "2 unknown", seen: 1, applied: "a b",
		},
		{
			name: "transport waits for 100 Continue, and the server refuses first", setup: all(neverRetry, func(e *env) {
				e.wrap(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
					r = r.Clone(r.Context())
					r.Header.Set("Expect", "100-continue")
					return next.RoundTrip(r)
				})
				e.dial(func(context.Context, int, func() (net.Conn, error)) (net.Conn, error) {
					client, server := net.Pipe()
					go func() {
						http.ReadRequest(bufio.NewReader(server))
						io.WriteString(server, "HTTP/1.1 500 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
						server.Close()
					}()
					return client, nil
				})
			}),
			outcomes: "2 untouched", says: "HTTP 500",
		},
		{
			name: "transport panics before it sends", outcomes: "2 accepted", seen: 1, applied: "a b",
			setup: panicking(func(*http.Request, http.RoundTripper) (*http.Response, error) { panic("boom") }),
		},
		{
			name: "transport panics after it has sent", outcomes: "2 accepted", seen: 1, applied: "a b",
			setup: panicking(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
				if resp, err := next.RoundTrip(r); err == nil {
					resp.Body.Close()
				}
				panic("boom")
			}),
		},
		{
			name: "transport's body panics", outcomes: "2 accepted", seen: 1, applied: "a b",
			setup: panicking(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
				resp, err := next.RoundTrip(r)
				if err == nil {
					resp.Body.Close()
					resp.Body = io.NopCloser(readerFunc(func([]byte) (int, error) { panic("boom") }))
				}
				return resp, err
			}),
		},
		{
			name: "transport ends its goroutine", outcomes: "2 accepted", seen: 1, applied: "a b", setup: func(e *env) {
				client, told := recordedBy(e, func(*http.Request, http.RoundTripper) (*http.Response, error) {
					runtime.Goexit()
					return nil, nil
				})
				returned := false
				var caller sync.WaitGroup
				caller.Go(func() {
					_, _ = client.ReverseAndPause(context.Background(), "dr-link", mirror.Topics("topic-1"))
					returned = true
				})
				caller.Wait()
				require.False(e, returned, "the caller's goroutine ends as well")
				require.Equal(e, []string{"sending"}, *told)
			},
		},
	}
	_, argument := mirror.NewClient(mirror.Config{})
	for name, err := range map[string]error{
		"ErrRateLimited":                         mirror.ErrRateLimited,
		"ErrUnauthenticated":                     mirror.ErrUnauthenticated,
		"another call's 401":                     &mirror.APIError{Status: 401},
		"another call's 429":                     &mirror.APIError{Status: 429, RetryAfter: time.Second},
		"a refused argument":                     argument,
		"a refused connection":                   &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED},
		"a time-out":                             os.ErrDeadlineExceeded,
		"an error that claims to be every other": everythingError{},
		"an error that cannot be compared":       sliceError{"x"},
	} {
		for how, failure := range map[string]error{"": err, ", wrapped": fmt.Errorf("x: %w", err)} {
			cases = append(cases, fault{
				name: "transport sends, and fails with " + name + how, setup: fails(failure),
				outcomes: "2 unknown", seen: 1, applied: "a b", says: "no response came: ",
				check: all(attempts(1), func(e *env) {
					require.Zero(e, e.report.Attempts[0].HTTPStatus)
					var back mirror.Report
					text, err := json.Marshal(e.report)
					require.NoError(e, err)
					require.NoError(e, json.Unmarshal(text, &back))
					require.NotErrorAs(e, back.Err(), new(*mirror.APIError), "it is no answer of this server")
				}),
			})
		}
	}
	return cases
}

// slowly makes connections take 5 s.
func slowly(e *env) {
	e.dial(func(_ context.Context, _ int, next func() (net.Conn, error)) (net.Conn, error) {
		time.Sleep(5 * time.Second)
		return next()
	})
}

var errGaveUp = errors.New("the breaker gave up")

// breaker puts a time-out of its own around the transport, which goes on with the request.
func breaker(timeout time.Duration) func(*env) {
	return func(e *env) {
		e.wrap(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
			type result struct {
				resp *http.Response
				err  error
			}
			done := make(chan result, 1)
			go func() {
				resp, err := next.RoundTrip(r.WithContext(context.WithoutCancel(r.Context())))
				done <- result{resp, err}
			}()
			select {
			case got := <-done:
				return got.resp, got.err
			case <-time.After(timeout):
				go func() {
					if late := <-done; late.resp != nil {
						late.resp.Body.Close()
					}
				}()
				return nil, errGaveUp
			}
		})
	}
}

// recordedBy returns a client of a pair of its own, with a transport around its own, and what its recorder was told.
func recordedBy(e *env, f func(*http.Request, http.RoundTripper) (*http.Response, error)) (*mirror.Client, *[]string) {
	inner := &env{T: e.T}
	inner.use(mirrortest.NewPair(e.T, mirrortest.Options{InMemory: true}))
	inner.wrap(f)
	told := &[]string{}
	inner.cfg.Recorder = hooks{
		sending:  func(mirror.Batch) error { *told = append(*told, "sending"); return nil },
		answered: func(mirror.Batch, *mirror.Report) error { *told = append(*told, "answered"); return nil },
	}
	return newClient(e.T, inner.cfg), told
}

// panicking holds a call through a transport that panics to what must come of it: the panic goes on to the caller, and
// the recorder knows the batch as sent and not answered.
func panicking(f func(*http.Request, http.RoundTripper) (*http.Response, error)) func(*env) {
	return func(e *env) {
		client, told := recordedBy(e, f)
		require.PanicsWithValue(e, "boom", func() {
			_, _ = client.ReverseAndPause(context.Background(), "dr-link", mirror.Topics("topic-1", "topic-2"))
		})
		require.Equal(e, []string{"sending"}, *told)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

type everythingError struct{}

func (everythingError) Error() string   { return "everything" }
func (everythingError) Is(error) bool   { return true }
func (everythingError) Timeout() bool   { return true }
func (everythingError) Temporary() bool { return true }

type sliceError []string

func (e sliceError) Error() string { return fmt.Sprint([]string(e)) }
