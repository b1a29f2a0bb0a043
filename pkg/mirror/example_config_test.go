package mirror_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// The key must be one of that very Kafka cluster. It is never printed.
func ExampleAPIKey() {
	pair, _, _ := linked(mirrortest.Topic{Name: "orders"})
	defer pair.Close()
	key, secret := pair.Local.APIKey()
	cfg := mirror.Config{
		Endpoint: pair.Local.Endpoint, ClusterID: pair.Local.ID, Credential: mirror.APIKey(key, secret),
	}
	client, err := mirror.NewClient(cfg)
	if err != nil {
		log.Fatal(err)
	}
	listing, err := client.Mirrors(context.Background(), "dr-link")
	fmt.Println(listing.Topics(), err)
	// Output:
	// [orders] <nil>
}

// The source is asked for each request, so it caches, honours the context, and renews the token in time.
func ExampleBearerToken() {
	pair, _, _ := linked(mirrortest.Topic{Name: "orders"})
	defer pair.Close()
	pair.Local.AcceptToken("token-1", "pool-1")

	var mu sync.Mutex
	var token string
	var expires time.Time
	source := func(ctx context.Context) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if time.Until(expires) < time.Minute {
			fmt.Println("fetching a token") // with ctx, from the identity provider
			token, expires = "token-1", time.Now().Add(time.Hour)
		}
		return token, ctx.Err()
	}
	client, err := mirror.NewClient(mirror.Config{
		Endpoint: pair.Local.Endpoint, ClusterID: pair.Local.ID, Credential: mirror.BearerToken(source, "pool-1"),
	})
	if err != nil {
		log.Fatal(err)
	}
	for range 2 {
		listing, err := client.Mirrors(context.Background(), "dr-link")
		fmt.Println(listing.Topics(), err)
	}
	// Output:
	// fetching a token
	// [orders] <nil>
	// [orders] <nil>
}

// With mutual TLS the certificate is the credential.
func ExampleNoCredential() {
	pair, err := mirrortest.Start(mirrortest.Options{TLS: true, NoCredential: true})
	if err != nil {
		log.Fatal(err)
	}
	defer pair.Close()
	roots := pair.Local.Config().TLS.RootCAs // nil for those of the system
	var certificate tls.Certificate          // from tls.LoadX509KeyPair
	client, err := mirror.NewClient(mirror.Config{
		Endpoint:   pair.Local.Endpoint,
		ClusterID:  pair.Local.ID,
		Credential: mirror.NoCredential(),
		TLS:        &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{certificate}},
	})
	if err != nil {
		log.Fatal(err)
	}
	listing, err := client.Mirrors(context.Background(), "dr-link")
	fmt.Println(listing.Topics(), err)
	// Output:
	// [topic-1 topic-2] <nil>
}

// roundTripper makes a transport of a function.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Middleware goes around the library's own transport: for tracing, metrics, or headers that a gateway wants.
// It must not send a request twice, and should not read the body.
func ExampleConfig_middleware() {
	pair, _, _ := linked(mirrortest.Topic{Name: "orders"})
	defer pair.Close()
	cfg := pair.Local.Config()
	cfg.Middleware = func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			r = r.Clone(r.Context()) // a RoundTripper may not change its request
			r.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
			response, err := next.RoundTrip(r)
			if err == nil {
				fmt.Println(r.Method, r.URL.Path, response.StatusCode)
			}
			return response, err
		})
	}
	client, err := mirror.NewClient(cfg)
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Pause(context.Background(), "dr-link", mirror.Topics("orders"))
	fmt.Println(err, pair.Journal()[0].Header.Get("Traceparent"))
	// Output:
	// POST /kafka/v3/clusters/lkc-local/links/dr-link/mirrors:pause 200
	// <nil> 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
}

// A Logger gets a record for each call and each wait, and for each attempt at the level debug. There are no topics in
// them, and no secrets.
func ExampleConfig_logger() {
	pair, _, _ := linked(mirrortest.Topic{Name: "orders"}, mirrortest.Topic{Name: "refunds", Status: mirror.StatusStopped})
	defer pair.Close()
	cfg := pair.Local.Config()
	cfg.Logger = slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			switch a.Key {
			case "time", "run", "took", "error": // this page is kept short, and the same from run to run
				return slog.Attr{}
			}
			return a
		},
	}))
	client, err := mirror.NewClient(cfg)
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Promote(context.Background(), "dr-link", mirror.Topics("orders", "refunds"))
	fmt.Println(err)
	// Output:
	// level=DEBUG msg=attempt operation=promote link=dr-link batch=0 attempt=1 http_status=200 limiter=""
	// level=WARN msg="mirror topics not all accepted" rate_limited=0 delayed=0 report.verb=promote report.cluster_id=lkc-local report.link=dr-link report.complete=true report.accepted=1 report.failed=1 report.unknown=0 report.untouched=0
	// promote, link "dr-link": 1 accepted, 1 failed, 0 unknown, 0 untouched: refunds: 400: Topic 'refunds' has already stopped its mirror from 'dr-link'
}
