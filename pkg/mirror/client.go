package mirror

import (
	"cmp"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

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

const jsonType = "application/json"

// operation is one of those that alter mirror topics: they take an AlterMirrorsRequestData and
// answer with an AlterMirrorStatusResponseDataList.
type operation struct {
	action string // the last segment of its path
	send   func(ctx context.Context, g *gen.Client, body io.Reader, edit gen.RequestEditorFn) (*http.Response, error)
}

// alter makes a call of an operation.
func (c *Client) alter(ctx context.Context, link string, s Selection, dryRun bool, op operation) (*Report, error) {
	bad := &argumentError{}
	if c == nil || c.http == nil {
		c = &Client{logger: slog.New(slog.DiscardHandler)}
		bad.add("Client", "it was not made by NewClient")
	}
	checkID(bad, "link", link)
	s.check(bad)

	l := newLedger(c.clusterID, link, s, dryRun)
	whole := Batch{ClusterID: c.clusterID, Link: link, DryRun: dryRun}
	if err := bad.err(); err != nil {
		l.refuse(nil, err)
		for i := range l.report.Results {
			l.report.Results[i].cause = err
		}
	} else {
		c.run(ctx, l, op, s.batches(whole, c.batchSize))
	}
	report, err := l.finish()
	if err != nil {
		c.logger.WarnContext(ctx, "mirror topics not all accepted", slog.Any("report", report), slog.Any("error", err))
	} else {
		c.logger.InfoContext(ctx, "mirror topics accepted", slog.Any("report", report))
	}
	return report, err
}

// checkID notes what is wrong with the name of a cluster or a link, which becomes one segment of a
// path.
func checkID(bad *argumentError, field, id string) {
	switch {
	case id == "":
		bad.add(field, "it is empty")
	case id == "." || id == "..":
		bad.add(field, "%s would change the request's path", quote(id))
	case id == "-":
		bad.add(field, `"-" is the API's wildcard, not a name`)
	case !utf8.ValidString(id):
		bad.add(field, "%s is not UTF-8", quote(id))
	}
}

// httpClient returns the client to send through, a copy of the caller's or one of our own, and
// whether its transport is known to report to httptrace.
func (cfg Config) httpClient() (*http.Client, bool) {
	c := &http.Client{}
	if cfg.HTTPClient != nil {
		*c = *cfg.HTTPClient
	} else {
		c.Transport = cfg.transport()
	}
	base := c.Transport
	if base == nil {
		base = http.DefaultTransport
	}
	c.Transport = unfollowed{base}
	_, reports := base.(*http.Transport)
	return c, reports
}

// unfollowed hides from http.Client where a redirect points: following it would carry credential
// and order elsewhere, and an error about it would quote it whole.
type unfollowed struct{ base http.RoundTripper }

// hiddenLocation is where the Location header is kept. No header on the wire can have this name.
const hiddenLocation = "Location, not followed"

func (u unfollowed) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := u.base.RoundTrip(r)
	if err == nil && resp.StatusCode/100 == 3 {
		resp.Header[hiddenLocation] = resp.Header["Location"]
		delete(resp.Header, "Location")
	}
	return resp, err
}

// transport returns our own transport. It speaks HTTP/1.1 on a fresh connection for each request:
// a kept-alive one may have gone stale, and a request lost on it would be of unknown outcome.
func (cfg Config) transport() *http.Transport {
	t := &http.Transport{
		Proxy:                  proxy,
		DialContext:            (&net.Dialer{Timeout: connectTimeout}).DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    connectTimeout,
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: 1 << 20,
		Protocols:              &http.Protocols{},
	}
	t.Protocols.SetHTTP1(true)
	if cfg.TLS != nil {
		t.TLSClientConfig = cfg.TLS.Clone()
		t.TLSClientConfig.MinVersion = max(t.TLSClientConfig.MinVersion, tls.VersionTLS12)
	}
	return t
}
