package mirror_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// limited is a pair in memory with so many topics, which are t0, t1 and so on, and that answers after the
// given time, behind a rate limiter.
func limited(
	t *testing.T, topics int, latency time.Duration, rate mirrortest.Rate,
) (pair *mirrortest.Pair, names []string) {
	o := mirrortest.Options{InMemory: true, Latency: [2]time.Duration{latency, latency}, Rate: rate}
	for i := range topics {
		names = append(names, fmt.Sprint("t", i))
		o.Topics = append(o.Topics, mirrortest.Topic{Name: names[i]})
	}
	return mirrortest.NewPair(t, o), names
}

// A 429 pauses all batches of the client, and afterwards no more than half as many are in flight, until
// some have come through.
func TestRetryOnlyWhatWasNotProcessed_A429HalvesWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair, names := limited(t, 64, time.Second, mirrortest.Rate{})
		for range 8 {
			pair.Local.Inject(mirrortest.Fault{Do: mirrortest.Answer(429, "", "DoSFilter", "unavailable", "Retry-After", "30")})
		}
		cfg := pair.Local.Config()
		cfg.BatchSize, cfg.Parallel = 1, 8
		client, err := mirror.NewClient(cfg)
		require.NoError(t, err)
		_, err = client.ReverseAndPause(context.Background(), pair.Link(), mirror.Topics(names...))
		require.NoError(t, err)
		pair.Local.AssertSentOnce(t)

		at := map[time.Duration]int{}
		most := 0
		for _, r := range pair.Journal() {
			since := r.At.Sub(pair.Journal()[0].At)
			at[since]++
			if since > 31*time.Second {
				most = max(most, at[since])
			}
		}
		require.Equal(t, 8, at[0])
		for second := range 30 * time.Second / time.Second {
			require.Zero(t, at[time.Second*(second+1)], "a pause for all")
		}
		require.Equal(t, 4, at[31*time.Second], "those rejected together count once")
		require.Greater(t, most, 4, "and more again, as they come through")
	})
}

// The limit on requests in flight goes away with time, also where nothing has got through yet.
func TestRateLimiter_WhatIsInFlightGrowsWithTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair, names := limited(t, 16, 20*time.Second, mirrortest.Rate{})
		for range 8 {
			pair.Local.Inject(mirrortest.Fault{Do: mirrortest.Answer(429, "", "DoSFilter", "unavailable", "Retry-After", "30")})
		}
		cfg := pair.Local.Config()
		cfg.BatchSize, cfg.Parallel = 1, 8
		_, err := newClient(t, cfg).ReverseAndPause(context.Background(), pair.Link(), mirror.Topics(names...))
		require.NoError(t, err)
		at := map[time.Duration]int{}
		for _, r := range pair.Journal() {
			at[r.At.Sub(pair.Journal()[0].At)]++
		}
		require.Equal(t, 4, at[50*time.Second], "half as many, after the pause")
		require.Equal(t, 4, at[51*time.Second], "twice as many, a second later")
		require.Equal(t, 4, at[70*time.Second], "as soon as those are done")
	})
}

// Requests that are rejected together are one pause of the row.
func TestRateLimiter_RejectedTogetherCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair, names := limited(t, 6, 100*time.Millisecond, mirrortest.Rate{})
		for range 6 {
			pair.Local.Inject(mirrortest.Fault{Do: mirrortest.RateLimited()})
		}
		cfg := pair.Local.Config()
		cfg.BatchSize, cfg.Parallel = 1, 6
		_, err := newClient(t, cfg).ReverseAndPause(context.Background(), pair.Link(), mirror.Topics(names...))
		require.NoError(t, err)
		journal := pair.Journal()
		require.Len(t, journal, 12)
		require.Equal(t, journal[0].At, journal[5].At)
		require.LessOrEqual(t, journal[11].At.Sub(journal[5].At), 1250*time.Millisecond, "the first pause of a row")
	})
}

// A request that was alone when it was rejected does not keep others waiting.
func TestRateLimiter_ALoneRejectionDoesNotLimitWhatIsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair, names := limited(t, 21, 200*time.Millisecond, mirrortest.Rate{})
		pair.Local.Inject(mirrortest.Fault{Do: mirrortest.RateLimited()})
		client := newClient(t, pair.Local.Config())
		reversed := func(name string) {
			if _, err := client.ReverseAndPause(context.Background(), pair.Link(), mirror.Topics(name)); err != nil {
				t.Error(err)
			}
		}
		reversed(names[20])
		start := time.Now()
		var calls sync.WaitGroup
		for _, name := range names[:20] {
			calls.Go(func() { reversed(name) })
		}
		calls.Wait()
		require.Equal(t, 200*time.Millisecond, time.Since(start))
	})
}

// Long after a rejection nothing is limited.
func TestRateLimiter_TheLimitIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair, names := limited(t, 22, 200*time.Millisecond, mirrortest.Rate{})
		cfg := pair.Local.Config()
		cfg.BatchSize, cfg.Parallel = 1, 20
		client := newClient(t, cfg)
		for range 2 {
			pair.Local.Inject(mirrortest.Fault{Do: mirrortest.RateLimited()})
		}
		_, err := client.ReverseAndPause(context.Background(), pair.Link(), mirror.Topics(names[20:]...))
		require.NoError(t, err)
		time.Sleep(100 * time.Second)
		start := time.Now()
		_, err = client.ReverseAndPause(context.Background(), pair.Link(), mirror.Topics(names[:20]...))
		require.NoError(t, err)
		require.Equal(t, 200*time.Millisecond, time.Since(start))
	})
}

// Pauses grow as long as nothing of the client's gets through, whatever call is rejected, up to a part of
// the time that is left; and begin anew as soon as something does.
func TestRateLimiter_PausesGrowWithTheClientsRow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair, names := limited(t, 9, 0, mirrortest.Rate{})
		rejected := func(times int) {
			for range times {
				pair.Local.Inject(mirrortest.Fault{Do: mirrortest.RateLimited()})
			}
		}
		cfg := pair.Local.Config()
		cfg.BatchSize, cfg.RetryFor = 1, 10*time.Minute
		client := newClient(t, cfg)
		pauses := func(topics ...string) (all []time.Duration) {
			before := len(pair.Journal())
			_, err := client.ReverseAndPause(context.Background(), pair.Link(), mirror.Topics(topics...))
			require.NoError(t, err)
			for i, r := range pair.Journal()[before:] {
				if i > 0 && pair.Journal()[before+i-1].HTTPStatus == 429 {
					all = append(all, r.At.Sub(pair.Journal()[before+i-1].At))
				}
			}
			return all
		}
		between := func(d, least, most time.Duration) {
			t.Helper()
			require.GreaterOrEqual(t, d, time.Second+least)
			require.LessOrEqual(t, d, time.Second+most)
		}
		rejected(4)
		all := pauses(names[:2]...)
		require.Len(t, all, 4)
		between(all[0], 45*time.Millisecond, 50*time.Millisecond)
		between(all[1], 360*time.Millisecond, 400*time.Millisecond)
		between(all[2], 1440*time.Millisecond, 1600*time.Millisecond)
		between(all[3], 1440*time.Millisecond, 1600*time.Millisecond)
		rejected(1)
		all = pauses(names[2])
		require.Len(t, all, 1)
		between(all[0], 45*time.Millisecond, 50*time.Millisecond)

		// A call that gives up leaves the client's row as it is.
		rejected(2)
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_, err := client.ReverseAndPause(ctx, pair.Link(), mirror.Topics(names[3]))
		require.ErrorIs(t, err, mirror.ErrRateLimited)
		time.Sleep(time.Second)
		rejected(1)
		all = pauses(names[3])
		require.Len(t, all, 1)
		between(all[0], 1440*time.Millisecond, 1600*time.Millisecond)
	})
}

// What the server asks for is waited exactly at first. Clients that it tells the same would stay in step, so later
// waits in a row are longer; but not longer than what is left of RetryFor.
func TestRateLimiter_RetryAfterInARowIsSpread(t *testing.T) {
	for retryFor, most := range map[time.Duration]time.Duration{
		time.Minute: 10050 * time.Millisecond, 20020 * time.Millisecond: 10020 * time.Millisecond,
	} {
		synctest.Test(t, func(t *testing.T) {
			pair, names := limited(t, 1, 0, mirrortest.Rate{})
			for range 2 {
				do := mirrortest.WithHeader(mirrortest.RateLimited(), "Retry-After", "10")
				pair.Local.Inject(mirrortest.Fault{Do: do})
			}
			cfg := pair.Local.Config()
			cfg.RetryFor = retryFor
			_, err := newClient(t, cfg).ReverseAndPause(context.Background(), pair.Link(), mirror.Topics(names...))
			require.NoError(t, err)
			journal := pair.Journal()
			require.Len(t, journal, 3)
			require.Equal(t, 10*time.Second, journal[1].At.Sub(journal[0].At))
			require.Greater(t, journal[2].At.Sub(journal[1].At), 10*time.Second)
			require.LessOrEqual(t, journal[2].At.Sub(journal[1].At), most)
		})
	}
}

// With little of RetryFor left, the client asks more often.
func TestRateLimiter_PausesShrinkWithTheTimeThatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair, names := limited(t, 1, 0, mirrortest.Rate{})
		pair.Local.Inject(mirrortest.Fault{Every: true, Do: mirrortest.RateLimited()})
		_, err := newClient(t, pair.Local.Config()).ReverseAndPause(
			context.Background(), pair.Link(), mirror.Topics(names...),
		)
		require.ErrorIs(t, err, mirror.ErrRateLimited)
		journal := pair.Journal()
		for i := 4; i < len(journal); i++ {
			left := time.Minute - journal[i-1].At.Sub(journal[0].At)
			require.LessOrEqual(t, journal[i].At.Sub(journal[i-1].At), time.Second+min(left/30, 1600*time.Millisecond))
		}
		require.Greater(t, journal[len(journal)-1].At.Sub(journal[0].At), 58*time.Second, "RetryFor is used to its end")
	})
}

// A batch whose turn comes late is not given up while others of the client get through, however short RetryFor is.
func TestRateLimiter_OthersThatGetThroughProlongTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair, names := limited(t, 32, 0, mirrortest.Rate{PerServer: 1})
		cfg := pair.Local.Config()
		cfg.BatchSize, cfg.Parallel, cfg.RetryFor = 1, 16, 10*time.Second
		start := time.Now()
		_, err := newClient(t, cfg).ReverseAndPause(context.Background(), pair.Link(), mirror.Topics(names...))
		require.NoError(t, err)
		require.Greater(t, time.Since(start), 3*cfg.RetryFor)
	})
}

// records are the log of what f does with a client of the Config.
func records(t *testing.T, cfg mirror.Config, f func(*mirror.Client)) (all []map[string]any) {
	t.Helper()
	var log bytes.Buffer
	cfg.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	f(newClient(t, cfg))
	for line := range bytes.Lines(log.Bytes()) {
		var record map[string]any
		require.NoError(t, json.Unmarshal(line, &record))
		all = append(all, record)
	}
	return all
}

// briefly are the level and message of records, and what is in some of their attributes.
func briefly(records []map[string]any, attrs ...string) (all []string) {
	for _, r := range records {
		text := fmt.Sprint(r["level"], " ", r["msg"])
		for _, a := range attrs {
			if v, there := r[a]; there && v != "" {
				text += fmt.Sprint(" ", a, "=", v)
			}
		}
		all = append(all, text)
	}
	return all
}

// A run that waits says so while it waits: each attempt has a record, and each pause, a warning if it is long.
func TestLogger_SaysWhatARunWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair, names := limited(t, 3, 0, mirrortest.Rate{})
		for nth, after := range map[int]string{1: "1", 3: "30"} {
			do := mirrortest.WithHeader(mirrortest.RateLimited(), "Retry-After", after)
			pair.Local.Inject(mirrortest.Fault{Nth: nth, Do: do})
		}
		cfg := pair.Local.Config()
		cfg.BatchSize = 2
		all := records(t, cfg, func(c *mirror.Client) {
			_, err := c.ReverseAndPause(context.Background(), pair.Link(), mirror.Topics(names...))
			require.NoError(t, err)
		})
		require.Equal(t, []string{
			"DEBUG attempt batch=0 attempt=1 http_status=429 limiter=unavailable",
			"INFO waiting before a retry batch=0 wait=1e+09",
			"DEBUG attempt batch=0 attempt=2 http_status=200",
			"DEBUG attempt batch=1 attempt=1 http_status=429 limiter=unavailable",
			"WARN waiting before a retry batch=1 wait=3e+10",
			"DEBUG attempt batch=1 attempt=2 http_status=200",
			"INFO mirror topics accepted rate_limited=2 delayed=0",
		}, briefly(all, "batch", "attempt", "http_status", "limiter", "wait", "rate_limited", "delayed"))
		require.Contains(t, all[3]["error"], "HTTP 429")
		require.NotEmpty(t, all[0]["run"])
		require.Equal(t, all[0]["run"], all[6]["run"])
	})
}

// A call says so too if the pause is another call's.
func TestLogger_SaysThatAnotherCallsPauseIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pair, names := limited(t, 1, 0, mirrortest.Rate{})
		pair.Local.Inject(mirrortest.Fault{
			Reads: true, Do: mirrortest.WithHeader(mirrortest.RateLimited(), "Retry-After", "40"),
		})
		all := records(t, pair.Local.Config(), func(c *mirror.Client) {
			var other sync.WaitGroup
			other.Go(func() {
				if _, err := c.Mirrors(context.Background(), pair.Link()); err != nil {
					t.Error(err)
				}
			})
			time.Sleep(10 * time.Second)
			_, err := c.ReverseAndPause(context.Background(), pair.Link(), mirror.Topics(names...))
			require.NoError(t, err)
			other.Wait()
		})
		require.Contains(t, briefly(all, "operation", "wait"),
			"WARN waiting for the rate limiter operation=reverse-and-pause-mirror wait=3e+10")
	})
}

// What the limiter lets through late is counted and logged: it is a sign that there is a limit.
func TestLogger_CountsWhatTheLimiterDelays(t *testing.T) {
	for mode, says := range map[mirrortest.RateMode]string{
		mirrortest.RateDelay: "delayed", mirrortest.RateThrottle: "throttled",
	} {
		synctest.Test(t, func(t *testing.T) {
			pair, names := limited(t, 7, time.Second, mirrortest.Rate{PerClient: 1, Mode: mode})
			cfg := pair.Local.Config()
			cfg.BatchSize, cfg.Parallel = 1, 7
			all := briefly(records(t, cfg, func(c *mirror.Client) {
				report, err := c.ReverseAndPause(context.Background(), pair.Link(), mirror.Topics(names...))
				require.NoError(t, err, "it is let through all the same")
				require.Len(t, report.Attempts, 7)
			}), "limiter", "rate_limited", "delayed")
			require.Contains(t, all, "DEBUG attempt limiter="+says)
			want := map[string]int{"delayed": 6, "throttled": 1}[says] // one passes, five at a time are not held up
			require.Contains(t, all, fmt.Sprint("INFO mirror topics accepted rate_limited=0 delayed=", want))
		})
	}
}
