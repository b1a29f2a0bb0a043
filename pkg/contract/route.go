package contract

import (
	"errors"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// route is a path of the contract.
type route struct {
	segments []string // from v3 on
	item     *openapi3.PathItem
}

// routesOf returns the paths of a document. If a URL can be for two of them, the one with fewer
// parameters comes first.
func routesOf(doc *openapi3.T) []route {
	var routes []route
	for _, path := range doc.Paths.InMatchingOrder() {
		segments := strings.Split(strings.TrimPrefix(path, "/kafka/"), "/")
		routes = append(routes, route{segments, doc.Paths.Value(path)})
	}
	return routes
}

// verb returns what follows "mirrors:" in the path; "" if it has no such thing.
func (r route) verb() string {
	_, verb, _ := strings.Cut(r.segments[len(r.segments)-1], "mirrors:")
	return verb
}

// match tells whether the last segments of a path are those of the route, and returns the values of
// the route's parameters. No value is empty, and none is a dot segment, which means another path.
func (r route) match(segments []string) (values map[string]string, ok bool) {
	before := len(segments) - len(r.segments)
	if before < 0 {
		return nil, false
	}
	values = map[string]string{}
	for i, want := range r.segments {
		got := segments[before+i]
		if name, isParameter := strings.CutPrefix(want, "{"); isParameter {
			values[strings.TrimSuffix(name, "}")] = got
		} else if got != want {
			return nil, false
		}
	}
	return values, true
}

// find returns the path of the contract that a URL is for, whatever comes before its /v3, and the
// values of its parameters. Escapes do not matter, as RFC 3986 has it. Where there is none, alike
// tells whether the URL's path is one that some servers would take for a path of the contract.
func find(routes []route, u *url.URL) (found route, values map[string]string, ok, alike bool) {
	segments, exact := segmentsOf(u.EscapedPath())
	for _, r := range routes {
		if values, ok := r.match(segments); ok && exact {
			return r, values, true, false
		}
	}
	loose := strings.Split(path.Clean("/"+strings.ToLower(u.Path)), "/")
	for i := range loose {
		loose[i], _, _ = strings.Cut(loose[i], ";")
	}
	alike = slices.ContainsFunc(routes, func(r route) bool {
		_, ok := r.match(loose)
		return ok
	})
	return route{}, nil, false, alike
}

// query is the form of a query (RFC 3986, section 3.4).
var query = regexp.MustCompile(`^(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*$`)

// parseQuery reads the query as it is sent. It fails if a part of it is such that servers may read it
// differently: a # begins a fragment for some, and a semicolon another pair.
func parseQuery(u *url.URL) (url.Values, error) {
	values, err := url.ParseQuery(u.RawQuery)
	if err == nil && !query.MatchString(u.RawQuery) {
		err = errors.New("there is a character that does not belong in a query")
	}
	return values, err
}

// segmentsOf returns the segments of a path without their escapes. It is not exact if one is empty or
// a dot segment, or has what some servers take for a parameter, as in ..;x=1.
func segmentsOf(escaped string) (segments []string, exact bool) {
	segments = strings.Split(strings.TrimPrefix(escaped, "/"), "/")
	exact = true
	for i, s := range segments {
		if unescaped, err := url.PathUnescape(s); err == nil {
			segments[i] = unescaped
		}
		switch segments[i] {
		case "", ".", "..":
			exact = false
		}
		exact = exact && !strings.Contains(s, ";")
	}
	return segments, exact
}
