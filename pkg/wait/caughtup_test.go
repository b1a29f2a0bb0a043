package wait_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
	"github.com/seed25095279/clusterlink-go/pkg/wait"
)

// gateSituation is what a cluster shows of topics that are to be caught up, and what CaughtUp makes of it. The scripts
// are as in situation.
type gateSituation struct {
	name    string
	this    string            // of the topic a
	more    map[string]string // of other topics that are asked for
	beside  map[string]string // of topics that are not
	o       wait.LagOptions
	other   bool // whether the other cluster has to answer
	options mirrortest.Options
	set     func(*env)

	err   string // nil, refused (asked twice), or as in kind
	lists string
	says  string // in the decision line
	not   string // not in it
	check func(*env, *wait.Lagging)
}

func (s gateSituation) run(t *testing.T) {
	s.options.InMemory = true
	e := &env{T: t, pair: mirrortest.NewPair(t, s.options)}
	time.Sleep(time.Hour)
	e.called = time.Now()
	topics, scripts := []string{"a"}, map[string]string{"a": s.this}
	for _, name := range slices.Sorted(maps.Keys(s.more)) {
		topics, scripts[name] = append(topics, name), s.more[name]
	}
	for name, script := range s.beside {
		scripts[name] = script
	}
	e.pair.Local.OnList(func([]mirrortest.Mirror) (rows []mirrortest.Mirror) {
		for name, script := range scripts {
			if m := e.shown(name, script, s.options.Clocks[0]); m != nil {
				rows = append(rows, *m)
			}
		}
		return rows
	})
	if s.other {
		s.o.Other = client(t, e.pair.Remote.Config())
	}
	if s.set != nil {
		s.set(e)
	}
	polls := 0
	if s.o.OnPoll == nil {
		s.o.OnPoll = func(_ context.Context, l *wait.Lagging) error {
			polls++
			require.Equal(t, l.Ready, l.Err() == nil)
			return nil
		}
	}
	ctx := t.Context()
	if e.deadline != 0 {
		bounded, cancel := context.WithTimeoutCause(ctx, e.deadline, errStop)
		defer cancel()
		ctx = bounded
	}
	l, err := wait.CaughtUp(ctx, client(t, e.pair.Local.Config()), e.pair.Link(), topics, s.o)
	got, asked := kind(err), []int{}
	if err != nil && strings.Contains(err.Error(), "the clusters were asked twice") {
		got = "refused"
	}
	for _, c := range l.Clusters {
		asked = append(asked, c.Asked)
	}
	line(s.name, got, "", asked, time.Since(e.called))
	if testing.Verbose() {
		t.Log(l)
	}
	require.Equal(t, s.err, got, "%v", err)
	requireLists(t, s.lists, asked)
	require.Contains(t, l.String(), s.says)
	if s.not != "" {
		require.NotContains(t, l.String(), s.not)
	}
	require.Equal(t, err, l.Err())
	require.Equal(t, err == nil, l.Ready)
	var b strings.Builder
	require.NoError(t, l.Table(&b))
	require.True(t, strings.HasPrefix(b.String(), l.String()+"\n"))
	text, failure := json.Marshal(l)
	require.NoError(t, failure)
	var back wait.Lagging
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, l.String(), back.String())
	require.Equal(t, err == nil, back.Err() == nil)
	if s.check != nil {
		s.check(e, l)
	}
}

func TestCaughtUp_WhatTheClustersShow(t *testing.T) {
	patient, minute := wait.LagOptions{Patience: 6 * time.Minute}, wait.LagOptions{Patience: time.Minute}
	noLink := mirrortest.Error(404, 404, "The cluster link doesn't exist: dr-link")
	situations := []gateSituation{
		// Ready.
		{name: "no lag", this: "ACTIVE-/0:100,0:5", err: "nil", lists: "2", says: "ready: 1 of 1"},
		{name: "one partition", this: "ACTIVE-/0:1", err: "nil", lists: "2"},
		{name: "an offset of 0 with lag 0", this: "ACTIVE-/0:0", err: "nil", lists: "2"},
		{name: "one message, and five empty partitions", this: "ACTIVE-/0:1,0:-1,0:-1,0:-1,0:-1,0:-1", err: "nil", lists: "2",
			says: "ready: 1 of 1; 5 partitions are empty"},
		{name: "a topic that is empty", this: "ACTIVE-/0:1", more: map[string]string{"orders.DLQ": "ACTIVE-/0:-1,0:-1"}, err: "nil",
			lists: "2", says: "ready: 2 of 2; 2 partitions are empty, topic orders.DLQ among them"},
		{name: "two topics that are empty", this: "ACTIVE-/0:-1", more: map[string]string{"b": "ACTIVE-/0:-1", "c": "ACTIVE-/0:9"},
			err: "nil", lists: "2", says: "2 partitions are empty, topic a, b among them"},
		{name: "an empty topic, and another mirror of the link has an offset", this: "ACTIVE-/0:-1", beside: map[string]string{"x": "ACTIVE-/3:9"},
			err: "nil", lists: "2", says: "1 partition is empty, topic a among them"},
		{name: "a lag that is allowed", this: "ACTIVE-/5:100,0:3", o: wait.LagOptions{MaxLag: 5}, err: "nil", lists: "2"},
		{name: "a lag that is allowed, and messages come", this: "ACTIVE-/5:100 5s:ACTIVE<1800>/4:200", o: wait.LagOptions{MaxLag: 5}, err: "nil", lists: "2"},
		{name: "clocks that differ by hours", this: "ACTIVE-/0:100,0:-1", options: mirrortest.Options{Clocks: [2]time.Duration{-5 * time.Hour, time.Hour}},
			err: "nil", lists: "2"},
		{name: "two brokers 7 s apart", this: "ACTIVE-/0:100", err: "nil", lists: "2",
			set: faulty(local, 0, 0, dated(func(n int) time.Duration { return -time.Duration(n%2*7) * time.Second }))},
		{name: "Age: 0", this: "ACTIVE-/0:100", err: "nil", lists: "2",
			set: faulty(local, 0, 0, mirrortest.Handle(func(w http.ResponseWriter, r *http.Request, proper http.Handler) {
				w.Header().Set("Age", "0")
				proper.ServeHTTP(w, r)
			}))},
		{name: "a cache that honours no-cache", this: "ACTIVE-/0:100", err: "nil", lists: "2", set: faulty(local, 0, 0, mirrortest.Cache())},
		{name: "a list that goes on elsewhere has the topic", this: "ACTIVE-/0:100", err: "nil", lists: "2", set: faulty(local, 0, 0, goesOn())},
		{name: "an interval of two seconds", this: "ACTIVE-/0:100", o: wait.LagOptions{Patience: time.Minute, Interval: 2 * time.Second}, err: "nil", lists: "5-6"},

		// The lag.
		{name: "a lag", this: "ACTIVE-/4600:100", err: "refused", lists: "2", says: "not ready: 0 of 1 caught up; a: lag 4600, not falling"},
		{name: "a lag that is more than allowed, by one", this: "ACTIVE-/6:100,0:3", o: wait.LagOptions{MaxLag: 5}, err: "refused", lists: "2", says: "a: lag 6"},
		{name: "a lag that falls", this: "ACTIVE-/4600:100 5s:ACTIVE<1800>/1600:3100", err: "refused", lists: "2", says: "lag 1600, falling by 2"},
		{name: "a lag that rises", this: "ACTIVE-/100:100 5s:ACTIVE<1800>/160:300", err: "refused", lists: "2", says: "rising by "},
		{name: "producers still write", this: "ACTIVE-/0:100 5s:ACTIVE<1800>/0:200", err: "refused", lists: "2",
			says: "messages still come, 9.", not: "another list"},
		{name: "a lag that falls to nothing", o: patient, this: "ACTIVE-/4600:100 60s:ACTIVE<1800>/2000:3100 200s:ACTIVE<1800>/0:5100", err: "nil", lists: "19-23"},
		{name: "a partition below 0", this: "ACTIVE-/0:100", err: "refused", lists: "2", set: faulty(local, 0, 0, edited(-1, `"partition":0`, `"partition":-1`))},
		{name: "a partition beyond their number", this: "ACTIVE-/0:100", err: "refused", lists: "2", set: faulty(local, 0, 0, edited(-1, `"partition":0`, `"partition":1`))},
		{name: "a partition too many", this: "ACTIVE-/0:100", err: "refused", lists: "2", set: faulty(local, 0, 0, edited(-1, `"mirror_lags":[`, `"mirror_lags":[{"partition":1,"lag":0,"last_source_fetch_offset":100},`))},
		{name: "no number of partitions", this: "ACTIVE-/0:100", err: "refused", lists: "2", set: faulty(local, 0, 0, edited(-1, `"num_partitions":1`, `"num_partitions":0`))},
		{name: "a lag that goes on falling outlasts patience", o: minute, err: "nil",
			this: "ACTIVE-/90:100 40s:ACTIVE<1800>/60:130 80s:ACTIVE<1800>/30:160 120s:ACTIVE<1800>/0:190", lists: "12-13"},
		{name: "topics that become ready outlast patience", o: minute, this: "ACTIVE<30>/0:7",
			more: map[string]string{"b": "PAUSED-/0:7 20s:ACTIVE+/0:7"}, err: "nil", lists: "9-10"},
		{name: "a lag that falls to nothing by the second list", this: "ACTIVE-/5:100 5s:ACTIVE<1800>/0:105", err: "refused", lists: "2",
			not: "messages still come"},
		{name: "a lag that does not fall", o: patient, this: "ACTIVE-/4600:100", err: "stalled", lists: "31-37", says: "lag 4600, not falling"},
		{name: "producers still write, for ever", o: patient, this: "ACTIVE-/0:100 " + writing(60), err: "stalled", lists: "31-37", says: "messages still come, 1.0/s"},
		{name: "a message comes between the two lists", o: patient, this: "ACTIVE-/0:100 5s:ACTIVE<1800>/0:101", err: "nil", lists: "3"},
		{name: "an offset goes back between the two lists", this: "ACTIVE-/0:100 5s:ACTIVE<1800>/0:90", err: "refused", lists: "2"},
		{name: "numbers as strings", this: "ACTIVE-/0:100,0:3", err: "refused", lists: "2", says: "the lag of 2 of 2 partitions is not known",
			set: faulty(local, 0, 0, edited(-1, `"lag":0`, `"lag":"0"`))},
		{name: "a partition without a row", this: "ACTIVE-/0:100,0:3", err: "refused", lists: "2", says: "the lag of 1 of 2 partitions is not known",
			set: faulty(local, 0, 0, edited(1, `"partition":1`, `"partition":0`))},
		{name: "how many partitions it has is not known", this: "ACTIVE-/0:100", err: "refused", lists: "2", says: "how many partitions it has is not known",
			set: faulty(local, 0, 0, edited(-1, `"num_partitions":1`, `"num_partitions":null`))},

		// The offset.
		{name: "a lag without an offset", this: "ACTIVE-/5:-1", o: wait.LagOptions{MaxLag: 10}, err: "refused", lists: "2",
			says: "1 partition with a lag and without an offset: nothing was fetched yet"},
		{name: "all topics are empty", this: "ACTIVE-/0:-1", more: map[string]string{"b": "ACTIVE-/0:-1"}, err: "refused", lists: "2",
			says: "a, b: 1 partition without an offset, and no mirror of the link has one"},
		{name: "all topics are empty, and that is allowed", this: "ACTIVE-/0:-1", o: wait.LagOptions{AllowNeverFetched: true}, err: "nil", lists: "2"},
		{name: "all are empty, allowed, and young", this: "ACTIVE<100>/0:-1", o: wait.LagOptions{AllowNeverFetched: true}, err: "refused", lists: "2",
			says: "try again in 3m"},
		{name: "an empty partition of a young mirror", this: "ACTIVE<100>/0:5,0:-1", err: "refused", lists: "2", says: "1 partition without an offset, and ACTIVE for 1m5"},
		{name: "an empty partition of a young mirror, with patience", this: "ACTIVE<100>/0:5,0:-1", o: patient, err: "nil", lists: "18-21"},
		{name: "fresh mirrors beside old STOPPED rows", this: "ACTIVE-/0:-1", beside: map[string]string{"x": "STOPPED-/0:500"}, err: "refused", lists: "2",
			says: "was anything ever fetched?"},
		{name: "fresh mirrors beside an offset of 0", this: "ACTIVE-/0:-1", beside: map[string]string{"x": "ACTIVE-/0:0"}, err: "refused", lists: "2"},
		{name: "a partition with data shows -1 after a leader change", this: "ACTIVE-/0:500,0:3 5s:ACTIVE<1800>/0:-1,0:3", err: "refused", lists: "2",
			says: "1 partition had an offset and has none now, as after a leader change"},
		{name: "a partition with data shows -1 for a while", o: patient, this: "ACTIVE-/0:500 5s:ACTIVE<1800>/0:-1 60s:ACTIVE<1800>/0:500", err: "nil", lists: "7-8"},
		{name: "topics without any offset are named first", this: "ACTIVE-/5:100", more: map[string]string{"dlq": "ACTIVE<100>/0:-1"},
			err: "refused", lists: "2", says: "not ready: 0 of 2 caught up; dlq: 1 partition without an offset"},

		// The status.
		{name: "just resumed, with a left-over lag of 0", this: "ACTIVE<5>/0:100", err: "refused", lists: "2", says: "its lag may be from before"},
		{name: "just resumed, with patience", this: "ACTIVE<5>/0:100", o: patient, err: "nil", lists: "7-8"},
		{name: "PAUSED", this: "PAUSED-/0:100", err: "refused", lists: "2", says: "a: PAUSED, not ACTIVE"},
		{name: "STOPPED", this: "STOPPED-/0:100", err: "refused", lists: "2", says: "a: STOPPED, not ACTIVE"},
		{name: "SOURCE_UNAVAILABLE", this: "SOURCE_UNAVAILABLE-/0:100", err: "refused", lists: "2", says: "SOURCE_UNAVAILABLE, not ACTIVE"},
		{name: "PAUSED in the second list", this: "ACTIVE-/0:100 5s:PAUSED+/0:100", err: "refused", lists: "2"},
		{name: "PAUSED between two lists", o: patient, this: "ACTIVE-/0:100 5s:PAUSED+/0:100 15s:ACTIVE+/0:100", err: "nil", lists: "8-9"},
		{name: "not listed", this: "none", err: "refused", lists: "2", says: "a: not listed"},
		{name: "ACTIVE with an error", this: "ACTIVE-/0:100", err: "refused", lists: "2", says: "ACTIVE, with the error SOURCE_TOPIC_MAY_BE_DELETED",
			set: faulty(local, 0, 0, edited(-1, `"NO_ERROR"`, `"SOURCE_TOPIC_MAY_BE_DELETED"`))},
		{name: "no Date", this: "ACTIVE-/0:100", options: mirrortest.Options{NoDate: true}, err: "refused", lists: "2", says: "ACTIVE for 1"},
		{name: "no Date, with patience", this: "ACTIVE-/0:100", options: mirrortest.Options{NoDate: true}, o: patient, err: "nil", lists: "7-8"},
		{name: "no Date, and resumed in between", this: "ACTIVE- 55s:ACTIVE+", options: mirrortest.Options{NoDate: true}, o: patient, err: "nil", lists: "11-13"},
		{name: "no state times, with patience", this: "ACTIVE?/0:100,0:-1", o: patient, err: "nil", lists: "27-31"},

		// The lists.
		{name: "a cache answers the second list", this: "ACTIVE-/0:100 5s:ACTIVE<1800>/5000:100", err: "refused", lists: "2",
			set: faulty(local, 0, 0, stubborn(true)), says: "lkc-local has given no new list for 1"},
		{name: "a cache answers the second list, without an Age", this: "ACTIVE-/0:100 5s:ACTIVE<1800>/5000:100", err: "refused", lists: "2",
			set: faulty(local, 0, 0, stubborn(false))},
		{name: "a cache answers for ever", o: patient, this: "ACTIVE-/0:100 5s:ACTIVE<1800>/5000:100", err: "stalled", lists: "31-37",
			set: faulty(local, 0, 0, stubborn(true))},
		{name: "the second list is half a minute older", this: "ACTIVE-/0:100", err: "refused", lists: "2",
			set: faulty(local, 0, 0, dated(func(n int) time.Duration { return -time.Duration(n) * 45 * time.Second }))},
		{name: "the second list is cut", this: "ACTIVE-/0:100", err: "refused", lists: "2", set: faulty(local, 5*time.Second, time.Minute, edited(1, `}]`, `}`))},
		{name: "the second list is cut, with patience", this: "ACTIVE-/0:100", o: patient, err: "nil", lists: "3", set: faulty(local, 5*time.Second, 10*time.Second, edited(1, `}]`, `}`))},
		{name: "rows of another link", this: "ACTIVE-/0:100", err: "refused", lists: "2", says: "a: not in the list, which is not whole",
			set: faulty(local, 0, 0, edited(-1, `"link_name":"dr-link"`, `"link_name":"dr-link-2"`))},
		{name: "no right to read", this: "ACTIVE-/0:100", o: patient, err: "HTTP 403", lists: "1", set: faulty(local, 0, 0, mirrortest.Error(403, 40301, "no"))},
		{name: "no link", this: "ACTIVE-/0:100", o: patient, err: "HTTP 404", lists: "3-4", set: faulty(local, 0, 0, noLink)},
		{name: "the rate limiter rejects all", this: "ACTIVE-/0:100", err: "refused", lists: "2", set: faulty(local, 0, 0, mirrortest.RateLimited()),
			says: "lkc-local could not be read for 2"},

		// The other cluster.
		{name: "the source answers", other: true, this: "ACTIVE-/0:100", err: "nil", lists: "2"},
		{name: "the source has no such link", other: true, this: "ACTIVE-/0:100", err: "nil", lists: "2", set: faulty(remote, 0, 0, noLink)},
		{name: "the source died two minutes ago", other: true, this: "ACTIVE-/0:100", err: "refused", lists: "2",
			set:  func(e *env) { require.NoError(e, e.pair.Remote.Die(mirrortest.Refuses)) },
			says: "lkc-remote could not be read for"},
		{name: "the source dies after the first list", other: true, this: "ACTIVE-/0:100", err: "refused", lists: "2",
			set:  faulty(remote, 5*time.Second, 0, mirrortest.Cut(0)),
			says: "1 of 1 caught up; lkc-remote has given no new list for 1"},
		{name: "the source swallows packets, and comes back", other: true, o: patient, this: "ACTIVE-/0:100", err: "nil",
			set: faulty(remote, 0, 2*time.Minute, mirrortest.Error(503, 50003, "x"))},
		{name: "the source comes back when the lists are old", other: true, o: patient, this: "ACTIVE-/0:100", err: "stalled",
			set: all(faulty(remote, 0, 2*time.Minute, mirrortest.Error(503, 50003, "x")), faulty(local, 20*time.Second, 0, mirrortest.Cut(0)))},
		{name: "the source stays dead, with patience", other: true, o: patient, this: "ACTIVE-/0:100", err: "stalled",
			set: func(e *env) { require.NoError(e, e.pair.Remote.Die(mirrortest.Swallows)) }},
		{name: "a cache answers for the source", other: true, this: "ACTIVE-/0:100", err: "refused", lists: "2", set: faulty(remote, 0, 0, stubborn(true))},
		{name: "a 429 is no answer of the source", other: true, this: "ACTIVE-/0:100", err: "refused", lists: "2", set: faulty(remote, 0, 0, mirrortest.RateLimited())},
		{name: "a 401 of the source", other: true, this: "ACTIVE-/0:100", err: "HTTP 401", lists: "0-1", set: faulty(remote, 0, 0, mirrortest.Error(401, 40101, "no"))},
		{name: "a 403 of the source", other: true, o: patient, this: "ACTIVE-/0:100", err: "HTTP 403", lists: "0-1", set: faulty(remote, 0, 0, mirrortest.Error(403, 40301, "no"))},

		// The ends.
		{name: "the context ends", o: patient, this: "ACTIVE-/5:100", err: "context", lists: "3-4", set: func(e *env) { e.deadline = 42 * time.Second }},
		{name: "OnPoll ends it", o: wait.LagOptions{OnPoll: func(context.Context, *wait.Lagging) error { return errStop }}, this: "ACTIVE-/0:100", err: "OnPoll", lists: "1"},
	}
	names := map[string]bool{}
	for _, s := range situations {
		require.False(t, names[s.name], s.name)
		names[s.name] = true
		t.Run(s.name, func(t *testing.T) { synctest.Test(t, s.run) })
	}
	if testing.Verbose() {
		t.Logf("%d situations", len(situations))
	}
}

// writing is a mirror that fetches 10 messages every 10 s, and has no lag.
func writing(steps int) string {
	var all []string
	for i := range steps {
		all = append(all, (time.Duration(10*i+5)*time.Second).String()+":ACTIVE<1800>/0:"+strconv.Itoa(110+10*i))
	}
	return strings.Join(all, " ")
}

func TestCaughtUp_WrongArguments(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{})
	here, there := client(t, pair.Local.Config()), client(t, pair.Remote.Config())
	for text, call := range map[string]func() (*wait.Lagging, error){
		"client: there is none": func() (*wait.Lagging, error) {
			return wait.CaughtUp(t.Context(), nil, "l", []string{"a"}, wait.LagOptions{})
		},
		"topics: there are none": func() (*wait.Lagging, error) {
			return wait.CaughtUp(t.Context(), here, "l", nil, wait.LagOptions{})
		},
		"Other: a client of the same cluster": func() (*wait.Lagging, error) {
			return wait.CaughtUp(t.Context(), there, "l", []string{"a"}, wait.LagOptions{Other: there})
		},
		"MaxLag: -1 is negative": func() (*wait.Lagging, error) {
			return wait.CaughtUp(t.Context(), here, "l", []string{"a"}, wait.LagOptions{MaxLag: -1})
		},
	} {
		l, err := call()
		require.ErrorIs(t, err, mirror.ErrInvalidArgument)
		require.ErrorContains(t, err, text)
		require.False(t, l.Ready)
	}
	require.Empty(t, pair.Requests())
}
