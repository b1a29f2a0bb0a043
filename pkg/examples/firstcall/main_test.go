package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/examples/internal/program"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func TestMain(m *testing.M) { program.Main(m, main) }

func TestFirstCall_IsADryRunThatExitsWithZero(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{})
	out, err := program.Command(t, pair.Local, pair.Link(), "topic-1", "topic-2").CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "dry run")
	requests := pair.Requests()
	require.Len(t, requests, 1)
	require.Equal(t, mirror.VerbReverseAndPause, requests[0].Verb)
	require.True(t, requests[0].ValidateOnly)
	require.Empty(t, requests[0].Applied)
}

func TestFirstCall_NamesTheTopicThatIsRefused(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{})
	cmd := program.Command(t, pair.Local, pair.Link(), "topic-1", "topic-3")
	out, err := cmd.Output()
	require.Error(t, err)
	require.Equal(t, 1, cmd.ProcessState.ExitCode())
	require.Contains(t, string(out), "topic-3", "in the table, on standard output")
}

func TestFirstCall_WithoutACredentialSendsNothing(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{})
	cmd := program.Command(t, pair.Local, pair.Link(), "topic-1")
	cmd.Env = append(cmd.Env, "KAFKA_API_SECRET=")
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "KAFKA_API_SECRET")
	require.Empty(t, pair.Requests())
}
