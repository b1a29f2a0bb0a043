package mirror_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

var (
	walks = flag.Int("walks", 25, "how many random walks, and how many triples of reports to merge")
	seed  = flag.Uint64("seed", 1, "the seed of the walks; 0 draws one")
)

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
			t.Fatalf("walk %d fails: go test -run '^%s$' -walks 1 -seed %d", i, t.Name(), one)
		}
	}
}

// TestModel_Calls walks at random: calls of every verb, to two clusters with faults before and after the change is
// applied, through a transport and with a recorder that fail. The reports are held to what the clusters really did.
func TestModel_Calls(t *testing.T) {
	walkEach(t, walk)
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
			Partitions: []mirrortest.Partition{{Lag: draw.Int64N(3), LastSourceFetchOffset: 3}},
		})
		names = append(names, name)
	}
	pair := mirrortest.NewPair(t, mirrortest.Options{
		InMemory: true, Topics: topics, Takes: time.Duration(draw.IntN(3)) * time.Second, Shuffle: true,
		Rate: []mirrortest.Rate{{}, {PerClient: 2}, {PerServer: 1}, {PerServer: 1, Mode: mirrortest.RateDelay}}[draw.IntN(4)],
	})
	wholes := map[string]*mirror.Report{} // by cluster and verb
	lies := map[string]bool{}             // topics of which a row said no although it was done
	page := false                         // a 429 that proves nothing came after a change was applied
	for range 1 + draw.IntN(4) {
		cluster := []*mirrortest.Cluster{pair.Local, pair.Local, pair.Remote}[draw.IntN(3)]
		cfg := cluster.Config()
		cfg.BatchSize = 1 + draw.IntN(4)
		cfg.Transport = failing(draw, cfg.Transport)
		if draw.IntN(4) == 0 {
			cfg.RetryFor = time.Duration(draw.IntN(20)-1) * time.Second
		}
		var recorded mirror.Report // what a job would have on disk
		refuses := draw.IntN(30)
		cfg.Recorder = recorder{
			func(ctx context.Context, b mirror.Batch) error {
				require.NoError(t, ctx.Err())
				if b.Index == refuses {
					return errors.New("disk full")
				}
				return nil
			},
			func(ctx context.Context, b mirror.Batch, r *mirror.Report) error {
				require.NoError(t, ctx.Err())
				require.Len(t, r.Results, len(b.Topics))
				return recorded.Merge(r)
			},
		}
		client := newClient(t, cfg)
		verb := mirror.VerbReverseAndPause
		if draw.IntN(2) == 0 {
			verb = allVerbs[draw.IntN(len(allVerbs))]
		}
		some := names[draw.IntN(len(names)):]
		var plan *mirror.Report
		if verb == mirror.VerbTruncateAndRestore {
			sure := newClient(t, cluster.Config())
			plan, _ = sure.Validate(t.Context(), verb, pair.Link(), mirror.Topics(some...))
			if some = plan.Topics(mirror.Accepted); len(some) == 0 {
				continue
			}
			if plan, _ = sure.Validate(t.Context(), verb, pair.Link(), mirror.Topics(some...)); plan.Err() != nil {
				continue
			}
		}
		for range draw.IntN(4) {
			f := mirrortest.Fault{Nth: 1 + draw.IntN(3), AfterApply: draw.IntN(2) == 0}
			f.Do = whatFails(draw, f.AfterApply)
			if f.AfterApply && draw.IntN(8) == 0 { // the library retries it, and the second request finds the work done
				f.Do, page = mirrortest.RateLimitedWithoutHeader(), true
			}
			if f.AfterApply && draw.IntN(6) == 0 { // the only lie
				f.Topic = names[draw.IntN(len(names))]
				f.Do = mirrortest.Row(`{"mirror_topic_name":"` + f.Topic + `","error_code":50003,"error_message":null}`)
				lies[f.Topic] = true
			}
			cluster.Inject(f)
		}
		before, sent := len(pair.Requests()), map[string]int{}
		for _, name := range some {
			sent[name] = cluster.Sent(name)
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
			report, err = client.Do(ctx, verb, pair.Link(), mirror.Topics(some...))
		}
		cancel()
		requireSound(t, report, err, some)
		applied := did(pair.Requests()[before:], cluster, verb)
		for _, r := range report.Results {
			done := applied[r.Topic]
			if !page {
				require.LessOrEqual(t, cluster.Sent(r.Topic)-sent[r.Topic], 1, "the library sent %s again", r.Topic)
			}
			switch {
			case dryRun:
				require.Zero(t, done, "a dry run of %s changed %s", verb, r.Topic)
			case r.Outcome == mirror.Accepted && page: // a pause, say, can be done twice
				require.GreaterOrEqual(t, done, 1, "%s is accepted", r.Topic)
			case r.Outcome == mirror.Accepted:
				require.Equal(t, 1, done, "%s is accepted", r.Topic)
			case r.Outcome == mirror.Untouched, r.Outcome == mirror.Failed && !lies[r.Topic]:
				require.Zero(t, done, "%s is %v: %v", r.Topic, r.Outcome, r.Err())
			}
		}
		first := map[int]time.Time{}
		for _, a := range report.Attempts {
			require.Less(t, a.Number, 100, "no hot loop")
			if a.Number == 1 {
				first[a.Batch] = a.Start
			}
			require.False(t, a.Start.Before(first[a.Batch]))
		}
		if dryRun {
			require.Equal(t, mirror.Report{}, recorded)
			continue
		}
		for _, r := range report.Results {
			have, found := recorded.Result(r.Topic)
			require.True(t, found || r.Outcome == mirror.Untouched, "what was not recorded was not sent")
			require.True(t, !found || have.Outcome == r.Outcome, "the recorder was told %v, the caller %v", have.Outcome, r.Outcome)
		}
		for _, name := range report.Topics(mirror.Unknown) { // a person looks
			if draw.IntN(3) == 0 {
				to := mirror.Untouched
				if applied[name] > 0 {
					to = mirror.Accepted
				}
				require.NoError(t, report.Settle(to, "it was looked at", name))
			}
		}
		if part := cluster.ID + string(verb); wholes[part] == nil {
			wholes[part] = report
		} else {
			require.NoError(t, wholes[part].Merge(report))
		}
		if draw.IntN(2) == 0 {
			time.Sleep(time.Duration(draw.IntN(5)) * time.Second)
		}
	}
	for _, cluster := range []*mirrortest.Cluster{pair.Local, pair.Remote} {
		for _, verb := range allVerbs {
			whole := wholes[cluster.ID+string(verb)]
			if whole == nil {
				continue
			}
			applied := did(pair.Requests(), cluster, verb)
			for _, r := range readBack(t, whole).Results {
				switch {
				case r.Outcome == mirror.Accepted:
					require.NotZero(t, applied[r.Topic], "%s is accepted after all", r.Topic)
				case r.Outcome == mirror.Untouched, r.Outcome == mirror.Failed && !lies[r.Topic]:
					require.Zero(t, applied[r.Topic], "%s is %v after all", r.Topic, r.Outcome)
				}
			}
		}
	}
}

// did counts for each topic how often a cluster did what requests of a verb asked for.
func did(requests []mirrortest.Request, cluster *mirrortest.Cluster, verb mirror.Verb) map[string]int {
	applied := map[string]int{}
	for _, r := range requests {
		for _, name := range r.Applied {
			if r.Cluster == cluster.ID && r.Verb == verb {
				applied[name]++
			}
		}
	}
	return applied
}

// whatFails draws what goes wrong. What proves by the table that nothing was done comes before it was applied only.
func whatFails(draw *rand.Rand, afterApply bool) mirrortest.Action {
	delayed := func(do mirrortest.Action) mirrortest.Action { return mirrortest.WithHeader(do, "DoSFilter", "delayed") }
	const kafka, html = "application/json", "text/html"
	all := []mirrortest.Action{
		mirrortest.Cut(0), mirrortest.Reset(0), silent(), mirrortest.Handle(dripping),
		mirrortest.Error(500, 50003, "x"), mirrortest.Error(503, 50302, "x"), mirrortest.Error(408, 408, "x"),
		mirrortest.Error(429, 42901, "x"), mirrortest.Error(400, 40002, "x"), mirrortest.Error(413, 413, "x"),
		delayed(mirrortest.Error(429, 42901, "x")), delayed(mirrortest.RateLimitedWithoutHeader()),
		status(400, kafka, `{"error_code":40002,"message":"x`), status(400, kafka, `{"error_code":400`), status(400, "", ""),
		status(400, html, "<title>x</title>"), status(403, html, "<title>x</title>"), status(422, kafka, "{}"),
		status(303, "", "", "Location", "/x"), status(406, "", ""), status(411, "", ""), status(431, "", ""),
		mirrortest.WithHeader(mirrortest.Error(403, 40301, "x"), "X-Envoy-Attempt-Count", "2"),
		status(200, html, "<title>x</title>"), status(200, kafka, `{"data":null}`), status(200, kafka, `{"data":[`),
		status(200, kafka, "{}", "Content-Encoding", "br"), status(202, kafka, rows()),
	}
	if afterApply {
		all = append(all, mirrortest.Cut(draw.IntN(2000)), mirrortest.Reset(draw.IntN(2000)))
	} else {
		all = append(all, mirrortest.RateLimited(), mirrortest.RateLimitedWithoutHeader(), mirrortest.Error(403, 40301, "x"),
			mirrortest.Error(401, 40101, "x"), mirrortest.Error(404, 404, "x"), status(421, "", ""), status(405, "", ""),
			status(307, "", "", "Location", "/x"))
	}
	return all[draw.IntN(len(all))]
}

// dripping sends the proper answer 50 bytes at a time, too slowly.
func dripping(w http.ResponseWriter, r *http.Request, _ http.Handler) {
	w.Header().Set("Content-Type", "application/json")
	for {
		_, _ = io.WriteString(w, strings.Repeat(" ", 50))
		_ = http.NewResponseController(w).Flush()
		select {
		case <-time.After(20 * time.Second):
		case <-r.Context().Done():
			return
		}
	}
}

// failing is a transport that now and then fails: before it takes anything of the body, after it took it, or after it sent
// it, with errors that look like the library's own.
func failing(draw *rand.Rand, next http.RoundTripper) http.RoundTripper {
	errs := []error{
		mirror.ErrRateLimited, &mirror.APIError{Status: 429}, &mirror.APIError{Status: 401}, mirror.ErrUnauthenticated,
		syscall.ECONNREFUSED, os.ErrDeadlineExceeded, io.EOF, context.Canceled, errors.New("the circuit is open"),
	}
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		err := fmt.Errorf("transport: %w", errs[draw.IntN(len(errs))])
		switch draw.IntN(24) {
		case 0:
			return nil, err
		case 1:
			_, _ = io.Copy(io.Discard, r.Body)
			return nil, err
		case 2:
			if resp, err := next.RoundTrip(r); err == nil {
				_ = resp.Body.Close()
			}
			return nil, err
		case 3:
			resp, sendErr := next.RoundTrip(r)
			if sendErr == nil {
				_ = resp.Body.Close()
				resp.Body = io.NopCloser(iotest.ErrReader(err))
			}
			return resp, sendErr
		}
		return next.RoundTrip(r)
	})
}

// fact is something that one report says of a topic.
type fact struct {
	name   string
	report *mirror.Report
}

// facts are what a report can say of a topic, by requests of several runs.
func facts(t *testing.T) []fact {
	of := func(r mirror.Result, run string, unknown bool) *mirror.Report {
		r.Topic, r.MessagesTruncated = "x", -1
		if run != "" {
			r.Sends = []mirror.Send{{Run: run, Unknown: unknown}}
		}
		return &mirror.Report{Verb: mirror.VerbPromote, Results: []mirror.Result{r}, Attempts: []mirror.Attempt{{Run: run, Number: 1}}}
	}
	settled := func(r *mirror.Report, to mirror.Outcome) *mirror.Report {
		r = r.Clone()
		require.NoError(t, r.Settle(to, "seen", "x"))
		return r
	}
	stopped := mirror.Result{Outcome: mirror.Failed, Code: 400, Message: "Topic 'x' has already stopped its mirror from 'l'"}
	first, second := of(mirror.Result{Why: "lost"}, "r1", true), of(mirror.Result{Why: "lost"}, "r2", true)
	return []fact{
		{"untouched", of(mirror.Result{Outcome: mirror.Untouched, Why: "refused"}, "", false)},
		{"r1 unknown", first},
		{"r1 settled as done", settled(first, mirror.Accepted)},
		{"r1 settled as untouched", settled(first, mirror.Untouched)},
		{"r2 unknown", second},
		{"r2 settled as untouched", settled(second, mirror.Untouched)},
		{"refused", of(stopped, "r3", false)},
		{"refused, settled as done", settled(of(stopped, "r3", false), mirror.Accepted)},
		{"accepted", of(mirror.Result{Outcome: mirror.Accepted}, "r4", false)},
	}
}

// outcomeOf is what a set of facts comes to.
func outcomeOf(known map[string]bool) mirror.Outcome {
	switch {
	case known["accepted"], known["r1 settled as done"], known["refused, settled as done"]:
		return mirror.Accepted
	case known["r1 unknown"] && !known["r1 settled as untouched"], known["r2 unknown"] && !known["r2 settled as untouched"]:
		return mirror.Unknown
	case known["refused"]:
		return mirror.Failed
	}
	return mirror.Untouched
}

// TestModel_ReportsSurviveTheLawsOfMerge: Merge is associative, commutative and idempotent for outcomes. What a sequence of
// up to five facts comes to depends on which facts are in it, and on nothing else, however the merges are grouped.
func TestModel_ReportsSurviveTheLawsOfMerge(t *testing.T) {
	all := facts(t)
	merge := func(a, b *mirror.Report) *mirror.Report {
		r := a.Clone()
		if err := r.Merge(b); err != nil {
			t.Fatal(err)
		}
		return r
	}
	var fromTheEnd, inHalves func(sequence []fact) *mirror.Report
	fromTheEnd = func(sequence []fact) *mirror.Report {
		if len(sequence) == 1 {
			return sequence[0].report
		}
		return merge(sequence[0].report, fromTheEnd(sequence[1:]))
	}
	inHalves = func(sequence []fact) *mirror.Report {
		if len(sequence) == 1 {
			return sequence[0].report
		}
		half := len(sequence) / 2
		return merge(inHalves(sequence[:half]), inHalves(sequence[half:]))
	}
	longest, sequences := 3, 0
	if *walks >= 1000 {
		longest = 5
	}
	var grow func(sequence []fact, fromTheStart *mirror.Report)
	grow = func(sequence []fact, fromTheStart *mirror.Report) {
		sequences++
		known := map[string]bool{}
		for _, f := range sequence {
			known[f.name] = true
		}
		want := outcomeOf(known)
		for _, r := range []*mirror.Report{fromTheStart, fromTheEnd(sequence), inHalves(sequence)} {
			got := r.Results[0]
			if got.Outcome != want || (got.Why != "") != (want == mirror.Unknown || want == mirror.Untouched) {
				t.Fatalf("%v comes to %v (%q), not %v", slices.Sorted(maps.Keys(known)), got.Outcome, got.Why, want)
			}
		}
		if len(sequence) == longest {
			return
		}
		for _, f := range all {
			grow(append(slices.Clip(sequence), f), merge(fromTheStart, f.report))
		}
	}
	for _, f := range all {
		grow([]fact{f}, f.report)
	}
	t.Logf("%d sequences of %d facts", sequences, len(all))
}

// Reports of real calls, of one run or of several, with settlements: merging keeps its laws, and forgets no Unknown, no
// problem and no stranger.
func TestModel_MergeOfCalls(t *testing.T) {
	first := *seed
	if first == 0 {
		first = rand.Uint64()
	}
	for i := range *walks {
		draw := rand.New(rand.NewPCG(first+uint64(i), 7))
		all := []*mirror.Report{drawnReport(t, draw), drawnReport(t, draw), drawnReport(t, draw)}
		if draw.IntN(3) == 0 { // reports that share requests
			all[2] = merged(t, all[draw.IntN(2)], all[2])
		}
		a, b, c := all[0], all[1], all[2]
		left := merged(t, merged(t, a, b), c)
		want := told(left)
		for _, other := range []*mirror.Report{
			merged(t, a, merged(t, b, c)), merged(t, left, c), merged(t, left, left), merged(t, merged(t, c, a), b), readBack(t, left),
		} {
			require.Equal(t, want, told(other), "seed %d", first+uint64(i))
		}
		for _, r := range all {
			for _, name := range r.Topics(mirror.Unknown) {
				res, found := left.Result(name)
				require.True(t, found && (res.Outcome == mirror.Unknown || res.Outcome == mirror.Accepted || covered(all, r, name)))
			}
			if len(r.Problems)+len(r.Unexpected) > 0 {
				require.Error(t, left.Err())
			}
		}
	}
}

// covered tells whether one of the reports has a settlement of each request whose outcome r does not know.
func covered(all []*mirror.Report, r *mirror.Report, name string) bool {
	res, _ := r.Result(name)
	for _, s := range res.Sends {
		if s.Unknown && !slices.ContainsFunc(all, func(o *mirror.Report) bool {
			other, _ := o.Result(name)
			return slices.ContainsFunc(other.Sends, func(o mirror.Send) bool { return o.Run == s.Run && o.Settled })
		}) {
			return false
		}
	}
	return true
}

func merged(t *testing.T, a, b *mirror.Report) *mirror.Report {
	t.Helper()
	r, before := a.Clone(), marshal(t, b)
	require.NoError(t, r.Merge(b))
	require.Equal(t, before, marshal(t, b), "the other report is as it was")
	return r
}

// told is what a report says where order and texts do not matter.
func told(r *mirror.Report) string {
	lines := map[string]bool{}
	add := func(format string, args ...any) { lines[fmt.Sprintf(format, args...)] = true }
	for _, res := range r.Results {
		add("topic %s %v %v %v", res.Topic, res.Outcome, res.Done, res.Err() == nil)
		for _, s := range res.Sends {
			add("send %s %v", res.Topic, s)
		}
	}
	for _, a := range r.Attempts {
		add("attempt %v %d %d %v", a.Run, a.Batch, a.Number, a.Error)
	}
	for _, u := range r.Unexpected {
		add("unexpected %s %v %d", u.Topic, u.Outcome, u.Code)
	}
	for _, p := range r.Problems {
		add("problem %s", p)
	}
	add("%v %v", r.Err() == nil, errors.Is(r.Err(), mirror.ErrOutcomeUnknown))
	return strings.Join(slices.Sorted(maps.Keys(lines)), "\n")
}

// drawnReport is the report of a real call, whose answer is drawn.
func drawnReport(t *testing.T, draw *rand.Rand) *mirror.Report {
	t.Helper()
	names := []string{"p-1", "p-2", "p-3"}[:1+draw.IntN(3)]
	var list []string
	for _, name := range append(names, "p-4", "other")[:len(names)+draw.IntN(3)] {
		switch draw.IntN(6) {
		case 0:
			list = append(list, failed(name, fmt.Sprint(400+draw.IntN(2)), "no"))
		case 1:
			list = append(list, fmt.Sprintf(`{"mirror_topic_name":%q}`, name))
		case 2:
		default:
			list = append(list, good(name))
		}
	}
	body := rows(list...)
	switch draw.IntN(8) {
	case 0:
		body = strings.TrimSuffix(body, "}")
	case 1:
		body += "x"
	case 2:
		body = strings.Replace(body, `"self":"s"}`, `"self":"s","next":"p"}`, 1)
	}
	transport := answering(body)
	switch draw.IntN(8) {
	case 0:
		transport = taken(io.ErrUnexpectedEOF)
	case 1:
		transport = roundTripper(func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })
	}
	cfg := offline(transport)
	cfg.BatchSize = 2
	report, _ := newClient(t, cfg).Promote(t.Context(), "link", mirror.Topics(names...))
	for _, name := range report.Topics(mirror.Unknown) {
		if draw.IntN(4) == 0 {
			to := []mirror.Outcome{mirror.Accepted, mirror.Untouched}[draw.IntN(2)]
			require.NoError(t, report.Settle(to, fmt.Sprint("seen ", draw.IntN(1000)), name))
		}
	}
	return report
}

// Whatever the body of a 200 holds, each topic has one outcome, and reading the body in single bytes comes to the same.
func FuzzAnswer(f *testing.F) {
	for _, body := range []string{
		rows(good("a"), failed("b", "400", "no")),
		`{"metadata":{"next":"x"},"data":[{"mirror_topic_name":"a","error_code":400},{"mirror_topic_name":"a"},{},null]}`,
		`{"data":[{"error\u005fcode":1e2,"mirror_topic_name":"a"}],"data":[]}x`, "\xff", `{"data":`, `[`, `{"data":{}}`,
		`{"data":[{"mirror_topic_name":"a","error_code":0,"mirror_lags":[{"lag":"x"}],"partition_level_truncation_data":[[]]}]}`,
	} {
		f.Add([]byte(body), false)
		f.Add([]byte(body), true)
	}
	f.Fuzz(func(t *testing.T, body []byte, pattern bool) {
		read := func(r io.Reader) *mirror.Report {
			s := mirror.Topics("a", "b")
			if pattern {
				s = mirror.Prefix("a")
			}
			report, err := newClient(t, offline(roundTripper(func(q *http.Request) (*http.Response, error) {
				resp, err := answering("").RoundTrip(q)
				resp.Body = io.NopCloser(r)
				return resp, err
			}))).Pause(t.Context(), "link", s)
			require.Equal(t, err == nil, report.Err() == nil)
			return report
		}
		report := read(bytes.NewReader(body))
		pieces := read(iotest.OneByteReader(bytes.NewReader(body)))
		require.Equal(t, outcomes(report), outcomes(pieces))
		require.Equal(t, report.Err() == nil, pieces.Err() == nil)
		require.Len(t, pieces.Unexpected, len(report.Unexpected))
		require.Equal(t, report.Lost, pieces.Lost)

		if !pattern {
			require.Len(t, report.Results, 2)
		}
		seen := map[string]bool{}
		for _, r := range report.Results {
			require.Regexp(t, `^[a-zA-Z0-9._-]{1,249}$`, r.Topic)
			require.False(t, seen[r.Topic])
			seen[r.Topic] = true
			require.NotEqual(t, mirror.Untouched, r.Outcome)
			require.Equal(t, r.Outcome == mirror.Accepted, r.Err() == nil)
		}
		if report.Err() == nil {
			require.True(t, json.Valid(body) || !utf8.Valid(body))
			require.Equal(t, len(report.Results), report.Count(mirror.Accepted))
			require.NotEmpty(t, report.Results)
		}
		requirePrintable(t, table(t, report))
		require.Equal(t, marshal(t, report), marshal(t, readBack(t, report)))
	})
}

func requirePrintable(t *testing.T, text string) {
	t.Helper()
	for _, r := range text {
		require.True(t, r == '\n' || unicode.IsPrint(r), "%q", r)
	}
}

// Whatever a list holds, it is complete only if nothing is missing.
func FuzzMirrors(f *testing.F) {
	f.Add([]byte(rows(listed("a", "ACTIVE"), listed("b", "STOPPED"))))
	f.Add([]byte(rows(listed("a", "ACTIVE"), listed("a", ""))))
	f.Add([]byte(`{"data":[{"link_name":"link","mirror_topic_name":"a","mirror_status":"X","num_partitions":"1"}],"errors":[1]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		l, err := newClient(t, offline(answering(string(body)))).Mirrors(t.Context(), "link")
		require.Equal(t, err == nil, l.Complete)
		require.True(t, l.Read || !l.Complete)
		seen := map[string]bool{}
		for _, m := range l.Mirrors {
			require.False(t, seen[m.Topic])
			seen[m.Topic] = true
			require.NotEmpty(t, m.Topic)
			require.True(t, m.Status != "" || !l.Complete)
			for _, p := range m.Lags {
				require.GreaterOrEqual(t, min(int64(p.Partition), p.Lag, p.LastSourceFetchOffset), int64(-1))
			}
		}
		_, err = json.Marshal(l)
		require.NoError(t, err)
	})
}

// A report that was read from anywhere can be printed and merged, and is written as it was read.
func FuzzReportJSON(f *testing.F) {
	text, _ := json.Marshal(sample())
	f.Add(string(text))
	f.Add(`{"version":4,"results":[{"topic":"a","outcome":"accepted"}],"lost":true}`)
	f.Add(`{"version":4,"results":[{"topic":"a","outcome":"unknown"}]}`)
	f.Add(`{"version":4,"pattern":"x","results":[],"attempts":[{"duration_ns":-1}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		var r mirror.Report
		if json.Unmarshal([]byte(text), &r) != nil {
			return
		}
		requirePrintable(t, table(t, &r))
		requirePrintable(t, r.String())
		require.Equal(t, marshal(t, &r), marshal(t, readBack(t, &r)))
		require.Equal(t, r.Err() == nil, readBack(t, &r).Err() == nil)
		_ = logged(&r)
		whole := r.Clone()
		if whole.Merge(&r) != nil {
			return
		}
		for i, res := range r.Results { // an Unknown stays one, unless what was read contradicts itself
			if res.Outcome == mirror.Unknown && !slices.ContainsFunc(res.Sends, func(s mirror.Send) bool { return !s.Unknown || s.Settled }) {
				require.Contains(t, []mirror.Outcome{mirror.Unknown, mirror.Accepted}, whole.Results[i].Outcome)
			}
		}
	})
}

// What the checks let through becomes exactly the path that was meant, and nothing of a secret in the endpoint is in an
// error.
func FuzzEndpointAndNames(f *testing.F) {
	f.Add("https://h", "lkc-1", "link")
	f.Add("http://u:s3cr3t@h:9092/kafka?q#f", "..", "-")
	f.Add("https://[::1%25z]:1", "a/b", "%2e%2e")
	f.Fuzz(func(t *testing.T, endpoint, clusterID, link string) {
		const secret = "s3cr3t"
		sent := ""
		cfg := offline(roundTripper(func(r *http.Request) (*http.Response, error) {
			sent = r.URL.String()
			return nil, io.ErrUnexpectedEOF
		}))
		cfg.Endpoint, cfg.ClusterID, cfg.AllowHTTP = endpoint, clusterID, true
		client, err := mirror.NewClient(cfg)
		if err != nil {
			require.ErrorIs(t, err, mirror.ErrInvalidArgument)
			require.False(t, strings.Contains(err.Error(), secret) && !strings.Contains(clusterID, secret))
			return
		}
		_, err = client.ReverseAndPause(t.Context(), link, mirror.Topics("a"))
		require.Error(t, err)
		if sent == "" {
			require.ErrorIs(t, err, mirror.ErrInvalidArgument)
			return
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, sent, nil)
		require.NoError(t, err)
		require.Equal(t, "/kafka/v3/clusters/"+clusterID+"/links/"+link+"/mirrors:reverse-and-pause-mirror", r.URL.Path)
		require.Equal(t, 7, strings.Count(r.URL.EscapedPath(), "/"), r.URL.EscapedPath())
		require.Equal(t, "validate_only=false", r.URL.RawQuery)
		require.Nil(t, r.URL.User)
	})
}

// What Prefix and Suffix match is what their expression matches, searched or as a whole.
func FuzzSelections(f *testing.F) {
	f.Add("orders.", "orders.eu")
	f.Add(".", "a.b")
	f.Add("-_", "x-_")
	f.Fuzz(func(t *testing.T, literal, name string) {
		for _, s := range []mirror.Selection{
			mirror.Prefix(literal), mirror.Suffix(literal), mirror.Prefix("zz", literal), mirror.Suffix(literal, "zz"),
		} {
			matched, err := s.Match([]string{name})
			if err != nil {
				require.ErrorIs(t, err, mirror.ErrInvalidArgument)
				continue
			}
			if strings.Contains(name, "\n") {
				continue // no topic name; '.' does not match it
			}
			report, _ := newClient(t, offline(answering(rows()))).Pause(t.Context(), "link", s)
			require.Equal(t, len(matched) == 1, regexp.MustCompile(report.Pattern).MatchString(name))
			require.Equal(t, len(matched) == 1, regexp.MustCompile(`\A(?:`+report.Pattern+`)\z`).MatchString(name))
		}
		_, err := mirror.Pattern(literal).Match(nil)
		require.ErrorIs(t, err, mirror.ErrInvalidArgument)
	})
}
