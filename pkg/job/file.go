package job

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

const version = 1

// opening is the beginning of each line after the checksum.
var opening = []byte(` {"at":"`)

// line is one line of the file. The checksum of its JSON stands before the JSON.
type line struct {
	At          time.Time      `json:"at"`
	Kind        kind           `json:"kind"`
	Version     int            `json:"version,omitempty"`      // of a plan
	MaxMessages int64          `json:"max_messages,omitempty"` // of a plan
	Batch       *mirror.Batch  `json:"batch,omitempty"`
	Report      *mirror.Report `json:"report,omitempty"`
	Why         string         `json:"why,omitempty"` // the job was finished
}

type kind string

const (
	isPlan     kind = "plan"     // the first line: the dry run
	isSending  kind = "sending"  // a batch is about to be sent
	isAnswered kind = "answered" // the report of a batch
	isFound    kind = "found"    // topics that were settled, or had stopped before they were sent
	isFinished kind = "finished" // nothing more is sent
)

// members are whether each kind of line has a batch and a report.
var members = map[kind][2]bool{
	isPlan: {false, true}, isSending: {true, false}, isAnswered: {true, true}, isFound: {false, true}, isFinished: {},
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errDamaged = errors.New("is damaged: it does not fit its checksum")

func (l *line) encode() ([]byte, error) {
	text, err := json.Marshal(l)
	return fmt.Appendf(nil, "%08x %s\n", crc32.Checksum(text, castagnoli), text), err
}

func decode(text []byte) (*line, error) {
	sum, text, _ := bytes.Cut(bytes.TrimSuffix(text, []byte("\n")), []byte(" "))
	if string(sum) != fmt.Sprintf("%08x", crc32.Checksum(text, castagnoli)) {
		return nil, errDamaged
	}
	l := &line{}
	if err := jsonv2.Unmarshal(text, l, jsonv2.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	return l, nil
}

// isBeginning returns whether text may be the beginning of a first line. It begins like a line, or with NULs.
func isBeginning(text []byte) bool {
	sum, rest := text[:min(8, len(text))], text[min(8, len(text)):]
	return len(bytes.Trim(sum, "\x000123456789abcdef")) == 0 &&
		(bytes.HasPrefix(opening, rest) || bytes.HasPrefix(rest, opening) || rest[0] == 0)
}

// file is the part of os.File that a Job uses.
type file interface {
	io.Reader
	io.WriterAt
	Stat() (fs.FileInfo, error)
	Sync() error
	Truncate(size int64) error
	Close() error
}

// onlyRegular returns an error if the path has no file, or a file that is not regular, such as a pipe.
func onlyRegular(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrNoJob, err)
	}
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	return err
}

// read applies the lines of a file. A damaged last line is dropped. Each line is synced before anything else happens,
// so nothing followed the damaged line.
func (j *Job) read(text []byte) error {
	n := 0
	for one := range bytes.Lines(text) {
		n++
		end := j.size + int64(len(one))
		l, err := decode(one)
		switch last := end == int64(len(text)); {
		case last && n == 1 && errors.Is(err, errDamaged) && isBeginning(one):
			return ErrNoJob
		case last && n > 1 && errors.Is(err, errDamaged):
			j.dropped = fmt.Sprintf("line %d was not written to its end, as after a power loss, and was dropped", n)
			return nil
		case err != nil:
			return fmt.Errorf("line %d %w", n, err)
		}
		if err := j.check(l); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		j.take(l)
		j.size = end
	}
	if n == 0 {
		return ErrNoJob
	}
	return nil
}

// repair repairs the end of a file after read.
func (j *Job) repair(text []byte) error {
	var err error
	if j.dropped != "" || j.size == 0 {
		err = j.file.Truncate(j.size)
	} else if !bytes.HasSuffix(text, []byte("\n")) {
		_, err = j.file.WriteAt([]byte("\n"), j.size)
		j.size++
	}
	if err = errors.Join(err, j.file.Sync()); err != nil || j.dropped == "" || j.finished != nil {
		return err
	}
	if j.plan.Verb == mirror.VerbTruncateAndRestore && !j.sending { // the line may have been a batch
		return j.write(&line{Kind: isFinished, Why: j.dropped})
	}
	return nil
}

// inPlace returns an error if the file at the path is no longer the open file, or has another size.
func (j *Job) inPlace(size int64) error {
	open, err := j.file.Stat()
	there, noPath := os.Stat(j.path)
	if err := errors.Join(err, noPath); err != nil {
		return fmt.Errorf("the file was removed or renamed: %w", err)
	}
	if !os.SameFile(open, there) || there.Size() != size {
		return fmt.Errorf("something else has replaced the file, or changed it from %d to %d bytes", size, there.Size())
	}
	return nil
}

// write checks a line, writes and syncs the line, and applies the line. An error leaves the file unchanged.
func (j *Job) write(l *line) error {
	l.At = time.Now().UTC()
	if j.broken != nil {
		return j.broken
	}
	if err := j.check(l); err != nil {
		return err
	}
	if err := j.inPlace(j.size); err != nil {
		return err
	}
	text, err := l.encode()
	if err != nil {
		return err
	}
	if _, err = j.file.WriteAt(text, j.size); err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		err = fmt.Errorf("it could not be written: %w", err)
		if back := errors.Join(j.file.Truncate(j.size), j.file.Sync()); back != nil {
			j.broken = errors.Join(err, back)
		}
		return err
	}
	j.size += int64(len(text))
	j.take(l)
	return nil
}

// batchID identifies a batch.
func batchID(b *mirror.Batch) mirror.Send { return mirror.Send{Run: b.Run, Batch: b.Index} }

// report returns the report in a line. A batch before its answer is a report of Unknown topics.
func (l *line) report() *mirror.Report {
	if l.Kind == isSending {
		return mirror.UnknownReport(*l.Batch, l.At)
	}
	return l.Report
}

// check returns why a line may not follow the lines before it.
func (j *Job) check(l *line) error {
	has, known := members[l.Kind]
	switch {
	case !known || has != [2]bool{l.Batch != nil, l.Report != nil}:
		return fmt.Errorf("it has the wrong members for a line of kind %q", l.Kind)
	case (l.Kind == isPlan) != (j.plan == nil):
		return errors.New("the first line has the plan, and no other line has")
	case l.Kind == isPlan && l.Version != version:
		return fmt.Errorf("it has version %d, and this library reads version %d", l.Version, version)
	case j.finished != nil && l.Kind != isFound:
		return ErrFinished
	case l.Kind == isPlan, l.Kind == isFinished:
		return nil
	}
	r := l.report()
	if r.ClusterID != j.plan.ClusterID || r.Link != j.plan.Link || r.Verb != j.plan.Verb {
		return fmt.Errorf("%w: it is about %s on link %q of cluster %q", ErrAnotherJob, r.Verb, r.Link, r.ClusterID)
	}
	for _, res := range r.Results {
		if sent, planned := j.sent[res.Topic]; !planned {
			return fmt.Errorf("%w: topic %q is not in the plan", ErrAnotherJob, res.Topic)
		} else if sent && l.Kind == isSending && r.Verb == mirror.VerbTruncateAndRestore {
			return fmt.Errorf("topic %q was sent before, and truncate-and-restore sends a topic once", res.Topic)
		}
	}
	if l.Kind == isFound {
		return nil
	}
	place, begun := j.batches[batchID(l.Batch)]
	sorted := func(r *mirror.Report) []string { return slices.Sorted(slices.Values(topics(r))) }
	switch {
	case l.Kind == isSending && begun:
		return errors.New("the batch was begun before")
	case l.Kind == isAnswered && (!begun || place < 0):
		return errors.New("it answers a batch that is not under way")
	case l.Kind == isAnswered && !slices.Equal(sorted(r), sorted(j.reports[place])):
		return errors.New("it answers a batch of other topics")
	}
	return nil
}

// topics returns the topics of a report.
func topics(r *mirror.Report) (names []string) {
	for _, res := range r.Results {
		names = append(names, res.Topic)
	}
	return names
}

// take applies a line that was checked.
func (j *Job) take(l *line) {
	j.sending = l.Kind == isSending
	switch l.Kind {
	case isPlan:
		j.plan, j.MaxMessages = l.Report, l.MaxMessages
		first := j.reportOf(nil)
		for _, name := range j.plan.Topics(mirror.Accepted) {
			j.sent[name] = false
			first.Results = append(first.Results, mirror.Result{
				Topic: name, Outcome: mirror.Untouched, Why: "it was not sent yet", MessagesTruncated: -1,
			})
		}
		j.reports = append(j.reports, first)
	case isSending:
		j.batches[batchID(l.Batch)] = len(j.reports)
		for _, name := range l.Batch.Topics {
			j.sent[name] = true
		}
		j.reports = append(j.reports, l.report())
	case isAnswered:
		id := batchID(l.Batch)
		j.reports[j.batches[id]], j.batches[id] = l.Report, -1
	case isFound:
		j.reports = append(j.reports, l.Report)
	case isFinished:
		j.finished = l
	}
}

// reportOf returns a report of the job with these results.
func (j *Job) reportOf(results []mirror.Result) *mirror.Report {
	return &mirror.Report{Verb: j.plan.Verb, ClusterID: j.plan.ClusterID, Link: j.plan.Link, Results: results}
}
