package mirror

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

// dryRunNote is part of every form of a dry run's report.
const dryRunNote = "dry run: nothing was changed"

// String returns the report on a printable line.
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
	for _, other := range r.otherCounts() {
		b.WriteString(", " + other)
	}
	return b.String()
}

// otherCounts counts the report's other parts beside the Results.
func (r *Report) otherCounts() (texts []string) {
	if r.Lost {
		texts = append(texts, "topics without a row may have been changed")
	}
	if n := len(r.Unexpected); n > 0 {
		texts = append(texts, text.Count(n, "unexpected row"))
	}
	return texts
}

// decision returns the first line of the table, in the verb's words.
func (r *Report) decision() string {
	v, _ := r.Verb.row()
	accepted := fmt.Sprintf("%d of %d", r.Count(Accepted), len(r.Results))
	_, done := r.matching(func(res *Result) bool { return res.Done })
	err := r.Err()
	switch {
	case err == nil && r.DryRun:
		return accepted + " would be accepted"
	case err == nil && done == len(r.Results):
		return accepted + " done"
	case err == nil:
		return accepted + " accepted, which is not done yet: wait until the status is " + v.waitFor()
	}
	short := r.otherCounts()
	for _, o := range []Outcome{Untouched, Failed, Unknown} {
		if n := r.Count(o); n > 0 {
			short = slices.Insert(short, 0, fmt.Sprintf("%d %v", n, o))
		}
	}
	if len(short) == 0 {
		incomplete := err.(*IncompleteError) //nolint:errorlint,forcetypeassert // Err returns no other
		short = append(short, incomplete.causes[0].Error())
	}
	decision := v.notAll
	if r.DryRun {
		decision = "the dry run is not clean"
	}
	return decision + ": " + strings.Join(short, ", ")
}

// advice says what an outcome means and what to do.
func (r *Report) advice(o Outcome) string {
	v, _ := r.Verb.row()
	switch {
	case o == Accepted && r.DryRun:
		return "the call would be accepted"
	case o == Accepted:
		return "the server accepted the change; it is done when the status is " + v.waitFor()
	case o == Failed && r.DryRun:
		return "the call would be refused: see WHY"
	case o == Failed:
		return "the server refused the topic: see WHY"
	case o == Unknown && r.DryRun:
		return "there is no verdict: run the dry run again"
	case o == Unknown:
		return "the topic may have been " + v.past + ": wait, or look at the cluster, before you send it again"
	case slices.ContainsFunc(r.Attempts, func(a Attempt) bool { return a.Assumed }):
		return "nothing was done, as far as the HTTP status tells (assumed): fix the cause and send it again"
	}
	return "nothing was done: fix the cause and send it again"
}

// Table writes the report for people. The order is: decision, counts and what to do; topics that are not Accepted, with
// the same reason on a single line; unexpected rows; lag and truncation. A line names the first few of its topics.
// Topics returns all names. A server's texts are printable and on a single line. Table returns the error of w.
func (r *Report) Table(w io.Writer) error {
	var t text.Table
	t.Line(r.decision())
	t.Line(r.String())
	t.Line("")
	r.whatToDo(&t)
	if groups := r.groups(); len(groups) > 0 {
		t.Line("")
		t.Row("OUTCOME", "TOPICS", "LAG", "WHY")
		for _, g := range groups {
			t.Row(g.outcome, text.Fit(g.topics, topicColumns), g.lagCell(), g.why)
		}
	}
	if len(r.Unexpected) > 0 {
		t.Line("")
		t.Row("UNEXPECTED", "SAYS", "WHY")
		for i := range r.Unexpected[:min(len(r.Unexpected), maxUnexpectedShown)] {
			u := &r.Unexpected[i]
			name := text.Line(u.Topic, maxTopicName)
			if name == "" {
				name = "(no name)"
			}
			t.Row(name, u.Outcome, strings.Join(u.Notes, "; "))
		}
		if more := len(r.Unexpected) - maxUnexpectedShown; more > 0 {
			t.Line(fmt.Sprintf("(and %d more)", more))
		}
	}
	t.Line("")
	t.Row("lag", r.Lag())
	truncated := "truncated"
	if r.DryRun {
		truncated = "would truncate"
	}
	t.Row(truncated, r.Truncation())
	_, err := t.WriteTo(w)
	return err
}

const (
	// topicColumns is the width of the column with topics' names.
	topicColumns = 48
	// maxUnexpectedShown is the largest number of unexpected rows in a table.
	maxUnexpectedShown = 20
)

// whatToDo writes the problems of the run, and what each outcome means and what to do.
func (r *Report) whatToDo(t *text.Table) {
	for _, p := range r.Problems {
		t.Row("note", p)
	}
	if first, n := r.matching(func(res *Result) bool { return len(res.Notes) > 0 }); n > 0 {
		t.Row("note", fmt.Sprintf("%s with something odd, the first %s: %s",
			text.Count(n, "topic"), first.Topic, strings.Join(first.Notes, "; ")))
	}
	for _, o := range outcomes {
		_, n := r.matching(func(res *Result) bool { return res.Outcome == o && !res.Done })
		if n > 0 || o == Unknown && r.Lost {
			t.Row(o, r.advice(o))
		}
	}
	for _, done := range []bool{true, false} {
		first, n := r.matching(func(res *Result) bool { return res.Settled != "" && res.Done == done })
		switch {
		case n > 0 && done:
			t.Row("done", fmt.Sprintf("%s found done; the first: %s: %s", text.Count(n, "topic"), first.Topic, first.Settled))
		case n > 0:
			t.Row("settled", fmt.Sprintf("%s found %v; the first: %s: %s",
				text.Count(n, "topic"), first.Outcome, first.Topic, first.Settled))
		}
	}
	if _, n := r.matching(func(res *Result) bool { return res.AlreadyStopped() }); n > 0 {
		what := "the mirror has stopped, so the verb cannot change it"
		if goal, _ := r.Verb.Goal(); goal == StatusStopped {
			what = "an earlier call may have stopped it; look at the topic before you count it as failed"
		}
		t.Row("already stopped", text.Count(n, "failed topic")+": "+what)
	}
}

// group has the topics of a report with the same outcome for the same reason.
type group struct {
	outcome Outcome
	why     string
	topics  []string
	lag     LagSummary
}

// groups groups the topics by outcome and reason, the most urgent first, without Accepted topics. Reasons that differ
// only in the topic's own name are the same reason.
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
		why := res.Why
		if res.Outcome == Failed {
			why = codeAndMessage(res.Code, res.Message)
		}
		if res.Outcome == Unknown && len(res.Notes) > 0 {
			why += " (" + strings.Join(res.Notes, "; ") + ")"
		}
		k := key{res.Outcome, why}
		if res.Outcome != Untouched { // an Untouched topic's reason is the batch's or the call's
			k.why = text.WithoutName(why, res.Topic)
		}
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
		return fmt.Sprintf("%d of %s", g.lag.Total, text.Count(len(g.topics)-len(g.lag.Without), "topic"))
	}
	return fmt.Sprint(g.lag.Total)
}

// String summarizes the lags on a single line.
func (s LagSummary) String() string {
	line := "not known"
	if s.Partitions > 0 {
		line = fmt.Sprintf("%d messages in %s", s.Total, text.Count(s.Partitions, "partition"))
	}
	if s.Largest > 0 {
		topic := text.Line(s.Topic, maxTopicName)
		line += fmt.Sprintf("; the largest is %d, %s partition %d", s.Largest, topic, s.Partition)
	}
	if s.NeverFetched > 0 {
		line += "; " + text.Count(s.NeverFetched, "partition") + " without an offset"
	}
	if s.NotKnown > 0 {
		line += "; not known for " + text.Count(s.NotKnown, "partition")
	}
	if s.Partitions > 0 && len(s.Without) > 0 {
		line += "; not known for " + text.Count(len(s.Without), "topic")
	}
	return line
}

// String summarizes the truncations on a single line.
func (s TruncationSummary) String() string {
	switch {
	case s.ReportedTopics == 0 && s.Partitions == 0:
		return "none reported"
	case s.ReportedTopics == 0:
		return fmt.Sprintf("%d messages by the partitions; the server gives no total", s.Messages)
	case s.Partitions > 0 && s.Messages != s.Reported:
		return fmt.Sprintf("%d messages of %s by the server's total, and %d by the partitions",
			s.Reported, text.Count(s.ReportedTopics, "topic"), s.Messages)
	}
	return fmt.Sprintf("%d messages of %s", s.Reported, text.Count(s.ReportedTopics, "topic"))
}

// LogValue returns the report for a log record: counts, not topics.
func (r *Report) LogValue() slog.Value {
	if r == nil {
		return slog.StringValue("<nil>")
	}
	attrs := []slog.Attr{
		slog.String("verb", text.Line(string(r.Verb), maxText)),
		slog.String("cluster_id", text.Line(r.ClusterID, maxText)),
		slog.String("link", text.Line(r.Link, maxText)),
	}
	if r.DryRun {
		attrs = append(attrs, slog.String("note", dryRunNote))
	}
	if r.Pattern != "" {
		attrs = append(attrs, slog.String("pattern", text.Line(r.Pattern, maxText)), slog.Bool("lost", r.Lost))
	}
	for _, o := range outcomes {
		attrs = append(attrs, slog.Int(o.String(), r.Count(o)))
	}
	if n := len(r.Unexpected); n > 0 {
		attrs = append(attrs, slog.Int("unexpected", n))
	}
	return slog.GroupValue(attrs...)
}
