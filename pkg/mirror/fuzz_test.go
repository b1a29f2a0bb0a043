package mirror

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// Whatever the body of a 200 holds, the books come out right, and reading it in single bytes comes to
// the same.
func FuzzAnswer(f *testing.F) {
	for _, body := range []string{
		`{"data":[{"mirror_topic_name":"a","error_code":null,"error_message":null,` +
			`"mirror_lags":[{"partition":0,"lag":1,"last_source_fetch_offset":-1}],` +
			`"messages_truncated":-1,"partition_level_truncation_data":[]}]}`,
		`{"metadata":{"next":"x"},"data":[{"mirror_topic_name":"a","error_code":400},` +
			`{"mirror_topic_name":"a"},{"mirror_topic_name":"b","error_message":"x"},{},null]}`,
		`{"data":[{"error\u005fcode":1e2,"mirror_topic_name":"a"}],"data":[]}x`, "\xff", `{"data":`, `[`, `{"data":{}}`,
	} {
		f.Add([]byte(body), false)
		f.Add([]byte(body), true)
	}
	f.Fuzz(func(t *testing.T, body []byte, pattern bool) {
		read := func(r io.Reader) (*Report, string) {
			s := Topics("a", "b")
			if pattern {
				s = Prefix("a")
			}
			call := Batch{ClusterID: "c", Link: "l", Pattern: s.expression}
			l := newLedger(call.report(), s)
			b := s.batches(call, 500)[0]
			p := l.part(b)
			list, err := readAnswer(r, p.known, p.add)
			p.next, p.verdict = list.next, verdict{outcome: Unknown}
			if err != nil {
				p.verdict.err = cause("it could not be read", nil) // what jsontext says depends on how much it has seen
			}
			l.book(p)
			report, _ := l.finish()
			text, err := json.Marshal(report)
			require.NoError(t, err)
			return report, string(text)
		}
		report, whole := read(bytes.NewReader(body))
		_, piecemeal := read(iotest.OneByteReader(bytes.NewReader(body)))
		require.Equal(t, whole, piecemeal)

		if !pattern {
			require.Len(t, report.Results, 2)
		}
		seen := map[string]bool{}
		for _, r := range report.Results {
			require.True(t, isTopicName(r.Topic))
			require.False(t, seen[r.Topic])
			seen[r.Topic] = true
			require.NotEqual(t, Untouched, r.Outcome)
			require.Equal(t, r.Outcome == Accepted, r.Err() == nil)
		}
		if report.Err() == nil {
			require.True(t, json.Valid(body) || bytes.ContainsFunc(body, func(c rune) bool { return c == utf8.RuneError }))
			require.Equal(t, len(report.Results), report.Count(Accepted))
			require.NotEmpty(t, report.Results)
		}
		var table strings.Builder
		require.NoError(t, report.Table(&table))
		for _, r := range table.String() {
			require.True(t, r == '\n' || unicode.IsPrint(r), "%q", r)
		}
		var back Report
		require.NoError(t, json.Unmarshal([]byte(whole), &back))
		require.Equal(t, report.Err() == nil, back.Err() == nil)
	})
}

// The cursor takes a value apart as the decoder of tokens does, and its whole numbers are those of strconv.
func FuzzCursor(f *testing.F) {
	for _, text := range []string{
		`{"a":1,"a":[-0,9223372036854775807,-9223372036854775808,1e2,1.0,999999999999999999,1000000000000000000]}`,
		` { "a\u005c\"" : [ ] , "" : { } } `, `[[[]],{"b":null},true,false,"\\"]`, "\"\xff\"", "{\"\xa3\":null}", `7`,
		"[\t1\n,\r2 ]",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := newWalk(bytes.NewReader(text)).dec.ReadValue()
		if err != nil {
			return
		}
		var want, got []string
		w := newWalk(bytes.NewReader(v))
		for token, err := w.dec.ReadToken(); err == nil; token, err = w.dec.ReadToken() {
			want = append(want, token.String())
		}

		var take func(c *cursor)
		take = func(c *cursor) {
			switch first := c.next(); first {
			case '{', '[':
				got = append(got, string(first))
				for c.open(); c.more(); {
					if first == '{' {
						got = append(got, string([]rune(string(c.name())))) // what is not UTF-8 is U+FFFD there
					}
					take(c)
				}
				got = append(got, string(first+2))
			case '"':
				text, _ := unquote(c.value())
				got = append(got, text)
			default:
				one := c.value()
				got = append(got, string(one))
				n, ok := parseInt(one)
				want, err := strconv.ParseInt(string(one), 10, 64)
				require.Equal(t, err == nil, ok, "%s", one)
				if ok {
					require.Equal(t, want, n)
				}
			}
		}
		c := cursor{v}
		take(&c)
		require.Empty(t, c.rest)
		require.Equal(t, want, got)

		c = cursor{v}
		require.Equal(t, v, c.value())
		require.Empty(t, c.rest)
	})
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("1", "", "")
	f.Add("9223372036854775807", "", "")
	f.Add("-5", "x", "7")
	f.Add("", "x", "99999999999999999999")
	f.Add("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:07 GMT", "")
	f.Add("Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 GMT", "")
	f.Fuzz(func(t *testing.T, value, date, reset string) {
		now := time.Now()
		wait := retryAfter(429, http.Header{"Retry-After": {value}, "Date": {date}, "X-Ratelimit-Reset": {reset}}, now)
		require.GreaterOrEqual(t, wait, time.Duration(0))
		v := verdict{outcome: Untouched, retry: rejected, api: &APIError{Status: 429, RetryAfter: wait}}
		d := new(retries).next(v, now, standing{}, time.Minute, false)
		require.Equal(t, d.again, !d.endsRun)
		require.True(t, d.wait > 0 && (!d.again || d.wait <= time.Minute))
		if wait > 0 {
			require.Equal(t, wait, d.wait)
		}
	})
}

// What the checks let through becomes exactly the path that was meant, and nothing of a secret in the
// endpoint is in an error.
func FuzzEndpointAndNames(f *testing.F) {
	f.Add("https://h", "lkc-1", "link")
	f.Add("http://u:s3cr3t@h:9092/kafka?q#f", "..", "-")
	f.Add("https://[::1%25z]:1", "a/b", "%2e%2e")
	f.Fuzz(func(t *testing.T, endpoint, clusterID, link string) {
		secret := "s3cr3t"
		cfg := Config{Endpoint: endpoint, ClusterID: clusterID, Credential: NoCredential(), AllowHTTP: true}
		sent := ""
		cfg.Middleware = func(http.RoundTripper) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				sent = r.URL.String()
				return nil, io.ErrUnexpectedEOF
			})
		}
		client, err := NewClient(cfg)
		if err != nil {
			require.ErrorIs(t, err, ErrInvalidArgument)
			require.False(t, strings.Contains(err.Error(), secret) && !strings.Contains(clusterID, secret))
			return
		}
		_, err = client.ReverseAndPause(t.Context(), link, Topics("a"))
		require.Error(t, err)
		if sent == "" {
			require.ErrorIs(t, err, ErrInvalidArgument)
			return
		}
		r, err := http.NewRequest(http.MethodPost, sent, nil)
		require.NoError(t, err)
		require.Equal(t, "/kafka/v3/clusters/"+clusterID+"/links/"+link+"/mirrors:reverse-and-pause-mirror", r.URL.Path)
		require.Equal(t, 7, strings.Count(r.URL.EscapedPath(), "/"), r.URL.EscapedPath())
		require.Equal(t, "validate_only=false", r.URL.RawQuery)
		require.Nil(t, r.URL.User)
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// What Prefix and Suffix match is what their expression matches, searched or as a whole.
func FuzzPatterns(f *testing.F) {
	f.Add("orders.", "orders.eu")
	f.Add(".", "a.b")
	f.Add("-_", "x-_")
	f.Fuzz(func(t *testing.T, literal, name string) {
		for _, s := range []Selection{Prefix(literal), Suffix(literal), Prefix("zz", literal), Suffix(literal, "zz")} {
			matched, err := s.Match([]string{name})
			if err != nil {
				require.ErrorIs(t, err, ErrInvalidArgument)
				continue
			}
			if strings.Contains(name, "\n") {
				continue // no topic name; '.' does not match it
			}
			re := regexp.MustCompile(s.expression)
			require.Equal(t, len(matched) == 1, re.MatchString(name))
			require.Equal(t, len(matched) == 1, regexp.MustCompile(`\A(?:`+s.expression+`)\z`).MatchString(name))
		}
		_, err := Pattern(literal).Match(nil)
		require.ErrorIs(t, err, ErrInvalidArgument)
	})
}
