//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package job_test

import (
	"context"
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

	journal "github.com/seed25095279/clusterlink-go/pkg/job"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

var (
	kills    = flag.Int("kills", 20, "how often TestJournal_Kill kills a process")
	killRuns = flag.Int("kill-runs", 2, "over how many runs")
)

// A process that does a job is killed at random moments, and taken up until the job is done: nothing is sent
// again that may have been carried out, and nothing is forgotten. The one test in real time.
func TestJournal_Kill(t *testing.T) {
	if path := os.Getenv("JOURNAL_KILL_PATH"); path != "" {
		child(path)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	draw := rand.New(rand.NewPCG(seed, 0))
	killed, runs, open := 0, 0, 0
	for killed < *kills {
		k, o := killRun(t, draw, min(*kills-killed, max(1, *kills / *killRuns)))
		killed, runs, open = killed+k, runs+1, open+o
	}
	t.Logf("%d kills over %d runs of %d topics; %d topics stayed open and were settled", killed, runs, killTopics, open)
}

const killTopics = 1200

func killNames() (names []string) {
	for i := range killTopics {
		names = append(names, fmt.Sprintf("t-%04d", i))
	}
	return names
}

// child is the process that is killed. It sends what remains, and ends with 0 once nothing does.
func child(path string) {
	fail := func(err error) {
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	j, err := journal.Open(path)
	fail(err)
	cfg, err := mirror.ConfigFromEnv("")
	fail(err)
	cfg.BatchSize = 20
	client, err := mirror.NewClient(j.Attach(cfg))
	fail(err)
	known, err := j.Report()
	fail(err)
	if left := known.Remaining(killNames()...); len(left) > 0 {
		_, err = client.ReverseAndPause(context.Background(), "dr-link", mirror.Topics(left...))
		fail(err)
	}
	os.Exit(0)
}

// killRun does one job of 1200 topics, whose process is killed so many times at most. It returns how often it
// was, and how many topics stayed open.
func killRun(t *testing.T, draw *rand.Rand, kills int) (killed, open int) {
	t.Helper()
	var topics []mirrortest.Topic
	for _, name := range killNames() {
		topics = append(topics, mirrortest.Topic{Name: name, Partitions: []mirrortest.Partition{{}}})
	}
	pair := mirrortest.NewPair(t, mirrortest.Options{
		Topics: topics, Latency: [2]time.Duration{10 * time.Millisecond, 40 * time.Millisecond},
	})
	path := filepath.Join(t.TempDir(), "job")
	key, secret := pair.Local.APIKey()
	env := append(os.Environ(), "JOURNAL_KILL_PATH="+path, "KAFKA_REST_ENDPOINT="+pair.Local.Endpoint,
		"KAFKA_CLUSTER_ID="+pair.Local.ID, "KAFKA_ID=", "KAFKA_API_KEY="+key, "KAFKA_API_SECRET="+secret)
	for {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestJournal_Kill$")
		cmd.Env = env
		var out strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &out
		require.NoError(t, cmd.Start())
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		moment := time.Hour
		if killed < kills {
			moment = time.Duration(20+draw.IntN(180)) * time.Millisecond
		}
		select {
		case err := <-ended:
			require.NoError(t, err, out.String())
			return killed, finish(t, pair, path)
		case <-time.After(moment):
			require.NoError(t, cmd.Process.Kill())
			<-ended
			killed++
		}
	}
}

// finish settles what stayed open by looking at the cluster, as a person would, sends what was not done, and
// holds the report to what really happened. It returns how many topics had stayed open.
func finish(t *testing.T, pair *mirrortest.Pair, path string) int {
	t.Helper()
	j := open(t, path)
	known := report(t, j)
	unknown := known.Topics(mirror.Unknown)
	for _, name := range unknown {
		to := mirror.Untouched
		if pair.Local.Status(name) == mirror.StatusStopped {
			to = mirror.Accepted
		}
		require.NoError(t, known.Settle(name, to, "it is "+string(pair.Local.Status(name))))
	}
	require.NoError(t, j.Settle(known))
	client, err := mirror.NewClient(j.Attach(pair.Local.Config()))
	require.NoError(t, err)
	known = report(t, j)
	if left := known.Remaining(killNames()...); len(left) > 0 {
		_, err = client.ReverseAndPause(t.Context(), pair.Link(), mirror.Topics(left...))
		require.NoError(t, err)
	}
	known = report(t, j)
	require.NoError(t, known.Err())
	require.Len(t, known.Results, killTopics)
	require.NoError(t, j.Close())
	for _, name := range killNames() {
		require.Equal(t, 1, pair.Local.Applied(name), "%s", name)
	}
	pair.Local.AssertSentOnce(t)
	pair.Local.AssertReport(t, known)
	return len(unknown)
}
