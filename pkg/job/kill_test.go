//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package job_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/job"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

var (
	kills    = flag.Int("kills", 3, "how often TestJob_Kill kills a process")
	killRuns = flag.Int("kill-runs", 1, "over how many jobs")
)

// A process that plans and runs a job is killed at random moments, and the job is taken up until it is done: no topic
// is sent again that may have been reversed, and no topic is forgotten. The one test in real time.
func TestJob_Kill(t *testing.T) {
	if path := os.Getenv("JOB_TO_RUN"); path != "" {
		runToItsEnd(path)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	draw := rand.New(rand.NewPCG(seed, 0))
	killed, jobs := 0, 0
	var total tally
	for ; killed < *kills; jobs++ {
		k := killOneJob(t, draw, min(*kills-killed, max(1, *kills / *killRuns)), &total)
		killed += k
	}
	t.Logf("%d kills over %d jobs of %d topics: %d before there was a job, %d while a batch was under way, %d elsewhere; "+
		"%d topics were unknown and were settled", killed, jobs, len(killNames()), total.noJob, total.underWay,
		killed-total.noJob-total.underWay, total.unknown)
}

// tally counts where kills fell.
type tally struct{ noJob, underWay, unknown int }

func killNames() (names []string) {
	for i := range 400 {
		names = append(names, fmt.Sprintf("t-%04d", i))
	}
	return names
}

// runToItsEnd is the process that is killed. It ends with 0 once nothing remains.
func runToItsEnd(path string) {
	fail := func(err error) {
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	cfg, err := mirror.ConfigFromEnv("")
	fail(err)
	cfg.BatchSize = 8
	client, err := mirror.NewClient(cfg)
	fail(err)
	j, err := job.Open(path)
	if errors.Is(err, job.ErrNoJob) {
		plan, err := client.Validate(context.Background(), mirror.VerbReverseAndPause, "dr-link", mirror.Topics(killNames()...))
		fail(err)
		j, err = job.Create(path, plan, job.Options{})
		fail(err)
	} else {
		fail(err)
	}
	if report, err := j.Run(context.Background(), client); len(j.Remaining()) > 0 {
		fail(fmt.Errorf("%v: %w", report, err))
	}
	os.Exit(0)
}

// killOneJob does one job, whose process is killed so many times at most. It returns how often it was.
func killOneJob(t *testing.T, draw *rand.Rand, kills int, total *tally) (killed int) {
	t.Helper()
	o := mirrortest.Options{Latency: [2]time.Duration{time.Millisecond, 4 * time.Millisecond}}
	for _, name := range killNames() {
		o.Topics = append(o.Topics, mirrortest.Topic{Name: name, Partitions: []mirrortest.Partition{{}}})
	}
	pair := mirrortest.NewPair(t, o)
	path := filepath.Join(t.TempDir(), "job")
	key, secret := pair.Local.APIKey()
	for {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestJob_Kill$")
		cmd.Env = append(os.Environ(), "JOB_TO_RUN="+path, "KAFKA_REST_ENDPOINT="+pair.Local.Endpoint,
			"KAFKA_CLUSTER_ID="+pair.Local.ID, "KAFKA_ID=", "KAFKA_API_KEY="+key, "KAFKA_API_SECRET="+secret)
		var out strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &out
		require.NoError(t, cmd.Start())
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		moment := time.Hour
		if killed < kills {
			moment = time.Duration(20+draw.IntN(500)) * time.Millisecond
		}
		select {
		case err := <-ended:
			require.NoError(t, err, out.String())
			settleAndFinish(t, pair, path, total)
			return killed
		case <-time.After(moment):
			if err := cmd.Process.Kill(); errors.Is(err, os.ErrProcessDone) { // the process was faster
				require.NoError(t, <-ended, out.String())
				settleAndFinish(t, pair, path, total)
				return killed
			}
			<-ended
			killed++
		}
		switch text, _ := os.ReadFile(path); {
		case len(text) == 0 || strings.Count(string(text), "\n") == 0:
			total.noJob++
		case strings.Count(string(text), `"kind":"sending"`) > strings.Count(string(text), `"kind":"answered"`):
			total.underWay++
		}
	}
}

// settleAndFinish settles what is unknown by looking at the cluster, sends what was not begun, and holds the report to
// what really happened.
func settleAndFinish(t *testing.T, pair *mirrortest.Pair, path string, total *tally) {
	t.Helper()
	j := open(t, path)
	unknown := j.Report().Topics(mirror.Unknown)
	total.unknown += len(unknown)
	for _, name := range unknown {
		to := mirror.Untouched
		if pair.Local.Status(name) == mirror.StatusStopped {
			to = mirror.Accepted
		}
		require.NoError(t, j.Settle(to, "seen "+string(pair.Local.Status(name)), name))
	}
	_, err := j.Run(t.Context(), client(pair.Local))
	require.NoError(t, err)
	report := j.Report()
	require.Equal(t, killNames(), report.Topics(mirror.Accepted))
	require.NoError(t, j.Finish())
	require.NoError(t, j.Close())
	for _, name := range killNames() {
		require.Equal(t, 1, pair.Local.Applied(name), name)
	}
	pair.Local.AssertSentOnce(t)
	pair.Local.AssertReport(t, report)
}
