package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/examples/internal/program"
	"github.com/seed25095279/clusterlink-go/pkg/job"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func TestMain(m *testing.M) { program.Main(m, main) }

func options(topics int) (o mirrortest.Options, names []string) {
	for i := range topics {
		names = append(names, fmt.Sprintf("t%03d", i))
		o.Topics = append(o.Topics, mirrortest.Topic{
			Name: names[i], Partitions: []mirrortest.Partition{{LastSourceFetchOffset: 7}},
		})
	}
	return o, names
}

func client(t *testing.T, c *mirrortest.Cluster) *mirror.Client {
	t.Helper()
	client, err := mirror.NewClient(c.Config())
	require.NoError(t, err)
	return client
}

func requireReversedOnce(t *testing.T, pair *mirrortest.Pair, names []string) {
	t.Helper()
	pair.Local.AssertSentOnce(t)
	for _, name := range names {
		require.Equal(t, 1, pair.Local.Applied(name))
		require.Equal(t, mirror.StatusPaused, pair.Remote.Status(name))
	}
}

func TestFailover_FromTheGateToTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, names := options(3)
		o.InMemory, o.Takes = true, time.Minute
		pair := mirrortest.NewPair(t, o)
		time.Sleep(time.Hour)
		path := filepath.Join(t.TempDir(), "friday.job")
		local, other := client(t, pair.Local), client(t, pair.Remote)

		pair.Local.SetPartitions("t001", mirrortest.Partition{Lag: 5, LastSourceFetchOffset: 7})
		require.Error(t, failover(t.Context(), local, other, path, pair.Link(), names), "a topic lags")
		require.NoFileExists(t, path)

		pair.Local.SetPartitions("t001", mirrortest.Partition{LastSourceFetchOffset: 12})
		pair.Local.Inject(mirrortest.Fault{AfterApply: true, Do: mirrortest.Cut(0)})
		require.NoError(t, failover(t.Context(), local, other, path, pair.Link(), names), "a lost answer is settled")
		requireReversedOnce(t, pair, names)
		require.NoError(t, failover(t.Context(), local, other, path, pair.Link(), names), "again")
		requireReversedOnce(t, pair, names)
	})
}

// A planned job of 501 topics, which are two batches, and processes that do the job.
func planned(t *testing.T) (pair *mirrortest.Pair, names []string, process func() *exec.Cmd) {
	t.Helper()
	o, names := options(501)
	pair = mirrortest.NewPair(t, o)
	path := filepath.Join(t.TempDir(), "friday.job")
	plan, err := client(t, pair.Local).Validate(t.Context(), mirror.VerbReverseAndPause, pair.Link(), mirror.Topics(names...))
	require.NoError(t, err)
	j, err := job.Create(path, plan, job.Options{})
	require.NoError(t, err)
	require.NoError(t, j.Close())
	return pair, names, func() *exec.Cmd {
		cmd := program.Command(t, pair.Local, append([]string{path, pair.Link()}, names...)...)
		key, secret := pair.Remote.APIKey()
		cmd.Env = append(cmd.Env, "OTHER_KAFKA_REST_ENDPOINT="+pair.Remote.Endpoint, "OTHER_KAFKA_CLUSTER_ID="+pair.Remote.ID,
			"OTHER_KAFKA_API_KEY="+key, "OTHER_KAFKA_API_SECRET="+secret)
		return cmd
	}
}

// answerFunc answers a request of a process.
type answerFunc func(p *os.Process, w http.ResponseWriter, r *http.Request, proper http.Handler)

// run runs the program, whose first batch is applied and then answered by a function. It returns what was printed.
func run(pair *mirrortest.Pair, cmd *exec.Cmd, answer answerFunc) string {
	started := make(chan *os.Process, 1)
	pair.Local.Inject(mirrortest.Fault{AfterApply: true, Do: mirrortest.Handle(
		func(w http.ResponseWriter, r *http.Request, proper http.Handler) { answer(<-started, w, r, proper) },
	)})
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return err.Error()
	}
	started <- cmd.Process
	_ = cmd.Wait()
	return out.String()
}

// requireOneBatch holds a process that was ended to the batch that it sent, and the job to the outcome.
func requireOneBatch(t *testing.T, pair *mirrortest.Pair, path string, outcome mirror.Outcome) {
	t.Helper()
	require.Equal(t, 1, pair.Local.Applied("t499"))
	require.Zero(t, pair.Local.Sent("t500"), "the second batch")
	j, err := job.Read(path)
	require.NoError(t, err)
	require.Equal(t, 500, j.Report().Count(outcome))
}

// takenUp runs the program's function again, in virtual time: against clusters like those that a process has left.
func takenUp(t *testing.T, left *mirrortest.Pair, path string, names []string) {
	t.Helper()
	ended := time.Now().Round(0)
	synctest.Test(t, func(t *testing.T) {
		o, _ := options(len(names))
		o.InMemory = true
		pair := mirrortest.NewPair(t, o)
		time.Sleep(time.Until(ended)) // the clock of a bubble begins in the year 2000
		for _, name := range names {
			if status := left.Local.Status(name); status != mirror.StatusActive {
				pair.Local.SetStatus(name, status)
				pair.Remote.SetStatus(name, left.Remote.Status(name))
			}
		}
		require.NoError(t, failover(t.Context(), client(t, pair.Local), client(t, pair.Remote), path, pair.Link(), names),
			"it sends the rest, and settles the batch that was under way")
		for _, name := range names {
			require.Equal(t, 1, left.Local.Applied(name)+pair.Local.Applied(name), name)
			require.Equal(t, 1, left.Local.Sent(name)+pair.Local.Sent(name), name)
			require.Equal(t, mirror.StatusPaused, pair.Remote.Status(name))
		}
	})
}

func TestFailover_KilledAndTakenUp(t *testing.T) {
	pair, names, process := planned(t)
	cmd := process()
	text := run(pair, cmd, func(p *os.Process, _ http.ResponseWriter, r *http.Request, _ http.Handler) {
		_ = p.Kill()
		<-r.Context().Done()
	})
	code := -1
	if runtime.GOOS == "windows" {
		code = 1
	}
	require.Equal(t, code, cmd.ProcessState.ExitCode(), text)
	requireOneBatch(t, pair, cmd.Args[1], mirror.Unknown)
	takenUp(t, pair, cmd.Args[1], names)
}

func TestFailover_CalledWrongly(t *testing.T) {
	out, err := program.Command(t, mirrortest.NewPair(t, mirrortest.Options{}).Local, "friday.job").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "usage")
}
