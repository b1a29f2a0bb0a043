package mirror_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func TestReport_FailuresAreGroupedByCode(t *testing.T) {
	failed := func(topic, code, message string) string {
		return `{"mirror_topic_name":"` + topic + `","error_code":` + code + `,"error_message":` + message + `}`
	}
	report, err := reverse(t, serve(t, ok(rows(
		failed("d", "400", `"d is stopped"`), failed("a", "40301", `"no right"`), failed("b", "400", `"b is stopped"`),
		failed("c", "null", `"odd"`), good("e"),
	))).client(t), "a", "b", "c", "d", "e")
	require.Equal(t, []mirror.FailureGroup{
		{Code: 40301, Message: "no right", Topics: []string{"a"}},
		{Code: 400, Message: "b is stopped", Topics: []string{"b", "d"}},
		{Code: 0, Message: "odd", Topics: []string{"c"}},
	}, report.Failures(), "in the order asked, not in the answer's")
	require.Equal(t, []string{"a", "b", "c", "d"}, report.Topics(mirror.Failed))
	require.Equal(t, 1, report.Count(mirror.Accepted))
	require.EqualError(t, err,
		`reverse-and-pause-mirror, link "link": 1 accepted, 4 failed, 0 unknown, 0 untouched: `+
			`a: 40301: no right (and 3 other causes)`)
	_, found := report.Result("z")
	require.False(t, found)
}

func TestReport_LagTiesGoToTheFirstAsked(t *testing.T) {
	lag := func(topic string) string {
		return `{"mirror_topic_name":"` + topic + `","error_code":null,"mirror_lags":[` +
			`{"partition":1,"lag":4,"last_source_fetch_offset":0},{"partition":0,"lag":4,"last_source_fetch_offset":-1}]}`
	}
	report, err := reverse(t, serve(t, ok(rows(lag("b"), lag("a")))).client(t), "a", "b")
	require.NoError(t, err)
	require.Equal(t, mirror.LagSummary{
		Total: 16, Partitions: 4, Largest: 4, Topic: "a", Partition: 1, NeverFetched: 2,
	}, report.Lag())
	require.Equal(t, "16 messages in 4 partitions; the largest is 4, a partition 1; 2 partitions never fetched from",
		report.Lag().String())
	b, _ := report.Result("b")
	require.Equal(t, "8 messages in 2 partitions; the largest is 4, b partition 1; 1 partition never fetched from",
		b.Lag().String())
	require.Zero(t, b.Truncation())
}

func TestReport_ListsOfTwoTopicsShareNothing(t *testing.T) {
	names := manyTopics(20)
	var all []string
	for _, name := range names {
		all = append(all, good(name))
	}
	report, err := reverse(t, serve(t, ok(rows(all...))).client(t), names...)
	require.NoError(t, err)
	for i := range report.Results {
		r := &report.Results[i]
		_ = append(r.Lags, mirror.PartitionLag{Partition: 7})
		_ = append(r.Truncations, mirror.PartitionTruncation{Partition: 7})
	}
	for _, r := range report.Results {
		require.Equal(t, []mirror.PartitionLag{{LastSourceFetchOffset: 5}}, r.Lags)
		require.Equal(t, []mirror.PartitionTruncation{}, r.Truncations)
	}
}

func TestReport_Table(t *testing.T) {
	body := rows(
		good("fine"),
		`{"mirror_topic_name":"odd","error_code":null,"error_message":null,"mirror_lags":7}`,
		`{"mirror_topic_name":"evil","error_code":400,"error_message":"\u001b[2J\nUNTOUCHED\u202e","messages_truncated":3}`,
		`{"mirror_topic_name":"twice","error_code":null}`, `{"mirror_topic_name":"twice","error_code":5}`,
		`{"mirror_topic_name":"\u001b[1mstranger","error_code":null}`, `{}`,
	)
	report, err := reverse(t, serve(t, ok(body)).client(t), "fine", "odd", "evil", "twice", "gone")
	require.Error(t, err)
	var b strings.Builder
	require.NoError(t, report.Table(&b))
	require.Equal(t, `do not move clients: 2 unknown, 1 failed, 2 unexpected rows
reverse-and-pause-mirror, link "link": 2 accepted, 1 failed, 2 unknown, 0 untouched, 2 unexpected rows

note      the answer has 2 unexpected rows, the first about "\x1b[1mstranger": this topic was not asked for
note      2 rows with something odd, the first odd: mirror_lags cannot be read
accepted  the server accepted it; it is done when the topic is STOPPED here and PAUSED on the other cluster
failed    the server refused it; see why
unknown   it may have been reversed; follow it, or look at the topic, before sending it again

OUTCOME  TOPICS  LAG        WHY
unknown  twice   not known  the answer has rows for this topic that disagree `+
		`(the answer has more than one row for this topic; a row says failed, code 5, no message; a row says accepted)
unknown  gone    not known  the answer has no row for this topic
failed   evil    not known  400: \x1b[2J\nUNTOUCHED\u202e

UNEXPECTED        SAYS      WHY
\x1b[1mstranger  accepted  this topic was not asked for
(no name)        unknown   the row has no topic name

lag        0 messages in 1 partition; not known for 4 topics
truncated  none reported; the server's own total is 3 for 1 topic
`, strings.ReplaceAll(b.String(), "UNEXPECTED       ", "UNEXPECTED        "))
	require.ErrorIs(t, report.Table(failingWriter{}), errFull)
}

// A table of many topics stays short: those with the same reason are one line, which names the first of them.
func TestReport_TableOfALargeRun(t *testing.T) {
	names := make([]string, 1200)
	var o mirrortest.Options
	for i := range names {
		names[i] = fmt.Sprintf("t%04d", i)
		topic := mirrortest.Topic{Name: names[i], Partitions: []mirrortest.Partition{{Lag: int64(i % 2)}}}
		if i%100 == 99 {
			topic.Status = mirror.StatusStopped
		}
		o.Topics = append(o.Topics, topic)
	}
	pair := mirrortest.NewPair(t, o)
	pair.Local.Inject(mirrortest.Fault{Nth: 2, AfterApply: true, Do: mirrortest.Cut(0)})
	report, err := newClient(t, pair.Local.Config()).
		ReverseAndPause(t.Context(), pair.Link(), mirror.Topics(names...))
	require.Error(t, err)
	var b strings.Builder
	require.NoError(t, report.Table(&b))
	require.Equal(t, `do not move clients: 500 unknown, 5 failed, 200 untouched
reverse-and-pause-mirror, link "dr-link": 495 accepted, 5 failed, 500 unknown, 200 untouched

accepted         the server accepted it; it is done when the topic is STOPPED here and PAUSED on the other cluster
failed           the server refused it; see why
unknown          it may have been reversed; follow it, or look at the topic, before sending it again
untouched        nothing was done; fix the cause and send it again
already stopped  5 failed topics: an earlier call may have done it; look at the topic before counting it as failed

OUTCOME    TOPICS                                                        LAG        WHY
unknown    t0500, t0501, t0502, t0503, t0504, t0505, t0506 and 493 more  not known  `+
		`the request may have been carried out, and no response came: EOF
failed     t0099, t0199, t0299, t0399, t0499                             5          `+
		`400: Topic '…' has already stopped its mirror from 'dr-link'
untouched  t1000, t1001, t1002, t1003, t1004, t1005, t1006 and 193 more  not known  `+
		`not sent; batch 2 of 3 stopped the run: the request may have been carried out, and no response came: EOF

lag        250 messages in 500 partitions; the largest is 1, t0001 partition 0; not known for 700 topics
truncated  none reported
`, b.String())
}

var errFull = errors.New("disk full")

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errFull }

func TestReport_DryRunSaysSoInEveryForm(t *testing.T) {
	const says = "dry run: nothing was changed"
	report, err := serve(t, ok(rows(good("a")))).client(t).
		Validate(context.Background(), mirror.VerbReverseAndPause, "link", mirror.Topics("a", "b"))
	require.True(t, report.DryRun)
	require.Contains(t, report.String(), says)
	require.ErrorContains(t, err, says)
	var table, log strings.Builder
	require.NoError(t, report.Table(&table))
	require.Contains(t, table.String(), says)
	require.Contains(t, table.String(), "accepted  the call would be accepted")
	require.Contains(t, table.String(), "unknown   there is no verdict; run the dry run again")
	text, err := json.Marshal(report)
	require.NoError(t, err)
	require.Contains(t, string(text), says)
	slog.New(slog.NewTextHandler(&log, nil)).Info("done", "report", report)
	require.Contains(t, log.String(), says)
	require.Contains(t, log.String(), "report.accepted=1 report.failed=0 report.unknown=1 report.untouched=0")
}

func TestReport_JSON(t *testing.T) {
	body := `{"metadata":{"next":"p2"},"data":[` + strings.Join([]string{
		`{"mirror_topic_name":"a","error_code":null,"error_message":null,` +
			`"mirror_lags":[{"partition":1,"lag":null,"last_source_fetch_offset":-1}],"messages_truncated":0}`,
		`{"mirror_topic_name":"b","error_code":400,"error_message":"no","mirror_lags":[],` +
			`"partition_level_truncation_data":[{"partition_id":0,"offset_truncated_to":5,"messages_truncated":2}]}`,
		`{"mirror_topic_name":"c","error_code":null}`, `{"mirror_topic_name":"c","error_code":1}`,
		`{"mirror_topic_name":"z","error_code":null}`,
	}, ",") + `]}`
	report, callErr := reverse(t, serve(t, ok(body)).client(t), "a", "b", "c", "d")
	attempts := report.Attempts
	require.Len(t, attempts, 1)
	report.Attempts = nil // they have times in them
	for i := range report.Results {
		require.Equal(t, attempts[0].Start, report.Results[i].Sent)
		report.Results[i].Sent = time.Time{}
	}
	text, err := json.Marshal(report)
	require.NoError(t, err)
	require.JSONEq(t, `{
		"version":3,"verb":"reverse-and-pause-mirror","dry_run":false,"cluster_id":"lkc-local","link":"link","complete":false,
		"counts":{"accepted":1,"failed":1,"unknown":2,"untouched":0},
		"results":[
			{"topic":"a","outcome":"accepted","lags":[{"partition":1,"lag":null,"last_source_fetch_offset":-1}],`+
		`"messages_truncated":0,
			 "notes":["mirror_lags has something that cannot be read"]},
			{"topic":"b","outcome":"failed","code":400,"message":"no","lags":[],`+
		`"truncations":[{"partition":0,"offset_truncated_to":5,"messages_truncated":2}]},
			{"topic":"c","outcome":"unknown","cause":0,"notes":["the answer has more than one row for this topic",`+
		`"a row says failed, code 1, no message","a row says accepted"]},
			{"topic":"d","outcome":"unknown","cause":1}],
		"unexpected":[{"topic":"z","outcome":"accepted","notes":["this topic was not asked for"]}],`+
		`"unexpected_count":1,"next":"p2",
		"causes":[
			{"text":"the answer has rows for this topic that disagree"},
			{"text":"the answer has no row for this topic"}]}`, string(text))

	var back mirror.Report
	require.NoError(t, json.Unmarshal(text, &back))
	require.EqualError(t, back.Err(), callErr.Error())
	require.ErrorIs(t, back.Err(), mirror.ErrOutcomeUnknown)
	require.Equal(t, report.Lag(), back.Lag())
	require.Equal(t, report.Truncation(), back.Truncation())
	again, err := json.Marshal(back)
	require.NoError(t, err)
	require.JSONEq(t, string(text), string(again))
}

func TestReport_ANumberThatIsNotKnownIsNull(t *testing.T) {
	for text, n := range map[string]mirror.Number{
		"null": mirror.NotKnown, "0": 0, "-1": -1, "9223372036854775807": math.MaxInt64,
	} {
		data, err := json.Marshal(n)
		require.NoError(t, err)
		require.Equal(t, text, string(data))
		var back mirror.Number
		require.NoError(t, json.Unmarshal(data, &back))
		require.Equal(t, n, back)
	}
	require.Error(t, json.Unmarshal([]byte(`"1"`), new(mirror.Number)))
}

func TestReport_AResultIsWrittenAsItIsAlone(t *testing.T) {
	for _, want := range []mirror.Result{
		{Topic: "a", Outcome: mirror.Accepted},
		{Topic: "a", Outcome: mirror.Accepted, Lags: []mirror.PartitionLag{}, Truncations: []mirror.PartitionTruncation{}},
		{
			Topic: "a", Outcome: mirror.Failed, Code: 400, Message: "no", MessagesTruncated: new(int64(7)),
			Lags: []mirror.PartitionLag{
				{Partition: -1, Lag: mirror.NotKnown, LastSourceFetchOffset: -1}, {Partition: 1, Lag: math.MaxInt64},
			},
			Truncations: []mirror.PartitionTruncation{
				{Partition: -1, OffsetTruncatedTo: mirror.NotKnown, MessagesTruncated: -1}, {Partition: 1, MessagesTruncated: 2},
			},
		},
	} {
		alone, err := json.Marshal(want)
		require.NoError(t, err)
		text, err := json.Marshal(mirror.Report{Results: []mirror.Result{want}})
		require.NoError(t, err)
		var report struct{ Results []json.RawMessage }
		require.NoError(t, json.Unmarshal(text, &report))
		require.JSONEq(t, string(alone), string(report.Results[0]))
		var back mirror.Report
		require.NoError(t, json.Unmarshal(text, &back))
		require.Equal(t, []mirror.Result{want}, back.Results)
	}
	var back mirror.Report
	require.NoError(t, json.Unmarshal([]byte(`{"version":3,"results":[`+
		`{"topic":"a","outcome":"accepted","lags":[{}],"truncations":[{"partition":3}]}]}`), &back))
	nk := mirror.NotKnown
	require.Equal(t, []mirror.PartitionLag{{Partition: -1, Lag: nk, LastSourceFetchOffset: nk}}, back.Results[0].Lags,
		"what is missing is not known")
	require.Equal(t, []mirror.PartitionTruncation{{Partition: 3, OffsetTruncatedTo: nk, MessagesTruncated: nk}},
		back.Results[0].Truncations)
}

func TestReport_JSONKeepsCauses(t *testing.T) {
	readBack := func(report *mirror.Report) error {
		text, err := json.Marshal(report)
		require.NoError(t, err)
		var back mirror.Report
		require.NoError(t, json.Unmarshal(text, &back))
		return back.Err()
	}
	report, callErr := reverse(t, serve(t, status(429, "text/html", "<title>slow down</title>",
		"DoSFilter", "unavailable")).client(t), "a", "b")
	err := readBack(report)
	require.EqualError(t, err, callErr.Error())
	require.ErrorIs(t, err, mirror.ErrRateLimited)
	var was, is *mirror.APIError
	require.ErrorAs(t, callErr, &was)
	require.ErrorAs(t, err, &is)
	require.Equal(t, was, is)
	require.Len(t, causes(err), 1, "a shared cause is still one")

	report, callErr = serve(t, ok(rows())).client(t).ReverseAndPause(context.Background(), "l", mirror.All())
	require.EqualError(t, readBack(report), callErr.Error())
	require.ErrorIs(t, readBack(report), mirror.ErrNoTopics)

	report, callErr = serve(t, ok("")).client(t).ReverseAndPause(context.Background(), "", mirror.Topics("a"))
	require.EqualError(t, readBack(report), callErr.Error())
	require.ErrorIs(t, readBack(report), mirror.ErrInvalidArgument)

	report, callErr = serve(t, ok("")).client(t).ReverseAndPause(context.Background(), "l", mirror.Selection{})
	require.EqualError(t, readBack(report), callErr.Error())
	require.ErrorIs(t, readBack(report), mirror.ErrInvalidArgument)
	require.ErrorIs(t, readBack(report), mirror.ErrNoTopics)

	report, callErr = serve(t, mirrortest.Cut(0)).client(t).ReverseAndPause(context.Background(), "l", mirror.All())
	require.EqualError(t, readBack(report), callErr.Error())
	require.ErrorIs(t, readBack(report), mirror.ErrOutcomeUnknown)

	report, callErr = serve(t, status(403, "", "")).client(t).ReverseAndPause(context.Background(), "l", mirror.All())
	require.EqualError(t, readBack(report), callErr.Error())
	require.NotErrorIs(t, readBack(report), mirror.ErrOutcomeUnknown)
}

func TestReport_JSONThatCannotBeRead(t *testing.T) {
	for _, text := range []string{
		`{}`, `{"version":1}`, `{"version":2}`, `{"version":4}`, `{"version":"1"}`, `[]`,
		`{"version":3,"problems":[0]}`, `{"version":3,"results":[{"topic":"a","cause":-1}]}`,
		`{"version":3,"results":[{"topic":"a","outcome":"done"}]}`,
	} {
		report := mirror.Report{Link: "as it was"}
		require.Error(t, json.Unmarshal([]byte(text), &report), text)
		require.Equal(t, mirror.Report{Link: "as it was"}, report, text)
	}
}
