package mirror

import (
	"cmp"
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/seed25095279/clusterlink-go/gen"
)

// A Client reverses the mirror topics of one Kafka cluster. It is made by NewClient, safe for
// concurrent use, and owns no goroutine while no call is under way. Calls on the zero Client fail
// with ErrInvalidArgument.
type Client struct {
	server     string
	prefix     string // takes the place of /kafka in the contract's paths
	clusterID  string
	credential Credential
	http       *http.Client
	reports    bool // the transport is net/http's own, which reports to httptrace
	logger     *slog.Logger
	userAgent  string
	timeout    time.Duration
	maxAnswer  int64

	maxAttempts         int
	batchSize, parallel int
	keepGoing           bool
	beforeBatch         func(context.Context, Batch) error
	afterBatch          func(context.Context, Batch, []Result)

	throttle throttle
}

// NewClient checks the Config and returns a Client for it. It sends nothing. Its error matches
// ErrInvalidArgument and names everything that is wrong, with no secret in it.
func NewClient(cfg Config) (*Client, error) {
	bad := &argumentError{}
	server := cfg.checkEndpoint(bad)
	checkID(bad, "ClusterID", cfg.ClusterID)
	cfg.checkRest(bad)
	if err := bad.err(); err != nil {
		return nil, err
	}
	c := &Client{
		server:     server,
		prefix:     strings.TrimSuffix(cmp.Or(cfg.PathPrefix, defaultPrefix), "/"),
		clusterID:  cfg.ClusterID,
		credential: cfg.Credential,
		logger:     cfg.Logger,
		userAgent:  cmp.Or(cfg.UserAgent, "clusterlink-go"),
		timeout:    cmp.Or(cfg.Timeout, defaultTimeout),
		maxAnswer:  cmp.Or(cfg.MaxAnswer, defaultMaxAnswer),

		maxAttempts: cmp.Or(cfg.MaxAttempts, defaultMaxAttempts),
		batchSize:   cmp.Or(cfg.BatchSize, defaultBatchSize),
		parallel:    cmp.Or(cfg.Parallel, 1),
		keepGoing:   cfg.KeepGoing,
		beforeBatch: cfg.BeforeBatch,
		afterBatch:  cfg.AfterBatch,
	}
	c.http, c.reports = cfg.httpClient()
	if c.logger == nil {
		c.logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// ReverseAndPause makes the selected local mirror topics writable and leaves their former sources
// as paused mirrors. It is called on the cluster that holds the mirror topics now. Names are sent
// in batches (Config.BatchSize); a request is sent again by itself only if the server provably did
// not process it.
//
// The Report is never nil, and accounts for every topic selected by name. The error is nil only
// if all of them were accepted; otherwise it is an *IncompleteError. It matches
// ErrInvalidArgument or ErrNoTopics if nothing was sent because the call was wrong,
// ErrOutcomeUnknown if a topic may have been reversed without our knowing, ErrUnauthenticated,
// ErrRateLimited, *TopicError and *APIError for what the server said, and the context's error and
// cause if that ended the call.
func (c *Client) ReverseAndPause(ctx context.Context, link string, s Selection) (*Report, error) {
	return c.reverseAndPause(ctx, link, s, false)
}

// ValidateReverseAndPause asks the server what ReverseAndPause would do, and changes nothing: it
// is the dry run. The Report says so in every form; its outcomes are those that the server
// foresees. Report and error are as for ReverseAndPause.
func (c *Client) ValidateReverseAndPause(ctx context.Context, link string, s Selection) (*Report, error) {
	return c.reverseAndPause(ctx, link, s, true)
}

func (c *Client) reverseAndPause(ctx context.Context, link string, s Selection, dryRun bool) (*Report, error) {
	return c.alter(ctx, link, s, dryRun, operation{"mirrors:reverse-and-pause-mirror",
		func(ctx context.Context, g *gen.Client, body io.Reader, edit gen.RequestEditorFn) (*http.Response, error) {
			params := gen.UpdateKafkaMirrorTopicsReverseAndPauseMirrorParams{ValidateOnly: &dryRun}
			return g.UpdateKafkaMirrorTopicsReverseAndPauseMirrorWithBody(ctx, c.clusterID, link, &params, jsonType, body, edit)
		}})
}
