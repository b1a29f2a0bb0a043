package mirror_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// failingConn fails to write.
type failingConn struct {
	net.Conn
	err error
}

func (c failingConn) Write([]byte) (int, error) { return 0, c.err }

// failingLater writes so many times, and then fails.
type failingLater struct {
	net.Conn
	writes int
}

func (c *failingLater) Write(p []byte) (int, error) {
	if c.writes--; c.writes < 0 {
		return 0, &net.OpError{Op: "write", Err: syscall.ECONNRESET}
	}
	return c.Conn.Write(p)
}

// longToken makes the head of a request longer than net/http's buffer, so that it is being written
// before all of it has been.
func longToken(e *env) {
	token := strings.Repeat("t", 16<<10)
	e.pair.Local.AcceptToken(token, "")
	e.cfg.Credential = mirror.BearerToken(func(context.Context) (string, error) { return token, nil }, "")
}

func faultsOnTheWire() []fault {
	proper := rows(good("a"), good("b"))
	wire := func(before string) string {
		return before + fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			len(proper), proper)
	}
	stop := errors.New("the operator pressed stop")
	cancelled := func(why error) func(context.Context, *env) context.Context {
		return func(ctx context.Context, _ *env) context.Context {
			ctx, cancel := context.WithCancelCause(ctx)
			go func() { synctest.Wait(); cancel(why) }()
			return ctx
		}
	}
	cases := []fault{
		{name: "reset before the body is taken", bubble: true, config: func(e *env) {
			longToken(e)
			e.dial(func(_ context.Context, _ int, next func() (net.Conn, error)) (net.Conn, error) {
				c, err := next()
				return failingConn{c, &net.OpError{Op: "write", Err: syscall.ECONNRESET}}, err
			})
		}, outcomes: "UU", check: func(e *env) { require.Greater(e, len(e.report.Attempts), 3) }},
		{name: "reset before the body is taken, healing", bubble: true, config: func(e *env) {
			longToken(e)
			e.dial(func(_ context.Context, n int, next func() (net.Conn, error)) (net.Conn, error) {
				c, err := next()
				if n < 3 {
					c = failingConn{c, &net.OpError{Op: "write", Err: syscall.ECONNRESET}}
				}
				return c, err
			})
		}, outcomes: "AA", seen: 1, applied: "11"},
		{name: "closed before the body is taken, healing", bubble: true, config: func(e *env) {
			longToken(e)
			e.dial(func(_ context.Context, n int, next func() (net.Conn, error)) (net.Conn, error) {
				c, err := next()
				if n < 3 {
					c.Close()
				}
				return c, err
			})
		}, outcomes: "AA", seen: 1, applied: "11"},
		{name: "reset after the body is taken", bubble: true, config: func(e *env) {
			e.dial(func(_ context.Context, _ int, next func() (net.Conn, error)) (net.Conn, error) {
				c, err := next()
				return &failingLater{Conn: c, writes: 1}, err // of the head, and not of the body
			})
		}, outcomes: "KK", is: []error{syscall.ECONNRESET}},
		{name: "408 at once, before the head", bubble: true, config: func(e *env) {
			longToken(e)
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
		}, outcomes: "UU", text: "HTTP 408", check: func(e *env) {
			require.Greater(e, len(e.report.Attempts), 3)
			time.Sleep(time.Second)
		}},
		{name: "reset in the middle of the body", topics: manyTopics(4000), config: func(e *env) {
			e.cfg.BatchSize = 4000
			e.cfg.Endpoint = "http://" + e.listen(func(c net.Conn) {
				e.seen.Add(1)
				io.ReadFull(c, make([]byte, 2000))
				reset(c)
			})
		}, outcomes: strings.Repeat("K", 4000), seen: 1},
		{
			name: "headers slower than Timeout", bubble: true, inject: after(silent()),
			outcomes: "KK", seen: 1, applied: "11", is: []error{context.DeadlineExceeded},
		},
		{
			name: "dripping body past the deadline", bubble: true, inject: after(drip(200, 14*time.Second)),
			outcomes: "AK", seen: 1, applied: "11", is: []error{context.DeadlineExceeded},
		},
		{name: "cancelled in flight", bubble: true, inject: after(silent()), topics: []string{"a", "b", "c"},
			config: func(e *env) { e.cfg.BatchSize = 2; e.cfg.KeepGoing = true }, ctx: cancelled(nil),
			outcomes: "KKU", seen: 1, applied: "110", is: []error{context.Canceled}},
		{
			name: "cancelled in flight, with a cause", bubble: true, inject: after(silent()),
			topics: []string{"a", "b", "c"}, config: func(e *env) { e.cfg.BatchSize = 2 }, ctx: cancelled(stop),
			outcomes: "KKU", seen: 1, applied: "110", is: []error{context.Canceled, stop},
		},
		{
			name: "malformed status line", inject: after(raw("HTTP/1.1 OK 200\r\n\r\n")),
			outcomes: "KK", seen: 1, applied: "11",
		},
		{
			name: "11 MiB of headers",
			inject: after(raw("HTTP/1.1 200 OK\r\n" +
				strings.Repeat("X: "+strings.Repeat("y", 1000)+"\r\n", 11<<10) + "\r\n")),
			outcomes: "KK", seen: 1, applied: "11",
		},
		{
			name: "100 before the answer", inject: after(raw(wire("HTTP/1.1 100 Continue\r\n\r\n"))),
			outcomes: "AA", seen: 1, applied: "11",
		},
		{
			name: "103 before the answer", inject: after(raw(wire("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"))),
			outcomes: "AA", seen: 1, applied: "11",
		},
		{name: "server closes idle connections between batches", config: func(e *env) {
			e.cfg.BatchSize = 1
			e.cfg.AfterBatch = func(context.Context, mirror.Batch, *mirror.Report) error {
				http.DefaultTransport.(*http.Transport).CloseIdleConnections()
				return nil
			}
		}, outcomes: "AA", seen: 2, applied: "11", check: func(e *env) {
			for _, r := range e.pair.Journal() {
				require.Equal(e, "close", r.Header.Get("Connection"), "each request has a connection of its own")
			}
		}},
	}
	for name, do := range map[string]mirrortest.Action{"reset": mirrortest.Reset(0), "EOF": mirrortest.Cut(0)} {
		cases = append(cases,
			fault{
				name: name + " after the full request, before apply", inject: []mirrortest.Fault{{Do: do}},
				outcomes: "KK", seen: 1,
			},
			fault{
				name: name + " after the full request, after apply", inject: after(do),
				outcomes: "KK", seen: 1, applied: "11",
			})
	}
	return cases
}

func manyTopics(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("topic-%s-%05d", strings.Repeat("x", 200), i)
	}
	return names
}

// faultsOfMiddleware are those that lie between the library and its transport.
func faultsOfMiddleware() []fault {
	open := errors.New("the circuit is open")
	// fails sends the request, and returns an error in place of the response.
	fails := func(err error) func(*env) {
		return func(e *env) {
			e.middleware(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
				if resp, err := next.RoundTrip(r); err == nil {
					resp.Body.Close()
				}
				return nil, err
			})
		}
	}
	noForeign := func(e *env) {
		var api *mirror.APIError
		require.NotErrorAs(e, e.err, &api)
		text, err := json.Marshal(e.report)
		require.NoError(e, err)
		var back mirror.Report
		require.NoError(e, json.Unmarshal(text, &back))
		require.NotErrorAs(e, back.Err(), &api)
		require.Zero(e, e.report.Attempts[0].HTTPStatus)
	}
	_, refused := mirror.NewClient(mirror.Config{})
	other := &mirror.IncompleteError{Report: &mirror.Report{Results: []mirror.Result{{Topic: "x"}}}}
	never := []error{mirror.ErrRateLimited, mirror.ErrUnauthenticated, mirror.ErrInvalidArgument, mirror.ErrNoTopics}
	cases := []fault{
		{
			name: "middleware refuses the request without reading its body",
			config: func(e *env) {
				e.middleware(func(*http.Request, http.RoundTripper) (*http.Response, error) { return nil, open })
			},
			outcomes: "UU", is: []error{open}, text: "the request was not sent: the middleware failed: the circuit is open",
			check: func(e *env) {
				require.Len(e, e.report.Attempts, 1)
				noSends(e)
			},
		},
		{
			name: "middleware refuses the request without reading its body, for a cause that passes", bubble: true,
			config: func(e *env) {
				n := 0
				e.middleware(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
					if n++; n == 1 {
						return nil, fmt.Errorf("the token endpoint: %w", syscall.ECONNREFUSED)
					}
					return next.RoundTrip(r)
				})
			},
			outcomes: "AA", seen: 1, applied: "11",
		},
		{name: "middleware refuses after it has read the body", config: func(e *env) {
			e.middleware(func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
				io.Copy(io.Discard, r.Body)
				return nil, open
			})
		}, outcomes: "KK", is: []error{open}, check: noSends},
		{name: "middleware that keeps a refused body reads it too late", config: func(e *env) {
			var kept io.Reader
			e.middleware(func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
				kept = r.Body
				return nil, open
			})
			e.cfg.AfterBatch = func(context.Context, mirror.Batch, *mirror.Report) error {
				n, err := kept.Read(make([]byte, 1))
				require.Zero(e, n)
				require.EqualError(e, err, "the attempt is over")
				return nil
			}
		}, outcomes: "UU"},
		{
			name: "middleware sends twice",
			config: func(e *env) {
				e.middleware(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
					body, _ := io.ReadAll(r.Body)
					var resp *http.Response
					var err error
					for range 2 {
						again := r.Clone(r.Context())
						again.Body = io.NopCloser(bytes.NewReader(body))
						if resp != nil {
							resp.Body.Close()
						}
						resp, err = next.RoundTrip(again)
					}
					return resp, err
				})
			},
			outcomes: "KK", seen: 2, applied: "11", text: "but the request was sent 2 times by the middleware",
			check: func(e *env) {
				require.Equal(e, 2, e.report.Attempts[0].Sends, "the report shows it")
				require.Contains(e, e.report.Results[0].Notes[0], "the refusal may be the answer to a second send")
				require.Contains(e, e.report.Results[0].Err().Error(), "already stopped")
			},
		},
		{
			name: "middleware sends twice, a dry run", dryRun: true,
			options: mirrortest.Options{Topics: []mirrortest.Topic{{Name: "a"}, {Name: "b", Status: mirror.StatusStopped}}},
			config: func(e *env) {
				e.middleware(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
					body, _ := io.ReadAll(r.Body)
					again := r.Clone(r.Context())
					again.Body = io.NopCloser(bytes.NewReader(body))
					resp, err := next.RoundTrip(again)
					if err != nil {
						return nil, err
					}
					resp.Body.Close()
					again = r.Clone(r.Context())
					again.Body = io.NopCloser(bytes.NewReader(body))
					return next.RoundTrip(again)
				})
			},
			outcomes: "AF", seen: 2,
		},
		{name: "middleware drops the context", config: func(e *env) {
			e.middleware(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
				return next.RoundTrip(r.WithContext(context.Background()))
			})
		}, outcomes: "AA", seen: 1, applied: "11", check: func(e *env) { require.Equal(e, 1, e.report.Attempts[0].Sends) }},
		{name: "middleware returns neither a response nor an error", config: func(e *env) {
			e.middleware(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
				if resp, err := next.RoundTrip(r); err == nil {
					resp.Body.Close()
				}
				return nil, nil
			})
		}, outcomes: "KK", seen: 1, applied: "11", text: "neither a response nor an error"},
		{name: "middleware returns nothing, and has read nothing", config: func(e *env) {
			e.middleware(func(*http.Request, http.RoundTripper) (*http.Response, error) { return nil, nil })
		}, outcomes: "UU"},
		{name: "middleware returns a response without a body", config: func(e *env) {
			e.middleware(func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
				io.Copy(io.Discard, r.Body)
				return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}}, nil
			})
		}, outcomes: "KK", text: "it is empty"},
		{name: "middleware returns a redirect without a header", config: func(e *env) {
			e.middleware(func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
				io.Copy(io.Discard, r.Body)
				return &http.Response{StatusCode: http.StatusFound}, nil
			})
		}, outcomes: "UU"},
		{
			name: "middleware returns a response and an error", inject: after(mirrortest.Error(503, 503, "x")),
			config: func(e *env) {
				e.middleware(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
					resp, _ := next.RoundTrip(r)
					return resp, open
				})
			},
			outcomes: "KK", seen: 1, applied: "11", is: []error{open},
		},
		{name: "middleware answers 200 itself, and has read nothing", config: func(e *env) {
			e.middleware(func(*http.Request, http.RoundTripper) (*http.Response, error) {
				return &http.Response{
					StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
					Body: io.NopCloser(strings.NewReader(rows(good("a")))),
				}, nil
			})
		}, outcomes: "AK", scripted: true},
		{name: "middleware answers with a body that never ends and ignores its context", bubble: true, config: func(e *env) {
			end := make(chan struct{})
			e.Cleanup(func() { close(end) })
			e.middleware(func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
				io.Copy(io.Discard, r.Body)
				return &http.Response{
					StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
					Body: io.NopCloser(blocked(end)),
				}, nil
			})
		}, outcomes: "KK", is: []error{context.DeadlineExceeded}, text: "time-out after 1m0s"},
		{name: "middleware's body fails like the rate limiter", inject: after(mirrortest.Cut(1 << 20)), config: func(e *env) {
			e.middleware(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
				resp, err := next.RoundTrip(r)
				if err == nil {
					resp.Body.Close()
					resp.Body = io.NopCloser(iotest.ErrReader(fmt.Errorf("x: %w", mirror.ErrRateLimited)))
				}
				return resp, err
			})
		}, outcomes: "KK", seen: 1, applied: "11", not: []error{mirror.ErrRateLimited}},
		{name: "middleware sets Idempotency-Key, connection lost", inject: after(mirrortest.Reset(0)), config: func(e *env) {
			e.middleware(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
				r = r.Clone(r.Context())
				r.Header.Set("Idempotency-Key", "k")
				return next.RoundTrip(r)
			})
		}, outcomes: "KK", seen: 1, applied: "11"},
		{
			name: "middleware gives the request a GetBody, connection lost", inject: after(mirrortest.Reset(0)),
			config: func(e *env) {
				e.middleware(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
					body, _ := io.ReadAll(r.Body)
					r = r.Clone(r.Context())
					r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
					r.Body, _ = r.GetBody()
					r.Header.Set("Idempotency-Key", "k")
					return next.RoundTrip(r)
				})
			},
			outcomes: "KK", seen: 1, applied: "11",
		},
		{name: "middleware waits for 100 Continue, and the server refuses first", bubble: true, config: func(e *env) {
			e.middleware(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
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
			e.cfg.RetryFor = -1
		}, outcomes: "UU", text: "HTTP 500", check: noSends},
		{name: "middleware panics before it sends", topics: []string{"a"}, config: func(e *env) {
			panics(e, mirror.Untouched, func(*http.Request, http.RoundTripper) (*http.Response, error) { panic("boom") })
		}, outcomes: "A", seen: 1, applied: "1"},
		{name: "middleware panics after it has sent", topics: []string{"a"}, config: func(e *env) {
			panics(e, mirror.Unknown, func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
				if resp, err := next.RoundTrip(r); err == nil {
					resp.Body.Close()
				}
				panic("boom")
			})
		}, outcomes: "A", seen: 1, applied: "1"},
	}
	sends := func(e *env, f func(*http.Response) (*http.Response, error)) {
		e.middleware(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			if err != nil {
				return nil, err
			}
			return f(resp)
		})
	}
	replay := func(e *env) {
		e.middleware(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
			again := r.Clone(r.Context())
			again.Body = io.NopCloser(strings.NewReader(`{"mirror_topic_names":["a","b"]}`))
			return next.RoundTrip(again)
		})
	}
	cases = append(cases,
		fault{
			name: "middleware sends, and fails with an error that claims to be everything", config: fails(everythingError{}),
			outcomes: "KK", seen: 1, applied: "11", not: never,
			check: func(e *env) {
				require.Len(e, e.report.Attempts, 1)
			},
		},
		fault{
			name:     "middleware sends, and fails with a typed nil",
			config:   fails(fmt.Errorf("x: %w", error((*net.OpError)(nil)))),
			outcomes: "KK", seen: 1, applied: "11",
		},
		fault{name: "middleware fails with a typed nil before it sends", config: func(e *env) {
			e.middleware(func(*http.Request, http.RoundTripper) (*http.Response, error) { return nil, (*net.DNSError)(nil) })
		}, outcomes: "UU"},
		fault{
			name: "middleware sends a body of its own, connection lost", inject: after(mirrortest.Reset(0)), config: replay,
			outcomes: "KK", seen: 1, applied: "11",
		},
		fault{
			name: "middleware sends a body of its own, 403", inject: after(mirrortest.Error(403, 40301, "x")), config: replay,
			outcomes: "UU", scripted: true, seen: 1, applied: "11",
			check: func(e *env) {
				require.True(e, e.report.Attempts[0].Assumed, "it is what the status says, not proof")
			},
		},
		fault{name: "middleware follows a 303", config: func(e *env) {
			e.pair.Local.Inject(mirrortest.Fault{
				AfterApply: true, Do: mirrortest.Answer(303, "", "Location", e.pair.Local.Endpoint+"/elsewhere"),
			})
			e.middleware(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
				c := &http.Client{Transport: next}
				r = r.Clone(r.Context())
				r.RequestURI = ""
				return c.Do(r)
			})
		}, outcomes: "KK", seen: 2, applied: "11", text: "the response to another request (GET): HTTP 404"},
		fault{name: "middleware's body panics", topics: []string{"a"}, config: func(e *env) {
			panics(e, mirror.Unknown, func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
				resp, err := next.RoundTrip(r)
				if err == nil {
					resp.Body.Close()
					resp.Body = io.NopCloser(readerFunc(func([]byte) (int, error) { panic("boom") }))
				}
				return resp, err
			})
		}, outcomes: "A", seen: 1, applied: "1"},
		fault{
			name: "middleware's body returns impossible counts", inject: after(mirrortest.Cut(1 << 20)),
			config: func(e *env) {
				sends(e, func(resp *http.Response) (*http.Response, error) {
					resp.Body.Close()
					resp.Body = io.NopCloser(readerFunc(func(p []byte) (int, error) { return len(p) + 1, nil }))
					return resp, nil
				})
			},
			outcomes: "KK", seen: 1, applied: "11", text: "impossible count",
		},
		fault{
			name: "middleware's body ends with an error that wraps EOF", inject: after(mirrortest.Cut(1 << 20)),
			config: func(e *env) {
				sends(e, func(resp *http.Response) (*http.Response, error) {
					body, _ := io.ReadAll(resp.Body)
					resp.Body.Close()
					resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body),
						iotest.ErrReader(fmt.Errorf("checksum mismatch: %w", io.EOF))))
					return resp, nil
				})
			},
			outcomes: "AA", seen: 1, applied: "11", text: "checksum mismatch: EOF",
		},
		fault{
			name: "middleware's body blocks when it is closed", bubble: true, inject: after(mirrortest.Cut(1 << 20)),
			config: func(e *env) {
				end := make(chan struct{})
				e.Cleanup(func() { close(end) })
				sends(e, func(resp *http.Response) (*http.Response, error) {
					resp.Body = closing{resp.Body, end}
					return resp, nil
				})
			},
			outcomes: "AA", seen: 1, applied: "11",
		},
		fault{name: "middleware answers 200 as HTML, and has read nothing", config: func(e *env) {
			e.middleware(func(*http.Request, http.RoundTripper) (*http.Response, error) {
				return &http.Response{
					StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/html"}}, Body: http.NoBody,
				}, nil
			})
		}, outcomes: "KK"},
		fault{
			name: "a log handler panics after the second attempt was lost", bubble: true, topics: []string{"a"},
			config: func(e *env) {
				pair := mirrortest.NewPair(e.T, mirrortest.Options{InMemory: true})
				pair.Local.Inject(mirrortest.Fault{Do: mirrortest.RateLimited()})
				pair.Local.Inject(mirrortest.Fault{AfterApply: true, Do: mirrortest.Cut(0)})
				var own *mirror.Report
				cfg := pair.Local.Config()
				cfg.Logger = slog.New(&panickingHandler{slog.DiscardHandler, "attempt", 2})
				cfg.AfterBatch = func(_ context.Context, _ mirror.Batch, r *mirror.Report) error { own = r; return nil }
				require.PanicsWithValue(e, "boom", func() {
					_, _ = newClient(e.T, cfg).ReverseAndPause(context.Background(), "dr-link", mirror.Topics("topic-1"))
				})
				require.Equal(e, "topic-1 unknown", outcomes(own))
			},
			outcomes: "A", seen: 1, applied: "1",
		},
		fault{name: "DialContext fails with an error that cannot be compared", config: func(e *env) {
			e.cfg.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, sliceError{"x"} }
		}, outcomes: "UU", text: "the request was not sent: [x]"},
	)
	for name, err := range map[string]error{
		"ErrRateLimited": mirror.ErrRateLimited, "ErrUnauthenticated": mirror.ErrUnauthenticated,
		"somebody's 401":       &mirror.APIError{Status: 401},
		"somebody's 429":       &mirror.APIError{Status: 429, RetryAfter: time.Second},
		"a refused argument":   refused,
		"a refused connection": syscall.ECONNREFUSED,
		"another call's error": other,
		"a time-out":           os.ErrDeadlineExceeded,
	} {
		for how, wrapped := range map[string]error{
			"": err, ", wrapped": fmt.Errorf("x: %w", err), ", joined": errors.Join(open, err),
		} {
			cases = append(cases, fault{
				name: "middleware sends, and fails with " + name + how, config: fails(wrapped),
				outcomes: "KK", seen: 1, applied: "11",
				not: never, check: noForeign, text: "no response came: the middleware failed: ",
			})
		}
	}
	return cases
}

type everythingError struct{}

func (everythingError) Error() string   { return "everything" }
func (everythingError) Is(error) bool   { return true }
func (everythingError) Timeout() bool   { return true }
func (everythingError) Temporary() bool { return true }

type sliceError []string

func (e sliceError) Error() string { return fmt.Sprint([]string(e)) }

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// closing is a body whose Close waits for its end.
type closing struct {
	io.Reader
	end chan struct{}
}

func (c closing) Close() error { <-c.end; return nil }

// panickingHandler panics at the n-th record with the message.
type panickingHandler struct {
	slog.Handler
	message string
	n       int
}

func (h *panickingHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h *panickingHandler) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h *panickingHandler) Handle(_ context.Context, r slog.Record) error {
	if r.Message == h.message {
		if h.n--; h.n == 0 {
			panic("boom")
		}
	}
	return nil
}

// blocked is a reader that waits for its end.
type blocked chan struct{}

func (b blocked) Read([]byte) (int, error) { <-b; return 0, io.EOF }

// panics holds a call through middleware that panics to what must come of it: the panic goes on to the
// caller, and AfterBatch has the report.
func panics(e *env, want mirror.Outcome, f func(*http.Request, http.RoundTripper) (*http.Response, error)) {
	pair := mirrortest.NewPair(e.T, mirrortest.Options{})
	inner := &env{T: e.T, cfg: pair.Local.Config()}
	inner.middleware(f)
	var report *mirror.Report
	inner.cfg.AfterBatch = func(_ context.Context, _ mirror.Batch, r *mirror.Report) error { report = r; return nil }
	client := newClient(e.T, inner.cfg)
	require.PanicsWithValue(e, "boom", func() {
		_, _ = client.ReverseAndPause(context.Background(), "dr-link", mirror.Topics("topic-1", "topic-2"))
	})
	require.NotNil(e, report)
	require.Equal(e, []string{"topic-1", "topic-2"}, report.Topics(want))
	require.Len(e, report.Attempts, 1)
	require.NoError(e, pair.Local.CheckReport(report))
}
