// Bench measures how answers are read: our call beside the generated parser, encoding/json, a scan of
// the tokens and nothing at all, in rounds, so that what else the machine does falls on all of them; the
// memory of a fresh process; how long the answer takes after its last byte; and a run of many topics in
// virtual time. Its last lines are the ratios.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed25095279/clusterlink-go/gen"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirror/internal/benchdata"
)

const topics, partitions = 10_000, 12

func main() {
	full := flag.Bool("full", false, "all sizes")
	rounds := flag.Int("rounds", 10, "how often each variant is measured")
	child := flag.String("child", "", "measure one call in this process: ours or generated")
	endpoint := flag.String("endpoint", "", "where the child calls")
	flag.Parse()
	var err error
	if *child != "" {
		err = measureCall(context.Background(), *child, *endpoint)
	} else {
		err = run(context.Background(), *full, *rounds)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, full bool, rounds int) error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // it is a temporary one
	fmt.Printf("# %s, %d cores\n", runtime.Version(), runtime.NumCPU())
	binary := filepath.Join(dir, "mirror.test")
	if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, "./pkg/mirror").CombinedOutput(); err != nil { //nolint:gosec // its own package
		return fmt.Errorf("%w: %s", err, out)
	}
	sizes := "Read/topics=(2|1000|10000)/"
	if full {
		sizes = "Read"
	}
	cpu := map[string][]float64{}
	for range rounds {
		err := lines(ctx, binary, []string{"-test.run", "^$", "-test.bench", sizes, "-test.benchtime", "3x"}, func(line string) {
			if strings.HasPrefix(line, "Benchmark") || strings.HasPrefix(line, "goos") || strings.HasPrefix(line, "pkg") {
				fmt.Println(line)
			}
			fields := strings.Fields(line)
			for i, unit := range fields {
				if unit == "cpu-ns/op" && strings.Contains(line, fmt.Sprintf("topics=%d/", topics)) {
					_, name, _ := strings.Cut(fields[0], "reader=")
					name, _, _ = strings.Cut(name, "-"+strconv.Itoa(runtime.GOMAXPROCS(0)))
					n, err := strconv.ParseFloat(fields[i-1], 64)
					if err == nil {
						cpu[name] = append(cpu[name], n)
					}
				}
			}
		})
		if err != nil {
			return err
		}
	}
	fmt.Println("\n# runs in virtual time")
	if err := lines(ctx, binary, []string{"-test.run", "Simulation", "-test.v", "-simulate"}, func(line string) {
		if strings.Contains(line, "floor") {
			fmt.Println(line)
		}
	}); err != nil {
		return err
	}

	_, body := benchdata.Answer(topics, partitions)
	fmt.Printf("\n# peak memory beyond idle of a fresh process, one call over loopback, %d topics, %d bytes\n", topics, len(body))
	peak := map[string]float64{}
	for _, variant := range []string{"ours", "generated"} {
		var all []float64
		for range 5 {
			n, err := memory(ctx, variant, body)
			if err != nil {
				return err
			}
			all = append(all, n)
		}
		peak[variant] = median(all)
		fmt.Printf("%-10s %.1f MiB\n", variant, peak[variant]/(1<<20))
	}
	late, err := latency(ctx, body)
	if err != nil {
		return err
	}
	fmt.Printf("\n# the report after the last byte of a body sent at 12 MB/s: %v\n\n", late)
	fmt.Printf("ratio generated/ours: %.1f\n", median(cpu["generated"])/median(cpu["ours"]))
	fmt.Printf("ratio ours/tokenscan: %.2f\n", median(cpu["ours"])/median(cpu["tokenscan"]))
	fmt.Printf("ratio memory generated/ours: %.1f\n", peak["generated"]/peak["ours"])
	return nil
}

func lines(ctx context.Context, binary string, args []string, each func(string)) error {
	cmd := exec.CommandContext(ctx, binary, args...) //nolint:gosec // it was built above
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	for scan := bufio.NewScanner(out); scan.Scan(); {
		each(scan.Text())
	}
	return cmd.Wait()
}

func median(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}

// memory has a fresh process make one call, and returns its peak beyond what it had before, in bytes.
func memory(ctx context.Context, variant string, body []byte) (float64, error) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	}))
	defer server.Close()
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	out, err := exec.CommandContext(ctx, self, "-child", variant, "-endpoint", server.URL).Output() //nolint:gosec // itself
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
}

// peakMemory is the most that this process has had resident, in bytes. It is read where Linux has it:
// what getrusage says would count in the parent.
func peakMemory() (int64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	number, _, _ := strings.Cut(strings.TrimSpace(after), " ")
	kib, err := strconv.ParseInt(number, 10, 64)
	return kib << 10, err
}

// measureCall is the child's part.
func measureCall(ctx context.Context, variant, endpoint string) error {
	names := make([]string, topics)
	for i := range names {
		names[i] = benchdata.Name(i)
	}
	var kept any
	before, err := peakMemory()
	if err != nil {
		return err
	}
	switch variant {
	case "ours":
		report, err := call(ctx, endpoint, names)
		if report.Count(mirror.Failed) != topics/10 {
			return fmt.Errorf("the report is wrong: %w", err)
		}
		kept = report
	case "generated":
		client, err := gen.NewClientWithResponses(endpoint)
		if err != nil {
			return err
		}
		resp, err := client.UpdateKafkaMirrorTopicsReverseAndPauseMirrorWithResponse(ctx, "lkc-1", "dr-link", nil, gen.AlterMirrorsRequestData{MirrorTopicNames: names})
		if err != nil {
			return err
		}
		if resp.JSON200 == nil || len(resp.JSON200.Data) != topics {
			return errors.New("the answer is wrong")
		}
		kept = resp
	}
	after, err := peakMemory()
	fmt.Println(after - before)
	runtime.KeepAlive(kept)
	return err
}

func call(ctx context.Context, endpoint string, names []string) (*mirror.Report, error) {
	client, err := mirror.NewClient(mirror.Config{Endpoint: endpoint, ClusterID: "lkc-1", Credential: mirror.NoCredential(), BatchSize: len(names)})
	if err != nil {
		return &mirror.Report{}, err
	}
	return client.ReverseAndPause(ctx, "dr-link", mirror.Topics(names...))
}

// latency returns how long after the last byte of a body sent at 12 MB/s the report is there.
func latency(ctx context.Context, body []byte) (time.Duration, error) {
	var last time.Time
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		const piece = 120_000
		start := time.Now()
		for i := 0; i < len(body); i += piece {
			time.Sleep(time.Until(start.Add(time.Duration(i) * time.Second / 12_000_000)))
			_, _ = w.Write(body[i:min(i+piece, len(body))])
		}
		last = time.Now()
	}))
	defer server.Close()
	names := make([]string, topics)
	for i := range names {
		names[i] = benchdata.Name(i)
	}
	report, err := call(ctx, server.URL, names)
	there := time.Now()
	if report.Count(mirror.Failed) != topics/10 {
		return 0, fmt.Errorf("the report is wrong: %w", err)
	}
	server.Close() // and with it the handler
	return there.Sub(last), nil
}
