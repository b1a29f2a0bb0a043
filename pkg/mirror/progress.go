package mirror

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

// Progress says how far the topics of a report have come. It is plain data of the caller's.
type Progress struct {
	// Verb, ClusterID and Link are the report's own.
	Verb      Verb   `json:"verb"`
	ClusterID string `json:"cluster_id"`
	Link      string `json:"link"`
	// At is when this was so, by the clock of this process.
	At time.Time `json:"at"`
	// Ended is why Follow ended; "" while it goes on.
	Ended string `json:"ended,omitempty"`
	// Began is when Follow began, and Polls how often it has looked at the clusters.
	Began time.Time `json:"began,omitzero"`
	Polls int       `json:"polls"`
	// Clusters say how reading them went: the report's own first.
	Clusters []ClusterProgress `json:"clusters"`
	// Followed are the topics, in the order of the report.
	Followed []TopicProgress `json:"followed"`
	// NotFollowed is how many topics of the report are not followed, by outcome; and Unaccounted is the
	// report's own: there may be topics that it does not name.
	NotFollowed map[Outcome]int `json:"not_followed,omitempty"`
	Unaccounted Unaccounted     `json:"unaccounted,omitzero"`

	report *Report
	places map[string]int // topic to place in Followed; never changed, for each Progress of a Follow shares it
}

// ClusterProgress says how the reading of one cluster goes.
type ClusterProgress struct {
	ClusterID string `json:"cluster_id"`
	// Lists is how many lists of its mirror topics were read to their end, and Listed when the latest was.
	Lists  int       `json:"lists"`
	Listed time.Time `json:"listed,omitzero"`
	// Dark is when it became unreadable; the zero time if the latest list was read.
	Dark time.Time `json:"dark,omitzero"`
	// Error is why the latest list was not read to its end, on one printable line; "" if it was.
	Error string `json:"error,omitempty"`
}

// TopicProgress says how far one topic has come.
type TopicProgress struct {
	Topic string `json:"topic"`
	// Outcome is what the report says of it.
	Outcome Outcome `json:"outcome"`
	// Stage is how far it has come, and Since when it came there, as far as this Follow saw.
	Stage Stage     `json:"stage"`
	Since time.Time `json:"since"`
	// Earlier says that it is done and was there already before the call.
	Earlier bool `json:"earlier,omitempty"`
	// Firm says that this rests on lists that were read to their end, the latest that each cluster gave.
	// ClusterProgress.Dark says whether a cluster has given none since.
	Firm bool `json:"firm"`
	// Alone says that it is stopped here and that the other cluster has no mirror of it, as after a promote or
	// a failover: both sides may take writes.
	Alone bool `json:"alone,omitempty"`
	// Here is what the report's cluster last showed of it, and There what the other one did. Topic is "" if
	// it is not listed there, or was not looked for. HereAt and ThereAt are when a list last showed it so.
	Here    Mirror    `json:"here"`
	There   Mirror    `json:"there,omitzero"`
	HereAt  time.Time `json:"here_at,omitzero"`
	ThereAt time.Time `json:"there_at,omitzero"`
	// Notes say what is known beside the stage.
	Notes []string `json:"notes,omitempty"`
	// Reasons are what a cluster says of why the topic makes no progress.
	Reasons []Reason `json:"reasons,omitempty"`
}

// Topic returns how far a topic has come, and whether it is followed. Of a Progress as Follow gives it, it takes the
// same time however many topics there are; of one that was read back or changed by hand, it looks through them all.
func (p *Progress) Topic(name string) (TopicProgress, bool) {
	i, found := placeOf(name, p.places, len(p.Followed), func(i int) string { return p.Followed[i].Topic })
	if !found {
		return TopicProgress{}, false
	}
	return p.Followed[i], true
}

// Topics returns the names of the topics at a stage, in the order of the report.
func (p *Progress) Topics(s Stage) []string {
	var names []string
	for i := range p.Followed {
		if p.Followed[i].Stage == s {
			names = append(names, p.Followed[i].Topic)
		}
	}
	return names
}

// Count returns how many topics are at a stage.
func (p *Progress) Count(s Stage) int {
	n := 0
	for i := range p.Followed {
		if p.Followed[i].Stage == s {
			n++
		}
	}
	return n
}

// Report returns the report with those outcomes settled that the reading proves: a topic that is done, and
// whose outcome was unknown or a failure since its mirror had stopped, is Accepted, with the reading as the
// reason. Nothing else settles anything: not a topic that is blocked, or shows no sign. The report that was
// followed stays as it is. A Progress that Follow did not return gives an empty report.
func (p *Progress) Report() *Report {
	if p.report == nil {
		return &Report{Verb: p.Verb, ClusterID: p.ClusterID, Link: p.Link}
	}
	r := p.report.snapshot()
	done := map[string]*TopicProgress{}
	for i := range p.Followed {
		if t := &p.Followed[i]; t.Stage == StageDone {
			done[t.Topic] = t
		}
	}
	for i := range r.Results {
		res := &r.Results[i]
		if t := done[res.Topic]; t != nil && (res.Outcome == Unknown || res.alreadyStopped()) {
			r.settle(i, Accepted, p.reading(t), p.At)
		}
	}
	r.Complete = r.closed(r.Count(Unknown) + r.Count(Untouched))
	return r
}

// reading is what was seen of a topic that is done.
func (p *Progress) reading(t *TopicProgress) string {
	seen := func(m Mirror, cluster string, at time.Time) string {
		return fmt.Sprintf("it was %s on %s at %s", m.Status, cluster, at.UTC().Format(time.RFC3339))
	}
	text := seen(t.Here, p.ClusterID, t.HereAt)
	if t.There.Topic != "" && len(p.Clusters) > 1 {
		text += ", " + seen(t.There, p.Clusters[1].ClusterID, t.ThereAt)
	}
	if len(t.Notes) > 0 {
		text += "; " + strings.Join(t.Notes, "; ")
	}
	return text
}

// String returns the progress on one printable line.
func (p Progress) String() string {
	var b strings.Builder
	if p.Verb != "" {
		b.WriteString(text.Line(string(p.Verb), maxText) + ", ")
	}
	fmt.Fprintf(&b, "link %s: ", text.Quote(p.Link))
	var counts []string
	for _, s := range stages {
		counts = append(counts, fmt.Sprintf("%d %v", p.Count(s), s))
	}
	b.WriteString(strings.Join(counts, ", "))
	for _, c := range p.Clusters {
		if !c.Dark.IsZero() && p.At.After(c.Dark) {
			fmt.Fprintf(&b, "; %s not read for %v", text.Line(c.ClusterID, maxText), p.At.Sub(c.Dark).Round(time.Second))
		}
	}
	return b.String()
}

// decision says in one line what the progress comes to, in the verb's words.
func (p *Progress) decision() string {
	v, _ := p.Verb.find()
	followed, done, firm, alone := len(p.Followed), p.Count(StageDone), 0, 0
	for i := range p.Followed {
		if p.Followed[i].Firm {
			firm++
		}
		if p.Followed[i].Alone {
			alone++
		}
	}
	all, left := followed, p.otherCounts()
	for _, n := range p.NotFollowed {
		all += n
	}
	switch {
	case followed == 0:
		return "not yet: nothing was followed"
	case p.Polls == 0:
		return "not yet: the clusters were not looked at"
	case done < followed:
		for _, s := range []Stage{StageInProgress, StageNoSign, StageBlocked} {
			if n := p.Count(s); n > 0 {
				left = slices.Insert(left, 0, fmt.Sprintf("%d %v", n, s))
			}
		}
		if alone > 0 {
			left = append(left, fmt.Sprintf("%d may take writes on both sides", alone))
		}
		return fmt.Sprintf("not yet: %d of %d done; %s", done, all, strings.Join(left, ", "))
	case firm < followed:
		return fmt.Sprintf("not yet: %d of %d seen done, in lists that were not read to their end", done, all)
	case len(left) > 0:
		return fmt.Sprintf("not all: %d of %d done; %s", done, all, strings.Join(left, ", "))
	case v.notAll == doNotMove:
		return fmt.Sprintf("clients may move: %d of %d", done, all)
	case v.done == StatusActive:
		return fmt.Sprintf("%d of %d are %s; not yet caught up", done, all, v.done)
	}
	return fmt.Sprintf("%d of %d are %s", done, all, v.done)
}

// otherCounts says what is beside the followed topics.
func (p *Progress) otherCounts() (texts []string) {
	for _, o := range outcomes {
		if n := p.NotFollowed[o]; n > 0 {
			texts = append(texts, fmt.Sprintf("%d %v, not followed", n, o))
		}
	}
	if p.Unaccounted == UnaccountedUnknown {
		texts = append(texts, "topics that the report does not name unknown")
	}
	return texts
}

// Table writes the progress for people: first what it comes to, then the topics that are not done, grouped
// by what is known of them, and the clusters that could not be read. The error is w's.
func (p *Progress) Table(w io.Writer) error {
	t := newTable()
	t.row(p.decision())
	t.row(p.String())
	t.row()
	urgency := []Stage{StageBlocked, StageNoSign, StageInProgress, StageDone}
	for _, s := range urgency {
		if p.Count(s) > 0 && p.Polls > 0 {
			t.row(s, p.advice(s))
		}
	}

	type group struct {
		stage            Stage
		here, there, why string
	}
	var order []group
	names, longest := map[group][]string{}, map[group]time.Duration{}
	for i := range p.Followed {
		one := &p.Followed[i]
		why := slices.Clone(one.Notes)
		for _, r := range one.Reasons {
			why = append(why, r.String())
		}
		if one.Stage == StageDone && len(why) == 0 {
			continue
		}
		g := group{one.Stage, shownStatus(one.Here), shownStatus(one.There), strings.Join(why, "; ")}
		if names[g] == nil {
			order = append(order, g)
		}
		names[g] = append(names[g], one.Topic)
		longest[g] = max(longest[g], p.At.Sub(one.Since).Round(time.Second))
	}
	slices.SortStableFunc(order, func(a, b group) int {
		return slices.Index(urgency, a.stage) - slices.Index(urgency, b.stage)
	})
	if len(order) > 0 {
		t.row()
		head := []any{"STAGE", "FOR", "TOPICS", p.ClusterID, "WHY"}
		if len(p.Clusters) > 1 {
			head = slices.Insert(head, 4, any(p.Clusters[1].ClusterID))
		}
		t.row(head...)
	}
	for _, g := range order {
		cells := []any{g.stage, longest[g], firstOf(names[g]), g.here, g.why}
		if len(p.Clusters) > 1 {
			cells = slices.Insert(cells, 4, any(g.there))
		}
		t.row(cells...)
	}

	t.row()
	if !p.Began.IsZero() {
		t.row("looked", fmt.Sprintf("%s in %v", count(p.Polls, "time"), p.At.Sub(p.Began).Round(time.Second)))
	}
	if p.Ended != "" {
		t.row("ended", p.Ended)
	}
	for _, c := range p.Clusters {
		switch {
		case !c.Dark.IsZero():
			t.row(c.ClusterID, fmt.Sprintf("not read for %v: %s", p.At.Sub(c.Dark).Round(time.Second), c.Error))
		case c.Error != "":
			t.row(c.ClusterID, "not read to its end: "+c.Error)
		}
	}
	return t.writeTo(w)
}

// shownStatus is a mirror's status, for people.
func shownStatus(m Mirror) string {
	if m.Topic == "" {
		return "-"
	}
	return string(m.Status)
}

// advice says for each stage what it means and what to do.
func (p *Progress) advice(s Stage) string {
	v, _ := p.Verb.find()
	switch {
	case s == StageDone:
		goal := v.waitFor()
		if slices.ContainsFunc(p.Followed, func(t TopicProgress) bool {
			return t.Stage == StageDone && t.There.Topic != "" && t.There.Status != v.doneThere
		}) {
			goal += ", or past that"
		}
		return "it is " + goal + "; whether data and consumer offsets are complete was not checked"
	case s == StageInProgress && p.Ended == "":
		return "wait"
	case s == StageInProgress:
		return "something was seen to move; deal with what stands under WHY, and follow it again"
	case s == StageBlocked:
		return "it does not go on by itself: deal with what stands under WHY; then follow it again, or send it again"
	}
	return "no sign that it has begun, which is no proof that it has not: look at the topic before sending it again"
}

// MarshalJSON writes the progress, with a count for each stage.
func (p Progress) MarshalJSON() ([]byte, error) {
	type fields Progress // without the methods
	out := struct {
		fields
		Counts map[Stage]int `json:"counts"`
	}{fields(p), map[Stage]int{}}
	for _, s := range stages {
		out.Counts[s] = p.Count(s)
	}
	return json.Marshal(out)
}

// LogValue gives a log record the progress in a few attributes: the counts, not the topics.
func (p Progress) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("verb", text.Line(string(p.Verb), maxText)),
		slog.String("cluster_id", text.Line(p.ClusterID, maxText)),
		slog.String("link", text.Line(p.Link, maxText)),
		slog.Int("polls", p.Polls),
	}
	for _, s := range stages {
		attrs = append(attrs, slog.Int(strings.ReplaceAll(s.String(), " ", "_"), p.Count(s)))
	}
	for _, c := range p.Clusters {
		if c.Error != "" {
			attrs = append(attrs, slog.String("error of "+text.Line(c.ClusterID, maxText), c.Error))
		}
	}
	return slog.GroupValue(attrs...)
}

// A NotDoneError says that Follow did not see all done, by lists that were read to their end. Every error that
// Follow returns is one.
type NotDoneError struct {
	// Progress is the one that Follow returned beside the error; never nil.
	Progress *Progress

	causes []error
}

// Error gives the counts and the first cause on one printable line.
func (e *NotDoneError) Error() string {
	s := "not all done"
	if e.Progress != nil {
		s = e.Progress.String()
	}
	if len(e.causes) > 0 {
		s += ": " + e.causes[0].Error()
	}
	return s
}

// Unwrap returns what ended Follow, and why clusters could not be read.
func (e *NotDoneError) Unwrap() []error { return e.causes }

// Is makes the error match ErrOutcomeUnknown while a topic of unknown outcome is not done.
func (e *NotDoneError) Is(target error) bool {
	if target != ErrOutcomeUnknown || e.Progress == nil {
		return false
	}
	return e.Progress.Report().unknown()
}
