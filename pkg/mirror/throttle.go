package mirror

import (
	"context"
	"errors"
	"sync"
	"time"
)

// throttle is one rate limit for all requests of a client, so that its batches are not rejected one
// after another: a rejection pauses them all, and lets half as many be in flight afterwards; after
// some that got through it is one more again. Its zero value limits nothing.
type throttle struct {
	mu        sync.Mutex
	notBefore time.Time     // nothing is sent before
	limit     int           // how many may be in flight; 0 is any number
	inFlight  int           // how many are
	succeeded int           // how many got through since limit was last changed
	through   time.Time     // when the last response came that was not a rejection
	freed     chan struct{} // closed when one may have become free; nil if nobody waits
}

// succeededBeforeMore is how many requests in a row must get through before one more may be in flight.
const succeededBeforeMore = 5

// acquire waits for the turn of one request. It fails if ctx is done, or would be before the end of a
// pause, or if a pause ends after the given time; the zero time is no bound. Each acquire must be
// followed by a release.
func (t *throttle) acquire(ctx context.Context, until time.Time) error {
	for {
		t.mu.Lock()
		left := time.Until(t.notBefore)
		if !until.IsZero() && t.notBefore.After(until) && left > 0 {
			t.mu.Unlock()
			return errPauseTooLong
		}
		full := t.limit > 0 && t.inFlight >= t.limit
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
			if err := sleep(ctx, left); err != nil {
				return err
			}
			continue
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
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
			t.limit, t.succeeded = max(1, t.inFlight/2), 0
		}
		if until := now.Add(pause); until.After(t.notBefore) {
			t.notBefore = until
		}
	case gotThrough:
		t.through = now
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

// lastThrough returns when the last response came that was not a rejection; the zero time if none did.
func (t *throttle) lastThrough() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.through
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
