//go:build unix

package main

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func TestFirstSignal_LetsTheBatchUnderWayEnd(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(signal.String(), func(t *testing.T) { endsAfterTheBatch(t, signal) })
	}
}

func endsAfterTheBatch(t *testing.T, signal syscall.Signal) {
	t.Parallel()
	s := newShell(t, mirrortest.Options{Topics: topics(numbered(501)...)})
	hash := s.planned("failover", "dr-link", "--all", "--job", "x.job")
	hangs, release := hang(s.pair.Local, "topic-0000")
	cmd, out, err := s.process("apply", "x.job", "--approve", hash)
	require.NoError(t, cmd.Start())
	<-hangs
	require.NoError(t, cmd.Process.Signal(signal))
	err.waitFor("interrupted")
	release()
	_ = cmd.Wait()
	require.Equal(t, exitLook, cmd.ProcessState.ExitCode(), out.String()+err.String())
	require.Zero(t, s.pair.Local.Sent("topic-0500"), "the next batch")

	o := s.run("apply", "x.job", "--approve", hash)
	require.Equal(t, 0, o.code, o.out+o.err)
	s.pair.Local.AssertSentOnce(t)
}

func TestSecondSignal_EndsTheProcess(t *testing.T) {
	t.Parallel()
	s := newShell(t, mirrortest.Options{Topics: topics("a")})
	hash := s.planned("failover", "dr-link", "--all", "--job", "x.job")
	hangs, _ := hang(s.pair.Local, "a")
	cmd, _, err := s.process("apply", "x.job", "--approve", hash)
	require.NoError(t, cmd.Start())
	<-hangs
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	err.waitFor("interrupted")
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	_ = cmd.Wait()
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	require.Equal(t, syscall.SIGINT, status.Signal())

	o := s.run("apply", "x.job")
	require.Equal(t, 0, o.code, o.out+o.err)
	s.pair.Local.AssertSentOnce(t)
}
