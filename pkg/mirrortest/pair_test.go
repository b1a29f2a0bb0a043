package mirrortest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
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
	resp, err := c.Config().Transport.RoundTrip(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(text)
}

// row is a row of a list of mirror topics.
type row struct {
	Link       string              `json:"link_name"`
	Topic      string              `json:"mirror_topic_name"`
	Status     mirror.Status       `json:"mirror_status"`
	Since      int64               `json:"state_time_ms"`
	Partitions int                 `json:"num_partitions"`
	Lags       []lag               `json:"mirror_lags"`
	Reasons    []mirrortest.Reason `json:"mirror_state_transition_errors"`
}

type lag struct {
	Lag    int64
	Offset int64 `json:"last_source_fetch_offset"`
}

func (r row) String() string { return r.Topic + " " + string(r.Status) }

// listed reads the list of mirror topics under a link.
func listed(t testing.TB, c *mirrortest.Cluster, link string, header ...string) ([]row, http.Header) {
	t.Helper()
	resp, body := raw(t, c, "GET", "/kafka/v3/clusters/"+c.ID+"/links/"+link+"/mirrors", "", header...)
	require.Equal(t, http.StatusOK, resp.StatusCode, body)
	var all struct{ Data []row }
	require.NoError(t, json.Unmarshal([]byte(body), &all))
	return all.Data, resp.Header
}

// list is the path of the list of mirror topics on the local cluster.
const list = "/kafka/v3/clusters/lkc-local/links/dr-link/mirrors"

func path(c *mirrortest.Cluster) string {
	return "/kafka/v3/clusters/" + c.ID + "/links/dr-link/mirrors:reverse-and-pause-mirror"
}

func TestClose_LeavesNothingRunning(t *testing.T) {
	p := mirrortest.NewPair(t, mirrortest.Options{})
	p.Local.Inject(mirrortest.Fault{Every: true, Do: hang()})
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { _, _ = client(t, p.Local).ReverseAndPause(ctx, "dr-link", mirror.Topics("topic-1")) })
	}
	for len(p.Requests()) < 50 {
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
		p := mirrortest.NewPair(t, mirrortest.Options{Seed: seed, InMemory: true})
		_, body := raw(t, p.Local, "POST", path(p.Local), `{"mirror_topic_name_pattern":".*"}`)
		return body
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
	require.Len(t, p.Requests(), 50)
}

// A Config of every kind gets through to a pair that is made for it.
func TestOptions_ForAConfigOfTheUsers(t *testing.T) {
	for name, o := range map[string]mirrortest.Options{
		"no credential":        {NoCredential: true},
		"no path prefix":       {PathPrefix: "/"},
		"a path prefix":        {PathPrefix: "/a/b"},
		"neither":              {NoCredential: true, PathPrefix: "/"},
		"in memory, no prefix": {InMemory: true, PathPrefix: "/"},
	} {
		t.Run(name, func(t *testing.T) {
			p := mirrortest.NewPair(t, o)
			_, err := reverse(t, p.Local, "topic-1")
			require.NoError(t, err)
			wrong := p.Local.Config()
			wrong.PathPrefix, wrong.Transport, wrong.RetryFor = "/elsewhere", nil, -1
			m, err := mirror.NewClient(wrong)
			require.NoError(t, err)
			report, err := m.Pause(ctx, p.Link(), mirror.Topics("topic-2"))
			require.Error(t, err)
			require.Equal(t, []string{"topic-2"}, report.Topics(mirror.Untouched))
		})
	}
}

func TestCluster_IsAHandlerForATLSServer(t *testing.T) {
	p := mirrortest.NewPair(t, mirrortest.Options{})
	s := httptest.NewTLSServer(p.Local)
	defer s.Close()
	cfg := p.Local.Config()
	cfg.Endpoint, cfg.Transport = s.URL, s.Client().Transport
	m, err := mirror.NewClient(cfg)
	require.NoError(t, err)
	_, err = m.Pause(ctx, p.Link(), mirror.Topics("topic-1"))
	require.NoError(t, err)
	require.Equal(t, 1, p.Local.Applied("topic-1"))
}
