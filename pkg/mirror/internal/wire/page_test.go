package wire

import (
	"context"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What a page says, for people.
func TestPage_Says(t *testing.T) {
	for name, c := range map[string]struct {
		resp      *http.Response
		code      int
		message   string
		requestID string
	}{
		"Kafka's shape": {reply(400, `{"error_code":40035,"message":"not here"}`), 40035, "not here", ""},
		"the cloud's shape": {
			reply(403, `{"id":"r-1","status":"403","code":"40301","title":"Forbidden","detail":"no right"}`),
			40301, "Forbidden: no right", "r-1",
		},
		"the cloud's list": {
			reply(404, `{"errors":[{"id":"r-2","code":"gone","detail":"no link"},{"detail":"x"}]}`),
			0, "no link: 1 more error", "r-2",
		},
		"members of wrong types": {
			reply(500, `{"status":500,"error_code":50002,"message":["x"],"title":"broken"}`), 50002, "broken", "",
		},
		"a list":                {reply(500, `["x"]`), 0, `["x"]`, ""},
		"an object of no shape": {reply(500, `{"x":1}`), 0, `{"x":1}`, ""},
		"plain text":            {reply(502, "upstream\nconnect error\x1b[31m"), 0, `upstream\nconnect error\x1b[31m`, ""},
		"nothing":               {reply(500, ""), 0, "", ""},
		"HTML": {
			reply(504, "<html><head><title>\n504 Gateway &lt;Time-out&gt;</title>"), 0, "504 Gateway <Time-out>", "",
		},
		"HTML without a title": {reply(599, "<h1>x</h1>"), 0, "an HTML page", ""},
		"a redirect": {
			reply(302, "<html>", "Location", "https://u:p@h:1/a%2Fb?q#f"), 0, "redirected to https://h:1/a%2Fb, not followed", "",
		},
		"a redirect to no place": {
			reply(302, "", "Location", "https://h/%zz"), 0, "redirected to a place that cannot be read, not followed", "",
		},
		"a redirect without a place": {reply(302, "moved"), 0, "moved", ""},
		"a 200 of another type": {
			reply(200, "<title>Sign in</title>", "Content-Type", "text/html; charset=utf-8"),
			0, "the answer is text/html, not a 200 of application/json: Sign in", "",
		},
		"a 202":             {reply(202, ""), 0, "the answer is of no type, not a 200 of application/json", ""},
		"a coding":          {reply(503, "x", "Content-Encoding", "br"), 0, "the body has a Content-Encoding that cannot be undone: br", ""},
		"a request id":      {reply(503, `{"id":"r-4","message":"x"}`, "X-Request-Id", "r-3"), 0, "x", "r-3"},
		"a long message":    {reply(500, `{"message":"`+strings.Repeat("x", 1<<15)+`"}`), 0, strings.Repeat("x", MaxText-3) + "…", ""},
		"an upgrade":        {reply(101, "bytes of another protocol"), 0, "", ""},
		"a code in a text":  {reply(500, `{"error_code":"50002"}`), 50002, "", ""},
		"a code beyond int": {reply(500, `{"error_code":99999999999,"message":"x"}`), 0, "x", ""},
	} {
		t.Run(name, func(t *testing.T) {
			sender := newSender(taking(func(*http.Request) (*http.Response, error) { return c.resp, nil }))
			e, _, _ := sender.attempt(context.Background(), newRequest(), nil)
			require.Equal(t, c.message, e.Message)
			require.Equal(t, c.code, e.Code)
			require.Equal(t, c.requestID, e.RequestID)
			require.Equal(t, c.resp.StatusCode, e.Status)
			require.NoError(t, e.Err)
		})
	}
}

func TestPage_RetryAfter(t *testing.T) {
	now := time.Date(1994, 11, 6, 8, 49, 37, 0, time.UTC)
	header := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Add(pairs[i], pairs[i+1])
		}
		return h
	}
	const later, before = "Sun, 06 Nov 1994 08:50:07 GMT", "Sun, 06 Nov 1994 08:49:07 GMT"
	for name, c := range map[string]struct {
		status int
		header http.Header
		want   time.Duration
	}{
		"nothing":                       {429, header(), 0},
		"seconds":                       {503, header("Retry-After", "1"), time.Second},
		"seconds with blanks":           {503, header("Retry-After", " 7 "), 7 * time.Second},
		"zero":                          {503, header("Retry-After", "0"), 0},
		"a year":                        {503, header("Retry-After", "31536000"), 365 * 24 * time.Hour},
		"more than a Duration holds":    {503, header("Retry-After", "9223372036854775807"), math.MaxInt64},
		"more than an int64 holds":      {503, header("Retry-After", "99999999999999999999999"), math.MaxInt64},
		"negative":                      {503, header("Retry-After", "-5"), 0},
		"a sign":                        {503, header("Retry-After", "+5"), 0},
		"a fraction":                    {503, header("Retry-After", "1.5"), 0},
		"words":                         {503, header("Retry-After", "abc"), 0},
		"two":                           {503, header("Retry-After", "2", "Retry-After", "9"), 2 * time.Second},
		"a date":                        {503, header("Retry-After", later), 30 * time.Second},
		"a date in the past":            {503, header("Retry-After", before), 0},
		"a date by the server's clock":  {503, header("Retry-After", later, "Date", before), time.Minute},
		"a date, and a Date of no form": {503, header("Retry-After", later, "Date", "yesterday"), 30 * time.Second},
		"a reset":                       {429, header("X-RateLimit-Reset", "2"), 2 * time.Second},
		"a reset of another status":     {503, header("X-RateLimit-Reset", "2"), 0},
		"a reset, and Retry-After":      {429, header("X-RateLimit-Reset", "2", "Retry-After", "1"), time.Second},
	} {
		require.Equal(t, c.want, retryAfter(c.status, c.header, now), name)
	}
}

func TestPage_MediaTypesAndCodings(t *testing.T) {
	for kind, want := range map[string]bool{
		"application/json": true, "APPLICATION/JSON; charset=utf-8": true, "application/json; charset=a; charset=b": true,
		"application/problem+json": false, "text/html": false, "": false, "application/jsonx": false,
	} {
		require.Equal(t, want, isJSON(http.Header{"Content-Type": {kind}}), kind)
	}
	for coding, want := range map[string]string{
		"": "", "identity": "", "Identity": "", "br": "br", "identity, zstd": "zstd", "gzip": "gzip",
	} {
		require.Equal(t, want, contentCoding(http.Header{"Content-Encoding": {coding}}), coding)
	}
}
