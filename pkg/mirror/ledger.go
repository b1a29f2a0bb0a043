package mirror

import (
	"fmt"
	"slices"
)

// How many rows a report keeps: of those that stand apart, and of those that differ for one topic.
const (
	maxUnexpected = 1000
	maxRows       = 10
)

// ledger fills in a Report. It is where every topic asked for gets its one outcome, and the only
// state of a call.
type ledger struct {
	report *Report
	index  map[string]int // topic to position in report.Results
	rows   []int          // how many rows came for each of report.Results
}

// newLedger opens the books: each topic asked for has its entry, and nothing has been done.
func newLedger(clusterID, link string, s Selection, dryRun bool) *ledger {
	l := &ledger{
		report: &Report{ClusterID: clusterID, Link: link, DryRun: dryRun, Pattern: s.expression(), Rest: Untouched},
		index:  map[string]int{},
	}
	if s.kind == selectTopics {
		l.index = make(map[string]int, len(s.names))
		l.report.Results = make([]Result, 0, len(s.names))
		for _, name := range s.names {
			if _, twice := l.index[name]; !twice {
				l.open(Result{Topic: name, Outcome: Untouched})
			}
		}
	}
	return l
}

// open adds an entry for a topic that has none.
func (l *ledger) open(r Result) int {
	i := len(l.report.Results)
	l.index[r.Topic] = i
	l.report.Results = append(l.report.Results, r)
	l.rows = append(l.rows, 0)
	return i
}

// enter books a row of an answer.
func (l *ledger) enter(r row) {
	if !r.named {
		l.setApart(r)
		return
	}
	i, asked := l.index[r.Topic]
	if !asked {
		// A pattern's topics are those that the answer names, but a name that no topic can have is
		// none of them.
		if l.report.Pattern == "" || !isTopicName(r.Topic) {
			r.note("nobody asked for this topic")
			l.setApart(r)
			return
		}
		i = l.open(Result{Topic: r.Topic})
	}
	have := &l.report.Results[i]
	if l.rows[i]++; l.rows[i] == 1 {
		r.Topic = have.Topic
		*have = r.Result
		return
	}
	defer have.note("the answer has more than one row for this topic")
	if len(have.Rows) == 0 {
		if have.says(r.Result) {
			return
		}
		have.Rows = []Result{have.withoutLists()}
	}
	if !slices.ContainsFunc(have.Rows, r.says) && len(have.Rows) < maxRows {
		have.Rows = append(have.Rows, r.withoutLists())
	}
	if r.Outcome != have.Rows[0].Outcome {
		have.Outcome, have.Code, have.Message = Unknown, 0, ""
		have.cause = cause("the answer has rows for this topic that disagree", nil)
	}
}

// says tells whether two rows give a topic the same verdict, in the same words.
func (r Result) says(other Result) bool {
	return r.Outcome == other.Outcome && r.Code == other.Code && r.Message == other.Message
}

// withoutLists returns the row without what may be long.
func (r Result) withoutLists() Result {
	r.Lags, r.Truncations, r.MessagesTruncated, r.Rows = nil, nil, nil, nil
	return r
}

func (l *ledger) setApart(r row) {
	l.report.UnexpectedCount++
	if len(l.report.Unexpected) < maxUnexpected {
		l.report.Unexpected = append(l.report.Unexpected, r.withoutLists())
	}
}

// settle gives every topic without a row its outcome, and the reason for it.
func (l *ledger) settle(o Outcome, why error) {
	for i := range l.report.Results {
		if l.rows[i] == 0 {
			l.report.Results[i].Outcome, l.report.Results[i].cause = o, why
		}
	}
	l.report.Rest = o
}

// problem books a cause that bears on the run, not on one topic alone.
func (l *ledger) problem(why error) {
	l.report.problems = append(l.report.problems, why)
}

// finish books what the answers held beside the topics asked for, and returns the report with its
// error.
func (l *ledger) finish() (*Report, error) {
	r := l.report
	if r.UnexpectedCount > 0 {
		first := "one has no name"
		if name := r.Unexpected[0].Topic; name != "" {
			first = "the first " + quote(name)
		}
		l.problem(cause(fmt.Sprintf("the answer has %s that nobody asked for, %s", count(r.UnexpectedCount, "row"), first), nil))
	}
	if r.Next != "" {
		l.problem(cause("the answer goes on at "+quote(r.Next)+", so rows are missing", nil))
	}
	if r.Complete || r.Pattern == "" {
		r.Rest = Accepted
	}
	if r.Complete && r.Pattern != "" && len(r.Results) == 0 {
		l.problem(cause("the server answered with no rows", ErrNoTopics))
	}
	return r, r.Err()
}
