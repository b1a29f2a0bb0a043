package mirror_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func TestRequest_OnTheWire(t *testing.T) {
	endpoint, requests := record(t)
	client := newClient(t, mirror.Config{
		Endpoint: endpoint, ClusterID: "lkc-1", Credential: mirror.NoCredential(), UserAgent: "mover/1.0",
	})
	ctx := context.Background()
	_, err := client.ReverseAndPause(ctx, "link-sb1", mirror.Topics("a"))
	require.NoError(t, err)
	_, err = client.Validate(ctx, mirror.VerbReverseAndPause, "link-sb1", mirror.All())
	require.NoError(t, err)

	require.Len(t, *requests, 2)
	for i, want := range []struct{ validateOnly, body string }{
		{"false", `{"mirror_topic_names":["a"]}`},
		{"true", `{"mirror_topic_name_pattern":".*"}`},
	} {
		r := (*requests)[i]
		require.Equal(t, http.MethodPost, r.method)
		require.Equal(t,
			"/kafka/v3/clusters/lkc-1/links/link-sb1/mirrors:reverse-and-pause-mirror?validate_only="+want.validateOnly, r.uri)
		require.Equal(t, want.body, r.body)
		require.Equal(t, "application/json", r.header.Get("Content-Type"))
		require.Equal(t, "application/json", r.header.Get("Accept"))
		require.Equal(t, "mover/1.0", r.header.Get("User-Agent"))
		require.Empty(t, r.header.Values("Idempotency-Key"))
		require.Empty(t, r.header.Values("Authorization"))
	}
}

func TestRequest_NamesStayInOneSegment(t *testing.T) {
	endpoint, requests := record(t)
	for name, segment := range map[string]string{
		"a/b":      "a%2Fb",
		"50%":      "50%25",
		"%2F":      "%252F",
		"my link":  "my%20link",
		"a:b":      "a:b",
		"what?":    "what%3F",
		"no#1":     "no%231",
		"größe":    "gr%C3%B6%C3%9Fe",
		"../x":     "..%2Fx",
		"a;b,c+d&": "a%3Bb%2Cc+d&",
	} {
		for prefix, before := range map[string]string{"": "/kafka", "/": "", "/gw/rest": "/gw/rest"} {
			client := newClient(t, mirror.Config{
				Endpoint: endpoint, ClusterID: name, Credential: mirror.NoCredential(), PathPrefix: prefix,
			})
			_, err := client.ReverseAndPause(context.Background(), name, mirror.Topics("a"))
			require.NoError(t, err)
			last := (*requests)[len(*requests)-1]
			uri, _, _ := strings.Cut(last.uri, "?")
			require.Equal(t, before+"/v3/clusters/"+segment+"/links/"+segment+"/mirrors:reverse-and-pause-mirror", uri)
			require.Equal(t, before+"/v3/clusters/"+name+"/links/"+name+"/mirrors:reverse-and-pause-mirror", last.path)
		}
	}
}

func TestRequest_Credentials(t *testing.T) {
	tokens := 0
	for _, c := range []struct {
		name                string
		cred                mirror.Credential
		authorization, pool string
	}{
		{"API key", mirror.APIKey("ABC", "s:/+"), "Basic QUJDOnM6Lys=", ""},
		{"bearer token", mirror.BearerToken(func(context.Context) (string, error) {
			tokens++
			return "tok", nil
		}, ""), "Bearer tok", ""},
		{"bearer token with pool", mirror.BearerToken(func(context.Context) (string, error) {
			tokens++
			return "tok", nil
		}, "pool-1"), "Bearer tok", "pool-1"},
		{"none", mirror.NoCredential(), "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			endpoint, requests := record(t)
			_, err := reverse(t, newClient(t, mirror.Config{Endpoint: endpoint, ClusterID: "lkc-1", Credential: c.cred}), "a")
			require.NoError(t, err)
			require.Equal(t, c.authorization, (*requests)[0].header.Get("Authorization"))
			require.Equal(t, c.pool, (*requests)[0].header.Get("Confluent-Identity-Pool-Id"))
		})
	}
	require.Equal(t, 2, tokens, "the source is asked once an attempt")
}

func TestRequest_ThroughMiddleware(t *testing.T) {
	w := serve(t, status(302, "", "", "Location", "/elsewhere"))
	var sent *http.Request
	cfg := w.config()
	wrapped := 0
	cfg.Middleware = func(next http.RoundTripper) http.RoundTripper {
		wrapped++
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			sent = r
			return next.RoundTrip(r)
		})
	}
	client := newClient(t, cfg)
	for range 2 {
		report, err := reverse(t, client, "a")
		require.ErrorContains(t, err, "redirected to /elsewhere, not followed")
		require.Equal(t, "a untouched", outcomes(report))
	}
	require.Equal(t, 1, wrapped, "it is called once, by NewClient")
	require.Len(t, w.Journal(), 2, "nothing came of the redirects")
	require.Nil(t, sent.GetBody, "nothing lets a transport send it again")
	require.EqualValues(t, len(`{"mirror_topic_names":["a"]}`), sent.ContentLength)
	require.Nil(t, sent.Header["Idempotency-Key"])
}

func TestRequest_RedirectWithAPlaceThatCannotBeRead(t *testing.T) {
	for _, location := range []string{"https://u:" + canary + "@h/%zz", "mailto:" + canary} {
		report, err := reverse(t, serve(t, status(301, "", "", "Location", location)).client(t), "a")
		require.ErrorContains(t, err, "redirected to a place that cannot be read")
		require.Equal(t, "a untouched", outcomes(report))
	}
}

func TestRequest_OverTLS(t *testing.T) {
	w := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, rows(good("a")))
	}))
	w.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	w.EnableHTTP2 = true
	w.StartTLS()
	t.Cleanup(w.Close)
	cfg := mirror.Config{Endpoint: w.URL, ClusterID: "lkc-1", Credential: mirror.NoCredential()}
	report, err := reverse(t, newClient(t, cfg), "a")
	require.ErrorContains(t, err, "certificate signed by unknown authority")
	require.Equal(t, "a untouched", outcomes(report))

	roots := w.Client().Transport.(*http.Transport).TLSClientConfig
	cfg.TLS = roots
	_, err = reverse(t, newClient(t, cfg), "a")
	require.NoError(t, err)
	cfg.TLS = roots.Clone()
	cfg.TLS.NextProtos = []string{"h2"}
	_, err = reverse(t, newClient(t, cfg), "a")
	require.NoError(t, err, "the transport speaks HTTP/1.1, whatever the Config says")
	require.Zero(t, roots.MinVersion, "the caller's TLS configuration is as it was")
}

// Each request has a connection of its own, and a client need not agree on the keys again for each.
func TestRequest_TLSSessionsAreResumed(t *testing.T) {
	var resumed []bool
	w := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		resumed = append(resumed, r.TLS.DidResume)
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, rows(good("a")))
	}))
	t.Cleanup(w.Close)
	client := newClient(t, mirror.Config{
		Endpoint: w.URL, ClusterID: "lkc-1", Credential: mirror.NoCredential(),
		TLS: w.Client().Transport.(*http.Transport).TLSClientConfig,
	})
	for range 3 {
		_, err := reverse(t, client, "a")
		require.NoError(t, err)
	}
	require.Equal(t, []bool{false, true, true}, resumed)
}

func TestRequest_CancelledInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair := mirrortest.NewPair(t, mirrortest.Options{InMemory: true})
		pair.Local.Inject(mirrortest.Fault{AfterApply: true, Do: silent()})
		ctx, cancel := context.WithCancelCause(context.Background())
		why := errors.New("the operator pressed stop")
		go func() { synctest.Wait(); cancel(why) }()
		report, err := newClient(t, pair.Local.Config()).ReverseAndPause(ctx, "dr-link", mirror.Topics("topic-1"))
		requireSound(t, report, err, []string{"topic-1"})
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, why)
		require.ErrorContains(t, err, "may have been carried out, and no response came: the operator pressed stop")
		require.Equal(t, "topic-1 unknown", outcomes(report))
		require.Equal(t, 1, pair.Local.Applied("topic-1"))
	})
}

func TestRequest_Timeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair := mirrortest.NewPair(t, mirrortest.Options{InMemory: true})
		for want, timeout := range map[time.Duration]time.Duration{time.Minute: 0, 45 * time.Second: 45 * time.Second} {
			pair.Local.Inject(mirrortest.Fault{Do: silent()})
			cfg := pair.Local.Config()
			cfg.Timeout = timeout
			start := time.Now()
			report, err := reverseOn(t, newClient(t, cfg), "dr-link", "topic-1")
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorContains(t, err, "time-out after "+want.String())
			require.Equal(t, want, time.Since(start))
			require.Equal(t, "topic-1 unknown", outcomes(report))
		}
	})
}

func TestRequest_AnswerIsBounded(t *testing.T) {
	body := rows(good("a"), good("b"))
	for _, c := range []struct {
		limit int64
		want  string
	}{
		{int64(len(body)), "a accepted, b accepted"},
		{int64(len(body)) - 1, "a accepted, b accepted"}, // the rows were read before the bound
		{int64(len(body)) - 3, "a accepted, b unknown"},
		{10, "a unknown, b unknown"},
	} {
		cfg := serve(t, ok(body)).config()
		cfg.MaxAnswer = c.limit
		report, err := reverse(t, newClient(t, cfg), "a", "b")
		require.Equal(t, c.want, outcomes(report))
		require.Equal(t, c.limit == int64(len(body)), err == nil)
		if err != nil {
			require.ErrorContains(t, err, "longer than")
		}
	}
}

// lateEnd is a request's body that says that it is at its end only when the response has begun.
type lateEnd struct {
	io.ReadCloser
	begun chan struct{}
	reads int
}

func (b *lateEnd) Read(p []byte) (int, error) {
	if b.reads++; b.reads > 1 {
		<-b.begun
	}
	return b.ReadCloser.Read(p)
}

// onRead is a body that does something before it is read for the first time.
type onRead struct {
	io.ReadCloser
	do func()
}

func (b *onRead) Read(p []byte) (int, error) {
	if b.do != nil {
		b.do()
		b.do = nil
	}
	return b.ReadCloser.Read(p)
}

// A transport may ask for the end of the request's body after the response has begun: the error page is read to its
// end all the same, for it says more.
func TestErrors_APageIsWholeThoughTheRequestEndsLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair := mirrortest.NewPair(t, mirrortest.Options{InMemory: true, Link: "link"})
		long := strings.Repeat("x", 1<<16)
		pair.Local.Inject(mirrortest.Fault{Do: status(400, kafka, `{"error_code":40035,"message":"`+long+`"}`)})
		cfg := pair.Local.Config()
		cfg.Middleware = func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(r *http.Request) (*http.Response, error) {
				r = r.Clone(r.Context())
				late := &lateEnd{ReadCloser: r.Body, begun: make(chan struct{})}
				r.Body = late
				resp, err := next.RoundTrip(r)
				if err == nil {
					resp.Body = &onRead{resp.Body, func() { close(late.begun); synctest.Wait() }}
				}
				return resp, err
			})
		}
		report, err := reverse(t, newClient(t, cfg), "a")
		require.Equal(t, "a untouched", outcomes(report))
		var api *mirror.APIError
		require.ErrorAs(t, err, &api)
		require.Equal(t, 40035, api.Code)
	})
}

func TestErrors_AllShapes(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer mirrortest.Action
		want   mirror.APIError
		text   string
	}{
		{"Kafka's shape", status(400, kafka, `{"error_code":40035,"message":"not here"}`),
			mirror.APIError{Status: 400, Code: 40035, Message: "not here"}, "HTTP 400 Bad Request, code 40035: not here"},
		{"the cloud's shape",
			status(403, kafka, `{"id":"r-1","status":"403","code":"40301","title":"Forbidden","detail":"no right"}`),
			mirror.APIError{Status: 403, Code: 40301, Message: "Forbidden: no right", RequestID: "r-1"},
			"HTTP 403 Forbidden, code 40301: Forbidden: no right (request id r-1)"},
		{"the cloud's list", status(404, kafka, `{"errors":[{"id":"r-2","code":"gone","detail":"no link"},{"detail":"x"}]}`),
			mirror.APIError{Status: 404, Message: "no link: 1 more error", RequestID: "r-2"},
			"HTTP 404 Not Found: no link: 1 more error (request id r-2)"},
		{"wrong types", status(500, kafka, `{"status":500,"error_code":50002,"message":["x"],"title":"broken"}`),
			mirror.APIError{Status: 500, Code: 50002, Message: "broken"}, "HTTP 500 Internal Server Error, code 50002: broken"},
		{"a list", status(500, kafka, `["x"]`),
			mirror.APIError{Status: 500, Message: `["x"]`}, `HTTP 500 Internal Server Error: ["x"]`},
		{"plain text", status(502, "text/plain", "upstream\nconnect error\x1b[31m"),
			mirror.APIError{Status: 502, Message: `upstream\nconnect error\x1b[31m`},
			`HTTP 502 Bad Gateway: upstream\nconnect error\x1b[31m`},
		{"nothing", status(500, "", ""),
			mirror.APIError{Status: 500}, "HTTP 500 Internal Server Error"},
		{"its own status text", status(500, kafka, `{"error_code":500,"message":"Internal Server Error"}`),
			mirror.APIError{Status: 500, Code: 500, Message: "Internal Server Error"}, "HTTP 500 Internal Server Error"},
		{"HTML", status(504, "text/html", "<html><head><title>\n504 Gateway &lt;Time-out&gt;</title>"),
			mirror.APIError{Status: 504, Message: "504 Gateway <Time-out>"}, "HTTP 504 Gateway Timeout: 504 Gateway <Time-out>"},
		{"HTML without a title", status(599, "text/html", "<h1>x</h1>"),
			mirror.APIError{Status: 599, Message: "an HTML page"}, "HTTP 599: an HTML page"},
		{"HTML of another type", status(502, kafka, "<title>x</title>"),
			mirror.APIError{Status: 502, Message: "x"}, "HTTP 502 Bad Gateway: x"},
		{"200 of another type", status(200, "text/html", "<title>Sign in</title>"),
			mirror.APIError{Status: 200, Message: "the answer is text/html, not a 200 of application/json: Sign in"},
			"HTTP 200 OK: the answer is text/html, not a 200 of application/json: Sign in"},
		{"202", status(202, "", ""),
			mirror.APIError{Status: 202, Message: "the answer is of no type, not a 200 of application/json"},
			"HTTP 202 Accepted: the answer is of no type, not a 200 of application/json"},
		{"headers", status(503, kafka, `{"id":"r-4"}`, "X-Request-Id", "r-3", "Retry-After", "90"),
			mirror.APIError{Status: 503, Message: `{"id":"r-4"}`, RequestID: "r-3", RetryAfter: 90 * time.Second},
			`HTTP 503 Service Unavailable: {"id":"r-4"} (retry after 1m30s) (request id r-3)`},
		{"a long message", status(500, kafka, `{"message":"`+strings.Repeat("x", 1<<15)+`"}`),
			mirror.APIError{Status: 500, Message: strings.Repeat("x", 1021) + "…"}, ""},
		{"a page beyond its bound", status(500, kafka, `{"message":"`+strings.Repeat("x", 1<<21)+`"}`),
			mirror.APIError{Status: 500, Message: `{"message":"` + strings.Repeat("x", 1009) + "…"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := reverse(t, serve(t, c.answer).client(t), "a")
			var api *mirror.APIError
			require.ErrorAs(t, err, &api)
			require.Equal(t, c.want, *api)
			if c.text != "" {
				require.EqualError(t, api, c.text)
			}
		})
	}
}

func TestErrors_RetryAfter(t *testing.T) {
	const date = "Sun, 06 Nov 1994 08:49:37 GMT"
	for _, c := range []struct {
		header []string
		date   string
		want   time.Duration
	}{
		{nil, date, 0},
		{[]string{"1"}, date, time.Second},
		{[]string{" 7 "}, date, 7 * time.Second},
		{[]string{"0"}, date, 0},
		{[]string{"31536000"}, date, 365 * 24 * time.Hour},
		{[]string{"9223372036854775807"}, date, 1<<63 - 1},
		{[]string{"99999999999999999999999"}, date, 1<<63 - 1},
		{[]string{"-5"}, date, 0},
		{[]string{"+5"}, date, 0},
		{[]string{"1.5"}, date, 0},
		{[]string{"abc"}, date, 0},
		{[]string{"2", "9"}, date, 2 * time.Second},
		{[]string{"Sun, 06 Nov 1994 08:50:07 GMT"}, date, 30 * time.Second},
		{[]string{"Sun, 06 Nov 1994 08:49:07 GMT"}, date, 0},
		{[]string{"Sun, 06 Nov 1994 08:50:07 GMT"}, "yesterday", 0},
	} {
		header := []string{"Date", c.date}
		for _, value := range c.header {
			header = append(header, "Retry-After", value)
		}
		_, err := reverse(t, serve(t, status(500, "", "", header...)).client(t), "a")
		var api *mirror.APIError
		require.ErrorAs(t, err, &api)
		require.Equal(t, c.want, api.RetryAfter, "%q", c.header)
	}
}

// The codes by name, each in an answer of its kind.
func TestErrors_Codes(t *testing.T) {
	for status, code := range map[int]int{
		401: mirror.CodeUnauthenticated, 403: mirror.CodeUnauthorized, 404: mirror.CodeUnknownTopic,
		429: mirror.CodeQuotaExceeded, 500: mirror.CodeRetriable, 400: mirror.CodeUnknownServerError,
	} {
		report, err := reverse(t, serve(t, mirrortest.Error(status, code, "x")).client(t), "a")
		var api *mirror.APIError
		require.ErrorAs(t, err, &api)
		require.Equal(t, code, api.Code)
		require.Equal(t, status/100, code/10_000, "a code begins with its status")
		require.Equal(t, code != mirror.CodeUnknownServerError && status < 429, report.Count(mirror.Untouched) == 1)
	}
	report, _ := reverse(t, serve(t, ok(rows(failedRow("a")))).client(t), "a")
	require.Equal(t, mirror.CodeBadRequest, report.Results[0].Code)
}

func TestErrors_TopicErrorText(t *testing.T) {
	for want, e := range map[string]mirror.TopicError{
		"a: 400: no":              {Topic: "a", Code: 400, Message: "no"},
		"a: no":                   {Topic: "a", Message: "no"},
		"a: code 400, no message": {Topic: "a", Code: 400},
		"a: refused":              {Topic: "a"},
	} {
		require.EqualError(t, &e, want)
	}
}
