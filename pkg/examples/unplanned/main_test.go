package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/examples/internal/program"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func TestMain(m *testing.M) { program.Main(m, main) }

// lost returns a pair whose remote cluster, the source, has died, and clients of both.
func lost(t *testing.T) (pair *mirrortest.Pair, survivor, old *mirror.Client) {
	t.Helper()
	pair = mirrortest.NewPair(t, mirrortest.Options{
		InMemory: true, Takes: time.Minute, Topics: []mirrortest.Topic{
			{Name: "orders", Partitions: []mirrortest.Partition{{Lag: 700, LastSourceFetchOffset: 7}}},
			{Name: "payments", Partitions: []mirrortest.Partition{{LastSourceFetchOffset: 7}}},
			{Name: "promoted", Status: mirror.StatusStopped},
		},
	})
	survivor, err := mirror.NewClient(pair.Local.Config())
	require.NoError(t, err)
	old, err = mirror.NewClient(pair.Remote.Config())
	require.NoError(t, err)
	require.NoError(t, pair.Remote.Die(mirrortest.Refuses))
	return pair, survivor, old
}

func TestUnplanned_FailsOverAndThenRestores(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair, survivor, old := lost(t)
		require.NoError(t, run(t.Context(), survivor, pair.Link(), -1, nil))
		require.Equal(t, mirror.StatusStopped, pair.Local.Status("orders"))
		require.Equal(t, mirror.StatusStopped, pair.Local.Status("payments"))
		require.Zero(t, pair.Local.Sent("promoted"), "it had stopped before")

		require.NoError(t, pair.Remote.Revive())
		names := []string{"orders", "payments"}
		require.Error(t, run(t.Context(), old, pair.Link(), 699, names))
		require.Zero(t, pair.Remote.Sent("orders")+pair.Remote.Sent("payments"), "the limit is too low for orders")

		require.NoError(t, run(t.Context(), old, pair.Link(), 700, names))
		for _, name := range names {
			require.Equal(t, mirror.StatusActive, pair.Remote.Status(name))
			require.Equal(t, 1, pair.Remote.Applied(name))
		}
	})
}

func TestUnplanned_SettlesALostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair, survivor, _ := lost(t)
		pair.Local.Inject(mirrortest.Fault{AfterApply: true, Do: mirrortest.Cut(0)})
		require.NoError(t, run(t.Context(), survivor, pair.Link(), -1, nil))
		pair.Local.AssertSentOnce(t)
	})
}

func TestUnplanned_RunAgainTakesUpWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair, survivor, _ := lost(t)
		pair.Local.Inject(mirrortest.Fault{Topic: "orders", Do: mirrortest.Refuse(400, "not now")})
		require.Error(t, run(t.Context(), survivor, pair.Link(), -1, nil))
		require.NoError(t, run(t.Context(), survivor, pair.Link(), -1, nil))
		require.Equal(t, 1, pair.Local.Applied("orders"))
		require.Equal(t, 1, pair.Local.Applied("payments"))
	})
}

func TestUnplanned_RunAgainWaitsForWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair, survivor, _ := lost(t)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		require.ErrorIs(t, run(ctx, survivor, pair.Link(), -1, nil), context.DeadlineExceeded)
		require.Equal(t, mirror.StatusPendingStopped, pair.Local.Status("orders"))
		require.NoError(t, run(t.Context(), survivor, pair.Link(), -1, nil))
		require.Equal(t, mirror.StatusStopped, pair.Local.Status("orders"))
		require.Equal(t, 1, pair.Local.Applied("orders"))
	})
}

func TestUnplanned_TellsWhyNothingWasSent(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{})
	cmd := program.Command(t, pair.Local, "-link", pair.Link())
	cmd.Env = append(cmd.Env, "KAFKA_API_SECRET=wrong")
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "401")
	out, err = program.Command(t, pair.Local).CombinedOutput()
	require.Error(t, err, "no link")
	require.Contains(t, string(out), "link")
	require.Zero(t, pair.Local.Applied("topic-1"))
}

func TestUnplanned_IsAProgram(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{})
	out, err := program.Command(t, pair.Local, "-link", pair.Link(), "topic-2").CombinedOutput()
	require.NoError(t, err, string(out))
	require.Zero(t, pair.Local.Applied("topic-1"), "it was not named")
	out, err = program.Command(t, pair.Local, "-link", pair.Link(), "topic-2", "misspelt").CombinedOutput()
	require.Error(t, err, "a topic that was named is not forgotten")
	require.Contains(t, string(out), "misspelt")
	require.Equal(t, mirror.StatusStopped, pair.Local.Status("topic-2"))

	out, err = program.Command(t, pair.Remote, "-link", pair.Link(), "-restore", "2000", "topic-2").CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, mirror.StatusActive, pair.Remote.Status("topic-2"))
}
