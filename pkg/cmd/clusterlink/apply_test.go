package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func TestPlannedFailover_EndsWithTheOtherClusterMirroring(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShell(t, mirrortest.Options{Link: "dr link", Topics: topics("a", "b"), InMemory: true})
		o := s.inside("", "plan", "reverse-and-pause", "dr link", "--all", "--job", "friday.job")
		require.Equal(t, 0, o.code, o.err)

		o = s.inside("", append(o.next(t), "--interval", "2s")...)
		require.Equal(t, 0, o.code, o.out+o.err)
		require.Contains(t, o.out, "producers may move to lkc-local: 2 of 2")
		require.Equal(t, mirror.StatusPaused, s.pair.Remote.Status("a"))

		o = s.inside("", "plan", "resume", "dr link", "--cluster", "lkc-remote", "--topics-of", "friday.job:done", "--job", "back.job")
		require.Equal(t, 0, o.code, o.err)
		require.Equal(t, 0, s.inside("", o.next(t)...).code)
		require.Equal(t, mirror.StatusActive, s.pair.Remote.Status("b"))
		s.pair.Local.AssertSentOnce(t)
	})
}

func TestPlannedFailover_AndBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShell(t, mirrortest.Options{Topics: topics("a", "b"), Takes: 10 * time.Second, InMemory: true})
		o := s.inside("dr-link\n", "plan", "reverse-and-pause", "dr-link", "--all", "--job", "reverse.job")
		for range 3 { // apply, and plan and apply of what follows
			o = s.inside("dr-link\n", o.next(t)...)
			require.Equal(t, 0, o.code, o.out+o.err)
		}
		require.Equal(t, mirror.StatusActive, s.pair.Remote.Status("a"))
		time.Sleep(2 * time.Minute) // so long a mirror must be ACTIVE, and Date has whole seconds

		o = s.inside("x", "check", "reverse-and-pause", "dr-link", "--cluster", "lkc-remote")
		require.Equal(t, 0, o.code, o.out+o.err)
		o = s.inside("dr-link\n", o.next(t)...)
		require.Equal(t, 0, o.code, o.err)
		o = s.inside("dr-link\n", o.next(t)...)
		require.Equal(t, 0, o.code, o.out+o.err)
		require.Equal(t, mirror.StatusStopped, s.pair.Remote.Status("a"))
		require.Equal(t, mirror.StatusPaused, s.pair.Local.Status("a"))
	})
}

func TestUnplannedFailover_WithTheOldClusterDead_ThenTruncateAndRestore(t *testing.T) {
	t.Parallel()
	lagging := topics("a", "b")
	lagging[1].Partitions[0].Lag = 12
	s := newShell(t, mirrortest.Options{Topics: lagging})
	require.NoError(t, s.pair.Remote.Die(mirrortest.Refuses))
	o := s.run("status", "dr-link", "a")
	require.Equal(t, 0, o.code, o.err)
	require.Contains(t, o.out, "the other cluster was not read: ")
	require.Equal(t, 0, s.run("check", "failover", "dr-link").code)
	o = s.run("plan", "failover", "dr-link", "--all", "--job", "failover.job")
	require.Equal(t, 0, o.code, o.err)
	require.Contains(t, o.err, "only truncate-and-restore or a new mirror brings it back")
	require.Equal(t, 0, s.run(o.next(t)...).code)

	require.NoError(t, s.pair.Remote.Revive())
	o = s.run("plan", "truncate-and-restore", "dr-link", "--cluster", "lkc-remote", "--topics-of", "failover.job:done",
		"--job", "restore.job")
	require.Equal(t, 0, o.code, o.err)
	require.Regexp(t, `(?m)^12 +b$`, o.out)
	require.Regexp(t, `(?m)^12 +in all, of 2 topics$`, o.out)
	require.Contains(t, o.err, "it deletes the records")
	hash := o.next(t)[5]
	require.Equal(t, exitWrongUse, s.run("apply", "restore.job", "--approve", hash).code, "without a limit")
	o = s.run("apply", "restore.job", "--approve", hash, "--max-messages", "11")
	require.Equal(t, exitUnchanged, o.code)
	require.Contains(t, o.err, "12 messages would be cut off a topic, more than --max-messages 11")
	o = s.run(o.next(t)...) // with 12
	require.Equal(t, 0, o.code, o.err)
	require.Equal(t, mirror.StatusActive, s.pair.Remote.Status("b"))
	s.pair.Remote.AssertSentOnce(t)
}

func TestFailover_TellsWhatMayBeLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := topics("a", "b", "c")
		all[1].Partitions[0].Lag, all[2].Partitions[0].Lag = 12, 3
		s := newShell(t, mirrortest.Options{Topics: all, InMemory: true})
		apply := s.inside("x", "plan", "failover", "dr-link", "--all", "--job", "x.job").next(t)
		require.Contains(t, s.inside("no", apply...).err, "3 topics; lag 15, which may be lost; cannot be undone. Type")
		for _, o := range []outcome{s.inside("dr-link\n", apply...), s.inside("x", "show", "x.job")} {
			require.Equal(t, 0, o.code, o.err)
			require.Contains(t, o.out, "by the plan 15 messages had not come over: b 12, c 3 (may be lost)")
		}
	})
}

func TestTopicsLeftOutOfThePlan_AreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShell(t, mirrortest.Options{Topics: topics("a", "b"), InMemory: true})
		s.pair.Local.Inject(mirrortest.Fault{Topic: "b", Every: true, Do: mirrortest.Refuse(400, "not b")})
		o := s.inside("x", "plan", "failover", "dr-link", "--all", "--job", "x.job", "--leave-out-refused")
		for _, o := range []outcome{s.inside("dr-link\n", o.next(t)...), s.inside("x", "show", "x.job")} {
			require.Equal(t, 0, o.code, o.err)
			require.Contains(t, o.out, "1 topic left out of the plan as refused: b")
		}
	})
}

func TestExitCode_ATopicIsRefusedByTheCallAlone(t *testing.T) {
	t.Parallel()
	s := newShell(t, mirrortest.Options{Topics: topics("a", "b")})
	hash := s.planned("pause", "dr-link", "a", "b", "--job", "x.job")
	s.pair.Local.Inject(mirrortest.Fault{Topic: "b", Nth: 2, Do: mirrortest.Refuse(400, "not b")})
	o := s.run("apply", "x.job", "--approve", hash)
	require.Equal(t, exitRefused, o.code, o.err)
	require.Equal(t, "x.job:refused", o.next(t)[6])
	require.Equal(t, exitRefused, s.run("show", "x.job").code)
	o = s.run("apply", "x.job", "--approve", hash)
	require.Equal(t, exitRefused, o.code)
	require.Contains(t, o.err, "nothing was sent")
	s.pair.Local.AssertSentOnce(t)
}

func TestExitCode_SomebodyHasToLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShell(t, mirrortest.Options{Topics: topics("a", "b"), InMemory: true})
		hash := s.inside("", "plan", "pause", "dr-link", "a", "b", "--job", "x.job", "-o", "json").document(t).Hash
		s.pair.Local.Inject(mirrortest.Fault{Nth: 2, Do: mirrortest.Cut(0)}) // the call, and nothing was done
		o := s.inside("", "apply", "x.job", "--approve", hash, "--interval", "2s", "--patience", "1s")
		require.Equal(t, exitLook, o.code, o.err)
		require.Contains(t, o.err, "\nunknown: a, b\n")
		require.Contains(t, o.err, "settle x.job a b --as 'done|untouched' --why '…what you saw…'")
		pasted := s.inside("", "settle", "x.job", "a", "b", "--as", "done|untouched", "--why", "…what you saw…")
		require.Equal(t, exitWrongUse, pasted.code, "a person has to choose")
		require.Equal(t, exitLook, s.inside("", "show", "x.job").code)

		o = s.inside("", "settle", "x.job", "a", "b", "--as", "untouched", "--why", "seen ACTIVE")
		require.Equal(t, 0, o.code, o.err)
		require.Equal(t, 0, s.inside("", o.next(t)...).code)
		require.Equal(t, 1, s.pair.Local.Applied("a"))
	})
}

func hang(c *mirrortest.Cluster, topic string) (hangs <-chan struct{}, release func()) {
	begun, end := make(chan struct{}), make(chan struct{})
	c.Inject(mirrortest.Fault{Topic: topic, AfterApply: true, Do: mirrortest.Handle(
		func(w http.ResponseWriter, r *http.Request, proper http.Handler) {
			close(begun)
			select {
			case <-end:
				proper.ServeHTTP(w, r)
			case <-r.Context().Done():
			}
		})})
	return begun, func() { close(end) }
}

func TestKilled_AndAppliedAgain_NothingIsSentTwice(t *testing.T) {
	t.Parallel()
	s := newShell(t, mirrortest.Options{Topics: topics("a", "b")})
	hash := s.planned("failover", "dr-link", "a", "b", "--job", "x.job")
	hangs, _ := hang(s.pair.Local, "a")
	cmd, _, _ := s.process("apply", "x.job", "--approve", hash)
	require.NoError(t, cmd.Start())
	<-hangs
	o := s.run("apply", "x.job", "--approve", hash)
	require.Equal(t, exitUnchanged, o.code, "another process runs the job")
	require.Equal(t, exitLook, s.run("show", "x.job").code, "it can be shown all the same")
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()

	o = s.run("apply", "x.job")
	require.Equal(t, 0, o.code, o.out+o.err)
	require.Contains(t, o.out, "2 were unknown and are done: nothing was sent twice")
	s.pair.Local.AssertSentOnce(t)
}

func TestCopiedToAnotherHost_PlanAndApplyAreTwoJobs(t *testing.T) {
	t.Parallel()
	s := newShell(t, mirrortest.Options{Topics: topics("a")})
	hash := s.planned("failover", "dr-link", "a", "--job", "x.job")
	text, err := os.ReadFile(s.path("x.job"))
	require.NoError(t, err)
	s.dir = t.TempDir()
	require.NoError(t, os.WriteFile(s.path("y.job"), text, 0o600))
	require.Equal(t, 0, s.run("apply", "y.job", "--approve", hash).code)
	require.Equal(t, 1, s.pair.Local.Applied("a"))
}

func TestCopiedJob_AppliedAgain_SendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShell(t, mirrortest.Options{Topics: topics("a", "b"), InMemory: true})
		apply := s.inside("x", "plan", "failover", "dr-link", "--all", "--job", "x.job").next(t)
		text, err := os.ReadFile("x.job")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile("copy.job", text, 0o600))
		require.Equal(t, 0, s.inside("dr-link\n", apply...).code)
		time.Sleep(time.Hour)
		o := s.inside("dr-link\n", "apply", "copy.job")
		require.Equal(t, 0, o.code, o.out+o.err)
		require.Contains(t, o.err, "nothing was sent: 2 topics had stopped already: a, b")

		s.pair.Local.SetStatus("a", mirror.StatusActive) // somebody has made it a mirror again
		require.NoError(t, os.WriteFile("copy-2.job", text, 0o600))
		o = s.inside("dr-link\n", "apply", "copy-2.job", "-o", "json")
		require.Equal(t, exitUnchanged, o.code, o.err)
		require.Equal(t, "a", o.document(t).Changes[0].Topic)
		s.pair.Local.AssertSentOnce(t)
	})
}

func TestChangedBetweenPlanAndApply_NothingIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShell(t, mirrortest.Options{Topics: topics("a", "b"), InMemory: true})
		apply := s.inside("x", "plan", "failover", "dr-link", "a", "b", "--job", "x.job").next(t)
		time.Sleep(time.Minute)
		s.pair.Local.SetStatus("a", mirror.StatusPaused)
		o := s.inside("dr-link\n", apply...)
		require.Equal(t, exitUnchanged, o.code, o.err)
		require.Contains(t, o.out, "PAUSED since")
		require.Zero(t, s.pair.Local.Sent("b"))
		require.Equal(t, 0, s.inside("dr-link\n", append(apply, "--even-if-changed")...).code)
	})
}

func TestTheLinksName_IsAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShell(t, mirrortest.Options{Link: "dr link", Topics: topics("a"), InMemory: true})
		s.inside("x", "plan", "pause", "dr link", "a", "--job", "x.job")
		require.Equal(t, exitUnchanged, s.inside("dr-link\n", "apply", "x.job").code)
		require.Zero(t, s.pair.Local.Sent("a"))
		require.Equal(t, 0, s.inside("dr link\r\n", "apply", "x.job").code)
	})
}

func TestInterruptedWhileAsked_NothingIsSent(t *testing.T) {
	t.Parallel()
	j := &applying{looking: looking{app: &app{in: neverRead{}, tell: teller{w: io.Discard}}}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorContains(t, j.ask(ctx, "1 topic"), "interrupted: nothing was sent")
}

type neverRead struct{}

func (neverRead) Read([]byte) (int, error) { select {} }

func TestTopicThatHasStopped_IsToldAndNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShell(t, mirrortest.Options{Topics: topics("a", "b"), InMemory: true})
		apply := s.inside("x", "plan", "failover", "dr-link", "--all", "--job", "x.job").next(t)
		s.pair.Local.SetStatus("a", mirror.StatusStopped)
		o := s.inside("dr-link\n", apply...)
		require.Equal(t, 0, o.code, o.out+o.err)
		require.Contains(t, o.err, "\nnot sent: 1 topic had stopped already: a\n")
		require.Zero(t, s.pair.Local.Sent("a"))
		require.Equal(t, 1, s.pair.Local.Sent("b"))
	})
}
