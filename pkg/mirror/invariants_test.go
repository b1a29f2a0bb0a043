package mirror_test

import (
	"context"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

func TestNilError_NilErrorMeansAllAccepted(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"all accepted", rows(good("a"), good("b")), ""},
		{"in another order", rows(good("b"), good("a")), ""},
		{"code 0 and no message", rows(good("b"), `{"mirror_topic_name":"a","error_code":0,"error_message":""}`), ""},
		{"one failed", rows(good("a"), `{"mirror_topic_name":"b","error_code":400,"error_message":"no"}`), "b: 400: no"},
		{"one missing", rows(good("a")), "no row for this topic"},
		{"one unexpected", rows(good("a"), good("b"), good("c")),
			`1 unexpected row, the first about "c": this topic was not asked for`},
		{"one unreadable", rows(good("a"), good("b"), `null`), "1 unexpected row"},
		{"next is set", `{"metadata":{"next":"http://x/?p=2"},"data":[` + good("a") + "," + good("b") + `]}`,
			`goes on at "http://x/?p=2"`},
		{"next is set, after the rows", `{"data":[` + good("a") + "," + good("b") + `],"metadata":{"next":7}}`,
			`goes on at "7"`},
		{"cut off after the rows", strings.TrimSuffix(rows(good("a"), good("b")), "]}"), "unexpected EOF"},
		{"bytes after its end", rows(good("a"), good("b")) + "x", "bytes after its end"},
		{"a second document", rows(good("a"), good("b")) + "{}", "bytes after its end"},
		{"data twice", `{"data":[` + good("a") + `],"data":[` + good("b") + `]}`, `"data" twice`},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := serve(t, ok(c.body)).client(t)
			_, err := reverse(t, client, "a", "b")
			if c.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, errors.Join(causes(err)...), c.want)
			}
			dry, dryErr := client.Validate(context.Background(), mirror.VerbReverseAndPause, "link", mirror.Topics("a", "b"))
			requireSound(t, dry, dryErr, []string{"a", "b"})
			require.Equal(t, err == nil, dryErr == nil, "a dry run is judged like the call")
		})
	}
}

func TestNilError_PatternNeedsARow(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       error
	}{
		{"one row", rows(good("orders.eu")), nil},
		{"no rows", rows(), mirror.ErrNoTopics},
		{"next is set", `{"metadata":{"next":"p2"},"data":[` + good("orders.eu") + `]}`, mirror.ErrOutcomeUnknown},
		{"cut off", strings.TrimSuffix(rows(good("orders.eu")), "]}"), mirror.ErrOutcomeUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			report, err := serve(t, ok(c.body)).client(t).ReverseAndPause(context.Background(), "link", mirror.Prefix("orders."))
			require.ErrorIs(t, err, c.want)
			require.Equal(t, !errors.Is(c.want, mirror.ErrOutcomeUnknown), report.Complete)
		})
	}
}

func causes(err error) []error {
	var incomplete *mirror.IncompleteError
	if errors.As(err, &incomplete) {
		return incomplete.Unwrap()
	}
	return nil
}

func TestNeverNilReport_ReportIsNeverNilAndTravelsWithTheError(t *testing.T) {
	t.Run("bad arguments leave every name untouched", func(t *testing.T) {
		w := serve(t, ok(rows(good("a"))))
		report, err := w.client(t).ReverseAndPause(context.Background(), "..", mirror.Topics("a", "b!", "a", ""))
		require.Equal(t, "a untouched, b! untouched,  untouched", outcomes(report), "each distinct name once")
		for _, r := range report.Results {
			require.ErrorIs(t, r.Err(), mirror.ErrInvalidArgument)
		}
		require.Len(t, causes(err), 1, "a cause that all share is there once")
		require.Empty(t, w.Journal())
	})
	t.Run("a shared cause once, then the topics' own", func(t *testing.T) {
		body := rows(`{"mirror_topic_name":"a","error_code":1,"error_message":"x"}`,
			`{"mirror_topic_name":"c","error_code":2,"error_message":"y"}`)
		_, err := reverse(t, serve(t, ok(body+"!")).client(t), "a", "b", "c", "d")
		wrapped := fmt.Errorf("moving orders: %w", err)
		var texts []string
		for _, c := range causes(wrapped) {
			texts = append(texts, c.Error())
		}
		require.Equal(t, []string{
			"the answer could not be read to its end (2 rows read): it has bytes after its end", "a: 1: x", "c: 2: y",
		}, texts)
		var topic *mirror.TopicError
		require.ErrorAs(t, wrapped, &topic)
		require.Equal(t, mirror.TopicError{Topic: "a", Code: 1, Message: "x"}, *topic)
	})
	t.Run("an error read aloud", func(t *testing.T) {
		_, err := reverse(t, serve(t, status(503, "text/html",
			"<html><TITLE>Service\n Unavailable &amp; gone</TITLE>")).client(t), "a", "b")
		require.EqualError(t, err, `reverse-and-pause-mirror, link "link": 0 accepted, 0 failed, 2 unknown, 0 untouched: `+
			`HTTP 503 Service Unavailable: Service Unavailable & gone`)
	})
	t.Run("the zero report is no success", func(t *testing.T) {
		require.ErrorIs(t, (&mirror.Report{}).Err(), mirror.ErrNoTopics)
		require.ErrorIs(t, (&mirror.Report{
			Results: []mirror.Result{{Topic: "a", Outcome: mirror.Accepted}},
		}).Err(), mirror.ErrOutcomeUnknown)
	})
}

func TestOneOutcome_EachTopicHasOneResult(t *testing.T) {
	t.Run("in the order asked, and strangers apart", func(t *testing.T) {
		report, err := reverse(t, serve(t, ok(rows(
			good("c"), good("x"), good("a"), good("A"), good("b "), `{"error_code":7}`,
		))).client(t), "a", "b", "c")
		require.Error(t, err)
		require.Equal(t, "a accepted, b unknown, c accepted", outcomes(report))
		var apart []string
		for _, u := range report.Unexpected {
			apart = append(apart, u.Topic+" "+u.Outcome.String()+": "+strings.Join(u.Notes, ", "))
		}
		require.Equal(t, []string{
			"x accepted: this topic was not asked for", "A accepted: this topic was not asked for",
			"b  accepted: this topic was not asked for", " failed: the row has no topic name",
		}, apart)
		require.Equal(t, 4, report.UnexpectedCount)
		require.Equal(t, 4, report.Attempts[0].Unexpected)
	})
	t.Run("strangers are counted beyond what is kept", func(t *testing.T) {
		report, err := reverse(t, serve(t, ok(rows(
			append(strings.Split(strings.Repeat("{};", 1499)+"{}", ";"), good("a"))...,
		))).client(t), "a")
		require.ErrorContains(t, err, "1500 unexpected rows")
		require.Len(t, report.Unexpected, 1000)
		require.Equal(t, "a accepted", outcomes(report))
	})
	t.Run("a pattern's rows are its topics", func(t *testing.T) {
		body := rows(good("p.1"), good("not a name"), good("p.2"), good("p.1"))
		report, err := serve(t, ok(body)).client(t).ReverseAndPause(context.Background(), "link", mirror.Prefix("p."))
		require.Error(t, err)
		require.Equal(t, "p.1 accepted, p.2 accepted", outcomes(report))
		require.Equal(t, "not a name", report.Unexpected[0].Topic)
		require.Equal(t, []string{"this is not a topic name"}, report.Unexpected[0].Notes)
		require.ErrorIs(t, err, mirror.ErrOutcomeUnknown)
		require.False(t, report.Complete)
		require.Equal(t, mirror.UnaccountedUnknown, report.Unaccounted)
	})
	t.Run("a pattern's rows before a cut stand, and the rest is unknown", func(t *testing.T) {
		report, err := serve(t, ok(`{"data":[`+good("p.1")+`,`+good("p.2")+`,{"mirror`)).client(t).
			ReverseAndPause(context.Background(), "link", mirror.Prefix("p."))
		require.ErrorIs(t, err, mirror.ErrOutcomeUnknown)
		require.Equal(t, "p.1 accepted, p.2 accepted", outcomes(report))
		require.False(t, report.Complete)
		require.Equal(t, mirror.UnaccountedUnknown, report.Unaccounted)
		require.Contains(t, report.String(), "topics without a row unknown")
	})
	t.Run("a pattern that is refused touches nothing", func(t *testing.T) {
		report, err := serve(t, status(400, "application/json", `{"error_code":400,"message":"bad pattern"}`)).client(t).
			ReverseAndPause(context.Background(), "link", mirror.Pattern("(?<a>o).*"))
		require.ErrorContains(t, err, "bad pattern")
		require.NotErrorIs(t, err, mirror.ErrOutcomeUnknown)
		require.NotErrorIs(t, err, mirror.ErrNoTopics)
		require.Empty(t, report.Results)
		require.Equal(t, mirror.UnaccountedUntouched, report.Unaccounted)
	})
	t.Run("rows that agree are one, rows that disagree are unknown", func(t *testing.T) {
		failed := func(topic, message string) string {
			return `{"mirror_topic_name":"` + topic + `","error_code":400,"error_message":"` + message + `"}`
		}
		report, err := reverse(t, serve(t, ok(rows(
			good("same"), good("same"), failed("words", "x"), failed("words", "y"),
			good("clash"), failed("clash", "x"), good("clash"),
			failed("late", "x"), failed("late", "y"), good("late"),
		))).client(t), "same", "words", "clash", "late")
		require.ErrorIs(t, err, mirror.ErrOutcomeUnknown)
		require.Equal(t, "same accepted, words failed, clash unknown, late unknown", outcomes(report))
		said := func(topic string) []string {
			r, found := report.Result(topic)
			require.True(t, found)
			require.Equal(t, "the answer has more than one row for this topic", r.Notes[0])
			return r.Notes[1:]
		}
		require.Empty(t, said("same"))
		require.Equal(t, []string{"a row says failed, 400: y", "a row says failed, 400: x"}, said("words"))
		require.Equal(t, []string{"a row says failed, 400: x", "a row says accepted"}, said("clash"))
		require.Equal(t, []string{
			"a row says failed, 400: y", "a row says failed, 400: x", "a row says accepted",
		}, said("late"))
	})
}

func TestUntouchedIsProof_NothingSent(t *testing.T) {
	denied := errors.New("vault is sealed")
	w := serve(t, ok(rows(good("a"))))
	done, cancel := context.WithCancelCause(context.Background())
	cancel(denied)
	for _, c := range []struct {
		name string
		ctx  context.Context
		edit func(*mirror.Config)
		want error
	}{
		{"context done", done, func(*mirror.Config) {}, context.Canceled},
		{"context's cause", done, func(*mirror.Config) {}, denied},
		{"credential fails", nil, func(c *mirror.Config) {
			c.Credential = func(context.Context, http.Header) error { return denied }
		}, denied},
		{"connection refused", nil, func(c *mirror.Config) { c.Endpoint = refusing }, nil},
		{"TLS spoken to a plain server", nil, func(c *mirror.Config) {
			c.Endpoint = strings.Replace(c.Endpoint, "http:", "https:", 1)
		}, nil},
		{"connection refused, within middleware", nil, func(c *mirror.Config) {
			c.Endpoint = refusing
			c.Middleware = func(next http.RoundTripper) http.RoundTripper { return roundTripper(next.RoundTrip) }
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := w.config()
			c.edit(&cfg)
			if c.ctx == nil {
				c.ctx = context.Background()
			}
			report, err := newClient(t, cfg).ReverseAndPause(c.ctx, "link", mirror.Topics("a"))
			requireSound(t, report, err, []string{"a"})
			require.Equal(t, "a untouched", outcomes(report))
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
			}
			require.Empty(t, w.Journal())
		})
	}
}

// refusing is an endpoint at which nothing listens.
const refusing = "http://127.0.0.1:1"

func TestUnaccounted_TextForms(t *testing.T) {
	require.Equal(t, mirror.UnaccountedNone, *new(mirror.Unaccounted), "none is the zero value")
	requireTextForms(t, "unaccounted(9)", "rest", map[mirror.Unaccounted]string{
		mirror.UnaccountedNone: "none", mirror.UnaccountedUntouched: "untouched", mirror.UnaccountedUnknown: "unknown",
	})
}

func TestOutcome_TextForms(t *testing.T) {
	require.Equal(t, mirror.Unknown, *new(mirror.Outcome), "unknown is the zero value")
	requireTextForms(t, "outcome(9)", "done", map[mirror.Outcome]string{
		mirror.Unknown: "unknown", mirror.Accepted: "accepted", mirror.Failed: "failed", mirror.Untouched: "untouched",
	})
}

// requireTextForms holds a type to its names; a value of 9 and the text have none.
func requireTextForms[T interface {
	~uint8
	fmt.Stringer
	encoding.TextMarshaler
}](t *testing.T, nine, text string, names map[T]string) {
	t.Helper()
	read := func(text []byte) (T, error) {
		back := T(9)
		err := any(&back).(encoding.TextUnmarshaler).UnmarshalText(text)
		return back, err
	}
	for v, name := range names {
		text, err := v.MarshalText()
		require.NoError(t, err)
		require.Equal(t, name, string(text))
		back, err := read(text)
		require.NoError(t, err)
		require.Equal(t, v, back)
	}
	require.Equal(t, nine, T(9).String())
	_, err := T(9).MarshalText()
	require.ErrorIs(t, err, mirror.ErrInvalidArgument)
	_, err = read([]byte(text))
	require.ErrorIs(t, err, mirror.ErrInvalidArgument)
}

// a row's verdict needs its name, code and message only.
func TestOneOutcome_RowVerdicts(t *testing.T) {
	for _, c := range []struct {
		name, members string // of a row for the topic x
		want          string
	}{
		{"code and message null", `"error_code":null,"error_message":null`, "accepted"},
		{"code 0, message empty", `"error_code":0,"error_message":""`, "accepted"},
		{"code null, message empty", `"error_code":null,"error_message":""`, "accepted"},
		{"code alone", `"error_code":0`, "accepted"},
		{"message alone", `"error_message":null`, "accepted"},
		{"code set", `"error_code":40301,"error_message":null`, "failed 40301"},
		{"code negative", `"error_code":-1,"error_message":null`, "failed -1"},
		{"message set", `"error_code":null,"error_message":"no"`, "failed 0 no"},
		{"code 0 and a message", `"error_code":0,"error_message":"no"`, "failed 0 no"},
		{"message before the code", `"error_message":"no","error_code":400`, "failed 400 no"},
		{"escaped member name", `"error\u005fcode":400,"error_message":null`, "failed 400"},
		{"neither", `"kind":"K"`, "unknown"},
		{"other case", `"Error_Code":null,"ERROR_MESSAGE":null`, "unknown"},
		{"code a string", `"error_code":"400","error_message":null`, "unknown"},
		{"code a string, with a message", `"error_code":"400","error_message":"no"`, "failed 0 no"},
		{"code a float", `"error_code":400.0,"error_message":null`, "unknown"},
		{"code with an exponent", `"error_code":4e2,"error_message":null`, "unknown"},
		{"code beyond int32", `"error_code":2147483648,"error_message":null`, "unknown"},
		{"code beyond int32, with a message", `"error_code":2147483648,"error_message":"no"`, "failed 0 no"},
		{"code true", `"error_code":true,"error_message":null`, "unknown"},
		{"code an object", `"error_code":{"a":[1]},"error_message":null`, "unknown"},
		{"code twice", `"error_code":400,"error_code":null,"error_message":null`, "unknown"},
		{"code twice alike", `"error_code":null,"error_code":null,"error_message":null`, "unknown"},
		{"code twice, with a message", `"error_code":400,"error_code":null,"error_message":"no"`, "failed 0 no"},
		{"message twice", `"error_code":null,"error_message":"no","error_message":null`, "unknown"},
		{"message a number", `"error_code":null,"error_message":5`, "unknown"},
		{"message a list, with a code", `"error_code":400,"error_message":["no"]`, "failed 400"},
		{"message not UTF-8", `"error_code":null,"error_message":"` + "\xff" + `"`, "failed 0 \ufffd"},
		{"lags of the wrong type", `"error_code":null,"error_message":null,"mirror_lags":"many"`,
			"accepted ! mirror_lags cannot be read"},
		{"lags null", `"error_code":null,"error_message":null,"mirror_lags":null`, "accepted ! mirror_lags cannot be read"},
		{"a lag null", `"error_code":null,"error_message":null,"mirror_lags":[{"partition":0,"lag":null}]`,
			"accepted ! mirror_lags has something that cannot be read"},
		{"a lag a list", `"error_code":null,"error_message":null,"mirror_lags":[[]]`,
			"accepted ! mirror_lags has something that cannot be read"},
		{"truncation null", `"error_code":null,"error_message":null,"partition_level_truncation_data":null`, "accepted"},
		{"truncation of the wrong type", `"error_code":null,"error_message":null,"partition_level_truncation_data":7`,
			"accepted ! partition_level_truncation_data cannot be read"},
		{"truncation of a partition unreadable",
			`"error_code":null,"error_message":null,"partition_level_truncation_data":[{"partition_id":-4}]`,
			"accepted ! partition_level_truncation_data has something that cannot be read"},
		{"total beyond int64", `"error_code":null,"error_message":null,"messages_truncated":9223372036854775808`,
			"accepted ! messages_truncated cannot be read"},
		{"failed, and lags unreadable", `"error_code":400,"error_message":null,"mirror_lags":0`,
			"failed 400 ! mirror_lags cannot be read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, row := range []string{
				`{"mirror_topic_name":"x",` + c.members + `}`, `{` + c.members + `,"mirror_topic_name":"x"}`,
			} {
				report, _ := reverse(t, serve(t, ok(rows(good("a"), row, good("b")))).client(t), "a", "x", "b")
				r, found := report.Result("x")
				require.True(t, found)
				got := r.Outcome.String()
				if r.Outcome == mirror.Failed {
					got += strings.TrimRight(fmt.Sprintf(" %d %s", r.Code, r.Message), " ")
				}
				if len(r.Notes) > 0 {
					got += " ! " + strings.Join(r.Notes, ", ")
				}
				require.Equal(t, c.want, got)
				require.Equal(t, "a accepted, x "+r.Outcome.String()+", b accepted", outcomes(report), "the rows around it stand")
			}
		})
	}
}

func TestOneOutcome_RowsWithoutAReadableName(t *testing.T) {
	for _, row := range []string{
		`null`, `7`, `"x"`, `[{"mirror_topic_name":"x"}]`, `{}`, `{"error_code":null,"error_message":null}`,
		`{"mirror_topic_name":null,"error_code":null}`, `{"mirror_topic_name":["x"],"error_code":null}`,
		`{"mirror_topic_name":"x","mirror_topic_name":"x","error_code":null}`,
		`{"mirror_topic_name":"","error_code":null}`, `{"mirror_topic_name":"` + "\xff" + `","error_code":null}`,
	} {
		report, _ := reverse(t, serve(t, ok(rows(good("a"), row, good("b")))).client(t), "a", "x", "b")
		require.Equal(t, "a accepted, x unknown, b accepted", outcomes(report), row)
		require.Equal(t, 1, report.UnexpectedCount, row)
	}
}

func TestOneOutcome_NotKnownIsNotZero(t *testing.T) {
	row := func(topic, members string) string {
		return `{"mirror_topic_name":"` + topic + `","error_code":null,"error_message":null,` + members + `}`
	}
	report, err := reverse(t, serve(t, ok(rows(
		row("gaps", `"mirror_lags":[{"partition":7,"lag":3,"last_source_fetch_offset":9},`+
			`{"partition":2,"lag":null,"last_source_fetch_offset":-1},{"lag":5},{},`+
			`{"partition":3,"lag":-1,"last_source_fetch_offset":1e3}]`),
		row("none", `"messages_truncated":null`),
		row("empty", `"mirror_lags":[],"messages_truncated":-1,"partition_level_truncation_data":[]`),
		row("cut", `"mirror_lags":[{"partition":0,"lag":9223372036854775807,"last_source_fetch_offset":0}],`+
			`"messages_truncated":12,"partition_level_truncation_data":[`+
			`{"partition_id":1,"offset_truncated_to":4,"messages_truncated":6},`+
			`{"partition_id":0,"offset_truncated_to":"x","messages_truncated":-1}]`),
	))).client(t), "gaps", "none", "empty", "cut")
	require.NoError(t, err, "lags and truncations do not bear on the verdict")
	nk := mirror.NotKnown
	require.Equal(t, []mirror.PartitionLag{
		{Partition: 7, Lag: 3, LastSourceFetchOffset: 9}, {Partition: 2, Lag: nk, LastSourceFetchOffset: -1},
		{Partition: -1, Lag: 5, LastSourceFetchOffset: nk}, {Partition: 3, Lag: -1, LastSourceFetchOffset: nk},
	}, report.Results[0].Lags)
	require.Nil(t, report.Results[1].Lags)
	require.NotNil(t, report.Results[2].Lags)
	require.Nil(t, report.Results[2].MessagesTruncated)
	require.Equal(t, []mirror.PartitionTruncation{
		{Partition: 1, OffsetTruncatedTo: 4, MessagesTruncated: 6},
		{Partition: 0, OffsetTruncatedTo: nk, MessagesTruncated: -1},
	}, report.Results[3].Truncations)
	require.EqualValues(t, 12, *report.Results[3].MessagesTruncated)
	require.Equal(t, mirror.LagSummary{
		Total: 9223372036854775807, Partitions: 3, Largest: 9223372036854775807, Topic: "cut",
		NeverFetched: 1, NotKnown: 2, Without: []string{"none", "empty"},
	}, report.Lag())
	require.Equal(t, mirror.TruncationSummary{
		Reported: 12, ReportedTopics: 1, Messages: 6, Partitions: 2, Topics: 1,
	}, report.Truncation())
}

func TestNilError_NothingSelectedIsNeverSuccess(t *testing.T) {
	w := serve(t, ok(rows()))
	for name, s := range map[string]mirror.Selection{
		"zero selection": {},
		"no names":       mirror.Topics(),
		"no prefix":      mirror.Prefix(),
		"no suffix":      mirror.Suffix(),
	} {
		report, err := w.client(t).ReverseAndPause(context.Background(), "link", s)
		require.ErrorIs(t, err, mirror.ErrNoTopics, name)
		require.ErrorIs(t, err, mirror.ErrInvalidArgument, name)
		require.NotErrorIs(t, err, mirror.ErrOutcomeUnknown, name)
		require.NotNil(t, report)
	}
	require.Empty(t, w.Journal())
	_, err := w.client(t).ReverseAndPause(context.Background(), "link", mirror.All())
	require.ErrorIs(t, err, mirror.ErrNoTopics)
	require.NotErrorIs(t, err, mirror.ErrInvalidArgument)
}

func TestSaidBeforeSending_ConfigIsCheckedWhole(t *testing.T) {
	base := mirror.Config{Endpoint: "https://rest.example", ClusterID: "lkc-1", Credential: mirror.NoCredential()}
	for _, c := range []struct {
		name string
		edit func(*mirror.Config)
		want []string
	}{
		{"fine", func(*mirror.Config) {}, nil},
		{"port", func(c *mirror.Config) { c.Endpoint = "https://rest.example:443/" }, nil},
		{"http on loopback", func(c *mirror.Config) { c.Endpoint = "http://localhost:8082" }, nil},
		{"http on IPv6 loopback", func(c *mirror.Config) { c.Endpoint = "http://[::1]:8082" }, nil},
		{"http allowed", func(c *mirror.Config) { c.Endpoint, c.AllowHTTP = "http://rest.example", true }, nil},
		{"prefix", func(c *mirror.Config) { c.PathPrefix = "/gateway/kafka-1.x" }, nil},
		{"nothing at all", func(c *mirror.Config) { *c = mirror.Config{} },
			[]string{"Endpoint: it is empty", "ClusterID: it is empty", "Credential: there is none"}},
		{"no scheme", func(c *mirror.Config) { c.Endpoint = "rest.example" }, []string{"Endpoint: it is not of the form"}},
		{"no scheme, a port", func(c *mirror.Config) { c.Endpoint = "rest.example:443" },
			[]string{"Endpoint: it is not of the form"}},
		{"another scheme", func(c *mirror.Config) { c.Endpoint = "ftp://rest.example" },
			[]string{"Endpoint: it is not of the form"}},
		{"no host", func(c *mirror.Config) { c.Endpoint = "https://:443" }, []string{"Endpoint: it is not of the form"}},
		{"no URL, with a secret", func(c *mirror.Config) { c.Endpoint = "https://u:" + canary + "@h:port" },
			[]string{"Endpoint: it is not of the form"}},
		{"http beyond loopback", func(c *mirror.Config) { c.Endpoint = "http://rest.example" }, []string{"AllowHTTP"}},
		{"user info", func(c *mirror.Config) { c.Endpoint = "https://u:" + canary + "@rest.example" }, []string{"user info"}},
		{"query", func(c *mirror.Config) { c.Endpoint = "https://rest.example?" + canary }, []string{"query"}},
		{"empty query", func(c *mirror.Config) { c.Endpoint = "https://rest.example?" }, []string{"query"}},
		{"fragment", func(c *mirror.Config) { c.Endpoint = "https://rest.example#" }, []string{"fragment"}},
		{"bootstrap server", func(c *mirror.Config) { c.Endpoint = "https://rest.example:9092" }, []string{"bootstrap"}},
		{"ends in /kafka", func(c *mirror.Config) { c.Endpoint = "https://rest.example/kafka/" },
			[]string{"ends in /kafka, which the library adds"}},
		{"ends in /kafka/v3", func(c *mirror.Config) { c.Endpoint = "https://rest.example/kafka/v3" },
			[]string{"ends in /kafka/v3, which the library adds"}},
		{"ends in /v3", func(c *mirror.Config) { c.Endpoint = "https://rest.example/v3" }, []string{"PathPrefix"}},
		{"a path", func(c *mirror.Config) { c.Endpoint = "https://rest.example/a" }, []string{"PathPrefix"}},
		{"all about it", func(c *mirror.Config) { c.Endpoint = "http://u:p@rest.example:9092/kafka?q#f" },
			[]string{"user info", "query", "fragment", "ends in /kafka", "bootstrap", "AllowHTTP"}},
		{"cluster .", func(c *mirror.Config) { c.ClusterID = "." }, []string{`ClusterID: "."`}},
		{"cluster ..", func(c *mirror.Config) { c.ClusterID = ".." }, []string{`ClusterID: ".."`}},
		{"cluster -", func(c *mirror.Config) { c.ClusterID = "-" }, []string{"ClusterID: \"-\" is the API's wildcard"}},
		{"cluster not UTF-8", func(c *mirror.Config) { c.ClusterID = "\xff" }, []string{`ClusterID: "\xff" is not UTF-8`}},
		{"middleware that is nil", func(c *mirror.Config) {
			c.ClusterID, c.Middleware = "", func(http.RoundTripper) http.RoundTripper { return nil }
		}, []string{"ClusterID: it is empty", "Middleware: it returned nil"}},
		{"prefix without a slash", func(c *mirror.Config) { c.PathPrefix = "kafka" }, []string{"PathPrefix"}},
		{"prefix upwards", func(c *mirror.Config) { c.PathPrefix = "/a/.." }, []string{"PathPrefix"}},
		{"prefix with v3", func(c *mirror.Config) { c.PathPrefix = "/kafka/v3" }, []string{"PathPrefix: it ends in /v3"}},
		{"negative bounds", func(c *mirror.Config) { c.Timeout, c.MaxAnswer = -1, -1 },
			[]string{"Timeout: -1ns is negative", "MaxAnswer: -1 is negative"}},
		{"user agent with a line break", func(c *mirror.Config) { c.UserAgent = "a\nb" }, []string{`UserAgent: "a\nb"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := base
			c.edit(&cfg)
			client, err := mirror.NewClient(cfg)
			if c.want == nil {
				require.NoError(t, err)
				return
			}
			require.Nil(t, client)
			require.ErrorIs(t, err, mirror.ErrInvalidArgument)
			require.NotErrorIs(t, err, mirror.ErrNoTopics)
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
			require.NotContains(t, err.Error(), canary)
		})
	}
}

func TestSaidBeforeSending_CallIsCheckedWhole(t *testing.T) {
	w := serve(t, ok(rows(good("a"))))
	long := strings.Repeat("x", 250)
	many := make([]string, 30)
	for i := range many {
		many[i] = fmt.Sprintf("bad/%d", i)
	}
	for _, c := range []struct {
		name, link string
		s          mirror.Selection
		want       []string
	}{
		{"link empty", "", mirror.Topics("a"), []string{"link: it is empty"}},
		{"link .", ".", mirror.Topics("a"), []string{`link: "."`}},
		{"link ..", "..", mirror.Topics("a"), []string{`link: ".."`}},
		{"link -", "-", mirror.Topics("a"), []string{`link: "-" is the API's wildcard`}},
		{"names", "l", mirror.Topics("", ".", "..", "a b", "ä", long, "ok"),
			[]string{`Topics: not a topic name: "", ".", "..", "a b", "ä", "xxx`}},
		{"twice", "l", mirror.Topics("a", "b", "a", "a"), []string{`Topics: named twice: "a"`}},
		{"many", "l", mirror.Topics(many...), []string{`"bad/19" and 10 more (1 to 249 characters`}},
		{"everything at once", "..", mirror.Topics("a", "a", "b!"),
			[]string{`link: ".."`, `not a topic name: "b!"`, `named twice: "a"`}},
		{"pattern empty", "l", mirror.Pattern(""), []string{"Pattern: the expression is empty"}},
		{"pattern not UTF-8", "l", mirror.Pattern("\xff"), []string{"Pattern: the expression is not UTF-8"}},
		{"pattern of everything", "l", mirror.Pattern("" + ".*"), []string{"use All"}},
		{"prefix empty", "l", mirror.Prefix("a", ""), []string{`Prefix: no part of a topic name: ""`}},
		{"suffix with a wildcard", "l", mirror.Suffix("*"), []string{`Suffix: no part of a topic name: "*"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			report, err := w.client(t).ReverseAndPause(context.Background(), c.link, c.s)
			require.ErrorIs(t, err, mirror.ErrInvalidArgument)
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
			require.Equal(t, len(report.Results), report.Count(mirror.Untouched))
			require.NotErrorIs(t, err, mirror.ErrOutcomeUnknown)
		})
	}
	require.Empty(t, w.Journal())

	t.Run("the zero client", func(t *testing.T) {
		for _, client := range []*mirror.Client{nil, {}} {
			report, err := client.ReverseAndPause(context.Background(), "", mirror.Topics("a"))
			require.ErrorIs(t, err, mirror.ErrInvalidArgument)
			require.ErrorContains(t, err, "Client: it was not made by NewClient; link: it is empty")
			require.Equal(t, "a untouched", outcomes(report))
		}
	})
}

func TestNoSecrets_NoSecretAnywhere(t *testing.T) {
	var log strings.Builder
	w := serve(t, status(307, "", "",
		"Location", "https://user:"+canary+"@elsewhere.example/path?token="+canary+"#"+canary))
	cfg := w.config()
	cfg.Logger = slog.New(slog.NewJSONHandler(&log, nil))
	client := newClient(t, cfg)
	report, err := reverse(t, client, "a")
	require.ErrorContains(t, err, "redirected to https://elsewhere.example/path, not followed")
	require.Len(t, w.Journal(), 1)
	require.Equal(t, 307, w.Journal()[0].HTTPStatus, "the secret did go out, or it were a 401")

	bearer := mirror.BearerToken(func(context.Context) (string, error) { return canary, nil }, "pool-1")
	for _, v := range []any{cfg, &cfg, client, report, *report, err, cfg.Credential, bearer} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			require.NotContains(t, fmt.Sprintf(verb, v), canary)
			require.NotContains(t, fmt.Sprintf(verb, v), fmt.Sprintf("%x", canary))
		}
		if text, jsonErr := json.Marshal(v); jsonErr == nil {
			require.NotContains(t, string(text), canary)
		}
		slog.New(slog.NewTextHandler(&log, nil)).Info("value", "v", v)
	}
	require.NoError(t, report.Table(&log))
	require.NotContains(t, log.String(), canary)
	require.Contains(t, log.String(), "elsewhere.example", "the log does hold what happened")
	require.NotContains(t, strings.Join(os.Environ(), "\n"), canary)
}

func TestNoSecrets_CredentialsThatCannotBeSent(t *testing.T) {
	token := func(s string) mirror.Credential {
		return mirror.BearerToken(func(context.Context) (string, error) { return s, nil }, "")
	}
	for _, c := range []struct {
		name string
		cred mirror.Credential
		want string
	}{
		{"no key", mirror.APIKey("", canary), "the key is empty"},
		{"no secret", mirror.APIKey("key", ""), "the secret is empty"},
		{"secret from a file", mirror.APIKey("key", canary+"\n"), "the secret has white space around it"},
		{"key with a space", mirror.APIKey(" key", canary), "the key has white space around it"},
		{"key with a colon", mirror.APIKey("a:b", canary), "the key has a colon in it"},
		{"no token source", mirror.BearerToken(nil, ""), "the token source is nil"},
		{"empty token", token(""), "the token is empty"},
		{"token with a line break", token(canary + "\r\nX-Evil: 1"), "a character that is not allowed in a token"},
		{"pool with a line break", mirror.BearerToken(nil, "a\n"), "nil"},
		{"pool with a space", mirror.BearerToken(func(context.Context) (string, error) { return canary, nil }, "a b"),
			"identity pool"},
		{"token source fails", mirror.BearerToken(func(context.Context) (string, error) { return "", io.ErrClosedPipe }, ""),
			"the token source failed: io: read/write on closed pipe"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := serve(t, ok(rows(good("a"))))
			cfg := w.config()
			cfg.Credential = c.cred
			report, err := reverse(t, newClient(t, cfg), "a")
			require.ErrorContains(t, err, c.want)
			require.Equal(t, "a untouched", outcomes(report))
			require.Empty(t, w.Journal())
		})
	}
}
