package mirror_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

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
