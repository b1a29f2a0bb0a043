package contract_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/contract"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// verbs are those of the library.
var verbs = []mirror.Verb{
	mirror.VerbReverseAndPause, mirror.VerbReverseAndStart, mirror.VerbPromote, mirror.VerbFailover,
	mirror.VerbPause, mirror.VerbResume, mirror.VerbTruncateAndRestore,
}

// through returns a client of a cluster that sends each request once, through what wrap makes of the
// cluster's own transport.
func through(
	t *testing.T, c *mirrortest.Cluster, wrap func(http.RoundTripper) http.RoundTripper, edits ...func(*mirror.Config),
) *mirror.Client {
	t.Helper()
	cfg := c.Config()
	cfg.RetryFor = -1
	if wrap != nil {
		cfg.Transport = wrap(cfg.Transport)
	}
	for _, edit := range edits {
		edit(&cfg)
	}
	client, err := mirror.NewClient(cfg)
	require.NoError(t, err)
	return client
}

// checkedBy returns what makes a checking transport that calls found.
func checkedBy(t *testing.T, o contract.Options, found func(contract.Finding)) func(http.RoundTripper) http.RoundTripper {
	t.Helper()
	return func(next http.RoundTripper) http.RoundTripper {
		transport, err := contract.NewTransport(next, found, o)
		require.NoError(t, err)
		return transport
	}
}

// tested returns what makes the transport of a test.
func tested(t testing.TB, options ...contract.Option) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper { return contract.Test(t, next, options...) }
}
