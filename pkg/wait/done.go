package wait

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// ErrStalled says that nothing has moved for the length of Patience.
var ErrStalled = errors.New("stalled")

// Options say how Done waits. The zero value of every field but This and Other is ready to use.
type Options struct {
	// This is a client of the report's cluster. Other is a client of the other cluster; only the reversals need Other.
	This, Other *mirror.Client
	// Interval is the least time between two lists of a cluster. 0 is 5 s; less than 2 s counts as 2 s. The wait for the
	// next list is up to a quarter longer, and at least four times as long as the list took.
	Interval time.Duration
	// Patience is how long Done goes on while nothing moves. 0 is 6 min: a cluster takes 5 to call a link unavailable
	// (observed).
	Patience time.Duration
	// OnPoll, if set, is called after each request for a list, with a Progress of its own. An error ends the wait, also
	// when all topics are done. OnPoll must honour its context.
	OnPoll func(context.Context, *Progress) error
}

const (
	// A state is from before the call if the state began beforeCall earlier.
	beforeCall = 10 * time.Second
	// From firmAfter after the call on, a second list makes a topic blocked, or done by a state from before the call.
	// An older row counts when two lists, firmAfter apart, agree.
	firmAfter = 30 * time.Second
	// Topics of unknown outcome without a sign are given up noSignFor after the call.
	noSignFor = 2 * time.Minute
	// A cluster is asked for the reasons of a topic that has not moved for askAfter, at most once in askEvery.
	askAfter, askEvery = 30 * time.Second, time.Minute
	// Bounds of asking for reasons after a list, and at the end: how many topics, and for how long.
	askAPoll, askAtEnd       = 3, 20
	askForAPoll, askForAtEnd = 10 * time.Second, 30 * time.Second
)

// Done reads lists until the topics of the report are where the report's verb leads. Done waits for the topics that were
// accepted, whose outcome is unknown, or that were refused because their mirrors had stopped already. A report without
// any of these needs no list.
//
// Done ends when
//   - all topics are done, by a new list of each cluster that the verb changes,
//   - each other topic is blocked, or is unknown without a sign 2 minutes after the call,
//   - nothing has moved for Options.Patience,
//   - a cluster refuses to be read,
//   - OnPoll returns an error,
//   - ctx ends.
//
// The Progress is never nil. The error is the result of Progress.Err: nil only if every topic of the report is accounted
// for and done. The error matches ErrStalled, mirror.ErrOutcomeUnknown, mirror.ErrInvalidArgument, the *mirror.APIError of
// a cluster that refuses to be read, the error of OnPoll, and the error and the cause of ctx.
//
// Done may be called from several goroutines. A done topic need not have caught up, consumer offsets and data may be
// missing, and somebody else may have made the change.
func Done(ctx context.Context, r *mirror.Report, o Options) (*Progress, error) {
	w, err := newWaiter(r, o)
	if err == nil {
		err = w.run(ctx)
	}
	w.endWith(err)
	p := w.progress()
	return p, p.Err()
}

// waiter is the state of a call of Done.
type waiter struct {
	*poller
	report  *mirror.Report
	options Options
	topics  []*topic
	moved   time.Time // when anything last moved
	done    bool
	ended   string
	err     error
}

// topic is a topic to wait for.
type topic struct {
	TopicProgress
	result  *mirror.Result
	call    *mirror.Attempt // the last attempt at the topic
	sides   [2]track
	finding finding
	doneBy  time.Time // when the list with the last step to StageDone was asked for
	moved   time.Time // when the topic last moved
	asked   time.Time // when a cluster was last asked for reasons
}

// track is the history of a topic in the lists of a cluster.
type track struct {
	sight
	current bool          // the latest new list agrees
	began   time.Time     // when the status began, by this process's clock
	came    time.Time     // when the first list with the status was asked for
	lists   int           // new lists in a row with the status
	back    mirror.Status // the status of an older row; "" for absence
	backAt  time.Time     // when the first list with back was asked for; zero if the latest list has a newer row
	had     []mirror.Status
	// Sums of the lags, -1 if not known: of the latest list, of the first list with the status, and the lowest.
	lag, firstLag, lowest int64
}

// waits tells whether a topic may be on its way.
func waits(r *mirror.Result) bool {
	return !r.Done && (r.Outcome == mirror.Accepted || r.Outcome == mirror.Unknown || r.AlreadyStopped())
}

func newWaiter(r *mirror.Report, o Options) (*waiter, error) {
	w := &waiter{poller: newPoller("", nil, 0), report: &mirror.Report{}, options: o}
	var bad []string
	if r == nil {
		return w, fmt.Errorf("%w: there is no report", mirror.ErrInvalidArgument)
	}
	w.report = r.Clone()
	clients := []*mirror.Client{o.This, o.Other}
	switch goal, otherGoal := r.Verb.Goal(); {
	case goal == "":
		bad = append(bad, "report: its verb is not known: "+text.Quote(string(r.Verb)))
	case otherGoal == "":
		clients = clients[:1]
	case o.Other == nil || o.Other.ClusterID() == r.ClusterID:
		bad = append(bad, fmt.Sprintf("Other: %s needs a client of the other cluster", r.Verb))
	}
	if o.This == nil || o.This.ClusterID() != r.ClusterID {
		bad = append(bad, fmt.Sprintf("This: it must be a client of the report's cluster, %s", r.ClusterID))
	}
	if r.DryRun {
		bad = append(bad, "report: it is of a dry run, which changes nothing")
	}
	if len(bad) > 0 {
		return w, fmt.Errorf("%w: %s", mirror.ErrInvalidArgument, strings.Join(bad, "; "))
	}
	attempts, last, floor := map[mirror.Send]*mirror.Attempt{}, &mirror.Attempt{}, time.Time{}
	for i := range w.report.Attempts {
		last = &w.report.Attempts[i]
		attempts[mirror.Send{Run: last.Run, Batch: last.Batch}] = last
		if last.Date.After(floor) {
			floor = last.Date
		}
	}
	var keep []string
	for i := range w.report.Results {
		res := &w.report.Results[i]
		if !waits(res) {
			continue
		}
		t := &topic{TopicProgress: TopicProgress{Topic: res.Topic, Outcome: res.Outcome, Stage: StageNoSign}, result: res, call: last}
		for _, s := range res.Sends {
			if a := attempts[mirror.Send{Run: s.Run, Batch: s.Batch}]; a != nil {
				t.call = a
			}
		}
		keep, w.topics = append(keep, res.Topic), append(w.topics, t)
	}
	w.poller = newPoller(r.Link, keep, cmp.Or(o.Interval, 5*time.Second), clients...)
	w.options.Patience, w.moved, w.sides[0].floor = cmp.Or(o.Patience, 6*time.Minute), w.began, floor
	for _, t := range w.topics {
		t.moved = w.began
		for i, s := range w.sides {
			t.sides[i].cluster, t.sides[i].lag, t.sides[i].lowest = s.ClusterID, -1, -1
		}
	}
	return w, nil
}

// run waits, and returns nil if all topics are done.
func (w *waiter) run(ctx context.Context) error {
	if len(w.topics) == 0 {
		return nil
	}
	until := func() time.Time { return w.moved.Add(w.options.Patience) }
	err := w.poller.run(ctx, until, func(r reading, fresh bool, refused error) (end bool, err error) {
		if fresh {
			w.see(r)
		}
		if end, err = w.end(); refused != nil {
			end, err = true, refused
		}
		w.askReasons(ctx, err != nil)
		if end {
			w.endWith(err)
		}
		if w.options.OnPoll != nil {
			if stop := w.options.OnPoll(ctx, w.progress()); stop != nil {
				return true, fmt.Errorf("OnPoll returned an error: %w", stop)
			}
		}
		return end, err
	})
	if errors.Is(err, errOver) {
		w.askReasons(ctx, true)
		return fmt.Errorf("nothing has moved for %v: %w", w.options.Patience, ErrStalled)
	}
	return err
}

func (w *waiter) endWith(err error) {
	w.done, w.err, w.ended = err == nil, err, "all are done"
	switch {
	case err != nil:
		w.ended = text.Line(err.Error(), maxLine)
	case len(w.topics) == 0:
		w.ended = "nothing was left to wait for"
	}
}

// rowsOf returns the rows of a list by topic, without those whose status is not known.
func rowsOf(l *mirror.Listing) map[string]*mirror.Mirror {
	rows := make(map[string]*mirror.Mirror, len(l.Mirrors))
	for i := range l.Mirrors {
		if m := &l.Mirrors[i]; m.Status != "" {
			rows[m.Topic] = m
		}
	}
	return rows
}

// see takes in the topic's row of a new list, nil for none, and returns whether the row is progress. Elapsed is the time
// since the topic was sent. Rows do not go back: an older row, or absence, counts when two lists, 30 s apart, agree.
func (t *track) see(r reading, m *mirror.Mirror, elapsed time.Duration) (progress bool) {
	if t.current, t.hint = false, ""; m == nil && !r.list.Complete { // the absence proves nothing
		return false
	}
	now := Sight{At: r.asked}
	if m != nil {
		now.Status, now.Since, now.Error = m.Status, m.Since, m.Error
	}
	back := t.listed() && (m == nil || !m.Since.IsZero() && m.Since.Before(t.Since))
	if back && (t.backAt.IsZero() || t.back != now.Status) {
		t.back, t.backAt = now.Status, r.asked
	}
	if back && r.asked.Sub(t.backAt) < firmAfter {
		t.hint = now.Status
		return false
	}
	if t.At.IsZero() || t.Status != now.Status || !t.Since.Equal(now.Since) {
		t.lists, t.came, t.moved, t.firstLag, t.gone = 0, r.asked, !t.At.IsZero(), -1, t.gone || t.listed()
	}
	if t.lists++; back { // two lists agree
		t.lists = max(2, t.lists)
	}
	t.Sight, t.current, t.firm, t.backAt = now, true, t.lists > 1 && elapsed >= firmAfter, time.Time{}
	t.age, t.began = ageNotKnown, t.came
	clock, old := !r.list.At.IsZero() && !now.Since.IsZero(), r.list.At.Sub(now.Since)
	if clock {
		t.began = r.asked.Add(-old)
	}
	switch {
	case clock && old <= elapsed+beforeCall, !clock && t.moved:
		t.age = ageSince
	case clock && !t.moved:
		t.age = ageBefore
	}
	if m == nil {
		t.lag = -1
		return false
	}
	if !slices.Contains(t.had, m.Status) {
		t.had, progress = append(t.had, m.Status), true
	}
	lag := m.Lag()
	if t.lag = -1; lag.Partitions == 0 || lag.NotKnown > 0 {
		return progress
	}
	if t.lag = lag.Total; t.firstLag < 0 {
		t.firstLag = t.lag
	}
	if t.lowest < 0 || t.lag < t.lowest {
		progress, t.lowest = progress || t.lowest >= 0, t.lag
	}
	return progress
}

// see takes in a new list, and judges every topic.
func (w *waiter) see(r reading) {
	side, rows := slices.Index(w.sides, r.side), rowsOf(r.list)
	for _, t := range w.topics {
		was, this := t.Stage, &t.sides[0]
		if t.sides[side].see(r, rows[t.Topic], w.elapsed(t, r.asked)) && was != StageDone {
			t.moved, t.asked, t.Asked, t.Reasons = r.read, time.Time{}, time.Time{}, nil
		}
		if len(w.sides) > 1 {
			this.stays = w.sides[1].Listed.Sub(this.came)
		}
		t.finding = judge(w.report.Verb, this.sight, t.sides[1].sight)
		t.Stage = t.finding.stage
		for i := range t.sides {
			t.sides[i].arrived = t.sides[i].arrived || t.finding.arrived[i]
			t.sides[i].left = t.sides[i].left || t.finding.left[i]
		}
		if t.Stage == StageDone && was != StageDone {
			t.doneBy, t.moved = r.asked, r.read
		}
		if t.moved.After(w.moved) {
			w.moved = t.moved
		}
	}
}

// elapsed is the time from the send of the topic to now: by the cluster's clock if the answer had a Date, and else by this
// process's clock. Elapsed is at least the time since Done began.
func (w *waiter) elapsed(t *topic, now time.Time) time.Duration {
	least, newest := now.Sub(w.began), &w.sides[0].newest
	switch {
	case !t.call.Date.IsZero() && newest.list != nil && !newest.list.At.IsZero():
		sent := t.call.Date.Add(-t.call.Duration)
		return max(least, newest.list.At.Sub(sent)+now.Sub(newest.asked))
	case t.call.Start.IsZero():
		return least
	}
	return max(least, now.Round(0).Sub(t.call.Start.Round(0))) // a monotonic clock stands still while a machine sleeps
}

// end tells whether the wait has ended, and returns nil for success.
func (w *waiter) end() (end bool, err error) {
	count, fresh := map[Stage]int{}, true
	for _, t := range w.topics {
		lists, newest := w.sides[0].Lists, w.sides[0].Listed // of the cluster with the fewest
		for i, s := range w.sides {
			fresh = fresh && t.sides[i].current && !s.Listed.Before(t.doneBy)
			if lists = min(lists, s.Lists); s.Listed.Before(newest) {
				newest = s.Listed
			}
		}
		given := t.Outcome != mirror.Accepted && lists > 1 && w.elapsed(t, newest) >= noSignFor
		if t.Stage != StageNoSign || given {
			count[t.Stage]++
		}
	}
	switch left := count[StageBlocked] + count[StageNoSign]; {
	case count[StageDone] == len(w.topics):
		return fresh, nil
	case count[StageDone]+left < len(w.topics):
		return false, nil
	case count[StageNoSign] == 0:
		return true, fmt.Errorf("what is left is blocked: %s", text.Count(left, "topic"))
	case count[StageBlocked] == 0:
		return true, fmt.Errorf("what is left shows no sign: %s", text.Count(left, "topic"))
	}
	return true, fmt.Errorf("what is left is blocked (%d) or shows no sign (%d)", count[StageBlocked], count[StageNoSign])
}

// askReasons asks the clusters why topics do not move: for a few topics, or at the end for more. A cluster that does not
// answer is not asked again in the same round.
func (w *waiter) askReasons(ctx context.Context, atEnd bool) {
	now, most, bound := time.Now(), askAPoll, askForAPoll
	if atEnd {
		most, bound = askAtEnd, askForAtEnd
	}
	due := slices.DeleteFunc(slices.Clone(w.topics), func(t *topic) bool {
		stuck := now.Sub(t.moved) >= askAfter && now.Sub(t.asked) >= askEvery
		blocked := t.Stage == StageBlocked && t.asked.IsZero()
		return t.finding.ask == 0 || !stuck && !blocked && !atEnd
	})
	slices.SortStableFunc(due, func(a, b *topic) int { return a.asked.Compare(b.asked) })
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	for _, t := range due[:min(len(due), most)] {
		s := w.sides[t.finding.ask-1]
		if ctx.Err() != nil || s.Dark || s.busy || s.quietUntil.After(now) {
			continue
		}
		t.asked = now
		m, err := s.client.Mirror(ctx, w.link, t.Topic)
		var api *mirror.APIError
		switch {
		case err == nil:
			t.Reasons, t.Asked = m.Reasons, now
		case errors.As(err, &api) && api.Status == http.StatusTooManyRequests: // the next list waits too
			s.quietUntil = now.Add(max(askEvery, api.RetryAfter))
			if next := now.Add(api.RetryAfter + w.interval/10); next.After(s.next) {
				s.next = next
			}
		case !errors.Is(err, mirror.ErrNoMirror):
			s.quietUntil = now.Add(1) // until the next round
		}
	}
}
