package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func faultsOfARun() []fault {
	five := []string{"a", "b", "c", "d", "e"}
	ones := func(e *env) { e.cfg.BatchSize = 1 }
	lost := mirrortest.Cut(0)
	boom := "the hook panics"
	cases := []fault{
		{
			name: "batch 2 of 5 lost", topics: five, config: ones,
			inject:   []mirrortest.Fault{{Nth: 2, AfterApply: true, Do: lost}},
			outcomes: "AKUUU", seen: 2, applied: "11000", text: "not sent; batch 2 of 5 stopped the run",
		},
		{name: "batch 2 of 5 lost, KeepGoing", topics: five, config: func(e *env) { ones(e); e.cfg.KeepGoing = true },
			inject: []mirrortest.Fault{{Nth: 2, AfterApply: true, Do: lost}}, outcomes: "AKAAA", seen: 5, applied: "11111"},
		{
			name: "a topic missing from batch 2 of 5", topics: five, config: ones,
			inject:   []mirrortest.Fault{{Topic: "b", AfterApply: true, Do: mirrortest.LeaveOut()}},
			outcomes: "AKUUU", seen: 2, applied: "11000",
		},
		{name: "batch 2 of 5 failed in its row, which stops nothing", topics: five, config: ones,
			options: mirrortest.Options{Topics: []mirrortest.Topic{
				{Name: "a"}, {Name: "b", Status: mirror.StatusStopped}, {Name: "c"}, {Name: "d"}, {Name: "e"},
			}},
			outcomes: "AFAAA", seen: 5, applied: "10111"},
		{name: "cancelled between batches", topics: five, config: func(e *env) {
			ones(e)
			e.cfg.KeepGoing = true
		}, ctx: func(ctx context.Context, e *env) context.Context {
			ctx, cancel := context.WithCancel(ctx)
			e.cfg.AfterBatch = func(_ context.Context, b mirror.Batch, _ *mirror.Report) error {
				if b.Index == 1 {
					cancel()
				}
				return nil
			}
			return ctx
		}, outcomes: "AAUUU", seen: 2, applied: "11000",
			is: []error{context.Canceled}, not: []error{mirror.ErrOutcomeUnknown}},
		{
			name: "cancelled during one", bubble: true, topics: five, config: ones,
			inject: []mirrortest.Fault{{Nth: 3, Do: silent()}},
			ctx: func(ctx context.Context, e *env) context.Context {
				ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
				e.Cleanup(cancel)
				return ctx
			},
			outcomes: "AAKUU", seen: 3, applied: "11000", is: []error{context.DeadlineExceeded},
		},
		{name: "token expires between batches", topics: five, config: func(e *env) {
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
			e.cfg.AfterBatch = func(_ context.Context, b mirror.Batch, _ *mirror.Report) error {
				if b.Index == 2 {
					e.pair.Local.RevokeToken("t1")
					e.pair.Local.AcceptToken("t2", "")
				}
				return nil
			}
		}, outcomes: "AAAAA", seen: 6, applied: "11111"},
		{name: "one client from 100 goroutines", topics: []string{"a"}, config: func(e *env) {
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
		{name: "two controllers at once", config: func(e *env) {
			other, err := newClient(e.T, e.cfg).ReverseAndPause(context.Background(), e.link, mirror.Topics("a", "b"))
			require.NoError(e, err)
			require.Equal(e, "a accepted, b accepted", outcomes(other))
		}, outcomes: "FF", seen: 2, applied: "11", text: "already stopped"},
		{name: "a hook panics", topics: []string{"a"}, config: func(e *env) {
			p := mirrortest.NewPair(e.T, mirrortest.Options{})
			cfg := p.Local.Config()
			var journal []string
			cfg.BatchSize, cfg.Parallel = 1, 2
			cfg.BeforeBatch = func(_ context.Context, b mirror.Batch) error {
				journal = append(journal, b.Topics...)
				return nil
			}
			cfg.AfterBatch = func(context.Context, mirror.Batch, *mirror.Report) error { panic(boom) }
			client := newClient(e.T, cfg)
			require.PanicsWithValue(e, boom, func() {
				_, _ = client.ReverseAndPause(context.Background(), "dr-link", mirror.Topics("topic-1", "topic-2"))
			})
			for _, r := range p.Journal() {
				require.Subset(e, journal, r.Topics, "what was sent is in the journal")
			}
		}, outcomes: "A", seen: 1, applied: "1"},
		{name: "a credential panics", topics: []string{"a"}, config: func(e *env) {
			cfg := e.cfg
			cfg.Credential = func(context.Context, http.Header) error { panic(boom) }
			client := newClient(e.T, cfg)
			require.PanicsWithValue(e, boom, func() {
				_, _ = client.ReverseAndPause(context.Background(), "dr-link", mirror.Topics("a"))
			})
		}, outcomes: "A", seen: 1, applied: "1"},
		{
			name: "deadline shorter than the wait told by Retry-After", bubble: true,
			inject: []mirrortest.Fault{{Do: mirrortest.Answer(429, "", "DoSFilter", "unavailable", "Retry-After", "30")}},
			ctx: func(ctx context.Context, e *env) context.Context {
				ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
				e.Cleanup(cancel)
				return ctx
			},
			outcomes: "UU", seen: 1, is: []error{mirror.ErrRateLimited},
			check: func(e *env) {
				require.Zero(e, time.Since(e.report.Attempts[0].Start), "it returned at once")
			},
		},
		{
			name: "cancelled while waiting to send again", bubble: true,
			inject: []mirrortest.Fault{{Do: mirrortest.Answer(429, "", "DoSFilter", "unavailable", "Retry-After", "30")}},
			ctx: func(ctx context.Context, _ *env) context.Context {
				ctx, cancel := context.WithCancel(ctx)
				time.AfterFunc(10*time.Second, cancel)
				return ctx
			},
			outcomes: "UU", seen: 1, is: []error{mirror.ErrRateLimited},
			check: func(e *env) {
				require.Equal(e, 10*time.Second, time.Since(e.report.Attempts[0].Start))
			},
		},
		{name: "parallel 4, one batch refused with 401", bubble: true, topics: []string{"a", "b", "c", "d", "e", "f"},
			config: func(e *env) {
				e.cfg.BatchSize, e.cfg.Parallel = 1, 4
			}, inject: []mirrortest.Fault{
				{Topic: "a", Do: mirrortest.Error(401, 40101, "x")}, {Topic: "b", Do: mirrortest.Error(401, 40101, "x")},
				{Topic: "c", AfterApply: true, Do: drip(1<<20, 9*time.Second)},
				{Topic: "d", AfterApply: true, Do: drip(1<<20, 9*time.Second)},
			},
			outcomes: "UUAAUU", seen: 4, applied: "001100", is: []error{mirror.ErrUnauthenticated}},
		{
			name: "validate-only, 5xx", bubble: true, dryRun: true,
			inject:   []mirrortest.Fault{{Do: mirrortest.Error(500, 50003, "x")}, {Do: mirrortest.Error(503, 503, "x")}},
			outcomes: "AA", seen: 3,
		},
		{
			name: "validate-only, 5xx without end", bubble: true, dryRun: true,
			inject:   []mirrortest.Fault{{Every: true, Do: mirrortest.Error(500, 50003, "x")}},
			outcomes: "KK", seen: 3,
		},
		{
			name: "validate-only, lost answers", bubble: true, dryRun: true,
			inject:   []mirrortest.Fault{{Do: lost}, {Do: mirrortest.Cut(400)}},
			outcomes: "AA", seen: 3,
		},
		{
			name: "validate-only, a response that never comes", bubble: true, dryRun: true,
			config:   func(e *env) { e.cfg.Timeout = 10 * time.Second },
			inject:   []mirrortest.Fault{{Do: silent()}},
			outcomes: "AA", seen: 2,
		},
		{
			name: "validate-only, 429 as HTML and as JSON", bubble: true, dryRun: true,
			inject:   []mirrortest.Fault{{Do: mirrortest.RateLimited()}, {Do: mirrortest.Error(429, 42901, "x")}},
			outcomes: "AA", seen: 3,
		},
		{
			name: "validate-only, 409, which would be the same again", dryRun: true,
			inject:   []mirrortest.Fault{{Do: mirrortest.Error(409, 409, "x")}},
			outcomes: "KK", seen: 1,
		},
		{
			name: "cancelled during the pause after a 429, with a cause", bubble: true,
			inject: []mirrortest.Fault{{Do: mirrortest.RateLimited()}},
			ctx: func(ctx context.Context, _ *env) context.Context {
				ctx, cancel := context.WithCancelCause(ctx)
				time.AfterFunc(500*time.Millisecond, func() { cancel(errStop) })
				return ctx
			},
			outcomes: "UU", seen: 1, is: []error{context.Canceled, errStop, mirror.ErrRateLimited},
			check: func(e *env) {
				require.Equal(e, 500*time.Millisecond, time.Since(e.report.Attempts[0].Start))
			},
		},
		{
			name: "cancelled during a pause, before the batch was ever sent", bubble: true, topics: []string{"a", "b"},
			config: func(e *env) { ones(e); e.cfg.Parallel = 2 },
			inject: []mirrortest.Fault{{Do: mirrortest.Answer(429, "", "DoSFilter", "unavailable", "Retry-After", "30")}},
			ctx: func(ctx context.Context, e *env) context.Context {
				ctx, cancel := context.WithCancelCause(ctx)
				time.AfterFunc(10*time.Second, func() { cancel(errStop) })
				e.cfg.BeforeBatch = func(_ context.Context, b mirror.Batch) error {
					if b.Index == 1 {
						time.Sleep(time.Second) // the pause has begun
					}
					return nil
				}
				return ctx
			},
			outcomes: "UU", seen: 1, is: []error{context.Canceled, errStop},
		},
		{name: "the context's cause is another call's error", ctx: func(ctx context.Context, _ *env) context.Context {
			ctx, cancel := context.WithCancelCause(ctx)
			cancel(fmt.Errorf("the other call: %w", &mirror.APIError{Status: 401}))
			return ctx
		}, outcomes: "UU", is: []error{context.Canceled}, not: []error{mirror.ErrUnauthenticated}},
		{name: "BeforeBatch fails like the library", config: func(e *env) {
			e.cfg.BeforeBatch = func(context.Context, mirror.Batch) error { return mirror.ErrOutcomeUnknown }
		}, outcomes: "UU", not: []error{mirror.ErrOutcomeUnknown}},
	}
	for _, c := range []struct {
		name      string
		keepGoing bool
		first     string // the row about b in the answer about a
		second    string // the row about b in its own answer; "" if that is the proper one
		outcomes  string
		seen      int
		text      string
	}{
		{"accepted, before it is sent", false, good("b"), "", "AKUUU", 1,
			"another batch's answer has a row for this topic that says accepted, and here it is untouched"},
		{"failed, before it is sent", false, failedRow("b"), "", "AKUUU", 1,
			"that says failed, 400: no, and here it is untouched"},
		{"accepted, KeepGoing", true, good("b"), "", "AAAAA", 5,
			"the first about \"b\": this topic was asked for in another batch"},
		{"failed, KeepGoing", true, failedRow("b"), "", "AKAAA", 5, "that says failed, 400: no, and here it is accepted"},
		{"accepted, and its own answer refuses it", true, good("b"), failedRow("b"), "AKAAA", 5,
			"that says accepted, and here it is failed"},
		{"failed, and its own answer too", true, failedRow("b"), failedRow("b"), "AFAAA", 5, "asked for in another batch"},
		{"twice and contradicting", true, good("b") + "," + failedRow("b"), "", "AKAAA", 5, "that says failed"},
		{"without a verdict", true, `{"mirror_topic_name":"b"}`, "", "AKAAA", 5, "that says unknown"},
	} {
		inject := []mirrortest.Fault{{Topic: "a", AfterApply: true, Do: mirrortest.Row(good("a") + "," + c.first)}}
		if c.second != "" {
			inject = append(inject, mirrortest.Fault{Topic: "b", AfterApply: true, Do: mirrortest.Row(c.second)})
		}
		all := "11111"
		cases = append(cases, fault{
			name: "a row about a topic of a later batch, " + c.name, topics: five, inject: inject, scripted: true,
			config:   func(e *env) { ones(e); e.cfg.KeepGoing = c.keepGoing },
			outcomes: c.outcomes, seen: c.seen, applied: (all[:c.seen] + "00000")[:5], text: c.text,
			check: func(e *env) {
				require.Equal(e, []string{"this topic was asked for in another batch"}, e.report.Unexpected[0].Notes)
			},
		})
	}
	return append(cases,
		fault{
			name: "a row about a topic of an earlier batch that was refused", topics: []string{"a", "b"},
			config: func(e *env) { ones(e); e.cfg.KeepGoing = true },
			inject: []mirrortest.Fault{
				{Topic: "a", Do: mirrortest.Error(403, 40301, "x")},
				{Topic: "b", AfterApply: true, Do: mirrortest.Row(good("b") + "," + good("a"))},
			},
			scripted: true, outcomes: "KA", seen: 2, applied: "01",
		},
		fault{
			name: "a row about a topic of an earlier batch that contradicts it, in parallel", bubble: true,
			topics: []string{"a", "b"}, config: func(e *env) { ones(e); e.cfg.Parallel = 2 },
			inject:   []mirrortest.Fault{{Topic: "b", AfterApply: true, Do: mirrortest.Row(good("b") + "," + failedRow("a"))}},
			scripted: true, outcomes: "KA", seen: 2, applied: "11",
		},
		fault{
			name: "a row about a topic of a later batch, and AfterBatch fails", topics: []string{"a", "b"},
			config: func(e *env) {
				ones(e)
				e.cfg.KeepGoing = true
				e.cfg.AfterBatch = func(context.Context, mirror.Batch, *mirror.Report) error { return errStop }
			},
			inject:   []mirrortest.Fault{{Topic: "a", AfterApply: true, Do: mirrortest.Row(good("a") + "," + good("b"))}},
			scripted: true, outcomes: "AK", seen: 1, applied: "10", is: []error{errStop},
		},
		fault{
			name: "a row about a topic of a later batch, which then gets a 401", topics: []string{"a", "b"},
			config: func(e *env) { ones(e); e.cfg.KeepGoing = true },
			inject: []mirrortest.Fault{
				{Topic: "a", AfterApply: true, Do: mirrortest.Row(good("a") + "," + good("b"))},
				{Topic: "b", Do: mirrortest.Error(401, 40101, "x")},
			},
			scripted: true, outcomes: "AK", seen: 2, applied: "10", is: []error{mirror.ErrUnauthenticated},
		},
		fault{
			name: "a deadline shorter than the wait ends the run, KeepGoing", bubble: true, topics: five,
			config: func(e *env) {
				ones(e)
				e.cfg.KeepGoing = true
				e.cfg.BeforeBatch = func(_ context.Context, b mirror.Batch) error {
					require.Zero(e, b.Index, "no further batch")
					return nil
				}
			},
			inject: []mirrortest.Fault{{Do: mirrortest.WithHeader(mirrortest.RateLimited(), "Retry-After", "30")}},
			ctx: func(ctx context.Context, e *env) context.Context {
				ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
				e.Cleanup(cancel)
				return ctx
			},
			outcomes: "UUUUU", seen: 1, is: []error{mirror.ErrRateLimited},
		},
		fault{name: "a row about a topic of another batch, a dry run", dryRun: true, topics: []string{"a", "b"}, config: ones,
			inject:   []mirrortest.Fault{{Topic: "a", Do: mirrortest.Row(good("a") + "," + good("b"))}},
			scripted: true, outcomes: "AK", seen: 1},
		fault{name: "a credential ends its goroutine", topics: []string{"a"}, config: func(e *env) {
			var own *mirror.Report
			cfg := e.cfg
			cfg.Credential = func(context.Context, http.Header) error { runtime.Goexit(); return nil }
			cfg.AfterBatch = func(_ context.Context, _ mirror.Batch, r *mirror.Report) error { own = r; return nil }
			client := newClient(e.T, cfg)
			returned := false
			var all sync.WaitGroup
			all.Go(func() {
				_, _ = client.ReverseAndPause(context.Background(), "dr-link", mirror.Topics("a"))
				returned = true
			})
			all.Wait()
			require.False(e, returned, "the caller's goroutine ends as well")
			require.Equal(e, "a untouched", outcomes(own))
		}, outcomes: "A", seen: 1, applied: "1"},
	)
}

var errStop = errors.New("the operator pressed stop")

// failedRow is a row of a refusal.
func failedRow(topic string) string {
	return `{"mirror_topic_name":"` + topic + `","error_code":400,"error_message":"no"}`
}
