package contract_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/contract"
)

// traffic is a request as it is sent, and its answer.
type traffic struct {
	method, target string
	sends          http.Header
	body           string
	status         int
	answers        http.Header
	answer         string
}

const (
	link1   = "/kafka/v3/clusters/lkc-local/links/link-1"
	reverse = link1 + "/mirrors:reverse-and-pause-mirror"
)

// good is an exchange in which nothing is wrong.
func good() *traffic {
	return &traffic{
		"POST", reverse + "?validate_only=true",
		http.Header{"Content-Type": {"application/json"}, "Authorization": {"Basic " + "dXNlcjpwYXNzd29yZA=="}},
		`{"mirror_topic_names":["a","b"]}`,
		200, http.Header{"Content-Type": {"application/json"}}, list(row("a"), row("b")),
	}
}

// trafficCase is an edit of a good exchange, with all that must be found then: severity, rule, and
// whether it is about the request.
type trafficCase struct {
	name string
	edit func(*traffic)
	want []string
}

const (
	requestViolation = "violation request of the request"
	requestSyntax    = "violation syntax of the request"
	requestNote      = "note request of the request"
	requestUnchecked = "note unchecked of the request"
	noAuthorization  = "drift request of the request"
)

func found(want ...string) []string { return want }

func trafficCases() []trafficCase {
	target := func(s string) func(*traffic) { return func(c *traffic) { c.target = s } }
	query := func(s string) func(*traffic) { return target(reverse + "?" + s) }
	sends := func(name string, values ...string) func(*traffic) {
		return func(c *traffic) {
			if c.sends[name] = values; values == nil {
				delete(c.sends, name)
			}
		}
	}
	body := func(s string) func(*traffic) { return func(c *traffic) { c.body = s } }
	answer := func(s string) func(*traffic) { return func(c *traffic) { c.answer = s } }
	fails := func(status int, mediaType, answer string) func(*traffic) {
		return func(c *traffic) {
			c.status, c.answer, c.answers = status, answer, http.Header{"Content-Type": {mediaType}}
			if mediaType == "" {
				c.answers["Content-Type"] = nil // net/http writes none then
			}
		}
	}
	encoded := func(encoding string, with func(io.Writer) io.WriteCloser) func(*traffic) {
		return func(c *traffic) {
			c.answers.Set("Content-Encoding", encoding)
			if with != nil {
				var b bytes.Buffer
				w := with(&b)
				w.Write([]byte(c.answer))
				w.Close()
				c.answer = b.String()
			}
			c.sends.Set("Accept-Encoding", encoding) // so that net/http leaves it as it is
		}
	}
	zip := func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }
	rowB := func(members ...string) func(*traffic) { return answer(list(row("a"), row("b", members...))) }
	swap := func(was, is string) func(*traffic) {
		return func(c *traffic) {
			if !strings.Contains(c.answer, was) {
				panic(was)
			}
			c.answer = strings.Replace(c.answer, was, is, 1)
		}
	}
	both := func(edits ...func(*traffic)) func(*traffic) {
		return func(c *traffic) {
			for _, e := range edits {
				e(c)
			}
		}
	}
	reads := func(target, answer string) func(*traffic) {
		return func(c *traffic) {
			c.method, c.target, c.body, c.answer = "GET", target, "", answer
			c.sends.Del("Content-Type")
		}
	}
	const ok = `"error_code":null,"error_message":null`
	const one = `"partition_level_truncation_data":[{"partition_id":0,"offset_truncated_to":3,"messages_truncated":4}]`
	mirrorRow := func(topic string) string {
		return `{` + meta + `,"link_name":"link-1","mirror_topic_name":"` + topic + `","source_topic_name":"a",` +
			`"num_partitions":1,"mirror_status":"ACTIVE","state_time_ms":1,` + lags + `}`
	}
	const clusterLink = `{` + meta + `,"link_name":"link-1","cluster_link_id":"x","topic_names":["a"]}`
	truncated := func(parts ...string) func(*traffic) {
		return rowB(ok, lags, `"messages_truncated":4`, `"partition_level_truncation_data":[`+strings.Join(parts, ",")+`]`)
	}
	part := func(id, offset, n string) string {
		return `{"partition_id":` + id + `,"offset_truncated_to":` + offset + `,"messages_truncated":` + n + `}`
	}
	tooDeep := strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) // for the decoder
	const maxInt = "9223372036854775807"
	cases := []trafficCase{
		// What is right.
		{"a good exchange", both(), nil},
		{"a real run", query("validate_only=false"), nil},
		{"validate_only left out", target(reverse), nil},
		{"a bearer token", sends("Authorization", "Bearer abc.def-_~+/=="), nil},
		{"a scheme in another case", sends("Authorization", "basic "+"dXNlcjpwYXNzd29yZA=="), nil},
		{"a charset", sends("Content-Type", "application/json; charset=utf-8"), nil},
		{
			"a charset of the answer", func(c *traffic) { c.answers.Set("Content-Type", "application/json;charset=UTF-8") },
			nil,
		},
		{"one name", both(body(`{"mirror_topic_names":["a"]}`), answer(list(row("a")))), nil},
		{"a name twice", both(body(`{"mirror_topic_names":["a","a"]}`), answer(list(row("a")))), nil},
		{"a pattern", both(body(`{"mirror_topic_name_pattern":".*"}`), answer(list(row("x"), row("y")))), nil},
		{"a pattern that matches nothing", both(body(`{"mirror_topic_name_pattern":"x"}`), answer(list())), nil},
		{"white space around the body", body("\n " + `{ "mirror_topic_names" : [ "a" , "b" ] }` + "\n"), nil},
		{"rows in another order", answer(list(row("b"), row("a"))), nil},
		{"a failed row", rowB(`"error_code":400,"error_message":"x"`, lags, rest), nil},
		{"a code of 0", rowB(`"error_code":0,"error_message":""`, lags, rest), nil},
		{"no lags", rowB(ok, `"mirror_lags":[]`, rest), nil},
		{"lags with gaps", swap(`"partition":0`, `"partition":7`), nil},
		{"-1 for not truncated", rowB(ok, lags, `"messages_truncated":-1`, `"partition_level_truncation_data":[]`), nil},
		{"truncated rows that add up", truncated(part("0", "3", "4")), nil},
		{"truncated rows without a total", rowB(ok, lags, `"messages_truncated":null`, one), nil},
		{"an undeclared member of a row", rowB(`"new":{"x":[1]}`, ok, lags, rest), nil},
		{"metadata.next that is null", swap(`"metadata":{`, `"metadata":{"next":null,`), nil},
		{"metadata.next that is empty", swap(`"metadata":{`, `"metadata":{"next":"",`), nil},
		{"escaped text", swap(`"K"`, `"\u004B\ud83d\ude00"`), nil},
		{"another prefix", target("/x/v3/" + strings.TrimPrefix(reverse, "/kafka/v3/")), nil},
		{"an escaped colon", target(strings.Replace(reverse, ":rev", "%3Arev", 1)), nil},
		{"an escaped letter", target(strings.Replace(reverse, "clusters", "%63lusters", 1)), nil},
		{"a link with a slash", both(target(strings.Replace(reverse, "link-1", "a%2Fb", 1)),
			func(c *traffic) { c.answer = strings.ReplaceAll(c.answer, "link-1", "a%2Fb") }), nil},
		{"a link with a semicolon", both(target(strings.Replace(reverse, "link-1", "a%3Bb", 1)),
			func(c *traffic) { c.answer = strings.ReplaceAll(c.answer, "link-1", "a%3Bb") }), nil},
		{
			"a self link with other escapes",
			func(c *traffic) { c.answer = strings.ReplaceAll(c.answer, "link-1", "%6Cink-1") }, nil,
		},
		{"a 400", fails(400, "application/json", `{"error_code":40002,"message":"x"}`), nil},
		{"a 401", fails(401, "application/json", `{"error_code":40101,"message":"x"}`), found("note status")},
		{"a 429 of the rate limiter as HTML", fails(429, "text/html", "<html>"), nil},
		{"a 500", fails(500, "application/json", `{"error_code":500,"message":null}`), nil},
		{
			"a 503 in the cloud's shape", fails(503, "application/json", `{"id":"x","status":"503","title":"t","source":{}}`),
			nil,
		},
		{"gzip", encoded("gzip", zip), nil},
		{"x-gzip", encoded("x-gzip", zip), nil},
		{"deflate", encoded("deflate", func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }), nil},
		{"identity", encoded("identity", nil), nil},
		{"a list of mirrors", reads(link1+"/mirrors", list(mirrorRow("a"), mirrorRow("b"))), nil},
		{"a list of mirrors by status", reads(link1+"/mirrors?mirror_status=ACTIVE", list()), nil},
		{"one mirror", reads(link1+"/mirrors/a?include_state_transition_errors=true", mirrorRow("a")), nil},
		{"the link", reads(link1+"?include_tasks=true", clusterLink), nil},
		{"the link's configs", reads(link1+"/configs", list(`{`+meta+`,"cluster_id":"c","name":"n","value":null,`+
			`"is_default":true,"is_read_only":true,"is_sensitive":true,"source":"S","synonyms":[],"link_name":"link-1"}`)), nil},
		{"truncate-and-restore", target(link1 + "/mirrors:truncate-and-restore" +
			"?include_partition_level_truncation_data=true&validate_only=true"), nil},

		{"a topic of two links", reads("/kafka/v3/clusters/lkc-local/links/-/mirrors", list(
			mirrorRow("a"), strings.Replace(mirrorRow("a"), `"link_name":"link-1"`, `"link_name":"link-2"`, 1),
		)), nil},
		{"a topic twice of one of two links", reads("/kafka/v3/clusters/lkc-local/links/-/mirrors", list(
			mirrorRow("a"), mirrorRow("a"),
		)), found("violation topic-twice")},
		{"a topic read alone from all links", reads("/kafka/v3/clusters/lkc-local/links/-/mirrors/a", mirrorRow("a")), nil},
		{"a code in a list", reads(link1+"/mirrors", list(
			strings.Replace(mirrorRow("a"), `{`, `{"error_code":"NO_ERROR",`, 1),
		)), nil},
		{"a message in a list", reads(link1+"/mirrors", list(
			strings.Replace(mirrorRow("a"), `{`, `{"error_message":"x","messages_truncated":1,`+one+`,`, 1),
		)), nil},
		{"a code of one mirror", reads(link1+"/mirrors/a", strings.Replace(mirrorRow("a"), `{`, `{"error_code":"x",`, 1)), nil},

		// The request's query, path and head.
		{"validate_only beside a malformed pair", query("validate_only=true&x=%zz"), found(requestViolation)},
		{"validate_only beside a semicolon", query("validate_only=true;a=b"), found(requestViolation)},
		{"a bracket in the query", query("validate_only=true&x[]=1"), found(requestViolation)},
		{"validate_only twice", query("validate_only=true&validate_only=true"), found(requestViolation)},
		{"validate_only true and false", query("validate_only=true&validate_only=false"), found(requestViolation)},
		{"dry_run", query("dry_run=true"), found(requestViolation)},
		{"validateOnly", query("validateOnly=true"), found(requestViolation)},
		{"Validate_Only", query("Validate_Only=true"), found(requestViolation)},
		{"a parameter of another operation", query("include_partition_level_truncation_data=true"), found(requestViolation)},
		{"a boolean of a read", reads(link1+"?include_tasks=yes", clusterLink), found(requestViolation)},
		{"an undeclared parameter of a read", reads(link1+"/mirrors?page_size=10", list()), found(requestViolation)},
		{"a method that the contract does not have", func(c *traffic) { c.method = "PUT" }, found(requestUnchecked)},
		{"a new mirror topic", target(link1 + "/mirrors"), found(requestUnchecked)},
		{"a delete of the link", func(c *traffic) { c.method, c.target = "DELETE", link1 }, found(requestUnchecked)},
		{"a trailing slash", target(reverse + "/"), found(requestUnchecked)},
		{"a double slash", target(strings.Replace(reverse, "/links", "//links", 1)), found(requestUnchecked)},
		{"a double slash before", target("/" + reverse), found(requestUnchecked)},
		{"another case", target(strings.Replace(reverse, "clusters", "Clusters", 1)), found(requestUnchecked)},
		{"a dot segment", target(strings.Replace(reverse, "/links", "/./links", 1)), found(requestUnchecked)},
		{"a matrix parameter", target(reverse + ";x=1"), found(requestUnchecked)},
		{
			"a matrix parameter of the link", target(strings.Replace(reverse, "link-1", "link-1;x=1", 1)),
			found(requestUnchecked),
		},
		{
			"a matrix parameter of the prefix", target(strings.Replace(reverse, "kafka", "kafka;x", 1)),
			found(requestUnchecked),
		},
		{"another operation", reads("/kafka/v3/clusters/c/topics", "{}"), nil},
		{"no Authorization", sends("Authorization"), found(noAuthorization)},
		{"two Authorizations", sends("Authorization", "Bearer a", "Bearer b"), found(requestViolation)},
		{"a second Authorization in another case", sends("authorization", "Bearer b"), found(requestViolation)},
		{"a second Content-Type in another case", sends("content-type", "text/plain"), found(requestViolation)},
		{"an unknown scheme", sends("Authorization", "Digest username=x"), found(requestViolation)},
		{"a key without its scheme", sends("Authorization", secret), found(requestViolation)},
		{"Basic that is not base64", sends("Authorization", "Basic "+secret+"!"), found(requestViolation)},
		{"Basic without a colon", sends("Authorization", "Basic dXNlcg=="), found(requestViolation)},
		{"Bearer without a token", sends("Authorization", "Bearer"), found(requestViolation)},
		{"Bearer with a space in the token", sends("Authorization", "Bearer a b"), found(requestViolation)},
		{"an empty Authorization", sends("Authorization", ""), found(requestViolation)},

		// The request's body.
		{"no Content-Type", sends("Content-Type"), found(requestViolation)},
		{"another Content-Type", sends("Content-Type", "text/plain"), found(requestViolation)},
		{"a Content-Type that holds a secret", sends("Content-Type", "application/"+secret), found(requestViolation)},
		{"a Content-Type that is none", sends("Content-Type", secret), found(requestViolation)},
		{"two Content-Types", sends("Content-Type", "application/json", "text/plain"), found(requestViolation)},
		{"an undeclared member", body(`{"mirror_topic_names":["a","b"],"dry_run":true}`), found(requestNote)},
		{"an empty selection", body(`{}`), found(requestNote)},
		{"an empty list of names", body(`{"mirror_topic_names":[]}`), found(requestNote)},
		{"an empty pattern", body(`{"mirror_topic_name_pattern":""}`), found(requestNote)},
		{"a misspelled member", body(`{"mirror_topic_name":["a"]}`), found(requestNote)},
		{"names beside a pattern", body(`{"mirror_topic_names":["a"],"mirror_topic_name_pattern":"b"}`), found(requestNote)},
		{"no body", body(""), found(requestNote)},
		{"names that are text", body(`{"mirror_topic_names":"a"}`), found(requestViolation, requestNote)},
		{"names that are null", body(`{"mirror_topic_names":null}`), found(requestViolation, requestNote)},
		{"a name that is a number", body(`{"mirror_topic_names":["a","b",7]}`), found(requestViolation)},
		{"a pattern that is a list", body(`{"mirror_topic_name_pattern":[".*"]}`), found(requestViolation, requestNote)},
		{"a body that is a list", body(`["a","b"]`), found(requestViolation)},
		{"a body that is null", body(`null`), found(requestViolation)},
		{"a member twice", body(`{"mirror_topic_names":["x"],"mirror_topic_names":["a","b"]}`),
			found("violation duplicate-member of the request")},
		{"a body that is not JSON", body("mirror_topic_names=a"), found(requestSyntax)},
		{"a body that is cut", body(`{"mirror_topic_names":["a","b"`), found(requestSyntax)},
		{"two documents", body(`{"mirror_topic_names":["a","b"]}{}`), found(requestSyntax)},
		{"two documents, and a topic is missing", both(body(`{"mirror_topic_names":["a","b","c"]}{}`)),
			found(requestSyntax, "violation topic-missing")},
		{"a body that is not UTF-8", body("{\"x\":\"\xff\",\"mirror_topic_names\":[\"a\",\"b\"]}"),
			found(requestSyntax, requestNote)},
		{"a body that is not UTF-8, and a topic is missing",
			body("{\"x\":\"\xff\",\"mirror_topic_names\":[\"a\",\"b\",\"c\"]}"),
			found(requestSyntax, requestNote, "violation topic-missing")},
		{"a body that is too deep", body(`{"mirror_topic_names":["x"],"new":` + tooDeep + `}`), found(requestUnchecked)},
		{"a byte order mark", body("\ufeff" + `{"mirror_topic_names":["a","b"]}`), found(requestSyntax)},
		{"an unknown encoding of the request", sends("Content-Encoding", "br"), found(requestUnchecked)},

		// The answer's head.
		{"an encoding that is not decoded", encoded("br", nil), found("note unchecked")},
		{"zstd", encoded("zstd", nil), found("note unchecked")},
		{"two encodings", encoded("gzip, gzip", zip), found("note unchecked")},
		{"gzip that is not", encoded("gzip", nil), found("note unchecked")},
		{
			"gzip that is cut", both(encoded("gzip", zip), func(c *traffic) { c.answer = c.answer[:60] }),
			found("note unchecked"),
		},
		{
			"gzip with something wrong inside", both(swap(`"lag":1`, `"lag":"1"`), encoded("gzip", zip)),
			found("violation schema"),
		},
		{"202", func(c *traffic) { c.status = 202 }, found("violation status")},
		{"204", fails(204, "", ""), found("violation status")},
		{"409", fails(409, "application/json", `{"error_code":409}`), found("violation status")},
		{"HTML as 200", fails(200, "text/html", "<title>Sign in</title>"), found("violation media-type")},
		{"a 200 without a type", fails(200, "", "{}"), found("violation media-type")},
		{"a type that holds a secret", fails(200, "application/"+secret, "{}"), found("violation media-type")},
		{"a 400 as XML", fails(400, "application/xml", "<x/>"), found("violation media-type")},
		{"a 400 as HTML", fails(400, "text/html", "Bad Message"), found("drift media-type")},
		{"an empty 400", fails(400, "", ""), found("drift media-type")},
		{"a 502 as text", fails(502, "text/plain", "upstream connect error"), found("drift media-type")},
		{"a 503 as HTML", fails(503, "text/html; charset=utf-8", "<html>"), found("drift media-type")},
		{"a 504 without a type", fails(504, "", ""), found("drift media-type")},
		{"a 429 as Jetty's JSON", fails(429, "application/json", `{"servlet":"default","message":"Too Many Requests",`+
			`"url":"/kafka/v3/x","status":"429"}`), found("drift media-type")},
		{"a 429 as text", fails(429, "text/plain", "local_rate_limited"), found("drift media-type")},

		// The answer's body.
		{"a list of errors", fails(401, "application/json", `{"errors":[{"id":"x","status":"401","detail":"no"}]}`),
			found("drift schema", "note status")},
		{"a list of errors as 500", fails(500, "application/json", `{"errors":[]}`), found("drift schema")},
		{"a list with a wrong error", fails(400, "application/json", `{"errors":[{"status":400}]}`),
			found("drift schema", "violation schema")},
		{"a 503 as Jetty's JSON", fails(503, "application/json", `{"servlet":"default","message":"Service Unavailable",`+
			`"url":"/kafka/v3/x","status":"503"}`), found("drift schema")},
		{"a 400 as Jetty's JSON", fails(400, "application/json", `{"url":"/x","status":"400","message":"Bad Message"}`),
			found("drift schema")},
		{"a 500 as Jetty's JSON, with its causes", fails(500, "application/json", `{"url":"/x","status":"500","message":"m",`+
			`"servlet":"s","cause0":"java.lang.IllegalStateException","cause1":"java.io.IOException"}`), found("drift schema")},
		{"a cause without Jetty's page", fails(500, "application/json", `{"status":"500","message":"m","cause0":"x"}`),
			found("violation schema")},
		{"an undeclared member of an error", fails(400, "application/json", `{"error_code":400,"oops":1}`),
			found("violation schema")},
		{"a Kafka error with a member of Jetty's", fails(
			400, "application/json", `{"error_code":400,"message":"x","url":"/"}`,
		),
			found("violation schema")},
		{"an error that is a list", fails(500, "application/json", `[]`), found("violation schema")},
		{"an error code that is text", fails(500, "application/json", `{"error_code":"500"}`), found("violation schema")},
		{
			"an error code beyond 32 bits", fails(500, "application/json", `{"error_code":2147483648}`),
			found("violation integer"),
		},
		{"rows of before September 2024", answer(list(row("a", ok, lags), row("b", ok, lags))), found("drift schema")},
		{"rows with half of the truncation members", rowB(ok, lags, `"messages_truncated":null`), found("drift schema")},
		{"truncated numbers as text", truncated(`{"partition_id":"0","offset_truncated_to":"1","messages_truncated":"4"}`),
			found("violation schema")},
		{"a truncated partition without its count", truncated(`{"partition_id":0,"offset_truncated_to":1}`),
			found("violation schema")},
		{"truncated rows that do not add up", truncated(part("0", "3", "5")), found("violation truncation")},
		{"truncated rows that overflow", truncated(part("0", "1", maxInt), part("1", "1", maxInt), part("2", "1", "6")),
			found("violation truncation")},
		{"a negative truncated offset", truncated(part("0", "-1", "4")), found("violation truncation")},
		{"a negative truncated count", truncated(part("0", "1", "-4"), part("1", "1", "8")), found("violation truncation")},
		{"a negative truncated partition", truncated(part("-1", "1", "4")), found("violation partition")},
		{"an empty self", swap(`"self":"http://h/kafka/v3/clusters/lkc-local/links/link-1/mirrors/x"`, `"self":""`),
			found("note self")},
		{"a self of another link", swap("links/link-1", "links/link-2"), found("note self")},
		{"a self of another cluster", swap("lkc-local", "lkc-other"), found("note self")},
		{"a deep answer", swap(`"K"`, strings.Repeat("[", 9000)+strings.Repeat("]", 9000)), found("violation schema")},
		{
			"a deep undeclared member",
			rowB(ok, lags, rest, `"new":`+strings.Repeat(`{"a":`, 9000)+"1"+strings.Repeat("}", 9000)), nil,
		},
		{
			"an undeclared member that is too deep", rowB(ok, lags, rest, `"new":`+tooDeep), found("note unchecked"),
		},
		{"too deep, and cut", rowB(ok, lags, rest, `"new":`+tooDeep[:15_000]), found("note unchecked")},
		{"a member twice where nothing is declared", rowB(ok, lags, rest, `"new":[{"x":1,"y":2,"x":3}]`),
			found("violation duplicate-member")},
		{"an answer that is not UTF-8", swap(`"K"`, "\"\xff\""), found("violation syntax")},
		{"an answer with a byte order mark", func(c *traffic) { c.answer = "\ufeff" + c.answer }, found("violation syntax")},
		{"rows of another topic read alone", reads(link1+"/mirrors/a", mirrorRow("b")),
			found("violation topic-missing", "violation topic-unasked")},
		{"a partition beyond their number", reads(link1+"/mirrors/a",
			strings.Replace(mirrorRow("a"), `"partition":0`, `"partition":1`, 1)), found("violation partition")},
	}
	for _, value := range []string{"1", "0", "t", "T", "TRUE", "True", "yes", "", "true%20", "tru%65x", "%22true%22"} {
		cases = append(cases, trafficCase{"validate_only=" + value, query("validate_only=" + value), found(requestViolation)})
	}
	return cases
}

// distinct returns each kind of finding once, in order.
func distinct(findings []contract.Finding) []string {
	var kinds []string
	for _, f := range findings {
		kind := fmt.Sprint(f.Severity, " ", f.Rule)
		if f.Request {
			kind += " of the request"
		}
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

// exchange sends the traffic over loopback, and returns what is found and what came.
func (c *traffic) exchange(t *testing.T, o contract.Options) (findings []contract.Finding, received string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, err := io.ReadAll(r.Body)
		if err != nil || string(sent) != c.body || r.URL.RequestURI() != c.target {
			http.Error(w, "the request is not as it was sent", http.StatusTeapot)
			return
		}
		for name, values := range c.answers {
			w.Header()[name] = values
		}
		w.WriteHeader(c.status)
		_, _ = io.WriteString(w, c.answer)
	}))
	defer server.Close()
	transport, err := contract.NewTransport(
		http.DefaultTransport, func(f contract.Finding) { findings = append(findings, f) }, o,
	)
	require.NoError(t, err)
	r, err := http.NewRequestWithContext(t.Context(), c.method, server.URL+c.target, strings.NewReader(c.body))
	require.NoError(t, err)
	r.Header = c.sends.Clone()
	if _, ok := r.Header["Accept-Encoding"]; !ok {
		r.Header.Set("Accept-Encoding", "identity")
	}
	resp, err := transport.RoundTrip(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, c.status, resp.StatusCode)
	all, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return findings, string(all)
}

func TestTraffic(t *testing.T) {
	wrong := 0
	names := map[string]bool{}
	for _, c := range trafficCases() {
		require.False(t, names[c.name], "%s is there twice", c.name)
		names[c.name] = true
		t.Run(c.name, func(t *testing.T) {
			x := good()
			c.edit(x)
			findings, received := x.exchange(t, contract.Options{})
			require.Equal(t, x.answer, received, "no byte is changed")
			got, want := distinct(findings), slices.Sorted(slices.Values(c.want))
			if testing.Verbose() {
				fmt.Printf("%-50s found %-60v expected %v\n", c.name, got, want)
			}
			if !slices.Equal(got, want) {
				wrong++
				t.Errorf("found %v\nin place of %v", findings, want)
			}
			for _, f := range findings {
				require.NotContains(t, f.String(), secret)
			}
		})
	}
	if testing.Verbose() {
		fmt.Printf("%d cases, %d wrong\n", len(names), wrong)
	}
}
