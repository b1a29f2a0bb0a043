package mirror

import (
	"errors"
	"net/http"
	"slices"
	"time"
)

const (
	// longestPause bounds the pause after a poll that could not be made; it doubles up to here.
	longestPause = time.Minute
	// beforeCall is how much earlier than the call a state must have begun, by the cluster's clock, to count
	// as from before it.
	beforeCall = 10 * time.Second
	// freshLink is how long a cluster may not know a link that was just made (observed).
	freshLink = 30 * time.Second
	// refusals in a row, over this time, end the reading of a cluster that could be read before.
	maxRefusals  = 3
	refusalsOver = 15 * time.Second
	// firstBound is how long a list may take at first. One that takes longer makes it double.
	firstBound = 15 * time.Second
)

// side is one of the clusters.
type side struct {
	client *Client
	before *Listing
	sights []watched // of the followed topics

	next       time.Time     // the next list is not asked for earlier
	pause      time.Duration // that a failure or the cluster asks for; 0 if it does not
	bound      time.Duration // how long a list may take
	lists      int           // that were read to their end
	listed     time.Time     // when the latest of them was
	lastErr    error         // of the latest; nil if it was read to its end
	failing    time.Time     // since when it has not been read at all; zero if it has
	refused    int           // times in a row
	refusedAt  time.Time     // the first of them
	refusedNow time.Time     // the latest of them
	refusedFor error         // why it will not be read any more
	quietUntil time.Time     // it is not asked for reasons before
}

// watched is what one cluster has shown of one topic.
type watched struct {
	sight
	same    int       // whole lists in a row that said so
	current bool      // the latest list was whole, and says so
	older   *Mirror   // a row older than the present one, which one whole list has
	absent  bool      // one whole list has left the topic out
	moved   bool      // this Follow saw it change
	all     []Status  // the statuses that it has had
	lag     int64     // the lowest sum of lags; -1 if none was known
	at      time.Time // when it came to its status, as far as Follow saw it
	seenAt  time.Time // when a list last said so
	wholeAt time.Time // when a whole list last did
}

// unreadable returns why the cluster will not be read any more; nil if it may be.
func (s *side) unreadable(began time.Time) error {
	switch {
	case s.refusedFor != nil:
		return s.refusedFor
	case s.refused == 0:
		return nil
	case s.listed.IsZero(): // it was never read
		var api *APIError
		if errors.As(s.lastErr, &api) && api.Status == http.StatusNotFound && s.refusedNow.Sub(began) < freshLink {
			return nil
		}
		return s.lastErr
	case s.refused >= maxRefusals && s.refusedNow.Sub(s.refusedAt) >= refusalsOver:
		return s.lastErr
	}
	return nil
}

// take notes how the reading of a list went, and how long the cluster is left alone if it was not read.
func (s *side) take(l *Listing, err error, took time.Duration, now time.Time, interval time.Duration) {
	s.lastErr = err
	if err == nil {
		s.lists, s.listed = s.lists+1, now
	}
	if !l.answered.IsZero() { // it was read, if not to its end
		s.pause, s.failing, s.refused, s.bound = 0, time.Time{}, 0, max(firstBound, 3*took)
		return
	}
	if s.failing.IsZero() {
		s.failing = now
	}
	if took >= s.bound {
		s.bound = min(2*s.bound, s.client.timeout)
	}
	s.pause = min(longestPause, 2*max(s.pause, interval))
	var api *APIError
	switch {
	case errors.Is(err, ErrInvalidArgument): // the library's own word: a credential that cannot be sent
		s.refusedFor = err
		return
	case !errors.As(err, &api):
		s.refused = 0
		return
	}
	s.pause = max(s.pause, api.RetryAfter)
	switch status := api.Status; {
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusNotFound:
		if s.refused++; s.refused == 1 {
			s.refusedAt = now
		}
		s.refusedNow = now
	case status/100 == 4 && status != http.StatusTooManyRequests:
		s.refusedFor = err
	default:
		s.refused = 0
	}
}

// see takes in what a list shows of the topic, and tells whether that is progress: before is the list from before
// the call, from are the statuses that the verb starts from, and sent is when it was sent.
func (w *watched) see(l, before *Listing, topic string, from []Status, sent, now time.Time) (progress bool) {
	w.current = false
	m, listed := l.Mirror(topic)
	if listed && m.Status == "" || !listed && !l.Complete {
		return false // it says nothing
	}
	ignored, confirmed := w.isOlder(m, listed, l.Complete)
	if ignored {
		w.same, w.firm = 0, false
		return false
	}
	changed := !w.read || w.listed != listed || w.mirror.Status != m.Status
	if changed {
		w.same, w.at, w.had = 0, now, listed && slices.Contains(w.all, m.Status)
	}
	switch {
	case confirmed: // by the second of two whole lists
		w.same = 2
	case l.Complete:
		w.same++
	default:
		w.same = 0
	}
	w.gone = w.gone || w.listed
	w.moved = w.moved || changed && w.read && w.listed && listed
	w.age = ageOf(m, listed, w.moved, before, l.At, l.answered, sent)
	if w.age == ageNotKnown && w.moved {
		w.age = ageSince // this Follow saw it change
	}
	w.read, w.listed, w.mirror, w.older, w.absent = true, listed, m, nil, false
	w.firm, w.current, w.seenAt = w.same >= 2, l.Complete, now
	if l.Complete {
		w.wholeAt = now
	}
	if !listed {
		return false
	}
	w.left = w.left || !slices.Contains(from, m.Status) && !hidesMore(m.Status)
	if !slices.Contains(w.all, m.Status) {
		w.all, progress = append(w.all, m.Status), true
	}
	if lag := m.Lag(); lag.Partitions > 0 && (w.lag < 0 || lag.Total < w.lag) {
		progress = progress || w.lag >= 0
		w.lag = lag.Total
	}
	return progress
}

// isOlder tells whether a row, or its absence, is to be ignored, since it is older than what was seen
// already; if not, whether that is only because a second whole list in a row says the same.
func (w *watched) isOlder(m Mirror, listed, whole bool) (ignored, confirmed bool) {
	switch {
	case !w.listed:
		return false, false
	case !listed:
		confirmed = w.absent
		w.absent, w.older = true, nil
		return !confirmed, confirmed
	case m.Since.IsZero() || w.mirror.Since.IsZero() || !m.Since.Before(w.mirror.Since):
		return false, false
	}
	confirmed = whole && w.older != nil && w.older.Status == m.Status
	if w.older = nil; whole {
		w.older = &m
	}
	w.absent = false
	return !confirmed, confirmed
}

// ageOf says whether a state began before the call. A baseline tells best: what differs from it began
// after it, and so did a status that this Follow saw the topic come back to. Otherwise it is the cluster's own
// clock, by which the state's age at the time of the list is known: at is the list's time by that clock, and
// now the same moment by the clock of this process.
func ageOf(m Mirror, listed, moved bool, before *Listing, at, now, sent time.Time) age {
	if before != nil {
		was, wasListed := before.Mirror(m.Topic)
		timed := !was.Since.IsZero() && !m.Since.IsZero()
		anew := moved && !timed || (moved || m.Status == StatusFailed) && timed && m.Since.After(was.Since)
		switch {
		case listed && wasListed && was.Status == m.Status && !anew:
			return ageBefore
		case listed && (wasListed && was.Status != "" || before.Complete):
			return ageSince
		}
	}
	if !listed || at.IsZero() || m.Since.IsZero() || sent.IsZero() {
		return ageNotKnown
	}
	if began := now.Add(m.Since.Sub(at)); began.Before(sent.Add(-beforeCall)) {
		return ageBefore
	}
	return ageSince
}
