package mirror_test

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

var simulateAll = flag.Bool("simulate", false, "simulate long runs behind the rate limiter, and print how long they take")

// simulation is a run of many topics in virtual time, against a cluster behind the rate limiter, with the default
// Config but for the size of a batch.
type simulation struct {
	clients    int // that share the topics and the limit
	perSecond  int // the limit, in requests; those that are rejected count
	perTopic   time.Duration
	latency    [2]time.Duration
	retryAfter int // seconds, on each 429; 0 is without
}

const simulatedTopics, simulatedBatch = 10_000, 100

// simulations are the rows of the table.
var simulations = []simulation{
	{clients: 1, perSecond: 5}, {clients: 4, perSecond: 5}, {clients: 8, perSecond: 5},
	{clients: 1, perSecond: 10}, {clients: 4, perSecond: 10}, {clients: 8, perSecond: 10},
	{clients: 1, perSecond: 25}, {clients: 4, perSecond: 25}, {clients: 8, perSecond: 25},
	{clients: 4, perSecond: 10, perTopic: time.Millisecond},
	{clients: 8, perSecond: 5, latency: [2]time.Duration{200 * time.Millisecond, 200 * time.Millisecond}},
	{clients: 4, perSecond: 10, retryAfter: 1},
}

// share returns the first of a client's topics, and the first that is not.
func (s simulation) share(client, topics int) (from, to int) {
	return client * topics / s.clients, (client + 1) * topics / s.clients
}

// floor is the time that no client can beat: the cluster's own work, one topic after another; what the limiter lets
// through; or the requests of one client, one after another.
func (s simulation) floor() time.Duration {
	requests, most := 0, 0 // of all clients, and of one
	for i := range s.clients {
		from, to := s.share(i, simulatedTopics)
		n := (to - from + simulatedBatch - 1) / simulatedBatch
		requests, most = requests+n, max(most, n)
	}
	window := time.Second * time.Duration(max(1, s.retryAfter))
	byLimit := window * time.Duration(requests-s.perSecond) / time.Duration(s.perSecond)
	each := s.latency[0] + simulatedBatch*s.perTopic
	return max(simulatedTopics*s.perTopic, byLimit, time.Duration(most)*each)
}

// run runs a simulation. To take less time it can have a part of the topics, each of which stands for many.
func (s simulation) run(t *testing.T, seed uint64, each int) (took time.Duration, rejections, untouched int) {
	synctest.Test(t, func(t *testing.T) {
		topics := make([]mirrortest.Topic, simulatedTopics/each)
		names := make([]string, len(topics))
		for i := range topics {
			names[i] = fmt.Sprintf("topic-%05d", i)
			topics[i] = mirrortest.Topic{Name: names[i], Partitions: []mirrortest.Partition{{}}}
		}
		pair := mirrortest.NewPair(t, mirrortest.Options{
			InMemory: true, Topics: topics, Rate: mirrortest.Rate{PerServer: s.perSecond}, Seed: seed,
			Latency: s.latency, PerTopic: time.Duration(each) * s.perTopic,
		})
		start := time.Now()
		var all sync.WaitGroup
		reports := make([]*mirror.Report, s.clients)
		for i := range s.clients {
			cfg := pair.Local.Config()
			cfg.BatchSize = simulatedBatch / each
			if next := cfg.Transport; s.retryAfter > 0 {
				cfg.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
					resp, err := next.RoundTrip(r)
					if err == nil && resp.StatusCode == http.StatusTooManyRequests {
						resp.Header.Set("Retry-After", fmt.Sprint(s.retryAfter))
					}
					return resp, err
				})
			}
			client := newClient(t, cfg)
			from, to := s.share(i, len(names))
			all.Go(func() {
				reports[i], _ = client.ReverseAndPause(context.Background(), pair.Link(), mirror.Topics(names[from:to]...))
			})
		}
		all.Wait()
		took = time.Since(start)
		pair.Local.AssertSentOnce(t)
		for _, report := range reports {
			pair.Local.AssertReport(t, report)
			require.Zero(t, report.Count(mirror.Unknown)+report.Count(mirror.Failed))
			untouched += report.Count(mirror.Untouched)
			for _, a := range report.Attempts {
				if a.RateLimited {
					rejections++
				}
			}
		}
	})
	return took, rejections, untouched
}

// Behind the limiter's window, alone or with others on the same limit, a run with the default Config leaves nothing
// untouched, and takes at most twice the time that no client can beat, three times where several share the limit.
func TestSimulation_BehindTheRateLimiter(t *testing.T) {
	rows, draws, each := []simulation{simulations[0], simulations[4], simulations[8]}, 1, 100
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	if *simulateAll {
		rows, draws, each = simulations, 3, 1
		fmt.Fprintln(out, "clients\tlimit/s\ta topic\tlatency\tRetry-After\t429s\tuntouched\ttook\tfloor\tratio\t")
	}
	for _, s := range rows {
		if s.latency[1] == 0 {
			s.latency = [2]time.Duration{30 * time.Millisecond, 80 * time.Millisecond}
		}
		if s.perTopic == 0 {
			s.perTopic = 100 * time.Microsecond
		}
		var took time.Duration
		rejections, untouched := 0, 0
		for seed := range draws {
			d, r, u := s.run(t, uint64(seed), each)
			took, rejections, untouched = took+d/time.Duration(draws), rejections+r, untouched+u
		}
		most := 2.0
		if s.clients > 1 {
			most = 3
		}
		ratio := took.Seconds() / s.floor().Seconds()
		if *simulateAll {
			fmt.Fprintf(out, "%d\t%d\t%v\t%v-%v\t%d\t%d\t%d\t%.1f s\t%.1f s\t%.2f\t\n", s.clients, s.perSecond, s.perTopic,
				s.latency[0], s.latency[1], s.retryAfter, rejections/draws, untouched, took.Seconds(), s.floor().Seconds(), ratio)
			require.NoError(t, out.Flush())
		}
		require.Zero(t, untouched, "%+v", s)
		require.LessOrEqual(t, ratio, most, "%+v", s)
	}
}
