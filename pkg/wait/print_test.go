package wait_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
	"github.com/seed25095279/clusterlink-go/pkg/wait"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares a text with a file in testdata, or writes the file.
func golden(t testing.TB, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run the test with -update")
	require.Equal(t, string(want), got)
}

// The words for each situation that a person has to understand at night.
func TestTable_Words(t *testing.T) {
	accepted := mirror.Accepted
	reason := func(topic, code, message string) func(*env) {
		return func(e *env) { e.pair.Local.SetReasons(topic, mirrortest.Reason{Code: code, Message: message}) }
	}
	group := reason("a", "CONSUMER_GROUP_IN_USE_ERROR", "Group 'billing' is active.")
	var b strings.Builder
	for _, s := range []struct {
		situation
		at time.Duration // of the progress, after the call; 0 is the last
	}{
		{situation: situation{name: "first poll", verb: promote, outcome: accepted, this: "ACTIVE-"}, at: 1},
		{situation: situation{name: "mirror missing on the other cluster", outcome: accepted, this: "STOPPED+", other: "none"}, at: 90 * time.Second},
		{situation: situation{name: "consumer group known", outcome: accepted, this: "PENDING_STOPPED+", other: "none", set: group}, at: time.Minute},
		{situation: situation{name: "another reason known, stalled", outcome: accepted, this: "PENDING_STOPPED+", other: "none",
			set: reason("a", "AUTHORIZATION_ERROR", "No right to alter.")}},
		{situation: situation{name: "somebody reversed it back", outcome: accepted, more: two("PENDING_STOPPED+ 120s:STOPPED+", "PAUSED+"),
			this: "STOPPED+ 60s:PENDING_MIRROR+ 70s:ACTIVE+", other: "PAUSED+ 60s:STOPPED+"}},
		{situation: situation{name: "promote stuck, lag rising", verb: promote, outcome: accepted,
			this: "PENDING_STOPPED<-1>/100:5 10s:PENDING_STOPPED<-1>/4600:5"}, at: 25 * time.Second},
		{situation: situation{name: "a cluster never read", verb: promote, outcome: accepted, this: "STOPPED+",
			set: faulty(local, 0, 0, mirrortest.RateLimited())}},
		{situation: situation{name: "a dark cluster", outcome: accepted, this: "PENDING_STOPPED+", other: "PAUSED+",
			more: two("PENDING_STOPPED+", "none"), set: faulty(remote, 10*time.Second, 0, mirrortest.Error(503, 50003, "x"))}, at: 4 * time.Minute},
		{situation: situation{name: "a cache answers for ever", verb: failover, outcome: accepted, this: "PENDING_STOPPED+",
			set: faulty(local, 0, 0, stubborn(true))}},
		{situation: situation{name: "the other cluster is dark when all are seen done", outcome: accepted, this: "PENDING_STOPPED+ 60s:STOPPED+",
			other: "PAUSED+", set: faulty(remote, 10*time.Second, 0, mirrortest.Cut(0))}, at: 2 * time.Minute},
		{situation: situation{name: "all done, of a reversal", outcome: accepted, this: "STOPPED+", other: "PAUSED+", more: two("STOPPED+", "PAUSED+")}},
		{situation: situation{name: "all done, some were unknown", verb: failover, noDate: true, this: "STOPPED+", more: two("STOPPED+", ""),
			set: func(e *env) { e.report.Results[1].Outcome = accepted }}},
		{situation: situation{name: "all done, of a pause", verb: pause, outcome: accepted, this: "PAUSED+"}},
		{situation: situation{name: "all done, of a resume", verb: resume, outcome: accepted, this: "ACTIVE+"}},
		{situation: situation{name: "done before the call", verb: promote, outcome: mirror.Failed, this: "STOPPED-"}},
		{situation: situation{name: "some failed", outcome: accepted, this: "STOPPED+", other: "PAUSED+",
			more: map[string][2]string{"b": {"STOPPED+", "PAUSED+"}, "c": {"ACTIVE-", "none"}}, set: func(e *env) {
				e.report.Results[1].Outcome, e.report.Results[1].Code = mirror.Failed, 403
				e.report.Results[2].Outcome = mirror.Untouched
			}}},
		{situation: situation{name: "a pattern whose answer was cut", outcome: accepted, this: "STOPPED+", other: "PAUSED+",
			set: func(e *env) { e.report.Pattern, e.report.Lost = "a.*", true }}},
		{situation: situation{name: "a name with a typing error", verb: promote, this: "none"}},
		{situation: situation{name: "unknown, and no sign", this: "ACTIVE-", other: "none"}},
		{situation: situation{name: "the context ended", outcome: accepted, this: "PENDING_STOPPED+", other: "none",
			set: func(e *env) { e.deadline = 42 * time.Second }}},
		{situation: situation{name: "waited again after an hour", outcome: accepted, this: "PENDING_STOPPED+", other: "none", set: later(time.Hour)}, at: time.Hour + 20*time.Second},
		{situation: situation{name: "SOURCE_UNAVAILABLE after a failover", verb: failover, outcome: accepted, this: "PENDING_STOPPED+ 20s:SOURCE_UNAVAILABLE+"}},
		{situation: situation{name: "settled by a person", verb: failover, outcome: accepted, this: "SOURCE_UNAVAILABLE-", set: settle("a")}},
	} {
		s.err, s.check = "any", func(e *env) {
			p := e.p
			for i := len(e.polls) - 1; i >= 0 && s.at > 0 && e.polls[i].At.Sub(e.called) >= s.at-1; i-- {
				p = e.polls[i]
			}
			fmt.Fprintf(&b, "--- %s\n%s\n", s.name, table(e, p))
		}
		set := s.set
		s.set = func(e *env) {
			if s.at > 0 {
				e.o.Patience, e.deadline = 0, s.at+10*time.Second
			}
			if set != nil {
				set(e)
			}
			late := mirrortest.Fault{Reads: true, Every: true, Do: mirrortest.Handle(func(w http.ResponseWriter, r *http.Request, proper http.Handler) {
				time.Sleep(100 * time.Millisecond) // so that the list of the local cluster always comes first
				proper.ServeHTTP(w, r)
			})}
			if strings.Contains(s.name, "dark") {
				late.Every, late.For = false, 9*time.Second
			}
			e.pair.Remote.Inject(late)
		}
		t.Run(s.name, func(t *testing.T) { synctest.Test(t, s.run) })
	}
	golden(t, "words.txt", b.String())
}

// stuckRun is a reversal of eleven topics that ends with one blocked and one stuck.
func stuckRun(t *testing.T, onPoll func(*wait.Progress)) (*wait.Progress, error) {
	o := mirrortest.Options{InMemory: true, Takes: 20 * time.Second}
	var names []string
	for i := range 11 {
		names = append(names, fmt.Sprintf("orders.%02d", i))
		o.Topics = append(o.Topics, mirrortest.Topic{Name: names[i]})
	}
	pair := mirrortest.NewPair(t, o)
	this := client(t, pair.Local.Config())
	pair.Local.SetReasons("orders.03", mirrortest.Reason{Code: "CONSUMER_GROUP_IN_USE_ERROR", Message: "Group 'billing' is active."})
	report, err := this.ReverseAndPause(t.Context(), pair.Link(), mirror.Topics(names...))
	require.NoError(t, err)
	time.AfterFunc(10*time.Second, func() {
		pair.Local.SetReasons("orders.07", mirrortest.Reason{Code: "AUTHORIZATION_ERROR", Message: "No right to alter."})
		pair.Local.SetStatus("orders.07", mirror.StatusFailed)
	})
	return wait.Done(t.Context(), report, wait.Options{
		This: this, Other: client(t, pair.Remote.Config()),
		OnPoll: func(_ context.Context, p *wait.Progress) error { onPoll(p); return nil },
	})
}

// The table, JSON, log and error of a run that is stuck.
func TestProgress_Forms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var b strings.Builder
		seen := map[time.Duration]bool{}
		p, err := stuckRun(t, func(p *wait.Progress) {
			for _, at := range []time.Duration{30 * time.Second, 2 * time.Minute} {
				if time.Since(began) >= at && !seen[at] && p.Clusters[0].Lists == p.Clusters[1].Lists {
					seen[at] = true
					fmt.Fprintf(&b, "--- after %v\n%s\n", at, table(t, p))
				}
			}
		})
		require.ErrorIs(t, err, wait.ErrStalled)
		require.NotErrorIs(t, err, mirror.ErrOutcomeUnknown)
		fmt.Fprintf(&b, "--- at the end\n%s\n--- the error\n%v\n", table(t, p), err)
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}})).Info("x", "progress", p)
		fmt.Fprintf(&b, "--- in a log\n%s", log.String())
		golden(t, "stuck.txt", b.String())
	})
}

// 60 topics that are stuck for one reason, which names the topic, are one row.
func TestTable_OneReasonIsOneRow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := mirrortest.Options{InMemory: true, Takes: time.Hour}
		var names []string
		for i := range 60 {
			names = append(names, fmt.Sprintf("t-%03d", i))
			o.Topics = append(o.Topics, mirrortest.Topic{Name: names[i]})
		}
		pair := mirrortest.NewPair(t, o)
		for _, name := range names {
			pair.Local.SetReasons(name, mirrortest.Reason{Code: "X", Message: "Topic '" + name + "' is in use."})
		}
		this := client(t, pair.Local.Config())
		report, err := this.Promote(t.Context(), pair.Link(), mirror.Topics(names...))
		require.NoError(t, err)
		p, err := wait.Done(t.Context(), report, wait.Options{This: this, Patience: 2 * time.Minute})
		require.ErrorIs(t, err, wait.ErrStalled)
		text := table(t, p)
		require.Equal(t, 1, strings.Count(text, "PENDING_STOPPED"), text)
		require.Regexp(t, `X: Topic '…' is in use\. \(asked .* ago(; \d+ not asked)?\)`, text)
		t.Log(text)
	})
}

// The decision and the table of the gate.
func TestLagging_Words(t *testing.T) {
	var b strings.Builder
	for _, s := range []gateSituation{
		{name: "a gate that passes", other: true, this: "ACTIVE-/0:100,0:5", err: "nil",
			more: map[string]string{"orders.01": "ACTIVE-/0:9,0:-1,0:-1", "orders.DLQ": "ACTIVE-/0:-1,0:-1,0:-1"}},
		{name: "a gate that does not pass", other: true, this: "ACTIVE-/0:100 5s:ACTIVE<1800>/0:220", err: "refused", more: map[string]string{
			"orders.01": "ACTIVE-/4600:100 5s:ACTIVE<1800>/1600:3100", "orders.02": "ACTIVE-/12:7", "orders.03": "PAUSED-/0:5",
			"orders.04": "ACTIVE<100>/0:9,0:-1", "orders.DLQ": "ACTIVE<100>/0:-1,0:-1,0:-1", "orders.05": "ACTIVE-/0:5",
		}},
		{name: "a gate whose source has died", other: true, this: "ACTIVE-/0:100", err: "refused",
			set: func(e *env) { require.NoError(e, e.pair.Remote.Die(mirrortest.Refuses)) }},
	} {
		s.check = func(e *env, l *wait.Lagging) {
			var table strings.Builder
			require.NoError(e, l.Table(&table))
			fmt.Fprintf(&b, "--- %s\n%s\n", s.name, table.String())
			if err := l.Err(); err != nil {
				fmt.Fprintf(&b, "the error: %v\n\n", err)
			}
		}
		t.Run(s.name, func(t *testing.T) { synctest.Test(t, s.run) })
	}
	golden(t, "gate.txt", b.String())
}
