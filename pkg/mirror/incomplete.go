package mirror

import (
	"fmt"

	printable "github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

// An IncompleteError says that a call fell short of 'all accepted'. Every error that a Client's
// verb returns is one, bad arguments included, so that errors.As gets at the report anywhere up
// the stack.
type IncompleteError struct {
	// Report is the report that the verb returned beside the error; not nil in an error that the
	// library returned.
	Report *Report

	causes []error
}

// Error gives the counts and the first cause on one printable line.
func (e *IncompleteError) Error() string {
	s := "not all accepted"
	if e.Report != nil {
		s = e.Report.String()
	}
	if len(e.causes) > 0 {
		s += ": " + e.causes[0].Error()
	}
	if n := len(e.causes) - 1; n > 0 {
		s += fmt.Sprintf(" (and %s)", count(n, "other cause"))
	}
	return s
}

// Unwrap returns the distinct causes: what was wrong with the run first, then why topics are Unknown
// or Untouched, then the refusals, each in the order asked. A cause that many topics share is there
// once.
func (e *IncompleteError) Unwrap() []error { return e.causes }

// Is makes the error match ErrOutcomeUnknown where a topic, named or not, may have been changed and
// the outcome is not known.
func (e *IncompleteError) Is(target error) bool {
	return target == ErrOutcomeUnknown && e.Report != nil && e.Report.unknown()
}

// Err returns nil only if every topic asked for was accepted, there was at least one, the answer
// was read to its end, and nothing unexpected was in it; otherwise it returns an
// *IncompleteError. It is the error that the verb returned.
func (r *Report) Err() error {
	e := &IncompleteError{Report: r}
	known := map[error]bool{}
	add := func(cause error) {
		if !known[cause] {
			known[cause] = true
			e.causes = append(e.causes, cause)
		}
	}
	for _, p := range r.runProblems() {
		add(p)
	}
	for _, failed := range []bool{false, true} {
		for i := range r.Results {
			if err := r.Results[i].Err(); err != nil && failed == (r.Results[i].Outcome == Failed) {
				add(err)
			}
		}
	}
	if len(e.causes) == 0 {
		if r.Complete {
			return nil
		}
		add(cause("the answer was not read to its end", ErrOutcomeUnknown))
	}
	return e
}

// runProblems returns the causes that are about the run and not about one topic alone.
func (r *Report) runProblems() []error {
	var problems []error
	if r.unaccountedFor != nil && (r.Pattern != "" || len(r.Results) == 0) {
		problems = append(problems, r.unaccountedFor)
	}
	problems = append(problems, r.problems...)
	if r.UnexpectedCount > 0 {
		text := "the answer has " + count(r.UnexpectedCount, "unexpected row")
		if len(r.Unexpected) > 0 {
			u := &r.Unexpected[0]
			if u.Topic != "" {
				text += ", the first about " + printable.Quote(u.Topic)
			}
			if len(u.Notes) > 0 {
				text += ": " + clean(u.Notes[0])
			}
		}
		problems = append(problems, cause(text, nil))
	}
	if r.Next != "" {
		problems = append(problems, goesOn(r.Next))
	}
	if len(r.Results) == 0 && len(problems) == 0 {
		problems = append(problems, cause("the server answered with no rows", ErrNoTopics))
	}
	return problems
}

// goesOn is the cause where metadata.next is set.
func goesOn(next string) error {
	return cause("the answer goes on at "+printable.Quote(next)+", so rows are missing", nil)
}

// unknown tells whether a topic, named or not, may have been changed and the outcome is not known.
func (r *Report) unknown() bool {
	return r.Count(Unknown) > 0 || r.Unaccounted == UnaccountedUnknown
}
