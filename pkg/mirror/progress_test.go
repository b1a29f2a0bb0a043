package mirror_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func progressTable(t *testing.T, p *mirror.Progress) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, p.Table(&b))
	return b.String()
}

// Everything that is wrong with the arguments is said at once, before anything is read.
func TestFollow_BadArguments(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{})
	local, remote := newClient(t, pair.Local.Config()), newClient(t, pair.Remote.Config())
	unknown := mirror.UnknownReport(pair.Local.ID, "dr-link", mirror.VerbReverseAndPause, time.Now(), "a")
	with := func(edit func(*mirror.Report)) *mirror.Report {
		r := mirror.UnknownReport(pair.Local.ID, "dr-link", mirror.VerbReverseAndPause, time.Now(), "a")
		edit(r)
		return r
	}
	good := mirror.FollowOptions{Other: remote}
	for name, c := range map[string]struct {
		client *mirror.Client
		report *mirror.Report
		o      mirror.FollowOptions
		texts  []string
	}{
		"no report":       {local, nil, good, []string{"report: there is none"}},
		"no client":       {nil, unknown, good, []string{"Client: it was not made by NewClient"}},
		"the zero client": {new(mirror.Client), unknown, good, []string{"Client: it was not made by NewClient"}},
		"clients swapped": {
			remote, unknown, mirror.FollowOptions{Other: local},
			[]string{"Client: it is of cluster", "Other: it is of the report's own cluster"},
		},
		"no other client": {
			local, unknown, mirror.FollowOptions{},
			[]string{"Other: reverse-and-pause-mirror needs a client of the other cluster"},
		},
		"the zero other": {
			local, unknown, mirror.FollowOptions{Other: new(mirror.Client)}, []string{"Other: it was not made by NewClient"},
		},
		"the same twice": {
			local, unknown, mirror.FollowOptions{Other: local}, []string{"Other: it is of the report's own cluster"},
		},
		"a dry run": {
			local, with(func(r *mirror.Report) { r.DryRun = true }), good, []string{"report: it is of a dry run"},
		},
		"an unknown verb": {local, with(func(r *mirror.Report) { r.Verb = "x" }), good, []string{"Verb: "}},
		"no link":         {local, with(func(r *mirror.Report) { r.Link = "-" }), good, []string{"link: "}},
		"nothing to follow": {
			local, with(func(r *mirror.Report) { r.Results[0].Outcome = mirror.Untouched }), good,
			[]string{"no topic to follow"},
		},
		"a refusal": {
			local, with(func(r *mirror.Report) { r.Results[0].Outcome = mirror.Failed }), good, []string{"no topic to follow"},
		},
		"intervals and all": {
			local, nil, mirror.FollowOptions{Interval: time.Millisecond, Patience: -1},
			[]string{"Interval: 1ms is less than 1s", "Patience: -1ns is negative", "report"},
		},
		"a negative interval": {
			local, unknown, mirror.FollowOptions{Other: remote, Interval: -time.Hour}, []string{"Interval: "},
		},
		"a baseline of another": {
			local, unknown,
			mirror.FollowOptions{
				Other: remote, Before: &mirror.Listing{ClusterID: "x"}, BeforeOther: &mirror.Listing{ClusterID: "y"},
			},
			[]string{`Before: it is of link "" of cluster "x"`, `BeforeOther: it is of link "" of cluster "y"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := c.client.Follow(t.Context(), c.report, c.o)
			require.NotNil(t, p)
			require.ErrorIs(t, err, mirror.ErrInvalidArgument)
			var notDone *mirror.NotDoneError
			require.ErrorAs(t, err, &notDone)
			require.Same(t, p, notDone.Progress)
			for _, text := range c.texts {
				require.ErrorContains(t, err, text)
			}
			require.Contains(t, progressTable(t, p), "not yet: nothing was followed")
			if c.report == nil {
				require.Empty(t, p.Report().Results)
			}
		})
	}
	require.Empty(t, pair.Journal())
}

// stuckRun is a run of eleven topics: nine get done, one is blocked, and one is held up.
func stuckRun(t *testing.T, onPoll func(*mirror.Progress)) (*mirror.Progress, error) {
	t.Helper()
	o := mirrortest.Options{InMemory: true, Settle: 20 * time.Second}
	var names []string
	for i := range 11 {
		names = append(names, fmt.Sprintf("orders.%02d", i))
		o.Topics = append(o.Topics, mirrortest.Topic{Name: names[i]})
	}
	pair := mirrortest.NewPair(t, o)
	local := newClient(t, pair.Local.Config())
	pair.Local.SetReasons(
		"orders.03", mirror.Reason{Code: "CONSUMER_GROUP_IN_USE_ERROR", Message: "Group 'billing' is active."},
	)
	report, err := local.ReverseAndPause(t.Context(), pair.Link(), mirror.Topics(names...))
	require.NoError(t, err)
	time.AfterFunc(10*time.Second, func() {
		pair.Local.SetReasons("orders.07", mirror.Reason{Code: "AUTHORIZATION_ERROR", Message: "No right to alter."})
		pair.Local.SetStatus("orders.07", mirror.StatusFailed)
	})
	return local.Follow(t.Context(), report, mirror.FollowOptions{
		Other: newClient(t, pair.Remote.Config()), OnPoll: func(_ context.Context, p *mirror.Progress) { onPoll(p) },
	})
}

// The text of a run that is stuck, as a person sees it after half a minute and at its end.
func TestProgress_TableOfAStuckRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var at30, at120 string
		p, err := stuckRun(t, func(p *mirror.Progress) {
			if at30 == "" && time.Since(start) >= 36*time.Second {
				at30 = progressTable(t, p)
			}
			if at120 == "" && time.Since(start) >= 2*time.Minute {
				at120 = progressTable(t, p)
			}
		})
		require.ErrorIs(t, err, mirror.ErrStalled)
		if testing.Verbose() {
			fmt.Printf(
				"--- after 30 s\n%s\n--- after 2 min\n%s\n--- at the end\n%s\n%v\n", at30, at120, progressTable(t, p), err,
			)
		}
		lines := strings.Split(progressTable(t, p), "\n")
		require.Equal(t, "not yet: 9 of 11 done; 1 blocked, 1 in progress", lines[0])
		require.Equal(t, `reverse-and-pause-mirror, link "dr-link": 9 done, 1 in progress, 1 blocked, 0 no sign`, lines[1])
		for i, want := range []string{
			`^$`,
			`^blocked +it does not go on by itself: deal with what stands under WHY; then follow it again, or send it again$`,
			`^in progress +something was seen to move; deal with what stands under WHY, and follow it again$`,
			`^done +it is STOPPED here and PAUSED on the other cluster; whether data and consumer offsets are complete`,
			`^$`,
			`^STAGE +FOR +TOPICS +lkc-local +lkc-remote +WHY$`,
			`^blocked +\d+m\d+s +orders\.07 +FAILED +PAUSED +it is FAILED on lkc-local; AUTHORIZATION_ERROR: No`,
			`^in progress +6m\d+s +orders\.03 +PENDING_STOPPED +PAUSED +CONSUMER_GROUP_IN_USE_ERROR: Group 'billing' is`,
			`^$`,
			`^looked +\d+ times in 6m\d+s$`,
			`^ended +nothing has moved for 6m0s: stalled$`,
		} {
			require.Regexp(t, want, lines[2+i])
		}
		require.Contains(t, at30, "not yet: 9 of 11 done; 1 blocked, 1 in progress\n")
		require.Contains(t, at120, "CONSUMER_GROUP_IN_USE_ERROR")
	})
}

// The other forms of a progress: JSON, log, names, counts.
func TestProgress_Forms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := stuckRun(t, func(*mirror.Progress) {})
		require.Error(t, err)
		require.Equal(t, "reverse-and-pause-mirror lkc-local dr-link", fmt.Sprint(p.Verb, " ", p.ClusterID, " ", p.Link))
		require.Equal(t, time.Now(), p.At)
		byID := map[string]mirror.ClusterProgress{}
		for _, c := range p.Clusters {
			byID[c.ClusterID] = c
		}
		first := byID["lkc-local"]
		require.Less(t, time.Since(first.Listed), 10*time.Second)
		one := p.Followed[3]
		require.Less(t, time.Since(one.Since), 7*time.Minute)
		require.Equal(t, mirror.Accepted, one.Outcome)
		require.True(t, one.Firm && !one.Alone)
		require.WithinDuration(t, first.Listed, one.HereAt, time.Second)
		require.WithinDuration(t, first.Listed, one.ThereAt, time.Second)
		require.Equal(t, "nothing has moved for 6m0s: stalled", p.Ended)
		require.Greater(t, p.At.Sub(p.Began), 6*time.Minute)
		require.Empty(t, p.NotFollowed)
		require.Equal(t, mirror.UnaccountedNone, p.Unaccounted)
		require.Equal(t, 9, p.Count(mirror.StageDone))
		require.Equal(t, []string{"orders.07"}, p.Topics(mirror.StageBlocked))
		_, found := p.Topic("nowhere")
		require.False(t, found)
		text, err := json.Marshal(p)
		require.NoError(t, err)
		var form struct {
			Verb     string
			Counts   map[string]int
			Followed []struct {
				Topic, Stage, Outcome string
				Here                  struct{ Status string }
			}
			Clusters []struct {
				Cluster_id string //nolint:revive // as it is written
				Lists      int
			}
		}
		require.NoError(t, json.Unmarshal(text, &form))
		require.Equal(t, map[string]int{"done": 9, "in progress": 1, "blocked": 1, "no sign": 0}, form.Counts)
		require.Equal(t, "reverse-and-pause-mirror", form.Verb)
		require.Equal(t, "orders.03 in progress accepted PENDING_STOPPED", strings.Join([]string{
			form.Followed[3].Topic, form.Followed[3].Stage, form.Followed[3].Outcome, form.Followed[3].Here.Status,
		}, " "))
		require.Equal(t, "lkc-remote", form.Clusters[1].Cluster_id)
		require.Greater(t, form.Clusters[0].Lists, 50)
		var log strings.Builder
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "progress", p)
		require.Contains(t, log.String(), "progress.done=9 progress.in_progress=1 progress.blocked=1 progress.no_sign=0")
		require.Equal(t, `reverse-and-pause-mirror, link "dr-link": 9 done, 1 in progress, 1 blocked, 0 no sign`, p.String())
	})
	var s mirror.Stage
	require.NoError(t, s.UnmarshalText([]byte("blocked")))
	require.Equal(t, mirror.StageBlocked, s)
	require.Error(t, s.UnmarshalText([]byte("x")))
	_, err := mirror.Stage(9).MarshalText()
	require.Error(t, err)
	require.Equal(t, "no sign in progress done blocked stage(9)", fmt.Sprint(
		mirror.StageNoSign, " ", mirror.StageInProgress, " ", mirror.StageDone, " ", mirror.StageBlocked, " ",
		mirror.Stage(9)))
	require.Equal(t, "not all done", (&mirror.NotDoneError{}).Error())
}

// The first line speaks of the verb.
func TestProgress_DecisionSpeaksOfTheVerb(t *testing.T) {
	for v, want := range map[mirror.Verb]string{
		mirror.VerbReverseAndPause:    "clients may move: 1 of 1\n",
		mirror.VerbReverseAndStart:    "clients may move: 1 of 1\n",
		mirror.VerbPromote:            "clients may move: 1 of 1\n",
		mirror.VerbFailover:           "clients may move: 1 of 1\n",
		mirror.VerbPause:              "1 of 1 are PAUSED\n",
		mirror.VerbResume:             "1 of 1 are ACTIVE; not yet caught up\n",
		mirror.VerbTruncateAndRestore: "1 of 1 are ACTIVE; not yet caught up\n",
	} {
		synctest.Test(t, func(t *testing.T) {
			pair := mirrortest.NewPair(t, mirrortest.Options{InMemory: true, Topics: []mirrortest.Topic{topicFor(v, "a")}})
			local := newClient(t, pair.Local.Config())
			report, err := call(t.Context(), t, local, v, pair.Link(), mirror.Topics("a"))
			require.NoError(t, err)
			p, err := local.Follow(t.Context(), report, mirror.FollowOptions{Other: newClient(t, pair.Remote.Config())})
			require.NoError(t, err)
			require.True(t, strings.HasPrefix(progressTable(t, p), want), progressTable(t, p))
		})
	}
}

// A panic in the hook is the caller's, and nothing is left running.
func TestFollow_APanicInTheHookPropagates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair := mirrortest.NewPair(t, mirrortest.Options{InMemory: true})
		local := newClient(t, pair.Local.Config())
		report, err := local.ReverseAndPause(t.Context(), pair.Link(), mirror.Topics("topic-1"))
		require.NoError(t, err)
		require.PanicsWithValue(t, "hook", func() {
			_, _ = local.Follow(t.Context(), report, mirror.FollowOptions{
				Other:  newClient(t, pair.Remote.Config()),
				OnPoll: func(context.Context, *mirror.Progress) { panic("hook") },
			})
		})
		cfg := pair.Remote.Config()
		cfg.Credential = func(context.Context, http.Header) error { panic("credential") }
		require.PanicsWithValue(t, "credential", func() {
			_, _ = local.Follow(t.Context(), report, mirror.FollowOptions{Other: newClient(t, cfg)})
		})
	})
	requireNothingRunning(t)
}

// What Follow keeps is for the followed topics, not for all that are listed.
func TestFollow_KeepsTheFollowedTopicsOnly(t *testing.T) {
	o := mirrortest.Options{}
	for i := range 3000 {
		o.Topics = append(o.Topics, mirrortest.Topic{Name: fmt.Sprintf("t-%04d", i)})
	}
	pair := mirrortest.NewPair(t, o)
	local := newClient(t, pair.Local.Config())
	report, err := local.Promote(t.Context(), pair.Link(), mirror.Topics("t-0007"))
	require.NoError(t, err)
	p, err := local.Follow(t.Context(), report, mirror.FollowOptions{})
	require.NoError(t, err)
	require.Len(t, p.Followed, 1)
	text, err := json.Marshal(p)
	require.NoError(t, err)
	require.Less(t, len(text), 2000)
	runtime.KeepAlive(p)
}

// Settling by hand: from what is open only, with a reason, and kept in every form.
func TestSettle(t *testing.T) {
	open := func() *mirror.Report {
		stopped := `{"mirror_topic_name":"b","error_code":400,` +
			`"error_message":"Topic 'b' has already stopped its mirror from 'l'"}`
		r, _ := reverse(t, serve(t, ok(rows(stopped, failedRow("c"), good("d")))).client(t), "a", "b", "c", "d")
		return r
	}
	for name, c := range map[string]struct {
		topic, why string
		to         mirror.Outcome
		text       string
	}{
		"no such topic": {"z", "seen", mirror.Accepted, `topic: the report has no topic "z"`},
		"a refusal": {
			"c", "seen", mirror.Accepted, `topic: only Unknown, or a refusal as already stopped, can be settled: "c" is failed`,
		},
		"accepted":           {"d", "seen", mirror.Failed, `can be settled: "d" is accepted`},
		"to unknown":         {"a", "seen", mirror.Unknown, "outcome: unknown settles nothing: it must be"},
		"without a reason":   {"a", " \n", mirror.Accepted, "why: it is empty"},
		"everything at once": {"z", "", mirror.Outcome(9), "why: it is empty"},
	} {
		r := open()
		before := marshal(t, r)
		err := r.Settle(c.topic, c.to, c.why)
		require.ErrorIs(t, err, mirror.ErrInvalidArgument, name)
		require.ErrorContains(t, err, c.text)
		require.Equal(t, before, marshal(t, r))
	}
	r := open()
	require.NoError(t, r.Settle("a", mirror.Untouched, "ACTIVE for an hour\n"))
	require.NoError(t, r.Settle("b", mirror.Accepted, "STOPPED on both"))
	require.Error(t, r.Settle("b", mirror.Failed, "again"))
	for _, r := range []*mirror.Report{r, clone(t, r)} {
		require.Equal(t, "a untouched, b accepted, c failed, d accepted", outcomes(r))
		require.Equal(t, mirror.Unknown, r.Results[0].Settled.From)
		require.Equal(t, "the answer has no row for this topic", r.Results[0].Settled.Because)
		require.WithinDuration(t, time.Now(), r.Results[0].Settled.At, time.Hour)
		require.Equal(t, `ACTIVE for an hour\n`, r.Results[0].Settled.Why)
		require.Equal(t, mirror.Failed, r.Results[1].Settled.From)
		require.ErrorContains(t, r.Results[0].Err(), "settled: ACTIVE for an hour")
		require.NoError(t, r.Results[1].Err())
		require.NotErrorIs(t, r.Err(), mirror.ErrOutcomeUnknown)
		require.Contains(t, r.Results[1].Notes[0], "a call was refused for this topic")
	}
	require.ErrorContains(t, (&mirror.Report{DryRun: true, Results: []mirror.Result{{Topic: "a"}}}).
		Settle("a", mirror.Accepted, "x"), "dry run")

	all := open()
	for _, name := range []string{"a"} {
		require.NoError(t, all.Settle(name, mirror.Failed, "gone"))
		require.ErrorContains(t, all.Results[0].Err(), "a: settled: gone")
	}
}

// A settled result replaces the Unknown that it settled, and none that came after it.
func TestReportsSurvive_MergeOfSettledResults(t *testing.T) {
	unknown := func(at time.Time) *mirror.Report {
		return mirror.UnknownReport("c", "l", mirror.VerbPromote, at, "a")
	}
	first, second := time.Unix(1000, 0), time.Unix(2000, 0)
	settled := unknown(first)
	require.NoError(t, settled.Settle("a", mirror.Untouched, "seen ACTIVE"))
	for name, c := range map[string]struct {
		a, b *mirror.Report
		want string
	}{
		"the Unknown that it settled":          {unknown(first), settled, "a untouched"},
		"the other way round":                  {settled, unknown(first), "a untouched"},
		"a later request":                      {settled, unknown(second), "a unknown"},
		"a later request, the other way round": {unknown(second), settled, "a unknown"},
	} {
		require.Equal(t, c.want, outcomes(merged(t, clone(t, c.a), clone(t, c.b))), name)
	}
}
