package wire

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// retry says why a request may be sent again.
type retry uint8

const (
	never    retry = iota
	notSent        // provably not processed, for a cause that can pass: for notSentFor
	rejected       // by the rate limiter, or very likely so: for RetryFor
	refused        // a 401: once, if the credential then writes other headers
	lost           // the outcome is not known: safe requests only, safeAttempts in all
)

const (
	// Waits for which neither the server nor the rate limiter gives a length are drawn between nothing and a bound
	// that doubles from the first of these to the second.
	firstBackoff = 200 * time.Millisecond
	lastBackoff  = 10 * time.Second
	notSentFor   = 10 * time.Second
	safeAttempts = 3
	// limiterWindow is the window in which the rate limiter counts requests, rejected ones included (observed).
	limiterWindow = time.Second
)

// Limiter is what a client knows of the rate limiter, for all its requests together. After a rejection nothing is
// sent for a pause: the limiter's window, or as long as the server asks for. Each pause in a row adds more jitter, so
// that clients of one limit do not stay in step. A client close to the end of RetryFor adds less, so it asks sooner.
// The zero value is ready to use.
type Limiter struct {
	mu        sync.Mutex
	notBefore time.Time // nothing is sent before
	pauses    int       // in a row
	through   time.Time // when the last response came that was not a rejection
}

// spreads are the most that is added to a pause: to the first in a row, to the second, and to all after it.
var spreads = [...]time.Duration{50 * time.Millisecond, 400 * time.Millisecond, 1600 * time.Millisecond}

// pause returns how long the pause after a rejection is, where the server asks for a wait and so much time is left.
func (l *Limiter) pause(asked, left time.Duration) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	row := l.pauses
	if row > 0 && time.Now().Before(l.notBefore) {
		row-- // the present pause is one of them
	}
	pause := max(limiterWindow, asked)
	if asked > 0 { // the first time it is exactly as long as the server asks for
		row--
	}
	if spread := min(spreads[min(max(row, 0), len(spreads)-1)], left/30); row >= 0 && spread > 0 {
		pause += min(spread*9/10+rand.N(spread/10+1), max(0, left-pause)) //nolint:gosec // it keeps clients apart
	}
	return pause
}

// note takes in what an attempt came to. After a rejection that is followed by a retry, nothing is sent for wait.
func (l *Limiter) note(e *Evidence, again bool, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	switch {
	case e.retry == rejected && again:
		if !now.Before(l.notBefore) { // those rejected together count once
			l.pauses++
		}
		if until := now.Add(wait); until.After(l.notBefore) {
			l.notBefore = until
		}
	case e.retry != rejected && e.Status != 0:
		l.through, l.pauses = now, 0
	}
}

// state returns when the pause ends, and when the last response came that was not a rejection.
func (l *Limiter) state() (notBefore, through time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.notBefore, l.through
}

// tries are the attempts at one request.
type tries struct {
	made      int
	first     time.Time // when the first one began
	unsent    time.Time // when the present row of attempts began that were not sent; zero if there is none
	uncertain int       // how many ended without a certain response
	renewed   bool      // a 401 was answered with another credential
}

// next decides what follows an attempt.
func (t *tries) next(s *Sender, e *Evidence, safe bool) (wait time.Duration, again bool) {
	if t.made++; t.made == 1 {
		t.first = e.Start
	}
	if e.retry != notSent {
		t.unsent = time.Time{}
	} else if t.unsent.IsZero() {
		t.unsent = e.Start
	}
	left := time.Until(t.end(s))
	wait = e.RetryAfter
	if wait == 0 {
		wait = rand.N(min(lastBackoff, firstBackoff<<min(t.made-1, 16))) //nolint:gosec // it spreads attempts
	}
	switch e.retry {
	case rejected:
		if max(limiterWindow, e.RetryAfter) > left {
			return 0, false
		}
		return s.Limiter.pause(e.RetryAfter, left), true
	case notSent:
		return wait, wait <= min(left, notSentFor-time.Since(t.unsent))
	case refused:
		again, t.renewed = !t.renewed, true
		return 0, again
	case lost:
		t.uncertain++
		return wait, safe && t.uncertain < safeAttempts && wait <= left
	}
	return 0, false
}

// end is when the retries end: RetryFor after the first attempt, or after the last response that was not a
// rejection.
func (t *tries) end(s *Sender) time.Time {
	from := t.first
	if _, through := s.Limiter.state(); through.After(from) {
		from = through
	}
	return from.Add(s.RetryFor)
}

// Send sends the request until it has a response that ends it, or must not be sent again. It returns the evidence of
// each attempt, and what stands at the end.
func (s *Sender) Send(ctx context.Context, q *Request) (stands Evidence, attempts []Evidence) {
	stands = Evidence{Proof: NotDone, Start: time.Now()}
	var t tries
	var refusedHeader http.Header
	doubt := ""
	for {
		notBefore, _ := s.Limiter.state()
		wait := time.Until(notBefore)
		if wait > 0 {
			if t.made > 0 && notBefore.After(t.end(s)) {
				stands.Err = Join(stands.Err, errors.New("not sent again: RetryFor is over before the rate limiter's pause ends"))
				return stands, attempts
			}
			s.log(ctx, q, "waiting for the rate limiter", wait, "")
		}
		if err := sleep(ctx, wait); err != nil {
			stands.Err = Join(stands.Err, Ended(ctx, "not sent while waiting", err))
			return stands, attempts
		}
		e, written, same := s.attempt(ctx, q, refusedHeader)
		if same {
			return stands, attempts // the credential is still the one that got a 401
		}
		wait, again := t.next(s, &e, q.Safe)
		if again && ctx.Err() != nil {
			again, e.Err = false, Join(e.Err, Ended(ctx, "not sent again", nil))
		}
		if !q.Safe && again && e.Proof == Nothing {
			doubt = "an earlier attempt got a 429 that may have come after the request was processed"
		} else if doubt != "" {
			e.doubt(doubt)
		}
		s.Limiter.note(&e, again, wait)
		attempts = append(attempts, e)
		stands = e
		message := e.Message
		if e.Err != nil {
			message = e.Err.Error()
		}
		s.Logger.LogAttrs(ctx, slog.LevelDebug, "attempt", append(q.Log[:len(q.Log):len(q.Log)],
			slog.Int("attempt", t.made), slog.Int("http_status", e.Status), slog.Duration("took", e.Duration),
			slog.String("error", message))...)
		if !again {
			return stands, attempts
		}
		if e.retry == refused {
			refusedHeader = written
		}
		if e.retry == rejected {
			continue // the limiter's pause is the wait
		}
		s.log(ctx, q, "waiting before a retry", wait, message)
		if err := sleep(ctx, wait); err != nil {
			stands.Err = Join(stands.Err, Ended(ctx, "not sent again", err))
			return stands, attempts
		}
	}
}

// log says that a request waits, as a warning if it is for long.
func (s *Sender) log(ctx context.Context, q *Request, what string, wait time.Duration, because string) {
	level, attrs := slog.LevelInfo, append(q.Log[:len(q.Log):len(q.Log)], slog.Duration("wait", wait))
	if wait > time.Second {
		level = slog.LevelWarn
	}
	if because != "" {
		attrs = append(attrs, slog.String("error", because))
	}
	s.Logger.LogAttrs(ctx, level, what, attrs...)
}

// sleep waits for the given time. It fails at once if ctx would end before.
func sleep(ctx context.Context, d time.Duration) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if deadline, ok := ctx.Deadline(); ok && d > 0 && time.Until(deadline) <= d {
		return context.DeadlineExceeded
	}
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}
