package mirror_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// received is a request as the server saw it.
type received struct {
	method, uri string // the uri as it stood on the wire
	header      http.Header
	body        string
}

// wire is a server on loopback that notes every request, applied or not, and answers as told.
type wire struct {
	*httptest.Server

	mu       sync.Mutex
	requests []received
}

func serve(t *testing.T, answer http.HandlerFunc) *wire {
	t.Helper()
	w := &wire{}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		w.mu.Lock()
		w.requests = append(w.requests, received{r.Method, r.RequestURI, r.Header.Clone(), string(body)})
		w.mu.Unlock()
		if err == nil {
			answer(rw, r)
		}
	}))
	t.Cleanup(w.Close)
	return w
}

func (w *wire) seen() []received {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.requests
}

func (w *wire) config() mirror.Config {
	return mirror.Config{Endpoint: w.URL, ClusterID: "lkc-1", Credential: mirror.APIKey("key", canary)}
}

func (w *wire) client(t *testing.T) *mirror.Client {
	t.Helper()
	return newClient(t, w.config())
}

func newClient(t *testing.T, cfg mirror.Config) *mirror.Client {
	t.Helper()
	c, err := mirror.NewClient(cfg)
	require.NoError(t, err)
	return c
}

// canary is the secret of every test's credential; it must come up in the Authorization header
// and nowhere else.
const canary = "c4n4ry-s3cr3t"

// status answers with a status, a content type and a body.
func status(code int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		if contentType != "" {
			w.Header().Set("Content-Type", contentType)
		}
		w.WriteHeader(code)
		io.WriteString(w, body)
	}
}

func ok(body string) http.HandlerFunc { return status(http.StatusOK, "application/json", body) }

// rows wraps rows into an answer.
func rows(row ...string) string {
	return `{"kind":"K","metadata":{"self":"s"},"data":[` + strings.Join(row, ",") + `]}`
}

// good is a row of success.
func good(topic string) string {
	return `{"kind":"K","metadata":{"self":"s"},"mirror_topic_name":"` + topic + `","error_code":null,"error_message":null,` +
		`"mirror_lags":[{"partition":0,"lag":0,"last_source_fetch_offset":5}],"messages_truncated":-1,"partition_level_truncation_data":[]}`
}

// cutOff breaks the connection without an answer.
func cutOff(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// outcomes lists the report's topics and outcomes: "a accepted, b failed".
func outcomes(r *mirror.Report) string {
	var parts []string
	for _, res := range r.Results {
		parts = append(parts, res.Topic+" "+res.Outcome.String())
	}
	return strings.Join(parts, ", ")
}

// reverse asks for the topics on a link called link.
func reverse(t *testing.T, c *mirror.Client, topics ...string) (*mirror.Report, error) {
	t.Helper()
	report, err := c.ReverseAndPause(context.Background(), "link", mirror.Topics(topics...))
	requireSound(t, report, err, topics)
	return report, err
}

// requireSound holds a call by name to what is true of every such call.
func requireSound(t *testing.T, report *mirror.Report, err error, topics []string) {
	t.Helper()
	require.NotNil(t, report)
	var names []string
	accepted := true
	for _, r := range report.Results {
		names = append(names, r.Topic)
		accepted = accepted && r.Outcome == mirror.Accepted
		require.Equal(t, r.Outcome == mirror.Accepted, r.Err() == nil, "%s has a reason exactly if it is not accepted", r.Topic)
	}
	require.Equal(t, topics, names, "each topic has one result, in the order asked")
	if err == nil {
		require.True(t, accepted && report.Complete && report.UnexpectedCount == 0 && report.Next == "", "a nil error promises all of it")
		return
	}
	var incomplete *mirror.IncompleteError
	require.ErrorAs(t, err, &incomplete)
	require.Same(t, report, incomplete.Report)
	require.NotEmpty(t, incomplete.Unwrap())
	require.Equal(t, report.Count(mirror.Unknown) > 0, errors.Is(err, mirror.ErrOutcomeUnknown))
	require.NotContains(t, err.Error(), canary)
	require.NotContains(t, err.Error(), "\n")
}
