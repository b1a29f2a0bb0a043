package contract

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/seed25095279/clusterlink-go/pkg/internal/loopback"
	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// guard sends any request to loopback. Elsewhere it sends only reads, dry runs and the allowed verbs.
type guard struct {
	results   *results
	transport *Transport
	options   Options
	allowed   []allowance
}

// allowance is a verb that may be sent to a link.
type allowance struct {
	verb            mirror.Verb
	clusterID, link string
}

func (g *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if reason := g.refuses(r); reason != "" {
		url := cmp.Or(r.URL, &url.URL{})
		err := fmt.Errorf("contract: refused to send %s %s to %s: %s", text.Line(methodOf(r), 32),
			text.Quote(url.Path), text.Quote(url.Host), reason)
		g.results.fail(err.Error())
		g.results.count("was refused")
		if r.Body != nil {
			_ = r.Body.Close() // as a RoundTripper must
		}
		return nil, err
	}
	return g.transport.RoundTrip(r)
}

// otherPath matches headers that name a path. Some servers use that path instead of the request's.
var otherPath = regexp.MustCompile(`(?i)^x[-_](original|rewrite|forwarded|replaced)[-_](url|uri|path)$`)

// refuses returns why a request must not be sent, or "". Servers can read a request in more than one way: some know
// method override headers. The request must be harmless in every reading.
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
	route, parameters, found, _ := find(g.transport.routes, r.URL)
	if !found || route.item.Post == nil {
		return "its host or Host header is not loopback, and the contract has no such request"
	}
	asked := allowance{mirror.Verb(route.verb()), parameters["cluster_id"], parameters["link_name"]}
	if isDryRun(query) && route.item.Post.Parameters.GetByInAndName("query", "validate_only") != nil ||
		slices.Contains(g.allowed, asked) {
		return ""
	}
	return fmt.Sprintf("it is not a dry run, its host or Host header is not loopback, and no AllowVerb names the "+
		"verb %s for the cluster %s and the link %s",
		text.Quote(string(asked.verb)), text.Quote(asked.clusterID), text.Quote(asked.link))
}

// isDryRun returns whether every server reads the query as a dry run. The query must have exactly one validate_only,
// in any case, with the value true.
func isDryRun(query url.Values) bool {
	n := 0
	for name, values := range query {
		if strings.EqualFold(name, "validate_only") {
			n += len(values)
		}
	}
	return n == 1 && query.Get("validate_only") == "true"
}

// onLoopback returns whether a request is for this machine, by its URL and by its Host headers.
func onLoopback(r *http.Request) bool {
	hosts := []string{r.URL.Host}
	if r.Host != "" {
		hosts = append(hosts, r.Host)
	}
	for name, values := range r.Header {
		if strings.EqualFold(name, "Host") && name != "Host" { // net/http sends such a header unchanged
			hosts = append(hosts, values...)
		}
	}
	return !slices.ContainsFunc(hosts, func(host string) bool {
		return !loopback.Is((&url.URL{Host: host}).Hostname())
	})
}

// methodOf returns the method on the wire.
func methodOf(r *http.Request) string { return cmp.Or(r.Method, http.MethodGet) }
