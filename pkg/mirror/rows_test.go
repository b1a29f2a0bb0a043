package mirror_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// said is what a result says, in a few words: its outcome, code, message, and "!" for a note.
func said(r mirror.Result) string {
	s := r.Outcome.String()
	if r.Outcome == mirror.Failed {
		s += strings.TrimRight(fmt.Sprintf(" %d %s", r.Code, r.Message), " ")
	}
	if len(r.Notes) > 0 {
		s += " !"
	}
	return s
}

func TestOneOutcome_CodeAndMessageAloneDecide(t *testing.T) {
	const unset = `"error_code":null,"error_message":null`
	for _, c := range []struct{ name, members, want string }{
		{"code and message null", unset, "accepted"},
		{"code 0, message empty", `"error_code":0,"error_message":""`, "accepted"},
		{"code null, message empty", `"error_code":null,"error_message":""`, "accepted"},
		{"code 0 alone", `"error_code":0`, "accepted"},
		{"message null alone", `"error_message":null`, "accepted"},
		{"code set", `"error_code":40301,"error_message":null`, "failed 40301"},
		{"code negative", `"error_code":-1,"error_message":null`, "failed -1"},
		{"message set", `"error_code":null,"error_message":"no"`, "failed 0 no"},
		{"code 0 and a message", `"error_code":0,"error_message":"no"`, "failed 0 no"},
		{"message alone", `"error_message":"no"`, "failed 0 no"},
		{"message before the code", `"error_message":"no","error_code":400`, "failed 400 no"},
		{"escaped member name", `"error\u005fcode":400,"error_message":null`, "failed 400"},
		{"neither", `"kind":"K"`, "unknown"},
		{"other case", `"Error_Code":null,"ERROR_MESSAGE":null`, "unknown"},
		{"code a text", `"error_code":"400","error_message":null`, "unknown"},
		{"code a text, message absent", `"error_code":"400"`, "unknown"},
		{"code a text, with a message", `"error_code":"400","error_message":"no"`, "failed 0 no"},
		{"code a float", `"error_code":400.0,"error_message":null`, "unknown"},
		{"code with an exponent", `"error_code":4e2,"error_message":null`, "unknown"},
		{"code beyond int32", `"error_code":2147483648,"error_message":null`, "unknown"},
		{"code beyond int32, with a message", `"error_code":2147483648,"error_message":"no"`, "failed 0 no"},
		{"code true", `"error_code":true,"error_message":null`, "unknown"},
		{"code false", `"error_code":false,"error_message":null`, "unknown"},
		{"code an object", `"error_code":{"a":[1]},"error_message":null`, "unknown"},
		{"code twice", `"error_code":400,"error_code":null,"error_message":null`, "unknown !"},
		{"code twice alike", `"error_code":null,"error_code":null,"error_message":null`, "unknown !"},
		{"code twice, with a message", `"error_code":400,"error_code":null,"error_message":"no"`, "failed 0 no !"},
		{"message twice", `"error_code":null,"error_message":"no","error_message":null`, "unknown !"},
		{"message a number", `"error_code":null,"error_message":5`, "unknown"},
		{"message a number, code absent", `"error_message":5`, "unknown"},
		{"message a list, with a code", `"error_code":400,"error_message":["no"]`, "failed 400"},
		{"message not UTF-8", `"error_code":null,"error_message":"` + "\xff" + `"`, "failed 0 \ufffd !"},
		{"another member twice", unset + `,"kind":"K","kind":"L"`, "accepted !"},
		{"members that nobody knows", unset + `,"new":{"error_code":5}`, "accepted"},
		{"lags of another type", unset + `,"mirror_lags":"many"`, "accepted !"},
		{"lags null", unset + `,"mirror_lags":null`, "accepted"},
		{"a lag null", unset + `,"mirror_lags":[{"partition":0,"lag":null}]`, "accepted"},
		{"a lag a list", unset + `,"mirror_lags":[[]]`, "accepted"},
		{"truncation null", unset + `,"partition_level_truncation_data":null`, "accepted"},
		{"truncation of another type", unset + `,"partition_level_truncation_data":7`, "accepted !"},
		{"a truncation of another type", unset + `,"partition_level_truncation_data":[4]`, "accepted"},
		{"a truncation in texts", unset + `,"partition_level_truncation_data":[{"messages_truncated":"9"}]`, "accepted"},
		{"total beyond int64", unset + `,"messages_truncated":9223372036854775808`, "accepted !"},
		{"failed, and lags of another type", `"error_code":400,"error_message":null,"mirror_lags":0`, "failed 400 !"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, row := range []string{
				`{"mirror_topic_name":"x",` + c.members + `}`, `{` + c.members + `,"mirror_topic_name":"x"}`,
			} {
				cfg := offline(answering(rows(good("a"), row, good("b"))))
				report, _ := reverse(t, newClient(t, cfg), "a", "x", "b")
				require.Equal(t, c.want, said(report.Results[1]))
				require.Equal(t, "a accepted", outcomes(&mirror.Report{Results: report.Results[:1]}), "the rows around it stand")
				require.Equal(t, "b accepted", outcomes(&mirror.Report{Results: report.Results[2:]}), "the rows around it stand")
				require.Empty(t, report.Unexpected)
			}
		})
	}
}

func TestOneOutcome_ARowWithoutALegibleNameIsUnexpected(t *testing.T) {
	for _, row := range []string{
		`null`, `7`, `"x"`, `[{"mirror_topic_name":"x"}]`, `{}`, `{"error_code":null,"error_message":null}`,
		`{"mirror_topic_name":null,"error_code":null}`, `{"mirror_topic_name":["x"],"error_code":null}`,
		`{"mirror_topic_name":"x","mirror_topic_name":"x","error_code":null}`,
		`{"mirror_topic_name":"","error_code":null}`, `{"mirror_topic_name":"` + "\xff" + `","error_code":null}`,
	} {
		cfg := offline(answering(rows(good("a"), row, good("b"))))
		report, _ := reverse(t, newClient(t, cfg), "a", "x", "b")
		require.Equal(t, "a accepted, x unknown, b accepted", outcomes(report), row)
		require.Len(t, report.Unexpected, 1, row)
		require.Empty(t, report.Unexpected[0].Topic)
	}
}

func TestOneOutcome_ANumberThatIsNotKnownIsNotZero(t *testing.T) {
	row := func(topic, members string) string {
		return `{"mirror_topic_name":"` + topic + `","error_code":null,"error_message":null,` + members + `}`
	}
	cfg := offline(answering(rows(
		row("gaps", `"mirror_lags":[{"partition":7,"lag":3,"last_source_fetch_offset":9},`+
			`{"partition":2,"lag":null,"last_source_fetch_offset":-1},{"lag":5},{},[],`+
			`{"partition":3,"lag":-7,"last_source_fetch_offset":1e3},{"partition":"4","lag":7.0,"last_source_fetch_offset":"8"}]`),
		row("none", `"messages_truncated":null`),
		row("empty", `"mirror_lags":[],"messages_truncated":-5,"partition_level_truncation_data":[]`),
		row("cut", `"mirror_lags":[{"partition":0,"lag":9223372036854775807,"last_source_fetch_offset":0}],`+
			`"messages_truncated":12,"partition_level_truncation_data":[`+
			`{"partition_id":1,"offset_truncated_to":4,"messages_truncated":6},`+
			`{"partition_id":0,"offset_truncated_to":null,"messages_truncated":-1},{}]`),
	)))
	report, err := reverse(t, newClient(t, cfg), "gaps", "none", "empty", "cut")
	require.NoError(t, err, "lags and truncations do not decide")
	require.Equal(t, []mirror.PartitionLag{
		{Partition: 7, Lag: 3, LastSourceFetchOffset: 9}, {Partition: 2, Lag: -1, LastSourceFetchOffset: -1},
		{Partition: -1, Lag: 5, LastSourceFetchOffset: -1}, {Partition: -1, Lag: -1, LastSourceFetchOffset: -1},
		{Partition: -1, Lag: -1, LastSourceFetchOffset: -1}, {Partition: 3, Lag: -1, LastSourceFetchOffset: -1},
		{Partition: -1, Lag: -1, LastSourceFetchOffset: -1},
	}, report.Results[0].Lags)
	require.Empty(t, report.Results[1].Lags)
	require.EqualValues(t, -1, report.Results[1].MessagesTruncated)
	require.EqualValues(t, -1, report.Results[2].MessagesTruncated)
	require.Empty(t, report.Results[2].Truncations)
	require.EqualValues(t, 12, report.Results[3].MessagesTruncated)
	require.Equal(t, []mirror.PartitionTruncation{
		{Partition: 1, OffsetTruncatedTo: 4, MessagesTruncated: 6},
		{Partition: 0, OffsetTruncatedTo: -1, MessagesTruncated: -1},
		{Partition: -1, OffsetTruncatedTo: -1, MessagesTruncated: -1},
	}, report.Results[3].Truncations)
	require.Equal(t, mirror.LagSummary{
		Total: math.MaxInt64, Partitions: 3, Largest: math.MaxInt64, Topic: "cut",
		NeverFetched: 6, NotKnown: 5, Without: []string{"none", "empty"},
	}, report.Lag())
	require.Equal(t, mirror.TruncationSummary{
		Reported: 12, ReportedTopics: 1, Messages: 6, Partitions: 3, Topics: 1,
	}, report.Truncation())
}
