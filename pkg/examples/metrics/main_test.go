package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// serve serves the metrics of a pair. It returns a function that scrapes it.
func serve(t *testing.T) (pair *mirrortest.Pair, scrape func() (status int, lines []string)) {
	t.Helper()
	pair = mirrortest.NewPair(t, mirrortest.Options{Topics: []mirrortest.Topic{
		{Name: "orders", Partitions: []mirrortest.Partition{{Lag: 5, LastSourceFetchOffset: 7}, {Lag: 6, LastSourceFetchOffset: 8}}},
		{Name: "payments", Status: mirror.StatusSourceUnavailable, Partitions: []mirrortest.Partition{{LastSourceFetchOffset: 7}}},
		{Name: "refunds", Status: mirror.StatusStopped, Partitions: []mirrortest.Partition{{Lag: 9, LastSourceFetchOffset: 7}}},
		{Name: "users", Partitions: []mirrortest.Partition{{Lag: -1, LastSourceFetchOffset: -1}}},
	}})
	client, err := mirror.NewClient(pair.Local.Config())
	require.NoError(t, err)
	server := httptest.NewServer(metrics(client, pair.Link()))
	t.Cleanup(server.Close)
	return pair, func() (int, []string) {
		response, err := http.Get(server.URL)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		lines := strings.Split(strings.TrimSpace(string(body)), "\n")
		slices.Sort(lines)
		return response.StatusCode, lines
	}
}

func TestMetrics_HasALagThatIsKnownAndEachStatus(t *testing.T) {
	_, scrape := serve(t)
	status, lines := scrape()
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, []string{
		"# TYPE clusterlink_mirror_lag_messages gauge",
		"# TYPE clusterlink_mirror_topics gauge",
		`clusterlink_mirror_lag_messages{link="dr-link",topic="orders"} 11`,
		`clusterlink_mirror_lag_messages{link="dr-link",topic="payments"} 0`,
		`clusterlink_mirror_topics{link="dr-link",status="ACTIVE"} 2`,
		`clusterlink_mirror_topics{link="dr-link",status="SOURCE_UNAVAILABLE"} 1`,
		`clusterlink_mirror_topics{link="dr-link",status="STOPPED"} 1`,
	}, lines)
}

func TestMetrics_IsReadAnewForEachScrape(t *testing.T) {
	pair, scrape := serve(t)
	pair.Local.SetStatus("orders", mirror.StatusPaused)
	_, lines := scrape()
	require.Contains(t, lines, `clusterlink_mirror_topics{link="dr-link",status="PAUSED"} 1`)
	pair.Local.SetStatus("orders", mirror.StatusActive)
	_, lines = scrape()
	require.NotContains(t, lines, `clusterlink_mirror_topics{link="dr-link",status="PAUSED"} 1`)
}

func TestMetrics_HasNoNumbersIfTheClusterDoesNotAnswer(t *testing.T) {
	pair, scrape := serve(t)
	pair.Local.Inject(mirrortest.Fault{Reads: true, Every: true, Do: mirrortest.Error(403, 40301, "not allowed")})
	status, lines := scrape()
	require.Equal(t, http.StatusBadGateway, status)
	require.Len(t, lines, 1)
}
