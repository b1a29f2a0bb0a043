package contract_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/contract"
)

// If it is not known which body was answered, rows are not held to its names.
func TestTransport_DoesNotGuessWhatWasAskedFor(t *testing.T) {
	for name, c := range map[string]struct {
		body  string
		again int // bytes of the body when it is sent again
		want  []string
	}{
		"sent again to its end": {
			`{"mirror_topic_names":["b"]}`, 100, found("violation topic-missing", "violation topic-unasked"),
		},
		"sent again in part": {`{"mirror_topic_names":["b"]}`, 5, found(requestUnchecked)},
		"more wrong than is counted": {
			`{"mirror_topic_names":["b",` + strings.Repeat("0,", 2000) + `0]}`, 9999, found(requestUnchecked, requestViolation),
		},
	} {
		t.Run(name, func(t *testing.T) {
			transport, findings := checking(t, roundTripper(func(r *http.Request) (*http.Response, error) {
				_, err := io.Copy(io.Discard, r.Body)
				require.NoError(t, err)
				again, err := r.GetBody()
				require.NoError(t, err)
				_, err = io.Copy(io.Discard, io.LimitReader(again, int64(c.again)))
				require.NoError(t, err)
				return answering(io.NopCloser(strings.NewReader(list(row("a"))))).RoundTrip(r)
			}), contract.Options{})
			resp, err := transport.RoundTrip(post(t, "http://127.0.0.1:1", strings.NewReader(c.body)))
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, resp.Body)
			require.NoError(t, err)
			require.Equal(t, c.want, distinct(*findings))
		})
	}
}

func TestTransport_JudgesARequestThatIsLost(t *testing.T) {
	lost := errors.New("lost")
	transport, findings := checking(t, roundTripper(func(r *http.Request) (*http.Response, error) {
		_, err := io.Copy(io.Discard, r.Body)
		return nil, errors.Join(lost, err)
	}), contract.Options{})
	r := post(t, "http://127.0.0.1:1", strings.NewReader(`{"mirror_topic_names":7}`))
	r.URL.RawQuery = "validate_only=1"
	_, err := transport.RoundTrip(r)
	require.ErrorIs(t, err, lost)
	require.Equal(t, found(requestNote, requestViolation), distinct(*findings))
	require.Len(t, *findings, 3)
	require.Zero(t, (*findings)[0].Status)

	transport, findings = checking(t, roundTripper(func(*http.Request) (*http.Response, error) { return nil, lost }),
		contract.Options{})
	_, err = transport.RoundTrip(post(t, "http://127.0.0.1:1", strings.NewReader(`{"mirror_topic_names":7}`)))
	require.ErrorIs(t, err, lost)
	require.Equal(t, found(requestUnchecked), distinct(*findings), "its body was not sent")
}

func TestTransport_NamesAnUndeclaredParameterUnlessItMayBeASecret(t *testing.T) {
	for query, want := range map[string]string{
		"dry_run=true":                        `the query parameter "dry_run" is not declared`,
		"x=&x=1":                              `the query parameter "x" is not declared`,
		secret:                                "a query parameter is not declared",
		secret + "=&" + secret + "=":          "a query parameter is not declared",
		strings.Repeat("x", 41) + "=1":        "a query parameter is not declared",
		"validate_only=true&validate_only=no": "the query parameter validate_only is there 2 times",
	} {
		x := good()
		x.target = reverse + "?" + query
		findings, _ := x.exchange(t, contract.Options{})
		require.Len(t, findings, 1)
		require.Equal(t, want, findings[0].Detail)
	}
}

// A server may answer before it has read the request, and the transport then stops sending.
func TestTransport_JudgesOnlyABodyThatWasSentToItsEnd(t *testing.T) {
	for _, c := range []struct {
		status            int
		mediaType, answer string
	}{
		{200, "application/json", list(row("a"))},
		{400, "application/json", `{"error_code":400}`},
		{429, "text/html", "<html>"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", c.mediaType)
			w.Header().Set("Connection", "close")
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.answer)
		}))
		transport, findings := checking(t, &http.Transport{}, contract.Options{})
		pipe, sending := io.Pipe()
		go func() { _, _ = io.WriteString(sending, `{"mirror_topic_names":["a"`) }() // and no more
		resp, err := transport.RoundTrip(post(t, server.URL, pipe))
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, found(requestUnchecked), distinct(*findings))
		require.NoError(t, sending.Close())
		server.Close()
	}
}

// A body that is still on its way when the answer begins is checked with the answer's body.
func TestTransport_JudgesALateBodyWithTheAnswer(t *testing.T) {
	pipe, sending := io.Pipe()
	base := roundTripper(func(r *http.Request) (*http.Response, error) {
		answer, answered := io.Pipe()
		go func() {
			_, err := io.Copy(io.Discard, r.Body)
			_ = answered.CloseWithError(errors.Join(err, io.EOF))
		}()
		return answering(answer).RoundTrip(r)
	})
	transport, findings := checking(t, base, contract.Options{})
	resp, err := transport.RoundTrip(post(t, "http://127.0.0.1:1", pipe))
	require.NoError(t, err)
	require.Empty(t, *findings)
	_, err = io.WriteString(sending, `{"mirror_topic_names":"a"}`)
	require.NoError(t, err)
	require.NoError(t, sending.Close())
	_, err = io.Copy(io.Discard, resp.Body)
	require.ErrorIs(t, err, io.EOF)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, found(requestNote, requestViolation, "violation syntax"), distinct(*findings))
}
