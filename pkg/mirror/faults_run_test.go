package mirror_test

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// Faults in a run of several batches, in several calls, and in what is retried.
func TestFaults_Run(t *testing.T) { runFaults(t, "run", append(faultsOfARun(), faultsOfDryRuns()...)) }

func faultsOfARun() []fault {
	lost := mirrortest.Cut(0)
	limited := func(seconds string) []mirrortest.Fault {
		return before(mirrortest.WithHeader(mirrortest.RateLimited(), "Retry-After", seconds))
	}
	// answeredAs is a Recorder that does something after the batch with the index.
	answeredAs := func(index int, f func(*env)) func(*env) {
		return func(e *env) {
			e.cfg.Recorder = hooks{answered: func(b mirror.Batch, _ *mirror.Report) error {
				if b.Index == index {
					f(e)
				}
				return nil
			}}
		}
	}
	cases := []fault{
		{
			name: "the answer to batch 2 of 5 is lost", setup: oneEach,
			inject:   []mirrortest.Fault{{Nth: 2, AfterApply: true, Do: lost}},
			outcomes: "accepted, unknown, 3 untouched", seen: 2, applied: "a b", says: "not sent: batch 2 of 5 ended the run",
		},
		{
			name: "a topic is missing from the answer to batch 2 of 5", setup: oneEach,
			inject:   []mirrortest.Fault{{Topic: "b", AfterApply: true, Do: mirrortest.LeaveOut()}},
			outcomes: "accepted, unknown, 3 untouched", seen: 2, applied: "a b",
		},
		{
			name: "batch 2 of 5 is refused as a whole", setup: oneEach,
			inject:   []mirrortest.Fault{{Nth: 2, Do: mirrortest.Error(403, 40301, "x")}},
			outcomes: "accepted, 4 untouched", seen: 2, applied: "a",
		},
		{
			name: "batch 2 of 5 is refused by row, which does not end the run", setup: all(oneEach, func(e *env) {
				e.pair.Local.SetStatus("b", mirror.StatusStopped)
			}),
			outcomes: "accepted, failed, 3 accepted", seen: 5, applied: "a c d e",
		},
		{
			name: "cancelled between batches", setup: all(oneEach, func(e *env) {
				ctx, cancel := context.WithCancelCause(e.ctx)
				e.ctx = ctx
				answeredAs(1, func(*env) { cancel(errStop) })(e)
			}),
			outcomes: "2 accepted, 3 untouched", seen: 2, applied: "a b", is: []error{context.Canceled, errStop},
			check: func(e *env) { require.NotErrorIs(e, e.err, mirror.ErrOutcomeUnknown) },
		},
		{
			name: "the deadline passes during batch 3 of 5", setup: all(oneEach, deadline(5*time.Second)),
			inject:   []mirrortest.Fault{{Nth: 3, AfterApply: true, Do: late(30 * time.Second)}},
			outcomes: "3 accepted, 2 untouched", seen: 3, applied: "a b c", is: []error{context.DeadlineExceeded},
		},
		{
			name: "the token expires between batches", setup: all(oneEach, func(e *env) {
				e.pair.Local.AcceptToken("first-token", "")
				tokens("first-token", "first-token", "first-token", "first-token", "second-token")(e)
			}, answeredAs(2, func(e *env) {
				e.pair.Local.RevokeToken("first-token")
				e.pair.Local.AcceptToken("second-token", "")
			})),
			outcomes: "5 accepted", seen: 6, applied: "a b c d e",
		},
		{
			name: "one client in 100 goroutines", loopback: true, outcomes: "accepted", seen: 1, applied: "a",
			setup: func(e *env) {
				var topics []mirrortest.Topic
				for i := range 100 {
					topics = append(topics, mirrortest.Topic{Name: fmt.Sprint("t", i)})
				}
				pair := mirrortest.NewPair(e.T, mirrortest.Options{Topics: topics})
				client := newClient(e.T, pair.Local.Config())
				var calls sync.WaitGroup
				for i := range 100 {
					calls.Go(func() {
						name := fmt.Sprint("t", i)
						report, err := client.ReverseAndPause(context.Background(), "dr-link", mirror.Topics(name, "nowhere"))
						if err == nil || outcomesOf(report) != "accepted, failed" || report.Results[0].Topic != name {
							e.Errorf("%s: %v", name, report)
						}
					})
				}
				calls.Wait()
				pair.Local.AssertSentOnce(e.T)
			},
		},
		{
			name: "two controllers do the same", setup: func(e *env) {
				other, err := newClient(e.T, e.cfg).ReverseAndPause(context.Background(), e.link, mirror.Topics("a", "b"))
				require.NoError(e, err)
				require.Equal(e, "2 accepted", outcomesOf(other))
			},
			outcomes: "2 failed", seen: 2, applied: "a b", says: "already stopped",
			check: func(e *env) { require.True(e, e.report.Results[0].AlreadyStopped()) },
		},
		{
			name: "a recorder panics", outcomes: "accepted", seen: 1, applied: "a", setup: func(e *env) {
				pair := mirrortest.NewPair(e.T, mirrortest.Options{InMemory: true})
				cfg := pair.Local.Config()
				var file []string
				cfg.BatchSize = 1
				cfg.Recorder = hooks{
					sending:  func(b mirror.Batch) error { file = append(file, b.Topics...); return nil },
					answered: func(mirror.Batch, *mirror.Report) error { panic("boom") },
				}
				client := newClient(e.T, cfg)
				require.PanicsWithValue(e, "boom", func() {
					_, _ = client.ReverseAndPause(context.Background(), "dr-link", mirror.Topics("topic-1", "topic-2"))
				})
				require.Equal(e, []string{"topic-1"}, file, "what was sent is written down, and nothing else was sent")
				require.Zero(e, pair.Local.Applied("topic-2"))
			},
		},
		{
			name: "a recorder fails after a batch", setup: all(oneEach, func(e *env) {
				e.cfg.Recorder = hooks{answered: func(mirror.Batch, *mirror.Report) error { return errVault }}
			}),
			outcomes: "accepted, 2 untouched", seen: 1, applied: "a", is: []error{errVault},
			says: "the recorder failed after batch 1 of 3: the vault is sealed",
		},
		{
			name: "a recorder fails after the last batch", setup: func(e *env) {
				e.cfg.Recorder = hooks{answered: func(mirror.Batch, *mirror.Report) error { return errVault }}
			},
			outcomes: "2 accepted", seen: 1, applied: "a b", is: []error{errVault},
		},
		{
			name: "a recorder gets a context that has not ended", setup: all(oneEach, func(e *env) {
				ctx, cancel := context.WithCancel(e.ctx)
				e.ctx = ctx
				e.cfg.Recorder = cancelling{cancel, e}
			}),
			outcomes: "accepted, untouched", seen: 1, applied: "a", is: []error{context.Canceled},
		},
		{
			name: "a credential panics", outcomes: "accepted", seen: 1, applied: "a", setup: func(e *env) {
				cfg := e.cfg
				cfg.Credential = func(context.Context, http.Header) error { panic("boom") }
				client := newClient(e.T, cfg)
				require.PanicsWithValue(e, "boom", func() {
					_, _ = client.ReverseAndPause(context.Background(), "dr-link", mirror.Topics("a"))
				})
			},
		},
		{
			name: "a credential ends its goroutine", outcomes: "accepted", seen: 1, applied: "a", setup: func(e *env) {
				cfg := e.cfg
				cfg.Credential = func(context.Context, http.Header) error { runtime.Goexit(); return nil }
				client := newClient(e.T, cfg)
				returned := false
				var caller sync.WaitGroup
				caller.Go(func() {
					_, _ = client.ReverseAndPause(context.Background(), "dr-link", mirror.Topics("a"))
					returned = true
				})
				caller.Wait()
				require.False(e, returned, "the caller's goroutine ends as well")
			},
		},
		{
			name: "the deadline is before the end of the wait that the server asks for", inject: limited("30"),
			setup:    all(oneEach, deadline(10*time.Second)),
			outcomes: "3 untouched", seen: 1, is: []error{mirror.ErrRateLimited, context.DeadlineExceeded}, check: took(0),
		},
		{
			name: "cancelled during the wait that the server asks for", inject: limited("30"),
			setup:    cancelled(10*time.Second, errStop),
			outcomes: "2 untouched", seen: 1, is: []error{mirror.ErrRateLimited, context.Canceled, errStop},
			check: took(10 * time.Second),
		},
		{
			name: "cancelled during the pause after a rejection", inject: before(mirrortest.RateLimited()),
			setup:    cancelled(500*time.Millisecond, errStop),
			outcomes: "2 untouched", seen: 1, is: []error{mirror.ErrRateLimited, context.Canceled, errStop},
			check: took(500 * time.Millisecond),
		},
		{
			name: "cancelled during another call's pause, before anything was sent", outcomes: "2 untouched", seen: 1,
			setup: func(e *env) {
				e.pair.Local.Inject(mirrortest.Fault{
					Reads: true, Do: mirrortest.WithHeader(mirrortest.RateLimited(), "Retry-After", "30"),
				})
				client := newClient(e.T, e.cfg)
				other, end := context.WithCancel(context.Background())
				go func() { _, _ = client.Mirrors(other, e.link) }()
				time.Sleep(time.Second)
				end()
				ctx, cancel := context.WithCancelCause(e.ctx)
				time.AfterFunc(10*time.Second, func() { cancel(errStop) })
				report, err := client.ReverseAndPause(ctx, e.link, mirror.Topics("a", "b"))
				require.Equal(e, "2 untouched", outcomesOf(report))
				require.ErrorIs(e, err, errStop)
				require.ErrorIs(e, err, context.Canceled)
				require.Empty(e, report.Attempts)
				e.ctx = ctx // the call of the case finds it ended
			},
			is: []error{context.Canceled, errStop},
		},
		{
			name: "the context's cause is the error of another call", setup: func(e *env) {
				ctx, cancel := context.WithCancelCause(e.ctx)
				cancel(fmt.Errorf("the other call: %w", &mirror.APIError{Status: 401}))
				e.ctx = ctx
			},
			outcomes: "2 untouched", is: []error{context.Canceled},
			check: func(e *env) { require.NotErrorIs(e, e.report.Err(), mirror.ErrUnauthenticated) },
		},
	}
	for _, size := range []int{1, 3, 19, 20, math.MaxInt} {
		cases = append(cases, fault{
			name:     fmt.Sprintf("ten topics in batches of %d", size),
			setup:    func(e *env) { e.cfg.BatchSize, e.cfg.RetryFor = size, math.MaxInt64 },
			outcomes: "10 accepted", seen: (10-1)/min(size, 10) + 1, applied: "a b c d e f g h i j",
		})
	}
	// A row about a topic of another batch is unexpected, and that topic is as its own batch says.
	for name, row := range map[string]string{"accepted": good("b"), "refused": refused("b"), "undecided": `{"mirror_topic_name":"b"}`} {
		cases = append(cases, fault{
			name: "a row about a topic of a later batch, " + name, setup: oneEach,
			inject:   []mirrortest.Fault{{Topic: "a", AfterApply: true, Do: ok(rows(good("a"), row))}},
			outcomes: "3 accepted", seen: 3, applied: "a b c", says: `the first about "b": this topic was not asked for`,
			check: func(e *env) { require.Len(e, e.report.Unexpected, 1) },
		}, fault{
			name: "a row about a topic of an earlier batch, " + name, setup: oneEach,
			inject:   []mirrortest.Fault{{Topic: "c", AfterApply: true, Do: ok(rows(good("c"), row))}},
			outcomes: "3 accepted", seen: 3, applied: "a b c", says: `the first about "b": this topic was not asked for`,
		})
	}
	return cases
}

// cancelling is a recorder that cancels the call before a batch is answered.
type cancelling struct {
	cancel context.CancelFunc
	e      *env
}

func (c cancelling) Sending(context.Context, mirror.Batch) error { return nil }

func (c cancelling) Answered(ctx context.Context, _ mirror.Batch, r *mirror.Report) error {
	c.cancel()
	require.NoError(c.e, ctx.Err())
	_, bounded := ctx.Deadline()
	require.True(c.e, bounded)
	r.Results[0].Topic = "changed" // the report is the recorder's own
	return nil
}

// A dry run changes nothing, so it is sent again whatever happened, three times in all.
func faultsOfDryRuns() []fault {
	retriable := mirrortest.Error(500, 50003, "x")
	cases := []fault{
		{
			name: "5xx twice", inject: append(before(retriable), before(mirrortest.Error(503, 503, "x"))...),
			outcomes: "2 accepted", seen: 3,
		},
		{name: "5xx without end", inject: always(retriable), outcomes: "2 unknown", seen: 3},
		{
			name: "lost answers", inject: append(before(mirrortest.Cut(0)), before(mirrortest.Cut(400))...),
			outcomes: "2 accepted", seen: 3,
		},
		{
			name: "an answer that never comes", inject: before(silent()),
			setup:    func(e *env) { e.cfg.Timeout = 10 * time.Second },
			outcomes: "2 accepted", seen: 2,
		},
		{
			name:   "a 429 of the limiter, and one with an error_code",
			inject: append(before(mirrortest.RateLimited()), before(mirrortest.Error(429, 42901, "x"))...), outcomes: "2 accepted", seen: 3,
		},
		{name: "408", inject: before(mirrortest.Error(408, 408, "x")), outcomes: "2 accepted", seen: 2},
		{name: "409, which would be the same again", inject: before(mirrortest.Error(409, 409, "x")), outcomes: "2 unknown", seen: 1},
		{name: "403", inject: before(mirrortest.Error(403, 40301, "x")), outcomes: "2 untouched", seen: 1},
		{name: "the limiter without end", inject: always(mirrortest.RateLimited()), outcomes: "2 untouched", seen: many},
		{
			name: "a row about a topic of another batch", setup: oneEach,
			inject:   []mirrortest.Fault{{Topic: "a", Do: ok(rows(good("a"), good("b")))}},
			outcomes: "2 accepted", seen: 2, says: `the first about "b"`,
		},
	}
	for i, f := range cases {
		cases[i].name, cases[i].setup = "dry run: "+f.name, dryRun
		if f.setup != nil {
			cases[i].setup = all(dryRun, f.setup)
		}
	}
	return cases
}
