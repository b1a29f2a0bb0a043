package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// What serve prints is enough to call both clusters, with a key and with a token, and it ends when it is told.
func TestServe(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, w, 0) }()
	exports := regexp.MustCompile(`^export \w*KAFKA_REST_ENDPOINT=(\S+) \w*KAFKA_CLUSTER_ID=(\S+) ` +
		`\w*KAFKA_API_KEY=(\S+) \w*KAFKA_API_SECRET=(\S+) # or the bearer token (\S+)$`)
	clusters, curls := 0, 0
	for lines := bufio.NewScanner(r); curls < len(mirror.Verbs()) && lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "curl ") {
			curls++
		}
		env := exports.FindStringSubmatch(lines.Text())
		if env == nil {
			continue
		}
		clusters++
		for _, credential := range []mirror.Credential{
			mirror.APIKey(env[3], env[4]),
			mirror.BearerToken(func(context.Context) (string, error) { return env[5], nil }, ""),
		} {
			client, err := mirror.NewClient(mirror.Config{Endpoint: env[1], ClusterID: env[2], Credential: credential})
			require.NoError(t, err)
			_, err = client.Mirrors(ctx, "dr-link")
			require.NoError(t, err)
		}
	}
	require.Equal(t, 2, clusters)
	stop()
	require.NoError(t, <-ended)
}

func TestServe_PortInUse(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	var op *net.OpError
	require.ErrorAs(t, run(t.Context(), io.Discard, listener.Addr().(*net.TCPAddr).Port), &op)
	require.Equal(t, "listen", op.Op)
}
