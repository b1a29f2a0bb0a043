package mirror_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// Bodies of a 200 whose change was applied. The answers are made up.
func TestFaults_Body(t *testing.T) {
	runFaults(t, "body", slices.Concat(faultsOfDocuments(), faultsOfRows(), faultsOfNumbers(), faultsOfPatterns()))
}

// body is a case in which all is applied, and the answer has this body.
func body(name, outcomes, text string) fault { return answer(name, outcomes, ok(text)) }

// answer is a case in which all is applied, and the answer is made up.
func answer(name, outcomes string, do mirrortest.Action) fault {
	return fault{
		name: name, inject: after(do), setup: madeUp, outcomes: outcomes, seen: 1,
		applied: strings.Join(topicsFor(outcomes), " "),
	}
}

// saying is the case with a text that must be in one of the causes.
func (f fault) saying(text string) fault { f.says = text; return f }

// noting is the case with a note that the last topic must have; "" is none.
func (f fault) noting(note string) fault {
	f.check = func(e *env) {
		notes := strings.Join(e.report.Results[len(e.report.Results)-1].Notes, "; ")
		if note == "" {
			require.Empty(e, notes)
		}
		require.Contains(e, notes, note)
	}
	return f
}

// withB is an answer that accepts a and has a row with these members about b.
func withB(members string) string { return rows(good("a"), `{"mirror_topic_name":"b",`+members+`}`) }

func faultsOfDocuments() []fault {
	both := rows(good("a"), good("b"))
	head := "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	cut := strings.TrimSuffix(both, good("b")+"]}")
	long := func(value string) string {
		return `{"data":[` + good("a") + `,{"new":` + value + `},` + good("b") + `]}`
	}
	setNext := func(next string) string {
		return `{"metadata":{"next":` + next + `},"data":[` + good("a") + `,` + good("b") + `]}`
	}
	cases := []fault{
		answer("text/html", "2 unknown", status(200, "text/html", both)),
		answer("no type", "2 unknown", status(200, "", both)),
		answer("application/problem+json", "2 unknown", status(200, "application/problem+json", both)),
		answer("APPLICATION/JSON; charset=utf-8", "2 accepted", status(200, "APPLICATION/JSON; charset=utf-8", both)),
		answer("a coding that cannot be undone", "2 unknown", status(200, jsonType, both, "Content-Encoding", "br")).
			saying("Content-Encoding that cannot be undone: br"),
		answer("the coding identity", "2 accepted", status(200, jsonType, both, "Content-Encoding", "identity")),
		answer("gzip", "2 accepted", status(200, jsonType, zipped(both, 0), "Content-Encoding", "gzip")),
		answer("cut, Content-Length", "accepted, unknown",
			raw(head+fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(both), cut))),
		answer("cut, chunked", "accepted, unknown",
			raw(head+fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(cut), cut))),
		answer("cut, and ended by the connection", "accepted, unknown", raw(head+"Connection: close\r\n\r\n"+cut)),
		answer("gzip, cut behind the JSON", "2 accepted", status(200, jsonType, zipped(both, 8), "Content-Encoding", "gzip")).
			saying("unexpected EOF"),
		answer("whole, and ended by the connection", "2 accepted", raw(head+"Connection: close\r\n\r\n"+both)),
		answer("cut behind the JSON, Content-Length", "2 accepted",
			raw(head+fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(both)+1, both))).saying("unexpected EOF"),
		body("invalid JSON after a row", "accepted, unknown", rows(good("a"), "{oops", good("b"))),
		body("a BOM", "2 unknown", "\ufeff"+both),
		body("NaN", "accepted, unknown", withB(`"error_code":NaN`)),
		body("trailing bytes", "2 accepted", both+"xyz").saying("bytes after its end"),
		body("a second document", "2 accepted", both+both).saying("bytes after its end"),
		body("white space around", "2 accepted", " \r\n"+both+"\r\n "),
		body("next set", "2 accepted", setNext(`"p"`)).saying(`goes on at "p"`),
		body("next twice, the second empty", "2 accepted", setNext(`"p","next":""`)).saying(`goes on at "p"`),
		body("next twice, the second null", "2 accepted", setNext(`"p","next":null`)).saying(`goes on at "p"`),
		body("next twice, the first null", "2 accepted", setNext(`null,"next":"q"`)).saying(`goes on at "q"`),
		body("next that is no text", "2 accepted", setNext(`5`)).saying(`goes on at "5"`),
		body("next in a second metadata", "2 accepted",
			`{"metadata":{"next":"p"},"metadata":{"next":""},"data":[`+good("a")+`,`+good("b")+`]}`).saying(`goes on at "p"`),
		body("data twice", "2 accepted", `{"data":[`+good("a")+`],"data":[`+good("b")+`]}`).saying(`it has "data" twice`),
		body("an error_code before the rows", "2 accepted", strings.Replace(both, "{", `{"error_code":50003,`, 1)).
			saying("an error beside its rows: error_code"),
		body("an error_code behind the rows", "2 accepted", strings.TrimSuffix(both, "}")+`,"error_code":50003}`).
			saying("an error beside its rows: error_code"),
		body("errors before the rows", "2 accepted", strings.Replace(both, "{", `{"errors":[{"code":"50002"}],`, 1)).
			saying("an error beside its rows: errors"),
		body("an error_code of null beside the rows", "2 accepted", strings.Replace(both, "{", `{"error_code":null,`, 1)),
		body("no errors beside the rows", "2 accepted", strings.Replace(both, "{", `{"errors":[],`, 1)),
		body("unknown members and kinds, self of another link", "2 accepted",
			`{"kind":"?","metadata":{"self":"http://other/links/x"},"new":{"a":[1]},"data":[`+good("a")+`,`+
				`{"mirror_topic_name":"b","new":[[]],"kind":"?","metadata":null,"error_code":null}]}`),
		body("one long row", "accepted, unknown", long(`0`+strings.Repeat(`,"new":"`+strings.Repeat("x", 1<<20)+`"`, 16))).
			saying("a value in it is longer than"),
		body("10 001 levels", "accepted, unknown", long(strings.Repeat("[", 10001)+strings.Repeat("]", 10001))),
		body("9 000 levels", "2 accepted", withB(`"error_code":null,"new":`+strings.Repeat("[", 9000)+strings.Repeat("]", 9000))),
	}
	for _, text := range []string{
		`{}`, `null`, `{"kind":"K"}`, `{"data":null}`, `{"data":{}}`, ``, `{"error_code":40101,"message":"x"}`, `[]`, `7`,
		strings.Replace(both, `"data"`, `"DATA"`, 1)[:40], `{"DATA":[` + good("a") + `]}`,
	} {
		cases = append(cases, body(fmt.Sprintf("the body %.40s", text), "2 unknown", text))
	}
	for name, elements := range map[string]string{"numbers": strings.Repeat("0,", 2_000), "objects": strings.Repeat("{},", 2_000)} {
		f := body("2 000 rows that are "+name, "accepted, unknown", `{"data":[`+elements+good("a")+`]}`)
		f.check = func(e *env) {
			require.Len(e, e.report.Unexpected, 1000)
			require.Contains(e, fmt.Sprint(causes(e.err)), "2000 unexpected rows")
		}
		cases = append(cases, f)
	}
	return cases
}

func faultsOfRows() []fault {
	// tenRows accepts ten topics, but has another row in place of the fifth.
	tenRows := func(fifth string) string {
		var rest []string
		for _, name := range letters {
			switch {
			case name != "e":
				rest = append(rest, good(name))
			case fifth != "":
				rest = append(rest, fifth)
			}
		}
		return rows(rest...)
	}
	const nine = "4 accepted, unknown, 5 accepted"
	var cases []fault
	for _, bad := range []string{
		`7`, `null`, `"e"`, `[]`, `{}`, `{"mirror_topic_name":5,"error_code":null}`, `{"error_code":null}`,
		`{"mirror_topic_name":"e","error_code":"x"}`, `{"mirror_topic_name":"` + "e\xff" + `","error_code":null}`,
		`{"mirror_topic_name":"e","mirror_topic_name":"e","error_code":null}`,
	} {
		cases = append(cases, body("one bad row in ten: "+strings.ToValidUTF8(bad, "?"), nine, tenRows(bad)))
	}
	for _, code := range []string{`"400"`, `400.5`, `2147483648`, `[]`, `{}`, `true`, `400,"error_code":null`, `null,"error_code":null`} {
		cases = append(cases,
			body("code "+code, "accepted, unknown", withB(`"error_message":null,"error_code":`+code)),
			body("code "+code+", with a message", "accepted, failed", withB(`"error_message":"x","error_code":`+code)))
	}
	for _, message := range []string{`7`, `[]`, `{}`, `true`, `"",{}`} {
		message, _, _ = strings.Cut(message, ",")
		want := "accepted, unknown"
		if message == `""` {
			want = "2 accepted"
		}
		cases = append(cases,
			body("message "+message, want, withB(`"error_code":null,"error_message":`+message)),
			body("message "+message+", with a code", "accepted, failed", withB(`"error_code":400,"error_message":`+message)))
	}
	retriable := body("code 50003 in a row", "accepted, failed", withB(`"error_code":50003,"error_message":"x"`))
	retriable.check = func(e *env) {
		var topic *mirror.TopicError
		require.ErrorAs(e, e.err, &topic)
		require.True(e, topic.Retriable())
		require.False(e, (&mirror.TopicError{Code: 400}).Retriable())
	}
	for name, message := range map[string]string{
		"1 MiB":                           strings.Repeat("m", 1<<20),
		"ESC, newlines, bidi marks, HTML": `\u001b[31m\nFAKE\u202e<b>`,
	} {
		f := body("a message of "+name, "accepted, failed", withB(`"error_code":400,"error_message":"`+message+`"`))
		f.check = func(e *env) {
			require.LessOrEqual(e, len(e.report.Results[1].Message), 1024)
			require.NotContains(e, e.report.Results[1].Message, "\n")
			require.NotContains(e, e.report.Results[1].Message, "\u202e")
		}
		cases = append(cases, f)
	}
	both := body("a topic twice, contradicting", "accepted, unknown", rows(good("a"), good("b"), refused("b")))
	both.check = func(e *env) {
		require.Equal(e, []string{
			"the answer has more than one row for this topic", "a row says accepted", "a row says failed, 400: no",
		}, e.report.Results[1].Notes, "both are kept")
	}
	return append(cases, retriable, both,
		body("the bad member before the name", nine,
			tenRows(`{"error_code":[],"error_message":null,"mirror_topic_name":"e"}`)).saying("error_code cannot be read"),
		body("asked for ten, answered nine", nine, tenRows("")).saying("no row for this topic"),
		body("a topic that was not asked for", "2 accepted", rows(good("a"), good("z"), good("b"))).
			saying(`1 unexpected row, the first about "z": this topic was not asked for`),
		body("a topic twice, agreeing", "2 accepted", rows(good("a"), good("b"), good("b"))).
			noting("the answer has more than one row for this topic"),
		body("a name that differs by case", "accepted, unknown", rows(good("a"), good("B"))).saying(`the first about "B"`),
		body("a name that differs by space", "accepted, unknown", rows(good("a"), good("b "))).saying(`the first about "b "`),
		body("a code without a message", "accepted, failed", withB(`"error_code":1,"error_message":null`)),
		body("a code, and no other member", "accepted, failed", withB(`"error_code":1`)),
		body("a message without a code", "accepted, failed", withB(`"error_code":null,"error_message":"x"`)),
		body("code 0 and no message", "2 accepted", withB(`"error_code":0,"error_message":null`)),
		body(`code null and message ""`, "2 accepted", withB(`"error_code":null,"error_message":""`)),
		body("code null, and no message member", "2 accepted", withB(`"error_code":null`)),
		body("message null, and no code member", "2 accepted", withB(`"error_message":null`)),
		body("neither member present", "accepted, unknown", withB(`"kind":"K"`)),
		body("member names in other case", "accepted, unknown", withB(`"Error_Code":null,"Error_Message":null`)),
		body("a name in other case", "accepted, unknown", rows(good("a"), `{"Mirror_Topic_Name":"b","error_code":null}`)),
	)
}

func faultsOfNumbers() []fault {
	var cases []fault
	add := func(name, members string, check func(*env, mirror.Result)) {
		f := body(name, "2 accepted", withB(`"error_code":null,`+members))
		f.check = func(e *env) { check(e, e.report.Results[1]) }
		cases = append(cases, f)
	}
	one := mirror.PartitionLag{Lag: 1, LastSourceFetchOffset: 1}
	const row = `{"partition":0,"lag":1,"last_source_fetch_offset":1}`
	for text, want := range map[string][]mirror.PartitionLag{
		`[]`: nil, `null`: nil, `[` + row + `]`: {one}, `[` + row + `,` + row + `]`: {one, one},
		`[{"partition":1,"lag":1,"last_source_fetch_offset":1},` + row + `]`: {{Partition: 1, Lag: 1, LastSourceFetchOffset: 1}, one},
		`[{"partition":0,"lag":-7,"last_source_fetch_offset":-1}]`:           {{Lag: -1, LastSourceFetchOffset: -1}},
		`[{"partition":0,"lag":9223372036854775808}]`:                        {{Lag: -1, LastSourceFetchOffset: -1}},
		`[{"partition":0,"lag":null}]`:                                       {{Lag: -1, LastSourceFetchOffset: -1}},
		`[{"partition":0,"lag":"7","last_source_fetch_offset":7.0}]`:         {{Lag: -1, LastSourceFetchOffset: -1}},
		`[{"partition":0}]`: {{Lag: -1, LastSourceFetchOffset: -1}},
		`[7]`:               {{Partition: -1, Lag: -1, LastSourceFetchOffset: -1}},
	} {
		add("lags "+text, `"mirror_lags":`+text, func(e *env, r mirror.Result) { require.Equal(e, want, r.Lags) })
	}
	add("lags missing", `"kind":"K"`, func(e *env, _ mirror.Result) {
		require.Equal(e, []string{"b"}, e.report.Lag().Without, "not known is not 0")
	})
	lost := "its lags and truncations were not read"
	for name, members := range map[string]string{
		"lags that are no list":                     `"mirror_lags":{}`,
		"lags twice, the second no list":            `"mirror_lags":[` + row + `],"mirror_lags":7`,
		"lags twice, the second null":               `"mirror_lags":[` + row + `],"mirror_lags":null`,
		"truncations twice":                         `"partition_level_truncation_data":[],"partition_level_truncation_data":null`,
		"messages_truncated twice":                  `"messages_truncated":1,"messages_truncated":2`,
		"a total and truncations that are no lists": `"messages_truncated":"x","partition_level_truncation_data":7`,
	} {
		add(name, members, func(e *env, r mirror.Result) {
			require.Contains(e, fmt.Sprint(r.Notes), lost)
			require.Empty(e, r.Lags)
			require.EqualValues(e, -1, r.MessagesTruncated, "not known is never 0")
		})
	}
	add("a lag twice in a partition", `"mirror_lags":[{"partition":0,"lag":1,"lag":2}]`, func(e *env, r mirror.Result) {
		require.True(e, len(r.Lags) == 0 || r.Lags[0].Lag < 0, "which of the two is so cannot be told")
	})
	add("truncations null", `"messages_truncated":null,"partition_level_truncation_data":null`,
		func(e *env, r mirror.Result) { require.EqualValues(e, -1, r.MessagesTruncated) })
	add("truncations that do not apply", `"messages_truncated":-1,"partition_level_truncation_data":[]`,
		func(e *env, r mirror.Result) { require.EqualValues(e, -1, r.MessagesTruncated) })
	add("truncations that do not add up", `"messages_truncated":5,`+
		`"partition_level_truncation_data":[{"partition_id":0,"offset_truncated_to":1,"messages_truncated":4}]`,
		func(e *env, r mirror.Result) {
			require.EqualValues(e, 5, r.MessagesTruncated)
			require.EqualValues(e, 4, r.Truncations[0].MessagesTruncated)
		})
	return cases
}

func faultsOfPatterns() []fault {
	both := rows(good("a"), good("b"))
	unknown := []error{mirror.ErrOutcomeUnknown}
	prefix := mirror.Prefix("a", "b")
	of := func(f fault, s mirror.Selection) fault {
		f.setup, f.applied = all(madeUp, func(e *env) { e.selection = &s }), "a b"
		return f
	}
	lost := func(is bool) func(*env) { return func(e *env) { require.Equal(e, is, e.report.Lost) } }
	var cases []fault
	for _, c := range []struct {
		f    fault
		is   []error
		lost bool
	}{
		{body("pattern, no rows", "no topics", rows()), []error{mirror.ErrNoTopics}, false},
		{answer("pattern, 503", "no topics", status(503, "", "")), unknown, true},
		{body("pattern, cut after two rows", "2 accepted", `{"data":[`+good("a")+`,`+good("b")+`,`), unknown, true},
		{body("pattern, next set", "2 accepted",
			strings.Replace(both, `"self":"s"`, `"self":"s","next":"p"`, 1)), unknown, true},
		{body("pattern, a row that is refused", "accepted, failed", rows(good("a"), refused("b"))), nil, false},
		{body("pattern, a row twice, contradicting", "accepted, unknown", rows(good("a"), good("b"), refused("b"))), unknown, false},
	} {
		f := of(c.f, prefix)
		f.is, f.check = c.is, lost(c.lost)
		cases = append(cases, f)
	}
	refusedWhole := refusal("pattern, 403", "no topics", mirrortest.Error(403, 40301, "x"))
	refusedWhole.setup = byPrefix
	refusedWhole.check = func(e *env) {
		require.NotErrorIs(e, e.err, mirror.ErrOutcomeUnknown)
		require.NotErrorIs(e, e.err, mirror.ErrNoTopics)
		require.False(e, e.report.Lost)
	}
	cases = append(cases, refusedWhole)
	for name, row := range map[string]string{
		"cannot be read":                         `{"mirror_topic_name":7,"error_code":null}`,
		"is missing":                             `{"error_code":null}`,
		"is null":                                `{"mirror_topic_name":null,"error_code":400}`,
		"is there twice":                         `{"mirror_topic_name":"a.1","mirror_topic_name":"a.1","error_code":null}`,
		"no topic can have":                      `{"mirror_topic_name":"a b","error_code":null}`,
		"is not UTF-8":                           `{"mirror_topic_name":"a` + "\xff" + `","error_code":null}`,
		"is not there, for the row is no object": `null`,
	} {
		for what, s := range map[string]mirror.Selection{
			"Prefix": prefix, "All": mirror.All(), "Pattern": mirror.Pattern("a|b"),
		} {
			f := of(body(what+", a row whose name "+name, "accepted", rows(good("a"), row)), s)
			f.is, f.says = unknown, "the answer has a row whose topic cannot be told"
			if what == "All" {
				f.applied = strings.Join(letters, " ")
			}
			f.check = all(lost(true), func(e *env) {
				require.NotContains(e, fmt.Sprint(causes(e.err)), "asked for", "nothing was asked for by name")
				require.Len(e, e.report.Unexpected, 1)
			})
			cases = append(cases, f)
		}
	}
	suffix := mirror.Suffix(".a", ".b")
	for name, c := range map[string]struct {
		selection mirror.Selection
		rows      string
	}{
		"Prefix answered with another topic":              {prefix, rows(good("a"), good("orders"))},
		"Prefix answered with a topic that has it inside": {prefix, rows(good("a"), good("xa"))},
		"Suffix answered with another topic":              {suffix, rows(good("x.a"), good("x.c"))},
		"Suffix answered with other case":                 {suffix, rows(good("x.a"), good("x.A"))},
	} {
		f := of(body(name, "accepted", c.rows), c.selection)
		if strings.HasPrefix(name, "Suffix") {
			f.applied = "" // no topic of the pair has such a name
		}
		f.says = "the selection does not cover this topic"
		f.check = func(e *env) { require.Len(e, e.report.Unexpected, 1) }
		cases = append(cases, f)
	}
	anyTopic := of(body("Pattern answered with any topic", "2 accepted", rows(good("a"), good("orders"))), mirror.Pattern("a|b"))
	anyTopic.check = func(e *env) { require.NoError(e, e.err) }
	return append(cases, anyTopic)
}
