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

// ErrStalled says that nothing has moved for as long as Patience allows.
var ErrStalled = errors.New("stalled")

// Options say how Done waits. The zero value of every field but This and Other is ready to use.
type Options struct {
	// This is a client of the report's cluster. Other is a client of the other cluster, which the reversals need; for
	// other verbs it is not used.
	This, Other *mirror.Client
	// Interval is the least time between two lists of one cluster: 0 is 5 s, and it is at least 2 s. It is a little
	// longer at random, and after a slow list at least four times the time that the list took.
	Interval time.Duration
	// Patience is how long Done goes on while nothing moves. 0 is 6 min: a cluster calls a link unavailable only
	// after 5 (observed).
	Patience time.Duration
	// OnPoll, if it is set, is called after each list that was asked for, with a Progress that it may keep. An error
	// ends the wait, also when all is done. OnPoll must honour its context.
	OnPoll func(context.Context, *Progress) error
}

const (
	// A state counts as from before the call if it began so much earlier.
	beforeCall = 10 * time.Second
	// So long after the call a second list can make a topic blocked, or done by a state from before the call. Two
	// lists so far apart can take a topic's state back.
	firmAfter = 30 * time.Second
	// So long after the call topics of unknown outcome without a sign are given up.
	noSignFor = 2 * time.Minute
	// A topic that has not moved for askAfter is asked for its reasons, at most once in askEvery.
	askAfter, askEvery = 30 * time.Second, time.Minute
	// So many topics are asked for their reasons after one list and at the end, and no longer than that.
	askAPoll, askAtEnd       = 3, 20
	askForAPoll, askForAtEnd = 10 * time.Second, 30 * time.Second
)

// Done reads the lists of the clusters until the topics of the report are where its verb leads: those that were
// accepted, those whose outcome is unknown, and those that were refused because their mirrors had stopped already. It
// changes nothing. A report with nothing to wait for needs no list.
//
// Done ends when
//   - all are done, by a new list of each cluster that the verb changes,
//   - what is left is blocked, or is unknown and has shown no sign 2 minutes after the call,
//   - nothing has moved for Options.Patience,
//   - a cluster refuses to be read,
//   - OnPoll returns an error,
//   - ctx ends.
//
// The Progress is never nil. The error is that of its Err: nil only if every topic of the report is accounted for and
// done. It matches ErrStalled, mirror.ErrOutcomeUnknown, mirror.ErrInvalidArgument, the *mirror.APIError of a cluster
// that refuses to be read, what OnPoll returned, and the error and the cause of ctx.
//
// Done may be called from several goroutines. That a topic is done is no proof that it has caught up, that consumer
// offsets or all data have come over, or that this call did it.
func Done(ctx context.Context, r *mirror.Report, o Options) (*Progress, error) {
	w, err := newWaiter(r, o)
	if err == nil {
		err = w.run(ctx)
	}
	w.endWith(err)
	p := w.progress()
	return p, p.Err()
}

// waiter is one call of Done.
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

// topic is one topic that is waited for.
type topic struct {
	TopicProgress
	result  *mirror.Result
	call    *mirror.Attempt // the last that may have changed it
	sides   [2]track
	finding finding
	doneBy  time.Time // when the list was asked for that showed it done
	moved   time.Time // when it last moved
	asked   time.Time // when a cluster was last asked why it does not move
}

// track is what the lists of one cluster have shown of a topic.
type track struct {
	sight
	current bool          // the latest new list agrees
	began   time.Time     // when the status began, by this process's clock, as far as that is known
	came    time.Time     // when the list was asked for that first showed it so
	lists   int           // new lists in a row that show it so
	back    mirror.Status // of a row that is older than what was seen; "" if the topic was left out
	backAt  time.Time     // when the list was asked for that first had that; zero if the latest has not
	had     []mirror.Status
	// The sum of the lags, -1 if it is not known: now, when the topic came to its status, and the lowest.
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
	if err != nil {
		w.ended = text.Line(err.Error(), maxLine)
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

// see takes in what a new list shows of the topic, a row or none, and returns whether that is progress. Elapsed is the
// time since the topic was sent. Rows do not go back: an older row, or none, counts when two lists 30 s apart have it.
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
	if t.lists++; back { // two lists have it
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

// elapsed is how long before the given time the topic was sent: by the clock of its cluster if the answer had a Date,
// and by this process's clock if not. It is at least the time since Done began.
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

// end tells whether there is nothing more to wait for, and returns why that is no success.
func (w *waiter) end() (end bool, err error) {
	count, fresh := map[Stage]int{}, true
	for _, t := range w.topics {
		lists, newest := w.sides[0].Lists, w.sides[0].Listed // of the cluster that was seen least
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

// askReasons asks the clusters why topics do not move: a few of them, or at the end more. A cluster that does not
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
		case errors.As(err, &api) && api.Status == http.StatusTooManyRequests: // its lists are asked for later too
			s.quietUntil = now.Add(max(askEvery, api.RetryAfter))
			if next := now.Add(api.RetryAfter + w.interval/10); next.After(s.next) {
				s.next = next
			}
		case !errors.Is(err, mirror.ErrNoMirror):
			s.quietUntil = now.Add(1) // for this round
		}
	}
}
