package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	journal "github.com/seed25095279/clusterlink-go/pkg/job"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// The test's own binary is the program if this is set.
const isProgram = "CLUSTERLINK_TEST_IS_FAILOVER"

func TestMain(m *testing.M) {
	if os.Getenv(isProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// job is a pair of clusters, and what the program is called with.
type job struct {
	*mirrortest.Pair
	args  []string
	names []string
}

// newJob returns a job for so many topics that have caught up.
func newJob(t *testing.T, topics int) *job {
	t.Helper()
	j := &job{}
	var o mirrortest.Options
	for i := range topics {
		name := fmt.Sprintf("t%03d", i)
		j.names = append(j.names, name)
		o.Topics = append(o.Topics, mirrortest.Topic{
			Name: name, Partitions: []mirrortest.Partition{{LastSourceFetchOffset: 7}},
		})
	}
	j.Pair = mirrortest.NewPair(t, o)
	j.args = append(
		[]string{"-link", j.Link(), "-journal", filepath.Join(t.TempDir(), "job"), "-pause", "1ms"}, j.names...,
	)
	return j
}

// command is the program, about to be started.
func (j *job) command(answer string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), isProgram+"=1")
	for prefix, c := range map[string]*mirrortest.Cluster{"": j.Local, "OTHER_": j.Remote} {
		key, secret := c.APIKey()
		cmd.Env = append(cmd.Env, prefix+"KAFKA_REST_ENDPOINT="+c.Endpoint, prefix+"KAFKA_CLUSTER_ID="+c.ID,
			prefix+"KAFKA_API_KEY="+key, prefix+"KAFKA_API_SECRET="+secret)
	}
	cmd.Stdin = strings.NewReader(answer + "\n")
	return cmd
}

// run runs the program to its end, and returns its exit code and what it printed.
func (j *job) run(answer string, args ...string) (int, string) {
	cmd := j.command(answer, args...)
	out, _ := cmd.CombinedOutput()
	return cmd.ProcessState.ExitCode(), string(out)
}

func (j *job) requireReversedOnce(t *testing.T) {
	t.Helper()
	j.Local.AssertSentOnce(t)
	for _, name := range j.names {
		require.Equal(t, 1, j.Local.Applied(name))
		require.Equal(t, mirror.StatusPaused, j.Remote.Status(name))
	}
}

func TestFailover_Done(t *testing.T) {
	j := newJob(t, 3)
	code, out := j.run("dr-link", j.args...)
	require.Equal(t, 0, code, out)
	require.Contains(t, out, "3 of 3 would be accepted\n")
	require.Contains(t, out, "clients may move: 3 of 3\n")
	j.requireReversedOnce(t)

	code, out = j.run("dr-link", j.args...)
	require.Zero(t, code)
	require.Contains(t, out, "the job is finished")
}

// A topic that was not begun is found by somebody who looks, and sent again.
func TestFailover_NotBegun(t *testing.T) {
	j := newJob(t, 3)
	book, err := journal.Open(j.args[3])
	require.NoError(t, err)
	cfg := book.Attach(j.Local.Config())
	client, err := mirror.NewClient(cfg)
	require.NoError(t, err)
	j.Local.Inject(mirrortest.Fault{Do: mirrortest.Cut(0)})
	_, err = client.ReverseAndPause(t.Context(), j.Link(), mirror.Topics(j.names...))
	require.ErrorIs(t, err, mirror.ErrOutcomeUnknown)
	require.NoError(t, book.Close())

	args := slices.Clone(j.args[:6])
	for _, name := range j.names {
		args = append(args, "-not-begun", name)
	}
	code, out := j.run("dr-link", append(args, j.names...)...)
	require.Equal(t, 0, code, out)
	for _, name := range j.names {
		require.Equal(t, 1, j.Local.Applied(name))
	}
	code, out = j.run("dr-link", append([]string{"-not-begun", "t000"}, newJob(t, 1).args...)...)
	require.Equal(t, 4, code, out)
	require.Contains(t, out, `the report has no topic "t000"`)
}

func TestFailover_ALostAnswerIsSettled(t *testing.T) {
	j := newJob(t, 3)
	j.Local.Inject(mirrortest.Fault{AfterApply: true, Do: mirrortest.Cut(0)})
	code, out := j.run("dr-link", j.args...)
	require.Equal(t, 0, code, out)
	require.Contains(t, out, "do not move clients: 3 unknown\n")
	require.Contains(t, out, "clients may move: 3 of 3\n")
	j.requireReversedOnce(t)
}

func TestFailover_NothingIsDone(t *testing.T) {
	for name, c := range map[string]struct {
		spoil  func(*mirrortest.Pair)
		answer string
		says   string
	}{
		"it is not confirmed": {func(*mirrortest.Pair) {}, "yes", "not confirmed"},
		"a topic lags": {
			func(p *mirrortest.Pair) { p.Local.SetPartitions("t001", mirrortest.Partition{Lag: 5}) }, "dr-link",
			"1 of 3 topics not caught up: t001 is ACTIVE with a lag of 5",
		},
		"the link is one-way": {func(p *mirrortest.Pair) {
			p.Remote.OnLink(func(l mirror.LinkInfo) mirror.LinkInfo { l.Mode = "SOURCE"; return l })
		}, "dr-link", "link.mode is SOURCE"},
		"the dry run is refused": {func(p *mirrortest.Pair) {
			p.Local.Inject(mirrortest.Fault{Do: mirrortest.Error(403, 40301, "not allowed")})
		}, "dr-link", "not allowed"},
		"the dry run has no verdict": {func(p *mirrortest.Pair) {
			p.Local.Inject(mirrortest.Fault{Every: true, Do: mirrortest.Cut(0)})
		}, "dr-link", "run the dry run again"},
		"a cluster cannot be read": {func(p *mirrortest.Pair) {
			p.Remote.Inject(mirrortest.Fault{Every: true, Reads: true, Do: mirrortest.Cut(0)})
		}, "dr-link", "no response came"},
		"the call is refused": {func(p *mirrortest.Pair) {
			p.Local.Inject(mirrortest.Fault{Nth: 2, Do: mirrortest.Error(403, 40301, "not allowed")})
		}, "dr-link", "not allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			j := newJob(t, 3)
			c.spoil(j.Pair)
			code, out := j.run(c.answer, j.args...)
			require.Equal(t, 3, code, out)
			require.Contains(t, out, c.says)
			for _, topic := range j.names {
				require.Equal(t, mirror.StatusActive, j.Local.Status(topic))
			}
		})
	}
}

func TestFailover_Refused(t *testing.T) {
	j := newJob(t, 1)
	j.Local.Inject(mirrortest.Fault{Nth: 2, Topic: "t000", Do: mirrortest.Row(
		`{"mirror_topic_name":"t000","error_code":40301,"error_message":"not this one"}`,
	)})
	code, out := j.run("dr-link", j.args...)
	require.Equal(t, 1, code, out)
	require.Contains(t, out, "t000: 40301: not this one")
}

// A gateway that sends a request twice shows the second answer only: that the mirror had stopped already.
func TestFailover_StoppedAlready(t *testing.T) {
	j := newJob(t, 1)
	j.Local.Inject(mirrortest.Fault{AfterApply: true, Topic: "t000", Do: mirrortest.Row(
		`{"mirror_topic_name":"t000","error_code":400,"error_message":"Topic has already stopped its mirror"}`,
	)})
	code, out := j.run("dr-link", j.args...)
	require.Equal(t, 0, code, out)
	require.Contains(t, out, "clients may move: 1 of 1\n")
	j.requireReversedOnce(t)
}

func TestFailover_CalledWrongly(t *testing.T) {
	j := newJob(t, 1)
	for _, args := range [][]string{
		{}, {"-link", "dr-link"}, {"-what"}, j.args[:6], append([]string{"-pause", "soon"}, j.args...),
	} {
		code, out := j.run("dr-link", args...)
		require.Equal(t, 4, code, out)
	}
	require.Empty(t, j.Journal(), "no request came")
}
