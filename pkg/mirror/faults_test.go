package mirror_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// fault is a row of the fault table: something goes wrong with a call, and this must come of it. The call is
// ReverseAndPause of the topics a, b, c and so on, as many as there are outcomes.
type fault struct {
	name string // a sentence about what goes wrong

	inject   []mirrortest.Fault // what the server does, before or after it applies the change
	setup    func(*env)         // everything else that is not as usual
	loopback bool               // the network is the machine's and time is real; else both are virtual

	outcomes string // such as "2 accepted, unknown"; "x or y" where the kernel decides which
	seen     int    // how many requests came to a server; many is more than four
	applied  string // which topics the server changed, once each, such as "a b"
	is       []error
	says     string // in one of the causes
	check    func(*env)
}

const many = -1

// env is what a row of the table runs in. Setup may change it.
type env struct {
	*testing.T
	pair      *mirrortest.Pair
	transport *http.Transport // of cfg
	cfg       mirror.Config
	ctx       context.Context
	verb      mirror.Verb
	link      string
	topics    []string
	selection *mirror.Selection // by default the topics by name
	dryRun    bool
	madeUp    bool // the answer does not tell what the server did, so the report cannot be held to the server

	seen   atomic.Int32 // requests that came to servers other than the pair
	report *mirror.Report
	err    error
	took   time.Duration
}

// requests are those that came to the pair.
func (e *env) requests() []mirrortest.Request { return e.pair.Requests() }

// use makes the call go to a pair.
func (e *env) use(pair *mirrortest.Pair) {
	e.pair, e.cfg, e.link = pair, pair.Local.Config(), pair.Link()
	e.transport = e.cfg.Transport.(*http.Transport)
}

// dial puts something in the way of the connections.
func (e *env) dial(f func(ctx context.Context, n int, next func() (net.Conn, error)) (net.Conn, error)) {
	next := e.transport.DialContext
	var n atomic.Int32
	e.transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		return f(ctx, int(n.Add(1)), func() (net.Conn, error) { return next(ctx, network, address) })
	}
}

// wrap puts something between the library and its transport.
func (e *env) wrap(f func(r *http.Request, next http.RoundTripper) (*http.Response, error)) {
	next := e.cfg.Transport
	e.cfg.Transport = roundTripper(func(r *http.Request) (*http.Response, error) { return f(r, next) })
}

// listen starts a server on loopback that does f with each connection.
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

// hooks is a Recorder of two functions; nil does nothing.
type hooks struct {
	sending  func(mirror.Batch) error
	answered func(mirror.Batch, *mirror.Report) error
}

func (h hooks) Sending(_ context.Context, b mirror.Batch) error {
	if h.sending == nil {
		return nil
	}
	return h.sending(b)
}

func (h hooks) Answered(_ context.Context, b mirror.Batch, r *mirror.Report) error {
	if h.answered == nil {
		return nil
	}
	return h.answered(b, r)
}

// What setups share.

func all(setups ...func(*env)) func(*env) {
	return func(e *env) {
		for _, s := range setups {
			s(e)
		}
	}
}

func dryRun(e *env)       { e.dryRun = true }
func madeUp(e *env)       { e.madeUp = true }
func oneEach(e *env)      { e.cfg.BatchSize = 1 }
func neverRetry(e *env)   { e.cfg.RetryFor = -1 }
func byPrefix(e *env)     { e.selection = new(mirror.Prefix("a", "b")) }
func noCredential(e *env) { e.cfg.Credential = mirror.NoCredential() }

// deadline ends the call's context after a time.
func deadline(d time.Duration) func(*env) {
	return func(e *env) {
		ctx, cancel := context.WithTimeout(e.ctx, d)
		e.Cleanup(cancel)
		e.ctx = ctx
	}
}

// cancelled cancels the call's context after a time, with a cause.
func cancelled(d time.Duration, cause error) func(*env) {
	return func(e *env) {
		ctx, cancel := context.WithCancelCause(e.ctx)
		time.AfterFunc(d, func() { cancel(cause) })
		e.ctx = ctx
	}
}

// tokens has each attempt use the next of the tokens, and the last one for all after that.
func tokens(each ...string) func(*env) {
	return func(e *env) {
		n := 0
		e.cfg.Credential = mirror.BearerToken(func(context.Context) (string, error) {
			n++
			return each[min(n, len(each))-1], nil
		}, "")
	}
}

// attempts holds the call to a number of attempts.
func attempts(n int) func(*env) { return func(e *env) { require.Len(e, e.report.Attempts, n) } }

// took holds the call to a duration.
func took(d time.Duration) func(*env) { return func(e *env) { require.Equal(e, d, e.took) } }

// kernel returns the number that this system's network has for an error: Windows has numbers of its own.
func kernel(e syscall.Errno) error {
	if runtime.GOOS == "windows" {
		return map[syscall.Errno]syscall.Errno{syscall.ECONNREFUSED: 10061, syscall.ECONNRESET: 10054}[e]
	}
	return e
}

// errStop is why an operator ends a call.
var errStop = errors.New("the operator pressed stop")

// runFaults runs one group of the table.
func runFaults(t *testing.T, group string, cases []fault) {
	names := map[string]bool{}
	for _, f := range cases {
		require.False(t, names[f.name], "two cases are called %q", f.name)
		names[f.name] = true
		t.Run(f.name, func(t *testing.T) {
			if f.loopback {
				f.run(t, group)
			} else {
				synctest.Test(t, func(t *testing.T) { f.run(t, group) })
			}
		})
	}
	if testing.Verbose() {
		fmt.Printf("%s: %d cases\n", group, len(cases))
	}
}

func (f fault) run(t *testing.T, group string) {
	e := &env{T: t, ctx: t.Context(), verb: mirror.VerbReverseAndPause, topics: topicsFor(f.outcomes)}
	var topics []mirrortest.Topic
	for _, name := range letters {
		topics = append(topics, mirrortest.Topic{Name: name})
	}
	e.use(mirrortest.NewPair(t, mirrortest.Options{Topics: topics, InMemory: !f.loopback}))
	var log bytes.Buffer
	e.cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	logger := e.cfg.Logger
	if f.setup != nil {
		f.setup(e)
	}
	e.cfg.Logger = logger
	for _, fault := range f.inject {
		e.pair.Local.Inject(fault)
	}
	e.call()
	if !f.loopback {
		time.Sleep(2 * time.Minute) // what is under way in the transport or at the server comes to its end
	}

	seen, got := len(e.requests())+int(e.seen.Load()), outcomesOf(e.report)
	applied := ""
	for _, name := range letters {
		applied += strings.Repeat(" "+name, e.pair.Local.Applied(name))
	}
	defer func() {
		if testing.Verbose() {
			verdict := "ok"
			if t.Failed() {
				verdict = "FAIL"
			}
			fmt.Printf("%-6s  %-80.80s  %2d seen  applied%-10.10s  %-34.34s  %s\n", group, f.name, seen, applied, got, verdict)
		}
	}()
	require.Contains(t, strings.Split(f.outcomes, " or "), got, "%v", causes(e.err))
	if f.seen == many {
		require.Greater(t, seen, 4, "requests")
	} else {
		require.Equal(t, f.seen, seen, "requests")
	}
	require.Equal(t, f.applied, strings.TrimSpace(applied))
	if e.selection == nil {
		requireSound(t, e.report, e.err, e.topics)
	}
	if !e.madeUp {
		require.NoError(t, e.pair.Local.CheckReport(e.report))
	}
	for _, target := range f.is {
		require.ErrorIs(t, e.err, target)
	}
	if f.says != "" {
		require.ErrorContains(t, errors.Join(causes(e.err)...), f.says)
	}
	requireHidden(t, e.report, e.err, log.String(), canary, "lkc-local-secret")
	if f.check != nil {
		f.check(e)
	}
}

// The words for the causes of a call's error, once for each form.
func TestGolden_CausesOfFaults(t *testing.T) {
	forms := []string{
		"connect time-out of the attempt", "context cancelled before sending", "credential fails",
		"credential fails with a secret in an inner URL", "credential writes a header that cannot be sent",
		"the recorder refuses the second of three batches", "bad link", "bad topics",
		"headers slower than Timeout", "a body that drips past the deadline",
		"transport sends, and returns neither a response nor an error",
		"a topic is missing from the answer to batch 2 of 5", "batch 2 of 5 is refused as a whole",
		"the answer to batch 2 of 5 is lost", "a recorder fails after a batch",
	}
	var b strings.Builder
	for _, f := range slices.Concat(faultsBefore(), faultsOfConnections(), faultsOfTransports(), faultsOfARun(), faultsOfDryRuns()) {
		at := slices.Index(forms, f.name)
		if at < 0 {
			continue
		}
		forms = slices.Delete(forms, at, at+1)
		check := f.check
		f.check = func(e *env) {
			fmt.Fprintf(&b, "--- %s\n%v\n\n", f.name, errors.Join(causes(e.err)...))
			if check != nil {
				check(e)
			}
		}
		synctest.Test(t, func(t *testing.T) { f.run(t, "words") })
	}
	require.Empty(t, forms, "the table has no such faults")
	golden(t, "causes.txt", b.String())
}

// call makes the call.
func (e *env) call() {
	client := newClient(e, e.cfg)
	selection := mirror.Topics(e.topics...)
	if e.selection != nil {
		selection = *e.selection
	}
	start := time.Now()
	switch {
	case e.dryRun:
		e.report, e.err = client.Validate(e.ctx, e.verb, e.link, selection)
	case e.verb == mirror.VerbTruncateAndRestore:
		e.report, e.err = client.TruncateAndRestore(e.ctx, planFor(e.link, e.topics...), 10)
	default:
		e.report, e.err = client.Do(e.ctx, e.verb, e.link, selection)
	}
	e.took = time.Since(start)
}

var letters = strings.Fields("a b c d e f g h i j")

// topicsFor returns as many topics as there are outcomes.
func topicsFor(outcomes string) []string {
	first, _, _ := strings.Cut(outcomes, " or ")
	n := 0
	for part := range strings.SplitSeq(first, ", ") {
		if times, err := strconv.Atoi(strings.Fields(part + " x")[0]); err == nil {
			n += times
		} else {
			n++
		}
	}
	return letters[:min(n, len(letters))]
}

// outcomesOf returns the outcomes in the order of the topics, equal ones together: "2 accepted, unknown".
func outcomesOf(r *mirror.Report) string {
	var parts []string
	for i := 0; i < len(r.Results); {
		from, outcome := i, r.Results[i].Outcome
		for i < len(r.Results) && r.Results[i].Outcome == outcome {
			i++
		}
		part := outcome.String()
		if i-from > 1 {
			part = fmt.Sprint(i-from, " ", outcome)
		}
		parts = append(parts, part)
	}
	return cmp.Or(strings.Join(parts, ", "), "no topics")
}

// requireHidden fails if a secret, or a character that cannot be printed, is in any form of the report, the error or
// the log.
func requireHidden(t testing.TB, report *mirror.Report, err error, log string, secrets ...string) {
	t.Helper()
	var table strings.Builder
	require.NoError(t, report.Table(&table))
	text, jsonErr := json.Marshal(report)
	require.NoError(t, jsonErr)
	var back mirror.Report
	require.NoError(t, json.Unmarshal(text, &back))
	if err != nil {
		require.Equal(t, fmt.Sprint(report.Err()), fmt.Sprint(back.Err()))
	}
	forms := []string{
		table.String(), string(text), log, fmt.Sprint(err), report.String(),
		fmt.Sprintf("%+v", *report), fmt.Sprintf("%#v", *report), fmt.Sprintf("%+v", report.Attempts),
	}
	for _, c := range causes(err) {
		forms = append(forms, c.Error(), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c))
	}
	for _, form := range forms {
		for _, secret := range secrets {
			require.NotContains(t, form, secret)
		}
		require.NotContains(t, form, "\x1b")
	}
	require.NotContains(t, fmt.Sprint(err), "\n")
}

// What servers answer.

const jsonType = "application/json"

// before acts on the next request, and nothing is applied.
func before(do mirrortest.Action) []mirrortest.Fault { return []mirrortest.Fault{{Do: do}} }

// after acts on the next request after the change was applied.
func after(do mirrortest.Action) []mirrortest.Fault {
	return []mirrortest.Fault{{AfterApply: true, Do: do}}
}

// always acts on every request, and nothing is applied.
func always(do mirrortest.Action) []mirrortest.Fault {
	return []mirrortest.Fault{{Every: true, Do: do}}
}

// raw puts bytes on the wire as they are, and ends the connection.
func raw(bytes string) mirrortest.Action {
	return mirrortest.Handle(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		conn.SetWriteDeadline(time.Now().Add(time.Minute))
		io.WriteString(conn, bytes)
	})
}

// drip sends the proper answer n bytes at a time, and waits after each piece.
func drip(n int, wait time.Duration) mirrortest.Action {
	return mirrortest.Handle(func(w http.ResponseWriter, r *http.Request, proper http.Handler) {
		whole := httptest.NewRecorder()
		proper.ServeHTTP(whole, r)
		maps.Copy(w.Header(), whole.Header())
		for piece := range slices.Chunk(whole.Body.Bytes(), n) {
			w.Write(piece)
			http.NewResponseController(w).Flush()
			select {
			case <-time.After(wait):
			case <-r.Context().Done():
				return
			}
		}
	})
}

// refused is the row of a topic that the server refused.
func refused(topic string) string {
	return `{"mirror_topic_name":"` + topic + `","error_code":400,"error_message":"no"}`
}
