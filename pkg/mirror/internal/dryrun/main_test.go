package main

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirror/mirrortest"
)

func TestDryRun_ChangesNothing(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{})
	key, secret := pair.Local.APIKey()
	t.Setenv("KAFKA_REST_ENDPOINT", pair.Local.Endpoint)
	t.Setenv("KAFKA_CLUSTER_ID", pair.Local.ID)
	t.Setenv("KAFKA_ID", "")
	t.Setenv("KAFKA_API_KEY", key)
	t.Setenv("KAFKA_API_SECRET", secret)

	var b strings.Builder
	require.NoError(t, run(context.Background(), &b, mirror.VerbReverseAndPause, pair.Link(), "topic-1, topic-2"))
	require.Contains(t, b.String(), "dry run: nothing was changed")
	require.Contains(t, b.String(), "2 accepted")
	for _, r := range pair.Journal() {
		require.True(t, r.ValidateOnly)
		require.Equal(t, []string{"topic-1", "topic-2"}, r.Topics)
	}
	require.Equal(t, mirror.StatusActive, pair.Local.Status("topic-1"))

	require.ErrorIs(t, run(context.Background(), &b, "reverse", "", ""), mirror.ErrNoTopics)
	t.Setenv("KAFKA_API_KEY", "")
	require.ErrorContains(t, run(context.Background(), &b, mirror.VerbPause, "l", "a"), "KAFKA_API_KEY")
}
