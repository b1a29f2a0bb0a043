package mirror_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirror/mirrortest"
)

// said is a report about the topic x of a pair whose local cluster answered as told.
func said(t *testing.T, do mirrortest.Action) *mirror.Report {
	t.Helper()
	report, _ := reverse(t, serve(t, do).client(t), "x")
	return report
}

func TestI14_Merge(t *testing.T) {
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
		rows          string
	}{
		{"untouched, then accepted", untouched, accepted, "accepted", ""},
		{"untouched, then failed", untouched, failed, "failed: x: 400: already stopped", ""},
		{"untouched, then unknown", untouched, unknown, "unknown: HTTP 503 Service Unavailable, code 50003: timed out", ""},
		{"untouched twice: the first stands", untouched, status(404, "", ""), "untouched: HTTP 403 Forbidden, code 40301", ""},
		{"unknown, then accepted", unknown, accepted, "accepted", ""},
		{"unknown, then untouched", unknown, untouched, "unknown: HTTP 503 Service Unavailable, code 50003: timed out", ""},
		{"unknown, then unknown", unknown, lost, "unknown: the request may have been carried out, and no answer came: EOF", ""},
		{"unknown, then refused", unknown, failed,
			"unknown: HTTP 503 Service Unavailable, code 50003: timed out; then: 400: already stopped", "unknown, failed already stopped"},
		{"accepted, then failed", accepted, failed, "accepted", "accepted, failed already stopped"},
		{"accepted, then unknown", accepted, unknown, "accepted", "accepted, unknown"},
		{"accepted, then untouched", accepted, untouched, "accepted", ""},
		{"accepted twice", accepted, accepted, "accepted", ""},
		{"failed, then accepted", otherwise, accepted, "accepted", ""},
		{"failed, then failed otherwise", otherwise, failed, "failed: x: 400: already stopped", ""},
		{"failed, then unknown", failed, unknown, "unknown: HTTP 503 Service Unavailable, code 50003: timed out", ""},
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
			var said []string
			for _, other := range r.Rows {
				said = append(said, strings.TrimSpace(other.Outcome.String()+" "+other.Message))
			}
			require.Equal(t, c.rows, strings.Join(said, ", "))
			require.Len(t, report.Attempts, 2)
			require.Equal(t, r.Outcome == mirror.Accepted, report.Err() == nil, "a run that is made good is a success")

			text, err := json.Marshal(report)
			require.NoError(t, err)
			var back mirror.Report
			require.NoError(t, json.Unmarshal(text, &back))
			require.Equal(t, r.Outcome, back.Results[0].Outcome)
			if c.name == "unknown, then refused" {
				var api *mirror.APIError
				var topic *mirror.TopicError
				require.ErrorAs(t, report.Err(), &api)
				require.ErrorAs(t, report.Err(), &topic)
			}
		})
	}
}

func TestI14_MergeKeepsWhatWasKept(t *testing.T) {
	accepted := said(t, ok(rows(`{"mirror_topic_name":"x","error_code":null}`)))
	report := said(t, ok(rows(`{"mirror_topic_name":"x","error_code":null}`)))
	require.NoError(t, report.Merge(said(t, ok(rows(`{"mirror_topic_name":"x","error_code":400}`)))))
	require.Len(t, report.Results[0].Rows, 2)
	require.NoError(t, report.Merge(accepted))
	require.Len(t, report.Results[0].Rows, 2)
	require.Empty(t, accepted.Results[0].Rows)
}

func TestI14_MergeOfMoreTopics(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{Topics: []mirrortest.Topic{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}}})
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

func TestI14_MergeOfPatterns(t *testing.T) {
	ask := func(s mirror.Selection, do mirrortest.Action) *mirror.Report {
		report, _ := serve(t, do).client(t).ReverseAndPause(context.Background(), "link", s)
		return report
	}
	cut := func() *mirror.Report { return ask(mirror.Prefix("x"), ok(`{"data":[`+good("x.1")+`,`)) }
	whole := ask(mirror.Prefix("x"), ok(rows(good("x.1"), good("x.2"))))

	report := cut()
	require.NoError(t, report.Merge(whole))
	require.NoError(t, report.Err(), "the same pattern again, to its end")
	require.Equal(t, "x.1 accepted, x.2 accepted", outcomes(report))

	report = cut()
	require.NoError(t, report.Merge(ask(mirror.Topics("x.2"), ok(rows(good("x.2"))))))
	require.ErrorIs(t, report.Err(), mirror.ErrOutcomeUnknown, "names do not tell what else the pattern covers")
	require.Equal(t, mirror.Unknown, report.Rest)

	report = cut()
	require.NoError(t, report.Merge(ask(mirror.Prefix("x"), mirrortest.Error(403, 403, "no"))))
	require.ErrorIs(t, report.Err(), mirror.ErrOutcomeUnknown, "a later refusal does not undo the first call")

	report = ask(mirror.Topics("a"), ok(rows(good("a"))))
	require.NoError(t, report.Merge(cut()))
	require.ErrorIs(t, report.Err(), mirror.ErrOutcomeUnknown)

	require.ErrorContains(t, cut().Merge(ask(mirror.Suffix("y"), ok(rows()))), "the reports differ in pattern")
}

func TestI14_MergeRefusesWhatIsNotAboutTheSame(t *testing.T) {
	base := mirror.Report{ClusterID: "c", Link: "l", Results: []mirror.Result{{Topic: "a"}}}
	for want, other := range map[string]mirror.Report{
		"cluster": {ClusterID: "d", Link: "l"}, "link": {ClusterID: "c", Link: "m"}, "dry run": {ClusterID: "c", Link: "l", DryRun: true},
	} {
		other.Results = []mirror.Result{{Topic: "b"}}
		report := base
		err := report.Merge(&other)
		require.ErrorIs(t, err, mirror.ErrInvalidArgument)
		require.ErrorContains(t, err, "the reports differ in "+want)
		require.Equal(t, base, report)
	}
	dry := mirror.Report{DryRun: true, Results: []mirror.Result{{Topic: "a"}}}
	require.NoError(t, dry.Merge(&mirror.Report{DryRun: true, Results: []mirror.Result{{Topic: "a", Outcome: mirror.Accepted}}}))
	require.NoError(t, dry.Err())
}

func TestI13_Batches(t *testing.T) {
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
		cfg.AfterBatch = func(_ context.Context, b mirror.Batch, results []mirror.Result) {
			require.Len(t, results, len(b.Topics))
			for i, r := range results {
				require.Equal(t, b.Topics[i], r.Topic)
				require.Equal(t, mirror.Accepted, r.Outcome)
			}
			after = append(after, strings.Join(b.Topics, ""))
			clear(results) // they are the hook's to keep, and not the report's
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
			require.Equal(t, []any{200, mirror.Accepted, 1, ""}, []any{a.Status, a.Outcome, a.Sends, a.Error})
			require.Positive(t, a.Duration)
			require.Empty(t, a.RequestID)
			sizes = append(sizes, a.Topics)
		}
		require.Equal(t, []int{3, 3, 1}, sizes)
	}
}

func TestBatch_Report(t *testing.T) {
	b := mirror.Batch{ClusterID: "c", Link: "l", Topics: []string{"a", "b"}}
	sent := b.Report(nil)
	require.Equal(t, "a unknown, b unknown", outcomes(sent))
	require.ErrorIs(t, sent.Err(), mirror.ErrOutcomeUnknown)
	require.ErrorContains(t, sent.Err(), "it was about to be sent, and no answer is known")

	done := b.Report([]mirror.Result{{Topic: "a", Outcome: mirror.Accepted}, {Topic: "b", Outcome: mirror.Accepted}})
	require.NoError(t, done.Err())
	require.NoError(t, sent.Merge(done))
	require.NoError(t, sent.Err())

	pattern := mirror.Batch{Pattern: "x.*"}.Report(nil)
	require.ErrorIs(t, pattern.Err(), mirror.ErrOutcomeUnknown)
}
