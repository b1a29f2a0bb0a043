// Package contracttest is a test to copy: does the traffic between the library and a cluster keep to the contract?
//
//	CLUSTERLINK_LINK=dr-link CLUSTERLINK_TOPICS=orders,payments go test
//
// The cluster comes from KAFKA_REST_ENDPOINT, KAFKA_CLUSTER_ID, KAFKA_API_KEY and KAFKA_API_SECRET. Without
// CLUSTERLINK_LINK the test runs against two clusters in its own process.
package contracttest

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/contract"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// target returns the cluster to test against, with a link and its topics.
func target(t *testing.T) (cfg mirror.Config, link string, topics []string) {
	t.Helper()
	if link = os.Getenv("CLUSTERLINK_LINK"); link == "" {
		pair := mirrortest.NewPair(t, mirrortest.Options{})
		return pair.Local.Config(), pair.Link(), []string{"topic-1", "topic-2"}
	}
	cfg, err := mirror.ConfigFromEnv("")
	require.NoError(t, err)
	return cfg, link, strings.Split(os.Getenv("CLUSTERLINK_TOPICS"), ",")
}

func TestTrafficKeepsToTheContract(t *testing.T) {
	cfg, link, topics := target(t)
	// Beyond loopback it lets only reads and dry runs through. To let a verb through, give Test an option:
	// contract.AllowVerb(mirror.VerbPause, cfg.ClusterID, link).
	cfg.Transport = contract.Test(t, cfg.Transport)
	client, err := mirror.NewClient(cfg)
	require.NoError(t, err)

	_, err = client.Mirrors(t.Context(), link)
	require.NoError(t, err)
	_, err = client.Link(t.Context(), link)
	require.NoError(t, err)
	report, err := client.Validate(t.Context(), mirror.VerbReverseAndPause, link, mirror.Topics(topics...))
	require.NotErrorIs(t, err, mirror.ErrUnauthenticated)
	t.Log(report) // a refusal of a topic keeps to the contract too
}
