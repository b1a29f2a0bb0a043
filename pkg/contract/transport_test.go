package contract_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/contract"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

const secret = "c4n4ry-s3cr3t"

// observe makes one call through a checking transport, to a cluster that answers as told, and returns
// what was found.
func observe(t *testing.T, s mirror.Selection, o contract.Options, do *mirrortest.Action) []contract.Finding {
	t.Helper()
	pair := mirrortest.NewPair(t, mirrortest.Options{Link: "link-1", Topics: []mirrortest.Topic{{Name: "a"}, {Name: "b"}}})
	if do != nil {
		pair.Local.Inject(mirrortest.Fault{Do: *do})
	}
	var found []contract.Finding
	pair.Local.AcceptToken(secret, "")
	client := through(t, pair.Local, checkedBy(t, o, func(f contract.Finding) { found = append(found, f) }),
		func(cfg *mirror.Config) {
			cfg.Credential = func(_ context.Context, h http.Header) error { h.Set("Authorization", "Bearer "+secret); return nil }
		})
	_, _ = client.ReverseAndPause(t.Context(), "link-1", s)
	return found
}

const (
	lags = `"mirror_lags":[{"partition":0,"lag":1,"last_source_fetch_offset":-1}]`
	rest = `"messages_truncated":null,"partition_level_truncation_data":null`
	meta = `"kind":"K","metadata":{"self":"http://h/kafka/v3/clusters/lkc-local/links/link-1/mirrors/x"}`
)

func row(topic string, members ...string) string {
	if members == nil {
		members = []string{`"error_code":null,"error_message":null`, lags, rest}
	}
	return `{` + meta + `,"mirror_topic_name":"` + topic + `",` + strings.Join(members, ",") + `}`
}

func list(rows ...string) string { return `{` + meta + `,"data":[` + strings.Join(rows, ",") + `]}` }

// defect is something wrong with an answer that was asked for the topics a and b.
type defect struct {
	name                  string
	status                int
	mediaType, body, rule string
}

func defects() []defect {
	const ok = `"error_code":null,"error_message":null`
	const jsonType = "application/json"
	of200 := func(name, rule, body string) defect { return defect{name, 200, jsonType, body, rule} }
	b := func(members ...string) string { return list(row("a"), row("b", members...)) }
	swap := func(was, is string) string { return strings.Replace(list(row("a"), row("b")), was, is, 1) }
	return []defect{
		of200("wrong type of a name", contract.RuleSchema, swap(`"mirror_topic_name":"a"`, `"mirror_topic_name":7`)),
		of200("wrong type of a lag", contract.RuleSchema, swap(`"lag":1`, `"lag":"1"`)),
		of200("missing member of a row", contract.RuleSchema, swap(`"error_code":null,`, ``)),
		of200("missing member of a lag", contract.RuleSchema, swap(`,"last_source_fetch_offset":-1`, ``)),
		of200("missing metadata", contract.RuleSchema, `{"kind":"K","data":[`+row("a")+`,`+row("b")+`]}`),
		of200("null where not nullable", contract.RuleSchema, b(ok, `"mirror_lags":null`, rest)),
		of200("data missing", contract.RuleSchema, `{`+meta+`}`),
		of200("data an object", contract.RuleSchema, `{`+meta+`,"data":{}}`),
		of200("a row that is null", contract.RuleSchema, list(row("a"), row("b"), "null")),
		of200("lag a fraction", contract.RuleSchema, swap(`"lag":1`, `"lag":1.5`)),
		of200("an integer written as 1e3", contract.RuleInteger, swap(`"lag":1`, `"lag":1e3`)),
		of200("lag beyond int64", contract.RuleInteger, swap(`"lag":1`, `"lag":9223372036854775808`)),
		of200("duplicate member", contract.RuleDuplicate, b(ok, `"error_code":null`, lags, rest)),
		of200("duplicate member of the whole", contract.RuleDuplicate,
			`{`+meta+`,"data":[],"data":[`+row("a")+`,`+row("b")+`]}`),
		of200("a missing topic", contract.RuleMissing, list(row("a"))),
		of200("no rows at all", contract.RuleMissing, list()),
		of200("an extra topic", contract.RuleUnasked, list(row("a"), row("b"), row("c"))),
		of200("a topic in another case", contract.RuleUnasked, list(row("a"), row("B"))),
		of200("a topic twice", contract.RuleTwice, list(row("a"), row("b"), row("a"))),
		of200("a code without a message", contract.RuleVerdict, b(`"error_code":400,"error_message":null`, lags, rest)),
		of200("a message without a code", contract.RuleVerdict, b(`"error_code":null,"error_message":"x"`, lags, rest)),
		of200("a partition twice", contract.RulePartition, b(ok,
			`"mirror_lags":[{"partition":0,"lag":1,"last_source_fetch_offset":1},`+
				`{"partition":0,"lag":2,"last_source_fetch_offset":1}]`, rest)),
		of200("a negative partition", contract.RulePartition, swap(`"partition":0`, `"partition":-1`)),
		of200("a truncated partition twice", contract.RulePartition, b(ok, lags, `"messages_truncated":null`,
			`"partition_level_truncation_data":[{"partition_id":1,"offset_truncated_to":1,"messages_truncated":1},`+
				`{"partition_id":1,"offset_truncated_to":1,"messages_truncated":1}]`)),
		of200("a lag less than -1", contract.RuleLag, swap(`"lag":1`, `"lag":-2`)),
		of200("an offset less than -1", contract.RuleLag,
			swap(`"last_source_fetch_offset":-1`, `"last_source_fetch_offset":-2`)),
		of200("truncation that does not add up", contract.RuleTruncation, b(ok, lags, `"messages_truncated":5`,
			`"partition_level_truncation_data":[{"partition_id":1,"offset_truncated_to":1,"messages_truncated":4}]`)),
		of200("next set", contract.RuleNext,
			strings.Replace(list(row("a"), row("b")), `"metadata":{`, `"metadata":{"next":"p2",`, 1)),
		of200("bytes after the end", contract.RuleSyntax, list(row("a"), row("b"))+"{}"),
		of200("cut in the middle", contract.RuleSyntax, list(row("a"), row("b"))[:300]),
		of200("not JSON", contract.RuleSyntax, "oops"),
		{"an empty 200", 200, jsonType, "", contract.RuleSyntax},
		{"HTML under 200", 200, "text/html", "<title>Sign in</title>", contract.RuleMediaType},
		{"problem+json under 200", 200, "application/problem+json", list(row("a"), row("b")), contract.RuleMediaType},
		{"undeclared status", 202, jsonType, list(row("a"), row("b")), contract.RuleStatus},
		{"undeclared status, 409", 409, jsonType, `{"error_code":409}`, contract.RuleStatus},
		{"403", 403, jsonType, `{"error_code":40301,"message":"x"}`, contract.RuleStatus},
		{"404", 404, jsonType, `{"error_code":404,"message":"x"}`, contract.RuleStatus},
		{"429 as JSON", 429, jsonType, `{"error_code":42901,"message":"x"}`, contract.RuleMediaType},
		{"503 as HTML", 503, "text/html", "<title>x</title>", contract.RuleMediaType},
		{"an error with an extra member", 400, jsonType, `{"error_code":400,"oops":1}`, contract.RuleSchema},
		{"an error code beyond int32", 500, jsonType, `{"error_code":2147483648,"message":"x"}`, contract.RuleInteger},
		{"an error id that is too long", 500, jsonType, `{"id":"` + strings.Repeat("x", 256) + `"}`, contract.RuleSchema},
	}
}

func TestTransport_FindsSeededDefects(t *testing.T) {
	for _, d := range defects() {
		t.Run(d.name, func(t *testing.T) {
			do := mirrortest.Answer(d.status, d.body, "Content-Type", d.mediaType)
			found := observe(t, mirror.Topics("a", "b"), contract.Options{Strict: true}, &do)
			ours := ""
			for _, f := range found {
				if f.Rule == d.rule && f.Severity == contract.Violation {
					ours = f.String()
				}
				require.NotContains(t, f.String(), secret)
				require.NotContains(t, f.String(), "\n")
				require.LessOrEqual(t, len(f.Detail), 512)
			}
			require.NotEmpty(t, ours, "%v", found)
		})
	}
}

func TestTransport_FindsNothingInWhatIsRight(t *testing.T) {
	require.Empty(t, observe(t, mirror.Topics("a", "b"), contract.Options{Strict: true}, nil))
	require.Empty(t, observe(t, mirror.All(), contract.Options{Strict: true}, nil))
	whole := mirrortest.Answer(200, list(row("a", `"error_code":0,"error_message":""`, lags, `"messages_truncated":4`,
		`"partition_level_truncation_data":[{"partition_id":1,"offset_truncated_to":1,"messages_truncated":4}]`), row("b")),
		"Content-Type", "application/json; charset=utf-8")
	require.Empty(t, observe(t, mirror.Topics("a", "b"), contract.Options{Strict: true}, &whole))
}

// The contract's own examples are no violation, although their self links are of another link. A 401 is
// a note.
func TestTransport_ExamplesOfTheContract(t *testing.T) {
	for status, response := range operation(t).Responses.Map() {
		for mediaType, content := range response.Value.Content {
			bodies := map[string]any{}
			if content.Example != nil {
				bodies["example"] = content.Example
			}
			for name, e := range content.Examples {
				bodies[name] = e.Value.Value
			}
			for name, value := range bodies {
				text, isText := value.(string)
				if !isText {
					encoded, err := json.Marshal(value)
					require.NoError(t, err)
					text = string(encoded)
				}
				code := map[string]int{"200": 200, "400": 400, "401": 401, "429": 429, "5XX": 500}[status]
				do := mirrortest.Answer(code, text, "Content-Type", mediaType)
				for _, f := range observe(t, mirror.Topics("topic-sb", "topic-2"), contract.Options{Strict: true}, &do) {
					require.Equal(t, contract.Note, f.Severity, "%s: %v", name, f)
				}
			}
		}
	}
}

func TestTransport_DriftIsListedNotFailed(t *testing.T) {
	for _, d := range defects() {
		switch d.name {
		case "403", "404", "429 as JSON", "503 as HTML":
			do := mirrortest.Answer(d.status, d.body, "Content-Type", d.mediaType)
			found := observe(t, mirror.Topics("a", "b"), contract.Options{}, &do)
			require.Len(t, found, 1)
			require.Equal(t, contract.Drift, found[0].Severity)
			require.Equal(t, d.status, found[0].Status)
			require.Contains(t, found[0].String(), fmt.Sprintf(": answer %d: ", d.status))
		}
	}
}

func TestTransport_ChangesNoByte(t *testing.T) {
	body := strings.Repeat(" ", 5000) + `{"mirror_topic_names":["a"]}` + strings.Repeat("\n", 5000)
	answer := list(row("a")) + strings.Repeat(" ", 70000)
	var sent, received bytes.Buffer
	var found []contract.Finding
	base := roundTripper(func(r *http.Request) (*http.Response, error) {
		_, err := sent.ReadFrom(r.Body)
		require.NoError(t, err)
		require.Equal(t, "Bearer "+secret, r.Header.Get("Authorization"))
		return &http.Response{
			StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(strings.NewReader(answer)),
		}, nil
	})
	for _, limit := range []int{0, 100} {
		sent.Reset()
		received.Reset()
		found = nil
		transport, err := contract.NewTransport(base,
			func(f contract.Finding) { found = append(found, f) }, contract.Options{MaxBody: limit})
		require.NoError(t, err)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
			"http://h/x/v3/clusters/lkc-local/links/link-1/mirrors:reverse-and-pause-mirror?validate_only=true",
			strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+secret)
		resp, err := transport.RoundTrip(r)
		require.NoError(t, err)
		_, err = received.ReadFrom(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, body, sent.String())
		require.Equal(t, answer, received.String())
		if limit == 0 {
			require.Empty(t, found)
		} else {
			require.Len(t, found, 2, "neither body is kept")
			for _, f := range found {
				require.Equal(t, contract.RuleUnchecked, f.Rule)
				require.Equal(t, contract.Note, f.Severity)
			}
		}
	}
}

func TestTransport_WhatItDoesNotCheck(t *testing.T) {
	var found []contract.Finding
	transport, err := contract.NewTransport(roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(strings.NewReader(list(row("a")))),
		}, nil
	}), func(f contract.Finding) { found = append(found, f) }, contract.Options{})
	require.NoError(t, err)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://h/kafka/v3/clusters/c/topics", nil)
	require.NoError(t, err)
	_, err = transport.RoundTrip(r)
	require.NoError(t, err)
	require.Empty(t, found, "another operation is none of its business")

	r, err = http.NewRequestWithContext(t.Context(), http.MethodPost,
		"http://h/kafka/v3/clusters/c/links/l/mirrors:reverse-and-pause-mirror?validate_only=maybe",
		strings.NewReader(`{"mirror_topic_names":"a"}`))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	resp, err := transport.RoundTrip(r)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	var rules []string
	for _, f := range found {
		rules = append(rules, fmt.Sprint(f.Request, " ", f.Rule))
	}
	require.Contains(t, rules, "true request", "%v", found)
	require.Contains(t, rules, "false unchecked", "the body was closed before its end")

	_, err = contract.NewTransport(nil, nil, contract.Options{})
	require.ErrorContains(t, err, "nothing to call")
}

func TestTransport_PassesOnErrorsAndTraces(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{})
	pair.Local.Inject(mirrortest.Fault{AfterApply: true, Do: mirrortest.Cut(0)})
	client := through(t, pair.Local, tested(t))
	report, err := client.ReverseAndPause(t.Context(), pair.Link(), mirror.Topics("topic-1"))
	require.ErrorIs(t, err, mirror.ErrOutcomeUnknown)
	require.Equal(t, []string{"topic-1"}, report.Topics(mirror.Unknown), "the trace comes through: the request was sent")

	require.NoError(t, pair.Close())
	report, err = client.ReverseAndPause(t.Context(), pair.Link(), mirror.Topics("topic-2"))
	require.Error(t, err)
	require.Equal(t, []string{"topic-2"}, report.Topics(mirror.Untouched), "and so does what was not sent")
}

func TestTransport_IsSafeForConcurrentUse(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{})
	client := through(t, pair.Local, tested(t, contract.Strictly()))
	var all sync.WaitGroup
	for range 128 {
		all.Go(func() { _, _ = client.Validate(t.Context(), mirror.VerbReverseAndPause, pair.Link(), mirror.All()) })
	}
	all.Wait()
	require.Len(t, pair.Requests(), 128)
}

var _ http.RoundTripper = (*contract.Transport)(nil)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestSeverity_TextForms(t *testing.T) {
	require.Equal(t, "note drift violation severity(9)",
		fmt.Sprint(contract.Note, contract.Drift, contract.Violation, contract.Severity(9)))
	f := contract.Finding{
		Rule: contract.RuleRequest, Severity: contract.Violation, Method: "GET", Path: "/b\n", Number: 7,
		Request: true, Pointer: "/a\n", Detail: "x", Count: 1,
	}
	require.Equal(t, `violation request: request 7, GET /b\n: request at /a\n: x`, f.String())
	f.Request, f.Status, f.Count = false, 200, 500
	require.Equal(t, `violation request: request 7, GET /b\n: answer 200 at /a\n: x (the first of 500)`, f.String())
}
