package mirror

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
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
