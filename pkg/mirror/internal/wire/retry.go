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
	// Waits that neither the server nor the rate limiter asks for are drawn below a bound that doubles from the first of
	// these to the second.
	firstBackoff, lastBackoff = 200 * time.Millisecond, 10 * time.Second

	notSentFor   = 10 * time.Second
	safeAttempts = 3
	// limiterWindow is the window in which the rate limiter counts requests, rejected ones included (observed).
	limiterWindow = time.Second
)

// Limiter is what a client knows of the rate limiter, for all its requests together. After a rejection nothing is sent
// for a pause: the limiter's window, or as long as the server asks for. Each pause in a row adds more jitter, so that
// clients of one limit do not stay in step. A client close to the end of RetryFor adds less, so it asks sooner. The zero
// value is ready to use.
type Limiter struct {
	mu        sync.Mutex
	notBefore time.Time // nothing is sent before
	pauses    int       // in a row
	through   time.Time // when the last response came that was not a rejection
}

// spreads are the most that is added to a pause: to the first in a row, to the second, and to all after it.
var spreads = [...]time.Duration{50 * time.Millisecond, 400 * time.Millisecond, 1600 * time.Millisecond}

// reject begins the pause after a rejection, where the server asks for a wait and so much is left of RetryFor.
func (l *Limiter) reject(asked, left time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if !now.Before(l.notBefore) { // those rejected together count once
		l.pauses++
	}
	pause, row := max(limiterWindow, asked), l.pauses-1
	if asked > 0 { // the first pause is exactly as long as the server asks for
		row--
	}
	if row >= 0 {
		spread := min(spreads[min(row, len(spreads)-1)], left/30)
		pause = min(left, pause+spread*9/10+rand.N(spread/10+1)) //nolint:gosec // it keeps clients apart
	}
	if until := now.Add(pause); until.After(l.notBefore) {
		l.notBefore = until
	}
}

// pass notes a response that was not a rejection.
func (l *Limiter) pass() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.through, l.pauses = time.Now(), 0
}

// state returns when the pause ends, and when the last response came that was not a rejection.
func (l *Limiter) state() (notBefore, through time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.notBefore, l.through
}

// tries are the attempts at one request.
type tries struct {
	all       []Evidence
	unsent    time.Time // when the present row of attempts began that were not sent; zero if there is none
	uncertain int       // how many ended without a certain response
	renewed   bool      // a 401 was answered with another credential
}

// left is how much of RetryFor is left: it counts from the first attempt, or from the last response that was not a
// rejection, whichever is later.
func (t *tries) left(s *Sender) time.Duration {
	from := t.all[0].Start
	if _, through := s.Limiter.state(); through.After(from) {
		from = through
	}
	return time.Until(from.Add(s.RetryFor))
}

// next decides what follows the latest attempt, and how long to wait before; the pause behind the rate limiter is the
// Limiter's.
func (t *tries) next(s *Sender, e *Evidence, safe bool) (wait time.Duration, again bool) {
	if e.retry != notSent {
		t.unsent = time.Time{}
	} else if t.unsent.IsZero() {
		t.unsent = e.Start
	}
	left := t.left(s)
	if wait = e.RetryAfter; wait == 0 {
		wait = rand.N(min(lastBackoff, firstBackoff<<min(len(t.all)-1, 16))) //nolint:gosec // it spreads attempts
	}
	switch e.retry {
	case rejected:
		if again = max(limiterWindow, e.RetryAfter) <= left; again {
			s.Limiter.reject(e.RetryAfter, left)
		}
		return 0, again
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

// Send sends the request until it has a response that ends it, or must not be sent again. It returns the evidence of
// each attempt, and what stands at the end.
func (s *Sender) Send(ctx context.Context, q *Request) (stands Evidence, attempts []Evidence) {
	stands = Evidence{Proof: NotDone}
	var t tries
	var refusedHeader http.Header
	doubt := ""
	for {
		notBefore, _ := s.Limiter.state()
		pause := time.Until(notBefore)
		if pause > 0 && len(t.all) > 0 && pause > t.left(s) {
			stands.Err = Join(stands.Err, errors.New("not sent again: RetryFor is over before the rate limiter's pause ends"))
			return stands, t.all
		}
		if err := s.wait(ctx, q, "waiting for the rate limiter", pause); err != nil {
			stands.Err = Join(stands.Err, Ended(ctx, "not sent while waiting", err))
			return stands, t.all
		}
		e, written, same := s.attempt(ctx, q, refusedHeader)
		if same {
			return stands, t.all // the credential is still the one that got a 401
		}
		t.all = append(t.all, e)
		wait, again := t.next(s, &e, q.Safe)
		if e.retry != rejected && e.Status != 0 {
			s.Limiter.pass()
		}
		switch {
		case !q.Safe && again && e.Proof == Nothing:
			doubt = "an earlier attempt got a 429 that may have come after the request was processed"
		case doubt != "":
			e.doubt(doubt)
		}
		t.all[len(t.all)-1], stands = e, e
		s.Logger.LogAttrs(ctx, slog.LevelDebug, "attempt", append(q.Log[:len(q.Log):len(q.Log)],
			slog.Int("http_status", e.Status), slog.Duration("took", e.Duration), slog.Any("error", e.Err))...)
		if !again {
			return stands, t.all
		}
		if err := s.wait(ctx, q, "waiting before a retry", wait); err != nil {
			stands.Err = Join(stands.Err, Ended(ctx, "not sent again", err))
			return stands, t.all
		}
		if e.retry == refused {
			refusedHeader = written
		}
	}
}

// wait waits for the given time, and says so in the log. It fails at once if ctx has ended, or would before the end.
func (s *Sender) wait(ctx context.Context, q *Request, what string, d time.Duration) error {
	if ctx.Err() != nil || d <= 0 {
		return ctx.Err()
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return context.DeadlineExceeded
	}
	level := slog.LevelInfo
	if d > time.Second {
		level = slog.LevelWarn
	}
	s.Logger.LogAttrs(ctx, level, what, append(q.Log[:len(q.Log):len(q.Log)], slog.Duration("wait", d))...)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}
