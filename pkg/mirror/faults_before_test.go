package mirror_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// Faults before anything is on the wire: nothing was done, and that is proof.
func TestFaults_Before(t *testing.T) { runFaults(t, "before", faultsBefore()) }

// The library's errors on the way to a connection.
var (
	errNoHost   = &net.DNSError{Err: "no such host", Name: "rest", IsNotFound: true}
	errServFail = &net.DNSError{Err: "server misbehaving", Name: "rest", IsTemporary: true}
	errVault    = errors.New("the vault is sealed")
)

// refusing is an endpoint at which nothing listens.
const refusing = "http://127.0.0.1:1"

func faultsBefore() []fault {
	// failing fails to connect for the first times.
	failing := func(err error, times int) func(*env) {
		return func(e *env) {
			e.dial(func(_ context.Context, n int, next func() (net.Conn, error)) (net.Conn, error) {
				if n > times {
					return next()
				}
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
			})
		}
	}
	credential := func(c mirror.Credential) func(*env) { return func(e *env) { e.cfg.Credential = c } }
	token := func(s string, err error) func(*env) {
		return credential(mirror.BearerToken(func(context.Context) (string, error) { return s, err }, ""))
	}
	recorder := func(h hooks) func(*env) { return func(e *env) { e.cfg.Recorder = h } }
	trusting := func(c *tls.Config, roots *tls.Config) { c.RootCAs = roots.RootCAs }
	cases := []fault{
		{
			name: "no such host", setup: failing(errNoHost, 99),
			outcomes: "2 untouched", check: attempts(1), says: "no such host",
		},
		{name: "temporary DNS failure", setup: failing(errServFail, 999), outcomes: "2 untouched", check: retriedFor10s},
		{
			name: "temporary DNS failure, healing", setup: failing(errServFail, 3),
			outcomes: "2 accepted", seen: 1, applied: "a b", check: attempts(4),
		},
		{
			name: "connection refused", setup: failing(syscall.ECONNREFUSED, 999),
			outcomes: "2 untouched", check: retriedFor10s,
		},
		{
			name: "connection refused, healing", setup: failing(syscall.ECONNREFUSED, 1),
			outcomes: "2 accepted", seen: 1, applied: "a b", check: attempts(2),
		},
		{
			name: "connection refused by the kernel", loopback: true,
			setup:    func(e *env) { e.cfg.Endpoint, e.cfg.RetryFor = refusing, -1 },
			outcomes: "2 untouched", is: []error{kernel(syscall.ECONNREFUSED)},
		},
		{
			name: "connect time-out of the dialer",
			setup: func(e *env) {
				e.dial(func(context.Context, int, func() (net.Conn, error)) (net.Conn, error) {
					time.Sleep(3 * time.Second)
					return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.ErrDeadlineExceeded}
				})
			},
			outcomes: "2 untouched", is: []error{os.ErrDeadlineExceeded},
			check: func(e *env) { require.Contains(e, []int{3, 4}, len(e.report.Attempts), "3 s each, as fits in 10 s") },
		},
		{
			name: "connect time-out of the attempt", setup: slowDial,
			outcomes: "2 untouched", check: attempts(1), says: "1m0s",
		},
		{
			name: "reset while connecting", setup: failing(syscall.ECONNRESET, 999),
			outcomes: "2 untouched", check: retriedFor10s, is: []error{syscall.ECONNRESET},
		},
		{
			name: "reset by the kernel in the TLS handshake", loopback: true,
			setup: func(e *env) {
				e.cfg.Endpoint = "https://" + e.listen(func(c net.Conn) { io.ReadFull(c, make([]byte, 5)); reset(c) })
				e.cfg.RetryFor = -1
			},
			outcomes: "2 untouched", is: []error{kernel(syscall.ECONNRESET)},
		},
		{
			name: "unknown CA", loopback: true, setup: overTLS(nil, nil),
			outcomes: "2 untouched", check: attempts(1), says: "unknown authority",
		},
		{
			name: "expired certificate", loopback: true,
			setup: overTLS(nil, func(c, roots *tls.Config) {
				trusting(c, roots)
				c.Time = func() time.Time { return time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC) }
			}),
			outcomes: "2 untouched", check: attempts(1), says: "expired",
		},
		{
			name: "certificate of another name", loopback: true,
			setup: all(overTLS(nil, trusting), func(e *env) {
				e.cfg.Endpoint = strings.Replace(e.cfg.Endpoint, "127.0.0.1", "localhost", 1)
			}),
			outcomes: "2 untouched", check: attempts(1), says: "not localhost",
		},
		{
			name: "plain HTTP on a TLS port", loopback: true,
			setup:    func(e *env) { e.cfg.Endpoint = strings.Replace(e.cfg.Endpoint, "http:", "https:", 1) },
			outcomes: "2 untouched", check: attempts(1),
		},
		{
			name: "TLS version refused", loopback: true,
			setup: overTLS(&tls.Config{MaxVersion: tls.VersionTLS12}, func(c, roots *tls.Config) {
				trusting(c, roots)
				c.MinVersion = tls.VersionTLS13
			}),
			outcomes: "2 untouched", check: attempts(1), says: "version",
		},
		{
			name: "only TLS 1.1 offered", loopback: true,
			setup:    overTLS(&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, trusting),
			outcomes: "2 untouched", check: attempts(1), says: "version",
		},
		{
			name: "client certificate missing, TLS 1.2", loopback: true,
			setup:    overTLS(&tls.Config{MaxVersion: tls.VersionTLS12, ClientAuth: tls.RequireAnyClientCert}, trusting),
			outcomes: "2 untouched", check: attempts(1),
		},
		{
			name: "client certificate missing, TLS 1.3, where the request may be written first", loopback: true,
			setup: all(neverRetry,
				overTLS(&tls.Config{MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAnyClientCert}, trusting)),
			outcomes: "2 unknown or 2 untouched", check: attempts(1),
		},
		{
			name: "context cancelled before sending", setup: func(e *env) {
				ctx, cancel := context.WithCancelCause(e.ctx)
				cancel(errStop)
				e.ctx = ctx
			},
			outcomes: "2 untouched", is: []error{context.Canceled, errStop}, check: attempts(0),
		},
		{
			name: "deadline passed before sending", setup: all(deadline(time.Second), func(e *env) { <-e.ctx.Done() }),
			outcomes: "2 untouched", is: []error{context.DeadlineExceeded}, check: attempts(0),
		},
		{
			name: "context ends while the connection is made", setup: all(cancelled(time.Second, errStop), slowDial),
			outcomes: "2 untouched", is: []error{context.Canceled, errStop}, check: took(time.Second),
		},
		{
			name: "context ends while the credential is asked for", setup: all(cancelled(time.Second, errStop),
				credential(func(ctx context.Context, _ http.Header) error { <-ctx.Done(); return ctx.Err() })),
			outcomes: "2 untouched", is: []error{context.Canceled, errStop}, check: took(time.Second),
		},
		{name: "credential fails", setup: token("", errVault), outcomes: "2 untouched", is: []error{errVault}},
		{
			name:     "credential blocks until the attempt ends",
			setup:    credential(func(ctx context.Context, _ http.Header) error { <-ctx.Done(); return ctx.Err() }),
			outcomes: "2 untouched", is: []error{context.DeadlineExceeded}, says: "nothing was sent",
		},
		{
			name: "credential returns too late", setup: func(e *env) {
				inner := e.cfg.Credential
				e.cfg.Credential = func(ctx context.Context, h http.Header) error { <-ctx.Done(); return inner(ctx, h) }
			},
			outcomes: "2 untouched", is: []error{context.DeadlineExceeded}, says: "nothing was sent",
		},
		{
			name: "credential fails with a secret in an inner URL", setup: token("", &url.Error{
				Op: "Post", URL: "https://u:" + canary + "@idp.example/token?client_secret=" + canary, Err: errVault,
			}),
			outcomes: "2 untouched", is: []error{errVault},
			says: `Post "https://idp.example/token": the vault`,
		},
		{name: "empty token", setup: token("", nil), outcomes: "2 untouched", says: "the token is empty"},
		{
			name: "token with CR LF", setup: token(canary+"\r\nX: y", nil),
			outcomes: "2 untouched", says: "not allowed in a token",
		},
		{
			name: "credential writes a header that cannot be sent",
			setup: credential(func(_ context.Context, h http.Header) error {
				h.Set("Authorization", canary+"\n")
				return nil
			}),
			outcomes: "2 untouched", says: "the header Authorization",
		},
		{
			name:     "bad link",
			setup:    func(e *env) { e.link = ".." },
			outcomes: "2 untouched", is: []error{mirror.ErrInvalidArgument}, check: attempts(0),
		},
		{
			name: "bad topics", setup: func(e *env) { e.topics = []string{"a", "b/c", ""} },
			outcomes: "3 untouched", is: []error{mirror.ErrInvalidArgument}, says: `"b/c", ""`, check: attempts(0),
		},
		{
			name: "the recorder refuses the second of three batches",
			setup: all(oneEach, recorder(hooks{sending: func(b mirror.Batch) error {
				if b.Index == 1 {
					return errVault
				}
				return nil
			}})),
			outcomes: "accepted, 2 untouched", seen: 1, applied: "a", is: []error{errVault},
			says:  "batch 2 of 3: the vault is sealed",
			check: func(e *env) { require.NotErrorIs(e, e.err, mirror.ErrOutcomeUnknown) },
		},
		{
			name: "the token endpoint refuses once, then works", setup: func(e *env) {
				n := 0
				e.pair.Local.AcceptToken("good-token", "")
				e.cfg.Credential = mirror.BearerToken(func(context.Context) (string, error) {
					if n++; n == 1 {
						return "", &url.Error{
							Op: "Post", URL: "https://idp/token", Err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED},
						}
					}
					return "good-token", nil
				}, "")
			},
			outcomes: "2 accepted", seen: 1, applied: "a b", check: attempts(2),
		},
		{
			name: "the token endpoint refuses without end", setup: token("", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}),
			outcomes: "2 untouched", check: retriedFor10s, is: []error{syscall.ECONNREFUSED},
		},
		{
			name: "the credential sends a request of its own, and the cluster refuses", loopback: true,
			setup:    all(fetchToken, func(e *env) { e.cfg.Endpoint, e.cfg.RetryFor = refusing, -1 }),
			outcomes: "2 untouched", seen: 1, is: []error{kernel(syscall.ECONNREFUSED)},
		},
		{
			name: "the credential sends a request of its own, and the cluster has an unknown CA", loopback: true,
			setup:    all(overTLS(nil, nil), fetchToken),
			outcomes: "2 untouched", seen: 1, says: "unknown authority",
		},
		{
			name: "the credential sends a request of its own, and the cluster does not resolve", loopback: true,
			setup:    all(fetchToken, failing(errNoHost, 99)),
			outcomes: "2 untouched", seen: 1, says: "no such host",
		},
		{
			name: "the credential sends a request of its own, and the server refuses a topic", loopback: true,
			setup:    all(fetchToken, func(e *env) { e.pair.Local.SetStatus("b", mirror.StatusStopped) }),
			outcomes: "accepted, failed", seen: 2, applied: "a",
		},
		{
			name: "the credential sends a request of its own, and the server refuses the whole request", loopback: true,
			setup: fetchToken, inject: before(mirrortest.Error(403, 40301, "x")), outcomes: "2 untouched", seen: 2,
		},
		{
			name: "transport fails without reading the body", setup: func(e *env) {
				e.wrap(func(*http.Request, http.RoundTripper) (*http.Response, error) { return nil, errVault })
			},
			outcomes: "2 untouched", is: []error{errVault}, check: attempts(1),
			says: "the vault is sealed",
		},
		{
			name: "transport fails without reading the body, for a cause that passes", setup: func(e *env) {
				n := 0
				e.wrap(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
					if n++; n == 1 {
						return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
					}
					return next.RoundTrip(r)
				})
			},
			outcomes: "2 accepted", seen: 1, applied: "a b", check: attempts(2),
		},
		{
			name: "transport keeps the body of a request that it refused, and reads it later", setup: func(e *env) {
				var kept io.Reader
				e.wrap(func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
					kept = r.Body
					return nil, errVault
				})
				e.cfg.Recorder = hooks{answered: func(mirror.Batch, *mirror.Report) error {
					n, err := kept.Read(make([]byte, 1))
					require.Zero(e, n)
					require.Error(e, err)
					require.NotErrorIs(e, err, io.EOF, "an end would be a body without topics")
					return nil
				}}
			},
			outcomes: "2 untouched",
		},
		{
			name: "transport returns neither a response nor an error, and read nothing", setup: func(e *env) {
				e.wrap(func(*http.Request, http.RoundTripper) (*http.Response, error) { return nil, nil })
			},
			outcomes: "2 untouched", says: "neither a response nor an error",
		},
	}
	for name, c := range map[string]struct {
		endpoint string
		answer   http.HandlerFunc // nil refuses connections
		says     string
	}{
		"refuses": {"https://rest.invalid", nil, "proxyconnect tcp: dial tcp"},
		"answers CONNECT with 407": {"https://rest.invalid", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusProxyAuthRequired)
		}, "Proxy Authentication Required"},
		"answers CONNECT with 502": {"https://rest.invalid", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
		}, "Bad Gateway"},
		"answers CONNECT with garbage": {"https://rest.invalid", hijacked("BLAH"), "malformed HTTP response"},
		"closes the connection":        {"https://rest.invalid", hijacked(""), "the request was not sent"},
		"for plain HTTP answers 407": {"http://rest.invalid", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusProxyAuthRequired)
		}, "HTTP 407"},
	} {
		cases = append(cases, fault{
			name: "proxy " + name, loopback: true, setup: func(e *env) {
				proxy := refusing
				if c.answer != nil {
					server := httptest.NewServer(c.answer)
					e.Cleanup(server.Close)
					proxy = server.URL
				}
				u, err := url.Parse(strings.Replace(proxy, "http://", "http://user:"+canary+"@", 1))
				require.NoError(e, err)
				e.transport.Proxy = http.ProxyURL(u)
				e.cfg.Endpoint, e.cfg.AllowHTTP, e.cfg.RetryFor = c.endpoint, true, -1
			},
			outcomes: "2 untouched", says: c.says, check: attempts(1),
		})
	}
	return cases
}

// hijacked answers with these bytes, and closes the connection.
func hijacked(bytes string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			io.WriteString(conn, bytes+"\r\n")
			conn.Close()
		}
	}
}

// retriedFor10s holds a case to attempts for 10 s, with a wait between each two.
func retriedFor10s(e *env) {
	tried := e.report.Attempts
	require.Greater(e, len(tried), 3)
	require.Less(e, len(tried), 60, "no hot loop")
	require.LessOrEqual(e, tried[len(tried)-1].Start.Sub(tried[0].Start), 10*time.Second)
}

// slowDial takes longer to connect than an attempt may take. net/http lets a dialer go on to its end.
func slowDial(e *env) {
	e.dial(func(context.Context, int, func() (net.Conn, error)) (net.Conn, error) {
		time.Sleep(90 * time.Second)
		return nil, errors.New("too late")
	})
}

func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	c.Close()
}

// overTLS has a TLS server take the pair's place, which accepts the topics a and b. Client changes the client's
// configuration, and may use the one that trusts the server.
func overTLS(server *tls.Config, client func(own, trusting *tls.Config)) func(*env) {
	return func(e *env) {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			e.seen.Add(1)
			w.Header().Set("Content-Type", jsonType)
			io.WriteString(w, rows(good("a"), good("b")))
		}))
		s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		s.TLS = server
		s.StartTLS()
		e.Cleanup(s.Close)
		e.cfg.Endpoint = s.URL
		if client != nil {
			client(e.transport.TLSClientConfig, s.Client().Transport.(*http.Transport).TLSClientConfig)
		}
	}
}

// fetchToken makes the credential fetch its token with a request of its own, body and all, in the context that it is
// given.
func fetchToken(e *env) {
	idp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		e.seen.Add(1)
		io.WriteString(w, "fetched-token")
	}))
	e.Cleanup(idp.Close)
	e.pair.Local.AcceptToken("fetched-token", "")
	e.cfg.Credential = mirror.BearerToken(func(ctx context.Context) (string, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, idp.URL, strings.NewReader("grant_type=client_credentials"))
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
