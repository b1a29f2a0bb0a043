package mirror_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// fault is a case of the fault table: something goes wrong, and this must come of it.
type fault struct {
	name string // a sentence about what goes wrong

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
	verb    mirror.Verb // reverse-and-pause-mirror by default

	// What must come of it. outcomes has a letter a result: A, F, K (unknown) and U.
	outcomes string
	or       string // another outcome that is as good, where the kernel decides which it is
	seen     int    // requests that came to a server; atLeast if there may be more
	atLeast  bool
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
	next := e.cfg.DialContext
	var n atomic.Int32
	e.cfg.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		return f(ctx, int(n.Add(1)), func() (net.Conn, error) { return next(ctx, network, address) })
	}
}

// middleware puts something between the library and its transport.
func (e *env) middleware(f func(r *http.Request, next http.RoundTripper) (*http.Response, error)) {
	e.cfg.Middleware = func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) { return f(r, next) })
	}
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

func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	c.Close()
}

func never(e *env) { e.cfg.RetryFor = -1 }

func TestFaults(t *testing.T) {
	cases := slices.Concat(
		faultsBeforeTheWire(), faultsOfMiddleware(), faultsOnTheWire(), faultsOfStatus(), faultsOfBody(), faultsOfARun(),
		faultsOfEachVerb(),
	)
	names := map[string]bool{}
	for _, f := range cases {
		require.False(t, names[f.name], "two cases are called %q", f.name)
		names[f.name] = true
		t.Run(f.name, func(t *testing.T) {
			if f.bubble {
				synctest.Test(t, f.run)
			} else {
				f.run(t)
			}
		})
	}
	requireNothingRunning(t)
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
			if strings.Contains(stack, "/pkg/mirror.") || strings.Contains(stack, "net/http.(*persistConn)") ||
				strings.Contains(stack, "/mirrortest.") {
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
	f.verb = cmp.Or(f.verb, mirror.VerbReverseAndPause)
	if f.topics == nil {
		f.topics = []string{"a", "b"}
	}
	f.options.InMemory = f.bubble
	if f.options.Topics == nil {
		for _, name := range f.topics {
			f.options.Topics = append(f.options.Topics, topicFor(f.verb, name))
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
	sel := mirror.Topics(f.topics...)
	if f.sel != nil {
		sel = *f.sel
	}
	if f.dryRun {
		e.report, e.err = client.Validate(ctx, f.verb, e.link, sel)
	} else {
		e.report, e.err = call(ctx, t, client, f.verb, e.link, sel)
	}

	letters, seen, applied := "", len(e.pair.Journal())+int(e.seen.Load()), ""
	for _, r := range e.report.Results {
		letters += map[mirror.Outcome]string{
			mirror.Accepted: "A", mirror.Failed: "F", mirror.Unknown: "K", mirror.Untouched: "U",
		}[r.Outcome]
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
			fmt.Printf("%-76.76s %2d seen  applied %-11.11s %-12.12s %s\n", f.name, seen, applied, letters, verdict)
		}
	}()
	if f.sel == nil {
		requireSound(t, e.report, e.err, f.topics)
	}
	if f.or == "" || f.or != letters {
		require.Equal(t, f.outcomes, letters, "%v", e.err)
	}
	if f.atLeast {
		require.GreaterOrEqual(t, seen, f.seen, "requests")
	} else {
		require.Equal(t, f.seen, seen, "requests")
	}
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
	for _, form := range []string{
		table.String(), e.report.String(), fmt.Sprint(e.err), fmt.Sprint(causes(e.err)), fmt.Sprintf("%+v", e.report),
	} {
		text.WriteString(form)
		require.NotContains(t, form, canary)
	}
	require.NotContains(t, table.String(), "\x1b")
	if f.check != nil {
		f.check(e)
	}
}
