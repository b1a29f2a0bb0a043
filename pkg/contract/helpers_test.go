package contract_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/contract"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// verbs are those of the library.
var verbs = []mirror.Verb{
	mirror.VerbReverseAndPause, mirror.VerbReverseAndStart, mirror.VerbPromote, mirror.VerbFailover,
	mirror.VerbPause, mirror.VerbResume, mirror.VerbTruncateAndRestore,
}

// through returns a client of a cluster that sends each request once, through what wrap makes of the
// cluster's own transport.
func through(
	t *testing.T, c *mirrortest.Cluster, wrap func(http.RoundTripper) http.RoundTripper, edits ...func(*mirror.Config),
) *mirror.Client {
	t.Helper()
	cfg := c.Config()
	cfg.RetryFor = -1
	if wrap != nil {
		cfg.Transport = wrap(cfg.Transport)
	}
	for _, edit := range edits {
		edit(&cfg)
	}
	client, err := mirror.NewClient(cfg)
	require.NoError(t, err)
	return client
}

// checkedBy returns what makes a checking transport that calls found.
func checkedBy(t *testing.T, o contract.Options, found func(contract.Finding)) func(http.RoundTripper) http.RoundTripper {
	t.Helper()
	return func(next http.RoundTripper) http.RoundTripper {
		transport, err := contract.NewTransport(next, found, o)
		require.NoError(t, err)
		return transport
	}
}

// tested returns what makes the transport of a test.
func tested(t testing.TB, options ...contract.Option) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper { return contract.Test(t, next, options...) }
}

// checking returns a transport over base, and what it finds.
func checking(t *testing.T, base http.RoundTripper, o contract.Options) (*contract.Transport, *[]contract.Finding) {
	t.Helper()
	var findings []contract.Finding
	transport, err := contract.NewTransport(base, func(f contract.Finding) { findings = append(findings, f) }, o)
	require.NoError(t, err)
	return transport, &findings
}

// post makes a request of a good exchange.
func post(t *testing.T, server string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server+good().target, body)
	require.NoError(t, err)
	r.Header = good().sends
	return r
}

// answering is a fake that answers 200 as JSON without reading the request.
func answering(body io.ReadCloser) http.RoundTripper {
	return roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: body,
		}, nil
	})
}

// raw serves each connection with a function of its bytes, one after another.
func raw(t *testing.T, serve ...func(net.Conn, *bufio.Reader)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var done sync.WaitGroup
	done.Go(func() {
		for _, f := range serve {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			f(c, bufio.NewReader(c))
			_ = c.Close()
		}
	})
	t.Cleanup(func() { _ = listener.Close(); done.Wait() })
	return "http://" + listener.Addr().String()
}

const secret = "c4n4ry-s3cr3t"

// observe makes one call through a checking transport, to a cluster that answers as told, and returns
// what was found.
func observe(t *testing.T, s mirror.Selection, o contract.Options, do *mirrortest.Action) []contract.Finding {
	t.Helper()
	pair := mirrortest.NewPair(t, mirrortest.Options{Link: "link-1", Topics: []mirrortest.Topic{{Name: "a"}, {Name: "b"}}})
	if do != nil {
		pair.Local.Inject(mirrortest.Fault{Do: *do})
	}
	var found []contract.Finding
	pair.Local.AcceptToken(secret, "")
	client := through(t, pair.Local, checkedBy(t, o, func(f contract.Finding) { found = append(found, f) }),
		func(cfg *mirror.Config) {
			cfg.Credential = func(_ context.Context, h http.Header) error { h.Set("Authorization", "Bearer "+secret); return nil }
		})
	_, _ = client.ReverseAndPause(t.Context(), "link-1", s)
	return found
}

const (
	lags = `"mirror_lags":[{"partition":0,"lag":1,"last_source_fetch_offset":-1}]`
	rest = `"messages_truncated":null,"partition_level_truncation_data":null`
	meta = `"kind":"K","metadata":{"self":"http://h/kafka/v3/clusters/lkc-local/links/link-1/mirrors/x"}`
)

func row(topic string, members ...string) string {
	if members == nil {
		members = []string{`"error_code":null,"error_message":null`, lags, rest}
	}
	return `{` + meta + `,"mirror_topic_name":"` + topic + `",` + strings.Join(members, ",") + `}`
}

func list(rows ...string) string { return `{` + meta + `,"data":[` + strings.Join(rows, ",") + `]}` }

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
