package contract

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed25095279/clusterlink-go/pkg/internal/loopback"
	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

// Option is a choice for Test.
type Option func(*guard)

// AllowReversal lets calls of the two reversals through Test that are not dry runs, for one link of one
// cluster that is not on loopback. Without it, no reversal is sent there.
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
// fails on each Violation and logs every other Finding.
//
// It refuses to send anything but reads and dry runs of the contract's verbs to a host that is not
// loopback, unless AllowReversal or AllowVerb says so: such a request fails, and the test with it,
// before a byte is sent. Loopback is localhost and the loopback addresses. What listens there is not
// known: a port that is forwarded, or a dialer or proxy of base's own, can lead to a real cluster.
//
// A test in which nothing was checked fails too, unless it is skipped.
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
	transport.checked = countChecked(t)
	g.transport = transport
	return g
}

// checked counts, for each test that is running, the exchanges that were checked: an *atomic.Int64 for
// a testing.TB.
var checked sync.Map

// countChecked returns the counter of the test, which fails at its end if that is still 0.
func countChecked(t testing.TB) *atomic.Int64 {
	t.Helper()
	value, isThere := checked.LoadOrStore(t, &atomic.Int64{})
	n := value.(*atomic.Int64) // nothing else is in there
	if !isThere {
		t.Cleanup(func() {
			checked.Delete(t)
			if n.Load() == 0 && !t.Skipped() {
				t.Errorf("contract: nothing was checked: no request for a path of the contract got an answer " +
					"that was read, or was lost after its body was sent")
			}
		})
	}
	return n
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
	if reason := g.refuses(r); reason != "" {
		url := cmp.Or(r.URL, &url.URL{})
		err := fmt.Errorf("contract: refused to send %s %s to %s: %s", text.Line(methodOf(r), 32),
			text.Quote(url.Path), text.Quote(url.Host), reason)
		g.t.Errorf("%v", err)
		if r.Body != nil {
			_ = r.Body.Close() // as a RoundTripper does
		}
		return nil, err
	}
	return g.transport.RoundTrip(r)
}

// otherPath is the form of headers that name the path which some servers take for the request's.
var otherPath = regexp.MustCompile(`(?i)^x[-_](original|rewrite|forwarded|replaced)[-_](url|uri|path)$`)

// refuses says why a request must not be sent; "" if it may. A request may be understood in more than
// one way, for example by a server that knows method override headers. Then it must be harmless in
// each of them.
func (g *guard) refuses(r *http.Request) string {
	switch {
	case r.URL == nil:
		return "it has no URL"
	case r.URL.Opaque != "":
		return "its URL is opaque, so that what is sent is not its path and query"
	case onLoopback(r):
		return ""
	}
	query, err := parseQuery(r.URL)
	if err != nil {
		return "its query has a part that servers read differently"
	}
	methods := []string{methodOf(r)}
	for _, fields := range []map[string][]string{r.Header, query} {
		for name, values := range fields {
			if otherPath.MatchString(name) {
				return "a header or a parameter names another path"
			}
			if strings.Contains(strings.ToLower(name), "method") {
				methods = append(methods, values...)
			}
		}
	}
	if !slices.ContainsFunc(methods, func(m string) bool { return m != http.MethodGet && m != http.MethodHead }) {
		return ""
	}
	for _, m := range methods {
		if m != http.MethodGet && m != http.MethodHead && m != http.MethodPost {
			return "its host or Host header is not loopback, and it is neither a read nor a dry run"
		}
	}
	route, parameters, found, _ := find(g.transport.shapes.routes, r.URL)
	if !found || route.item.Post == nil {
		return "its host or Host header is not loopback, and the contract has no such request"
	}
	if isDryRun(query) && route.item.Post.Parameters.GetByInAndName("query", "validate_only") != nil ||
		slices.Contains(g.allowed, allowance{route.verb(), parameters["cluster_id"], parameters["link_name"]}) {
		return ""
	}
	return "it is not a dry run, its host or Host header is not loopback, and neither AllowReversal nor AllowVerb " +
		"names its cluster and link"
}

// isDryRun tells whether every server takes the query for that of a dry run: it has one validate_only,
// in any case, and that is true.
func isDryRun(query url.Values) bool {
	n := 0
	for name, values := range query {
		if strings.EqualFold(name, "validate_only") {
			n += len(values)
		}
	}
	return n == 1 && query.Get("validate_only") == "true"
}

// onLoopback tells whether a request is for this machine: where it goes, and what it says about it.
func onLoopback(r *http.Request) bool {
	hosts := []string{r.URL.Host}
	if r.Host != "" {
		hosts = append(hosts, r.Host)
	}
	for name, values := range r.Header {
		if strings.EqualFold(name, "Host") && name != "Host" { // net/http sends this one as it is
			hosts = append(hosts, values...)
		}
	}
	return !slices.ContainsFunc(hosts, func(host string) bool {
		return !loopback.Is((&url.URL{Host: host}).Hostname())
	})
}

// methodOf returns the method that is sent.
func methodOf(r *http.Request) string { return cmp.Or(r.Method, http.MethodGet) }
