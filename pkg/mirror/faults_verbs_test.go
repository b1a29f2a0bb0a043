package mirror_test

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// method returns the method of a verb, which is named after it.
func method(t *testing.T, c *mirror.Client, v mirror.Verb) reflect.Value {
	t.Helper()
	name := ""
	for word := range strings.SplitSeq(strings.TrimSuffix(string(v), "-mirror"), "-") {
		if name != "" && word == "and" {
			word = "And"
		}
		name += strings.ToUpper(word[:1]) + word[1:]
	}
	m := reflect.ValueOf(c).MethodByName(name)
	require.True(t, m.IsValid(), "the verb %s has no method %s", v, name)
	return m
}

// call makes a call of a verb. For truncate-and-restore the plan is one that a dry run could have made:
// the faults are for the call.
func call(
	ctx context.Context, t *testing.T, c *mirror.Client, v mirror.Verb, link string, s mirror.Selection,
) (*mirror.Report, error) {
	t.Helper()
	switch f := method(t, c, v).Interface().(type) {
	case func(context.Context, string, mirror.Selection) (*mirror.Report, error):
		return f(ctx, link, s)
	case func(context.Context, *mirror.Report, int64) (*mirror.Report, error):
		plan := &mirror.Report{Verb: v, DryRun: true, ClusterID: "lkc-local", Link: link, Complete: true}
		names, err := s.Match([]string{"a", "b"})
		require.NoError(t, err)
		for _, name := range names {
			one := mirror.Result{Topic: name, Outcome: mirror.Accepted, MessagesTruncated: new(int64(5))}
			plan.Results = append(plan.Results, one)
		}
		return f(ctx, plan, 10)
	}
	require.Fail(t, "the method of "+string(v)+" is of no known form")
	return nil, nil
}

// topicFor is a topic that a verb can be done to.
func topicFor(v mirror.Verb, name string) mirrortest.Topic {
	topic := mirrortest.Topic{Name: name}
	switch v {
	case mirror.VerbResume:
		topic.Status = mirror.StatusPaused
	case mirror.VerbTruncateAndRestore:
		topic.Status, topic.Remote = mirror.StatusStopped, mirror.StatusStopped
	}
	return topic
}

// faultsOfEachVerb are the decisive faults of the table, for each verb.
func faultsOfEachVerb() []fault {
	before := func(do mirrortest.Action) []mirrortest.Fault { return []mirrortest.Fault{{Do: do}} }
	missing := []mirrortest.Fault{{Topic: "b", AfterApply: true, Do: mirrortest.LeaveOut()}}
	busy := mirrortest.Error(503, 50003, "x")
	delayed := mirrortest.WithHeader(mirrortest.Error(429, 42901, "x"), "DoSFilter", "delayed")
	cut := ok(strings.TrimSuffix(rows(good("a"), good("b")), `":[]}]}`))
	refused := []mirrortest.Fault{{
		Topic: "b", Do: mirrortest.Row(`{"mirror_topic_name":"b","error_code":400,"error_message":"no"}`),
	}}
	var all []fault
	for _, v := range mirror.Verbs() {
		page := fault{outcomes: "AA", seen: 2, applied: "11"}
		if v == mirror.VerbTruncateAndRestore {
			page = fault{outcomes: "KK", seen: 1}
		}
		page.name, page.inject = "the limiter's page without its header", before(mirrortest.RateLimitedWithoutHeader())
		for _, f := range []fault{
			page,
			{name: "nothing goes wrong", outcomes: "AA", seen: 1, applied: "11"},
			{name: "a lost answer, before", outcomes: "KK", seen: 1, inject: before(mirrortest.Cut(0))},
			{name: "a lost answer, after", outcomes: "KK", seen: 1, applied: "11", inject: after(mirrortest.Cut(0))},
			{name: "a delayed 429, before", outcomes: "KK", seen: 1, inject: before(delayed)},
			{name: "a delayed 429, after", outcomes: "KK", seen: 1, applied: "11", inject: after(delayed)},
			{name: "the limiter's 429", outcomes: "AA", seen: 2, applied: "11", inject: before(mirrortest.RateLimited())},
			{name: "a 401, then a renewed token", outcomes: "AA", seen: 2, applied: "11", config: renewed},
			{name: "a refused topic", outcomes: "AF", seen: 1, applied: "10", inject: refused},
			{name: "a missing row", outcomes: "AK", seen: 1, applied: "11", inject: missing},
			{name: "a cut body", outcomes: "AK", seen: 1, applied: "11", inject: after(cut)},
			{name: "a 503, before", outcomes: "KK", seen: 1, inject: before(busy)},
			{name: "a 503, after", outcomes: "KK", seen: 1, applied: "11", inject: after(busy)},
			{name: "a dry run", dryRun: true, outcomes: "AA", seen: 1},
			{name: "a dry run, a 503 first", dryRun: true, outcomes: "AA", seen: 2, inject: before(busy)},
		} {
			f.verb, f.name, f.bubble = v, string(v)+": "+f.name, true
			f.check = func(e *env) {
				require.Equal(e, v, e.report.Verb)
				for _, r := range e.pair.Journal() {
					require.Contains(e, r.URI, "/mirrors:"+string(v)+"?")
				}
			}
			all = append(all, f)
		}
	}
	return all
}

// renewed has the first token refused, and the second accepted.
func renewed(e *env) {
	tokens := []string{"first-token", "second-token"}
	e.pair.Local.AcceptToken(tokens[1], "")
	e.cfg.Credential = mirror.BearerToken(func(context.Context) (string, error) {
		next := tokens[0]
		tokens = append(tokens[1:], tokens[1])
		return next, nil
	}, "")
}
