package mirror_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

var (
	walks = flag.Int("walks", 2000, "how many random walks TestModel takes, and triples of reports TestMergeLaws")
	seed  = flag.Uint64("seed", 1, "the seed of both; 0 draws one")
)

// TestModel walks at random: calls of every verb, to two clusters with faults before and after the
// change is applied, and through middleware that fails. The reports are held to what the clusters
// really did.
func TestModel(t *testing.T) {
	walkEach(t, walk)
}

// walkEach takes a walk for each seed, in a time of its own.
func walkEach(t *testing.T, walk func(*testing.T, uint64)) {
	first := *seed
	if first == 0 {
		first = rand.Uint64()
	}
	t.Logf("seed %d, %d walks", first, *walks)
	for i := range *walks {
		one := first + uint64(i)
		synctest.Test(t, func(t *testing.T) { walk(t, one) })
		if t.Failed() {
			t.Fatalf("walk %d fails: go test -run %s -walks 1 -seed %d", i, t.Name(), one)
		}
	}
}

func walk(t *testing.T, seed uint64) {
	draw := rand.New(rand.NewPCG(seed, 0))
	var topics []mirrortest.Topic
	var names []string
	for i := range 1 + draw.IntN(8) {
		name := fmt.Sprintf("t%d", i)
		local := []mirror.Status{"", "", "", mirror.StatusPaused, mirror.StatusStopped, mirror.StatusLinkFailed}
		remote := []mirror.Status{"", "", mirror.StatusStopped}
		topics = append(topics, mirrortest.Topic{
			Name: name, Status: local[draw.IntN(len(local))], Remote: remote[draw.IntN(len(remote))],
			Partitions: []mirrortest.Partition{{Lag: draw.Int64N(3)}},
		})
		names = append(names, name)
	}
	pair := mirrortest.NewPair(t, mirrortest.Options{
		InMemory: true, Topics: topics, Settle: time.Duration(draw.IntN(3)) * time.Second,
		Rate: []mirrortest.Rate{{}, {PerClient: 2}, {PerServer: 1}, {PerServer: 1, Mode: mirrortest.RateDelay}}[draw.IntN(4)],
	})
	parts := map[string]*mirror.Report{} // by cluster and verb
	hidden, page := false, false
	for range 1 + draw.IntN(4) {
		cluster := []*mirrortest.Cluster{pair.Local, pair.Local, pair.Remote}[draw.IntN(3)]
		cfg := cluster.Config()
		cfg.BatchSize, cfg.Parallel, cfg.KeepGoing = 1+draw.IntN(4), 1+draw.IntN(3), draw.IntN(2) == 0
		cfg.Middleware = func(next http.RoundTripper) http.RoundTripper { return failing(draw, next) }
		client := newClient(t, cfg)
		verb := mirror.VerbReverseAndPause
		if draw.IntN(2) == 0 {
			verb = mirror.Verbs()[draw.IntN(len(mirror.Verbs()))]
		}
		some := names[draw.IntN(len(names)):]
		var plan *mirror.Report
		if verb == mirror.VerbTruncateAndRestore {
			sure := newClient(t, cluster.Config())
			plan, _ = sure.Validate(t.Context(), verb, pair.Link(), mirror.Topics(some...))
			if some = plan.Topics(mirror.Accepted); len(some) == 0 {
				continue
			}
			plan, _ = sure.Validate(t.Context(), verb, pair.Link(), mirror.Topics(some...))
			if plan.Err() != nil {
				continue
			}
		}
		for range draw.IntN(4) {
			f := mirrortest.Fault{Nth: 1 + draw.IntN(3), AfterApply: draw.IntN(2) == 0}
			f.Do = whatFails(draw, f.AfterApply)
			if f.AfterApply && draw.IntN(8) == 0 {
				// The library retries it, and the second request finds the work done.
				f.Do, page = mirrortest.RateLimitedWithoutHeader(), true
			}
			if f.AfterApply && draw.IntN(6) == 0 {
				// The only lie: a row that says no although it was done.
				f.Topic = names[draw.IntN(len(names))]
				f.Do = mirrortest.Row(`{"mirror_topic_name":"` + f.Topic + `","error_code":50003,"error_message":null}`)
				hidden = true
			}
			cluster.Inject(f)
		}
		before, requests := len(pair.Journal()), map[string]int{}
		for _, name := range some {
			requests[name] = cluster.Requests(name)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+draw.IntN(200))*time.Second)
		dryRun := draw.IntN(4) == 0
		var report *mirror.Report
		var err error
		switch {
		case dryRun:
			report, err = client.Validate(ctx, verb, pair.Link(), mirror.Topics(some...))
		case plan != nil:
			report, err = client.TruncateAndRestore(ctx, plan, 1<<40)
		default:
			report, err = call(ctx, t, client, verb, pair.Link(), mirror.Topics(some...))
		}
		cancel()
		requireSound(t, report, err, some)
		applied := did(pair.Journal()[before:], cluster, verb)
		for _, r := range report.Results {
			done := applied[r.Topic]
			if !page {
				require.LessOrEqual(t, cluster.Requests(r.Topic)-requests[r.Topic], 1, "the library sent %s again", r.Topic)
			}
			switch {
			case dryRun:
				require.Zero(t, done, "a dry run of %s changed %s", verb, r.Topic)
			case r.Outcome == mirror.Accepted && page: // a pause, say, can be done twice
				require.GreaterOrEqual(t, done, 1, "%s is accepted", r.Topic)
			case r.Outcome == mirror.Accepted:
				require.Equal(t, 1, done, "%s is accepted", r.Topic)
			case r.Outcome == mirror.Untouched:
				require.Zero(t, done, "%s is untouched", r.Topic)
			case r.Outcome == mirror.Failed && !hidden:
				require.Zero(t, done, "%s failed: %v", r.Topic, r.Err())
			}
			require.Equal(t, r.Outcome == mirror.Accepted, r.Err() == nil)
		}
		first := map[int]time.Time{}
		for _, a := range report.Attempts {
			require.LessOrEqual(t, a.Sends, 1)
			if a.Number == 1 {
				first[a.Batch] = a.Start
			}
		}
		for _, a := range report.Attempts {
			require.Less(t, a.Number, 100, "no hot loop")
			require.False(t, a.Start.Before(first[a.Batch]))
		}
		if part := cluster.ID + string(verb); parts[part] == nil && !dryRun {
			parts[part] = report
		} else if !dryRun {
			require.NoError(t, parts[part].Merge(report))
		}
		if draw.IntN(2) == 0 {
			time.Sleep(time.Duration(draw.IntN(5)) * time.Second)
		}
	}
	for _, cluster := range []*mirrortest.Cluster{pair.Local, pair.Remote} {
		for _, verb := range mirror.Verbs() {
			whole := parts[cluster.ID+string(verb)]
			if whole == nil {
				continue
			}
			applied := did(pair.Journal(), cluster, verb)
			for _, r := range whole.Results {
				switch r.Outcome {
				case mirror.Accepted:
					require.NotZero(t, applied[r.Topic], "%s is accepted after all", r.Topic)
				case mirror.Untouched:
					require.Zero(t, applied[r.Topic], "%s is untouched after all", r.Topic)
				}
			}
		}
	}
}

// did counts for each topic how often a cluster did what requests of a verb asked for.
func did(journal []mirrortest.Request, cluster *mirrortest.Cluster, verb mirror.Verb) map[string]int {
	applied := map[string]int{}
	for _, r := range journal {
		for _, name := range r.Applied {
			if r.Cluster == cluster.ID && r.Verb == verb {
				applied[name]++
			}
		}
	}
	return applied
}

// whatFails draws what goes wrong. What sends rows of the proper answer comes after it was applied
// only, for before that they would say what is not so.
func whatFails(draw *rand.Rand, afterApply bool) mirrortest.Action {
	delayed := func(do mirrortest.Action) mirrortest.Action { return mirrortest.WithHeader(do, "DoSFilter", "delayed") }
	all := []mirrortest.Action{
		mirrortest.Cut(0), mirrortest.Reset(0), silent(),
		mirrortest.Error(500, 50003, "x"), mirrortest.Error(503, 50302, "x"),
		mirrortest.Error(429, 42901, "x"), mirrortest.Error(400, 40002, "x"),
		delayed(mirrortest.Error(429, 42901, "x")), delayed(status(429, kafka, limiterJSON)),
		delayed(status(429, "text/html", limiterHTML)),
		status(400, kafka, `{"error_code":40002,"message":"x`), status(400, kafka, `{"error_code":400`),
		status(400, "text/html", "<title>x</title>"), status(400, "", ""),
		status(403, "text/html", "<title>x</title>"), status(429, "text/html", "<title>slow</title>"),
		status(303, "", "", "Location", "/x"), status(406, "", ""),
		mirrortest.WithHeader(mirrortest.Error(403, 40301, "x"), "X-Envoy-Attempt-Count", "2"),
		mirrortest.Answer(200, "<title>x</title>", "Content-Type", "text/html"), raw("x"),
		mirrortest.Answer(200, `{"data":null}`, "Content-Type", "application/json"),
	}
	if afterApply {
		all = append(all, mirrortest.Cut(draw.IntN(2000)), drip(50, 20*time.Second))
	} else {
		all = append(all, mirrortest.RateLimited(), mirrortest.RateLimitedWithoutHeader(),
			mirrortest.Error(403, 40301, "x"), mirrortest.Error(401, 40101, "x"), status(421, "", ""))
	}
	return all[draw.IntN(len(all))]
}

// failing is middleware that now and then fails: before it takes anything of the body, after it took
// it, or after it sent it, with errors that look like the library's own.
func failing(draw *rand.Rand, next http.RoundTripper) http.RoundTripper {
	var mu sync.Mutex
	draws := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return draw.IntN(n)
	}
	errs := []error{
		mirror.ErrRateLimited, &mirror.APIError{Status: 429}, &mirror.APIError{Status: 401}, mirror.ErrUnauthenticated,
		syscall.ECONNREFUSED, os.ErrDeadlineExceeded, errors.New("the circuit is open"),
	}
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		err := fmt.Errorf("middleware: %w", errs[draws(len(errs))])
		switch draws(24) {
		case 0:
			return nil, err
		case 1:
			io.Copy(io.Discard, r.Body)
			return nil, err
		case 2:
			if resp, err := next.RoundTrip(r); err == nil {
				resp.Body.Close()
			}
			return nil, err
		case 3:
			resp, sendErr := next.RoundTrip(r)
			if sendErr == nil {
				resp.Body.Close()
				resp.Body = io.NopCloser(iotest.ErrReader(err))
			}
			return resp, sendErr
		}
		return next.RoundTrip(r)
	})
}

// TestFollowModel follows at random: what was called, or not, while other operators work on both clusters
// and lists are strange. What is called done was there, and nothing else is settled; and there is always an
// end.
func TestFollowModel(t *testing.T) {
	walkEach(t, followWalk)
}

func followWalk(t *testing.T, seed uint64) {
	draw := rand.New(rand.NewPCG(seed, 3))
	verb := mirror.Verbs()[draw.IntN(len(mirror.Verbs()))]
	o := mirrortest.Options{
		InMemory: true, Settle: time.Duration(draw.IntN(4)) * 20 * time.Second,
		Clocks: [2]time.Duration{
			time.Duration(draw.IntN(100)-50) * time.Minute, time.Duration(draw.IntN(100)-50) * time.Minute,
		},
	}
	names := []string{"a", "b"}[:1+draw.IntN(2)] // as the plan of call names them
	for _, name := range names {
		o.Topics = append(o.Topics, topicFor(verb, name))
	}
	pair := mirrortest.NewPair(t, o)
	time.Sleep(time.Duration(draw.IntN(3)) * 20 * time.Second)
	client := newClient(t, pair.Local.Config())

	// What was seen at its goal, of each cluster, whatever its lists said.
	goals := map[mirror.Verb][2][]mirror.Status{
		mirror.VerbReverseAndPause:    {{mirror.StatusStopped}, {mirror.StatusPaused, mirror.StatusActive}},
		mirror.VerbReverseAndStart:    {{mirror.StatusStopped}, {mirror.StatusActive}},
		mirror.VerbPromote:            {{mirror.StatusStopped}},
		mirror.VerbFailover:           {{mirror.StatusStopped}},
		mirror.VerbPause:              {{mirror.StatusPaused}},
		mirror.VerbResume:             {{mirror.StatusActive}},
		mirror.VerbTruncateAndRestore: {{mirror.StatusActive}},
	}[verb]
	var reached [2]map[string]bool
	var last, whole [2][]mirror.Mirror // what each cluster's latest list says, and the latest that was read to its end
	var lists [2]int
	for side, cluster := range []*mirrortest.Cluster{pair.Local, pair.Remote} {
		reached[side] = map[string]bool{}
		var kept []mirror.Mirror
		strange := rand.New(rand.NewPCG(seed, uint64(10+side)))
		cluster.OnList(func(all []mirror.Mirror) []mirror.Mirror {
			for _, m := range all {
				if slices.Contains(goals[side], m.Status) {
					reached[side][m.Topic] = true
				}
			}
			now := slices.Clone(all)
			switch strange.IntN(8) {
			case 0:
				strange.Shuffle(len(now), func(i, j int) { now[i], now[j] = now[j], now[i] })
			case 1:
				now = now[:strange.IntN(len(now)+1)]
			case 2:
				now = slices.Clone(kept) // stale
			case 3:
				now = append(now, mirror.Mirror{Topic: "foreign", Status: "NEW"})
			case 4:
				if len(now) > 0 {
					now = append(now, now[0])
				}
			}
			if strange.IntN(3) == 0 {
				kept = all
			}
			last[side] = now
			return now
		})
		for range draw.IntN(6) {
			do := []mirrortest.Action{
				mirrortest.Cut(draw.IntN(900)), mirrortest.Error(503, 50003, "x"), mirrortest.RateLimited(),
				mirrortest.Error(403, 40301, "x"), status(200, "text/html", "<title>x</title>"), mirrortest.Handle(withNext),
				mirrortest.Error(404, 404, "The cluster link doesn't exist: dr-link"),
			}[draw.IntN(7)]
			cluster.Inject(mirrortest.Fault{Reads: true, Nth: 1 + draw.IntN(6), Do: do})
		}
	}
	if draw.IntN(2) == 0 {
		pair.Local.Inject(mirrortest.Fault{AfterApply: draw.IntN(2) == 0, Do: mirrortest.Cut(0)})
	}
	var report *mirror.Report
	if draw.IntN(6) == 0 {
		at := []time.Time{{}, time.Now()}[draw.IntN(2)]
		report = mirror.UnknownReport(pair.Local.ID, pair.Link(), verb, at, names...)
	} else {
		report, _ = call(t.Context(), t, client, verb, pair.Link(), mirror.Topics(names...))
	}
	for range draw.IntN(4) { // other operators, and what happens by itself
		cluster := []*mirrortest.Cluster{pair.Local, pair.Remote}[draw.IntN(2)]
		name, other := names[draw.IntN(len(names))], mirror.Verbs()[draw.IntN(6)]
		by := newClient(t, cluster.Config())
		itself := draw.IntN(3) == 0
		time.AfterFunc(time.Duration(draw.IntN(200))*time.Second, func() {
			if itself {
				cluster.SetStatus(name, mirror.StatusFailed)
				return
			}
			_, _ = call(t.Context(), t, by, other, pair.Link(), mirror.Topics(name))
		})
	}
	start := time.Now()
	p, err := client.Follow(t.Context(), report, mirror.FollowOptions{
		Other: newClient(t, pair.Remote.Config()), Interval: 15 * time.Second, Patience: 3 * time.Minute,
		OnPoll: func(_ context.Context, p *mirror.Progress) {
			for side, c := range p.Clusters {
				if c.Lists > lists[side] {
					whole[side], lists[side] = last[side], c.Lists
				}
			}
		},
	})
	require.Less(t, time.Since(start), 2*time.Hour, "there is always an end")
	if errors.Is(err, mirror.ErrInvalidArgument) {
		return // nothing to follow
	}
	settled := p.Report()
	open := func(one mirror.TopicProgress) bool { return one.Stage != mirror.StageDone || !one.Firm }
	require.Equal(t, err == nil, !slices.ContainsFunc(p.Followed, open), "%v", err)
	for side := range goals {
		for _, one := range p.Followed {
			shown := slices.ContainsFunc(whole[side], func(m mirror.Mirror) bool {
				return m.Topic == one.Topic && slices.Contains(goals[side], m.Status)
			})
			require.True(t, err != nil || goals[side] == nil || shown, "%s: the latest list of each cluster shows it", verb)
		}
	}
	for _, one := range p.Followed {
		res, _ := settled.Result(one.Topic)
		if one.Stage == mirror.StageDone {
			require.True(t, reached[0][one.Topic], "%s %s was never at its goal here", verb, one.Topic)
			require.True(t, goals[1] == nil || reached[1][one.Topic], "%s %s was never at its goal there", verb, one.Topic)
			require.Equal(t, mirror.Accepted, res.Outcome)
			continue
		}
		require.Equal(t, one.Outcome, res.Outcome, "nothing else settles anything")
		require.Nil(t, res.Settled)
	}
	require.Equal(t, err != nil && settled.Count(mirror.Unknown) > 0, errors.Is(err, mirror.ErrOutcomeUnknown))
}

// Merge keeps its laws for any three reports: about the same topics or others, by name or by pattern,
// of one run or of several, complete or not.
func TestMergeLaws(t *testing.T) {
	first := *seed
	if first == 0 {
		first = rand.Uint64()
	}
	for i := range *walks {
		draw := rand.New(rand.NewPCG(first+uint64(i), 7))
		runs := []string{"r1", "r2", "r3"}
		var all [3]*mirror.Report
		for j := range all {
			all[j] = drawnReport(t, draw, runs[draw.IntN(3)])
		}
		switch draw.IntN(8) { // reports that share attempts
		case 0:
			all[2] = all[draw.IntN(2)]
		case 1:
			all[1] = merged(t, all[0], all[1])
		case 2:
			all[2] = merged(t, all[1], all[2])
		}
		a, b, c := all[0], all[1], all[2]
		left := merged(t, merged(t, a, b), c)
		right := merged(t, a, merged(t, b, c))
		require.Equal(t, told(left), told(right), "associative: seed %d", first+uint64(i))
		require.Equal(t, told(left), told(merged(t, left, c)), "idempotent: seed %d", first+uint64(i))
		require.Equal(t, told(left), told(merged(t, left, left)), "idempotent: seed %d", first+uint64(i))
		require.Equal(t, told(a), told(merged(t, a, a)), "idempotent: seed %d", first+uint64(i))
		require.Equal(t, outcomesSorted(left), outcomesSorted(merged(t, merged(t, c, a), b)),
			"in any order: seed %d", first+uint64(i))
		for _, r := range all {
			for _, name := range r.Topics(mirror.Unknown) {
				res, found := left.Result(name)
				was, _ := r.Result(name)
				settled := res.Settled != nil && !was.Sent.After(res.Sent)
				require.True(t, found && (settled || res.Outcome == mirror.Unknown || res.Outcome == mirror.Accepted),
					"forgets no Unknown: seed %d", first+uint64(i))
			}
			require.False(t, r.Unaccounted == mirror.UnaccountedUnknown && left.Unaccounted != mirror.UnaccountedUnknown,
				"seed %d", first+uint64(i))
			require.False(t, r.UnexpectedCount > 0 && left.Err() == nil || r.Next != "" && left.Err() == nil,
				"seed %d", first+uint64(i))
		}
		require.Equal(t, told(left), told(clone(t, left)), "reports survive: seed %d", first+uint64(i))
	}
}

func merged(t *testing.T, a, b *mirror.Report) *mirror.Report {
	t.Helper()
	r, before := *a, told(b)
	require.NoError(t, r.Merge(b))
	require.Equal(t, before, told(b), "the other report is as it was")
	return &r
}

func outcomesSorted(r *mirror.Report) []string {
	return slices.Sorted(slices.Values(strings.Split(outcomes(r), ", ")))
}

// told is what a report says where order does not matter.
func told(r *mirror.Report) string {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, res := range r.Results {
		notes := slices.Sorted(slices.Values(res.Notes))
		add("topic %s %v %d %s %v %q", res.Topic, res.Outcome, res.Code, res.Message, res.Err(), notes)
	}
	for _, a := range r.Attempts {
		add("attempt %v %d %d %v", a.Run.ID, a.Batch, a.Number, a.Error)
	}
	for _, u := range r.Unexpected {
		add("unexpected %s %v %v", u.Topic, u.Outcome, u.Notes)
	}
	for _, c := range causes(r.Err()) {
		add("cause %v", c)
	}
	add("%v %v %v %v %s",
		r.Unaccounted, r.UnexpectedCount, r.Complete, errors.Is(r.Err(), mirror.ErrOutcomeUnknown), r.Next)
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// drawnReport is the report of a real call, against a server whose answer is drawn.
func drawnReport(t *testing.T, draw *rand.Rand, run string) *mirror.Report {
	t.Helper()
	names := []string{"p-1", "p-2", "p-3"}[:1+draw.IntN(3)]
	var list []string
	for _, name := range append(names, "p-4", "other")[:len(names)+draw.IntN(3)] {
		switch draw.IntN(6) {
		case 0:
			list = append(list, fmt.Sprintf(`{"mirror_topic_name":%q,"error_code":%d,"error_message":"no"}`,
				name, 400+draw.IntN(2)))
		case 1:
			list = append(list, fmt.Sprintf(`{"mirror_topic_name":%q}`, name))
		case 2:
		default:
			list = append(list, good(name))
		}
	}
	if draw.IntN(10) == 0 {
		list = append(list, `{}`)
	}
	body, code, kind := rows(list...), 200, kafka
	switch draw.IntN(12) {
	case 0:
		body = strings.TrimSuffix(body, "}")
	case 1:
		body += "x"
	case 2:
		body = strings.Replace(body, `"self":"s"}`, `"self":"s","next":"p"}`, 1)
	case 3:
		body, code = `{"error_code":403}`, 403
	case 4:
		body, code = `{"error_code":50003}`, 503
	case 5:
		body, code, kind = "<title>x</title>", 200, "text/html"
	}
	sel := mirror.Topics(names...)
	switch draw.IntN(8) {
	case 0, 1, 2:
		sel = mirror.Prefix("p-")
	case 3:
		sel = mirror.Topics()
	}
	cfg := mirror.Config{Endpoint: "http://127.0.0.1:1", ClusterID: "c", Credential: mirror.NoCredential(), RetryFor: -1}
	cfg.Middleware = func(http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			io.Copy(io.Discard, r.Body)
			return &http.Response{
				StatusCode: code, Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(strings.NewReader(body)),
			}, nil
		})
	}
	report, _ := newClient(t, cfg).ReverseAndPause(context.Background(), "l", sel)
	batch := draw.IntN(1 << 30)
	for i := range report.Attempts { // of a few runs
		report.Attempts[i].Run.ID, report.Attempts[i].Batch = run, batch
	}
	for _, name := range report.Topics(mirror.Unknown) {
		if draw.IntN(4) == 0 {
			to := []mirror.Outcome{mirror.Accepted, mirror.Failed, mirror.Untouched}[draw.IntN(3)]
			require.NoError(t, report.Settle(name, to, fmt.Sprint("seen ", draw.IntN(1000))))
		}
	}
	return clone(t, report)
}
