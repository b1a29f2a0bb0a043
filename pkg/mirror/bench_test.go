package mirror

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/gen"
	"github.com/seed25095279/clusterlink-go/pkg/mirror/internal/benchdata"
)

// The ways of reading an answer that are compared. Each reads the body to its end and adds up the lags
// and truncations of all rows.
var readers = []struct {
	name string
	read func(names []string, body io.Reader) (lag, cut int64, kept any, err error)
}{
	{"ours", func(names []string, body io.Reader) (int64, int64, any, error) {
		s := Topics(names...)
		l := newLedger("lkc-1", "dr-link", s, false)
		p := l.part(s.batches(Batch{ClusterID: "lkc-1", Link: "dr-link"}, len(names))[0])
		if _, err := readAnswer(body, p.add); err != nil {
			return 0, 0, nil, err
		}
		p.verdict = verdict{outcome: Unknown}
		l.book(p)
		r, _ := l.finish()
		return r.Lag().Total, r.Truncation().Messages, r, nil
	}},
	{"encoding-json", func(_ []string, body io.Reader) (int64, int64, any, error) {
		var list gen.AlterMirrorStatusResponseDataList
		if err := json.NewDecoder(body).Decode(&list); err != nil {
			return 0, 0, nil, err
		}
		lag, cut := sums(&list)
		return lag, cut, &list, nil
	}},
	{"generated", func(_ []string, body io.Reader) (int64, int64, any, error) {
		resp, err := gen.ParseUpdateKafkaMirrorTopicsReverseAndPauseMirrorResponse(&http.Response{
			StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(body),
		})
		if err != nil {
			return 0, 0, nil, err
		}
		lag, cut := sums(resp.JSON200)
		return lag, cut, resp, nil
	}},
	{"tokenscan", func(_ []string, body io.Reader) (int64, int64, any, error) {
		dec := jsontext.NewDecoder(body)
		for {
			if _, err := dec.ReadToken(); err != nil {
				if errors.Is(err, io.EOF) {
					return -1, -1, nil, nil
				}
				return 0, 0, nil, err
			}
		}
	}},
	{"discard", func(_ []string, body io.Reader) (int64, int64, any, error) {
		_, err := io.Copy(io.Discard, body)
		return -1, -1, nil, err
	}},
}

func sums(list *gen.AlterMirrorStatusResponseDataList) (lag, cut int64) {
	for i := range list.Data {
		for _, p := range list.Data[i].MirrorLags {
			lag += p.Lag
		}
		if t := list.Data[i].PartitionLevelTruncationData; t != nil {
			for _, p := range *t {
				cut += p.MessagesTruncated
			}
		}
	}
	return lag, cut
}

// cpuTime is what the process has used so far, the garbage collector's share included.
func cpuTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// What is compared must have read the same.
func TestReadersAgree(t *testing.T) {
	names, body := benchdata.Answer(100, 6)
	var wantLag, wantCut int64
	for i := range int64(100) {
		for p := range int64(6) {
			wantLag += (i*31 + p*7919) % 100_000 % 1000
			wantCut += (i*31 + p*7919) % 100_000 % 50
		}
	}
	for _, r := range readers {
		lag, cut, _, err := r.read(names, bytes.NewReader(body))
		require.NoError(t, err)
		if lag >= 0 {
			require.Equal(t, []int64{wantLag, wantCut}, []int64{lag, cut}, r.name)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	for _, size := range [][2]int{{2, 3}, {1000, 6}, {1000, 12}, {10_000, 12}, {50_000, 12}} {
		names, body := benchdata.Answer(size[0], size[1])
		for _, r := range readers {
			b.Run(fmt.Sprintf("topics=%d/partitions=%d/reader=%s", size[0], size[1], r.name), func(b *testing.B) {
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				before := cpuTime()
				for b.Loop() {
					if _, _, _, err := r.read(names, bytes.NewReader(body)); err != nil {
						b.Fatal(err)
					}
				}
				cpu := float64((cpuTime() - before).Nanoseconds()) / float64(b.N)
				b.ReportMetric(cpu, "cpu-ns/op")
				b.ReportMetric(cpu/float64(size[0]), "cpu-ns/topic")
			})
		}
	}
}
