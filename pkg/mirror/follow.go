package mirror

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

// FollowOptions say how to follow. The zero value of every field is ready to use, but for Other.
type FollowOptions struct {
	// Other is a client of the other cluster. The reversals need it; for the other verbs it is not used.
	Other *Client
	// Before and BeforeOther are what the two clusters listed before the call: the best evidence of the state
	// before it. If nil, the clusters' clocks decide.
	Before, BeforeOther *Listing
	// Interval is the time between two polls, give or take a fifth; 0 is 5 s, and it is at least 1 s. After a
	// slow list the next poll waits at least four times its duration.
	Interval time.Duration
	// Patience is how long Follow goes on without any progress; 0 is 6 min: a cluster calls a link
	// unavailable only after 5 (observed).
	Patience time.Duration
	// OnPoll, if set, is called after each poll, with a Progress that it may keep. It must honour its
	// context.
	OnPoll func(context.Context, *Progress)
}

const (
	defaultInterval = 5 * time.Second
	defaultPatience = 6 * time.Minute
)

// Follow looks at the clusters until the topics of a report have come to where its verb leads, and says for
// each how far it has come. It follows those that were accepted, those whose outcome is unknown, and those
// that failed because their mirrors had stopped already, as after a rerun; a topic that failed otherwise is
// not followed. It polls one list of each cluster, asks for single topics only to learn the reasons of those
// that do not move, and changes nothing.
//
// It ends when all are done; when what is left is blocked, or is Unknown and has shown no sign 2 minutes
// after the call; when nothing has moved for FollowOptions.Patience; when a cluster refuses to be read; and
// with ctx. The Progress is never nil. The error is nil only if every followed topic is done, by lists that
// were read to their end: whether others failed or are untouched is said by the error of Progress.Report().
// Otherwise it is a *NotDoneError. It matches ErrStalled if patience ran out,
// ErrOutcomeUnknown while a topic of unknown outcome is not done, ErrInvalidArgument if the call or what a
// credential wrote was wrong, *APIError for what a cluster said, and the context's error and cause.
//
// Done is not caught up, not proof that consumer offsets or all data have come over, and not proof that it
// was this call that did it.
func (c *Client) Follow(ctx context.Context, r *Report, o FollowOptions) (*Progress, error) {
	if err := c.checkFollow(r, o); err != nil {
		p := &Progress{Clusters: []ClusterProgress{}, Followed: []TopicProgress{}, Ended: clean(err.Error())}
		if r != nil {
			p.Verb, p.ClusterID, p.Link, p.report = r.Verb, r.ClusterID, r.Link, r.snapshot()
		}
		return p, &NotDoneError{Progress: p, causes: []error{err}}
	}
	f := newFollow(c, r, o)
	err := f.run(ctx)
	if f.ended = "all that were followed are done"; err != nil {
		f.ended = clean(err.Error())
	}
	p := f.progress()
	if err == nil {
		c.logger.InfoContext(ctx, "mirror topics done", slog.Any("progress", p))
		return p, nil
	}
	c.logger.WarnContext(ctx, "mirror topics not all done", slog.Any("progress", p), slog.Any("error", err))
	return p, &NotDoneError{Progress: p, causes: f.causes(err)}
}

// checkFollow returns everything that is wrong with the arguments.
func (c *Client) checkFollow(r *Report, o FollowOptions) error {
	bad := &argumentError{}
	if c == nil || c.roundTripper == nil {
		bad.add("Client", "it was not made by NewClient")
		c = &Client{}
	}
	if o.Interval != 0 && o.Interval < time.Second {
		bad.add("Interval", "%v is less than 1s", o.Interval)
	}
	if o.Patience < 0 {
		bad.add("Patience", "%v is negative", o.Patience)
	}
	if r == nil {
		bad.add("report", "there is none")
		return bad
	}
	checkID(bad, "link", r.Link)
	r.Verb.checkTo(bad)
	if r.DryRun {
		bad.add("report", "it is of a dry run, which changes nothing")
	}
	if r.ClusterID != c.clusterID {
		bad.add("Client", "it is of cluster %s, and the report is about %s",
			text.Quote(c.clusterID), text.Quote(r.ClusterID))
	}
	if !slices.ContainsFunc(r.Results, isFollowed) {
		bad.add("report", "it has no topic to follow: none that is accepted, unknown or already stopped")
	}
	var names []string
	for i := range r.Results {
		if isFollowed(r.Results[i]) {
			names = append(names, r.Results[i].Topic)
		}
	}
	if len(names) > 0 {
		checkTopics(bad, names)
	}
	v, _ := r.Verb.find()
	switch other := o.Other; {
	case other == nil && v.doneThere != "":
		bad.add("Other", "%s needs a client of the other cluster", r.Verb)
	case other == nil:
	case other.roundTripper == nil:
		bad.add("Other", "it was not made by NewClient")
	case other.clusterID == r.ClusterID:
		bad.add("Other", "it is of the report's own cluster, %s", text.Quote(r.ClusterID))
	default:
		o.BeforeOther.checkBaseline(bad, "BeforeOther", other.clusterID, r.Link)
	}
	o.Before.checkBaseline(bad, "Before", r.ClusterID, r.Link)
	return bad.err()
}

// checkBaseline notes in bad if the listing is of another cluster or link.
func (l *Listing) checkBaseline(bad *argumentError, field, clusterID, link string) {
	if l != nil && (l.ClusterID != clusterID || l.Link != link) {
		bad.add(field, "it is of link %s of cluster %s", text.Quote(l.Link), text.Quote(l.ClusterID))
	}
}

// isFollowed tells whether a result says that the topic may be on its way.
func isFollowed(r Result) bool {
	return r.Outcome == Accepted || r.Outcome == Unknown || r.alreadyStopped()
}
