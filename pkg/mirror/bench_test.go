package mirror

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/gen"
)

// The ways of reading an answer that are compared. Each reads the body to its end and adds up the lags
// and truncations of all rows.
var readers = []struct {
	name string
	read func(names []string, body io.Reader) (lag, cut int64, kept any, err error)
}{
	{"ours", func(names []string, body io.Reader) (int64, int64, any, error) {
		s := Topics(names...)
		call := Batch{ClusterID: "lkc-1", Link: "dr-link"}
		l := newLedger(call.report(), s)
		p := l.part(s.batches(call, len(names))[0])
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

// benchAnswer returns the names of so many topics, and an answer about them with so many partitions
// each, truncation rows included, as the generated models write it. Every tenth topic failed.
func benchAnswer(topics, partitions int) (names []string, body []byte) {
	list := gen.AlterMirrorStatusResponseDataList{
		Kind: "KafkaAlterMirrorsDataList",
		Metadata: gen.ResourceCollectionMetadata{
			Self: "https://pkc-00000.region.provider.confluent.cloud/kafka/v3/clusters/lkc-1/links/dr-link/mirrors",
		},
	}
	code, message, total := 400, "Topic has already stopped its mirror from 'dr-link'", int64(-1)
	crn := "crn:///kafka=lkc-1"
	for i := range topics {
		name := fmt.Sprintf("team-%02d.orders.%06d", i%40, i)
		names = append(names, name)
		row := gen.AlterMirrorStatusResponseData{
			Kind: "AlterMirrorsData", Metadata: gen.ResourceMetadata{Self: list.Metadata.Self + "/" + name, ResourceName: &crn},
			MirrorTopicName: name, MessagesTruncated: &total,
		}
		var cut gen.PartitionLevelTruncationDataList
		for p := range partitions {
			n := int64(i*31+p*7919) % 100_000
			row.MirrorLags = append(row.MirrorLags, gen.MirrorLag{Partition: p, Lag: n % 1000, LastSourceFetchOffset: n * 1000})
			cut = append(cut, gen.PartitionLevelTruncationData{
				PartitionID: p, OffsetTruncatedTo: n * 1000, MessagesTruncated: n % 50,
			})
		}
		row.PartitionLevelTruncationData = &cut
		if i%10 == 9 {
			row.ErrorCode, row.ErrorMessage = &code, &message
		}
		list.Data = append(list.Data, row)
	}
	body, err := json.Marshal(list)
	if err != nil {
		panic(err) // the models can be encoded
	}
	return names, body
}

// What is compared must have read the same.
func TestReadersAgree(t *testing.T) {
	names, body := benchAnswer(100, 6)
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
	for _, size := range [][2]int{{2, 3}, {1000, 12}, {10_000, 12}} {
		names, body := benchAnswer(size[0], size[1])
		for _, r := range readers {
			b.Run(fmt.Sprintf("topics=%d/partitions=%d/reader=%s", size[0], size[1], r.name), func(b *testing.B) {
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					if _, _, _, err := r.read(names, bytes.NewReader(body)); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size[0]), "ns/topic")
			})
		}
	}
}

// The ways of reading a list of mirror topics that are compared. Each adds up the lags.
var listReaders = []struct {
	name string
	read func(body io.Reader) (lag int64, kept any, err error)
}{
	{"ours", func(body io.Reader) (int64, any, error) {
		l := &Listing{index: map[string]int{}}
		var odd oddRows
		if _, err := readMirrors(body, nil, nil, &odd, l.add); err != nil {
			return 0, nil, err
		}
		return l.Lag().Total, l, odd.err()
	}},
	{"generated", func(body io.Reader) (int64, any, error) {
		resp, err := gen.ParseListKafkaMirrorTopicsUnderLinkResponse(&http.Response{
			StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(body),
		})
		if err != nil {
			return 0, nil, err
		}
		var lag int64
		for i := range resp.JSON200.Data {
			for _, p := range resp.JSON200.Data[i].MirrorLags {
				lag += p.Lag
			}
		}
		return lag, resp, nil
	}},
}

// benchList is a list of so many mirror topics with so many partitions each.
func benchList(topics, partitions int) []byte {
	list := gen.ListMirrorTopicsResponseDataList{Kind: "KafkaMirrorDataList"}
	list.Metadata.Self = "https://pkc-00000.region.provider.confluent.cloud/kafka/v3/clusters/lkc-1/links/dr-link/mirrors"
	crn := "crn:///kafka=lkc-1"
	for i := range topics {
		name := fmt.Sprintf("team-%02d.orders.%06d", i%40, i)
		row := gen.ListMirrorTopicsResponseData{
			Kind: "KafkaMirrorData", Metadata: gen.ResourceMetadata{Self: list.Metadata.Self + "/" + name, ResourceName: &crn},
			LinkName: "dr-link", MirrorTopicName: name, SourceTopicName: name, NumPartitions: partitions,
			MirrorStatus: "ACTIVE", StateTimeMs: 1612550939300 + int64(i),
		}
		for p := range partitions {
			n := int64(i*31+p*7919) % 100_000
			row.MirrorLags = append(row.MirrorLags, gen.MirrorLag{Partition: p, Lag: n % 1000, LastSourceFetchOffset: n * 1000})
		}
		list.Data = append(list.Data, row)
	}
	body, err := json.Marshal(list)
	if err != nil {
		panic(err) // the models can be encoded
	}
	return body
}

func TestListReadersAgree(t *testing.T) {
	var want int64
	for i := range int64(100) {
		for p := range int64(6) {
			want += (i*31 + p*7919) % 100_000 % 1000
		}
	}
	for _, r := range listReaders {
		lag, _, err := r.read(bytes.NewReader(benchList(100, 6)))
		require.NoError(t, err)
		require.Equal(t, want, lag, r.name)
	}
}

func BenchmarkList(b *testing.B) {
	body := benchList(10_000, 12)
	for _, r := range listReaders {
		b.Run("topics=10000/partitions=12/reader="+r.name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := r.read(bytes.NewReader(body)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkListMemory is BenchmarkMemory for a list.
func BenchmarkListMemory(b *testing.B) {
	for _, r := range listReaders {
		b.Run("reader="+r.name, func(b *testing.B) {
			memoryOfAChild(b, "BenchmarkListMemory", r.name, func() []byte { return benchList(10_000, 12) }, func() error {
				_, kept, err := r.read(os.Stdin)
				runtime.KeepAlive(kept)
				return err
			})
		})
	}
}

// BenchmarkMemory reads one answer of 10 000 topics in a process of its own, and reports how much
// memory that got from the system.
func BenchmarkMemory(b *testing.B) {
	body := func() []byte {
		_, body := benchAnswer(10_000, 12)
		return body
	}
	for _, r := range readers {
		b.Run("reader="+r.name, func(b *testing.B) {
			memoryOfAChild(b, "BenchmarkMemory", r.name, body, func() error {
				names, _ := benchAnswer(10_000, 0)
				_, _, kept, err := r.read(names, os.Stdin)
				runtime.KeepAlive(kept)
				return err
			})
		})
	}
}

// memoryOfAChild runs read in a process of its own, with the body as its input, and reports how much memory
// that got from the system. The child is this program, told by its environment to run the same benchmark.
func memoryOfAChild(b *testing.B, benchmark, reader string, body func() []byte, read func() error) {
	if os.Getenv("BENCHMARK_MEMORY_READER") == reader {
		runtime.GC()
		if err := read(); err != nil {
			b.Fatal(err)
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		fmt.Printf("memory %d\n", m.Sys)
		os.Exit(0)
	}
	if os.Getenv("BENCHMARK_MEMORY_READER") != "" {
		b.Skip("another reader's turn")
	}
	var total float64
	input := body()
	for b.Loop() {
		child := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^$", "-test.bench=^"+benchmark+"$")
		child.Env = append(os.Environ(), "BENCHMARK_MEMORY_READER="+reader)
		child.Stdin = bytes.NewReader(input)
		out, err := child.Output()
		if err != nil {
			b.Fatal(err)
		}
		_, text, _ := strings.Cut(string(out), "memory ")
		var n float64
		if _, err := fmt.Sscan(text, &n); err != nil {
			b.Fatal(err)
		}
		total += n
	}
	b.ReportMetric(total/float64(b.N)/(1<<20), "MiB-from-system")
	b.ReportMetric(0, "ns/op")
}
