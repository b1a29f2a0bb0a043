package contract_test

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/contract"
)

// The work is bounded by the bytes of the body, and so is what is told.
func TestTransport_WorksInProportionToTheBody(t *testing.T) {
	many := func(s string, n int) string { return strings.TrimSuffix(strings.Repeat(s+",", n), ",") }
	deep := strings.Repeat("[", 9000) + strings.Repeat("]", 9000)
	for name, answer := range map[string]string{
		"numbers in place of rows": `{` + meta + `,"data":[` + many("0", 20_000) + `]}`,
		"numbers in place of lags": list(row(
			"a", `"error_code":null,"error_message":null`, `"mirror_lags":[`+many("0", 20_000)+`]`, rest,
		)),
		"empty rows":                  `{` + meta + `,"data":[` + many("{}", 20_000) + `]}`,
		"the same row":                list(slices.Repeat([]string{row("a")}, 2000)...),
		"members that are undeclared": `{` + meta + `,"data":[],"x":{` + many(`"a":0`, 20_000) + `}}`,
		"deep":                        `{` + meta + `,"data":[],"x":` + deep + `}`,
		"deep in place of a row":      `{` + meta + `,"data":[` + deep + `]}`,
		"deep objects":                strings.Repeat(`{"data":`, 9000) + "1" + strings.Repeat("}", 9000),
		"many notes":                  `{` + meta + `,"data":[` + many(`{"metadata":{"self":""}}`, 20_000) + `]}`,
	} {
		t.Run(name, func(t *testing.T) {
			transport, findings := checking(t, answering(io.NopCloser(strings.NewReader(answer))), contract.Options{})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			resp, err := transport.RoundTrip(post(t, "http://127.0.0.1:1", http.NoBody))
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, resp.Body)
			require.NoError(t, err)
			runtime.ReadMemStats(&after)
			allocated := after.TotalAlloc - before.TotalAlloc
			if testing.Verbose() {
				fmt.Printf("%-30s %8d bytes, %10d allocated, %3d findings\n", name, len(answer), allocated, len(*findings))
			}
			// The OpenAPI library takes some 700 bytes for each byte that is wrong within one row, and twice as
			// many with the race detector.
			require.Less(t, allocated, uint64(2000*len(answer)+1<<20))
			require.LessOrEqual(t, len(*findings), 302)
			if len(*findings) > 100 {
				require.Equal(t, "and more", (*findings)[len(*findings)-1].Detail)
			}
			for _, f := range *findings {
				require.LessOrEqual(t, len(f.Pointer), 1024)
			}
		})
	}
}

// A row of null is not as either part of its schema has it, and a number can be no integer and too
// large. That is one thing that is wrong.
func TestTransport_SaysOfAValueOnce(t *testing.T) {
	for answer, at := range map[string]string{
		list(row("a"), row("b"), "null"):                                          "/data/2",
		strings.Replace(list(row("a"), row("b")), `"lag":1`, `"lag":1e30`, 1):     "/data/0/mirror_lags/0/lag",
		strings.Replace(list(row("a"), row("b")), `"lag":1`, `"lag":`+tooLong, 1): "/data/0/mirror_lags/0/lag",
	} {
		x := good()
		x.answer = answer
		findings, _ := x.exchange(t, contract.Options{})
		require.Len(t, findings, 1, "%v", findings)
		require.Equal(t, at, findings[0].Pointer)
		require.Equal(t, 1, findings[0].Count)
	}
}

// A list of 2 000 mirror topics with 12 partitions each is checked row by row.
func TestTransport_ChecksALongListInLittleMemory(t *testing.T) {
	var partitions []string
	for i := range 12 {
		partitions = append(partitions, fmt.Sprintf(`{"partition":%d,"lag":0,"last_source_fetch_offset":9}`, i))
	}
	rows := make([]string, 2_000)
	for i := range rows {
		rows[i] = row(fmt.Sprint("topic-", i), `"error_code":null,"error_message":null`,
			`"mirror_lags":[`+strings.Join(partitions, ",")+`]`, rest)
	}
	answer := list(rows...)
	transport, findings := checking(t, answering(io.NopCloser(strings.NewReader(answer))), contract.Options{})
	resp, err := transport.RoundTrip(post(t, "http://127.0.0.1:1", http.NoBody))
	require.NoError(t, err)
	used := heapPeak(func() { _, err = io.Copy(io.Discard, resp.Body) })
	require.NoError(t, err)
	require.Len(t, *findings, 1, "there is no request body")
	if testing.Verbose() {
		fmt.Printf("%d bytes, the heap grew by %d\n", len(answer), used)
	}
	require.Less(t, used, int64(4*len(answer)))
}

// heapPeak returns by how much the heap grows while f runs, with little garbage.
func heapPeak(f func()) int64 {
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	heap := func() int64 {
		metrics.Read(sample)
		return int64(sample[0].Value.Uint64())
	}
	runtime.GC()
	before := heap()
	peak, done := before, make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				peak = max(peak, heap())
				runtime.Gosched()
			}
		}
	})
	f()
	close(done)
	all.Wait()
	return peak - before
}

// tooLong is a number that is too large even for a float.
var tooLong = strings.Repeat("9", 400)
