package mirror

import (
	"fmt"
	"slices"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

// Merge adds to r what another report says, about the same cluster, link and verb: of topics that were sent
// again, or of the next batches of a journal. The zero Report becomes what the other one is about. A dry run
// merges with dry runs only. Where the two are
// not about the same it returns an error that matches ErrInvalidArgument, and r stays as it was. The
// other report is not changed.
//
// For a topic in both, Accepted stands before Unknown, Unknown before Failed, and Failed before
// Untouched; of two alike the later one stands, but of two that are Accepted or Untouched the first. Of a
// topic that was settled as Failed or Untouched, and one that is Unknown, the one that was sent last stands;
// of the same request it is the settled one.
// So a refusal after Unknown leaves the topic Unknown: the first request may have done what the second
// was refused for. What a refusal said that does not stand is kept in the Notes. A topic that is
// Untouched in one report and in an unexpected row of the other is Unknown, and so is one that is Failed
// if the row does not refuse it; of unexpected rows beyond the 1000 that are kept, this is not known.
//
// A call by pattern that left topics Unaccounted as Unknown stays so, whatever another call brings. Of
// the runs' own errors none is lost. Attempts are known by run, batch and number, and are there once,
// with the unexpected rows that they brought. The grouping of merges does not matter, for outcomes
// their order does not either, and merging a report twice changes nothing.
//
// Merge takes time in proportion to the other report, and the first one to both. Results must not be
// reordered or removed between merges.
func (r *Report) Merge(other *Report) error {
	bad := &argumentError{}
	if r == nil || other == nil {
		bad.add("Merge", "there is no report")
		return bad
	}
	if r == other {
		return nil
	}
	if r.Verb == "" && r.ClusterID == "" && r.Link == "" && len(r.Results) == 0 {
		r.Verb, r.ClusterID, r.Link, r.DryRun = other.Verb, other.ClusterID, other.Link, other.DryRun
	}
	for _, c := range []struct{ what, ours, theirs string }{
		{"verb", string(r.Verb), string(other.Verb)},
		{"cluster", r.ClusterID, other.ClusterID},
		{"link", r.Link, other.Link},
		{"dry run", fmt.Sprint(r.DryRun), fmt.Sprint(other.DryRun)},
	} {
		if c.ours != c.theirs {
			bad.add("Merge", "the reports differ in %s: %s and %s", c.what, text.Quote(c.ours), text.Quote(c.theirs))
		}
	}
	if r.Pattern != "" && other.Pattern != "" && r.Pattern != other.Pattern {
		bad.add("Merge", "the reports differ in pattern: %s and %s",
			text.Quote(r.Pattern), text.Quote(other.Pattern))
	}
	if err := bad.err(); err != nil {
		return err
	}
	x := r.indexed()
	for i := range other.Results {
		theirs := &other.Results[i]
		place, known := x.places[theirs.Topic]
		if !known {
			place = len(r.Results)
			x.places[theirs.Topic] = place
			r.Results = append(r.Results, theirs.clone())
		} else {
			x.open -= r.Results[place].open()
			r.Results[place] = mergeResults(r.Results[place], *theirs)
		}
		r.Results[place].contradict(x.unexpected[theirs.Topic])
		x.open += r.Results[place].open()
	}
	r.mergeAttempts(other)
	if r.unaccountedRank() < other.unaccountedRank() {
		r.Unaccounted, r.unaccountedFor = other.Unaccounted, other.unaccountedFor
	}
	if r.Pattern == "" {
		r.Pattern = other.Pattern
	}
	switch {
	case r.Next == "":
		r.Next = other.Next
	case other.Next != "" && other.Next != r.Next:
		r.addProblem(goesOn(other.Next))
	}
	for _, p := range other.problems {
		r.addProblem(p)
	}
	r.Complete = r.closed(x.open)
	return nil
}

// addProblem adds an error of the run, unless there is one that says the same.
func (r *Report) addProblem(p error) {
	if text := p.Error(); !r.index.problems[text] {
		r.index.problems[text] = true
		r.problems = append(r.problems, p)
	}
}

// indexed returns the report's index, which is made anew if the report is not as the last merge left
// it.
func (r *Report) indexed() *mergeIndex {
	x := r.index
	last := len(r.Results) - 1
	if x != nil && x.owner == r && len(x.places) == len(r.Results) && len(x.attempts) == len(r.Attempts) &&
		(last < 0 || x.places[r.Results[last].Topic] == last) {
		return x
	}
	x = &mergeIndex{
		owner:      r,
		places:     make(map[string]int, len(r.Results)),
		attempts:   make(map[attemptID]bool, len(r.Attempts)),
		problems:   make(map[string]bool, len(r.problems)),
		unexpected: map[string][]Outcome{},
	}
	// A copy of the report may share these.
	r.Results, r.Attempts, r.Unexpected = slices.Clone(r.Results), slices.Clone(r.Attempts), slices.Clone(r.Unexpected)
	r.problems = slices.Clone(r.problems)
	for i := range r.Results {
		x.places[r.Results[i].Topic] = i
		x.open += r.Results[i].open()
	}
	for i := range r.Attempts {
		x.attempts[r.Attempts[i].id()] = true
	}
	for _, p := range r.problems {
		x.problems[p.Error()] = true
	}
	for i := range r.Unexpected {
		x.addUnexpected(&r.Unexpected[i])
	}
	r.index = x
	return x
}

func (x *mergeIndex) addUnexpected(row *Result) {
	if row.Topic != "" && !slices.Contains(x.unexpected[row.Topic], row.Outcome) {
		x.unexpected[row.Topic] = append(x.unexpected[row.Topic], row.Outcome)
	}
}

// Why a topic is Unknown that only an unexpected row is about. Any other reason tells more.
var (
	errSaidElsewhere    = cause("an answer that was about other topics has a row for this one", nil)
	errRefusedElsewhere = cause("an answer that was about other topics refuses this one", nil)
)

// because tells whether the result is Unknown for the given reason, also after a way through JSON.
func (r *Result) because(why error) bool {
	return r.Outcome == Unknown && r.cause != nil && r.cause.Error() == why.Error()
}

// contradict makes a topic Unknown that unexpected rows are about, if it is Untouched, or Failed and
// one of them says otherwise. A refusal elsewhere says nothing against what was
// settled.
func (r *Result) contradict(rows []Outcome) {
	for _, o := range rows {
		switch {
		case o == Failed:
			if r.Outcome == Untouched && r.Settled == nil {
				r.Outcome, r.cause = Unknown, errRefusedElsewhere
			}
		case r.Outcome == Untouched, r.Outcome == Failed, r.because(errRefusedElsewhere):
			if r.Settled != nil { // it is open again, for the reason that it was before
				r.Outcome, r.Code, r.Message, r.cause, r.Settled = Unknown, 0, "", cause(r.Settled.Because, nil), nil
				continue
			}
			if r.Outcome == Failed {
				r.note(r.refusalNote())
			}
			r.Outcome, r.Code, r.Message, r.cause = Unknown, 0, "", errSaidElsewhere
		}
	}
}

// mergeAttempts adds the attempts that the report does not have, with the unexpected rows that they
// brought.
func (r *Report) mergeAttempts(other *Report) {
	rows := other.Unexpected
	for _, a := range other.Attempts {
		its := rows[:max(0, min(a.Unexpected, len(rows)))]
		rows = rows[len(its):]
		if r.index.attempts[a.id()] {
			continue
		}
		r.index.attempts[a.id()] = true
		r.Attempts = append(r.Attempts, a)
		r.UnexpectedCount += a.Unexpected
		r.mergeUnexpected(its)
	}
	for _, row := range rows { // of a report that was not made by a call
		same := func(u Result) bool { return u.Topic == row.Topic && u.says(row) }
		if !slices.ContainsFunc(r.Unexpected, same) {
			r.UnexpectedCount++
			r.mergeUnexpected([]Result{row})
		}
	}
	r.UnexpectedCount = max(r.UnexpectedCount, other.UnexpectedCount)
}

// mergeUnexpected keeps the rows, and lets them bear on the topics that they are about.
func (r *Report) mergeUnexpected(rows []Result) {
	r.addUnexpected(rows)
	for i := range rows {
		r.index.addUnexpected(&rows[i])
		if place, known := r.index.places[rows[i].Topic]; known {
			r.index.open -= r.Results[place].open()
			r.Results[place].contradict(r.index.unexpected[rows[i].Topic])
			r.index.open += r.Results[place].open()
		}
	}
}

// standsOver tells whether the later of two results stands. Of those that leave a topic open, and those
// that were settled otherwise than as Accepted, it is the one that was sent last; of a request that was
// settled and the same one open, the settled one.
func (r *Result) standsOver(earlier Result) bool {
	ours, theirs := r.rank(), earlier.rank()
	switch {
	case ours != theirs:
		return ours > theirs
	case ours != rankOpen:
		return r.Outcome == Failed || r.because(errRefusedElsewhere) || r.because(errSaidElsewhere)
	case !r.Sent.Equal(earlier.Sent):
		return r.Sent.After(earlier.Sent)
	case (r.Settled != nil) != (earlier.Settled != nil):
		return r.Settled != nil
	case r.Settled != nil && !r.Settled.At.Equal(earlier.Settled.At):
		return r.Settled.At.After(earlier.Settled.At)
	}
	return true
}

// rankOpen is the rank of what is open, or was until it was settled.
const rankOpen = 4

// rank orders results by which of two stands.
func (r *Result) rank() int {
	switch {
	case r.Settled != nil && r.Outcome != Accepted:
		return rankOpen
	case r.Outcome == Untouched:
		return 0
	case r.because(errRefusedElsewhere):
		return 1
	case r.Outcome == Failed:
		return 2
	case r.because(errSaidElsewhere):
		return 3
	case r.Outcome == Unknown:
		return rankOpen
	}
	return 5
}

// mergeResults returns what two reports, one after the other, say about a topic.
func mergeResults(a, b Result) Result {
	stands, other := a, b
	if b.standsOver(a) {
		stands, other = b, a
	}
	notes := slices.Clip(b.Notes)
	if other.Outcome == Failed && other.Settled == nil {
		notes = append(notes, other.refusalNote())
	}
	if a.Outcome == Accepted && b.Outcome == Accepted && a.Truncation() != b.Truncation() {
		notes = append(notes, "two calls say different things about what is truncated")
	}
	stands.Notes = slices.Clip(a.Notes)
	for _, n := range notes {
		stands.note(n)
	}
	if stands.Outcome == Failed {
		own := stands.refusalNote()
		stands.Notes = slices.DeleteFunc(slices.Clone(stands.Notes), func(n string) bool { return n == own })
	}
	return stands
}

// refusalNote is what is kept of a refusal that does not stand.
func (r Result) refusalNote() string {
	return "a call was refused for this topic: " + codeAndMessage(r.Code, r.Message)
}

// unaccountedRank orders what is known of topics without a Result: a call by pattern that was
// answered to its end stands before one that was refused, and one of unknown outcome before both.
func (r *Report) unaccountedRank() int {
	switch {
	case r.Unaccounted == UnaccountedUnknown:
		return 4
	case r.Unaccounted == UnaccountedNone && r.Pattern != "":
		return 3
	case r.Unaccounted == UnaccountedUntouched && r.Pattern != "":
		return 2
	case r.Unaccounted == UnaccountedUntouched:
		return 1
	}
	return 0
}

func (a *Attempt) id() attemptID {
	id := attemptID{run: a.Run.ID, batch: a.Batch, number: a.Number}
	if id.run == "" {
		id.start = a.Start.UnixNano()
	}
	return id
}
