package mirror

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/seed25095279/clusterlink-go/pkg/internal/loopback"
	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
	"github.com/seed25095279/clusterlink-go/pkg/mirror/internal/wire"
)

// The defaults for zero values of a Config.
const (
	defaultPathPrefix = "/kafka"
	defaultTimeout    = 60 * time.Second
	defaultRetryFor   = time.Minute
	defaultBatchSize  = 500
)

// Config says which cluster a Client calls and how. Endpoint, ClusterID and Credential are required. The zero value of
// every other field is ready to use. NewClient copies the Config.
type Config struct {
	// Endpoint is the cluster's REST endpoint: scheme, host and a port unless the scheme's own port is meant. An
	// example is https://pkc-00000.region.provider.confluent.cloud. Endpoint is not the bootstrap server (port 9092)
	// and has no path.
	Endpoint string
	// ClusterID is the id of the called cluster, such as lkc-1.
	ClusterID string
	// Credential authenticates each request. Servers without authentication take NoCredential.
	Credential Credential

	// PathPrefix is the part of the API's paths before /v3. "" means /kafka, as on Confluent Cloud and inside a
	// Confluent Platform broker. "/" means no prefix, as on a standalone REST Proxy (observed).
	PathPrefix string
	// AllowHTTP allows an http endpoint outside loopback. Credentials then travel in the clear.
	AllowHTTP bool
	// Transport sends the requests; nil is NewTransport(). Wrap or change the transport for certificates, dialers,
	// proxies, tracing, tokens or circuit breakers. A Transport must not repeat requests and must honour the request's
	// context. A Transport failing before the request's body was read leaves the topics Untouched; otherwise the topics
	// are Unknown.
	Transport http.RoundTripper

	// Timeout bounds each attempt, from asking the credential to the last byte of the response; 0 is 60 s. The server's
	// own limit is not known. With a short Timeout, topics may end Unknown because the answer came too late.
	Timeout time.Duration
	// RetryFor bounds for how long a batch is retried; 0 is 1 minute. A negative RetryFor allows a single attempt,
	// except that a 401 is still retried. The time counts from the batch's first attempt or from the client's last
	// response other than a rejection by the rate limiter, whichever is later. The table in the package documentation
	// lists the responses that are retried.
	//
	// After a rejection the client sends nothing for the larger of 1 s and Retry-After, plus jitter: the rate limiter
	// counts in a window of 1 s, rejected requests included (observed).
	RetryFor time.Duration
	// BatchSize is how many names each request carries; 0 is 500.
	BatchSize int

	// Recorder is called before and after each batch; nil is none. Client.WithRecorder adds others.
	Recorder Recorder
	// Logger gets a record for each call with counts of outcomes, and a record for each wait before a retry or for the
	// rate limiter. A wait of more than 1 s is a warning. At level debug each attempt has a record. No record has a
	// secret in it. A nil Logger is silent.
	Logger *slog.Logger
}

// A Recorder is called around each batch of a verb's call, except for dry runs. A Recorder can write down the intended
// change and its outcome, or show progress. The methods are called on the goroutine of the call, never concurrently. An
// error from a method ends the run: no further batch is sent. Of several recorders, the last added is the innermost.
type Recorder interface {
	// Sending is called once for each batch, before its first attempt. On an error the batch is not sent.
	Sending(ctx context.Context, b Batch) error
	// Answered is called after the last attempt of each batch for which Sending returned nil. The report covers the
	// batch and belongs to the recorder. The context has not ended and is bounded by Config.Timeout.
	Answered(ctx context.Context, b Batch, r *Report) error
}

// NewTransport returns the library's transport, to be changed or wrapped. The transport speaks HTTP/1.1 only, opens a
// connection for each request and requires TLS 1.2 or later. The proxy comes from the environment (HTTPS_PROXY,
// NO_PROXY), which Go reads once for each process.
func NewTransport() *http.Transport { return wire.NewTransport() }

// A Client reads and changes the mirror topics of a Kafka cluster. NewClient makes a Client. A Client is safe for
// concurrent use and has no goroutine running between calls. Calls on the zero Client fail with ErrInvalidArgument.
type Client struct {
	server     string
	pathPrefix string // replaces /kafka in the contract's paths
	clusterID  string
	batchSize  int
	recorders  []Recorder
	sender     wire.Sender
}

// NewClient checks the Config and returns a Client. NewClient sends nothing. The error matches ErrInvalidArgument and
// names everything wrong with the Config, without a secret.
func NewClient(cfg Config) (*Client, error) {
	bad := &argumentError{}
	server := cfg.check(bad)
	if err := bad.err(); err != nil {
		return nil, err
	}
	c := &Client{
		server:     server,
		pathPrefix: strings.TrimSuffix(cmp.Or(cfg.PathPrefix, defaultPathPrefix), "/"),
		clusterID:  cfg.ClusterID,
		batchSize:  cmp.Or(cfg.BatchSize, defaultBatchSize),
		sender: wire.Sender{
			Transport:  cfg.Transport,
			Credential: cfg.Credential,
			UserAgent:  "clusterlink-go",
			Timeout:    cmp.Or(cfg.Timeout, defaultTimeout),
			RetryFor:   cmp.Or(cfg.RetryFor, defaultRetryFor),
			Limiter:    &wire.Limiter{},
			Logger:     cfg.Logger,
		},
	}
	if c.sender.Transport == nil {
		c.sender.Transport = NewTransport()
	}
	if c.sender.Logger == nil {
		c.sender.Logger = slog.New(slog.DiscardHandler)
	}
	return c.WithRecorder(cfg.Recorder), nil
}

// WithRecorder returns a client with another recorder, inside the recorders already present. The two clients share the
// transport, the credential and the state of the rate limiter. A nil r changes nothing.
func (c *Client) WithRecorder(r Recorder) *Client {
	if c == nil || r == nil {
		return c
	}
	with := *c
	with.recorders = append(slices.Clip(c.recorders), r)
	return &with
}

// WithRetryFor returns a client with another Config.RetryFor; 0 is the default. The two clients share the transport,
// the credential and the state of the rate limiter.
func (c *Client) WithRetryFor(d time.Duration) *Client {
	if c == nil {
		return c
	}
	with := *c
	with.sender.RetryFor = cmp.Or(d, defaultRetryFor)
	return &with
}

// ClusterID returns the id of the client's cluster.
func (c *Client) ClusterID() string {
	if c == nil {
		return ""
	}
	return c.clusterID
}

// String returns the client's endpoint and cluster id.
func (c *Client) String() string {
	if c == nil {
		return "<nil>"
	}
	return Config{Endpoint: c.server, ClusterID: c.clusterID}.String()
}

// Format writes the same for every verb of fmt, so that no secret is printed.
func (c *Client) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, c.String()) // f has no way to fail
}

// String returns the endpoint and the cluster id, without secrets.
func (cfg Config) String() string {
	server := cfg.checkEndpoint(&argumentError{})
	return fmt.Sprintf("{Endpoint:%s ClusterID:%s}", strings.TrimSuffix(server, "/"), text.Line(cfg.ClusterID, maxText))
}

// Format writes the same for every verb of fmt, so that no secret is printed.
func (cfg Config) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, cfg.String()) // f has no way to fail
}

// ConfigFromEnv returns a Config from environment variables. Each variable's name begins with the prefix: "" for a
// single cluster, something like OTHER_ for the second.
//
//	KAFKA_REST_ENDPOINT                     Endpoint
//	KAFKA_CLUSTER_ID, or KAFKA_ID           ClusterID
//	KAFKA_API_KEY and KAFKA_API_SECRET      APIKey
//	KAFKA_BEARER_TOKEN_FILE                 BearerToken; the file is read anew for each request
//	KAFKA_BEARER_TOKEN                      BearerToken
//	KAFKA_IDENTITY_POOL_ID                  the identity pool of the token; optional
//	KAFKA_CA_FILE                           PEM certificates to trust in place of the system's; optional
//	KAFKA_PATH_PREFIX                       PathPrefix; optional
//
// Exactly one credential is required. The error matches ErrInvalidArgument and names every missing or wrong variable.
func ConfigFromEnv(prefix string) (Config, error) {
	name := func(variable string) string { return prefix + "KAFKA_" + variable }
	get := func(variable string) string { return os.Getenv(name(variable)) }
	bad := &argumentError{names: map[string]string{
		"Endpoint": name("REST_ENDPOINT"), "ClusterID": name("CLUSTER_ID"), "PathPrefix": name("PATH_PREFIX"),
	}}
	cfg := Config{
		Endpoint: get("REST_ENDPOINT"), ClusterID: cmp.Or(get("CLUSTER_ID"), get("ID")), PathPrefix: get("PATH_PREFIX"),
		Credential: NoCredential(), // a missing credential is noted by its variable
	}
	if id := get("ID"); id != "" && id != cfg.ClusterID {
		bad.add("ClusterID", "it is %s and %s is %s", text.Quote(cfg.ClusterID), name("ID"), text.Quote(id))
	}
	key, secret, token, file := get("API_KEY"), get("API_SECRET"), get("BEARER_TOKEN"), get("BEARER_TOKEN_FILE")
	switch {
	case (key != "" || secret != "") && (token != "" || file != "") || token != "" && file != "":
		bad.add(name("API_KEY"), "set either %s and %s, or %s, or %s: more than one is set",
			name("API_KEY"), name("API_SECRET"), name("BEARER_TOKEN_FILE"), name("BEARER_TOKEN"))
	case file != "":
		cfg.Credential = BearerToken(tokenFile(file), get("IDENTITY_POOL_ID"))
	case token != "":
		checkSecret(bad, name("BEARER_TOKEN"), token)
		source := func(context.Context) (string, error) { return token, nil }
		cfg.Credential = BearerToken(source, get("IDENTITY_POOL_ID"))
	case key == "" && secret == "":
		bad.add(name("API_KEY"), "there is no credential: set %s and %s, or %s",
			name("API_KEY"), name("API_SECRET"), name("BEARER_TOKEN_FILE"))
	default:
		checkKey(bad, name("API_KEY"), key, name("API_SECRET"), secret)
		cfg.Credential = APIKey(key, secret)
	}
	if (key != "" || secret != "") && get("IDENTITY_POOL_ID") != "" {
		bad.add(name("IDENTITY_POOL_ID"), "it goes with a token, not with %s", name("API_KEY"))
	}
	if file := get("CA_FILE"); file != "" {
		roots := x509.NewCertPool()
		pem, err := os.ReadFile(file) //nolint:gosec // the user names the file
		if err == nil && !roots.AppendCertsFromPEM(pem) {
			err = fmt.Errorf("there is no certificate in %s", text.Quote(file))
		}
		if err != nil {
			bad.add(name("CA_FILE"), "%v", err)
		}
		transport := NewTransport()
		transport.TLSClientConfig.RootCAs = roots
		cfg.Transport = transport
	}
	cfg.check(bad)
	if err := bad.err(); err != nil {
		return Config{}, err
	}
	return cfg, nil
}

// check adds the Config's problems to bad and returns the endpoint in the form of the generated client.
func (cfg Config) check(bad *argumentError) (server string) {
	server = cfg.checkEndpoint(bad)
	checkID(bad, "ClusterID", cfg.ClusterID)
	if strings.ContainsAny(cfg.ClusterID, "$%<>#;,=\\\"'`“”„‘’‚«»‹›\ufeff") {
		bad.add("ClusterID", "%s has a character that no cluster id has", text.Quote(cfg.ClusterID))
	}
	if cfg.Credential == nil {
		bad.add("Credential", "there is none (NoCredential says that on purpose)")
	}
	if cfg.PathPrefix != "" && cfg.PathPrefix != "/" && !pathPrefixForm.MatchString(cfg.PathPrefix) {
		bad.add("PathPrefix", `%s is not "/" or of the form /a or /a/b`, text.Quote(cfg.PathPrefix))
	}
	if strings.HasSuffix(cfg.PathPrefix, "/v3") {
		bad.add("PathPrefix", "it ends in /v3, which the library adds")
	}
	if cfg.BatchSize < 0 {
		bad.add("BatchSize", "%d is negative", cfg.BatchSize)
	}
	checkDuration(bad, "Timeout", cfg.Timeout)
	if cfg.Timeout < 0 {
		bad.add("Timeout", "%v is negative", cfg.Timeout)
	}
	checkDuration(bad, "RetryFor", cfg.RetryFor)
	return server
}

// checkDuration adds a problem to bad if a duration is too short to have been given a unit.
func checkDuration(bad *argumentError, field string, d time.Duration) {
	if d > 0 && d < time.Millisecond {
		bad.add(field, "%v is shorter than a millisecond: a number without a unit, such as %d, is in nanoseconds",
			d, int64(d))
	}
}

var pathPrefixForm = regexp.MustCompile(`^(/[A-Za-z0-9_~.-]*[A-Za-z0-9_~-])+$`)

// checkEndpoint adds the endpoint's problems to bad and returns the endpoint in the form of the generated client. No
// error quotes the whole endpoint, since an endpoint may hold a password.
func (cfg Config) checkEndpoint(bad *argumentError) string {
	const field = "Endpoint"
	if cfg.Endpoint == "" {
		bad.add(field, "it is empty")
		return ""
	}
	u, err := url.Parse(cfg.Endpoint)
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" {
		bad.add(field, "it is not of the form https://host or https://host:port")
		return ""
	}
	if u.User != nil {
		bad.add(field, "it has user info, which belongs in Credential")
	}
	if u.RawQuery != "" || u.ForceQuery || strings.Contains(cfg.Endpoint, "#") {
		bad.add(field, "it has a query or a fragment")
	}
	switch path := strings.TrimRight(u.Path, "/"); path {
	case "":
	case defaultPathPrefix, defaultPathPrefix + "/v3":
		bad.add(field, "it ends in %s, which the library adds: leave that out", path)
	case "/v3":
		bad.add(field, "it ends in /v3, which the library adds: leave that out, "+
			`and set PathPrefix to "/" if the API has no /kafka`)
	default:
		bad.add(field, "it has a path, which belongs in PathPrefix")
	}
	if u.Port() == "9092" {
		bad.add(field, "port 9092 is that of a bootstrap server, which speaks Kafka's protocol, not HTTP "+
			"(the REST endpoint is another address, on Confluent Cloud without a port)")
	}
	if u.Scheme == "http" && !cfg.AllowHTTP && !loopback.Is(u.Hostname()) {
		bad.add(field, "http sends the credential in the clear: use https, or set AllowHTTP")
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/"}).String()
}

// checkID adds to bad the problems of a cluster's or link's name, which becomes a segment of a path.
func checkID(bad *argumentError, field, id string) {
	switch {
	case id == "":
		bad.add(field, "it is empty")
	case id == "." || id == "..":
		bad.add(field, "%s would change the request's path", text.Quote(id))
	case id == "-":
		bad.add(field, `"-" is the API's wildcard, not a name`)
	case !utf8.ValidString(id):
		bad.add(field, "%s is not UTF-8", text.Quote(id))
	case strings.TrimSpace(id) != id:
		bad.add(field, "%s has white space around it", text.Quote(id))
	case strings.ContainsFunc(id, func(r rune) bool { return !unicode.IsPrint(r) }):
		bad.add(field, "%s has a character that cannot be printed", text.Quote(id))
	case placeholder.MatchString(id):
		bad.add(field, "%s is a placeholder that was not filled in", text.Quote(id))
	}
}
