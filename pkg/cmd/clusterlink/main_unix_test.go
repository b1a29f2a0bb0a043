//go:build unix

package main

import (
	"net/http"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/job"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func TestFirstSignal_LetsTheBatchUnderWayEnd(t *testing.T) {
	for signal, n := range map[syscall.Signal]int{syscall.SIGINT: 501, syscall.SIGTERM: 1, syscall.SIGHUP: 1} { // 500 are a batch
		t.Run(signal.String(), func(t *testing.T) { endsAfterTheBatch(t, signal, n) })
	}
}

func endsAfterTheBatch(t *testing.T, signal syscall.Signal, n int) {
	t.Parallel()
	s := newShell(t, mirrortest.Options{Topics: topics(numbered(n)...)})
	hash := s.planned("failover", "dr-link", "--all", "--job", "x.job")
	hangs, release := hang(s.pair.Local, "topic-0000")
	cmd, out, err := s.process("apply", "x.job", "--approve", hash)
	require.NoError(t, cmd.Start())
	<-hangs
	require.NoError(t, cmd.Process.Signal(signal))
	err.waitFor("interrupted")
	release()
	_ = cmd.Wait()
	require.Equal(t, exitLook, cmd.ProcessState.ExitCode(), out.String()+err.String())
	require.Zero(t, s.pair.Local.Sent("topic-0500"), "the next batch")

	o := s.run("apply", "x.job", "--approve", hash)
	require.Equal(t, 0, o.code, o.out+o.err)
	s.pair.Local.AssertSentOnce(t)
}

func TestInterruptedWait_OffersToWaitAgain(t *testing.T) {
	t.Parallel()
	s := newShell(t, mirrortest.Options{Topics: topics("a"), Takes: time.Hour})
	hash := s.planned("failover", "dr-link", "a", "--job", "x.job")
	s.pair.Local.Inject(mirrortest.Fault{Nth: 2, Do: mirrortest.Cut(0)}) // unknown, and no sign of it
	cmd, out, err := s.process("apply", "x.job", "--approve", hash)
	require.NoError(t, cmd.Start())
	err.waitFor("1 no sign")
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	_ = cmd.Wait()
	o := outcome{cmd.ProcessState.ExitCode(), out.String(), err.String()}
	require.Equal(t, exitLook, o.code, o.err)
	require.Equal(t, []string{"wait", "x.job"}, o.next(t))
	require.Regexp(t, `(?s)\ninterrupted: the batch under way.*\nnext:`, o.err)
	require.Regexp(t, `ended +after \d+s: interrupted\n`, o.out)
	require.NotContains(t, o.err, "settle")
}

func TestInterruptedPlan_ChangesNothing(t *testing.T) {
	t.Parallel()
	s := newShell(t, mirrortest.Options{Topics: topics("a")})
	hangs := make(chan struct{})
	s.pair.Local.Inject(mirrortest.Fault{Do: mirrortest.Handle(
		func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
			close(hangs)
			<-r.Context().Done()
		})})
	cmd, _, err := s.process("plan", "pause", "dr-link", "a")
	require.NoError(t, cmd.Start())
	<-hangs
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	_ = cmd.Wait()
	require.Equal(t, exitUnchanged, cmd.ProcessState.ExitCode())
	require.Contains(t, err.String(), "clusterlink: interrupted: nothing was changed\n")
}

func TestSecondSignal_EndsTheProcess(t *testing.T) {
	t.Parallel()
	s := newShell(t, mirrortest.Options{Topics: topics("a")})
	hash := s.planned("failover", "dr-link", "--all", "--job", "x.job")
	hangs, _ := hang(s.pair.Local, "a")
	cmd, _, err := s.process("apply", "x.job", "--approve", hash)
	require.NoError(t, cmd.Start())
	<-hangs
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	err.waitFor("interrupted")
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	_ = cmd.Wait()
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	require.Equal(t, syscall.SIGINT, status.Signal())

	o := s.run("apply", "x.job")
	require.Equal(t, 0, o.code, o.out+o.err)
	s.pair.Local.AssertSentOnce(t)
}

// A shell loop that does what plan, apply and wait do for a failover, but for accounting for each topic.
const loop = `
links=$KAFKA_REST_ENDPOINT/kafka/v3/clusters/$KAFKA_CLUSTER_ID/links/dr-link
get() { curl -s -u "$KAFKA_API_KEY:$KAFKA_API_SECRET" "$@"; }
get "$links/mirrors" | jq -r '.data[].mirror_topic_name' >names
split -l 500 names batch-
for query in '?validate_only=true' ''; do
	for batch in batch-*; do
		jq -Rs '{mirror_topic_names: split("\n")[:-1]}' <"$batch" |
			get -H 'Content-Type: application/json' -d @- "$links/mirrors:failover$query" | jq -e 'all(.data[]; .error_code == null)'
	done
done
until get "$links/mirrors" | jq -e 'all(.data[]; .mirror_status == "STOPPED")'; do sleep 5; done
`

// BenchmarkCommand measures the processes of plan, apply and wait for 10 000 topics of 12 partitions, beside a shell loop.
func BenchmarkCommand(b *testing.B) {
	for name, lines := range map[string][][]string{
		"clusterlink": {
			{"plan", "failover", "dr-link", "--all", "--job", "x.job"}, {"apply", "x.job", "--approve", "HASH"}, {"wait", "x.job"},
		},
		"shell": {{"sh", "-c", loop}},
	} {
		b.Run(name, func(b *testing.B) {
			many := topics(numbered(10_000)...)
			for i := range many {
				many[i].Partitions = slices.Repeat(many[i].Partitions, 12)
			}
			s := newShell(b, mirrortest.Options{Topics: many, Takes: 12 * time.Second})
			s.env["PATH"] = os.Getenv("PATH")
			for b.Loop() {
				for _, args := range lines {
					program, label := os.Args[0], args[0]
					if name == "shell" {
						program, args = args[0], args[1:]
					} else if label == "apply" {
						j, err := job.Read(s.path("x.job"))
						require.NoError(b, err)
						args = []string{"apply", "x.job", "--approve", j.Hash()}
					}
					cmd, out, err := s.program(program, args...)
					require.NoError(b, cmd.Run(), out.String()+err.String())
					used, _ := cmd.ProcessState.SysUsage().(*syscall.Rusage)
					cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
					b.ReportMetric(cpu.Seconds(), label+"-cpu-s")
					b.ReportMetric(float64(used.Maxrss)/1024, label+"-MiB") // Linux counts in KiB
				}
			}
		})
	}
}
