package mirror

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

// Clone returns a deep copy of the report.
func (r *Report) Clone() *Report {
	c := *r
	c.Results, c.Unexpected = cloneResults(r.Results), cloneResults(r.Unexpected)
	c.Problems, c.Attempts = slices.Clone(r.Problems), slices.Clone(r.Attempts)
	return &c
}

func cloneResults(results []Result) []Result {
	results = slices.Clone(results)
	for i := range results {
		res := &results[i]
		res.Lags, res.Truncations = slices.Clone(res.Lags), slices.Clone(res.Truncations)
		res.Notes, res.Sends = slices.Clone(res.Notes), slices.Clone(res.Sends)
	}
	return results
}

// Merge adds another report for the same cluster, link and verb to r. The other report may be about topics that were
// sent again or about other batches of a job. The zero Report becomes a copy of the other report. Dry runs merge with
// dry runs only. Reports by pattern cannot be merged. If the reports do not fit, the error matches ErrInvalidArgument
// and r is unchanged. The other report is never changed and shares nothing with r.
//
// A topic is Accepted if any of its requests was accepted or settled as Accepted; else Unknown while the outcome of a
// request is neither known nor settled; else Failed if any request was refused; else Untouched. Texts and numbers come
// from the later report. Outcomes do not depend on the order or grouping of merges. Merging a report twice changes
// nothing.
func (r *Report) Merge(other *Report) error {
	bad := &argumentError{}
	if r == nil || other == nil {
		bad.add("Merge", "there is no report")
		return bad
	}
	if r.Pattern != "" || other.Pattern != "" {
		bad.add("Merge", "a report by pattern cannot be merged: it does not name all its topics")
		return bad
	}
	if r.Verb == "" && r.ClusterID == "" && r.Link == "" && len(r.Results) == 0 {
		r.Verb, r.ClusterID, r.Link, r.DryRun = other.Verb, other.ClusterID, other.Link, other.DryRun
	}
	for _, c := range []struct{ what, ours, theirs string }{
		{"verb", string(r.Verb), string(other.Verb)},
		{"cluster", r.ClusterID, other.ClusterID},
		{"link", r.Link, other.Link},
		{"dry run", strconv.FormatBool(r.DryRun), strconv.FormatBool(other.DryRun)},
	} {
		if c.ours != c.theirs {
			bad.add("Merge", "the reports differ in %s: %s and %s", c.what, text.Quote(c.ours), text.Quote(c.theirs))
		}
	}
	if err := bad.err(); err != nil {
		return err
	}
	other = other.Clone()
	places := placesOf(r.Results)
	for _, theirs := range other.Results {
		if i, known := places[theirs.Topic]; known {
			r.Results[i] = mergeResults(r.Results[i], theirs)
			continue
		}
		places[theirs.Topic] = len(r.Results)
		r.Results = append(r.Results, theirs)
	}
	r.Attempts = union(r.Attempts, other.Attempts, func(a Attempt) [3]any { return [3]any{a.Run, a.Batch, a.Number} })
	r.Problems = union(r.Problems, other.Problems, func(p string) string { return p })
	r.Unexpected = union(r.Unexpected, other.Unexpected, func(u Result) [4]any {
		return [4]any{u.Topic, u.Outcome, u.Code, u.Message}
	})
	r.Unexpected = r.Unexpected[:min(len(r.Unexpected), maxUnexpected)]
	return nil
}

// union appends to a the elements of b whose key is new.
func union[E any, K comparable](a, b []E, key func(E) K) []E {
	known := make(map[K]bool, len(a))
	for _, e := range a {
		known[key(e)] = true
	}
	for _, e := range b {
		if k := key(e); !known[k] {
			known[k] = true
			a = append(a, e)
		}
	}
	return a
}

// mergeResults merges two Results of a topic.
func mergeResults(a, b Result) Result {
	byHand := a.Outcome == Unknown && len(a.Sends) == 0 || b.Outcome == Unknown && len(b.Sends) == 0
	for _, s := range a.Sends {
		i := slices.IndexFunc(b.Sends, func(o Send) bool { return o.Run == s.Run && o.Batch == s.Batch })
		if i < 0 {
			b.Sends = append(b.Sends, s)
			continue
		}
		b.Sends[i].Unknown = b.Sends[i].Unknown || s.Unknown
		b.Sends[i].Settled = b.Sends[i].Settled || s.Settled
	}
	m := b
	m.Outcome = Accepted
	if a.Outcome != Accepted && b.Outcome != Accepted {
		m.Outcome = outcomeOf(b.Sends, a.refused() || b.refused())
		if byHand { // no request is named that a settlement could cover
			m.Outcome = Unknown
		}
	}
	if b.Outcome != m.Outcome && a.Outcome == m.Outcome { // a has the reason for the merged outcome
		m.Why = a.Why
		if a.refused() {
			m.Code, m.Message = a.Code, a.Message
		}
	}
	if !m.refused() {
		m.Code, m.Message = a.Code, a.Message
	}
	m.Notes = slices.Clone(a.Notes)
	for _, note := range b.Notes {
		m.note(note)
	}
	if m.Outcome == Accepted {
		for _, r := range []Result{a, b} {
			if r.refused() {
				m.note("a request was refused for this topic: " + codeAndMessage(r.Code, r.Message))
			}
		}
		m.Code, m.Message, m.Why = 0, "", ""
	}
	if m.Outcome == Failed {
		m.Why = ""
	}
	m.Done = a.Done || b.Done
	switch { // the outcome may be another request's, not the settlement's
	case b.Outcome == m.Outcome && b.Settled != "":
	case a.Outcome == m.Outcome:
		m.Settled = a.Settled
	default:
		m.Settled = ""
	}
	if m.Lags == nil {
		m.Lags = a.Lags
	}
	if m.Truncations == nil && m.MessagesTruncated < 0 {
		m.Truncations, m.MessagesTruncated = a.Truncations, a.MessagesTruncated
	}
	return m
}

// refused reports whether a request was refused for the topic.
func (r *Result) refused() bool { return r.Code != 0 || r.Message != "" }

// outcomeOf returns the outcome of a topic without an accepted request.
func outcomeOf(sends []Send, refused bool) Outcome {
	switch {
	case slices.ContainsFunc(sends, func(s Send) bool { return s.Unknown && !s.Settled }):
		return Unknown
	case refused:
		return Failed
	}
	return Untouched
}

// placesOf returns the index of each topic in results.
func placesOf(results []Result) map[string]int {
	places := make(map[string]int, len(results))
	for i := range results {
		places[results[i].Topic] = i
	}
	return places
}

// Settle gives topics an outcome that was found by looking at the cluster. why must say how the outcome was found.
//
// Settling as Accepted says that the topics reached the verb's goal and need no wait. Topics may be Unknown or
// Accepted, or refused as AlreadyStopped. Settling as Untouched says that nothing was done. Topics must be Unknown.
//
// Settle changes all of the topics or none. If a topic cannot be settled, the error matches ErrInvalidArgument and
// names every such topic.
func (r *Report) Settle(to Outcome, why string, topics ...string) error {
	bad := &argumentError{}
	if r == nil {
		bad.add("report", "there is none")
		return bad
	}
	if r.DryRun {
		bad.add("report", "it is of a dry run, which changes nothing")
	}
	if to != Accepted && to != Untouched {
		bad.add("outcome", "%v settles nothing: it must be accepted or untouched", to)
	}
	if strings.TrimSpace(why) == "" {
		bad.add("why", "it is empty")
	}
	places := placesOf(r.Results)
	for _, topic := range topics {
		i, known := places[topic]
		if !known {
			bad.add("topic", "the report has no topic %s", text.Quote(topic))
			continue
		}
		res := &r.Results[i]
		if res.Outcome != Unknown && (to != Accepted || res.Outcome != Accepted && !res.AlreadyStopped()) {
			bad.add("topic", "%s is %v, which cannot be settled as %v", text.Quote(topic), res.Outcome, to)
		}
	}
	if err := bad.err(); err != nil {
		return err
	}
	for _, topic := range topics {
		res := &r.Results[places[topic]]
		res.Sends = slices.Clone(res.Sends)
		for i := range res.Sends {
			res.Sends[i].Settled = res.Sends[i].Unknown
		}
		res.Settled = text.Line(why, maxText)
		if to == Accepted {
			if res.refused() {
				res.note("a request was refused for this topic: " + codeAndMessage(res.Code, res.Message))
			}
			res.Outcome, res.Code, res.Message, res.Why, res.Done = Accepted, 0, "", "", true
			continue
		}
		if res.Outcome = outcomeOf(res.Sends, res.refused()); res.Outcome == Failed {
			res.Why = ""
		} else {
			res.Why = "settled: " + res.Settled
		}
	}
	return nil
}

// UnknownReport returns a report of a batch without a known answer. Each of its topics is Unknown, and the report of a
// batch by pattern is Lost. at is when the batch was sent, or the zero time if not known. A process knowing nothing but
// the names of the topics can pass a Batch with ClusterID, Link, Verb and Topics.
func UnknownReport(b Batch, at time.Time) *Report {
	r := &Report{
		Verb: b.Verb, ClusterID: b.ClusterID, Link: b.Link, Pattern: b.Pattern, Lost: b.Pattern != "",
		Results: make([]Result, len(b.Topics)),
	}
	for i, topic := range b.Topics {
		r.Results[i] = Result{
			Topic: topic, Why: "the answer to the request is not known", MessagesTruncated: -1,
			Sends: []Send{{Run: b.Run, Batch: b.Index, Unknown: true}},
		}
	}
	r.Attempts = []Attempt{{
		Run: b.Run, Batch: b.Index, Topics: len(b.Topics), Start: at, Error: "the answer to the request is not known",
	}}
	return r
}
