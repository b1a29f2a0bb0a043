package mirror_test

import (
	"context"
	"flag"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirror/mirrortest"
)

// simulation is a run of many topics in virtual time, against a cluster behind a rate limiter.
type simulation struct {
	topics, batch, parallel int
	perSecond               float64 // with a burst of 10
	perTopic                time.Duration
	lost                    int // answers lost after the change was applied
}

// floor is the time that no policy can beat: the cluster's own work, one topic after another, or what
// the filter lets through.
func (s simulation) floor() time.Duration {
	requests := (s.topics + s.batch - 1) / s.batch
	byRate := time.Duration(float64(requests-10) / s.perSecond * float64(time.Second))
	return max(time.Duration(s.topics)*s.perTopic, byRate)
}

const (
	leastLatency = 30 * time.Millisecond
	mostLatency  = 80 * time.Millisecond
)

func (s simulation) run(t *testing.T) (took time.Duration, report *mirror.Report) {
	synctest.Test(t, func(t *testing.T) {
		topics := make([]mirrortest.Topic, s.topics)
		names := make([]string, s.topics)
		for i := range topics {
			names[i] = fmt.Sprintf("topic-%05d", i)
			topics[i] = mirrortest.Topic{Name: names[i], Partitions: []mirrortest.Partition{{}}}
		}
		pair := mirrortest.NewPair(t, mirrortest.Options{
			InMemory: true, Topics: topics, Rate: mirrortest.Rate{PerSecond: s.perSecond, Burst: 10},
			Latency: [2]time.Duration{leastLatency, mostLatency}, PerTopic: s.perTopic,
		})
		for i := range s.lost {
			pair.Local.Inject(mirrortest.Fault{Nth: 3 + 4*i, AfterApply: true, Do: mirrortest.Cut(0)})
		}
		cfg := pair.Local.Config()
		cfg.BatchSize, cfg.Parallel, cfg.KeepGoing = s.batch, s.parallel, true
		client, err := mirror.NewClient(cfg)
		require.NoError(t, err)
		start := time.Now()
		report, err = client.ReverseAndPause(context.Background(), pair.Link(), mirror.Topics(names...))
		took = time.Since(start)
		require.Equal(t, report.Count(mirror.Accepted) < s.topics, err != nil, "%v", err)
		require.Len(t, report.Results, s.topics, "no topic is lost")
		require.Equal(t, s.lost*s.batch, report.Count(mirror.Unknown))
		pair.Local.AssertSentOnce(t)
		pair.Local.AssertReport(t, report)
		applied := 0
		for _, name := range names {
			applied += pair.Local.Applied(name)
		}
		require.Equal(t, s.topics-report.Count(mirror.Untouched), applied, "none is applied twice")
	})
	return took, report
}

// The documented settings finish at the floor.
func TestSimulation_DocumentedSettings(t *testing.T) {
	for _, topics := range []int{10_000, 50_000} {
		for _, perSecond := range []float64{10, 25} {
			s := simulation{topics: topics, batch: 500, parallel: 4, perSecond: perSecond, perTopic: time.Millisecond}
			s.atTheFloor(t)
		}
	}
	simulation{topics: 10_000, batch: 500, parallel: 4, perSecond: 10, perTopic: time.Millisecond, lost: 2}.atTheFloor(t)
}

func (s simulation) atTheFloor(t *testing.T) {
	t.Helper()
	took, report := s.run(t)
	require.Zero(t, report.Count(mirror.Untouched))
	require.LessOrEqual(t, took, s.floor()*105/100+mostLatency, "%+v", s)
	s.print(took, report)
}

var simulateAll = flag.Bool("simulate", false, "run all simulations, not just some")

// Other settings finish later, or end batches untouched where the rate limiter turns them away too
// often; none loses a topic or reverses one twice.
func TestSimulation_BatchSizesAndParallelism(t *testing.T) {
	sizes, batches, parallels := []int{10_000}, []int{500}, []int{1, 16}
	if *simulateAll {
		sizes, batches, parallels = []int{10_000, 50_000}, []int{100, 500, 1000}, []int{1, 4, 16}
	}
	for _, topics := range sizes {
		for _, rate := range []struct {
			perSecond float64
			perTopic  time.Duration
		}{{25, time.Millisecond}, {10, 100 * time.Microsecond}} {
			for _, batch := range batches {
				for _, parallel := range parallels {
					s := simulation{
						topics: topics, batch: batch, parallel: parallel,
						perSecond: rate.perSecond, perTopic: rate.perTopic,
					}
					took, report := s.run(t)
					s.print(took, report)
				}
			}
		}
	}
}

func (s simulation) print(took time.Duration, report *mirror.Report) {
	if testing.Verbose() {
		fmt.Printf("%6d topics  batch %4d  parallel %2d  %2.0f requests/s  %5v a topic  "+
			"%d answers lost  %5d untouched  took %8v  floor %8v  %.2f\n",
			s.topics, s.batch, s.parallel, s.perSecond, s.perTopic, s.lost, report.Count(mirror.Untouched),
			took.Round(time.Millisecond), s.floor().Round(time.Millisecond), float64(took)/float64(s.floor()))
	}
}

// A 429 pauses all batches of the client, and afterwards no more than half as many are in flight, until
// some have come through.
func TestRetryOnlyWhatWasNotProcessed_A429HalvesWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var topics []mirrortest.Topic
		var names []string
		for i := range 64 {
			names = append(names, fmt.Sprint("t", i))
			topics = append(topics, mirrortest.Topic{Name: names[i]})
		}
		pair := mirrortest.NewPair(t, mirrortest.Options{
			InMemory: true, Topics: topics, Latency: [2]time.Duration{time.Second, time.Second},
		})
		for range 8 {
			pair.Local.Inject(mirrortest.Fault{Do: mirrortest.Answer(429, "", "DoSFilter", "unavailable", "Retry-After", "30")})
		}
		cfg := pair.Local.Config()
		cfg.BatchSize, cfg.Parallel = 1, 8
		client, err := mirror.NewClient(cfg)
		require.NoError(t, err)
		_, err = client.ReverseAndPause(context.Background(), pair.Link(), mirror.Topics(names...))
		require.NoError(t, err)
		pair.Local.AssertSentOnce(t)

		at := map[time.Duration]int{}
		most := 0
		for _, r := range pair.Journal() {
			since := r.At.Sub(pair.Journal()[0].At)
			at[since]++
			if since > 31*time.Second {
				most = max(most, at[since])
			}
		}
		require.Equal(t, 8, at[0])
		for second := range 30 * time.Second / time.Second {
			require.Zero(t, at[time.Second*(second+1)], "a pause for all")
		}
		require.Equal(t, 4, at[31*time.Second], "those rejected together count once")
		require.Greater(t, most, 4, "and more again, as they come through")
	})
}
