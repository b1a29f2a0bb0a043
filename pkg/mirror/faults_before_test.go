package mirror_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func faultsBeforeTheWire() []fault {
	dialError := func(err error, healsAfter int) func(*env) {
		return func(e *env) {
			e.dial(func(_ context.Context, n int, next func() (net.Conn, error)) (net.Conn, error) {
				if n > healsAfter {
					return next()
				}
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
			})
		}
	}
	tries := func(n int) func(*env) {
		return func(e *env) { require.Len(e, e.report.Attempts, n) }
	}
	// retried holds a case to attempts for 10 s, and a wait between each two.
	retried := func(e *env) {
		all := e.report.Attempts
		require.Greater(e, len(all), 3)
		require.Less(e, len(all), 60, "no hot loop")
		require.LessOrEqual(e, all[len(all)-1].Start.Sub(all[0].Start), 10*time.Second)
	}
	credential := func(c mirror.Credential) func(*env) { return func(e *env) { e.cfg.Credential = c } }
	token := func(s string, err error) mirror.Credential {
		return mirror.BearerToken(func(context.Context) (string, error) { return s, err }, "")
	}
	none := &net.DNSError{Err: "no such host", Name: "rest", IsNotFound: true}
	servfail := &net.DNSError{Err: "server misbehaving", Name: "rest", IsTemporary: true}
	vault := errors.New("the vault is sealed")
	return []fault{
		{
			name: "no such host", bubble: true, config: dialError(none, 99),
			outcomes: "UU", check: tries(1), text: "no such host",
		},
		{name: "temporary DNS failure", bubble: true, config: dialError(servfail, 999), outcomes: "UU", check: retried},
		{
			name: "temporary DNS failure, healing", bubble: true, config: dialError(servfail, 3),
			outcomes: "AA", seen: 1, applied: "11", check: tries(4),
		},
		{
			name: "connection refused", bubble: true, config: dialError(syscall.ECONNREFUSED, 999),
			outcomes: "UU", check: retried,
		},
		{
			name: "connection refused, healing", bubble: true, config: dialError(syscall.ECONNREFUSED, 1),
			outcomes: "AA", seen: 1, applied: "11", check: tries(2),
		},
		{name: "connection refused by the kernel", config: func(e *env) {
			e.cfg.Endpoint, e.cfg.RetryFor = refusing, -1
		}, outcomes: "UU", is: []error{syscall.ECONNREFUSED}},
		{name: "connect time-out of the dialer", bubble: true, config: func(e *env) {
			e.dial(func(context.Context, int, func() (net.Conn, error)) (net.Conn, error) {
				time.Sleep(3 * time.Second)
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.ErrDeadlineExceeded}
			})
		}, outcomes: "UU", check: func(e *env) {
			require.Contains(e, []int{3, 4}, len(e.report.Attempts), "3 s each, as fits in 10 s")
		}},
		{name: "connect time-out of the attempt", bubble: true, config: func(e *env) {
			e.dial(func(context.Context, int, func() (net.Conn, error)) (net.Conn, error) {
				time.Sleep(90 * time.Second)
				return nil, errors.New("too late")
			})
		}, outcomes: "UU", check: func(e *env) {
			tries(1)(e)
			time.Sleep(time.Minute) // net/http lets the last dialer finish
		}, text: "the request was not sent: time-out after 1m0s"},
		{
			name: "reset while connecting", bubble: true, config: dialError(syscall.ECONNRESET, 999),
			outcomes: "UU", check: retried, is: []error{syscall.ECONNRESET},
		},
		{name: "reset by the kernel in the TLS handshake", config: func(e *env) {
			e.cfg.Endpoint = "https://" + e.listen(func(c net.Conn) { io.ReadFull(c, make([]byte, 5)); reset(c) })
			e.cfg.RetryFor = -1
		}, outcomes: "UU", is: []error{syscall.ECONNRESET}},
		{
			name: "unknown CA", config: func(e *env) { e.tls(nil, nil) },
			outcomes: "UU", check: tries(1), text: "unknown authority",
		},
		{name: "expired certificate", config: func(e *env) {
			e.tls(nil, func(c *tls.Config) *tls.Config {
				c.Time = func() time.Time { return time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC) }
				return c
			})
		}, outcomes: "UU", check: tries(1), text: "expired"},
		{name: "certificate of another name", config: func(e *env) {
			e.tls(nil, func(c *tls.Config) *tls.Config { return c })
			e.cfg.Endpoint = strings.Replace(e.cfg.Endpoint, "127.0.0.1", "localhost", 1)
		}, outcomes: "UU", check: tries(1), text: "not localhost"},
		{name: "plain HTTP on the port", config: func(e *env) {
			e.cfg.Endpoint = strings.Replace(e.cfg.Endpoint, "http:", "https:", 1)
		}, outcomes: "UU", check: tries(1)},
		{name: "TLS version refused", config: func(e *env) {
			e.tls(&tls.Config{MaxVersion: tls.VersionTLS12}, func(c *tls.Config) *tls.Config {
				c.MinVersion = tls.VersionTLS13
				return c
			})
		}, outcomes: "UU", check: tries(1), text: "version"},
		{name: "only TLS 1.1 offered", config: func(e *env) {
			e.tls(&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, func(c *tls.Config) *tls.Config {
				c.MinVersion = tls.VersionTLS10
				return c
			})
		}, outcomes: "UU", check: tries(1), text: "version"},
		{name: "client certificate missing, TLS 1.2", config: func(e *env) {
			e.tls(&tls.Config{MaxVersion: tls.VersionTLS12, ClientAuth: tls.RequireAnyClientCert},
				func(c *tls.Config) *tls.Config { return c })
		}, outcomes: "UU", check: tries(1)},
		{name: "client certificate missing, TLS 1.3", config: func(e *env) {
			e.tls(&tls.Config{MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAnyClientCert},
				func(c *tls.Config) *tls.Config { return c })
		}, outcomes: "KK", or: "UU", check: tries(1)},
		{name: "context cancelled before sending", ctx: func(ctx context.Context, _ *env) context.Context {
			ctx, cancel := context.WithCancelCause(ctx)
			cancel(vault)
			return ctx
		}, outcomes: "UU", is: []error{context.Canceled, vault}},
		{name: "deadline passed before sending", bubble: true, ctx: func(ctx context.Context, e *env) context.Context {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			e.Cleanup(cancel)
			<-ctx.Done()
			return ctx
		}, outcomes: "UU", is: []error{context.DeadlineExceeded}},
		{name: "credential fails", config: credential(token("", vault)), outcomes: "UU", is: []error{vault}},
		{
			name: "credential blocks until the context ends", bubble: true,
			config: credential(func(ctx context.Context, _ http.Header) error {
				<-ctx.Done()
				return ctx.Err()
			}),
			outcomes: "UU", is: []error{context.DeadlineExceeded}, text: "nothing was sent",
		},
		{name: "empty token", config: credential(token("", nil)), outcomes: "UU", text: "the token is empty"},
		{
			name: "token with CR LF", config: credential(token(canary+"\r\nX: y", nil)),
			outcomes: "UU", text: "not allowed in a token",
		},
		{
			name: "credential writes a header that cannot be sent",
			config: credential(func(_ context.Context, h http.Header) error {
				h.Set("Authorization", canary+"\n")
				return nil
			}),
			outcomes: "UU", text: `invalid header field value for "Authorization"`,
		},
		{name: "bad link", config: func(e *env) { e.link = ".." }, outcomes: "UU", is: []error{mirror.ErrInvalidArgument}},
		{
			name: "bad topics", topics: []string{"a", "b/c", ""},
			options:  mirrortest.Options{Topics: []mirrortest.Topic{{Name: "a"}}},
			outcomes: "UUU", is: []error{mirror.ErrInvalidArgument}, text: `"b/c", ""`,
		},
		{name: "BeforeBatch fails", topics: []string{"a", "b", "c"}, config: func(e *env) {
			e.cfg.BatchSize, e.cfg.KeepGoing = 1, true
			e.cfg.BeforeBatch = func(_ context.Context, b mirror.Batch) error {
				if b.Index == 1 {
					return vault
				}
				return nil
			}
		}, outcomes: "AUU", seen: 1, applied: "100", is: []error{vault}, not: []error{mirror.ErrOutcomeUnknown},
			text: "BeforeBatch refused batch 2 of 3: the vault is sealed"},
		{name: "the token endpoint refuses once, then works", bubble: true, config: func(e *env) {
			inner, n := e.cfg.Credential, 0
			e.cfg.Credential = mirror.BearerToken(func(context.Context) (string, error) {
				if n++; n == 1 {
					return "", &url.Error{
						Op: "Post", URL: "https://idp/token", Err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED},
					}
				}
				h := http.Header{}
				err := inner(context.Background(), h)
				e.pair.Local.AcceptToken("good", "")
				return "good", err
			}, "")
		}, outcomes: "AA", seen: 1, applied: "11", check: tries(2)},
		{
			name: "the token endpoint refuses without end", bubble: true,
			config:   credential(token("", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED})),
			outcomes: "UU", check: retried, is: []error{syscall.ECONNREFUSED},
			text: "the credential failed: BearerToken: the token source failed",
		},
		{name: "the credential sends a request of its own, and the cluster refuses", config: func(e *env) {
			fetchToken(e)
			e.cfg.Endpoint, e.cfg.RetryFor = refusing, -1
		}, outcomes: "UU", seen: 1, is: []error{syscall.ECONNREFUSED}, check: noSends},
		{name: "the credential sends a request of its own, and the cluster has an unknown CA", config: func(e *env) {
			e.tls(nil, nil)
			fetchToken(e)
		}, outcomes: "UU", seen: 1, check: noSends, text: "unknown authority"},
		{name: "the credential sends a request of its own, and the cluster does not resolve", config: func(e *env) {
			fetchToken(e)
			e.cfg.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, none }
		}, outcomes: "UU", seen: 1, check: noSends, text: "no such host"},
		{name: "DialContext returns nothing", config: func(e *env) {
			e.cfg.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, nil }
		}, outcomes: "UU", check: tries(1), text: "neither a connection nor an error"},
	}
}

func noSends(e *env) { require.Zero(e, e.report.Attempts[0].Sends) }

// fetchToken makes the credential fetch its token with a request of its own, body and all, in the
// context that it is given.
func fetchToken(e *env) {
	idp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		e.seen.Add(1)
		io.WriteString(w, "fetched")
	}))
	e.Cleanup(idp.Close)
	e.pair.Local.AcceptToken("fetched", "")
	e.cfg.Credential = mirror.BearerToken(func(ctx context.Context) (string, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, idp.URL,
			strings.NewReader("grant_type=client_credentials"))
		require.NoError(e, err)
		resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		token, err := io.ReadAll(resp.Body)
		return string(token), err
	}, "")
}
