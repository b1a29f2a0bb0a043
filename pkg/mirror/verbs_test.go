package mirror_test

import (
	"context"
	"fmt"
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
			InMemory: true, Settle: 10 * time.Second,
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
		require.Equal(t, mirror.Number(50), plan.Results[0].Truncations[1].OffsetTruncatedTo)
		require.Equal(t, "truncate-and-restore: STOPPED/PENDING_SETUP_FOR_RESTORE STOPPED/PENDING_RESTORE STOPPED/ACTIVE",
			stages(remote.TruncateAndRestore(ctx, plan, 7)))
		require.Equal(t, "promote: STOPPED/PENDING_STOPPED STOPPED/PENDING_STOPPED STOPPED/STOPPED",
			stages(remote.Promote(ctx, link, a)))

		_, err = local.Pause(ctx, link, a)
		require.ErrorContains(t, err, "a: 400: Topic 'a' does not allow pause while its mirror is STOPPED")
	})
}

// The words of a report are those of its verb.
func TestVerbs_TheirWords(t *testing.T) {
	for v, want := range map[mirror.Verb][3]string{
		mirror.VerbReverseAndPause: {
			"2 of 2 accepted: wait until they are STOPPED here and PAUSED on the other cluster",
			"do not move clients: 1 unknown, 1 failed", "may have been reversed",
		},
		mirror.VerbReverseAndStart: {
			"2 of 2 accepted: wait until they are STOPPED here and ACTIVE on the other cluster",
			"do not move clients: 1 unknown, 1 failed", "may have been reversed",
		},
		mirror.VerbPromote: {
			"2 of 2 accepted: wait until they are STOPPED", "do not move clients: 1 unknown, 1 failed", "may have been promoted",
		},
		mirror.VerbFailover: {
			"2 of 2 accepted: wait until they are STOPPED", "do not move clients: 1 unknown, 1 failed",
			"may have been failed over",
		},
		mirror.VerbPause: {
			"2 of 2 accepted: wait until they are PAUSED", "do not count on the pause: 1 unknown, 1 failed",
			"may have been paused",
		},
		mirror.VerbResume: {
			"2 of 2 accepted: wait until they are ACTIVE", "do not count on the resume: 1 unknown, 1 failed",
			"may have been resumed",
		},
		mirror.VerbTruncateAndRestore: {
			"2 of 2 accepted: wait until they are ACTIVE", "do not count on the restore: 1 unknown, 1 failed",
			"may have been truncated and restored",
		},
	} {
		t.Run(string(v), func(t *testing.T) {
			pair := mirrortest.NewPair(t, mirrortest.Options{Topics: []mirrortest.Topic{topicFor(v, "a"), topicFor(v, "b")}})
			client := newClient(t, pair.Local.Config())
			stopped := `{"mirror_topic_name":"a","error_code":400,` +
				`"error_message":"Topic 'a' has already stopped its mirror from 'x'"}`
			pair.Local.Inject(mirrortest.Fault{Do: ok(rows(stopped))})
			report, err := call(t.Context(), t, client, v, pair.Link(), mirror.Topics("a", "b"))
			require.ErrorIs(t, err, mirror.ErrOutcomeUnknown)
			var refusal *mirror.TopicError
			require.ErrorAs(t, err, &refusal)
			require.True(t, refusal.AlreadyStopped())
			lines := strings.Split(table(t, report), "\n")
			require.Equal(t, want[1], lines[0])
			require.Contains(t, lines[1], string(v)+`, link "dr-link": 0 accepted, 1 failed, 1 unknown`)
			require.Contains(t, table(t, report), want[2])
			stops := strings.Contains(want[0], "STOPPED")
			require.Contains(t, table(t, report), "already stopped  1 failed topic: ")
			require.Equal(t, stops, strings.Contains(table(t, report), "an earlier call may have done it"))

			report, err = call(t.Context(), t, client, v, pair.Link(), mirror.Topics("a", "b"))
			require.NoError(t, err)
			require.Equal(t, want[0], strings.Split(table(t, report), "\n")[0])
			require.Contains(t, marshal(t, report), `"verb":"`+string(v)+`"`)
			require.Contains(t, logged(report), "verb="+string(v))

			dry, err := client.Validate(t.Context(), v, pair.Link(), mirror.Topics("nowhere"))
			require.Error(t, err)
			require.Equal(t, "the dry run is not clean: 1 failed", strings.Split(table(t, dry), "\n")[0])
		})
	}
	for text, want := range map[string]bool{
		"Topic 'a' has already stopped its mirror from 'x'": true, "Topic 'a' is stopped": false, "": false,
	} {
		require.Equal(t, want, (&mirror.TopicError{Code: mirror.CodeBadRequest, Message: text}).AlreadyStopped())
		require.False(t, (&mirror.TopicError{Code: mirror.CodeUnknownTopic, Message: text}).AlreadyStopped())
	}
}

// Where every topic is accepted and the answer is still not clean, the first line says why.
func TestVerbs_TheDecisionNamesWhatElseIsWrong(t *testing.T) {
	report, err := reverse(t, serve(t, ok(rows(good("a"), good("z")))).client(t), "a")
	require.Error(t, err)
	require.Equal(t, "do not move clients: 1 unexpected row", strings.Split(table(t, report), "\n")[0])
	body := rows(failedRow("p-a"), good("p-b"))
	half, err := serve(t, ok(body[:len(body)-40])).client(t).Failover(t.Context(), "link", mirror.Prefix("p-"))
	require.ErrorIs(t, err, mirror.ErrOutcomeUnknown)
	require.Equal(t, "do not move clients: 1 failed, topics without a row unknown", strings.Split(table(t, half), "\n")[0])
	report, err = reverse(t, serve(t, ok(rows(good("a"))+"x")).client(t), "a")
	require.Error(t, err)
	require.Contains(t, table(t, report), "do not move clients: the answer could not be read to its end")
}

func TestVerbs_AnUnknownVerbIsRefused(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{})
	for _, v := range []mirror.Verb{"", "reverse", "../x", "promote "} {
		report, err := newClient(t, pair.Local.Config()).Validate(t.Context(), v, "", mirror.Topics("a"))
		require.ErrorIs(t, err, mirror.ErrInvalidArgument)
		require.ErrorContains(t, err, "is none of reverse-and-pause-mirror, reverse-and-start-mirror, promote")
		require.ErrorContains(t, err, "link: it is empty", "with everything else that is wrong")
		require.Equal(t, "a untouched", outcomes(report))
		require.Equal(t, v, clone(t, report).Verb)
	}
	require.Empty(t, pair.Journal())
}

// Records are deleted only with a plan that says how many, for each topic, and within the limit.
func TestTruncateAndRestore_NeedsAPlan(t *testing.T) {
	topics := func(results ...mirror.Result) *mirror.Report {
		return &mirror.Report{
			Verb: mirror.VerbTruncateAndRestore, DryRun: true, ClusterID: "lkc-local", Link: "dr-link",
			Complete: true, Results: results,
		}
	}
	cut := func(name string, n int64, rows ...mirror.Number) mirror.Result {
		r := mirror.Result{Topic: name, Outcome: mirror.Accepted, MessagesTruncated: &n}
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
	pair := mirrortest.NewPair(t, mirrortest.Options{Topics: []mirrortest.Topic{
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
		"not complete":       {with(func(r *mirror.Report) { r.Complete = false }), 9, "the answer was not read to its end"},
		"not accepted": {topics(mirror.Result{Topic: "a", Outcome: mirror.Failed}, cut("b", 1), mirror.Result{Topic: "c"}), 9,
			`the dry run was not accepted for "a", "c"`},
		"not known": {topics(
			mirror.Result{Topic: "a", Outcome: mirror.Accepted}, cut("b", -1), cut("c", 1, mirror.NotKnown), cut("d", 1),
		), 9,
			`it does not say for certain how many messages are cut off "a", "b", "c"`},
		"too many": {topics(cut("a", 10), cut("b", 9), cut("c", 1, 4, 6)), 9,
			`more messages would be cut off than maxMessages, 9, allows: "a" 10, "c" 10`},
		"a negative limit": {topics(cut("a", 0)), -1, "maxMessages: -1 is negative"},
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
	require.Empty(t, pair.Journal())

	report, err := client.TruncateAndRestore(t.Context(), topics(cut("a", 5, 2, 3), cut("b", 0)), 5)
	require.NoError(t, err)
	require.Equal(t, "a accepted, b accepted", outcomes(report))
	sent := pair.Journal()[0]
	require.Contains(t, sent.URI, "include_partition_level_truncation_data=true")
	require.Contains(t, sent.URI, "validate_only=false")
	require.Equal(t, mirror.VerbTruncateAndRestore, sent.Verb)
	require.Len(t, report.Results[0].Truncations, 3, "the call's own numbers")
}

// What the dry run says with a doubt is no consent: odd rows, plans that were merged and differ.
func TestTruncateAndRestore_DoubtIsNoConsent(t *testing.T) {
	w := serve(t, ok(""))
	said := func(row string) *mirror.Report {
		t.Helper()
		pair := mirrortest.NewPair(t, mirrortest.Options{Link: "link"})
		pair.Local.Inject(mirrortest.Fault{Do: ok(rows(row))})
		plan, err := newClient(t, pair.Local.Config()).Validate(
			t.Context(), mirror.VerbTruncateAndRestore, "link", mirror.Topics("a"),
		)
		require.NoError(t, err)
		return plan
	}
	row := func(members string) string {
		return `{"mirror_topic_name":"a","error_code":null,"error_message":null,` + members + `}`
	}
	const list = `"partition_level_truncation_data":`
	low, high := said(row(`"messages_truncated":0`)), said(row(`"messages_truncated":1000000`))
	merged := clone(t, low)
	require.NoError(t, merged.Merge(high))
	unaccounted := clone(t, low)
	unaccounted.Unaccounted = mirror.UnaccountedUnknown
	for name, plan := range map[string]*mirror.Report{
		"two rows":        said(row(`"messages_truncated":1`) + "," + row(`"messages_truncated":1000000`)),
		"a number twice":  said(row(`"messages_truncated":1,"messages_truncated":1000000`)),
		"numbers as text": said(row(`"messages_truncated":1,` + list + `[["x"],{"messages_truncated":"9"}]`)),
		"a list twice":    said(row(`"messages_truncated":1,` + list + `[],` + list + `[{}]`)),
		"merged":          merged,
		"more than a number": said(row(`"messages_truncated":1,"partition_level_truncation_data":[` +
			`{"partition_id":0,"messages_truncated":9223372036854775807},{"partition_id":1,"messages_truncated":5}]`)),
		"unaccounted": unaccounted,
	} {
		report, err := w.client(t).TruncateAndRestore(t.Context(), plan, 1<<62)
		require.ErrorIs(t, err, mirror.ErrInvalidArgument, name)
		require.ErrorContains(t, err, "plan: ", name)
		require.Equal(t, "a untouched", outcomes(report))
	}
	require.Empty(t, w.Journal())
	again := clone(t, low)
	require.NoError(t, again.Merge(clone(t, low)))
	_, err := w.client(t).TruncateAndRestore(t.Context(), again, 0)
	require.NotErrorIs(t, err, mirror.ErrInvalidArgument, "the same said twice is said")
}

// Many refused topics are all in the report, and its table stays as long as they are many.
func TestTruncateAndRestore_RefusesManyTopics(t *testing.T) {
	plan := &mirror.Report{
		Verb: mirror.VerbTruncateAndRestore, DryRun: true, ClusterID: "lkc-local", Link: "dr-link", Complete: true,
	}
	for i := range 2000 {
		name := fmt.Sprintf("%0100d", i)
		plan.Results = append(
			plan.Results, mirror.Result{Topic: name, Outcome: mirror.Accepted, MessagesTruncated: new(int64(9))},
		)
	}
	pair := mirrortest.NewPair(t, mirrortest.Options{})
	report, err := newClient(t, pair.Local.Config()).TruncateAndRestore(t.Context(), plan, 1)
	require.ErrorContains(t, err, "and 1900 more")
	require.Len(t, report.Topics(mirror.Untouched), 2000)
	text := table(t, report)
	require.Less(t, len(text), 500_000)
	require.Contains(t, text, "the call was refused; see the note")
	require.Contains(
		t, text, "note       invalid argument: plan: more messages would be cut off than maxMessages, 1, allows:",
	)
	require.Equal(t, report.Topics(mirror.Untouched), clone(t, report).Topics(mirror.Untouched))
}

// Behind a limiter that gives no proof the run ends, with KeepGoing or without.
func TestTruncateAndRestore_EndsBehindALimiterWithoutProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := mirrortest.Options{InMemory: true, Rate: mirrortest.Rate{PerServer: 1, NoHeader: true}}
		plan := &mirror.Report{
			Verb: mirror.VerbTruncateAndRestore, DryRun: true, ClusterID: "lkc-local", Link: "dr-link", Complete: true,
		}
		for _, name := range []string{"a", "b", "c", "d"} {
			o.Topics = append(o.Topics, topicFor(mirror.VerbTruncateAndRestore, name))
			plan.Results = append(
				plan.Results, mirror.Result{Topic: name, Outcome: mirror.Accepted, MessagesTruncated: new(int64)},
			)
		}
		pair := mirrortest.NewPair(t, o)
		cfg := pair.Local.Config()
		cfg.KeepGoing, cfg.BatchSize = true, 1
		report, err := newClient(t, cfg).TruncateAndRestore(t.Context(), plan, 0)
		require.ErrorIs(t, err, mirror.ErrOutcomeUnknown)
		require.Equal(t, "a accepted, b unknown, c untouched, d untouched", outcomes(report))
	})
}

// The plan's numbers can grow before the call; the report says so.
func TestTruncateAndRestore_SaysWhereMoreWasCut(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{Topics: []mirrortest.Topic{
		{Name: "a", Partitions: []mirrortest.Partition{{Lag: 7}}},
	}})
	_, err := newClient(t, pair.Local.Config()).Failover(t.Context(), pair.Link(), mirror.Topics("a"))
	require.NoError(t, err)
	remote := newClient(t, pair.Remote.Config())
	plan, err := remote.Validate(t.Context(), mirror.VerbTruncateAndRestore, pair.Link(), mirror.Topics("a"))
	require.NoError(t, err)
	require.Contains(t, table(t, plan), "would truncate  7 messages")
	plan.Results[0].MessagesTruncated, plan.Results[0].Truncations = new(int64(1)), nil
	report, err := remote.TruncateAndRestore(t.Context(), plan, 1)
	require.NoError(t, err)
	require.Contains(t, report.Results[0].Notes[0], "more messages were cut off than maxMessages, 1")
	require.Contains(t, table(t, report), "truncated  7 messages")
}

// A server from before September 2024 knows neither the parameter nor the numbers: there is no plan.
func TestTruncateAndRestore_OlderServersGiveNoNumbers(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{
		NoTruncationData: true, Topics: []mirrortest.Topic{topicFor(mirror.VerbTruncateAndRestore, "a")},
	})
	client := newClient(t, pair.Local.Config())
	plan, err := client.Validate(t.Context(), mirror.VerbTruncateAndRestore, pair.Link(), mirror.Topics("a"))
	require.NoError(t, err)
	_, err = client.TruncateAndRestore(t.Context(), plan, 1<<40)
	require.ErrorContains(t, err, `it does not say for certain how many messages are cut off "a"`)
	require.Zero(t, pair.Local.Applied("a"))
}

// The hooks see the verb.
func TestVerbs_BatchesNameTheirVerb(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{})
	cfg := pair.Local.Config()
	var seen []mirror.Verb
	cfg.BeforeBatch = func(_ context.Context, b mirror.Batch) error {
		seen = append(seen, b.Verb, b.Unanswered().Verb)
		return nil
	}
	cfg.AfterBatch = func(_ context.Context, b mirror.Batch, r *mirror.Report) error {
		seen = append(seen, b.Verb, r.Verb)
		return nil
	}
	_, err := newClient(t, cfg).Failover(t.Context(), pair.Link(), mirror.Topics("topic-1"))
	require.NoError(t, err)
	f := mirror.VerbFailover
	require.Equal(t, []mirror.Verb{f, f, f, f}, seen)
}
