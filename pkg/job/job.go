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
	// ErrInUse says that another process, another Job of this process, or another Run of this Job has the file.
	ErrInUse = errors.New("the job is in use")
	// ErrNoJob says that the file is not there, or that its first line was never written to its end. Create makes it.
	ErrNoJob = errors.New("there is no job in the file")
	// ErrAnotherJob says that the client is a client of another cluster than the job's.
	ErrAnotherJob = errors.New("another job")
	// ErrFinished says that the job is finished. A finished job can be read and waited for, and sends nothing.
	ErrFinished = errors.New("the job is finished")
	// ErrNewPlan says that this plan sends nothing more: it is too old, or the job was abandoned.
	ErrNewPlan = errors.New("a new plan is needed")
)

// Options are the options of Create. The zero value of every field is ready to use.
type Options struct {
	// LeaveOutRefused leaves the topics that the dry run refused out of the job. Without it, a plan with refused topics
	// is an error.
	LeaveOutRefused bool
	// MaxMessages is the largest number of messages that TruncateAndRestore may cut off each topic.
	MaxMessages int64
}

// A Job is one job and its file. Its methods are safe for concurrent use. They return copies.
type Job struct {
	// EvenIfChanged makes Run send although something differs from the plan. Topics that have stopped already are
	// left out all the same. Set it before Run.
	EvenIfChanged bool
	// MaxMessages is Options.MaxMessages, from the file. It may be set before Run. EvenIfChanged does not raise it.
	MaxMessages int64

	path    string
	dropped string
	running sync.Mutex // held while Run sends

	mu     sync.Mutex
	file   file
	size   int64 // of the file
	broken error // why nothing can be written any more

	// What the lines say.
	plan     *mirror.Report
	sent     map[string]bool     // the topics of the job; true if a batch had the topic
	reports  []*mirror.Report    // of all topics, of batches, and of topics that were found
	batches  map[mirror.Send]int // the places in reports of the batches that were begun; -1 after the answer
	sending  bool                // the last line is a batch
	finished *line               // the end of the job
}

func newJob(path string) *Job {
	return &Job{path: path, sent: map[string]bool{}, batches: map[mirror.Send]int{}}
}

// Create makes the file of a new job, with mode 0600, and locks it. The plan is the report of a dry run: see
// mirror.Client.Validate. The job is about the topics that the dry run accepted. If the plan was made by a pattern,
// the job sends their names.
//
// If the file is there, the error matches fs.ErrExist, unless it is empty or holds only the damaged beginning of a job.
// A plan that is no dry run, is not whole, or has refused topics is an error, and makes no file.
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

// usable returns why a dry run is no plan. Refused topics are no reason.
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

// Open opens the file of a job and locks it. While another process has the file open, or another Job of this process,
// the error matches ErrInUse. If there is no job in the file, the error matches ErrNoJob, and fs.ErrNotExist if there
// is no file.
//
// A last line that is damaged was never synced, as after a power loss. Open drops the line, and Dropped says so. Any
// other damage is an error that names the line, and leaves the file as it is.
func Open(path string) (*Job, error) { return open(path, nil) }

// Read reads a job without locking its file, also while another process runs the job. What would write to the file
// fails. If the other process has not yet written its last line to its end, Dropped says so.
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

// open opens the file of a job, or of a new one if there is a first line to be written.
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

// begin reads the open file, and makes it ready for the next line.
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

// Plan returns the plan as it was given to Create.
func (j *Job) Plan() *mirror.Report { return j.plan.Clone() }

// Hash returns 16 digits that stand for the plan: its cluster, link, verb and topics, in their order, and the numbers
// of each topic. Who approves a plan approves its hash.
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

// Report returns what is known of every topic of the job, in the order of the plan. A topic that was not sent yet is
// Untouched. A topic whose batch has no answer is Unknown. A topic that had stopped already when Run looked is Failed,
// and its AlreadyStopped returns true.
func (j *Job) Report() *mirror.Report {
	j.mu.Lock()
	defer j.mu.Unlock()
	// Merge takes time in proportion to both reports, and there are as many reports as batches. So the n-th results of
	// all topics are put into one report before they are merged.
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

// Remaining returns the topics that Run would send: those that were not sent, and those that are Untouched by the
// answer or by a settlement. TruncateAndRestore deletes records, so a topic is not sent twice even if it is Untouched.
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

// Run sends the topics that remain. It looks first, at one list of the mirror topics and at the dry run of what
// remains:
//
//   - A topic whose mirror has stopped already is not sent, and Wait waits for it.
//   - A topic differs from the plan if the cluster would refuse it now, if more than MaxMessages would be cut off it, or
//     if its status began after the plan was made, by the clock of that cluster: somebody has changed it. For a failover,
//     a status that a lost source brings is no difference. If a topic differs, nothing is sent, and the error is a
//     *ChangedError. See EvenIfChanged.
//
// Before each batch the file has a line on disk, and after each batch a line with its report. Recorders of the client
// are called around these: Sending before the line, Answered after it. The topics that a batch refused are not sent
// again by the same job: they need a new plan.
//
// Until the first batch is sent, a plan is good for a day, and for an hour if the verb is TruncateAndRestore. After
// that the error matches ErrNewPlan.
//
// Run returns the report of the whole job. The error is nil only if all topics were accepted or had stopped already.
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
		err = errors.Join(err, report.Merge(sent)) // an answer that could not be written down is known here
	}
	open := func(r mirror.Result) bool { return r.Outcome != mirror.Accepted && !j.hadStopped(r) }
	if err == nil && slices.ContainsFunc(report.Results, open) {
		err = report.Err()
	}
	return report, err
}

// mayRun returns why nothing may be sent.
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

// send looks at the topics, and sends those that have not stopped. The report is nil if nothing was sent.
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

// Wait waits with wait.Done until all topics that were accepted, are unknown or had stopped already are done. It
// writes down what was settled. The error is nil only if every topic of the job is done: then the job is finished. Wait
// for a finished job only looks at the clusters.
func (j *Job) Wait(ctx context.Context, o wait.Options) (*wait.Progress, error) {
	known := j.Report()
	progress, err := wait.Done(ctx, known, o)
	bad := j.recordFound(known, progress.Report())
	if err == nil && bad == nil && !j.Finished() {
		bad = j.Abandon("")
	}
	return progress, errors.Join(err, bad)
}

// Settle settles topics as mirror.Report.Settle does, and writes that down.
func (j *Job) Settle(to mirror.Outcome, why string, topics ...string) error {
	known := j.Report()
	now := known.Clone()
	if err := now.Settle(to, why, topics...); err != nil {
		return j.fail(err)
	}
	return j.recordFound(known, now)
}

// recordFound writes down the results that were settled since they were known.
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

// Finish finishes the job: it sends nothing more. A topic that is unknown or remains to be sent is an error. See
// Abandon. A job that is finished already stays so.
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

// Abandon finishes the job whatever is left of it. The file keeps why. While Run sends, the error matches ErrInUse.
func (j *Job) Abandon(why string) error {
	if !j.running.TryLock() {
		return j.fail(ErrInUse)
	}
	defer j.running.Unlock()
	return j.fail(j.record(&line{Kind: isFinished, Why: why}))
}

// Close unlocks and closes the file. Nothing can be written any more.
func (j *Job) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil || errors.Is(j.broken, fs.ErrClosed) {
		return nil
	}
	j.broken = fs.ErrClosed
	return j.fail(j.file.Close())
}
