package mirrortest_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func TestServer_CredentialsBeforeAnythingElse(t *testing.T) {
	synctest.Test(t, credentialsBeforeAnythingElse) // in which all is one second
}

func credentialsBeforeAnythingElse(t *testing.T) {
	p := mirrortest.NewPair(t, mirrortest.Options{InMemory: true, Rate: mirrortest.Rate{PerServer: 3}})
	p.Local.AcceptToken("tok", "pool-1")
	p.Local.AcceptToken("free", "")
	p.Local.Inject(mirrortest.Fault{Do: mirrortest.Error(500, 500, "not for the unauthenticated")})
	_, remoteSecret := p.Remote.APIKey()
	for _, header := range [][]string{
		{"Authorization", ""},
		{"Authorization", "Basic x"},
		{"Authorization", "Bearer nope"},
		{"Authorization", "Bearer tok"}, // without the pool
		{"Authorization", "Bearer tok", "Confluent-Identity-Pool-Id", "pool-2"},
		{"Authorization", "Digest tok"},
	} {
		for _, where := range []string{path(p.Local), "/kafka/v3/clusters/unknown", "/"} {
			resp, body := raw(t, p.Local, "POST", where, `{`, header...)
			require.Equal(t, 401, resp.StatusCode)
			require.JSONEq(t, `{"error_code":40101,"message":"Authentication failed"}`, body)
		}
	}
	cfg := p.Local.Config()
	cfg.Credential = mirror.APIKey("lkc-local-key", remoteSecret)
	m, err := mirror.NewClient(cfg)
	require.NoError(t, err)
	_, err = m.ReverseAndPause(ctx, "dr-link", mirror.Topics("topic-1"))
	require.ErrorIs(t, err, mirror.ErrUnauthenticated, "the other cluster's secret")

	_, err = client(t, p.Local, func(c *mirror.Config) { c.Credential = p.Local.Forbidden() }).
		ReverseAndPause(ctx, "dr-link", mirror.Topics("topic-1"))
	var api *mirror.APIError
	require.ErrorAs(t, err, &api)
	require.Equal(t, []int{403, 40301}, []int{api.Status, api.Code})

	resp, _ := raw(t, p.Local, "POST", path(p.Local), `{`) // takes the fault
	require.Equal(t, 500, resp.StatusCode)
	for _, header := range [][]string{
		{"Authorization", "Bearer tok", "Confluent-Identity-Pool-Id", "pool-1"}, {"Authorization", "Bearer free"},
	} {
		resp, body := raw(t, p.Local, "POST", path(p.Local)+"?validate_only=true",
			`{"mirror_topic_names":["topic-1"]}`, header...)
		require.Equal(t, 200, resp.StatusCode, body)
	}
	p.Local.RevokeToken("free")
	resp, _ = raw(t, p.Local, "POST", path(p.Local), `{`, "Authorization", "Bearer free")
	require.Equal(t, 401, resp.StatusCode)
	require.Zero(t, p.Local.Sent("topic-1"))
}

// Latency is added to each answer, and PerTopic to each change, one after another across all requests.
func TestServer_TakesTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := mirrortest.NewPair(t, mirrortest.Options{
			InMemory: true, Latency: [2]time.Duration{time.Second, 2 * time.Second}, PerTopic: time.Minute,
		})
		start := time.Now()
		listed(t, p.Local, "dr-link")
		require.Greater(t, time.Since(start), time.Second)
		require.Less(t, time.Since(start), 2*time.Second)
		start = time.Now()
		var all sync.WaitGroup
		for _, topic := range []string{"topic-1", "topic-2"} {
			all.Go(func() { raw(t, p.Local, "POST", path(p.Local), `{"mirror_topic_names":["`+topic+`"]}`) })
		}
		all.Wait()
		require.Greater(t, time.Since(start), 2*time.Minute)
		require.Less(t, time.Since(start), 2*time.Minute+2*time.Second)
	})
}
