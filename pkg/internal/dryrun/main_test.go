package main

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
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
	code, err := run(t.Context(), &b, mirror.VerbReverseAndPause, pair.Link(), "topic-1, topic-2")
	require.NoError(t, err)
	require.Zero(t, code)
	require.Contains(t, b.String(), "dry run: nothing was changed")
	require.Contains(t, b.String(), "2 accepted")
	for _, r := range pair.Journal() {
		require.True(t, r.ValidateOnly)
		require.Equal(t, []string{"topic-1", "topic-2"}, r.Topics)
	}
	require.Equal(t, mirror.StatusActive, pair.Local.Status("topic-1"))

	pair.Local.SetStatus("topic-2", mirror.StatusStopped)
	code, err = run(t.Context(), &b, mirror.VerbPromote, pair.Link(), "topic-1 topic-2")
	require.Equal(t, 1, code)
	require.ErrorContains(t, err, "already stopped")
	pair.Local.Inject(mirrortest.Fault{Do: mirrortest.Error(403, 40301, "no")})
	code, err = run(t.Context(), &b, mirror.VerbPromote, pair.Link(), "topic-1")
	require.Equal(t, 2, code)
	require.ErrorContains(t, err, "HTTP 403")
	code, err = run(t.Context(), &b, mirror.VerbPromote, pair.Link(), "a/b")
	require.Equal(t, 4, code)
	require.ErrorIs(t, err, mirror.ErrInvalidArgument)
}

func TestDryRun_SaysAllThatIsMissing(t *testing.T) {
	for _, name := range []string{"REST_ENDPOINT", "CLUSTER_ID", "ID", "API_KEY", "API_SECRET"} {
		t.Setenv("KAFKA_"+name, "")
	}
	code, err := run(t.Context(), io.Discard, "reverse", "", " , ")
	require.Equal(t, 4, code)
	for _, name := range []string{
		"KAFKA_REST_ENDPOINT", "KAFKA_CLUSTER_ID", "KAFKA_API_KEY", "KAFKA_API_SECRET", "VERB", "LINK", "TOPICS",
	} {
		require.ErrorContains(t, err, name)
	}
}
