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
	rejected       // certainly or very likely by the rate limiter: for RetryFor
	refused        // a 401: once, if the credential then writes other headers
	lost           // the outcome is not known: safe requests only, safeAttempts in all
)

const (
	// A wait that no server or rate limiter asked for is random. The upper bound of the wait doubles from firstBackoff
	// to lastBackoff.
	firstBackoff, lastBackoff = 200 * time.Millisecond, 10 * time.Second

	notSentFor   = 10 * time.Second
	safeAttempts = 3
	// limiterWindow is the window in which the rate limiter counts requests, rejected requests included (observed).
	limiterWindow = time.Second
)

// Limiter is a client's state of the rate limiter, shared by all its requests. After a rejection nothing is sent for a
// pause: the limiter's window or the server's longer wait. Each pause in a row adds more jitter, which separates
// clients of the same limit. A client close to the end of RetryFor adds less and therefore asks sooner. The zero value
// is ready to use.
type Limiter struct {
	mu        sync.Mutex
	notBefore time.Time // nothing is sent before
	pauses    int       // in a row
	through   time.Time // the time of the last response other than a rejection
}

// spreads are the largest additions to a pause: to the first pause in a row, to the second and to all later pauses.
var spreads = [...]time.Duration{50 * time.Millisecond, 400 * time.Millisecond, 1600 * time.Millisecond}

// reject begins the pause after a rejection. asked is the server's wait, and left is the rest of RetryFor.
func (l *Limiter) reject(asked, left time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if !now.Before(l.notBefore) { // requests rejected together count once
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

// pass records a response other than a rejection.
func (l *Limiter) pass() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.through, l.pauses = time.Now(), 0
}

// state returns the end of the pause and the time of the last response other than a rejection.
func (l *Limiter) state() (notBefore, through time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.notBefore, l.through
}

// tries are the attempts at a request.
type tries struct {
	all       []Evidence
	unsent    time.Time // the start of the current row of unsent attempts, or zero
	uncertain int       // how many ended without a certain response
	renewed   bool      // a 401 was answered with another credential
}

// left is the rest of RetryFor. RetryFor counts from the first attempt or from the last response other than a
// rejection, whichever is later.
func (t *tries) left(s *Sender) time.Duration {
	from := t.all[0].Start
	if _, through := s.Limiter.state(); through.After(from) {
		from = through
	}
	return time.Until(from.Add(s.RetryFor))
}

// next decides whether another attempt follows, and after which wait. The Limiter adds the pause of the rate limiter.
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

// Send sends the request until a response ends the request or a retry is not allowed. Send returns the evidence of each
// attempt and the final evidence.
func (s *Sender) Send(ctx context.Context, q *Request) (stands Evidence, attempts []Evidence) {
	stands = Evidence{Proof: NotDone}
	var t tries
	var refusedHeader http.Header
	doubt := ""
	for {
		notBefore, _ := s.Limiter.state()
		pause := time.Until(notBefore)
		if pause > 0 && len(t.all) > 0 && pause > t.left(s) {
			over := errors.New("not sent again: RetryFor is over before the rate limiter's pause ends")
			stands.Err = Join(stands.Err, over)
			return stands, t.all
		}
		if err := s.wait(ctx, q, "waiting for the rate limiter", pause); err != nil {
			stands.Err = Join(stands.Err, Ended(ctx, "not sent while waiting", err))
			return stands, t.all
		}
		e, written, same := s.attempt(ctx, q, refusedHeader)
		if same {
			return stands, t.all // the credential has not changed since the 401
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

// wait waits for the given time and logs the wait. wait fails at once if ctx has ended or would end first.
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
