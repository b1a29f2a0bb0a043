package mirror_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirror/mirrortest"
)

var (
	walks = flag.Int("walks", 500, "how many random walks TestModel takes")
	seed  = flag.Uint64("seed", 0, "the seed of TestModel; 0 draws one")
)

// TestModel walks at random: calls of every kind, against a cluster with faults before and after the
// change is applied. After each walk the books are held to what the cluster really did.
func TestModel(t *testing.T) {
	first := *seed
	if first == 0 {
		first = rand.Uint64()
	}
	t.Logf("seed %d, %d walks", first, *walks)
	for i := range *walks {
		one := first + uint64(i)
		synctest.Test(t, func(t *testing.T) { walk(t, one) })
		if t.Failed() {
			t.Fatalf("walk %d fails: go test -run TestModel -walks 1 -seed %d", i, one)
		}
	}
}

func walk(t *testing.T, seed uint64) {
	draw := rand.New(rand.NewPCG(seed, 0))
	var topics []mirrortest.Topic
	var names []string
	for i := range 1 + draw.IntN(8) {
		name := fmt.Sprintf("t%d", i)
		statuses := []mirrortest.Status{"", "", "", mirrortest.Paused, mirrortest.Stopped, "LINK_FAILED"}
		topics = append(topics, mirrortest.Topic{Name: name, Status: statuses[draw.IntN(len(statuses))], Partitions: []mirrortest.Partition{{}}})
		names = append(names, name)
	}
	pair := mirrortest.NewPair(t, mirrortest.Options{InMemory: true, Topics: topics, Settle: time.Duration(draw.IntN(3)) * time.Second,
		Rate: []mirrortest.Rate{{}, {PerSecond: 1, Burst: 2}}[draw.IntN(2)]})
	cfg := pair.Local.Config()
	cfg.BatchSize, cfg.Parallel, cfg.KeepGoing = 1+draw.IntN(4), 1+draw.IntN(3), draw.IntN(2) == 0

	whole := &mirror.Report{ClusterID: cfg.ClusterID, Link: pair.Link()}
	asked := map[string]bool{}
	faulty, hidden := false, false
	for range 1 + draw.IntN(3) {
		for range draw.IntN(4) {
			f := mirrortest.Fault{Nth: 1 + draw.IntN(3), AfterApply: draw.IntN(2) == 0}
			f.Do = whatFails(draw, f.AfterApply)
			if f.AfterApply && draw.IntN(6) == 0 {
				// The only lie: a row that says no although it was done.
				f.Topic = names[draw.IntN(len(names))]
				f.Do = mirrortest.Row(`{"mirror_topic_name":"` + f.Topic + `","error_code":50003,"error_message":null}`)
				hidden = true
			}
			faulty = true
			pair.Local.Inject(f)
		}
		client, err := mirror.NewClient(cfg)
		require.NoError(t, err)
		some := names[draw.IntN(len(names)):]
		for _, name := range some {
			asked[name] = true
		}
		before, attempts := map[string]int{}, map[string]int{}
		for _, name := range names {
			before[name], attempts[name] = pair.Local.Applied(name), pair.Local.Attempts(name)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+draw.IntN(200))*time.Second)
		dryRun := draw.IntN(4) == 0
		call := client.ReverseAndPause
		if dryRun {
			call = client.ValidateReverseAndPause
		}
		report, err := call(ctx, pair.Link(), mirror.Topics(some...))
		cancel()
		requireSound(t, report, err, some)
		for _, r := range report.Results {
			done := pair.Local.Applied(r.Topic) - before[r.Topic]
			require.LessOrEqual(t, pair.Local.Attempts(r.Topic)-attempts[r.Topic], 1, "the library sent %s again", r.Topic)
			switch {
			case dryRun:
				require.Zero(t, done, "a dry run reversed %s", r.Topic)
			case r.Outcome == mirror.Accepted:
				require.Equal(t, 1, done, "%s is accepted", r.Topic)
			case r.Outcome == mirror.Untouched:
				require.Zero(t, done, "%s is untouched", r.Topic)
			case r.Outcome == mirror.Failed && !hidden:
				require.Zero(t, done, "%s failed: %v", r.Topic, r.Err())
			case r.Outcome == mirror.Unknown:
				require.True(t, faulty || ctx.Err() != nil, "%s is unknown without a reason", r.Topic)
			}
		}
		sent := map[string]int{}
		for _, a := range report.Attempts {
			require.LessOrEqual(t, a.Sends, 1)
			sent[fmt.Sprint(a.Batch)]++
		}
		for batch, n := range sent {
			require.LessOrEqual(t, n, 4, "batch %s", batch)
		}
		if !dryRun {
			require.NoError(t, whole.Merge(report))
		}
		if draw.IntN(2) == 0 {
			time.Sleep(time.Duration(draw.IntN(5)) * time.Second)
		}
	}
	for _, name := range names {
		require.LessOrEqual(t, pair.Local.Applied(name), 1)
		r, found := whole.Result(name)
		if !found {
			continue
		}
		require.True(t, asked[name])
		switch r.Outcome {
		case mirror.Accepted:
			require.Equal(t, 1, pair.Local.Applied(name))
		case mirror.Untouched:
			require.Zero(t, pair.Local.Applied(name), "%s is untouched after all", name)
		}
	}
}

// whatFails draws what goes wrong. What sends rows of the proper answer comes after it was applied
// only, for before that they would say what is not so.
func whatFails(draw *rand.Rand, afterApply bool) mirrortest.Action {
	all := []mirrortest.Action{
		mirrortest.Cut(0), mirrortest.Reset(0), mirrortest.Hang(),
		mirrortest.Error(500, 50003, "x"), mirrortest.Error(503, 50302, "x"), mirrortest.Error(429, 42901, "x"), mirrortest.Error(400, 40002, "x"),
		mirrortest.Answer(200, "<title>x</title>", "Content-Type", "text/html"), mirrortest.Raw("x"), mirrortest.Answer(200, `{"data":null}`, "Content-Type", "application/json"),
	}
	if afterApply {
		all = append(all, mirrortest.Cut(draw.IntN(2000)), mirrortest.Drip(50, 20*time.Second))
	} else {
		all = append(all, mirrortest.Filtered(), mirrortest.Error(403, 40301, "x"), mirrortest.Error(401, 40101, "x"))
	}
	return all[draw.IntN(len(all))]
}
