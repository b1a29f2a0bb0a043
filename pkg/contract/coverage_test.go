package contract_test

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/contract"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirror/mirrortest"
)

// Every declared status and media type, and every branch of what may be null, goes through the client
// here, and not one is against the contract.
func TestCoverage_IsWhole(t *testing.T) {
	coverage, err := contract.NewCoverage()
	require.NoError(t, err)
	require.Contains(t, coverage.Missing(), "429 text/html")

	pair := mirrortest.NewPair(t, mirrortest.Options{Topics: []mirrortest.Topic{{Name: "a"}, {Name: "b", Status: mirrortest.Stopped}}})
	cfg := pair.Local.Config()
	cfg.MaxAttempts = 1
	cfg.HTTPClient = &http.Client{Transport: contract.Test(t, nil, contract.Covering(coverage))}
	client, err := mirror.NewClient(cfg)
	require.NoError(t, err)
	call := func(do ...mirrortest.Action) {
		t.Helper()
		for _, a := range do {
			pair.Local.Inject(mirrortest.Fault{Do: a})
		}
		_, _ = client.ValidateReverseAndPause(t.Context(), pair.Link(), mirror.Topics("a", "b"))
	}
	answer := func(status int, body string) mirrortest.Action {
		return mirrortest.Answer(status, body, "Content-Type", "application/json")
	}
	call() // a row with an error and one without
	call(mirrortest.Filtered())
	for _, status := range []int{400, 401, 500} {
		call(mirrortest.Error(status, status, "x"))
		call(answer(status, `{"error_code":1,"message":null}`))
	}
	self := `"kind":"K","metadata":{"self":"/clusters/lkc-local/links/dr-link/x","resource_name":null}`
	null := func(topic string) string {
		return `{` + self + `,"mirror_topic_name":"` + topic + `","error_code":null,"error_message":null,"mirror_lags":[],"messages_truncated":null,"partition_level_truncation_data":null}`
	}
	call(answer(200, `{"kind":"K","metadata":{"self":"/clusters/lkc-local/links/dr-link/x","next":null},"data":[`+null("a")+`,`+null("b")+`]}`))

	// That next is set is against the rules, so it goes through a transport that lets it pass.
	lenient, err := contract.NewTransport(nil, func(f contract.Finding) { require.Equal(t, contract.RuleNext, f.Rule) }, contract.Options{Coverage: coverage})
	require.NoError(t, err)
	cfg.HTTPClient = &http.Client{Transport: lenient}
	client, err = mirror.NewClient(cfg)
	require.NoError(t, err)
	call(answer(200, `{"kind":"K","metadata":{"self":"/clusters/lkc-local/links/dr-link/x","next":"p2"},"data":[`+null("a")+`,`+null("b")+`]}`))

	var table strings.Builder
	require.NoError(t, coverage.Table(&table))
	if testing.Verbose() {
		require.NoError(t, coverage.Table(os.Stdout))
	}
	require.Empty(t, coverage.Missing())
	require.Contains(t, table.String(), "branches, 100 %")
}
