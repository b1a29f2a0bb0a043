package main

import (
	"bytes"
	"errors"
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

// The demo waits in real time, so CI runs the demo itself, and the tests leave out the parts that wait.

func TestRun_FailsWithTheCommand(t *testing.T) {
	var out bytes.Buffer
	for _, part := range []func(*demo) error{planned, unplanned, contractExample} {
		require.Error(t, run(t.Context(), "no-such-command", &out, part))
	}
	require.Contains(t, out.String(), "\n$ clusterlink plan reverse-and-pause dr-link --all --job friday.job\n")
}

func TestRun_FailsWithAnotherExitCode(t *testing.T) {
	var out bytes.Buffer
	this, err := os.Executable()
	require.NoError(t, err)
	for code, fails := range map[int]bool{0: true, 1: true, 2: false} {
		err := run(t.Context(), this, &out, func(d *demo) error {
			return errors.Join(d.start(mirrortest.Options{}), d.run(code, "-no-such-flag")) // a test exits with 2
		})
		require.Equal(t, fails, err != nil, "%d: %v", code, err)
	}
}

func TestEnded(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{})
	client, err := mirror.NewClient(pair.Local.Config())
	require.NoError(t, err)
	pause := func() {
		_, err = client.Pause(t.Context(), pair.Link(), mirror.Topics("topic-1"))
		require.NoError(t, err)
	}
	pause()
	require.NoError(t, ended(pair.Local, mirror.StatusPaused, 1, "topic-1"))
	require.ErrorContains(t, ended(pair.Local, mirror.StatusActive, 1, "topic-1"), "topic-1")
	require.ErrorContains(t, ended(pair.Local, mirror.StatusActive, 1, "topic-1", "topic-2"), "topic-2", "never asked")
	pause()
	require.Error(t, ended(pair.Local, mirror.StatusPaused, 1, "topic-1"), "asked twice")
}

func TestSettled(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{})
	client, err := mirror.NewClient(pair.Local.Config())
	require.NoError(t, err)
	d := &demo{dir: t.TempDir()}
	require.Error(t, d.settled("x.job"), "there is none")
	plan, err := client.Validate(t.Context(), mirror.VerbPause, pair.Link(), mirror.Topics("topic-1"))
	require.NoError(t, err)
	j, err := job.Create(filepath.Join(d.dir, "x.job"), plan, job.Options{})
	require.NoError(t, err)
	pair.Local.Inject(mirrortest.Fault{AfterApply: true, Do: mirrortest.Cut(0)})
	_, err = j.Run(t.Context(), client)
	require.ErrorIs(t, err, mirror.ErrOutcomeUnknown)
	require.ErrorContains(t, d.settled("x.job"), "topic-1")
	require.NoError(t, j.Settle(mirror.Accepted, "seen PAUSED", "topic-1"))
	require.NoError(t, j.Close())
	require.NoError(t, d.settled("x.job"))
}

func TestQuiet_WritesADotAfterFourSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		q := newQuiet(&out)
		defer q.timer.Stop()
		_, _ = q.Write([]byte("a\n"))
		time.Sleep(9 * time.Second)
		_, _ = q.Write([]byte("b\n"))
		require.Equal(t, "a\n..\nb\n", out.String())
	})
}
