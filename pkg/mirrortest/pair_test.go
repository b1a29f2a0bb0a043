package mirrortest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

var ctx = context.Background()

func client(t testing.TB, c *mirrortest.Cluster, edit ...func(*mirror.Config)) *mirror.Client {
	t.Helper()
	cfg := c.Config()
	for _, e := range edit {
		e(&cfg)
	}
	m, err := mirror.NewClient(cfg)
	require.NoError(t, err)
	return m
}

// hang sends nothing, and keeps the connection until the client or the pair closes it.
func hang() mirrortest.Action {
	return mirrortest.Handle(func(_ http.ResponseWriter, r *http.Request, _ http.Handler) { <-r.Context().Done() })
}

// once makes a client retry nothing.
func once(c *mirror.Config) { c.RetryFor = -1 }

func reverse(t testing.TB, c *mirrortest.Cluster, topics ...string) (*mirror.Report, error) {
	t.Helper()
	return client(t, c).ReverseAndPause(ctx, "dr-link", mirror.Topics(topics...))
}

// raw sends a request of the test's own making, with the cluster's API key unless it has another
// Authorization, and returns the answer with its body.
func raw(t testing.TB, c *mirrortest.Cluster, method, path, body string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, c.Endpoint+path, strings.NewReader(body))
	require.NoError(t, err)
	r.SetBasicAuth(c.APIKey())
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Del(header[i])
		if header[i+1] != "" {
			r.Header.Set(header[i], header[i+1])
		}
	}
	resp, err := (&http.Transport{DisableKeepAlives: true, DialContext: c.Config().DialContext}).RoundTrip(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(text)
}

func path(c *mirrortest.Cluster) string {
	return "/kafka/v3/clusters/" + c.ID + "/links/dr-link/mirrors:reverse-and-pause-mirror"
}

func TestReversal_MovesBothSides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := mirrortest.NewPair(t, mirrortest.Options{InMemory: true, Settle: time.Minute})
		statuses := func() string {
			return fmt.Sprintf("%s/%s", p.Local.Status("topic-1"), p.Remote.Status("topic-1"))
		}
		require.Equal(t, "ACTIVE/", statuses())
		report, err := reverse(t, p.Local, "topic-1")
		require.NoError(t, err)
		p.Local.AssertReport(t, report)
		require.Equal(t, "PENDING_STOPPED/PENDING_MIRROR", statuses(), "accepted, not done")
		require.Equal(t, []mirror.Status{mirror.StatusPendingStopped, mirror.StatusPendingMirror},
			[]mirror.Status{p.Local.Status("topic-1"), p.Remote.Status("topic-1")})
		require.Equal(t, "ACTIVE", string(p.Local.Status("topic-2")))

		_, err = reverse(t, p.Local, "topic-1")
		require.ErrorContains(t, err,
			"topic-1: 400: Topic 'topic-1' has already stopped its mirror from 'dr-link'", "pending counts as stopped")
		time.Sleep(time.Minute - 1)
		require.Equal(t, "PENDING_STOPPED/PENDING_MIRROR", statuses())
		_, err = reverse(t, p.Remote, "topic-1")
		require.ErrorContains(t, err, "does not allow reverse-and-pause-mirror while its mirror is PENDING_MIRROR")
		time.Sleep(time.Nanosecond)
		require.Equal(t, "STOPPED/PAUSED", statuses())

		_, err = reverse(t, p.Remote, "topic-1")
		require.NoError(t, err, "and back again")
		time.Sleep(time.Minute)
		require.Equal(t, "PAUSED/STOPPED", statuses())
		require.Equal(t, 1, p.Local.Applied("topic-1"))
		require.Equal(t, 2, p.Local.Requests("topic-1"))
		require.Equal(t, 1, p.Remote.Applied("topic-1"))
	})
}

func TestReversal_RefusesByRow(t *testing.T) {
	p := mirrortest.NewPair(t, mirrortest.Options{Link: "dr-link", Topics: []mirrortest.Topic{
		{Name: "active"}, {Name: "paused", Status: mirror.StatusPaused}, {Name: "stopped", Status: mirror.StatusStopped},
		{Name: "failed", Status: "LINK_FAILED"}, {Name: "pending", Status: mirror.StatusPendingStopped},
		{Name: "lagging", Partitions: []mirrortest.Partition{
			{Lag: 7, LastSourceFetchOffset: 3}, {LastSourceFetchOffset: -1},
		}},
	}})
	for _, dryRun := range []bool{true, false} {
		call := client(t, p.Local).ReverseAndPause
		if dryRun {
			call = func(ctx context.Context, link string, s mirror.Selection) (*mirror.Report, error) {
				return client(t, p.Local).Validate(ctx, mirror.VerbReverseAndPause, link, s)
			}
		}
		report, err := call(ctx, "dr-link",
			mirror.Topics("active", "paused", "stopped", "failed", "pending", "lagging", "nowhere"))
		require.Error(t, err)
		var got []string
		for _, r := range report.Results {
			got = append(got, fmt.Sprintf("%s %v %d", r.Topic, r.Outcome, r.Code))
		}
		require.Equal(t, []string{
			"active accepted 0", "paused accepted 0", "stopped failed 400", "failed failed 400",
			"pending failed 400", "lagging accepted 0", "nowhere failed 40403",
		}, got)
		lagging, _ := report.Result("lagging")
		require.Equal(t, []mirror.PartitionLag{
			{Lag: 7, LastSourceFetchOffset: 3}, {Partition: 1, LastSourceFetchOffset: -1},
		}, lagging.Lags)
		require.Nil(t, lagging.MessagesTruncated)
		p.Local.AssertReport(t, report)
		if dryRun {
			require.Equal(t, mirror.StatusActive, p.Local.Status("active"), "a dry run changes nothing")
			require.Zero(t, p.Local.Applied("active")+p.Local.Requests("active"))
		}
	}
	require.Equal(t, mirror.StatusStopped, p.Local.Status("active"))
	require.Equal(t, mirror.StatusPaused, p.Remote.Status("active"))
	require.Equal(t, mirror.Status("LINK_FAILED"), p.Local.Status("failed"))
	require.Zero(t, p.Local.Applied("failed"))
	require.Empty(t, p.Remote.Status("failed"), "a refused topic changes on neither side")
	_, err := reverse(t, p.Remote, "failed")
	require.ErrorContains(t, err, "failed: 404: The mirror topic doesn't exist: failed")
	require.Empty(t, p.Local.Status("nowhere"))
}

func TestSelection(t *testing.T) {
	topics := []mirrortest.Topic{{Name: "b.eu"}, {Name: "a.eu"}, {Name: "a.us"}}
	for _, c := range []struct {
		name   string
		body   string
		status int
		want   string // topics of the rows, or a part of the error
	}{
		{"names, in their order", `{"mirror_topic_names":["b.eu","a.us","b.eu"]}`, 200, "b.eu a.us"},
		{"pattern, sorted", `{"mirror_topic_name_pattern":".*\\.eu"}`, 200, "a.eu b.eu"},
		{"pattern matches the whole name", `{"mirror_topic_name_pattern":"eu"}`, 200, ""},
		{"no match", `{"mirror_topic_name_pattern":"x.*"}`, 200, ""},
		{"both", `{"mirror_topic_names":["b.eu"],"mirror_topic_name_pattern":"a.*"}`, 400, "Only one of"},
		{"neither", `{}`, 400, "must be given"},
		{"unknown topic", `{"mirror_topic_names":["x","b.eu"]}`, 200, "x b.eu"},
		{"not a list", `{"mirror_topic_names":"b.eu"}`, 400, "Cannot deserialize"},
		{"not JSON", `topics=b.eu`, 400, "Cannot deserialize"},
		{"a pattern that Java and Go may differ on", `{"mirror_topic_name_pattern":"[a-z&&[^b]].*"}`,
			400, "Java and Go may differ"},
		{"a pattern of Java's only", `{"mirror_topic_name_pattern":"(?!a).*"}`, 400, "does not evaluate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := mirrortest.NewPair(t, mirrortest.Options{Topics: topics})
			resp, body := raw(t, p.Local, "POST", path(p.Local)+"?validate_only=true", c.body)
			require.Equal(t, c.status, resp.StatusCode, body)
			if c.status != 200 {
				require.Contains(t, body, c.want)
				return
			}
			var names []string
			for _, part := range strings.Split(body, `"mirror_topic_name":"`)[1:] {
				name, _, _ := strings.Cut(part, `"`)
				names = append(names, name)
			}
			require.Equal(t, c.want, strings.Join(names, " "))
		})
	}
}

func TestPattern_OnlyWhatIsTheSameInJavaAndGo(t *testing.T) {
	p := mirrortest.NewPair(t, mirrortest.Options{})
	ask := func(expression string) int {
		body := fmt.Sprintf(`{"mirror_topic_name_pattern":%q}`, expression)
		resp, _ := raw(t, p.Local, "POST", path(p.Local)+"?validate_only=true", body)
		return resp.StatusCode
	}
	for _, same := range []string{
		`.*`, `^(?:topic-.*)$`, `topic-\d`, `[a-z-]+\w`, `(?<n>topic).+`, `(?i)TOPIC-1`, `t?o+p{1}i{1,}c{1,2}.*?`, `a|\.`,
	} {
		require.Equal(t, 200, ask(same), same)
	}
	for _, differs := range []string{
		`[a-z&&[^bc]]`, `[a-d[m-p]]`, `[[:alpha:]]`, `\0101`, `(?U)\w+`, `(?P<n>x)`, `x{,3}`,
		`(?=x)`, `(?>x)`, `x++`, `(x)\1`, `\Qx\E`, `\p{L}`, `[]x]`, `a)(b`,
	} {
		require.Equal(t, 400, ask(differs), differs)
	}
}

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
	require.Zero(t, p.Local.Requests("topic-1"))
}

func TestServer_NotFoundAndBadRequest(t *testing.T) {
	p := mirrortest.NewPair(t, mirrortest.Options{})
	const names = `{"mirror_topic_names":["topic-1"]}`
	for _, c := range []struct {
		method, path, body string
		header             []string
		status             int
	}{
		{"GET", path(p.Local), "", nil, 405},
		{"PUT", path(p.Local), names, nil, 405},
		{"POST", path(p.Remote), names, nil, 404},
		{"POST", strings.Replace(path(p.Local), "dr-link", "other", 1), names, nil, 404},
		{"POST", strings.TrimPrefix(path(p.Local), "/kafka"), names, nil, 404},
		{"POST", path(p.Local) + "?validate_only=maybe", names, nil, 400},
		{"POST", path(p.Local), names, []string{"Content-Type", "text/plain"}, 415},
		{"POST", path(p.Local), names, []string{"Content-Type", ""}, 415},
		{"POST", path(p.Local), names, nil, 200}, // validate_only is false by default
	} {
		resp, body := raw(t, p.Local, c.method, c.path, c.body, c.header...)
		require.Equal(t, c.status, resp.StatusCode, body)
		require.Equal(t, c.status == 200, p.Local.Applied("topic-1") == 1)
	}
}

func TestServer_TextsAndKindsOfRealServers(t *testing.T) {
	p := mirrortest.NewPair(t, mirrortest.Options{})
	_, body := raw(t, p.Local, "POST", strings.Replace(path(p.Local), "dr-link", "other%2Flink", 1),
		`{"mirror_topic_names":["topic-1"]}`)
	require.JSONEq(t, `{"error_code":404,"message":"The cluster link doesn't exist: other/link"}`, body)
	_, body = raw(t, p.Remote, "POST", path(p.Remote)+"?validate_only=true", `{"mirror_topic_names":["topic-1"]}`)
	require.Contains(t, body, `"error_code":404,"error_message":"The mirror topic doesn't exist: topic-1"`)
	_, body = raw(t, p.Local, "POST", path(p.Local)+"?validate_only=true", `{"mirror_topic_names":["topic-1"]}`)
	require.Contains(t, body, `{"kind":"KafkaAlterMirrorsDataList"`)
	require.Contains(t, body, `"kind":"AlterMirrorsData"`)
}

func TestServer_RowsOfOtherServers(t *testing.T) {
	var topics []mirrortest.Topic
	var names []string
	for i := range 20 {
		names = append(names, fmt.Sprint("t", i))
		topics = append(topics, mirrortest.Topic{Name: names[i]})
	}
	p := mirrortest.NewPair(t, mirrortest.Options{Topics: topics, Shuffle: true, NoTruncationData: true})
	_, body := raw(t, p.Local, "POST", path(p.Local)+"?validate_only=true",
		`{"mirror_topic_names":["`+strings.Join(names, `","`)+`"]}`)
	require.NotContains(t, body, "truncat")
	var order []string
	for _, part := range strings.Split(body, `"mirror_topic_name":"`)[1:] {
		name, _, _ := strings.Cut(part, `"`)
		order = append(order, name)
	}
	require.ElementsMatch(t, names, order)
	require.NotEqual(t, names, order)
	report, err := reverse(t, p.Local, names...)
	require.NoError(t, err)
	p.Local.AssertReport(t, report)
	require.Equal(t, names, report.Topics(mirror.Accepted), "the report is in the order asked")
}

func TestServer_RateLimiterCountsWhatItRejects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := mirrortest.NewPair(t, mirrortest.Options{InMemory: true, Rate: mirrortest.Rate{PerServer: 3}})
		dryRun := func() error {
			_, err := client(t, p.Local, once).Validate(ctx, mirror.VerbReverseAndPause, "dr-link", mirror.Topics("topic-1"))
			return err
		}
		through := func() (n int) {
			for range 10 {
				err := dryRun()
				if err == nil {
					n++
					continue
				}
				require.ErrorIs(t, err, mirror.ErrRateLimited)
				var api *mirror.APIError
				require.ErrorAs(t, err, &api)
				require.Equal(t, "HTTP 429 Too Many Requests", api.Error(), "no Retry-After")
			}
			return n
		}
		require.Equal(t, 3, through())
		for range 20 {
			time.Sleep(300 * time.Millisecond)
			require.Error(t, dryRun(), "more than three in a second, for ever")
		}
		time.Sleep(time.Second - time.Nanosecond)
		require.Equal(t, 2, through(), "one more is not yet a second ago")
		time.Sleep(time.Second)
		require.Equal(t, 3, through(), "a second without any")
		time.Sleep(time.Hour)
		require.Equal(t, 3, through(), "nothing is saved up")
		_, err := client(t, p.Local, once).Mirrors(ctx, "dr-link")
		require.ErrorIs(t, err, mirror.ErrRateLimited, "reads are counted too")
		_, err = client(t, p.Remote, once).Mirrors(ctx, "dr-link")
		require.NoError(t, err, "the other cluster has its own")
	})
}

// What is over a client's own limit is not counted against that of the server. Both kinds of network know
// their clients by their addresses.
func TestServer_RateLimiterCountsByAddress(t *testing.T) {
	counts := func(t *testing.T, o mirrortest.Options) {
		o.Rate = mirrortest.Rate{PerClient: 2, PerServer: 5}
		p := mirrortest.NewPair(t, o)
		ask := func(address string, times int) (n int) {
			cfg := p.Local.ConfigFrom(netip.MustParseAddr(address))
			once(&cfg)
			m, err := mirror.NewClient(cfg)
			require.NoError(t, err)
			for range times {
				if _, err := m.Mirrors(ctx, "dr-link"); err == nil {
					n++
				}
			}
			return n
		}
		require.Equal(t, 2, ask("127.0.0.1", 9))
		_, err := client(t, p.Local, once).Mirrors(ctx, "dr-link")
		require.ErrorIs(t, err, mirror.ErrRateLimited, "the address of Config")
		require.Equal(t, 2, ask("127.0.0.2", 9))
		require.Equal(t, 1, ask("127.0.0.3", 9), "the server's limit")
	}
	t.Run("in memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { counts(t, mirrortest.Options{InMemory: true}) })
	})
	t.Run("on loopback", func(t *testing.T) {
		p := mirrortest.NewPair(t, mirrortest.Options{})
		var from []string
		p.Local.Inject(mirrortest.Fault{
			Reads: true, Every: true, Do: mirrortest.Handle(func(w http.ResponseWriter, r *http.Request, proper http.Handler) {
				host, _, err := net.SplitHostPort(r.RemoteAddr)
				from = append(from, fmt.Sprint(host, err))
				proper.ServeHTTP(w, r)
			}),
		})
		m, err := mirror.NewClient(p.Local.ConfigFrom(netip.MustParseAddr("127.0.0.1")))
		require.NoError(t, err)
		_, err = m.Mirrors(ctx, "dr-link")
		require.NoError(t, err)
		require.Equal(t, []string{"127.0.0.1<nil>"}, from)
	})
}

func TestServer_RateLimiterAnswersByAcceptAndMode(t *testing.T) {
	const asJSON = "application/json"
	for _, c := range []struct {
		name        string
		rate        mirrortest.Rate
		status      int
		headers     []string
		accept      string
		contentType string
		body        string // of the request that is over the limit
		took        time.Duration
	}{
		{"rejects", mirrortest.Rate{Mode: mirrortest.RateReject}, 429, []string{"unavailable"}, asJSON, asJSON,
			`{"servlet":"default","message":"Too Many Requests","url":"PATH","status":"429"}`, 0},
		{"rejects, HTML", mirrortest.Rate{}, 429, []string{"unavailable"}, "*/*", "text/html;charset=iso-8859-1",
			"<tr><th>URI:</th><td>PATH</td></tr>", 0},
		{"rejects, no Accept", mirrortest.Rate{}, 429, []string{"unavailable"}, "", "text/html;charset=iso-8859-1",
			"HTTP ERROR 429 Too Many Requests", 0},
		{"rejects, without header", mirrortest.Rate{NoHeader: true}, 429, nil, asJSON, asJSON, `"status":"429"`, 0},
		{"delays", mirrortest.Rate{Mode: mirrortest.RateDelay}, 200, []string{"delayed"}, asJSON, asJSON,
			`"mirror_topic_name":"topic-1"`, 100 * time.Millisecond},
		{"delays, without header", mirrortest.Rate{Mode: mirrortest.RateDelay, NoHeader: true}, 200, nil, asJSON, asJSON,
			`"mirror_topic_name":"topic-1"`, 100 * time.Millisecond},
		{"throttles", mirrortest.Rate{Mode: mirrortest.RateThrottle}, 200, nil, asJSON, asJSON,
			`"mirror_topic_name":"topic-1"`, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.rate.PerClient = 1
				p := mirrortest.NewPair(t, mirrortest.Options{InMemory: true, Rate: c.rate})
				ask := func() (*http.Response, string) {
					return raw(t, p.Local, "POST", path(p.Local)+"?validate_only=true",
						`{"mirror_topic_names":["topic-1"]}`, "Accept", c.accept)
				}
				resp, _ := ask()
				require.Equal(t, 200, resp.StatusCode)
				require.Empty(t, resp.Header.Values("DoSFilter"))
				start := time.Now()
				resp, body := ask()
				require.Equal(t, c.took, time.Since(start))
				require.Equal(t, c.status, resp.StatusCode)
				require.Equal(t, c.headers, resp.Header.Values("DoSFilter"))
				require.Equal(t, c.contentType, resp.Header.Get("Content-Type"))
				require.Contains(t, strings.ReplaceAll(body, "\n", ""), strings.ReplaceAll(c.body, "PATH", path(p.Local)))
			})
		})
	}
}

// Of the requests over the limit, RateThrottle lets five through at a time; the others wait, and say so.
func TestServer_RateLimiterLetsFiveThroughAtATime(t *testing.T) {
	for _, c := range []struct {
		mode    mirrortest.RateMode
		latency time.Duration
		took    map[string]int // what the requests took and got
	}{
		{mirrortest.RateThrottle, time.Second, map[string]int{
			"1s 200 []": 6, "2s 200 [throttled]": 5, "3s 200 [throttled]": 1,
		}},
		{mirrortest.RateThrottle, time.Minute, map[string]int{
			"1m0s 200 []": 6, "1m30.05s 200 [throttled]": 6,
		}},
		{mirrortest.RateDelay, time.Second, map[string]int{"1s 200 []": 1, "1.1s 200 [delayed]": 11}},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := mirrortest.NewPair(t, mirrortest.Options{
				InMemory: true, Rate: mirrortest.Rate{PerClient: 1, Mode: c.mode},
				Latency: [2]time.Duration{c.latency, c.latency},
			})
			start := time.Now()
			took := map[string]int{}
			var mu sync.Mutex
			var wg sync.WaitGroup
			for range 12 {
				wg.Go(func() {
					resp, _ := raw(t, p.Local, "GET", "/kafka/v3/clusters/lkc-local/links/dr-link/mirrors", "")
					mu.Lock()
					defer mu.Unlock()
					took[fmt.Sprintf("%v %d %v", time.Since(start), resp.StatusCode, resp.Header.Values("DoSFilter"))]++
				})
			}
			wg.Wait()
			require.Equal(t, c.took, took)
		})
	}
}

func TestFault_BeforeAndAfterApply(t *testing.T) {
	for _, c := range []struct {
		name  string
		do    mirrortest.Action
		want  mirror.Outcome
		cause string
	}{
		{"cut", mirrortest.Cut(0), mirror.Unknown, "EOF"},
		{"cut in the head", mirrortest.Cut(20), mirror.Unknown, "connection broken"},
		{"cut in the body", mirrortest.Cut(150), mirror.Unknown, "the answer could not be read to its end"},
		{"reset", mirrortest.Reset(0), mirror.Unknown, "reset"},
		{"cut behind the end", mirrortest.Cut(1 << 20), mirror.Accepted, ""},
		{"error", mirrortest.Error(500, 50003, "timed out"),
			mirror.Unknown, "HTTP 500 Internal Server Error, code 50003: timed out"},
		{"answer", mirrortest.Answer(503, "<title>busy</title>", "Content-Type", "text/html", "Retry-After", "3"),
			mirror.Unknown, "busy (retry after 3s)"},
		{"handled", mirrortest.Handle(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.WriteHeader(999)
		}), mirror.Unknown, "HTTP 999"},
		{"handled, with the proper answer", mirrortest.Handle(
			func(w http.ResponseWriter, r *http.Request, proper http.Handler) {
				w.Header().Set("X-Request-Id", "r")
				proper.ServeHTTP(w, r)
			},
		), mirror.Accepted, ""},
		{"rate limited", mirrortest.RateLimited(), mirror.Untouched, "429"},
	} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprint(c.name, after), func(t *testing.T) {
				p := mirrortest.NewPair(t, mirrortest.Options{})
				p.Local.Inject(mirrortest.Fault{AfterApply: after, Do: c.do})
				m := client(t, p.Local, once)
				report, err := m.ReverseAndPause(ctx, "dr-link", mirror.Topics("topic-1", "topic-2"))
				require.Equal(t, c.want, report.Results[1].Outcome)
				if c.cause != "" {
					require.ErrorContains(t, err, c.cause)
				}
				applied := 0
				if after {
					applied = 1
				}
				require.Equal(t, applied, p.Local.Applied("topic-1"))
				require.Equal(t, applied, p.Local.Requests("topic-2"))
				lies := c.want == mirror.Accepted && !after || c.want == mirror.Untouched && after
				require.Equal(t, lies, p.Local.CheckReport(report) != nil)
				_, err = m.Validate(ctx, mirror.VerbReverseAndPause, "dr-link", mirror.Topics("topic-1"))
				require.Equal(t, after, err != nil, "it acts once")
			})
		}
	}
}

func TestFault_WhichRequest(t *testing.T) {
	p := mirrortest.NewPair(t, mirrortest.Options{})
	fails := func(topic string) bool {
		_, err := client(t, p.Local).Validate(ctx, mirror.VerbReverseAndPause, "dr-link", mirror.Topics(topic))
		return err != nil
	}
	p.Local.Inject(mirrortest.Fault{Nth: 3, Do: mirrortest.Error(400, 400, "x")})
	require.Equal(t, []bool{false, false, true, false},
		[]bool{fails("topic-1"), fails("topic-1"), fails("topic-1"), fails("topic-1")})

	p.Local.Inject(mirrortest.Fault{Nth: 2, Topic: "topic-2", Do: mirrortest.Error(400, 400, "x")})
	require.Equal(t, []bool{false, false, false, true, false},
		[]bool{fails("topic-1"), fails("topic-2"), fails("topic-1"), fails("topic-2"), fails("topic-2")})

	p.Local.Inject(mirrortest.Fault{Do: mirrortest.Error(400, 400, "x")})
	p.Local.Inject(mirrortest.Fault{Do: mirrortest.Error(400, 400, "y")})
	require.Equal(t, []bool{true, true, false},
		[]bool{fails("topic-1"), fails("topic-1"), fails("topic-1")}, "one after the other")

	p.Local.Inject(mirrortest.Fault{Nth: 2, Every: true, Do: mirrortest.Error(400, 400, "x")})
	require.Equal(t, []bool{false, true, true}, []bool{fails("topic-1"), fails("topic-1"), fails("topic-1")})
}

func TestFault_OfOneTopic(t *testing.T) {
	for _, after := range []bool{false, true} {
		p := mirrortest.NewPair(t, mirrortest.Options{Topics: []mirrortest.Topic{{Name: "a"}, {Name: "b"}, {Name: "c"}}})
		p.Local.Inject(mirrortest.Fault{
			Topic: "b", AfterApply: after,
			Do: mirrortest.Row(`{"mirror_topic_name":"b","error_code":50003,"error_message":null}`),
		})
		report, err := reverse(t, p.Local, "a", "b", "c")
		require.EqualError(t, errors.Join(err),
			`reverse-and-pause-mirror, link "dr-link": 2 accepted, 1 failed, 0 unknown, 0 untouched: b: code 50003, no message`)
		require.Equal(t, map[bool]int{true: 1}[after], p.Local.Applied("b"))
		require.Equal(t, 1, p.Local.Applied("c"))
		p.Local.AssertReport(t, report)
	}
	p := mirrortest.NewPair(t, mirrortest.Options{})
	p.Local.Inject(mirrortest.Fault{Topic: "topic-2", AfterApply: true, Do: mirrortest.LeaveOut()})
	report, _ := reverse(t, p.Local, "topic-1", "topic-2")
	require.Equal(t, []string{"topic-2"}, report.Topics(mirror.Unknown))
	require.Equal(t, 1, p.Local.Applied("topic-2"))
}

func TestHang_EndsWithTheClientOrThePair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := mirrortest.NewPair(t, mirrortest.Options{InMemory: true})
		p.Local.Inject(mirrortest.Fault{AfterApply: true, Do: hang()})
		start := time.Now()
		report, err := reverse(t, p.Local, "topic-1")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "no response came: time-out after 1m0s")
		require.Equal(t, time.Minute, time.Since(start))
		require.Equal(t, []string{"topic-1"}, report.Topics(mirror.Unknown))
		p.Local.AssertReport(t, report)

		p.Local.Inject(mirrortest.Fault{Do: hang()})
		go func() {
			synctest.Wait()
			_ = p.Close()
		}()
		_, err = reverse(t, p.Local, "topic-2")
		require.ErrorIs(t, err, mirror.ErrOutcomeUnknown)
	})
}

func TestClose_LeavesNothingRunning(t *testing.T) {
	p := mirrortest.NewPair(t, mirrortest.Options{})
	p.Local.Inject(mirrortest.Fault{Every: true, Do: hang()})
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { _, _ = client(t, p.Local).ReverseAndPause(ctx, "dr-link", mirror.Topics("topic-1")) })
	}
	for len(p.Journal()) < 50 {
		runtime.Gosched()
	}
	require.NoError(t, p.Close())
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	require.NotContains(t, string(stacks), "mirrortest.(*Cluster).ServeHTTP")
	require.NotContains(t, string(stacks), "net/http.(*Server).Serve(")
	all.Wait()
}

func TestClose_WaitsForWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := mirrortest.NewPair(t, mirrortest.Options{InMemory: true, PerTopic: time.Hour})
		start := time.Now()
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, err := client(t, p.Local).ReverseAndPause(ctx, "dr-link", mirror.Topics("topic-1"))
		require.ErrorIs(t, err, mirror.ErrOutcomeUnknown)
		require.NoError(t, p.Close())
		require.Equal(t, time.Hour, time.Since(start), "the request was worked at until then")
	})
}

func TestOracle_Journal(t *testing.T) {
	p := mirrortest.NewPair(t, mirrortest.Options{})
	_, err := client(t, p.Local).Validate(ctx, mirror.VerbReverseAndPause, "dr-link", mirror.Topics("topic-1"))
	require.NoError(t, err)
	p.Local.Inject(mirrortest.Fault{AfterApply: true})
	_, err = reverse(t, p.Local, "topic-2", "topic-1")
	require.Error(t, err)
	raw(t, p.Remote, "POST", "/", "hello", "Authorization", "Bearer s3cret")

	journal := append([]mirrortest.Request{}, p.Journal()...)
	require.Len(t, journal, 3)
	first, second, third := journal[0], journal[1], journal[2]
	require.Equal(t, "lkc-local", first.Cluster)
	require.Equal(t, "POST "+path(p.Local)+"?validate_only=true", first.Method+" "+first.URI)
	require.JSONEq(t, `{"mirror_topic_names":["topic-1"]}`, first.Body)
	require.Equal(t, "Basic (redacted)", first.Header.Get("Authorization"))
	require.True(t, first.ValidateOnly)
	require.Equal(t, []string{"topic-1"}, first.Topics)
	require.Empty(t, first.Applied)
	require.Equal(t, 200, first.HTTPStatus)
	require.False(t, first.At.After(second.At))
	require.Equal(t, []string{"topic-2", "topic-1"}, second.Applied)
	require.Zero(t, second.HTTPStatus, "the answer was lost")
	require.Equal(t, "lkc-remote", third.Cluster)
	require.Equal(t, 401, third.HTTPStatus)
	_, secret := p.Local.APIKey()
	require.NotContains(t, fmt.Sprint(journal), secret)
	require.NotContains(t, fmt.Sprint(journal), "s3cret")
}

// recorder is a test that only notes its failures.
type recorder struct {
	testing.TB
	errors []string
	fatal  bool
	ends   []func()
}

func (*recorder) Helper()            {}
func (r *recorder) Cleanup(f func()) { r.ends = append(r.ends, f) }
func (r *recorder) Errorf(format string, a ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, a...))
}
func (r *recorder) Fatalf(format string, a ...any) { r.fatal = true; panic(fmt.Sprintf(format, a...)) }

func TestOracle_Assertions(t *testing.T) {
	p := mirrortest.NewPair(t, mirrortest.Options{Link: "dr-link"})
	require.Equal(t, "dr-link", p.Link())
	r := &recorder{}
	report, err := reverse(t, p.Local, "topic-1")
	require.NoError(t, err)
	p.Local.AssertReport(r, report)
	p.Local.AssertSentOnce(r)
	require.Empty(t, r.errors)

	_, err = reverse(t, p.Local, "topic-1")
	require.Error(t, err)
	p.Local.AssertSentOnce(r)
	require.Equal(t, []string{"mirrortest: reverse-and-pause-mirror of topic-1 was sent to lkc-local 2 times"}, r.errors)

	for _, c := range []struct {
		lie  mirror.Report
		want string
	}{
		{mirror.Report{Results: []mirror.Result{{Topic: "topic-2", Outcome: mirror.Accepted}}},
			"topic-2: the report says accepted, and the topic was not changed"},
		{mirror.Report{Results: []mirror.Result{{Topic: "nowhere", Outcome: mirror.Accepted}}},
			"nowhere: the report says accepted, and the topic was not changed"},
		{mirror.Report{Results: []mirror.Result{{Topic: "topic-1", Outcome: mirror.Untouched}}},
			"topic-1: the report says untouched, and the topic was changed"},
		{mirror.Report{DryRun: true, Results: []mirror.Result{{Topic: "topic-1"}}},
			"topic-1: the report is of a dry run, and the topic was changed"},
	} {
		r.errors = nil
		c.lie.Verb = mirror.VerbReverseAndPause
		p.Local.AssertReport(r, &c.lie)
		require.Equal(t, []string{"mirrortest: " + c.want}, r.errors)
	}
	unknown := mirror.Report{Results: []mirror.Result{{Topic: "topic-1"}, {Topic: "topic-2"}}}
	require.NoError(t, p.Local.CheckReport(&unknown), "unknown is never wrong")
}

func TestStart_RefusesWhatItCannotBe(t *testing.T) {
	for _, topics := range [][]mirrortest.Topic{{{}}, {{Name: "a"}, {Name: "a"}}} {
		_, err := mirrortest.Start(mirrortest.Options{Topics: topics})
		require.ErrorContains(t, err, "without a name or there twice")
		require.Panics(t, func() { mirrortest.NewPair(&recorder{}, mirrortest.Options{Topics: topics}) })
	}
	for _, rate := range []mirrortest.Rate{{PerClient: -1}, {PerServer: -1}, {Mode: 9}} {
		_, err := mirrortest.Start(mirrortest.Options{Rate: rate})
		require.ErrorContains(t, err, "Options.Rate")
	}
	r := &recorder{}
	p := mirrortest.NewPair(r, mirrortest.Options{InMemory: true})
	for _, end := range r.ends {
		end()
	}
	require.Empty(t, r.errors)
	_, err := client(t, p.Local, once).ReverseAndPause(ctx, "dr-link", mirror.Topics("topic-1"))
	require.ErrorContains(t, err, "refused", "it is closed when the test ends")
	require.NoError(t, p.Close(), "closing again does nothing")
}

func TestPair_IsDeterministic(t *testing.T) {
	run := func(seed uint64) string {
		p, err := mirrortest.Start(mirrortest.Options{Seed: seed, InMemory: true})
		require.NoError(t, err)
		defer p.Close()
		report, err := client(t, p.Local).ReverseAndPause(ctx, "dr-link", mirror.All())
		require.NoError(t, err)
		var b strings.Builder
		for _, r := range report.Results {
			r.Sent = time.Time{}
			fmt.Fprintln(&b, r)
		}
		return b.String()
	}
	first, again := run(1), run(1)
	require.Equal(t, first, again)
	require.NotEqual(t, first, run(2))
}

func TestPair_IsSafeForConcurrentUse(t *testing.T) {
	var topics []mirrortest.Topic
	for i := range 50 {
		topics = append(topics, mirrortest.Topic{Name: fmt.Sprint("t", i)})
	}
	p := mirrortest.NewPair(t, mirrortest.Options{Topics: topics})
	m := client(t, p.Local)
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			report, err := m.ReverseAndPause(ctx, "dr-link", mirror.Topics(fmt.Sprint("t", i)))
			if err != nil {
				t.Error(err)
			}
			p.Local.Status("t1")
			p.Local.Inject(mirrortest.Fault{Nth: 1000})
			p.Local.AcceptToken("t", "")
			p.Local.AssertReport(t, report)
		})
	}
	all.Wait()
	p.Local.AssertSentOnce(t)
	require.Len(t, p.Journal(), 50)
}

// Each verb starts from the statuses that are known for it, and refuses the others by row.
func TestVerbs_StartFromTheirStatuses(t *testing.T) {
	statuses := []mirror.Status{
		mirror.StatusActive, mirror.StatusPaused, mirror.StatusStopped, mirror.StatusPendingStopped,
		mirror.StatusPendingMirror, mirror.StatusPendingSynchronize, mirror.StatusPendingSetupForRestore,
		mirror.StatusPendingRestore, mirror.StatusFailed, mirror.StatusLinkFailed, mirror.StatusLinkPaused,
		mirror.StatusSourceUnavailable,
	}
	const mirroring = "ACTIVE PAUSED"
	for verb, want := range map[mirror.Verb]string{
		mirror.VerbReverseAndPause:    mirroring,
		mirror.VerbReverseAndStart:    mirroring,
		mirror.VerbPromote:            mirroring,
		mirror.VerbFailover:           mirroring + " FAILED LINK_FAILED LINK_PAUSED SOURCE_UNAVAILABLE",
		mirror.VerbPause:              mirroring,
		mirror.VerbResume:             mirroring,
		mirror.VerbTruncateAndRestore: "STOPPED",
	} {
		var topics []mirrortest.Topic
		var names, accepted []string
		for _, s := range statuses {
			topics = append(topics, mirrortest.Topic{Name: string(s), Status: s, Remote: mirror.StatusStopped})
			names = append(names, string(s))
		}
		p := mirrortest.NewPair(t, mirrortest.Options{Topics: topics})
		report, _ := client(t, p.Local).Validate(ctx, verb, p.Link(), mirror.Topics(names...))
		for _, r := range report.Results {
			if r.Outcome == mirror.Accepted {
				accepted = append(accepted, r.Topic)
			}
			var refusal *mirror.TopicError
			stops := strings.HasPrefix(string(verb), "reverse") || verb == mirror.VerbPromote || verb == mirror.VerbFailover
			stopped := stops && strings.HasSuffix(r.Topic, string(mirror.StatusStopped))
			if errors.As(r.Err(), &refusal) {
				require.Equal(t, stopped, refusal.AlreadyStopped(), "%s of %s", verb, r.Topic)
			}
		}
		require.Equal(t, want, strings.Join(accepted, " "), verb)
	}
}

// A topic is restored only where the one on the other cluster is a stopped mirror.
func TestTruncateAndRestore_NeedsAStoppedCounterpart(t *testing.T) {
	p := mirrortest.NewPair(t, mirrortest.Options{})
	report, err := client(t, p.Remote).Validate(ctx, mirror.VerbTruncateAndRestore, p.Link(), mirror.Topics("topic-1"))
	require.ErrorContains(t, err, "topic-1: 400: The mirror of topic 'topic-1' on the other cluster has not stopped")
	require.Equal(t, mirror.VerbTruncateAndRestore, report.Verb)

	_, err = client(t, p.Local).Promote(ctx, p.Link(), mirror.Topics("topic-1"))
	require.NoError(t, err)
	report, err = client(t, p.Remote).Validate(ctx, mirror.VerbTruncateAndRestore, p.Link(), mirror.Topics("topic-1"))
	require.NoError(t, err)
	require.Zero(t, report.Truncation().Reported, "a promote loses nothing")
	require.Equal(t, mirror.VerbTruncateAndRestore, p.Journal()[2].Verb)
}

// A Config of every kind gets through to a pair that is made for it.
func TestOptions_ForAConfigOfTheUsers(t *testing.T) {
	for name, o := range map[string]mirrortest.Options{
		"no credential":        {NoCredential: true},
		"no path prefix":       {PathPrefix: "/"},
		"a path prefix":        {PathPrefix: "/a/b"},
		"TLS":                  {TLS: true},
		"all but a key, TLS":   {TLS: true, NoCredential: true, PathPrefix: "/"},
		"in memory, no prefix": {InMemory: true, PathPrefix: "/"},
	} {
		t.Run(name, func(t *testing.T) {
			p := mirrortest.NewPair(t, o)
			_, err := reverse(t, p.Local, "topic-1")
			require.NoError(t, err)
			require.Equal(t, o.TLS, strings.HasPrefix(p.Local.Endpoint, "https://"))
			wrong := p.Local.Config()
			wrong.PathPrefix, wrong.TLS, wrong.RetryFor = "/elsewhere", nil, -1
			m, err := mirror.NewClient(wrong)
			require.NoError(t, err)
			report, err := m.Pause(ctx, p.Link(), mirror.Topics("topic-2"))
			require.Error(t, err)
			require.Equal(t, []string{"topic-2"}, report.Topics(mirror.Untouched))
		})
	}
	_, err := mirrortest.Start(mirrortest.Options{TLS: true, InMemory: true})
	require.ErrorContains(t, err, "TLS does not go with InMemory")
}

// Only the source that the stopped mirror had is restored, not the other side.
func TestTruncateAndRestore_IsForTheOldSource(t *testing.T) {
	p := mirrortest.NewPair(t, mirrortest.Options{Topics: []mirrortest.Topic{{Name: "a"}}})
	a := mirror.Topics("a")
	_, err := client(t, p.Local).ReverseAndStart(ctx, p.Link(), a)
	require.NoError(t, err)
	_, err = client(t, p.Remote).Failover(ctx, p.Link(), a)
	require.NoError(t, err)
	_, err = client(t, p.Remote).Validate(ctx, mirror.VerbTruncateAndRestore, p.Link(), a)
	require.ErrorContains(t, err, "is not the source that the stopped mirror had")
	_, err = client(t, p.Local).Validate(ctx, mirror.VerbTruncateAndRestore, p.Link(), a)
	require.NoError(t, err)
}
