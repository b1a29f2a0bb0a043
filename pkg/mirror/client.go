package mirror

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/internal/printable"
)

// A Client reverses the mirror topics of one Kafka cluster. It is made by NewClient, safe for
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
		userAgent:  cmp.Or(cfg.UserAgent, "clusterlink-go"),
		timeout:    cmp.Or(cfg.Timeout, defaultTimeout),
		maxAnswer:  cmp.Or(cfg.MaxAnswer, defaultMaxAnswer),

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
		strings.TrimSuffix(c.server, "/"), printable.Line(c.clusterID, maxText))
}

// Format writes the same for every verb: the fields are in use.
func (c *Client) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, c.String()) // f has no way to fail
}

// ReverseAndPause makes the selected local mirror topics writable and leaves their former sources
// as paused mirrors. It is called on the cluster that holds the mirror topics now. Names are sent
// in batches (Config.BatchSize); the library retries a request only if the server provably did not
// process it (Config.RetryFor).
//
// The Report is never nil, and accounts for every topic selected by name. The error is nil only
// if all of them were accepted; otherwise it is an *IncompleteError. It matches
// ErrInvalidArgument or ErrNoTopics if nothing was sent because the call was wrong,
// ErrOutcomeUnknown if a topic may have been reversed and the outcome is not known,
// ErrUnauthenticated, ErrRateLimited, *TopicError and *APIError for what the server said, and the
// context's error and cause if that ended the call.
func (c *Client) ReverseAndPause(ctx context.Context, link string, s Selection) (*Report, error) {
	return c.alter(ctx, link, s, false, reverseAndPause)
}

// ValidateReverseAndPause asks the server what ReverseAndPause would do, and changes nothing: it
// is the dry run. The Report says so in every form; its outcomes are those that the server
// foresees. Report and error are as for ReverseAndPause.
func (c *Client) ValidateReverseAndPause(ctx context.Context, link string, s Selection) (*Report, error) {
	return c.alter(ctx, link, s, true, reverseAndPause)
}
