package mirror

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

// dryRunNote stands in every form of a validate call's report.
const dryRunNote = "dry run: nothing was changed"

// String returns the report on one printable line.
func (r Report) String() string {
	var b strings.Builder
	if r.DryRun {
		b.WriteString(dryRunNote + "; ")
	}
	if r.Verb != "" {
		b.WriteString(text.Line(string(r.Verb), maxText) + ", ")
	}
	b.WriteString("link " + text.Quote(r.Link))
	if r.Pattern != "" {
		b.WriteString(", pattern " + text.Quote(r.Pattern))
	}
	sep := ": "
	for _, o := range outcomes {
		fmt.Fprintf(&b, "%s%d %v", sep, r.Count(o), o)
		sep = ", "
	}
	for _, text := range r.otherCounts() {
		b.WriteString(", " + text)
	}
	return b.String()
}

// advice says for each outcome what it means and what to do.
func (r *Report) advice(o Outcome) string {
	v, _ := r.Verb.find()
	switch {
	case o == Accepted && r.DryRun:
		return "the call would be accepted"
	case o == Accepted:
		return "the server accepted it; it is done when the topic is " + v.waitFor()
	case o == Failed:
		return "the server refused it; see why"
	case o == Unknown && r.DryRun:
		return "there is no verdict; run the dry run again"
	case o == Unknown:
		return "it may have been " + v.past + "; follow it, or look at the topic, before sending it again"
	}
	if r.assumed() {
		return "nothing was done, as far as the HTTP status tells (assumed); fix the cause and send it again"
	}
	return "nothing was done; fix the cause and send it again"
}

// decision says in one line what the report comes to, in the verb's words.
func (r *Report) decision() string {
	v, _ := r.Verb.find()
	accepted := fmt.Sprintf("%d of %d", r.Count(Accepted), len(r.Results))
	settled, _ := r.settled()
	err := r.Err()
	switch {
	case err == nil && r.DryRun:
		return accepted + " would be accepted"
	case err == nil && settled > 0:
		return fmt.Sprintf("%s accepted, %d of them settled by what was seen", accepted, settled)
	case err == nil && len(r.Results) == 1:
		return accepted + " accepted: wait until it is " + v.waitFor()
	case err == nil:
		return accepted + " accepted: wait until they are " + v.waitFor()
	}
	short := r.otherCounts()
	for _, o := range []Outcome{Untouched, Failed, Unknown} {
		if n := r.Count(o); n > 0 {
			short = slices.Insert(short, 0, fmt.Sprintf("%d %v", n, o))
		}
	}
	var e *IncompleteError
	if len(short) == 0 && errors.As(err, &e) {
		short = append(short, e.causes[0].Error())
	}
	decision := v.notAll
	if r.DryRun {
		decision = "the dry run is not clean"
	}
	return decision + ": " + strings.Join(short, ", ")
}

// settled returns how many Results were settled, and how many of them with each outcome.
func (r *Report) settled() (n int, as map[Outcome]int) {
	as = map[Outcome]int{}
	for i := range r.Results {
		if r.Results[i].Settled != nil {
			n++
			as[r.Results[i].Outcome]++
		}
	}
	return n, as
}

// otherCounts says how much there is beside the outcomes of the Results.
func (r *Report) otherCounts() (texts []string) {
	if r.Unaccounted != UnaccountedNone && r.Pattern != "" {
		texts = append(texts, fmt.Sprintf("topics without a row %v", r.Unaccounted))
	}
	if r.UnexpectedCount > 0 {
		texts = append(texts, count(r.UnexpectedCount, "unexpected row"))
	}
	return texts
}

// Table writes the report for people: first what it comes to, the counts and what to do; then the topics that
// are not Accepted, those with the same reason on one line; the rows that were not asked for; lag and truncation.
// A line names the first few of its topics: Topics and Failures name all. What a server said is printable and
// on one line. The error is w's.
func (r *Report) Table(w io.Writer) error {
	t := newTable()
	t.row(r.decision())
	t.row(r.String())
	t.row()
	r.whatToDo(t)

	if groups := r.groups(); len(groups) > 0 {
		t.row()
		t.row("OUTCOME", "TOPICS", "LAG", "WHY")
		for _, g := range groups {
			t.row(g.outcome, firstOf(g.topics), g.lagCell(), g.why)
		}
	}
	if len(r.Unexpected) > 0 {
		t.row()
		t.row("UNEXPECTED", "SAYS", "WHY")
		for i := range r.Unexpected {
			res := &r.Unexpected[i]
			name := text.Line(res.Topic, maxTopicName)
			if name == "" {
				name = "(no name)"
			}
			t.row(name, res.Outcome, strings.Join(res.Notes, "; "))
		}
		if more := r.UnexpectedCount - len(r.Unexpected); more > 0 {
			t.row(fmt.Sprintf("(and %d more)", more))
		}
	}

	t.row()
	t.row("lag", r.Lag())
	truncated := "truncated"
	if r.DryRun {
		truncated = "would truncate"
	}
	t.row(truncated, r.Truncation())
	return t.writeTo(w)
}

// whatToDo says what was wrong with the run, and for each outcome what it means and what to do.
func (r *Report) whatToDo(t *table) {
	told := map[error]bool{}
	for i := range r.Results {
		if refused, is := r.Results[i].cause.(*argumentError); is && !told[refused] { //nolint:errorlint // the very one
			t.row("note", refused)
		}
		told[r.Results[i].cause] = true
	}
	for _, p := range r.runProblems() {
		if !told[p] {
			t.row("note", p)
		}
	}
	if n, first := r.noted(); n > 0 {
		t.row("note", fmt.Sprintf("%s with something odd, the first %s: %s",
			count(n, "row"), first.Topic, strings.Join(first.Notes, "; ")))
	}
	settled, as := r.settled()
	for _, o := range outcomes {
		if r.Count(o) > as[o] || r.Pattern != "" &&
			(o == Unknown && r.Unaccounted == UnaccountedUnknown || o == Untouched && r.Unaccounted == UnaccountedUntouched) {
			t.row(o, r.advice(o))
		}
	}
	if settled > 0 {
		i := slices.IndexFunc(r.Results, func(res Result) bool { return res.Settled != nil })
		t.row("settled", fmt.Sprintf("%s by what was seen, not by the server's answer; the first: %s: %s",
			count(settled, "topic"), r.Results[i].Topic, r.Results[i].Settled.Why))
	}
	if n := r.alreadyStopped(); n > 0 {
		v, _ := r.Verb.find()
		what := "the server says that the mirror has stopped, so it cannot be changed"
		if v.done == StatusStopped {
			what = "an earlier call may have done it; look at the topic before counting it as failed"
		}
		t.row("already stopped", count(n, "failed topic")+": "+what)
	}
}

// group is topics of a report that have the same outcome for the same reason.
type group struct {
	outcome Outcome
	why     string
	topics  []string
	lag     LagSummary
}

// groups puts the topics that are not Accepted together by their reasons, those to look at first. A reason that
// names its topic in quotes is the same for all of which it is said.
func (r *Report) groups() (groups []*group) {
	type key struct {
		outcome Outcome
		why     string
	}
	known := map[key]*group{}
	for i := range r.Results {
		res := &r.Results[i]
		if res.Outcome == Accepted {
			continue
		}
		why := res.why()
		k := key{res.Outcome, strings.NewReplacer("'"+res.Topic+"'", "'…'", `"`+res.Topic+`"`, `"…"`).Replace(why)}
		g := known[k]
		if g == nil {
			g = &group{outcome: res.Outcome, why: why}
			groups, known[k] = append(groups, g), g
		}
		if len(g.topics) == 1 {
			g.why = k.why
		}
		g.topics = append(g.topics, text.Line(res.Topic, maxTopicName))
		g.lag.add(res.Topic, res.Lags)
	}
	urgency := []Outcome{Unknown, Failed, Untouched}
	slices.SortStableFunc(groups, func(a, b *group) int {
		return slices.Index(urgency, a.outcome) - slices.Index(urgency, b.outcome)
	})
	return groups
}

func (g *group) lagCell() string {
	switch {
	case g.lag.Partitions == 0:
		return "not known"
	case len(g.lag.Without) > 0:
		return fmt.Sprintf("%d of %d topics", g.lag.Total, len(g.topics)-len(g.lag.Without))
	}
	return fmt.Sprint(g.lag.Total)
}

// firstOf names as many as fit a line, and at least one.
func firstOf(names []string) string {
	const width = 48
	n, length := 1, len(names[0])
	for n < len(names) && length+len(", ")+len(names[n]) <= width {
		length += len(", ") + len(names[n])
		n++
	}
	return shown(names, n)
}

// table is lines for people, in columns. What is put into it may come from anywhere.
type table struct {
	text strings.Builder
	*tabwriter.Writer
}

func newTable() *table {
	t := &table{}
	t.Writer = tabwriter.NewWriter(&t.text, 0, 0, 2, ' ', 0)
	return t
}

// row adds a line with a cell for each value.
func (t *table) row(cells ...any) {
	texts := make([]string, len(cells))
	for i, c := range cells {
		texts[i] = cleanLong(fmt.Sprint(c))
	}
	_, _ = io.WriteString(t.Writer, strings.Join(texts, "\t")+"\n") // text takes everything
}

func (t *table) writeTo(w io.Writer) error {
	_ = t.Flush()
	_, err := io.WriteString(w, t.text.String())
	return err
}

// assumed tells whether an outcome rests on an assumption.
func (r *Report) assumed() bool {
	return slices.ContainsFunc(r.Attempts, func(a Attempt) bool { return a.Assumed })
}

// alreadyStopped returns how many topics failed since their mirrors had stopped before.
func (r *Report) alreadyStopped() (n int) {
	for i := range r.Results {
		if r.Results[i].alreadyStopped() {
			n++
		}
	}
	return n
}

// noted returns how many Results have notes, and the first of them.
func (r *Report) noted() (n int, first Result) {
	for i := range r.Results {
		if len(r.Results[i].Notes) == 0 {
			continue
		}
		if n++; n == 1 {
			first = r.Results[i]
		}
	}
	return n, first
}

// why is the reason for the outcome, without the topic's name, which stands beside it.
func (r *Result) why() string {
	why := codeAndMessage(r.Code, r.Message)
	if _, refused := r.cause.(*argumentError); refused { //nolint:errorlint // the very one
		why = "the call was refused; see the note"
	} else if r.Outcome != Failed {
		why = r.Err().Error()
	}
	if r.Outcome == Unknown && len(r.Notes) > 0 {
		why += " (" + strings.Join(r.Notes, "; ") + ")"
	}
	return why
}

// LogValue gives a log record the report in a few attributes: not the topics, but the counts, and
// the first cause if there is one.
func (r Report) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("verb", text.Line(string(r.Verb), maxText)),
		slog.String("cluster_id", text.Line(r.ClusterID, maxText)),
		slog.String("link", text.Line(r.Link, maxText)),
		slog.Bool("complete", r.Complete),
	}
	if r.DryRun {
		attrs = append(attrs, slog.String("note", dryRunNote))
	}
	if r.Pattern != "" {
		attrs = append(attrs, slog.String("pattern", text.Line(r.Pattern, maxText)))
		if r.Unaccounted != UnaccountedNone {
			attrs = append(attrs, slog.String("unaccounted", r.Unaccounted.String()))
		}
	}
	for _, o := range outcomes {
		attrs = append(attrs, slog.Int(o.String(), r.Count(o)))
	}
	if r.UnexpectedCount > 0 {
		attrs = append(attrs, slog.Int("unexpected", r.UnexpectedCount))
	}
	return slog.GroupValue(attrs...)
}
