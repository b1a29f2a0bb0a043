package mirror

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/seed25095279/clusterlink-go/pkg/internal/printable"
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
		b.WriteString(printable.Line(string(r.Verb), maxText) + ", ")
	}
	b.WriteString("link " + printable.Quote(r.Link))
	if r.Pattern != "" {
		b.WriteString(", pattern " + printable.Quote(r.Pattern))
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
		return "it may have been " + v.past + "; look at the topic before sending it again"
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
	err := r.Err()
	switch {
	case err == nil && r.DryRun:
		return accepted + " would be accepted"
	case err == nil && r.settled() > 0:
		return fmt.Sprintf("%s accepted, %d of them settled by what was seen", accepted, r.settled())
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

// settled returns how many Results were settled, and settledAs how many of them with the outcome.
func (r *Report) settled() (n int) {
	for _, o := range outcomes {
		n += r.settledAs(o)
	}
	return n
}

func (r *Report) settledAs(o Outcome) (n int) {
	for i := range r.Results {
		if r.Results[i].Settled != nil && r.Results[i].Outcome == o {
			n++
		}
	}
	return n
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

// Table writes the report for people: first what it comes to and the counts, then every topic that is
// not Accepted and why, what to do, the rows that were not asked for, lag and truncation. What a server
// said is printable and on one line. The error is w's.
func (r *Report) Table(w io.Writer) error {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	line := func(format string, args ...any) {
		for i := range args { // a report may have been read from anywhere
			args[i] = cleanLong(fmt.Sprint(args[i]))
		}
		fmt.Fprintf(t, format+"\n", args...)
	}

	line("%s", r.decision())
	line("%s", r.String())
	if n := r.Count(Accepted); n < len(r.Results) {
		line("")
		line("TOPIC\tOUTCOME\tLAG\tWHY")
		for i := range r.Results {
			if res := &r.Results[i]; res.Outcome != Accepted {
				line("%s\t%s\t%s\t%s", printable.Line(res.Topic, maxTopicName), res.Outcome, res.lagCell(), res.why())
			}
		}
		if n > 0 {
			line("(and %s accepted)", n)
		}
	}
	if len(r.Unexpected) > 0 {
		line("")
		line("UNEXPECTED\tSAYS\tWHY")
		for i := range r.Unexpected {
			res := &r.Unexpected[i]
			name := printable.Line(res.Topic, maxTopicName)
			if name == "" {
				name = "(no name)"
			}
			line("%s\t%s\t%s", name, res.Outcome, strings.Join(res.Notes, "; "))
		}
		if more := r.UnexpectedCount - len(r.Unexpected); more > 0 {
			line("(and %s more)", more)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}

	line("")
	told := map[error]bool{}
	for i := range r.Results {
		if refused, is := r.Results[i].cause.(*argumentError); is && !told[refused] { //nolint:errorlint // the very one
			line("note\t%s", refused)
		}
		told[r.Results[i].cause] = true
	}
	for _, p := range r.runProblems() {
		if !told[p] {
			line("note\t%s", p)
		}
	}
	if n, first := r.noted(); n > 0 {
		line("note\t%s with something odd, the first %s: %s",
			count(n, "row"), printable.Line(first.Topic, maxTopicName), strings.Join(first.Notes, "; "))
	}
	for _, o := range outcomes {
		if r.Count(o) > r.settledAs(o) || r.Pattern != "" &&
			(o == Unknown && r.Unaccounted == UnaccountedUnknown || o == Untouched && r.Unaccounted == UnaccountedUntouched) {
			line("%s\t%s", o, r.advice(o))
		}
	}
	if n := r.settled(); n > 0 {
		i := slices.IndexFunc(r.Results, func(res Result) bool { return res.Settled != nil })
		line("settled\t%s by what was seen, not by the server's answer; the first: %s: %s", count(n, "topic"),
			printable.Line(r.Results[i].Topic, maxTopicName), r.Results[i].Settled.Why)
	}
	if n := r.alreadyStopped(); n > 0 {
		v, _ := r.Verb.find()
		what := "the server says that the mirror has stopped, so it cannot be changed"
		if v.done == StatusStopped {
			what = "an earlier call may have done it; look at the topic before counting it as failed"
		}
		line("already stopped\t%s: %s", count(n, "failed topic"), what)
	}
	line("lag\t%s", r.Lag())
	truncated := "truncated"
	if r.DryRun {
		truncated = "would truncate"
	}
	line("%s\t%s", truncated, r.Truncation())
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w, b.String())
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

func (r *Result) lagCell() string {
	s := r.Lag()
	if s.Partitions == 0 {
		return "not known"
	}
	return fmt.Sprint(s.Total)
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
		slog.String("verb", printable.Line(string(r.Verb), maxText)),
		slog.String("cluster_id", printable.Line(r.ClusterID, maxText)),
		slog.String("link", printable.Line(r.Link, maxText)),
		slog.Bool("complete", r.Complete),
	}
	if r.DryRun {
		attrs = append(attrs, slog.String("note", dryRunNote))
	}
	if r.Pattern != "" {
		attrs = append(attrs, slog.String("pattern", printable.Line(r.Pattern, maxText)))
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
