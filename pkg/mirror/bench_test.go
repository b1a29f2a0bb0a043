package mirror_test

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
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
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

// client is a client that gets the answers, one after the other. Stop must be called at the end.
func (a answers) client() (c *mirror.Client, stop func()) {
	next, stop := iter.Pull(a.bodies)
	cfg := offline(roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.Body != nil {
			_, _ = io.Copy(io.Discard, r.Body)
		}
		body, there := next()
		if !there {
			return nil, io.ErrUnexpectedEOF
		}
		return response(body), nil
	}))
	cfg.BatchSize = a.each
	c, err := mirror.NewClient(cfg)
	if err != nil {
		panic(err)
	}
	return c, stop
}

func response(body io.Reader) *http.Response {
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(body),
	}
}

// A reader reads answers to their end, keeps what it read, and adds up the lags and truncations of all rows.
type reader struct {
	name string
	read func(tb testing.TB, a answers) (lag, cut int64, kept any)
}

// readers are the ways of reading the answers to a verb that are compared. The library's is a whole call.
var readers = []reader{
	{"library", func(tb testing.TB, a answers) (int64, int64, any) {
		c, stop := a.client()
		defer stop()
		r, _ := c.Pause(tb.Context(), "dr-link", mirror.Topics(a.names...)) // every tenth topic failed
		if r.Count(mirror.Accepted)+r.Count(mirror.Failed) != len(a.names) {
			tb.Fatal(r)
		}
		return r.Lag().Total, r.Truncation().Messages, r
	}},
	{"generated", intoModels(func(body io.Reader) (*gen.AlterMirrorStatusResponseDataList, error) {
		resp, err := gen.ParseUpdateKafkaMirrorTopicsReverseAndPauseMirrorResponse(response(body))
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
	{"tokenscan", func(tb testing.TB, a answers) (int64, int64, any) {
		for body := range a.bodies {
			dec := jsontext.NewDecoder(body)
			for {
				if _, err := dec.ReadToken(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					tb.Fatal(err)
				}
			}
		}
		return -1, -1, nil
	}},
}

// intoModels reads answers into the generated models.
func intoModels(decode func(io.Reader) (*gen.AlterMirrorStatusResponseDataList, error)) func(testing.TB, answers) (int64, int64, any) {
	return func(tb testing.TB, a answers) (lag, cut int64, kept any) {
		var lists []*gen.AlterMirrorStatusResponseDataList
		for body := range a.bodies {
			list, err := decode(body)
			if err != nil {
				tb.Fatal(err)
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
		return lag, cut, lists
	}
}

// listReaders are the ways of reading a list of mirror topics that are compared.
var listReaders = []reader{
	{"library", func(tb testing.TB, a answers) (int64, int64, any) {
		c, stop := a.client()
		defer stop()
		l, err := c.Mirrors(tb.Context(), "dr-link")
		if err != nil {
			tb.Fatal(err)
		}
		return l.Lag().Total, 0, l
	}},
	{"generated", func(tb testing.TB, a answers) (lag, _ int64, kept any) {
		var lists []any
		for body := range a.bodies {
			resp, err := gen.ParseListKafkaMirrorTopicsUnderLinkResponse(response(body))
			if err != nil {
				tb.Fatal(err)
			}
			lists = append(lists, resp)
			for i := range resp.JSON200.Data {
				for _, p := range resp.JSON200.Data[i].MirrorLags {
					lag += p.Lag
				}
			}
		}
		return lag, 0, lists
	}},
	{"json-v2", func(tb testing.TB, a answers) (lag, _ int64, kept any) {
		list := new(gen.ListMirrorTopicsResponseDataList)
		for body := range a.bodies {
			if err := jsonv2.UnmarshalRead(body, list); err != nil {
				tb.Fatal(err)
			}
		}
		for i := range list.Data {
			for _, p := range list.Data[i].MirrorLags {
				lag += p.Lag
			}
		}
		return lag, 0, list
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

// benchAnswers are so many answers about so many topics each, with so many partitions each, truncation rows included, as the
// generated models write them. Every tenth topic failed.
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
				cut = append(cut, gen.PartitionLevelTruncationData{PartitionID: p, OffsetTruncatedTo: n * 1000, MessagesTruncated: n % 50})
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
func TestBench_TheReadersAgree(t *testing.T) {
	var wantLag, wantCut int64
	for i := range 100 {
		for p := range 6 {
			wantLag += benchLag(i, p) % 1000
			wantCut += benchLag(i, p) % 50
		}
	}
	for _, r := range readers {
		for _, a := range []answers{benchAnswers(1, 100, 6), benchAnswers(4, 25, 6)} {
			lag, cut, _ := r.read(t, a)
			if lag >= 0 {
				require.Equal(t, []int64{wantLag, wantCut}, []int64{lag, cut}, r.name)
			}
		}
	}
	for _, r := range listReaders {
		lag, _, _ := r.read(t, benchList(100, 6))
		require.Equal(t, wantLag, lag, r.name)
	}
}

func heapNow() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// rowsReader makes an answer row by row, without memory of its own, and looks at the heap now and then.
type rowsReader struct {
	row       string // without its name and end
	names     []string
	n         int
	buf, rest []byte
	peak      uint64
}

func (r *rowsReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		switch {
		case r.n > len(r.names):
			return 0, io.EOF
		case r.n == len(r.names):
			r.buf = append(r.buf[:0], "]}"...)
		default:
			r.buf = append(r.buf[:0], ","...)
			if r.n == 0 {
				r.buf = append(r.buf[:0], `{"data":[`...)
			}
			r.buf = append(r.buf, r.row...)
			r.buf = append(append(append(r.buf, `,"mirror_topic_name":"`...), r.names[r.n]...), `"}`...)
		}
		if r.n++; r.n%100 == 0 {
			r.peak = max(r.peak, heapNow())
		}
		r.rest = r.buf
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// measure measures each of the readers.
func measure(b *testing.B, size string, a answers, readers []reader) {
	for _, r := range readers {
		b.Run("size="+size+"/reader="+r.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.read(b, a)
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	measure(b, "1x2x3", benchAnswers(1, 2, 3), readers)
	measure(b, "20x500x12", benchAnswers(20, 500, 12), readers)
	measure(b, "10000x12", benchAnswers(1, 10_000, 12), readers)
}

func BenchmarkList(b *testing.B) { measure(b, "10000x12", benchList(10_000, 12), listReaders) }

// BenchmarkMemory reads answers in a process of its own, and reports how much higher the peak of its memory is than that of
// one that has the topics' names and throws the answers away. The child is this program, told by its environment what to
// read.
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

// readAsAChild does the task, prints the peak of this process's memory, and ends the process.
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
		_, _, kept = all[i].read(b, a)
	} else {
		_, err := io.Copy(io.Discard, os.Stdin)
		require.NoError(b, err)
	}
	fmt.Printf("peak %d\n", peakMemory())
	runtime.KeepAlive(kept)
	runtime.KeepAlive(a.names)
	os.Exit(0)
}

// peakMemory returns the peak of this process's resident memory where the system tells it, and otherwise what the runtime has
// got from the system, in bytes.
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

// reportMethods use methods of Report on all topics of a report. The report is not changed.
var reportMethods = map[string]func(b *testing.B, r *mirror.Report){
	"Clone":       func(_ *testing.B, r *mirror.Report) { _ = r.Clone() },
	"Err":         func(_ *testing.B, r *mirror.Report) { _ = r.Err() },
	"String":      func(_ *testing.B, r *mirror.Report) { _ = r.String() },
	"Table":       func(_ *testing.B, r *mirror.Report) { _ = r.Table(io.Discard) },
	"Lag":         func(_ *testing.B, r *mirror.Report) { _ = r.Lag() },
	"Topics":      func(b *testing.B, r *mirror.Report) { require.NotEmpty(b, r.Topics(mirror.Accepted)) },
	"Remaining":   func(b *testing.B, r *mirror.Report) { require.Empty(b, r.Remaining(benchNames(len(r.Results))...)) },
	"MarshalJSON": func(_ *testing.B, r *mirror.Report) { _ = mustMarshal(r) },
	"UnmarshalJSON": func(b *testing.B, r *mirror.Report) {
		require.NoError(b, json.Unmarshal(mustMarshal(r), new(mirror.Report)))
	},
	"Settle": func(b *testing.B, r *mirror.Report) { // each topic
		names := benchNames(len(r.Results))
		unknown := mirror.UnknownReport(mirror.Batch{Verb: r.Verb, Topics: names}, time.Time{})
		require.NoError(b, unknown.Settle(mirror.Accepted, "it was seen", names...))
	},
	"Merge": func(b *testing.B, r *mirror.Report) { // batches of 500
		var whole mirror.Report
		for results := range slices.Chunk(r.Results, 500) {
			require.NoError(b, whole.Merge(&mirror.Report{Verb: r.Verb, Results: results, Attempts: r.Attempts}))
		}
		require.Len(b, whole.Results, len(r.Results))
	},
}

// BenchmarkReport measures methods of Report, for each topic.
func BenchmarkReport(b *testing.B) {
	for _, topics := range []int{1000, 10_000} {
		_, _, kept := readers[0].read(b, benchAnswers(1, topics, 1))
		for _, name := range slices.Sorted(maps.Keys(reportMethods)) {
			b.Run(fmt.Sprintf("method=%s/topics=%d", name, topics), func(b *testing.B) {
				for b.Loop() {
					reportMethods[name](b, kept.(*mirror.Report))
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*topics), "ns/topic")
			})
		}
	}
}
