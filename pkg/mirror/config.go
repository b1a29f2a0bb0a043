package mirror

import (
	"context"
	"crypto/tls"
	"errors"
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
	"unicode/utf8"

	"github.com/seed25095279/clusterlink-go/pkg/internal/printable"
)

// What a Config's zero values stand for.
const (
	defaultPrefix    = "/kafka"
	defaultTimeout   = 60 * time.Second
	defaultMaxAnswer = 256 << 20
	connectTimeout   = 10 * time.Second

	defaultMaxAttempts = 4
	defaultBatchSize   = 500
)

// Config says which cluster a Client calls, and how. Endpoint, ClusterID and Credential are
// required; every other field does well at zero. NewClient copies it.
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

	// TLS is for the client's own transport: certificates for mutual TLS, another root. Nil is the
	// system's roots. TLS 1.2 is the least in any case.
	TLS *tls.Config
	// HTTPClient is used in place of the client's own, with its Transport as it stands. Redirects
	// are not followed with it either. Use it or TLS, not both.
	HTTPClient *http.Client

	// Logger gets one record a call, with counts, no topic but in an error, and no secret. Nil is
	// silent.
	Logger *slog.Logger
	// UserAgent is sent as User-Agent; "" is clusterlink-go.
	UserAgent string

	// Timeout bounds one attempt, from looking for a connection to the last byte of the answer; 0
	// is 60 s. The server's own limit is 30 s (observed), after which it may still be at work; with
	// a shorter Timeout topics end Unknown that would have had an answer.
	Timeout time.Duration
	// MaxAnswer bounds an answer, in bytes after decompression; 0 is 256 MiB. Rows beyond it are
	// not read, and their topics are Unknown.
	MaxAnswer int64

	// MaxAttempts is how often one request may be sent, the first time included; 0 is 4, and 1 is
	// never again. Sent again by itself is only what provably was not processed: a request that
	// never left for a passing cause, one that the rate filter turned away, and once one that got a
	// 401 if the credential then writes another Authorization header. A dry run changes nothing, and
	// is also sent again after a 5xx, a 408, any 429 and a lost answer.
	MaxAttempts int
	// BatchSize is how many names one request carries; 0 is 500.
	BatchSize int
	// Parallel is how many requests of a call may be under way at once; 0 is 1.
	Parallel int
	// KeepGoing goes on with the next batch after one that was turned away as a whole or has a topic
	// of Unknown outcome. Otherwise no more is sent, and the topics not yet sent are Untouched.
	KeepGoing bool
	// BeforeBatch, if set, is called before each batch is sent the first time: the place to write
	// down what is about to happen. If it fails, that batch and those after it are not sent.
	BeforeBatch func(context.Context, Batch) error
	// AfterBatch, if set, is called with what became of each batch that BeforeBatch was called for
	// and let through: the place for a journal and for progress. The results are the hook's to keep.
	//
	// Both hooks are called on the goroutine that makes the call, one at a time, with its context.
	// A panic in one ends the call, after what is under way was cancelled.
	AfterBatch func(context.Context, Batch, []Result)
}

// String tells which cluster the Config is for, and nothing that could be a secret.
func (cfg Config) String() string {
	server := cfg.checkEndpoint(&argumentError{})
	return fmt.Sprintf("{Endpoint:%s ClusterID:%s}", strings.TrimSuffix(server, "/"), printable.Line(cfg.ClusterID, maxText))
}

// Format writes the same for every verb: some would print the private keys in TLS.
func (cfg Config) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, cfg.String()) // f has no way to fail
}

// ConfigFromEnv returns a Config with endpoint, cluster and API key from the environment:
// KAFKA_REST_ENDPOINT, KAFKA_CLUSTER_ID or KAFKA_ID, KAFKA_API_KEY and KAFKA_API_SECRET. Its error
// matches ErrInvalidArgument and names the variables that are not set, and says if the two
// cluster ids differ.
func ConfigFromEnv() (Config, error) {
	bad := &argumentError{}
	get := func(name string) string {
		value := os.Getenv(name)
		if value == "" {
			bad.add(name, "it is not set")
		}
		return value
	}
	cfg := Config{Endpoint: get("KAFKA_REST_ENDPOINT")}
	clusterID, id := os.Getenv("KAFKA_CLUSTER_ID"), os.Getenv("KAFKA_ID")
	switch {
	case clusterID == "" && id == "":
		bad.add("KAFKA_CLUSTER_ID", "neither it nor KAFKA_ID is set")
	case clusterID != "" && id != "" && clusterID != id:
		bad.add("KAFKA_CLUSTER_ID", "it is %s and KAFKA_ID is %s", quote(clusterID), quote(id))
	case clusterID == "":
		clusterID = id
	}
	cfg.ClusterID = clusterID
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
	if err != nil || u.Host == "" || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" {
		bad.add(field, "it is not of the form https://host or https://host:port")
		return ""
	}
	if u.User != nil {
		bad.add(field, "it has user info, which belongs in Credential")
	}
	if u.RawQuery != "" || u.ForceQuery {
		bad.add(field, "it has a query")
	}
	if u.Fragment != "" || strings.Contains(cfg.Endpoint, "#") {
		bad.add(field, "it has a fragment")
	}
	switch path := strings.TrimRight(u.Path, "/"); path {
	case "":
	case defaultPrefix, defaultPrefix + "/v3":
		bad.add(field, "it ends in %s, which the library adds: leave that out", path)
	case "/v3":
		bad.add(field, `it ends in /v3, which the library adds: leave that out, and set PathPrefix to "/" if the API has no /kafka`)
	default:
		bad.add(field, "it has a path, which belongs in PathPrefix")
	}
	if u.Port() == "9092" {
		bad.add(field, "port 9092 is that of a bootstrap server, which speaks Kafka's protocol, not HTTP (the REST endpoint is another address, on Confluent Cloud without a port)")
	}
	if u.Scheme == "http" && !cfg.AllowHTTP && !isLoopback(u.Hostname()) {
		bad.add(field, "http sends the credential in the clear: use https, or set AllowHTTP")
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/"}).String()
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

var prefixForm = regexp.MustCompile(`^(/[A-Za-z0-9_~.-]*[A-Za-z0-9_~-])+$`)

// checkRest notes what is wrong with the fields that have no check of their own.
func (cfg Config) checkRest(bad *argumentError) {
	if cfg.Credential == nil {
		bad.add("Credential", "there is none (NoCredential says that on purpose)")
	}
	if cfg.PathPrefix != "" && cfg.PathPrefix != "/" && !prefixForm.MatchString(cfg.PathPrefix) {
		bad.add("PathPrefix", `%s is not "/" or of the form /a or /a/b`, quote(cfg.PathPrefix))
	}
	if cfg.PathPrefix == "/v3" || strings.HasSuffix(cfg.PathPrefix, "/v3") {
		bad.add("PathPrefix", "it ends in /v3, which the library adds")
	}
	if cfg.HTTPClient != nil && cfg.TLS != nil {
		bad.add("TLS", "it has no effect beside HTTPClient: set it on that client's Transport")
	}
	if cfg.Timeout < 0 {
		bad.add("Timeout", "%v is negative", cfg.Timeout)
	}
	for _, c := range []struct {
		field string
		n     int64
	}{
		{"MaxAnswer", cfg.MaxAnswer}, {"MaxAttempts", int64(cfg.MaxAttempts)},
		{"BatchSize", int64(cfg.BatchSize)}, {"Parallel", int64(cfg.Parallel)},
	} {
		if c.n < 0 {
			bad.add(c.field, "%d is negative", c.n)
		}
	}
	for i := range len(cfg.UserAgent) {
		if c := cfg.UserAgent[i]; c < ' ' || c > '~' {
			bad.add("UserAgent", "%s has a character that a header cannot carry", quote(cfg.UserAgent))
			break
		}
	}
}

// proxy is the environment's choice of a proxy. Its error is replaced, for it quotes the proxy's
// URL with the password in it.
func proxy(r *http.Request) (*url.URL, error) {
	u, err := http.ProxyFromEnvironment(r)
	if err != nil {
		return nil, errors.New("the environment's proxy setting is not a URL")
	}
	return u, nil
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
