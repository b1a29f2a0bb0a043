package mirror

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/internal/printable"
)

// Progress says how far the topics of a report have come. It is plain data of the caller's.
type Progress struct {
	// Verb, ClusterID and Link are the report's own.
	Verb      Verb   `json:"verb"`
	ClusterID string `json:"cluster_id"`
	Link      string `json:"link"`
	// At is when this was so, by the clock of this process.
	At time.Time `json:"at"`
	// Polls is how often the clusters were looked at.
	Polls int `json:"polls"`
	// Clusters say how reading them went: the report's own first.
	Clusters []ClusterProgress `json:"clusters"`
	// Followed are the topics, in the order of the report.
	Followed []TopicProgress `json:"followed"`

	report *Report
}

// ClusterProgress says how the reading of one cluster goes.
type ClusterProgress struct {
	ClusterID string `json:"cluster_id"`
	// Lists is how many lists of its mirror topics were read to their end, and Listed when the latest was.
	Lists  int       `json:"lists"`
	Listed time.Time `json:"listed,omitzero"`
	// Dark is since when nothing could be read of it; the zero time if the latest list was read.
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
	// Earlier says that it is done and was so before the call.
	Earlier bool `json:"earlier,omitempty"`
	// Here is what the report's cluster last showed of it, and There what the other one did. Topic is "" if
	// it is not listed there, or was not looked for.
	Here  Mirror `json:"here"`
	There Mirror `json:"there,omitzero"`
	// Notes say what is known beside the stage.
	Notes []string `json:"notes,omitempty"`
	// Reasons are what a cluster says of why the topic does not come on.
	Reasons []Reason `json:"reasons,omitempty"`
}

// progress is how things are now.
func (f *follow) progress() *Progress {
	p := &Progress{
		Verb: f.report.Verb, ClusterID: f.report.ClusterID, Link: f.report.Link, At: time.Now(), Polls: f.polls,
		Followed: make([]TopicProgress, len(f.topics)), report: f.report,
	}
	for _, s := range f.sides {
		one := ClusterProgress{ClusterID: s.client.clusterID, Lists: s.lists, Listed: s.listed, Dark: s.failing}
		if s.lastErr != nil {
			one.Error = clean(s.lastErr.Error())
		}
		p.Clusters = append(p.Clusters, one)
	}
	for i, t := range f.topics {
		one := TopicProgress{
			Topic: t.result.Topic, Outcome: t.result.Outcome, Stage: t.finding.stage, Since: t.since,
			Earlier: t.finding.earlier, Notes: slices.Clone(t.finding.notes), Reasons: slices.Clone(t.reasons),
		}
		if one.Stage == StageDone && !t.firm { // it is shown, but not by lists read to their end
			one.Notes = append(one.Notes, "a list that shows it was not read to its end")
		}
		if w := f.sides[0].sights[i]; w.listed {
			one.Here = w.mirror
		}
		if len(f.sides) > 1 && f.sides[1].sights[i].listed {
			one.There = f.sides[1].sights[i].mirror
		}
		p.Followed[i] = one
	}
	return p
}

// Topic returns how far a topic has come, and whether it is followed.
func (p *Progress) Topic(name string) (TopicProgress, bool) {
	for i := range p.Followed {
		if p.Followed[i].Topic == name {
			return p.Followed[i], true
		}
	}
	return TopicProgress{}, false
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
// followed stays as it is.
func (p *Progress) Report() *Report {
	if p.report == nil {
		return nil
	}
	r := *p.report
	r.index = nil
	r.Results = slices.Clone(r.Results)
	done := map[string]*TopicProgress{}
	for i := range p.Followed {
		if t := &p.Followed[i]; t.Stage == StageDone {
			done[t.Topic] = t
		}
	}
	for i := range r.Results {
		res := &r.Results[i]
		*res = res.clone()
		if t := done[res.Topic]; t != nil && (res.Outcome == Unknown || res.alreadyStopped()) {
			r.settle(i, Accepted, p.reading(t), p.At)
		}
	}
	r.Complete = r.closed(r.Count(Unknown) + r.Count(Untouched))
	return &r
}

// reading is what was seen of a topic that is done.
func (p *Progress) reading(t *TopicProgress) string {
	text := fmt.Sprintf("at %s it was %s on %s", p.At.UTC().Format(time.RFC3339), t.Here.Status, p.ClusterID)
	if t.There.Topic != "" && len(p.Clusters) > 1 {
		text += fmt.Sprintf(" and %s on %s", t.There.Status, p.Clusters[1].ClusterID)
	}
	if len(t.Notes) > 0 {
		text += "; " + strings.Join(t.Notes, "; ")
	}
	return text
}

// String returns the progress on one printable line.
func (p Progress) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, link %s: ", printable.Line(string(p.Verb), maxText), printable.Quote(p.Link))
	var counts []string
	for _, s := range stages {
		counts = append(counts, fmt.Sprintf("%d %v", p.Count(s), s))
	}
	b.WriteString(strings.Join(counts, ", "))
	for _, c := range p.Clusters {
		if !c.Dark.IsZero() {
			fmt.Fprintf(&b, "; %s not read for %v", printable.Line(c.ClusterID, maxText), p.At.Sub(c.Dark).Round(time.Second))
		}
	}
	return b.String()
}

// decision says in one line what the progress comes to, in the verb's words.
func (p *Progress) decision() string {
	v, _ := p.Verb.find()
	n := len(p.Followed)
	done := p.Count(StageDone)
	switch {
	case done < n || n == 0:
		var open []string
		for _, s := range []Stage{StageBlocked, StageNoSign, StageInProgress} {
			if k := p.Count(s); k > 0 {
				open = append(open, fmt.Sprintf("%d %v", k, s))
			}
		}
		if n == 0 {
			open = append(open, "nothing was followed")
		}
		return "not yet: " + strings.Join(open, ", ")
	case v.notAll == doNotMove:
		return fmt.Sprintf("clients may move: %d of %d", done, n)
	case v.done == StatusActive:
		return fmt.Sprintf("%d of %d are %s; not yet caught up", done, n, v.done)
	}
	return fmt.Sprintf("%d of %d are %s", done, n, v.done)
}

// Table writes the progress for people: first what it comes to, then the topics that are not done, grouped
// by what is known of them, and the clusters that could not be read. The error is w's.
func (p *Progress) Table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(format string, args ...any) {
		for i := range args {
			args[i] = cleanLong(fmt.Sprint(args[i]))
		}
		fmt.Fprintf(t, format+"\n", args...)
	}
	line("%s", p.decision())
	line("%s", p.String())

	type group struct{ stage, here, there, why string }
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
		g := group{one.Stage.String(), shownStatus(one.Here), shownStatus(one.There), strings.Join(why, "; ")}
		if names[g] == nil {
			order = append(order, g)
		}
		names[g] = append(names[g], one.Topic)
		longest[g] = max(longest[g], p.At.Sub(one.Since).Round(time.Second))
	}
	if len(order) > 0 {
		line("")
		line("STAGE\tFOR\tTOPICS\tHERE\tTHERE\tWHY")
	}
	for _, g := range order {
		line("%s\t%v\t%s\t%s\t%s\t%s", g.stage, longest[g], shown(names[g], maxNamed), g.here, g.there, g.why)
	}
	line("")
	for _, c := range p.Clusters {
		switch {
		case !c.Dark.IsZero():
			line("%s\tnot read for %v: %s", c.ClusterID, p.At.Sub(c.Dark).Round(time.Second), c.Error)
		case c.Error != "":
			line("%s\tnot read to its end: %s", c.ClusterID, c.Error)
		}
	}
	for _, s := range stages {
		if p.Count(s) > 0 {
			line("%s\t%s", s, p.advice(s))
		}
	}
	return t.Flush()
}

// maxNamed is how many topics a table names that share what is known of them.
const maxNamed = 3

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
	switch s {
	case StageDone:
		return "it is " + v.waitFor() + "; whether data and consumer offsets are complete is not looked at"
	case StageInProgress:
		return "wait"
	case StageBlocked:
		return "it does not come on by itself: see why, and act"
	}
	return "nothing shows that it has begun, and nothing shows that it was not made: look at the cluster"
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
		slog.String("verb", printable.Line(string(p.Verb), maxText)),
		slog.String("cluster_id", printable.Line(p.ClusterID, maxText)),
		slog.String("link", printable.Line(p.Link, maxText)),
		slog.Int("polls", p.Polls),
	}
	for _, s := range stages {
		attrs = append(attrs, slog.Int(strings.ReplaceAll(s.String(), " ", "_"), p.Count(s)))
	}
	for _, c := range p.Clusters {
		if c.Error != "" {
			attrs = append(attrs, slog.String("error", c.ClusterID+": "+c.Error))
		}
	}
	return slog.GroupValue(attrs...)
}

// A NotDoneError says that Follow ended before all topics were done. Every error that Follow returns is one.
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
	r := e.Progress.Report()
	return r != nil && r.unknown()
}
