package mirror

import (
	"cmp"
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

const (
	// The waits between attempts, but for those behind the rate limiter, where the server does not ask for
	// one, are drawn between nothing and a bound that doubles from the first to the last of these.
	firstBackoff = 200 * time.Millisecond
	lastBackoff  = 10 * time.Second
	// notSentFor is how long a request is retried that could not be sent.
	notSentFor = 10 * time.Second
	// longWait is how long a wait must be for a warning in the log.
	longWait = time.Second
	// safeAttempts is how often a dry run or a read is attempted that gets no certain response.
	safeAttempts = 3
)

// retries decides on the retries of one batch.
type retries struct {
	first     time.Time // when the first attempt began
	notSent   time.Time // when the present row of attempts that were not sent began; zero if it is over
	attempts  int
	uncertain int // attempts at a dry run or a read without a certain response
	renewed   bool
}

// decision is what follows an attempt.
type decision struct {
	again   bool
	wait    time.Duration
	endsRun bool // the rate limiter lets nothing more through in time
}

// next decides what follows an attempt that began at the given time and came to v. It is bounded by
// retryFor, which is negative for never, from when the client last got through.
func (s *retries) next(v verdict, began time.Time, client standing, retryFor time.Duration, safe bool) decision {
	if s.attempts++; s.attempts == 1 {
		s.first = began
	}
	if v.retry != notSent {
		s.notSent = time.Time{}
	} else if s.notSent.IsZero() {
		s.notSent = began
	}
	now := time.Now()
	left := s.until(client.through, retryFor).Sub(now)
	switch v.retry {
	case rejected:
		d := decision{wait: max(limiterWindow, v.retryAfter())}
		inARow := client.pauses
		if v.retryAfter() > 0 { // the first time it is exactly what the server asks for
			inARow--
		}
		if d.again = d.wait <= left; d.again && inARow >= 0 {
			d.wait += min(drawSpread(inARow, left), left-d.wait)
		}
		d.endsRun = !d.again
		return d
	case notSent:
		d := decision{wait: cmp.Or(v.retryAfter(), backoff(s.attempts))}
		d.again = d.wait <= min(left, notSentFor-now.Sub(s.notSent))
		return d
	case unauthenticated:
		d := decision{again: !s.renewed}
		s.renewed = true
		return d
	case maybeDone:
		s.uncertain++
		d := decision{wait: cmp.Or(v.retryAfter(), backoff(s.attempts))}
		d.again = safe && s.uncertain < safeAttempts && d.wait <= left
		return d
	}
	return decision{}
}

// until is when the retries end; the zero time before the first attempt.
func (s *retries) until(through time.Time, retryFor time.Duration) time.Time {
	if s.first.IsZero() {
		return time.Time{}
	}
	return later(s.first, through).Add(retryFor)
}

// backoff draws the wait after the n-th failure.
func backoff(n int) time.Duration {
	return rand.N(min(lastBackoff, firstBackoff<<min(n-1, 16))) //nolint:gosec // it spreads out attempts
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// send sends the request until it has a response, or may not be sent again. The requests end with ctx;
// the waits between them also with waits. It tells whether the run must end.
func (c *Client) send(ctx, waits context.Context, q *request) (endsRun bool) {
	log := c.logger.With(slog.String("operation", q.name), slog.String("link", text.Line(q.link, maxText)))
	if q.body != nil {
		log = log.With(slog.String("run", q.told.Run.ID), slog.Int("batch", q.told.Batch))
	}
	var state retries
	until := func(through time.Time) time.Time { return state.until(through, c.retryFor) }
	last := verdict{outcome: Untouched} // of the attempt before
	for {
		paused := func(wait time.Duration) { logWait(ctx, log, "waiting for the rate limiter", wait, "") }
		if err := c.throttle.acquire(waits, until, paused); err != nil {
			q.verdict = interrupted(ctx, waits, "waiting for the rate limiter", last, err)
			return true
		}
		q.reset()
		v, d := c.inTurn(ctx, q, &state)
		if v.sameCredential {
			q.attempts = q.attempts[:len(q.attempts)-1] // it sent nothing, and there is nothing to tell
			q.verdict = last
			return false
		}
		if !q.safe && v.sentTwice != "" {
			q.doubt, d.again = v.sentTwice, false
		}
		q.verdict = v
		a := q.attempts[len(q.attempts)-1]
		log.LogAttrs(ctx, slog.LevelDebug, "attempt", slog.Int("attempt", a.Number), slog.Int("http_status", a.HTTPStatus),
			slog.Duration("took", a.Duration), slog.String("limiter", q.limiter.known), slog.String("error", a.Error))
		if !d.again {
			return d.endsRun
		}
		if !q.safe && v.outcome == Unknown {
			q.doubt = "an earlier attempt got a 429 that may have come after the request was processed"
		}
		logWait(ctx, log, "waiting before a retry", d.wait, a.Error)
		if err := sleep(waits, d.wait); err != nil {
			q.verdict = interrupted(ctx, waits, "waiting before a retry", v, err)
			return v.retry == rejected
		}
		if v.retry == unauthenticated {
			q.refused = q.credential
		}
		last = v
	}
}

// logWait says that a batch waits, and louder if it is for long.
func logWait(ctx context.Context, log *slog.Logger, what string, wait time.Duration, because string) {
	level, attrs := slog.LevelInfo, []slog.Attr{slog.Duration("wait", wait)}
	if wait > longWait {
		level = slog.LevelWarn
	}
	if because != "" {
		attrs = append(attrs, slog.String("error", because))
	}
	log.LogAttrs(ctx, level, what, attrs...)
}

// inTurn makes an attempt, in the turn that was waited for, and decides what follows.
func (c *Client) inTurn(ctx context.Context, q *request, state *retries) (v verdict, d decision) {
	r, pause := noResponse, time.Duration(0)
	defer func() { c.throttle.release(r, pause) }()
	began := time.Now()
	v = c.attempt(ctx, q)
	d = state.next(v, began, c.throttle.standing(), c.retryFor, q.safe)
	if q.single {
		d.again = false
	}
	if q.proofOnly && v.retry == rejected && v.outcome == Unknown {
		d.again, d.endsRun = false, true
	}
	switch {
	case v.retry == rejected:
		r = rejection
		if d.again { // if not, the run ends, and other calls may try
			pause = d.wait
		}
	case v.api != nil || v.err == nil:
		r = gotThrough
	}
	return v, d
}

// interrupted is the verdict of a batch that could not wait for its next attempt.
func interrupted(ctx, waits context.Context, doing string, last verdict, err error) verdict {
	switch {
	case ctx.Err() != nil:
		last.err = stopped(ctx, "the call ended while "+doing, last.err)
	case waits.Err() != nil: // another batch ended the run
		last.err = joined(cause("the run ended while "+doing, context.Cause(waits)), last.err)
	default:
		what := "not sent while "
		if last.err != nil {
			what = "not sent again while "
		}
		last.err = joined(last.err, cause(what+doing, err))
	}
	return last
}
