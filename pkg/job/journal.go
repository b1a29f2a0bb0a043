// Package journal writes a job down so that it survives the death of its process.
//
// One file is one job: calls of one verb for one link of one cluster. Before each batch a line is on disk
// that says what is about to be sent, and after it one with its report. A process that takes the file up
// again knows what was accepted, what may have been, and what is still to be sent: see the example.
//
// The file holds names of topics and what servers said of them, no credentials. It is for one process at a
// time, which its lock sees to.
package job

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

var (
	// ErrFinished says that the job of the file was finished: take another file for another job. Read reads it.
	ErrFinished = errors.New("the job is finished")
	// ErrAnotherJob says that a call, or a report, is about another cluster, link or verb than the job.
	ErrAnotherJob = errors.New("another job")
	// ErrInUse says that another process, or another Journal of this one, has the file.
	ErrInUse = errors.New("the journal is in use")
)

const (
	// version is that of a line's form.
	version = 1
	// opening is how each line begins. A file that does not, and has no whole line, is somebody else's.
	opening = `{"version":1,"at":"`
)

// line is one line of the file. Exactly one of its members beside the first two is set.
type line struct {
	Version int       `json:"version"`
	At      time.Time `json:"at"`

	Job      *job           `json:"job,omitempty"`     // the first line
	Sending  *mirror.Batch  `json:"sending,omitempty"` // a batch that is about to be sent
	Answered *answered      `json:"answered,omitempty"`
	Settled  *mirror.Report `json:"settled,omitempty"`  // its results that are settled
	Finished bool           `json:"finished,omitempty"` // the last line
}

// report is what the line says of topics; nil if it says nothing of any.
func (l *line) report() *mirror.Report {
	switch {
	case l.Sending != nil:
		return l.Sending.Unanswered()
	case l.Answered != nil:
		return l.Answered.Report
	}
	return l.Settled
}

// job is what a file is about.
type job struct {
	ClusterID string      `json:"cluster_id"`
	Link      string      `json:"link"`
	Verb      mirror.Verb `json:"verb"`
}

func jobOf(r *mirror.Report) job { return job{r.ClusterID, r.Link, r.Verb} }

// answered is what became of a batch.
type answered struct {
	Run    string         `json:"run"`
	Batch  int            `json:"batch"`
	Report *mirror.Report `json:"report"`
}

// file is what a Journal needs of an os.File.
type file interface {
	io.WriterAt
	Sync() error
	Truncate(size int64) error
	Close() error
}

// A Journal is the open file of a job. It is safe for concurrent use.
type Journal struct {
	path string
	torn bool

	mu      sync.Mutex
	file    file
	size    int64 // of what is whole
	broken  error // why nothing can be written any more
	job     *job
	pattern string           // of the calls by pattern; "" before the first
	reports []*mirror.Report // of batches, and of what was settled, in the order of the file
	open    map[batchID]int  // the places of those that have no answer yet
	done    bool             // it is finished
}

type batchID struct {
	run   string
	batch int
}

// Open opens the journal of a job, which is made if it is not there, with mode 0600. It locks the file:
// while another process has it, the error matches ErrInUse. A last line that was not written to its end,
// as a kill or a full disk leaves it, is dropped, and Torn says so; any other damage is an error that names
// the line, and leaves the file as it is, as does a file that is no journal. The journal of a finished job gives
// ErrFinished. Where the system has no way to lock, the error matches errors.ErrUnsupported.
func Open(path string) (*Journal, error) {
	f, err := openLocked(path)
	if err != nil {
		return nil, fmt.Errorf("journal %s: %w", path, err)
	}
	j := &Journal{path: path, file: f, open: map[batchID]int{}}
	text, err := readAll(f)
	if err == nil {
		err = j.takeAll(text)
	}
	if err == nil && j.torn {
		err = errors.Join(f.Truncate(j.size), f.Sync())
	}
	if err == nil && j.done {
		err = ErrFinished
	}
	if err != nil {
		return nil, fmt.Errorf("journal %s: %w", path, errors.Join(err, f.Close()))
	}
	return j, nil
}

// readAll reads a file, which must be one that keeps what is written to it: not a pipe, and not a device.
func readAll(f *os.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	return io.ReadAll(f)
}

// Read returns what Report would, of a journal that is finished or that another process has open. It changes
// nothing, and takes no lock.
func Read(path string) (*mirror.Report, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the path is the caller's
	if err != nil {
		return nil, err
	}
	j := &Journal{path: path, open: map[batchID]int{}}
	if err := j.takeAll(text); err != nil {
		return nil, fmt.Errorf("journal %s: %w", path, err)
	}
	return j.Report()
}

// takeAll takes in the lines of a file, as far as they are whole.
func (j *Journal) takeAll(text []byte) error {
	whole := bytes.LastIndexByte(text, '\n') + 1
	n := 0
	for one := range bytes.Lines(text[:whole]) {
		n++
		var l line
		if err := json.Unmarshal(one, &l); err != nil {
			return fmt.Errorf("line %d is damaged: %w", n, err)
		}
		if l.Version != version {
			return fmt.Errorf("line %d has version %d, and this library reads version %d", n, l.Version, version)
		}
		if err := j.take(&l); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	tail := text[whole:]
	if start := min(len(tail), len(opening)); n == 0 && string(tail[:start]) != opening[:start] {
		return errors.New("line 1 is damaged: it does not begin as a journal does")
	}
	j.size, j.torn = int64(whole), len(tail) > 0
	return nil
}

// take takes in what a line says.
func (j *Journal) take(l *line) error {
	r := l.report()
	switch {
	case j.done:
		return errors.New("there is something after the end of the job")
	case l.Job != nil:
		if j.job != nil {
			return errors.New("there is a second job")
		}
		if l.Job.ClusterID == "" || l.Job.Link == "" || l.Job.Verb == "" {
			return errors.New("the job lacks its cluster, link or verb")
		}
		j.job = l.Job
	case j.job == nil:
		return errors.New("the job is not said")
	case r == nil && l.Finished:
		j.done = true
	case r == nil:
		return errors.New("it says nothing")
	case jobOf(r) != *j.job || j.otherPattern(r.Pattern):
		return errors.New("it is about another job")
	case l.Sending != nil:
		j.pattern = cmp.Or(j.pattern, r.Pattern)
		j.open[batchID{l.Sending.Run.ID, l.Sending.Index}] = len(j.reports)
		j.reports = append(j.reports, r)
	case l.Answered != nil:
		id := batchID{l.Answered.Run, l.Answered.Batch}
		place, sent := j.open[id]
		if !sent {
			return errors.New("it answers a batch that was not sent")
		}
		delete(j.open, id)
		j.reports[place] = r
	default:
		j.reports = append(j.reports, r)
	}
	return nil
}

// otherPattern tells whether the job's pattern is another one: what two patterns cover cannot be told apart.
func (j *Journal) otherPattern(p string) bool { return p != "" && j.pattern != "" && p != j.pattern }

// write puts a line on disk, and takes it in.
func (j *Journal) write(l line) error {
	if j.broken != nil {
		return j.broken
	}
	l.Version, l.At = version, time.Now().UTC()
	text, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("journal %s: %w", j.path, err)
	}
	text = append(text, '\n')
	if _, err = j.file.WriteAt(text, j.size); err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		err = fmt.Errorf("journal %s could not be written: %w", j.path, err)
		if back := errors.Join(j.file.Truncate(j.size), j.file.Sync()); back != nil {
			j.broken = errors.Join(err, back) // what is left of this line would stand behind the next
		}
		return err
	}
	j.size += int64(len(text))
	return j.take(&l)
}

// Torn tells whether Open dropped a last line that was not written to its end.
func (j *Journal) Torn() bool { return j.torn }

// Attach returns a Config whose hooks write the journal: a line before each batch, which is on disk before
// the request goes out, and one after it with its report. They go between the Config's own: BeforeBatch, the
// line, the request, the line, AfterBatch. A call about another cluster, link or verb than the job's, or with
// another pattern, is refused before anything is sent; the first call says what they are. Dry runs are not written.
func (j *Journal) Attach(cfg mirror.Config) mirror.Config {
	before, after := cfg.BeforeBatch, cfg.AfterBatch
	cfg.BeforeBatch = func(ctx context.Context, b mirror.Batch) error {
		if before != nil {
			if err := before(ctx, b); err != nil {
				return err
			}
		}
		if b.DryRun {
			return nil
		}
		return j.sending(b)
	}
	cfg.AfterBatch = func(ctx context.Context, b mirror.Batch, r *mirror.Report) error {
		var err error
		if !b.DryRun {
			err = j.answered(b, r)
		}
		if after != nil {
			err = errors.Join(err, after(ctx, b, r))
		}
		return err
	}
	return cfg
}

func (j *Journal) sending(b mirror.Batch) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	this := job{b.ClusterID, b.Link, b.Verb}
	switch {
	case j.done:
		return fmt.Errorf("journal %s: %w", j.path, ErrFinished)
	case j.job == nil:
		if err := j.write(line{Job: &this}); err != nil {
			return err
		}
	case *j.job != this:
		return fmt.Errorf("%w: journal %s is of %s on link %q of cluster %q, not of %s on link %q of cluster %q",
			ErrAnotherJob, j.path, j.job.Verb, j.job.Link, j.job.ClusterID, b.Verb, b.Link, b.ClusterID)
	case j.otherPattern(b.Pattern):
		return fmt.Errorf("%w: journal %s is of pattern %q, not of %q", ErrAnotherJob, j.path, j.pattern, b.Pattern)
	}
	return j.write(line{Sending: &b})
}

func (j *Journal) answered(b mirror.Batch, r *mirror.Report) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.write(line{Answered: &answered{b.Run.ID, b.Index, r}})
}

// Report returns what is known of the job, all its runs in order: a batch has its report, and one that never
// got an answer is Unknown. Before the first batch it is an empty report. It is the caller's own.
func (j *Journal) Report() (*mirror.Report, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	whole := &mirror.Report{}
	if j.job == nil {
		return whole, nil
	}
	whole.ClusterID, whole.Link, whole.Verb = j.job.ClusterID, j.job.Link, j.job.Verb
	for _, r := range j.reports {
		if err := whole.Merge(r); err != nil {
			return nil, fmt.Errorf("journal %s: %w", j.path, err)
		}
	}
	return whole, nil
}

// Settle writes down what was found out about topics that were open: those results of the report that are
// settled, by Progress.Report or Report.Settle. Without any it writes nothing.
func (j *Journal) Settle(r *mirror.Report) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.job == nil || r == nil || *j.job != jobOf(r) {
		return fmt.Errorf("%w: the report is not of the job of journal %s", ErrAnotherJob, j.path)
	}
	results := slices.DeleteFunc(slices.Clone(r.Results), func(one mirror.Result) bool { return one.Settled == nil })
	if len(results) == 0 {
		return nil
	}
	return j.write(line{Settled: &mirror.Report{ClusterID: r.ClusterID, Link: r.Link, Verb: r.Verb, Results: results}})
}

// Finish writes that the job is finished: the file will not be taken up again.
func (j *Journal) Finish() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.done:
		return nil
	case j.job == nil:
		return fmt.Errorf("journal %s has no job to finish", j.path)
	}
	return j.write(line{Finished: true})
}

// Close closes the file and gives up its lock. Nothing can be written any more.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken == nil {
		j.broken = fmt.Errorf("journal %s: %w", j.path, os.ErrClosed)
	}
	return j.file.Close()
}
