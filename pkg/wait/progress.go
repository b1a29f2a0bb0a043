package wait

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// Progress says how far the topics of a report have come. A Progress is plain data, and belongs to the caller.
type Progress struct {
	// Verb, ClusterID and Link are the report's own.
	Verb      mirror.Verb `json:"verb"`
	ClusterID string      `json:"cluster_id"`
	Link      string      `json:"link"`
	// Began is the begin of the wait, and At the time of the Progress, by the clock of this process.
	Began time.Time `json:"began,omitzero"`
	At    time.Time `json:"at"`
	// Ended is why the wait ended; "" while the wait goes on. Done says that all topics of Waited are done, by fresh
	// lists, and that nothing else ended the wait.
	Ended string `json:"ended,omitempty"`
	Done  bool   `json:"done"`
	// Clusters are the clusters that were read, the report's own first.
	Clusters []ClusterProgress `json:"clusters"`
	// Waited are the topics to wait for, and the topics that were settled as done before, in the order of the report.
	Waited []TopicProgress `json:"topics"`

	report *mirror.Report
	err    error
}

// TopicProgress says how far a topic has come.
type TopicProgress struct {
	Topic string `json:"topic"`
	// Outcome is the outcome in the report, or Accepted at StageDone. WasUnknown says that a done topic was Unknown.
	Outcome    mirror.Outcome `json:"outcome"`
	WasUnknown bool           `json:"was_unknown,omitempty"`
	Stage      Stage          `json:"stage"`
	// Since is when the present status began, on the cluster where the topic is not at its goal: by the cluster's age of
	// the status, or else by the first list with the status.
	Since time.Time `json:"since,omitzero"`
	// This is the state on the report's cluster, and Other the state on the other cluster.
	This  Sight `json:"this"`
	Other Sight `json:"other,omitzero"`
	// Lag is the sum of the lags on the cluster where the topic is not at its goal; -1 if not known. Rising says that the
	// sum was lower when the topic came to its status.
	Lag    int64 `json:"lag"`
	Rising bool  `json:"rising,omitempty"`
	// Notes are facts beside the stage. Reasons are the answer of a cluster, at Asked, why the topic does not move. Asked
	// is the zero time if no cluster has answered.
	Notes   []string        `json:"notes,omitempty"`
	Reasons []mirror.Reason `json:"reasons,omitempty"`
	Asked   time.Time       `json:"asked,omitzero"`
	// Next says what to do; "" at StageDone.
	Next string `json:"next,omitempty"`
}

// Sight is the state of a topic on a cluster.
type Sight struct {
	// At is when the latest list with this state was asked for; the zero time if the state is not known.
	At time.Time `json:"at,omitzero"`
	// Status is "" for a topic that is not listed. Since is when the status began, by the cluster's clock.
	Status mirror.Status `json:"status,omitempty"`
	Since  time.Time     `json:"since,omitzero"`
	// Error is the name of the mirror's error; "" for none.
	Error string `json:"error,omitempty"`
}

// progress returns the present Progress.
func (w *waiter) progress() *Progress {
	p := &Progress{
		Verb: w.report.Verb, ClusterID: w.report.ClusterID, Link: w.report.Link, Began: w.began, At: time.Now(),
		Ended: w.ended, Done: w.done, report: w.report, err: w.err,
		Waited: make([]TopicProgress, 0, len(w.topics)), Clusters: []ClusterProgress{},
	}
	for _, s := range w.sides {
		p.Clusters = append(p.Clusters, s.ClusterProgress)
	}
	topics := w.topics
	for i := range w.report.Results {
		switch res := &w.report.Results[i]; {
		case res.Done:
			p.Waited = append(p.Waited, TopicProgress{
				Topic: res.Topic, Outcome: res.Outcome, Stage: StageDone, Lag: -1, Notes: []string{"settled: " + res.Settled},
			})
		case len(topics) > 0 && topics[0].result == res:
			p.Waited = append(p.Waited, topics[0].progress(w.ended))
			topics = topics[1:]
		}
	}
	return p
}

func (t *topic) progress(ended string) TopicProgress {
	one, at := t.TopicProgress, &t.sides[max(0, t.finding.ask-1)]
	one.This, one.Other, one.Since, one.Next = t.sides[0].Sight, t.sides[1].Sight, at.began, t.next(ended)
	one.Notes, one.Reasons, one.Lag = slices.Clone(t.finding.notes), slices.Clone(t.Reasons), -1
	if t.finding.ask > 0 {
		one.Lag, one.Rising = at.lag, at.lag > at.firstLag && at.firstLag >= 0
	}
	if one.Stage == StageDone {
		one.WasUnknown, one.Outcome = one.Outcome == mirror.Unknown, mirror.Accepted
		one.Reasons, one.Asked = nil, time.Time{}
	}
	return one
}

// next returns what to do about a topic.
func (t *topic) next(ended string) string {
	group := func(r mirror.Reason) bool { return strings.Contains(r.Code, "CONSUMER_GROUP") }
	f := &t.finding
	switch {
	case strings.HasPrefix(f.next, stopProducers):
		return f.next + ": the topic may take writes on both clusters"
	case f.next != "" || t.Stage == StageDone:
		return f.next
	case t.Stage == StageInProgress && slices.ContainsFunc(t.Reasons, group):
		return "stop what stands under WHY; it then goes on by itself"
	case t.Stage == StageInProgress && len(t.Reasons) > 0:
		return "fix what stands under WHY; it then goes on by itself"
	case strings.HasPrefix(ended, contextEnded):
		return "not finished: wait again"
	case t.Stage == StageInProgress && ended == "":
		return "wait"
	case t.Stage == StageInProgress:
		return "fix what stands under WHY, then wait again"
	case ended == "":
		return "nothing to be seen yet: wait"
	}
	return "nothing shows that the change was made, and nothing proves that it was not: look at the topic before sending it again"
}

// Topic returns how far a topic has come, and whether Waited has the topic. Topic looks through Waited.
func (p *Progress) Topic(name string) (TopicProgress, bool) {
	i := slices.IndexFunc(p.Waited, func(t TopicProgress) bool { return t.Topic == name })
	if i < 0 {
		return TopicProgress{}, false
	}
	return p.Waited[i], true
}

// Topics returns the names of the topics at a stage, in the order of the report.
func (p *Progress) Topics(s Stage) (names []string) {
	for i := range p.Waited {
		if p.Waited[i].Stage == s {
			names = append(names, p.Waited[i].Topic)
		}
	}
	return names
}

// Count returns how many topics are at a stage.
func (p *Progress) Count(s Stage) int { return len(p.Topics(s)) }

// Report returns a copy of the report with the proven outcomes settled: a topic at StageDone that was unknown, or refused
// because its mirror had stopped already, is Accepted. Nothing else is settled.
func (p *Progress) Report() *mirror.Report {
	r := p.report.Clone()
	seen, waited := map[string][]string{}, p.Waited // seen has the topics by the text
	for i := range r.Results {
		if len(waited) > 0 && waited[0].Topic == r.Results[i].Topic {
			if t := &waited[0]; t.Stage == StageDone && !r.Results[i].Done {
				why := p.seen(t)
				seen[why] = append(seen[why], t.Topic)
			}
			waited = waited[1:]
		}
	}
	for why, topics := range seen {
		_ = r.Settle(mirror.Accepted, why, topics...) // each topic is in the report, and may be settled so
	}
	return r
}

// seen returns the states of a topic that is done.
func (p *Progress) seen(t *TopicProgress) string {
	var texts []string
	for i, s := range []Sight{t.This, t.Other}[:len(p.Clusters)] {
		texts = append(texts, fmt.Sprintf(
			"it was %s on %s at %s", s.Status, p.Clusters[i].ClusterID, s.At.UTC().Format(time.RFC3339),
		))
	}
	return strings.Join(append(texts, t.Notes...), "; ")
}

// Err returns nil only if every topic of the report is accounted for and done. Done returns the same error. After
// UnmarshalJSON the error matches the errors of the report, such as mirror.ErrOutcomeUnknown, and no others.
func (p *Progress) Err() error {
	if p.Done && len(p.others()) == 0 && len(p.report.Results) > 0 {
		return nil
	}
	e := &failure{text: p.String(), causes: []error{p.err, p.Report().Err()}}
	if !p.Done && p.Ended != "" {
		e.text += ": " + p.Ended
	}
	return e
}

// failure is the error of a wait without success.
type failure struct {
	text   string
	causes []error // some may be nil
}

// Error returns the decision and the end of the wait, on a printable line.
func (e *failure) Error() string { return e.text }

func (e *failure) Unwrap() []error {
	return slices.DeleteFunc(slices.Clone(e.causes), func(err error) bool { return err == nil })
}

// The version of the JSON form.
const version = 1

type progressFields Progress

type progressForm struct {
	Version int            `json:"version"`
	Counts  map[Stage]int  `json:"counts"`
	Report  *mirror.Report `json:"report"`
	progressFields
}

// MarshalJSON writes the progress with a version, a count for each stage, and the settled report without lags.
func (p Progress) MarshalJSON() ([]byte, error) {
	form := progressForm{Version: version, Counts: map[Stage]int{}, Report: p.Report(), progressFields: progressFields(p)}
	for _, s := range stages {
		form.Counts[s] = p.Count(s)
	}
	for i := range form.Report.Results {
		form.Report.Results[i].Lags = nil
	}
	return json.Marshal(form)
}

// UnmarshalJSON reads the form of MarshalJSON. Report then returns the settled report.
func (p *Progress) UnmarshalJSON(data []byte) error {
	var form progressForm
	if err := json.Unmarshal(data, &form); err != nil {
		return err
	}
	if form.Version != version {
		return fmt.Errorf("it has version %d, and this library reads version %d", form.Version, version)
	}
	if form.Report == nil {
		return errors.New("it has no report")
	}
	*p = Progress(form.progressFields)
	p.report = form.Report
	return nil
}
