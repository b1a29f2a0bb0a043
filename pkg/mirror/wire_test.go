package mirror_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// wire is a pair of clusters whose local one gives every request the same answer.
type wire struct{ *mirrortest.Pair }

func serve(t *testing.T, do mirrortest.Action) wire {
	t.Helper()
	w := wire{mirrortest.NewPair(t, mirrortest.Options{Link: "link"})}
	w.Local.AcceptToken(canary, "")
	w.Local.Inject(mirrortest.Fault{Every: true, Do: do})
	return w
}

func (w wire) config() mirror.Config {
	cfg := w.Local.Config()
	cfg.RetryFor = -1
	cfg.Credential = mirror.BearerToken(func(context.Context) (string, error) { return canary, nil }, "")
	return cfg
}

func (w wire) client(t *testing.T) *mirror.Client {
	t.Helper()
	return newClient(t, w.config())
}

func newClient(t *testing.T, cfg mirror.Config) *mirror.Client {
	t.Helper()
	c, err := mirror.NewClient(cfg)
	require.NoError(t, err)
	return c
}

// received is a request as it was on the wire, credential and all.
type received struct {
	method, uri, path, body string // the uri as it stood there, the path as a server reads it
	header                  http.Header
}

// record is a server that accepts the topic a for whatever path and credential, and notes what came.
func record(t *testing.T) (endpoint string, requests *[]received) {
	t.Helper()
	requests = &[]received{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		*requests = append(*requests, received{r.Method, r.RequestURI, r.URL.Path, string(body), r.Header.Clone()})
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, rows(good("a")))
	}))
	t.Cleanup(server.Close)
	return server.URL, requests
}

// canary is the secret of every test's credential; it must come up in the Authorization header
// and nowhere else.
const canary = "c4n4ry-s3cr3t"

// status answers with a status, a content type ("" for none), a body, and other headers.
func status(code int, contentType, body string, header ...string) mirrortest.Action {
	if contentType != "" {
		header = append(header, "Content-Type", contentType)
	}
	return mirrortest.Answer(code, body, header...)
}

func ok(body string) mirrortest.Action { return status(http.StatusOK, "application/json", body) }

// after acts on the next request after the change was applied.
func after(do mirrortest.Action) []mirrortest.Fault {
	return []mirrortest.Fault{{AfterApply: true, Do: do}}
}

// silent sends nothing and keeps the connection until the other side closes it.
func silent() mirrortest.Action {
	return mirrortest.Handle(func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	})
}

// raw puts the bytes on the wire as they are, status line and all, and ends the connection.
func raw(bytes string) mirrortest.Action {
	return mirrortest.Handle(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		conn.SetWriteDeadline(time.Now().Add(time.Minute))
		io.WriteString(conn, bytes)
	})
}

// drip sends the proper answer n bytes at a time, and waits after each piece.
func drip(n int, wait time.Duration) mirrortest.Action {
	return mirrortest.Handle(func(w http.ResponseWriter, r *http.Request, proper http.Handler) {
		whole := httptest.NewRecorder()
		proper.ServeHTTP(whole, r)
		maps.Copy(w.Header(), whole.Header())
		for piece := range slices.Chunk(whole.Body.Bytes(), n) {
			w.Write(piece)
			http.NewResponseController(w).Flush()
			select {
			case <-time.After(wait):
			case <-r.Context().Done():
				return
			}
		}
	})
}

// rows wraps rows into an answer.
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
	return reverseOn(t, c, "link", topics...)
}

func reverseOn(t *testing.T, c *mirror.Client, link string, topics ...string) (*mirror.Report, error) {
	t.Helper()
	report, err := c.ReverseAndPause(context.Background(), link, mirror.Topics(topics...))
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
		require.Equal(t, r.Outcome == mirror.Accepted, r.Err() == nil,
			"%s has a reason exactly if it is not accepted", r.Topic)
	}
	require.Equal(t, topics, names, "each topic has one result, in the order asked")
	if err == nil {
		require.True(t, accepted && report.Complete && report.UnexpectedCount == 0 && report.Next == "",
			"a nil error promises all of it")
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

// table is the report as a table.
func table(t *testing.T, r *mirror.Report) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, r.Table(&b))
	return b.String()
}

// logged is the report as a log record has it.
func logged(r *mirror.Report) string {
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).Info("done", "report", r)
	return b.String()
}
