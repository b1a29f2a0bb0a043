package mirror_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// wire is a pair of clusters whose local cluster gives every request that changes something the same answer.
type wire struct{ *mirrortest.Pair }

func serve(t testing.TB, do mirrortest.Action) wire {
	t.Helper()
	w := wire{mirrortest.NewPair(t, mirrortest.Options{Link: "link", InMemory: true})}
	w.Local.AcceptToken(canary, "")
	w.Local.Inject(mirrortest.Fault{Every: true, Do: do})
	return w
}

// serveReads is a pair of clusters whose local cluster gives every request that reads the same answer.
func serveReads(t testing.TB, do mirrortest.Action) wire {
	t.Helper()
	w := serve(t, ok(""))
	w.Local.Inject(mirrortest.Fault{Reads: true, Every: true, Do: do})
	return w
}

func (w wire) config() mirror.Config {
	cfg := w.Local.Config()
	cfg.RetryFor = -1
	cfg.Credential = mirror.BearerToken(func(context.Context) (string, error) { return canary, nil }, "")
	return cfg
}

func (w wire) client(t testing.TB) *mirror.Client {
	t.Helper()
	return newClient(t, w.config())
}

// roundTripper makes a transport of a function.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answering is a transport that takes each request and answers with a 200 and the body, without a network.
func answering(body string) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.Body != nil {
			_, _ = io.Copy(io.Discard, r.Body)
		}
		return &http.Response{
			StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(strings.NewReader(body)), Request: r,
		}, nil
	})
}

// offline is a Config of a client whose requests go to the transport and no further.
func offline(transport http.RoundTripper) mirror.Config {
	return mirror.Config{
		Endpoint: "http://127.0.0.1:1", ClusterID: "lkc-local", Credential: mirror.NoCredential(), RetryFor: -1,
		Transport: transport,
	}
}

// failed is a row of refusal.
func failed(topic, code, message string) string {
	return `{"mirror_topic_name":"` + topic + `","error_code":` + code + `,"error_message":"` + message + `"}`
}

// outcomes lists the report's topics and outcomes: "a accepted, b failed".
func outcomes(r *mirror.Report) string {
	var parts []string
	for _, res := range r.Results {
		parts = append(parts, res.Topic+" "+res.Outcome.String())
	}
	return strings.Join(parts, ", ")
}

// reverse asks for the topics on a link called link.
func reverse(t testing.TB, c *mirror.Client, topics ...string) (*mirror.Report, error) {
	t.Helper()
	return reverseOn(t, c, "link", topics...)
}

func reverseOn(t testing.TB, c *mirror.Client, link string, topics ...string) (*mirror.Report, error) {
	t.Helper()
	report, err := c.ReverseAndPause(t.Context(), link, mirror.Topics(topics...))
	requireSound(t, report, err, topics)
	return report, err
}

// topicFor is a topic that a verb can be done to.
func topicFor(v mirror.Verb, name string) mirrortest.Topic {
	topic := mirrortest.Topic{Name: name}
	switch v {
	case mirror.VerbResume:
		topic.Status = mirror.StatusPaused
	case mirror.VerbTruncateAndRestore:
		topic.Status, topic.Remote = mirror.StatusStopped, mirror.StatusStopped
	}
	return topic
}

// allVerbs are the verbs that the library has.
var allVerbs = []mirror.Verb{
	mirror.VerbReverseAndPause, mirror.VerbReverseAndStart, mirror.VerbPromote, mirror.VerbFailover, mirror.VerbPause,
	mirror.VerbResume, mirror.VerbTruncateAndRestore,
}

// planFor is a plan that allows to truncate the topics.
func planFor(link string, topics ...string) *mirror.Report {
	plan := &mirror.Report{Verb: mirror.VerbTruncateAndRestore, DryRun: true, ClusterID: "lkc-local", Link: link}
	for _, name := range topics {
		plan.Results = append(plan.Results, mirror.Result{Topic: name, Outcome: mirror.Accepted, MessagesTruncated: 5})
	}
	return plan
}

// call calls a verb, with a plan if it needs one.
func call(ctx context.Context, c *mirror.Client, v mirror.Verb, link string, topics ...string) (*mirror.Report, error) {
	if v == mirror.VerbTruncateAndRestore {
		return c.TruncateAndRestore(ctx, planFor(link, topics...), 10)
	}
	return c.Do(ctx, v, link, mirror.Topics(topics...))
}

// table is the report as a table.
func table(t testing.TB, r *mirror.Report) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, r.Table(&b))
	return b.String()
}

// logged is a value in a log record.
func logged(v any) string {
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
	return log.String()
}

func marshal(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return string(text)
}

// readBack writes a report as JSON and reads it.
func readBack(t testing.TB, r *mirror.Report) *mirror.Report {
	t.Helper()
	var back mirror.Report
	require.NoError(t, json.Unmarshal([]byte(marshal(t, r)), &back))
	return &back
}

var update = flag.Bool("update", false, "write the golden files anew")

// golden holds a text to a file in testdata.
func golden(t testing.TB, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, strings.ReplaceAll(string(want), "\r\n", "\n"), got)
}

func textLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// responding is a transport that takes each request and gives it the same response, without a network.
func responding(code int, contentType, body string, header ...string) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.Body != nil {
			_, _ = io.Copy(io.Discard, r.Body)
		}
		h := http.Header{"Content-Type": {contentType}}
		for i := 0; i < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return &http.Response{StatusCode: code, Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	})
}

// inTurn gives each request the next transport's response, and the last one's for ever.
func inTurn(transports ...http.RoundTripper) http.RoundTripper {
	n := 0
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		n++
		return transports[min(n, len(transports))-1].RoundTrip(r)
	})
}

// canary is the secret of every test's credential. It must come up in the Authorization header and nowhere else.
const canary = "c4n4ry-s3cr3t"

// causes are the causes of a call's error.
func causes(err error) []error {
	var incomplete *mirror.IncompleteError
	if errors.As(err, &incomplete) {
		return incomplete.Unwrap()
	}
	return nil
}

func newClient(t testing.TB, cfg mirror.Config) *mirror.Client {
	t.Helper()
	c, err := mirror.NewClient(cfg)
	require.NoError(t, err)
	return c
}

// requireSound holds a call by name to what is true of every such call.
func requireSound(t testing.TB, report *mirror.Report, err error, topics []string) {
	t.Helper()
	require.NotNil(t, report)
	var names []string
	for _, r := range report.Results {
		names = append(names, r.Topic)
		require.Equal(t, r.Outcome == mirror.Accepted, r.Err() == nil)
		require.Equal(t, r.Outcome == mirror.Unknown || r.Outcome == mirror.Untouched, r.Why != "",
			"%s is %v, and Why is %q", r.Topic, r.Outcome, r.Why)
	}
	require.Equal(t, topics, names, "each topic has one result, in the order asked")
	require.Equal(t, err == nil, report.Err() == nil, "the report's own error is the call's")
	if err == nil {
		require.Equal(t, len(topics), report.Count(mirror.Accepted), "a nil error promises all of them")
		require.Empty(t, report.Unexpected)
		require.Empty(t, report.Problems)
		return
	}
	var incomplete *mirror.IncompleteError
	require.ErrorAs(t, err, &incomplete)
	require.Same(t, report, incomplete.Report)
	require.NotEmpty(t, incomplete.Unwrap())
	require.EqualError(t, report.Err(), err.Error())
	require.Equal(t, report.Count(mirror.Unknown) > 0, errors.Is(err, mirror.ErrOutcomeUnknown))
	require.NotContains(t, err.Error(), canary)
	require.NotContains(t, err.Error(), "\n")
}

// status answers with a status, a content type ("" for none), a body, and other headers.
func status(code int, contentType, body string, header ...string) mirrortest.Action {
	if contentType != "" {
		header = append(header, "Content-Type", contentType)
	}
	return mirrortest.Answer(code, body, header...)
}

func ok(body string) mirrortest.Action { return status(http.StatusOK, "application/json", body) }

// silent sends nothing, and keeps the connection until the other side closes it.
func silent() mirrortest.Action {
	return mirrortest.Handle(func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	})
}

// rows puts rows into an answer.
func rows(row ...string) string {
	return `{"kind":"K","metadata":{"self":"s"},"data":[` + strings.Join(row, ",") + `]}`
}

// good is a row of success.
func good(topic string) string {
	return `{"kind":"K","metadata":{"self":"s"},"mirror_topic_name":"` + topic + `",` +
		`"error_code":null,"error_message":null,` +
		`"mirror_lags":[{"partition":0,"lag":0,"last_source_fetch_offset":5}],` +
		`"messages_truncated":-1,"partition_level_truncation_data":[]}`
}

// manyTopics are n names.
func manyTopics(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("t%04d", i)
	}
	return names
}
