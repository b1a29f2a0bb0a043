package wait

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// String returns verb, link and decision on a printable line.
func (p Progress) String() string {
	return text.Line(fmt.Sprintf("%s, link %s: %s", p.Verb, text.Quote(p.Link), p.decision()), maxLine)
}

// decision sums the progress up.
func (p *Progress) decision() string {
	done, others := p.Count(StageDone), p.others()
	of := fmt.Sprintf("%d of %d", done, len(p.report.Results))
	notYet := "not yet: "
	if p.Ended != "" {
		notYet = "not done: "
	}
	var stop, left []string
	unknown := 0
	for i := range p.Waited {
		if strings.HasPrefix(p.Waited[i].Next, stopProducers) {
			stop = append(stop, p.Waited[i].Topic)
		}
		if p.Waited[i].WasUnknown {
			unknown++
		}
	}
	for _, s := range stages[:len(stages)-1] {
		if n := p.Count(s); n > 0 {
			left = append(left, fmt.Sprintf("%d %s", n, s))
		}
	}
	var dark *ClusterProgress
	for i := range p.Clusters {
		if c := &p.Clusters[i]; c.Dark && (dark == nil || dark.Lists > 0) {
			dark = c
		}
	}
	switch {
	case len(p.report.Results) == 0:
		return "nothing was left to wait for"
	case len(stop) > 0:
		return fmt.Sprintf("%s%s: %s may take writes on both clusters", stopProducers, p.Clusters[1].ClusterID, text.Some(stop, 3))
	case dark != nil && dark.Lists == 0:
		return "not known: " + dark.trouble(p.Began, p.At)
	case len(left) > 0:
		return notYet + of + " done; " + strings.Join(append(left, others...), ", ")
	case !p.Done && dark != nil:
		return notYet + of + " were seen done; " + dark.trouble(p.Began, p.At)
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
		s += fmt.Sprintf("; %d %s unknown and %s done: nothing was sent twice", unknown, be(unknown, "was", "were"), be(unknown, "is", "are"))
	}
	return s
}

// others counts the topics that are not in Waited.
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
		texts = append(texts, fmt.Sprintf("%d %s refused", refused, be(refused, "was", "were")))
	}
	if unsent > 0 {
		texts = append(texts, fmt.Sprintf("%d %s never sent", unsent, be(unsent, "was", "were")))
	}
	if p.report.Lost {
		texts = append(texts, "the pattern may have changed others")
	}
	return texts
}

func be(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func (p *Progress) since(t time.Time) time.Duration { return p.At.Sub(t).Round(time.Second) }

// row is a row of the table: topics with the same facts.
type row struct {
	rowKey
	first    *TopicProgress // with reasons, if any topic has reasons
	topics   []string
	since    time.Time // the earliest
	notAsked int
	lag      int64
	rising   bool
}

// rowKey is the facts that the topics of a row share. The reason is without the name of the topic.
type rowKey struct {
	stage                      Stage
	this, other, notes, reason string
}

// rows returns the rows of the table, the most urgent first. A done topic without a note is in no row. Topics without an
// answer about reasons join the topics with an answer.
func (p *Progress) rows() (rows []*row) {
	of := func(t *TopicProgress) rowKey {
		return rowKey{t.Stage, p.cell(t.This, 0), p.cell(t.Other, 1), strings.Join(t.Notes, "; "), ""}
	}
	asked, index := map[rowKey]*TopicProgress{}, map[rowKey]*row{}
	for i := range p.Waited {
		if t := &p.Waited[i]; !t.Asked.IsZero() && asked[of(t)] == nil {
			asked[of(t)] = t
		}
	}
	for i := range p.Waited {
		t := &p.Waited[i]
		key, first := of(t), t
		if t.Stage == StageDone && key.notes == "" {
			continue
		}
		if t.Asked.IsZero() && asked[key] != nil {
			first = asked[key]
		}
		key.reason = text.WithoutName(first.reasons(), first.Topic)
		r := index[key]
		if r == nil {
			r = &row{rowKey: key, first: first, since: t.Since}
			index[key], rows = r, append(rows, r)
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

// reasons joins the reasons of the topic.
func (t *TopicProgress) reasons() string {
	var all []string
	for _, r := range t.Reasons {
		all = append(all, r.String())
	}
	return cmp.Or(strings.Join(all, "; "), "no reason given")
}

// why returns the notes, the reasons and the lag of a row.
func (p *Progress) why(r *row) string {
	var all []string
	if r.notes != "" {
		all = append(all, r.notes)
	}
	switch {
	case r.stage == StageDone:
	case r.first.Asked.IsZero() && r.stage == StageNoSign:
	case r.first.Asked.IsZero():
		all = append(all, "not asked")
	default:
		if len(r.topics) == 1 {
			r.reason = r.first.reasons()
		}
		when := fmt.Sprintf("asked %v ago", p.since(r.first.Asked))
		if r.notAsked > 0 {
			when += fmt.Sprintf("; %d not asked", r.notAsked)
		}
		all = append(all, fmt.Sprintf("%s (%s)", r.reason, when))
	}
	switch {
	case r.rising:
		all = append(all, fmt.Sprintf("lag %d, rising: are producers still writing?", r.lag))
	case r.lag > 0:
		all = append(all, fmt.Sprintf("lag %d", r.lag))
	}
	return strings.Join(all, "; ")
}

// cell returns the state of a topic on a cluster.
func (p *Progress) cell(s Sight, i int) string {
	switch {
	case s.At.IsZero():
		return "?"
	case !p.Clusters[i].Dark:
		return string(cmp.Or(s.Status, "-"))
	}
	old := p.since(s.At).String()
	if minutes := p.since(s.At).Minutes(); minutes >= 1 {
		old = fmt.Sprintf("%.0fm", minutes)
	}
	return fmt.Sprintf("%s (%s ago)", cmp.Or(s.Status, "-"), old)
}

// Table writes the progress for people: the decision, what to do, the topics that are not done, and how reading the
// clusters went. Topics with the same facts share a row. The error is the error of w.
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
		age := "-"
		if !r.since.IsZero() {
			age = max(0, p.since(r.since)).String()
		}
		cells := []any{r.stage, age, text.Fit(r.topics, 40), r.this, r.other}[:3+len(p.Clusters)]
		t.Row(append(cells, p.why(r))...)
	}
	p.apart(&t)
	return finish(&t, w, p.Clusters, p.Began, p.At, p.Ended)
}

// apart writes the topics that are not waited for: those that were refused or never sent, with the reason.
func (p *Progress) apart(t *text.Table) {
	type key struct{ what, why string }
	topics, keys := map[key][]string{}, []key{}
	for i := range p.report.Results {
		res := &p.report.Results[i]
		k := key{"never sent", res.Why}
		switch {
		case res.Outcome == mirror.Failed && !res.AlreadyStopped():
			k = key{"refused", text.WithoutName(strings.TrimPrefix(res.Err().Error(), res.Topic+": "), res.Topic)}
		case res.Outcome != mirror.Untouched:
			continue
		}
		if topics[k] == nil {
			keys = append(keys, k)
		}
		topics[k] = append(topics[k], res.Topic)
	}
	if len(keys) == 0 {
		return
	}
	t.Line("")
	t.Row("NOT WAITED FOR", "TOPICS", "WHY")
	for _, k := range keys {
		t.Row(k.what, text.Fit(topics[k], 40), k.why)
	}
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

// trouble says that a cluster is dark.
func (c *ClusterProgress) trouble(began, at time.Time) string {
	if c.Lists > 0 {
		return fmt.Sprintf("%s has given no new list for %v", c.ClusterID, at.Sub(c.Listed).Round(time.Second))
	}
	s := fmt.Sprintf("%s could not be read for %v", c.ClusterID, at.Sub(began).Round(time.Second))
	if c.HTTPStatus > 0 {
		s += fmt.Sprintf(" (HTTP %d)", c.HTTPStatus)
	}
	return s
}

// LogValue gives a log record the counts, and why the wait ended.
func (p Progress) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("verb", string(p.Verb)), slog.String("cluster_id", p.ClusterID), slog.String("link", p.Link),
		slog.Bool("done", p.Done), slog.String("ended", p.Ended),
	}
	for _, s := range stages {
		attrs = append(attrs, slog.Int(string(s), p.Count(s)))
	}
	return slog.GroupValue(attrs...)
}

// String returns the decision of the gate on a printable line.
func (l *Lagging) String() string {
	ready, empty := 0, 0
	var whole []string // topics without any offset
	for i := range l.Topics {
		t := &l.Topics[i]
		if t.Ready {
			ready++
		}
		if empty += t.Empty; t.isEmpty() {
			whole = append(whole, t.Topic)
		}
	}
	of := fmt.Sprintf("%d of %d", ready, len(l.Topics))
	if l.Ready {
		s := "ready: " + of
		if empty > 0 {
			s += fmt.Sprintf("; %s %s empty", text.Count(empty, "partition"), be(empty, "is", "are"))
		}
		if len(whole) > 0 {
			s += fmt.Sprintf(", topic %s among them", text.Some(whole, 3))
		}
		return text.Line(s, maxLine)
	}
	all := []string{"not ready: " + of + " caught up"}
	for i, c := range l.Clusters {
		switch {
		case c.Dark && i == 1:
			all = append(all, c.trouble(l.Began, l.At)+", and a source that has died shows lag 0")
		case c.Dark:
			all = append(all, c.trouble(l.Began, l.At))
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

// lagRow is a row of the gate's table: topics with the same Why.
type lagRow struct {
	TopicLag
	topics []string
}

// rows returns the rows of the table, topics without any offset first.
func (l *Lagging) rows() (rows []*lagRow) {
	for _, empty := range []bool{true, false} {
		for _, t := range l.Topics {
			if t.Ready || t.isEmpty() != empty {
				continue
			}
			i := slices.IndexFunc(rows, func(r *lagRow) bool {
				return r.isEmpty() == empty && r.Status == t.Status && r.Why == t.Why
			})
			if i < 0 {
				i, rows = len(rows), append(rows, &lagRow{TopicLag: t})
				rows[i].Lag = 0
			}
			rows[i].topics, rows[i].Lag = append(rows[i].topics, t.Topic), rows[i].Lag+max(0, t.Lag)
		}
	}
	return rows
}

// isEmpty tells whether no partition has a lag or an offset.
func (t *TopicLag) isEmpty() bool { return t.Empty > 0 && t.Empty == t.Partitions }

// Table writes the state of the gate for people: the decision, the topics that are not ready, and how reading the clusters
// went. The error is the error of w.
func (l *Lagging) Table(w io.Writer) error {
	var t text.Table
	t.Line(l.String())
	rows := l.rows()
	if len(rows) > 0 {
		t.Line("")
		t.Row("TOPICS", "STATUS", "LAG", "WHY")
	}
	for _, r := range rows {
		t.Row(text.Fit(r.topics, 40), cmp.Or(r.Status, "-"), r.Lag, r.Why)
	}
	ended := l.Ended
	if errors.Is(l.err, errTwice) { // which is no reason
		ended = ""
	}
	return finish(&t, w, l.Clusters, l.Began, l.At, ended)
}
