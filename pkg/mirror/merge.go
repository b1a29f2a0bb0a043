package mirror

import (
	"fmt"
	"slices"
)

// Merge enters in r what a later report says, about the same cluster and link: of topics that were
// sent again, or of the next batches of a journal. A dry run merges with dry runs only. Where the
// two are not about the same it returns an error that matches ErrInvalidArgument, and r stays as it
// was. The later report is not changed.
//
// For a topic in both, the later result stands, but:
//
//   - Untouched replaces nothing, for nothing happened.
//   - Accepted is not replaced; what the later report says otherwise is kept in Rows.
//   - A refusal after Unknown leaves it Unknown, with both causes: the first attempt may have done
//     what the second was refused for.
func (r *Report) Merge(later *Report) error {
	bad := &argumentError{}
	for _, c := range []struct {
		what        string
		ours, other any
	}{
		{"cluster", r.ClusterID, later.ClusterID}, {"link", r.Link, later.Link}, {"dry run", r.DryRun, later.DryRun},
	} {
		if c.ours != c.other {
			bad.add("Merge", "the reports differ in %s: %s and %s", c.what, quote(fmt.Sprint(c.ours)), quote(fmt.Sprint(c.other)))
		}
	}
	if r.Pattern != "" && later.Pattern != "" && r.Pattern != later.Pattern {
		bad.add("Merge", "the reports differ in pattern: %s and %s", quote(r.Pattern), quote(later.Pattern))
	}
	if err := bad.err(); err != nil {
		return err
	}
	index := make(map[string]int, len(r.Results))
	for i := range r.Results {
		index[r.Results[i].Topic] = i
	}
	for _, res := range later.Results {
		if i, known := index[res.Topic]; known {
			r.Results[i] = mergeResults(r.Results[i], res)
			continue
		}
		index[res.Topic] = len(r.Results)
		r.Results = append(r.Results, res)
	}
	for _, u := range later.Unexpected {
		if len(r.Unexpected) < maxUnexpected {
			r.Unexpected = append(r.Unexpected, u)
		}
	}
	r.UnexpectedCount += later.UnexpectedCount
	r.Attempts = append(r.Attempts, later.Attempts...)
	r.mergeRest(later)
	return nil
}

func mergeResults(was, is Result) Result {
	switch {
	case is.Outcome == Untouched:
		return was
	case was.Outcome == Accepted && is.Outcome != Accepted:
		was.beside(is)
		return was
	case was.Outcome == Unknown && is.Outcome == Failed:
		first := was.Err()
		was.beside(is)
		was.cause = &causeError{
			text: first.Error() + "; then: " + codeAndMessage(is.Code, is.Message),
			err:  &pair{first, is.Err()},
		}
		return was
	case was.Outcome == Accepted:
		return was
	}
	return is
}

// beside keeps a later result beside the one that stands.
func (r *Result) beside(later Result) {
	rows := r.Rows
	r.Rows = nil
	if len(rows) == 0 {
		rows = []Result{r.withoutLists()}
	}
	r.Rows = append(r.Rows, rows...)
	r.keep(later)
}

// pair is two causes below one text.
type pair [2]error

func (p *pair) Error() string   { return p[0].Error() + "; " + p[1].Error() }
func (p *pair) Unwrap() []error { return p[:] }

// mergeRest works out what is known of the whole, once the results are merged.
func (r *Report) mergeRest(later *Report) {
	switch {
	case later.Pattern != "" && (later.Complete || later.Rest == Unknown || r.Pattern == ""):
		r.Pattern, r.Complete, r.Rest, r.Next = later.Pattern, later.Complete, later.Rest, later.Next
	case r.Pattern == "":
		// Of topics asked for by name nothing is open once each has an answer of its own.
		r.Complete = len(r.Results) > 0 && r.Count(Unknown)+r.Count(Untouched) == 0
		r.Rest = Accepted
	}
	r.problems = slices.Concat(r.problems, later.problems)
	if r.Complete {
		r.problems, r.Next = nil, "" // what went wrong with the runs is of no account any more
	}
}
