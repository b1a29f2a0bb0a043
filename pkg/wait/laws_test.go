package wait_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
	"github.com/seed25095279/clusterlink-go/pkg/wait"
)

var (
	walks = flag.Int("walks", 12, "how many random walks TestModel makes")
	seed  = flag.Uint64("seed", 0, "the first walk of TestModel")
)

// maxLate is how late a replica can be. No state that a walk begins with is younger than three times that.
const maxLate = 20 * time.Second

// state is what is true of a topic on one cluster from a time on. The status is "" if the topic is not listed.
type state struct {
	from   time.Duration // after the call; of the first one before it
	since  time.Duration // as the cluster has it
	status mirror.Status
}

// history is what is true of a topic on one cluster.
type history []state

func (h history) at(t time.Duration) state {
	i := len(h) - 1
	for i > 0 && h[i].from > t {
		i--
	}
	return h[i]
}

// had tells whether one of the statuses was true at some time between two.
func (h history) had(from, to time.Duration, statuses ...mirror.Status) bool {
	for i, s := range h {
		ended := i+1 < len(h) && h[i+1].from <= from
		if !ended && s.from <= to && slices.Contains(statuses, s.status) {
			return true
		}
	}
	return false
}

// walk is one random walk: what is true, how the clusters answer, and what Done makes of it.
type walk struct {
	*rand.Rand
	verb   mirror.Verb
	topics []string
	truth  map[string][2]history
	fates  map[string]string
	clocks [2]time.Duration
	noDate bool // no list has one
	called time.Time
	faults float64
	mu     sync.Mutex
	log    []string
}

func (w *walk) pick(all ...string) string { return all[w.IntN(len(all))] }

func (w *walk) between(low, high time.Duration) time.Duration {
	return low + time.Duration(w.Int64N(int64(high-low)))
}

// live makes up what happens to a topic.
func (w *walk) live(accepted bool) (fate string, truth [2]history) {
	goal, otherGoal := w.verb.Goal()
	from := w.verb.From()
	old := -w.between(3*maxLate, time.Hour)
	start := from[w.IntN(len(from))]
	fate = w.pick("good", "good", "good", "good", "stuck", "failed", "back", "undone", "gone", "hidden")
	switch {
	case !accepted && w.Float64() < 0.3:
		fate = "nothing"
	case w.Float64() < 0.1:
		fate = "before" // it was at its goal before the call, and stays
	}
	before := old - time.Hour
	this, other := history{{old, old, start}}, history{{before, before, ""}}
	if w.Float64() < 0.5 {
		other[0].status = mirror.StatusStopped
	}
	// A state that a late replica can show: the topic was at its goal, and came back to a start.
	if w.Float64() < 0.3 {
		this = history{{old - time.Hour, old - time.Hour, goal}, {old, old, start}}
	}
	at := w.between(0, 5*time.Second)
	step := func(h *history, status mirror.Status) {
		at += w.between(0, 40*time.Second)
		since := at
		if w.Float64() < 0.05 {
			since -= w.between(0, 2*time.Minute) // a controller whose clock is behind
		}
		*h = append(*h, state{at, since, status})
	}
	switch fate {
	case "nothing":
		return fate, [2]history{this, other}
	case "before":
		this, other = history{{old, old, goal}}, history{{old, old, otherGoal}}
		return fate, [2]history{this, other}
	}
	if through := w.verb.Through(); len(through) > 0 && w.Float64() < 0.8 {
		step(&this, through[w.IntN(len(through))])
	}
	if otherGoal != "" {
		step(&other, mirror.StatusPendingMirror)
	}
	switch fate {
	case "stuck":
		return fate, [2]history{this, other}
	case "failed":
		step(&this, mirror.StatusFailed)
		return fate, [2]history{this, other}
	case "back":
		step(&this, start)
		return fate, [2]history{this, other}
	case "gone":
		step(&this, "")
		return fate, [2]history{this, other}
	case "hidden":
		step(&this, mirror.StatusSourceUnavailable)
		return fate, [2]history{this, other}
	}
	if otherGoal != "" && w.Float64() < 0.5 {
		step(&other, otherGoal)
	}
	step(&this, goal)
	if otherGoal != "" && other[len(other)-1].status != otherGoal {
		step(&other, otherGoal)
	}
	if fate == "undone" {
		at += 20 * time.Second
		step(&this, start)
	}
	return fate, [2]history{this, other}
}

// shows has a cluster answer lists: as things are, late, from a cache, cut, not whole, or not at all.
func (w *walk) shows(pair *mirrortest.Pair, side int) {
	c := []*mirrortest.Cluster{pair.Local, pair.Remote}[side]
	var kept *httptest.ResponseRecorder
	seed := w.Uint64()
	// Which replica answers is drawn anew every few seconds.
	late := func() time.Duration {
		draw := rand.New(rand.NewPCG(seed, uint64(time.Since(w.called)/(3*time.Second))))
		if draw.Float64() > w.faults/2 {
			return 0
		}
		return time.Duration(draw.Int64N(int64(maxLate)))
	}
	draw := rand.New(rand.NewPCG(seed, 1))
	c.OnList(func([]mirrortest.Mirror) (rows []mirrortest.Mirror) {
		for _, topic := range w.topics {
			s := w.truth[topic][side].at(time.Since(w.called) - late())
			if s.status == "" {
				continue
			}
			rows = append(rows, mirrortest.Mirror{
				Link: pair.Link(), Topic: topic, Source: topic, Status: s.status, Since: w.called.Add(s.since + w.clocks[side]),
				Partitions: []mirrortest.Partition{{LastSourceFetchOffset: 5}},
			})
		}
		return rows
	})
	c.Inject(mirrortest.Fault{Reads: true, Every: true, Do: mirrortest.Handle(
		func(rw http.ResponseWriter, r *http.Request, proper http.Handler) {
			w.mu.Lock()
			defer w.mu.Unlock()
			what := "fresh"
			if faults := []string{"cache", "cache with an age", "503", "cut", "elsewhere", "lost"}; draw.Float64() < w.faults {
				what = faults[draw.IntN(len(faults))]
			}
			w.log = append(w.log, fmt.Sprintf("%v %s %s", time.Since(w.called).Round(time.Second), c.ID, what))
			switch what {
			case "503":
				rw.WriteHeader(http.StatusServiceUnavailable)
				return
			case "lost":
				panic(http.ErrAbortHandler)
			case "cache", "cache with an age":
				if kept != nil {
					for name, values := range kept.Header() {
						rw.Header()[name] = values
					}
					if what != "cache" {
						rw.Header().Set("Age", "9")
					}
					_, _ = rw.Write(kept.Body.Bytes())
					return
				}
			}
			got := httptest.NewRecorder()
			date := time.Now().Add(w.clocks[side]).UTC().Format(http.TimeFormat)
			got.Header().Set("Date", date)
			proper.ServeHTTP(got, r)
			text := got.Body.String()
			switch what {
			case "cut":
				text = text[:len(text)/2]
			case "elsewhere":
				text = strings.Replace(text, `"self":`, `"next":"p2","self":`, 1)
			}
			rw.Header().Set("Content-Type", "application/json")
			if rw.Header().Set("Date", date); w.noDate {
				rw.Header()["Date"] = nil
			}
			rw.WriteHeader(got.Code)
			_, _ = rw.Write([]byte(text))
			if what == "fresh" && strings.HasSuffix(r.URL.Path, "/mirrors") && draw.Float64() < 0.3 && !w.noDate {
				kept = got
			}
		},
	)})
}

func (w *walk) run(t *testing.T) {
	all := []mirror.Verb{reverse, start, promote, failover, pause, resume, restore}
	w.verb = all[w.IntN(len(all))]
	w.noDate = w.Float64() < 0.1
	w.clocks = [2]time.Duration{w.between(-5*time.Hour, 5*time.Hour).Round(time.Second), w.between(-5*time.Hour, 5*time.Hour).Round(time.Second)}
	w.faults = w.Float64() * 0.5
	pair := mirrortest.NewPair(t, mirrortest.Options{InMemory: true})
	time.Sleep(time.Hour)
	w.called = time.Now()
	w.truth, w.fates = map[string][2]history{}, map[string]string{}
	for i := range 1 + w.IntN(3) {
		w.topics = append(w.topics, fmt.Sprintf("t-%d", i))
	}
	r := report(w.verb, pair, mirror.Unknown, w.called, w.topics...)
	answered := w.Float64() < 0.7
	if answered {
		r.Attempts[0].Date = w.called.Add(w.clocks[0]).Truncate(time.Second)
	}
	for i, topic := range w.topics {
		fate, truth := w.live(answered)
		w.fates[topic], w.truth[topic] = fate, truth
		switch res := &r.Results[i]; {
		case answered && fate == "before":
			res.Outcome, res.Code = mirror.Failed, 400
			res.Message = fmt.Sprintf("Topic '%s' has already stopped its mirror from 'dr-link'", topic)
		case answered:
			res.Outcome, res.Sends[0].Unknown = mirror.Accepted, false
		}
	}
	w.shows(pair, 0)
	w.shows(pair, 1)
	o := wait.Options{This: client(t, pair.Local.Config()), Other: client(t, pair.Remote.Config())}
	o.OnPoll = func(_ context.Context, p *wait.Progress) error {
		w.check(t, r, p)
		return nil
	}
	p, err := wait.Done(t.Context(), r, o)
	require.Equal(t, err, p.Err())
	w.check(t, r, p)
	w.judge(t, p, err)
	if testing.Verbose() && *walks < 20 {
		t.Logf("%s %v -> %s\n%s", w.verb, w.fates, kind(err), table(t, p))
	}
}

// atGoal tells whether the topic was at its goal between two times, on each cluster that has one.
func (w *walk) atGoal(topic string, from, to time.Duration) bool {
	goal, otherGoal := w.verb.Goal()
	truth := w.truth[topic]
	return truth[0].had(from, to, goal) && (otherGoal == "" || truth[1].had(from, to, otherGoal, mirror.StatusActive))
}

// check holds a progress to what is true.
func (w *walk) check(t *testing.T, r *mirror.Report, p *wait.Progress) {
	now := p.At.Sub(w.called)
	for i, res := range p.Report().Results {
		one, _ := p.Topic(res.Topic)
		if one.Stage == wait.StageDone {
			w.require(t, w.atGoal(res.Topic, 0, now), "%s was never at its goal since the call: %v", res.Topic, w.truth[res.Topic])
		} else {
			w.require(t, res.Outcome == r.Results[i].Outcome, "%s was settled, and is %s", res.Topic, one.Stage)
		}
		if one.Stage == wait.StageBlocked {
			fate := w.fates[res.Topic]
			w.require(t, slices.Contains([]string{"failed", "back", "undone", "gone", "hidden"}, fate), "%s is blocked: %v", res.Topic, w.truth[res.Topic])
		}
	}
}

// judge holds the end to what is true.
func (w *walk) judge(t *testing.T, p *wait.Progress, err error) {
	now := p.At.Sub(w.called)
	good, unread := true, false
	for _, c := range p.Clusters {
		unread = unread || c.Lists == 0
	}
	for _, topic := range w.topics {
		fate := w.fates[topic]
		good = good && (fate == "good" || fate == "before")
		if err == nil {
			w.require(t, w.atGoal(topic, max(0, now-maxLate-20*time.Second), now), "%s is not at its goal any more: %v", topic, w.truth[topic])
		}
	}
	w.require(t, !good || err == nil, "all topics came to their goal: %v", err)
	w.require(t, now < 30*time.Minute, "it took %v", now)
	if k := kind(err); err != nil {
		w.require(t, k == "stalled" || k == "blocked" || k == "no sign" || strings.Contains(err.Error(), "is blocked ("), "%v", err)
	}
}

func (w *walk) require(t *testing.T, ok bool, format string, args ...any) {
	t.Helper()
	if !ok {
		t.Fatalf("%s, %v, faults %.2f, no Date %v: %s\n%s", w.verb, w.fates, w.faults, w.noDate, fmt.Sprintf(format, args...), strings.Join(w.log, "\n"))
	}
}

// Random walks against clusters that answer late, from a cache, not whole, or not at all.
func TestModel(t *testing.T) {
	for i := range *walks {
		n := *seed + uint64(i)
		ok := t.Run(fmt.Sprint(n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				(&walk{Rand: rand.New(rand.NewPCG(n, 1))}).run(t)
			})
		})
		if !ok {
			break
		}
	}
}
