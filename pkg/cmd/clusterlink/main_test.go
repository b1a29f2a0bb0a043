package main

import (
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
	"github.com/seed25095279/clusterlink-go/pkg/wait"
)

var update = flag.Bool("update", false, "write the golden files")

// TestMain makes the test binary the command, if a test starts it.

func TestMain(m *testing.M) {
	if os.Getenv("CLUSTERLINK_TEST_COMMAND") != "" {
		main()
	}
	os.Exit(m.Run())
}

// outcome is how a run of the command went.

type outcome struct {
	code     int
	out, err string
}

// document reads what -o json printed.

func (o outcome) document(t testing.TB) (d document) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(o.out))
	require.NoError(t, decoder.Decode(&d), o.out+o.err)
	require.ErrorIs(t, decoder.Decode(&struct{}{}), io.EOF, "one document")
	require.Equal(t, o.code, d.ExitCode)
	return d
}

// next returns the arguments of the last line to type.

func (o outcome) next(t testing.TB) []string {
	t.Helper()
	lines := regexp.MustCompile(`(?m)^(?:next:|     ) clusterlink (.*)$`).FindAllStringSubmatch(o.err, -1)
	require.NotEmpty(t, lines, o.err)
	return strings.Fields(lines[len(lines)-1][1])
}

// shell runs the command against a pair.

type shell struct {
	t    testing.TB
	pair *mirrortest.Pair
	dir  string
	env  map[string]string
	seen strings.Builder // what inside has printed
}

func newShell(t testing.TB, o mirrortest.Options) *shell {
	t.Helper()
	s := &shell{t: t, pair: mirrortest.NewPair(t, o), dir: t.TempDir(), env: map[string]string{}}
	s.variables("", s.pair.Local)
	s.variables("OTHER_", s.pair.Remote)
	return s
}

func (s *shell) variables(prefix string, c *mirrortest.Cluster) {
	key, secret := c.APIKey()
	s.env[prefix+"KAFKA_REST_ENDPOINT"], s.env[prefix+"KAFKA_CLUSTER_ID"] = c.Endpoint, c.ID
	s.env[prefix+"KAFKA_API_KEY"], s.env[prefix+"KAFKA_API_SECRET"] = key, secret
}

// path is that of a file in the shell's folder.

func (s *shell) path(name string) string { return filepath.Join(s.dir, name) }

// process prepares a process of the command.

func (s *shell) process(args ...string) (cmd *exec.Cmd, out, err *buffer) {
	return s.program(os.Args[0], args...)
}

// program prepares a process of a program that finds the clusters in its environment.

func (s *shell) program(name string, args ...string) (cmd *exec.Cmd, out, err *buffer) {
	cmd = exec.Command(name, args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"CLUSTERLINK_TEST_COMMAND=1", "GORACE=atexit_sleep_ms=0"} // otherwise a process with the race detector sleeps for a second
	for name, value := range s.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err = newBuffer(), newBuffer()
	cmd.Stdout, cmd.Stderr = out, err
	return cmd, out, err
}

// run runs the command as a process, to its end.

func (s *shell) run(args ...string) outcome {
	s.t.Helper()
	cmd, out, err := s.process(args...)
	_ = cmd.Run() // the code tells
	return s.checked(outcome{cmd.ProcessState.ExitCode(), out.String(), err.String()})
}

// inside runs the command in this process, as on a terminal where a person types.

func (s *shell) inside(typed string, args ...string) outcome {
	s.t.Helper()
	for name, value := range s.env {
		s.t.Setenv(name, value)
	}
	s.t.Chdir(s.dir)
	out, err := newBuffer(), newBuffer()
	a := &app{in: strings.NewReader(typed), out: io.MultiWriter(out, &s.seen), asks: typed != "", dial: s.pair.Local.Config().Transport}
	a.tell = teller{w: io.MultiWriter(err, &s.seen)}
	code := a.run(s.t.Context(), args)
	return s.checked(outcome{code, out.String(), err.String()})
}

// checked fails the test if a secret is in what was written.

func (s *shell) checked(o outcome) outcome {
	s.t.Helper()
	written := o.out + o.err
	files, _ := filepath.Glob(s.path("*.job"))
	for _, f := range files {
		text, err := os.ReadFile(f)
		require.NoError(s.t, err)
		written += string(text)
	}
	for _, c := range []*mirrortest.Cluster{s.pair.Local, s.pair.Remote} {
		key, secret := c.APIKey()
		require.NotContains(s.t, written, secret)
		require.NotContains(s.t, written, base64.StdEncoding.EncodeToString([]byte(key+":"+secret)))
	}
	require.NotContains(s.t, written, "token-")
	return o
}

// planned plans, and returns the hash.

func (s *shell) planned(args ...string) string {
	s.t.Helper()
	o := s.run(append([]string{"plan", "-o", "json"}, args...)...)
	require.Equal(s.t, 0, o.code, o.err)
	return o.document(s.t).Hash
}

// buffer is a buffer that may be read while it is written.

type buffer struct {
	mu      sync.Mutex
	text    strings.Builder
	written sync.Cond
}

func newBuffer() *buffer {
	b := &buffer{}
	b.written.L = &b.mu
	return b
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.written.Broadcast()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// waitFor waits until a text was written.

func (b *buffer) waitFor(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for !strings.Contains(b.text.String(), text) {
		b.written.Wait()
	}
}

// topics are mirror topics that have caught up.

func topics(names ...string) (all []mirrortest.Topic) {
	for _, n := range names {
		all = append(all, mirrortest.Topic{Name: n, Partitions: []mirrortest.Partition{{LastSourceFetchOffset: 7}}})
	}
	return all
}

func numbered(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("topic-%04d", i))
	}
	return names
}

func TestExitCode_WrongUse(t *testing.T) {
	s := newShell(t, mirrortest.Options{Topics: topics("a", "b")})
	hash := s.planned("pause", "dr-link", "a", "--job", "a.job")
	for _, line := range []string{
		"nonsense", "plan", "plan flip dr-link a", "plan pause .. a", "plan pause dr-link a/b", "plan pause dr-link",
		"plan pause dr-link a --all", "plan resume dr-link --all", "plan truncate-and-restore dr-link --prefix a",
		"plan pause dr-link --prefix nothing", "plan pause dr-link --all --exclude *", "plan pause dr-link a a",
		"plan pause dr-link a --job a.job", "plan pause dr-link --topics-from nowhere", "plan pause dr-link --topics-of nowhere:done",
		"plan pause dr-link --topics-of a.job:refused", "plan pause dr-link a --cluster lkc-9",
		"apply nowhere", "apply a.job", "wait nowhere", "show nowhere", "settle a.job a --as gone --why x",
		"settle a.job z --as done --why x", "settle a.job a --as done", "status dr-link -o xml",
		"status dr-link --env-prefix NO_", "check reverse-and-pause dr-link --other-prefix NO_",
	} {
		o := s.inside("", strings.Fields(line)...)
		require.Equal(t, exitWrongUse, o.code, "%s: %s", line, o.err)
		require.Empty(t, o.out, line)
		require.Regexp(t, `^(?:[a-z].*\n)*clusterlink: .+\n(?:next: .*\n)?$`, o.err, line)
	}
	for name := range s.env {
		s.env[name] = ""
	}
	require.Equal(t, exitWrongUse, s.inside("", "apply", "a.job", "--approve", hash).code)
	require.Equal(t, exitUnchanged, s.inside("", "show", "a.job").code, "it needs no variables")
	require.Zero(t, s.pair.Local.Sent("a"))
}

func TestExitCode_Unchanged(t *testing.T) {
	s := newShell(t, mirrortest.Options{Topics: topics("a")})
	hash := s.planned("pause", "dr-link", "a", "--job", "a.job")
	require.Equal(t, exitUnchanged, s.inside("", "apply", "a.job", "--approve", "0123456789abcdef").code, "another hash")
	require.Equal(t, exitUnchanged, s.inside("", "wait", "a.job").code, "nothing was sent")
	s.env["KAFKA_API_SECRET"] = "wrong"
	for _, args := range [][]string{
		{"apply", "a.job", "--approve", hash}, {"plan", "pause", "dr-link", "a"}, {"check", "pause", "dr-link"},
		{"status", "dr-link"},
	} {
		o := s.inside("", args...)
		require.Equal(t, exitUnchanged, o.code, o.err)
		require.Contains(t, o.err, "401")
	}
	require.Zero(t, s.pair.Local.Sent("a"))
}

// The dry run accepts what the call refuses.

// hang makes the next call hang after it was carried out, and returns a channel that tells that it does, and a function

// that lets it be answered.

func TestJSON_CanBeReadBack(t *testing.T) {
	t.Parallel()
	s := newShell(t, mirrortest.Options{Topics: topics("a", "b")})
	plan := s.run("plan", "pause", "dr-link", "--all", "--job", "x.job", "-o", "json").document(t)
	require.True(t, plan.Report.DryRun)
	applied := s.run("apply", "x.job", "--approve", plan.Hash, "-o", "json").document(t)
	require.NoError(t, applied.Report.Err())
	require.Equal(t, []string{"a", "b"}, applied.Progress.Topics(wait.StageDone))
	status := s.run("status", "dr-link", "-o", "json").document(t)
	require.Equal(t, []string{"a", "b"}, status.Clusters[0].Mirrors.Topics(mirror.StatusPaused))
	require.Len(t, s.run("check", "resume", "dr-link", "-o", "json").document(t).Check.Offsets, 2)
	require.NoError(t, s.run("show", "x.job", "-o", "json").document(t).Report.Err())
	require.NotEmpty(t, s.run("show", "y.job", "-o", "json").document(t).Error)
}

func TestManyTopics_AFewLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := numbered(150)
		s := newShell(t, mirrortest.Options{Topics: topics(names...), InMemory: true})
		for i, name := range names {
			s.pair.Local.SetPartitions(name, mirrortest.Partition{Lag: int64(i), LastSourceFetchOffset: 7})
			if i%2 == 0 {
				s.pair.Local.SetStatus(name, mirror.StatusPaused)
			}
		}
		for _, args := range [][]string{
			append([]string{"status", "dr-link"}, names...), {"check", "promote", "dr-link"},
			append([]string{"plan", "resume", "dr-link"}, names...),
		} {
			o := s.inside("", args...)
			require.LessOrEqual(t, strings.Count(o.out+o.err, "\n"), 60, args[0])
			o = s.inside("", append(args, "-o", "json")...)
			require.Contains(t, o.out, names[140], args[0])
		}
	})
}

// transcript is what a person sees who types the lines one after another.

func (s *shell) transcript(typed string, lines ...string) string {
	s.seen.Reset()
	for _, line := range lines {
		fmt.Fprintf(&s.seen, "$ clusterlink %s\n", line)
		o := s.inside(typed, strings.Fields(line)...)
		fmt.Fprintf(&s.seen, "(exit %d)\n\n", o.code)
	}
	random := regexp.MustCompile(`\b[0-9hm.]+s\b|asked [0-9]+ times?, answered [0-9]+|[0-9][0-9]:[0-9:]{5}Z`)
	return random.ReplaceAllString(s.seen.String(), "N") // waits are longer at random
}

func TestWords(t *testing.T) {
	lag := func(lag int64) []mirrortest.Partition {
		return []mirrortest.Partition{{Lag: lag, LastSourceFetchOffset: 7}}
	}
	for name, script := range map[string]func(*shell) string{
		"help": func(s *shell) string { return s.transcript("", "-h", "plan -h", "apply -h") },
		"status": func(s *shell) string {
			s.pair.Local.SetStatus("b", mirror.StatusPendingStopped)
			s.pair.Local.SetReasons("b", mirrortest.Reason{Code: "CONSUMER_GROUP_IN_USE_ERROR", Message: "group 'g' reads b"})
			return s.transcript("", "status dr-link a b nope")
		},
		"check": func(s *shell) string {
			s.pair.Local.SetPartitions("b", lag(12)...)
			s.pair.Local.SetGroup(mirrortest.Group{ID: "g", State: "STABLE"})
			return s.transcript("", "check promote dr-link --groups g,nope", "check pause dr-link a nope")
		},
		"reversal": func(s *shell) string {
			return s.transcript("dr-link\n", "plan reverse-and-pause dr-link --all --job x.job", "apply x.job", "show x.job", "apply x.job")
		},
		"refused": func(s *shell) string {
			s.pair.Local.SetStatus("a", mirror.StatusStopped)
			s.pair.Local.SetStatus("b", mirror.StatusStopped)
			return s.transcript("", "plan pause dr-link a b c")
		},
		"restore": func(s *shell) string {
			s.pair.Local.SetPartitions("b", lag(12)...)
			s.inside("x", "plan", "failover", "dr-link", "a", "b", "--job", "x.job")
			s.inside("dr-link\n", "apply", "x.job")
			return s.transcript("dr-link\n",
				"plan truncate-and-restore dr-link --cluster lkc-remote --topics-of x.job:done --job y.job",
				"apply y.job", "apply y.job --max-messages 12")
		},
		"changed": func(s *shell) string {
			s.inside("x", "plan", "failover", "dr-link", "--all", "--job", "x.job")
			time.Sleep(2 * time.Hour)
			s.pair.Local.SetStatus("a", mirror.StatusPaused)
			s.pair.Local.SetStatus("b", mirror.StatusPaused)
			return s.transcript("dr-link\n", "apply x.job")
		},
		"unknown": func(s *shell) string {
			s.inside("x", "plan", "pause", "dr-link", "a", "b", "--job", "x.job")
			s.pair.Local.Inject(mirrortest.Fault{Nth: 2, Do: mirrortest.Cut(0)})
			return s.transcript("dr-link\n", "apply x.job", "settle x.job a b --as untouched --why seen-ACTIVE")
		},
	} {
		t.Run(name, func(t *testing.T) {
			path, err := filepath.Abs(filepath.Join("testdata", name+".golden"))
			require.NoError(t, err)
			var got string
			synctest.Test(t, func(t *testing.T) {
				got = script(newShell(t, mirrortest.Options{Topics: topics("a", "b", "c"), InMemory: true, Takes: 10 * time.Second}))
			})
			if *update {
				require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, string(want), got)
		})
	}
}

// neverRead is a terminal at which nobody types.
