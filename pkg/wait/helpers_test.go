package wait_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
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

// situation is what the clusters show after a call, and what Done makes of it.
type situation struct {
	name string
	verb mirror.Verb // reverse-and-pause-mirror by default
	// this and other are what the two clusters show of the topic a: states, each with the time after the call from which
	// the cluster shows it: "ACTIVE- 20s:PENDING_STOPPED+ 40s:STOPPED+". A state has a mark: + for one that began when it
	// is first shown, - for one that began half an hour before the call, ? for one without a time, <n> for n seconds
	// before the call. "none" is not listed. After a slash stand lag and offset of the partitions: "ACTIVE-/0:100,0:-1".
	this, other string
	more        map[string][2]string // other topics
	outcome     mirror.Outcome       // of all topics; Failed is a refusal because the mirror has stopped already
	options     mirrortest.Options
	noDate      bool // the answer to the call had no Date
	set         func(*env)

	stage string // of a
	err   string // see kind
	lists string // how many lists of each cluster, such as 1 or 6-8; "" is any number
	notes []string
	check func(*env)
}

// env is what a situation runs in.
type env struct {
	*testing.T
	pair     *mirrortest.Pair
	called   time.Time
	report   *mirror.Report
	o        wait.Options
	deadline time.Duration // of the context, after the call; 0 is none
	polls    []*wait.Progress
	p        *wait.Progress
	err      error
	took     time.Duration
}

func client(t testing.TB, c mirror.Config) *mirror.Client {
	t.Helper()
	made, err := mirror.NewClient(c)
	require.NoError(t, err)
	return made
}

// requireHonest holds every progress to what none must claim.
func requireHonest(t testing.TB, e *env) {
	t.Helper()
	require.Equal(t, e.err, e.p.Err())
	require.Equal(t, e.err == nil, e.p.Done && e.p.Report().Err() == nil)
	if e.err != nil {
		require.NotContains(t, e.err.Error(), "\n")
	}
	for _, p := range append(e.polls, e.p) {
		require.NoError(t, p.Table(io.Discard))
		done := map[string]bool{}
		for _, one := range p.Waited {
			done[one.Topic] = one.Stage == wait.StageDone
		}
		for i, res := range p.Report().Results {
			if res.Outcome != e.report.Results[i].Outcome {
				require.True(t, done[res.Topic], "settled, and not done")
			}
		}
	}
}

// kind names what ended a wait.
func kind(err error) string {
	var api *mirror.APIError
	switch {
	case err == nil:
		return "nil"
	case errors.Is(err, wait.ErrStalled):
		return "stalled"
	case errors.Is(err, context.DeadlineExceeded):
		return "context"
	case errors.Is(err, errStop):
		return "OnPoll"
	case strings.Contains(err.Error(), "what is left is blocked"):
		return "blocked"
	case strings.Contains(err.Error(), "what is left shows no sign"):
		return "no sign"
	case errors.As(err, &api):
		return fmt.Sprintf("HTTP %d", api.Status)
	case errors.Is(err, mirror.ErrInvalidArgument):
		return "invalid"
	}
	return "other"
}

var errStop = errors.New("stop")

// line prints a line of the table of situations with -v.
func line(name, stage, err string, lists []int, took time.Duration) {
	if testing.Verbose() {
		fmt.Printf("%-84.84s %-11s %-8s lists %-9s in %v\n", name, stage, err, fmt.Sprint(lists), took.Round(time.Second))
	}
}

func runAll(t *testing.T, all []situation) {
	names := map[string]bool{}
	for _, s := range all {
		require.False(t, names[s.name], "two situations are called %q", s.name)
		names[s.name] = true
		t.Run(s.name, func(t *testing.T) { synctest.Test(t, s.run) })
	}
	if testing.Verbose() {
		fmt.Printf("%d situations\n", len(all))
	}
}

// report is what a call gives that ended so for all topics.
func report(v mirror.Verb, pair *mirrortest.Pair, o mirror.Outcome, at time.Time, names ...string) *mirror.Report {
	r := mirror.UnknownReport(mirror.Batch{ClusterID: pair.Local.ID, Link: pair.Link(), Verb: v, Run: "run-1", Topics: names}, at)
	for i := range r.Results {
		res := &r.Results[i]
		if res.Outcome = o; o != mirror.Unknown {
			res.Sends[0].Unknown, res.Why = false, ""
		}
		if o == mirror.Failed {
			res.Code, res.Message = 400, fmt.Sprintf("Topic '%s' has already stopped its mirror from '%s'", res.Topic, pair.Link())
		}
	}
	return r
}

func requireLists(t testing.TB, want string, got []int) {
	t.Helper()
	low, high, ranged := strings.Cut(want, "-")
	if want == "" {
		return
	}
	least, err := strconv.Atoi(low)
	require.NoError(t, err)
	most := least
	if ranged {
		most, err = strconv.Atoi(high)
		require.NoError(t, err)
	}
	for _, n := range got {
		require.GreaterOrEqual(t, n, least, "lists %v", got)
		require.LessOrEqual(t, n, most, "lists %v", got)
	}
}

// patience is the patience of a situation that sets none. The lists of a topic on which nothing moves are 5.5 s apart:
// 28 in that time.
const patience = 150 * time.Second

const (
	reverse, start, promote = mirror.VerbReverseAndPause, mirror.VerbReverseAndStart, mirror.VerbPromote
	failover, pause, resume = mirror.VerbFailover, mirror.VerbPause, mirror.VerbResume
	restore                 = mirror.VerbTruncateAndRestore
)

// shown is the row that a script shows now; nil for none.
func (e *env) shown(topic, script string, clock time.Duration) *mirrortest.Mirror {
	now := time.Now()
	var row *mirrortest.Mirror
	for _, state := range strings.Fields(script) {
		from := e.called
		if after, rest, _ := strings.Cut(state, ":"); state[0] >= '0' && state[0] <= '9' {
			wait, err := time.ParseDuration(after)
			require.NoError(e, err)
			from, state = from.Add(wait), rest
		}
		if from.After(now) {
			break
		}
		if state == "none" {
			row = nil
			continue
		}
		state, lag, _ := strings.Cut(state, "/")
		i := strings.IndexAny(state, "+-?<")
		m := mirrortest.Mirror{Link: e.pair.Link(), Topic: topic, Source: topic, Status: mirror.Status(state[:i])}
		for _, partition := range strings.Split(cmp.Or(lag, "0:7"), ",") {
			lag, offset, _ := strings.Cut(partition, ":")
			var p mirrortest.Partition
			p.Lag, _ = strconv.ParseInt(lag, 10, 64)
			p.LastSourceFetchOffset, _ = strconv.ParseInt(cmp.Or(offset, "7"), 10, 64)
			m.Partitions = append(m.Partitions, p)
		}
		switch mark := state[i:]; mark[0] {
		case '+':
			m.Since = from.Add(time.Second + clock)
		case '-':
			m.Since = from.Add(clock - 30*time.Minute)
		case '<':
			seconds, err := strconv.Atoi(strings.Trim(mark, "<>"))
			require.NoError(e, err)
			m.Since = e.called.Add(clock - time.Duration(seconds)*time.Second)
		}
		row = &m
	}
	return row
}

func (s situation) run(t *testing.T) {
	if s.verb == "" {
		s.verb = reverse
	}
	s.options.InMemory = true
	s.options.Topics = append(s.options.Topics, mirrortest.Topic{Name: "a"})
	topics := map[string][2]string{"a": {s.this, s.other}}
	names := []string{"a"}
	for _, name := range []string{"b", "c"} {
		if scripts, there := s.more[name]; there {
			topics[name], names = scripts, append(names, name)
			s.options.Topics = append(s.options.Topics, mirrortest.Topic{Name: name})
		}
	}
	e := &env{T: t, pair: mirrortest.NewPair(t, s.options)}
	time.Sleep(time.Hour)
	e.called = time.Now()
	e.o.This, e.o.Other = client(t, e.pair.Local.Config()), client(t, e.pair.Remote.Config())
	e.o.Patience = patience
	e.report = report(s.verb, e.pair, s.outcome, e.called, names...)
	if !s.noDate {
		e.report.Attempts[0].Date = e.called.Add(s.options.Clocks[0])
	}
	for i, c := range []*mirrortest.Cluster{e.pair.Local, e.pair.Remote} {
		c.OnList(func([]mirrortest.Mirror) (rows []mirrortest.Mirror) {
			for _, name := range names {
				if m := e.shown(name, topics[name][i], s.options.Clocks[i]); m != nil {
					rows = append(rows, *m)
				}
			}
			return rows
		})
	}
	e.o.OnPoll = func(_ context.Context, p *wait.Progress) error {
		e.polls = append(e.polls, p)
		return nil
	}
	if s.set != nil {
		s.set(e)
	}
	ctx := t.Context()
	if e.deadline != 0 {
		bounded, cancel := context.WithTimeoutCause(ctx, e.deadline, errStop)
		defer cancel()
		ctx = bounded
	}
	began := time.Now()
	e.p, e.err = wait.Done(ctx, e.report, e.o)
	e.took = time.Since(began)
	lists := []int{}
	for _, c := range e.p.Clusters {
		lists = append(lists, c.Asked)
	}
	a, _ := e.p.Topic("a")
	line(s.name, string(a.Stage), kind(e.err), lists, e.took)

	if s.stage != "" { // which of two lists comes first is a race
		require.Equal(t, s.stage, string(a.Stage), "%v\n%v", e.err, a)
	}
	if s.err != "any" {
		require.Equal(t, s.err, kind(e.err), "%v", e.err)
	}
	requireLists(t, s.lists, lists)
	for _, note := range s.notes {
		require.Contains(t, strings.Join(a.Notes, "; "), note)
	}
	requireHonest(t, e)
	if s.check != nil {
		s.check(e)
	}
}

// two is a topic b beside a.
func two(this, other string) map[string][2]string { return map[string][2]string{"b": {this, other}} }

// falling is a mirror whose lag falls every 30 s.
func falling(steps int) string {
	var all []string
	for i := range steps {
		all = append(all, fmt.Sprintf("%ds:ACTIVE<-2>/%d", 5+30*i, 1000-i))
	}
	return strings.Join(all, " ")
}

func settled(o mirror.Outcome) func(*env) {
	return func(e *env) { require.Equal(e, o, e.p.Report().Results[0].Outcome) }
}

func next(text string) func(*env) {
	return func(e *env) { require.Equal(e, text, e.p.Waited[0].Next) }
}

func settle(topic string) func(*env) {
	return func(e *env) { require.NoError(e, e.report.Settle(mirror.Accepted, "a person produced to it", topic)) }
}

func later(by time.Duration) func(*env) {
	return func(e *env) {
		text, err := e.report.MarshalJSON()
		require.NoError(e, err)
		require.NoError(e, e.report.UnmarshalJSON(text))
		time.Sleep(by)
	}
}

// machine has the call made by a process whose clock differs.
func machine(by time.Duration) func(*env) {
	return func(e *env) { e.report.Attempts[0].Start = e.report.Attempts[0].Start.Add(by) }
}

// With nothing to wait for, Done asks for no list, and says what the report says.

func local(e *env) *mirrortest.Cluster  { return e.pair.Local }
func remote(e *env) *mirrortest.Cluster { return e.pair.Remote }

// faulty has something go wrong with each read of a cluster, from a time after the call on and for a while. 0 is for good.
func faulty(cluster func(*env) *mirrortest.Cluster, from, long time.Duration, do mirrortest.Action) func(*env) {
	return func(e *env) {
		inject := func() { cluster(e).Inject(mirrortest.Fault{Reads: true, Every: long == 0, For: long, Do: do}) }
		if from == 0 { // before the first list
			inject()
			return
		}
		time.AfterFunc(from, inject)
	}
}

func all(sets ...func(*env)) func(*env) {
	return func(e *env) {
		for _, set := range sets {
			set(e)
		}
	}
}

// stubborn is a cache that answers each list with the first one. With age it says how old that is.
func stubborn(age bool) mirrortest.Action {
	var first *httptest.ResponseRecorder
	var at time.Time
	return mirrortest.Handle(func(w http.ResponseWriter, r *http.Request, proper http.Handler) {
		if first == nil {
			first, at = httptest.NewRecorder(), time.Now()
			first.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
			proper.ServeHTTP(first, r)
		}
		for name, values := range first.Header() {
			w.Header()[name] = values
		}
		if old := int(time.Since(at).Seconds()); age && old > 0 {
			w.Header().Set("Age", strconv.Itoa(old))
		}
		w.WriteHeader(first.Code)
		_, _ = w.Write(first.Body.Bytes())
	})
}

// goesOn says in each list that it goes on elsewhere.
func goesOn() mirrortest.Action { return edited(1, `"self":`, `"next":"p2","self":`) }

// edited changes the text of each list.
func edited(times int, before, after string) mirrortest.Action {
	return mirrortest.Handle(func(w http.ResponseWriter, r *http.Request, proper http.Handler) {
		got := httptest.NewRecorder()
		proper.ServeHTTP(got, r)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(strings.Replace(got.Body.String(), before, after, times)))
	})
}

// dated gives each list a header Date that differs from the clock.
func dated(by func(n int) time.Duration) mirrortest.Action {
	n := 0
	return mirrortest.Handle(func(w http.ResponseWriter, r *http.Request, proper http.Handler) {
		w.Header().Set("Date", time.Now().Add(by(n)).UTC().Format(http.TimeFormat))
		n++
		proper.ServeHTTP(w, r)
	})
}

func onPoll(n int) func(*env) {
	return func(e *env) {
		e.o.OnPoll = func(context.Context, *wait.Progress) error {
			if n--; n == 0 {
				return errStop
			}
			return nil
		}
	}
}

func took(least, most time.Duration) func(*env) {
	return func(e *env) {
		require.GreaterOrEqual(e, e.took, least)
		require.LessOrEqual(e, e.took, most)
	}
}

// apart holds the requests of each cluster to a least time between them.
func apart(least time.Duration) func(*env) {
	return func(e *env) {
		last := map[string]time.Time{}
		for _, r := range e.pair.Requests() {
			if !strings.HasSuffix(r.URI, "/mirrors") {
				continue
			}
			if before, asked := last[r.Cluster]; asked {
				require.GreaterOrEqual(e, r.At.Sub(before), least)
			}
			last[r.Cluster] = r.At
		}
	}
}

// pollsOften wants the cluster that can be read to be read all the time, and OnPoll to be called.
func pollsOften(e *env) {
	for i := range e.polls[1:] {
		require.Less(e, e.polls[i+1].At.Sub(e.polls[i].At), 7*time.Second)
	}
	require.Greater(e, e.p.Clusters[0].Lists, 30)
	require.Less(e, e.p.Clusters[1].Asked, 13)
}

func table(t testing.TB, p *wait.Progress) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, p.Table(&b))
	return b.String()
}
