package wait

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// String returns what the progress comes to on one printable line.
func (p Progress) String() string {
	return text.Line(fmt.Sprintf("%s, link %s: %s", p.Verb, text.Quote(p.Link), p.decision()), maxLine)
}

// decision says what the progress comes to.
func (p *Progress) decision() string {
	goal, _ := p.Verb.Goal()
	done, others := p.Count(StageDone), p.others()
	of := fmt.Sprintf("%d of %d", done, len(p.results()))
	notYet := "not yet: "
	if p.Ended != "" {
		notYet = "not done: "
	}
	var stop []string
	unknown := 0
	for i := range p.Waited {
		if strings.HasPrefix(p.Waited[i].Next, stopProducers) {
			stop = append(stop, p.Waited[i].Topic)
		}
		if p.Waited[i].WasUnknown {
			unknown++
		}
	}
	var unread string
	for _, c := range p.Clusters {
		if c.Lists == 0 && c.Asked > 0 && unread == "" {
			unread = fmt.Sprintf("not known: %s could not be read for %v%s", c.ClusterID, p.since(p.Began), c.status())
		}
	}
	switch {
	case len(stop) > 0 && len(p.Clusters) > 1:
		return fmt.Sprintf("%s%s: %s may take writes on both clusters", stopProducers, p.Clusters[1].ClusterID, text.Some(stop, 3))
	case len(p.results()) == 0:
		return "there was nothing to wait for"
	case unread != "":
		return unread
	case done < len(p.Waited):
		var left []string
		for _, s := range slices.Backward(stages) {
			if n := p.Count(s); n > 0 && s != StageDone {
				left = append(left, fmt.Sprintf("%d %v", n, s))
			}
		}
		if others != "" {
			left = append(left, others)
		}
		return notYet + of + " done; " + strings.Join(left, ", ")
	case !p.Done && len(p.Waited) > 0:
		for _, c := range p.Clusters {
			if c.Dark {
				return fmt.Sprintf("%s%s were seen done; %s has given no new list for %v", notYet, of, c.ClusterID, p.since(c.Listed))
			}
		}
		return notYet + of + " were seen done; a later list of each cluster has to agree"
	case others != "":
		if p.report.Lost {
			of += " named topics"
		}
		return of + " done; " + others
	}
	s := fmt.Sprintf("%s are %s on %s", of, goal, p.ClusterID)
	switch goal {
	case mirror.StatusStopped:
		s = fmt.Sprintf("producers may move to %s: %s; consumer offsets were not checked", p.ClusterID, of)
	case mirror.StatusActive:
		s += "; whether they have caught up was not checked"
	}
	if unknown > 0 {
		s += fmt.Sprintf("; %d were unknown and are done: nothing was sent twice", unknown)
	}
	return s
}

// results are those of the report.
func (p *Progress) results() []mirror.Result {
	if p.report == nil {
		return nil
	}
	return p.report.Results
}

// others says which topics of the report are not waited for; "" if there are none.
func (p *Progress) others() string {
	refused, unsent := 0, 0
	for i := range p.results() {
		switch res := &p.results()[i]; {
		case res.Outcome == mirror.Untouched:
			unsent++
		case res.Outcome == mirror.Failed && !res.AlreadyStopped():
			refused++
		}
	}
	var texts []string
	count := func(n int, what string) {
		switch {
		case n == 1:
			texts = append(texts, "1 was "+what)
		case n > 1:
			texts = append(texts, fmt.Sprintf("%d were %s", n, what))
		}
	}
	count(refused, "refused")
	count(unsent, "never sent")
	if p.report != nil && p.report.Lost {
		texts = append(texts, "the pattern may have changed others")
	}
	return strings.Join(texts, ", ")
}

func (p *Progress) since(t time.Time) time.Duration { return p.At.Sub(t).Round(time.Second) }

// status is the HTTP status of a refusal, in brackets.
func (c *ClusterProgress) status() string {
	if c.HTTPStatus == 0 {
		return ""
	}
	return fmt.Sprintf(" (HTTP %d)", c.HTTPStatus)
}

// alike is what topics in one row of the table have in common, beside their reasons.
type alike struct {
	stage              Stage
	this, other, notes string
}

// row is topics of which the same is known.
type row struct {
	alike
	reason   string // without the topic's name
	first    *TopicProgress
	topics   []string
	since    time.Time // the earliest
	asked    time.Time // the earliest; zero if none was asked
	notAsked int
	lag      int64
	rising   bool
}

// rows returns the rows of the table, the most urgent first. A topic that is done is in one if there is a note on it.
func (p *Progress) rows() (rows []*row) {
	type key struct {
		alike
		asked  bool
		reason string
	}
	all, asked := map[key]*row{}, map[alike][]*row{}
	var order []*row
	for i := range p.Waited {
		t := &p.Waited[i]
		a := alike{t.Stage, p.cell(t.This, 0), p.cell(t.Other, 1), strings.Join(t.Notes, "; ")}
		if t.Stage == StageDone && a.notes == "" {
			continue
		}
		k := key{a, !t.Asked.IsZero(), strings.ReplaceAll(t.reasons(), t.Topic, "…")}
		r := all[k]
		if r == nil {
			r = &row{alike: a, reason: k.reason, first: t, since: t.Since, asked: t.Asked}
			all[k], order = r, append(order, r)
			if k.asked {
				asked[a] = append(asked[a], r)
			}
		}
		r.add(t)
	}
	for _, r := range order {
		if same := asked[r.alike]; r.asked.IsZero() && len(same) == 1 { // topics that were not asked join those that were
			same[0].join(r)
			continue
		}
		rows = append(rows, r)
	}
	slices.SortStableFunc(rows, func(a, b *row) int {
		return slices.Index(stages, b.stage) - slices.Index(stages, a.stage)
	})
	return rows
}

func (r *row) add(t *TopicProgress) {
	one := &row{topics: []string{t.Topic}, since: t.Since, asked: t.Asked, lag: max(0, t.Lag), rising: t.Rising}
	if t.Asked.IsZero() {
		one.notAsked = 1
	}
	r.join(one)
}

func (r *row) join(o *row) {
	r.topics, r.lag, r.notAsked, r.rising = append(r.topics, o.topics...), r.lag+o.lag, r.notAsked+o.notAsked, r.rising || o.rising
	if o.since.Before(r.since) {
		r.since = o.since
	}
	if !o.asked.IsZero() && o.asked.Before(r.asked) {
		r.asked = o.asked
	}
}

// reasons are the topic's reasons on one line.
func (t *TopicProgress) reasons() string {
	var all []string
	for _, r := range t.Reasons {
		all = append(all, r.String())
	}
	return strings.Join(all, "; ")
}

// why says why the topics of a row are where they are.
func (p *Progress) why(r *row) string {
	var all []string
	if r.notes != "" {
		all = append(all, r.notes)
	}
	reason := r.reason
	if len(r.topics) == 1 {
		reason = r.first.reasons()
	}
	switch {
	case r.stage == StageDone:
	case r.asked.IsZero():
		all = append(all, "not asked")
	default:
		reason = cmp.Or(reason, "no reason given") + fmt.Sprintf(" (asked %v ago)", p.since(r.asked))
		if r.notAsked > 0 {
			reason += fmt.Sprintf(" (%d not asked)", r.notAsked)
		}
		all = append(all, reason)
	}
	switch {
	case r.rising:
		all = append(all, fmt.Sprintf("lag %d, rising: are producers still writing?", r.lag))
	case r.lag > 0:
		all = append(all, fmt.Sprintf("lag %d", r.lag))
	}
	return strings.Join(all, "; ")
}

// cell is what a cluster shows of a topic.
func (p *Progress) cell(s Sight, i int) string {
	switch {
	case s.At.IsZero():
		return "?"
	case s.Status == "":
		return "-"
	case i < len(p.Clusters) && p.Clusters[i].Dark:
		return fmt.Sprintf("%s (%s ago)", s.Status, ago(p.since(s.At)))
	}
	return string(s.Status)
}

// ago is a time in seconds, and from a minute on in minutes.
func ago(d time.Duration) string {
	if d < time.Minute {
		return d.String()
	}
	return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
}

// Table writes the progress for people: what it comes to, what to do, the topics that are not done, and how reading the
// clusters went. Topics of which the same is known are one row. The error is w's.
func (p *Progress) Table(w io.Writer) error {
	var t text.Table
	t.Line(p.decision())
	rows, told := p.rows(), map[string]bool{}
	for _, r := range rows {
		if next := r.first.Next; next != "" && !told[next] {
			told[next] = true
			t.Row(r.stage, next)
		}
	}
	if len(rows) > 0 {
		t.Line("")
		head := []any{"STAGE", "FOR", "TOPICS"}
		for _, c := range p.Clusters {
			head = append(head, c.ClusterID)
		}
		t.Row(append(head, "WHY")...)
	}
	for _, r := range rows {
		cells := []any{r.stage, p.since(r.since), text.Fit(r.topics, 40), r.this, r.other}[:3+len(p.Clusters)]
		t.Row(append(cells, p.why(r))...)
	}
	t.Line("")
	for _, c := range p.Clusters {
		t.Row(c.ClusterID, c.line(p.Began, p.At))
	}
	if p.Ended != "" {
		t.Row("ended", fmt.Sprintf("after %v: %s", p.since(p.Began), p.Ended))
	}
	_, err := t.WriteTo(w)
	return err
}

// line says how reading a cluster went.
func (c *ClusterProgress) line(began, at time.Time) string {
	s := fmt.Sprintf("asked %s, answered %d", text.Count(c.Asked, "time"), c.Answered)
	if old := c.Answered - c.Lists; old > 0 {
		s += fmt.Sprintf(", %d not new", old)
	}
	if from := c.Listed; c.Dark {
		if from.IsZero() {
			from = began
		}
		s += fmt.Sprintf("; no new list for %v", at.Sub(from).Round(time.Second))
	}
	if c.Error != "" {
		s += ": " + c.Error
	}
	return s
}

// LogValue gives a log record the counts, and what is wrong with the reading of the clusters.
func (p Progress) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("verb", string(p.Verb)), slog.String("cluster_id", p.ClusterID), slog.String("link", p.Link),
		slog.Bool("done", p.Done), slog.String("ended", p.Ended),
	}
	for _, s := range stages {
		attrs = append(attrs, slog.Int(s.String(), p.Count(s)))
	}
	for _, c := range p.Clusters {
		if c.Error != "" {
			attrs = append(attrs, slog.String("error of "+c.ClusterID, c.Error))
		}
	}
	return slog.GroupValue(attrs...)
}

// String returns the decision of the gate on one printable line.
func (l *Lagging) String() string {
	ready, empty := 0, 0
	var whole []string // topics of which all partitions are empty
	for i := range l.Topics {
		t := &l.Topics[i]
		if t.Ready {
			ready++
		}
		if empty += t.Empty; t.Empty > 0 && t.Empty == t.Partitions {
			whole = append(whole, t.Topic)
		}
	}
	of := fmt.Sprintf("%d of %d", ready, len(l.Topics))
	if l.Ready {
		s := "ready: " + of
		switch {
		case len(whole) > 1:
			s += fmt.Sprintf("; %s are empty, topics %s among them", text.Count(empty, "partition"), text.Some(whole, 3))
		case len(whole) == 1:
			s += fmt.Sprintf("; %s are empty, topic %s among them", text.Count(empty, "partition"), whole[0])
		case empty > 0:
			s += fmt.Sprintf("; %s are empty", text.Count(empty, "partition"))
		}
		return text.Line(s, maxLine)
	}
	all := []string{"not ready: " + of}
	for _, c := range l.Clusters {
		if c.Lists == 0 {
			all = append(all, fmt.Sprintf("%s could not be read for %v%s", c.ClusterID, l.At.Sub(l.Began).Round(time.Second), c.status()))
		}
	}
	if ready == len(l.Topics) && len(l.Clusters) > 1 {
		all = append(all, l.Clusters[1].ClusterID+" has not answered since: a source that has died shows lag 0")
	}
	rows := l.rows()
	for _, r := range rows[:min(len(rows), 3)] {
		all = append(all, text.Some(r.topics, 3)+": "+r.why)
	}
	if len(rows) > 3 {
		all = append(all, fmt.Sprintf("and %d more reasons", len(rows)-3))
	}
	if l.Again > 0 {
		all = append(all, fmt.Sprintf("try again in %v", l.Again.Round(time.Second)))
	}
	return text.Line(strings.Join(all, "; "), maxLine)
}

// lagRow is topics that are not ready for one reason.
type lagRow struct {
	noOffset bool // no partition has one
	status   mirror.Status
	why      string
	topics   []string
	lag      int64
}

// rows returns the rows of the table, those without any offset first.
func (l *Lagging) rows() (rows []*lagRow) {
	for i := range l.Topics {
		t := &l.Topics[i]
		if t.Ready {
			continue
		}
		one := lagRow{noOffset: t.Empty > 0 && t.Empty == t.Partitions, status: t.Status, why: t.Why}
		i := slices.IndexFunc(rows, func(r *lagRow) bool {
			return r.noOffset == one.noOffset && r.status == one.status && r.why == one.why
		})
		if i < 0 {
			i, rows = len(rows), append(rows, &one)
		}
		rows[i].topics, rows[i].lag = append(rows[i].topics, t.Topic), rows[i].lag+max(0, t.Lag)
	}
	slices.SortStableFunc(rows, func(a, b *lagRow) int {
		switch {
		case a.noOffset == b.noOffset:
			return 0
		case a.noOffset:
			return -1
		}
		return 1
	})
	return rows
}

// Table writes the state of the gate for people: the decision, the topics that are not ready, and how reading the clusters
// went. The error is w's.
func (l *Lagging) Table(w io.Writer) error {
	var t text.Table
	t.Line(l.String())
	if rows := l.rows(); len(rows) > 0 {
		t.Line("")
		t.Row("TOPICS", "STATUS", "LAG", "WHY")
		for _, r := range rows {
			t.Row(text.Fit(r.topics, 40), cmp.Or(r.status, "-"), r.lag, r.why)
		}
	}
	t.Line("")
	for _, c := range l.Clusters {
		t.Row(c.ClusterID, c.line(l.Began, l.At))
	}
	if l.Ended != "" {
		t.Row("ended", fmt.Sprintf("after %v: %s", l.At.Sub(l.Began).Round(time.Second), l.Ended))
	}
	_, err := t.WriteTo(w)
	return err
}
