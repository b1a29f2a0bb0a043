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
		if err := c.pause.wait(ctx); err != nil {
			p.attempts = attempts
			return p, verdict{outcome: last.outcome, err: stopped(ctx, "the call ended before the rate filter's pause", last.err)}
		}
		v := c.attempt(ctx, &q, p)
		if errors.Is(v.err, errSameCredential) {
			p.attempts = attempts
			return p, last
		}
		attempts = append(attempts, p.attempts...)
		p.attempts = attempts
		wait, again := v.again(len(attempts), b.DryRun)
		if v.filtered() {
			c.pause.until(time.Now().Add(wait))
		}
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

// pause is the time before which a client sends nothing, because the rate filter has had enough. It
// is one for all batches of the client, so that they do not take turns at being turned away.
type pause struct {
	mu sync.Mutex
	to time.Time
}

func (p *pause) until(t time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.After(p.to) {
		p.to = t
	}
}

// wait waits until the pause is over, as it may be prolonged meanwhile. It fails if ctx is done.
func (p *pause) wait(ctx context.Context) error {
	for {
		p.mu.Lock()
		left := time.Until(p.to)
		p.mu.Unlock()
		if left <= 0 {
			return nil
		}
		if !sleep(ctx, left) {
			return errors.New("no time left")
		}
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
