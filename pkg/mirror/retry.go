package mirror

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The waits between attempts where the server does not ask for one: between nothing and a bound
// that doubles from the first to the last of these.
const (
	firstBackoff = 200 * time.Millisecond
	lastBackoff  = 10 * time.Second
)

// maxRetryAfter is the longest that the library waits because a server asks it to.
const maxRetryAfter = 60 * time.Second

// send sends a batch, again where that is safe, and returns what came of it in the end. Sent again
// is only what provably was not processed; a dry run, which changes nothing, also where that is
// not known.
func (c *Client) send(ctx context.Context, l *ledger, op operation, b Batch) (*part, verdict) {
	body, err := b.body()
	if err != nil {
		return l.part(b), verdict{outcome: Untouched, err: cause("the request could not be encoded", err)}
	}
	q := request{operation: op, batch: b, body: body}
	var attempts []Attempt
	last := verdict{outcome: Untouched}
	for {
		p := l.part(b)
		if err := c.throttle.enter(ctx); err != nil {
			p.attempts = attempts
			return p, verdict{outcome: last.outcome, err: stopped(ctx, "the call ended before the rate filter's pause", last.err)}
		}
		v, wait, again := c.throttled(ctx, &q, p, len(attempts)+1)
		if errors.Is(v.err, errSameCredential) {
			p.attempts = attempts
			return p, last
		}
		attempts = append(attempts, p.attempts...)
		p.attempts = attempts
		if v.unauthenticated() {
			// A token may have been renewed. If it was not, the next attempt ends before it sends.
			wait, again = 0, !q.unauthenticated
			q.unauthenticated, q.refused = true, q.authorization
		}
		if !again || len(attempts) == c.maxAttempts || !sleep(ctx, wait) {
			return p, v
		}
		last = v
	}
}

// throttled makes the n-th attempt, in the turn that was waited for.
func (c *Client) throttled(ctx context.Context, q *request, p *part, n int) (v verdict, wait time.Duration, again bool) {
	defer func() { c.throttle.leave(v.filtered(), wait) }()
	v = c.attempt(ctx, q, p)
	wait, again = v.again(n, q.batch.DryRun)
	return v, wait, again
}

// again tells whether the batch may be sent again after its n-th attempt came to this, and after
// what wait.
func (v verdict) again(n int, dryRun bool) (wait time.Duration, again bool) {
	if v.err == nil {
		return 0, false
	}
	backoff := min(lastBackoff, firstBackoff<<min(n-1, 16))
	wait = rand.N(backoff) //nolint:gosec // it spreads out attempts
	status := 0
	var api *APIError
	if errors.As(v.err, &api) {
		status = api.Status
		if api.RetryAfter > maxRetryAfter {
			return 0, false
		}
		if api.RetryAfter > 0 {
			wait = api.RetryAfter
		}
	}
	switch {
	case v.filtered(), v.passing:
		return wait, true
	case dryRun && v.outcome == Unknown:
		return wait, status == 0 || status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout
	}
	return 0, false
}

func (v verdict) filtered() bool        { return errors.Is(v.err, ErrRateLimited) }
func (v verdict) unauthenticated() bool { return errors.Is(v.err, ErrUnauthenticated) }

// isPassing tells whether the cause of an attempt that was not sent may be gone the next time.
func isPassing(err error) bool {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return dns.IsTemporary || dns.IsTimeout
	}
	var timeout net.Error
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) ||
		errors.As(err, &timeout) && timeout.Timeout()
}

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

// retryAfter reads how long a server asks to wait, from the Retry-After header: whole seconds, or
// a date, which is measured against the answer's own Date, so that the clocks need not agree. It
// is 0 if the header is not there, or not legible, or says a time that has passed, and it
// saturates.
func retryAfter(h http.Header) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if text != "" && strings.Trim(text, "0123456789") == "" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil || seconds > math.MaxInt64/int64(time.Second) {
			return math.MaxInt64
		}
		return time.Duration(seconds) * time.Second
	}
	until, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	from, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	return max(0, until.Sub(from))
}
