package wire

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// waits are the times between the attempts.
func waits(attempts []Evidence) (all []time.Duration) {
	for i := 1; i < len(attempts); i++ {
		all = append(all, attempts[i].Start.Sub(attempts[i-1].Start.Add(attempts[i-1].Duration)))
	}
	return all
}

var (
	limited   = with(429, "DoSFilter", "unavailable")
	limited10 = with(429, "DoSFilter", "unavailable", "Retry-After", "10")
	doubtful  = with(429)
	answer    = func() *http.Response { return reply(200, "{}", "Content-Type", jsonType) }
)

// Which attempts follow which responses, for a request that changes something and for one that does not.
func TestRetry_OnlyByTheTable(t *testing.T) {
	for name, c := range map[string]struct {
		replies      []func() *http.Response
		change, safe int // how many attempts there are
		proof        Proof
	}{
		"an answer":                             {[]func() *http.Response{answer}, 1, 1, Answered},
		"rejected, then answered":               {[]func() *http.Response{limited, limited, answer}, 3, 3, Answered},
		"a 429 without a header, then answered": {[]func() *http.Response{doubtful, answer}, 2, 2, Answered},
		"a 429 with an error_code": {[]func() *http.Response{func() *http.Response {
			return reply(429, `{"error_code":429}`)
		}}, 1, 3, Nothing},
		"503":                                    {[]func() *http.Response{with(503)}, 1, 3, Nothing},
		"500, then answered":                     {[]func() *http.Response{with(500), answer}, 1, 2, Nothing},
		"408":                                    {[]func() *http.Response{with(408)}, 1, 3, Nothing},
		"409":                                    {[]func() *http.Response{with(409)}, 1, 1, Nothing},
		"404":                                    {[]func() *http.Response{with(404)}, 1, 1, NotDone},
		"401, the same header":                   {[]func() *http.Response{with(401)}, 1, 1, NotDone},
		"a 429 without a header, then a refusal": {[]func() *http.Response{doubtful, with(404)}, 2, 2, Nothing},
		"a 429 without a header, then rejected, then a refusal": {
			[]func() *http.Response{doubtful, limited, with(404)}, 3, 3, Nothing,
		},
	} {
		bubble(t, name, func(t *testing.T) {
			stands, attempts := newSender(replies(c.replies...)).Send(t.Context(), newRequest())
			require.Len(t, attempts, c.change)
			require.Equal(t, c.proof, stands.Proof)
			require.Equal(t, attempts[len(attempts)-1].Proof, stands.Proof)
			_, attempts = newSender(replies(c.replies...)).Send(t.Context(), newRead())
			require.Len(t, attempts, c.safe)
		})
	}
}

// A read or a dry run is sent again after a lost response, and no earlier attempt puts its response in doubt.
func TestRetry_WhatChangesNothingIsSentAgain(t *testing.T) {
	bubble(t, "lost responses", func(t *testing.T) {
		sender := newSender(taking(func(*http.Request) (*http.Response, error) { return nil, errOwn }))
		dry := newRequest()
		dry.Safe = true
		_, attempts := sender.Send(t.Context(), dry)
		require.Len(t, attempts, 3)
		_, attempts = sender.Send(t.Context(), newRequest())
		require.Len(t, attempts, 1)
	})
	bubble(t, "a 429 without a header, then a refusal", func(t *testing.T) {
		stands, attempts := newSender(replies(doubtful, with(404))).Send(t.Context(), newRead())
		require.Len(t, attempts, 2)
		require.Equal(t, NotDone, stands.Proof)
		require.Empty(t, stands.Doubt)
	})
}

func TestRetry_NegativeRetryForIsOneAttempt(t *testing.T) {
	for name, transport := range map[string]roundTrip{
		"rejected": replies(limited), "doubtful": replies(doubtful), "503": replies(with(503)),
		"refused": func(*http.Request) (*http.Response, error) {
			return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
		},
	} {
		bubble(t, name, func(t *testing.T) {
			for _, d := range []time.Duration{-1, -1 << 63} {
				for _, q := range []*Request{newRequest(), newRead()} {
					sender := newSender(transport)
					sender.RetryFor = d
					_, attempts := sender.Send(t.Context(), q)
					require.Len(t, attempts, 1)
				}
			}
		})
	}
}

func TestRetry_A401IsRetriedOnceIfTheCredentialChanges(t *testing.T) {
	for name, c := range map[string]struct {
		tokens   []string
		attempts int
		proof    Proof
	}{
		"another token that is good":    {[]string{"old-token", "good-token"}, 2, Answered},
		"the same token":                {[]string{"old-token", "old-token"}, 1, NotDone},
		"two tokens that are not good":  {[]string{"old-token", "older-token", "good-token"}, 2, NotDone},
		"good, but it would be a third": {[]string{"old-token", "", "good-token"}, 2, NotDone},
	} {
		t.Run(name, func(t *testing.T) {
			sender := newSender(taking(func(r *http.Request) (*http.Response, error) {
				if r.Header.Get("Authorization") != "good-token" {
					return reply(401, ""), nil
				}
				return answer(), nil
			}))
			sender.RetryFor = -1 // the renewal is no retry
			n := 0
			sender.Credential = func(_ context.Context, h http.Header) error {
				n++
				if token := c.tokens[min(n, len(c.tokens))-1]; token != "" {
					h.Set("Authorization", token)
				}
				return nil
			}
			stands, attempts := sender.Send(t.Context(), newRequest())
			require.Len(t, attempts, c.attempts)
			require.Equal(t, c.proof, stands.Proof)
		})
	}
}

// What was not sent is tried for 10 s, with waits between, and each row of such attempts begins anew.
func TestRetry_WhatWasNotSentIsTriedFor10s(t *testing.T) {
	bubble(t, "without end", func(t *testing.T) {
		_, attempts := newSender(roundTrip(func(*http.Request) (*http.Response, error) {
			return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
		})).Send(t.Context(), newRequest())
		require.Greater(t, len(attempts), 3)
		require.Less(t, len(attempts), 60)
		require.LessOrEqual(t, attempts[len(attempts)-1].Start.Sub(attempts[0].Start), notSentFor)
		require.Greater(t, waits(attempts)[len(attempts)-2], time.Duration(0))
	})
	bubble(t, "twice, with a rejection between", func(t *testing.T) {
		n := 0
		sender := newSender(roundTrip(func(r *http.Request) (*http.Response, error) {
			n++
			if n == 2 || n == 4 {
				_, _ = io.Copy(io.Discard, r.Body)
				return map[int]func() *http.Response{2: limited10, 4: answer}[n](), nil
			}
			time.Sleep(8 * time.Second)
			return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
		}))
		stands, attempts := sender.Send(t.Context(), newRequest())
		require.Len(t, attempts, 4)
		require.Equal(t, Answered, stands.Proof)
	})
}

func TestRetry_EndsWithRetryFor(t *testing.T) {
	bubble(t, "rejected without end", func(t *testing.T) {
		start := time.Now()
		stands, attempts := newSender(replies(limited)).Send(t.Context(), newRequest())
		require.Equal(t, NotDone, stands.Proof)
		require.LessOrEqual(t, time.Since(start), time.Minute)
		require.Greater(t, time.Since(start), 57*time.Second, "RetryFor is used to its end")
		for i, wait := range waits(attempts) {
			require.GreaterOrEqual(t, wait, limiterWindow)
			left := time.Minute - attempts[i+1].Start.Sub(attempts[0].Start)
			require.LessOrEqual(t, wait, limiterWindow+min((left+3*time.Second)/30, 1600*time.Millisecond))
		}
	})
	bubble(t, "the server asks for more than is left", func(t *testing.T) {
		start := time.Now()
		stands, attempts := newSender(replies(with(429, "DoSFilter", "unavailable", "Retry-After", "61"))).
			Send(t.Context(), newRequest())
		require.Len(t, attempts, 1)
		require.Zero(t, time.Since(start))
		require.Equal(t, 61*time.Second, stands.RetryAfter)
	})
	bubble(t, "another request's pause is too long", func(t *testing.T) {
		sender := newSender(nil)
		sender.RetryFor = 10 * time.Second
		n := 0
		sender.Transport = taking(func(*http.Request) (*http.Response, error) {
			if n++; n == 1 {
				sender.Limiter.reject(9*time.Second, 10*time.Second)
				time.Sleep(5 * time.Second)
				sender.Limiter.reject(9*time.Second, 10*time.Second)
				return with(429, "DoSFilter", "unavailable")(), nil
			}
			return answer(), nil
		})
		stands, attempts := sender.Send(t.Context(), newRequest())
		require.Len(t, attempts, 1)
		require.Equal(t, NotDone, stands.Proof)
		require.ErrorContains(t, stands.Err, "RetryFor is over before the rate limiter's pause ends")
	})
}

func TestRetry_TheContextEndsEveryWait(t *testing.T) {
	for name, transport := range map[string]roundTrip{
		"the pause after a rejection":               replies(limited10),
		"the pause after a 429 that proves nothing": replies(with(429, "Retry-After", "10")),
		"the wait before a retry": func(*http.Request) (*http.Response, error) {
			return reply(408, "", "Retry-After", "9"), nil
		},
	} {
		bubble(t, name+", cancelled", func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(3*time.Second, func() { cancel(errOwn) })
			start := time.Now()
			stands, attempts := newSender(transport).Send(ctx, newRequest())
			require.Len(t, attempts, 1)
			require.Equal(t, 3*time.Second, time.Since(start))
			require.ErrorIs(t, stands.Err, context.Canceled)
			require.ErrorIs(t, stands.Err, errOwn)
		})
		bubble(t, name+", past the deadline", func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			start := time.Now()
			stands, attempts := newSender(transport).Send(ctx, newRequest())
			require.Len(t, attempts, 1)
			require.Zero(t, time.Since(start), "it does not begin a wait that the deadline would end")
			require.ErrorIs(t, stands.Err, context.DeadlineExceeded)
		})
	}
	bubble(t, "before anything was sent", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errOwn)
		stands, attempts := newSender(replies(answer)).Send(ctx, newRequest())
		require.Empty(t, attempts)
		require.Equal(t, NotDone, stands.Proof)
		require.ErrorIs(t, stands.Err, errOwn)
	})
}

// Pauses in a row grow, whoever is rejected, and begin anew as soon as something gets through.
func TestLimiter_PausesInARowGrow(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		between := func(d, least, most time.Duration) {
			t.Helper()
			require.GreaterOrEqual(t, d, time.Second+least)
			require.LessOrEqual(t, d, time.Second+most)
		}
		sender := newSender(replies(limited, limited, limited, limited, answer))
		sender.RetryFor = 10 * time.Minute
		stands, attempts := sender.Send(t.Context(), newRequest())
		require.Equal(t, Answered, stands.Proof)
		row := waits(attempts)
		require.Len(t, row, 4)
		between(row[0], 45*time.Millisecond, 50*time.Millisecond)
		between(row[1], 360*time.Millisecond, 400*time.Millisecond)
		between(row[2], 1440*time.Millisecond, 1600*time.Millisecond)
		between(row[3], 1440*time.Millisecond, 1600*time.Millisecond)

		sender.Transport = replies(limited, answer)
		_, attempts = sender.Send(t.Context(), newRequest())
		between(waits(attempts)[0], 45*time.Millisecond, 50*time.Millisecond)

		// A request that gives up leaves the row as it is.
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		sender.Transport = replies(limited)
		_, attempts = sender.Send(ctx, newRequest())
		require.Len(t, attempts, 2)
		time.Sleep(2 * time.Second)
		sender.Transport = replies(limited, answer)
		_, attempts = sender.Send(t.Context(), newRequest())
		between(waits(attempts)[0], 1440*time.Millisecond, 1600*time.Millisecond)
	})
}

// The first pause is as long as the server asks for. Clients that it tells the same would stay in step, so later ones
// are longer; but not longer than what is left.
func TestLimiter_WhatTheServerAsksForIsSpreadFromTheSecondTimeOn(t *testing.T) {
	for retryFor, most := range map[time.Duration]time.Duration{
		time.Minute: 10050 * time.Millisecond, 20020 * time.Millisecond: 10020 * time.Millisecond,
	} {
		bubble(t, retryFor.String(), func(t *testing.T) {
			sender := newSender(replies(limited10, limited10, answer))
			sender.RetryFor = retryFor
			_, attempts := sender.Send(t.Context(), newRequest())
			row := waits(attempts)
			require.Len(t, row, 2)
			require.Equal(t, 10*time.Second, row[0])
			require.Greater(t, row[1], 10*time.Second)
			require.LessOrEqual(t, row[1], most)
		})
	}
}

// Requests that are rejected together are one pause, and nothing is sent in it.
func TestLimiter_RejectedTogetherCountsOnce(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		var mu sync.Mutex
		var at []time.Duration
		start := time.Now()
		sender := newSender(taking(func(*http.Request) (*http.Response, error) {
			mu.Lock()
			at = append(at, time.Since(start))
			n := len(at)
			mu.Unlock()
			time.Sleep(100 * time.Millisecond)
			if n <= 6 {
				return limited(), nil
			}
			return answer(), nil
		}))
		var calls sync.WaitGroup
		for range 6 {
			calls.Go(func() {
				if stands, _ := sender.Send(t.Context(), newRequest()); stands.Proof != Answered {
					t.Errorf("%+v", stands)
				}
			})
		}
		calls.Wait()
		require.Len(t, at, 12)
		for _, first := range at[:6] {
			require.Zero(t, first)
		}
		for _, second := range at[6:] {
			require.GreaterOrEqual(t, second, 1100*time.Millisecond)
			require.LessOrEqual(t, second, 1200*time.Millisecond, "the first pause of a row")
		}
	})
}

// A request whose turn comes late is not given up while others of the client get through.
func TestLimiter_OthersThatGetThroughProlongTheWait(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		start, n := time.Now(), 0
		sender := newSender(taking(func(*http.Request) (*http.Response, error) {
			if n++; n <= 10 {
				return limited(), nil
			}
			return answer(), nil
		}))
		sender.RetryFor = 5 * time.Second
		through, end := context.WithCancel(t.Context())
		var other sync.WaitGroup
		other.Go(func() {
			for through.Err() == nil {
				time.Sleep(2 * time.Second)
				sender.Limiter.pass()
			}
		})
		stands, _ := sender.Send(t.Context(), newRequest())
		require.Equal(t, Answered, stands.Proof)
		require.Greater(t, time.Since(start), 2*sender.RetryFor)
		end()
		other.Wait()
		synctest.Wait()
	})
}

func TestRetry_TheErrorOfTheLatestAttemptStands(t *testing.T) {
	n := 0
	sender := newSender(roundTrip(func(*http.Request) (*http.Response, error) {
		if n++; n == 1 {
			return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
		}
		return nil, fmt.Errorf("x: %w", errOwn)
	}))
	bubble(t, "", func(t *testing.T) {
		stands, attempts := sender.Send(t.Context(), newRequest())
		require.Len(t, attempts, 2)
		require.ErrorIs(t, stands.Err, errOwn)
		require.NotErrorIs(t, stands.Err, syscall.ECONNREFUSED)
	})
}
