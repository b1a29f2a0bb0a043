package mirrortest

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// Options configure a Pair. The zero value of every field is ready to use.
type Options struct {
	// Link is the name of the cluster link on both clusters; "" is dr-link. Topics can name more links.
	Link string
	// Topics are the mirror topics on the local cluster; nil is topic-1 and topic-2. A topic without partitions gets
	// three, with lags drawn from Seed.
	Topics []Topic
	// Seed seeds all random draws.
	Seed uint64
	// Takes is how long a topic stays in PENDING_* statuses after an accepted change; 0 skips them.
	Takes time.Duration
	// Rate is the rate limiter of each cluster; the zero Rate limits nothing.
	Rate Rate
	// Latency is added to every response, drawn from Seed between the first duration and the second. PerTopic is how
	// long a cluster works on each topic of a request. A cluster works on one topic at a time across all requests.
	Latency  [2]time.Duration
	PerTopic time.Duration
	// Groups are the consumer groups of the local and of the remote cluster.
	Groups [2][]Group
	// Clocks are the differences between the clocks of the local and the remote cluster and the clock of this
	// process.
	Clocks [2]time.Duration
	// NoDate removes the header Date from all answers.
	NoDate bool
	// Shuffle puts the rows of an answer in an order drawn from Seed. Real servers also change the order (observed).
	Shuffle bool
	// NoTruncationData removes messages_truncated and partition_level_truncation_data from the rows, as servers from
	// before September 2024 do (observed).
	NoTruncationData bool
	// NoCredential makes the clusters require no credential, and Config return NoCredential.
	NoCredential bool
	// PathPrefix is the beginning of the API's paths; "" is /kafka and "/" is none, as in mirror.Config.
	PathPrefix string
	// InMemory puts the endpoints on a network in memory instead of loopback.
	InMemory bool
}

// Topic is the initial state of a mirror topic.
type Topic struct {
	Name string
	// Link is the name of the topic's link; "" is Options.Link.
	Link string
	// Status is the mirror's status; "" is ACTIVE.
	Status mirror.Status
	// Remote is the status of the topic on the remote cluster; "" means not a mirror.
	Remote mirror.Status
	// Age is how long the topic has had its statuses; 0 is three days.
	Age time.Duration
	// Partitions are numbered from 0.
	Partitions []Partition
}

// Partition is the position of one partition of a mirror topic relative to its source.
type Partition struct {
	// Lag is the lag in messages.
	Lag int64
	// LastSourceFetchOffset is -1 if nothing has been fetched yet. If Lag is 0 too, the partition is empty, and the
	// offset stays -1.
	LastSourceFetchOffset int64
}

// Pair is two linked clusters. The local cluster holds the mirror topics at first.
type Pair struct {
	Local, Remote *Cluster

	links []string
	opts  Options

	mu       sync.Mutex // guards all state of both clusters
	requests []Request
}

// NewPair starts a pair for a test. At the end of the test the pair is closed, and the test fails if anything is left
// running.
func NewPair(t testing.TB, o Options) *Pair {
	t.Helper()
	p, err := Start(o)
	if err != nil {
		t.Fatalf("mirrortest: %v", err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("mirrortest: %v", err)
		}
	})
	return p
}

// Start starts a pair, which the caller must Close. Wrong Options are an error, and so is a failure to listen on
// loopback.
func Start(o Options) (*Pair, error) {
	o.Link = cmp.Or(o.Link, "dr-link")
	if o.Topics == nil {
		o.Topics = []Topic{{Name: "topic-1"}, {Name: "topic-2"}}
	}
	if o.Rate.PerClient < 0 || o.Rate.PerServer < 0 || o.Rate.Mode > RateDelay {
		return nil, errors.New("Options.Rate has a negative limit or an unknown mode")
	}
	p := &Pair{links: []string{o.Link}, opts: o}
	p.Local, p.Remote = newCluster(p, 0, "lkc-local"), newCluster(p, 1, "lkc-remote")
	p.Local.peer, p.Remote.peer = p.Remote, p.Local
	draw := rand.New(rand.NewPCG(o.Seed, 0)) //nolint:gosec // it draws lags
	for _, t := range o.Topics {
		if t.Name == "" || p.Local.topics[t.Name] != nil {
			return nil, fmt.Errorf("topic %q is without a name or there twice", t.Name)
		}
		p.add(t, draw)
	}
	if o.InMemory {
		network := new(memory)
		p.Local.network, p.Remote.network = network, network
	}
	for _, c := range []*Cluster{p.Local, p.Remote} {
		if err := c.Revive(); err != nil {
			return nil, errors.Join(err, p.Close())
		}
	}
	return p, nil
}

// add adds a topic to both clusters.
func (p *Pair) add(t Topic, draw *rand.Rand) {
	t.Link = cmp.Or(t.Link, p.opts.Link)
	t.Status = cmp.Or(t.Status, mirror.StatusActive)
	t.Age = cmp.Or(t.Age, 72*time.Hour)
	if t.Partitions == nil {
		for range 3 {
			offset := draw.Int64N(100_000)
			t.Partitions = append(t.Partitions, Partition{Lag: draw.Int64N(1000), LastSourceFetchOffset: offset})
		}
	}
	if !slices.Contains(p.links, t.Link) {
		p.links = append(p.links, t.Link)
	}
	here := newTopic(p.Local, t, t.Status, t.Partitions)
	there := newTopic(p.Remote, t, t.Remote, slices.Repeat([]Partition{{LastSourceFetchOffset: -1}}, len(t.Partitions)))
	here.other, there.other = there, here
	there.oldSource = true
	here.oldSource = t.Remote == mirror.StatusStopped // either may have been the mirror last
	p.Local.topics[t.Name], p.Remote.topics[t.Name] = here, there
}

// Close stops both clusters, ends hanging requests, and waits until nothing of the pair is running. The oracle still
// answers afterwards. A second Close does nothing.
func (p *Pair) Close() error { return errors.Join(p.Local.stop(), p.Remote.stop()) }

// Link returns the name of the cluster link.
func (p *Pair) Link() string { return p.opts.Link }
