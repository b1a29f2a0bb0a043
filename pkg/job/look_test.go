package job_test

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/job"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func TestRun_SendsNothingIfATopicDiffersFromThePlan(t *testing.T) {
	changes := map[string]struct {
		verb   mirror.Verb
		change func(*mirrortest.Pair)
		sends  bool
	}{
		"paused and resumed since": {mirror.VerbReverseAndPause, func(p *mirrortest.Pair) {
			p.Local.SetStatus("d", mirror.StatusActive)
		}, false},
		"paused since": {mirror.VerbReverseAndPause, func(p *mirrortest.Pair) {
			p.Local.SetStatus("d", mirror.StatusPaused)
		}, false},
		"made active since, before a failover": {mirror.VerbFailover, func(p *mirrortest.Pair) {
			p.Local.SetStatus("d", mirror.StatusActive)
		}, false},
		"its source lost, before a failover": {mirror.VerbFailover, func(p *mirrortest.Pair) {
			p.Local.SetStatus("d", mirror.StatusSourceUnavailable)
		}, true},
		"its link failed, before a failover": {mirror.VerbFailover, func(p *mirrortest.Pair) {
			p.Local.SetStatus("d", mirror.StatusLinkFailed)
		}, true},
		"its link paused, before a failover": {mirror.VerbFailover, func(p *mirrortest.Pair) {
			p.Local.SetStatus("d", mirror.StatusLinkPaused)
		}, true},
		"failed, before a failover": {mirror.VerbFailover, func(p *mirrortest.Pair) {
			p.Local.SetStatus("d", mirror.StatusFailed)
		}, true},
		"its source lost, before a promote": {mirror.VerbPromote, func(p *mirrortest.Pair) {
			p.Local.SetStatus("d", mirror.StatusSourceUnavailable)
		}, false},
		"refused now": {mirror.VerbPromote, func(p *mirrortest.Pair) {
			p.Local.Inject(mirrortest.Fault{Topic: "d", Do: mirrortest.Row(
				`{"mirror_topic_name":"d","error_code":40301,"error_message":"not this one"}`)})
		}, false},
		"paused and resumed, before a pause": {mirror.VerbPause, func(p *mirrortest.Pair) {
			p.Local.SetStatus("d", mirror.StatusActive)
		}, false},
		"stopped since, before a pause": {mirror.VerbPause, func(p *mirrortest.Pair) {
			p.Local.Inject(mirrortest.Fault{Topic: "d", Do: mirrortest.Refuse(400,
				"Topic 'd' has already stopped its mirror from 'dr-link'")})
		}, false},
		"nothing": {mirror.VerbPromote, func(*mirrortest.Pair) {}, true},
	}
	for what, c := range changes {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pair := newPair(t)
				time.Sleep(time.Hour)
				j := create(t, filepath.Join(t.TempDir(), "job"), validated(t, pair.Local, c.verb, names...), job.Options{})
				time.Sleep(2 * time.Second)
				c.change(pair)
				_, err := j.Run(t.Context(), client(pair.Local))
				if c.sends {
					require.NoError(t, err)
					return
				}
				require.ErrorIs(t, err, job.ErrChanged)
				var changed *job.ChangedError
				require.ErrorAs(t, err, &changed)
				require.Len(t, changed.Changes, 1)
				require.Equal(t, "d", changed.Changes[0].Topic)
				for _, name := range names {
					require.Zero(t, pair.Local.Sent(name))
				}
				require.Equal(t, allUntouched, outcomes(j.Report()))

				j.EvenIfChanged = true
				_, err = j.Run(t.Context(), client(pair.Local))
				require.NotErrorIs(t, err, job.ErrChanged)
				require.Equal(t, 1, pair.Local.Sent("a"))
			})
		})
	}
}

// A cluster's clock may be wrong by hours: the plan and the status are compared by the same clock.
func TestRun_ComparesByTheClockOfTheCluster(t *testing.T) {
	for _, wrong := range []time.Duration{-5 * time.Hour, 5 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			pair := mirrortest.NewPair(t, mirrortest.Options{InMemory: true, Clocks: [2]time.Duration{wrong, 0}})
			topics := []string{"topic-1", "topic-2"}
			time.Sleep(time.Minute)
			plan := validated(t, pair.Local, mirror.VerbPromote, topics...)
			changed := create(t, filepath.Join(t.TempDir(), "job"), plan, job.Options{})
			same := create(t, filepath.Join(t.TempDir(), "job"), plan, job.Options{})
			time.Sleep(time.Minute)
			pair.Local.SetStatus("topic-1", mirror.StatusPaused)
			_, err := changed.Run(t.Context(), client(pair.Local))
			require.ErrorIs(t, err, job.ErrChanged)
			pair.Local.OnList(func(all []mirrortest.Mirror) []mirrortest.Mirror {
				for i := range all {
					all[i].Since = all[i].Since.Add(-time.Hour)
				}
				return all
			})
			_, err = same.Run(t.Context(), client(pair.Local))
			require.NoError(t, err)
		})
	}
}

func TestRun_WithoutADateComparesByTheClockOfThisProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair := mirrortest.NewPair(t, mirrortest.Options{InMemory: true, NoDate: true})
		time.Sleep(time.Minute)
		plan := validated(t, pair.Local, mirror.VerbPromote, "topic-1", "topic-2")
		j := create(t, filepath.Join(t.TempDir(), "job"), plan, job.Options{})
		time.Sleep(time.Minute)
		pair.Local.SetStatus("topic-1", mirror.StatusPaused)
		_, err := j.Run(t.Context(), client(pair.Local))
		require.ErrorIs(t, err, job.ErrChanged)
		same := create(t, filepath.Join(t.TempDir(), "job"), plan, job.Options{})
		pair.Local.OnList(func(all []mirrortest.Mirror) []mirrortest.Mirror {
			for i := range all {
				all[i].Since = all[i].Since.Add(-time.Hour)
			}
			return all
		})
		_, err = same.Run(t.Context(), client(pair.Local))
		require.NoError(t, err)
	})
}

func TestRun_LeavesOutWhatHasStoppedAndWaitsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair := newPair(t)
		j, path := created(t, pair)
		time.Sleep(time.Minute)
		_, err := client(pair.Local).ReverseAndPause(t.Context(), "dr-link", mirror.Topics("b", "c"))
		require.NoError(t, err)
		_, err = j.Run(t.Context(), client(pair.Local))
		require.NoError(t, err)
		requireReversedOnce(t, pair)
		j = reopened(t, j, path)
		report := j.Report()
		require.Equal(t, "a accepted, b failed, c failed, d accepted, e accepted, f accepted", outcomes(report))
		for _, name := range []string{"b", "c"} {
			r, _ := report.Result(name)
			require.True(t, r.AlreadyStopped())
		}
		_, err = j.Wait(t.Context(), both(pair))
		require.NoError(t, err)
		require.True(t, j.Finished())
	})
}

// A job of which a copy was kept is run to its end. Then the copy is run.
func TestRun_CopyOfAJobSendsNothing(t *testing.T) {
	for what, back := range map[string]bool{"as it is": false, "after the topics were reversed back": true} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pair := newPair(t)
				time.Sleep(time.Hour)
				j, path := created(t, pair)
				text, err := os.ReadFile(path)
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(path+".copy", text, 0o600))
				time.Sleep(time.Minute)
				_, err = j.Run(t.Context(), client(pair.Local))
				require.NoError(t, err)
				_, err = j.Wait(t.Context(), both(pair))
				require.NoError(t, err)
				if back {
					_, err = client(pair.Remote).ReverseAndStart(t.Context(), "dr-link", mirror.Topics(names...))
					require.NoError(t, err)
				}
				copied := open(t, path+".copy")
				_, err = copied.Run(t.Context(), client(pair.Local))
				if back {
					require.ErrorIs(t, err, job.ErrChanged)
				} else {
					require.NoError(t, err)
					_, err = copied.Wait(t.Context(), both(pair))
					require.NoError(t, err)
				}
				pair.Local.AssertSentOnce(t)
			})
		})
	}
}

func TestRun_SendsNothingIfItCannotLook(t *testing.T) {
	for what, fault := range map[string]mirrortest.Fault{
		"no list":                 {Reads: true, Do: mirrortest.Error(403, 40301, "no")},
		"no dry run":              {Do: mirrortest.Error(403, 40301, "no")},
		"a dry run without a row": {Topic: "c", Do: mirrortest.LeaveOut()},
	} {
		synctest.Test(t, func(t *testing.T) {
			pair := newPair(t)
			j, _ := created(t, pair)
			pair.Local.Inject(fault)
			_, err := j.Run(t.Context(), client(pair.Local))
			require.Error(t, err, what)
			require.NotErrorIs(t, err, job.ErrChanged, what)
			for _, name := range names {
				require.Zero(t, pair.Local.Sent(name), what)
			}
			require.Equal(t, names, j.Remaining())
		})
	}
}
