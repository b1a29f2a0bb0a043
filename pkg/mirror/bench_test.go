package mirror

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/gen"
)

// answers are what the benchmarks read: the answers to the batches of one call, or lists.
type answers struct {
	names  []string // the topics asked for
	each   int      // how many of them each answer is about
	bodies iter.Seq[io.Reader]
}

// inMemory makes answers of bodies.
func inMemory(names []string, bodies ...[]byte) answers {
	return answers{names, len(names) / len(bodies), func(yield func(io.Reader) bool) {
		for _, body := range bodies {
			if !yield(bytes.NewReader(body)) {
				return
			}
		}
	}}
}

// A reader reads answers to their end, keeps what it read, and adds up the lags and truncations of all rows.
type reader struct {
	name string
	read func(a answers) (lag, cut int64, kept any, err error)
}

// readers are the ways of reading answers that are compared.
var readers = []reader{
	{"library", func(a answers) (int64, int64, any, error) {
		s := Topics(a.names...)
		call := Batch{ClusterID: "lkc-1", Link: "dr-link"}
		l := newLedger(call.report(), s)
		batches := s.batches(call, a.each)
		for body := range a.bodies {
			p := l.part(batches[0])
			batches = batches[1:]
			if _, err := readAnswer(body, p.known, p.add); err != nil {
				return 0, 0, nil, err
			}
			p.verdict = verdict{outcome: Unknown}
			l.book(p)
		}
		r, _ := l.finish()
		var lag, cut int64
		for i := range r.Results {
			for _, p := range r.Results[i].Lags {
				lag += int64(p.Lag)
			}
			for _, p := range r.Results[i].Truncations {
				cut += int64(p.MessagesTruncated)
			}
		}
		return lag, cut, r, nil
	}},
	{"generated", intoModels(func(body io.Reader) (*gen.AlterMirrorStatusResponseDataList, error) {
		resp, err := gen.ParseUpdateKafkaMirrorTopicsReverseAndPauseMirrorResponse(okResponse(body))
		if err != nil {
			return nil, err
		}
		return resp.JSON200, nil
	})},
	{"encoding-json", intoModels(func(body io.Reader) (*gen.AlterMirrorStatusResponseDataList, error) {
		list := new(gen.AlterMirrorStatusResponseDataList)
		return list, json.NewDecoder(body).Decode(list)
	})},
	{"json-v2", intoModels(func(body io.Reader) (*gen.AlterMirrorStatusResponseDataList, error) {
		list := new(gen.AlterMirrorStatusResponseDataList)
		return list, jsonv2.UnmarshalRead(body, list)
	})},
	{"tokenscan", func(a answers) (int64, int64, any, error) {
		for body := range a.bodies {
			dec := jsontext.NewDecoder(body)
			for {
				if _, err := dec.ReadToken(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					return 0, 0, nil, err
				}
			}
		}
		return -1, -1, nil, nil
	}},
}

// intoModels reads answers into the generated models.
func intoModels(decode func(io.Reader) (*gen.AlterMirrorStatusResponseDataList, error)) func(answers) (
	int64, int64, any, error,
) {
	return func(a answers) (lag, cut int64, kept any, err error) {
		var lists []*gen.AlterMirrorStatusResponseDataList
		for body := range a.bodies {
			list, err := decode(body)
			if err != nil {
				return 0, 0, nil, err
			}
			lists = append(lists, list)
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
		}
		return lag, cut, lists, nil
	}
}

func okResponse(body io.Reader) *http.Response {
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(body),
	}
}

// listReaders are the ways of reading a list of mirror topics that are compared.
var listReaders = []reader{
	{"library", func(a answers) (lag, _ int64, kept any, err error) {
		l := &Listing{index: map[string]int{}}
		var odd oddRows
		for body := range a.bodies {
			if _, err := readMirrors(body, nil, nil, &odd, l.add); err != nil {
				return 0, 0, nil, err
			}
		}
		return l.Lag().Total, 0, l, odd.err()
	}},
	{"generated", func(a answers) (lag, _ int64, kept any, err error) {
		var lists []any
		for body := range a.bodies {
			resp, err := gen.ParseListKafkaMirrorTopicsUnderLinkResponse(okResponse(body))
			if err != nil {
				return 0, 0, nil, err
			}
			lists = append(lists, resp)
			for i := range resp.JSON200.Data {
				for _, p := range resp.JSON200.Data[i].MirrorLags {
					lag += p.Lag
				}
			}
		}
		return lag, 0, lists, nil
	}},
}

const benchSelf = "https://pkc-00000.region.provider.confluent.cloud/kafka/v3/clusters/lkc-1/links/dr-link/mirrors"

// benchNames are the names of so many topics.
func benchNames(topics int) []string {
	names := make([]string, topics)
	for i := range names {
		names[i] = fmt.Sprintf("team-%02d.orders.%06d", i%40, i)
	}
	return names
}

// benchLag is what the servers of the benchmarks say of a partition: all that is read of it follows from this.
func benchLag(topic, partition int) int64 { return int64(topic*31+partition*7919) % 100_000 }

// benchAnswers are so many answers about so many topics each, with so many partitions each, truncation rows
// included, as the generated models write them. Every tenth topic failed.
func benchAnswers(count, topics, partitions int) answers {
	names := benchNames(count * topics)
	code, total, crn := 400, int64(-1), "crn:///kafka=lkc-1"
	bodies := make([][]byte, count)
	for b := range bodies {
		list := gen.AlterMirrorStatusResponseDataList{
			Kind: "KafkaAlterMirrorsDataList", Metadata: gen.ResourceCollectionMetadata{Self: benchSelf},
		}
		for i, name := range names[b*topics:][:topics] {
			i += b * topics
			row := gen.AlterMirrorStatusResponseData{
				Kind: "AlterMirrorsData", Metadata: gen.ResourceMetadata{Self: benchSelf + "/" + name, ResourceName: &crn},
				MirrorTopicName: name, MirrorLags: []gen.MirrorLag{}, MessagesTruncated: &total,
			}
			cut := gen.PartitionLevelTruncationDataList{}
			for p := range partitions {
				n := benchLag(i, p)
				row.MirrorLags = append(row.MirrorLags, gen.MirrorLag{Partition: p, Lag: n % 1000, LastSourceFetchOffset: n * 1000})
				cut = append(cut, gen.PartitionLevelTruncationData{
					PartitionID: p, OffsetTruncatedTo: n * 1000, MessagesTruncated: n % 50,
				})
			}
			row.PartitionLevelTruncationData = &cut
			if i%10 == 9 {
				message := "Topic '" + name + "' has already stopped its mirror from 'dr-link'"
				row.ErrorCode, row.ErrorMessage = &code, &message
			}
			list.Data = append(list.Data, row)
		}
		bodies[b] = mustMarshal(list)
	}
	return inMemory(names, bodies...)
}

// benchExample is the contract's example of an answer.
func benchExample(tb testing.TB) answers {
	tb.Helper()
	body, err := os.ReadFile("internal/demo/example.json")
	require.NoError(tb, err)
	var list gen.AlterMirrorStatusResponseDataList
	require.NoError(tb, json.Unmarshal(body, &list))
	var names []string
	for _, row := range list.Data {
		names = append(names, row.MirrorTopicName)
	}
	return inMemory(names, body)
}

// benchList is a list of so many mirror topics with so many partitions each.
func benchList(topics, partitions int) answers {
	names := benchNames(topics)
	list := gen.ListMirrorTopicsResponseDataList{Kind: "KafkaMirrorDataList"}
	list.Metadata.Self = benchSelf
	crn := "crn:///kafka=lkc-1"
	for i, name := range names {
		row := gen.ListMirrorTopicsResponseData{
			Kind: "KafkaMirrorData", Metadata: gen.ResourceMetadata{Self: list.Metadata.Self + "/" + name, ResourceName: &crn},
			LinkName: "dr-link", MirrorTopicName: name, SourceTopicName: name, NumPartitions: partitions,
			MirrorStatus: "ACTIVE", StateTimeMs: 1612550939300 + int64(i),
		}
		for p := range partitions {
			n := benchLag(i, p)
			row.MirrorLags = append(row.MirrorLags, gen.MirrorLag{Partition: p, Lag: n % 1000, LastSourceFetchOffset: n * 1000})
		}
		list.Data = append(list.Data, row)
	}
	return inMemory(names, mustMarshal(list))
}

// mustMarshal returns the JSON of what can be encoded.
func mustMarshal(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}

// What is compared must have read the same.
func TestReadersAgree(t *testing.T) {
	var wantLag, wantCut int64
	for i := range 100 {
		for p := range 6 {
			wantLag += benchLag(i, p) % 1000
			wantCut += benchLag(i, p) % 50
		}
	}
	for _, r := range readers {
		for _, a := range []answers{benchAnswers(1, 100, 6), benchAnswers(4, 25, 6)} {
			lag, cut, _, err := r.read(a)
			require.NoError(t, err)
			if lag >= 0 {
				require.Equal(t, []int64{wantLag, wantCut}, []int64{lag, cut}, r.name)
			}
		}
		_, _, _, err := r.read(benchExample(t))
		require.NoError(t, err)
	}
	for _, r := range listReaders {
		lag, _, _, err := r.read(benchList(100, 6))
		require.NoError(t, err)
		require.Equal(t, wantLag, lag, r.name)
	}
}

// measure measures each of the readers.
func measure(b *testing.B, size string, a answers, readers []reader) {
	for _, r := range readers {
		b.Run("size="+size+"/reader="+r.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, _, err := r.read(a); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	measure(b, "example", benchExample(b), readers)
	measure(b, "20x500x12", benchAnswers(20, 500, 12), readers)
	measure(b, "10000x12", benchAnswers(1, 10_000, 12), readers)
}

func BenchmarkList(b *testing.B) { measure(b, "10000x12", benchList(10_000, 12), listReaders) }

// BenchmarkMemory reads answers in a process of its own, and reports how much higher the peak of its memory is
// than that of one that has the topics' names and throws the answers away. The child is this program, told by
// its environment what to read.
func BenchmarkMemory(b *testing.B) {
	if task := os.Getenv("BENCHMARK_MEMORY"); task != "" {
		readAsAChild(b, task)
	}
	for _, c := range []struct {
		size    string
		make    func() answers
		readers []reader
	}{
		{"20x500x12", func() answers { return benchAnswers(20, 500, 12) }, readers},
		{"10000x12", func() answers { return benchAnswers(1, 10_000, 12) }, readers},
		{"200000x0", func() answers { return benchAnswers(1, 200_000, 0) }, readers},
		{"list-10000x12", func() answers { return benchList(10_000, 12) }, listReaders},
	} {
		var a answers
		var input []byte
		for _, r := range c.readers {
			b.Run("size="+c.size+"/reader="+r.name, func(b *testing.B) {
				if input == nil {
					a = c.make()
					for body := range a.bodies {
						text, _ := io.ReadAll(body) // it is in memory
						input = append(binary.BigEndian.AppendUint64(input, uint64(len(text))), text...)
					}
				}
				task := fmt.Sprintf("%d %d", len(a.names), a.each)
				if strings.HasPrefix(c.size, "list") {
					task += " list"
				}
				var over float64
				for b.Loop() {
					over += peakOfAChild(b, task+" "+r.name, input) - peakOfAChild(b, task+" none", input)
				}
				b.ReportMetric(over/float64(b.N)/(1<<20), "peak-MiB")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// peakOfAChild returns the peak of the memory of a process that reads the input, in bytes.
func peakOfAChild(b *testing.B, task string, input []byte) float64 {
	child := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^$", "-test.bench=^BenchmarkMemory$")
	child.Env = append(os.Environ(), "BENCHMARK_MEMORY="+task)
	child.Stdin = bytes.NewReader(input)
	out, err := child.Output()
	require.NoError(b, err)
	_, text, _ := strings.Cut(string(out), "peak ")
	peak, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	require.NoError(b, err)
	return peak
}

// readAsAChild does the task, prints the peak of this process's memory, and ends it.
func readAsAChild(b *testing.B, task string) {
	words := strings.Fields(task)
	topics, _ := strconv.Atoi(words[0])
	a := answers{names: benchNames(topics)}
	a.each, _ = strconv.Atoi(words[1])
	a.bodies = func(yield func(io.Reader) bool) {
		var length uint64
		for binary.Read(os.Stdin, binary.BigEndian, &length) == nil {
			if !yield(io.LimitReader(os.Stdin, int64(length))) {
				return
			}
		}
	}
	all := readers
	if words[2] == "list" {
		all = listReaders
	}
	runtime.GC()
	var kept any
	if i := slices.IndexFunc(all, func(r reader) bool { return r.name == words[len(words)-1] }); i >= 0 {
		var err error
		_, _, kept, err = all[i].read(a)
		require.NoError(b, err)
	} else {
		_, err := io.Copy(io.Discard, os.Stdin)
		require.NoError(b, err)
	}
	fmt.Printf("peak %d\n", peakMemory())
	runtime.KeepAlive(kept)
	runtime.KeepAlive(a.names)
	os.Exit(0)
}

// peakMemory returns the peak of this process's resident memory where the system tells it, and otherwise what
// the runtime has got from the system, in bytes.
func peakMemory() uint64 {
	status, _ := os.ReadFile("/proc/self/status")
	if m := regexp.MustCompile(`VmHWM:\s*(\d+) kB`).FindSubmatch(status); m != nil {
		kB, _ := strconv.ParseUint(string(m[1]), 10, 64)
		return kB << 10
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Sys
}

// reportMethods use each public method of Report on all topics of a report. The report is not changed.
var reportMethods = map[string]func(b *testing.B, r *Report){
	"Err":        func(_ *testing.B, r *Report) { _ = r.Err() },
	"String":     func(_ *testing.B, r *Report) { _ = r.String() },
	"LogValue":   func(_ *testing.B, r *Report) { _ = r.LogValue() },
	"Table":      func(_ *testing.B, r *Report) { _ = r.Table(io.Discard) },
	"Lag":        func(_ *testing.B, r *Report) { _ = r.Lag() },
	"Truncation": func(_ *testing.B, r *Report) { _ = r.Truncation() },
	"Count":      func(b *testing.B, r *Report) { require.NotZero(b, r.Count(Accepted)) },
	"Topics":     func(b *testing.B, r *Report) { require.NotEmpty(b, r.Topics(Accepted)) },
	"Failures":   func(_ *testing.B, r *Report) { _ = r.Failures() },
	"Remaining":  func(b *testing.B, r *Report) { require.Empty(b, r.Remaining(topicsOf(b, r)...)) },
	"Result": func(b *testing.B, r *Report) { // of each topic
		for _, name := range topicsOf(b, r) {
			if _, found := r.Result(name); !found {
				b.Fatal(name)
			}
		}
	},
	"Settle": func(b *testing.B, r *Report) { // each topic
		names := topicsOf(b, r)
		b.StopTimer()
		unknown := UnknownReport(r.ClusterID, r.Link, r.Verb, time.Time{}, names...)
		b.StartTimer()
		for _, name := range names {
			if err := unknown.Settle(name, Accepted, "it was seen"); err != nil {
				b.Fatal(err)
			}
		}
	},
	"Merge": func(b *testing.B, r *Report) { // batches of 100
		b.StopTimer()
		var batches []*Report
		for results := range slices.Chunk(r.Results, 100) {
			batches = append(batches, &Report{
				ClusterID: r.ClusterID, Link: r.Link, Verb: r.Verb, Results: results,
				Attempts: []Attempt{{Batch: len(batches), Number: 1, Run: Run{ID: "run"}}},
				problems: []error{fmt.Errorf("a problem of batch %d", len(batches))},
			})
		}
		whole := &Report{ClusterID: r.ClusterID, Link: r.Link, Verb: r.Verb}
		b.StartTimer()
		for _, batch := range batches {
			if err := whole.Merge(batch); err != nil {
				b.Fatal(err)
			}
		}
		require.Len(b, whole.Results, len(r.Results))
	},
	"MarshalJSON": func(_ *testing.B, r *Report) { _ = mustMarshal(r) },
	"UnmarshalJSON": func(b *testing.B, r *Report) {
		b.StopTimer()
		text := mustMarshal(r)
		b.StartTimer()
		require.NoError(b, json.Unmarshal(text, new(Report)))
	},
}

// topicsOf returns the names of all topics of a report, off the clock.
func topicsOf(b *testing.B, r *Report) []string {
	b.StopTimer()
	defer b.StartTimer()
	return benchNames(len(r.Results))
}

func TestEachMethodOfReportIsMeasured(t *testing.T) {
	typ := reflect.TypeFor[*Report]()
	var methods, measured []string
	for i := range typ.NumMethod() {
		methods = append(methods, typ.Method(i).Name)
	}
	for name := range reportMethods {
		measured = append(measured, name)
	}
	require.ElementsMatch(t, methods, measured)
}

// BenchmarkReport measures the methods of Report, for each topic.
func BenchmarkReport(b *testing.B) {
	for _, topics := range []int{10_000, 200_000} {
		var report *Report
		for _, name := range slices.Sorted(maps.Keys(reportMethods)) {
			b.Run(fmt.Sprintf("method=%s/topics=%d", name, topics), func(b *testing.B) {
				if report == nil {
					_, _, kept, err := readers[0].read(benchAnswers(1, topics, 1))
					require.NoError(b, err)
					report = kept.(*Report)
				}
				for b.Loop() {
					reportMethods[name](b, report)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*topics), "ns/topic")
			})
		}
	}
}
