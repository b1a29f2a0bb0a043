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
		`\w*KAFKA_API_KEY=(\S+) \w*KAFKA_API_SECRET=(\S+)$`)
	tokens := regexp.MustCompile(`(\S+) for (\S+)[,.]`)
	type cluster struct{ endpoint, key, secret string }
	clusters := map[string]cluster{}
	curls, called := 0, 0
	for lines := bufio.NewScanner(r); curls < len(mirror.Verbs()) && lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "curl ") {
			curls++
		}
		if env := exports.FindStringSubmatch(lines.Text()); env != nil {
			clusters[env[2]] = cluster{endpoint: env[1], key: env[3], secret: env[4]}
		}
		if !strings.HasPrefix(lines.Text(), "Bearer tokens") {
			continue
		}
		for _, token := range tokens.FindAllStringSubmatch(lines.Text(), -1) {
			id, at := token[2], clusters[token[2]]
			for _, credential := range []mirror.Credential{
				mirror.APIKey(at.key, at.secret),
				mirror.BearerToken(func(context.Context) (string, error) { return token[1], nil }, ""),
			} {
				client, err := mirror.NewClient(mirror.Config{Endpoint: at.endpoint, ClusterID: id, Credential: credential})
				require.NoError(t, err)
				_, err = client.Mirrors(ctx, "dr-link")
				require.NoError(t, err)
				called++
			}
		}
	}
	require.Equal(t, 4, called)
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
