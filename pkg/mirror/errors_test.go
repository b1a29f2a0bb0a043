package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func isErr(err, target error) bool { return errors.Is(err, target) }

func asErr[E error](err error, target *E) bool { return errors.As(err, target) }

func TestAPIError_Text(t *testing.T) {
	for want, e := range map[string]*mirror.APIError{
		"HTTP 401 Unauthorized": {Status: 401},
		"HTTP 299":              {Status: 299},
		"HTTP 403 Forbidden, code 40301: no right":    {Status: 403, Code: 40301, Message: "no right"},
		"HTTP 404 Not Found: no link":                 {Status: 404, Code: 404, Message: "no link"},
		"HTTP 503 Service Unavailable (request id r)": {Status: 503, Message: "Service Unavailable", RequestID: "r"},
		"HTTP 429 Too Many Requests: slow (retry after 2s)": {
			Status: 429, Message: "slow", RetryAfter: 2 * time.Second,
		},
	} {
		require.EqualError(t, e, want)
	}
}

func TestAPIError_Kinds(t *testing.T) {
	require.ErrorIs(t, &mirror.APIError{Status: 401}, mirror.ErrUnauthenticated)
	require.NotErrorIs(t, &mirror.APIError{Status: 403}, mirror.ErrUnauthenticated)
	require.NotErrorIs(t, &mirror.APIError{Status: 429}, mirror.ErrRateLimited, "only the limiter's header proves a rejection")
	const noLink, noMirror = "The cluster link doesn't exist: x", "The mirror topic doesn't exist: x"
	require.ErrorIs(t, &mirror.APIError{Status: 404, Message: noLink}, mirror.ErrNoLink)
	require.ErrorIs(t, &mirror.APIError{Status: 404, Message: noMirror}, mirror.ErrNoMirror)
	require.NotErrorIs(t, &mirror.APIError{Status: 403, Message: noLink}, mirror.ErrNoLink)
	require.NotErrorIs(t, &mirror.APIError{Status: 404, Message: "no: " + noMirror}, mirror.ErrNoMirror)
	require.ErrorIs(t, &mirror.TopicError{Code: 404, Message: noMirror}, mirror.ErrNoMirror)
	require.NotErrorIs(t, &mirror.TopicError{Code: 400, Message: noMirror}, mirror.ErrNoMirror)
}

func TestTopicError(t *testing.T) {
	stopped := "Topic 'a' has already stopped its mirror from 'x'"
	for want, e := range map[string]*mirror.TopicError{
		"a: 400: no":               {Topic: "a", Code: 400, Message: "no"},
		"a: code 400, no message":  {Topic: "a", Code: 400},
		"a: no":                    {Topic: "a", Message: "no"},
		`\x1b[2J: 50003: later`:    {Topic: "\x1b[2J", Code: 50003, Message: "later"},
		"a: 400: " + stopped:       {Topic: "a", Code: 400, Message: stopped},
		"a: 40403: " + stopped:     {Topic: "a", Code: 40403, Message: stopped},
		"a: 400: Topic is stopped": {Topic: "a", Code: 400, Message: "Topic is stopped"},
	} {
		require.EqualError(t, e, want)
		require.Equal(t, e.Code == 50003, e.Retriable())
		require.Equal(t, want == "a: 400: "+stopped, e.AlreadyStopped())
		r := mirror.Result{Topic: e.Topic, Outcome: mirror.Failed, Code: e.Code, Message: e.Message}
		require.Equal(t, e.AlreadyStopped(), r.AlreadyStopped())
		require.Equal(t, e, r.Err())
		r.Outcome = mirror.Unknown
		require.False(t, r.AlreadyStopped())
	}
}

func TestNeverNilReport_TheErrorCarriesIt(t *testing.T) {
	body := rows(failed("a", "1", "x"), failed("c", "2", "y")) + "!"
	report, err := reverse(t, newClient(t, offline(answering(body))), "a", "b", "c", "d")
	wrapped := fmt.Errorf("moving orders: %w", err)
	var incomplete *mirror.IncompleteError
	require.ErrorAs(t, wrapped, &incomplete)
	require.Same(t, report, incomplete.Report)
	require.Len(t, causes(wrapped), 3, "a cause that topics share is there once, then the refusals: %v", causes(wrapped))
	var topic *mirror.TopicError
	require.ErrorAs(t, wrapped, &topic)
	require.Equal(t, mirror.TopicError{Topic: "a", Code: 1, Message: "x"}, *topic)

	zero := &mirror.IncompleteError{}
	require.EqualError(t, zero, "not all accepted")
	require.NotErrorIs(t, zero, mirror.ErrOutcomeUnknown)
	require.Empty(t, zero.Unwrap())
}

func TestNoLinkAndNoMirrorAreToldApart(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{InMemory: true})
	client := newClient(t, pair.Local.Config())
	_, listErr := client.Mirrors(t.Context(), "The mirror topic doesn't exist")
	_, linkErr := client.Link(t.Context(), "other")
	_, mirrorErr := client.Mirror(t.Context(), "other", "topic-1")
	report, verbErr := client.Pause(t.Context(), "other", mirror.Topics("topic-1"))
	for _, err := range []error{listErr, linkErr, mirrorErr, verbErr, readBack(t, report).Err()} {
		require.ErrorIs(t, err, mirror.ErrNoLink)
		require.NotErrorIs(t, err, mirror.ErrNoMirror)
	}
	_, err := client.Mirror(t.Context(), pair.Link(), "nowhere")
	require.ErrorIs(t, err, mirror.ErrNoMirror)
	require.NotErrorIs(t, err, mirror.ErrNoLink)
	_, err = newClient(t, pair.Remote.Config()).Resume(t.Context(), pair.Link(), mirror.Topics("topic-1"))
	require.ErrorIs(t, err, mirror.ErrNoMirror, "by row")
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
