package mirror_test

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"net"
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

// simulation is a run of many topics in virtual time, against a cluster behind the rate limiter. What
// is zero is as in a Config.
type simulation struct {
	topics, batch, parallel int
	clients                 int // that share topics and limit; 0 is 1
	perSecond               int // the limit
	perTopic                time.Duration
	latency                 [2]time.Duration
	handshake               time.Duration // before each request
	retryAfter              int           // seconds, on each 429; 0 is without
	lost                    int           // answers lost after the change was applied
}

// simulated is what a simulation came to.
type simulated struct {
	took       time.Duration
	rejections int // 429s
	untouched  int
}

// usual is a latency between 30 and 80 ms.
var usual = [2]time.Duration{30 * time.Millisecond, 80 * time.Millisecond}

// share returns the first of a client's topics, and the first that is not.
func (s simulation) share(client int) (from, to int) {
	return client * s.topics / s.clients, (client + 1) * s.topics / s.clients
}

// floor is the time that no client with this Config can beat: the cluster's own work, one topic after
// another; what the limiter lets through; or the requests of one client, one after another where they are
// not in parallel.
func (s simulation) floor() time.Duration {
	requests, most := 0, 0 // of all clients, and of one
	for i := range s.clients {
		from, to := s.share(i)
		n := (to - from + s.batch - 1) / s.batch
		requests, most = requests+n, max(most, n)
	}
	window := time.Second * time.Duration(max(1, s.retryAfter))
	byLimit := window * time.Duration(requests-s.perSecond) / time.Duration(s.perSecond)
	each := s.handshake + s.latency[0] + time.Duration(s.batch)*s.perTopic
	return max(time.Duration(s.topics)*s.perTopic, byLimit, time.Duration(most/s.parallel)*each)
}

func (s simulation) run(t *testing.T) (got simulated) {
	synctest.Test(t, func(t *testing.T) {
		topics := make([]mirrortest.Topic, s.topics)
		names := make([]string, s.topics)
		for i := range topics {
			names[i] = fmt.Sprintf("topic-%05d", i)
			topics[i] = mirrortest.Topic{Name: names[i], Partitions: []mirrortest.Partition{{}}}
		}
		pair := mirrortest.NewPair(t, mirrortest.Options{
			InMemory: true, Topics: topics, Rate: mirrortest.Rate{PerServer: s.perSecond},
			Latency: s.latency, PerTopic: s.perTopic,
		})
		for i := range s.lost {
			pair.Local.Inject(mirrortest.Fault{Nth: 3 + 4*i, AfterApply: true, Do: mirrortest.Cut(0)})
		}
		start := time.Now()
		reports := make([]*mirror.Report, s.clients)
		var all sync.WaitGroup
		for i := range s.clients {
			client := newClient(t, s.config(pair.Local))
			from, to := s.share(i)
			all.Go(func() {
				reports[i], _ = client.ReverseAndPause(context.Background(), pair.Link(), mirror.Topics(names[from:to]...))
			})
		}
		all.Wait()
		got.took = time.Since(start)
		pair.Local.AssertSentOnce(t)
		accounted, unknown := 0, 0
		for _, report := range reports {
			pair.Local.AssertReport(t, report)
			accounted += len(report.Results)
			unknown += report.Count(mirror.Unknown)
			got.untouched += report.Count(mirror.Untouched)
		}
		require.Equal(t, s.topics, accounted, "no topic is lost")
		require.Equal(t, s.lost*s.batch, unknown)
		applied := 0
		for _, name := range names {
			applied += pair.Local.Applied(name)
		}
		require.Equal(t, s.topics-got.untouched, applied, "none is applied twice")
		for _, r := range pair.Journal() {
			if r.HTTPStatus == http.StatusTooManyRequests {
				got.rejections++
			}
		}
	})
	return got
}

// config is the default Config but for what the simulation says.
func (s simulation) config(c *mirrortest.Cluster) mirror.Config {
	cfg := c.Config()
	cfg.BatchSize, cfg.Parallel, cfg.KeepGoing = s.batch, s.parallel, s.lost > 0
	dial := cfg.DialContext
	cfg.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		time.Sleep(s.handshake)
		return dial(ctx, network, address)
	}
	if s.retryAfter > 0 {
		cfg.Middleware = func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(r *http.Request) (*http.Response, error) {
				resp, err := next.RoundTrip(r)
				if err == nil && resp.StatusCode == http.StatusTooManyRequests {
					resp.Header.Set("Retry-After", fmt.Sprint(s.retryAfter))
				}
				return resp, err
			})
		}
	}
	return cfg
}

var simulateAll = flag.Bool("simulate", false, "simulate with all topics, and print what comes of it")

// simulations is a table of them.
type simulations struct {
	t   *testing.T
	out *tabwriter.Writer
}

func newSimulations(t *testing.T) *simulations {
	table := &simulations{t, tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)}
	if *simulateAll {
		fmt.Fprintln(table.out, "topics\tbatch\tclients\tparallel\tlimit/s\ta topic\tlatency\thandshake\tRetry-After\t"+
			"lost\t429s\tuntouched\ttook\tfloor\tratio\t")
		t.Cleanup(func() { table.out.Flush() })
	}
	return table
}

// average runs a simulation three times, and returns the averages; untouched is of all of them. Without
// -simulate there is a hundredth of the topics, and each takes a hundred times as long: the requests are as
// many, and take as long.
func (table *simulations) average(s simulation) (got simulated, ratio float64) {
	const draws = 3
	s.clients, s.parallel, s.batch = max(s.clients, 1), max(s.parallel, 1), cmp.Or(s.batch, 500)
	if !*simulateAll {
		s.topics, s.batch, s.perTopic = s.topics/100, s.batch/100, s.perTopic*100
	}
	for range draws {
		one := s.run(table.t)
		got.took += one.took / draws
		got.rejections += one.rejections
		got.untouched += one.untouched
	}
	got.rejections /= draws
	ratio = got.took.Seconds() / s.floor().Seconds()
	if *simulateAll {
		fmt.Fprintf(table.out, "%d\t%d\t%d\t%d\t%d\t%v\t%v-%v\t%v\t%d\t%d\t%d\t%d\t%.1f s\t%.1f s\t%.2f\t\n",
			s.topics, s.batch, s.clients, s.parallel, s.perSecond, s.perTopic, s.latency[0], s.latency[1], s.handshake,
			s.retryAfter, s.lost, got.rejections, got.untouched/draws, got.took.Seconds(), s.floor().Seconds(), ratio)
	}
	return got, ratio
}

// Behind the limiter's window, alone or with others on the same limit, a run with the default Config leaves
// nothing untouched, and takes at most twice the time that no policy can beat.
func TestSimulation_Window(t *testing.T) {
	table := newSimulations(t)
	for _, perTopic := range []time.Duration{100 * time.Microsecond, time.Millisecond} {
		for _, perSecond := range []int{5, 10, 25} {
			for _, clients := range []int{1, 4, 8} {
				s := simulation{
					topics: 10_000, batch: 100, clients: clients, perSecond: perSecond, perTopic: perTopic, latency: usual,
				}
				got, ratio := table.average(s)
				require.Zero(t, got.untouched, "%+v", s)
				require.LessOrEqual(t, ratio, 2.0, "%+v", s)
			}
		}
	}
}

// Whatever else differs, nothing is left untouched.
func TestSimulation_OtherSettings(t *testing.T) {
	slow := [2]time.Duration{200 * time.Millisecond, 200 * time.Millisecond}
	table := newSimulations(t)
	fast := 100 * time.Microsecond
	for _, s := range []simulation{
		// Where the cluster is the limit and not the limiter.
		{topics: 10_000, parallel: 4, perSecond: 10, perTopic: time.Millisecond},
		{topics: 10_000, parallel: 4, perSecond: 25, perTopic: time.Millisecond},
		{topics: 50_000, parallel: 4, perSecond: 10, perTopic: time.Millisecond},
		{topics: 50_000, parallel: 4, perSecond: 25, perTopic: time.Millisecond},
		{topics: 10_000, parallel: 4, perSecond: 10, perTopic: time.Millisecond, lost: 2},
		// More in parallel.
		{topics: 10_000, batch: 100, parallel: 4, perSecond: 10, perTopic: fast},
		{topics: 10_000, batch: 100, parallel: 16, perSecond: 10, perTopic: fast},
		{topics: 10_000, batch: 100, parallel: 16, perSecond: 25, perTopic: fast},
		{topics: 10_000, batch: 100, parallel: 4, clients: 4, perSecond: 10, perTopic: fast},
		// More clients, and each with 10 000 topics.
		{topics: 10_000, batch: 100, clients: 16, perSecond: 5, perTopic: fast},
		{topics: 80_000, batch: 100, clients: 8, perSecond: 5, perTopic: fast},
		// A longer way.
		{topics: 10_000, batch: 100, perSecond: 5, perTopic: fast, latency: slow},
		{topics: 10_000, batch: 100, clients: 4, perSecond: 10, perTopic: fast, latency: slow},
		{topics: 10_000, batch: 100, clients: 8, perSecond: 5, perTopic: fast, latency: slow},
		{topics: 10_000, batch: 100, parallel: 16, perSecond: 25, perTopic: fast, latency: slow},
		{topics: 10_000, batch: 100, perSecond: 5, perTopic: fast, handshake: 150 * time.Millisecond},
		{topics: 10_000, batch: 100, clients: 8, perSecond: 5, perTopic: fast, handshake: 150 * time.Millisecond},
		// A gateway that says how long to wait.
		{topics: 10_000, batch: 100, perSecond: 10, perTopic: fast, retryAfter: 1},
		{topics: 10_000, batch: 100, clients: 4, perSecond: 10, perTopic: fast, retryAfter: 1},
		{topics: 10_000, batch: 100, clients: 8, perSecond: 10, perTopic: fast, retryAfter: 1},
		{topics: 10_000, batch: 100, perSecond: 10, perTopic: fast, retryAfter: 10},
		{topics: 10_000, batch: 100, clients: 4, perSecond: 10, perTopic: fast, retryAfter: 10},
		{topics: 10_000, batch: 100, clients: 8, perSecond: 10, perTopic: fast, retryAfter: 10},
	} {
		s.latency = cmp.Or(s.latency, usual)
		got, ratio := table.average(s)
		require.Zero(t, got.untouched, "%+v", s)
		if s.batch == 0 {
			require.LessOrEqual(t, ratio, 1.05, "at the cluster's own pace: %+v", s)
		}
	}
}
