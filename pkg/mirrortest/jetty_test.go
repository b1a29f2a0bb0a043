//go:build jetty

package mirrortest_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// These tests hold the rate limiter of this package to the real one, and the library to both. They need
// a JDK and Jetty's jars, in the folder that the environment's JETTY names, and run in real time: see the
// target jetty in the Makefile.

// jars are the parts of Jetty that the server needs.
var jars = []string{
	"jetty9-server", "jetty9-servlet", "jetty9-servlets", "jetty9-util", "jetty9-util-ajax", "jetty9-http", "jetty9-io",
	"jetty9-security", "servlet-api",
}

// compiled returns the class path of the server, which is compiled once.
var compiled = sync.OnceValues(func() (classpath string, err error) {
	folder, err := os.MkdirTemp("", "jetty")
	if err != nil {
		return "", err
	}
	parts := []string{folder}
	for _, jar := range jars {
		parts = append(parts, filepath.Join(os.Getenv("JETTY"), jar+".jar"))
	}
	classpath = strings.Join(parts, string(os.PathListSeparator))
	out, err := exec.Command("javac", "-cp", classpath, "-d", folder, "testdata/jetty/Limited.java").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return classpath, nil
})

// limitedServer is a server of mirror topics behind a limiter.
type limitedServer struct {
	name, endpoint string
	config         mirror.Config
}

// startJetty starts the real one, whose answers take the given time.
func startJetty(t *testing.T, rate mirrortest.Rate, work time.Duration) limitedServer {
	t.Helper()
	classpath, err := compiled()
	require.NoError(t, err)
	delay := map[mirrortest.RateMode]string{mirrortest.RateReject: "-1", mirrortest.RateDelay: "100"}[rate.Mode]
	var log bytes.Buffer
	java := exec.Command("java", "-cp", classpath, "Limited", strconv.Itoa(rate.PerClient), strconv.Itoa(rate.PerServer),
		delay, strconv.FormatBool(!rate.NoHeader), strconv.FormatInt(work.Milliseconds(), 10))
	java.Stderr = &log
	stdin, err := java.StdinPipe()
	require.NoError(t, err)
	stdout, err := java.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, java.Start())
	t.Cleanup(func() {
		stdin.Close()
		require.NoError(t, java.Wait(), &log)
	})
	port, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	endpoint := "http://127.0.0.1:" + strings.TrimSpace(port)
	warm(t, endpoint)
	cfg := mirror.Config{Endpoint: endpoint, ClusterID: "lkc-local", Credential: mirror.NoCredential()}
	return limitedServer{"Jetty", endpoint, cfg}
}

// warm sends a request, for the first one of a process is slow, and waits until the limiter has forgotten it.
func warm(t *testing.T, endpoint string) {
	t.Helper()
	request(t, endpoint, "", "127.0.0.1", "")
	time.Sleep(1100 * time.Millisecond)
}

// both runs f against the real limiter and against the one of this package.
func both(t *testing.T, rate mirrortest.Rate, work time.Duration, f func(*testing.T, limitedServer)) {
	t.Helper()
	t.Run("Jetty", func(t *testing.T) { f(t, startJetty(t, rate, work)) })
	t.Run("mirrortest", func(t *testing.T) {
		p := mirrortest.NewPair(t, mirrortest.Options{
			Rate: rate, NoCredential: true, Latency: [2]time.Duration{work, work},
		})
		f(t, limitedServer{"mirrortest", p.Local.Endpoint, p.Local.Config()})
	})
}

const dryRun = "/kafka/v3/clusters/lkc-local/links/dr-link/mirrors:reverse-and-pause-mirror?validate_only=true"

// answer is the response to a request.
type answer struct {
	*http.Response
	body string
	took time.Duration
}

// request sends a dry run, or the request that the query asks for, from an address.
func request(t *testing.T, endpoint, query, from, accept string) answer {
	t.Helper()
	local := &net.TCPAddr{IP: netip.MustParseAddr(from).AsSlice()}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{LocalAddr: local}).DialContext}
	r, err := http.NewRequestWithContext(
		t.Context(), http.MethodPost, endpoint+dryRun+query, strings.NewReader(`{"mirror_topic_names":["topic-1"]}`),
	)
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	start := time.Now()
	resp, err := transport.RoundTrip(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return answer{resp, string(body), time.Since(start)}
}

// through sends requests one after another, and returns how many got through.
func through(t *testing.T, s limitedServer, n int, from string) (got int) {
	t.Helper()
	for range n {
		a := request(t, s.endpoint, "", from, "")
		switch a.StatusCode {
		case http.StatusOK:
			got++
		default:
			require.Equal(t, http.StatusTooManyRequests, a.StatusCode)
			require.Equal(t, []string{"unavailable"}, a.Header.Values("DoSFilter"))
			require.Empty(t, a.Header.Values("Retry-After"))
		}
	}
	return got
}

func TestJetty_CountsWhatItRejects(t *testing.T) {
	both(t, mirrortest.Rate{PerClient: 5}, 0, func(t *testing.T, s limitedServer) {
		require.Equal(t, 5, through(t, s, 9, "127.0.0.1"))
		for range 20 {
			time.Sleep(150 * time.Millisecond)
			require.Zero(t, through(t, s, 1, "127.0.0.1"), "more than five in a second, for ever")
		}
		time.Sleep(1050 * time.Millisecond)
		require.Equal(t, 5, through(t, s, 9, "127.0.0.1"), "after a second without any")
	})
}

func TestJetty_CountsByAddressAndThenForAll(t *testing.T) {
	both(t, mirrortest.Rate{PerClient: 4, PerServer: 10}, 0, func(t *testing.T, s limitedServer) {
		require.Equal(t, 4, through(t, s, 6, "127.0.0.1"))
		require.Equal(t, 4, through(t, s, 4, "127.0.0.2"), "what the first filter rejects, the second does not count")
		require.Equal(t, 2, through(t, s, 3, "127.0.0.3"))
	})
}

func TestJetty_ThePageFollowsAccept(t *testing.T) {
	for _, noHeader := range []bool{false, true} {
		both(t, mirrortest.Rate{PerClient: 1, NoHeader: noHeader}, 0, func(t *testing.T, s limitedServer) {
			request(t, s.endpoint, "", "127.0.0.1", "")
			for _, accept := range []string{"application/json", "*/*", "", "text/html, application/json"} {
				a := request(t, s.endpoint, "", "127.0.0.1", accept)
				require.Equal(t, http.StatusTooManyRequests, a.StatusCode)
				require.Equal(t, !noHeader, a.Header.Get("DoSFilter") == "unavailable", a.Header)
				path, _, _ := strings.Cut(dryRun, "?")
				if accept == "application/json" {
					require.Equal(t, "application/json", strings.ToLower(a.Header.Get("Content-Type")))
					var members map[string]any
					require.NoError(t, json.Unmarshal([]byte(a.body), &members))
					require.Equal(t, map[string]any{
						"servlet": "default", "message": "Too Many Requests", "url": path, "status": "429",
					}, members)
					continue
				}
				require.Equal(t, "text/html;charset=iso-8859-1", strings.ToLower(a.Header.Get("Content-Type")))
				for _, mark := range []string{"HTTP ERROR 429", "<tr><th>URI:</th><td>" + path + "</td></tr>"} {
					require.Contains(t, a.body, mark)
				}
			}
		})
	}
}

func TestJetty_DelaysAndRejectsNothing(t *testing.T) {
	both(t, mirrortest.Rate{PerClient: 5, PerServer: 6, Mode: mirrortest.RateDelay}, 0,
		func(t *testing.T, s limitedServer) {
			for i := range 12 {
				a := request(t, s.endpoint, "", "127.0.0.1", "")
				require.Equal(t, http.StatusOK, a.StatusCode)
				if i < 5 {
					require.Empty(t, a.Header.Values("DoSFilter"))
					continue
				}
				require.Equal(t, []string{"delayed"}, a.Header.Values("DoSFilter"), "the second filter does not count it")
				require.GreaterOrEqual(t, a.took, 100*time.Millisecond)
			}
		})
}

// Any error that Jetty writes has the limiter's page, so without the header it proves nothing.
func TestJetty_OtherErrorsHaveTheSamePage(t *testing.T) {
	s := startJetty(t, mirrortest.Rate{PerClient: 1, NoHeader: true}, 0)
	for _, accept := range []string{"application/json", ""} {
		time.Sleep(1100 * time.Millisecond)
		own := request(t, s.endpoint, "&error=429", "127.0.0.1", accept)
		limiters := request(t, s.endpoint, "", "127.0.0.1", accept)
		require.Equal(t, []int{429, 429}, []int{own.StatusCode, limiters.StatusCode})
		require.Equal(t, own.body, limiters.body)

		time.Sleep(1100 * time.Millisecond)
		busy := request(t, s.endpoint, "&error=503", "127.0.0.1", accept)
		require.Equal(t, 503, busy.StatusCode)
		require.Equal(t, own.body, strings.NewReplacer("503", "429", "Service Unavailable", "Too Many Requests").
			Replace(busy.body))
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.endpoint, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte("POST /x HTTP/1.1\r\nHost: h\r\nbad header\r\n\r\n"))
	require.NoError(t, err)
	page, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Regexp(t, "(?s)^HTTP/1.1 400 .*Bad Message", string(page))
}

// One call behind somebody else's burst gets through.
func TestJetty_ACallBehindABurst(t *testing.T) {
	both(t, mirrortest.Rate{PerClient: 25}, 0, func(t *testing.T, s limitedServer) {
		var longest time.Duration
		attempts := 0
		for range 20 {
			for range 30 {
				request(t, s.endpoint, "", "127.0.0.1", "")
			}
			client, err := mirror.NewClient(s.config)
			require.NoError(t, err)
			start := time.Now()
			report, err := client.Validate(t.Context(), mirror.VerbReverseAndPause, "dr-link", mirror.Topics("topic-1"))
			require.NoError(t, err)
			longest = max(longest, time.Since(start))
			attempts += len(report.Attempts)
		}
		const line = "%-10s  25/s, a foreign burst of 30 before each call: 20 of 20 got through, " +
			"%d attempts, the longest took %v\n"
		fmt.Printf(line, s.name, attempts, longest.Round(time.Millisecond))
	})
}

// A run of many batches is accepted whole, alone and with others on the same limit.
func TestJetty_ARunOfManyBatches(t *testing.T) {
	var names []string
	for i := range 2000 {
		names = append(names, fmt.Sprintf("topic-%04d", i))
	}
	for clients, most := range map[int]time.Duration{1: 4500 * time.Millisecond, 4: time.Minute, 8: time.Minute} {
		s := startJetty(t, mirrortest.Rate{PerClient: 25}, 0)
		var rejected atomic.Int64
		var all sync.WaitGroup
		start := time.Now()
		for share := range slices.Chunk(names, len(names)/clients) {
			cfg := s.config
			cfg.BatchSize = 20
			client, err := mirror.NewClient(cfg)
			require.NoError(t, err)
			all.Go(func() {
				report, err := client.ReverseAndPause(t.Context(), "dr-link", mirror.Topics(share...))
				if err != nil || len(report.Topics(mirror.Accepted)) != len(share) {
					t.Error(report, err)
				}
				for _, a := range report.Attempts {
					if a.HTTPStatus == http.StatusTooManyRequests {
						rejected.Add(1)
					}
				}
			})
		}
		all.Wait()
		took := time.Since(start)
		fmt.Printf("%-10s  25/s, 2000 topics in batches of 20, %d clients: all accepted, %3d 429s, %v\n",
			s.name, clients, rejected.Load(), took.Round(time.Millisecond))
		require.LessOrEqual(t, took, most)
	}
}
