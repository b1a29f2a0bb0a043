// Package integrations shows the library with others that it does not depend on. It is a module of its own.
package integrations_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// cached returns a source of tokens by OAuth 2.0 client credentials. It asks the identity provider only when the last
// token has run out, and within the context of the request that needs one.
func cached(cfg *clientcredentials.Config) func(context.Context) (string, error) {
	turn := make(chan struct{}, 1) // a mutex whose wait ends with the context
	var token *oauth2.Token
	return func(ctx context.Context) (string, error) {
		select {
		case turn <- struct{}{}:
			defer func() { <-turn }()
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
		if !token.Valid() {
			var err error
			if token, err = cfg.Token(ctx); err != nil {
				return "", err
			}
		}
		return token.AccessToken, nil
	}
}

// Client credentials by golang.org/x/oauth2, with a cache that honours the context.
func Example_oauth2() {
	pair, err := mirrortest.Start(mirrortest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer pair.Close()
	pair.Local.AcceptToken("token-1", "pool-1")
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Println("a token is fetched")
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{
			"access_token": "token-1", "token_type": "Bearer", "expires_in": 3600,
		})
	}))
	defer provider.Close()

	source := cached(&clientcredentials.Config{ClientID: "id", ClientSecret: "secret", TokenURL: provider.URL})
	client, err := mirror.NewClient(mirror.Config{
		Endpoint: pair.Local.Endpoint, ClusterID: pair.Local.ID, Credential: mirror.BearerToken(source, "pool-1"),
	})
	if err != nil {
		log.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := client.Mirrors(context.Background(), pair.Link()); err != nil {
				log.Fatal(err)
			}
		})
	}
	wg.Wait()
	// Output:
	// a token is fetched
}

// Tracing by otelhttp: each request is a span. otelhttp does not read the body ahead, so that a request which was not
// sent is still known to be Untouched.
func Example_otelhttp() {
	pair, err := mirrortest.Start(mirrortest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer pair.Close()
	spans := tracetest.NewInMemoryExporter()
	provider := trace.NewTracerProvider(trace.WithSyncer(spans))
	cfg := pair.Local.Config()
	cfg.Transport = otelhttp.NewTransport(cfg.Transport, otelhttp.WithTracerProvider(provider))
	cfg.RetryFor = -1 // of what was not sent
	client, err := mirror.NewClient(cfg)
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Pause(context.Background(), pair.Link(), mirror.Topics("topic-1"))
	fmt.Println(err)
	for _, span := range spans.GetSpans() {
		fmt.Println(span.Name, span.SpanKind)
	}
	_ = pair.Close() // nothing listens any more
	report, _ := client.Pause(context.Background(), pair.Link(), mirror.Topics("topic-1"))
	fmt.Println(report)
	// Output:
	// <nil>
	// HTTP POST client
	// pause, link "dr-link": 0 accepted, 0 failed, 0 unknown, 1 untouched
}
