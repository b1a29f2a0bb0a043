package contract_test

import (
	"context"
	"fmt"
	"log"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/contract"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// A contract test of one's own: what the code sends and what it gets is held to the contract. Against
// a real cluster, take mirror.ConfigFromEnv in place of the pair's Config; only dry runs get through.
func TestContract(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{})
	cfg := pair.Local.Config()
	cfg.Transport = contract.Test(t, cfg.Transport)
	client, err := mirror.NewClient(cfg)
	require.NoError(t, err)

	_, err = client.Validate(t.Context(), mirror.VerbReverseAndPause, "dr-link", mirror.Topics("topic-1", "topic-2"))
	require.NoError(t, err)
}

// Outside of a test, findings are values.
func ExampleNewTransport() {
	pair, err := mirrortest.Start(mirrortest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer pair.Close()
	pair.Local.Inject(mirrortest.Fault{
		Topic: "topic-2", Do: mirrortest.Row(`{"mirror_topic_name":"topic-2","error_code":400,"error_code":null}`),
	})

	cfg := pair.Local.Config()
	cfg.Transport, err = contract.NewTransport(cfg.Transport, func(f contract.Finding) {
		if f.Rule == contract.RuleDuplicate {
			fmt.Printf("%v at %s: %s\n", f.Severity, f.Pointer, f.Detail)
		}
	}, contract.Options{})
	if err != nil {
		log.Fatal(err)
	}
	client, err := mirror.NewClient(cfg)
	if err != nil {
		log.Fatal(err)
	}
	topics := mirror.Topics("topic-1", "topic-2")
	_, _ = client.Validate(context.Background(), mirror.VerbReverseAndPause, pair.Link(), topics)
	// Output:
	// violation at /data/1/error_code: the member is there twice
}
