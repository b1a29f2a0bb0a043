package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// A middleware can forget the status. A list that was not read must not look like a link without mirror topics.
func TestNilError_AResponseWithoutAStatusIsNoAnswer(t *testing.T) {
	for _, take := range []bool{true, false} {
		client := newClient(t, offline(roundTripper(func(r *http.Request) (*http.Response, error) {
			if take && r.Body != nil {
				_, _ = io.Copy(io.Discard, r.Body)
			}
			return &http.Response{}, nil
		})))
		l, err := client.Mirrors(t.Context(), "link")
		require.ErrorContains(t, err, "no status")
		require.False(t, l.Complete || l.Read)
		_, err = client.Mirror(t.Context(), "link", "a")
		require.Error(t, err)
		_, err = client.Link(t.Context(), "link")
		require.Error(t, err)
		report, err := reverse(t, client, "a")
		require.ErrorContains(t, err, "no status")
		want := mirror.Untouched
		if take {
			want = mirror.Unknown
		}
		require.Equal(t, want, report.Results[0].Outcome)
	}
}

func TestMerge_AZeroReportStaysZeroIfTheOtherIsRefused(t *testing.T) {
	var r mirror.Report
	err := r.Merge(&mirror.Report{Verb: mirror.VerbPause, ClusterID: "lkc-1", Link: "l", Pattern: ".*"})
	require.ErrorIs(t, err, mirror.ErrInvalidArgument)
	require.Equal(t, mirror.Report{}, r)
}

// promoted is the report of a call for topic a.
func promoted(o mirror.Outcome, run string) *mirror.Report {
	res := mirror.Result{Topic: "a", Outcome: o, MessagesTruncated: -1}
	res.Sends = []mirror.Send{{Run: run, Unknown: o == mirror.Unknown}}
	switch o {
	case mirror.Failed:
		res.Code = 50003
	case mirror.Unknown:
		res.Why = "no response came"
	}
	return &mirror.Report{Verb: mirror.VerbPromote, ClusterID: "lkc-1", Link: "l", Results: []mirror.Result{res}}
}

func TestMerge_SettledIsOnlyWhereTheSettlementGaveTheOutcome(t *testing.T) {
	settled := promoted(mirror.Unknown, "1")
	require.NoError(t, settled.Settle(mirror.Untouched, "still ACTIVE", "a"))
	for _, o := range []mirror.Outcome{mirror.Accepted, mirror.Failed} {
		for _, both := range [][2]*mirror.Report{{settled, promoted(o, "2")}, {promoted(o, "2"), settled}} {
			m := both[0].Clone()
			require.NoError(t, m.Merge(both[1]))
			require.Equal(t, o, m.Results[0].Outcome)
			require.Empty(t, m.Results[0].Settled, "the server's answer gave the outcome")
			require.NotContains(t, table(t, m), "not by the server's answer")
		}
	}
	m := settled.Clone()
	require.NoError(t, m.Merge(promoted(mirror.Unknown, "1")))
	require.Equal(t, "still ACTIVE", m.Results[0].Settled, "an older copy changes nothing")
}

func TestMerge_ARefusalOfTheRecorderIsOverWhenTheTopicsAreAccepted(t *testing.T) {
	full := errors.New("the disk is full")
	refuses := recorder{sending: func(context.Context, mirror.Batch) error { return full }}
	client := newClient(t, offline(answering(rows(good("a")))))
	report, err := reverse(t, client.WithRecorder(refuses), "a")
	require.ErrorIs(t, err, full)
	again, err := reverse(t, client, "a")
	require.NoError(t, err)
	require.NoError(t, report.Merge(again))
	require.NoError(t, report.Err())

	report, err = client.WithRecorder(refuses).ReverseAndPause(t.Context(), "link", mirror.All())
	require.ErrorIs(t, err, full)
	require.Len(t, report.Problems, 1, "no topic tells it")
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

// The cloud's codes can be names. APIError.Code is 0 then, and the rest is read as ever.
func TestAPIError_ACodeThatIsANameHidesNothing(t *testing.T) {
	for _, c := range []struct {
		code string
		want int
	}{{`"user_unauthorized"`, 0}, {`"40301"`, 40301}, {`40301`, 40301}, {`null`, 0}, {`[1]`, 0}, {`7,"error_code":null`, 7}} {
		client := newClient(t, offline(responding(http.StatusForbidden, "application/json",
			`{"errors":[{"code":`+c.code+`,"id":"req-1","status":"403","title":"Forbidden","detail":"no right to ALTER"}]}`)))
		_, err := reverse(t, client, "a")
		var api *mirror.APIError
		require.ErrorAs(t, err, &api, c.code)
		require.Equal(t, "Forbidden: no right to ALTER", api.Message, c.code)
		require.Equal(t, "req-1", api.RequestID, c.code)
		require.Equal(t, c.want, api.Code, c.code)
	}
}

func TestNoSecrets_NamesAndPlacesToo(t *testing.T) {
	const token, password = "abcDEF.123-45_6789", `pa^ss"wo|rd`
	bearer := mirror.BearerToken(func(context.Context) (string, error) { return token, nil }, "")
	row := func(link string) string {
		return `{"mirror_topic_name":"` + token + `","link_name":"` + link + `","mirror_status":"ACTIVE"}`
	}
	for name, c := range map[string]struct {
		credential mirror.Credential
		secret     string
		transport  http.RoundTripper
	}{
		"a place that is escaped to be shown": {
			mirror.APIKey("key", password), "wo%7Crd", responding(http.StatusFound, "", "", "Location", "https://h/"+password),
		},
		"a name in a list, of another link":   {bearer, token, answering(rows(row("x")))},
		"a name of one mirror":                {bearer, token, answering(row("link"))},
		"an answer that is cut within a name": {bearer, token, answering(`{"data":[` + token)},
		"a type":                              {bearer, token, responding(http.StatusOK, token, "")},
		"a coding":                            {bearer, token, responding(http.StatusOK, "", "", "Content-Encoding", token)},
	} {
		t.Run(name, func(t *testing.T) {
			var said strings.Builder
			cfg := offline(c.transport)
			cfg.Credential, cfg.Logger = c.credential, textLogger(&said)
			client := newClient(t, cfg)
			say := func(err error, v any) { fmt.Fprintf(&said, "%v %#v %+v %s\n", err, err, v, marshal(t, v)) }
			for _, s := range []mirror.Selection{mirror.Topics("a"), mirror.All()} {
				report, err := client.ReverseAndPause(t.Context(), "link", s)
				say(err, report)
				said.WriteString(table(t, report))
			}
			l, err := client.Mirrors(t.Context(), "link")
			say(err, l)
			m, err := client.Mirror(t.Context(), "link", "a")
			say(err, m)
			i, err := client.Link(t.Context(), "link")
			say(err, i)
			g, err := client.ConsumerGroup(t.Context(), "group")
			say(err, g)
			require.NotContains(t, said.String(), c.secret)
		})
	}
}

// Merge is told of the two calls in either order, and a person finds that the first one did nothing.
func TestMerge_ARefusalIsNotForgottenBehindAnUnknown(t *testing.T) {
	unknown, refused := promoted(mirror.Unknown, "1"), promoted(mirror.Failed, "2")
	for _, both := range [][2]*mirror.Report{{unknown, refused}, {refused, unknown}} {
		m := both[0].Clone()
		require.NoError(t, m.Merge(both[1]))
		require.Equal(t, "a unknown", outcomes(m))
		require.NoError(t, m.Settle(mirror.Untouched, "still ACTIVE", "a"))
		require.Equal(t, "a failed", outcomes(m))
	}
}

// inTurn gives each request the next transport's response, and the last one's for ever.
func inTurn(transports ...http.RoundTripper) http.RoundTripper {
	n := 0
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		n++
		return transports[min(n, len(transports))-1].RoundTrip(r)
	})
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

// Read aloud: what to do with topics that were found untouched, and each reason once.
func TestReport_TableSaysEachThingOnce(t *testing.T) {
	unavailable := newClient(t, offline(responding(http.StatusServiceUnavailable, "text/html", "<title>503 Service Unavailable</title>")))
	report, err := reverse(t, unavailable, "a", "b")
	require.Error(t, err)
	require.Equal(t, "HTTP 503 Service Unavailable", report.Results[0].Why)
	require.NoError(t, report.Settle(mirror.Untouched, "still ACTIVE", "b"))
	require.NoError(t, report.Settle(mirror.Accepted, "STOPPED here, PAUSED there", "a"))
	require.Contains(t, table(t, report), "send it again")
	require.Contains(t, table(t, report), "found done; the first: a: STOPPED")

	twice := newClient(t, offline(responding(http.StatusOK, "application/json", rows(failed("a", "400", "no")), "X-Envoy-Attempt-Count", "2")))
	report, err = reverse(t, twice, "a")
	require.ErrorIs(t, err, mirror.ErrOutcomeUnknown)
	require.Equal(t, 1, strings.Count(table(t, report), "more than once"))

	zipped := newClient(t, offline(responding(http.StatusOK, "application/json", "x", "Content-Encoding", "gzip")))
	report, err = reverse(t, zipped, "a")
	require.ErrorIs(t, err, mirror.ErrOutcomeUnknown)
	require.NotContains(t, report.Results[0].Why, "the answer is application/json, not")
}

func TestUnknownReport_OfAPatternIsLost(t *testing.T) {
	r := mirror.UnknownReport(mirror.Batch{Verb: mirror.VerbFailover, ClusterID: "lkc-1", Link: "l", Pattern: ".*"}, time.Time{})
	require.ErrorIs(t, r.Err(), mirror.ErrOutcomeUnknown)
	require.NotErrorIs(t, r.Err(), mirror.ErrNoTopics)
	require.Empty(t, r.Remaining("a"), "any topic may have been changed")
}
