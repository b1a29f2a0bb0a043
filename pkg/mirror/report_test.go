package mirror_test

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// sample is a report with something in every field.
func sample() *mirror.Report {
	at := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
	send := func(unknown, settled bool) []mirror.Send {
		return []mirror.Send{{Run: "RUN-1", Batch: 0, Unknown: unknown, Settled: settled}}
	}
	return &mirror.Report{
		Verb: mirror.VerbReverseAndPause, ClusterID: "lkc-1", Link: "dr-link",
		Results: []mirror.Result{
			{
				Topic: "fine", Outcome: mirror.Accepted, MessagesTruncated: -1, Sends: send(false, false), Notes: []string{"odd"},
				Lags: []mirror.PartitionLag{
					{Partition: 1, Lag: 7, LastSourceFetchOffset: 9}, {Partition: -1, Lag: -1, LastSourceFetchOffset: -1},
				},
			},
			{
				Topic: "stopped", Outcome: mirror.Failed, Code: 400, MessagesTruncated: 3, Sends: send(false, false),
				Message:     "Topic 'stopped' has already stopped its mirror from 'dr-link'",
				Truncations: []mirror.PartitionTruncation{{Partition: 0, OffsetTruncatedTo: 5, MessagesTruncated: 2}},
			},
			{Topic: "lost", Outcome: mirror.Unknown, Why: "no response came", MessagesTruncated: -1, Sends: send(true, false)},
			{
				Topic: "seen", Outcome: mirror.Accepted, MessagesTruncated: -1, Sends: send(true, true),
				Settled: "STOPPED here, PAUSED there", Done: true,
			},
			{Topic: "left", Outcome: mirror.Untouched, Why: "not sent: batch 1 of 2 ended the run", MessagesTruncated: -1},
		},
		Unexpected: []mirror.Result{
			{Outcome: mirror.Unknown, Why: "the row has neither", MessagesTruncated: -1, Notes: []string{"no topic name"}},
		},
		Problems: []string{"the recorder failed after batch 1 of 2: disk full"},
		Attempts: []mirror.Attempt{
			{
				Run: "RUN-1", Number: 1, Topics: 4, Start: at, Duration: time.Second, HTTPStatus: 429, Date: at, RateLimited: true,
				Code: 42901, Message: "slow down", RequestID: "req-1", Error: "HTTP 429 Too Many Requests",
			},
			{Run: "RUN-1", Number: 2, Topics: 4, Start: at.Add(2 * time.Second), Duration: 3, HTTPStatus: 401, Assumed: true},
		},
	}
}

func TestReport_ItsMethods(t *testing.T) {
	r := sample()
	require.Equal(t, []string{"fine", "seen"}, r.Topics(mirror.Accepted), "in the order of Results")
	require.Equal(t, 2, r.Count(mirror.Accepted))
	require.Nil(t, (&mirror.Report{}).Topics(mirror.Accepted))
	res, found := r.Result("lost")
	require.True(t, found)
	require.Equal(t, r.Results[2], res)
	_, found = r.Result("nowhere")
	require.False(t, found)
	require.Equal(t, []string{"new", "left"}, r.Remaining("new", "left", "lost", "stopped", "fine"))
	lost := mirror.Report{Lost: true}
	require.Empty(t, lost.Remaining("new"), "a call by pattern may have changed any of them")
}

func TestReport_LagTiesGoToTheFirst(t *testing.T) {
	lags := []mirror.PartitionLag{{Partition: 1, Lag: 4, LastSourceFetchOffset: 0}, {Lag: 4, LastSourceFetchOffset: -1}}
	r := mirror.Report{Results: []mirror.Result{{Topic: "a", Lags: lags}, {Topic: "b", Lags: lags}, {Topic: "c"}}}
	require.Equal(t, mirror.LagSummary{
		Total: 16, Partitions: 4, Largest: 4, Topic: "a", Partition: 1, NeverFetched: 2, Without: []string{"c"},
	}, r.Lag())
	r.Results[0].Lags = []mirror.PartitionLag{{Lag: math.MaxInt64}}
	require.EqualValues(t, math.MaxInt64, r.Lag().Total, "the sum saturates")
	r.Results[0].MessagesTruncated = math.MaxInt64
	r.Results[0].Truncations = []mirror.PartitionTruncation{{MessagesTruncated: math.MaxInt64}, {MessagesTruncated: 5}}
	require.Equal(t, mirror.TruncationSummary{
		Reported: math.MaxInt64, ReportedTopics: 3, Messages: math.MaxInt64, Partitions: 2, Topics: 1,
	}, r.Truncation())
}

func TestReport_TheZeroReportIsNoSuccess(t *testing.T) {
	require.ErrorIs(t, (&mirror.Report{}).Err(), mirror.ErrNoTopics)
	require.ErrorIs(t, (&mirror.Report{Lost: true}).Err(), mirror.ErrOutcomeUnknown)
	require.ErrorIs(t, (&mirror.Report{Results: []mirror.Result{{}}}).Err(), mirror.ErrOutcomeUnknown)
	require.NoError(t, (&mirror.Report{Results: []mirror.Result{{Outcome: mirror.Accepted}}}).Err())
}

func TestReportsSurvive_JSON(t *testing.T) {
	r := sample()
	back := readBack(t, r)
	require.Equal(t, r, back)
	require.EqualError(t, back.Err(), r.Err().Error())
	require.Equal(t, marshal(t, r), marshal(t, back))
	for _, empty := range []*mirror.Report{{}, {Results: []mirror.Result{}}} {
		require.NotContains(t, marshal(t, empty), "null", "lists are lists")
		require.Empty(t, readBack(t, empty).Results)
	}
}

// What errors.Is and errors.As find in the report's own error is the same before and after JSON.
func TestReportsSurvive_ErrorsAreFoundInAReportThatWasReadBack(t *testing.T) {
	all := []error{
		mirror.ErrInvalidArgument, mirror.ErrNoTopics, mirror.ErrOutcomeUnknown, mirror.ErrUnauthenticated, mirror.ErrRateLimited,
		mirror.ErrNoLink, mirror.ErrNoMirror,
	}
	for name, c := range map[string]struct {
		code int
		body string
		h    []string
		is   []error
	}{
		"401":          {401, `{"error_code":40101,"message":"who are you"}`, nil, []error{mirror.ErrUnauthenticated}},
		"429":          {429, "<title>slow down</title>", []string{"DoSFilter", "unavailable"}, []error{mirror.ErrRateLimited}},
		"another 429":  {429, `{"error_code":42901,"message":"x"}`, nil, []error{mirror.ErrOutcomeUnknown}},
		"404, no link": {404, `{"error_code":40403,"message":"The cluster link doesn't exist: link"}`, nil, []error{mirror.ErrNoLink}},
		"503":          {503, "<title>busy</title>", []string{"X-Request-Id", "r-1"}, []error{mirror.ErrOutcomeUnknown}},
		"a row with 404": {200, rows(failed("a", "404", "The mirror topic doesn't exist: a"), failed("b", "400", "x")), nil,
			[]error{mirror.ErrNoMirror}},
		"a cut answer": {200, `{"data":[`, nil, []error{mirror.ErrOutcomeUnknown}},
	} {
		t.Run(name, func(t *testing.T) {
			report, err := reverse(t, serve(t, status(c.code, "application/json", c.body, c.h...)).client(t), "a", "b")
			for _, e := range []error{err, report.Err(), readBack(t, report).Err()} {
				for _, target := range all {
					want := false
					for _, is := range c.is {
						want = want || is == target
					}
					require.Equal(t, want, isErr(e, target), "%v: %v", target, e)
				}
				require.EqualError(t, e, err.Error())
			}
			var live, back *mirror.APIError
			if asErr(err, &live) {
				require.True(t, asErr(readBack(t, report).Err(), &back))
				require.Equal(t, []any{live.Status, live.Code, live.Message, live.RequestID},
					[]any{back.Status, back.Code, back.Message, back.RequestID})
			}
		})
	}
}

// A report's JSON that does not say one thing only is refused, and the report stays as it was.
func TestReport_JSONThatIsRefused(t *testing.T) {
	for _, text := range []string{
		`{}`, `{"version":3}`, `{"version":5}`, `{"version":"4"}`, `[]`, `{"version":4,"results":4}`,
		`{"version":4,"results":[{"topic":"a","outcome":"done"}]}`,
		`{"version":4,"version":4,"results":[]}`,
		`{"version":4,"results":[{"topic":"a","outcome":"accepted"}],"results":[]}`,
		`{"version":4,"results":[{"topic":"a","outcome":"accepted","outcome":"unknown"}]}`,
		`{"version":4,"results":[],"attempts":[{"run":"a","run":"b"}]}`,
	} {
		report := mirror.Report{Link: "as it was"}
		require.Error(t, json.Unmarshal([]byte(text), &report), text)
		require.Equal(t, mirror.Report{Link: "as it was"}, report, text)
	}
	for _, text := range []string{ // a reader of an older library sees members that it does not know
		`{"version":4,"results":[{"topic":"a","outcome":"accepted","new":[{}]}],"also":1}`,
		`{"results":[{"topic":"a","outcome":"accepted"}],"version":4,"note":"anything"}`,
	} {
		var report mirror.Report
		require.NoError(t, json.Unmarshal([]byte(text), &report))
		require.Equal(t, "a accepted", outcomes(&report))
	}
	require.ErrorContains(t, json.Unmarshal([]byte(`{"version":3}`), new(mirror.Report)), "version 3")
}

func TestOutcome_TextForms(t *testing.T) {
	require.Equal(t, mirror.Unknown, *new(mirror.Outcome), "unknown is the zero value")
	for v, name := range map[mirror.Outcome]string{
		mirror.Unknown: "unknown", mirror.Accepted: "accepted", mirror.Failed: "failed", mirror.Untouched: "untouched",
	} {
		require.Equal(t, name, v.String())
		require.Equal(t, `"`+name+`"`, marshal(t, v))
		back := mirror.Outcome(9)
		require.NoError(t, back.UnmarshalText([]byte(name)))
		require.Equal(t, v, back)
	}
	require.Equal(t, "outcome(9)", mirror.Outcome(9).String())
	_, err := mirror.Outcome(9).MarshalText()
	require.ErrorIs(t, err, mirror.ErrInvalidArgument)
	require.ErrorIs(t, new(mirror.Outcome).UnmarshalText([]byte("done")), mirror.ErrInvalidArgument)
	_, err = json.Marshal(mirror.Report{Results: []mirror.Result{{Outcome: 9}}})
	require.Error(t, err)
}

// The lists of two topics share no memory.
func TestReport_ListsOfTwoTopicsShareNothing(t *testing.T) {
	names := manyTopics(20)
	var all []string
	for _, name := range names {
		all = append(all, strings.Replace(good(name), `"partition_level_truncation_data":[]`,
			`"partition_level_truncation_data":[{"partition_id":0,"offset_truncated_to":1,"messages_truncated":2}]`, 1))
	}
	report, err := reverse(t, newClient(t, offline(answering(rows(all...)))), names...)
	require.NoError(t, err)
	for i := range report.Results {
		r := &report.Results[i]
		_ = append(r.Lags, mirror.PartitionLag{Partition: 7})
		_ = append(r.Truncations, mirror.PartitionTruncation{Partition: 7})
		_ = append(r.Sends, mirror.Send{Run: "x"})
	}
	for _, r := range report.Results {
		require.Equal(t, []mirror.PartitionLag{{LastSourceFetchOffset: 5}}, r.Lags)
		require.Len(t, r.Truncations, 1)
		require.Len(t, r.Sends, 1)
	}
}

func TestReportsSurvive_WhatIsMissingIsNotKnown(t *testing.T) {
	const head = `{"version":4,"verb":"truncate-and-restore","cluster_id":"lkc-local","link":"l","dry_run":true,"results":[`
	var plan mirror.Report
	require.NoError(t, json.Unmarshal([]byte(head+`{"topic":"a","outcome":"accepted"}]}`), &plan))
	require.Equal(t, int64(-1), plan.Results[0].MessagesTruncated)
	client := newClient(t, offline(answering("{}")))
	_, err := client.TruncateAndRestore(t.Context(), &plan, 0)
	require.ErrorIs(t, err, mirror.ErrInvalidArgument, "how much would be cut off is not known")

	const twice = head + `{"topic":"a","outcome":"accepted"},{"topic":"a","outcome":"failed","code":1}]}`
	require.ErrorIs(t, json.Unmarshal([]byte(twice), &plan), mirror.ErrInvalidArgument, "a topic has one outcome")
}

// A report that was read back must not take one attempt for another.
func TestReport_ErrFindsTheAttemptThatATextIsAbout(t *testing.T) {
	limited := responding(http.StatusTooManyRequests, "text/html", "", "DoSFilter", "unavailable")
	for name, c := range map[string]struct {
		transport http.RoundTripper
		status    int // of the APIError; 0 is none
		limited   bool
	}{
		"another 429 after a rejection": {
			inTurn(limited, responding(http.StatusTooManyRequests, "application/json", `{"error_code":42901}`)), 429, false,
		},
		"a rejection after another 429": {inTurn(responding(http.StatusTooManyRequests, "text/html", ""), limited), 429, true},
		"an answer that is cut":         {answering(rows(good("a"), good("b")) + "x"), 0, false},
		"no answer":                     {responding(http.StatusOK, "text/html", "<title>Sign in</title>"), 200, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := offline(c.transport)
				cfg.RetryFor = 3 * time.Second
				report, live := reverse(t, newClient(t, cfg), "a", "b")
				for _, err := range []error{live, report.Err(), readBack(t, report).Err()} {
					require.Equal(t, c.limited, errors.Is(err, mirror.ErrRateLimited))
					var api *mirror.APIError
					require.Equal(t, c.status != 0, errors.As(err, &api))
					if api != nil {
						require.Equal(t, c.status, api.Status)
					}
				}
			})
		})
	}
}
