package mirror_test

import (
	"context"
	"fmt"
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

// situation is a case of following: this happens, and this must be said of it.
type situation struct {
	name    string
	verb    mirror.Verb // reverse-and-pause-mirror by default
	options mirrortest.Options
	topics  []string // a by default
	before  func(*fenv)
	call    func(*fenv) *mirror.Report // by default the verb is called
	then    map[time.Duration]func(*fenv)
	opts    func(*fenv)

	stages  string // of the topics: "a done, b blocked"
	notes   []string
	silent  []string // that may not be in the notes
	is, not []error
	took    [2]time.Duration // at least and at most; zero is not looked at
	settled string           // the outcomes of Progress.Report, if they are looked at
	check   func(*fenv)
}

// fenv is what a situation runs in.
type fenv struct {
	*testing.T
	pair          *mirrortest.Pair
	local, remote *mirror.Client
	called        time.Time
	report        *mirror.Report
	o             mirror.FollowOptions
	deadline      time.Duration // of the call of Follow; 0 is none
	polls         []*mirror.Progress
	progress      *mirror.Progress
	err           error
	lists         map[string]int // how many each cluster was asked for
}

func (s situation) run(t *testing.T) {
	if s.topics == nil {
		s.topics = []string{"a"}
	}
	if s.verb == "" {
		s.verb = mirror.VerbReverseAndPause
	}
	s.options.InMemory = true
	if s.options.Topics == nil {
		for _, name := range s.topics {
			s.options.Topics = append(s.options.Topics, topicFor(s.verb, name))
		}
	}
	e := &fenv{T: t, pair: mirrortest.NewPair(t, s.options)}
	e.local, e.remote = newClient(t, e.pair.Local.Config()), newClient(t, e.pair.Remote.Config())
	e.o.Other = e.remote
	time.Sleep(time.Hour) // what was so before the call is old
	if s.before != nil {
		s.before(e)
	}
	e.called = time.Now()
	if s.call != nil {
		e.report = s.call(e)
	} else {
		var names []string
		names = append(names, s.topics...)
		e.report, _ = call(t.Context(), t, e.local, s.verb, e.pair.Link(), mirror.Topics(names...))
	}
	for after, do := range s.then {
		time.AfterFunc(after, func() { do(e) })
	}
	e.o.OnPoll = func(_ context.Context, p *mirror.Progress) {
		e.polls = append(e.polls, p)
	}
	if s.opts != nil {
		s.opts(e)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	if s.name == "ctx ends it" {
		time.AfterFunc(42*time.Second, func() { cancel(errStop) })
	}
	if e.deadline > 0 {
		bounded, end := context.WithTimeout(ctx, e.deadline)
		defer end()
		ctx = bounded
	}
	start, lists := time.Now(), len(e.pair.Journal())
	e.progress, e.err = e.local.Follow(ctx, e.report, e.o)
	took := time.Since(start)

	var stages []string
	for _, p := range e.progress.Followed {
		stages = append(stages, p.Topic+" "+p.Stage.String())
	}
	asked := map[string]int{}
	e.lists = asked
	for _, r := range e.pair.Journal()[lists:] {
		if strings.HasSuffix(r.URI, "/mirrors") {
			asked[r.Cluster]++
		}
	}
	defer func() {
		if testing.Verbose() {
			verdict := "ok"
			if t.Failed() {
				verdict = "FAIL"
			}
			fmt.Printf("%-74.74s %-22.22s %6v  lists %3d+%-3d %s\n", s.name, strings.Join(stages, ", "),
				took.Round(time.Second), asked["lkc-local"], asked["lkc-remote"], verdict)
			if e.err != nil {
				fmt.Printf("    %v\n", e.err)
			}
		}
	}()
	require.Equal(t, s.stages, strings.Join(stages, ", "), "%v\n%v", e.err, e.progress.Followed)
	require.LessOrEqual(t, asked["lkc-local"], e.progress.Polls, "a list for each cluster and poll at most")
	require.LessOrEqual(t, asked["lkc-remote"], e.progress.Polls)
	var notes string
	for _, p := range e.progress.Followed {
		notes += strings.Join(p.Notes, "\n") + "\n"
	}
	for _, want := range s.notes {
		require.Contains(t, notes, want)
	}
	for _, not := range s.silent {
		require.NotContains(t, notes, not)
	}
	allDone := e.progress.Count(mirror.StageDone) == len(e.progress.Followed)
	if s.is == nil && s.not == nil {
		require.Equal(t, allDone, e.err == nil, "%v", e.err)
	}
	if e.err != nil {
		var notDone *mirror.NotDoneError
		require.ErrorAs(t, e.err, &notDone)
		require.Same(t, e.progress, notDone.Progress)
		require.NotContains(t, e.err.Error(), "\n")
	}
	for _, target := range s.is {
		require.ErrorIs(t, e.err, target)
	}
	for _, target := range s.not {
		require.NotErrorIs(t, e.err, target)
	}
	if s.took[1] > 0 {
		require.GreaterOrEqual(t, took, s.took[0])
		require.LessOrEqual(t, took, s.took[1])
	}
	if s.settled != "" {
		require.Equal(t, s.settled, outcomes(e.progress.Report()))
	}
	for _, p := range append(e.polls, e.progress) {
		requireWords(t, p)
	}
	if s.check != nil {
		s.check(e)
	}
}

// requireWords holds a progress to what it must not claim.
func requireWords(t *testing.T, p *mirror.Progress) {
	t.Helper()
	var b strings.Builder
	require.NoError(t, p.Table(&b))
	for _, claim := range []string{"caught up\n", "our request", "was not applied", "is alive", "lossless"} {
		if claim == "caught up\n" {
			require.NotRegexp(t, `(are|is) caught up`, b.String())
			continue
		}
		require.NotContains(t, b.String(), claim)
	}
}

// shows has a cluster say this of the topic a: a status, and whether it began after the call (+), before it
// (-), or when is not known (?); "" is not listed.
func shows(e *fenv, c *mirrortest.Cluster, text string) {
	c.OnList(func([]mirror.Mirror) []mirror.Mirror { return picture(e, text) })
}

func picture(e *fenv, text string) []mirror.Mirror {
	if text == "" {
		return nil
	}
	m := mirror.Mirror{Topic: "a", Source: "a", Status: mirror.Status(text[:len(text)-1])}
	switch text[len(text)-1] {
	case '+':
		m.Since = e.called.Add(time.Second)
	case '-':
		m.Since = e.called.Add(-30 * time.Minute)
	}
	return []mirror.Mirror{m}
}

// pictures are what two clusters can show and go on showing, for each verb, and the stage that it is.
func pictures() []situation {
	const (
		reverse, start, promote = mirror.VerbReverseAndPause, mirror.VerbReverseAndStart, mirror.VerbPromote
		failover, pause, resume = mirror.VerbFailover, mirror.VerbPause, mirror.VerbResume
		restore                 = mirror.VerbTruncateAndRestore
	)
	var all []situation
	for _, p := range []struct {
		verb        mirror.Verb
		here, there string
		stage       string
		note        string
	}{
		// The goal, on both clusters.
		{reverse, "STOPPED+", "PAUSED+", "done", ""},
		{reverse, "STOPPED?", "PAUSED?", "done", "how long it has been so is not known"},
		{reverse, "STOPPED-", "PAUSED-", "done", "it was already there before this call"},
		{reverse, "STOPPED-", "PAUSED+", "done", ""},
		{reverse, "STOPPED+", "ACTIVE+", "done", "already resumed on lkc-remote"},
		{start, "STOPPED+", "ACTIVE+", "done", ""},
		{promote, "STOPPED+", "", "done", ""},
		{promote, "STOPPED-", "", "done", "it was already there before this call"},
		{failover, "STOPPED+", "", "done", ""},
		{pause, "PAUSED+", "", "done", ""},
		{pause, "PAUSED-", "", "done", "it was already there before this call"},
		{resume, "ACTIVE+", "", "done", ""},
		{restore, "ACTIVE+", "", "done", ""},
		// Something moves.
		{reverse, "PENDING_STOPPED+", "", "in progress", ""},
		{reverse, "PENDING_STOPPED+", "PENDING_MIRROR+", "in progress", ""},
		{reverse, "STOPPED+", "PENDING_MIRROR+", "in progress", ""},
		{reverse, "ACTIVE-", "PENDING_MIRROR+", "in progress", ""},
		{
			reverse, "STOPPED+", "", "in progress",
			"this also is what a promote or failover looks like; both sides may take writes",
		},
		{reverse, "STOPPED+", "STOPPED-", "in progress", "both sides may take writes"},
		{reverse, "PENDING_NEW+", "", "in progress", "a status that this library does not know"},
		{reverse, "SOURCE_UNAVAILABLE+", "", "in progress", "which can hide a change"},
		{start, "STOPPED+", "PENDING_SYNCHRONIZE+", "in progress", ""},
		{promote, "PENDING_SYNCHRONIZE+", "", "in progress", ""},
		{promote, "PENDING_RESTORE+", "", "in progress", "PENDING_RESTORE is not on the way of promote"},
		{resume, "PENDING_MIRROR+", "", "in progress", ""},
		{promote, "LINK_PAUSED+", "", "in progress", "can hide a change"},
		{failover, "PENDING_STOPPED+", "", "in progress", ""},
		{restore, "PENDING_RESTORE+", "", "in progress", ""},
		{restore, "PENDING_SETUP_FOR_RESTORE+", "", "in progress", ""},
		{resume, "PENDING_SYNCHRONIZE+", "", "in progress", ""},
		// No sign of it.
		{reverse, "ACTIVE-", "", "no sign", ""},
		{reverse, "ACTIVE+", "", "no sign", ""},
		{reverse, "PAUSED+", "STOPPED-", "no sign", ""},
		{reverse, "STOPPED-", "", "no sign", "was STOPPED on lkc-local before this call"},
		{reverse, "PENDING_STOPPED-", "", "no sign", "was PENDING_STOPPED on lkc-local before this call"},
		{reverse, "SOURCE_UNAVAILABLE-", "", "no sign", "which can hide a change"},
		{reverse, "FAILED-", "", "no sign", "was FAILED on lkc-local before this call"},
		{reverse, "FAILED?", "", "no sign", "how long it has been so is not known"},
		{reverse, "", "", "no sign", ""},
		{promote, "ACTIVE-", "", "no sign", ""},
		{failover, "SOURCE_UNAVAILABLE+", "", "no sign", "can hide a finished failover: try one produce"},
		{failover, "FAILED-", "", "no sign", ""},
		{failover, "LINK_FAILED+", "", "no sign", ""},
		{pause, "ACTIVE+", "", "no sign", ""},
		{pause, "STOPPED-", "", "no sign", "was STOPPED on lkc-local before this call"},
		{resume, "PAUSED+", "", "no sign", ""},
		{resume, "LINK_PAUSED-", "", "no sign", "LINK_PAUSED on lkc-local"},
		{restore, "STOPPED+", "", "no sign", ""},
		{restore, "", "", "no sign", ""},
		// It does not come on by itself.
		{reverse, "FAILED+", "", "blocked", "it is FAILED on lkc-local"},
		{reverse, "STOPPED+", "FAILED+", "blocked", "it is FAILED on lkc-remote"},
		{start, "STOPPED+", "PAUSED+", "blocked", "resume it there"},
		{start, "STOPPED-", "PAUSED-", "blocked", "resume it there"},
		{promote, "FAILED+", "", "blocked", ""},
		{failover, "FAILED+", "", "blocked", ""},
		{pause, "STOPPED+", "", "blocked", "it has become STOPPED"},
		{resume, "STOPPED+", "", "blocked", ""},
		{restore, "PAUSED+", "", "blocked", "it has become PAUSED"},
	} {
		s := situation{
			name: fmt.Sprintf("%s: %s here, %s there", p.verb, orNothing(p.here), orNothing(p.there)),
			verb: p.verb, stages: "a " + p.stage,
			call: func(e *fenv) *mirror.Report {
				return mirror.UnknownReport(e.pair.Local.ID, e.pair.Link(), p.verb, e.called, "a")
			},
			opts: func(e *fenv) {
				shows(e, e.pair.Local, p.here)
				shows(e, e.pair.Remote, p.there)
			},
		}
		if p.note != "" {
			s.notes = []string{p.note}
		}
		switch p.stage {
		case "done":
			s.settled, s.took = "a accepted", [2]time.Duration{0, time.Second}
		case "in progress":
			s.is, s.took = []error{
				mirror.ErrStalled, mirror.ErrOutcomeUnknown,
			}, [2]time.Duration{6 * time.Minute, 7 * time.Minute}
			s.settled = "a unknown"
		case "no sign":
			s.is, s.not = []error{mirror.ErrOutcomeUnknown}, []error{mirror.ErrStalled}
			s.settled, s.took = "a unknown", [2]time.Duration{2 * time.Minute, 3 * time.Minute}
		case "blocked":
			s.is, s.not = []error{mirror.ErrOutcomeUnknown}, []error{mirror.ErrStalled}
			s.settled, s.took = "a unknown", [2]time.Duration{30 * time.Second, time.Minute}
		}
		all = append(all, s)
	}
	return all
}

func orNothing(picture string) string {
	if picture == "" {
		return "nothing"
	}
	return picture
}

// courses are what can happen in the course of time.
func courses() []situation {
	lost := func(e *fenv) { e.pair.Local.Inject(mirrortest.Fault{AfterApply: true, Do: mirrortest.Cut(0)}) }
	never := func(e *fenv) { e.pair.Local.Inject(mirrortest.Fault{Do: mirrortest.Cut(0)}) }
	reads := func(c func(*fenv) *mirrortest.Cluster, every bool, do mirrortest.Action) func(*fenv) {
		return func(e *fenv) { c(e).Inject(mirrortest.Fault{Reads: true, Every: every, Do: do}) }
	}
	local := func(e *fenv) *mirrortest.Cluster { return e.pair.Local }
	remote := func(e *fenv) *mirrortest.Cluster { return e.pair.Remote }
	slow := mirrortest.Options{Settle: 40 * time.Second}
	two := []string{"a", "b"}
	return []situation{
		{name: "accepted, and done at once", stages: "a done", took: [2]time.Duration{0, time.Second}, settled: "a accepted",
			check: func(e *fenv) { require.Nil(e, e.progress.Report().Results[0].Settled) }},
		{name: "accepted, and done after a while", options: slow, topics: two, stages: "a done, b done",
			took: [2]time.Duration{40 * time.Second, 50 * time.Second}, check: func(e *fenv) {
				first, _ := e.polls[0].Topic("a")
				require.Equal(e, mirror.StageInProgress, first.Stage)
				require.Equal(e, mirror.StatusPendingStopped, first.Here.Status)
				require.Equal(e, mirror.StatusPendingMirror, first.There.Status)
				last, _ := e.progress.Topic("a")
				require.Equal(e, mirror.StatusPaused, last.There.Status)
				require.False(e, last.Earlier)
			}},
		{name: "a lost answer of a call that was made", options: slow, before: lost, stages: "a done", settled: "a accepted",
			check: func(e *fenv) {
				r := e.progress.Report()
				require.NoError(e, r.Err())
				require.Equal(e, mirror.Unknown, r.Results[0].Settled.From)
				require.Contains(e, r.Results[0].Settled.Why, "it was STOPPED on lkc-local at 2000-01-01T01:00:4")
				require.Error(e, e.report.Err(), "the report that was followed stays as it is")
			}},
		{name: "a lost answer of a call that was not made", before: never, stages: "a no sign", settled: "a unknown",
			is: []error{mirror.ErrOutcomeUnknown}, not: []error{mirror.ErrStalled},
			took: [2]time.Duration{2 * time.Minute, 3 * time.Minute}},
		{name: "a rerun of what is done", stages: "a done", before: func(e *fenv) {
			_, err := e.local.ReverseAndPause(e.Context(), e.pair.Link(), mirror.Topics("a"))
			require.NoError(e, err)
			time.Sleep(time.Hour)
		}, notes: []string{"it was already there before this call"}, settled: "a accepted", check: func(e *fenv) {
			one, _ := e.progress.Topic("a")
			require.True(e, one.Earlier)
			require.NoError(e, e.progress.Report().Err())
			require.Equal(e, mirror.Failed, e.progress.Report().Results[0].Settled.From)
			require.Contains(e, e.progress.Report().Results[0].Settled.Why, "it was already there before this call")
		}},
		{name: "failed for another reason is not followed", topics: two, stages: "a done", before: func(e *fenv) {
			e.pair.Local.SetStatus("b", mirror.StatusFailed)
		}},
		{name: "accepted, and then no sign of it", stages: "a no sign", call: func(e *fenv) *mirror.Report {
			e.pair.Local.Inject(mirrortest.Fault{Do: ok(rows(good("a")))})
			r, err := e.local.ReverseAndPause(e.Context(), e.pair.Link(), mirror.Topics("a"))
			require.NoError(e, err)
			return r
		}, is: []error{mirror.ErrStalled}, not: []error{mirror.ErrOutcomeUnknown},
			took: [2]time.Duration{6 * time.Minute, 7 * time.Minute}},
		{name: "an active consumer group, and then none", options: slow, stages: "a done", before: func(e *fenv) {
			e.pair.Local.SetReasons("a", mirror.Reason{Code: "CONSUMER_GROUP_IN_USE_ERROR", Message: "group g"})
		}, then: map[time.Duration]func(*fenv){3 * time.Minute: func(e *fenv) { e.pair.Local.SetReasons("a") }},
			took: [2]time.Duration{3 * time.Minute, 4 * time.Minute}, check: func(e *fenv) {
				seen := 0
				for _, p := range e.polls {
					one, _ := p.Topic("a")
					if len(one.Reasons) > 0 {
						require.Equal(e, "CONSUMER_GROUP_IN_USE_ERROR: group g", one.Reasons[0].String())
						seen++
					}
				}
				require.NotZero(e, seen, "it is shown while it lasts")
			}},
		{name: "stuck for ever, with its reason", stages: "a in progress", before: func(e *fenv) {
			e.pair.Local.SetReasons("a", mirror.Reason{Code: "X"})
		}, options: slow, is: []error{mirror.ErrStalled}, check: func(e *fenv) {
			one, _ := e.progress.Topic("a")
			require.Equal(e, []mirror.Reason{{Code: "X"}}, one.Reasons)
			asked := 0
			for _, r := range e.pair.Journal() {
				if strings.Contains(r.URI, "include_state_transition_errors") {
					asked++
				}
			}
			require.LessOrEqual(e, asked, 8, "once a minute, and at the end")
		}},
		{name: "a lag that falls keeps it alive", stages: "a done", options: slow, before: func(e *fenv) {
			e.pair.Local.SetReasons("a", mirror.Reason{Code: "X"})
			n := int64(100)
			e.pair.Local.OnList(func(all []mirror.Mirror) []mirror.Mirror {
				n--
				all[0].Lags = []mirror.PartitionLag{{Lag: mirror.Number(n)}}
				return all
			})
		}, then: map[time.Duration]func(*fenv){8 * time.Minute: func(e *fenv) { e.pair.Local.SetReasons("a") }}},
		{name: "a lag that wobbles does not", stages: "a in progress", options: slow, before: func(e *fenv) {
			e.pair.Local.SetReasons("a", mirror.Reason{Code: "X"})
			n := int64(0)
			e.pair.Local.OnList(func(all []mirror.Mirror) []mirror.Mirror {
				n = 1 - n
				all[0].Lags = []mirror.PartitionLag{{Lag: mirror.Number(5 + n)}}
				return all
			})
		}, is: []error{mirror.ErrStalled}},
		{name: "it fails in the course of it", options: slow, stages: "a blocked", notes: []string{"FAILED on lkc-local"},
			then: map[time.Duration]func(*fenv){20 * time.Second: func(e *fenv) {
				e.pair.Local.SetStatus(
					"a", mirror.StatusFailed,
				)
			}},
			is: nil, took: [2]time.Duration{30 * time.Second, time.Minute}, not: []error{mirror.ErrStalled}},
		{name: "it falls back to ACTIVE", options: slow, stages: "a blocked",
			notes: []string{"it is ACTIVE on lkc-local"},
			then: map[time.Duration]func(*fenv){20 * time.Second: func(e *fenv) {
				e.pair.Local.SetStatus(
					"a", mirror.StatusActive,
				)
			}},
			not: []error{mirror.ErrStalled}},
		{name: "it leaves its goal while another is waited for", topics: two, options: slow, stages: "a blocked, b done",
			before: func(e *fenv) { e.pair.Local.SetReasons("b", mirror.Reason{Code: "X"}) },
			then: map[time.Duration]func(*fenv){
				60 * time.Second: func(e *fenv) {
					_, err := e.remote.Resume(e.Context(), e.pair.Link(), mirror.Topics("a"))
					require.NoError(e, err)
					_, err = e.remote.ReverseAndStart(e.Context(), e.pair.Link(), mirror.Topics("a"))
					require.NoError(e, err)
				},
				3 * time.Minute: func(e *fenv) { e.pair.Local.SetReasons("b") },
			}, notes: []string{
				"it was seen done at 2000-01-01T01:0", ", and no longer",
			}, not: []error{mirror.ErrStalled, mirror.ErrOutcomeUnknown}},
		{name: "another operator resumes it meanwhile", topics: two, options: slow, stages: "a done, b done",
			before: func(e *fenv) { e.pair.Local.SetReasons("b", mirror.Reason{Code: "X"}) },
			then: map[time.Duration]func(*fenv){
				60 * time.Second: func(e *fenv) {
					_, err := e.remote.Resume(e.Context(), e.pair.Link(), mirror.Topics("a"))
					require.NoError(e, err)
				},
				2 * time.Minute: func(e *fenv) { e.pair.Local.SetReasons("b") },
			}, notes: []string{"it is already resumed on lkc-remote"}, check: func(e *fenv) {
				require.Contains(e, progressTable(e.T, e.progress), "PAUSED on the other cluster, or past that;")
			}},
		{name: "it is gone from the list", options: slow, stages: "a blocked",
			notes: []string{"lkc-local no longer lists it"},
			then: map[time.Duration]func(*fenv){20 * time.Second: func(e *fenv) {
				e.pair.Local.OnList(func([]mirror.Mirror) []mirror.Mirror { return nil })
			}}, not: []error{mirror.ErrStalled}},
		{name: "one list forgets it", options: slow, stages: "a done", then: map[time.Duration]func(*fenv){
			20 * time.Second: func(e *fenv) {
				n := 0
				e.pair.Local.OnList(func(all []mirror.Mirror) []mirror.Mirror {
					if n++; n == 1 {
						return nil
					}
					return all
				})
			}}, silent: []string{"no longer"}},
		{name: "one list is stale", topics: two, options: mirrortest.Options{Settle: time.Second}, stages: "a done, b done",
			before: func(e *fenv) {
				e.pair.Local.SetReasons("b", mirror.Reason{Code: "X"})
				n := 0
				e.pair.Local.OnList(func(all []mirror.Mirror) []mirror.Mirror {
					if n++; n == 6 {
						all[0].Status, all[0].Since = mirror.StatusActive, e.called.Add(-time.Hour)
					}
					return all
				})
			}, then: map[time.Duration]func(*fenv){2 * time.Minute: func(e *fenv) { e.pair.Local.SetReasons("b") }},
			silent: []string{"no longer"}, check: func(e *fenv) {
				for _, p := range e.polls[2:] {
					one, _ := p.Topic("a")
					require.Equal(e, mirror.StageDone, one.Stage)
				}
			}},
		{name: "lists that are not whole show what they have", options: slow, stages: "a done", before: func(e *fenv) {
			reads(local, true, mirrortest.Handle(func(w http.ResponseWriter, r *http.Request, proper http.Handler) {
				withNext(w, r, proper)
			}))(e)
		}, is: []error{mirror.ErrStalled}, notes: []string{"the latest list was not read to its end"}},
		{name: "the other cluster is dark for a while", options: slow, stages: "a done",
			before: func(e *fenv) {
				for range 6 {
					reads(remote, false, mirrortest.Error(503, 50003, "x"))(e)
				}
			}, check: func(e *fenv) {
				dark := 0
				for _, p := range e.polls {
					if !p.Clusters[1].Dark.IsZero() {
						dark++
						require.Contains(e, p.Clusters[1].Error, "HTTP 503")
						if p.At.After(p.Clusters[1].Dark) {
							require.Contains(e, p.String(), "lkc-remote not read for")
						}
					}
				}
				require.NotZero(e, dark)
			}},
		{name: "the other cluster stays dark", stages: "a in progress", before: reads(remote, true, mirrortest.Cut(0)),
			is: []error{mirror.ErrStalled}, notes: []string{"lkc-remote has said nothing certain of it yet"},
			check: func(e *fenv) {
				require.Zero(e, e.progress.Clusters[1].Lists)
				require.Contains(e, e.progress.Clusters[1].Error, "no response came")
			}},
		{name: "both clusters are dark", stages: "a no sign", is: []error{mirror.ErrStalled},
			before: func(e *fenv) {
				reads(local, true, silent())(e)
				reads(remote, true, mirrortest.Error(500, 500, "x"))(e)
			}},
		{name: "the rate limiter asks for a wait", options: slow, stages: "a done", before: func(e *fenv) {
			reads(local, false, mirrortest.WithHeader(mirrortest.RateLimited(), "Retry-After", "90"))(e)
		}, took: [2]time.Duration{90 * time.Second, 100 * time.Second}},
		{name: "it asks for a wait beyond patience", stages: "a in progress", before: func(e *fenv) {
			reads(local, true, mirrortest.WithHeader(mirrortest.RateLimited(), "Retry-After", "3600"))(e)
		}, is: []error{mirror.ErrStalled, mirror.ErrRateLimited}, took: [2]time.Duration{6 * time.Minute, 361 * time.Second}},
		{name: "no right to read, at once", stages: "a in progress", before: reads(
			remote, true, mirrortest.Error(403, 40301, "no"),
		),
			took: [2]time.Duration{0, time.Second}, not: []error{mirror.ErrStalled}, check: func(e *fenv) {
				var api *mirror.APIError
				require.ErrorAs(e, e.err, &api)
				require.Equal(e, 403, api.Status)
				require.ErrorContains(e, e.err, `cluster "lkc-remote" cannot be followed`)
			}},
		{name: "no right to read any more", options: mirrortest.Options{Settle: time.Hour}, stages: "a in progress",
			then: map[time.Duration]func(*fenv){20 * time.Second: reads(remote, true, mirrortest.Error(401, 40101, "no"))},
			is:   []error{mirror.ErrUnauthenticated}, not: []error{mirror.ErrStalled},
			took: [2]time.Duration{35 * time.Second, 90 * time.Second}},
		{name: "no right to read for a moment", options: slow, stages: "a done", then: map[time.Duration]func(*fenv){
			20 * time.Second: reads(remote, false, mirrortest.Error(403, 40301, "no"))}},
		{name: "no right to read, three times in a few seconds", options: slow, stages: "a done",
			then: map[time.Duration]func(*fenv){10 * time.Second: func(e *fenv) {
				for range 3 {
					reads(remote, false, mirrortest.Error(403, 40301, "no"))(e)
				}
			}}, opts: func(e *fenv) { e.o.Interval = 2 * time.Second }},
		{name: "a link that the other cluster does not know yet", options: slow, stages: "a done", before: func(e *fenv) {
			for range 2 {
				reads(remote, false, mirrortest.Error(404, 404, "The cluster link doesn't exist: dr-link"))(e)
			}
		}},
		{name: "a link that it never knows", stages: "a in progress",
			before: reads(remote, true, mirrortest.Error(404, 404, "The cluster link doesn't exist: dr-link")),
			is:     []error{mirror.ErrNoLink}, took: [2]time.Duration{30 * time.Second, time.Minute}},
		{name: "a link that it did not know when it was asked once", options: slow, stages: "a done",
			before: reads(remote, false, mirrortest.Error(404, 404, "The cluster link doesn't exist: dr-link")),
			opts:   func(e *fenv) { e.o.Interval = 25 * time.Second }},
		{name: "an answer that no repeat will change", stages: "a in progress", before: reads(
			remote, true, status(405, "", ""),
		),
			took: [2]time.Duration{0, time.Second}, not: []error{mirror.ErrStalled}},
		{name: "a page under 200 is a lost read", options: slow, stages: "a done",
			before: reads(remote, false, status(200, "text/html", "<title>Sign in</title>"))},
		{name: "an answer without a list is a lost read", stages: "a in progress",
			before: reads(remote, true, ok(`{"error_code":50002,"message":"x"}`)), is: []error{mirror.ErrStalled},
			check: func(e *fenv) {
				require.False(e, e.progress.Clusters[1].Dark.IsZero())
				require.LessOrEqual(e, e.lists["lkc-remote"], 12, "it is left alone for longer and longer")
			}},
		{name: "clocks that differ by hours", options: mirrortest.Options{
			Settle: 20 * time.Second, Clocks: [2]time.Duration{5 * time.Hour, -7 * time.Hour},
		}, stages: "a done", silent: []string{"before this call"}},
		{name: "a list without a Date, and no baseline", stages: "a done", before: func(e *fenv) {
			dateless := mirrortest.Handle(func(w http.ResponseWriter, r *http.Request, proper http.Handler) {
				proper.ServeHTTP(noDate{w}, r)
			})
			reads(local, true, dateless)(e)
			reads(remote, true, dateless)(e)
		}, notes: []string{"how long it has been so is not known"}},
		{name: "a baseline that shows the goal", stages: "a done", verb: mirror.VerbPromote, before: func(e *fenv) {
			e.pair.Local.SetStatus("a", mirror.StatusStopped)
			e.o.Before, _ = e.local.Mirrors(e.Context(), e.pair.Link())
		}, notes: []string{"it was already there before this call"}},
		{name: "a baseline that differs, whatever the state's time", verb: mirror.VerbPromote, stages: "a done",
			before: func(e *fenv) {
				e.o.Before, _ = e.local.Mirrors(e.Context(), e.pair.Link())
				e.pair.Local.OnList(func(all []mirror.Mirror) []mirror.Mirror {
					all[0].Since = time.UnixMilli(1)
					return all
				})
			}, silent: []string{"before this call"}},
		{name: "no report, and no time of the call", stages: "a done", call: func(e *fenv) *mirror.Report {
			_, err := e.local.ReverseAndPause(e.Context(), e.pair.Link(), mirror.Topics("a"))
			require.NoError(e, err)
			return mirror.UnknownReport(e.pair.Local.ID, e.pair.Link(), mirror.VerbReverseAndPause, time.Time{}, "a")
		}, notes: []string{"how long it has been so is not known"}, settled: "a accepted"},
		{name: "a pattern whose answer was cut", topics: two, stages: "a done", call: func(e *fenv) *mirror.Report {
			e.pair.Local.Inject(mirrortest.Fault{AfterApply: true, Do: ok(strings.TrimSuffix(rows(good("a")), "]}"))})
			r, err := e.local.ReverseAndPause(e.Context(), e.pair.Link(), mirror.Prefix("a", "b"))
			require.Error(e, err)
			return r
		}, is: []error{mirror.ErrOutcomeUnknown}, settled: "a accepted"},
		{name: "ctx ends it", options: mirrortest.Options{Settle: time.Hour}, stages: "a in progress",
			is: []error{context.Canceled, errStop}, not: []error{mirror.ErrStalled}, took: [2]time.Duration{
				42 * time.Second, 42 * time.Second,
			},
			check: func(e *fenv) {
				require.ErrorContains(e, e.err, "the call ended while it followed: the operator pressed stop")
			}},
		{name: "patience of the caller's", options: mirrortest.Options{Settle: time.Hour}, stages: "a in progress",
			opts: func(e *fenv) { e.o.Patience = time.Minute }, is: []error{mirror.ErrStalled},
			took: [2]time.Duration{time.Minute, 2 * time.Minute}},
		{name: "the other cluster is not looked at by a promote", verb: mirror.VerbPromote, stages: "a done",
			check: func(e *fenv) { require.Len(e, e.progress.Clusters, 1) }},
		{name: "only the list that was cut shows it", verb: mirror.VerbPromote, stages: "a blocked",
			call: unknownCall(mirror.VerbPromote), opts: func(e *fenv) {
				sequence(e, e.pair.Local, "STOPPED+", "ACTIVE-")
				e.pair.Local.Inject(mirrortest.Fault{Reads: true, Do: mirrortest.Handle(withNext)})
			}, is: []error{mirror.ErrOutcomeUnknown}},
		{name: "a mirror that becomes unavailable after a failover", verb: mirror.VerbFailover, stages: "a in progress",
			call: unknownCall(mirror.VerbFailover), opts: func(e *fenv) {
				sequence(e, e.pair.Local, "PENDING_STOPPED+", "PENDING_STOPPED+", "SOURCE_UNAVAILABLE+")
			}, is: []error{mirror.ErrStalled}, notes: []string{"try one produce"}, silent: []string{"back", "again"}},
		{name: "one start status after another", verb: mirror.VerbPromote, stages: "a no sign",
			call: unknownCall(mirror.VerbPromote), opts: func(e *fenv) {
				sequence(e, e.pair.Local, "ACTIVE-", "SOURCE_UNAVAILABLE+", "PAUSED+", "ACTIVE+")
			}, is: []error{mirror.ErrOutcomeUnknown}, not: []error{mirror.ErrStalled}},
		{name: "an older row of the same status", verb: mirror.VerbPromote, stages: "a blocked",
			call: unknownCall(mirror.VerbPromote), opts: func(e *fenv) {
				sequence(e, e.pair.Local, "FAILED+", "FAILED-", "FAILED+")
			}, notes: []string{"FAILED"}, not: []error{mirror.ErrStalled}},
		{name: "a failure that is newer than the baseline's", verb: mirror.VerbFailover, stages: "a blocked",
			call: unknownCall(mirror.VerbFailover), opts: func(e *fenv) {
				e.pair.Local.SetStatus("a", mirror.StatusFailed)
				was := mirror.Mirror{Topic: "a", Status: mirror.StatusFailed, Since: e.called.Add(-time.Hour)}
				e.o.Before = &mirror.Listing{
					ClusterID: e.pair.Local.ID, Link: e.pair.Link(), Complete: true, Mirrors: []mirror.Mirror{was},
				}
			}, not: []error{mirror.ErrStalled}},
		{name: "a baseline that shows the goal, which it left and came back to", verb: mirror.VerbResume, stages: "a done",
			call: unknownCall(mirror.VerbResume), opts: func(e *fenv) {
				e.o.Before = baseline(e, "ACTIVE-")
				sequence(e, e.pair.Local, "PAUSED-", "ACTIVE+")
			}, silent: []string{"before this call"}},
		{name: "a baseline that shows the goal, and a first list that is stale", verb: mirror.VerbResume, stages: "a done",
			call: unknownCall(mirror.VerbResume), opts: func(e *fenv) {
				e.o.Before = baseline(e, "ACTIVE-")
				sequence(e, e.pair.Local, "PAUSED?", "ACTIVE-")
			}, notes: []string{"it was already there before this call"}},
		{name: "a baseline that has failed, and it fails again", verb: mirror.VerbPromote, stages: "a blocked",
			call: unknownCall(mirror.VerbPromote), opts: func(e *fenv) {
				e.o.Before = baseline(e, "FAILED?")
				sequence(e, e.pair.Local, "PENDING_STOPPED+", "FAILED?")
			}, notes: []string{"it is FAILED"}, not: []error{mirror.ErrStalled}},
		{name: "a state time of the year 9999", verb: mirror.VerbPromote, stages: "a done",
			call: unknownCall(mirror.VerbPromote), opts: func(e *fenv) {
				e.pair.Local.OnList(func([]mirror.Mirror) []mirror.Mirror {
					late := time.Date(9999, time.December, 31, 0, 0, 0, 0, time.UTC)
					return []mirror.Mirror{{Topic: "a", Status: mirror.StatusStopped, Since: late}}
				})
			}, silent: []string{"before this call"}},
		{name: "both are dark after the first lists", verb: mirror.VerbPromote, stages: "a no sign",
			call: unknownCall(mirror.VerbPromote),
			then: map[time.Duration]func(*fenv){8 * time.Second: reads(local, true, mirrortest.Error(503, 50003, "x"))},
			is:   []error{mirror.ErrStalled}},
		{name: "one list that hangs", stages: "a done", before: reads(remote, false, silent()),
			took: [2]time.Duration{15 * time.Second, 40 * time.Second}},
		{name: "single reads that hang", options: slow, stages: "a in progress", before: func(e *fenv) {
			e.pair.Local.SetReasons("a", mirror.Reason{Code: "X"})
			e.pair.Local.Inject(mirrortest.Fault{Reads: true, Every: true, Do: mirrortest.Handle(onlyLists)})
		}, is: []error{mirror.ErrStalled}, took: [2]time.Duration{6 * time.Minute, 9 * time.Minute}},
		{name: "single reads that are rejected", options: slow, stages: "a in progress", before: func(e *fenv) {
			e.pair.Local.SetReasons("a", mirror.Reason{Code: "X"})
			e.pair.Local.Inject(mirrortest.Fault{Reads: true, Every: true, Do: mirrortest.Handle(rejectSingle)})
		}, is: []error{mirror.ErrStalled}, check: func(e *fenv) {
			asked := 0
			for _, r := range e.pair.Journal() {
				if strings.Contains(r.URI, "include_state_transition_errors") {
					asked++
				}
			}
			require.LessOrEqual(e, asked, 4, "it is left alone for as long as it asks")
		}},
		{name: "reasons go when it moves on", options: slow, stages: "a done", before: func(e *fenv) {
			e.pair.Local.SetReasons("a", mirror.Reason{Code: "X"})
		}, then: map[time.Duration]func(*fenv){
			100 * time.Second: func(e *fenv) { e.pair.Local.SetStatus("a", mirror.StatusPendingSynchronize) },
			130 * time.Second: func(e *fenv) {
				e.pair.Local.SetReasons("a")
				e.pair.Local.SetStatus("a", mirror.StatusStopped)
			},
		}, check: func(e *fenv) {
			for _, p := range e.polls {
				one, soon := p.Followed[0], p.At.Before(e.called.Add(112*time.Second))
				if one.Here.Status == mirror.StatusPendingSynchronize && soon {
					require.Empty(e, one.Reasons)
				}
			}
		}},
		{name: "a strange row about another topic does not matter", stages: "a done", before: func(e *fenv) {
			e.pair.Local.OnList(func(all []mirror.Mirror) []mirror.Mirror {
				return append(
					all, mirror.Mirror{Topic: "x"}, mirror.Mirror{Topic: "y", Status: "A"}, mirror.Mirror{Topic: "y", Status: "B"},
				)
			})
		}},
		{name: "ctx ends during a list", options: slow, stages: "a in progress", then: map[time.Duration]func(*fenv){
			35 * time.Second: reads(remote, true, silent()),
		}, opts: func(e *fenv) {
			e.deadline = 44 * time.Second
		}, is: []error{context.DeadlineExceeded}, check: func(e *fenv) {
			require.True(e, e.progress.Clusters[1].Dark.IsZero(), "the end of the call does not make a cluster dark")
		}},
		{name: "a credential that cannot be sent", stages: "a no sign", opts: func(e *fenv) {
			cfg := e.pair.Local.Config()
			cfg.Credential = func(_ context.Context, h http.Header) error { h.Set("Authorization", "a\nb"); return nil }
			e.local = newClient(e.T, cfg)
			e.o.Other = newClient(e.T, func() mirror.Config {
				c := e.pair.Remote.Config()
				c.Credential = cfg.Credential
				return c
			}())
		}, is: []error{mirror.ErrInvalidArgument}, took: [2]time.Duration{0, time.Second}},
		{name: "an interval as long as patience", options: mirrortest.Options{Settle: time.Hour}, stages: "a in progress",
			opts: func(e *fenv) { e.o.Interval, e.o.Patience = time.Minute, time.Minute }, is: []error{mirror.ErrStalled},
			check: func(e *fenv) { require.GreaterOrEqual(e, e.progress.Polls, 2) }},
		{name: "an interval as long as there is", verb: mirror.VerbPromote, stages: "a no sign",
			call: unknownCall(mirror.VerbPromote), opts: func(e *fenv) { e.o.Interval = math.MaxInt64 },
			check: func(e *fenv) { require.LessOrEqual(e, e.progress.Polls, 2) }},
		{name: "a wait that a single read is asked for", options: slow, stages: "a in progress",
			opts: func(e *fenv) { e.o.Patience = time.Minute }, before: func(e *fenv) {
				e.pair.Local.SetReasons("a", mirror.Reason{Code: "X"})
				e.pair.Local.Inject(mirrortest.Fault{Reads: true, Every: true, Do: mirrortest.Handle(rejectSingle)})
			}, is: []error{mirror.ErrStalled}, check: func(e *fenv) {
				asked := slices.IndexFunc(e.pair.Journal(), func(r mirrortest.Request) bool {
					return strings.Contains(r.URI, "include_state_transition_errors")
				})
				require.Positive(e, asked)
				for _, r := range e.pair.Journal()[asked+1:] {
					require.Equal(e, "lkc-remote", r.Cluster, "the cluster asked for two minutes")
				}
			}},
		{name: "a refused topic is not forgotten in the first line", topics: two, stages: "a done", before: func(e *fenv) {
			e.pair.Local.SetStatus("b", mirror.StatusFailed)
		}, check: func(e *fenv) {
			require.Contains(e, progressTable(e.T, e.progress), "not all: 1 of 2 done; 1 failed, not followed\n")
		}},
		{name: "a pause, followed", verb: mirror.VerbPause, stages: "a done"},
		{name: "a second pause, followed", verb: mirror.VerbPause, stages: "a done", before: func(e *fenv) {
			e.pair.Local.SetStatus("a", mirror.StatusPaused)
			time.Sleep(time.Minute)
		}, notes: []string{"it was already there before this call"}},
		{name: "a resume, followed", verb: mirror.VerbResume, stages: "a done"},
		{name: "a restore, followed", verb: mirror.VerbTruncateAndRestore, options: slow, stages: "a done"},
		{name: "a failover, followed", verb: mirror.VerbFailover, options: slow, stages: "a done"},
		{name: "a reverse-and-start, followed", verb: mirror.VerbReverseAndStart, options: slow, stages: "a done"},
	}
}

// unknownCall is a call that was made, or not: nobody knows.
func unknownCall(v mirror.Verb) func(*fenv) *mirror.Report {
	return func(e *fenv) *mirror.Report {
		return mirror.UnknownReport(e.pair.Local.ID, e.pair.Link(), v, e.called, "a")
	}
}

// baseline is what the local cluster listed before the call: a picture of the topic a.
func baseline(e *fenv, text string) *mirror.Listing {
	return &mirror.Listing{ClusterID: e.pair.Local.ID, Link: e.pair.Link(), Complete: true, Mirrors: picture(e, text)}
}

// sequence has a cluster show one picture of the topic a after another, and go on with the last.
func sequence(e *fenv, c *mirrortest.Cluster, pictures ...string) {
	n := 0
	c.OnList(func([]mirror.Mirror) []mirror.Mirror {
		p := pictures[min(n, len(pictures)-1)]
		n++
		return picture(e, p)
	})
}

// onlyLists answers lists, and nothing else.
func onlyLists(w http.ResponseWriter, r *http.Request, proper http.Handler) {
	if !strings.HasSuffix(r.URL.Path, "/mirrors") {
		<-r.Context().Done()
		return
	}
	proper.ServeHTTP(w, r)
}

// rejectSingle rejects all but lists, as the rate limiter does, and asks for a wait.
func rejectSingle(w http.ResponseWriter, r *http.Request, proper http.Handler) {
	if !strings.HasSuffix(r.URL.Path, "/mirrors") {
		w.Header().Set("DoSFilter", "unavailable")
		w.Header().Set("Retry-After", "120")
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	proper.ServeHTTP(w, r)
}

// noDate leaves the header Date out.
type noDate struct{ http.ResponseWriter }

func (w noDate) WriteHeader(status int) {
	w.Header()["Date"] = nil
	w.ResponseWriter.WriteHeader(status)
}

// withNext sets metadata.next in the proper answer.
func withNext(w http.ResponseWriter, r *http.Request, proper http.Handler) {
	proper.ServeHTTP(&rewritten{w}, r)
}

type rewritten struct{ http.ResponseWriter }

func (w *rewritten) Write(p []byte) (int, error) {
	text := strings.Replace(string(p), `"self":`, `"next":"p2","self":`, 1)
	_, err := w.ResponseWriter.Write([]byte(text))
	return len(p), err
}

// TestFollow goes through the situations, in virtual time.
func TestFollow(t *testing.T) {
	all := slices.Concat(pictures(), courses())
	names := map[string]bool{}
	for _, s := range all {
		require.False(t, names[s.name], "two situations are called %q", s.name)
		names[s.name] = true
		t.Run(s.name, func(t *testing.T) { synctest.Test(t, s.run) })
	}
	if testing.Verbose() {
		fmt.Printf("%d situations\n", len(all))
	}
}
