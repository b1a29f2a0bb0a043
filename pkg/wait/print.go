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
	done, others := p.Count(StageDone), p.others()
	of := fmt.Sprintf("%d of %d", done, len(p.report.Results))
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
	neverRead := slices.IndexFunc(p.Clusters, func(c ClusterProgress) bool { return c.Lists == 0 && c.Asked > 0 })
	dark := slices.IndexFunc(p.Clusters, func(c ClusterProgress) bool { return c.Dark })
	switch {
	case len(p.report.Results) == 0:
		return "there was nothing to wait for"
	case len(stop) > 0:
		return fmt.Sprintf("%s%s: %s may take writes on both clusters", stopProducers, p.Clusters[1].ClusterID, text.Some(stop, 3))
	case neverRead >= 0:
		return "not known: " + p.Clusters[neverRead].unread(p.Began, p.At)
	case done < len(p.Waited):
		var left []string
		for _, s := range stages[:len(stages)-1] {
			if n := p.Count(s); n > 0 {
				left = append(left, fmt.Sprintf("%d %v", n, s))
			}
		}
		return notYet + of + " done; " + strings.Join(append(left, others...), ", ")
	case !p.Done && len(p.Waited) > 0 && dark >= 0:
		c := &p.Clusters[dark]
		return fmt.Sprintf("%s%s were seen done; %s has given no new list for %v", notYet, of, c.ClusterID, p.since(c.Listed))
	case !p.Done && len(p.Waited) > 0:
		return notYet + of + " were seen done; a later list of each cluster has to agree"
	case p.report.Lost:
		return of + " named topics done; " + strings.Join(others, ", ")
	case len(others) > 0:
		return of + " done; " + strings.Join(others, ", ")
	}
	goal, _ := p.Verb.Goal()
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

// others says which topics of the report are not waited for.
func (p *Progress) others() (texts []string) {
	refused, unsent := 0, 0
	for i := range p.report.Results {
		switch res := &p.report.Results[i]; {
		case res.Outcome == mirror.Untouched:
			unsent++
		case res.Outcome == mirror.Failed && !res.AlreadyStopped():
			refused++
		}
	}
	if refused > 0 {
		texts = append(texts, fmt.Sprintf("%d %s refused", refused, were(refused)))
	}
	if unsent > 0 {
		texts = append(texts, fmt.Sprintf("%d %s never sent", unsent, were(unsent)))
	}
	if p.report.Lost {
		texts = append(texts, "the pattern may have changed others")
	}
	return texts
}

func were(n int) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

func (p *Progress) since(t time.Time) time.Duration { return p.At.Sub(t).Round(time.Second) }

// row is topics of which the same is known: one row of the table.
type row struct {
	alike
	reason   string
	first    *TopicProgress
	topics   []string
	since    time.Time // the earliest
	notAsked int
	lag      int64
	rising   bool
}

// alike is what topics in one row have in common, beside their reasons.
type alike struct {
	stage              Stage
	this, other, notes string
}

// rows returns the rows of the table, the most urgent first. Of the topics that are done it has those with a note. Topics
// that were not asked for their reasons join those that were.
func (p *Progress) rows() (rows []*row) {
	asked := map[alike]*TopicProgress{}
	of := func(t *TopicProgress) alike {
		return alike{t.Stage, p.cell(t.This, 0), p.cell(t.Other, 1), strings.Join(t.Notes, "; ")}
	}
	for i := range p.Waited {
		if t := &p.Waited[i]; !t.Asked.IsZero() && asked[of(t)] == nil {
			asked[of(t)] = t
		}
	}
	type key struct {
		alike
		reason string // without the topic's name
	}
	index := map[key]*row{}
	for i := range p.Waited {
		t := &p.Waited[i]
		k := key{alike: of(t)}
		if t.Stage == StageDone && k.notes == "" {
			continue
		}
		first := t
		if t.Asked.IsZero() && asked[k.alike] != nil {
			first = asked[k.alike]
		}
		k.reason = strings.ReplaceAll(first.reasons(), first.Topic, "…")
		r := index[k]
		if r == nil {
			r = &row{alike: k.alike, reason: k.reason, first: first, since: t.Since}
			index[k], rows = r, append(rows, r)
		}
		if r.topics = append(r.topics, t.Topic); t.Asked.IsZero() {
			r.notAsked++
		}
		if t.Since.Before(r.since) {
			r.since = t.Since
		}
		r.lag, r.rising = r.lag+max(0, t.Lag), r.rising || t.Rising
	}
	slices.SortStableFunc(rows, func(a, b *row) int { return slices.Index(stages, a.stage) - slices.Index(stages, b.stage) })
	return rows
}

// reasons are the topic's reasons on one line.
func (t *TopicProgress) reasons() string {
	var all []string
	for _, r := range t.Reasons {
		all = append(all, r.String())
	}
	return cmp.Or(strings.Join(all, "; "), "no reason given")
}

// why says why the topics of a row are where they are.
func (p *Progress) why(r *row) string {
	var all []string
	if r.notes != "" {
		all = append(all, r.notes)
	}
	switch {
	case r.stage == StageDone:
	case r.first.Asked.IsZero():
		all = append(all, "not asked")
	default:
		if len(r.topics) == 1 {
			r.reason = r.first.reasons()
		}
		if r.notAsked > 0 {
			r.reason += fmt.Sprintf(" (%d not asked)", r.notAsked)
		}
		all = append(all, fmt.Sprintf("%s (asked %v ago)", r.reason, p.since(r.first.Asked)))
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
	case !p.Clusters[i].Dark:
		return string(s.Status)
	}
	old := p.since(s.At)
	if old >= time.Minute {
		return fmt.Sprintf("%s (%.0fm ago)", s.Status, old.Minutes())
	}
	return fmt.Sprintf("%s (%v ago)", s.Status, old)
}

// Table writes the progress for people: what it comes to, what to do, the topics that are not done, and how reading the
// clusters went. Topics of which the same is known are one row. The error is w's.
func (p *Progress) Table(w io.Writer) error {
	var t text.Table
	t.Line(p.decision())
	rows, told := p.rows(), map[string]bool{"": true}
	for _, r := range rows {
		if next := r.first.Next; !told[next] {
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
	return finish(&t, w, p.Clusters, p.Began, p.At, p.Ended)
}

// finish writes the end of a table: how reading the clusters went, and why the wait ended.
func finish(t *text.Table, w io.Writer, clusters []ClusterProgress, began, at time.Time, ended string) error {
	t.Line("")
	for _, c := range clusters {
		s := fmt.Sprintf("asked %s, answered %d", text.Count(c.Asked, "time"), c.Answered)
		if old := c.Answered - c.Lists; old > 0 {
			s += fmt.Sprintf(", %d not new", old)
		}
		if c.Dark {
			s += fmt.Sprintf("; no new list for %v", at.Sub(cmp.Or(c.Listed, began)).Round(time.Second))
		}
		if c.Error != "" {
			s += ": " + c.Error
		}
		t.Row(c.ClusterID, s)
	}
	if ended != "" {
		t.Row("ended", fmt.Sprintf("after %v: %s", at.Sub(began).Round(time.Second), ended))
	}
	_, err := t.WriteTo(w)
	return err
}

// unread says that a cluster could not be read.
func (c *ClusterProgress) unread(began, at time.Time) string {
	s := fmt.Sprintf("%s could not be read for %v", c.ClusterID, at.Sub(began).Round(time.Second))
	if c.HTTPStatus > 0 {
		s += fmt.Sprintf(" (HTTP %d)", c.HTTPStatus)
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
		if empty > 0 {
			s += fmt.Sprintf("; %s %s empty", text.Count(empty, "partition"), map[bool]string{true: "is", false: "are"}[empty == 1])
		}
		if len(whole) > 0 {
			s += fmt.Sprintf(", topic %s among them", text.Some(whole, 3))
		}
		return text.Line(s, maxLine)
	}
	all := []string{"not ready: " + of}
	for i, c := range l.Clusters {
		switch {
		case c.Lists == 0 && c.Asked > 0:
			all = append(all, c.unread(l.Began, l.At))
		case c.Dark:
			all = append(all, c.ClusterID+": "+c.Error)
		case i == 1 && ready == len(l.Topics):
			all = append(all, c.ClusterID+" has to answer once more")
		}
	}
	rows := l.rows()
	for _, r := range rows[:min(len(rows), 3)] {
		all = append(all, text.Some(r.topics, 3)+": "+r.Why)
	}
	if more := len(rows) - 3; more > 0 {
		all = append(all, "and "+text.Count(more, "more reason"))
	}
	if l.Again > 0 {
		all = append(all, fmt.Sprintf("try again in %v", l.Again.Round(time.Second)))
	}
	return text.Line(strings.Join(all, "; "), maxLine)
}

// lagRow is topics that are not ready for one reason, and the first of them.
type lagRow struct {
	TopicLag
	topics []string
}

// rows returns the rows of the table, those without any offset first.
func (l *Lagging) rows() (rows []*lagRow) {
	whole := func(t TopicLag) bool { return t.Empty > 0 && t.Empty == t.Partitions }
	for _, t := range l.Topics {
		if t.Ready {
			continue
		}
		i := slices.IndexFunc(rows, func(r *lagRow) bool {
			return whole(r.TopicLag) == whole(t) && r.Status == t.Status && r.Why == t.Why
		})
		if i < 0 {
			rows = append(rows, &lagRow{t, []string{t.Topic}})
			continue
		}
		rows[i].topics, rows[i].Lag = append(rows[i].topics, t.Topic), rows[i].Lag+t.Lag
	}
	slices.SortStableFunc(rows, func(a, b *lagRow) int {
		if whole(a.TopicLag) == whole(b.TopicLag) {
			return 0
		}
		return map[bool]int{true: -1, false: 1}[whole(a.TopicLag)]
	})
	return rows
}

// Table writes the state of the gate for people: the decision, the topics that are not ready, and how reading the clusters
// went. The error is w's.
func (l *Lagging) Table(w io.Writer) error {
	var t text.Table
	t.Line(l.String())
	rows := l.rows()
	if len(rows) > 0 {
		t.Line("")
		t.Row("TOPICS", "STATUS", "LAG", "WHY")
	}
	for _, r := range rows {
		lag := any(r.Lag)
		if r.Lag < 0 {
			lag = "?"
		}
		t.Row(text.Fit(r.topics, 40), cmp.Or(r.Status, "-"), lag, r.Why)
	}
	return finish(&t, w, l.Clusters, l.Began, l.At, l.Ended)
}
