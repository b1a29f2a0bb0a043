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

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

const (
	// noSignFor is how long topics of unknown outcome are looked for before it is said that there is no
	// sign.
	noSignFor = 2 * time.Minute
	// A topic without progress for askAfter is asked for its reasons, at most once in askEvery. So many are
	// asked in one poll, and at the end.
	askAfter = 30 * time.Second
	askEvery = time.Minute
	askAPoll = 3
	askAtEnd = 20
	// A round of asking takes no longer than this.
	askForAPoll = 10 * time.Second
	askForAtEnd = 30 * time.Second
)

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

// see takes in what a list shows of the followed topics.
func (f *follow) see(s *side, l *Listing, now time.Time) {
	from := f.verb.from
	if s != f.sides[0] {
		from = fromThere
	}
	for i, t := range f.topics {
		if s.sights[i].see(l, s.before, t.result.Topic, from, t.sent, now) {
			t.moved, f.progressed, t.reasons = now, now, nil
		}
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
			return true, cause("cluster "+text.Quote(s.client.clusterID)+" cannot be followed", why)
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

// progress is how things are now.
func (f *follow) progress() *Progress {
	p := &Progress{
		Verb: f.report.Verb, ClusterID: f.report.ClusterID, Link: f.report.Link, At: time.Now(), Ended: f.ended,
		Began: f.began, Polls: f.polls, Followed: make([]TopicProgress, len(f.topics)), NotFollowed: map[Outcome]int{},
		Unaccounted: f.report.Unaccounted, report: f.report, places: f.places,
	}
	for i := range f.report.Results {
		if res := &f.report.Results[i]; !isFollowed(*res) {
			p.NotFollowed[res.Outcome]++
		}
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
			Earlier: t.finding.earlier, Firm: t.firm, Alone: t.finding.alone,
			Notes: slices.Clone(t.finding.notes), Reasons: slices.Clone(t.reasons),
		}
		if one.Stage == StageDone && !t.firm {
			one.Notes = append(one.Notes, "the latest list was not read to its end, or says otherwise")
		}
		if w := &f.sides[0].sights[i]; w.listed {
			one.Here, one.HereAt = w.mirror, w.seenAt
		}
		if len(f.sides) > 1 && f.sides[1].sights[i].listed {
			one.There, one.ThereAt = f.sides[1].sights[i].mirror, f.sides[1].sights[i].seenAt
		}
		p.Followed[i] = one
	}
	return p
}

// causes are the errors behind the end: what ended it first, then why clusters were not read.
func (f *follow) causes(end error) []error {
	all := []error{end}
	for _, s := range f.sides {
		if s.lastErr != nil && !errors.Is(end, s.lastErr) {
			all = append(all, cause("cluster "+text.Quote(s.client.clusterID), s.lastErr))
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
