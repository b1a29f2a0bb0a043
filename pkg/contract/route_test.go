package contract_test

import (
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/contract"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// What mirrortest answers keeps to the contract, but for what real servers are known to send beyond
// it; and what the client sends keeps to it always.
func TestMirrortest_KeepsToTheContract(t *testing.T) {
	synctest.Test(t, keepsToTheContract) // in which all is one second
}

func keepsToTheContract(t *testing.T) {
	var topics []mirrortest.Topic
	for _, s := range []mirror.Status{mirror.StatusActive, mirror.StatusPaused, mirror.StatusStopped, "LINK_FAILED"} {
		topics = append(topics, mirrortest.Topic{Name: "t-" + string(s), Status: s})
	}
	topics = append(topics, mirrortest.Topic{Name: "bare", Partitions: []mirrortest.Partition{}})
	pair := mirrortest.NewPair(t, mirrortest.Options{InMemory: true, Topics: topics, Rate: mirrortest.Rate{PerServer: 11}})
	drifts := map[string]int{}
	statuses := map[int]bool{}
	seen := func(next http.RoundTripper) http.RoundTripper {
		checked := checkedBy(t, contract.Options{}, func(f contract.Finding) {
			if f.Status != http.StatusUnauthorized {
				require.Equal(t, contract.Drift, f.Severity, "%v", f)
				drifts[f.Detail]++
			}
		})(next)
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			resp, err := checked.RoundTrip(r)
			if err == nil {
				statuses[resp.StatusCode] = true
			}
			return resp, err
		})
	}
	call := func(c *mirrortest.Cluster, link string, s mirror.Selection, edits ...func(*mirror.Config)) {
		t.Helper()
		client := through(t, c, seen, edits...)
		_, _ = client.ReverseAndPause(t.Context(), link, s) // what came is checked on the way
	}
	everything := mirror.Topics("t-ACTIVE", "t-PAUSED", "t-STOPPED", "t-LINK_FAILED", "bare", "nowhere")
	call(pair.Local, pair.Link(), everything)
	call(pair.Local, pair.Link(), everything)
	call(pair.Remote, pair.Link(), everything)
	call(pair.Local, pair.Link(), mirror.All())
	call(pair.Local, pair.Link(), mirror.Prefix("nothing"))
	call(pair.Local, pair.Link(), mirror.Pattern("(?!x)y")) // 400
	call(pair.Local, pair.Link(), everything, func(c *mirror.Config) {
		c.Credential = mirror.APIKey("key", "wrong")
	}) // 401
	call(pair.Local, pair.Link(), everything, func(c *mirror.Config) {
		c.Credential = pair.Local.Forbidden()
	}) // 403
	call(pair.Local, "another", everything) // 404
	for _, do := range []mirrortest.Action{
		mirrortest.Error(500, 500, "x"), mirrortest.Error(503, 50003, "x"), mirrortest.Error(429, 42901, "x"),
	} {
		pair.Local.Inject(mirrortest.Fault{Do: do})
		call(pair.Local, pair.Link(), everything)
	}
	for range 9 {
		call(pair.Local, pair.Link(), mirror.Topics("bare")) // until the rate limiter has enough
	}
	require.Equal(t, map[int]bool{
		200: true, 400: true, 401: true, 403: true, 404: true, 429: true, 500: true, 503: true,
	}, statuses)
	require.Equal(t, map[string]int{
		"the status 403 is not declared": 1, "the status 404 is not declared": 1,
		`the status 429 is not declared with "application/json"`: 8,
	}, drifts, "this is beyond the contract, and nothing else")
}

// Each operation of the contract is checked, because it is there: a good exchange has no finding, and
// what is wrong with an answer is found.
func TestTransport_ChecksEveryVerb(t *testing.T) {
	for _, v := range verbs {
		t.Run(string(v), func(t *testing.T) {
			topic := mirrortest.Topic{Name: "a"}
			if v == mirror.VerbTruncateAndRestore {
				topic.Status, topic.Remote = mirror.StatusStopped, mirror.StatusStopped
			}
			pair := mirrortest.NewPair(t, mirrortest.Options{Topics: []mirrortest.Topic{topic}})
			var found []string
			client := through(t, pair.Local, checkedBy(t, contract.Options{Strict: true}, func(f contract.Finding) {
				found = append(found, f.Rule)
			}))
			_, err := client.Validate(t.Context(), v, pair.Link(), mirror.Topics("a"))
			require.NoError(t, err)
			require.Empty(t, found)

			for do, rules := range map[*mirrortest.Action][]string{
				new(mirrortest.Row(`{"mirror_topic_name":"a"}`)): {contract.RuleSchema},
				new(mirrortest.LeaveOut()):                       {contract.RuleMissing},
			} {
				found = nil
				pair.Local.Inject(mirrortest.Fault{Topic: "a", Do: *do})
				_, err = client.Validate(t.Context(), v, pair.Link(), mirror.Topics("a"))
				require.Error(t, err)
				require.Subset(t, found, rules)
			}
		})
	}
}

// Reads are checked too, because they are in the contract.
func TestTransport_ChecksReads(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{Link: "link-1", Topics: []mirrortest.Topic{{Name: "a"}, {Name: "b"}}})
	var found []string
	client := through(t, pair.Local, checkedBy(t, contract.Options{Strict: true}, func(f contract.Finding) {
		found = append(found, f.Rule+" "+f.Pointer)
	}))
	_, err := client.Mirrors(t.Context(), "link-1")
	require.NoError(t, err)
	_, err = client.Mirror(t.Context(), "link-1", "a")
	require.NoError(t, err)
	_, err = client.Link(t.Context(), "link-1")
	require.NoError(t, err)
	require.Empty(t, found, "what mirrortest answers keeps to the contract")

	mirrorRow := func(topic, more string) string {
		return `{` + meta + `,"link_name":"link-1","mirror_topic_name":"` + topic +
			`","source_topic_name":"a","num_partitions":1,` +
			`"mirror_status":"ACTIVE","state_time_ms":1,` + more + `}`
	}
	for answer, want := range map[string]string{
		list(mirrorRow("a", lags), mirrorRow("b", lags)): "",
		list(
			mirrorRow("a", lags), mirrorRow("a", lags),
		): "topic-twice /data/1/mirror_topic_name",
		list(mirrorRow(
			"a", `"mirror_lags":[{"partition":0,"lag":-2,"last_source_fetch_offset":1}]`,
		)): "lag /data/0/mirror_lags/0/lag",
		list(mirrorRow("a", `"mirror_lags":[{"partition":0,"lag":1,"last_source_fetch_offset":1},`+
			`{"partition":0,"lag":1,"last_source_fetch_offset":1}]`)): "partition /data/0/mirror_lags/1/partition",
		list(`{` + meta + `,"mirror_topic_name":"a"}`):    "schema /data/0/mirror_status",
		list(mirrorRow("a", lags+`,"state_time_ms":"x"`)): "duplicate-member /data/0/state_time_ms",
		list(mirrorRow("a", `"mirror_lags":[{"partition":7,"lag":1,"last_source_fetch_offset":1}]`)): "partition " +
			"/data/0/mirror_lags/0/partition",
	} {
		found = nil
		pair.Local.Inject(mirrortest.Fault{
			Reads: true, Do: mirrortest.Answer(200, answer, "Content-Type", "application/json"),
		})
		_, _ = client.Mirrors(t.Context(), "link-1")
		if want == "" {
			require.Empty(t, found)
		} else {
			require.Contains(t, found, want)
		}
	}
	found = nil
	another := mirrorRow("b", lags)
	pair.Local.Inject(mirrortest.Fault{
		Reads: true, Do: mirrortest.Answer(200, another, "Content-Type", "application/json"),
	})
	_, err = client.Mirror(t.Context(), "link-1", "a")
	require.Error(t, err)
	require.Equal(t, []string{"topic-unasked /mirror_topic_name", "topic-missing "}, found)
}
