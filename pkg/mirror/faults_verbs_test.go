package mirror_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// The decisive faults, for each verb.
func TestFaults_Verbs(t *testing.T) { runFaults(t, "verbs", faultsOfEachVerb()) }

func faultsOfEachVerb() []fault {
	busy := mirrortest.Error(503, 50003, "x")
	delayed := mirrortest.WithHeader(mirrortest.Error(429, 42901, "x"), "DoSFilter", "delayed")
	cut := ok(strings.TrimSuffix(rows(good("a"), good("b")), `":[]}]}`))
	renewed := func(e *env) {
		e.pair.Local.AcceptToken("second-token", "")
		tokens("first-token", "second-token")(e)
	}
	var cases []fault
	for _, v := range allVerbs {
		page := fault{outcomes: "2 accepted", seen: 2, applied: "a b"}
		if v == mirror.VerbTruncateAndRestore {
			page = fault{outcomes: "2 unknown", seen: 1}
		}
		page.name, page.inject = "the limiter's page without its header", before(mirrortest.RateLimitedWithoutHeader())
		for _, f := range []fault{
			page,
			{name: "nothing goes wrong", outcomes: "2 accepted", seen: 1, applied: "a b"},
			{name: "a lost answer, before apply", outcomes: "2 unknown", seen: 1, inject: before(mirrortest.Cut(0))},
			{name: "a lost answer, after apply", outcomes: "2 unknown", seen: 1, applied: "a b", inject: after(mirrortest.Cut(0))},
			{name: "a delayed 429, before apply", outcomes: "2 unknown", seen: 1, inject: before(delayed)},
			{name: "a delayed 429, after apply", outcomes: "2 unknown", seen: 1, applied: "a b", inject: after(delayed)},
			{name: "the limiter's 429", outcomes: "2 accepted", seen: 2, applied: "a b", inject: before(mirrortest.RateLimited())},
			{name: "a 401, then a renewed token", outcomes: "2 accepted", seen: 2, applied: "a b", setup: renewed},
			{
				name: "a refused topic", outcomes: "accepted, failed", seen: 1, applied: "a",
				inject: []mirrortest.Fault{{Topic: "b", Do: mirrortest.Row(refused("b"))}},
			},
			{
				name: "a missing row", outcomes: "accepted, unknown", seen: 1, applied: "a b",
				inject: []mirrortest.Fault{{Topic: "b", AfterApply: true, Do: mirrortest.LeaveOut()}},
			},
			{name: "a cut body", outcomes: "accepted, unknown", seen: 1, applied: "a b", inject: after(cut)},
			{name: "a 503, before apply", outcomes: "2 unknown", seen: 1, inject: before(busy)},
			{name: "a 503, after apply", outcomes: "2 unknown", seen: 1, applied: "a b", inject: after(busy)},
			{name: "a 403", outcomes: "2 untouched", seen: 1, inject: before(mirrortest.Error(403, 40301, "x"))},
			{name: "a dry run", setup: dryRun, outcomes: "2 accepted", seen: 1},
			{name: "a dry run, and a 503 first", setup: dryRun, outcomes: "2 accepted", seen: 2, inject: before(busy)},
		} {
			more := f.setup
			f.name = strings.TrimSuffix(string(v), "-mirror") + ": " + f.name
			f.setup = func(e *env) {
				e.verb = v
				e.use(mirrortest.NewPair(e.T, mirrortest.Options{
					InMemory: true, Topics: []mirrortest.Topic{topicFor(v, "a"), topicFor(v, "b")},
				}))
				if more != nil {
					more(e)
				}
			}
			f.check = func(e *env) {
				require.Equal(e, v, e.report.Verb)
				for _, r := range e.requests() {
					require.Contains(e, r.URI, "/mirrors:"+string(v)+"?")
				}
			}
			cases = append(cases, f)
		}
	}
	return cases
}
