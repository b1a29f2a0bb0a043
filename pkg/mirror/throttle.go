package mirror

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// throttle is what a client does about the rate limiter, for all its requests together. After a rejection
// nothing is sent for a pause of a second, in which the limiter's window becomes empty of what the client had in
// it, and a bit. The bit grows with each pause in a row after which nothing got through, and shrinks with the
// time that is left of RetryFor, so that of several clients the one that has waited longest asks most often.
// Where the server asks for a wait, the pause is that, and the bit is added from the second in a row on: clients
// that are told the same would else ask at the same time for ever, and their rejections be counted each time.
// After the pause half as many requests as were in flight may be, if that was more than one. That doubles
// with each second and grows by one for every five that get through, and after ten seconds there is no limit.
//
// What this promises: a client alone loses a second, and the time of a response, for each window that it
// fills. So it needs up to about twice the time of one that knew the window's size. Without knowing it there is
// nothing better: a request too many is counted like the others, and only a second without any shows how many
// the window allows. What it does not promise: that clients on one limit get equal shares, or that each gets
// through before its RetryFor is over, for they do not know of each other.
//
// Its zero value limits nothing.
type throttle struct {
	mu        sync.Mutex
	notBefore time.Time     // nothing is sent before
	pauses    int           // how many there were in a row
	limit     int           // how many may be in flight at notBefore; 0 is any number
	inFlight  int           // how many are
	succeeded int           // how many got through since limit was last changed
	through   time.Time     // when the last response came that was not a rejection
	freed     chan struct{} // closed when one may have become free; nil if nobody waits
}

const (
	// limiterWindow is the window in which the rate limiter counts requests, rejected ones included
	// (observed). After a rejection the wait is at least as long.
	limiterWindow = time.Second
	// succeededBeforeMore is how many requests in a row must get through before one more may be in flight.
	succeededBeforeMore = 5
	// limitFor is how long after a pause requests in flight are limited.
	limitFor = 10 * time.Second
)

// spreads are the most that is added to a pause: to the first in a row, to the second, and to all after it.
var spreads = [...]time.Duration{50 * time.Millisecond, 400 * time.Millisecond, 1600 * time.Millisecond}

// drawSpread draws what is added to a pause, where there were so many pauses in a row before and so much time is
// left of RetryFor.
func drawSpread(pauses int, left time.Duration) time.Duration {
	spread := max(0, min(spreads[min(pauses, len(spreads)-1)], left/30))
	return spread*9/10 + rand.N(spread/10+1) //nolint:gosec // it keeps clients apart
}

// acquire waits for the turn of one request; told is called with the length of each pause that it waits
// for. It fails if ctx is done, or would be before the end of a pause, or if a pause ends after the time that
// until returns, given when the client last got through: others may get through while this one waits. The zero
// time is no bound. Each acquire must be followed by a release.
func (t *throttle) acquire(
	ctx context.Context, until func(through time.Time) time.Time, told func(time.Duration),
) error {
	for {
		t.mu.Lock()
		now := time.Now()
		left := t.notBefore.Sub(now)
		if bound := until(t.through); !bound.IsZero() && t.notBefore.After(bound) && left > 0 {
			t.mu.Unlock()
			return errPauseTooLong
		}
		full, more := t.full(now)
		if left <= 0 && !full {
			t.inFlight++
			t.mu.Unlock()
			return nil
		}
		if t.freed == nil {
			t.freed = make(chan struct{})
		}
		freed := t.freed
		t.mu.Unlock()
		if left > 0 {
			told(left)
			if err := sleep(ctx, left); err != nil {
				return err
			}
			continue
		}
		timer := time.NewTimer(more)
		select {
		case <-freed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// full tells whether no more requests may be in flight now, and after what time that may have changed. The
// throttle's mu is held.
func (t *throttle) full(now time.Time) (full bool, more time.Duration) {
	since := max(0, now.Sub(t.notBefore))
	if since >= limitFor {
		t.limit = 0
	}
	more = limiterWindow - since%limiterWindow
	return t.limit > 0 && t.inFlight >= t.limit<<(since/limiterWindow), more
}

// response is what a request came to, as far as the throttle needs to know.
type response uint8

const (
	noResponse response = iota
	rejection           // by the rate limiter
	gotThrough          // any other
)

// release says what a request came to. After a rejection nothing is sent for the given time.
func (t *throttle) release(r response, pause time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	switch r {
	case rejection:
		if !now.Before(t.notBefore) { // those rejected together count once
			t.pauses++
			if t.full(now); t.limit > 0 || t.inFlight > 1 {
				t.limit, t.succeeded = max(1, t.inFlight/2), 0
			}
		}
		if until := now.Add(pause); until.After(t.notBefore) {
			t.notBefore = until
		}
	case gotThrough:
		t.through, t.pauses = now, 0
		if t.succeeded++; t.limit > 0 && t.succeeded >= succeededBeforeMore {
			t.limit, t.succeeded = t.limit+1, 0
		}
	}
	t.inFlight--
	if t.freed != nil {
		close(t.freed)
		t.freed = nil
	}
}

// standing is how a client stands with the rate limiter.
type standing struct {
	through time.Time // when the last response came that was not a rejection; zero if none did
	pauses  int       // in a row before the present one
}

func (t *throttle) standing() standing {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := standing{through: t.through, pauses: t.pauses}
	if time.Now().Before(t.notBefore) && s.pauses > 0 {
		s.pauses--
	}
	return s
}

// sleep waits for the given time. It fails at once if ctx would be done before its end.
func sleep(ctx context.Context, d time.Duration) error {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return errWaitTooLong
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// Why a wait was not begun.
var (
	errWaitTooLong  = errors.New("the call's deadline comes before the end of the wait")
	errPauseTooLong = errors.New("RetryFor is over before the rate limiter's pause ends")
)
