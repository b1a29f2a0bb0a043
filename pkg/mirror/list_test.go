package mirror_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

func TestNilError_TheAnswerIsOneListReadToItsEnd(t *testing.T) {
	a, b := good("a"), good("b")
	for _, c := range []struct{ name, body, want string }{
		{"all accepted", rows(a, b), ""},
		{"in another order", rows(b, a), ""},
		{"members that nobody knows", `{"new":{"data":[1]},"data":[` + a + "," + b + `],"also":[{}]}`, ""},
		{"next null", `{"metadata":{"next":null},"data":[` + a + "," + b + `]}`, ""},
		{"errors null and code 0", `{"errors":null,"error_code":0,"data":[` + a + "," + b + `]}`, ""},
		{"one failed", rows(a, failed("b", "400", "no")), "b: 400: no"},
		{"one missing", rows(a), "no row for this topic"},
		{"one unexpected", rows(a, b, good("c")), `1 unexpected row, the first about "c"`},
		{"one unreadable", rows(a, b, `null`), "1 unexpected row"},
		{"next set", `{"metadata":{"next":"http://x/?p=2"},"data":[` + a + "," + b + `]}`, `goes on at "http://x/?p=2"`},
		{"next set, after the rows", `{"data":[` + a + "," + b + `],"metadata":{"next":7}}`, `goes on at "7"`},
		{"next twice", `{"metadata":{"next":"p","next":null},"data":[` + a + "," + b + `]}`, `goes on at "p"`},
		{"metadata twice", `{"metadata":{"next":"p"},"metadata":{"next":null},"data":[` + a + "," + b + `]}`, `goes on at "p"`},
		{"an error_code beside the rows", `{"error_code":500,"data":[` + a + "," + b + `]}`, "an error beside its rows"},
		{"an error_code after the rows", `{"data":[` + a + "," + b + `],"error_code":50002}`, "an error beside its rows"},
		{"errors beside the rows", `{"errors":[{"code":"50002"}],"data":[` + a + "," + b + `]}`, "an error beside its rows"},
		{"cut off after the rows", strings.TrimSuffix(rows(a, b), "]}"), "unexpected EOF"},
		{"cut off before the end", strings.TrimSuffix(rows(a, b), "}"), "unexpected EOF"},
		{"bytes after its end", rows(a, b) + "x", "bytes after its end"},
		{"a second document", rows(a, b) + "{}", "bytes after its end"},
		{"data twice", `{"data":[` + a + `],"data":[` + b + `]}`, `"data" twice`},
		{"data and then no list", `{"data":[` + a + "," + b + `],"data":null}`, `"data" is not an array`},
		{"no data", `{"kind":"K"}`, `no "data"`},
		{"data null", `{"data":null}`, `"data" is not an array`},
		{"data an object", `{"data":{}}`, `"data" is not an array`},
		{"empty", "", "it is empty"},
		{"null", "null", "it is not a JSON object"},
		{"an array", "[]", "it is not a JSON object"},
		{"no JSON", "<html>", "could not be read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := newClient(t, offline(answering(c.body)))
			report, err := reverse(t, client, "a", "b")
			if c.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, errors.Join(causes(err)...), c.want)
			}
			require.Zero(t, report.Count(mirror.Untouched), "a 200 proves of no topic that nothing was done")
			dry, dryErr := client.Validate(t.Context(), mirror.VerbReverseAndPause, "link", mirror.Topics("a", "b"))
			require.Equal(t, outcomes(report), outcomes(dry), "a dry run is judged like the call")
			require.Equal(t, err == nil, dryErr == nil)
		})
	}
}

// A middleware can forget the status. A list that was not read must not look like a link without mirror topics.
func TestNilError_AResponseWithoutAStatusIsNoAnswer(t *testing.T) {
	for _, take := range []bool{true, false} {
		client := newClient(t, offline(roundTripper(func(r *http.Request) (*http.Response, error) {
			if take && r.Body != nil {
				_, _ = io.Copy(io.Discard, r.Body)
			}
			return &http.Response{}, nil
		})))
		l, err := client.Mirrors(t.Context(), "link")
		require.ErrorContains(t, err, "no status")
		require.False(t, l.Complete || l.Read)
		_, err = client.Mirror(t.Context(), "link", "a")
		require.Error(t, err)
		_, err = client.Link(t.Context(), "link")
		require.Error(t, err)
		report, err := reverse(t, client, "a")
		require.ErrorContains(t, err, "no status")
		want := mirror.Untouched
		if take {
			want = mirror.Unknown
		}
		require.Equal(t, want, report.Results[0].Outcome)
	}
}

// Answers about 10 000 topics with 12 partitions are read, and kept, within 20 MiB of the heap, garbage included. Here are a
// tenth of the topics, and of the memory.
func TestBounded_Memory(t *testing.T) {
	const topics, limit = 1000, 2 << 20
	defer debug.SetGCPercent(debug.SetGCPercent(10)) // little garbage is left
	names := benchNames(topics)
	partitions := func(format string) string {
		all := make([]string, 12)
		for p := range all {
			all[p] = fmt.Sprintf(format, p, p*31, p*7919)
		}
		return "[" + strings.Join(all, ",") + "]"
	}
	lags := `"mirror_lags":` + partitions(`{"partition":%d,"lag":%d,"last_source_fetch_offset":%d}`) + `,`
	for name, c := range map[string]struct {
		row  string
		read func(testing.TB, answers) (int64, int64, any)
	}{
		"a verb": {`{` + lags + `"error_code":null,"error_message":null,"messages_truncated":-1,"partition_level_truncation_data":` +
			partitions(`{"partition_id":%d,"offset_truncated_to":%d,"messages_truncated":%d}`), readers[0].read},
		"a list": {`{` + lags + `"link_name":"dr-link","source_topic_name":"a","num_partitions":12,"mirror_status":"ACTIVE",` +
			`"state_time_ms":1612550939300`, listReaders[0].read},
	} {
		body := &rowsReader{row: c.row, names: names}
		runtime.GC()
		before := heapNow()
		_, _, kept := c.read(t, answers{names, topics, func(yield func(io.Reader) bool) { yield(body) }})
		require.Less(t, int64(max(body.peak, heapNow())-before), int64(limit), name)
		runtime.KeepAlive(kept)
	}
	runtime.KeepAlive(names)
}
