package mirror

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

// Settle gives a topic the outcome that was found by other means than the call: by looking at the cluster.
// It can be settled only from Unknown, or from a failure that is TopicError.AlreadyStopped, and to Accepted,
// Failed or Untouched. Accepted then means that the topic was seen where the call wanted it, not that the
// call brought it there. Why must say what was found; it is kept in Result.Settled.
//
// Follow does this by itself, for what its reading proves: see Progress.Report.
func (r *Report) Settle(topic string, to Outcome, why string) error {
	bad := &argumentError{}
	if r == nil {
		bad.add("report", "there is none")
		return bad
	}
	i, found := r.indexOf(topic)
	switch {
	case !found:
		bad.add("topic", "the report has no topic %s", text.Quote(topic))
	case r.DryRun:
		bad.add("report", "it is of a dry run, which changes nothing")
	case r.Results[i].Outcome != Unknown && !r.Results[i].alreadyStopped():
		bad.add("topic", "only Unknown, or a refusal as already stopped, can be settled: %s is %v",
			text.Quote(topic), r.Results[i].Outcome)
	}
	if to != Accepted && to != Failed && to != Untouched {
		bad.add("outcome", "%v settles nothing: it must be accepted, failed or untouched", to)
	}
	if strings.TrimSpace(why) == "" {
		bad.add("why", "it is empty")
	}
	if err := bad.err(); err != nil {
		return err
	}
	x := r.indexed()
	x.open -= r.Results[i].open()
	r.settle(i, to, why, time.Now())
	x.open += r.Results[i].open()
	r.Complete = r.closed(x.open)
	return nil
}

// settle does it, without asking whether it may.
func (r *Report) settle(i int, to Outcome, why string, at time.Time) {
	res := &r.Results[i]
	if res.Outcome == Failed {
		res.note(res.refusalNote())
	}
	res.Settled = &Settlement{Why: clean(why), At: at, From: res.Outcome, Because: clean(res.Err().Error())}
	res.Outcome, res.Code, res.Message, res.cause = to, 0, "", nil
	switch to {
	case Failed:
		res.Message = "settled: " + res.Settled.Why
	case Untouched:
		res.cause = cause("settled: "+res.Settled.Why, nil)
	}
}

// snapshot returns a copy of the report that shares nothing that can be changed by a merge or a settlement.
func (r *Report) snapshot() *Report {
	s := *r
	if x := r.index; x != nil && x.owner == r { // it has the topics that were merged
		s.places = maps.Clone(x.places)
	}
	s.index = nil
	s.Results = slices.Clone(r.Results)
	for i := range s.Results {
		s.Results[i] = s.Results[i].clone()
	}
	return &s
}

// indexOf returns the place of a topic in Results.
func (r *Report) indexOf(topic string) (place int, found bool) {
	places := r.places
	if r.index != nil && r.index.owner == r {
		places = r.index.places
	}
	return placeOf(topic, places, len(r.Results), func(i int) string { return r.Results[i].Topic })
}

// UnknownReport returns a report for a process that has none: it says of each topic that a call of the verb
// was made, or may have been, and that its outcome is not known. Follow can find out from it. At is when
// the call was made; the zero time says that this is not known either: then only a baseline can tell what
// was so before the call, and waits count from the start of Follow.
func UnknownReport(clusterID, link string, v Verb, at time.Time, topics ...string) *Report {
	why := cause("there is no report of the call", nil)
	r := &Report{Verb: v, ClusterID: clusterID, Link: link, Results: make([]Result, 0, len(topics))}
	for _, topic := range topics {
		r.Results = append(r.Results, Result{Topic: topic, Sent: at, cause: why})
	}
	r.places = placesOf(r.Results)
	return r
}
