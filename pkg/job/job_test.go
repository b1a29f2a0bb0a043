package job_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/job"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
	"github.com/seed25095279/clusterlink-go/pkg/wait"
)

var names = []string{"a", "b", "c", "d", "e", "f"}

// newPair returns two clusters with the topics a to f.
func newPair(t *testing.T) *mirrortest.Pair {
	t.Helper()
	o := mirrortest.Options{InMemory: true}
	for _, name := range names {
		o.Topics = append(o.Topics, mirrortest.Topic{Name: name})
	}
	return mirrortest.NewPair(t, o)
}

// client returns a client of a cluster that sends two topics in a batch.
func client(c *mirrortest.Cluster, edit ...func(*mirror.Config)) *mirror.Client {
	cfg := c.Config()
	cfg.BatchSize = 2
	for _, e := range edit {
		e(&cfg)
	}
	client, err := mirror.NewClient(cfg)
	if err != nil {
		panic(err)
	}
	return client
}

// hooks is a Recorder made of two functions, either of which may be nil.
type hooks struct {
	sending  func(mirror.Batch) error
	answered func(mirror.Batch, *mirror.Report) error
}

func (h hooks) Sending(_ context.Context, b mirror.Batch) error {
	if h.sending == nil {
		return nil
	}
	return h.sending(b)
}

func (h hooks) Answered(_ context.Context, b mirror.Batch, r *mirror.Report) error {
	if h.answered == nil {
		return nil
	}
	return h.answered(b, r)
}

// validated returns the plan of a verb for topics of the cluster.
func validated(t *testing.T, c *mirrortest.Cluster, verb mirror.Verb, topics ...string) *mirror.Report {
	t.Helper()
	plan, err := client(c).Validate(t.Context(), verb, "dr-link", mirror.Topics(topics...))
	require.NoError(t, err)
	return plan
}

// created returns a new job of a reversal of the topics a to f, and its path.
func created(t *testing.T, pair *mirrortest.Pair) (*job.Job, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "friday.job")
	return create(t, path, validated(t, pair.Local, mirror.VerbReverseAndPause, names...), job.Options{}), path
}

func create(t *testing.T, path string, plan *mirror.Report, o job.Options) *job.Job {
	t.Helper()
	j, err := job.Create(path, plan, o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func open(t *testing.T, path string) *job.Job {
	t.Helper()
	j, err := job.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { _ = j.Close() })
	return j
}

// reopened closes the job and opens it again.
func reopened(t *testing.T, j *job.Job, path string) *job.Job {
	t.Helper()
	require.NoError(t, j.Close())
	return open(t, path)
}

func outcomes(r *mirror.Report) string {
	var all []string
	for _, res := range r.Results {
		all = append(all, res.Topic+" "+res.Outcome.String())
	}
	return strings.Join(all, ", ")
}

const (
	allUntouched = "a untouched, b untouched, c untouched, d untouched, e untouched, f untouched"
	allAccepted  = "a accepted, b accepted, c accepted, d accepted, e accepted, f accepted"
)

// both are the options to wait for both clusters.
func both(pair *mirrortest.Pair) wait.Options {
	return wait.Options{This: client(pair.Local), Other: client(pair.Remote)}
}

func requireReversedOnce(t *testing.T, pair *mirrortest.Pair) {
	t.Helper()
	pair.Local.AssertSentOnce(t)
	for _, name := range names {
		require.Equal(t, 1, pair.Local.Applied(name), name)
	}
}

func TestJob_IsPlannedSentWaitedForAndFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair := newPair(t)
		j, path := created(t, pair)
		require.Equal(t, allUntouched, outcomes(j.Report()))
		require.Equal(t, names, j.Remaining())
		require.True(t, j.Plan().DryRun)

		report, err := j.Run(t.Context(), client(pair.Local))
		require.NoError(t, err)
		require.Equal(t, allAccepted, outcomes(report))
		require.Equal(t, report, j.Report())
		require.False(t, j.Finished())
		progress, err := j.Wait(t.Context(), both(pair))
		require.NoError(t, err)
		require.Equal(t, 6, progress.Count(wait.StageDone))
		require.True(t, j.Finished())
		requireReversedOnce(t, pair)

		j = reopened(t, j, path)
		require.True(t, j.Finished())
		_, err = j.Run(t.Context(), client(pair.Local))
		require.ErrorIs(t, err, job.ErrFinished)
		_, err = j.Wait(t.Context(), both(pair))
		require.NoError(t, err, "it looks again")
		require.NoError(t, j.Finish(), "again")
		require.ErrorContains(t, err2(job.Create(path, j.Plan(), job.Options{})), path)

		text, err := os.ReadFile(path)
		require.NoError(t, err)
		_, secret := pair.Local.APIKey()
		require.NotContains(t, string(text), secret)
		if runtime.GOOS != "windows" {
			info, err := os.Stat(path)
			require.NoError(t, err)
			require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
		}
	})
}

func err2(_ *job.Job, err error) error { return err }

// The first process dies before its second batch is sent, the second loses an answer, the third waits.
func TestJob_IsTakenUpTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair := newPair(t)
		j, path := created(t, pair)
		dies := client(pair.Local, func(c *mirror.Config) {
			c.Recorder = hooks{}
			calls, proper := 0, c.Credential
			c.Credential = func(ctx context.Context, h http.Header) error {
				if calls++; calls == 1+3+2 { // the list, the dry run, and the second batch
					panic("the process dies")
				}
				return proper(ctx, h)
			}
		})
		require.Panics(t, func() { _, _ = j.Run(t.Context(), dies) })

		j = reopened(t, j, path)
		require.Empty(t, j.Dropped())
		require.Equal(
			t, "a accepted, b accepted, c unknown, d unknown, e untouched, f untouched", outcomes(j.Report()),
		)
		require.Equal(t, []string{"e", "f"}, j.Remaining(), "what may have been carried out is not sent again")
		require.NoError(t, j.Settle(mirror.Untouched, "the process died before it sent them", "c", "d"))
		require.Equal(t, []string{"c", "d", "e", "f"}, j.Remaining())
		pair.Local.Inject(mirrortest.Fault{AfterApply: true, Do: mirrortest.Cut(0)})
		report, err := j.Run(t.Context(), client(pair.Local))
		require.ErrorIs(t, err, mirror.ErrOutcomeUnknown)
		require.Equal(
			t, "a accepted, b accepted, c unknown, d unknown, e untouched, f untouched", outcomes(report),
		)

		j = reopened(t, j, path)
		_, err = j.Run(t.Context(), client(pair.Local))
		require.ErrorIs(t, err, mirror.ErrOutcomeUnknown, "c and d still are")
		_, err = j.Wait(t.Context(), both(pair))
		require.NoError(t, err)
		require.Equal(t, allAccepted, outcomes(open2(t, j, path).Report()))
		requireReversedOnce(t, pair)
	})
}

// open2 reads the job while it is open.
func open2(t *testing.T, _ *job.Job, path string) *job.Job {
	t.Helper()
	j, err := job.Read(path)
	require.NoError(t, err)
	return j
}

func TestJob_RecordersOfTheCallerAreAroundTheLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair := newPair(t)
		j, path := created(t, pair)
		var seen []string
		see := func(what string) {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			seen = append(seen, fmt.Sprintf("%s: %d sending, %d answered, %d applied", what,
				strings.Count(string(text), `"kind":"sending"`), strings.Count(string(text), `"kind":"answered"`),
				pair.Local.Applied("a")))
		}
		no := errors.New("no")
		spoils := hooks{
			func(b mirror.Batch) error {
				see("sending")
				if b.Index == 1 {
					return no
				}
				return nil
			},
			func(_ mirror.Batch, r *mirror.Report) error {
				see("answered")
				r.Results[0].Outcome = mirror.Failed
				r.Results = r.Results[:1]
				return nil
			},
		}
		report, err := j.Run(t.Context(), client(pair.Local, func(c *mirror.Config) { c.Recorder = spoils }))
		require.ErrorIs(t, err, no)
		require.Equal(t, []string{
			"sending: 0 sending, 0 answered, 0 applied", "answered: 1 sending, 1 answered, 1 applied",
			"sending: 1 sending, 1 answered, 1 applied",
		}, seen)
		want := "a accepted, b accepted, c untouched, d untouched, e untouched, f untouched"
		require.Equal(t, want, outcomes(report))
		require.Equal(t, want, outcomes(reopened(t, j, path).Report()), "a veto leaves no line")
	})
}

func TestJob_CopiesAreTheCallersOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair := newPair(t)
		j, _ := created(t, pair)
		hash := j.Hash()
		for _, r := range []*mirror.Report{j.Report(), j.Plan()} {
			r.Results[0].Outcome, r.Results[0].Topic, r.Link = mirror.Failed, "x", "other"
		}
		report, err := j.Run(t.Context(), client(pair.Local))
		require.NoError(t, err)
		report.Results[0].Outcome = mirror.Failed
		require.Equal(t, allAccepted, outcomes(j.Report()))
		require.Equal(t, hash, j.Hash())
	})
}

func TestJob_HashStandsForThePlan(t *testing.T) {
	pair := newPair(t)
	plan := validated(t, pair.Local, mirror.VerbReverseAndPause, names...)
	folder := t.TempDir()
	n := 0
	hash := func(plan *mirror.Report) string {
		n++
		return create(t, filepath.Join(folder, fmt.Sprint(n)), plan, job.Options{}).Hash()
	}
	same := hash(plan)
	require.Len(t, same, 16)
	require.Equal(t, same, hash(plan))
	require.Equal(t, same, open2(t, nil, filepath.Join(folder, "1")).Hash(), "as read back")
	for what, change := range map[string]func(*mirror.Report){
		"the cluster": func(r *mirror.Report) { r.ClusterID = "lkc-x" },
		"the link":    func(r *mirror.Report) { r.Link = "x" },
		"the verb":    func(r *mirror.Report) { r.Verb = mirror.VerbPromote },
		"a topic":     func(r *mirror.Report) { r.Results[3].Topic = "x" },
		"one less":    func(r *mirror.Report) { r.Results = r.Results[:5] },
		"a number":    func(r *mirror.Report) { r.Results[3].MessagesTruncated = 7 },
		"a lag":       func(r *mirror.Report) { r.Results[3].Lags[0].Lag++ },
	} {
		other := plan.Clone()
		change(other)
		require.NotEqual(t, same, hash(other), what)
	}
}

func TestJob_ClientOfAnotherClusterSendsNothing(t *testing.T) {
	pair := newPair(t)
	j, _ := created(t, pair)
	for _, c := range []*mirror.Client{
		client(pair.Remote), client(pair.Local, func(c *mirror.Config) { c.ClusterID = "lkc-other" }),
	} {
		requests := len(pair.Requests())
		_, err := j.Run(t.Context(), c)
		require.ErrorIs(t, err, job.ErrAnotherJob)
		require.Len(t, pair.Requests(), requests)
	}
	require.Equal(t, allUntouched, outcomes(j.Report()))
}

func TestJob_IsForOneAtATime(t *testing.T) {
	if path := os.Getenv("JOB_TO_OPEN"); path != "" {
		_, err := job.Open(path)
		fmt.Print(errors.Is(err, job.ErrInUse))
		os.Exit(0)
	}
	pair := newPair(t)
	j, path := created(t, pair)
	inAnotherProcess := func() string {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), "JOB_TO_OPEN="+path)
		out, err := cmd.Output()
		require.NoError(t, err)
		return string(out)
	}
	require.ErrorIs(t, err2(job.Open(path)), job.ErrInUse)
	require.ErrorIs(t, err2(job.Create(path, j.Plan(), job.Options{})), job.ErrInUse)
	require.Equal(t, "true", inAnotherProcess())
	require.Equal(t, allUntouched, outcomes(open2(t, j, path).Report()), "reading needs no lock")
	again := hooks{sending: func(mirror.Batch) error {
		_, err := j.Run(t.Context(), client(pair.Local))
		require.ErrorIs(t, err, job.ErrInUse)
		require.ErrorIs(t, j.Abandon("why not"), job.ErrInUse)
		return nil
	}}
	_, err := j.Run(t.Context(), client(pair.Local, func(c *mirror.Config) { c.Recorder = again }))
	require.NoError(t, err)
	require.NoError(t, j.Close())
	require.NoError(t, j.Close())
	require.Equal(t, "false", inAnotherProcess())
	_, err = j.Run(t.Context(), client(pair.Local))
	require.ErrorIs(t, err, fs.ErrClosed)
	require.ErrorIs(t, j.Finish(), fs.ErrClosed)
	requireReversedOnce(t, pair)
}

// While a program starts another one, the new process holds all files of the old one for a moment.
func TestJob_CloseUnlocksWhileTheProgramForks(t *testing.T) {
	pair := newPair(t)
	j, path := created(t, pair)
	stop := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				_ = exec.Command(os.Args[0], "-test.run=^$").Run()
			}
		}
	}()
	for range 300 {
		j = reopened(t, j, path)
	}
	close(stop)
	<-stopped
}

func TestJob_OnlyReadWritesNothing(t *testing.T) {
	pair := newPair(t)
	j, path := created(t, pair)
	require.NoError(t, j.Close())
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	j, err = job.Read(path)
	require.NoError(t, err)
	_, err = j.Run(t.Context(), client(pair.Local))
	require.ErrorContains(t, err, "read only")
	require.ErrorContains(t, j.Abandon("why not"), "read only")
	require.NoError(t, j.Close())
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))
	require.Zero(t, pair.Local.Sent("a"))
}

func TestJob_FinishNeedsEveryTopicAccountedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair := newPair(t)
		j, path := created(t, pair)
		require.ErrorContains(t, j.Finish(), "6 topics")
		pair.Local.Inject(mirrortest.Fault{Nth: 4, AfterApply: true, Do: mirrortest.Cut(0)})
		pair.Local.Inject(mirrortest.Fault{AfterApply: true, Do: mirrortest.Cut(0)})
		whileUnderWay := hooks{sending: func(mirror.Batch) error {
			require.Error(t, j.Finish())
			return nil
		}}
		_, err := j.Run(t.Context(), client(pair.Local, func(c *mirror.Config) { c.Recorder = whileUnderWay }))
		require.ErrorIs(t, err, mirror.ErrOutcomeUnknown)
		require.ErrorContains(t, j.Finish(), "2 topics")
		require.NoError(t, j.Settle(mirror.Accepted, "seen STOPPED", "a", "b"))
		require.ErrorContains(t, j.Finish(), "4 topics")
		require.NoError(t, j.Abandon("another team does the rest"))
		j = reopened(t, j, path)
		require.True(t, j.Finished())
		require.Empty(t, j.Remaining())
		require.NoError(t, j.Settle(mirror.Accepted, "seen STOPPED", "a"), "also after the end")
		require.ErrorIs(t, j.Abandon("again"), job.ErrFinished)
		_, err = j.Run(t.Context(), client(pair.Local))
		require.ErrorIs(t, err, job.ErrNewPlan)
		require.ErrorContains(t, err, "another team")
	})
}

func TestWait_DoesNotFinishAJobThatIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair := newPair(t)
		j, _ := created(t, pair)
		waits := hooks{answered: func(b mirror.Batch, _ *mirror.Report) error {
			if b.Index == 2 {
				_, err := j.Wait(t.Context(), both(pair))
				require.ErrorIs(t, err, job.ErrInUse)
			}
			return nil
		}}
		_, err := j.Run(t.Context(), client(pair.Local).WithRecorder(waits))
		require.NoError(t, err)
		require.False(t, j.Finished())
		_, err = j.Wait(t.Context(), both(pair))
		require.NoError(t, err)
		require.True(t, j.Finished())
	})
}

func TestWait_WritesDownWhatItSettledBeforeItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair := newPair(t)
		j, path := created(t, pair)
		losesAnAnswer := hooks{sending: func(b mirror.Batch) error {
			if b.Index == 1 {
				pair.Local.Inject(mirrortest.Fault{AfterApply: true, Do: mirrortest.Cut(0)})
			}
			return nil
		}}
		_, err := j.Run(t.Context(), client(pair.Local).WithRecorder(losesAnAnswer))
		require.ErrorIs(t, err, mirror.ErrOutcomeUnknown)
		require.Equal(
			t, "a accepted, b accepted, c unknown, d unknown, e untouched, f untouched", outcomes(j.Report()),
		)
		_, err = j.Wait(t.Context(), both(pair))
		require.Error(t, err, "e and f were not sent")
		require.False(t, j.Finished())
		j = reopened(t, j, path)
		report := j.Report()
		require.Equal(
			t, "a accepted, b accepted, c accepted, d accepted, e untouched, f untouched", outcomes(report),
		)
		c, _ := report.Result("c")
		require.True(t, c.Done)
		_, err = j.Run(t.Context(), client(pair.Local))
		require.NoError(t, err)
		_, err = j.Wait(t.Context(), both(pair))
		require.NoError(t, err)
		require.True(t, j.Finished())
		requireReversedOnce(t, pair)
	})
}

func TestJob_RefusedTopicsNeedAPlanOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair := newPair(t)
		j, _ := created(t, pair)
		pair.Local.Inject(mirrortest.Fault{AfterApply: false, Nth: 4, Topic: "", Do: mirrortest.Error(403, 40301, "no")})
		report, err := j.Run(t.Context(), client(pair.Local))
		require.Error(t, err)
		require.Equal(t, allUntouched, outcomes(report), "a refused batch is untouched and remains")
		require.Equal(t, names, j.Remaining())
		refuses := hooks{sending: func(mirror.Batch) error {
			pair.Local.Inject(mirrortest.Fault{Topic: "c", Do: mirrortest.Row(
				`{"mirror_topic_name":"c","error_code":40301,"error_message":"not this one"}`)})
			return nil
		}}
		report, err = j.Run(t.Context(), client(pair.Local, func(c *mirror.Config) { c.Recorder = refuses }))
		require.Error(t, err)
		require.Equal(t, "a accepted, b accepted, c failed, d accepted, e accepted, f accepted", outcomes(report))
		require.Empty(t, j.Remaining())
		requests := len(pair.Requests())
		_, err = j.Run(t.Context(), client(pair.Local))
		require.Error(t, err, "c is still refused")
		require.Len(t, pair.Requests(), requests)
		require.NoError(t, j.Finish())
	})
}

func TestCreate_TakesADryRunOnly(t *testing.T) {
	pair := newPair(t)
	folder := t.TempDir()
	pair.Local.SetStatus("c", mirror.StatusFailed)
	refused, err := client(pair.Local).Validate(t.Context(), mirror.VerbPromote, "dr-link", mirror.Topics(names...))
	require.Error(t, err)
	pair.Local.Inject(mirrortest.Fault{Topic: "a", Do: mirrortest.LeaveOut()})
	lost, err := client(pair.Local).Validate(t.Context(), mirror.VerbPromote, "dr-link", mirror.Topics("a", "b"))
	require.Error(t, err)
	allRefused := refused.Clone()
	allRefused.Results = allRefused.Results[2:3]
	sent := validated(t, pair.Local, mirror.VerbPromote, "a")
	sent.DryRun = false
	for what, c := range map[string]struct {
		plan *mirror.Report
		o    job.Options
	}{
		"a refused topic":          {refused, job.Options{}},
		"all refused and left out": {allRefused, job.Options{LeaveOutRefused: true}},
		"a topic without a row":    {lost, job.Options{LeaveOutRefused: true}},
		"a call":                   {sent, job.Options{}},
		"an empty report":          {&mirror.Report{DryRun: true}, job.Options{}},
	} {
		path := filepath.Join(folder, what)
		require.ErrorContains(t, err2(job.Create(path, c.plan, c.o)), path, what)
		require.NoFileExists(t, path, what)
	}
	j := create(t, filepath.Join(folder, "job"), refused, job.Options{LeaveOutRefused: true})
	require.Equal(t, []string{"a", "b", "d", "e", "f"}, j.Remaining())
	require.Len(t, j.Plan().Results, 6)
}

func TestCreate_PatternBecomesNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair := newPair(t)
		plan, err := client(pair.Local).Validate(t.Context(), mirror.VerbPromote, "dr-link", mirror.Pattern("^[ab]$"))
		require.NoError(t, err)
		j := create(t, filepath.Join(t.TempDir(), "job"), plan, job.Options{})
		report, err := j.Run(t.Context(), client(pair.Local))
		require.NoError(t, err)
		require.Equal(t, "a accepted, b accepted", outcomes(report))
		requests := pair.Requests()
		require.NotContains(t, requests[len(requests)-1].Body, "pattern")
	})
}

func TestCreate_TakesNoFileThatIsThere(t *testing.T) {
	pair := newPair(t)
	plan := validated(t, pair.Local, mirror.VerbPromote, "a")
	folder := t.TempDir()
	whole := create(t, filepath.Join(folder, "job"), plan, job.Options{})
	require.NoError(t, whole.Close())
	line, err := os.ReadFile(filepath.Join(folder, "job"))
	require.NoError(t, err)
	nuls := func(n int) string { return strings.Repeat("\x00", n) }
	for what, text := range map[string]string{
		"a job":                string(line),
		"a job and damage":     string(line) + "x",
		"two damaged lines":    nuls(10) + "\n" + nuls(10) + "\n",
		"a shopping list":      "eggs\nbread\n",
		"a short one":          "eggs",
		"some other JSON":      `{"version":1,"at":"2026-01-01T00:00:00Z"}`,
		"a checksum and prose": "cafe0123 is a nice name",
	} {
		path := filepath.Join(folder, what)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		require.ErrorIs(t, err2(job.Create(path, plan, job.Options{})), fs.ErrExist, what)
		after, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, text, string(after), what)
	}
	for what, text := range map[string]string{
		"nothing":              "",
		"NULs":                 nuls(300),
		"NULs and a line feed": nuls(300) + "\n",
		"NULs, then the line":  nuls(100) + string(line[100:]),
		"the line, then NULs":  string(line[:100]) + nuls(len(line)-101) + "\n",
		"part of the checksum": string(line[:5]),
		"part of the line":     string(line[:len(line)/2]),
	} {
		path := filepath.Join(folder, what)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		for _, f := range []func(string) (*job.Job, error){job.Open, job.Read} {
			require.ErrorIs(t, err2(f(path)), job.ErrNoJob, what)
		}
		j := create(t, path, plan, job.Options{})
		require.Equal(t, "a untouched", outcomes(reopened(t, j, path).Report()), what)
	}
	for _, f := range []func(string) (*job.Job, error){job.Open, job.Read} {
		err := err2(f(filepath.Join(folder, "not there")))
		require.ErrorIs(t, err, job.ErrNoJob)
		require.ErrorIs(t, err, fs.ErrNotExist)
	}
	require.ErrorIs(t, err2(job.Create(filepath.Join(folder, "no", "folder"), plan, job.Options{})), fs.ErrNotExist)
}

// restorable returns a pair whose remote cluster is the old source of the topics, and a plan to restore them.
func restorable(t *testing.T) (*mirrortest.Pair, *mirror.Report) {
	t.Helper()
	pair := newPair(t)
	_, err := client(pair.Local).Failover(t.Context(), "dr-link", mirror.Topics(names...))
	require.NoError(t, err)
	return pair, validated(t, pair.Remote, mirror.VerbTruncateAndRestore, names...)
}

func TestTruncateAndRestore_TopicIsSentOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair, plan := restorable(t)
		path := filepath.Join(t.TempDir(), "job")
		j := create(t, path, plan, job.Options{MaxMessages: 1 << 40})
		pair.Remote.Inject(mirrortest.Fault{Nth: 5, Do: mirrortest.Error(403, 40301, "no")}) // the second batch
		_, err := j.Run(t.Context(), client(pair.Remote))
		require.Error(t, err)
		j = reopened(t, j, path)
		require.Equal(
			t, "a accepted, b accepted, c untouched, d untouched, e untouched, f untouched", outcomes(j.Report()),
		)
		require.Equal(t, []string{"e", "f"}, j.Remaining(), "c and d were sent, and need a new plan")
		_, err = j.Run(t.Context(), client(pair.Remote))
		require.Error(t, err)
		require.Equal(
			t, "a accepted, b accepted, c untouched, d untouched, e accepted, f accepted", outcomes(j.Report()),
		)
		for range 2 {
			_, err = j.Run(t.Context(), client(pair.Remote))
			require.Error(t, err)
		}
		pair.Remote.AssertSentOnce(t)
		require.NoError(t, j.Finish())
	})
}

func TestTruncateAndRestore_CopyOfAJobSendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair, plan := restorable(t)
		path := filepath.Join(t.TempDir(), "job")
		j := create(t, path, plan, job.Options{MaxMessages: 1 << 40})
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		time.Sleep(time.Minute)
		_, err = j.Run(t.Context(), client(pair.Remote))
		require.NoError(t, err)
		for n := range 2 {
			again := fmt.Sprint(path, n)
			require.NoError(t, os.WriteFile(again, text, 0o600))
			_, err = open(t, again).Run(t.Context(), client(pair.Remote))
			require.ErrorIs(t, err, job.ErrChanged)
		}
		pair.Remote.AssertSentOnce(t)
	})
}

func TestTruncateAndRestore_CutsOffNoMoreThanAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair, plan := restorable(t)
		var most int64
		for _, r := range plan.Results {
			most = max(most, r.MessagesTruncated)
		}
		j := create(t, filepath.Join(t.TempDir(), "job"), plan, job.Options{MaxMessages: most - 1})
		_, err := j.Run(t.Context(), client(pair.Remote))
		require.ErrorIs(t, err, job.ErrChanged)
		j.EvenIfChanged = true
		_, err = j.Run(t.Context(), client(pair.Remote))
		require.Error(t, err, "the limit holds all the same")
		require.Zero(t, pair.Remote.Sent("a"))
		j.EvenIfChanged, j.MaxMessages = false, most
		_, err = j.Run(t.Context(), client(pair.Remote))
		require.NoError(t, err)
	})
}

func TestRun_PlanIsGoodForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for verb, good := range map[mirror.Verb]time.Duration{
			mirror.VerbReverseAndPause: 24 * time.Hour, mirror.VerbTruncateAndRestore: time.Hour,
		} {
			pair, plan := restorable(t)
			cluster := pair.Remote
			if verb == mirror.VerbReverseAndPause {
				pair = newPair(t)
				cluster, plan = pair.Local, validated(t, pair.Local, verb, names...)
			}
			path := filepath.Join(t.TempDir(), "job")
			old := create(t, path, plan, job.Options{MaxMessages: 1 << 40})
			time.Sleep(good + time.Second)
			_, err := old.Run(t.Context(), client(cluster))
			require.ErrorIs(t, err, job.ErrNewPlan)
			old.EvenIfChanged = true
			_, err = old.Run(t.Context(), client(cluster))
			require.ErrorIs(t, err, job.ErrNewPlan)
			require.Zero(t, cluster.Sent("a"))

			path = filepath.Join(t.TempDir(), "job")
			begun := create(t, path, validated(t, cluster, verb, names...), job.Options{MaxMessages: 1 << 40})
			time.Sleep(good - time.Second)
			no := errors.New("no")
			first := hooks{answered: func(mirror.Batch, *mirror.Report) error { return no }}
			_, err = begun.Run(t.Context(), client(cluster, func(c *mirror.Config) { c.Recorder = first }))
			require.ErrorIs(t, err, no)
			time.Sleep(good)
			begun = reopened(t, begun, path)
			_, err = begun.Run(t.Context(), client(cluster))
			require.NoError(t, err, "the first batch was sent in time")
			cluster.AssertSentOnce(t)
		}
	})
}

// What happens to files: the run ends before its next batch.
func TestRun_EndsWhenTheFileIsNotTheOpenOne(t *testing.T) {
	for what, happens := range map[string]func(path string) error{
		"removed": os.Remove,
		"renamed": func(path string) error { return os.Rename(path, path+".old") },
		"replaced by a copy": func(path string) error {
			text, err := os.ReadFile(path)
			return errors.Join(err, os.Rename(path, path+".old"), os.WriteFile(path, text, 0o600))
		},
		"its folder renamed":                      func(path string) error { return os.Rename(filepath.Dir(path), filepath.Dir(path)+".old") },
		"copied and truncated, as logrotate does": func(path string) error { return os.Truncate(path, 0) },
		"a line added by hand": func(path string) error {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString("x\n")
			return errors.Join(err, f.Close())
		},
	} {
		t.Run(what, func(t *testing.T) {
			if runtime.GOOS == "windows" {
				t.Skip("an open file cannot be changed there")
			}
			pair := newPair(t)
			path := filepath.Join(t.TempDir(), "folder", "job")
			require.NoError(t, os.Mkdir(filepath.Dir(path), 0o700))
			j := create(t, path, validated(t, pair.Local, mirror.VerbReverseAndPause, names...), job.Options{})
			after := hooks{answered: func(b mirror.Batch, _ *mirror.Report) error {
				if b.Index > 0 {
					return nil
				}
				return happens(path)
			}}
			report, err := j.Run(t.Context(), client(pair.Local, func(c *mirror.Config) { c.Recorder = after }))
			require.ErrorContains(t, err, path)
			require.Equal(
				t, "a accepted, b accepted, c untouched, d untouched, e untouched, f untouched", outcomes(report),
			)
			require.Zero(t, pair.Local.Sent("c"))
		})
	}
}
