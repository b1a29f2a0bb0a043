package loopback_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/internal/loopback"
)

func TestIs(t *testing.T) {
	for _, host := range []string{
		"localhost", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1",
	} {
		require.True(t, loopback.Is(host), host)
	}
	for _, host := range []string{
		"", "x.localhost", "LOCALHOST", "localhost.", "localhost.example", "10.0.0.1", "0.0.0.0", "::",
		"127.0.0.1.example", "[::1]", "2130706433",
	} {
		require.False(t, loopback.Is(host), host)
	}
}
