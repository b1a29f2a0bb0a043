package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"

	"github.com/seed25095279/clusterlink-go/gen"
	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

// Verb is an operation that changes mirror topics. Its text is what the API's path has after
// "mirrors:".
type Verb string

// The verbs. Each has a method of the Client, which says what it does.
const (
	VerbReverseAndPause    Verb = "reverse-and-pause-mirror"
	VerbReverseAndStart    Verb = "reverse-and-start-mirror"
	VerbPromote            Verb = "promote"
	VerbFailover           Verb = "failover"
	VerbPause              Verb = "pause"
	VerbResume             Verb = "resume"
	VerbTruncateAndRestore Verb = "truncate-and-restore"
)

// verb is what differs from one Verb to the next.
type verb struct {
	name Verb
	// done is the status with which an accepted topic is done, and doneThere that of its counterpart on
	// the other cluster; "" if the verb leaves that as it is.
	done, doneThere Status
	// from are the statuses that it starts from here, and through those that it leads through.
	from, through []Status
	fromUnlisted  bool   // it starts also from a topic that is not listed
	hidden        string // what a status can hide that does not tell all; "" is any change
	past          string // what may have been done to a topic
	notAll        string // the decision while not every topic is accepted
	// proofOnly says that a request is not retried after a 429 that is a strong sign of the rate
	// limiter, but no proof.
	proofOnly  bool
	newRequest func(server, cluster, link string, dryRun bool, body io.Reader) (*http.Request, error)
}

const jsonType = "application/json"

// What several verbs share.
var (
	mirroring = []Status{StatusActive, StatusPaused}
	stopping  = []Status{StatusPendingStopped, StatusPendingSynchronize}
	restoring = []Status{StatusPendingSetupForRestore, StatusPendingRestore, StatusPendingSynchronize}
)

// doNotMove is the decision about a verb that makes topics writable.
const doNotMove = "do not move clients"

// verbs is the table of verbs, in the order in which they are told.
var verbs = []verb{
	{
		name: VerbReverseAndPause, done: StatusStopped, doneThere: StatusPaused, past: "reversed", notAll: doNotMove,
		from: mirroring, through: stopping,
		newRequest: func(server, cluster, link string, dryRun bool, body io.Reader) (*http.Request, error) {
			p := gen.UpdateKafkaMirrorTopicsReverseAndPauseMirrorParams{ValidateOnly: &dryRun}
			return gen.NewUpdateKafkaMirrorTopicsReverseAndPauseMirrorRequestWithBody(server, cluster, link, &p, jsonType, body)
		},
	},
	{
		name: VerbReverseAndStart, done: StatusStopped, doneThere: StatusActive, past: "reversed", notAll: doNotMove,
		from: mirroring, through: stopping,
		newRequest: func(server, cluster, link string, dryRun bool, body io.Reader) (*http.Request, error) {
			p := gen.UpdateKafkaMirrorTopicsReverseAndStartMirrorParams{ValidateOnly: &dryRun}
			return gen.NewUpdateKafkaMirrorTopicsReverseAndStartMirrorRequestWithBody(server, cluster, link, &p, jsonType, body)
		},
	},
	{
		name: VerbPromote, done: StatusStopped, past: "promoted", notAll: doNotMove,
		from: mirroring, through: stopping,
		newRequest: func(server, cluster, link string, dryRun bool, body io.Reader) (*http.Request, error) {
			p := gen.UpdateKafkaMirrorTopicsPromoteParams{ValidateOnly: &dryRun}
			return gen.NewUpdateKafkaMirrorTopicsPromoteRequestWithBody(server, cluster, link, &p, jsonType, body)
		},
	},
	{
		name: VerbFailover, done: StatusStopped, past: "failed over", notAll: doNotMove,
		from:    append(slices.Clone(mirroring), StatusFailed, StatusLinkFailed, StatusLinkPaused, StatusSourceUnavailable),
		through: stopping, hidden: "a finished failover: try one produce",
		newRequest: func(server, cluster, link string, dryRun bool, body io.Reader) (*http.Request, error) {
			p := gen.UpdateKafkaMirrorTopicsFailoverParams{ValidateOnly: &dryRun}
			return gen.NewUpdateKafkaMirrorTopicsFailoverRequestWithBody(server, cluster, link, &p, jsonType, body)
		},
	},
	{
		name: VerbPause, done: StatusPaused, past: "paused", notAll: "do not count on the pause",
		from: []Status{StatusActive},
		newRequest: func(server, cluster, link string, dryRun bool, body io.Reader) (*http.Request, error) {
			p := gen.UpdateKafkaMirrorTopicsPauseParams{ValidateOnly: &dryRun}
			return gen.NewUpdateKafkaMirrorTopicsPauseRequestWithBody(server, cluster, link, &p, jsonType, body)
		},
	},
	{
		name: VerbResume, done: StatusActive, past: "resumed", notAll: "do not count on the resume",
		from: []Status{StatusPaused}, through: []Status{StatusPendingSynchronize},
		newRequest: func(server, cluster, link string, dryRun bool, body io.Reader) (*http.Request, error) {
			p := gen.UpdateKafkaMirrorTopicsResumeParams{ValidateOnly: &dryRun}
			return gen.NewUpdateKafkaMirrorTopicsResumeRequestWithBody(server, cluster, link, &p, jsonType, body)
		},
	},
	{
		name: VerbTruncateAndRestore, done: StatusActive, past: "truncated and restored",
		notAll: "do not count on the restore",
		from:   []Status{StatusStopped}, fromUnlisted: true, through: restoring,
		proofOnly: true,
		newRequest: func(server, cluster, link string, dryRun bool, body io.Reader) (*http.Request, error) {
			p := gen.UpdateKafkaMirrorTopicsTruncateAndRestoreMirrorParams{ValidateOnly: &dryRun}
			p.IncludePartitionLevelTruncationData = new(true)
			return gen.NewUpdateKafkaMirrorTopicsTruncateAndRestoreMirrorRequestWithBody(
				server, cluster, link, &p, jsonType, body)
		},
	},
}

// Verbs returns all verbs that the library has.
func Verbs() []Verb {
	names := make([]Verb, len(verbs))
	for i, v := range verbs {
		names[i] = v.name
	}
	return names
}

// find returns the verb's row of the table, and whether it has one; if not, a row with words that fit
// any.
func (v Verb) find() (verb, bool) {
	i := slices.IndexFunc(verbs, func(row verb) bool { return row.name == v })
	if i < 0 {
		return verb{name: v, past: "changed", notAll: "not all were accepted"}, false
	}
	return verbs[i], true
}

// waitFor says which statuses end the wait for an accepted topic.
func (v verb) waitFor() string {
	switch {
	case v.done == "":
		return "done"
	case v.doneThere == "":
		return string(v.done)
	}
	return string(v.done) + " here and " + string(v.doneThere) + " on the other cluster"
}

// checkTo notes in bad if the library does not have the verb.
func (v Verb) checkTo(bad *argumentError) {
	if _, known := v.find(); !known {
		names := make([]string, len(verbs))
		for i, v := range verbs {
			names[i] = string(v.name)
		}
		bad.add("Verb", "%s is none of %s", text.Quote(string(v)), strings.Join(names, ", "))
	}
}

// ReverseAndPause makes the selected local mirror topics writable and leaves their former sources
// as paused mirrors. It is called on the cluster that holds the mirror topics now, and needs both
// clusters. To let data flow back, call Resume on the other cluster.
//
// What follows holds for every verb. Names are sent in batches (Config.BatchSize). The library retries a
// request only if the server did not process it (Config.RetryFor says what proves that). The Report is
// never nil, and accounts for every topic selected by name. The error is nil only if all of them were
// accepted. Accepted does not mean done. Any other error is an *IncompleteError. It matches
// ErrInvalidArgument or ErrNoTopics if nothing was sent because the call was wrong,
// ErrOutcomeUnknown if a topic may have been changed and the outcome is not known,
// ErrUnauthenticated, ErrRateLimited, *TopicError and *APIError for what the server said, and the
// context's error and cause if that ended the call.
func (c *Client) ReverseAndPause(ctx context.Context, link string, s Selection) (*Report, error) {
	return c.alter(ctx, VerbReverseAndPause, link, s, false)
}

// ReverseAndStart is like ReverseAndPause, but the mirrors on the other cluster start at once, so the former
// sources do not stay as they are.
func (c *Client) ReverseAndStart(ctx context.Context, link string, s Selection) (*Report, error) {
	return c.alter(ctx, VerbReverseAndStart, link, s, false)
}

// Promote stops the selected mirror topics once they have caught up, and makes them writable. Their
// sources must be reachable. It stalls while producers write to the source or consumer
// groups are active on the mirror (reported by users). Report and error are as for ReverseAndPause.
func (c *Client) Promote(ctx context.Context, link string, s Selection) (*Report, error) {
	return c.alter(ctx, VerbPromote, link, s, false)
}

// Failover stops the selected mirror topics as they are, whether their sources can be reached or not,
// and makes them writable. What they lag behind is lost to them. Report and error are as for
// ReverseAndPause.
func (c *Client) Failover(ctx context.Context, link string, s Selection) (*Report, error) {
	return c.alter(ctx, VerbFailover, link, s, false)
}

// Pause pauses the mirroring of the selected mirror topics. What a server answers for a topic that is
// paused already is not known. Report and error are as for ReverseAndPause.
func (c *Client) Pause(ctx context.Context, link string, s Selection) (*Report, error) {
	return c.alter(ctx, VerbPause, link, s, false)
}

// Resume continues to mirror the selected paused mirror topics. After ReverseAndPause it is called on the
// other cluster, with that cluster's endpoint, id and credential. It does not end the pause of a whole
// link (assumed), and an ACTIVE mirror has not caught up yet. What a server answers for a topic that is not
// paused is not known. Report and error are as for ReverseAndPause.
func (c *Client) Resume(ctx context.Context, link string, s Selection) (*Report, error) {
	return c.alter(ctx, VerbResume, link, s, false)
}

// TruncateAndRestore deletes records. It deletes from the plan's topics the records that their counterparts
// on the other cluster do not have, and makes the topics mirrors of those. It is called on the old source
// after a failover or a promote, under its side of the bidirectional link.
//
// The plan is the report of its dry run for the same cluster: Validate with VerbTruncateAndRestore and
// Topics. For each topic the plan must be Accepted, without a note, and give the number of messages that
// are cut off, at most maxMessages for each topic. Otherwise nothing is sent, and the error matches
// ErrInvalidArgument and names the topics. The limit holds for the numbers of the plan: if somebody has
// written to a topic since, more is cut off, and a note in the report says so.
//
// Active consumer groups block it. Whether producers on the other side must stop, and what a second call
// answers, is not known. Confluent Platform 7.9.0 to 7.9.2 and 8.0.0 lose data in this operation if tiered
// storage is on (the vendor's notes). An ACTIVE topic has not caught up.
//
// Report and error are as for ReverseAndPause. A request is not retried after a 429 without the rate
// limiter's header, which is no proof that it was not processed.
func (c *Client) TruncateAndRestore(ctx context.Context, plan *Report, maxMessages int64) (*Report, error) {
	bad := &argumentError{}
	if plan == nil {
		bad.add("plan", "there is none: it is the report of the dry run, Validate with %s", VerbTruncateAndRestore)
		plan = &Report{}
	} else {
		c.checkPlan(bad, plan, maxMessages)
	}
	if maxMessages < 0 {
		bad.add("maxMessages", "%d is negative", maxMessages)
	}
	names := make([]string, len(plan.Results))
	for i := range plan.Results {
		names[i] = plan.Results[i].Topic
	}
	s := Topics(names...)
	checkNames := s.check
	s.check = func(all *argumentError) {
		checkNames(all)
		all.problems = append(all.problems, bad.problems...)
	}
	r, err := c.alter(ctx, VerbTruncateAndRestore, plan.Link, s, false)
	for i := range r.Results {
		if cut := r.Results[i].Truncation(); max(
			cut.Reported, cut.Messages,
		) > maxMessages && r.Results[i].Outcome == Accepted {
			r.Results[i].note(fmt.Sprintf(
				"more messages were cut off than maxMessages, %d: there were more than in the plan", maxMessages,
			))
		}
	}
	return r, err
}

// checkPlan notes in bad why the plan does not allow to truncate.
func (c *Client) checkPlan(bad *argumentError, plan *Report, maxMessages int64) {
	if plan.Verb != VerbTruncateAndRestore || !plan.DryRun {
		bad.add("plan", "it is not the report of a dry run of %s", VerbTruncateAndRestore)
	}
	if c != nil && plan.ClusterID != c.clusterID {
		bad.add("plan", "it is about cluster %s", text.Quote(plan.ClusterID))
	}
	if plan.Pattern != "" {
		bad.add("plan", "it is of a pattern: truncate topics by name only")
	}
	var refused, notKnown, tooMany []string
	for i := range plan.Results {
		r := &plan.Results[i]
		name := text.Quote(r.Topic)
		unknown := func(p PartitionTruncation) bool { return p.MessagesTruncated < 0 }
		switch t := r.Truncation(); {
		case r.Outcome != Accepted:
			refused = append(refused, name)
		case t.ReportedTopics == 0 || slices.ContainsFunc(r.Truncations, unknown) || len(r.Notes) > 0,
			max(t.Reported, t.Messages) == math.MaxInt64: // the sum saturates
			notKnown = append(notKnown, name)
		case max(t.Reported, t.Messages) > max(0, maxMessages):
			tooMany = append(tooMany, fmt.Sprintf("%s %d", name, max(t.Reported, t.Messages)))
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
			bad.add("plan", "%s %s", c.why, shown(c.topics, maxShownOfPlan))
		}
	}
	var e *IncompleteError
	switch {
	case bad.err() != nil || len(plan.Results) == 0: // it is said
	case errors.As(plan.Err(), &e):
		bad.add("plan", "%s", e.causes[0])
	case plan.Unaccounted != UnaccountedNone:
		bad.add("plan", "there are topics that it does not account for")
	}
}

// maxShownOfPlan bounds how many topics of a plan an error spells out. The report has them all.
const maxShownOfPlan = 100

// Validate asks the server what a verb would do, and changes nothing: it is the dry run. The Report says so
// in its text, table, JSON and log; its outcomes are those that the server foresees. Report and error are as for
// ReverseAndPause.
func (c *Client) Validate(ctx context.Context, v Verb, link string, s Selection) (*Report, error) {
	return c.alter(ctx, v, link, s, true)
}
