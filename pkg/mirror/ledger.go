package mirror

import (
	"cmp"
	"slices"
)

// How many rows a report keeps: of those that stand apart, and of those that differ for one topic.
const (
	maxUnexpected = 1000
	maxRows       = 10
)

// ledger fills in a Report. It is where every topic asked for gets its one outcome, and the only
// state of a call. Its methods are for the caller's goroutine; what happens to a batch elsewhere is
// kept in a part until it is booked.
type ledger struct{ report *Report }

// newLedger opens the books: each topic asked for has its entry, and nothing has been done.
func newLedger(clusterID, link string, s Selection, dryRun bool) *ledger {
	r := &Report{ClusterID: clusterID, Link: link, DryRun: dryRun, Pattern: s.expression(), Complete: true, Rest: Untouched}
	if s.kind == selectTopics {
		r.Results = make([]Result, 0, len(s.names))
		seen := make(map[string]bool, len(s.names))
		for _, name := range s.names {
			if !seen[name] { // a call with a name twice is refused, but it has a report
				seen[name] = true
				r.Results = append(r.Results, Result{Topic: name, Outcome: Untouched})
			}
		}
	}
	return &ledger{r}
}

// part opens the part of the books that a batch may write in, as if nothing had been sent.
func (l *ledger) part(b Batch) *part {
	p := &part{pattern: b.Pattern != "", index: make(map[string]int, len(b.Topics))}
	if p.pattern {
		return p
	}
	p.results = l.report.Results[b.first : b.first+len(b.Topics) : b.first+len(b.Topics)]
	p.rows = make([]int, len(p.results))
	for i, name := range b.Topics {
		p.results[i] = Result{Topic: name, Outcome: Untouched}
		p.index[name] = i
	}
	return p
}

// book enters what became of a batch that was sent, and tells whether that is a reason not to send
// another.
func (l *ledger) book(p *part, v verdict) (stop error) {
	r := l.report
	if v.err != nil {
		l.problem(v.err)
		p.settle(v.outcome, v.err)
		stop = v.err
	} else {
		p.settle(Unknown, cause("the answer has no row for this topic", nil))
	}
	if p.pattern {
		r.Results, r.Rest = p.results, v.outcome
	}
	r.Complete = r.Complete && v.err == nil && p.next == ""
	if p.next != "" && r.Next == "" {
		r.Next = p.next
	}
	r.UnexpectedCount += p.unexpectedCount
	r.Unexpected = append(r.Unexpected, p.unexpected[:min(len(p.unexpected), maxUnexpected-len(r.Unexpected))]...)
	r.Attempts = append(r.Attempts, p.attempts...)
	unknown := func(res Result) bool { return res.Outcome == Unknown }
	if stop == nil && slices.ContainsFunc(p.results, unknown) {
		stop = cause("a topic's outcome is unknown", nil)
	}
	return stop
}

// refuse gives every topic of the given batches, none of which was sent, the reason for that.
func (l *ledger) refuse(batches []Batch, why error) {
	for _, b := range batches {
		for i := range b.Topics {
			l.report.Results[b.first+i].cause = why
		}
	}
	l.report.Complete = false
	l.problem(why)
}

// problem books a cause that bears on the run, not on one topic alone.
func (l *ledger) problem(why error) {
	l.report.problems = append(l.report.problems, why)
}

// finish closes the books, and returns the report with its error.
func (l *ledger) finish() (*Report, error) {
	r := l.report
	if r.Complete || r.Pattern == "" {
		r.Rest = Accepted
	}
	slices.SortStableFunc(r.Attempts, func(a, b Attempt) int { return cmp.Compare(a.Batch, b.Batch) })
	return r, r.Err()
}

// part is what one batch's answers say, until it is booked. For a selection by name its results
// are those of the report, which no other part touches.
type part struct {
	pattern         bool
	results         []Result
	rows            []int          // how many rows came for each of results
	index           map[string]int // topic to position in results
	unexpected      []Result
	unexpectedCount int
	next            string
	attempts        []Attempt
}

// enter books a row of an answer.
func (p *part) enter(r row) {
	if !r.named {
		p.setApart(r)
		return
	}
	i, asked := p.index[r.Topic]
	if !asked {
		// A pattern's topics are those that the answer names, but a name that no topic can have is
		// none of them.
		if !p.pattern || !isTopicName(r.Topic) {
			r.note("nobody asked for this topic")
			p.setApart(r)
			return
		}
		i = len(p.results)
		p.index[r.Topic] = i
		p.results = append(p.results, Result{Topic: r.Topic})
		p.rows = append(p.rows, 0)
	}
	have := &p.results[i]
	if p.rows[i]++; p.rows[i] == 1 {
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
	have.keep(r.Result)
	if r.Outcome != have.Rows[0].Outcome {
		have.Outcome, have.Code, have.Message = Unknown, 0, ""
		have.cause = cause("the answer has rows for this topic that disagree", nil)
	}
}

// keep adds a row to those that are kept beside the result, unless one like it is there.
func (r *Result) keep(other Result) {
	if !slices.ContainsFunc(r.Rows, other.says) && len(r.Rows) < maxRows {
		r.Rows = append(r.Rows, other.withoutLists())
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

func (p *part) setApart(r row) {
	p.unexpectedCount++
	if len(p.unexpected) < maxUnexpected {
		p.unexpected = append(p.unexpected, r.withoutLists())
	}
}

// settle gives every topic without a row its outcome, and the reason for it.
func (p *part) settle(o Outcome, why error) {
	for i := range p.results {
		if p.rows[i] == 0 {
			p.results[i].Outcome, p.results[i].cause = o, why
		}
	}
}
