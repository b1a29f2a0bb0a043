package mirror_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// said is a report about the topic x of a pair whose local cluster answered as told.
func said(t *testing.T, do mirrortest.Action) *mirror.Report {
	t.Helper()
	report, _ := reverse(t, serve(t, do).client(t), "x")
	return report
}

func TestReport_MergeIntoTheZeroReport(t *testing.T) {
	for name, do := range map[string]mirrortest.Action{
		"accepted": ok(rows(good("x"))), "unknown": mirrortest.Cut(0), "untouched": mirrortest.Error(403, 40301, "no"),
		"unexpected": ok(rows(good("x"), good("y"))),
	} {
		t.Run(name, func(t *testing.T) {
			report := said(t, do)
			var whole mirror.Report
			require.Error(t, whole.Err())
			require.NoError(t, whole.Merge(report))
			want, err := json.Marshal(report)
			require.NoError(t, err)
			got, err := json.Marshal(whole)
			require.NoError(t, err)
			require.JSONEq(t, string(want), string(got))
			require.Equal(t, fmt.Sprint(report.Err()), fmt.Sprint(whole.Err()))
		})
	}
}

func TestReportsSurvive_Merge(t *testing.T) {
	row := func(code, message string) mirrortest.Action {
		return ok(rows(`{"mirror_topic_name":"x","error_code":` + code + `,"error_message":` + message + `}`))
	}
	accepted, failed, otherwise := row("null", "null"), row("400", `"already stopped"`), row("40301", `"no right"`)
	unknown, lost := mirrortest.Error(503, 50003, "timed out"), mirrortest.Cut(0)
	untouched := mirrortest.Error(403, 40301, "Forbidden")
	for _, c := range []struct {
		name          string
		first, second mirrortest.Action
		want          string // outcome, and the reason if there is one
		note          string // in the notes
	}{
		{"untouched, then accepted", untouched, accepted, "accepted", ""},
		{"untouched, then failed", untouched, failed, "failed: x: 400: already stopped", ""},
		{"untouched, then unknown", untouched, unknown, "unknown: HTTP 503 Service Unavailable, code 50003: timed out", ""},
		{"untouched twice: the first stands", untouched, status(404, "", ""),
			"untouched: HTTP 403 Forbidden, code 40301", ""},
		{"unknown, then accepted", unknown, accepted, "accepted", ""},
		{"unknown, then untouched", unknown, untouched, "unknown: HTTP 503 Service Unavailable, code 50003: timed out", ""},
		{"unknown, then unknown", unknown, lost,
			"unknown: the request may have been carried out, and no response came: EOF", ""},
		{"unknown, then refused", unknown, failed, "unknown: HTTP 503 Service Unavailable, code 50003: timed out",
			"a call was refused for this topic: 400: already stopped"},
		{"accepted, then failed", accepted, failed, "accepted", "a call was refused for this topic: 400: already stopped"},
		{"accepted, then unknown", accepted, unknown, "accepted", ""},
		{"accepted, then untouched", accepted, untouched, "accepted", ""},
		{"accepted twice", accepted, accepted, "accepted", ""},
		{"failed, then accepted", otherwise, accepted, "accepted", "a call was refused for this topic: 40301: no right"},
		{"failed, then failed otherwise", otherwise, failed, "failed: x: 400: already stopped",
			"a call was refused for this topic: 40301: no right"},
		{"failed, then failed alike", failed, failed, "failed: x: 400: already stopped", ""},
		{"failed, then unknown", failed, unknown, "unknown: HTTP 503 Service Unavailable, code 50003: timed out",
			"a call was refused for this topic: 400: already stopped"},
		{"failed, then untouched", failed, untouched, "failed: x: 400: already stopped", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			report, later := said(t, c.first), said(t, c.second)
			before, err := json.Marshal(later)
			require.NoError(t, err)
			require.NoError(t, report.Merge(later))
			after, err := json.Marshal(later)
			require.NoError(t, err)
			require.JSONEq(t, string(before), string(after), "the later report is as it was")

			require.Len(t, report.Results, 1)
			r := report.Results[0]
			got := r.Outcome.String()
			if r.Err() != nil {
				got += ": " + r.Err().Error()
			}
			require.Equal(t, c.want, strings.TrimSuffix(got, ": Forbidden"))
			require.Equal(t, c.note, strings.Join(r.Notes, "; "))
			require.Len(t, report.Attempts, 2)
			require.Equal(t, r.Outcome == mirror.Accepted, report.Err() == nil, "a run that is made good is a success")

			text, err := json.Marshal(report)
			require.NoError(t, err)
			var back mirror.Report
			require.NoError(t, json.Unmarshal(text, &back))
			require.Equal(t, r.Outcome, back.Results[0].Outcome)
		})
	}
}

func TestReportsSurvive_MergeOfMoreTopics(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{
		Topics: []mirrortest.Topic{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}},
	})
	pair.Local.Inject(mirrortest.Fault{Nth: 2, Do: mirrortest.Error(404, 404, "no link")})
	cfg := pair.Local.Config()
	cfg.BatchSize = 1
	client := newClient(t, cfg)
	report, err := reverseOn(t, client, "dr-link", "a", "b", "c")
	require.Error(t, err)
	require.False(t, report.Complete)
	next, err := reverseOn(t, client, "dr-link", append(report.Topics(mirror.Untouched), "d")...)
	require.NoError(t, err)
	require.NoError(t, report.Merge(next))
	require.Equal(t, "a accepted, b accepted, c accepted, d accepted", outcomes(report))
	require.NoError(t, report.Err())
	pair.Local.AssertReport(t, report)
	pair.Local.AssertSentOnce(t)
}

func TestReportsSurvive_MergeForgetsNoCallByPattern(t *testing.T) {
	ask := func(s mirror.Selection, do mirrortest.Action) *mirror.Report {
		report, _ := serve(t, do).client(t).ReverseAndPause(context.Background(), "link", s)
		return report
	}
	const cut = "cut"
	for name, first := range map[string]mirrortest.Action{
		"lost": mirrortest.Cut(0), "5xx": mirrortest.Error(503, 503, "x"), cut: ok(`{"data":[` + good("x.1") + `,`),
		"next is set":   ok(`{"metadata":{"next":"p"},"data":[` + good("x.1") + `]}`),
		"illegible row": ok(rows(good("x.1"), `{}`)), "trailing bytes": ok(rows(good("x.1")) + "x"),
	} {
		for what, later := range map[string]*mirror.Report{
			"the same pattern, answered to its end": ask(mirror.Prefix("x"), ok(rows(good("x.1"), good("x.2")))),
			"the same pattern, refused":             ask(mirror.Prefix("x"), mirrortest.Error(403, 403, "no")),
			"the same pattern, refused by name": ask(mirror.Prefix("x"),
				ok(rows(`{"mirror_topic_name":"x.1","error_code":400}`))),
			"the same pattern, answered with no row": ask(mirror.Prefix("x"), ok(rows())),
			"the same pattern, other rows":           ask(mirror.Prefix("x"), ok(rows(good("x.9")))),
			"names":                                  ask(mirror.Topics("x.1"), ok(rows(good("x.1")))),
			"names, refused":                         ask(mirror.Topics("x.1"), mirrortest.Error(403, 403, "no")),
			"a bad argument":                         ask(mirror.Topics(), ok("")),
		} {
			report := ask(mirror.Prefix("x"), first)
			before := report.Err()
			require.ErrorIs(t, before, mirror.ErrOutcomeUnknown)
			require.NoError(t, report.Merge(later))
			require.ErrorIs(t, report.Err(), mirror.ErrOutcomeUnknown, "%s, then %s", name, what)
			require.Equal(t, mirror.UnaccountedUnknown, report.Unaccounted)
			require.False(t, report.Complete)
			require.Contains(t, fmt.Sprint(causes(report.Err())), causes(before)[0].Error())

			reversed := ask(mirror.Topics("y"), ok(rows(good("y"))))
			require.NoError(t, reversed.Merge(later))
			require.NoError(t, reversed.Merge(ask(mirror.Prefix("x"), first)))
			require.ErrorIs(t, reversed.Err(), mirror.ErrOutcomeUnknown, "%s, then %s", what, name)
		}
	}

	report := ask(mirror.Prefix("x"), mirrortest.Error(403, 403, "no"))
	require.NoError(t, report.Merge(ask(mirror.Prefix("x"), ok(rows(good("x.1"))))))
	require.NoError(t, report.Err(), "a call that was refused as a whole is made good by the next")

	require.ErrorContains(t, ask(mirror.Prefix("x"), ok(rows())).Merge(ask(mirror.Suffix("y"), ok(rows()))),
		"the reports differ in pattern")
}

func TestReportsSurvive_MergeClearsNoErrorThatCameWithAcceptedRows(t *testing.T) {
	for name, body := range map[string]string{
		"next is set":       `{"metadata":{"next":"p"},"data":[` + good("x") + `]}`,
		"trailing bytes":    rows(good("x")) + "x",
		"an unexpected row": rows(good("x"), good("y")),
	} {
		for what, other := range map[string]*mirror.Report{
			"a copy":              nil,
			"an untouched report": said(t, mirrortest.Error(403, 403, "no")),
			"an accepted report":  said(t, ok(rows(good("x")))),
		} {
			for _, later := range []bool{true, false} {
				report := said(t, ok(body))
				text := causes(report.Err())[0].Error()
				second := other
				if other == nil {
					second = clone(t, report)
				}
				first := report
				if !later {
					first, second = clone(t, second), report
				}
				require.NoError(t, first.Merge(second))
				require.ErrorContains(t, first.Err(), text, "%s, and %s", name, what)
				require.Equal(t, "x accepted", outcomes(first))
			}
		}
	}
}

// clone copies a report by way of its JSON form.
func clone(t *testing.T, r *mirror.Report) *mirror.Report {
	t.Helper()
	data, err := json.Marshal(r)
	require.NoError(t, err)
	var back mirror.Report
	require.NoError(t, json.Unmarshal(data, &back))
	return &back
}

func TestReportsSurvive_MergeTwiceChangesNothing(t *testing.T) {
	report := said(t, ok(rows(good("x"), good("y"), `{}`)))
	text := marshal(t, report)
	require.NoError(t, report.Merge(report))
	require.NoError(t, report.Merge(clone(t, report)))
	require.Equal(t, text, marshal(t, report))
	require.Len(t, report.Attempts, 1)
	require.Equal(t, 2, report.UnexpectedCount)

	another := said(t, ok(rows(good("x"), good("y"), `{}`)))
	require.NoError(t, report.Merge(another))
	require.NoError(t, report.Merge(another))
	require.Len(t, report.Attempts, 2, "another run's are others")
	require.Equal(t, 4, report.UnexpectedCount)
	require.Len(t, report.Unexpected, 4)

	shallow := *report
	require.NoError(t, shallow.Merge(said(t, ok(rows(good("x"))))))
	require.Len(t, report.Attempts, 2, "a copy shares nothing that a merge changes")
	require.NoError(t, report.Merge(another))
	require.Len(t, report.Attempts, 2)
}

func marshal(t *testing.T, r *mirror.Report) string {
	t.Helper()
	text, err := json.Marshal(r)
	require.NoError(t, err)
	return string(text)
}

// The reports of the batches, merged as a journal does, call no topic untouched or failed that another
// batch's answer has a row about.
func TestReportsSurvive_MergeOfBatchesWithRowsAboutEachOther(t *testing.T) {
	for name, first := range map[string]mirrortest.Action{
		"untouched": mirrortest.Error(403, 40301, "x"),
		"failed":    mirrortest.Row(failedRow("a")),
		"accepted":  mirrortest.Row(good("a")),
	} {
		for stray, row := range map[string]string{"accepted": good("a"), "failed": failedRow("a")} {
			pair := mirrortest.NewPair(t, mirrortest.Options{Topics: []mirrortest.Topic{{Name: "a"}, {Name: "b"}}})
			pair.Local.Inject(mirrortest.Fault{Topic: "a", Do: first})
			pair.Local.Inject(mirrortest.Fault{Topic: "b", Do: mirrortest.Row(good("b") + "," + row)})
			cfg := pair.Local.Config()
			cfg.BatchSize, cfg.KeepGoing = 1, true
			merged := &mirror.Report{Verb: mirror.VerbReverseAndPause, ClusterID: pair.Local.ID, Link: pair.Link()}
			cfg.AfterBatch = func(_ context.Context, _ mirror.Batch, r *mirror.Report) error { return merged.Merge(r) }
			report, err := reverseOn(t, newClient(t, cfg), pair.Link(), "a", "b")
			require.Error(t, err)
			require.Error(t, merged.Err())
			for _, r := range []*mirror.Report{report, merged, clone(t, merged)} {
				a, _ := r.Result("a")
				require.NotEqual(t, mirror.Untouched, a.Outcome, "%s, then a row that says %s", name, stray)
				if name == "failed" && stray == "accepted" || name == "untouched" {
					require.Equal(t, mirror.Unknown, a.Outcome, "%s, then a row that says %s", name, stray)
				}
			}
		}
	}
}

func TestReportsSurvive_MergeKeepsTheErrorOfARefusedPattern(t *testing.T) {
	report := said(t, ok(""))
	*report = mirror.Report{Verb: report.Verb, ClusterID: report.ClusterID, Link: report.Link}
	none, _ := serve(t, ok("")).client(t).ReverseAndPause(t.Context(), "link", mirror.Topics())
	refused, _ := serve(t, mirrortest.Error(403, 40301, "no right")).client(t).
		ReverseAndPause(t.Context(), "link", mirror.All())
	require.NoError(t, report.Merge(none))
	require.NoError(t, report.Merge(refused))
	require.ErrorContains(t, report.Err(), "no right")
}

func TestReportsSurvive_MergeKeepsBothNext(t *testing.T) {
	next := func(s string) *mirror.Report {
		return said(t, ok(`{"metadata":{"next":"`+s+`"},"data":[`+good("x")+`]}`))
	}
	report := next("p")
	require.NoError(t, report.Merge(next("q")))
	require.Contains(t, fmt.Sprint(causes(report.Err())), `goes on at "p"`)
	require.Contains(t, fmt.Sprint(causes(report.Err())), `goes on at "q"`)
}

// A dry run that was repeated is told by its last answer alone.
func TestReportsSurvive_MergeOfARepeatedDryRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair := mirrortest.NewPair(t, mirrortest.Options{InMemory: true})
		pair.Local.Inject(mirrortest.Fault{Do: ok(`{"data":[{},{},`)})
		report, err := newClient(t, pair.Local.Config()).
			Validate(t.Context(), mirror.VerbReverseAndPause, pair.Link(), mirror.Topics("topic-1"))
		require.NoError(t, err)
		require.Len(t, report.Attempts, 2)
		whole := &mirror.Report{Verb: report.Verb, ClusterID: report.ClusterID, Link: report.Link, DryRun: true}
		require.NoError(t, whole.Merge(report))
		require.NoError(t, whole.Err())
		require.Zero(t, whole.UnexpectedCount)
	})
}

func TestHooks_TheHooksReportIsItsOwn(t *testing.T) {
	cfg := serve(t, ok(rows(`{"mirror_topic_name":"a","error_code":null,"messages_truncated":7,`+
		`"mirror_lags":[{"partition":1,"lag":2,"last_source_fetch_offset":3},7]}`))).config()
	cfg.AfterBatch = func(_ context.Context, _ mirror.Batch, r *mirror.Report) error {
		r.Results[0].Lags[0].Lag, r.Results[0].Notes[0], *r.Results[0].MessagesTruncated = 99, "", 99
		return nil
	}
	report, err := reverse(t, newClient(t, cfg), "a")
	require.NoError(t, err)
	require.EqualValues(t, 2, report.Results[0].Lags[0].Lag)
	require.EqualValues(t, 7, *report.Results[0].MessagesTruncated)
	require.Equal(t, []string{"mirror_lags has something that cannot be read"}, report.Results[0].Notes)
}

func TestReportsSurvive_MergeOfNothing(t *testing.T) {
	report := said(t, ok(rows(good("x"))))
	require.ErrorIs(t, report.Merge(nil), mirror.ErrInvalidArgument)
	require.ErrorIs(t, (*mirror.Report)(nil).Merge(report), mirror.ErrInvalidArgument)
	require.NoError(t, report.Err())
}

// Merging batch by batch takes memory in proportion to the topics, not to topics times batches.
func TestReportsSurvive_MergeBatchByBatch(t *testing.T) {
	const batches, size = 400, 100
	report := &mirror.Report{}
	var all []*mirror.Report
	for b := range batches {
		one := &mirror.Report{Complete: true, Attempts: []mirror.Attempt{{Run: mirror.Run{ID: "r"}, Batch: b, Number: 1}}}
		for i := range size {
			one.Results = append(one.Results, mirror.Result{Topic: fmt.Sprint(b, "-", i), Outcome: mirror.Accepted})
		}
		all = append(all, one)
	}
	allocated := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			report = &mirror.Report{}
			for _, one := range all {
				if err := report.Merge(one); err != nil {
					b.Fatal(err)
				}
			}
		}
	}).AllocedBytesPerOp()
	require.NoError(t, report.Err())
	require.Len(t, report.Results, batches*size)
	require.Len(t, report.Attempts, batches)
	require.Less(t, allocated, int64(batches*size*4000), "bytes")
}

func TestReportsSurvive_MergeRefusesWhatIsNotAboutTheSame(t *testing.T) {
	base := mirror.Report{ClusterID: "c", Link: "l", Results: []mirror.Result{{Topic: "a"}}}
	for want, other := range map[string]mirror.Report{
		"verb":    {ClusterID: "c", Link: "l", Verb: mirror.VerbFailover},
		"cluster": {ClusterID: "d", Link: "l"},
		"link":    {ClusterID: "c", Link: "m"},
		"dry run": {ClusterID: "c", Link: "l", DryRun: true},
	} {
		other.Results = []mirror.Result{{Topic: "b"}}
		report := base
		err := report.Merge(&other)
		require.ErrorIs(t, err, mirror.ErrInvalidArgument)
		require.ErrorContains(t, err, "the reports differ in "+want)
		require.Equal(t, base, report)
	}
	dry := mirror.Report{DryRun: true, Results: []mirror.Result{{Topic: "a"}}}
	require.NoError(t, dry.Merge(&mirror.Report{
		DryRun: true, Results: []mirror.Result{{Topic: "a", Outcome: mirror.Accepted}},
	}))
	require.NoError(t, dry.Err())
}

func TestHooks_Batches(t *testing.T) {
	names := strings.Split("a b c d e f g", " ")
	var topics []mirrortest.Topic
	for _, name := range names {
		topics = append(topics, mirrortest.Topic{Name: name})
	}
	for _, parallel := range []int{0, 1, 3, 100} {
		pair := mirrortest.NewPair(t, mirrortest.Options{Topics: topics})
		var before, after []string
		cfg := pair.Local.Config()
		cfg.BatchSize, cfg.Parallel = 3, parallel
		cfg.BeforeBatch = func(_ context.Context, b mirror.Batch) error {
			require.Equal(t, []any{"lkc-local", "dr-link", false, 3, ""}, []any{b.ClusterID, b.Link, b.DryRun, b.Of, b.Pattern})
			require.Equal(t, len(before), b.Index)
			before = append(before, strings.Join(b.Topics, ""))
			return nil
		}
		cfg.AfterBatch = func(_ context.Context, b mirror.Batch, r *mirror.Report) error {
			require.Len(t, r.Results, len(b.Topics))
			for i, res := range r.Results {
				require.Equal(t, b.Topics[i], res.Topic)
				require.Equal(t, mirror.Accepted, res.Outcome)
			}
			require.NoError(t, r.Err())
			require.Len(t, r.Attempts, 1)
			require.Equal(t, b.Run, r.Attempts[0].Run)
			require.NotEmpty(t, b.Run.ID)
			require.False(t, b.Run.Start.IsZero())
			after = append(after, strings.Join(b.Topics, ""))
			clear(r.Results) // they are the hook's to keep, and not the call's
			return nil
		}
		report, err := reverseOn(t, newClient(t, cfg), "dr-link", names...)
		require.NoError(t, err)
		require.Equal(t, []string{"abc", "def", "g"}, before)
		require.ElementsMatch(t, before, after)
		require.Len(t, pair.Journal(), 3)
		pair.Local.AssertReport(t, report)
		var sizes []int
		var last mirror.Attempt
		for i, a := range report.Attempts {
			require.False(t, a.Start.Before(last.Start) && cfg.Parallel < 2)
			last = a
			require.Equal(t, i, a.Batch)
			require.Equal(t, []any{200, mirror.Accepted, 1, "", 1}, []any{a.HTTPStatus, a.Outcome, a.Sends, a.Error, a.Number})
			require.Positive(t, a.Duration)
			require.Empty(t, a.RequestID)
			sizes = append(sizes, a.Topics)
		}
		require.Equal(t, []int{3, 3, 1}, sizes)
	}
}

func TestBatch_Unanswered(t *testing.T) {
	b := mirror.Batch{ClusterID: "c", Link: "l", Topics: []string{"a", "b"}}
	report := b.Unanswered()
	require.Equal(t, "a unknown, b unknown", outcomes(report))
	require.ErrorIs(t, report.Err(), mirror.ErrOutcomeUnknown)
	require.ErrorContains(t, report.Err(), "it was about to be sent, and no answer is known")

	pattern := mirror.Batch{Pattern: "x.*"}.Unanswered()
	require.ErrorIs(t, pattern.Err(), mirror.ErrOutcomeUnknown)
	require.Equal(t, mirror.UnaccountedUnknown, pattern.Unaccounted)
}

// AfterBatch gets the verdict, also of a batch whose rows are all accepted.
func TestHooks_AfterBatchGetsTheVerdict(t *testing.T) {
	for name, body := range map[string]string{
		"cut":               `{"data":[` + good("a") + `,`,
		"next is set":       `{"metadata":{"next":"p"},"data":[` + good("a") + `]}`,
		"trailing bytes":    rows(good("a")) + "x",
		"an unexpected row": rows(good("a"), good("z")), "an illegible row": rows(good("a"), `{}`),
	} {
		for what, sel := range map[string]mirror.Selection{"pattern": mirror.Prefix("a"), "names": mirror.Topics("a")} {
			cfg := serve(t, ok(body)).config()
			var own *mirror.Report
			cfg.AfterBatch = func(_ context.Context, _ mirror.Batch, r *mirror.Report) error { own = r; return nil }
			report, err := newClient(t, cfg).ReverseAndPause(context.Background(), "link", sel)
			require.Error(t, err)
			require.EqualError(t, own.Err(), err.Error(), "%s, %s", name, what)
			require.Equal(t, report.Complete, own.Complete)
			require.False(t, own.Complete && name != "an unexpected row" && (name != "an illegible row" || what == "pattern"),
				"%s, %s", name, what)
			require.Equal(t, report.Attempts, own.Attempts)
			require.Equal(t, report.Unexpected, own.Unexpected)
			require.Equal(t, report.Next, own.Next)
			require.NotSame(t, report, own)
		}
	}
}

func TestHooks_AnErrorOfAfterBatchEndsTheRun(t *testing.T) {
	full := errors.New("disk full")
	for _, last := range []bool{true, false} {
		pair := mirrortest.NewPair(t, mirrortest.Options{Topics: []mirrortest.Topic{{Name: "a"}, {Name: "b"}, {Name: "c"}}})
		cfg := pair.Local.Config()
		cfg.BatchSize, cfg.KeepGoing = 1, true
		cfg.AfterBatch = func(_ context.Context, b mirror.Batch, _ *mirror.Report) error {
			if b.Index == 1 && !last || b.Index == 2 {
				return full
			}
			return nil
		}
		report, err := reverseOn(t, newClient(t, cfg), "dr-link", "a", "b", "c")
		require.ErrorIs(t, err, full)
		if last {
			require.Equal(t, "a accepted, b accepted, c accepted", outcomes(report))
			require.ErrorContains(t, err, "AfterBatch failed for batch 3 of 3: disk full")
			require.ErrorContains(t, clone(t, report).Err(), "disk full")
		} else {
			require.Equal(t, "a accepted, b accepted, c untouched", outcomes(report))
			require.ErrorContains(t, err, "AfterBatch failed for batch 2 of 3: disk full")
		}
	}
}
