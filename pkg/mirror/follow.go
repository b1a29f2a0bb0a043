package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/internal/printable"
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
	// longestPause bounds the pause after a poll that could not be made; it doubles up to here.
	longestPause = time.Minute
	// beforeCall is how much earlier than the call a state must have begun, by the cluster's clock, to count
	// as from before it.
	beforeCall = 10 * time.Second
	// noSignFor is how long topics of unknown outcome are looked for before it is said that there is no
	// sign.
	noSignFor = 2 * time.Minute
	// freshLink is how long a cluster may not know a link that was just made (observed).
	freshLink = 30 * time.Second
	// refusals in a row, over this time, end the reading of a cluster that could be read before.
	maxRefusals  = 3
	refusalsOver = 15 * time.Second
	// A topic without progress for askAfter is asked for its reasons, at most once in askEvery. So many are
	// asked in one poll, and at the end.
	askAfter = 30 * time.Second
	askEvery = time.Minute
	askAPoll = 3
	askAtEnd = 20
	// A round of asking takes no longer than this.
	askForAPoll = 10 * time.Second
	askForAtEnd = 30 * time.Second
	// firstBound is how long a list may take at first. One that takes longer makes it double.
	firstBound = 15 * time.Second
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
			printable.Quote(c.clusterID), printable.Quote(r.ClusterID))
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
		bad.add("Other", "it is of the report's own cluster, %s", printable.Quote(r.ClusterID))
	default:
		o.BeforeOther.checkBaseline(bad, "BeforeOther", other.clusterID, r.Link)
	}
	o.Before.checkBaseline(bad, "Before", r.ClusterID, r.Link)
	return bad.err()
}

// checkBaseline notes in bad if the listing is of another cluster or link.
func (l *Listing) checkBaseline(bad *argumentError, field, clusterID, link string) {
	if l != nil && (l.ClusterID != clusterID || l.Link != link) {
		bad.add(field, "it is of link %s of cluster %s", printable.Quote(l.Link), printable.Quote(l.ClusterID))
	}
}

// isFollowed tells whether a result says that the topic may be on its way.
func isFollowed(r Result) bool {
	return r.Outcome == Accepted || r.Outcome == Unknown || r.alreadyStopped()
}

// follow is one call of Follow.
type follow struct {
	client  *Client
	report  *Report
	verb    verb
	options FollowOptions
	began   time.Time
	sides   []*side // here, and there if the verb has a goal there
	topics  []*followed
	places  map[string]int

	progressed time.Time // when anything last moved
	polls      int
	ended      string // why it ended; "" while it goes on
}

// followed is one topic.
type followed struct {
	result  *Result
	sent    time.Time
	finding finding
	since   time.Time // when it came to its stage
	doneAt  time.Time // when it was last seen done
	moved   time.Time // when it last made progress
	asked   time.Time // when it was last asked for its reasons
	reasons []Reason
	firm    bool // its stage rests on the latest lists, which were read to their end
}

func newFollow(c *Client, r *Report, o FollowOptions) *follow {
	o.Interval, o.Patience = cmp.Or(o.Interval, defaultInterval), cmp.Or(o.Patience, defaultPatience)
	o.Interval = min(o.Interval, math.MaxInt64/2) // it is doubled at most
	f := &follow{client: c, report: r.snapshot(), options: o, began: time.Now(), places: map[string]int{}}
	f.verb, _ = r.Verb.find()
	f.progressed = f.began
	for i := range f.report.Results {
		if res := &f.report.Results[i]; isFollowed(*res) {
			f.places[res.Topic] = len(f.topics)
			sent := earlierOf(res.Sent, f.began) // a time to come is none
			f.topics = append(f.topics, &followed{result: res, sent: sent, since: f.began, moved: f.began})
		}
	}
	f.sides = []*side{{client: c, before: o.Before}}
	if f.verb.doneThere != "" {
		f.sides = append(f.sides, &side{client: o.Other, before: o.BeforeOther})
	}
	for _, s := range f.sides {
		s.next, s.bound = f.began, firstBound
		s.sights = make([]watched, len(f.topics))
		for i := range s.sights {
			s.sights[i].cluster, s.sights[i].lag = s.client.clusterID, -1
		}
	}
	return f
}

// run polls until there is an end to it, and returns nil if all topics are done.
func (f *follow) run(ctx context.Context) error {
	for {
		now := time.Now()
		next := f.sides[0].next
		for _, s := range f.sides {
			next = earlierOf(next, s.next)
		}
		if last := f.progressed.Add(f.options.Patience); last.Before(next) { // it is looked once more, and given up
			next = last
			for _, s := range f.sides {
				if s.pause == 0 {
					s.next = last
				}
			}
		}
		if wait := next.Sub(now); wait > 0 {
			timer := time.NewTimer(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
			}
		}
		if ctx.Err() != nil {
			return stopped(ctx, "the call ended while it followed", nil)
		}
		f.poll(ctx)
		if ctx.Err() != nil {
			return stopped(ctx, "the call ended while it followed", nil)
		}
		end, err := f.end()
		f.askReasons(ctx, end && err != nil)
		if f.options.OnPoll != nil {
			f.options.OnPoll(ctx, f.progress())
		}
		if end {
			return err
		}
	}
}

// poll asks each cluster whose turn it is for its list, all at once, and judges what they show.
func (f *follow) poll(ctx context.Context) {
	began := time.Now()
	type reading struct {
		side *side
		list *Listing
		err  error
		took time.Duration
		ending
	}
	var readings []*reading
	for _, s := range f.sides {
		if !s.next.After(began) {
			readings = append(readings, &reading{side: s})
		}
	}
	done := make(chan struct{}, len(readings))
	for _, r := range readings {
		go func() {
			defer func() { done <- struct{}{} }()
			defer r.end()
			bounded, cancel := context.WithTimeoutCause(ctx, r.side.bound, &timeoutError{r.side.bound})
			defer cancel()
			r.list, r.err = r.side.client.list(bounded, f.report.Link, listOptions{single: true, only: f.places})
			r.took, r.returned = time.Since(began), true
		}()
	}
	for range readings {
		<-done
	}
	for _, r := range readings {
		r.goOn() // a credential or middleware may have panicked
	}
	if len(readings) == 0 {
		return
	}
	if f.polls++; ctx.Err() != nil {
		return // what it did to the readings says nothing about the clusters
	}
	now := time.Now()
	pause := time.Duration(float64(f.options.Interval) * (0.8 + 0.4*rand.Float64())) //nolint:gosec // it spreads out polls
	for _, r := range readings {
		r.side.take(r.list, r.err, r.took, now, f.options.Interval)
		if r.side.pause == 0 {
			pause = max(pause, 4*r.took)
			f.see(r.side, r.list, now)
		}
	}
	for _, r := range readings {
		r.side.next = now.Add(max(pause, r.side.pause))
	}
	f.judge(now)
	if f.client.logger.Enabled(ctx, slog.LevelDebug) {
		f.client.logger.DebugContext(ctx, "poll", slog.Any("progress", f.progress()))
	}
}

// judge gives every topic its stage.
func (f *follow) judge(now time.Time) {
	for i, t := range f.topics {
		here, there := &f.sides[0].sights[i], &watched{}
		t.firm = here.current
		if len(f.sides) > 1 {
			there = &f.sides[1].sights[i]
			t.firm = t.firm && there.current
		}
		m := moment{sinceCall: now.Sub(f.sent(t)), doneAt: t.doneAt}
		if here.listed && here.mirror.Status == f.verb.done && there.wholeAt.After(here.at) {
			m.aloneFor = there.wholeAt.Sub(here.at)
		}
		found := f.verb.judge(here.sight, there.sight, m)
		if found.stage != t.finding.stage {
			t.since = now
		}
		if t.finding = found; found.stage == StageDone && t.firm {
			t.doneAt = later(here.seenAt, there.seenAt)
			t.reasons = nil
		}
	}
}

// sent is when the topic's last attempt began; where that is not known, when Follow did.
func (f *follow) sent(t *followed) time.Time {
	if t.sent.IsZero() {
		return f.began
	}
	return t.sent
}

// end tells whether there is nothing more to wait for, and returns why that is not success.
func (f *follow) end() (end bool, err error) {
	now := time.Now()
	if f.all(func(t *followed) bool { return t.finding.stage == StageDone && t.firm }) {
		if f.report.Unaccounted == UnaccountedUnknown {
			return true, cause("the pattern may have changed topics that the report does not name", ErrOutcomeUnknown)
		}
		return true, nil
	}
	for _, s := range f.sides {
		if why := s.unreadable(f.began); why != nil {
			return true, cause("cluster "+printable.Quote(s.client.clusterID)+" cannot be followed", why)
		}
	}
	looked, lists := f.sides[0].listed, f.sides[0].lists // of the side that was looked at least
	for _, s := range f.sides {
		looked, lists = earlierOf(looked, s.listed), min(lists, s.lists)
	}
	hopeless := f.all(func(t *followed) bool {
		switch t.finding.stage {
		case StageDone, StageBlocked:
			return true
		case StageNoSign:
			return t.result.Outcome != Accepted && lists >= 2 && looked.Sub(f.sent(t)) >= noSignFor
		}
		return false
	})
	if hopeless && !f.all(func(t *followed) bool { return t.finding.stage == StageDone }) {
		return true, cause(f.left(), nil)
	}
	if now.Sub(f.progressed) >= f.options.Patience {
		return true, cause(fmt.Sprintf("nothing has moved for %v", f.options.Patience), ErrStalled)
	}
	return false, nil
}

// left says what is left when nothing more is waited for.
func (f *follow) left() string {
	blocked, noSign := 0, 0
	for _, t := range f.topics {
		switch t.finding.stage {
		case StageBlocked:
			blocked++
		case StageNoSign:
			noSign++
		}
	}
	switch {
	case noSign == 0:
		return "what is left is blocked: " + count(blocked, "topic")
	case blocked == 0:
		return "what is left shows no sign: " + count(noSign, "topic")
	}
	return fmt.Sprintf("what is left is blocked (%d) or shows no sign (%d)", blocked, noSign)
}

// all tells whether something is so for every followed topic.
func (f *follow) all(is func(*followed) bool) bool {
	return !slices.ContainsFunc(f.topics, func(t *followed) bool { return !is(t) })
}

// askReasons asks the clusters why topics make no progress: a few of them, or at the end more. A cluster
// that does not answer is not asked again in the same round.
func (f *follow) askReasons(ctx context.Context, atEnd bool) {
	now := time.Now()
	most, bound := askAPoll, askForAPoll
	if atEnd {
		most, bound = askAtEnd, askForAtEnd
	}
	type question struct {
		topic *followed
		side  *side
	}
	var all []question
	for i, t := range f.topics {
		due := t.asked.IsZero() && t.finding.stage == StageBlocked ||
			now.Sub(t.asked) >= askEvery && now.Sub(t.moved) >= askAfter
		if t.finding.stage == StageDone || !due && !atEnd {
			continue
		}
		if s := f.whoKnows(i, now); s != nil {
			all = append(all, question{t, s})
		}
	}
	slices.SortStableFunc(all, func(a, b question) int { return a.topic.asked.Compare(b.topic.asked) })
	ctx, cancel := context.WithTimeoutCause(ctx, bound, &timeoutError{bound})
	defer cancel()
	for _, q := range all[:min(len(all), most)] {
		if ctx.Err() != nil || q.side.quietUntil.After(now) {
			continue
		}
		q.topic.asked = now
		m, err := q.side.client.readMirror(ctx, f.report.Link, q.topic.result.Topic, true)
		if err == nil {
			q.topic.reasons = m.Reasons
			continue
		}
		var api *APIError
		if errors.As(err, &api) && api.Status == http.StatusTooManyRequests { // its lists are asked later too
			q.side.quietUntil = now.Add(max(askEvery, api.RetryAfter))
			q.side.pause = max(q.side.pause, api.RetryAfter)
			q.side.next = later(q.side.next, now.Add(api.RetryAfter))
		} else if !errors.Is(err, ErrNoMirror) {
			q.side.quietUntil = now.Add(time.Nanosecond)
		}
	}
}

// whoKnows returns the cluster to ask why a topic does not move: one that lists it, and where it is not at
// its goal; nil if there is none.
func (f *follow) whoKnows(i int, now time.Time) *side {
	goals := []Status{f.verb.done, f.verb.doneThere}
	for n, s := range f.sides {
		w := &s.sights[i]
		if w.listed && w.mirror.Status != goals[n] && s.failing.IsZero() && !s.quietUntil.After(now) {
			return s
		}
	}
	return nil
}

// causes are the errors behind the end: what ended it first, then why clusters were not read.
func (f *follow) causes(end error) []error {
	all := []error{end}
	for _, s := range f.sides {
		if s.lastErr != nil && !errors.Is(end, s.lastErr) {
			all = append(all, cause("cluster "+printable.Quote(s.client.clusterID), s.lastErr))
		}
	}
	return all
}

func earlierOf(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
