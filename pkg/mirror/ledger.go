package mirror

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"slices"
)

// ledger fills in a Report: it gives each topic asked for its one outcome. Its methods are for the
// caller's goroutine; each batch writes in a part of its own until it is booked.
type ledger struct {
	report    *Report
	selection Selection
	index     map[string]int  // topic to its place in the report; for a selection by name
	parts     []*part         // in the order of the batches
	strays    map[int][]stray // rows in the answer to another batch, by the place of their topic
}

// stray is a row about a topic that another batch of the call asked for.
type stray struct {
	outcome Outcome
	text    string // what the row says
}

// newLedger gives an empty report a Result for each topic asked for. Nothing has been done yet.
func newLedger(r *Report, s Selection) *ledger {
	l := &ledger{report: r, selection: s, strays: map[int][]stray{}}
	if s.expression == "" {
		r.Results = make([]Result, 0, len(s.names))
		l.index = make(map[string]int, len(s.names))
		for _, name := range s.names {
			if _, seen := l.index[name]; !seen { // a call with a name twice is refused, but it has a report
				l.index[name] = len(r.Results)
				r.Results = append(r.Results, Result{Topic: name, Outcome: Untouched})
			}
		}
	}
	return l
}

// part opens the part of the ledger that a batch may write in.
func (l *ledger) part(b Batch) *part {
	p := &part{batch: b, ledger: l}
	p.request = b.request(p)
	if b.Pattern == "" {
		end := b.first + len(b.Topics)
		p.results = l.report.Results[b.first:end:end]
		p.rows = make([]int, len(p.results))
	}
	p.forget()
	l.parts = append(l.parts, p)
	return p
}

// book notes the outcome of a batch that was sent, and returns why no further batch should be sent,
// or nil.
func (l *ledger) book(p *part) (stop error) {
	p.close()
	for place, rows := range p.strays {
		l.strays[place] = append(l.strays[place], rows...)
	}
	for i := range p.results {
		l.applyStrays(&p.results[i], p.batch.first+i)
	}
	unknown := func(r Result) bool { return r.Outcome == Unknown }
	switch {
	case p.verdict.err != nil:
		return p.verdict.err
	case slices.ContainsFunc(p.results, unknown) || p.unaccounted == UnaccountedUnknown:
		return cause("a topic's outcome is unknown", nil)
	case len(p.strays) > 0:
		return cause("its answer has rows about topics of other batches", nil)
	}
	return nil
}

// applyStrays lets the rows for a topic that came in the answers to other batches bear on its result.
func (l *ledger) applyStrays(r *Result, place int) {
	for _, s := range l.strays[place] {
		r.note("another batch's answer has a row for this topic: " + s.text)
		if r.Outcome != s.outcome && r.Outcome != Unknown {
			said := r.Outcome.String()
			r.Outcome = Unknown
			text := fmt.Sprintf("another batch's answer has a row for this topic that says %s, and here it is %s", s.text, said)
			r.cause = joined(cause(text, nil), r.cause)
		}
	}
	delete(l.strays, place)
}

// notSent gives every topic of the given batches, none of which was sent, the reason for that. For a
// call that was refused itself they are nil, and it is about all topics.
func (l *ledger) notSent(batches []Batch, why error) {
	r := l.report
	if batches == nil {
		for i := range r.Results {
			r.Results[i].cause = why
		}
	}
	for _, b := range batches {
		for i := range b.Topics {
			r.Results[b.first+i].cause = why
		}
	}
	if len(r.Results) == 0 {
		r.Unaccounted, r.unaccountedFor = UnaccountedUntouched, why
	}
}

// problem notes an error of the run that is about no topic.
func (l *ledger) problem(why error) { l.report.problems = append(l.report.problems, why) }

// finish puts the parts together, and returns the report with its error.
func (l *ledger) finish() (*Report, error) {
	r := l.report
	r.places = l.index
	for place := range l.strays {
		l.applyStrays(&r.Results[place], place)
	}
	for _, p := range l.parts {
		p.addTo(r)
		if p.batch.Pattern != "" {
			r.Results, r.places = p.results, p.index
		}
	}
	r.Complete = r.closed(r.Count(Unknown) + r.Count(Untouched))
	return r, r.Err()
}

// batchReport returns a report of one booked batch, which shares nothing with the call's.
func (l *ledger) batchReport(p *part) *Report {
	r := p.batch.report()
	for i := range p.results {
		r.Results = append(r.Results, p.results[i].deepClone())
	}
	p.addTo(r)
	r.Complete = r.closed(r.Count(Unknown) + r.Count(Untouched))
	for i := range r.Unexpected {
		r.Unexpected[i] = r.Unexpected[i].deepClone()
	}
	return r
}

// part holds the outcome of one batch. For a selection by name its results are those of the ledger's
// report, which no other part touches.
type part struct {
	*request
	batch  Batch
	ledger *ledger // of it, only what does not change during a call

	// What the rows of the last attempt's answer say.
	results         []Result
	rows            []int          // how many rows came for each of results
	index           map[string]int // topic to place in results; for a pattern
	unexpected      []Result
	unexpectedCount int
	strays          map[int][]stray
	lastText        string // the latest that was made safe to keep
	lastShown       string // and how it is shown
	illegible       bool   // a pattern's answer has a row whose topic cannot be told
	next            string

	// What is known once it is closed.
	unaccounted Unaccounted
	problem     error
}

// forget forgets the rows of an earlier attempt.
func (p *part) forget() {
	p.unexpected, p.unexpectedCount, p.strays, p.illegible, p.next = nil, 0, map[int][]stray{}, false, ""
	if p.batch.Pattern != "" {
		p.results, p.rows, p.index = nil, nil, map[string]int{}
		return
	}
	clear(p.rows)
	for i, name := range p.batch.Topics {
		p.results[i] = Result{Topic: name, Outcome: Untouched}
	}
}

// known returns the name that was asked for.
func (p *part) known(name []byte) (string, bool) {
	place, asked := p.ledger.index[string(name)]
	if !asked {
		return "", false
	}
	return p.ledger.selection.names[place], true
}

// add takes in a row of the answer.
func (p *part) add(r row) {
	i, own := p.place(&r)
	r.Message = p.hidden(r.Message)
	if !own {
		if !isTopicName(r.Topic) || p.hide.inName(r.Topic) { // a legal name is kept: others may ask for it
			r.Topic = p.hidden(r.Topic)
		}
		p.unexpectedCount++
		if len(p.unexpected) < maxUnexpected {
			p.unexpected = append(p.unexpected, r.withoutLists())
		}
		return
	}
	have := &p.results[i]
	if p.rows[i]++; p.rows[i] == 1 {
		r.Topic = have.Topic
		*have = r.Result
		return
	}
	have.note("the answer has more than one row for this topic")
	if have.says(r.Result) {
		return
	}
	ours, theirs := have.verdictText(), r.verdictText()
	have.noteRow(theirs)
	if have.cause != errRowsDisagree { //nolint:errorlint // the very one
		have.noteRow(ours)
		if r.Outcome != have.Outcome {
			have.Outcome, have.Code, have.Message, have.cause = Unknown, 0, "", errRowsDisagree
		}
	}
}

// errRowsDisagree is why a topic is Unknown about which rows contradict each other; its notes say how.
var errRowsDisagree = cause("the answer has rows for this topic that disagree", nil)

// noteRow keeps what one of several rows says, unless there are too many.
func (r *Result) noteRow(text string) {
	if len(r.Notes) < maxRows {
		r.note("a row says " + text)
	}
}

// hidden makes a server's text safe to keep.
func (p *part) hidden(text string) string {
	if text == p.lastText {
		return p.lastShown // messages repeat; one copy serves them all
	}
	shown := clean(p.hide.text(text))
	if len(text) <= maxText {
		p.lastText, p.lastShown = text, shown
	}
	return shown
}

// place returns which of the results a row is about, or why it is about none, in its notes.
func (p *part) place(r *row) (place int, ours bool) {
	if p.batch.Pattern != "" {
		return p.placeOfPattern(r)
	}
	if !r.named {
		return 0, false // a note says so already
	}
	place, asked := p.ledger.index[r.Topic]
	switch first := p.batch.first; {
	case !asked:
		r.note("this topic was not asked for")
	case place < first || place >= first+len(p.results):
		r.note("this topic was asked for in another batch")
		p.addStray(place, r)
	default:
		return place - first, true
	}
	return 0, false
}

// placeOfPattern does it for a pattern, whose topics are those that the answer names.
func (p *part) placeOfPattern(r *row) (place int, ours bool) {
	switch covers := p.ledger.selection.covers; {
	case !r.named: // a note says so already
	case p.hide.inName(r.Topic):
		r.note("this name has the credential in it")
	case !isTopicName(r.Topic):
		r.note("this is not a topic name")
	case covers != nil && !covers(r.Topic):
		r.note("the selection does not cover this topic")
		return 0, false
	default:
		place, known := p.index[r.Topic]
		if !known {
			place = len(p.results)
			p.index[r.Topic] = place
			p.results = append(p.results, Result{Topic: r.Topic})
			p.rows = append(p.rows, 0)
		}
		return place, true
	}
	p.illegible = true
	return 0, false
}

// addStray keeps a row about a topic of another batch: one, or two that disagree.
func (p *part) addStray(place int, r *row) {
	sameOutcome := func(s stray) bool { return s.outcome == r.Outcome }
	if !slices.ContainsFunc(p.strays[place], sameOutcome) {
		p.strays[place] = append(p.strays[place], stray{r.Outcome, clean(p.hide.text(r.verdictText()))})
	}
}

// close gives every topic its outcome, and the reason for it, once no further request is sent.
func (p *part) close() {
	v := &p.verdict
	if n := len(p.attempts); n > 0 {
		p.attempts[n-1].Unexpected = p.unexpectedCount
	}
	if p.doubt != "" {
		v.doubt(p.doubt)
	}
	why := v.err
	if why == nil {
		why = cause("the answer has no row for this topic", nil)
	}
	for i := range p.results {
		r, refused := &p.results[i], false
		switch {
		case p.rows[i] == 0:
			r.Outcome, r.cause, refused = v.outcome, why, v.doubtful
		case p.doubt != "" && r.Outcome == Failed:
			r.Outcome, r.cause = Unknown, cause(codeAndMessage(r.Code, r.Message)+"; but "+p.doubt, nil)
			refused = true
		}
		if refused {
			r.note("the refusal may be the answer to a second send: " + p.doubt)
		}
	}
	if n := len(p.attempts); n > 0 {
		for i := range p.results {
			if r := &p.results[i]; r.Outcome != Untouched {
				r.Sent = p.attempts[n-1].Start
			}
		}
	}
	switch {
	case p.batch.Pattern == "":
		if !slices.Contains(p.rows, 0) { // no result tells it
			p.problem = v.err
		}
	case v.err != nil:
		p.problem, p.unaccounted = v.err, UnaccountedUnknown
		if v.outcome == Untouched {
			p.unaccounted = UnaccountedUntouched
		}
	case p.illegible:
		p.problem, p.unaccounted = cause("the answer has a row whose topic cannot be told", nil), UnaccountedUnknown
	case p.doubt != "": // topics may have been changed that the answer leaves out
		verb, _ := p.batch.Verb.find()
		text := p.doubt + ", and topics that the answer leaves out may have been " + verb.past
		p.problem, p.unaccounted = cause(text, nil), UnaccountedUnknown
	case p.next != "":
		p.unaccounted = UnaccountedUnknown
	}
}

// addTo adds to a report what is known beside the results.
func (p *part) addTo(r *Report) {
	r.Next = cmp.Or(r.Next, p.next)
	r.UnexpectedCount += p.unexpectedCount
	r.addUnexpected(p.unexpected)
	r.Attempts = append(r.Attempts, p.attempts...)
	r.Unaccounted = p.unaccounted
	if r.Unaccounted == UnaccountedUntouched {
		r.unaccountedFor = p.problem
	} else if p.problem != nil {
		r.problems = append(r.problems, p.problem)
	}
}

// Unanswered returns the report of a batch that was about to be sent and of which no answer is known:
// every topic is Unknown. It is what a journal knows of a batch between the two hooks.
func (b Batch) Unanswered() *Report {
	why := cause("it was about to be sent, and no answer is known", nil)
	r := b.report()
	for _, name := range b.Topics {
		r.Results = append(r.Results, Result{Topic: name, Sent: b.Run.Start, cause: why})
	}
	if b.Pattern != "" {
		r.Unaccounted, r.problems = UnaccountedUnknown, []error{why}
	}
	return r
}

// report returns a report about the batch without any results.
func (b Batch) report() *Report {
	return &Report{Verb: b.Verb, ClusterID: b.ClusterID, Link: b.Link, DryRun: b.DryRun, Pattern: b.Pattern}
}

// request returns the batch's request, whose answer is read into the part.
func (b Batch) request(p *part) *request {
	v, _ := b.Verb.find()
	return &request{
		name: string(b.Verb), link: b.Link, path: "/mirrors:" + string(b.Verb), body: b.body(),
		make: func(server, clusterID, link string, body io.Reader) (*http.Request, error) {
			return v.newRequest(server, clusterID, link, b.DryRun, body)
		},
		safe: b.DryRun, proofOnly: v.proofOnly && !b.DryRun,
		read: func(_ http.Header, body io.Reader) (rows int, err error) {
			list, err := readAnswer(body, p.known, p.add)
			p.next = clean(p.hide.text(list.next))
			return list.rows, err
		},
		reset: p.forget,
		told:  Attempt{Run: b.Run, Batch: b.Index, Topics: len(b.Topics)},
	}
}
