package mirror

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

// Verb is an operation on mirror topics. Its text follows "mirrors:" in the API's path.
type Verb string

// The verbs. Each verb has a method of the Client, where the verb is described.
const (
	VerbReverseAndPause    Verb = "reverse-and-pause-mirror"
	VerbReverseAndStart    Verb = "reverse-and-start-mirror"
	VerbPromote            Verb = "promote"
	VerbFailover           Verb = "failover"
	VerbPause              Verb = "pause"
	VerbResume             Verb = "resume"
	VerbTruncateAndRestore Verb = "truncate-and-restore"
)

// verb is a row in the table of verbs. rows.go makes the verb's request.
type verb struct {
	name          Verb
	goal, other   Status   // the statuses of a finished topic here and on the other cluster
	from, through []Status // the statuses before and during the change
	fromUnlisted  bool
	final         bool   // the verb cannot be undone
	hidden        string // the change that an unclear status can hide
	past          string // the change to a topic in words, such as reversed
	notAll        string // the decision while not every topic is accepted
	proofOnly     bool   // no retry after a 429 without proof
}

// Statuses that several verbs share.
var (
	mirroring = []Status{StatusActive, StatusPaused}
	stopping  = []Status{StatusPendingStopped, StatusPendingSynchronize}
)

const doNotMove = "do not move clients"

// verbs is the table of verbs, in the order of messages. Statements about the server are observed. The vendor documents
// that promote and failover cannot be undone.
var verbs = []verb{
	{
		name: VerbReverseAndPause, goal: StatusStopped, other: StatusPaused, past: "reversed", notAll: doNotMove,
		from: mirroring, through: stopping,
	},
	{
		name: VerbReverseAndStart, goal: StatusStopped, other: StatusActive, past: "reversed", notAll: doNotMove,
		from: mirroring, through: stopping,
	},
	{
		name: VerbPromote, goal: StatusStopped, past: "promoted", notAll: doNotMove, final: true,
		from: mirroring, through: stopping,
	},
	{
		name: VerbFailover, goal: StatusStopped, past: "failed over", notAll: doNotMove, final: true,
		from: append(slices.Clone(mirroring),
			StatusFailed, StatusLinkFailed, StatusLinkPaused, StatusSourceUnavailable),
		through: stopping, hidden: "a finished failover: try one produce",
	},
	{
		name: VerbPause, goal: StatusPaused, past: "paused", notAll: "do not count on the pause",
		from: []Status{StatusActive},
	},
	{
		name: VerbResume, goal: StatusActive, past: "resumed", notAll: "do not count on the resume",
		from: []Status{StatusPaused}, through: []Status{StatusPendingSynchronize},
	},
	{
		name: VerbTruncateAndRestore, goal: StatusActive, past: "truncated and restored",
		notAll: "do not count on the restore", final: true, proofOnly: true,
		from: []Status{StatusStopped}, fromUnlisted: true,
		through: []Status{StatusPendingSetupForRestore, StatusPendingRestore, StatusPendingSynchronize},
	},
}

// row returns the verb's row of the table and whether there is a row. An unknown verb gets generic words.
func (v Verb) row() (verb, bool) {
	i := slices.IndexFunc(verbs, func(row verb) bool { return row.name == v })
	if i < 0 {
		return verb{name: v, past: "changed", notAll: "not all were accepted"}, false
	}
	return verbs[i], true
}

// ParseVerb returns the verb with the given name: the name in the API's path, or without -mirror at its end as in the
// vendor's CLI. The error matches ErrInvalidArgument and names all verbs.
func ParseVerb(name string) (Verb, error) {
	for _, v := range verbs {
		if name == string(v.name) || name == strings.TrimSuffix(string(v.name), "-mirror") {
			return v.name, nil
		}
	}
	bad := &argumentError{}
	Verb(name).checkTo(bad)
	return "", bad.err()
}

// checkTo adds a problem to bad if the verb is unknown.
func (v Verb) checkTo(bad *argumentError) {
	if _, known := v.row(); !known {
		names := make([]string, len(verbs))
		for i, row := range verbs {
			names[i] = strings.TrimSuffix(string(row.name), "-mirror")
		}
		bad.add("Verb", "%s is none of %s", text.Quote(string(v)), strings.Join(names, ", "))
	}
}

// From returns the statuses from which the verb starts, on the cluster of the call.
func (v Verb) From() []Status { row, _ := v.row(); return slices.Clone(row.from) }

// FromUnlisted reports whether the verb also starts from a topic that is no mirror topic.
func (v Verb) FromUnlisted() bool { row, _ := v.row(); return row.fromUnlisted }

// Through returns the statuses during the change, on the cluster of the call.
func (v Verb) Through() []Status { row, _ := v.row(); return slices.Clone(row.through) }

// Goal returns the status of a finished topic on the cluster of the call and the status of its counterpart on the other
// cluster. other is "" if the verb leaves the counterpart unchanged.
func (v Verb) Goal() (this, other Status) { row, _ := v.row(); return row.goal, row.other }

// CanBeUndone reports whether another verb leads back without deleting records or mirroring the topic anew.
func (v Verb) CanBeUndone() bool { row, known := v.row(); return known && !row.final }

// Past returns the change to a topic in words, such as "reversed" or "promoted".
func (v Verb) Past() string { row, _ := v.row(); return row.past }

// Hidden returns the change that a status such as SOURCE_UNAVAILABLE can hide. "" means any change.
func (v Verb) Hidden() string { row, _ := v.row(); return row.hidden }

// waitFor returns the statuses of a finished topic in words.
func (v verb) waitFor() string {
	switch {
	case v.goal == "":
		return "done"
	case v.other == "":
		return string(v.goal)
	}
	return fmt.Sprintf("%s, and %s on the other cluster", v.goal, v.other)
}

// ReverseAndPause makes the selected local mirror topics writable and leaves their former sources as paused mirrors.
// Call ReverseAndPause on the cluster with the current mirror topics. Both clusters must be reachable, over a
// bidirectional link without a prefix (observed). The former sources turn read-only first: producers left on them get
// errors. To let data flow back, call Resume on the other cluster.
//
// The following holds for every verb. Names are sent in batches (Config.BatchSize), one after another. The run ends at
// a batch that was refused as a whole or has an Unknown topic. Topics refused by row do not end the run. The Report is
// never nil and accounts for every topic selected by name. The error is nil only if all topics were accepted. Accepted
// does not mean done. Any other error is an *IncompleteError, which matches:
//
//   - ErrInvalidArgument or ErrNoTopics if nothing was sent because the call was wrong;
//   - ErrOutcomeUnknown if a topic may have been changed and the outcome is not known;
//   - ErrUnauthenticated, ErrRateLimited, *TopicError and *APIError by the server's response;
//   - the context's error and cause if topics were left out because the context ended.
//
// When ctx ends, no wait goes on and no further batch is sent. A request that has begun gets the rest of Config.Timeout
// to be answered, even past ctx's deadline.
func (c *Client) ReverseAndPause(ctx context.Context, link string, s Selection) (*Report, error) {
	return c.Do(ctx, VerbReverseAndPause, link, s)
}

// ReverseAndStart is like ReverseAndPause, but the mirrors on the other cluster start at once. The former sources
// therefore change.
func (c *Client) ReverseAndStart(ctx context.Context, link string, s Selection) (*Report, error) {
	return c.Do(ctx, VerbReverseAndStart, link, s)
}

// Promote stops the selected mirror topics once they have caught up and makes the topics writable. The sources must be
// reachable. A promote stalls while producers write to the source or consumer groups are active on the mirror (reported
// by users). A promote cannot be undone. Report and error are as for ReverseAndPause.
func (c *Client) Promote(ctx context.Context, link string, s Selection) (*Report, error) {
	return c.Do(ctx, VerbPromote, link, s)
}

// Failover stops the selected mirror topics as they are, with or without reachable sources, and makes the topics
// writable. Records not yet fetched are lost to the topics. A failover cannot be undone. Report and error are as for
// ReverseAndPause.
func (c *Client) Failover(ctx context.Context, link string, s Selection) (*Report, error) {
	return c.Do(ctx, VerbFailover, link, s)
}

// Pause pauses the selected mirror topics. The answer for a paused topic is not known. Report and error are as for
// ReverseAndPause.
func (c *Client) Pause(ctx context.Context, link string, s Selection) (*Report, error) {
	return c.Do(ctx, VerbPause, link, s)
}

// Resume resumes the selected paused mirror topics. After ReverseAndPause, call Resume on the other cluster with the
// other cluster's endpoint, id and credential. Resume does not end the pause of a whole link (assumed). An ACTIVE
// mirror may not have caught up. The answer for a topic that is not paused is not known. Report and error are as for
// ReverseAndPause.
func (c *Client) Resume(ctx context.Context, link string, s Selection) (*Report, error) {
	return c.Do(ctx, VerbResume, link, s)
}

// Do calls a verb by its name. Do refuses TruncateAndRestore, which needs a plan. Report and error are as for
// ReverseAndPause.
func (c *Client) Do(ctx context.Context, v Verb, link string, s Selection) (*Report, error) {
	call := call{verb: v, link: link, selection: s}
	if v == VerbTruncateAndRestore {
		call.bad.add("Verb", "%s needs a plan: call TruncateAndRestore", v)
	}
	return c.do(ctx, &call)
}

// Validate is the dry run: the server says what a verb would do, and nothing is changed. The Report is marked as a dry
// run in its text, table, JSON and log. The outcomes are the server's forecast. Report and error are as for
// ReverseAndPause, but the call ends at once when ctx ends.
func (c *Client) Validate(ctx context.Context, v Verb, link string, s Selection) (*Report, error) {
	return c.do(ctx, &call{verb: v, link: link, selection: s, dryRun: true})
}

// TruncateAndRestore deletes records. It deletes the records of the plan's topics that their counterparts on the other
// cluster lack, and makes the topics mirrors of the counterparts. Call TruncateAndRestore on the old source after a
// failover or a promote, under the old source's side of the bidirectional link.
//
// The plan is the report of the dry run for the same cluster: Validate with VerbTruncateAndRestore and Topics. Each
// topic of the plan must be Accepted, have no note, and have a known number of truncated messages of at most
// maxMessages. Otherwise nothing is sent, and the error matches ErrInvalidArgument and names the topics. maxMessages
// limits the plan's numbers: if a topic was written to since the plan, more is cut off, and the report has a note.
//
// Active consumer groups block the change. Whether producers on the other side must stop is not known, nor the answer
// to a second call. Confluent Platform 7.9.0 to 7.9.2 and 8.0.0 can lose data here if tiered storage is on (the
// vendor's notes). An ACTIVE topic may not have caught up. The change cannot be undone. Report and error are as for
// ReverseAndPause.
func (c *Client) TruncateAndRestore(ctx context.Context, plan *Report, maxMessages int64) (*Report, error) {
	call := call{verb: VerbTruncateAndRestore}
	if plan == nil {
		call.bad.add("plan", "there is none: it is the report of the dry run, Validate with %s", VerbTruncateAndRestore)
		plan = &Report{}
	} else {
		c.checkPlan(&call.bad, plan, maxMessages)
	}
	if maxMessages < 0 {
		call.bad.add("maxMessages", "%d is negative", maxMessages)
	}
	names := make([]string, len(plan.Results))
	for i := range plan.Results {
		names[i] = plan.Results[i].Topic
	}
	call.link, call.selection = plan.Link, Topics(names...)
	call.check = func(r *Result) {
		if cut, _ := r.truncated(); cut > maxMessages && r.Outcome == Accepted {
			r.note(fmt.Sprintf("more messages were cut off than maxMessages, %d: there were more than in the plan",
				maxMessages))
		}
	}
	return c.do(ctx, &call)
}

// checkPlan adds to bad the reasons why the plan does not allow a truncation.
func (c *Client) checkPlan(bad *argumentError, plan *Report, maxMessages int64) {
	if plan.Verb != VerbTruncateAndRestore || !plan.DryRun {
		bad.add("plan", "it is not the report of a dry run of %s", VerbTruncateAndRestore)
	}
	if plan.ClusterID != c.ClusterID() {
		bad.add("plan", "it is about cluster %s", text.Quote(plan.ClusterID))
	}
	if plan.Pattern != "" {
		bad.add("plan", "it is of a pattern: truncate topics by name only")
	}
	var refused, notKnown, tooMany []string
	for i := range plan.Results {
		r := &plan.Results[i]
		name := text.Quote(r.Topic)
		switch cut, certain := r.truncated(); {
		case r.Outcome != Accepted:
			refused = append(refused, name)
		case !certain || len(r.Notes) > 0:
			notKnown = append(notKnown, name)
		case cut > max(0, maxMessages):
			tooMany = append(tooMany, fmt.Sprintf("%s %d", name, cut))
		}
	}
	for _, c := range []struct {
		why    string
		topics []string
	}{
		{"the dry run was not accepted for", refused},
		{"it does not say for certain how many messages are cut off", notKnown},
		{fmt.Sprintf("more messages would be cut off than maxMessages, %d, allows:", max(0, maxMessages)), tooMany},
	} {
		if len(c.topics) > 0 {
			bad.add("plan", "%s %s", c.why, text.Some(c.topics, maxShown))
		}
	}
	if len(plan.Problems) > 0 {
		bad.add("plan", "%s", plan.Problems[0])
	} else if len(plan.Unexpected) > 0 {
		bad.add("plan", "%s", plan.unexpectedText())
	}
}
