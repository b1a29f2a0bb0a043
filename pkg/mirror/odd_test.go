package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

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
