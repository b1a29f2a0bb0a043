package mirror_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"net/http/httptest"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func TestBounded_ExtremeSettings(t *testing.T) {
	names := manyTopics(20)
	var topics []mirrortest.Topic
	for _, name := range names {
		topics = append(topics, mirrortest.Topic{Name: name, Partitions: []mirrortest.Partition{}})
	}
	for _, c := range []struct{ size, parallel, batches int }{
		{math.MaxInt, math.MaxInt, 1}, {1, math.MaxInt, 20}, {math.MaxInt, 1, 1}, {19, 1_000_000, 2}, {20, 3, 1}, {21, 3, 1},
	} {
		pair := mirrortest.NewPair(t, mirrortest.Options{Topics: topics})
		cfg := pair.Local.Config()
		cfg.BatchSize, cfg.Parallel, cfg.MaxAnswer, cfg.RetryFor = c.size, c.parallel, math.MaxInt64, math.MaxInt64
		of := 0
		cfg.BeforeBatch = func(_ context.Context, b mirror.Batch) error { of = b.Of; return nil }
		report, err := reverseOn(t, newClient(t, cfg), "dr-link", names...)
		require.NoError(t, err)
		require.Equal(t, c.batches, of)
		require.Equal(t, 20, report.Count(mirror.Accepted))
	}
}

func TestBounded_RetryForBelowZeroIsNever(t *testing.T) {
	for _, d := range []time.Duration{-1, math.MinInt64, -time.Hour} {
		w := serve(t, mirrortest.RateLimited())
		cfg := w.config()
		cfg.RetryFor = d
		_, err := reverse(t, newClient(t, cfg), "a")
		require.ErrorIs(t, err, mirror.ErrRateLimited)
		require.Len(t, w.Journal(), 1)
	}
}

func TestNeverNilReport_TheZeroIncompleteErrorCanBePrinted(t *testing.T) {
	e := &mirror.IncompleteError{}
	require.EqualError(t, e, "not all accepted")
	require.NotErrorIs(t, e, mirror.ErrOutcomeUnknown)
	require.Empty(t, e.Unwrap())
}

// A Client can be printed while it is in use, as the race detector sees.
func TestBounded_AClientInUseCanBePrinted(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{})
	client := newClient(t, pair.Local.Config())
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			_, _ = client.Validate(context.Background(), mirror.VerbReverseAndPause, pair.Link(), mirror.All())
		})
		all.Go(func() {
			want := "{Endpoint:" + pair.Local.Endpoint + " ClusterID:lkc-local}"
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d"} {
				require.Equal(t, want, fmt.Sprintf(verb, client))
			}
			require.Equal(t, want, client.String())
		})
	}
	all.Wait()
	require.Equal(t, "<nil>", fmt.Sprint((*mirror.Client)(nil)))
}

// hijacked answers with these bytes, and closes the connection.
func hijacked(bytes string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			io.WriteString(conn, bytes+"\r\n")
			conn.Close()
		}
	}
}

// The environment's proxy is read once in a process, so each case has a process of its own.
func TestFaultsOfAProxy(t *testing.T) {
	if endpoint := os.Getenv("PROXY_TEST_ENDPOINT"); endpoint != "" {
		client := newClient(t, mirror.Config{
			Endpoint: endpoint, ClusterID: "lkc-1", Credential: mirror.APIKey("key", canary), AllowHTTP: true, RetryFor: -1,
		})
		report, err := reverse(t, client, "a", "b")
		fmt.Printf("proxied: %s: sends %d: %v\n", outcomes(report), report.Attempts[0].Sends, causes(err))
		return
	}
	for _, c := range []struct {
		name, endpoint string
		answer         http.HandlerFunc // nil refuses connections
		want           string
	}{
		{"refused", "https://rest.invalid", nil, "the proxy failed: proxyconnect tcp: dial tcp"},
		{"answers CONNECT with 407", "https://rest.invalid", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusProxyAuthRequired)
		}, "the proxy failed: it answered CONNECT with HTTP 407 Proxy Authentication Required"},
		{"answers CONNECT with 502", "https://rest.invalid", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
		}, "the proxy failed: it answered CONNECT with HTTP 502 Bad Gateway"},
		{"answers CONNECT with garbage", "https://rest.invalid", hijacked("BLAH"),
			"the proxy failed: malformed HTTP response"},
		{"closes the connection", "https://rest.invalid", hijacked(""), "the proxy failed: "},
		{"repeats the credential in a bad header", "https://rest.invalid", func(w http.ResponseWriter, r *http.Request) {
			hijacked("HTTP/1.1 200 OK\r\n"+r.Header.Get("Proxy-Authorization")+"\r\n\r\n")(w, r)
		}, "the proxy failed: malformed MIME header"},
		{"for plain HTTP answers 407", "http://rest.invalid", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusProxyAuthRequired)
		}, "HTTP 407"},
	} {
		t.Run(c.name, func(t *testing.T) {
			url := refusing
			if c.answer != nil {
				proxy := httptest.NewServer(c.answer)
				defer proxy.Close()
				url = proxy.URL
			}
			url = strings.Replace(url, "http://", "http://user:"+canary+"@", 1)
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFaultsOfAProxy$", "-test.v")
			child.Env = append(os.Environ(),
				"PROXY_TEST_ENDPOINT="+c.endpoint, "HTTP_PROXY="+url, "HTTPS_PROXY="+url, "NO_PROXY=")
			out, err := child.CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Contains(t, string(out), "proxied: a untouched, b untouched")
			require.Contains(t, string(out), c.want)
			require.NotContains(t, string(out), canary)
			require.NotContains(t, string(out), base64.StdEncoding.EncodeToString([]byte("user:"+canary)))
		})
	}
}
