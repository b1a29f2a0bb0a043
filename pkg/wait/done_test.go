package wait_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
	"github.com/seed25095279/clusterlink-go/pkg/wait"
)

// What can happen in the course of time.
func TestDone_InTheCourseOfTime(t *testing.T) {
	accepted, stopped := mirror.Accepted, mirror.Failed
	runAll(t, []situation{
		// It goes as it should.
		{name: "accepted, and done after a while", outcome: accepted, stage: "done", err: "nil", lists: "8-9",
			this: "PENDING_STOPPED+ 40s:STOPPED+", other: "2s:PENDING_MIRROR+ 40s:PAUSED+"},
		{name: "a lost answer of a call that was made", noDate: true, stage: "done", err: "nil", lists: "8-9",
			this: "PENDING_STOPPED+ 40s:STOPPED+", other: "2s:PENDING_MIRROR+ 40s:PAUSED+", check: settled(mirror.Accepted)},
		{name: "a lost answer of a call that was not made", noDate: true, this: "ACTIVE-", other: "none",
			stage: "no sign", err: "no sign", lists: "20-23", check: settled(mirror.Unknown)},
		{name: "accepted, and no sign of it", outcome: accepted, this: "ACTIVE-", other: "none",
			stage: "no sign", err: "stalled", lists: "28-30", check: settled(mirror.Accepted)},
		{name: "a reverse-and-start", verb: start, outcome: accepted, stage: "done", err: "nil", lists: "5-7",
			this: "PENDING_STOPPED+ 30s:STOPPED+", other: "none 10s:PENDING_MIRROR+ 30s:ACTIVE+"},
		{name: "a promote", verb: promote, outcome: accepted, this: "PENDING_STOPPED+ 30s:STOPPED+",
			stage: "done", err: "nil", lists: "6-7"},
		{name: "a failover", verb: failover, outcome: accepted, this: "PENDING_STOPPED+ 30s:STOPPED+",
			stage: "done", err: "nil", lists: "6-7"},
		{name: "a pause", verb: pause, outcome: accepted, this: "ACTIVE- 10s:PAUSED+", stage: "done", err: "nil", lists: "3"},
		{name: "a resume", verb: resume, outcome: accepted, this: "PAUSED- 10s:ACTIVE+", stage: "done", err: "nil", lists: "3"},
		{name: "a restore", verb: restore, outcome: accepted, stage: "done", err: "nil", lists: "8-9",
			this: "PENDING_SETUP_FOR_RESTORE+ 20s:PENDING_RESTORE+ 40s:ACTIVE+"},
		{name: "a resume of a topic that is PAUSED in the first list, at once", verb: resume, outcome: accepted,
			this: "PAUSED- 1s:ACTIVE+", stage: "done", err: "nil", lists: "2"},
		{name: "a topic that had stopped already", outcome: stopped, this: "STOPPED-", other: "PAUSED-",
			stage: "done", err: "nil", lists: "6-7", check: settled(mirror.Accepted)},
		{name: "a topic that had stopped already, of a promote", verb: promote, outcome: stopped, this: "STOPPED-",
			stage: "done", err: "nil", lists: "6-7", check: settled(mirror.Accepted)},
		{name: "a topic that had stopped already, and is no mirror on the other cluster", outcome: stopped,
			this: "STOPPED-", other: "none", stage: "no sign", err: "no sign", lists: "20-23", check: settled(mirror.Failed)},
		{name: "a job that is taken up an hour later", noDate: true, stage: "done", err: "nil", lists: "1",
			this: "STOPPED+", other: "PAUSED+", set: later(time.Hour)},
		{name: "a job that is taken up an hour later, of a state from before the call", noDate: true, stage: "done",
			err: "nil", lists: "2", this: "STOPPED-", other: "PAUSED-", set: later(time.Hour)},
		{name: "a job that is taken up an hour later, without a sign", noDate: true, stage: "no sign", err: "no sign",
			lists: "2", this: "ACTIVE-", other: "none", set: later(time.Hour)},
		{name: "a report without attempts", stage: "done", err: "nil", lists: "6-7", this: "STOPPED<60>", other: "PAUSED<60>",
			set: func(e *env) { e.report.Attempts = nil }},

		// A state from before the call.
		{name: "a late replica shows the old STOPPED row", verb: promote, outcome: accepted,
			this: "STOPPED- 12s:PENDING_STOPPED+ 50s:STOPPED+", stage: "done", err: "nil", lists: "9-11"},
		{name: "a late replica shows the old STOPPED row, of a failover", verb: failover, outcome: accepted,
			this: "STOPPED- 12s:ACTIVE<600> 50s:STOPPED+", stage: "done", err: "nil", lists: "9-11"},
		{name: "a late replica shows the old rows on both clusters", outcome: accepted, lists: "9-11",
			this: "STOPPED- 12s:PENDING_STOPPED+ 50s:STOPPED+", other: "PAUSED- 12s:STOPPED<600> 50s:PAUSED+",
			stage: "done", err: "nil"},
		{name: "a late replica shows the old PAUSED row, of a pause", verb: pause, outcome: accepted,
			this: "PAUSED- 12s:ACTIVE<600> 50s:PAUSED+", stage: "done", err: "nil", lists: "9-11"},
		{name: "a late replica goes on showing the old row in every second list", verb: promote, outcome: accepted,
			this:  "PENDING_STOPPED+ 7s:STOPPED- 12s:PENDING_STOPPED<-1> 18s:STOPPED- 24s:PENDING_STOPPED<-1> 50s:STOPPED+",
			stage: "done", err: "nil", lists: "9-11"},
		{name: "it was seen to come to a state that the clock has from before the call", verb: promote,
			this: "ACTIVE- 10s:STOPPED<600>", stage: "done", err: "nil", lists: "6-7",
			notes: []string{"how long it has been STOPPED on lkc-local is not known"}},
		{name: "it was seen to come to a state from before the call, of a resume", verb: resume,
			this: "PAUSED- 10s:ACTIVE<600>", stage: "done", err: "nil", lists: "6-7"},
		{name: "it was seen to fail, and the clock has that from before the call", verb: promote,
			this: "ACTIVE- 10s:FAILED<600>", stage: "blocked", err: "blocked", lists: "6-7"},
		{name: "it was seen to fail, and the clock has that from before the call, of a failover", verb: failover,
			this: "ACTIVE- 10s:FAILED<600>", stage: "blocked", err: "blocked", lists: "6-7"},
		{name: "it was seen to become PENDING_STOPPED, and the clock has that from before the call", verb: promote,
			this: "ACTIVE- 10s:PENDING_STOPPED<600>", stage: "in progress", err: "stalled", lists: "28-30"},
		{name: "it was seen to become PENDING_STOPPED, and the clock has that from before the call, of a reversal",
			this: "ACTIVE- 10s:PENDING_STOPPED<600>", other: "none", stage: "in progress", err: "stalled", lists: "28-30"},
		{name: "a stale first list is no step out of a start", verb: promote, this: "PENDING_STOPPED- 5s:ACTIVE<600>",
			stage: "no sign", err: "no sign", lists: "20-23"},
		{name: "a restore starts from a topic that is not listed", verb: restore, this: "none", stage: "no sign", err: "no sign", lists: "20-23",
			check: func(e *env) { require.Empty(e, e.p.Waited[0].Notes) }},
		{name: "a FAILED from before the call goes and comes back", verb: promote,
			this: "FAILED- 10s:PENDING_STOPPED+ 60s:FAILED+", stage: "blocked", err: "blocked", lists: "11-14"},
		{name: "no Date: done by the second list", verb: promote, options: mirrortest.Options{NoDate: true}, noDate: true,
			this: "STOPPED-", stage: "done", err: "nil", lists: "6-7", notes: []string{"is not known"}},
		{name: "no Date: done by the second list, on both clusters", options: mirrortest.Options{NoDate: true}, noDate: true,
			this: "STOPPED+", other: "PAUSED+", stage: "done", err: "nil", lists: "6-7", notes: []string{"is not known"}},
		{name: "no Date: done at once if it was seen to come", options: mirrortest.Options{NoDate: true}, noDate: true,
			this: "ACTIVE- 10s:STOPPED+", other: "none 10s:PAUSED+", stage: "done", err: "nil", lists: "3"},
		{name: "no Date: blocked if it was seen to fail", verb: failover, options: mirrortest.Options{NoDate: true}, noDate: true,
			this: "ACTIVE- 10s:FAILED+", stage: "blocked", err: "blocked", lists: "6-7"},
		{name: "clocks that differ by hours", outcome: accepted, stage: "done", err: "nil", lists: "5-6",
			options: mirrortest.Options{Clocks: [2]time.Duration{5 * time.Hour, -7 * time.Hour}},
			this:    "PENDING_STOPPED+ 20s:STOPPED+", other: "none 20s:PAUSED+"},
		{name: "clocks that differ by hours, and an old state", verb: promote, lists: "6-7",
			options: mirrortest.Options{Clocks: [2]time.Duration{-time.Hour, time.Hour}},
			this:    "STOPPED-", stage: "done", err: "nil", notes: []string{"before this call"}},
		{name: "clocks that differ, the answer without a Date", lists: "1", noDate: true,
			options: mirrortest.Options{Clocks: [2]time.Duration{-time.Hour, time.Hour}},
			this:    "STOPPED+", other: "PAUSED+", stage: "done", err: "nil"},
		{name: "a report of a machine whose clock was an hour ahead", lists: "6-7", this: "STOPPED-", other: "PAUSED-",
			set: machine(time.Hour), stage: "done", err: "nil", notes: []string{"before this call"}},
		{name: "a report of a machine whose clock was an hour behind", lists: "6-7", this: "STOPPED-", other: "PAUSED-",
			set: machine(-time.Hour), stage: "done", err: "nil", notes: []string{"before this call"}},

		// Rows do not go back.
		{name: "one list is stale, after it was done", outcome: accepted, more: two("PENDING_STOPPED+ 60s:STOPPED+", "30s:PAUSED+"),
			this: "STOPPED+ 20s:ACTIVE- 26s:STOPPED<-1>", other: "PAUSED+", stage: "done", err: "nil", lists: "11-14"},
		{name: "the row of a new controller, whose clock is behind", verb: promote, outcome: accepted,
			this: "PENDING_STOPPED+ 20s:STOPPED<60>", stage: "done", err: "nil", lists: "10-12"},
		{name: "it falls back to ACTIVE, by a clock that is behind", verb: promote, outcome: accepted,
			this: "PENDING_STOPPED+ 20s:ACTIVE-", stage: "blocked", err: "blocked", lists: "10-12",
			notes: []string{"it is back to ACTIVE on lkc-local"}},
		{name: "SOURCE_UNAVAILABLE with an old time is noted at once", verb: failover, outcome: accepted,
			this: "PENDING_STOPPED+ 20s:SOURCE_UNAVAILABLE-", stage: "in progress", err: "stalled",
			notes: []string{"try one produce"}, check: func(e *env) {
				for _, p := range e.polls {
					if p.At.Sub(e.called) > 27*time.Second {
						require.Contains(e, p.Waited[0].Notes[0], "SOURCE_UNAVAILABLE")
						return
					}
				}
			}},
		{name: "an older row of it when the last topic is done", verb: promote, outcome: accepted, more: two("PENDING_STOPPED+ 60s:STOPPED+", ""),
			this: "STOPPED+ 55s:ACTIVE-", stage: "blocked", err: "blocked", lists: "15-19"},
		{name: "an older row of it when the last topic is done, on the other cluster", outcome: accepted,
			more: two("PENDING_STOPPED+ 60s:STOPPED+", "PAUSED+"), this: "STOPPED+", other: "PAUSED+ 55s:STOPPED-", stage: "blocked",
			err: "blocked", lists: "15-19"},
		{name: "a status that hides the goal undoes nothing", verb: failover, outcome: accepted, more: two("PENDING_STOPPED+ 120s:STOPPED+", ""),
			this: "STOPPED+ 60s:SOURCE_UNAVAILABLE+", stage: "in progress", err: "stalled"},
		{name: "it was seen to come to a status that hides more, and the clock has that from before the call", verb: promote,
			this: "ACTIVE- 10s:SOURCE_UNAVAILABLE<600>", stage: "in progress", err: "stalled"},
		{name: "it is left out when the last topic is done", verb: promote, outcome: accepted, more: two("PENDING_STOPPED+ 60s:STOPPED+", ""),
			this: "STOPPED+ 55s:none", stage: "blocked", err: "blocked", lists: "15-19"},
		{name: "one list forgets it", outcome: accepted, stage: "done", err: "nil", lists: "8-9",
			this: "PENDING_STOPPED+ 20s:none 26s:PENDING_STOPPED<-1> 40s:STOPPED+", other: "40s:PAUSED+"},
		{name: "it is gone from the list", verb: promote, outcome: accepted, this: "PENDING_STOPPED+ 20s:none",
			stage: "blocked", err: "blocked", lists: "9-12", notes: []string{"lkc-local no longer lists it"}},
		{name: "it is gone from the list of the other cluster", outcome: accepted, this: "STOPPED+",
			other: "PENDING_MIRROR+ 20s:none", stage: "blocked", err: "blocked", lists: "9-12",
			notes: []string{"lkc-remote no longer lists it"}},

		// It goes wrong, or somebody interferes.
		{name: "the cluster names an error", verb: promote, outcome: accepted, this: "PENDING_STOPPED+", stage: "in progress", err: "stalled",
			notes: []string{"lkc-local says SOURCE_TOPIC_MAY_BE_DELETED"}, set: faulty(local, 0, 0, edited(-1, `"NO_ERROR"`, `"SOURCE_TOPIC_MAY_BE_DELETED"`))},
		{name: "it fails in the course of it", outcome: accepted, this: "PENDING_STOPPED+ 20s:FAILED+", other: "none",
			stage: "blocked", err: "blocked", lists: "5-7"},
		{name: "it falls back to ACTIVE", outcome: accepted, this: "PENDING_STOPPED+ 20s:ACTIVE+", other: "none",
			stage: "blocked", err: "blocked", lists: "5-7", notes: []string{"it is back to ACTIVE on lkc-local"}},
		{name: "it falls back to PAUSED, of a restore", verb: restore, this: "PENDING_RESTORE+ 20s:STOPPED+",
			stage: "blocked", err: "blocked", lists: "6-7", notes: []string{"it is back to STOPPED"}},
		{name: "somebody reverses it back", outcome: accepted, more: two("PENDING_STOPPED+ 120s:STOPPED+", "PAUSED+"),
			this: "STOPPED+ 60s:PENDING_MIRROR+ 70s:ACTIVE+", other: "PAUSED+ 60s:STOPPED+", stage: "blocked", err: "blocked",
			check: next("somebody undid it: find out who before sending it again"), lists: "20-26"},
		{name: "somebody resumes it, of a pause", verb: pause, outcome: accepted, more: two("ACTIVE- 120s:PAUSED+", ""),
			this: "PAUSED+ 60s:ACTIVE+", stage: "blocked", err: "blocked", lists: "20-26",
			check: next("somebody undid it: find out who before sending it again")},
		{name: "somebody restores it, of a promote", verb: promote, outcome: accepted, more: two("ACTIVE- 120s:STOPPED+", ""),
			this: "STOPPED+ 60s:PENDING_RESTORE+ 80s:ACTIVE+", stage: "blocked", err: "blocked", lists: "20-26",
			check: next("somebody undid it: find out who before sending it again")},
		{name: "it is gone from its goal", verb: promote, outcome: accepted, more: two("ACTIVE- 120s:STOPPED+", ""),
			this: "STOPPED+ 60s:none", stage: "blocked", err: "blocked", lists: "20-26"},
		{name: "another operator resumes it meanwhile", outcome: accepted, more: two("PENDING_STOPPED+ 90s:STOPPED+", "80s:PAUSED+"),
			this: "STOPPED+", other: "PAUSED+ 60s:ACTIVE+", stage: "done", err: "nil", lists: "15-20",
			notes: []string{"it is already resumed on lkc-remote"}},
		{name: "the lag of a topic that is done is no progress", outcome: accepted, this: "PENDING_STOPPED+", other: "none",
			more:  map[string][2]string{"b": {"STOPPED+", "PAUSED+ " + falling(20)}},
			stage: "in progress", err: "stalled", lists: "28-33"},
		{name: "the lag of a topic that is done is no progress, of a resume", verb: resume, outcome: accepted, this: "PAUSED-",
			more: map[string][2]string{"b": {falling(20), ""}}, stage: "no sign", err: "stalled", lists: "28-33"},
		{name: "a lag that falls keeps it going", verb: promote, outcome: accepted, stage: "done", err: "nil", lists: "95-130",
			this: strings.ReplaceAll(falling(20), "ACTIVE", "PENDING_STOPPED") + " 660s:STOPPED+"},
		{name: "a lag that wobbles does not", verb: promote, outcome: accepted, stage: "in progress", err: "stalled",
			this: "PENDING_STOPPED<-1>/5 10s:PENDING_STOPPED<-1>/6 100s:PENDING_STOPPED<-1>/5 200s:PENDING_STOPPED<-1>/6", lists: "28-30"},
		{name: "one start after another", verb: failover, stage: "no sign", err: "no sign", lists: "20-23",
			this: "ACTIVE- 20s:SOURCE_UNAVAILABLE+ 40s:PAUSED+ 60s:ACTIVE+"},
		{name: "done, refused and never sent", more: two("STOPPED+", "PAUSED+"), this: "STOPPED+", other: "PAUSED+",
			outcome: accepted, stage: "done", err: "other", lists: "1", set: func(e *env) {
				r := &e.report.Results[1]
				r.Outcome, r.Code, r.Message = mirror.Failed, 403, "no"
			}, check: func(e *env) {
				require.True(e, e.p.Done)
				var refused *mirror.TopicError
				require.ErrorAs(e, e.err, &refused)
				require.Equal(e, "b", refused.Topic)
				_, waited := e.p.Topic("b")
				require.False(e, waited)
			}},
		{name: "a pattern whose answer was cut", outcome: accepted, this: "STOPPED+", other: "PAUSED+", stage: "done", err: "other",
			lists: "1", set: func(e *env) { e.report.Pattern, e.report.Lost = "a.*", true }, check: func(e *env) {
				require.ErrorIs(e, e.err, mirror.ErrOutcomeUnknown)
			}},
		{name: "a person settled it, from Accepted", verb: failover, outcome: accepted, this: "SOURCE_UNAVAILABLE-",
			more: two("ACTIVE- 20s:STOPPED+", ""), stage: "done", err: "nil", lists: "5-6", set: settle("a")},
		{name: "a person settled all", verb: failover, outcome: accepted, this: "SOURCE_UNAVAILABLE-", stage: "done", err: "nil",
			lists: "0", set: settle("a")},
		{name: "a person settled one of a reversal", this: "SOURCE_UNAVAILABLE-", other: "none", lists: "1",
			more: two("STOPPED+", "PAUSED+"), stage: "done", err: "nil", set: settle("a")},
	})
}

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
	t.Logf("1 of 500 topics: %d bytes; all: %d bytes", one, all)
	require.Less(t, one, all/4)
	require.Less(t, all, uint64(500*3000))
}
