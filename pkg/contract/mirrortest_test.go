package contract_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirror/mirrortest"
)

// exchanges is a transport that checks each exchange against the contract, and lists those that it
// does not declare.
type exchanges struct {
	t        *testing.T
	declared map[string]int
	beyond   map[string]int
}

func (e *exchanges) RoundTrip(r *http.Request) (*http.Response, error) {
	sent, err := io.ReadAll(r.Body)
	require.NoError(e.t, err)
	r.Body = io.NopCloser(bytes.NewReader(sent))
	resp, err := http.DefaultTransport.RoundTrip(r)
	require.NoError(e.t, err)
	answer, err := io.ReadAll(resp.Body)
	require.NoError(e.t, err)
	require.NoError(e.t, resp.Body.Close())
	resp.Body = io.NopCloser(bytes.NewReader(answer))

	doc := document(e.t)
	r.Body = io.NopCloser(bytes.NewReader(sent))
	segments := strings.Split(r.URL.Path, "/")
	input := &openapi3filter.RequestValidationInput{
		Request:     r,
		PathParams:  map[string]string{"cluster_id": segments[4], "link_name": segments[6]},
		QueryParams: r.URL.Query(),
		Route:       &routers.Route{Spec: doc, Path: path, PathItem: doc.Paths.Find(path), Method: r.Method, Operation: doc.Paths.Find(path).Post},
		Options:     &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true},
	}
	require.NoError(e.t, openapi3filter.ValidateRequest(r.Context(), input))

	mediaType, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	key := fmt.Sprint(resp.StatusCode, " ", mediaType)
	responses := input.Route.Operation.Responses
	response := responses.Status(resp.StatusCode)
	if response == nil || response.Value.Content[mediaType] == nil {
		e.beyond[key]++
		return resp, nil
	}
	e.declared[key]++
	if mediaType == "text/html" {
		return resp, nil // any text is a string, and there is no decoder for it
	}
	require.NoError(e.t, openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: resp.StatusCode, Header: resp.Header,
		Body: io.NopCloser(bytes.NewReader(answer)), Options: input.Options,
	}), string(answer))
	return resp, nil
}

// What mirrortest answers keeps to the contract, but for what real servers are known to send beyond
// it; and what the client sends keeps to it always.
func TestMirrortest_KeepsToTheContract(t *testing.T) {
	var topics []mirrortest.Topic
	for _, s := range []mirrortest.Status{mirrortest.Active, mirrortest.Paused, mirrortest.Stopped, "LINK_FAILED"} {
		topics = append(topics, mirrortest.Topic{Name: "t-" + string(s), Status: s})
	}
	topics = append(topics, mirrortest.Topic{Name: "bare", Partitions: []mirrortest.Partition{}})
	pair := mirrortest.NewPair(t, mirrortest.Options{Topics: topics, Rate: mirrortest.Rate{PerSecond: 1e-9, Burst: 8}})
	seen := &exchanges{t: t, declared: map[string]int{}, beyond: map[string]int{}}
	call := func(c *mirrortest.Cluster, link string, s mirror.Selection, edit func(*mirror.Config)) {
		t.Helper()
		cfg := c.Config()
		cfg.HTTPClient = &http.Client{Transport: seen}
		if edit != nil {
			edit(&cfg)
		}
		client, err := mirror.NewClient(cfg)
		require.NoError(t, err)
		_, _ = client.ReverseAndPause(t.Context(), link, s) // what came is checked on the way
	}
	everything := mirror.Topics("t-ACTIVE", "t-PAUSED", "t-STOPPED", "t-LINK_FAILED", "bare", "nowhere")
	call(pair.Local, pair.Link(), everything, nil)
	call(pair.Local, pair.Link(), everything, nil)
	call(pair.Remote, pair.Link(), everything, nil)
	call(pair.Local, pair.Link(), mirror.All(), nil)
	call(pair.Local, pair.Link(), mirror.Prefix("nothing"), nil)
	call(pair.Local, pair.Link(), mirror.Pattern("(?!x)y"), nil)                                                       // 400
	call(pair.Local, pair.Link(), everything, func(c *mirror.Config) { c.Credential = mirror.APIKey("key", "wrong") }) // 401
	call(pair.Local, pair.Link(), everything, func(c *mirror.Config) { c.Credential = pair.Local.Forbidden() })        // 403
	call(pair.Local, "another", everything, nil)                                                                       // 404
	for _, do := range []mirrortest.Action{mirrortest.Error(500, 500, "x"), mirrortest.Error(503, 50003, "x"), mirrortest.Error(429, 42901, "x")} {
		pair.Local.Inject(mirrortest.Fault{Do: do})
		call(pair.Local, pair.Link(), everything, nil)
	}
	for range 9 {
		call(pair.Local, pair.Link(), mirror.Topics("bare"), nil) // until the filter has enough
	}
	for _, want := range []string{"200 application/json", "400 application/json", "401 application/json", "429 text/html", "500 application/json", "503 application/json"} {
		require.Positive(t, seen.declared[want], want)
	}
	require.Len(t, seen.declared, 6)
	require.Equal(t, map[string]int{"403 application/json": 1, "404 application/json": 1, "429 application/json": 1}, seen.beyond)
}
