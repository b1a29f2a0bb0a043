package mirrortest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func TestFault_BeforeAndAfterApply(t *testing.T) {
	for _, c := range []struct {
		name  string
		do    mirrortest.Action
		want  mirror.Outcome
		cause string
	}{
		{"cut", mirrortest.Cut(0), mirror.Unknown, "EOF"},
		{"cut in the head", mirrortest.Cut(20), mirror.Unknown, "connection broken"},
		{"cut in the body", mirrortest.Cut(150), mirror.Unknown, "the answer could not be read to its end"},
		{"reset", mirrortest.Reset(0), mirror.Unknown, "reset"},
		{"cut behind the end", mirrortest.Cut(1 << 20), mirror.Accepted, ""},
		{"error", mirrortest.Error(500, 50003, "timed out"),
			mirror.Unknown, "HTTP 500 Internal Server Error, code 50003: timed out"},
		{"answer", mirrortest.Answer(503, "<title>busy</title>", "Content-Type", "text/html", "Retry-After", "3"),
			mirror.Unknown, "busy (retry after 3s)"},
		{"handled", mirrortest.Handle(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.WriteHeader(999)
		}), mirror.Unknown, "HTTP 999"},
		{"handled, with the proper answer", mirrortest.Handle(
			func(w http.ResponseWriter, r *http.Request, proper http.Handler) {
				w.Header().Set("X-Request-Id", "r")
				proper.ServeHTTP(w, r)
			},
		), mirror.Accepted, ""},
		{"rate limited", mirrortest.RateLimited(), mirror.Untouched, "429"},
	} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprint(c.name, after), func(t *testing.T) {
				p := mirrortest.NewPair(t, mirrortest.Options{})
				p.Local.Inject(mirrortest.Fault{AfterApply: after, Do: c.do})
				m := client(t, p.Local, once)
				report, err := m.ReverseAndPause(ctx, "dr-link", mirror.Topics("topic-1", "topic-2"))
				require.Equal(t, c.want, report.Results[1].Outcome)
				if c.cause != "" {
					require.ErrorContains(t, err, c.cause)
				}
				applied := 0
				if after {
					applied = 1
				}
				require.Equal(t, applied, p.Local.Applied("topic-1"))
				require.Equal(t, applied, p.Local.Sent("topic-2"))
				lies := c.want == mirror.Accepted && !after || c.want == mirror.Untouched && after
				require.Equal(t, lies, p.Local.CheckReport(report) != nil)
				_, err = m.Validate(ctx, mirror.VerbReverseAndPause, "dr-link", mirror.Topics("topic-1"))
				require.Equal(t, after, err != nil, "it acts once")
			})
		}
	}
}

func TestFault_WhichRequest(t *testing.T) {
	p := mirrortest.NewPair(t, mirrortest.Options{})
	fails := func(topic string) bool {
		_, err := client(t, p.Local).Validate(ctx, mirror.VerbReverseAndPause, "dr-link", mirror.Topics(topic))
		return err != nil
	}
	p.Local.Inject(mirrortest.Fault{Nth: 3, Do: mirrortest.Error(400, 400, "x")})
	require.Equal(t, []bool{false, false, true, false},
		[]bool{fails("topic-1"), fails("topic-1"), fails("topic-1"), fails("topic-1")})

	p.Local.Inject(mirrortest.Fault{Nth: 2, Topic: "topic-2", Do: mirrortest.Error(400, 400, "x")})
	require.Equal(t, []bool{false, false, false, true, false},
		[]bool{fails("topic-1"), fails("topic-2"), fails("topic-1"), fails("topic-2"), fails("topic-2")})

	p.Local.Inject(mirrortest.Fault{Do: mirrortest.Error(400, 400, "x")})
	p.Local.Inject(mirrortest.Fault{Do: mirrortest.Error(400, 400, "y")})
	require.Equal(t, []bool{true, true, false},
		[]bool{fails("topic-1"), fails("topic-1"), fails("topic-1")}, "one after the other")

	p.Local.Inject(mirrortest.Fault{Nth: 2, Every: true, Do: mirrortest.Error(400, 400, "x")})
	require.Equal(t, []bool{false, true, true}, []bool{fails("topic-1"), fails("topic-1"), fails("topic-1")})
}

func TestFault_OfOneTopic(t *testing.T) {
	for _, after := range []bool{false, true} {
		p := mirrortest.NewPair(t, mirrortest.Options{Topics: []mirrortest.Topic{{Name: "a"}, {Name: "b"}, {Name: "c"}}})
		p.Local.Inject(mirrortest.Fault{
			Topic: "b", AfterApply: after,
			Do: mirrortest.Row(`{"mirror_topic_name":"b","error_code":50003,"error_message":null}`),
		})
		report, err := reverse(t, p.Local, "a", "b", "c")
		require.EqualError(t, errors.Join(err),
			`reverse-and-pause-mirror, link "dr-link": 2 accepted, 1 failed, 0 unknown, 0 untouched: b: code 50003, no message`)
		require.Equal(t, map[bool]int{true: 1}[after], p.Local.Applied("b"))
		require.Equal(t, 1, p.Local.Applied("c"))
		p.Local.AssertReport(t, report)
	}
	p := mirrortest.NewPair(t, mirrortest.Options{})
	p.Local.Inject(mirrortest.Fault{Topic: "topic-2", AfterApply: true, Do: mirrortest.LeaveOut()})
	report, _ := reverse(t, p.Local, "topic-1", "topic-2")
	require.Equal(t, []string{"topic-2"}, report.Topics(mirror.Unknown))
	require.Equal(t, 1, p.Local.Applied("topic-2"))
}

func TestHang_EndsWithTheClientOrThePair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := mirrortest.NewPair(t, mirrortest.Options{InMemory: true})
		p.Local.Inject(mirrortest.Fault{AfterApply: true, Do: hang()})
		start := time.Now()
		report, err := reverse(t, p.Local, "topic-1")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "no response came: time-out after 1m0s")
		require.Equal(t, time.Minute, time.Since(start))
		require.Equal(t, []string{"topic-1"}, report.Topics(mirror.Unknown))
		p.Local.AssertReport(t, report)

		p.Local.Inject(mirrortest.Fault{Do: hang()})
		go func() {
			synctest.Wait()
			_ = p.Close()
		}()
		_, err = reverse(t, p.Local, "topic-2")
		require.ErrorIs(t, err, mirror.ErrOutcomeUnknown)
	})
}

// Faults of reads and faults of changes do not take each other's place.
func TestFault_OfReads(t *testing.T) {
	p := mirrortest.NewPair(t, mirrortest.Options{})
	p.Local.Inject(mirrortest.Fault{Reads: true, Do: mirrortest.Error(403, 40301, "no reads")})
	p.Local.Inject(mirrortest.Fault{Do: mirrortest.Error(403, 40301, "no changes")})
	_, err := reverse(t, p.Local, "topic-1")
	require.ErrorContains(t, err, "no changes")
	_, err = client(t, p.Local).Mirrors(ctx, "dr-link")
	require.ErrorContains(t, err, "no reads")
	p.Local.Inject(mirrortest.Fault{Reads: true, Topic: "topic-1", Do: mirrortest.LeaveOut()})
	require.Equal(t, "topic-2 ACTIVE", statuses(t, p.Local))
	p.Local.Inject(mirrortest.Fault{Reads: true, Topic: "topic-1", Do: mirrortest.Row("{}")})
	require.Equal(t, " ", statuses(t, p.Local)[:1])
}

// A refusal is a whole row with the topic's lags, and the topic is changed only with AfterApply.
func TestFault_RefusesATopic(t *testing.T) {
	for _, after := range []bool{false, true} {
		p := mirrortest.NewPair(t, mirrortest.Options{})
		p.Local.Inject(mirrortest.Fault{Topic: "topic-2", AfterApply: after, Do: mirrortest.Refuse(400, "no, thank you")})
		report, err := reverse(t, p.Local, "topic-1", "topic-2")
		require.ErrorContains(t, err, "topic-2: 400: no, thank you")
		require.Equal(t, []string{"topic-2"}, report.Topics(mirror.Failed))
		require.Len(t, report.Results[1].Lags, 3)
		require.Equal(t, after, p.Local.Applied("topic-2") == 1)
		require.Equal(t, 1, p.Local.Applied("topic-1"))
	}
}

// A fault can last for a while.
func TestFault_ForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := mirrortest.NewPair(t, mirrortest.Options{InMemory: true})
		p.Local.Inject(mirrortest.Fault{Reads: true, For: time.Minute, Do: mirrortest.Error(503, 503, "x")})
		read := func() int {
			resp, _ := raw(t, p.Local, "GET", list, "")
			return resp.StatusCode
		}
		require.Equal(t, []int{503, 503}, []int{read(), read()})
		time.Sleep(time.Minute - 1)
		require.Equal(t, 503, read())
		time.Sleep(time.Nanosecond)
		require.Equal(t, 200, read())
	})
}

// A late replica shows the state of some seconds ago under the Date of now, in lists and of one topic.
func TestFault_ALateReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := mirrortest.NewPair(t, mirrortest.Options{InMemory: true, Takes: 4 * time.Second})
		time.Sleep(time.Minute)
		_, err := reverse(t, p.Local, "topic-1")
		require.NoError(t, err)
		late := func() string {
			p.Local.Inject(mirrortest.Fault{Reads: true, Do: mirrortest.Late(7 * time.Second)})
			return statuses(t, p.Local)
		}
		require.Equal(t, "topic-1 PENDING_STOPPED topic-2 ACTIVE", statuses(t, p.Local))
		require.Equal(t, "topic-1 ACTIVE topic-2 ACTIVE", late())
		time.Sleep(5 * time.Second)
		require.Equal(t, "topic-1 STOPPED topic-2 ACTIVE", statuses(t, p.Local))
		require.Equal(t, "topic-1 ACTIVE topic-2 ACTIVE", late())
		time.Sleep(2 * time.Second)
		require.Equal(t, "topic-1 PENDING_STOPPED topic-2 ACTIVE", late())

		for _, by := range []time.Duration{time.Second, 8 * time.Second, time.Hour} {
			p.Remote.Inject(mirrortest.Fault{Reads: true, Do: mirrortest.Late(by)})
			rows, header := listed(t, p.Remote, "dr-link")
			require.Equal(t, by == time.Second, len(rows) == 1, "before its first reversal a topic is not listed")
			require.Equal(t, time.Now().UTC().Format(http.TimeFormat), header.Get("Date"))
		}
		p.Local.Inject(mirrortest.Fault{Reads: true, Do: mirrortest.Late(time.Minute)})
		_, body := raw(t, p.Local, "GET", list+"/topic-1", "")
		require.Contains(t, body, `"mirror_status":"ACTIVE"`)
	})
}

// A cache repeats an answer with its old Date and an Age that grows.
func TestFault_ACache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := mirrortest.NewPair(t, mirrortest.Options{InMemory: true})
		p.Local.Inject(mirrortest.Fault{Reads: true, For: time.Hour, Do: mirrortest.Cache()})
		first, header := listed(t, p.Local, "dr-link")
		date := header.Get("Date")
		require.NotContains(t, header, "Age")
		p.Local.SetStatus("topic-1", mirror.StatusFailed)
		for _, age := range []string{"11", "22"} {
			time.Sleep(11 * time.Second)
			again, header := listed(t, p.Local, "dr-link")
			require.Equal(t, first, again)
			require.Equal(t, []string{date}, header["Date"])
			require.Equal(t, age, header.Get("Age"))
		}
		time.Sleep(time.Second)
		fresh, header := listed(t, p.Local, "dr-link", "Cache-Control", "no-cache")
		require.NotContains(t, header, "Age")
		require.Equal(t, mirror.StatusFailed, fresh[0].Status)
		after, header := listed(t, p.Local, "dr-link")
		require.Equal(t, fresh, after, "the cache keeps the new answer")
		require.NotEqual(t, date, header.Get("Date"))
		time.Sleep(time.Hour)
		last, header := listed(t, p.Local, "dr-link")
		require.Equal(t, mirror.StatusFailed, last[0].Status)
		require.NotContains(t, header, "Age")
	})
}
