package mirrortest

import (
	"cmp"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// Cluster is one of the two clusters of a Pair.
type Cluster struct {
	// ID is the cluster's id.
	ID string
	// Endpoint is the URL of the cluster's REST API.
	Endpoint string

	pair    *Pair
	peer    *Cluster
	network *memory // nil on loopback
	address string

	clock time.Duration // ahead of the process's clock

	// Under the pair's mu.
	topics  map[string]*topic
	groups  []Group
	onList  func([]Mirror) []Mirror
	onLink  func(*Link)
	faults  []*armed
	tokens  map[string]string // bearer token to its identity pool
	limits  limiter
	draw    *rand.Rand
	dead    bool
	silent  bool         // dead, and connections are accepted
	stopped func() error // stops the endpoint; nil if there is none

	busy chan struct{} // held by the request at work
}

// newCluster makes the local (0) or remote (1) cluster of a pair.
func newCluster(p *Pair, i int, id string) *Cluster {
	return &Cluster{
		ID: id, pair: p, clock: p.opts.Clocks[i], groups: slices.Clone(p.opts.Groups[i]),
		topics: map[string]*topic{}, tokens: map[string]string{}, limits: newLimiter(p.opts.Rate),
		draw: rand.New(rand.NewPCG(p.opts.Seed, 1)), //nolint:gosec // it draws latencies
		busy: make(chan struct{}, 1),
	}
}

// Config returns a complete Config for the cluster: endpoint, id, API key, and whatever else the Options require.
func (c *Cluster) Config() mirror.Config {
	t := mirror.NewTransport()
	if c.network != nil {
		t.DialContext = c.network.dial
	}
	cfg := mirror.Config{
		Endpoint:   c.Endpoint,
		ClusterID:  c.ID,
		Credential: mirror.APIKey(c.APIKey()),
		PathPrefix: c.pair.opts.PathPrefix,
		Transport:  t,
	}
	if c.pair.opts.NoCredential {
		cfg.Credential = mirror.NoCredential()
	}
	return cfg
}

// APIKey returns the API key and secret that have all rights on this cluster only.
func (c *Cluster) APIKey() (key, secret string) { return c.ID + "-key", c.ID + "-secret" }

// Forbidden returns a credential without rights. The cluster knows the credential, and answers 403 with 40301.
func (c *Cluster) Forbidden() mirror.Credential {
	_, secret := c.APIKey()
	return mirror.APIKey("forbidden-key", secret)
}

// AcceptToken makes the cluster accept a bearer token from now on. If identityPool is not "", the request must also
// name the pool.
func (c *Cluster) AcceptToken(token, identityPool string) {
	c.pair.mu.Lock()
	defer c.pair.mu.Unlock()
	c.tokens[token] = identityPool
}

// RevokeToken makes the cluster refuse a bearer token from now on.
func (c *Cluster) RevokeToken(token string) {
	c.pair.mu.Lock()
	defer c.pair.mu.Unlock()
	delete(c.tokens, token)
}

// Death is the behaviour of a dead cluster toward its clients.
type Death uint8

// The ways to die.
const (
	// Refuses means that connections are refused.
	Refuses Death = iota
	// Swallows means that connections are accepted, but no request is answered.
	Swallows
)

// Die makes the cluster stop answering, as if its region were lost. From now on the mirrors of its topics on the
// other cluster show no lag (observed). Their status does not change by itself. A function that the Pair calls must
// not call Die.
func (c *Cluster) Die(how Death) error {
	c.setDead(true, how == Swallows)
	if how == Swallows {
		return nil
	}
	return c.stop()
}

// Revive makes a dead cluster answer again, at the same Endpoint.
func (c *Cluster) Revive() error {
	c.setDead(false, false)
	return errors.Join(c.stop(), c.serve())
}

func (c *Cluster) setDead(dead, silent bool) {
	c.pair.mu.Lock()
	defer c.pair.mu.Unlock()
	c.dead, c.silent = dead, silent
}

func (c *Cluster) isSilent() bool {
	c.pair.mu.Lock()
	defer c.pair.mu.Unlock()
	return c.silent
}

// stop stops the cluster's endpoint and waits until nothing is running.
func (c *Cluster) stop() error {
	c.pair.mu.Lock()
	stop := c.stopped
	c.stopped = nil
	c.pair.mu.Unlock()
	if stop == nil {
		return nil
	}
	return stop()
}

// listen listens at the cluster's address, or at a new address for the first time.
func (c *Cluster) listen() (net.Listener, error) {
	if c.pair.opts.InMemory {
		return c.network.listen(c.address), nil
	}
	return net.Listen("tcp", cmp.Or(c.address, "127.0.0.1:0")) //nolint:noctx // Listen does not wait
}

// serve starts the cluster's endpoint.
func (c *Cluster) serve() error {
	listener, err := c.listen()
	if err != nil {
		return err
	}
	if c.address == "" {
		c.address = listener.Addr().String()
		c.Endpoint = "http://" + c.address
	}
	var running sync.WaitGroup
	server := &http.Server{
		Handler:           c,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // such as TLS
		ReadHeaderTimeout: time.Minute,
		ConnState: func(_ net.Conn, s http.ConnState) {
			switch s {
			case http.StateNew:
				running.Add(1)
			case http.StateClosed, http.StateHijacked: // the hijacker closes the connection
				running.Done()
			}
		},
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	c.pair.mu.Lock()
	defer c.pair.mu.Unlock()
	c.stopped = func() error {
		err := server.Close()
		if end := <-served; !errors.Is(end, http.ErrServerClosed) {
			err = errors.Join(err, end)
		}
		running.Wait()
		return err
	}
	return nil
}
