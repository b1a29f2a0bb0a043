package mirror

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/seed25095279/clusterlink-go/pkg/internal/loopback"
	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

// What a Config's zero values stand for.
const (
	defaultPathPrefix = "/kafka"
	defaultTimeout    = 60 * time.Second
	defaultMaxAnswer  = 256 << 20
	connectTimeout    = 10 * time.Second

	defaultRetryFor  = time.Minute
	defaultBatchSize = 500
)

// Config says which cluster a Client calls, and how. Endpoint, ClusterID and Credential are
// required; the zero value of every other field is ready to use. NewClient copies it.
type Config struct {
	// Endpoint is the cluster's REST endpoint: scheme, host and, where it is not the scheme's own,
	// port, such as https://pkc-00000.region.provider.confluent.cloud. It is not the bootstrap
	// server (port 9092), and has no path.
	Endpoint string
	// ClusterID is the id of the cluster that holds the mirror topics now, such as lkc-1.
	ClusterID string
	// Credential authenticates each request; NoCredential says that none is needed.
	Credential Credential

	// PathPrefix is what the API's paths begin with, before /v3. "" is /kafka, as on Confluent
	// Cloud and inside a Confluent Platform broker; "/" is none, as on a standalone REST Proxy.
	PathPrefix string
	// AllowHTTP allows an http endpoint that is not on loopback. Credentials then travel in the
	// clear.
	AllowHTTP bool

	// TLS configures the client's transport: certificates for mutual TLS, other roots. Nil means the
	// system's roots. The transport requires TLS 1.2 or later and speaks HTTP/1.1 only, so NextProtos
	// is not used.
	TLS *tls.Config
	// DialContext opens the connections of the client's transport, also those to a proxy: for
	// tunnels, resolvers and test networks. Nil means a net.Dialer with a time-out of 10 s.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
	// Middleware wraps the client's transport: for tracing, tokens or circuit breakers. NewClient
	// calls it once. What it returns must send through next or not at all, must honour the request's
	// context, and should send each request once: a refusal after a second send is Unknown. A request
	// that it refuses without reading the body is Untouched; one whose body it read, to sign or to
	// buffer it, and that fails then is Unknown.
	Middleware func(next http.RoundTripper) http.RoundTripper

	// Logger gets a record for each call, with counts of outcomes, of rejections by the rate limiter
	// (rate_limited), and of requests that it let through late (delayed); one for each wait before a retry or
	// for the rate limiter, a warning where it is longer than a second; and at the level debug one for each
	// attempt. There is no topic in them but in an error, and no secret. Nil is silent.
	Logger *slog.Logger
	// UserAgent is sent as User-Agent; "" is clusterlink-go, with the module's version where the build records one.
	UserAgent string

	// Timeout bounds one attempt, from asking the credential to the last byte of the response; 0 is
	// 60 s. The server's own limit is 30 s (observed), after which it may still be at work; with a
	// shorter Timeout topics end Unknown that would have had an answer. A credential or middleware
	// that does not honour its context can take longer.
	Timeout time.Duration
	// MaxAnswer bounds an answer, in bytes after decompression; 0 is 256 MiB. Rows beyond it are
	// not read, and their topics are Unknown. One value of an answer, such as a message, is read up to
	// 16 MiB; a longer one ends the answer.
	MaxAnswer int64

	// RetryFor bounds for how long a batch is retried; 0 is 1 minute, negative is never. The time
	// counts from the batch's first attempt, or from the last response to any request of this client
	// that was not a rejection by the rate limiter, if that is later. The library retries only:
	//
	//   - a request that the rate limiter rejected, for as long as RetryFor;
	//   - a request that was provably not sent, for a cause that can pass, for at most 10 s of it;
	//   - a dry run or a read, which change nothing, after a 5xx, a 408, a 429 or a lost response: three
	//     attempts in all;
	//   - a request that got a 401, once, if the credential then writes other headers; also when
	//     RetryFor is negative.
	//
	// After a rejection nothing of the client is sent for as long as the response's Retry-After says, with a bit
	// more after several in a row, or else for a second and a bit, since the rate limiter counts in a window of
	// one second, requests that it rejected included (observed). No rejection counts as an attempt: as long as
	// anything of the client's gets through every now and then, its batches are retried. If the rate limiter asks
	// for a longer wait than is left, or the time runs out behind it, the run ends, with KeepGoing or without.
	RetryFor time.Duration
	// BatchSize is how many names one request carries; 0 is 500.
	BatchSize int
	// Parallel is how many requests of a call may be in flight at once; 0 is 1.
	Parallel int
	// KeepGoing continues with the next batch after one that was refused as a whole or has a topic of
	// Unknown outcome. Otherwise no further batch is sent, and the topics not yet sent are Untouched.
	KeepGoing bool
	// BeforeBatch, if set, is called before each batch is sent the first time: the place to write
	// down what is about to happen. If it fails, that batch and those after it are not sent.
	BeforeBatch func(context.Context, Batch) error
	// AfterBatch, if set, is called with the batch's own report for each batch that BeforeBatch let
	// through: the place for a journal and for progress. The report is the hook's to keep. If it
	// fails, no further batch is sent.
	//
	// Both hooks are called on the goroutine that makes the call, one at a time, with its context,
	// and must honour it. A panic in one ends the call, after the requests in flight were cancelled.
	// After a panic in a credential or in middleware, AfterBatch is called for every batch in flight,
	// that one included, before the panic goes on to the caller.
	AfterBatch func(context.Context, Batch, *Report) error
}

// String tells which cluster the Config is for, and nothing that could be a secret.
func (cfg Config) String() string {
	server := cfg.checkEndpoint(&argumentError{})
	return fmt.Sprintf("{Endpoint:%s ClusterID:%s}",
		strings.TrimSuffix(server, "/"), text.Line(cfg.ClusterID, maxText))
}

// Format writes the same for every verb: some would print the private keys in TLS.
func (cfg Config) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, cfg.String()) // f has no way to fail
}

// ConfigFromEnv returns a Config with endpoint, cluster and API key from the environment:
// KAFKA_REST_ENDPOINT, KAFKA_CLUSTER_ID or KAFKA_ID, KAFKA_API_KEY and KAFKA_API_SECRET, each with the prefix in
// front: "" for one cluster, something like OTHER_ for the second. Its error matches ErrInvalidArgument and
// names the variables that are not set, and says if the two cluster ids differ.
func ConfigFromEnv(prefix string) (Config, error) {
	bad := &argumentError{}
	get := func(name string) string {
		value := os.Getenv(prefix + name)
		if value == "" {
			bad.add(prefix+name, "it is not set")
		}
		return value
	}
	clusterID, id := os.Getenv(prefix+"KAFKA_CLUSTER_ID"), os.Getenv(prefix+"KAFKA_ID")
	cfg := Config{Endpoint: get("KAFKA_REST_ENDPOINT"), ClusterID: cmp.Or(clusterID, id)}
	switch {
	case cfg.ClusterID == "":
		bad.add(prefix+"KAFKA_CLUSTER_ID", "neither it nor %sKAFKA_ID is set", prefix)
	case id != "" && id != cfg.ClusterID:
		bad.add(prefix+"KAFKA_CLUSTER_ID", "it is %s and %sKAFKA_ID is %s",
			text.Quote(clusterID), prefix, text.Quote(id))
	}
	cfg.Credential = APIKey(get("KAFKA_API_KEY"), get("KAFKA_API_SECRET"))
	if err := bad.err(); err != nil {
		return Config{}, err
	}
	return cfg, nil
}

// checkEndpoint notes what is wrong with the endpoint, and returns it as the generated client
// takes it. The endpoint is not quoted whole in any error: it may hold a password.
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
	if u.RawQuery != "" || u.ForceQuery {
		bad.add(field, "it has a query")
	}
	if strings.Contains(cfg.Endpoint, "#") {
		bad.add(field, "it has a fragment")
	}
	switch path := strings.TrimRight(u.Path, "/"); path {
	case "":
	case defaultPathPrefix, defaultPathPrefix + "/v3":
		bad.add(field, "it ends in %s, which the library adds: leave that out", path)
	case "/v3":
		bad.add(field,
			`it ends in /v3, which the library adds: leave that out, and set PathPrefix to "/" if the API has no /kafka`)
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

var pathPrefixForm = regexp.MustCompile(`^(/[A-Za-z0-9_~.-]*[A-Za-z0-9_~-])+$`)

// checkOptions notes what is wrong with the fields that have no check of their own.
func (cfg Config) checkOptions(bad *argumentError) {
	if cfg.Credential == nil {
		bad.add("Credential", "there is none (NoCredential says that on purpose)")
	}
	if cfg.PathPrefix != "" && cfg.PathPrefix != "/" && !pathPrefixForm.MatchString(cfg.PathPrefix) {
		bad.add("PathPrefix", `%s is not "/" or of the form /a or /a/b`, text.Quote(cfg.PathPrefix))
	}
	if strings.HasSuffix(cfg.PathPrefix, "/v3") {
		bad.add("PathPrefix", "it ends in /v3, which the library adds")
	}
	for _, c := range []struct {
		field    string
		value    any
		negative bool
	}{
		{"Timeout", cfg.Timeout, cfg.Timeout < 0}, {"MaxAnswer", cfg.MaxAnswer, cfg.MaxAnswer < 0},
		{"BatchSize", cfg.BatchSize, cfg.BatchSize < 0}, {"Parallel", cfg.Parallel, cfg.Parallel < 0},
	} {
		if c.negative {
			bad.add(c.field, "%v is negative", c.value)
		}
	}
	if strings.ContainsFunc(cfg.UserAgent, func(r rune) bool { return r < ' ' || r > '~' }) {
		bad.add("UserAgent", "%s has a character that a header cannot carry", text.Quote(cfg.UserAgent))
	}
}

// checkID notes what is wrong with the name of a cluster or a link, which becomes one segment of a
// path.
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
