package contract_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/contract"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func TestTransport_ChangesNoByte(t *testing.T) {
	body := strings.Repeat(" ", 5000) + `{"mirror_topic_names":["a"]}` + strings.Repeat("\n", 5000)
	answer := list(row("a")) + strings.Repeat(" ", 70000)
	var sent, received bytes.Buffer
	var found []contract.Finding
	base := roundTripper(func(r *http.Request) (*http.Response, error) {
		_, err := sent.ReadFrom(r.Body)
		require.NoError(t, err)
		require.Equal(t, "Bearer "+secret, r.Header.Get("Authorization"))
		return &http.Response{
			StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(strings.NewReader(answer)),
		}, nil
	})
	for _, limit := range []int{0, 100} {
		sent.Reset()
		received.Reset()
		found = nil
		transport, err := contract.NewTransport(base,
			func(f contract.Finding) { found = append(found, f) }, contract.Options{MaxBody: limit})
		require.NoError(t, err)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
			"http://h/x/v3/clusters/lkc-local/links/link-1/mirrors:reverse-and-pause-mirror?validate_only=true",
			strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+secret)
		resp, err := transport.RoundTrip(r)
		require.NoError(t, err)
		_, err = received.ReadFrom(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, body, sent.String())
		require.Equal(t, answer, received.String())
		if limit == 0 {
			require.Empty(t, found)
		} else {
			require.Len(t, found, 2, "neither body is kept")
			for _, f := range found {
				require.Equal(t, contract.RuleUnchecked, f.Rule)
				require.Equal(t, contract.Note, f.Severity)
			}
		}
	}
}

func TestTransport_WhatItDoesNotCheck(t *testing.T) {
	var found []contract.Finding
	transport, err := contract.NewTransport(roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(strings.NewReader(list(row("a")))),
		}, nil
	}), func(f contract.Finding) { found = append(found, f) }, contract.Options{})
	require.NoError(t, err)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://h/kafka/v3/clusters/c/topics", nil)
	require.NoError(t, err)
	_, err = transport.RoundTrip(r)
	require.NoError(t, err)
	require.Empty(t, found, "another operation is none of its business")

	r, err = http.NewRequestWithContext(t.Context(), http.MethodPost,
		"http://h/kafka/v3/clusters/c/links/l/mirrors:reverse-and-pause-mirror?validate_only=maybe",
		strings.NewReader(`{"mirror_topic_names":"a"}`))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	resp, err := transport.RoundTrip(r)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	var rules []string
	for _, f := range found {
		rules = append(rules, fmt.Sprint(f.Request, " ", f.Rule))
	}
	require.Contains(t, rules, "true request", "%v", found)
	require.Contains(t, rules, "false unchecked", "the body was closed before its end")

	_, err = contract.NewTransport(nil, nil, contract.Options{})
	require.ErrorContains(t, err, "nothing to call")
}

func TestTransport_PassesOnErrorsAndTraces(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{})
	pair.Local.Inject(mirrortest.Fault{AfterApply: true, Do: mirrortest.Cut(0)})
	client := through(t, pair.Local, tested(t))
	report, err := client.ReverseAndPause(t.Context(), pair.Link(), mirror.Topics("topic-1"))
	require.ErrorIs(t, err, mirror.ErrOutcomeUnknown)
	require.Equal(t, []string{"topic-1"}, report.Topics(mirror.Unknown), "the trace comes through: the request was sent")

	require.NoError(t, pair.Close())
	report, err = client.ReverseAndPause(t.Context(), pair.Link(), mirror.Topics("topic-2"))
	require.Error(t, err)
	require.Equal(t, []string{"topic-2"}, report.Topics(mirror.Untouched), "and so does what was not sent")
}

func TestTransport_IsSafeForConcurrentUse(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{})
	client := through(t, pair.Local, tested(t, contract.Strictly()))
	var all sync.WaitGroup
	for range 128 {
		all.Go(func() { _, _ = client.Validate(t.Context(), mirror.VerbReverseAndPause, pair.Link(), mirror.All()) })
	}
	all.Wait()
	require.Len(t, pair.Requests(), 128)
}

var _ http.RoundTripper = (*contract.Transport)(nil)

// The callback may use the transport, and may end its goroutine.
func TestTransport_CallbackMayUseIt(t *testing.T) {
	var transport *contract.Transport
	var rules []string
	running := false
	send := func() {
		resp, err := transport.RoundTrip(post(t, "http://127.0.0.1:1", http.NoBody))
		require.NoError(t, err)
		require.NotNil(t, resp)
	}
	transport, err := contract.NewTransport(answering(nil), func(f contract.Finding) {
		require.False(t, running, "it is called once at a time")
		running = true
		defer func() { running = false }()
		rules = append(rules, f.Rule)
		if len(rules) == 1 {
			send()
			runtime.Goexit()
		}
	}, contract.Options{})
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		send()
	}()
	<-done
	send()
	require.Equal(t, []string{"request", "request", "syntax", "request", "syntax"}, rules)
}

func TestTransport_TakesWhatFakesAnswer(t *testing.T) {
	for _, body := range []io.ReadCloser{nil, http.NoBody} {
		transport, findings := checking(t, answering(body), contract.Options{})
		resp, err := transport.RoundTrip(post(t, "http://127.0.0.1:1", http.NoBody))
		require.NoError(t, err)
		require.Equal(t, body, resp.Body)
		require.Equal(t, found(requestNote, "violation syntax"), distinct(*findings))
	}
	transport, findings := checking(t, roundTripper(func(*http.Request) (*http.Response, error) {
		return nil, nil //nolint:nilnil // as a fake may
	}), contract.Options{})
	resp, err := transport.RoundTrip(post(t, "http://127.0.0.1:1", http.NoBody))
	require.NoError(t, err)
	require.Nil(t, resp)
	require.Equal(t, found(requestNote), distinct(*findings))
}
