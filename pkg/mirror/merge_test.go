package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// saidOf is a report about the topic x of a pair whose local cluster answered as told.
func saidOf(t testing.TB, do mirrortest.Action) *mirror.Report {
	t.Helper()
	report, _ := reverse(t, serve(t, do).client(t), "x")
	return report
}

func TestReportsSurvive_MergeIntoTheZeroReport(t *testing.T) {
	for name, do := range map[string]mirrortest.Action{
		"accepted": ok(rows(good("x"))), "unknown": mirrortest.Cut(0), "untouched": mirrortest.Error(403, 40301, "no"),
		"unexpected": ok(rows(good("x"), good("y"))),
	} {
		report := saidOf(t, do)
		var whole mirror.Report
		require.Error(t, whole.Err())
		require.NoError(t, whole.Merge(report))
		require.JSONEq(t, marshal(t, report), marshal(t, whole), name)
		require.Equal(t, fmt.Sprint(report.Err()), fmt.Sprint(whole.Err()))
	}
}

func TestReportsSurvive_MergeOfTwoCalls(t *testing.T) {
	row := func(code, message string) mirrortest.Action { return ok(rows(failed("x", code, message))) }
	accepted, refused, otherwise := ok(rows(good("x"))), row("400", "already stopped"), row("40301", "no right")
	unknown, lost := mirrortest.Error(503, 50003, "timed out"), mirrortest.Cut(0)
	untouched := mirrortest.Error(403, 40301, "Forbidden")
	for _, c := range []struct {
		name          string
		first, second mirrortest.Action
		want          mirror.Outcome
		text          string // in the reason
		note          string // in the notes
	}{
		{"untouched, then accepted", untouched, accepted, mirror.Accepted, "", ""},
		{"untouched, then failed", untouched, refused, mirror.Failed, "already stopped", ""},
		{"untouched, then unknown", untouched, unknown, mirror.Unknown, "timed out", ""},
		{"untouched twice", untouched, status(404, "", ""), mirror.Untouched, "HTTP 404", ""},
		{"unknown, then accepted", unknown, accepted, mirror.Accepted, "", ""},
		{"unknown, then untouched", unknown, untouched, mirror.Unknown, "timed out", ""},
		{"unknown twice", unknown, lost, mirror.Unknown, "no response came", ""},
		{"unknown, then refused", unknown, refused, mirror.Unknown, "timed out", ""},
		{"accepted, then failed", accepted, refused, mirror.Accepted, "", "refused for this topic: 400: already stopped"},
		{"accepted, then unknown", accepted, unknown, mirror.Accepted, "", ""},
		{"accepted, then untouched", accepted, untouched, mirror.Accepted, "", ""},
		{"accepted twice", accepted, accepted, mirror.Accepted, "", ""},
		{"failed, then accepted", otherwise, accepted, mirror.Accepted, "", "refused for this topic: 40301: no right"},
		{"failed, then failed otherwise", otherwise, refused, mirror.Failed, "already stopped", ""},
		{"failed, then unknown", refused, unknown, mirror.Unknown, "timed out", ""},
		{"failed, then untouched", refused, untouched, mirror.Failed, "already stopped", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			report, later := saidOf(t, c.first), saidOf(t, c.second)
			before := marshal(t, later)
			require.NoError(t, report.Merge(later))
			require.Equal(t, before, marshal(t, later), "the later report is as it was")
			require.Len(t, report.Results, 1)
			r := report.Results[0]
			require.Equal(t, c.want, r.Outcome)
			require.Contains(t, fmt.Sprint(r.Err()), c.text)
			require.Contains(t, strings.Join(r.Notes, "; "), c.note)
			require.Len(t, report.Attempts, 2)
			requireSound(t, report, report.Err(), []string{"x"})
			require.Equal(t, marshal(t, report), marshal(t, readBack(t, report)))
		})
	}
}

// Two reports of one request, of which one does not know the outcome, leave it unknown until it is settled.
func TestReportsSurvive_ASettlementCoversItsRequestOnly(t *testing.T) {
	first, second := saidOf(t, mirrortest.Cut(0)), saidOf(t, mirrortest.Cut(0))
	settled := first.Clone()
	require.NoError(t, settled.Settle(mirror.Untouched, "ACTIVE for two hours", "x"))
	for _, order := range [][]*mirror.Report{{first, settled}, {settled, first}, {settled, settled}} {
		var whole mirror.Report
		for _, r := range order {
			require.NoError(t, whole.Merge(r))
		}
		require.Equal(t, "x untouched", outcomes(&whole))
		require.NotEmpty(t, whole.Results[0].Settled)
		require.NoError(t, whole.Merge(second))
		require.Equal(t, "x unknown", outcomes(&whole), "a request after the settlement is open")
		require.Empty(t, whole.Results[0].Settled)
	}
}

// Of two reports about one request the one that does not know the outcome counts, unless the other says accepted.
func TestReportsSurvive_TwoReportsOfOneRequest(t *testing.T) {
	for answer, want := range map[string]string{good("x"): "x accepted", failed("x", "400", "no"): "x unknown"} {
		answered, _ := reverse(t, newClient(t, offline(answering(rows(answer)))), "x")
		unknown := mirror.UnknownReport(mirror.Batch{
			ClusterID: answered.ClusterID, Link: answered.Link, Verb: answered.Verb, Run: answered.Attempts[0].Run, Topics: []string{"x"},
		}, time.Time{})
		for _, order := range [][2]*mirror.Report{{answered, unknown}, {unknown, answered}} {
			whole := order[0].Clone()
			require.NoError(t, whole.Merge(order[1]))
			require.Equal(t, want, outcomes(whole))
			require.Len(t, whole.Results[0].Sends, 1)
		}
	}
}

func TestReportsSurvive_MergeTwiceChangesNothing(t *testing.T) {
	report := saidOf(t, ok(rows(good("x"), good("y"), `{}`)))
	text := marshal(t, report)
	require.NoError(t, report.Merge(report))
	require.NoError(t, report.Merge(readBack(t, report)))
	require.Equal(t, text, marshal(t, report))
	another := saidOf(t, ok(rows(good("x"), good("y"), `{}`)))
	require.NoError(t, report.Merge(another))
	require.NoError(t, report.Merge(another))
	require.Len(t, report.Attempts, 2, "another run's are others")
	require.Len(t, report.Results[0].Sends, 2)
}

func TestReportsSurvive_MergeClearsNoErrorThatCameWithAcceptedRows(t *testing.T) {
	for name, body := range map[string]string{
		"next": `{"metadata":{"next":"p"},"data":[` + good("x") + `]}`, "bytes": rows(good("x")) + "x",
		"an unexpected row": rows(good("x"), good("y")),
	} {
		for _, other := range []mirrortest.Action{ok(body), mirrortest.Error(403, 403, "no"), ok(rows(good("x")))} {
			one, two := saidOf(t, ok(body)), saidOf(t, other)
			text := causes(one.Err())[0].Error()
			back := two.Clone()
			require.NoError(t, two.Merge(one))
			require.NoError(t, one.Merge(back))
			for _, r := range []*mirror.Report{one, two} {
				require.ErrorContains(t, r.Err(), text, name)
				require.Equal(t, "x accepted", outcomes(r))
			}
		}
	}
}

func TestReportsSurvive_MergeRefusesWhatDoesNotFit(t *testing.T) {
	base := mirror.Report{ClusterID: "c", Link: "l", Verb: mirror.VerbPause, Results: []mirror.Result{{Topic: "a"}}}
	for want, other := range map[string]mirror.Report{
		"verb":       {ClusterID: "c", Link: "l", Verb: mirror.VerbFailover},
		"cluster":    {ClusterID: "d", Link: "l", Verb: mirror.VerbPause},
		"link":       {ClusterID: "c", Link: "m", Verb: mirror.VerbPause},
		"dry run":    {ClusterID: "c", Link: "l", Verb: mirror.VerbPause, DryRun: true},
		"by pattern": {ClusterID: "c", Link: "l", Verb: mirror.VerbPause, Pattern: "x.*"},
	} {
		other.Results = []mirror.Result{{Topic: "b"}}
		report := *base.Clone()
		err := report.Merge(&other)
		require.ErrorIs(t, err, mirror.ErrInvalidArgument)
		require.ErrorContains(t, err, want)
		require.Equal(t, base, report)
		into := *other.Clone()
		require.ErrorIs(t, into.Merge(&base), mirror.ErrInvalidArgument)
		require.Equal(t, other, into)
	}
	require.ErrorIs(t, base.Merge(nil), mirror.ErrInvalidArgument)
	require.ErrorIs(t, (*mirror.Report)(nil).Merge(&base), mirror.ErrInvalidArgument)
	var zero mirror.Report
	require.ErrorIs(t, zero.Merge(&mirror.Report{ClusterID: "c", Link: "l", Pattern: "x.*"}), mirror.ErrInvalidArgument)
	require.Equal(t, mirror.Report{}, zero, "it stays as it was")
}

// Dry runs merge with dry runs: the plan of a job that was made in parts.
func TestReportsSurvive_MergeOfDryRuns(t *testing.T) {
	dry := mirror.Report{DryRun: true, Verb: mirror.VerbPause, Results: []mirror.Result{{Topic: "a", MessagesTruncated: -1}}}
	require.NoError(t, dry.Merge(&mirror.Report{
		DryRun: true, Verb: mirror.VerbPause, Results: []mirror.Result{{Topic: "a", Outcome: mirror.Accepted, MessagesTruncated: 7}},
	}))
	require.NoError(t, dry.Err())
	require.EqualValues(t, 7, dry.Results[0].MessagesTruncated)
}

// Nothing is shared across Merge, Clone and the reports of a Recorder.
func TestReportsSurvive_NothingIsShared(t *testing.T) {
	source := sample()
	clone := source.Clone()
	require.Equal(t, source, clone)
	var zero mirror.Report
	require.NoError(t, zero.Merge(source))
	into := &mirror.Report{Verb: source.Verb, ClusterID: source.ClusterID, Link: source.Link, Results: []mirror.Result{{Topic: "fine"}}}
	require.NoError(t, into.Merge(source))
	before := marshal(t, source)
	for _, r := range []*mirror.Report{clone, &zero, into} {
		ruin(reflect.ValueOf(r).Elem())
		require.Equal(t, before, marshal(t, source))
	}

	cfg := offline(answering(rows(strings.Replace(good("a"), `"mirror_lags":[`, `"mirror_lags":[7,`, 1), good("a"), good("z"))))
	var own *mirror.Report
	cfg.Recorder = recorder{answered: func(_ context.Context, _ mirror.Batch, r *mirror.Report) error { own = r; return nil }}
	report, _ := reverse(t, newClient(t, cfg), "a")
	require.Equal(t, report, own)
	before = marshal(t, report)
	ruin(reflect.ValueOf(own).Elem())
	require.Equal(t, before, marshal(t, report))
}

// ruin changes everything that can be reached through slices.
func ruin(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				ruin(v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			ruin(v.Index(i))
			v.Index(i).SetZero()
		}
	}
}

// Merging batch by batch takes memory in proportion to what is merged.
func TestReportsSurvive_MergeBatchByBatch(t *testing.T) {
	const batches, size = 100, 100
	all := make([]*mirror.Report, batches)
	for b := range all {
		all[b] = &mirror.Report{Verb: mirror.VerbPause, Attempts: []mirror.Attempt{{Run: "r", Batch: b, Number: 1}}}
		for i := range size {
			all[b].Results = append(all[b].Results, mirror.Result{Topic: fmt.Sprint(b, "-", i), Outcome: mirror.Accepted})
		}
	}
	var whole mirror.Report
	for _, one := range all {
		require.NoError(t, whole.Merge(one))
	}
	require.NoError(t, whole.Err())
	require.Len(t, whole.Results, batches*size)
	require.Len(t, whole.Attempts, batches)
}

func TestNothingSettles_ButEvidenceOrAPerson(t *testing.T) {
	stopped := mirror.Result{Topic: "stopped", Outcome: mirror.Failed, Code: 400, Message: "Topic 'stopped' has already stopped its mirror from 'l'"}
	base := mirror.Report{Verb: mirror.VerbPromote, Results: []mirror.Result{
		{Topic: "unknown", Why: "lost", Sends: []mirror.Send{{Run: "r", Unknown: true}}},
		{Topic: "accepted", Outcome: mirror.Accepted, Sends: []mirror.Send{{Run: "r"}}}, stopped,
		{Topic: "failed", Outcome: mirror.Failed, Code: 40301, Message: "no"}, {Topic: "untouched", Outcome: mirror.Untouched, Why: "x"},
	}}
	for _, c := range []struct {
		to     mirror.Outcome
		topics []string
		bad    []string // of the topics
	}{
		{mirror.Accepted, []string{"unknown", "accepted", "stopped"}, nil},
		{mirror.Accepted, []string{"unknown", "failed", "untouched", "nowhere"}, []string{"failed", "untouched", "nowhere"}},
		{mirror.Untouched, []string{"unknown"}, nil},
		{mirror.Untouched, []string{"accepted", "stopped", "failed", "untouched", "unknown"},
			[]string{"accepted", "stopped", "failed", "untouched"}},
		{mirror.Failed, []string{"unknown"}, []string{"failed settles nothing"}},
		{mirror.Unknown, []string{"unknown"}, []string{"unknown settles nothing"}},
	} {
		r := base.Clone()
		err := r.Settle(c.to, "STOPPED, and a produce went through", c.topics...)
		if c.bad != nil {
			require.ErrorIs(t, err, mirror.ErrInvalidArgument)
			for _, bad := range c.bad {
				require.ErrorContains(t, err, bad)
			}
			require.Equal(t, &base, r, "all of them are settled, or none")
			continue
		}
		require.NoError(t, err)
		for _, topic := range c.topics {
			res, _ := r.Result(topic)
			require.Equal(t, c.to, res.Outcome)
			require.Equal(t, "STOPPED, and a produce went through", res.Settled)
			require.Equal(t, c.to == mirror.Accepted, res.Done)
			require.Equal(t, c.to == mirror.Untouched, res.Why != "")
			require.Equal(t, c.to == mirror.Accepted, res.Err() == nil)
		}
		require.Equal(t, r, readBack(t, r))
	}
	require.ErrorContains(t, base.Settle(mirror.Accepted, " ", "unknown"), "why: it is empty")
	dry := mirror.Report{DryRun: true, Results: []mirror.Result{{Topic: "a"}}}
	require.ErrorContains(t, dry.Settle(mirror.Accepted, "x", "a"), "dry run")
	require.ErrorIs(t, (*mirror.Report)(nil).Settle(mirror.Accepted, "x"), mirror.ErrInvalidArgument)
	require.Equal(t, base, *base.Clone(), "nothing was changed")
}

// What was refused before it was lost is refused when it is settled that the lost request did nothing.
func TestNothingSettles_ARefusalIsNotForgotten(t *testing.T) {
	refused, lost := ok(rows(failed("x", "400", "no"))), mirrortest.Cut(0)
	for _, order := range [][2]mirrortest.Action{{refused, lost}, {lost, refused}} {
		r := saidOf(t, order[0])
		require.NoError(t, r.Merge(saidOf(t, order[1])))
		require.Equal(t, "x unknown", outcomes(r))
		require.NoError(t, r.Settle(mirror.Untouched, "ACTIVE for two hours", "x"))
		require.Equal(t, "x failed", outcomes(r))
		require.Equal(t, "no", r.Results[0].Message)
		requireSound(t, r, r.Err(), []string{"x"})
	}
}

func TestUnknownReport(t *testing.T) {
	at := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
	b := mirror.Batch{ClusterID: "c", Link: "l", Verb: mirror.VerbPromote, Run: "r", Index: 3, Topics: []string{"a", "b"}}
	r := mirror.UnknownReport(b, at)
	requireSound(t, r, r.Err(), []string{"a", "b"})
	require.Equal(t, "a unknown, b unknown", outcomes(r))
	require.ErrorIs(t, r.Err(), mirror.ErrOutcomeUnknown)
	require.Equal(t, []mirror.Send{{Run: "r", Batch: 3, Unknown: true}}, r.Results[0].Sends)
	require.Equal(t, at, r.Attempts[0].Start)
	require.Equal(t, r, readBack(t, r))
	require.NoError(t, r.Settle(mirror.Accepted, "seen", "a", "b"))
	require.NoError(t, r.Err())
	require.ErrorIs(t, mirror.UnknownReport(mirror.Batch{Topics: []string{"a"}}, time.Time{}).Err(), mirror.ErrOutcomeUnknown)
}

func TestMerge_AZeroReportStaysZeroIfTheOtherIsRefused(t *testing.T) {
	var r mirror.Report
	err := r.Merge(&mirror.Report{Verb: mirror.VerbPause, ClusterID: "lkc-1", Link: "l", Pattern: ".*"})
	require.ErrorIs(t, err, mirror.ErrInvalidArgument)
	require.Equal(t, mirror.Report{}, r)
}

func TestMerge_AReportOfWhichAPartIsKnownIsNoZeroReport(t *testing.T) {
	b := promoted(mirror.Accepted, "2")
	for _, a := range []*mirror.Report{{Verb: b.Verb}, {ClusterID: b.ClusterID}, {Link: b.Link}, {Results: promoted(mirror.Failed, "1").Results}} {
		require.ErrorIs(t, a.Merge(b), mirror.ErrInvalidArgument, "%+v", a)
	}
}

// What one of two reports knows of a topic is known, and of what both know the later counts.
func TestMerge_WhatOneReportKnows(t *testing.T) {
	lags := func(n int64) []mirror.PartitionLag { return []mirror.PartitionLag{{Lag: n}} }
	merged := func(edit func(a, b *mirror.Result)) mirror.Result {
		a, b := promoted(mirror.Accepted, "1"), promoted(mirror.Accepted, "2")
		edit(&a.Results[0], &b.Results[0])
		require.NoError(t, a.Merge(b))
		return a.Results[0]
	}
	for _, swap := range []bool{false, true} {
		r := merged(func(a, b *mirror.Result) {
			if swap {
				a = b
			}
			a.Done, a.Lags, a.MessagesTruncated = true, lags(1), 0
		})
		require.True(t, r.Done)
		require.Equal(t, lags(1), r.Lags)
		require.Zero(t, r.MessagesTruncated)

		r = merged(func(a, b *mirror.Result) {
			if swap {
				a, b = b, a
			}
			a.Outcome, a.Sends = mirror.Unknown, nil // as of a file that somebody wrote
			b.Outcome, b.Code = mirror.Failed, 50003
		})
		require.Equal(t, mirror.Unknown, r.Outcome)
	}
	r := merged(func(a, b *mirror.Result) {
		a.Lags, a.MessagesTruncated = lags(1), 5
		b.Lags, b.MessagesTruncated = lags(2), 0
	})
	require.Equal(t, lags(2), r.Lags)
	require.Zero(t, r.MessagesTruncated)
}

func TestMerge_SettledIsOnlyWhereTheSettlementGaveTheOutcome(t *testing.T) {
	settled := promoted(mirror.Unknown, "1")
	require.NoError(t, settled.Settle(mirror.Untouched, "still ACTIVE", "a"))
	for _, o := range []mirror.Outcome{mirror.Accepted, mirror.Failed} {
		for _, both := range [][2]*mirror.Report{{settled, promoted(o, "2")}, {promoted(o, "2"), settled}} {
			m := both[0].Clone()
			require.NoError(t, m.Merge(both[1]))
			require.Equal(t, o, m.Results[0].Outcome)
			require.Empty(t, m.Results[0].Settled, "the server's answer gave the outcome")
			require.NotContains(t, table(t, m), "not by the server's answer")
		}
	}
	m := settled.Clone()
	require.NoError(t, m.Merge(promoted(mirror.Unknown, "1")))
	require.Equal(t, "still ACTIVE", m.Results[0].Settled, "an older copy changes nothing")
}

func TestMerge_ARefusalOfTheRecorderIsOverWhenTheTopicsAreAccepted(t *testing.T) {
	full := errors.New("the disk is full")
	refuses := recorder{sending: func(context.Context, mirror.Batch) error { return full }}
	client := newClient(t, offline(answering(rows(good("a")))))
	report, err := reverse(t, client.WithRecorder(refuses), "a")
	require.ErrorIs(t, err, full)
	again, err := reverse(t, client, "a")
	require.NoError(t, err)
	require.NoError(t, report.Merge(again))
	require.NoError(t, report.Err())

	report, err = client.WithRecorder(refuses).ReverseAndPause(t.Context(), "link", mirror.All())
	require.ErrorIs(t, err, full)
	require.Len(t, report.Problems, 1, "no topic tells it")
}

// Merge is told of the two calls in either order, and a person finds that the first one did nothing.
func TestMerge_ARefusalIsNotForgottenBehindAnUnknown(t *testing.T) {
	unknown, refused := promoted(mirror.Unknown, "1"), promoted(mirror.Failed, "2")
	for _, both := range [][2]*mirror.Report{{unknown, refused}, {refused, unknown}} {
		m := both[0].Clone()
		require.NoError(t, m.Merge(both[1]))
		require.Equal(t, "a unknown", outcomes(m))
		require.NoError(t, m.Settle(mirror.Untouched, "still ACTIVE", "a"))
		require.Equal(t, "a failed", outcomes(m))
	}
}

func TestUnknownReport_OfAPatternIsLost(t *testing.T) {
	r := mirror.UnknownReport(mirror.Batch{Verb: mirror.VerbFailover, ClusterID: "lkc-1", Link: "l", Pattern: ".*"}, time.Time{})
	require.ErrorIs(t, r.Err(), mirror.ErrOutcomeUnknown)
	require.NotErrorIs(t, r.Err(), mirror.ErrNoTopics)
	require.Empty(t, r.Remaining("a"), "any topic may have been changed")
}

// promoted is the report of a call for topic a.
func promoted(o mirror.Outcome, run string) *mirror.Report {
	res := mirror.Result{Topic: "a", Outcome: o, MessagesTruncated: -1}
	res.Sends = []mirror.Send{{Run: run, Unknown: o == mirror.Unknown}}
	switch o {
	case mirror.Failed:
		res.Code = 50003
	case mirror.Unknown:
		res.Why = "no response came"
	}
	return &mirror.Report{Verb: mirror.VerbPromote, ClusterID: "lkc-1", Link: "l", Results: []mirror.Result{res}}
}
