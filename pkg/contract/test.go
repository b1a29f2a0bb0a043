package contract

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/seed25095279/clusterlink-go/pkg/internal/loopback"
	"github.com/seed25095279/clusterlink-go/pkg/internal/printable"
)

// Option is a choice for Test.
type Option func(*guard)

// AllowReversal lets calls of the two reversals through Test that are not dry runs, for one link of one
// cluster that is not on loopback. Without it, no test reverses a real link by mistake.
func AllowReversal(clusterID, link string) Option {
	return func(g *guard) {
		AllowVerb("reverse-and-pause-mirror", clusterID, link)(g)
		AllowVerb("reverse-and-start-mirror", clusterID, link)(g)
	}
}

// AllowVerb does so for calls of one verb, as it stands in the API's path after "mirrors:".
func AllowVerb(verb, clusterID, link string) Option {
	return func(g *guard) { g.allowed = append(g.allowed, allowance{verb, clusterID, link}) }
}

// Strictly makes the test fail on a Drift too.
func Strictly() Option { return func(g *guard) { g.options.Strict = true } }

// Test returns a transport, over base or http.DefaultTransport if that is nil, with which the test
// fails on each Violation and logs every other Finding. It refuses to send anything but reads and dry
// runs to a host that is not loopback, unless AllowReversal or AllowVerb says so: such a request fails, and the
// test with it, before a byte is sent.
func Test(t testing.TB, base http.RoundTripper, options ...Option) http.RoundTripper {
	t.Helper()
	g := &guard{t: t}
	for _, o := range options {
		o(g)
	}
	transport, err := NewTransport(base, func(f Finding) {
		if f.Severity == Violation {
			t.Errorf("contract: %v", f)
		} else {
			t.Logf("contract: %v", f)
		}
	}, g.options)
	if err != nil {
		t.Fatalf("%v", err)
	}
	g.transport = transport
	return g
}

type guard struct {
	t         testing.TB
	transport *Transport
	options   Options
	allowed   []allowance
}

// allowance is a verb that may be sent to a link.
type allowance struct{ verb, clusterID, link string }

func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if !g.lets(r) {
		err := fmt.Errorf("contract: refused to send %s %s: it is not a dry run, %s is not loopback, "+
			"and neither AllowReversal nor AllowVerb names its cluster and link",
			r.Method, printable.Quote(r.URL.Path), printable.Quote(r.URL.Host))
		g.t.Errorf("%v", err)
		if r.Body != nil {
			_ = r.Body.Close() // as a RoundTripper does
		}
		return nil, err
	}
	return g.transport.RoundTrip(r)
}

// lets tells whether a request may be sent.
func (g *guard) lets(r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead || loopback.Is(r.URL.Hostname()) {
		return true
	}
	if only := r.URL.Query()["validate_only"]; len(only) == 1 && only[0] == "true" {
		return true
	}
	route, parameters, found := find(g.transport.routes, r.URL)
	_, verb, isVerb := strings.Cut(route.path, "mirrors:")
	asked := allowance{verb, parameters["cluster_id"], parameters["link_name"]}
	return found && isVerb && slices.Contains(g.allowed, asked)
}
