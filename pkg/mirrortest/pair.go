package mirrortest

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// Options say what a Pair is like. The zero value of every field is ready to use.
type Options struct {
	// Link is the name of the cluster link, the same on both clusters; "" is dr-link.
	Link string
	// Topics are the mirror topics on the local cluster; nil is topic-1 and topic-2. Topics without
	// partitions get three, with lags drawn from Seed.
	Topics []Topic
	// Seed is for what is drawn.
	Seed uint64
	// Settle is how long a topic is in PENDING_* statuses after a change was accepted; 0 is not at all.
	Settle time.Duration
	// Rate is the rate limiter of each cluster; the zero Rate limits nothing.
	Rate Rate
	// Latency is added to every response, drawn from Seed between the first duration and the second.
	// PerTopic is how long a cluster works on each topic that it is asked for, one after another across
	// all requests.
	Latency  [2]time.Duration
	PerTopic time.Duration
	// Clocks say by how much the clock of the local and of the remote cluster differs from this process's.
	Clocks [2]time.Duration
	// Shuffle makes the rows of an answer come in another order than they were asked for, drawn from
	// Seed, as they do from real servers (observed).
	Shuffle bool
	// NoTruncationData leaves messages_truncated and partition_level_truncation_data out of the rows,
	// as servers from before September 2024 do (observed).
	NoTruncationData bool
	// NoCredential makes the clusters ask for no credential, and Config return NoCredential.
	NoCredential bool
	// PathPrefix is what the API's paths begin with; "" is /kafka and "/" is none, as in mirror.Config.
	PathPrefix string
	// TLS makes the endpoints speak https, with a certificate that only Config's TLS trusts. It does not go
	// with InMemory.
	TLS bool
	// InMemory puts the endpoints on a network in memory in place of loopback.
	InMemory bool
}

// Topic is a mirror topic as it is at first.
type Topic struct {
	Name string
	// Status is the mirror's; "" is ACTIVE.
	Status mirror.Status
	// Remote is the status of the topic on the remote cluster; "" if it is not a mirror.
	Remote mirror.Status
	// Partitions are numbered from 0.
	Partitions []Partition
}

// Partition is how far one partition of a mirror topic is behind its source.
type Partition struct {
	// Lag is in messages.
	Lag int64
	// LastSourceFetchOffset is -1 if nothing has been fetched yet.
	LastSourceFetchOffset int64
}

// Pair is two linked clusters. The local one holds the mirror topics at first.
type Pair struct {
	Local, Remote *Cluster

	link string
	opts Options

	mu      sync.Mutex // for all state, of both clusters
	journal []Request
	close   func() error

	certificate tls.Certificate // with Options.TLS
	roots       *x509.CertPool
}

// NewPair starts a pair for the length of a test. At its end the pair is closed, and the test fails
// if something was left running.
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

// Start starts a pair, which the caller must Close. It fails if the Options are wrong or loopback
// cannot be listened on.
func Start(o Options) (*Pair, error) {
	if o.Link == "" {
		o.Link = "dr-link"
	}
	if o.Topics == nil {
		o.Topics = []Topic{{Name: "topic-1"}, {Name: "topic-2"}}
	}
	if o.Rate.PerClient < 0 || o.Rate.PerServer < 0 || o.Rate.Mode > RateThrottle {
		return nil, errors.New("Options.Rate has a negative limit or an unknown mode")
	}
	p := &Pair{link: o.Link, opts: o}
	p.Local = newCluster(p, "lkc-local")
	p.Remote = newCluster(p, "lkc-remote")
	p.Local.peer, p.Remote.peer = p.Remote, p.Local
	p.Local.clock, p.Remote.clock = o.Clocks[0], o.Clocks[1]
	draw := rand.New(rand.NewPCG(o.Seed, 0)) //nolint:gosec // it draws lags
	for _, t := range o.Topics {
		if t.Name == "" || p.Local.topics[t.Name] != nil {
			return nil, fmt.Errorf("topic %q is without a name or there twice", t.Name)
		}
		if t.Status == "" {
			t.Status = mirror.StatusActive
		}
		if t.Partitions == nil {
			for range 3 {
				offset := draw.Int64N(100_000)
				t.Partitions = append(t.Partitions, Partition{Lag: draw.Int64N(1000), LastSourceFetchOffset: offset})
			}
		}
		p.Local.topics[t.Name] = newTopic(t.Status, t.Partitions)
		unfetched := slices.Repeat([]Partition{{LastSourceFetchOffset: -1}}, len(t.Partitions))
		p.Remote.topics[t.Name] = newTopic(t.Remote, unfetched)
		p.Remote.topics[t.Name].oldSource = true
		p.Local.topics[t.Name].oldSource = t.Remote == mirror.StatusStopped // it is not known who was it last
	}
	if o.TLS && o.InMemory {
		return nil, errors.New("Options.TLS does not go with InMemory, whose connections have no buffers")
	}
	if o.TLS {
		if err := p.makeCertificate(); err != nil {
			return nil, err
		}
	}
	var network memory
	stopLocal, err := p.Local.serve(&network)
	if err != nil {
		return nil, err
	}
	stopRemote, err := p.Remote.serve(&network)
	if err != nil {
		return nil, errors.Join(err, stopLocal())
	}
	if _, err := mirror.NewClient(p.Local.Config()); err != nil {
		return nil, errors.Join(err, stopLocal(), stopRemote())
	}
	p.close = sync.OnceValue(func() error { return errors.Join(stopLocal(), stopRemote()) })
	return p, nil
}

// Close stops both clusters, ends what hangs, and waits until nothing of the pair is running. The
// oracle still answers afterwards. Closing it again does nothing.
func (p *Pair) Close() error { return p.close() }

// Link returns the name of the cluster link.
func (p *Pair) Link() string { return p.link }

// Cluster is one of a pair's clusters.
type Cluster struct {
	// ID is the cluster's id.
	ID string
	// Endpoint is the URL that it is served at.
	Endpoint string

	pair    *Pair
	peer    *Cluster
	network *memory // nil on loopback

	clock time.Duration // by how much it is ahead

	// Under the pair's mu.
	topics map[string]*topic
	onList func([]mirror.Mirror) []mirror.Mirror
	onLink func(mirror.LinkInfo) mirror.LinkInfo
	faults []*armed
	tokens map[string]string // bearer token to the identity pool it needs
	limits limiter
	draw   *rand.Rand

	busy chan struct{} // held by the one request that is worked at
}

func newCluster(p *Pair, id string) *Cluster {
	return &Cluster{
		ID: id, pair: p, topics: map[string]*topic{}, tokens: map[string]string{},
		limits: newLimiter(p.opts.Rate),
		draw:   rand.New(rand.NewPCG(p.opts.Seed, 1)), //nolint:gosec // it draws latencies
		busy:   make(chan struct{}, 1),
	}
}

// Config returns a Config that is ready to use with the cluster: its endpoint, id and API key, and what
// else the Options ask for.
func (c *Cluster) Config() mirror.Config {
	cfg := mirror.Config{
		Endpoint:   c.Endpoint,
		ClusterID:  c.ID,
		Credential: mirror.APIKey(c.key(), c.secret()),
		PathPrefix: c.pair.opts.PathPrefix,
	}
	cfg.Transport = c.transport(netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	if c.pair.opts.NoCredential {
		cfg.Credential = mirror.NoCredential()
	}
	return cfg
}

// transport returns a transport for a client at an address.
func (c *Cluster) transport(address netip.Addr) *http.Transport {
	t := mirror.NewTransport()
	if c.network != nil {
		t.DialContext = c.network.dialer(address)
	} else if address != netip.AddrFrom4([4]byte{127, 0, 0, 1}) {
		from := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(address, 0))}
		t.DialContext = from.DialContext
	}
	if c.pair.opts.TLS {
		t.TLSClientConfig.RootCAs = c.pair.roots
	}
	return t
}

// ConfigFrom is Config for a client at another address, which Rate.PerClient counts by itself. On loopback
// it must be an address of this machine, such as 127.0.0.2 on Linux. Config's clients are at 127.0.0.1.
func (c *Cluster) ConfigFrom(address netip.Addr) mirror.Config {
	cfg := c.Config()
	cfg.Transport = c.transport(address)
	return cfg
}

// key and secret are the API key that may do everything on this cluster, and only there.
func (c *Cluster) key() string    { return c.ID + "-key" }
func (c *Cluster) secret() string { return c.ID + "-secret" }

// APIKey returns the cluster's API key and secret, for clients that are not in Go.
func (c *Cluster) APIKey() (key, secret string) { return c.key(), c.secret() }

// Forbidden returns a credential that the cluster knows and that has no rights: it gets a
// 403 with 40301.
func (c *Cluster) Forbidden() mirror.Credential { return mirror.APIKey("forbidden-key", c.secret()) }

// AcceptToken makes the cluster accept a bearer token, from now on. With an identity pool that is
// not "", the request must name that pool too.
func (c *Cluster) AcceptToken(token, identityPool string) {
	c.pair.mu.Lock()
	defer c.pair.mu.Unlock()
	c.tokens[token] = identityPool
}

// RevokeToken makes the cluster refuse a bearer token, from now on.
func (c *Cluster) RevokeToken(token string) {
	c.pair.mu.Lock()
	defer c.pair.mu.Unlock()
	delete(c.tokens, token)
}

// serve starts the cluster's endpoint. The function that it returns stops it and waits for all of it
// to end.
func (c *Cluster) serve(network *memory) (stop func() error, err error) {
	var listener net.Listener
	if c.pair.opts.InMemory {
		listener = network.listen()
		c.network = network
	} else if listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil { //nolint:noctx // it does not wait
		return nil, err
	}
	c.Endpoint = "http://" + listener.Addr().String()
	if c.pair.opts.TLS {
		c.Endpoint = "https://" + listener.Addr().String()
		own := tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{c.pair.certificate}}
		listener = tls.NewListener(listener, &own)
	}
	var running sync.WaitGroup
	server := &http.Server{
		Handler:           c,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // such as a client without TLS
		ReadHeaderTimeout: time.Minute,
		ConnState: func(_ net.Conn, s http.ConnState) {
			switch s {
			case http.StateNew:
				running.Add(1)
			case http.StateClosed, http.StateHijacked: // who hijacks closes it
				running.Done()
			}
		},
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	return func() error {
		err := server.Close()
		if end := <-served; !errors.Is(end, http.ErrServerClosed) {
			err = errors.Join(err, end)
		}
		running.Wait()
		return err
	}, nil
}
