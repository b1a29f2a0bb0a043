package mirror_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// A topic goes back and forth between the clusters, is failed over, and is restored.
func TestVerbs_TheLifeOfATopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair := mirrortest.NewPair(t, mirrortest.Options{
			InMemory: true, Takes: 10 * time.Second,
			Topics: []mirrortest.Topic{{Name: "a", Partitions: []mirrortest.Partition{
				{Lag: 3, LastSourceFetchOffset: 40}, {Lag: 4, LastSourceFetchOffset: 50},
			}}},
		})
		local, remote := newClient(t, pair.Local.Config()), newClient(t, pair.Remote.Config())
		ctx, link, a := t.Context(), pair.Link(), mirror.Topics("a")
		stages := func(report *mirror.Report, err error) string {
			t.Helper()
			require.NoError(t, err)
			now := func() string { return string(pair.Local.Status("a") + "/" + pair.Remote.Status("a")) }
			first := now()
			time.Sleep(5 * time.Second)
			second := now()
			time.Sleep(5 * time.Second)
			pair.Local.AssertSentOnce(t)
			pair.Remote.AssertSentOnce(t)
			return string(report.Verb) + ": " + first + " " + second + " " + now()
		}
		require.Equal(t, "pause: PAUSED/ PAUSED/ PAUSED/", stages(local.Pause(ctx, link, a)))
		require.Equal(t, "resume: ACTIVE/ ACTIVE/ ACTIVE/", stages(local.Resume(ctx, link, a)))
		const reversing = "PENDING_STOPPED/PENDING_MIRROR PENDING_STOPPED/PENDING_MIRROR "
		require.Equal(t, "reverse-and-pause-mirror: "+reversing+"STOPPED/PAUSED", stages(local.ReverseAndPause(ctx, link, a)))
		require.Equal(t, "resume: STOPPED/ACTIVE STOPPED/ACTIVE STOPPED/ACTIVE", stages(remote.Resume(ctx, link, a)))
		const back = "PENDING_MIRROR/PENDING_STOPPED PENDING_MIRROR/PENDING_STOPPED "
		require.Equal(t, "reverse-and-start-mirror: "+back+"ACTIVE/STOPPED", stages(remote.ReverseAndStart(ctx, link, a)))
		require.Equal(t, "failover: PENDING_STOPPED/STOPPED PENDING_STOPPED/STOPPED STOPPED/STOPPED",
			stages(local.Failover(ctx, link, a)))

		plan, err := remote.Validate(ctx, mirror.VerbTruncateAndRestore, link, a)
		require.NoError(t, err)
		require.Equal(t, mirror.TruncationSummary{
			Reported: 7, ReportedTopics: 1, Messages: 7, Partitions: 2, Topics: 1,
		}, plan.Truncation(), "what was lagging at the failover")
		require.Equal(t, "truncate-and-restore: STOPPED/PENDING_SETUP_FOR_RESTORE STOPPED/PENDING_RESTORE STOPPED/ACTIVE",
			stages(remote.TruncateAndRestore(ctx, plan, 7)))
		require.Equal(t, "promote: STOPPED/PENDING_STOPPED STOPPED/PENDING_STOPPED STOPPED/STOPPED",
			stages(remote.Promote(ctx, link, a)))

		report, err := local.Pause(ctx, link, a)
		require.Error(t, err)
		require.Equal(t, "a failed", outcomes(report))
	})
}

// Each verb has its own request, and a dry run of each changes nothing.
func TestVerbs_EachHasItsRequestAndDryRun(t *testing.T) {
	for _, v := range allVerbs {
		pair := mirrortest.NewPair(t, mirrortest.Options{InMemory: true, Topics: []mirrortest.Topic{topicFor(v, "a")}})
		client := newClient(t, pair.Local.Config())
		dry, err := client.Validate(t.Context(), v, pair.Link(), mirror.Topics("a"))
		require.NoError(t, err, v)
		require.True(t, dry.DryRun)
		require.Zero(t, pair.Local.Applied("a"))
		report, err := call(t.Context(), client, v, pair.Link(), "a")
		require.NoError(t, err, v)
		require.Equal(t, v, report.Verb)
		require.Equal(t, 1, pair.Local.Applied("a"))
		for i, flag := range []string{"validate_only=true", "validate_only=false"} {
			r := pair.Requests()[i]
			require.Equal(t, v, r.Verb)
			require.Contains(t, r.URI, "/mirrors:"+string(v)+"?")
			require.Contains(t, r.URI, flag)
			require.Equal(t, v == mirror.VerbTruncateAndRestore, strings.Contains(r.URI, "include_partition_level_truncation_data=true"))
			require.JSONEq(t, `{"mirror_topic_names":["a"]}`, r.Body)
		}
	}
	_, err := newClient(t, offline(answering(rows(good("a"))))).
		Do(t.Context(), mirror.VerbTruncateAndRestore, "link", mirror.Topics("a"))
	require.ErrorIs(t, err, mirror.ErrInvalidArgument, "it needs a plan")
}

func TestVerbs_TheirTable(t *testing.T) {
	for _, v := range allVerbs {
		this, _ := v.Goal()
		require.NotEmpty(t, this)
		require.NotEmpty(t, v.From())
		require.NotEmpty(t, v.Past())
		require.NotContains(t, v.From(), this, "%s has nothing to do for a topic that is done", v)
		require.NotContains(t, v.Through(), this)
		require.Equal(t, v == mirror.VerbTruncateAndRestore, v.FromUnlisted())
		v.From()[0] = "changed" // the caller's own
		require.NotContains(t, v.From(), mirror.Status("changed"))
		parsed, err := mirror.ParseVerb(string(v))
		require.NoError(t, err)
		require.Equal(t, v, parsed)
		parsed, err = mirror.ParseVerb(strings.TrimSuffix(string(v), "-mirror"))
		require.NoError(t, err)
		require.Equal(t, v, parsed)
	}
	this, other := mirror.VerbReverseAndPause.Goal()
	require.Equal(t, []mirror.Status{mirror.StatusStopped, mirror.StatusPaused}, []mirror.Status{this, other})
	_, other = mirror.VerbPromote.Goal()
	require.Empty(t, other, "the other cluster stays as it is")
	require.Contains(t, mirror.VerbFailover.From(), mirror.StatusSourceUnavailable)
	require.NotContains(t, mirror.VerbPromote.From(), mirror.StatusSourceUnavailable)
	for v, undone := range map[mirror.Verb]bool{
		mirror.VerbReverseAndPause: true, mirror.VerbPause: true, mirror.VerbPromote: false, mirror.VerbFailover: false,
		mirror.VerbTruncateAndRestore: false, "unknown": false,
	} {
		require.Equal(t, undone, v.CanBeUndone(), v)
	}
	require.NotEmpty(t, mirror.VerbFailover.Hidden())
}

func TestVerbs_AnUnknownVerbIsRefused(t *testing.T) {
	client := newClient(t, offline(answering(rows(good("a")))))
	for _, v := range []mirror.Verb{"", "reverse", "../x", "promote ", "reverse-and-pause"} {
		report, err := client.Validate(t.Context(), v, "", mirror.Topics("a"))
		require.ErrorIs(t, err, mirror.ErrInvalidArgument)
		require.ErrorContains(t, err, "is none of reverse-and-pause, reverse-and-start, promote")
		require.ErrorContains(t, err, "link: it is empty", "with everything else that is wrong")
		require.Equal(t, "a untouched", outcomes(report))
		require.Empty(t, report.Attempts)
	}
	for _, name := range []string{"", "reverse", "promote-mirror", "Promote", " promote"} {
		_, err := mirror.ParseVerb(name)
		require.ErrorIs(t, err, mirror.ErrInvalidArgument, name)
		require.ErrorContains(t, err, "truncate-and-restore", "the error lists all")
	}
}

// Records are deleted only with a plan that says how many, for each topic, and within the limit.
func TestTruncateAndRestore_NeedsAPlan(t *testing.T) {
	topics := func(results ...mirror.Result) *mirror.Report {
		plan := planFor("dr-link")
		plan.Results = results
		return plan
	}
	cut := func(name string, n int64, rows ...int64) mirror.Result {
		r := mirror.Result{Topic: name, Outcome: mirror.Accepted, MessagesTruncated: n}
		for i, row := range rows {
			r.Truncations = append(r.Truncations, mirror.PartitionTruncation{Partition: i, MessagesTruncated: row})
		}
		return r
	}
	with := func(edit func(*mirror.Report)) *mirror.Report {
		plan := topics(cut("a", 5))
		edit(plan)
		return plan
	}
	odd := cut("d", 1)
	odd.Notes = []string{"the answer has more than one row for this topic"}
	pair := mirrortest.NewPair(t, mirrortest.Options{InMemory: true, Topics: []mirrortest.Topic{
		topicFor(mirror.VerbTruncateAndRestore, "a"), topicFor(mirror.VerbTruncateAndRestore, "b"),
	}})
	client := newClient(t, pair.Local.Config())
	const notOne = "plan: it is not the report of a dry run of truncate-and-restore"
	for name, c := range map[string]struct {
		plan *mirror.Report
		max  int64
		text string
	}{
		"none":               {nil, 1, "plan: there is none"},
		"not a dry run":      {with(func(r *mirror.Report) { r.DryRun = false }), 9, notOne},
		"of another verb":    {with(func(r *mirror.Report) { r.Verb = mirror.VerbPromote }), 9, notOne},
		"of another cluster": {with(func(r *mirror.Report) { r.ClusterID = "c" }), 9, `plan: it is about cluster "c"`},
		"of no link":         {with(func(r *mirror.Report) { r.Link = "-" }), 9, "link: "},
		"of a pattern":       {with(func(r *mirror.Report) { r.Pattern = "a.*" }), 9, "plan: it is of a pattern"},
		"of nothing":         {topics(), 9, "Topics: no topic is named"},
		"with a problem": {with(func(r *mirror.Report) { r.Problems = []string{"the answer goes on elsewhere"} }), 9,
			"plan: the answer goes on elsewhere"},
		"with a stranger": {with(func(r *mirror.Report) { r.Unexpected = []mirror.Result{{Topic: "z"}} }), 9, "plan: the answer has 1 unexpected row"},
		"not accepted": {topics(mirror.Result{Topic: "a", Outcome: mirror.Failed}, cut("b", 1), mirror.Result{Topic: "c"}), 9,
			`the dry run was not accepted for "a", "c"`},
		"not known": {topics(cut("a", -1), cut("b", 1, -1), cut("c", 1), odd), 9,
			`it does not say for certain how many messages are cut off "a", "b", "d"`},
		"too many": {topics(cut("a", 10), cut("b", 9), cut("c", 1, 4, 6)), 9,
			`more messages would be cut off than maxMessages, 9, allows: "a" 10, "c" 10`},
		"more than a number": {topics(cut("a", 1, 1<<62, 1<<62, 5)), 1<<62 + 1, "plan: "},
		"a negative limit":   {topics(cut("a", 0)), -1, "maxMessages: -1 is negative"},
	} {
		t.Run(name, func(t *testing.T) {
			report, err := client.TruncateAndRestore(t.Context(), c.plan, c.max)
			require.ErrorIs(t, err, mirror.ErrInvalidArgument)
			require.ErrorContains(t, err, c.text)
			require.Equal(t, mirror.VerbTruncateAndRestore, report.Verb)
			require.False(t, report.DryRun)
			require.Equal(t, len(report.Results), report.Count(mirror.Untouched))
			if c.plan != nil {
				require.Len(t, report.Results, len(c.plan.Results))
			}
		})
	}
	require.Empty(t, pair.Requests())
	_, err := new(mirror.Client).TruncateAndRestore(t.Context(), topics(cut("a", 5)), 5)
	require.ErrorIs(t, err, mirror.ErrInvalidArgument)

	report, err := client.TruncateAndRestore(t.Context(), topics(cut("a", 5, 2, 3), cut("b", 0)), 5)
	require.NoError(t, err)
	require.Equal(t, "a accepted, b accepted", outcomes(report))
	require.Len(t, report.Results[0].Truncations, 3, "the call's own numbers")
}

// What the dry run says with a doubt is no consent.
func TestTruncateAndRestore_DoubtIsNoConsent(t *testing.T) {
	row := func(members string) string {
		return `{"mirror_topic_name":"a","error_code":null,"error_message":null,` + members + `}`
	}
	said := func(rowsOf ...string) *mirror.Report {
		plan, err := newClient(t, offline(answering(rows(rowsOf...)))).
			Validate(t.Context(), mirror.VerbTruncateAndRestore, "link", mirror.Topics("a"))
		require.NoError(t, err)
		return plan
	}
	sent := 0
	client := newClient(t, offline(roundTripper(func(r *http.Request) (*http.Response, error) {
		sent++
		return answering(rows(good("a"))).RoundTrip(r)
	})))
	const list = `"partition_level_truncation_data":`
	for name, plan := range map[string]*mirror.Report{
		"two rows":              said(row(`"messages_truncated":1`), row(`"messages_truncated":1000000`)),
		"a number twice":        said(row(`"messages_truncated":1,"messages_truncated":1000000`)),
		"no number":             said(row(`"messages_truncated":null`)),
		"a text":                said(row(`"messages_truncated":"1"`)),
		"not applicable":        said(row(`"messages_truncated":-1,` + list + `[{"messages_truncated":5}]`)),
		"a partition's text":    said(row(`"messages_truncated":1,` + list + `[{"messages_truncated":"9"}]`)),
		"a partition's null":    said(row(`"messages_truncated":1,` + list + `[{"messages_truncated":null}]`)),
		"a partition's silence": said(row(`"messages_truncated":1,` + list + `[{"partition_id":4}]`)),
		"a list of lists":       said(row(`"messages_truncated":1,` + list + `[["x"]]`)),
		"a list twice":          said(row(`"messages_truncated":1,` + list + `[],` + list + `[{}]`)),
	} {
		report, err := client.TruncateAndRestore(t.Context(), plan, 1<<62)
		require.ErrorIs(t, err, mirror.ErrInvalidArgument, name)
		require.ErrorContains(t, err, "plan: ", name)
		require.Equal(t, "a untouched", outcomes(report))
	}
	require.Zero(t, sent)
	again := said(row(`"messages_truncated":0`))
	require.NoError(t, again.Merge(said(row(`"messages_truncated":0`))))
	_, err := client.TruncateAndRestore(t.Context(), again, 0)
	require.NoError(t, err, "the same said twice is said")
}

// Many refused topics are all in the report, and its table stays short.
func TestTruncateAndRestore_RefusesManyTopics(t *testing.T) {
	var names []string
	for i := range 2000 {
		names = append(names, fmt.Sprintf("%0100d", i))
	}
	report, err := newClient(t, offline(answering(rows()))).TruncateAndRestore(t.Context(), planFor("link", names...), 1)
	require.ErrorContains(t, err, "and 1980 more")
	require.Len(t, report.Topics(mirror.Untouched), 2000)
	require.Less(t, len(table(t, report)), 10_000)
}

// Behind a limiter that gives no proof the run ends.
func TestTruncateAndRestore_EndsBehindALimiterWithoutProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := mirrortest.Options{InMemory: true, Rate: mirrortest.Rate{PerServer: 1, NoHeader: true}}
		names := []string{"a", "b", "c", "d"}
		for _, name := range names {
			o.Topics = append(o.Topics, topicFor(mirror.VerbTruncateAndRestore, name))
		}
		pair := mirrortest.NewPair(t, o)
		cfg := pair.Local.Config()
		cfg.BatchSize = 1
		report, err := newClient(t, cfg).TruncateAndRestore(t.Context(), planFor(pair.Link(), names...), 10)
		require.ErrorIs(t, err, mirror.ErrOutcomeUnknown)
		require.Equal(t, "a accepted, b unknown, c untouched, d untouched", outcomes(report))
		require.Len(t, pair.Requests(), 2)
	})
}

// The plan's numbers can grow before the call: the report says so, also the one that the recorder gets.
func TestTruncateAndRestore_SaysWhereMoreWasCut(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{InMemory: true, Topics: []mirrortest.Topic{
		{Name: "a", Partitions: []mirrortest.Partition{{Lag: 7, LastSourceFetchOffset: 1}}},
	}})
	_, err := newClient(t, pair.Local.Config()).Failover(t.Context(), pair.Link(), mirror.Topics("a"))
	require.NoError(t, err)
	cfg := pair.Remote.Config()
	var recorded *mirror.Report
	cfg.Recorder = recorder{answered: func(_ context.Context, _ mirror.Batch, r *mirror.Report) error { recorded = r; return nil }}
	remote := newClient(t, cfg)
	plan, err := remote.Validate(t.Context(), mirror.VerbTruncateAndRestore, pair.Link(), mirror.Topics("a"))
	require.NoError(t, err)
	require.EqualValues(t, 7, plan.Truncation().Messages)
	plan.Results[0].MessagesTruncated, plan.Results[0].Truncations = 1, nil
	report, err := remote.TruncateAndRestore(t.Context(), plan, 1)
	require.NoError(t, err)
	for _, r := range []*mirror.Report{report, recorded} {
		require.Len(t, r.Results[0].Notes, 1)
		require.Contains(t, r.Results[0].Notes[0], "more messages were cut off than maxMessages, 1")
	}
}

// A server from before September 2024 knows neither the parameter nor the numbers: there is no plan.
func TestTruncateAndRestore_OlderServersGiveNoNumbers(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{
		InMemory: true, NoTruncationData: true, Topics: []mirrortest.Topic{topicFor(mirror.VerbTruncateAndRestore, "a")},
	})
	client := newClient(t, pair.Local.Config())
	plan, err := client.Validate(t.Context(), mirror.VerbTruncateAndRestore, pair.Link(), mirror.Topics("a"))
	require.NoError(t, err)
	_, err = client.TruncateAndRestore(t.Context(), plan, 1<<40)
	require.ErrorContains(t, err, `it does not say for certain how many messages are cut off "a"`)
	require.Zero(t, pair.Local.Applied("a"))
}
