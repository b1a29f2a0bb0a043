package mirror_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
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

// Responses that are no answer: what each status proves.
func TestFaults_Status(t *testing.T) {
	runFaults(t, "status", slices.Concat(
		faultsOfRedirects(), faultsOfBadRequests(), faultsOfRefusals(), faultsOfGateways(), faultsOfTheRateLimiter(),
		faultsOfOther429s(), faultsOfServers(),
	))
}

// refusal is a case in which every request gets a response that is made up, before anything is applied.
func refusal(name, outcomes string, do mirrortest.Action) fault {
	return fault{name: name, inject: always(do), outcomes: outcomes, seen: 1}
}

// afterwards is such a case in which all is applied before.
func afterwards(name, outcomes string, do mirrortest.Action) fault {
	return fault{name: name + ", after apply", inject: after(do), outcomes: outcomes, seen: 1, applied: "a b"}
}

// bothWays are a case before and one after the change is applied.
func bothWays(name, outcomes string, do mirrortest.Action) []fault {
	return []fault{refusal(name+", before apply", outcomes, do), afterwards(name, outcomes, do)}
}

// assumed holds a case to a report that says whether its outcome is assumed.
func assumed(is bool) func(*env) {
	return func(e *env) {
		last := e.report.Attempts[len(e.report.Attempts)-1]
		require.Equal(e, is, last.Assumed)
		var table strings.Builder
		require.NoError(e, e.report.Table(&table))
		require.Equal(e, is, strings.Contains(table.String(), "assumed"), "the table says so too")
	}
}

func faultsOfRedirects() []fault {
	var cases []fault
	for _, code := range []int{301, 302, 303, 307, 308} {
		outcomes := "2 untouched"
		if code == 303 {
			outcomes = "2 unknown" // by RFC 9110 the response to a POST that was performed
		}
		for name, location := range map[string]string{
			"the same host": "/elsewhere?" + canary, "another host": "", "http": "http://other.invalid/?" + canary,
		} {
			cases = append(cases, fault{
				name: fmt.Sprintf("%d to %s", code, name), setup: func(e *env) {
					if location == "" {
						location = e.pair.Remote.Endpoint + "/?" + canary
					}
					e.pair.Local.Inject(mirrortest.Fault{Every: true, Do: status(code, "", "", "Location", location)})
				},
				outcomes: outcomes, seen: 1, says: "not followed", check: assumed(code != 303),
			})
		}
	}
	for _, code := range []int{300, 304, 305, 306} {
		cases = append(cases, refusal(fmt.Sprint(code), "2 unknown", status(code, "", "", "Location", "/elsewhere")))
	}
	return append(cases,
		refusal("301 to a place that cannot be read", "2 untouched", status(301, "", "", "Location", "https://u:"+canary+"@h/%zz")),
		refusal("302 to no URL with a host", "2 untouched", status(302, "", "", "Location", "mailto:"+canary)),
	)
}

func faultsOfBadRequests() []fault {
	var cases []fault
	for name, body := range map[string]string{
		"with code 400":                 `{"error_code":400,"message":"x"}`,
		"with code 40035":               `{"error_code":40035,"message":"x"}`,
		"in the cloud's shape":          `{"status":"400","code":"bad_request","title":"x"}`,
		"in the cloud's list":           `{"errors":[{"status":"400","code":"bad","detail":"x"},{"code":"worse"}]}`,
		"in both shapes":                `{"error_code":400,"code":"400","message":"x"}`,
		"with white space around":       " {\"error_code\":400}\r\n",
		"that lists 500 topics":         `{"error_code":40035,"message":"` + strings.Join(longNames(500), ",") + `"}`,
		"that is Jetty's page as JSON":  `{"servlet":"default","message":"Bad Request","url":"/kafka/v3/x","status":"400"}`,
		"with a code that is text":      `{"error_code":"400"}`,
		"with an object under error":    `{"error":{"error_code":400}}`,
		"without a code":                `{"message":"x"}`,
		"that is an empty JSON object":  `{}`,
		"with errors that are no list":  `{"error_code":400,"errors":{}}`,
		"with a number in another form": `{"error_code":400.0}`,
	} {
		f := refusal("400 "+name, "2 untouched", status(400, jsonType, body))
		f.check = assumed(true)
		cases = append(cases, f)
	}
	for name, body := range map[string]string{
		"with 40002":                            `{"error_code":40002,"message":"x"}`,
		"with 40002 as text":                    `{"error_code":"40002"}`,
		"with 40002 second in errors":           `{"errors":[{"code":"400"},{"code":"40002"}]}`,
		"with 40002 under error, beside a code": `{"error_code":400,"error":{"error_code":40002}}`,
		"with 40002 beside a code":              `{"error_code":400,"code":"40002"}`,
		"with 40002 twice":                      `{"error_code":40002,"error_code":400}`,
		"with 40002 in a member in other case":  `{"Error_Code":40002}`,
		"with 40002 in a text":                  `{"error_code":400,"cause":{"errorCode":"E-40002"}}`,
		"about a topic with 40002 in its name":  `{"error_code":40035,"message":"orders-40002"}`,
		"longer than its bound":                 `{"error_code":400,"message":"` + strings.Repeat("x", 2<<20) + `"}`,
		"cut":                                   `{"error_code":400,"message":"x"`,
		"with bytes behind the object":          `{"error_code":400}x`,
		"with a second object":                  `{"error_code":400}{"error_code":400}`,
		"after a BOM":                           "\ufeff" + `{"error_code":400}`,
		"as a list":                             `[{"error_code":400}]`,
		"as a number":                           `400`,
		"as null":                               `null`,
		"that is not JSON":                      `bad request`,
		"without a body":                        ``,
	} {
		cases = append(cases, refusal("400 "+name, "2 unknown", status(400, jsonType, body)))
	}
	for name, do := range map[string]mirrortest.Action{
		"that is Jetty's Bad Message": status(400, "text/html;charset=iso-8859-1",
			"<h1>Bad Message 400</h1><pre>reason: No Host</pre>"),
		"as HTML":                        status(400, "text/html", "<title>x</title>"),
		"without a body or a type":       status(400, "", ""),
		"with an object under text/html": status(400, "text/html", `{"error_code":400}`),
		"with an object and no type":     status(400, "", `{"error_code":400}`),
		"with a gzip body that is cut": status(400, jsonType, zipped(`{"error_code":400,"message":"x"}`, 4),
			"Content-Encoding", "gzip"),
		"with a coding that cannot be undone": status(400, jsonType, `{"error_code":400}`, "Content-Encoding", "br"),
		"whose body breaks off": raw("HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n" +
			"Content-Length: 99\r\n\r\n" + `{"error_code":400}`),
	} {
		cases = append(cases, refusal("400 "+name, "2 unknown", do))
	}
	return append(cases,
		refusal("400 with a gzip body", "2 untouched", status(400, jsonType, zipped(`{"error_code":400,"message":"x"}`, 0),
			"Content-Encoding", "gzip")),
		afterwards("400 with 40002", "2 unknown", mirrortest.Error(400, 40002, "x")))
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
	unauthenticated := []error{mirror.ErrUnauthenticated}
	accept := func(token, pool string) func(*env) {
		return func(e *env) { e.pair.Local.AcceptToken(token, pool) }
	}
	// The renewal of a token is no retry: RetryFor does not matter to it.
	renewing := func(each ...string) func(*env) {
		return all(neverRetry, oneEach, accept("good-token", ""), tokens(each...))
	}
	cases := []fault{
		{
			name: "401 once, then a new token is good", setup: renewing("old-token", "good-token"),
			outcomes: "2 accepted", seen: 3, applied: "a b",
		},
		{
			name: "401 again for the new token", setup: renewing("old-token", "older-token", "good-token"),
			outcomes: "2 untouched", seen: 2, is: unauthenticated,
		},
		{
			name: "401, and the same header again", setup: renewing("old-token"),
			outcomes: "2 untouched", seen: 1, is: unauthenticated, check: assumed(true),
		},
		{name: "401 without any header", setup: noCredential, outcomes: "2 untouched", seen: 1, is: unauthenticated},
		{
			name: "401 once, then another identity pool", setup: all(accept("one-token", "pool-2"), func(e *env) {
				n := 0
				e.cfg.Credential = func(_ context.Context, h http.Header) error {
					n++
					h.Set("Authorization", "Bearer one-token")
					h.Set("Confluent-Identity-Pool-Id", fmt.Sprint("pool-", n))
					return nil
				}
			}),
			outcomes: "2 accepted", seen: 2, applied: "a b",
		},
		{
			name: "401 once, then the credential fails", setup: all(accept("good-token", ""), func(e *env) {
				n := 0
				e.cfg.Credential = mirror.BearerToken(func(context.Context) (string, error) {
					if n++; n > 1 {
						return "", errVault
					}
					return "old-token", nil
				}, "")
			}),
			outcomes: "2 untouched", seen: 1, is: []error{errVault},
		},
	}
	for _, c := range [][2]int{{403, 40301}, {404, 404}, {404, 40403}} {
		cases = append(cases, fault{
			name:   fmt.Sprintf("%d with %d, in the third of four batches", c[0], c[1]),
			inject: []mirrortest.Fault{{Nth: 3, Do: mirrortest.Error(c[0], c[1], "x")}}, setup: oneEach,
			outcomes: "2 accepted, 2 untouched", seen: 3, applied: "a b", check: all(assumed(true), func(e *env) {
				require.NotErrorIs(e, e.err, mirror.ErrOutcomeUnknown)
			}),
		})
	}
	for _, code := range []int{404, 405, 407, 415, 421} {
		for kind, body := range map[string]string{"text/plain": "x", jsonType: `{"error_code":40002}`, "": ""} {
			f := refusal(fmt.Sprintf("%d with the body %q", code, body), "2 untouched", status(code, kind, body))
			f.check = assumed(true)
			cases = append(cases, f)
		}
	}
	for name, do := range map[string]mirrortest.Action{
		"403 without a body":                      status(403, "", ""),
		"403 as HTML":                             status(403, "text/html", "<title>Request blocked</title>"),
		"403 with an object under text/html":      status(403, "text/html", `{"error_code":40301}`),
		"403 with a coding that cannot be undone": status(403, jsonType, `{"error_code":40301}`, "Content-Encoding", "br"),
		"403 with 40002":                          mirrortest.Error(403, 40002, "x"),
		"403 as XML":                              status(403, "application/xml", "<Error/>"),
		"403 cut":                                 raw("HTTP/1.1 403 x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{}"),
		"408 after the head":                      mirrortest.Error(408, 408, "x"),
	} {
		cases = append(cases, refusal(name, "2 unknown", do))
	}
	for _, code := range []int{402, 406, 409, 410, 411, 412, 413, 414, 416, 417, 418, 422, 423, 425, 426, 428, 431, 451, 499, 511} {
		cases = append(cases, refusal(fmt.Sprint(code), "2 unknown", mirrortest.Error(code, code*100+1, "x")))
	}
	return cases
}

// faultsOfGateways are refusals that a gateway may have got for a request that it sent twice.
func faultsOfGateways() []fault {
	var cases []fault
	for name, do := range map[string]mirrortest.Action{
		"a refusal":                       mirrortest.Error(403, 40301, "x"),
		"a rejection by the rate limiter": status(429, jsonType, limiterJSON, "DoSFilter", "unavailable"),
		"401":                             mirrortest.Error(401, 40101, "x"),
		"421":                             status(421, "", ""),
		"400":                             mirrortest.Error(400, 400, "x"),
	} {
		f := refusal("x-envoy-attempt-count 2 on "+name, "2 unknown", mirrortest.WithHeader(do, "X-Envoy-Attempt-Count", "2"))
		f.says, f.check = "x-envoy-attempt-count 2", assumed(false)
		cases = append(cases, f)
	}
	stopped := `{"mirror_topic_name":"b","error_code":400,"error_message":"Topic 'b' has already stopped its mirror from 'l'"}`
	for value, outcomes := range map[string]string{
		"1": "accepted, failed", "2": "accepted, unknown", "10": "accepted, unknown", "0": "accepted, failed",
		"99999999999999999999": "accepted, unknown", "1, 3": "accepted, unknown", "x": "accepted, failed",
		"01": "accepted, failed",
	} {
		f := refusal("x-envoy-attempt-count "+value+" on 'already stopped'", outcomes,
			status(200, jsonType, rows(good("a"), stopped), "X-Envoy-Attempt-Count", value))
		f.setup = madeUp
		cases = append(cases, f)
	}
	f := refusal("x-envoy-attempt-count 2 on a dry run", "accepted, failed",
		status(200, jsonType, rows(good("a"), stopped), "X-Envoy-Attempt-Count", "2"))
	f.setup = dryRun
	return append(cases, f)
}

// The rate limiter's page, as the library gets it and as browsers do.
const (
	limiterJSON = `{"servlet":"default","message":"Too Many Requests",` +
		`"url":"/kafka/v3/clusters/lkc-1/links/l/mirrors:x","status":"429"}`
	limiterHTML = "<html>\n<head>\n<title>Error 429 Too Many Requests</title>\n</head>\n" +
		"<body><h2>HTTP ERROR 429 Too Many Requests</h2></body>\n</html>\n"
)

// faultsOfTheRateLimiter are 429s with DoSFilter: unavailable, which are proof that nothing was done.
func faultsOfTheRateLimiter() []fault {
	limited := []error{mirror.ErrRateLimited}
	unavailable := func(header ...string) mirrortest.Action {
		return status(429, jsonType, limiterJSON, append([]string{"DoSFilter", "unavailable"}, header...)...)
	}
	// healing is a case in which the first requests are rejected; the call takes between least and most.
	healing := func(name string, times int, least, most time.Duration, header ...string) fault {
		return fault{
			name: "429 " + name, inject: slices.Repeat(before(unavailable(header...)), times),
			outcomes: "2 accepted", seen: times + 1, applied: "a b", check: func(e *env) {
				require.GreaterOrEqual(e, e.took, least)
				require.LessOrEqual(e, e.took, most)
				require.True(e, e.report.Attempts[0].RateLimited)
			},
		}
	}
	const second, year = time.Second, 365 * 24 * time.Hour
	// date is so long after the bubble began.
	date := func(d time.Duration) string {
		return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(d).Format(http.TimeFormat)
	}
	behind := healing("with Retry-After a date, by a clock that is a year behind", 1, 30*second, 30*second,
		"Retry-After", date(30*second-year))
	behind.setup = func(e *env) {
		e.use(mirrortest.NewPair(e.T, mirrortest.Options{
			InMemory: true, Topics: []mirrortest.Topic{{Name: "a"}, {Name: "b"}}, Clocks: [2]time.Duration{-year},
		}))
	}
	noDate := healing("with Retry-After a date, and no Date", 1, 30*second, 30*second, "Retry-After", date(30*second))
	noDate.setup = func(e *env) {
		e.use(mirrortest.NewPair(e.T, mirrortest.Options{
			InMemory: true, Topics: []mirrortest.Topic{{Name: "a"}, {Name: "b"}}, NoDate: true,
		}))
	}
	cases := []fault{
		behind, noDate,
		healing("of the rate limiter", 3, 3*second, 6*second),
		healing("with Retry-After 1", 3, 3*second, 6*second, "Retry-After", "1"),
		healing("with Retry-After a date", 1, 30*second, 30*second, "Retry-After", date(30*second)),
		healing("with Retry-After a date in the past", 3, 3*second, 6*second, "Retry-After", date(-30*second)),
		healing("with Retry-After 60", 1, time.Minute, time.Minute, "Retry-After", "60"),
		healing("with X-RateLimit-Reset 2", 2, 4*second, 5*second, "X-RateLimit-Reset", "2"),
		healing("with Retry-After 3 and X-RateLimit-Reset 9", 1, 3*second, 3*second,
			"Retry-After", "3", "X-RateLimit-Reset", "9"),
		healing("with two Retry-After", 1, 2*second, 2*second, "Retry-After", "2", "Retry-After", "900"),
	}
	for _, value := range []string{"-5", "1.5", "abc", "0"} {
		cases = append(cases, healing("with Retry-After "+value, 3, 3*second, 6*second, "Retry-After", value))
	}
	for name, header := range map[string][]string{
		"31536000":            {"Retry-After", "31536000"},
		"a date in 2199":      {"Retry-After", "Wed, 06 Nov 2199 08:50:07 GMT"},
		"61":                  {"Retry-After", "61"},
		"9223372036854775807": {"Retry-After", "9223372036854775807"},
	} {
		cases = append(cases, fault{
			name: "429 with Retry-After " + name + ", which RetryFor does not cover", setup: oneEach,
			inject: always(unavailable(header...)), outcomes: "3 untouched", seen: 1, is: limited,
			check: all(took(0), func(e *env) {
				var api *mirror.APIError
				require.ErrorAs(e, e.err, &api)
				require.Greater(e, api.RetryAfter, time.Minute)
			}),
		})
	}
	for name, header := range map[string][]string{
		"alone":                    {"DoSFilter", "unavailable"},
		"among others":             {"DoSFilter", "throttled", "DoSFilter", "unavailable"},
		"among others in one line": {"DoSFilter", "throttled, unavailable"},
	} {
		for body, do := range map[string]mirrortest.Action{
			"an error_code":        status(429, jsonType, `{"error_code":42901,"message":"x"}`, header...),
			"HTML":                 status(429, "text/html", "<title>slow</title>", header...),
			"no body":              status(429, "", "", header...),
			"JSON under text/html": status(429, "text/html", `{"error_code":429}`, header...),
		} {
			cases = append(cases, fault{
				name: "429 unavailable " + name + " with " + body, inject: before(do),
				outcomes: "2 accepted", seen: 2, applied: "a b",
			})
		}
	}
	return append(cases,
		fault{
			name: "429 unavailable without end", inject: always(mirrortest.RateLimited()),
			outcomes: "2 untouched", seen: many, is: limited, check: func(e *env) {
				tried := e.report.Attempts
				require.LessOrEqual(e, e.took, time.Minute, "the run ends when RetryFor is over")
				require.Greater(e, e.took, 55*time.Second)
				for i := range tried[1:] {
					require.GreaterOrEqual(e, tried[i+1].Start.Sub(tried[i].Start), time.Second, "the limiter's window")
				}
				require.Contains(e, e.report.Results[0].Why, fmt.Sprintf("(%d attempts in ", len(tried)))
			},
		},
		fault{
			name: "429 unavailable without end, and RetryFor is negative", setup: all(oneEach, neverRetry),
			inject: always(mirrortest.RateLimited()), outcomes: "3 untouched", seen: 1, is: limited,
		},
	)
}

// faultsOfOther429s are 429s that do not prove that nothing was done.
func faultsOfOther429s() []fault {
	var cases []fault
	// A DoSFilter header with another value, or an error_code: the request may have been processed, and a retry tells
	// nothing more.
	for value, header := range map[string]string{
		"delayed": "delayed", "throttled": "throttled", "delayed and throttled": "delayed, throttled",
		"UNAVAILABLE": "UNAVAILABLE", "unavailable-ish": "unavailable-ish", "nothing": "",
	} {
		for body, do := range map[string]mirrortest.Action{
			"42901":                status(429, jsonType, `{"error_code":42901,"message":"x"}`, "DoSFilter", header),
			"Jetty's page":         status(429, jsonType, limiterJSON, "DoSFilter", header),
			"Jetty's page as HTML": status(429, "text/html", limiterHTML, "DoSFilter", header),
		} {
			cases = append(cases, bothWays("429 whose DoSFilter says "+value+", with "+body, "2 unknown", do)...)
		}
	}
	for name, do := range map[string]mirrortest.Action{
		"with code 429":              mirrortest.Error(429, 429, "x"),
		"with code 42901":            mirrortest.Error(429, 42901, "x"),
		"with 42901 under text/html": status(429, "text/html", `{"error_code":42901}`),
		"with Jetty's members and an error_code": status(429, jsonType,
			strings.Replace(limiterJSON, "{", `{"error_code":42901,`, 1)),
		"whose body breaks off":               raw("HTTP/1.1 429 x\r\nContent-Length: 99\r\n\r\nslow"),
		"with a coding that cannot be undone": status(429, jsonType, "x", "Content-Encoding", "br"),
		"longer than its bound":               status(429, "text/plain", strings.Repeat("x", 2<<20)),
	} {
		cases = append(cases, bothWays("429 "+name, "2 unknown", do)...)
	}
	// No DoSFilter header and no error_code: a gateway's, very likely, or the limiter's without its header.
	doubt := "an earlier attempt got a 429 that may have come after the request was processed"
	for name, do := range map[string]mirrortest.Action{
		"the limiter's page as JSON":   status(429, jsonType, limiterJSON),
		"the limiter's page as HTML":   status(429, "text/html;charset=iso-8859-1", limiterHTML),
		"the test server's page":       mirrortest.RateLimitedWithoutHeader(),
		"a gateway's HTML":             status(429, "text/html", "<title>slow</title>"),
		"text":                         status(429, "text/plain", "HTTP ERROR 429"),
		"no body":                      status(429, "", ""),
		"a code that is no error_code": status(429, jsonType, `{"code":"42901"}`),
	} {
		name = "429 with " + name + " and no header"
		cases = append(cases,
			fault{
				name: name + ", healing", inject: slices.Repeat(before(do), 2),
				outcomes: "2 accepted", seen: 3, applied: "a b",
			},
			fault{
				name: name + ", not healing", inject: always(do), outcomes: "2 unknown", seen: many,
				check: func(e *env) { require.NotErrorIs(e, e.err, mirror.ErrRateLimited) },
			},
			fault{
				name: name + ", after apply, and a refusal by row after it", inject: after(do),
				outcomes: "2 unknown", seen: 2, applied: "a b", says: doubt, check: func(e *env) {
					require.NotEmpty(e, e.report.Results[0].Notes)
					require.NotErrorAs(e, e.err, new(*mirror.TopicError))
				},
			},
			fault{
				name: name + ", and a 403 after it", inject: append(before(do), before(mirrortest.Error(403, 40301, "x"))...),
				outcomes: "2 unknown", seen: 2, says: doubt,
			},
			fault{
				name:     name + ", and the limiter's rejections after it",
				inject:   append(before(do), always(mirrortest.RateLimited())...),
				outcomes: "2 unknown", seen: many, says: doubt,
			},
			fault{
				name: name + ", and a missing row after it", setup: oneEach,
				inject:   append(before(do), mirrortest.Fault{Topic: "a", AfterApply: true, Do: mirrortest.LeaveOut()}),
				outcomes: "unknown, untouched", seen: 2, applied: "a",
			},
			fault{
				name: name + ", and not sent after it", inject: before(do), setup: failingLater(1),
				outcomes: "2 unknown", seen: 1, says: doubt,
			},
			fault{
				name: name + ", and the deadline before the retry", inject: before(do),
				setup: deadline(500 * time.Millisecond), outcomes: "2 unknown", seen: 1, is: []error{context.DeadlineExceeded},
			},
			fault{
				name: name + ", and cancelled in the pause after it", inject: before(do),
				setup: cancelled(500*time.Millisecond, errStop), outcomes: "2 unknown", seen: 1,
				is: []error{context.Canceled, errStop},
			},
			fault{name: name + ", never retried", inject: always(do), setup: neverRetry, outcomes: "2 unknown", seen: 1},
			fault{
				name: name + ", by pattern, after apply, and no rows after it", setup: all(byPrefix, madeUp),
				inject:   append(after(do), before(ok(rows()))...),
				outcomes: "no topics", seen: 2, applied: "a b", is: []error{mirror.ErrOutcomeUnknown},
				check: func(e *env) { require.True(e, e.report.Lost) },
			},
			fault{
				name: name + ", by pattern, after apply, and other rows after it", setup: all(byPrefix, madeUp),
				inject:   append(after(do), before(ok(rows(good("a"))))...),
				outcomes: "accepted", seen: 2, applied: "a b", is: []error{mirror.ErrOutcomeUnknown},
				check: func(e *env) { require.True(e, e.report.Lost) },
			},
		)
	}
	return cases
}

// failingLater has no host be found after so many connections.
func failingLater(connections int) func(*env) {
	return func(e *env) {
		e.dial(func(_ context.Context, n int, next func() (net.Conn, error)) (net.Conn, error) {
			if n > connections {
				return nil, errNoHost
			}
			return next()
		})
	}
}

func faultsOfServers() []fault {
	var cases []fault
	for name, do := range map[string]mirrortest.Action{
		"500":                     mirrortest.Error(500, 500, "x"),
		"500 with 50002":          mirrortest.Error(500, 50002, "x"),
		"500 with 50003":          mirrortest.Error(500, 50003, "x"),
		"502 as HTML":             status(502, "text/html", "<title>Bad Gateway</title>"),
		"504 as HTML":             status(504, "text/html", "<title>Gateway Time-out</title>"),
		"503 as HTML":             status(503, "text/html", "<title>Service Unavailable</title>"),
		"503 of the rate limiter": status(503, "text/html", "<title>Service Unavailable</title>", "DoSFilter", "unavailable"),
		"503 with Retry-After":    status(503, "text/html", "", "Retry-After", "1"),
		"503 with 50302":          mirrortest.Error(503, 50302, "x"),
	} {
		cases = append(cases, bothWays(name, "2 unknown", do)...)
	}
	cases = append(cases, fault{
		name: "503 while the handler runs on", inject: after(mirrortest.Handle(
			func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
				w.WriteHeader(http.StatusServiceUnavailable)
				http.NewResponseController(w).Flush()
				<-r.Context().Done()
			})),
		outcomes: "2 unknown", seen: 1, applied: "a b", says: "HTTP 503", check: took(time.Minute),
	})
	for name, body := range map[string]string{
		"an array": "[]", "a string": `"x"`, "empty": "", "HTML": "<html>", "cut": `{"error_code":5`, "a number": "7",
	} {
		f := refusal("500 whose JSON body is "+name, "2 unknown", status(500, jsonType, body))
		f.says = "HTTP 500"
		cases = append(cases, f)
	}
	for _, code := range []int{201, 202, 203, 204, 206} {
		cases = append(cases, refusal(fmt.Sprint(code), "2 unknown", status(code, jsonType, rows(good("a"), good("b")))))
	}
	for _, code := range []int{501, 505, 599, 600, 999} {
		cases = append(cases, refusal(fmt.Sprint(code), "2 unknown", status(code, "", "")))
	}
	open := map[int]string{
		101: "HTTP 101 Switching Protocols", 200: "could not be read to its end", 400: "HTTP 400", 429: "HTTP 429", 503: "HTTP 503",
	}
	for _, code := range slices.Sorted(maps.Keys(open)) {
		head := fmt.Sprintf("HTTP/1.1 %d x\r\nContent-Type: application/json\r\n"+
			"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", code)
		if code == 101 {
			head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
		}
		cases = append(cases, fault{
			name: fmt.Sprintf("%d with the connection left open, and nothing comes", code), setup: func(e *env) {
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
			},
			outcomes: "2 unknown", seen: 1, says: open[code],
			check: func(e *env) { require.LessOrEqual(e, e.took, 5*time.Second) },
		})
	}
	return cases
}
