package contract

import (
	"fmt"
	"regexp"
	"slices"
	"sync"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

const (
	// maxFindings bounds the findings of one request or one response, for each severity.
	maxFindings = 100
	// maxViolations bounds the counted violations of one request or one response.
	maxViolations = 1000
)

// judge collects the findings about a request or a response.
type judge struct {
	about      Finding // the members that all findings share
	strict     bool
	findings   []Finding
	index      map[Finding]int // of each kind in findings
	counts     [Violation + 1]int
	violations int
}

// at notes a finding about a value, or about the whole if t is nil. It returns errEnough when no more violations are
// counted.
func (j *judge) at(rule string, s Severity, t *tree, format string, args ...any) error {
	return j.atPointer(rule, s, t.pointer(), format, args...)
}

func (j *judge) atPointer(rule string, s Severity, pointer, format string, args ...any) error {
	if j.about.Request && rule == RuleSchema {
		rule = RuleRequest
	}
	if s == Drift && j.strict {
		s = Violation
	}
	if s == Violation {
		j.violations++
	}
	f := j.about
	f.Rule, f.Severity, f.Pointer = rule, s, text.Line(pointer, 1024) // a body can be thousands of levels deep
	f.Detail, f.Count = text.Line(fmt.Sprintf(format, args...), 512), 1
	if i, isThere := j.index[f.kind()]; isThere {
		j.findings[i].Count++
	} else if j.counts[s]++; j.counts[s] <= maxFindings {
		if j.index == nil {
			j.index = map[Finding]int{}
		}
		j.index[f.kind()] = len(j.findings)
		j.findings = append(j.findings, f)
	}
	if j.counts[Violation] > maxFindings || j.violations >= maxViolations {
		return errEnough
	}
	return nil
}

// element matches the index of an array element in a pointer.
var element = regexp.MustCompile(`/\d+`)

// kind returns the finding without its place. Findings that differ only in their place have the same kind.
func (f Finding) kind() Finding {
	f.Pointer, f.Number, f.Count = element.ReplaceAllString(f.Pointer, "/*"), 0, 0
	return f
}

// whole notes a finding about the whole.
func (j *judge) whole(rule string, s Severity, format string, args ...any) {
	_ = j.at(rule, s, nil, format, args...) // few such findings exist
}

// unchecked notes why a body was not checked.
func (j *judge) unchecked(err error) {
	j.whole(RuleUnchecked, Note, "the body could not be checked: %s", text.Line(err.Error(), 100))
}

// all returns the findings.
func (j *judge) all() []Finding {
	if j.violations < maxViolations && slices.Max(j.counts[:]) <= maxFindings {
		return j.findings
	}
	more := j.about
	more.Rule, more.Severity, more.Detail, more.Count = RuleUnchecked, Note, "and more", 1
	return append(j.findings, more)
}

// outbox passes on findings one at a time.
type outbox struct {
	found func(Finding)

	mu      sync.Mutex
	waiting []Finding
	busy    bool
}

// send passes on findings. If found is running, in another goroutine or further up the stack, the findings wait for
// the running send.
func (o *outbox) send(findings []Finding) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiting = append(o.waiting, findings...)
	if o.busy {
		return
	}
	o.busy = true
	defer func() { o.busy = false }() // found may end the goroutine
	for len(o.waiting) > 0 {
		next := o.waiting[0]
		o.waiting = o.waiting[1:]
		func() {
			o.mu.Unlock()
			defer o.mu.Lock()
			o.found(next)
		}()
	}
}
