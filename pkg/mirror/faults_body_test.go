package mirror_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func faultsOfBody() []fault {
	var cases []fault
	// body is a case in which all is applied and the answer has this body.
	body := func(name, outcomes, text string, edit ...func(*fault)) {
		f := fault{name: name, outcomes: outcomes, seen: 1, applied: "11", scripted: true,
			inject: []mirrortest.Fault{{AfterApply: true, Do: ok(text)}}}
		for _, e := range edit {
			e(&f)
		}
		cases = append(cases, f)
	}
	do := func(a mirrortest.Action) func(*fault) { return func(f *fault) { f.inject[0].Do = a } }
	causeIs := func(text string) func(*fault) { return func(f *fault) { f.text = text } }
	both := rows(good("a"), good("b"))
	x := func(members string) string { return `{"mirror_topic_name":"b",` + members + `}` }
	withB := func(members string) string { return rows(good("a"), x(members)) }

	body("text/html", "KK", "", do(status(200, "text/html", both)))
	body("no type", "KK", "", do(status(200, "", both)))
	body("application/problem+json", "KK", "", do(status(200, "application/problem+json", both)))
	body("APPLICATION/JSON; charset=utf-8", "AA", "", do(status(200, "APPLICATION/JSON; charset=utf-8", both)))
	head := "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	cut := rows(good("a")+",") + "x"
	cut = cut[:strings.LastIndex(cut, "]}")]
	body("cut, Content-Length", "AK", "",
		do(raw(head+fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(both), cut))))
	body("cut, chunked", "AK", "",
		do(raw(head+fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(cut), cut))))
	body("cut, close-delimited", "AK", "", do(raw(head+"Connection: close\r\n\r\n"+cut)))
	body("whole, close-delimited", "AA", "", do(raw(head+"Connection: close\r\n\r\n"+both)))
	body("cut behind the JSON, Content-Length", "AA", "",
		do(raw(head+fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(both)+1, both))), causeIs("unexpected EOF"))
	body("invalid JSON after a row", "AK",
		strings.Replace(both, `,{"kind":"K","metadata":{"self":"s"},"mirror_topic_name":"b"`, `,{oops`, 1))
	body("a BOM", "KK", "\ufeff"+both)
	body("NaN", "AK", withB(`"error_code":NaN`))
	body("trailing bytes", "AA", both+"xyz", causeIs("bytes after its end"))
	body("a second document", "AA", both+both, causeIs("bytes after its end"))
	for _, text := range []string{
		`{}`, `null`, `{"kind":"K"}`, `{"data":null}`, `{"data":{}}`, ``, `{"error_code":40101,"message":"x"}`, `[]`, `7`,
	} {
		body("body "+text, "KK", text)
	}
	ten := strings.Split("a b c d e f g h i j", " ")
	tenRows := func(fifth string) string {
		var all []string
		for _, name := range ten {
			if name == "e" {
				if fifth != "" {
					all = append(all, fifth)
				}
				continue
			}
			all = append(all, good(name))
		}
		return rows(all...)
	}
	asTen := func(f *fault) { f.topics, f.applied = ten, "1111111111" }
	for _, bad := range []string{
		`7`, `null`, `"e"`, `[]`, `{}`,
		`{"mirror_topic_name":5,"error_code":null}`, `{"error_code":null}`, `{"mirror_topic_name":"e","error_code":"x"}`,
	} {
		body("one bad row in ten: "+bad, "AAAAKAAAAA", tenRows(bad), asTen)
	}
	for _, name := range []string{`5`, `null`, `"\u0035"`} {
		outcomes := "K"
		if name[0] == '"' {
			outcomes = "A"
		}
		body("a topic called 5 or null, and the name "+name, outcomes+"K", rows(
			`{"mirror_topic_name":`+name+`,"error_code":null}`,
		), func(f *fault) { f.topics = []string{"5", "null"} })
	}
	body("the bad member before the name", "AAAAKAAAAA",
		tenRows(`{"error_code":[],"error_message":null,"mirror_topic_name":"e"}`), asTen,
		causeIs("error_code cannot be read"))
	body("asked 10, answered 9", "AAAAKAAAAA", tenRows(""), asTen, causeIs("no row for this topic"))
	body("a topic nobody asked for", "AA", rows(good("a"), good("z"), good("b")),
		causeIs(`1 unexpected row, the first about "z": this topic was not asked for`))
	body("a topic twice, agreeing", "AA", rows(good("a"), good("b"), good("a")))
	body("a topic twice, contradicting", "AK", rows(
		good("a"), good("b"), x(`"error_code":400,"error_message":"x"`),
	), func(f *fault) {
		f.check = func(e *env) {
			require.Equal(e, []string{
				"the answer has more than one row for this topic", "a row says failed, 400: x", "a row says accepted",
			}, e.report.Results[1].Notes, "both are kept")
		}
	})
	body("a name that differs by case", "AK", rows(good("a"), good("B")), causeIs(`the first about "B"`))
	body("a name that differs by space", "AK", rows(good("a"), good("b ")), causeIs(`the first about "b "`))
	body("code without message", "AF", withB(`"error_code":1,"error_message":null`))
	body("message without code", "AF", withB(`"error_code":null,"error_message":"x"`))
	body("code 0 and no message", "AA", withB(`"error_code":0,"error_message":null`))
	body(`code null and message ""`, "AA", withB(`"error_code":null,"error_message":""`))
	body("neither member present", "AK", withB(`"kind":"K"`))
	for _, code := range []string{`"400"`, `400.5`, `2147483648`, `400,"error_code":null`} {
		body("code "+code, "AK", withB(`"error_message":null,"error_code":`+code))
		body("code "+code+", with a message", "AF", withB(`"error_message":"x","error_code":`+code))
	}
	body("code 50003 in a row", "AF", withB(`"error_code":50003,"error_message":"x"`), func(f *fault) {
		f.check = func(e *env) {
			var topic *mirror.TopicError
			require.ErrorAs(e, e.err, &topic)
			require.True(e, topic.Retriable())
			require.False(e, (&mirror.TopicError{Code: 400}).Retriable())
		}
	})
	for name, message := range map[string]string{
		"1 MiB":                           strings.Repeat("m", 1<<20),
		"ESC, newlines, bidi marks, HTML": `\u001b[31m\nFAKE\u202e<b>`,
	} {
		body("message of "+name, "AF", withB(`"error_code":400,"error_message":"`+message+`"`), func(f *fault) {
			f.check = func(e *env) {
				require.LessOrEqual(e, len(e.report.Results[1].Message), 1024)
				require.NotContains(e, e.report.Results[1].Message, "\n")
			}
		})
	}
	body("member names in other case: DATA", "KK", strings.Replace(both, `"data"`, `"DATA"`, 1))
	body("member names in other case: Error_Code", "AK", withB(`"Error_Code":null,"Error_Message":null`))
	for _, lags := range []string{
		`[]`, `null`,
		`[{"partition":1,"lag":1,"last_source_fetch_offset":1},{"partition":0,"lag":1,"last_source_fetch_offset":1}]`,
		`[{"partition":0,"lag":1,"last_source_fetch_offset":1},{"partition":0,"lag":1,"last_source_fetch_offset":1}]`,
		`[{"partition":0,"lag":-7,"last_source_fetch_offset":-1}]`, `[{"partition":0,"lag":9223372036854775808}]`,
		`[{"partition":0,"lag":null}]`, `[{"partition":0}]`, `{}`, `[7]`,
	} {
		body("lags "+lags, "AA", withB(`"error_code":null,"mirror_lags":`+lags))
	}
	body("lags missing", "AA", withB(`"error_code":null`), func(f *fault) {
		f.check = func(e *env) { require.Equal(e, []string{"b"}, e.report.Lag().Without, "not known is not 0") }
	})
	for _, truncation := range []string{
		`"messages_truncated":null,"partition_level_truncation_data":null`,
		`"messages_truncated":-1,"partition_level_truncation_data":[]`,
		`"messages_truncated":5,` +
			`"partition_level_truncation_data":[{"partition_id":0,"offset_truncated_to":1,"messages_truncated":4}]`,
		`"messages_truncated":"x","partition_level_truncation_data":7`,
	} {
		body(truncation, "AA", withB(`"error_code":null,`+truncation))
	}
	body("next set", "AA", strings.Replace(both, `"metadata":{"self":"s"}`, `"metadata":{"self":"s","next":"p"}`, 1),
		causeIs(`goes on at "p"`))
	pattern := mirror.Prefix("a", "b")
	ofPattern := func(f *fault) { f.sel = &pattern }
	body("next set, pattern", "AA", strings.Replace(
		both, `"metadata":{"self":"s"}`, `"metadata":{"self":"s","next":"p"}`, 1,
	), ofPattern, func(f *fault) {
		f.is = []error{mirror.ErrOutcomeUnknown}
		f.check = func(e *env) { require.False(e, e.report.Complete) }
	})
	body("unknown members and kinds, self of another link", "AA",
		`{"kind":"?","metadata":{"self":"http://other/links/x"},"new":{"a":[1]},"data":[`+good("a")+`,`+
			x(`"new":[[]],"kind":7,"metadata":null,"error_code":null`)+`]}`)
	body("invalid UTF-8 in one name", "AAAAKAAAAA",
		tenRows(`{"mirror_topic_name":"`+"e\xff"+`","error_code":null}`), asTen)

	small := func(f *fault) { f.config = func(e *env) { e.cfg.MaxAnswer = 1 << 20 } }
	body("larger than the bound", "AK", `{"data":[`+good("a")+`,{"new":"`+strings.Repeat("x", 2<<20)+`"},`+good("b")+`]}`,
		small, causeIs("longer than 1048576 bytes"))
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	io.WriteString(z, `{"data":[`+good("a")+`,{"new":"`+strings.Repeat("x", 64<<20)+`"},`+good("b")+`]}`)
	z.Close()
	body("a gzip bomb", "AK", "", do(mirrortest.Answer(200, bomb.String(),
		"Content-Type", kafka, "Content-Encoding", "gzip")), small, causeIs("longer than 1048576 bytes"))
	body("one long string", "AK", `{"data":[`+good("a")+`,{"new":"`+strings.Repeat("x", 20<<20)+`"},`+good("b")+`]}`,
		causeIs("a value in it is longer than"))
	body("one long row", "AK", `{"data":[`+good("a")+`,{"x":1`+strings.Repeat(
		`,"new":"`+strings.Repeat("x", 1024)+`"`, 20<<10,
	)+
		`},`+good("b")+`]}`, causeIs("a value in it is longer than"))
	body("10 001 deep", "AK",
		`{"data":[`+good("a")+`,{"new":`+strings.Repeat("[", 10001)+strings.Repeat("]", 10001)+`},`+good("b")+`]}`)
	body("many empty rows", "AK",
		`{"data":[`+good("a")+strings.Repeat(",{}", 400_000)+`,`+good("b")+`]}`, small, func(f *fault) {
			f.check = func(e *env) { require.Len(e, e.report.Unexpected, 1000) }
		})

	setTwice := func(next string) string {
		return `{"metadata":{"next":` + next + `},"data":[` + good("a") + `,` + good("b") + `]}`
	}
	body("next twice, the second empty", "AA", setTwice(`"p","next":""`), causeIs(`goes on at "p"`))
	body("next twice, the second null", "AA", setTwice(`"p","next":null`), causeIs(`goes on at "p"`))
	body("next twice, the first null", "AA", setTwice(`null,"next":"q"`), causeIs(`goes on at "q"`))
	body("next that is no text", "AA", setTwice(`5`), causeIs(`goes on at "5"`))
	body("next in a second metadata", "AA",
		`{"metadata":{"next":"p"},"metadata":{"next":""},"data":[`+good("a")+`,`+good("b")+`]}`, causeIs(`goes on at "p"`))
	lag := `[{"partition":0,"lag":1,"last_source_fetch_offset":1}]`
	for name, c := range map[string]struct{ members, note string }{
		"lags twice, the second no list": {`"mirror_lags":` + lag + `,"mirror_lags":7`, "mirror_lags is there twice"},
		"lags twice, the second null":    {`"mirror_lags":` + lag + `,"mirror_lags":null`, "mirror_lags is there twice"},
		"lags twice, the second a list":  {`"mirror_lags":` + lag + `,"mirror_lags":[]`, "mirror_lags is there twice"},
		"truncations twice, the second null": {
			`"mirror_lags":` + lag + `,"partition_level_truncation_data":[],"partition_level_truncation_data":null`,
			"partition_level_truncation_data is there twice",
		},
		"truncations twice, the second no list": {
			`"mirror_lags":` + lag + `,"partition_level_truncation_data":[],"partition_level_truncation_data":7`,
			"partition_level_truncation_data is there twice",
		},
		"messages_truncated twice": {
			`"mirror_lags":` + lag + `,"messages_truncated":1,"messages_truncated":2`, "messages_truncated is there twice",
		},
	} {
		body(name, "AA", withB(`"error_code":null,`+c.members), func(f *fault) {
			f.check = func(e *env) {
				require.Equal(e, []string{c.note}, e.report.Results[1].Notes)
				require.Len(e, e.report.Results[1].Lags, 1, "what came first is not forgotten")
			}
		})
	}
	body("a lag twice in a partition", "AA", withB(
		`"error_code":null,"mirror_lags":[{"partition":0,"lag":1,"lag":2}]`,
	), func(f *fault) {
		f.check = func(e *env) {
			require.Equal(e, mirror.NotKnown, e.report.Results[1].Lags[0].Lag)
			require.NotEmpty(e, e.report.Results[1].Notes)
		}
	})
	body("many rows that are no objects", "KK", `{"data":[`+strings.Repeat("0,", 20_000)+`0]}`, func(f *fault) {
		f.check = func(e *env) {
			require.Len(e, e.report.Unexpected, 1000)
			require.Equal(e, 20_001, e.report.UnexpectedCount)
		}
	})
	body("rows, and an error_code beside them", "AA", strings.Replace(both, "{", `{"error_code":50003,`, 1),
		causeIs("it has an error_code beside its rows"))
	body("rows, and an error_code behind them", "AA", strings.TrimSuffix(both, "}")+`,"error_code":50003}`,
		causeIs("it has an error_code beside its rows"))
	body("rows, and an error_code of null", "AA", strings.Replace(both, "{", `{"error_code":null,`, 1))
	body("9 000 levels", "AA", withB(`"error_code":null,"new":`+strings.Repeat("[", 9000)+strings.Repeat("]", 9000)))
	for name, row := range map[string]string{
		"cannot be read":                    `{"mirror_topic_name":7,"error_code":null}`,
		"is missing":                        `{"error_code":null}`,
		"is null":                           `{"mirror_topic_name":null,"error_code":400}`,
		"is there twice":                    `{"mirror_topic_name":"a.1","mirror_topic_name":"a.1","error_code":null}`,
		"no topic can have":                 `{"mirror_topic_name":"a b","error_code":null}`,
		"is not UTF-8":                      `{"mirror_topic_name":"a` + "\xff" + `","error_code":null}`,
		"is not there, for it is no object": `null`,
	} {
		for what, sel := range map[string]mirror.Selection{
			"Prefix": pattern, "All": mirror.All(), "Pattern": mirror.Pattern("a|b"),
		} {
			body(what+", a row whose name "+name, "A", rows(good("a"), row), func(f *fault) {
				f.sel = &sel
				f.is = []error{mirror.ErrOutcomeUnknown}
				f.text = "the answer has a row whose topic cannot be told"
				f.check = func(e *env) {
					require.NotContains(e, fmt.Sprint(causes(e.err)), "asked for")
					require.Equal(e, mirror.UnaccountedUnknown, e.report.Unaccounted)
					require.Len(e, e.report.Unexpected, 1)
				}
			})
		}
	}
	suffix := mirror.Suffix(".a", ".b")
	for name, c := range map[string]struct {
		sel  mirror.Selection
		rows string
	}{
		"Prefix answered with another topic":              {pattern, rows(good("a"), good("orders"))},
		"Prefix answered with a topic that has it inside": {pattern, rows(good("a"), good("xa"))},
		"Suffix answered with another topic":              {suffix, rows(good("x.a"), good("x.c"))},
		"Suffix answered with other case":                 {suffix, rows(good("x.a"), good("x.A"))},
	} {
		body(name, "A", c.rows, func(f *fault) {
			f.sel = &c.sel
			if strings.HasPrefix(name, "Suffix") {
				f.applied = "" // the answer is made up
			}
			f.text = "the selection does not cover this topic"
			f.check = func(e *env) { require.Equal(e, 1, e.report.UnexpectedCount) }
		})
	}
	body("Pattern answered with any topic", "AA", rows(good("a"), good("orders")), func(f *fault) {
		sel := mirror.Pattern("a|b")
		f.sel = &sel
	})

	body("pattern, no rows", "", rows(), ofPattern, func(f *fault) { f.is = []error{mirror.ErrNoTopics} })
	body("pattern, 503", "", "", do(status(503, "", "")), ofPattern, func(f *fault) {
		f.is = []error{mirror.ErrOutcomeUnknown}
	})
	body("pattern, cut after two rows", "AA", `{"data":[`+good("a")+`,`+good("b")+`,`, ofPattern, func(f *fault) {
		f.is = []error{mirror.ErrOutcomeUnknown}
		f.check = func(e *env) { require.False(e, e.report.Complete) }
	})
	return cases
}
