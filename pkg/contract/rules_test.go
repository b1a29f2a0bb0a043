package contract_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/contract"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

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

func TestTransport_SaysThatASelfLinkIsEmpty(t *testing.T) {
	x := good()
	x.answer = strings.Replace(x.answer, `"http://h/kafka/v3/clusters/lkc-local/links/link-1/mirrors/x"`, `""`, 1)
	findings, _ := x.exchange(t, contract.Options{})
	require.Len(t, findings, 1)
	require.Equal(t, "note self: request 1, POST "+reverse+": answer 200 at /metadata/self: it is empty", findings[0].String())
}
