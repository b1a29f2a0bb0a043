package job

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/wait"
)

var (
	// ErrInUse means that another process, another Job of this process, or another Run of this Job uses the file.
	ErrInUse = errors.New("the job is in use")
	// ErrNoJob means that the file is missing or that its first line was never written to its end. Create makes the
	// file.
	ErrNoJob = errors.New("there is no job in the file")
	// ErrAnotherJob means that the cluster of the client, or a line of the file, does not fit the plan of the job.
	ErrAnotherJob = errors.New("another job")
	// ErrFinished means that the job is finished. A finished job can be read and waited for. It sends nothing.
	ErrFinished = errors.New("the job is finished")
	// ErrNewPlan means that the plan is too old or that the job was abandoned. The job sends nothing more.
	ErrNewPlan = errors.New("a new plan is needed")
)

// Options are the options of Create. The zero value of every field is ready to use.
type Options struct {
	// LeaveOutRefused leaves out the topics that the dry run refused. Otherwise a plan with refused topics is an
	// error.
	LeaveOutRefused bool
	// MaxMessages is the largest number of messages that TruncateAndRestore may cut off each topic.
	MaxMessages int64
}

// A Job is one job and its file. Its methods are safe for concurrent use. They return copies.
type Job struct {
	// EvenIfChanged makes Run send topics that differ from the plan. Topics that have already stopped are still left
	// out. Set EvenIfChanged before Run.
	EvenIfChanged bool
	// MaxMessages is Options.MaxMessages, from the file. Callers may set MaxMessages before Run. EvenIfChanged does
	// not raise MaxMessages.
	MaxMessages int64

	path    string
	dropped string
	running sync.Mutex // held while Run sends

	mu     sync.Mutex
	file   file
	size   int64 // of the file
	broken error // why nothing can be written any more

	// The state after the lines of the file.
	plan     *mirror.Report
	sent     map[string]bool     // the topics of the job; true if a batch had the topic
	reports  []*mirror.Report    // of all topics, of batches, and of found topics
	batches  map[mirror.Send]int // the index in reports of each batch; -1 after the answer
	sending  bool                // the last line is a batch
	finished *line               // the end of the job
}

func newJob(path string) *Job {
	return &Job{path: path, sent: map[string]bool{}, batches: map[mirror.Send]int{}}
}

// Create makes the file of a new job, with mode 0600, and locks the file. The plan is the report of a dry run: see
// mirror.Client.Validate. The job has the topics that the dry run accepted. If the plan was made by a pattern, the
// job sends the names of the topics.
//
// If the file exists, the error matches fs.ErrExist, unless the file is empty or holds only the damaged beginning of
// a job. A plan is an error if it is not a dry run, is not complete, or has refused topics. Create then makes no
// file.
func Create(path string, plan *mirror.Report, o Options) (*Job, error) {
	err := usable(plan)
	if err == nil && (!o.LeaveOutRefused || plan.Count(mirror.Accepted) == 0) {
		err = plan.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("job %s: the plan cannot be used: %w", path, err)
	}
	return open(path, &line{Kind: isPlan, Version: version, MaxMessages: o.MaxMessages, Report: plan.Clone()})
}

// usable returns why a report is not a plan, or nil. Refused topics do not matter.
func usable(dry *mirror.Report) error {
	if !dry.DryRun || len(dry.Attempts) == 0 {
		return fmt.Errorf("%w: it is not the report of a dry run", mirror.ErrInvalidArgument)
	}
	rest := dry.Clone()
	rest.Results = slices.DeleteFunc(rest.Results, func(r mirror.Result) bool { return r.Outcome == mirror.Failed })
	if len(rest.Results) == 0 {
		return nil
	}
	return rest.Err()
}

// Open opens the file of a job and locks the file. If another process, or another Job of this process, has the file
// open, the error matches ErrInUse. If the file holds no job, the error matches ErrNoJob. If the file does not exist,
// the error also matches fs.ErrNotExist.
//
// A damaged last line was never synced, as after a power loss. Open drops the line, and Dropped reports the line. Any
// other damage is an error that names the line. The file then stays unchanged.
func Open(path string) (*Job, error) { return open(path, nil) }

// Read reads a job without a lock, also while another process runs the job. Methods that write to the file fail. If
// the other process has not finished its last line, Dropped reports the line.
func Read(path string) (*Job, error) {
	j := newJob(path)
	err := onlyRegular(path)
	if err == nil {
		var lines []byte
		if lines, err = os.ReadFile(path); err == nil { //nolint:gosec // the path is the caller's
			err = j.read(lines)
		}
	}
	if err != nil {
		return nil, j.fail(err)
	}
	j.broken = errors.New("it was opened to be read only")
	return j, nil
}

// open opens the file of a job. If first is not nil it may make a new file.
func open(path string, first *line) (*Job, error) {
	j, flags := newJob(path), os.O_RDWR
	err := onlyRegular(path)
	if first != nil && errors.Is(err, ErrNoJob) {
		flags, err = flags|os.O_CREATE, nil
	}
	if err == nil {
		j.file, err = openLocked(path, flags)
	}
	if err != nil {
		return nil, j.fail(err)
	}
	if err := j.begin(first); err != nil {
		return nil, errors.Join(j.fail(err), j.file.Close())
	}
	return j, nil
}

// begin reads the open file and prepares the file for the next line.
func (j *Job) begin(first *line) error {
	lines, err := io.ReadAll(j.file)
	if err != nil {
		return err
	}
	err = j.read(lines)
	if moved := j.inPlace(int64(len(lines))); moved != nil {
		return moved
	}
	if create := first != nil; create && !errors.Is(err, ErrNoJob) {
		return errors.Join(fs.ErrExist, err)
	} else if !create && err != nil {
		return err
	}
	if err := j.repair(lines); err != nil || first == nil {
		return err
	}
	return j.write(first)
}

// fail adds the path to an error that is not nil.
func (j *Job) fail(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("job %s: %w", j.path, err)
}

// Plan returns the plan that was given to Create.
func (j *Job) Plan() *mirror.Report { return j.plan.Clone() }

// Hash returns 16 digits that identify the plan: its cluster, link and verb, its topics in order, and the numbers of
// each topic. To approve a plan, approve its hash.
func (j *Job) Hash() string {
	plan := fmt.Appendf(nil, "%q %q %q\n", j.plan.ClusterID, j.plan.Link, j.plan.Verb)
	for _, r := range j.plan.Results {
		if r.Outcome == mirror.Accepted {
			plan = fmt.Appendf(plan, "%q %d %v %v\n", r.Topic, r.MessagesTruncated, r.Lags, r.Truncations)
		}
	}
	return fmt.Sprintf("%x", sha256.Sum256(plan))[:16]
}

// Dropped returns which damaged line was dropped when the file was opened, or "".
func (j *Job) Dropped() string { return j.dropped }

// Finished returns whether the job is finished.
func (j *Job) Finished() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.finished != nil
}

// Report returns the current results of all topics, in the order of the plan. A topic that was not sent yet is
// Untouched. A topic whose batch has no answer is Unknown. A topic that Run found stopped is Failed, and its
// AlreadyStopped returns true.
func (j *Job) Report() *mirror.Report {
	j.mu.Lock()
	defer j.mu.Unlock()
	// Merge takes time in proportion to both reports, and there are as many reports as batches. The n-th results of
	// all topics are collected in one report before merging.
	var layers []*mirror.Report
	count := map[string]int{}
	for _, r := range j.reports {
		for _, res := range r.Results {
			n := count[res.Topic]
			if count[res.Topic]++; n == len(layers) {
				layers = append(layers, j.reportOf(nil))
			}
			layers[n].Results = append(layers[n].Results, res)
		}
		layers[0].Attempts = append(layers[0].Attempts, r.Attempts...)
		layers[0].Problems = append(layers[0].Problems, r.Problems...)
		layers[0].Unexpected = append(layers[0].Unexpected, r.Unexpected...)
	}
	whole := layers[0].Clone()
	for _, layer := range layers[1:] {
		_ = whole.Merge(layer) // both are about the job
	}
	return whole
}

// Remaining returns the topics that Run would send. These are the topics that were not sent, and topics that are
// Untouched after the answer or a settlement. TruncateAndRestore deletes records, so a topic is never sent twice,
// even if Untouched.
func (j *Job) Remaining() []string {
	report := j.Report()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.finished != nil {
		return nil
	}
	return slices.DeleteFunc(report.Topics(mirror.Untouched), func(name string) bool {
		return j.sent[name] && report.Verb == mirror.VerbTruncateAndRestore
	})
}

// Run sends the remaining topics. Before sending, Run looks at one list of the mirror topics and at a new dry run:
//
//   - A topic whose mirror has already stopped is not sent, and Wait waits for the topic.
//   - A topic differs from the plan if the cluster would refuse the topic now, if the topic would lose more than
//     MaxMessages, or if the topic's status began after the plan was made, by the clock of the cluster. For a failover,
//     a status caused by a lost source is no difference. If a topic differs, nothing is sent, and the error is a
//     *ChangedError. See EvenIfChanged.
//
// Before each batch the file gets a line on disk, and after each batch a line with the report. Recorders of the
// client are called outside of these lines: Sending before the first, Answered after the second. A topic that a batch
// refused is not sent again by the same job: the topic needs a new plan.
//
// Until the first batch is sent, a plan is valid for a day, or for an hour if the verb is TruncateAndRestore. After
// that the error matches ErrNewPlan.
//
// Run returns the report of the whole job. The error is nil only if all topics were accepted or had already stopped.
func (j *Job) Run(ctx context.Context, client *mirror.Client) (*mirror.Report, error) {
	if !j.running.TryLock() {
		return j.Report(), j.fail(ErrInUse)
	}
	defer j.running.Unlock()
	if err := j.mayRun(client); err != nil {
		return j.Report(), j.fail(err)
	}
	sent, err := j.send(ctx, client, j.Remaining())
	report := j.Report()
	if sent != nil {
		err = errors.Join(err, report.Merge(sent)) // sent has answers that could not be written
	}
	open := func(r mirror.Result) bool { return r.Outcome != mirror.Accepted && !j.hadStopped(r) }
	if err == nil && slices.ContainsFunc(report.Results, open) {
		err = report.Err()
	}
	return report, err
}

// mayRun returns why nothing may be sent, or nil.
func (j *Job) mayRun(client *mirror.Client) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	good := 24 * time.Hour
	if j.plan.Verb == mirror.VerbTruncateAndRestore {
		good = time.Hour
	}
	switch old, id := time.Since(j.plan.Attempts[0].Start), client.ClusterID(); {
	case j.finished != nil && j.finished.Why != "":
		return fmt.Errorf("%w: the job was abandoned: %s", ErrNewPlan, j.finished.Why)
	case j.finished != nil:
		return ErrFinished
	case j.broken != nil:
		return j.broken
	case id != j.plan.ClusterID:
		return fmt.Errorf("%w: the job is for cluster %q, and the client for %q", ErrAnotherJob, j.plan.ClusterID, id)
	case old > good && len(j.batches) == 0:
		return fmt.Errorf("%w: the plan was made %v ago, and is good for %v", ErrNewPlan, old.Round(time.Minute), good)
	}
	return nil
}

// send looks at the topics, and sends the topics that have not stopped. The report is nil if nothing was sent.
func (j *Job) send(ctx context.Context, client *mirror.Client, names []string) (*mirror.Report, error) {
	if len(names) == 0 {
		return nil, nil
	}
	dry, err := j.look(ctx, client, names)
	if err != nil || len(dry.Results) == 0 {
		return nil, j.fail(err)
	}
	client = client.WithRecorder((*recorder)(j))
	if dry.Verb == mirror.VerbTruncateAndRestore {
		return client.TruncateAndRestore(ctx, dry, j.MaxMessages)
	}
	return client.Do(ctx, dry.Verb, dry.Link, mirror.Topics(topics(dry)...))
}

// record writes a line.
func (j *Job) record(l *line) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.write(l)
}

// recorder is the Job as the innermost Recorder of a client.
type recorder Job

func (r *recorder) Sending(_ context.Context, b mirror.Batch) error {
	j := (*Job)(r)
	return j.fail(j.record(&line{Kind: isSending, Batch: &b}))
}

func (r *recorder) Answered(_ context.Context, b mirror.Batch, report *mirror.Report) error {
	j := (*Job)(r)
	return j.fail(j.record(&line{Kind: isAnswered, Batch: &b, Report: report}))
}

// Wait waits with wait.Done until all topics that were accepted, are Unknown or had already stopped are done. Wait
// writes settled topics to the file. The error is nil only if every topic of the job is done: the job is then
// finished. On a finished job, Wait only looks at the clusters.
func (j *Job) Wait(ctx context.Context, o wait.Options) (*wait.Progress, error) {
	known := j.Report()
	progress, err := wait.Done(ctx, known, o)
	bad := j.recordFound(known, progress.Report())
	if err == nil && bad == nil && !j.Finished() {
		bad = j.Abandon("")
	}
	return progress, errors.Join(err, bad)
}

// Settle settles topics like mirror.Report.Settle and writes the result to the file.
func (j *Job) Settle(to mirror.Outcome, why string, topics ...string) error {
	known := j.Report()
	now := known.Clone()
	if err := now.Settle(to, why, topics...); err != nil {
		return j.fail(err)
	}
	return j.recordFound(known, now)
}

// recordFound writes the results that were settled or done since the report known.
func (j *Job) recordFound(known, now *mirror.Report) error {
	before := map[string]mirror.Result{}
	for _, r := range known.Results {
		before[r.Topic] = r
	}
	results := slices.DeleteFunc(now.Results, func(r mirror.Result) bool {
		return r.Settled == before[r.Topic].Settled && r.Done == before[r.Topic].Done
	})
	if len(results) == 0 {
		return nil
	}
	return j.fail(j.record(&line{Kind: isFound, Report: j.reportOf(results)}))
}

// Finish finishes the job, which then sends nothing more. A topic that is Unknown or remains to be sent is an error:
// see Abandon. On a finished job, Finish does nothing.
func (j *Job) Finish() error {
	if j.Finished() {
		return nil
	}
	unknown, left := j.Report().Count(mirror.Unknown), len(j.Remaining())
	if unknown+left > 0 {
		return j.fail(fmt.Errorf("%s unknown and %s not sent: wait and run, or abandon the job",
			text.Count(unknown, "topic"), text.Count(left, "topic")))
	}
	return j.Abandon("")
}

// Abandon finishes the job with any topics left. The file keeps why. While Run sends, the error matches ErrInUse.
func (j *Job) Abandon(why string) error {
	if !j.running.TryLock() {
		return j.fail(ErrInUse)
	}
	defer j.running.Unlock()
	return j.fail(j.record(&line{Kind: isFinished, Why: why}))
}

// Close unlocks and closes the file. After Close, methods that write to the file fail.
func (j *Job) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil || errors.Is(j.broken, fs.ErrClosed) {
		return nil
	}
	j.broken = fs.ErrClosed
	return j.fail(j.file.Close())
}
