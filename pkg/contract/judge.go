package contract

import (
	"fmt"
	"sync"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

// maxFindings bounds what is told of one request or one answer, for each severity.
const maxFindings = 100

// judge collects what is found about a request or an answer.
type judge struct {
	request  bool
	status   int
	strict   bool
	findings []Finding
	counts   [Violation + 1]int
}

// at notes a finding about a value, or about the whole if that is nil. It returns errEnough once there
// are more violations than are told.
func (j *judge) at(rule string, s Severity, t *tree, format string, args ...any) error {
	if j.request && rule == RuleSchema {
		rule = RuleRequest
	}
	if s == Drift && j.strict {
		s = Violation
	}
	if j.counts[s]++; j.counts[s] <= maxFindings {
		j.findings = append(j.findings, Finding{
			Rule: rule, Severity: s, Pointer: t.pointer(), Request: j.request, Status: j.status,
			Detail: text.Line(fmt.Sprintf(format, args...), 512),
		})
	}
	if j.counts[Violation] > maxFindings {
		return errEnough
	}
	return nil
}

// about finds something about the whole.
func (j *judge) about(rule string, s Severity, format string, args ...any) {
	_ = j.at(rule, s, nil, format, args...) // there are few of these
}

// unchecked says why a body was not checked.
func (j *judge) unchecked(err error) {
	j.about(RuleUnchecked, Note, "the body could not be checked: %s", text.Line(err.Error(), 100))
}

// all returns the findings.
func (j *judge) all() []Finding {
	for _, n := range j.counts {
		if n > maxFindings {
			j.findings = append(j.findings, Finding{
				Rule: RuleUnchecked, Severity: Note, Request: j.request, Status: j.status, Detail: "and more",
			})
			break
		}
	}
	return j.findings
}

// outbox hands out findings one at a time.
type outbox struct {
	found func(Finding)

	mu      sync.Mutex
	waiting []Finding
	busy    bool
}

// send hands out findings. While found is running, in another goroutine or further up in this one,
// they wait for that call to hand them out.
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
