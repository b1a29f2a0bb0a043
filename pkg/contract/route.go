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
	segments []string // starting with v3
	item     *openapi3.PathItem
}

// routesOf returns the paths of a document. If two paths match a URL, the path with fewer parameters comes first.
func routesOf(doc *openapi3.T) []route {
	var routes []route
	for _, path := range doc.Paths.InMatchingOrder() {
		segments := strings.Split(strings.TrimPrefix(path, "/kafka/"), "/")
		routes = append(routes, route{segments, doc.Paths.Value(path)})
	}
	return routes
}

// verb returns the part of the path after "mirrors:", or "".
func (r route) verb() string {
	_, verb, _ := strings.Cut(r.segments[len(r.segments)-1], "mirrors:")
	return verb
}

// match returns whether the last segments of a path match the route, and returns the values of the route's
// parameters. Callers exclude empty values and dot segments, which mean another path.
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

// find returns the contract's path for a URL and the values of its parameters. Any prefix before /v3 is allowed, and
// escapes do not matter (RFC 3986). If no path matches, alike is whether some servers would read the URL's path as a
// path of the contract.
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

// query matches a query (RFC 3986, section 3.4).
var query = regexp.MustCompile(`^(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*$`)

// parseQuery parses the query as sent. It fails if servers may read a part differently: a # can begin a fragment, and
// a semicolon can begin another pair.
func parseQuery(u *url.URL) (url.Values, error) {
	values, err := url.ParseQuery(u.RawQuery)
	if err == nil && !query.MatchString(u.RawQuery) {
		err = errors.New("there is a character that does not belong in a query")
	}
	return values, err
}

// segmentsOf returns the segments of a path without their escapes. The segments are not exact if a segment is empty
// or a dot segment, or has a parameter for some servers, as in ..;x=1.
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
