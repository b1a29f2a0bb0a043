package mirror_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// A server that repeats the credential, wherever it can put a text: the credential is in no form of the report, the
// error and the log. Each row of the table is held to that.
func TestFaults_Secrets(t *testing.T) { runFaults(t, "secret", faultsOfSecrets()) }

// The credential of the pair's Config, and its form on the wire.
const pairKey, pairSecret = "lkc-local-key", "lkc-local-secret"

var pairBasic = base64.StdEncoding.EncodeToString([]byte(pairKey + ":" + pairSecret))

func faultsOfSecrets() []fault {
	bearer := func(e *env) {
		e.pair.Local.AcceptToken(canary, "")
		tokens(canary)(e)
	}
	head := "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	row := func(members string) string { return `{"mirror_topic_name":"a",` + members + `}` }
	var cases []fault
	for what, c := range map[string]struct {
		text  string
		setup func(*env)
	}{
		"a secret":                     {pairSecret, nil},
		"a key and its secret":         {pairKey + ":" + pairSecret, nil},
		"a whole Authorization header": {"Basic " + pairBasic, nil},
		"the text of a Basic header":   {pairBasic, nil},
		"a token":                      {canary, bearer},
		"a token after a long text":    {strings.Repeat("x", 1015) + canary, bearer},
	} {
		for place, p := range map[string]struct {
			do       mirrortest.Action
			outcomes string
		}{
			"a message":              {status(400, jsonType, `{"error_code":400,"message":"`+c.text+`"}`), "untouched"},
			"title and detail":       {status(403, jsonType, `{"code":"x","title":"`+c.text+`","detail":"`+c.text+`"}`), "untouched"},
			"an id":                  {status(404, jsonType, `{"id":"`+c.text+`","message":"x"}`), "untouched"},
			"a list of errors":       {status(500, jsonType, `{"errors":[{"detail":"`+c.text+`"}]}`), "unknown"},
			"a body of no shape":     {status(500, jsonType, `{"x":"`+c.text+`"}`), "unknown"},
			"plain text":             {status(502, "text/plain", c.text), "unknown"},
			"a title of HTML":        {status(503, "text/html", "<title>"+c.text+"</title>"), "unknown"},
			"a request id":           {status(503, jsonType, "", "X-Request-Id", c.text), "unknown"},
			"a content type":         {status(200, c.text+"/x", ""), "unknown"},
			"a place":                {status(307, "", "", "Location", "https://u:"+canary+"@h/"+c.text+"?"+c.text), "untouched"},
			"a place without a host": {status(302, "", "", "Location", c.text), "untouched"},
			"a content encoding":     {status(500, jsonType, "x", "Content-Encoding", c.text), "unknown"},
			"a row's message":        {ok(rows(row(`"error_code":400,"error_message":"` + c.text + `"`))), "failed"},
			"a row's name":           {ok(rows(good("a"), good(c.text))), "accepted"},
			"a row without a name":   {ok(rows(good("a"), `{"error_message":"`+c.text+`"}`)), "accepted"},
			"rows that disagree":     {ok(rows(good("a"), row(`"error_message":"`+c.text+`"`))), "unknown"},
			"next":                   {ok(`{"metadata":{"next":"` + c.text + `"},"data":[` + good("a") + `]}`), "accepted"},
			"next that is an object": {ok(`{"metadata":{"next":{"x":"` + c.text + `"}},"data":[` + good("a") + `]}`), "accepted"},
			"the name of a member":   {ok(rows(`{"` + c.text + `":x}`)), "unknown"},
			"the status line":        {raw("HTTP/1.1 " + c.text + "\r\n\r\n"), "unknown"},
			"a malformed header":     {raw(head + c.text + "\r\n\r\n"), "unknown"},
			"trailing bytes":         {ok(rows(good("a")) + c.text), "accepted"},
			"DoSFilter":              {status(429, jsonType, "", "DoSFilter", c.text), "unknown"},
			"the attempt count":      {status(404, jsonType, "", "X-Envoy-Attempt-Count", c.text), "untouched"},
		} {
			f := refusal(what+" in "+place, p.outcomes, p.do)
			f.setup = all(madeUp, neverRetry)
			if c.setup != nil {
				f.setup = all(madeUp, neverRetry, c.setup)
			}
			cases = append(cases, f)
		}
	}
	return append(cases,
		fault{
			name: "the token of an attempt before", outcomes: "untouched", seen: 2,
			setup: func(e *env) {
				e.pair.Local.AcceptToken("second-"+canary, "")
				tokens("first-"+canary, "second-"+canary)(e)
			},
			inject: before(mirrortest.Error(403, 40301, "revoked: first-"+canary)),
		},
		fault{
			name: "the token of a batch before", outcomes: "accepted, untouched", seen: 2, applied: "a",
			setup: all(oneEach, func(e *env) {
				e.pair.Local.AcceptToken("first-token-12", "")
				e.pair.Local.AcceptToken("second-token-1", "")
				tokens("first-token-12", "second-token-1")(e)
			}),
			inject: []mirrortest.Fault{{Nth: 2, Do: mirrortest.Error(403, 40301, "first-token-12")}},
			says:   "(redacted)",
		},
		fault{
			name: "a token that the transport writes", outcomes: "untouched", seen: 1, says: "(redacted)",
			setup: func(e *env) {
				e.wrap(func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
					r = r.Clone(r.Context())
					r.Header.Set("X-Session-Token", canary)
					return next.RoundTrip(r)
				})
			},
			inject: before(mirrortest.Error(403, 40301, "revoked: "+canary)),
		},
	)
}
