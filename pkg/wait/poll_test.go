package wait_test

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// How the clusters can be read, and what comes of it.
func TestDone_HowTheClustersAreRead(t *testing.T) {
	accepted := mirror.Accepted
	hangs := mirrortest.Handle(func(_ http.ResponseWriter, r *http.Request, _ http.Handler) { <-r.Context().Done() })
	slow, done := "PENDING_STOPPED+ 40s:STOPPED+", "2s:PENDING_MIRROR+ 30s:PAUSED+"
	noLink := mirrortest.Error(404, 404, "The cluster link doesn't exist: dr-link")
	runAll(t, []situation{
		// A list that is not new is no list.
		{name: "a cache answers for an hour", verb: promote, outcome: accepted, this: slow, set: faulty(local, 0, 0, stubborn(true)),
			stage: "in progress", err: "stalled", lists: "28-30", check: func(e *env) {
				require.Equal(e, 1, e.p.Clusters[0].Lists)
				require.Contains(e, e.p.Clusters[0].Error, "a cache answered (Age 14")
				require.Contains(e, table(e, e.p), "no new list for 2m30s: a cache answered (Age 14")
			}},
		{name: "a cache answers for an hour, without an Age", verb: promote, outcome: accepted, this: slow,
			set: faulty(local, 0, 0, stubborn(false)), stage: "in progress", err: "stalled", lists: "28-30",
			check: func(e *env) { require.Contains(e, e.p.Clusters[0].Error, "Date of an earlier one") }},
		{name: "a cache answers for the other cluster", outcome: accepted, this: slow, other: done,
			set: faulty(remote, 10*time.Second, 0, stubborn(true)), stage: "in progress", err: "stalled", lists: "28-37"},
		{name: "a cache answers for a minute", outcome: accepted, this: slow, other: done,
			set: faulty(local, 5*time.Second, time.Minute, stubborn(true)), stage: "done", err: "nil", lists: "11-14"},
		{name: "a cache that honours no-cache", outcome: accepted, this: slow, other: done,
			set: faulty(local, 0, 0, mirrortest.Cache()), stage: "done", err: "nil", lists: "8-9"},
		{name: "a first answer from a cache, of a pause", verb: pause, outcome: accepted, this: "PAUSED+",
			set:   faulty(local, 0, 0, mirrortest.WithHeader(mirrortest.Answer(200, `{"data":[]}`, "Content-Type", "application/json"), "Age", "11")),
			stage: "no sign", err: "stalled", lists: "28-30", check: func(e *env) { require.Zero(e, e.p.Clusters[0].Lists) }},
		{name: "lists that are older than the call", verb: promote, outcome: accepted, this: "STOPPED+",
			set:   faulty(local, 0, 0, dated(func(n int) time.Duration { return time.Duration(min(0, n-5)) * 10 * time.Second })),
			stage: "done", err: "nil", lists: "3-7"},
		{name: "two brokers 7 s apart", outcome: accepted, this: slow, other: done,
			set:   faulty(local, 0, 0, dated(func(n int) time.Duration { return time.Duration(n%2*7) * time.Second })),
			stage: "done", err: "nil", lists: "8-9"},
		{name: "Age: 0 is new", verb: failover, outcome: accepted, this: "STOPPED+", stage: "done", err: "nil", lists: "1",
			set: faulty(local, 0, 0, mirrortest.Handle(func(w http.ResponseWriter, r *http.Request, proper http.Handler) {
				w.Header().Set("Age", "0")
				proper.ServeHTTP(w, r)
			}))},
		{name: "lists that go on elsewhere show what they have", outcome: accepted, this: slow, other: done, stage: "done", err: "nil",
			set: all(faulty(local, 0, 0, goesOn()), faulty(remote, 0, 0, goesOn())),
			check: func(e *env) {
				require.Contains(e, e.p.Clusters[0].Error, "not whole")
			}, lists: "8-9"},
		{name: "lists that go on elsewhere prove no absence", verb: promote, outcome: accepted, this: "PENDING_STOPPED+ 20s:none",
			stage: "in progress", err: "stalled", lists: "28-30", set: faulty(local, 0, 0, goesOn())},
		{name: "lists without a Date that go on elsewhere are not new", verb: promote, outcome: accepted, this: "STOPPED+",
			options: mirrortest.Options{NoDate: true}, stage: "no sign", err: "stalled", lists: "28-30",
			set: faulty(local, 0, 0, goesOn())},
		{name: "rows of another link show nothing", verb: promote, outcome: accepted, this: "STOPPED+", stage: "no sign", err: "stalled",
			lists: "28-30", set: faulty(local, 0, 0, edited(-1, `"link_name":"dr-link"`, `"link_name":"dr-link-2"`))},
		{name: "a row without a status shows nothing", verb: resume, outcome: accepted, this: "ACTIVE+", stage: "no sign", err: "stalled",
			lists: "28-30", set: faulty(local, 0, 0, edited(-1, `"ACTIVE"`, `7`))},

		// Success needs fresh lists of both clusters.
		{name: "the other cluster is dark when the last topic is done", outcome: accepted, this: "PENDING_STOPPED+ 60s:STOPPED+",
			other: "PAUSED+", set: faulty(remote, 20*time.Second, 0, mirrortest.Error(503, 50003, "x")), stage: "done", err: "stalled",
			check: func(e *env) {
				require.False(e, e.p.Done)
				require.Contains(e, e.p.String(), "not done: 1 of 1 were seen done; lkc-remote has given no new list for 3m")
			}},
		{name: "the other cluster is dark when the last topic is done, of a reverse-and-start", verb: start, outcome: accepted,
			this: "PENDING_STOPPED+ 60s:STOPPED+", other: "ACTIVE+", stage: "done", err: "stalled",
			set: faulty(remote, 20*time.Second, 0, mirrortest.Cut(0))},
		{name: "the other cluster comes back", outcome: accepted, this: "PENDING_STOPPED+ 60s:STOPPED+", other: "PAUSED+",
			set:   faulty(remote, 20*time.Second, 90*time.Second, mirrortest.Error(503, 50003, "x")),
			stage: "done", err: "nil", check: took(110*time.Second, 180*time.Second)},
		{name: "this cluster is dark when the other one shows the goal", outcome: accepted, this: "STOPPED+", other: "60s:PAUSED+",
			set:   faulty(local, 20*time.Second, 2*time.Minute, mirrortest.Error(502, 0, "")),
			stage: "done", err: "nil", check: took(140*time.Second, 210*time.Second)},

		// A lost read skips its turn.
		{name: "the rate limiter asks for a wait", outcome: accepted, this: slow, other: done, stage: "done", err: "nil",
			set:   faulty(local, 0, time.Second, mirrortest.WithHeader(mirrortest.RateLimited(), "Retry-After", "90")),
			check: took(90*time.Second, 100*time.Second)},
		{name: "the rate limiter asks for a wait beyond patience", verb: promote, outcome: accepted, this: slow, lists: "1",
			stage: "no sign", err: "stalled", set: faulty(local, 0, 0, mirrortest.WithHeader(mirrortest.RateLimited(), "Retry-After", "3600")),
			check: func(e *env) {
				require.Contains(e, e.p.String(), "not known: lkc-local could not be read for 2m30s (HTTP 429)")
				require.Contains(e, table(e, e.p), "asked 1 time, answered 0")
			}},
		{name: "a 408 skips its turn", outcome: accepted, this: slow, other: done, stage: "done", err: "nil", lists: "5-9",
			set: faulty(local, 0, 12*time.Second, mirrortest.Error(408, 408, "x"))},
		{name: "a 408 skips its turn, of a failover", verb: failover, outcome: accepted, this: slow, stage: "done", err: "nil",
			lists: "5-9", set: faulty(local, 0, 12*time.Second, mirrortest.Error(408, 408, "x"))},
		{name: "both clusters stay dark", outcome: accepted, this: slow, other: done, stage: "no sign", err: "stalled", lists: "5-6",
			set: all(faulty(local, 0, 0, mirrortest.Cut(0)), faulty(remote, 0, 0, mirrortest.Error(500, 500, "x")))},
		{name: "both clusters stay dark for 6 minutes", outcome: accepted, this: slow, other: done, stage: "no sign", err: "stalled", lists: "8-11",
			set: all(faulty(local, 0, 0, mirrortest.Cut(0)), faulty(remote, 0, 0, mirrortest.Cut(0)), func(e *env) { e.o.Patience = 0 })},
		{name: "a page under 200 is a lost read", outcome: accepted, this: slow, other: done, stage: "done", err: "nil",
			set: faulty(remote, 0, 10*time.Second, mirrortest.Answer(200, "<title>Sign in</title>", "Content-Type", "text/html"))},
		{name: "an answer without a list is a lost read", verb: promote, outcome: accepted, this: slow, stage: "no sign", err: "stalled",
			set:   faulty(local, 0, 0, mirrortest.Answer(200, `{"error_code":50002}`, "Content-Type", "application/json")),
			lists: "5-6"},
		{name: "a list that is cut is a lost read", verb: promote, outcome: accepted, this: "STOPPED+", stage: "no sign", err: "stalled",
			set: faulty(local, 0, 0, edited(-1, `}]`, `}`)), lists: "5-6"},
		{name: "a cluster swallows packets", outcome: accepted, this: slow, other: done, stage: "in progress", err: "stalled",
			set: faulty(remote, 20*time.Second, 0, hangs), check: pollsOften},
		{name: "a cluster swallows packets, of a reverse-and-start", verb: start, outcome: accepted, this: slow,
			other: "2s:PENDING_MIRROR+ 30s:ACTIVE+", stage: "in progress", err: "stalled", set: faulty(remote, 20*time.Second, 0, hangs),
			check: pollsOften},
		{name: "a cluster swallows packets for a minute", outcome: accepted, this: slow, other: done, stage: "done", err: "nil",
			set: faulty(remote, 10*time.Second, time.Minute, hangs), check: took(70*time.Second, 90*time.Second)},
		{name: "the other cluster has died", outcome: accepted, this: slow, other: done, stage: "in progress", err: "stalled",
			set: func(e *env) { require.NoError(e, e.pair.Remote.Die(mirrortest.Refuses)) }},

		// A refusal ends it.
		{name: "no right to read, at once", outcome: accepted, this: slow, other: done, err: "HTTP 403", lists: "0-1",
			set: faulty(remote, 0, 0, mirrortest.Error(403, 40301, "no")), check: func(e *env) {
				require.ErrorContains(e, e.err, "cluster lkc-remote cannot be read")
			}},
		{name: "no right to read, of a promote", verb: promote, outcome: accepted, this: slow, stage: "no sign", err: "HTTP 401", lists: "1",
			set: faulty(local, 0, 0, mirrortest.Error(401, 40101, "no"))},
		{name: "no right to read any more", outcome: accepted, this: "PENDING_STOPPED+", other: "none", stage: "in progress", err: "HTTP 401",
			set: faulty(remote, 20*time.Second, 0, mirrortest.Error(401, 40101, "no")), check: took(35*time.Second, 90*time.Second)},
		{name: "no right to read for a moment", outcome: accepted, this: slow, other: done, stage: "done", err: "nil",
			set: faulty(remote, 20*time.Second, 8*time.Second, mirrortest.Error(403, 40301, "no"))},
		{name: "a token is renewed in the middle", verb: promote, outcome: accepted, this: slow, stage: "done", err: "nil", lists: "8-9",
			set: token, check: func(e *env) { require.Equal(e, e.p.Clusters[0].Asked, e.p.Clusters[0].Lists) }},
		{name: "a token is renewed in the middle, of a reversal", outcome: accepted, this: slow, other: done, stage: "done", err: "nil",
			lists: "8-9", set: token, check: func(e *env) { require.Equal(e, e.p.Clusters[0].Asked, e.p.Clusters[0].Lists) }},
		{name: "a link that the other cluster does not know yet", outcome: accepted, this: slow, other: done, stage: "done", err: "nil",
			set: faulty(remote, 0, 12*time.Second, noLink)},
		{name: "a link that the other cluster never knows", outcome: accepted, this: slow, other: done, stage: "in progress", err: "HTTP 404",
			set: faulty(remote, 0, 0, noLink), check: func(e *env) {
				require.ErrorIs(e, e.err, mirror.ErrNoLink)
				took(30*time.Second, time.Minute)(e)
			}},
		{name: "a refusal that no repeat will change", outcome: accepted, this: slow, other: done, err: "HTTP 405",
			set: faulty(remote, 0, 0, mirrortest.Error(405, 405, "x")), lists: "0-1"},
		{name: "a credential that fails is a lost read", verb: promote, outcome: accepted, this: slow, stage: "no sign", err: "stalled",
			lists: "5-6", set: func(e *env) {
				cfg := e.pair.Local.Config()
				cfg.Credential = func(context.Context, http.Header) error { return errors.New("no token") }
				e.o.This = client(e, cfg)
			}, check: func(e *env) { require.Contains(e, e.p.Clusters[0].Error, "no token") }},
		{name: "a link that no cluster can have", verb: promote, outcome: accepted, this: slow, stage: "no sign", err: "invalid", lists: "1",
			set: func(e *env) { e.report.Link = "-" }},

		// The pace.
		{name: "a patience shorter than the interval", outcome: accepted, this: slow, other: done, stage: "in progress", err: "stalled",
			lists: "1", set: func(e *env) { e.o.Patience = time.Second }},
		{name: "a patience shorter than the interval, of a resume", verb: resume, outcome: accepted, this: "PAUSED-", stage: "no sign",
			err: "stalled", lists: "1", set: func(e *env) { e.o.Patience = time.Second }},
		{name: "a list that takes 14 s", outcome: accepted, this: "PENDING_STOPPED+ 100s:STOPPED+", other: "PAUSED+", stage: "done", err: "nil",
			options: mirrortest.Options{Latency: [2]time.Duration{14 * time.Second, 14 * time.Second}}, lists: "3", check: apart(70 * time.Second)},
		{name: "a list that takes 14 s, of a promote", verb: promote, outcome: accepted, this: "PENDING_STOPPED+ 100s:STOPPED+", stage: "done",
			err: "nil", options: mirrortest.Options{Latency: [2]time.Duration{14 * time.Second, 14 * time.Second}}, lists: "3",
			check: apart(70 * time.Second)},
		{name: "a patience of 6 minutes, if none is set", verb: promote, outcome: accepted, this: "PENDING_STOPPED+", stage: "in progress",
			err: "stalled", lists: "65-67", set: func(e *env) { e.o.Patience = 0 }, check: took(6*time.Minute, 6*time.Minute+10*time.Second)},
		{name: "an interval of a minute", outcome: accepted, this: slow, other: done, stage: "done", err: "nil", lists: "2",
			set: func(e *env) { e.o.Interval = time.Minute }},
		{name: "an interval of two seconds", outcome: accepted, this: slow, other: done, stage: "done", err: "nil", lists: "16-20",
			set: func(e *env) { e.o.Interval = 2 * time.Second }, check: apart(2 * time.Second)},
		{name: "the interval holds", outcome: accepted, this: slow, other: done, stage: "done", err: "nil", check: apart(5 * time.Second)},

		// The context, and OnPoll.
		{name: "the context ends", outcome: accepted, this: "PENDING_STOPPED+", other: "none", stage: "in progress", err: "context",
			set: func(e *env) { e.deadline = 42 * time.Second }, lists: "7-8", check: func(e *env) {
				require.ErrorIs(e, e.err, errStop, "the cause")
				require.Equal(e, 42*time.Second, e.took)
				require.Contains(e, e.p.Ended, "the context ended")
				next("not finished: wait again")(e)
			}},
		{name: "the context ends during a list", verb: promote, outcome: accepted, this: "PENDING_STOPPED+", stage: "in progress", err: "context",
			set: all(func(e *env) { e.deadline = 42 * time.Second }, faulty(local, 30*time.Second, 0, hangs)),
			check: func(e *env) {
				require.Equal(e, 42*time.Second, e.took)
				require.False(e, e.p.Clusters[0].Dark, "the end of the wait does not make a cluster dark")
			}},
		{name: "the context has ended before", outcome: accepted, this: slow, other: done, stage: "no sign", err: "context", lists: "0",
			set: func(e *env) { e.deadline = -1 }},
		{name: "OnPoll ends it", outcome: accepted, this: slow, other: done, stage: "in progress", err: "OnPoll", set: onPoll(4)},
		{name: "OnPoll ends it, also when all is done", verb: promote, outcome: accepted, this: "STOPPED+", stage: "done", err: "OnPoll", lists: "1",
			set: onPoll(1), check: func(e *env) { require.False(e, e.p.Done) }},
	})
}

// token has the local cluster's token expire every 15 s. A new one is there when the credential is asked again at once.
func token(e *env) {
	var mu sync.Mutex
	n, asked, last := 0, false, time.Now()
	current := func() string { return "t" + strconv.Itoa(n) }
	e.pair.Local.AcceptToken(current(), "")
	for i := range 20 {
		time.AfterFunc(time.Duration(15*i+7)*time.Second, func() {
			mu.Lock()
			defer mu.Unlock()
			e.pair.Local.RevokeToken(current())
		})
	}
	cfg := e.pair.Local.Config()
	cfg.Credential = func(_ context.Context, h http.Header) error {
		mu.Lock()
		defer mu.Unlock()
		if asked && time.Since(last) < time.Millisecond {
			n++
			e.pair.Local.AcceptToken(current(), "")
		}
		asked, last = true, time.Now()
		h.Set("Authorization", "Bearer "+current())
		return nil
	}
	e.o.This = client(e, cfg)
}
