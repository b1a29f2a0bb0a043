package mirror_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

const kafka = "application/json"

// The rate limiter's page without its header, as this library gets it and as others do.
const (
	limiterJSON = `{"servlet":"default","message":"Too Many Requests",` +
		`"url":"/kafka/v3/clusters/lkc-1/links/l/mirrors:x","status":"429"}`
	limiterHTML = "<html>\n<head>\n<title>Error 429 Too Many Requests</title>\n</head>\n" +
		"<body><h2>HTTP ERROR 429 Too Many Requests</h2>\n" +
		"<table>\n<tr><th>URI:</th><td>/kafka/v3/clusters/lkc-1/links/l/mirrors:x</td></tr>\n" +
		"<tr><th>STATUS:</th><td>429</td></tr>\n</table>\n</body>\n</html>\n"
)

// answered is a case in which every request gets an answer that is made up, before anything is applied.
func answered(name, outcomes string, do mirrortest.Action) fault {
	return fault{name: name, inject: []mirrortest.Fault{{Every: true, Do: do}}, outcomes: outcomes, seen: 1}
}

// applied is such a case in which all is applied before.
func applied(name, outcomes string, do mirrortest.Action) fault {
	f := answered(name+", after apply", outcomes, do)
	f.inject[0].AfterApply, f.applied = true, "11"
	return f
}

func faultsOfStatus() []fault {
	return slices.Concat(
		faultsOfRedirects(), faultsOfBadRequests(), faultsOfRefusals(), faultsOfTheRateLimiter(), faultsOfServers(),
	)
}

func faultsOfRedirects() []fault {
	var cases []fault
	for _, code := range []int{301, 302, 303, 307, 308} {
		outcomes := "UU"
		if code == 303 {
			outcomes = "KK" // by RFC 9110 the answer to a POST that was performed
		}
		for name, location := range map[string]string{
			"same host": "/elsewhere?" + canary, "other host": "", "https to http": "http://other.invalid/?" + canary,
		} {
			f := answered(fmt.Sprintf("%d to %s", code, name), outcomes, status(code, "", "", "Location", location))
			f.text = "not followed"
			if name == "other host" {
				f.inject = nil
				f.config = func(e *env) {
					e.pair.Local.Inject(mirrortest.Fault{Do: status(code, "", "", "Location", e.pair.Remote.Endpoint+"/?"+canary)})
				}
			}
			cases = append(cases, f)
		}
	}
	for _, code := range []int{300, 304, 305, 306} {
		cases = append(cases, answered(fmt.Sprint(code), "KK", status(code, "", "", "Location", "/elsewhere")))
	}
	return cases
}

func faultsOfBadRequests() []fault {
	var cases []fault
	for name, body := range map[string]string{
		"with code 400":                        `{"error_code":400,"message":"x"}`,
		"with code 40035":                      `{"error_code":40035,"message":"x"}`,
		"in the cloud's shape":                 `{"status":"400","code":"bad_request","title":"x"}`,
		"in the cloud's shape, a number":       `{"status":"400","code":"40001","title":"x"}`,
		"in the cloud's list":                  `{"errors":[{"status":"400","code":"bad","detail":"x"},{"code":"worse"}]}`,
		"in both shapes":                       `{"error_code":400,"code":"400","message":"x"}`,
		"with a code and a null one":           `{"error_code":400,"code":null}`,
		"about a topic with 40002 in its name": `{"error_code":40035,"message":"orders-40002","id":"r-40002-x"}`,
		"with white space around":              " {\"error_code\":400}\r\n",
		"that lists 500 topics":                `{"error_code":40035,"message":"` + strings.Join(manyTopics(500), ",") + `"}`,
		"that is Jetty's Bad Message as JSON": `{"servlet":"default",` +
			`"cause0":"org.eclipse.jetty.http.BadMessageException: 400: Unable to parse URI query",` +
			`"message":"Unable to parse URI query","url":"/kafka/v3/x","status":"400"}`,
		"whose message is Bad Message": `{"servlet":"default","message":"Bad Message","url":"/kafka/v3/x","status":"400"}`,
	} {
		cases = append(cases, answered("400 "+name, "UU", status(400, kafka, body)))
	}
	cases = append(cases, answered("400 that is Jetty's Bad Message", "UU",
		status(400, "text/html;charset=iso-8859-1", "<h1>Bad Message 400</h1><pre>reason: No Host</pre>")))

	for name, body := range map[string]string{
		"with 40002":                               `{"error_code":40002,"message":"x"}`,
		"with 40002, and a page over its bound":    `{"error_code":40002,"message":"` + strings.Repeat("x", 2<<20) + `"}`,
		"and a page over its bound":                `{"message":"` + strings.Repeat("x", 2<<20) + `","error_code":400}`,
		"with 40002, cut":                          `{"error_code":40002,"mess`,
		"cut":                                      `{"error_code":400,"message":"x"`,
		"with 40002 behind the document":           `{"error_code":400}{"error_code":40002}`,
		"with bytes behind the document":           `{"error_code":400}x`,
		"with 40002 as text":                       `{"error_code":"40002"}`,
		"with a code as text":                      `{"error_code":"400"}`,
		"with 40002.0":                             `{"error_code":40002.0}`,
		"with 4.0002e4":                            `{"error_code":4.0002e4}`,
		"with 400.0":                               `{"error_code":400.0}`,
		"with a code beyond int32":                 `{"error_code":4294967696}`,
		"with 40002 after a BOM":                   "\ufeff" + `{"error_code":40002}`,
		"after a BOM":                              "\ufeff" + `{"error_code":400}`,
		"with 40002 second in errors":              `{"errors":[{"code":"400"},{"code":"40002"}]}`,
		"with 40002 second in errors, as a number": `{"errors":[{"error_code":400},{"error_code":40002}]}`,
		"with an error without a code in errors":   `{"errors":[{"code":"400"},{"detail":"x"}]}`,
		"with errors that are no objects":          `{"error_code":400,"errors":["x"]}`,
		"with errors that are no list":             `{"error_code":400,"errors":{}}`,
		"with 40002 under error":                   `{"error":{"error_code":40002}}`,
		"with a code under error":                  `{"error":{"error_code":400}}`,
		"with 40002 under error beside a code":     `{"error_code":400,"error":{"error_code":40002}}`,
		"with 40002 beside a code":                 `{"error_code":40002,"code":"400"}`,
		"with code 40002 beside an error_code":     `{"error_code":400,"code":"40002"}`,
		"with an escaped code 40002":               `{"error_code":400,"code":"4\u0030002"}`,
		"with a code that is a number":             `{"code":400}`,
		"with 40002 twice":                         `{"error_code":40002,"error_code":400}`,
		"with a code twice":                        `{"error_code":400,"error_code":400}`,
		"with the code in other case":              `{"Error_Code":40002}`,
		"without a code":                           `{"message":"x"}`,
		"with a null code":                         `{"error_code":null,"message":"x"}`,
		"as a list":                                `[{"error_code":400}]`,
		"as a number":                              `400`,
		"that is not JSON":                         `bad request`,
		"with a code that is not UTF-8":            "{\"error_code\":400,\"message\":\"\xff\"}",
		"with an empty code":                       `{"code":""}`,
		"with a blank code":                        `{"code":"  "}`,
		"with code 0":                              `{"error_code":0}`,
		"with code -1":                             `{"error_code":-1}`,
		"with an empty code in errors":             `{"errors":[{"code":""}]}`,
		"with an escaped code 40002 under error":   `{"error_code":400,"error":{"code":"4\u0030002"}}`,
		"with 40002 in a code's text":              `{"error_code":400,"cause":{"errorCode":"E-40002"}}`,
		"that is Jetty's page for another cause": `{"servlet":"default","message":"Bad Request",` +
			`"url":"/kafka/v3/x","status":"400"}`,
	} {
		cases = append(cases, answered("400 "+name, "KK", status(400, kafka, body)))
	}
	for name, do := range map[string]mirrortest.Action{
		"as HTML":                      status(400, "text/html", "<title>x</title>"),
		"without a body":               status(400, kafka, ""),
		"without a body or a type":     status(400, "", ""),
		"with a code under text/html":  status(400, "text/html", `{"error_code":400}`),
		"with a code under text/plain": status(400, "text/plain", `{"error_code":400}`),
		"with a code and no type":      status(400, "", `{"error_code":400}`),
		"with 40002, gzip cut": status(400, kafka, zipped(`{"error_code":40002,"message":"x"}`, 12),
			"Content-Encoding", "gzip"),
		"with 400, gzip cut": status(400, kafka, zipped(`{"error_code":400,"message":"x"}`, 4),
			"Content-Encoding", "gzip"),
		"whose body breaks off": raw("HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n" +
			"Content-Length: 99\r\n\r\n" + `{"error_code":400}`),
		"as the page of a firewall with Bad Message in it": status(400, "text/html",
			"<html><h1>Oops</h1>Bad Message 400</html>"),
	} {
		cases = append(cases, answered("400 "+name, "KK", do))
	}
	return append(cases, applied("400 with 40002", "KK", mirrortest.Error(400, 40002, "x")))
}

// zipped compresses a body, and cuts off some bytes at its end.
func zipped(body string, cut int) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, body)
	z.Close()
	return b.String()[:b.Len()-cut]
}

func faultsOfRefusals() []fault {
	var cases []fault
	add := func(f fault) { cases = append(cases, f) }
	renew := func(tokens ...string) func(*env) {
		return func(e *env) {
			e.pair.Local.AcceptToken("good", "")
			e.cfg.BatchSize = 1
			e.cfg.RetryFor = -1 // the renewal is not a retry
			n := 0
			e.cfg.Credential = mirror.BearerToken(func(context.Context) (string, error) {
				n++
				return tokens[min(n, len(tokens))-1], nil
			}, "")
		}
	}
	unauthenticated := []error{mirror.ErrUnauthenticated}
	add(fault{
		name: "401 once, then a new token is good", config: renew("old", "good"),
		outcomes: "AA", seen: 3, applied: "11",
	})
	add(fault{
		name: "401 again for the new token", config: renew("old", "older", "good"),
		outcomes: "UU", seen: 2, is: unauthenticated,
	})
	add(fault{name: "401, the same header again", config: renew("old"), outcomes: "UU", seen: 1, is: unauthenticated})
	add(fault{
		name: "401 without any header", config: func(e *env) { e.cfg.Credential = mirror.NoCredential() },
		outcomes: "UU", seen: 1, is: unauthenticated,
	})
	add(fault{name: "401 once, then another identity pool", config: func(e *env) {
		e.pair.Local.AcceptToken("tok", "pool-2")
		n := 0
		e.cfg.Credential = func(_ context.Context, h http.Header) error {
			n++
			h.Set("Authorization", "Bearer tok")
			h.Set("Confluent-Identity-Pool-Id", fmt.Sprint("pool-", n))
			return nil
		}
	}, outcomes: "AA", seen: 2, applied: "11"})
	for _, c := range [][2]int{{403, 40301}, {404, 404}, {404, 40403}} {
		f := answered(fmt.Sprintf("%d with %d, in the third batch", c[0], c[1]), "AAUU", mirrortest.Error(c[0], c[1], "x"))
		f.topics, f.seen, f.applied = []string{"a", "b", "c", "d"}, 3, "1100"
		f.inject[0].Nth = 3
		f.config = func(e *env) { e.cfg.BatchSize = 1 }
		f.not = []error{mirror.ErrOutcomeUnknown}
		f.check = func(e *env) {
			require.True(e, e.report.Attempts[2].Assumed)
			var table strings.Builder
			require.NoError(e, e.report.Table(&table))
			require.Contains(e, table.String(), "assumed", "the report says that it is")
		}
		add(f)
	}
	for _, code := range []int{405, 407, 411, 413, 414, 415, 417, 421, 422, 426, 428, 431, 511} {
		f := answered(fmt.Sprint(code), "UU", status(code, "text/plain", "x"))
		f.check = func(e *env) { require.Equal(e, code != 421, e.report.Attempts[0].Assumed, "421 is proof") }
		add(f)
	}
	add(answered("403 without a body", "UU", status(403, "", "")))
	for name, do := range map[string]mirrortest.Action{
		"403 as HTML":                             status(403, "text/html", "<title>Request blocked</title>"),
		"403 as HTML without a type":              status(403, "", " \n<html>"),
		"403 as HTML with bad parameters":         status(403, "text/html; charset=utf-8; charset=x", "denied"),
		"403 with a coding that cannot be undone": status(403, "", "x", "Content-Encoding", "br"),
		"403 cut":                             raw("HTTP/1.1 403 x\r\nContent-Length: 99\r\n\r\n"),
		"403 as XML":                          status(403, "application/xml", "<Error/>"),
		"413 with an error_code":              mirrortest.Error(413, 41301, "x"),
		"413 with an error_code in its list":  status(413, kafka, `{"errors":[{"error_code":41301}]}`),
		"413 with an error_code that is text": status(413, kafka, `{"error_code":"41301"}`),
		"413 cut": raw("HTTP/1.1 413 x\r\nContent-Type: application/json\r\n" +
			"Content-Length: 99\r\n\r\n{"),
		"406":                status(406, kafka, `{"error_code":406}`),
		"402":                status(402, "", ""),
		"408 after the head": mirrortest.Error(408, 408, "x"),
		"409":                mirrortest.Error(409, 409, "x"),
		"418":                status(418, "", ""),
		"499":                status(499, "", ""),
	} {
		add(answered(name, "KK", do))
	}
	for name, do := range map[string]mirrortest.Action{
		"a refusal":                       mirrortest.Error(403, 40301, "x"),
		"a rejection by the rate limiter": status(429, kafka, limiterJSON, "DoSFilter", "unavailable"),
		"401":                             mirrortest.Error(401, 40101, "x"),
		"421":                             status(421, "", ""),
		"400":                             mirrortest.Error(400, 400, "x"),
	} {
		do = mirrortest.WithHeader(do, "X-Envoy-Attempt-Count", "2")
		f := answered("x-envoy-attempt-count 2 on "+name, "KK", do)
		f.text = "x-envoy-attempt-count 2"
		f.check = func(e *env) {
			require.Contains(e, e.report.Results[0].Notes[0], "second send")
			require.Equal(e, []any{mirror.Unknown, false}, []any{e.report.Attempts[0].Outcome, e.report.Attempts[0].Assumed})
		}
		add(f)
	}
	f := answered("x-envoy-attempt-count 2 on a 503", "KK",
		mirrortest.WithHeader(mirrortest.Error(503, 503, "x"), "X-Envoy-Attempt-Count", "2"))
	f.check = func(e *env) { require.Empty(e, e.report.Results[0].Notes, "nothing was refused") }
	add(f)
	rowsSay := rows(good("a"), `{"mirror_topic_name":"b","error_code":400,`+
		`"error_message":"Topic 'b' has already stopped its mirror from 'dr-link'"}`)
	for value, outcomes := range map[string]string{
		"1": "AF", "2": "AK", "10": "AK", "0": "AF", "99999999999999999999": "AK", "1, 3": "AK", "x": "AF", "01": "AF",
	} {
		f := answered("x-envoy-attempt-count "+value+" on 'already stopped'", outcomes,
			status(200, kafka, rowsSay, "X-Envoy-Attempt-Count", value))
		f.scripted = true
		add(f)
	}
	f = answered("x-envoy-attempt-count 2 on a dry run", "AF", status(200, kafka, rowsSay, "X-Envoy-Attempt-Count", "2"))
	f.dryRun = true
	add(f)
	return cases
}

// faultsOfTheRateLimiter run in virtual time.
func faultsOfTheRateLimiter() []fault {
	var cases []fault
	add := func(f fault) { cases = append(cases, f) }
	limited := []error{mirror.ErrRateLimited}
	// rejectedTimes is a case in which the first requests are rejected; it takes between least and most.
	rejectedTimes := func(name string, times int, least, most time.Duration, header ...string) fault {
		do := status(429, kafka, limiterJSON, append([]string{"DoSFilter", "unavailable"}, header...)...)
		f := fault{
			name: name, bubble: true, inject: slices.Repeat([]mirrortest.Fault{{Do: do}}, times),
			outcomes: "AA", seen: times + 1, applied: "11",
		}
		var start time.Time
		f.config = func(*env) { start = time.Now() }
		f.check = func(e *env) {
			took := time.Since(start)
			require.GreaterOrEqual(e, took, least)
			require.LessOrEqual(e, took, most)
		}
		return f
	}
	const date = "Sun, 06 Nov 1994 08:49:37 GMT"
	second := time.Second
	add(rejectedTimes("429 of the rate limiter, healing", 3, 3*second, 6*second))
	add(rejectedTimes("429 with Retry-After 1", 3, 3*second, 4*second, "Retry-After", "1"))
	add(rejectedTimes("429 with Retry-After a date", 1, 30*second, 30*second,
		"Date", date, "Retry-After", "Sun, 06 Nov 1994 08:50:07 GMT"))
	add(rejectedTimes("429 with Retry-After a date and no Date", 1, 29*second, 30*second,
		"Retry-After", bubbleStart.Add(30*second).Format(http.TimeFormat)))
	add(rejectedTimes("429 with Retry-After a date in the past", 3, 3*second, 6*second,
		"Date", date, "Retry-After", "Sun, 06 Nov 1994 08:49:07 GMT"))
	add(rejectedTimes("429 with Retry-After 60", 1, time.Minute, time.Minute, "Retry-After", "60"))
	add(rejectedTimes("429 with X-RateLimit-Reset 2", 2, 4*second, 5*second, "X-RateLimit-Reset", "2"))
	add(rejectedTimes("429 with Retry-After 3 and X-RateLimit-Reset 9", 1, 3*second, 3*second,
		"Retry-After", "3", "X-RateLimit-Reset", "9"))
	for _, value := range []string{"-5", "1.5", "abc", "0"} {
		add(rejectedTimes("429 with Retry-After "+value, 3, 3*second, 6*second, "Retry-After", value))
	}
	add(rejectedTimes("429 with two Retry-After", 1, 2*second, 2*second, "Retry-After", "2", "Retry-After", "900"))
	for name, header := range map[string][]string{
		"31536000":                   {"Retry-After", "31536000"},
		"a date in 2199":             {"Date", date, "Retry-After", "Wed, 06 Nov 2199 08:50:07 GMT"},
		"a date in 2199 and no Date": {"Retry-After", "Wed, 06 Nov 2199 08:50:07 GMT"},
		"61":                         {"Retry-After", "61"},
		"9223372036854775807":        {"Retry-After", "9223372036854775807"},
	} {
		f := rejectedTimes("429 with Retry-After "+name+" ends the run at once", 1, 0, 0, header...)
		f.topics, f.outcomes, f.seen, f.applied, f.is = []string{"a", "b", "c"}, "UUU", 1, "", limited
		took, config := f.check, f.config
		f.config = func(e *env) { config(e); e.cfg.BatchSize, e.cfg.KeepGoing = 1, true }
		f.check = func(e *env) {
			took(e)
			var api *mirror.APIError
			require.ErrorAs(e, e.err, &api)
			require.Greater(e, api.RetryAfter, time.Minute)
		}
		add(f)
	}
	for name, values := range map[string][]string{
		"alone":                    {"DoSFilter", "unavailable"},
		"among others":             {"DoSFilter", "throttled", "DoSFilter", "unavailable"},
		"among others in one line": {"DoSFilter", "throttled, unavailable"},
	} {
		for body, do := range map[string]mirrortest.Action{
			"an error_code":        status(429, kafka, `{"error_code":42901,"message":"x"}`, values...),
			"HTML":                 status(429, "text/html", "<title>slow</title>", values...),
			"no body":              status(429, "", "", values...),
			"JSON under text/html": status(429, "text/html", `{"error_code":429}`, values...),
		} {
			add(fault{
				name: "429 unavailable " + name + " with " + body, bubble: true, inject: []mirrortest.Fault{{Do: do}},
				outcomes: "AA", seen: 2, applied: "11",
			})
		}
	}
	// What does not prove that the request was rejected.
	for value, header := range map[string]string{
		"delayed": "delayed", "throttled": "throttled", "delayed and throttled": "delayed, throttled",
		"UNAVAILABLE": "UNAVAILABLE", "unavailable-ish": "unavailable-ish", "empty": "",
	} {
		for body, do := range map[string]mirrortest.Action{
			"42901":                status(429, kafka, `{"error_code":42901,"message":"x"}`, "DoSFilter", header),
			"Jetty's page":         status(429, kafka, limiterJSON, "DoSFilter", header),
			"Jetty's page as HTML": status(429, "text/html", limiterHTML, "DoSFilter", header),
		} {
			name := "429 " + value + " with " + body
			add(answered(name+", before apply", "KK", do))
			add(applied(name, "KK", do))
		}
	}
	for name, do := range map[string]mirrortest.Action{
		"as HTML of some gateway": status(429, "text/html", "<title>slow</title>"),
		"as HTML with Jetty's title and another URI": status(429, "text/html",
			strings.ReplaceAll(limiterHTML, "/v3/", "/x/")),
		"as text/plain":                   status(429, "text/plain", "HTTP ERROR 429"),
		"without a type":                  status(429, "", limiterJSON),
		"without a body":                  status(429, kafka, ""),
		"as Jetty's JSON under text/html": status(429, "text/html", limiterJSON),
		"as 42901 under text/html":        status(429, "text/html", `{"error_code":42901}`),
		"with code 429":                   mirrortest.Error(429, 429, "x"),
		"with code 42901":                 mirrortest.Error(429, 42901, "x"),
		"with Jetty's members and an error_code": status(429, kafka,
			strings.Replace(limiterJSON, "{", `{"error_code":42901,`, 1)),
		"with Jetty's members and a code": status(429, kafka,
			strings.Replace(limiterJSON, "{", `{"code":"42901",`, 1)),
		"with a status that is a number": status(429, kafka, strings.Replace(limiterJSON, `"429"`, `429`, 1)),
		"with Jetty's page cut":          status(429, kafka, limiterJSON[:40]),
		"with the members of Jetty's page and another url": status(429, kafka,
			`{"status":"429","message":"Backend quota","url":"https://docs.gateway.example/v3/errors"}`),
		"with the members of Jetty's page and another path": status(429, kafka,
			`{"status":"429","message":"Backend quota","url":"/quota"}`),
		"with the status of another page": status(429, kafka, strings.Replace(limiterJSON, `"429"`, `"503"`, 1)),
	} {
		add(answered("429 "+name, "KK", do))
	}
	add(applied("429 with code 42901", "KK", mirrortest.Error(429, 42901, "x")))

	// The limiter's page without its header.
	for name, do := range map[string]mirrortest.Action{
		"JSON":                        status(429, kafka, limiterJSON),
		"HTML":                        status(429, "text/html;charset=iso-8859-1", limiterHTML),
		"as the test server sends it": mirrortest.RateLimitedWithoutHeader(),
	} {
		name = "429 with the rate limiter's page " + name + " and no header"
		add(fault{
			name: name + ", healing", bubble: true, inject: []mirrortest.Fault{{Do: do}, {Do: do}},
			outcomes: "AA", seen: 3, applied: "11",
		})
		f := answered(name+", not healing", "KK", do)
		f.bubble, f.seen, f.atLeast, f.not = true, 5, true, limited
		add(f)
		f = applied(name, "KK", do) // then the second request is refused by row
		f.bubble, f.seen = true, 2
		f.inject[0].Every = false
		f.text = "an earlier attempt got a 429 that may have come after the request was processed"
		f.check = func(e *env) { require.Contains(e, e.report.Results[0].Notes[0], "second send") }
		add(f)
		f = answered(name+", then 403", "KK", mirrortest.Error(403, 40301, "x"))
		f.bubble, f.seen = true, 2
		f.inject = append([]mirrortest.Fault{{Do: do}}, f.inject...)
		add(f)
		for what, second := range map[string]mirrortest.Action{"no rows": ok(rows()), "other rows": ok(rows(good("a")))} {
			sel := mirror.Prefix("a", "b")
			f = fault{
				name: name + ", by pattern, after apply, then " + what, bubble: true, sel: &sel,
				scripted: true, seen: 2, applied: "11",
				inject: []mirrortest.Fault{{AfterApply: true, Do: do}, {Do: second}}, is: []error{mirror.ErrOutcomeUnknown},
			}
			if what == "other rows" {
				f.outcomes = "A"
			}
			add(f)
		}
		f = answered(name+", then not sent", "KK", do)
		f.bubble, f.seen, f.inject[0].Every = true, 1, false
		f.config = func(e *env) {
			e.dial(func(_ context.Context, n int, next func() (net.Conn, error)) (net.Conn, error) {
				if n > 1 {
					return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
				}
				return next()
			})
		}
		add(f)
		f = answered(name+", never retried", "KK", do)
		f.config = never
		add(f)
	}

	f := answered("429 without end", "UU", mirrortest.RateLimited())
	f.bubble, f.seen, f.atLeast, f.is = true, 5, true, limited
	f.check = func(e *env) {
		all := e.report.Attempts
		require.LessOrEqual(e, all[len(all)-1].Start.Sub(all[0].Start), time.Minute)
		for i := range all[1:] {
			require.GreaterOrEqual(e, all[i+1].Start.Sub(all[i].Start), time.Second, "the limiter's window")
		}
	}
	add(f)
	f = answered("429 without end, batches in parallel, KeepGoing", "UUUUU", mirrortest.RateLimited())
	f.bubble, f.topics, f.seen, f.atLeast, f.is = true, []string{"a", "b", "c", "d", "e"}, 6, true, limited
	f.config = func(e *env) { e.cfg.BatchSize, e.cfg.Parallel, e.cfg.KeepGoing = 1, 3, true }
	f.check = func(e *env) {
		first := e.pair.Journal()[0].At
		require.LessOrEqual(e, time.Since(first), time.Minute, "the run ends when RetryFor is over")
		require.Empty(e, slices.DeleteFunc(slices.Clone(e.report.Attempts),
			func(a mirror.Attempt) bool { return a.Batch < 3 }))
		require.NotErrorIs(e, e.err, context.Canceled, "nobody cancelled")
	}
	add(f)
	f = answered("429 and RetryFor negative, KeepGoing", "UUU", mirrortest.RateLimited())
	f.topics, f.is = []string{"a", "b", "c"}, limited
	f.config = func(e *env) { e.cfg.BatchSize, e.cfg.KeepGoing, e.cfg.RetryFor = 1, true, -1 }
	add(f)
	add(fault{
		name: "a pause that another batch's 429 makes too long ends the run", bubble: true, topics: []string{"a", "b"},
		inject: []mirrortest.Fault{
			// at 2.5 s; its time is over at 10 s
			{Topic: "a", Do: mirrortest.WithHeader(mirrortest.RateLimited(), "Retry-After", "1")},
			// at 3 s; its time is over at 12 s
			{Topic: "b", Do: mirrortest.WithHeader(mirrortest.RateLimited(), "Retry-After", "9")},
		},
		config: func(e *env) {
			start := time.Now()
			e.cfg.BatchSize, e.cfg.Parallel, e.cfg.RetryFor = 1, 2, 10*time.Second
			e.cfg.BeforeBatch = func(_ context.Context, b mirror.Batch) error {
				time.Sleep(time.Duration(b.Index) * 2 * time.Second)
				return nil
			}
			e.cfg.AfterBatch = func(context.Context, mirror.Batch, *mirror.Report) error {
				require.LessOrEqual(e, time.Since(start), 4*time.Second)
				return nil
			}
			e.dial(func(_ context.Context, n int, next func() (net.Conn, error)) (net.Conn, error) {
				time.Sleep([]time.Duration{2500 * time.Millisecond, time.Second}[n-1])
				return next()
			})
		},
		outcomes: "UU", seen: 2, is: limited, text: "RetryFor is over before the rate limiter's pause ends",
	})
	add(fault{name: "a 429 pauses the client's other batches", bubble: true, topics: []string{"a", "b", "c"},
		inject: []mirrortest.Fault{{Do: mirrortest.Answer(429, "", "DoSFilter", "unavailable", "Retry-After", "20")}},
		config: func(e *env) {
			e.cfg.BatchSize, e.cfg.Parallel = 1, 2
			e.dial(func(_ context.Context, n int, next func() (net.Conn, error)) (net.Conn, error) {
				time.Sleep(time.Duration(n) * time.Second) // the second batch is in flight when the first is rejected
				return next()
			})
		}, outcomes: "AAA", seen: 4, applied: "111", check: func(e *env) {
			at := e.pair.Journal()
			require.Equal(e, time.Second, at[1].At.Sub(at[0].At))
			require.GreaterOrEqual(e, at[2].At.Sub(at[0].At), 20*time.Second, "the third batch waited too")
		}})
	return cases
}

// bubbleStart is the time at which a synctest bubble begins.
var bubbleStart = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func faultsOfServers() []fault {
	var cases []fault
	add := func(f fault) { cases = append(cases, f) }
	both := func(name string, do mirrortest.Action) {
		add(answered(name+", before apply", "KK", do))
		add(applied(name, "KK", do))
	}
	both("500", mirrortest.Error(500, 500, "x"))
	both("500 with 50002", mirrortest.Error(500, 50002, "x"))
	both("500 with 50003", mirrortest.Error(500, 50003, "x"))
	add(answered("502 as HTML", "KK", status(502, "text/html", "<title>Bad Gateway</title>")))
	add(answered("504 as HTML", "KK", status(504, "text/html", "<title>Gateway Time-out</title>")))
	both("503 as HTML", status(503, "text/html", "<title>Service Unavailable</title>"))
	both("503 of the rate limiter",
		status(503, "text/html", "<title>Service Unavailable</title>", "DoSFilter", "unavailable"))
	both("503 with Retry-After", status(503, "text/html", "", "Retry-After", "1"))
	both("503 with 50302", mirrortest.Error(503, 50302, "x"))
	for name, body := range map[string]string{
		"an array": "[]", "a string": `"x"`, "empty": "", "HTML": "<html>", "cut": `{"error_code":5`, "a number": "7",
	} {
		f := answered("5xx whose JSON body is "+name, "KK", status(500, kafka, body))
		f.text = "HTTP 500"
		add(f)
	}
	for _, code := range []int{201, 202, 204, 206} {
		add(answered(fmt.Sprint(code), "KK", status(code, kafka, rows(good("a"), good("b")))))
	}
	for _, code := range []int{501, 505, 599, 999} {
		add(answered(fmt.Sprint(code), "KK", status(code, "", "")))
	}
	for code, text := range map[int]string{
		101: "HTTP 101 Switching Protocols", 200: "could not be read to its end", 400: "HTTP 400", 503: "HTTP 503",
	} {
		// The connection is left open, and nothing comes.
		head := fmt.Sprintf("HTTP/1.1 %d x\r\nContent-Type: application/json\r\n"+
			"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", code)
		if code == 101 {
			head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
		}
		add(fault{name: fmt.Sprintf("%d with the connection left open", code), bubble: true, config: func(e *env) {
			start := time.Now()
			e.cfg.Timeout = 5 * time.Second
			e.dial(func(context.Context, int, func() (net.Conn, error)) (net.Conn, error) {
				client, server := net.Pipe()
				e.seen.Add(1)
				go func() {
					r, err := http.ReadRequest(bufio.NewReader(server))
					if err != nil {
						return
					}
					io.Copy(io.Discard, r.Body)
					io.WriteString(server, head)
				}()
				e.Cleanup(func() { server.Close() })
				return client, nil
			})
			e.cfg.AfterBatch = func(context.Context, mirror.Batch, *mirror.Report) error {
				require.LessOrEqual(e, time.Since(start), 5*time.Second)
				return nil
			}
		}, outcomes: "KK", seen: 1, text: text})
	}
	return cases
}

func TestEveryStatusIsClassified(t *testing.T) {
	untouched := []int{301, 302, 307, 308, 401, 403, 404, 405, 407, 411, 413, 414, 415, 417, 421, 422, 426, 428, 431, 511}
	for code := 300; code < 1000; code++ {
		if code > 520 && code < 990 {
			continue
		}
		report, _ := reverse(t, serve(t, status(code, "", "")).client(t), "a")
		want := mirror.Unknown
		if slices.Contains(untouched, code) {
			want = mirror.Untouched
		}
		require.Equal(t, want, report.Results[0].Outcome, "HTTP %d without a body", code)
		require.Equal(t, want == mirror.Untouched && code != 421, report.Attempts[0].Assumed)
	}
}
