package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func TestNilError_APatternNeedsARow(t *testing.T) {
	one := good("orders.eu")
	for _, c := range []struct {
		name, body string
		is         error
		lost       bool
	}{
		{"one row", rows(one), nil, false},
		{"no rows", rows(), mirror.ErrNoTopics, false},
		{"next set", `{"metadata":{"next":"p2"},"data":[` + one + `]}`, mirror.ErrOutcomeUnknown, true},
		{"cut off", strings.TrimSuffix(rows(one), "]}"), mirror.ErrOutcomeUnknown, true},
		{"a row without a name", rows(one, "{}"), mirror.ErrOutcomeUnknown, true},
		{"a row with a name that no topic can have", rows(one, good("a b")), mirror.ErrOutcomeUnknown, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := newClient(t, offline(answering(c.body)))
			report, err := client.ReverseAndPause(t.Context(), "link", mirror.Prefix("orders."))
			require.ErrorIs(t, err, c.is)
			require.Equal(t, c.lost, report.Lost)
			require.Equal(t, c.lost, errors.Is(err, mirror.ErrOutcomeUnknown))
			require.Equal(t, c.lost, report.Remaining("orders.us") == nil, "after a lost call any of them may have been changed")
			dry, err := client.Validate(t.Context(), mirror.VerbReverseAndPause, "link", mirror.Prefix("orders."))
			require.Equal(t, c.is != nil, err != nil)
			require.False(t, dry.Lost, "a dry run changes nothing")
		})
	}
}

// What stands beside the rows makes the error not nil, and changes no outcome.
func TestNilError_AnErrorBesideAcceptedRowsStays(t *testing.T) {
	for name, body := range map[string]string{
		"next":     `{"metadata":{"next":"p"},"data":[` + good("a") + `]}`,
		"bytes":    rows(good("a")) + "x",
		"stranger": rows(good("a"), good("z")),
		"errors":   `{"errors":[{"code":"50002"}],"data":[` + good("a") + `]}`,
	} {
		report, err := reverse(t, newClient(t, offline(answering(body))), "a")
		require.Error(t, err, name)
		require.Equal(t, "a accepted", outcomes(report))
		require.Error(t, readBack(t, report).Err(), name)
		require.NotErrorIs(t, err, mirror.ErrOutcomeUnknown)
	}
}

func TestNilError_NothingSelectedIsNeverSuccess(t *testing.T) {
	sent := 0
	client := newClient(t, offline(roundTripper(func(r *http.Request) (*http.Response, error) {
		sent++
		return answering(rows()).RoundTrip(r)
	})))
	for name, s := range map[string]mirror.Selection{
		"zero selection": {}, "no names": mirror.Topics(), "no prefix": mirror.Prefix(), "no suffix": mirror.Suffix(),
	} {
		report, err := client.ReverseAndPause(t.Context(), "link", s)
		require.ErrorIs(t, err, mirror.ErrNoTopics, name)
		require.ErrorIs(t, err, mirror.ErrInvalidArgument, name)
		require.NotErrorIs(t, err, mirror.ErrOutcomeUnknown, name)
		require.NotNil(t, report)
	}
	require.Zero(t, sent)
	_, err := client.ReverseAndPause(t.Context(), "link", mirror.All())
	require.ErrorIs(t, err, mirror.ErrNoTopics)
	require.NotErrorIs(t, err, mirror.ErrInvalidArgument)
}

func TestNeverNilReport_BadArgumentsLeaveEveryNameUntouched(t *testing.T) {
	client := newClient(t, offline(answering(rows(good("a")))))
	report, err := client.ReverseAndPause(t.Context(), "..", mirror.Topics("a", "b!", "a", ""))
	require.ErrorIs(t, err, mirror.ErrInvalidArgument)
	require.Equal(t, "a untouched, b! untouched,  untouched", outcomes(report), "each distinct name once")
	require.Len(t, causes(err), 1, "a cause that all share is there once")
	require.Empty(t, report.Attempts)
	for _, c := range []*mirror.Client{nil, {}} {
		report, err := c.ReverseAndPause(t.Context(), "", mirror.Topics("a"))
		require.ErrorIs(t, err, mirror.ErrInvalidArgument)
		require.ErrorContains(t, err, "Client: it was not made by NewClient; link: it is empty")
		require.Equal(t, "a untouched", outcomes(report))
	}
}

func TestOneOutcome_TopicsInTheOrderAskedAndStrangersApart(t *testing.T) {
	cfg := offline(answering(rows(good("c"), good("x"), good("a"), good("A"), good("b "), `{"error_code":7}`)))
	report, err := reverse(t, newClient(t, cfg), "a", "b", "c")
	require.Error(t, err)
	require.Equal(t, "a accepted, b unknown, c accepted", outcomes(report))
	var apart []string
	for _, u := range report.Unexpected {
		require.Len(t, u.Notes, 1)
		require.Nil(t, u.Lags)
		apart = append(apart, u.Topic+" "+u.Outcome.String())
	}
	require.Equal(t, []string{"x accepted", "A accepted", "b  accepted", " failed"}, apart)
}

func TestBounded_StrangersAreCountedBeyondWhatIsKept(t *testing.T) {
	body := rows(append(slices.Repeat([]string{"{}"}, 1500), good("a"))...)
	report, err := reverse(t, newClient(t, offline(answering(body))), "a")
	require.ErrorContains(t, err, "1500 unexpected rows")
	require.Len(t, report.Unexpected, 1000)
	require.Equal(t, "a accepted", outcomes(report))

	cfg := offline(answering(body))
	cfg.BatchSize = 1
	report, err = newClient(t, cfg).Pause(t.Context(), "link", mirror.Topics("a", "b"))
	require.Error(t, err)
	require.Len(t, report.Unexpected, 1000, "of all batches together")
}

func TestOneOutcome_APatternsRowsAreItsTopics(t *testing.T) {
	ask := func(s mirror.Selection, body string) (*mirror.Report, error) {
		return newClient(t, offline(answering(body))).ReverseAndPause(t.Context(), "link", s)
	}
	report, err := ask(mirror.Prefix("p."), rows(good("p.1"), good("p.2"), good("p.1"), good("q.1")))
	require.Error(t, err)
	require.Equal(t, "p.1 accepted, p.2 accepted", outcomes(report))
	require.Equal(t, "q.1", report.Unexpected[0].Topic)
	require.False(t, report.Lost)

	report, err = ask(mirror.Prefix("p."), `{"data":[`+good("p.1")+`,`+failed("p.2", "400", "no")+`,{"mirror`)
	require.ErrorIs(t, err, mirror.ErrOutcomeUnknown)
	require.Equal(t, "p.1 accepted, p.2 failed", outcomes(report), "the rows before the cut stand")
	require.True(t, report.Lost)

	w := serve(t, mirrortest.Error(400, 400, "bad pattern"))
	report, err = w.client(t).ReverseAndPause(t.Context(), "link", mirror.Pattern("(?<a>o).*"))
	require.ErrorContains(t, err, "bad pattern")
	require.NotErrorIs(t, err, mirror.ErrOutcomeUnknown)
	require.NotErrorIs(t, err, mirror.ErrNoTopics)
	require.Empty(t, report.Results)
	require.False(t, report.Lost, "a pattern that is refused touches nothing")

	report, err = serve(t, mirrortest.Cut(0)).client(t).ReverseAndPause(t.Context(), "link", mirror.All())
	require.ErrorIs(t, err, mirror.ErrOutcomeUnknown)
	require.True(t, report.Lost)
	require.ErrorIs(t, readBack(t, report).Err(), mirror.ErrOutcomeUnknown)
}

func TestOneOutcome_RowsThatDisagreeAreUnknown(t *testing.T) {
	cfg := offline(answering(rows(
		good("same"), good("same"), failed("words", "400", "x"), failed("words", "400", "y"),
		good("clash"), failed("clash", "400", "x"), good("clash"),
		failed("late", "400", "x"), failed("late", "400", "y"), good("late"),
	)))
	report, err := reverse(t, newClient(t, cfg), "same", "words", "clash", "late")
	require.ErrorIs(t, err, mirror.ErrOutcomeUnknown)
	require.Equal(t, "same accepted, words failed, clash unknown, late unknown", outcomes(report))
	for i, notes := range []int{1, 3, 3, 4} { // that there are several, and what each of them says
		require.Len(t, report.Results[i].Notes, notes, report.Results[i].Notes)
	}
	require.Contains(t, report.Results[2].Notes, "a row says failed, 400: x")
	require.Contains(t, report.Results[2].Notes, "a row says accepted")

	many := slices.Repeat([]string{good("a")}, 50)
	for i := range many {
		many[i] = failed("a", "400", fmt.Sprint("no ", i))
	}
	report, _ = reverse(t, newClient(t, offline(answering(rows(many...)))), "a")
	require.LessOrEqual(t, len(report.Results[0].Notes), 11)
}

func TestUntouchedIsProof_NothingWasSent(t *testing.T) {
	denied := errors.New("vault is sealed")
	w := serve(t, ok(rows(good("a"))))
	done, cancel := context.WithCancelCause(t.Context())
	cancel(denied)
	for _, c := range []struct {
		name string
		ctx  context.Context
		edit func(*mirror.Config)
		is   error
	}{
		{"context ended", done, func(*mirror.Config) {}, context.Canceled},
		{"cause of the context", done, func(*mirror.Config) {}, denied},
		{"the credential fails", t.Context(), func(c *mirror.Config) {
			c.Credential = func(context.Context, http.Header) error { return denied }
		}, denied},
		{"the transport fails before it reads the body", t.Context(), func(c *mirror.Config) {
			c.Transport = roundTripper(func(*http.Request) (*http.Response, error) { return nil, denied })
		}, denied},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := w.config()
			c.edit(&cfg)
			report, err := newClient(t, cfg).ReverseAndPause(c.ctx, "link", mirror.Topics("a"))
			requireSound(t, report, err, []string{"a"})
			require.Equal(t, "a untouched", outcomes(report))
			require.ErrorIs(t, err, c.is)
			require.Empty(t, report.Results[0].Sends)
			require.Empty(t, w.Requests())
		})
	}
}

// taken fails after it took the request's body: the outcome is unknown.
func taken(err error) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		_, _ = io.Copy(io.Discard, r.Body)
		return nil, err
	})
}

func abc(t *testing.T, o mirrortest.Options) (*mirrortest.Pair, mirror.Config) {
	o.InMemory = true
	o.Topics = []mirrortest.Topic{{Name: "a"}, {Name: "b"}, {Name: "c"}}
	pair := mirrortest.NewPair(t, o)
	cfg := pair.Local.Config()
	cfg.BatchSize, cfg.RetryFor = 1, -1
	return pair, cfg
}

func TestARunEndsAtABatchThatWasRefusedOrIsUnknown(t *testing.T) {
	for name, c := range map[string]struct {
		fault mirrortest.Fault
		want  string
		sent  int
	}{
		"refused":        {mirrortest.Fault{Nth: 2, Do: mirrortest.Error(404, 404, "no link")}, "a accepted, b untouched, c untouched", 2},
		"rejected":       {mirrortest.Fault{Nth: 2, Do: mirrortest.RateLimited()}, "a accepted, b untouched, c untouched", 2},
		"lost":           {mirrortest.Fault{Nth: 2, Do: mirrortest.Cut(0)}, "a accepted, b unknown, c untouched", 2},
		"5xx":            {mirrortest.Fault{Nth: 2, Do: mirrortest.Error(503, 50003, "x")}, "a accepted, b unknown, c untouched", 2},
		"a row left out": {mirrortest.Fault{Topic: "b", Do: mirrortest.LeaveOut()}, "a accepted, b unknown, c untouched", 2},
		"a row not legible": {mirrortest.Fault{Topic: "b", Do: mirrortest.Row(`{"mirror_topic_name":"b"}`)},
			"a accepted, b unknown, c untouched", 2},
		"a row refused": {mirrortest.Fault{Topic: "b", Do: mirrortest.Refuse(400, "no")}, "a accepted, b failed, c accepted", 3},
		"a stranger's row": {mirrortest.Fault{Topic: "b", Do: mirrortest.Row(good("b") + "," + good("z"))},
			"a accepted, b accepted, c accepted", 3},
		"a row of another batch": {mirrortest.Fault{Topic: "b", Do: mirrortest.Row(good("b") + "," + failed("c", "400", "no"))},
			"a accepted, b accepted, c accepted", 3},
	} {
		t.Run(name, func(t *testing.T) {
			pair, cfg := abc(t, mirrortest.Options{})
			pair.Local.Inject(c.fault)
			report, err := reverseOn(t, newClient(t, cfg), pair.Link(), "a", "b", "c")
			require.Error(t, err)
			require.Equal(t, c.want, outcomes(report))
			require.Len(t, pair.Requests(), c.sent)
			require.Len(t, report.Attempts, c.sent)
			pair.Local.AssertSentOnce(t)
			if report.Count(mirror.Untouched) > 0 {
				require.Contains(t, report.Results[2].Why, "batch 2 of 3 ended the run")
			}
		})
	}
}

// Topics that were refused by row are not sent again when a job is taken up.
func TestARunIsTakenUpWithWhatRemains(t *testing.T) {
	pair, cfg := abc(t, mirrortest.Options{})
	pair.Local.Inject(mirrortest.Fault{Topic: "a", Do: mirrortest.Refuse(400, "no")})
	pair.Local.Inject(mirrortest.Fault{Topic: "b", Do: mirrortest.Error(404, 404, "no link")})
	client := newClient(t, cfg)
	report, err := reverseOn(t, client, pair.Link(), "a", "b", "c")
	require.Error(t, err)
	require.Equal(t, []string{"b", "c", "d"}, report.Remaining("a", "b", "c", "d"))
	next, err := reverseOn(t, client, pair.Link(), report.Remaining("a", "b", "c")...)
	require.NoError(t, err)
	require.NoError(t, report.Merge(next))
	require.Equal(t, "a failed, b accepted, c accepted", outcomes(report))
	require.Empty(t, report.Remaining("a", "b", "c"))
	pair.Local.AssertReport(t, report)
	pair.Local.AssertSentOnce(t)
}

func TestBounded_BatchSizes(t *testing.T) {
	names := manyTopics(20)
	var o mirrortest.Options
	o.InMemory = true
	for _, name := range names {
		o.Topics = append(o.Topics, mirrortest.Topic{Name: name, Partitions: []mirrortest.Partition{}})
	}
	for size, batches := range map[int]int{math.MaxInt: 1, 1: 20, 19: 2, 20: 1, 21: 1, 0: 1} {
		pair := mirrortest.NewPair(t, o)
		cfg := pair.Local.Config()
		cfg.BatchSize, cfg.RetryFor = size, math.MaxInt64
		report, err := reverseOn(t, newClient(t, cfg), pair.Link(), names...)
		require.NoError(t, err)
		require.Len(t, report.Attempts, batches)
		require.Equal(t, 20, report.Count(mirror.Accepted))
	}
}

// Attempts are known by run, batch and number, and say when they were made by both clocks.
func TestAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair, cfg := abc(t, mirrortest.Options{Clocks: [2]time.Duration{time.Hour, 0}, Latency: [2]time.Duration{time.Second, 2 * time.Second}})
		cfg.BatchSize, cfg.RetryFor = 2, time.Minute
		pair.Local.Inject(mirrortest.Fault{Nth: 2, Do: mirrortest.RateLimited()})
		start := time.Now()
		report, err := reverseOn(t, newClient(t, cfg), pair.Link(), "a", "b", "c")
		require.NoError(t, err)
		var ids []string
		for _, a := range report.Attempts {
			require.Equal(t, report.Attempts[0].Run, a.Run)
			require.NotEmpty(t, a.Run)
			require.GreaterOrEqual(t, a.Duration, time.Second)
			require.False(t, a.Start.Before(start))
			require.InDelta(t, time.Hour, a.Date.Sub(a.Start), float64(4*time.Second))
			ids = append(ids, fmt.Sprintf("batch %d, number %d: %d topics, %d %v", a.Batch, a.Number, a.Topics, a.HTTPStatus, a.RateLimited))
		}
		require.Equal(t, []string{
			"batch 0, number 1: 2 topics, 200 false", "batch 1, number 1: 1 topics, 429 true",
			"batch 1, number 2: 1 topics, 200 false",
		}, ids)
		for _, res := range report.Results {
			require.Len(t, res.Sends, 1, "one request of each run is a send, however many attempts it took")
			require.Equal(t, report.Attempts[0].Run, res.Sends[0].Run)
		}
	})
}

func TestWhySaysHowOftenAndForHowLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair, cfg := abc(t, mirrortest.Options{})
		pair.Local.Inject(mirrortest.Fault{Every: true, Do: mirrortest.RateLimited()})
		cfg.RetryFor = 20 * time.Second
		report, err := reverseOn(t, newClient(t, cfg), pair.Link(), "a", "b")
		require.ErrorIs(t, err, mirror.ErrRateLimited)
		require.Regexp(t, `\(\d+ attempts in (1\d|20)s\)`, report.Results[0].Why)
		require.Len(t, pair.Requests(), len(report.Attempts))
	})
}

// When ctx ends, no further batch is sent, and errors.Is finds the context's error and its cause.
func TestContexts_NoFurtherBatch(t *testing.T) {
	why := errors.New("the maintenance window is over")
	pair, cfg := abc(t, mirrortest.Options{})
	ctx, cancel := context.WithCancelCause(t.Context())
	begun := 0
	cfg.Recorder = recorder{
		sending: func(context.Context, mirror.Batch) error { begun++; return nil },
		answered: func(_ context.Context, b mirror.Batch, _ *mirror.Report) error {
			if b.Index == 1 {
				cancel(why)
			}
			return nil
		},
	}
	report, err := newClient(t, cfg).ReverseAndPause(ctx, pair.Link(), mirror.Topics("a", "b", "c"))
	requireSound(t, report, err, []string{"a", "b", "c"})
	require.Equal(t, "a accepted, b accepted, c untouched", outcomes(report))
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, why)
	require.Contains(t, report.Results[2].Why, why.Error())
	require.Len(t, pair.Requests(), 2)
	require.Equal(t, 2, begun, "no recorder is told of a batch that is not begun")
}

// A request that has begun gets its answer, past ctx's end; if all are accepted then, the error is nil.
func TestContexts_ABegunRequestGetsItsAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		size int
		want string
	}{
		"the last batch": {3, "a accepted, b accepted, c accepted"}, "not the last": {2, "a accepted, b accepted, c untouched"},
	} {
		synctest.Test(t, func(t *testing.T) {
			pair, cfg := abc(t, mirrortest.Options{Latency: [2]time.Duration{20 * time.Second, 20 * time.Second}})
			cfg.BatchSize = c.size
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			report, err := newClient(t, cfg).ReverseAndPause(ctx, pair.Link(), mirror.Topics("a", "b", "c"))
			requireSound(t, report, err, []string{"a", "b", "c"})
			require.Equal(t, c.want, outcomes(report), name)
			require.Equal(t, c.size == 2, errors.Is(err, context.DeadlineExceeded))
			start := time.Now()
			_, err = newClient(t, cfg).Validate(ctx, mirror.VerbPromote, pair.Link(), mirror.Topics("a"))
			require.ErrorIs(t, err, context.DeadlineExceeded, "a dry run ends at once")
			require.Zero(t, time.Since(start))
		})
	}
}

// recorder is a Recorder of functions; one that is nil does nothing.
type recorder struct {
	sending  func(context.Context, mirror.Batch) error
	answered func(context.Context, mirror.Batch, *mirror.Report) error
}

func (r recorder) Sending(ctx context.Context, b mirror.Batch) error {
	if r.sending == nil {
		return nil
	}
	return r.sending(ctx, b)
}

func (r recorder) Answered(ctx context.Context, b mirror.Batch, report *mirror.Report) error {
	if r.answered == nil {
		return nil
	}
	return r.answered(ctx, b, report)
}

func TestRecorder_IsToldOfEachBatchOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair, cfg := abc(t, mirrortest.Options{})
		pair.Local.Inject(mirrortest.Fault{Nth: 1, Do: mirrortest.RateLimited()})
		pair.Local.Inject(mirrortest.Fault{Nth: 1, Do: mirrortest.RateLimited()})
		cfg.BatchSize, cfg.RetryFor = 2, time.Minute
		var told []string
		cfg.Recorder = recorder{
			func(ctx context.Context, b mirror.Batch) error {
				require.NoError(t, ctx.Err())
				require.Equal(t, mirror.Batch{
					ClusterID: "lkc-local", Link: "dr-link", Verb: mirror.VerbFailover, Run: b.Run, Index: b.Index, Of: 2, Topics: b.Topics,
				}, b)
				require.NotEmpty(t, b.Run)
				told = append(told, fmt.Sprint("sending ", b.Index, b.Topics, len(pair.Requests())))
				return nil
			},
			func(ctx context.Context, b mirror.Batch, r *mirror.Report) error {
				require.NoError(t, ctx.Err())
				require.NoError(t, r.Err())
				require.Equal(t, b.Topics, r.Topics(mirror.Accepted))
				require.Equal(t, []string{b.ClusterID, b.Link, string(b.Verb)}, []string{r.ClusterID, r.Link, string(r.Verb)})
				for i, a := range r.Attempts {
					require.Equal(t, mirror.Attempt{
						Run: b.Run, Batch: b.Index, Number: i + 1, Topics: len(b.Topics), HTTPStatus: a.HTTPStatus, Start: a.Start,
						Duration: a.Duration, Date: a.Date, Message: a.Message, RateLimited: a.HTTPStatus == 429, Error: a.Error,
					}, a)
				}
				told = append(told, fmt.Sprint("answered ", b.Index, len(r.Attempts)))
				return nil
			},
		}
		client := newClient(t, cfg)
		_, err := client.Validate(t.Context(), mirror.VerbFailover, pair.Link(), mirror.Topics("a"))
		require.NoError(t, err)
		require.Empty(t, told, "dry runs are not recorded")
		require.Len(t, pair.Requests(), 3)
		pair.Local.Inject(mirrortest.Fault{Nth: 1, Do: mirrortest.RateLimited()})
		_, err = client.Failover(t.Context(), pair.Link(), mirror.Topics("a", "b", "c"))
		require.NoError(t, err)
		require.Equal(t, []string{"sending 0 [a b] 3", "answered 0 2", "sending 1 [c] 5", "answered 1 1"}, told)
	})
}

// The context that Answered gets has not ended, and it ends.
func TestRecorder_AnsweredHasALiveContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair, cfg := abc(t, mirrortest.Options{})
		cfg.Timeout = 10 * time.Second
		type key struct{}
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "v"))
		cfg.Recorder = recorder{
			sending: func(context.Context, mirror.Batch) error { cancel(); return nil },
			answered: func(ctx context.Context, _ mirror.Batch, _ *mirror.Report) error {
				require.NoError(t, ctx.Err())
				require.Equal(t, "v", ctx.Value(key{}))
				start := time.Now()
				<-ctx.Done()
				require.Equal(t, 10*time.Second, time.Since(start))
				return ctx.Err()
			},
		}
		report, err := newClient(t, cfg).Pause(ctx, pair.Link(), mirror.Topics("a", "b"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, "a untouched, b untouched", outcomes(report))
	})
}

// Of several recorders the one that was added last is the innermost; the report is each one's own.
func TestRecorder_SeveralAreNested(t *testing.T) {
	pair, cfg := abc(t, mirrortest.Options{})
	cfg.BatchSize = 3
	var told []string
	named := func(name string) recorder {
		return recorder{
			func(_ context.Context, b mirror.Batch) error {
				told = append(told, name+" sending "+strings.Join(b.Topics, ""))
				clear(b.Topics)
				return nil
			},
			func(_ context.Context, _ mirror.Batch, r *mirror.Report) error {
				told = append(told, name+" answered "+strings.Join(r.Topics(mirror.Accepted), ""))
				clear(r.Results[0].Lags)
				clear(r.Results[0].Sends)
				clear(r.Results)
				clear(r.Attempts)
				return nil
			},
		}
	}
	cfg.Recorder = named("outer")
	base := newClient(t, cfg)
	middle := base.WithRecorder(named("middle"))
	inner := middle.WithRecorder(named("inner"))
	middle.WithRecorder(named("another")) // changes none of the others
	require.Same(t, inner, inner.WithRecorder(nil))
	report, err := reverseOn(t, inner, pair.Link(), "a", "b", "c")
	require.NoError(t, err)
	require.Equal(t, []string{
		"outer sending abc", "middle sending abc", "inner sending abc",
		"inner answered abc", "middle answered abc", "outer answered abc",
	}, told)
	require.Len(t, report.Attempts, 1)
	require.Equal(t, report.Attempts[0].Run, report.Results[0].Sends[0].Run)
	require.NotEmpty(t, report.Results[0].Lags)

	told = nil
	_, err = base.Promote(t.Context(), pair.Link(), mirror.Topics("a"))
	require.Error(t, err)
	require.Len(t, told, 2, "the first client has but its own")
}

// Nothing is sent that is not written down: an error of Sending leaves its batch Untouched and ends the run.
func TestNothingIsSentThatIsNotWrittenDown_SendingFails(t *testing.T) {
	full := errors.New("disk full")
	for _, inner := range []bool{false, true} {
		pair, cfg := abc(t, mirrortest.Options{})
		answered := 0
		count := recorder{answered: func(_ context.Context, b mirror.Batch, r *mirror.Report) error {
			answered++
			if b.Index == 1 {
				require.Equal(t, "b untouched", outcomes(r))
			}
			return nil
		}}
		fails := recorder{sending: func(_ context.Context, b mirror.Batch) error {
			if b.Index == 1 {
				return full
			}
			return nil
		}, answered: count.answered}
		client := newClient(t, cfg).WithRecorder(fails)
		if inner {
			client = newClient(t, cfg).WithRecorder(count).WithRecorder(fails)
		}
		report, err := reverseOn(t, client, pair.Link(), "a", "b", "c")
		require.ErrorIs(t, err, full)
		require.Equal(t, "a accepted, b untouched, c untouched", outcomes(report))
		require.Len(t, pair.Requests(), 1)
		require.Equal(t, map[bool]int{false: 1, true: 3}[inner], answered,
			"Answered is called of the recorders whose Sending let the batch through")
		require.ErrorContains(t, readBack(t, report).Err(), "disk full")
	}
}

func TestNothingIsSentThatIsNotWrittenDown_AnsweredFails(t *testing.T) {
	full := errors.New("disk full")
	for last, want := range map[int]string{1: "a accepted, b accepted, c untouched", 2: "a accepted, b accepted, c accepted"} {
		pair, cfg := abc(t, mirrortest.Options{})
		cfg.Recorder = recorder{answered: func(_ context.Context, b mirror.Batch, _ *mirror.Report) error {
			if b.Index == last {
				return full
			}
			return nil
		}}
		report, err := newClient(t, cfg).ReverseAndPause(t.Context(), pair.Link(), mirror.Topics("a", "b", "c"))
		require.ErrorIs(t, err, full)
		require.Equal(t, want, outcomes(report))
		require.NotEmpty(t, report.Problems)
		require.ErrorContains(t, readBack(t, report).Err(), "disk full", "an error of the run stays one")
	}
}

// A panic of a recorder, a credential or a transport comes through to the caller.
func TestRecorder_PanicsPropagate(t *testing.T) {
	for name, edit := range map[string]func(*mirror.Config){
		"Sending": func(c *mirror.Config) {
			c.Recorder = recorder{sending: func(context.Context, mirror.Batch) error { panic("oh") }}
		},
		"Answered": func(c *mirror.Config) {
			c.Recorder = recorder{answered: func(context.Context, mirror.Batch, *mirror.Report) error { panic("oh") }}
		},
		"Credential": func(c *mirror.Config) { c.Credential = func(context.Context, http.Header) error { panic("oh") } },
		"Transport": func(c *mirror.Config) {
			c.Transport = roundTripper(func(*http.Request) (*http.Response, error) { panic("oh") })
		},
	} {
		cfg := offline(answering(rows(good("a"))))
		edit(&cfg)
		client := newClient(t, cfg)
		require.PanicsWithValue(t, "oh", func() { _, _ = client.Pause(t.Context(), "link", mirror.Topics("a")) }, name)
	}
}

// The recorder's report has the batch's own verdict, whatever the rows say.
func TestRecorder_ItsReportHasTheVerdict(t *testing.T) {
	for name, body := range map[string]string{
		"cut": `{"data":[` + good("a") + `,`, "bytes after its end": rows(good("a")) + "x",
		"next": `{"metadata":{"next":"p"},"data":[` + good("a") + `]}`, "a stranger's row": rows(good("a"), good("z")),
		"no legible name": rows(good("a"), `{}`), "errors": `{"errors":[{}],"data":[` + good("a") + `]}`,
	} {
		for _, sel := range []mirror.Selection{mirror.Prefix("a"), mirror.Topics("a")} {
			cfg := offline(answering(body))
			var own *mirror.Report
			cfg.Recorder = recorder{answered: func(_ context.Context, _ mirror.Batch, r *mirror.Report) error { own = r; return nil }}
			report, err := newClient(t, cfg).ReverseAndPause(t.Context(), "link", sel)
			require.Error(t, err)
			require.EqualError(t, own.Err(), err.Error(), "%s, %v", name, sel)
			require.Equal(t, report, own)
			require.NotSame(t, report, own)
		}
	}
}

// The credential of an earlier batch is a secret of the whole call, as is one that the transport adds.
func TestNoSecrets_OfOtherRequestsOfTheCall(t *testing.T) {
	tokens := []string{"first-t0k3n", "second-t0k3n", "third-t0k3n"}
	said := 0
	cfg := offline(roundTripper(func(r *http.Request) (*http.Response, error) {
		_, _ = io.Copy(io.Discard, r.Body)
		r = r.Clone(r.Context())
		r.Header.Set("X-Gateway-Token", "g4t3w4y-t0k3n")
		topic := string(rune('a' + said))
		said++
		row := failed(topic, "400", strings.Join(tokens[:said], " ")+" g4t3w4y-t0k3n")
		resp, err := answering(rows(row, good(tokens[0]))).RoundTrip(r)
		resp.Header.Set("X-Request-Id", tokens[0])
		return resp, err
	}))
	cfg.BatchSize = 1
	asked := 0
	cfg.Credential = mirror.BearerToken(func(context.Context) (string, error) { asked++; return tokens[asked-1], nil }, "")
	var log strings.Builder
	cfg.Logger = textLogger(&log)
	report, err := newClient(t, cfg).Pause(t.Context(), "link", mirror.Topics("a", "b", "c"))
	require.Error(t, err)
	require.Equal(t, "a failed, b failed, c failed", outcomes(report))
	for _, form := range []string{table(t, report), marshal(t, report), err.Error(), fmt.Sprintf("%+v", report), log.String()} {
		require.NotContains(t, form, "t0k3n")
	}
}
