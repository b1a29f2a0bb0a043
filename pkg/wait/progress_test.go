package wait_test

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
	"github.com/seed25095279/clusterlink-go/pkg/wait"
)

// A progress that was read back says the same, and gives its report with the settled outcomes.
func TestProgress_SurvivesJSON(t *testing.T) {
	for name, s := range map[string]situation{
		"done": {verb: failover, this: "STOPPED+", more: two("STOPPED+", ""), stage: "done", err: "nil", noDate: true},
		"refused and never sent": {this: "STOPPED+", other: "PAUSED+", noDate: true, more: map[string][2]string{"b": {}, "c": {}},
			stage: "done", err: "other", set: func(e *env) {
				e.report.Results[1].Outcome, e.report.Results[1].Code = mirror.Failed, 403
				e.report.Results[2].Outcome = mirror.Untouched
			}},
		"stuck":        {this: "PENDING_STOPPED+/9:9", other: "none", outcome: mirror.Accepted, stage: "in progress", err: "stalled"},
		"OnPoll ended": {verb: pause, this: "PAUSED+", outcome: mirror.Accepted, stage: "done", err: "OnPoll", set: onPoll(1)},
		"lost":         {this: "STOPPED+", other: "PAUSED+", stage: "done", err: "other", set: func(e *env) { e.report.Lost = true }},
	} {
		s.name = name
		s.check = func(e *env) {
			e.report.Results[0].Lags = []mirror.PartitionLag{{Lag: 5}}
			text, err := json.Marshal(e.p)
			require.NoError(e, err)
			var back wait.Progress
			require.NoError(e, json.Unmarshal(text, &back))
			require.Equal(e, table(e, e.p), table(e, &back))
			require.Equal(e, e.err == nil, back.Err() == nil)
			if e.err != nil {
				require.Equal(e, e.err.Error(), back.Err().Error())
			}
			for i, res := range e.p.Report().Results {
				require.Equal(e, res.Outcome, back.Report().Results[i].Outcome)
				require.Equal(e, res.Settled, back.Report().Results[i].Settled)
			}
			var form struct {
				Version int
				Counts  map[string]int
				Topics  []struct{ Stage, Outcome string }
			}
			require.NoError(e, json.Unmarshal(text, &form))
			require.Equal(e, 1, form.Version)
			require.Equal(e, e.p.Count(wait.StageDone), form.Counts["done"])
			require.Equal(e, string(e.p.Waited[0].Stage), form.Topics[0].Stage)
			require.NotContains(e, string(text), "last_source_fetch_offset")
			again, err := json.Marshal(&back)
			require.NoError(e, err)
			require.JSONEq(e, string(text), string(again))
		}
		t.Run(name, func(t *testing.T) { synctest.Test(t, s.run) })
	}
	var p wait.Progress
	require.ErrorContains(t, json.Unmarshal([]byte(`{"version":2}`), &p), "version 2")
	require.ErrorContains(t, json.Unmarshal([]byte(`{"version":1}`), &p), "no report")
}

// What is settled says what was seen, and is Accepted; the report that was given stays as it is.
func TestProgress_ReportSettlesWhatWasSeen(t *testing.T) {
	s := situation{name: "settled", this: "STOPPED+", other: "PAUSED-", noDate: true, more: two("PENDING_STOPPED+", "none"), stage: "done",
		err: "stalled", check: func(e *env) {
			r := e.p.Report()
			require.Equal(e, mirror.Accepted, r.Results[0].Outcome)
			require.Contains(e, r.Results[0].Settled, "it was STOPPED on lkc-local at 2000-01-01T01:0")
			require.Contains(e, r.Results[0].Settled, "it was PAUSED on lkc-remote at 2000-01-01T01:0")
			require.Contains(e, r.Results[0].Settled, "it was PAUSED on lkc-remote before this call")
			require.True(e, r.Results[0].Done)
			require.Equal(e, mirror.Unknown, r.Results[1].Outcome)
			require.Equal(e, mirror.Unknown, e.report.Results[0].Outcome)
			require.ErrorIs(e, e.err, mirror.ErrOutcomeUnknown)
			require.Equal(e, []string{"b"}, e.p.Topics(wait.StageInProgress))
		}}
	synctest.Test(t, s.run)
}

// With nothing to wait for, Done asks for no list, and says what the report says.
func TestDone_NothingToWaitFor(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{})
	o := wait.Options{This: client(t, pair.Local.Config()), Other: client(t, pair.Remote.Config())}
	for name, c := range map[string]struct {
		results []mirror.Result
		is      error
		says    string
	}{
		"refused":    {[]mirror.Result{{Topic: "a", Outcome: mirror.Failed, Code: 403, Message: "no"}}, nil, "0 of 1 done; 1 was refused"},
		"never sent": {[]mirror.Result{{Topic: "a", Outcome: mirror.Untouched, Why: "x"}}, nil, "0 of 1 done; 1 was never sent"},
		"no topics":  {nil, mirror.ErrNoTopics, "nothing was left to wait for"},
	} {
		r := &mirror.Report{Verb: reverse, ClusterID: pair.Local.ID, Link: pair.Link(), Results: c.results}
		p, err := wait.Done(t.Context(), r, o)
		require.ErrorContains(t, err, c.says, name)
		require.Equal(t, err, p.Err())
		if c.is != nil {
			require.ErrorIs(t, err, c.is)
		}
	}
	require.Empty(t, pair.Requests())
}

func TestDone_WrongArguments(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{})
	this, other := client(t, pair.Local.Config()), client(t, pair.Remote.Config())
	good := report(reverse, pair, mirror.Accepted, time.Now(), "a")
	dry, odd := good.Clone(), good.Clone()
	dry.DryRun, odd.Verb = true, "x"
	for text, call := range map[string]struct {
		report *mirror.Report
		o      wait.Options
	}{
		"there is no report": {nil, wait.Options{This: this, Other: other}},
		"This: it must be a client of the report's cluster, lkc-local":                {good, wait.Options{This: other, Other: other}},
		"Other: reverse-and-pause-mirror needs a client of the other cluster; This: ": {good, wait.Options{}},
		"Other: reverse-and-pause-mirror needs a client of the other cluster":         {good, wait.Options{This: this, Other: this}},
		"it is of a dry run":    {dry, wait.Options{This: this, Other: other}},
		"its verb is not known": {odd, wait.Options{This: this, Other: other}},
	} {
		p, err := wait.Done(t.Context(), call.report, call.o)
		require.ErrorIs(t, err, mirror.ErrInvalidArgument)
		require.ErrorContains(t, err, text)
		require.Equal(t, err, p.Err())
		require.False(t, p.Done)
	}
	require.Empty(t, pair.Requests())
}

// The whole way, for each verb that can be called without a plan: a real call, a real wait.
func TestDone_AfterARealCall(t *testing.T) {
	for _, v := range []mirror.Verb{reverse, start, promote, failover, pause, resume} {
		for _, takes := range []time.Duration{0, 25 * time.Second} {
			for _, lost := range []bool{false, true} {
				t.Run(fmt.Sprint(v, takes, lost), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						topic := mirrortest.Topic{Name: "a"}
						if v == resume {
							topic.Status = mirror.StatusPaused
						}
						pair := mirrortest.NewPair(t, mirrortest.Options{InMemory: true, Takes: takes, Topics: []mirrortest.Topic{topic}})
						o := wait.Options{This: client(t, pair.Local.Config()), Other: client(t, pair.Remote.Config())}
						if lost {
							pair.Local.Inject(mirrortest.Fault{AfterApply: true})
						}
						r, err := o.This.Do(t.Context(), v, pair.Link(), mirror.Topics("a"))
						require.Equal(t, lost, err != nil)
						p, err := wait.Done(t.Context(), r, o)
						require.NoError(t, err)
						require.NoError(t, p.Report().Err())
						require.Equal(t, lost, p.Waited[0].WasUnknown)
						require.Less(t, p.At.Sub(p.Began), 40*time.Second)
					})
				})
			}
		}
	}
}

// Many waits can be made at once.
func TestDone_Concurrently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair := mirrortest.NewPair(t, mirrortest.Options{InMemory: true, Takes: 20 * time.Second})
		o := wait.Options{This: client(t, pair.Local.Config()), Other: client(t, pair.Remote.Config())}
		r, err := o.This.ReverseAndPause(t.Context(), pair.Link(), mirror.Topics("topic-1", "topic-2"))
		require.NoError(t, err)
		errs := make(chan error)
		for range 5 {
			go func() {
				_, err := wait.Done(t.Context(), r, o)
				errs <- err
			}()
		}
		for range 5 {
			require.NoError(t, <-errs)
		}
	})
}

// A panic of OnPoll is the caller's, and nothing is left running.
func TestDone_APanicInOnPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair := mirrortest.NewPair(t, mirrortest.Options{InMemory: true, Latency: [2]time.Duration{0, time.Second}})
		o := wait.Options{This: client(t, pair.Local.Config()), Other: client(t, pair.Remote.Config())}
		o.OnPoll = func(context.Context, *wait.Progress) error { panic("hook") }
		r := report(reverse, pair, mirror.Accepted, time.Now(), "topic-1")
		require.PanicsWithValue(t, "hook", func() { _, _ = wait.Done(t.Context(), r, o) })
	})
}

// What Done keeps is for the topics of the report, not for all that are listed.
func TestDone_KeepsTheTopicsOfTheReportOnly(t *testing.T) {
	o := mirrortest.Options{}
	for i := range 500 {
		o.Topics = append(o.Topics, mirrortest.Topic{Name: fmt.Sprintf("t-%04d", i), Partitions: make([]mirrortest.Partition, 12)})
	}
	pair := mirrortest.NewPair(t, o)
	this := client(t, pair.Local.Config())
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	measure := func(names ...string) uint64 {
		r, err := this.Pause(t.Context(), pair.Link(), mirror.Topics(names...))
		require.NoError(t, err)
		before, most := heap(), uint64(0)
		_, err = wait.Done(t.Context(), r, wait.Options{This: this, OnPoll: func(context.Context, *wait.Progress) error {
			most = max(most, heap())
			return nil
		}})
		require.NoError(t, err)
		return max(most, before) - before
	}
	one := measure("t-0007")
	var names []string
	for _, topic := range o.Topics {
		names = append(names, topic.Name)
	}
	all := measure(names...)
	t.Logf("1 of 3000 topics: %d bytes; 3000: %d bytes", one, all)
	require.Less(t, one, uint64(1<<20))
	require.Less(t, all, uint64(3000*3000))
}
