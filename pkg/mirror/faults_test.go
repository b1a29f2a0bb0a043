package mirror_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirror/mirrortest"
)

// fault is a case of the fault table: something goes wrong, and this must come of it.
type fault struct {
	row  int
	name string

	// What goes wrong. In a bubble, time is virtual and the network in memory; otherwise the case
	// runs on loopback and waits for nothing.
	bubble  bool
	options mirrortest.Options
	inject  []mirrortest.Fault
	config  func(*env)
	ctx     func(context.Context, *env) context.Context
	sel     *mirror.Selection // by default the topics by name
	topics  []string          // a and b by default
	dryRun  bool

	// What must come of it. outcomes has a letter a result: A, F, K (unknown) and U.
	outcomes string
	or       string // another outcome that is as good, where the kernel decides which it is
	seen     int    // requests that came to a server
	applied  string // a digit a topic, how often it was reversed; "" if none was
	is       []error
	not      []error
	text     string // in one of the causes
	scripted bool   // the answer is made up, so that the report cannot be held to the state
	check    func(*env)
}

// env is what a case runs in.
type env struct {
	*testing.T
	pair   *mirrortest.Pair
	cfg    mirror.Config
	link   string
	seen   atomic.Int32 // by servers other than the pair
	report *mirror.Report
	err    error
}

// dial puts something in the way of the pair's connections. Only in a bubble.
func (e *env) dial(f func(ctx context.Context, n int, next func() (net.Conn, error)) (net.Conn, error)) {
	t := e.cfg.HTTPClient.Transport.(*http.Transport).Clone()
	next := t.DialContext
	var n atomic.Int32
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		return f(ctx, int(n.Add(1)), func() (net.Conn, error) { return next(ctx, network, address) })
	}
	e.cfg.HTTPClient = &http.Client{Transport: t}
}

// listen is a raw server on loopback that does what it does with each connection.
func (e *env) listen(f func(net.Conn)) (address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(e, err)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { defer c.Close(); f(c) })
		}
	})
	e.Cleanup(func() { l.Close(); all.Wait() })
	return l.Addr().String()
}

// tls has a TLS server take the pair's place, which accepts the topics a and b.
func (e *env) tls(server *tls.Config, client func(roots *tls.Config) *tls.Config) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		e.seen.Add(1)
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, rows(good("a"), good("b")))
	}))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.TLS = server
	s.StartTLS()
	e.Cleanup(s.Close)
	e.cfg.Endpoint = s.URL
	if client != nil {
		e.cfg.TLS = client(s.Client().Transport.(*http.Transport).TLSClientConfig)
	}
}

// proxy puts a proxy between the client and its endpoint; without an answer it refuses connections.
func (e *env) proxy(endpoint string, answer http.HandlerFunc) {
	p := httptest.NewServer(answer)
	e.Cleanup(p.Close)
	if answer == nil {
		p.Close()
	}
	u, err := url.Parse(strings.Replace(p.URL, "http://", "http://user:"+canary+"@", 1))
	require.NoError(e, err)
	e.cfg.Endpoint, e.cfg.AllowHTTP, e.cfg.MaxAttempts = endpoint, true, 1
	e.cfg.HTTPClient = &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(u), DisableKeepAlives: true}}
}

func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	c.Close()
}

// failingConn fails to write.
type failingConn struct {
	net.Conn
	err error
}

func (c failingConn) Write([]byte) (int, error) { return 0, c.err }

// longToken makes the head of a request longer than net/http's buffer, so that it is being written
// before all of it has been.
func longToken(e *env) {
	token := strings.Repeat("t", 16<<10)
	e.pair.Local.AcceptToken(token, "")
	e.cfg.Credential = mirror.BearerToken(func(context.Context) (string, error) { return token, nil }, "")
}

func maxAttempts(n int) func(*env) { return func(e *env) { e.cfg.MaxAttempts = n } }

func TestFaults(t *testing.T) {
	cases := slices.Concat(faultsBeforeTheWire(), faultsOnTheWire(), faultsOfStatus(), faultsOfBody(), faultsOfARun())
	rowsSeen := map[int]bool{}
	for _, f := range cases {
		rowsSeen[f.row] = true
		t.Run(fmt.Sprintf("%d %s", f.row, f.name), func(t *testing.T) {
			if f.bubble {
				synctest.Test(t, f.run)
			} else {
				f.run(t)
			}
		})
	}
	requireNothingRunning(t)
	for row := 1; row <= 87; row++ {
		require.True(t, rowsSeen[row], "row %d of the fault table has no case", row)
	}
	if testing.Verbose() {
		fmt.Printf("%d cases\n", len(cases))
	}
}

// requireNothingRunning fails if a goroutine of the library, or of a connection of its, is left. Those
// of a closed connection may need to be given a turn to end.
func requireNothingRunning(t *testing.T) {
	t.Helper()
	var left string
	for range 1_000_000 {
		runtime.Gosched()
		all := make([]byte, 1<<20)
		all = all[:runtime.Stack(all, true)]
		left = ""
		for _, stack := range strings.Split(string(all), "\n\n")[1:] { // but this one
			if strings.Contains(stack, "/pkg/mirror.") || strings.Contains(stack, "net/http.(*persistConn)") || strings.Contains(stack, "/mirrortest.") {
				left = stack
			}
		}
		if left == "" {
			return
		}
	}
	t.Errorf("this is left running:\n%s", left)
}

func (f fault) run(t *testing.T) {
	e := &env{T: t, link: "dr-link"}
	if f.topics == nil {
		f.topics = []string{"a", "b"}
	}
	f.options.InMemory = f.bubble
	if f.options.Topics == nil {
		for _, name := range f.topics {
			f.options.Topics = append(f.options.Topics, mirrortest.Topic{Name: name})
		}
	}
	e.pair = mirrortest.NewPair(t, f.options)
	e.cfg = e.pair.Local.Config()
	for _, fault := range f.inject {
		e.pair.Local.Inject(fault)
	}
	if f.config != nil {
		f.config(e)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if f.ctx != nil {
		ctx = f.ctx(ctx, e)
	}
	client := newClient(t, e.cfg)
	call := client.ReverseAndPause
	if f.dryRun {
		call = client.ValidateReverseAndPause
	}
	sel := mirror.Topics(f.topics...)
	if f.sel != nil {
		sel = *f.sel
	}
	e.report, e.err = call(ctx, e.link, sel)

	letters, seen, applied := "", len(e.pair.Journal())+int(e.seen.Load()), ""
	for _, r := range e.report.Results {
		letters += map[mirror.Outcome]string{mirror.Accepted: "A", mirror.Failed: "F", mirror.Unknown: "K", mirror.Untouched: "U"}[r.Outcome]
	}
	for _, name := range f.topics {
		applied += fmt.Sprint(e.pair.Local.Applied(name))
	}
	if f.applied == "" {
		f.applied = strings.Repeat("0", len(f.topics))
	}
	defer func() {
		if testing.Verbose() {
			verdict := "ok"
			if t.Failed() {
				verdict = "FAIL"
			}
			fmt.Printf("%2d  %-66.66s %2d seen  applied %-11s %-12s %s\n", f.row, f.name, seen, applied, letters, verdict)
		}
	}()
	if f.sel == nil {
		requireSound(t, e.report, e.err, f.topics)
	}
	if f.or == "" || f.or != letters {
		require.Equal(t, f.outcomes, letters, "%v", e.err)
	}
	require.Equal(t, f.seen, seen, "requests")
	require.Equal(t, f.applied, applied)
	if !f.scripted {
		require.NoError(t, e.pair.Local.CheckReport(e.report))
	}
	for _, target := range f.is {
		require.ErrorIs(t, e.err, target)
	}
	for _, target := range f.not {
		require.NotErrorIs(t, e.err, target)
	}
	if f.text != "" {
		require.ErrorContains(t, errors.Join(causes(e.err)...), f.text)
	}
	var table, text strings.Builder
	require.NoError(t, e.report.Table(&table))
	for _, form := range []string{table.String(), e.report.String(), fmt.Sprint(e.err), fmt.Sprint(causes(e.err)), fmt.Sprintf("%+v", e.report)} {
		text.WriteString(form)
		require.NotContains(t, form, canary)
	}
	require.NotContains(t, table.String(), "\x1b")
	if f.check != nil {
		f.check(e)
	}
}

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
	credential := func(c mirror.Credential) func(*env) { return func(e *env) { e.cfg.Credential = c } }
	token := func(s string, err error) mirror.Credential {
		return mirror.BearerToken(func(context.Context) (string, error) { return s, err }, "")
	}
	none := &net.DNSError{Err: "no such host", Name: "rest", IsNotFound: true}
	servfail := &net.DNSError{Err: "server misbehaving", Name: "rest", IsTemporary: true}
	vault := errors.New("the vault is sealed")
	return []fault{
		{row: 1, name: "no such host", bubble: true, config: dialError(none, 99), outcomes: "UU", check: tries(1), text: "no such host"},
		{row: 2, name: "temporary DNS failure", bubble: true, config: dialError(servfail, 99), outcomes: "UU", check: tries(4)},
		{row: 2, name: "temporary DNS failure, healing", bubble: true, config: dialError(servfail, 3), outcomes: "AA", seen: 1, applied: "11", check: tries(4)},
		{row: 3, name: "connection refused", bubble: true, config: dialError(syscall.ECONNREFUSED, 99), outcomes: "UU", check: tries(4)},
		{row: 3, name: "connection refused, healing", bubble: true, config: dialError(syscall.ECONNREFUSED, 1), outcomes: "AA", seen: 1, applied: "11", check: tries(2)},
		{row: 3, name: "connection refused by the kernel", config: func(e *env) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(e, err)
			l.Close()
			e.cfg.Endpoint, e.cfg.MaxAttempts = "http://"+l.Addr().String(), 1
		}, outcomes: "UU", is: []error{syscall.ECONNREFUSED}},
		{row: 4, name: "connect time-out of the dialer", bubble: true, config: func(e *env) {
			e.dial(func(context.Context, int, func() (net.Conn, error)) (net.Conn, error) {
				time.Sleep(10 * time.Second)
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.ErrDeadlineExceeded}
			})
		}, outcomes: "UU", check: tries(4)},
		{row: 4, name: "connect time-out of the attempt", bubble: true, config: func(e *env) {
			e.dial(func(context.Context, int, func() (net.Conn, error)) (net.Conn, error) {
				time.Sleep(90 * time.Second)
				return nil, errors.New("too late")
			})
		}, outcomes: "UU", check: func(e *env) {
			tries(4)(e)
			time.Sleep(time.Minute) // net/http lets the last dialer finish
		}, text: "the request was not sent: no answer within 1m0s"},
		{row: 5, name: "reset while connecting", bubble: true, config: dialError(syscall.ECONNRESET, 99), outcomes: "UU", check: tries(4), is: []error{syscall.ECONNRESET}},
		{row: 5, name: "reset by the kernel in the TLS handshake", config: func(e *env) {
			e.cfg.Endpoint = "https://" + e.listen(func(c net.Conn) { io.ReadFull(c, make([]byte, 5)); reset(c) })
			e.cfg.MaxAttempts = 1
		}, outcomes: "UU", is: []error{syscall.ECONNRESET}},
		{row: 6, name: "unknown CA", config: func(e *env) { e.tls(nil, nil) }, outcomes: "UU", check: tries(1), text: "unknown authority"},
		{row: 6, name: "expired certificate", config: func(e *env) {
			e.tls(nil, func(c *tls.Config) *tls.Config {
				c.Time = func() time.Time { return time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC) }
				return c
			})
		}, outcomes: "UU", check: tries(1), text: "expired"},
		{row: 6, name: "certificate of another name", config: func(e *env) {
			e.tls(nil, func(c *tls.Config) *tls.Config { return c })
			e.cfg.Endpoint = strings.Replace(e.cfg.Endpoint, "127.0.0.1", "localhost", 1)
		}, outcomes: "UU", check: tries(1), text: "not localhost"},
		{row: 7, name: "plain HTTP on the port", config: func(e *env) {
			e.cfg.Endpoint = strings.Replace(e.cfg.Endpoint, "http:", "https:", 1)
		}, outcomes: "UU", check: tries(1)},
		{row: 7, name: "TLS version refused", config: func(e *env) {
			e.tls(&tls.Config{MaxVersion: tls.VersionTLS12}, func(c *tls.Config) *tls.Config { c.MinVersion = tls.VersionTLS13; return c })
		}, outcomes: "UU", check: tries(1), text: "version"},
		{row: 7, name: "only TLS 1.1 offered", config: func(e *env) {
			e.tls(&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, func(c *tls.Config) *tls.Config { c.MinVersion = tls.VersionTLS10; return c })
		}, outcomes: "UU", check: tries(1), text: "version"},
		{row: 8, name: "client certificate missing, TLS 1.2", config: func(e *env) {
			e.tls(&tls.Config{MaxVersion: tls.VersionTLS12, ClientAuth: tls.RequireAnyClientCert}, func(c *tls.Config) *tls.Config { return c })
		}, outcomes: "UU", check: tries(1)},
		{row: 9, name: "client certificate missing, TLS 1.3", config: func(e *env) {
			e.tls(&tls.Config{MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAnyClientCert}, func(c *tls.Config) *tls.Config { return c })
		}, outcomes: "KK", or: "UU", check: tries(1)},
		{row: 10, name: "proxy refused", config: func(e *env) { e.proxy("https://rest.invalid", nil) }, outcomes: "UU", is: []error{syscall.ECONNREFUSED}},
		{row: 10, name: "proxy answers CONNECT with 407", config: func(e *env) {
			e.proxy("https://rest.invalid", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusProxyAuthRequired) })
		}, outcomes: "UU", text: "Proxy Authentication Required"},
		{row: 10, name: "proxy answers CONNECT with 502", config: func(e *env) {
			e.proxy("https://rest.invalid", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
		}, outcomes: "UU", text: "Bad Gateway"},
		{row: 11, name: "plain-HTTP proxy answers 407", config: func(e *env) {
			e.proxy("http://rest.invalid", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusProxyAuthRequired) })
		}, outcomes: "UU", text: "HTTP 407"},
		{row: 12, name: "context cancelled before sending", ctx: func(ctx context.Context, _ *env) context.Context {
			ctx, cancel := context.WithCancelCause(ctx)
			cancel(vault)
			return ctx
		}, outcomes: "UU", is: []error{context.Canceled, vault}},
		{row: 12, name: "deadline passed before sending", bubble: true, ctx: func(ctx context.Context, e *env) context.Context {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			e.Cleanup(cancel)
			<-ctx.Done()
			return ctx
		}, outcomes: "UU", is: []error{context.DeadlineExceeded}},
		{row: 13, name: "credential fails", config: credential(token("", vault)), outcomes: "UU", is: []error{vault}},
		{row: 13, name: "credential blocks until the context ends", bubble: true, config: credential(func(ctx context.Context, _ http.Header) error {
			<-ctx.Done()
			return ctx.Err()
		}), outcomes: "UU", is: []error{context.DeadlineExceeded}, text: "nothing was sent"},
		{row: 13, name: "empty token", config: credential(token("", nil)), outcomes: "UU", text: "the token is empty"},
		{row: 13, name: "token with CR LF", config: credential(token(canary+"\r\nX: y", nil)), outcomes: "UU", text: "no token has"},
		{row: 13, name: "credential writes a header that cannot be sent", config: credential(func(_ context.Context, h http.Header) error {
			h.Set("Authorization", canary+"\n")
			return nil
		}), outcomes: "UU", text: `invalid header field value for "Authorization"`},
		{row: 14, name: "bad link", config: func(e *env) { e.link = ".." }, outcomes: "UU", is: []error{mirror.ErrInvalidArgument}},
		{row: 14, name: "bad topics", topics: []string{"a", "b/c", ""}, options: mirrortest.Options{Topics: []mirrortest.Topic{{Name: "a"}}},
			outcomes: "UUU", is: []error{mirror.ErrInvalidArgument}, text: `"b/c", ""`},
		{row: 15, name: "BeforeBatch fails", topics: []string{"a", "b", "c"}, config: func(e *env) {
			e.cfg.BatchSize, e.cfg.KeepGoing = 1, true
			e.cfg.BeforeBatch = func(_ context.Context, b mirror.Batch) error {
				if b.Index == 1 {
					return vault
				}
				return nil
			}
		}, outcomes: "AUU", seen: 1, applied: "100", is: []error{vault}, not: []error{mirror.ErrOutcomeUnknown}, text: "BeforeBatch refused batch 2 of 3: the vault is sealed"},
	}
}

func faultsOnTheWire() []fault {
	proper := rows(good("a"), good("b"))
	wire := func(before string) string {
		return before + fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(proper), proper)
	}
	after := func(do mirrortest.Action) []mirrortest.Fault { return []mirrortest.Fault{{AfterApply: true, Do: do}} }
	stop := errors.New("the operator pressed stop")
	cancelled := func(why error) func(context.Context, *env) context.Context {
		return func(ctx context.Context, _ *env) context.Context {
			ctx, cancel := context.WithCancelCause(ctx)
			go func() { synctest.Wait(); cancel(why) }()
			return ctx
		}
	}
	cases := []fault{
		{row: 16, name: "reset before the head is written", bubble: true, config: func(e *env) {
			longToken(e)
			e.dial(func(_ context.Context, _ int, next func() (net.Conn, error)) (net.Conn, error) {
				c, err := next()
				return failingConn{c, &net.OpError{Op: "write", Err: syscall.ECONNRESET}}, err
			})
		}, outcomes: "UU", is: []error{syscall.ECONNRESET}, check: func(e *env) { require.Len(e, e.report.Attempts, 4) }},
		{row: 16, name: "reset before the head is written, healing", bubble: true, config: func(e *env) {
			longToken(e)
			e.dial(func(_ context.Context, n int, next func() (net.Conn, error)) (net.Conn, error) {
				c, err := next()
				if n < 3 {
					c = failingConn{c, &net.OpError{Op: "write", Err: syscall.ECONNRESET}}
				}
				return c, err
			})
		}, outcomes: "AA", seen: 1, applied: "11"},
		{row: 17, name: "408 at once, before the head", bubble: true, config: func(e *env) {
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
			require.Len(e, e.report.Attempts, 4)
			time.Sleep(time.Second)
		}},
		{row: 18, name: "reset in the middle of the body", topics: manyTopics(4000), config: func(e *env) {
			e.cfg.BatchSize = 4000
			e.cfg.Endpoint = "http://" + e.listen(func(c net.Conn) {
				e.seen.Add(1)
				io.ReadFull(c, make([]byte, 2000))
				reset(c)
			})
		}, outcomes: strings.Repeat("K", 4000), seen: 1},
		{row: 20, name: "headers slower than Timeout", bubble: true, inject: after(mirrortest.Hang()), outcomes: "KK", seen: 1, applied: "11",
			is: []error{context.DeadlineExceeded}},
		{row: 21, name: "dripping body past the deadline", bubble: true, inject: after(mirrortest.Drip(200, 14*time.Second)), outcomes: "AK", seen: 1, applied: "11",
			is: []error{context.DeadlineExceeded}},
		{row: 22, name: "cancelled in flight", bubble: true, inject: after(mirrortest.Hang()), topics: []string{"a", "b", "c"},
			config: func(e *env) { e.cfg.BatchSize = 2; e.cfg.KeepGoing = true }, ctx: cancelled(nil),
			outcomes: "KKU", seen: 1, applied: "110", is: []error{context.Canceled}},
		{row: 22, name: "cancelled in flight, with a cause", bubble: true, inject: after(mirrortest.Hang()), topics: []string{"a", "b", "c"},
			config: func(e *env) { e.cfg.BatchSize = 2 }, ctx: cancelled(stop),
			outcomes: "KKU", seen: 1, applied: "110", is: []error{context.Canceled, stop}},
		{row: 23, name: "malformed status line", inject: after(mirrortest.Raw("HTTP/1.1 OK 200\r\n\r\n")), outcomes: "KK", seen: 1, applied: "11"},
		{row: 23, name: "11 MiB of headers", inject: after(mirrortest.Raw("HTTP/1.1 200 OK\r\n" + strings.Repeat("X: "+strings.Repeat("y", 1000)+"\r\n", 11<<10) + "\r\n")), outcomes: "KK", seen: 1, applied: "11"},
		{row: 24, name: "100 before the answer", inject: after(mirrortest.Raw(wire("HTTP/1.1 100 Continue\r\n\r\n"))), outcomes: "AA", seen: 1, applied: "11"},
		{row: 24, name: "103 before the answer", inject: after(mirrortest.Raw(wire("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"))), outcomes: "AA", seen: 1, applied: "11"},
		{row: 25, name: "a caller's transport that sends twice", config: func(e *env) {
			e.cfg.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				body, _ := io.ReadAll(r.Body)
				var resp *http.Response
				var err error
				for range 2 {
					again := r.Clone(r.Context())
					again.Body = io.NopCloser(bytes.NewReader(body))
					if resp != nil {
						resp.Body.Close()
					}
					resp, err = (&http.Transport{DisableKeepAlives: true}).RoundTrip(again)
				}
				return resp, err
			})}
		}, outcomes: "FF", seen: 2, applied: "11", check: func(e *env) {
			require.Equal(e, 2, e.report.Attempts[0].Sends, "the report shows it")
		}},
		{row: 26, name: "a caller's transport that reports no trace, and fails", config: func(e *env) {
			e.cfg.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r.WithContext(context.Background()))
				if err == nil {
					resp.Body.Close()
				}
				return nil, syscall.ECONNREFUSED
			})}
		}, outcomes: "KK", seen: 1, applied: "11"},
		{row: 27, name: "a caller's middleware sets Idempotency-Key, connection lost", inject: after(mirrortest.Reset(0)), config: func(e *env) {
			e.cfg.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				r.Header.Set("Idempotency-Key", "k")
				return http.DefaultTransport.RoundTrip(r)
			})}
		}, outcomes: "KK", seen: 1, applied: "11"},
		{row: 28, name: "server closes idle connections between batches", config: func(e *env) {
			e.cfg.BatchSize = 1
			e.cfg.AfterBatch = func(context.Context, mirror.Batch, []mirror.Result) {
				http.DefaultTransport.(*http.Transport).CloseIdleConnections()
			}
		}, outcomes: "AA", seen: 2, applied: "11", check: func(e *env) {
			for _, r := range e.pair.Journal() {
				require.Equal(e, "close", r.Header.Get("Connection"), "each request has a connection of its own")
			}
		}},
	}
	for name, do := range map[string]mirrortest.Action{"reset": mirrortest.Reset(0), "EOF": mirrortest.Cut(0)} {
		cases = append(cases,
			fault{row: 19, name: name + " after the full request, before apply", inject: []mirrortest.Fault{{Do: do}}, outcomes: "KK", seen: 1},
			fault{row: 19, name: name + " after the full request, after apply", inject: after(do), outcomes: "KK", seen: 1, applied: "11"})
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

func faultsOfStatus() []fault {
	const kafka = "application/json"
	// answered is a case in which the answer is made up, before anything is applied.
	answered := func(row int, name, outcomes string, do mirrortest.Action) fault {
		return fault{row: row, name: name, inject: []mirrortest.Fault{{Every: true, Do: do}}, outcomes: outcomes, seen: 1}
	}
	var cases []fault
	for i, code := range []int{301, 302, 303, 307, 308} {
		for name, location := range map[string]string{"same host": "/elsewhere?" + canary, "other host": "", "https to http": "http://other.invalid/?" + canary} {
			f := answered(29+i, fmt.Sprintf("%d to %s", code, name), "UU", status(code, "", "", "Location", location))
			f.text = "not followed"
			if name == "other host" {
				f.inject = nil
				f.config = func(e *env) {
					e.pair.Local.Inject(mirrortest.Fault{Do: status(code, "", "", "Location", e.pair.Remote.Endpoint+"/?"+canary)})
				}
			}
			cases = append(cases, f)
		}
	}
	add := func(f fault) { cases = append(cases, f) }
	add(answered(34, "400 with code 400", "UU", mirrortest.Error(400, 400, "x")))
	add(answered(34, "400 with code 40035", "UU", mirrortest.Error(400, 40035, "x")))
	add(answered(34, "400 in the cloud's shape", "UU", status(400, kafka, `{"status":"400","code":"bad","title":"x"}`)))
	add(answered(34, "400 in the cloud's list", "UU", status(400, kafka, `{"errors":[{"status":"400","detail":"x"}]}`)))
	add(answered(34, "400 as HTML", "UU", status(400, "text/html", "<title>x</title>")))
	add(answered(35, "400 with 40002", "KK", mirrortest.Error(400, 40002, "x")))
	renew := func(tokens ...string) func(*env) {
		return func(e *env) {
			e.pair.Local.AcceptToken("good", "")
			e.cfg.BatchSize = 1
			n := 0
			e.cfg.Credential = mirror.BearerToken(func(context.Context) (string, error) {
				n++
				return tokens[min(n, len(tokens))-1], nil
			}, "")
		}
	}
	add(fault{row: 36, name: "401 once, then a new token is good", config: renew("old", "good"), outcomes: "AA", seen: 3, applied: "11"})
	add(fault{row: 36, name: "401 again for the new token", config: renew("old", "older", "good"), outcomes: "UU", seen: 2, is: []error{mirror.ErrUnauthenticated}})
	add(fault{row: 37, name: "401, the same header again", config: renew("old"), outcomes: "UU", seen: 1, is: []error{mirror.ErrUnauthenticated}})
	add(fault{row: 37, name: "401 without any header", config: func(e *env) { e.cfg.Credential = mirror.NoCredential() }, outcomes: "UU", seen: 1, is: []error{mirror.ErrUnauthenticated}})
	for _, c := range [][2]int{{403, 40301}, {404, 404}, {404, 40403}} {
		f := answered(38, fmt.Sprintf("%d with %d, in the third batch", c[0], c[1]), "AAUU", mirrortest.Error(c[0], c[1], "x"))
		f.topics, f.seen, f.applied = []string{"a", "b", "c", "d"}, 3, "1100"
		f.inject[0].Nth = 3
		f.config = func(e *env) { e.cfg.BatchSize = 1 }
		f.not = []error{mirror.ErrOutcomeUnknown}
		add(f)
	}
	for _, code := range []int{405, 406, 407, 413, 414, 415, 422, 431} {
		add(answered(39, fmt.Sprint(code), "UU", mirrortest.Error(code, code, "x")))
	}

	// The rate filter, in virtual time. First answers are turned away, and then it heals.
	const date = "Sun, 06 Nov 1994 08:49:37 GMT"
	filtered := func(row int, name string, times int, least, most time.Duration, header ...string) fault {
		var inject []mirrortest.Fault
		for range times {
			inject = append(inject, mirrortest.Fault{Do: status(429, "text/html", "<title>slow</title>", header...)})
		}
		f := fault{row: row, name: name, bubble: true, inject: inject, outcomes: "AA", seen: times + 1, applied: "11"}
		if times == 4 {
			f.outcomes, f.seen, f.applied, f.is = "UU", 4, "", []error{mirror.ErrRateLimited}
		}
		var start time.Time
		f.config = func(*env) { start = time.Now() }
		f.check = func(e *env) {
			took := time.Since(start)
			require.GreaterOrEqual(e, took, least)
			require.LessOrEqual(e, took, most)
		}
		return f
	}
	backoffs := 200*time.Millisecond + 400*time.Millisecond + 800*time.Millisecond
	add(filtered(40, "429 HTML without Retry-After, healing", 3, 0, backoffs))
	add(filtered(41, "429 with Retry-After 1", 3, 3*time.Second, 3*time.Second, "Retry-After", "1"))
	add(filtered(41, "429 with Retry-After a date", 1, 30*time.Second, 30*time.Second, "Date", date, "Retry-After", "Sun, 06 Nov 1994 08:50:07 GMT"))
	add(filtered(41, "429 with Retry-After a date in the past", 3, time.Nanosecond, backoffs, "Date", date, "Retry-After", "Sun, 06 Nov 1994 08:49:07 GMT"))
	add(filtered(41, "429 with Retry-After 60", 1, time.Minute, time.Minute, "Retry-After", "60"))
	for name, header := range map[string][]string{
		"31536000": {"Retry-After", "31536000"}, "a date in 2199": {"Date", date, "Retry-After", "Wed, 06 Nov 2199 08:50:07 GMT"}, "61": {"Retry-After", "61"},
	} {
		f := filtered(42, "429 with Retry-After "+name, 1, 0, 0, header...)
		f.outcomes, f.seen, f.applied, f.is = "UU", 1, "", []error{mirror.ErrRateLimited}
		took := f.check
		f.check = func(e *env) {
			took(e)
			var api *mirror.APIError
			require.ErrorAs(e, e.err, &api)
			require.Greater(e, api.RetryAfter, time.Minute)
		}
		add(f)
	}
	add(func() fault {
		f := filtered(43, "429 with Retry-After 9223372036854775807", 1, 0, 0, "Retry-After", "9223372036854775807")
		f.outcomes, f.seen, f.applied, f.is = "UU", 1, "", []error{mirror.ErrRateLimited}
		return f
	}())
	for _, value := range []string{"-5", "1.5", "abc"} {
		add(filtered(43, "429 with Retry-After "+value, 3, 0, backoffs, "Retry-After", value))
	}
	add(filtered(43, "429 with two Retry-After", 1, 2*time.Second, 2*time.Second, "Retry-After", "2", "Retry-After", "900"))
	add(filtered(44, "429 without end", 4, 0, backoffs))
	add(func() fault {
		f := filtered(44, "429 without end, batches in parallel", 4, 0, time.Hour)
		f.inject = []mirrortest.Fault{{Every: true, Do: mirrortest.Filtered()}}
		f.topics, f.outcomes, f.seen = []string{"a", "b", "c"}, "UUU", 12
		f.config = func(e *env) { e.cfg.BatchSize, e.cfg.Parallel = 1, 3 }
		f.check = nil
		return f
	}())
	add(fault{row: 44, name: "a 429 pauses the client's other batches", bubble: true, topics: []string{"a", "b", "c"},
		inject: []mirrortest.Fault{{Do: mirrortest.Answer(429, "", "DoSFilter", "x", "Retry-After", "20")}},
		config: func(e *env) {
			e.cfg.BatchSize = 1
			e.cfg.Parallel = 2
			e.dial(func(_ context.Context, n int, next func() (net.Conn, error)) (net.Conn, error) {
				time.Sleep(time.Duration(n) * time.Second) // the second batch is under way when the first is turned away
				return next()
			})
		}, outcomes: "AAA", seen: 4, applied: "111", check: func(e *env) {
			at := e.pair.Journal()
			require.Equal(e, time.Second, at[1].At.Sub(at[0].At))
			require.GreaterOrEqual(e, at[2].At.Sub(at[0].At), 20*time.Second, "the third batch waited too")
		}})
	add(answered(45, "429 as JSON without the header", "KK", mirrortest.Error(429, 429, "x")))
	add(answered(46, "429 as JSON with 42901", "KK", mirrortest.Error(429, 42901, "x")))
	add(answered(46, "429 as JSON with 42901, and the filter's header", "UU", status(429, kafka, `{"error_code":42901}`, "DoSFilter", "x")))
	cases[len(cases)-1].config = maxAttempts(1)

	both := func(row int, name string, do mirrortest.Action) {
		add(answered(row, name+", before apply", "KK", do))
		f := answered(row, name+", after apply", "KK", do)
		f.inject[0].AfterApply, f.applied = true, "11"
		add(f)
	}
	both(47, "500", mirrortest.Error(500, 500, "x"))
	both(47, "500 with 50002", mirrortest.Error(500, 50002, "x"))
	both(47, "500 with 50003", mirrortest.Error(500, 50003, "x"))
	add(answered(48, "502 as HTML", "KK", status(502, "text/html", "<title>Bad Gateway</title>")))
	add(answered(48, "504 as HTML", "KK", status(504, "text/html", "<title>Gateway Time-out</title>")))
	both(49, "503 as HTML", status(503, "text/html", "<title>Service Unavailable</title>"))
	both(49, "503 with Retry-After", status(503, "text/html", "", "Retry-After", "1"))
	both(49, "503 with 50302", mirrortest.Error(503, 50302, "x"))
	for name, body := range map[string]string{"an array": "[]", "a string": `"x"`, "empty": "", "HTML": "<html>", "cut": `{"error_code":5`, "a number": "7"} {
		f := answered(50, "5xx whose JSON body is "+name, "KK", status(500, kafka, body))
		f.text = "HTTP 500"
		add(f)
	}
	add(answered(51, "408 after the head", "KK", mirrortest.Error(408, 408, "x")))
	add(answered(51, "409", "KK", mirrortest.Error(409, 409, "x")))
	for _, code := range []int{201, 202, 204, 206} {
		add(answered(52, fmt.Sprint(code), "KK", status(code, kafka, rows(good("a"), good("b")))))
	}
	for _, code := range []int{501, 505, 599, 999} {
		add(answered(53, fmt.Sprint(code), "KK", status(code, "", "")))
	}
	return cases
}

func faultsOfBody() []fault {
	const kafka = "application/json"
	var cases []fault
	// body is a case in which all is applied and the answer has this body.
	body := func(row int, name, outcomes, text string, edit ...func(*fault)) {
		f := fault{row: row, name: name, outcomes: outcomes, seen: 1, applied: "11", scripted: true,
			inject: []mirrortest.Fault{{AfterApply: true, Do: ok(text)}}}
		for _, e := range edit {
			e(&f)
		}
		cases = append(cases, f)
	}
	do := func(a mirrortest.Action) func(*fault) { return func(f *fault) { f.inject[0].Do = a } }
	causeIs := func(text string) func(*fault) { return func(f *fault) { f.text = text } }
	both := rows(good("a"), good("b"))
	x := func(members string) string { return `{"mirror_topic_name":"b",` + members + `}` }
	withB := func(members string) string { return rows(good("a"), x(members)) }

	body(54, "text/html", "KK", "", do(status(200, "text/html", both)))
	body(54, "no type", "KK", "", do(status(200, "", both)))
	body(54, "application/problem+json", "KK", "", do(status(200, "application/problem+json", both)))
	body(54, "APPLICATION/JSON; charset=utf-8", "AA", "", do(status(200, "APPLICATION/JSON; charset=utf-8", both)))
	head := "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	cut := rows(good("a")+",") + "x"
	cut = cut[:strings.LastIndex(cut, "]}")]
	body(55, "cut, Content-Length", "AK", "", do(mirrortest.Raw(head+fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(both), cut))))
	body(55, "cut, chunked", "AK", "", do(mirrortest.Raw(head+fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(cut), cut))))
	body(55, "cut, close-delimited", "AK", "", do(mirrortest.Raw(head+"Connection: close\r\n\r\n"+cut)))
	body(55, "whole, close-delimited", "AA", "", do(mirrortest.Raw(head+"Connection: close\r\n\r\n"+both)))
	body(55, "cut behind the JSON, Content-Length", "AA", "", do(mirrortest.Raw(head+fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(both)+1, both))), causeIs("unexpected EOF"))
	body(56, "invalid JSON after a row", "AK", strings.Replace(both, `,{"kind":"K","metadata":{"self":"s"},"mirror_topic_name":"b"`, `,{oops`, 1))
	body(56, "a BOM", "KK", "\ufeff"+both)
	body(56, "NaN", "AK", withB(`"error_code":NaN`))
	body(57, "trailing bytes", "AA", both+"xyz", causeIs("bytes after its end"))
	body(57, "a second document", "AA", both+both, causeIs("bytes after its end"))
	for _, text := range []string{`{}`, `null`, `{"kind":"K"}`, `{"data":null}`, `{"data":{}}`, ``, `{"error_code":40101,"message":"x"}`, `[]`, `7`} {
		body(58, "body "+text, "KK", text)
	}
	ten := strings.Split("a b c d e f g h i j", " ")
	tenRows := func(fifth string) string {
		var all []string
		for _, name := range ten {
			if name == "e" {
				if fifth != "" {
					all = append(all, fifth)
				}
				continue
			}
			all = append(all, good(name))
		}
		return rows(all...)
	}
	asTen := func(f *fault) { f.topics, f.applied = ten, "1111111111" }
	for _, bad := range []string{`7`, `null`, `"e"`, `[]`, `{}`, `{"mirror_topic_name":5,"error_code":null}`, `{"error_code":null}`, `{"mirror_topic_name":"e","error_code":"x"}`} {
		body(59, "one bad row in ten: "+bad, "AAAAKAAAAA", tenRows(bad), asTen)
	}
	body(60, "the bad member before the name", "AAAAKAAAAA", tenRows(`{"error_code":[],"error_message":null,"mirror_topic_name":"e"}`), asTen, causeIs("error_code cannot be read"))
	body(61, "asked 10, answered 9", "AAAAKAAAAA", tenRows(""), asTen, causeIs("no row for this topic"))
	body(62, "a topic nobody asked for", "AA", rows(good("a"), good("z"), good("b")), causeIs(`1 row that nobody asked for, the first "z"`))
	body(63, "a topic twice, agreeing", "AA", rows(good("a"), good("b"), good("a")))
	body(63, "a topic twice, contradicting", "AK", rows(good("a"), good("b"), x(`"error_code":400,"error_message":"x"`)), func(f *fault) {
		f.check = func(e *env) { require.Len(e, e.report.Results[1].Rows, 2, "both are kept") }
	})
	body(64, "a name that differs by case", "AK", rows(good("a"), good("B")), causeIs(`the first "B"`))
	body(64, "a name that differs by space", "AK", rows(good("a"), good("b ")), causeIs(`the first "b "`))
	body(65, "code without message", "AF", withB(`"error_code":1,"error_message":null`))
	body(65, "message without code", "AF", withB(`"error_code":null,"error_message":"x"`))
	body(66, "code 0 and no message", "AA", withB(`"error_code":0,"error_message":null`))
	body(66, `code null and message ""`, "AA", withB(`"error_code":null,"error_message":""`))
	body(67, "neither member present", "AK", withB(`"kind":"K"`))
	for _, code := range []string{`"400"`, `400.5`, `2147483648`, `400,"error_code":null`} {
		body(68, "code "+code, "AK", withB(`"error_message":null,"error_code":`+code))
		body(68, "code "+code+", with a message", "AF", withB(`"error_message":"x","error_code":`+code))
	}
	body(69, "code 50003 in a row", "AF", withB(`"error_code":50003,"error_message":"x"`), func(f *fault) {
		f.check = func(e *env) {
			var topic *mirror.TopicError
			require.ErrorAs(e, e.err, &topic)
			require.True(e, topic.Retriable())
			require.False(e, (&mirror.TopicError{Code: 400}).Retriable())
		}
	})
	for name, message := range map[string]string{"1 MiB": strings.Repeat("m", 1<<20), "ESC, newlines, bidi marks, HTML": `\u001b[31m\nFAKE\u202e<b>`} {
		body(70, "message of "+name, "AF", withB(`"error_code":400,"error_message":"`+message+`"`), func(f *fault) {
			f.check = func(e *env) {
				require.LessOrEqual(e, len(e.report.Results[1].Message), 1024)
				require.NotContains(e, e.report.Results[1].Message, "\n")
			}
		})
	}
	body(71, "member names in other case: DATA", "KK", strings.Replace(both, `"data"`, `"DATA"`, 1))
	body(71, "member names in other case: Error_Code", "AK", withB(`"Error_Code":null,"Error_Message":null`))
	for _, lags := range []string{
		`[]`, `null`, `[{"partition":1,"lag":1,"last_source_fetch_offset":1},{"partition":0,"lag":1,"last_source_fetch_offset":1}]`,
		`[{"partition":0,"lag":1,"last_source_fetch_offset":1},{"partition":0,"lag":1,"last_source_fetch_offset":1}]`,
		`[{"partition":0,"lag":-7,"last_source_fetch_offset":-1}]`, `[{"partition":0,"lag":9223372036854775808}]`, `[{"partition":0,"lag":null}]`, `[{"partition":0}]`, `{}`, `[7]`,
	} {
		body(72, "lags "+lags, "AA", withB(`"error_code":null,"mirror_lags":`+lags))
	}
	body(72, "lags missing", "AA", withB(`"error_code":null`), func(f *fault) {
		f.check = func(e *env) { require.Equal(e, []string{"b"}, e.report.Lag().Without, "not known is not 0") }
	})
	for _, truncation := range []string{
		`"messages_truncated":null,"partition_level_truncation_data":null`, `"messages_truncated":-1,"partition_level_truncation_data":[]`,
		`"messages_truncated":5,"partition_level_truncation_data":[{"partition_id":0,"offset_truncated_to":1,"messages_truncated":4}]`,
		`"messages_truncated":"x","partition_level_truncation_data":7`,
	} {
		body(73, truncation, "AA", withB(`"error_code":null,`+truncation))
	}
	body(74, "next set", "AA", strings.Replace(both, `"metadata":{"self":"s"}`, `"metadata":{"self":"s","next":"p"}`, 1), causeIs(`goes on at "p"`))
	pattern := mirror.Prefix("a", "b")
	ofPattern := func(f *fault) { f.sel = &pattern }
	body(74, "next set, pattern", "AA", strings.Replace(both, `"metadata":{"self":"s"}`, `"metadata":{"self":"s","next":"p"}`, 1), ofPattern, func(f *fault) {
		f.is = []error{mirror.ErrOutcomeUnknown}
		f.check = func(e *env) { require.False(e, e.report.Complete) }
	})
	body(75, "unknown members and kinds, self of another link", "AA",
		`{"kind":"?","metadata":{"self":"http://other/links/x"},"new":{"a":[1]},"data":[`+good("a")+`,`+x(`"new":[[]],"kind":7,"metadata":null,"error_code":null`)+`]}`)
	body(76, "invalid UTF-8 in one name", "AAAAKAAAAA", tenRows(`{"mirror_topic_name":"`+"e\xff"+`","error_code":null}`), asTen)

	small := func(f *fault) { f.config = func(e *env) { e.cfg.MaxAnswer = 1 << 20 } }
	body(77, "larger than the bound", "AK", `{"data":[`+good("a")+`,{"new":"`+strings.Repeat("x", 2<<20)+`"},`+good("b")+`]}`, small, causeIs("longer than 1048576 bytes"))
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	io.WriteString(z, `{"data":[`+good("a")+`,{"new":"`+strings.Repeat("x", 64<<20)+`"},`+good("b")+`]}`)
	z.Close()
	body(77, "a gzip bomb", "AK", "", do(mirrortest.Answer(200, bomb.String(), "Content-Type", kafka, "Content-Encoding", "gzip")), small, causeIs("longer than 1048576 bytes"))
	body(77, "one long string", "AK", `{"data":[`+good("a")+`,{"new":"`+strings.Repeat("x", 20<<20)+`"},`+good("b")+`]}`, causeIs("a value in it is longer than"))
	body(77, "10 001 deep", "AK", `{"data":[`+good("a")+`,{"new":`+strings.Repeat("[", 10001)+strings.Repeat("]", 10001)+`},`+good("b")+`]}`)
	body(77, "many empty rows", "AK", `{"data":[`+good("a")+strings.Repeat(",{}", 400_000)+`,`+good("b")+`]}`, small, func(f *fault) {
		f.check = func(e *env) { require.Len(e, e.report.Unexpected, 1000) }
	})

	body(78, "pattern, no rows", "", rows(), ofPattern, func(f *fault) { f.is = []error{mirror.ErrNoTopics} })
	body(78, "pattern, 503", "", "", do(status(503, "", "")), ofPattern, func(f *fault) { f.is = []error{mirror.ErrOutcomeUnknown} })
	body(78, "pattern, cut after two rows", "AA", `{"data":[`+good("a")+`,`+good("b")+`,`, ofPattern, func(f *fault) {
		f.is = []error{mirror.ErrOutcomeUnknown}
		f.check = func(e *env) { require.False(e, e.report.Complete) }
	})
	return cases
}

func faultsOfARun() []fault {
	five := []string{"a", "b", "c", "d", "e"}
	ones := func(e *env) { e.cfg.BatchSize = 1 }
	lost := mirrortest.Cut(0)
	boom := "the hook panics"
	return []fault{
		{row: 79, name: "batch 2 of 5 lost", topics: five, config: ones, inject: []mirrortest.Fault{{Nth: 2, AfterApply: true, Do: lost}},
			outcomes: "AKUUU", seen: 2, applied: "11000", text: "not sent after batch 2 of 5"},
		{row: 79, name: "batch 2 of 5 lost, KeepGoing", topics: five, config: func(e *env) { ones(e); e.cfg.KeepGoing = true },
			inject: []mirrortest.Fault{{Nth: 2, AfterApply: true, Do: lost}}, outcomes: "AKAAA", seen: 5, applied: "11111"},
		{row: 79, name: "a topic missing from batch 2 of 5", topics: five, config: ones, inject: []mirrortest.Fault{{Topic: "b", AfterApply: true, Do: mirrortest.LeaveOut()}},
			outcomes: "AKUUU", seen: 2, applied: "11000"},
		{row: 79, name: "batch 2 of 5 failed in its row, which stops nothing", topics: five, config: ones,
			options:  mirrortest.Options{Topics: []mirrortest.Topic{{Name: "a"}, {Name: "b", Status: mirrortest.Stopped}, {Name: "c"}, {Name: "d"}, {Name: "e"}}},
			outcomes: "AFAAA", seen: 5, applied: "10111"},
		{row: 80, name: "cancelled between batches", topics: five, config: func(e *env) {
			ones(e)
			e.cfg.KeepGoing = true
		}, ctx: func(ctx context.Context, e *env) context.Context {
			ctx, cancel := context.WithCancel(ctx)
			e.cfg.AfterBatch = func(_ context.Context, b mirror.Batch, _ []mirror.Result) {
				if b.Index == 1 {
					cancel()
				}
			}
			return ctx
		}, outcomes: "AAUUU", seen: 2, applied: "11000", is: []error{context.Canceled}, not: []error{mirror.ErrOutcomeUnknown}},
		{row: 80, name: "cancelled during one", bubble: true, topics: five, config: ones, inject: []mirrortest.Fault{{Nth: 3, Do: mirrortest.Hang()}},
			ctx: func(ctx context.Context, e *env) context.Context {
				ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
				e.Cleanup(cancel)
				return ctx
			}, outcomes: "AAKUU", seen: 3, applied: "11000", is: []error{context.DeadlineExceeded}},
		{row: 81, name: "token expires between batches", topics: five, config: func(e *env) {
			ones(e)
			now, expired := "t1", false
			e.pair.Local.AcceptToken(now, "")
			e.cfg.Credential = mirror.BearerToken(func(context.Context) (string, error) {
				if expired {
					now, expired = "t2", false
				}
				return now, nil
			}, "")
			// The first request after the third batch finds its token expired, and asks for another.
			n := 0
			inner := e.cfg.Credential
			e.cfg.Credential = func(ctx context.Context, h http.Header) error {
				if n++; n == 5 {
					expired = true
				}
				return inner(ctx, h)
			}
			e.cfg.AfterBatch = func(_ context.Context, b mirror.Batch, _ []mirror.Result) {
				if b.Index == 2 {
					e.pair.Local.RevokeToken("t1")
					e.pair.Local.AcceptToken("t2", "")
				}
			}
		}, outcomes: "AAAAA", seen: 6, applied: "11111"},
		{row: 82, name: "one client from 100 goroutines", topics: []string{"a"}, config: func(e *env) {
			var topics []mirrortest.Topic
			for i := range 100 {
				topics = append(topics, mirrortest.Topic{Name: fmt.Sprint("t", i)})
			}
			p := mirrortest.NewPair(e.T, mirrortest.Options{Topics: topics})
			client := newClient(e.T, p.Local.Config())
			var all sync.WaitGroup
			for i := range 100 {
				all.Go(func() {
					name := fmt.Sprint("t", i)
					report, err := client.ReverseAndPause(context.Background(), "dr-link", mirror.Topics(name, "nowhere"))
					if err == nil || outcomes(report) != name+" accepted, nowhere failed" {
						e.Errorf("%s: %v", name, report)
					}
				})
			}
			all.Wait()
			p.Local.AssertSentOnce(e.T)
		}, outcomes: "A", seen: 1, applied: "1"},
		{row: 83, name: "two controllers at once", config: func(e *env) {
			other, err := newClient(e.T, e.cfg).ReverseAndPause(context.Background(), e.link, mirror.Topics("a", "b"))
			require.NoError(e, err)
			require.Equal(e, "a accepted, b accepted", outcomes(other))
		}, outcomes: "FF", seen: 2, applied: "11", text: "already stopped"},
		{row: 84, name: "a hook panics", topics: []string{"a"}, config: func(e *env) {
			p := mirrortest.NewPair(e.T, mirrortest.Options{})
			cfg := p.Local.Config()
			var journal []string
			cfg.BatchSize, cfg.Parallel = 1, 2
			cfg.BeforeBatch = func(_ context.Context, b mirror.Batch) error {
				journal = append(journal, b.Topics...)
				return nil
			}
			cfg.AfterBatch = func(context.Context, mirror.Batch, []mirror.Result) { panic(boom) }
			client := newClient(e.T, cfg)
			require.PanicsWithValue(e, boom, func() {
				_, _ = client.ReverseAndPause(context.Background(), "dr-link", mirror.Topics("topic-1", "topic-2"))
			})
			for _, r := range p.Journal() {
				require.Subset(e, journal, r.Topics, "what was sent is in the journal")
			}
		}, outcomes: "A", seen: 1, applied: "1"},
		{row: 84, name: "a credential panics", topics: []string{"a"}, config: func(e *env) {
			cfg := e.cfg
			cfg.Credential = func(context.Context, http.Header) error { panic(boom) }
			client := newClient(e.T, cfg)
			require.PanicsWithValue(e, boom, func() { _, _ = client.ReverseAndPause(context.Background(), "dr-link", mirror.Topics("a")) })
		}, outcomes: "A", seen: 1, applied: "1"},
		{row: 85, name: "deadline shorter than the wait told by Retry-After", bubble: true, inject: []mirrortest.Fault{{Do: mirrortest.Answer(429, "", "DoSFilter", "x", "Retry-After", "30")}},
			ctx: func(ctx context.Context, e *env) context.Context {
				ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
				e.Cleanup(cancel)
				return ctx
			}, outcomes: "UU", seen: 1, is: []error{mirror.ErrRateLimited}, check: func(e *env) {
				require.Zero(e, time.Since(e.report.Attempts[0].Start), "it returned at once")
			}},
		{row: 85, name: "cancelled while waiting to send again", bubble: true, inject: []mirrortest.Fault{{Do: mirrortest.Answer(429, "", "DoSFilter", "x", "Retry-After", "30")}},
			ctx: func(ctx context.Context, _ *env) context.Context {
				ctx, cancel := context.WithCancel(ctx)
				time.AfterFunc(10*time.Second, cancel)
				return ctx
			}, outcomes: "UU", seen: 1, is: []error{mirror.ErrRateLimited}, check: func(e *env) {
				require.Equal(e, 10*time.Second, time.Since(e.report.Attempts[0].Start))
			}},
		{row: 86, name: "parallel 4, one batch turned away by 401", bubble: true, topics: []string{"a", "b", "c", "d", "e", "f"},
			config: func(e *env) {
				e.cfg.BatchSize, e.cfg.Parallel = 1, 4
			}, inject: []mirrortest.Fault{
				{Topic: "a", Do: mirrortest.Error(401, 40101, "x")}, {Topic: "b", Do: mirrortest.Error(401, 40101, "x")},
				{Topic: "c", AfterApply: true, Do: mirrortest.Drip(1<<20, 9*time.Second)}, {Topic: "d", AfterApply: true, Do: mirrortest.Drip(1<<20, 9*time.Second)},
			},
			outcomes: "UUAAUU", seen: 4, applied: "001100", is: []error{mirror.ErrUnauthenticated}},
		{row: 87, name: "validate-only, 5xx", bubble: true, dryRun: true, inject: []mirrortest.Fault{{Do: mirrortest.Error(500, 50003, "x")}, {Do: mirrortest.Error(503, 503, "x")}}, outcomes: "AA", seen: 3},
		{row: 87, name: "validate-only, 5xx without end", bubble: true, dryRun: true, inject: []mirrortest.Fault{{Every: true, Do: mirrortest.Error(500, 50003, "x")}}, outcomes: "KK", seen: 4},
		{row: 87, name: "validate-only, lost answers", bubble: true, dryRun: true, inject: []mirrortest.Fault{{Do: lost}, {Do: mirrortest.Cut(400)}, {Do: mirrortest.Hang()}}, outcomes: "AA", seen: 4},
		{row: 87, name: "validate-only, 429 as HTML and as JSON", bubble: true, dryRun: true, inject: []mirrortest.Fault{{Do: mirrortest.Filtered()}, {Do: mirrortest.Error(429, 42901, "x")}}, outcomes: "AA", seen: 3},
		{row: 87, name: "validate-only, 409, which would be the same again", dryRun: true, inject: []mirrortest.Fault{{Do: mirrortest.Error(409, 409, "x")}}, outcomes: "KK", seen: 1},
	}
}
