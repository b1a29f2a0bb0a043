package mirror

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

// A Client reads and changes the mirror topics of one Kafka cluster. It is made by NewClient, safe for
// concurrent use, and has no goroutine running between calls, unless middleware left it with a body
// whose Read ignores its context. Calls on the zero Client fail
// with ErrInvalidArgument.
type Client struct {
	server       string
	pathPrefix   string // takes the place of /kafka in the contract's paths
	clusterID    string
	credential   Credential
	roundTripper http.RoundTripper // the library's own transport, within the caller's middleware
	wrapped      bool              // there is middleware
	logger       *slog.Logger
	userAgent    string
	timeout      time.Duration
	timedOut     error // why an attempt ends at the timeout
	maxAnswer    int64

	retryFor            time.Duration
	batchSize, parallel int
	keepGoing           bool
	beforeBatch         func(context.Context, Batch) error
	afterBatch          func(context.Context, Batch, *Report) error

	throttle throttle
}

// NewClient checks the Config and returns a Client for it. It sends nothing. Its error matches
// ErrInvalidArgument and names everything that is wrong, with no secret in it.
func NewClient(cfg Config) (*Client, error) {
	bad := &argumentError{}
	server := cfg.checkEndpoint(bad)
	checkID(bad, "ClusterID", cfg.ClusterID)
	cfg.checkOptions(bad)
	roundTripper := http.RoundTripper(cfg.transport())
	if cfg.Middleware != nil {
		if roundTripper = cfg.Middleware(roundTripper); roundTripper == nil {
			bad.add("Middleware", "it returned nil")
		}
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	c := &Client{
		server:     server,
		pathPrefix: strings.TrimSuffix(cmp.Or(cfg.PathPrefix, defaultPathPrefix), "/"),
		clusterID:  cfg.ClusterID,
		credential: cfg.Credential,
		logger:     cfg.Logger,
		userAgent:  cmp.Or(cfg.UserAgent, defaultUserAgent()),
		timeout:    cmp.Or(cfg.Timeout, defaultTimeout),
		maxAnswer:  cmp.Or(cfg.MaxAnswer, defaultMaxAnswer),
		timedOut:   &timeoutError{cmp.Or(cfg.Timeout, defaultTimeout)},

		roundTripper: roundTripper,
		wrapped:      cfg.Middleware != nil,

		retryFor:    max(-1, cmp.Or(cfg.RetryFor, defaultRetryFor)),
		batchSize:   cmp.Or(cfg.BatchSize, defaultBatchSize),
		parallel:    cmp.Or(cfg.Parallel, 1),
		keepGoing:   cfg.KeepGoing,
		beforeBatch: cfg.BeforeBatch,
		afterBatch:  cfg.AfterBatch,
	}
	if c.logger == nil {
		c.logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// String returns the cluster that the Client calls.
func (c *Client) String() string {
	if c == nil {
		return "<nil>"
	}
	return fmt.Sprintf("{Endpoint:%s ClusterID:%s}",
		strings.TrimSuffix(c.server, "/"), text.Line(c.clusterID, maxText))
}

// Format writes the same for every verb: the fields are in use.
func (c *Client) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, c.String()) // f has no way to fail
}

// module is the library's, as a program that is built with it records it.
const module = "github.com/seed25095279/clusterlink-go"

// defaultUserAgent is the library's name, with its version where the build records one.
var defaultUserAgent = sync.OnceValue(func() string {
	info, _ := debug.ReadBuildInfo()
	return userAgentOf(info)
})

func userAgentOf(info *debug.BuildInfo) string {
	if info != nil {
		for _, m := range append(info.Deps, &info.Main) {
			if m.Path == module && strings.HasPrefix(m.Version, "v") {
				return "clusterlink-go/" + m.Version
			}
		}
	}
	return "clusterlink-go"
}
