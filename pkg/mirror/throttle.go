package mirror

import (
	"context"
	"errors"
	"sync"
	"time"
)

// throttle holds a client's requests back when the rate filter has had enough. It is one for all
// batches of the client, so that they do not take turns at being turned away: a 429 pauses them all,
// and lets half as many be under way afterwards; after some that came through it is one more again.
type throttle struct {
	mu      sync.Mutex
	to      time.Time     // nothing is sent before
	limit   int           // how many may be under way; 0 is any number
	under   int           // how many are
	through int           // how many came through since limit was last changed
	change  chan struct{} // closed when one may have become free; nil if nobody waits
}

// throughBeforeMore is how many requests in a row must come through before one more may be under way.
const throughBeforeMore = 5

// enter waits for the turn of one request. It fails if ctx is done, or would be before the end of a
// pause. Who entered must leave.
func (t *throttle) enter(ctx context.Context) error {
	for {
		t.mu.Lock()
		left := time.Until(t.to)
		full := t.limit > 0 && t.under >= t.limit
		if left <= 0 && !full {
			t.under++
			t.mu.Unlock()
			return nil
		}
		if t.change == nil {
			t.change = make(chan struct{})
		}
		change := t.change
		t.mu.Unlock()
		if left > 0 {
			if !sleep(ctx, left) {
				return errors.New("no time left")
			}
			continue
		}
		select {
		case <-change:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// leave says that a request is over, and whether the filter turned it away; if so, nothing is sent for
// the given time.
func (t *throttle) leave(filtered bool, wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if filtered {
		now := time.Now()
		if !now.Before(t.to) { // those turned away together count once
			t.limit, t.through = max(1, t.under/2), 0
		}
		if until := now.Add(wait); until.After(t.to) {
			t.to = until
		}
	} else if t.through++; t.limit > 0 && t.through >= throughBeforeMore {
		t.limit, t.through = t.limit+1, 0
	}
	t.under--
	if t.change != nil {
		close(t.change)
		t.change = nil
	}
}

// sleep waits, and tells whether it did. It returns at once if ctx would be done before its end.
func sleep(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
