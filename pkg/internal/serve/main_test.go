package main

import (
	"context"
	"io"
	"net"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// served runs the program for the length of a test, and returns what it prints.
func served(t *testing.T) string {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, w, 0) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
	})
	text := make([]byte, 1<<16)
	n, err := r.Read(text)
	require.NoError(t, err)
	return string(text[:n])
}

// What serve prints is enough to call both clusters, with a key and with a token.
func TestServe_BothClustersCanBeCalled(t *testing.T) {
	text := served(t)
	for _, line := range regexp.MustCompile(`(?m)^export .*$`).FindAllString(text, -1) {
		for _, variable := range strings.Fields(line)[1:] {
			name, value, _ := strings.Cut(variable, "=")
			t.Setenv(name, value)
		}
	}
	for _, prefix := range []string{"", "OTHER_"} {
		cfg, err := mirror.ConfigFromEnv(prefix)
		require.NoError(t, err)
		token := regexp.MustCompile(`(\S+) for ` + cfg.ClusterID).FindStringSubmatch(text)[1]
		for _, credential := range []mirror.Credential{
			cfg.Credential,
			mirror.BearerToken(func(context.Context) (string, error) { return token, nil }, ""),
		} {
			cfg.Credential = credential
			client, err := mirror.NewClient(cfg)
			require.NoError(t, err)
			for _, link := range []string{"dr-link", oddLink} {
				_, err = client.Mirrors(t.Context(), link)
				require.NoError(t, err)
			}
		}
	}
}

// The first link has no topic with a fault: all of it is reversed or failed over.
func TestServe_TheRunbooksWorkOnTheFirstLink(t *testing.T) {
	text := served(t)
	client := func(prefix string) *mirror.Client {
		m := regexp.MustCompile(`(?m)^export ` + prefix + `KAFKA_REST_ENDPOINT=(\S+) \w+=(\S+) \w+=(\S+) \w+=(\S+)$`).
			FindStringSubmatch(text)
		c, err := mirror.NewClient(mirror.Config{Endpoint: m[1], ClusterID: m[2], Credential: mirror.APIKey(m[3], m[4])})
		require.NoError(t, err)
		return c
	}
	names := mirror.Topics("orders.eu", "orders.us", "payments", "refunds")
	_, err := client("").Validate(t.Context(), mirror.VerbReverseAndPause, "dr-link", names)
	require.NoError(t, err)
	report, err := client("").Failover(t.Context(), "dr-link", mirror.All())
	require.NoError(t, err)
	require.Len(t, report.Topics(mirror.Accepted), 4)
}

// The printed call of curl works as it is pasted.
func TestServe_TheCurlCanBePasted(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no shell")
	}
	call := regexp.MustCompile(`(?m)^curl .*\\\n.*$`).FindString(served(t))
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("no curl")
	}
	out, err := exec.CommandContext(t.Context(), shell, "-c", call).Output()
	require.NoError(t, err)
	require.Contains(t, string(out), `"mirror_topic_name":"payments"`)
	require.Contains(t, string(out), `"error_code":null`)
}

func TestServe_PortInUse(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	var op *net.OpError
	require.ErrorAs(t, run(t.Context(), io.Discard, listener.Addr().(*net.TCPAddr).Port), &op)
	require.Equal(t, "listen", op.Op)
}
