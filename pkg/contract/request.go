package contract

import (
	"bytes"
	"errors"
	"maps"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

// judgeRequest checks the request except for its body.
func (x *exchange) judgeRequest(status int) {
	j := x.judge(true, status)
	x.judgeQuery(j)
	judgeAuthorization(j, x.request)
	x.t.out.send(j.all())
}

// judgeQuery checks the query as sent. A parameter that is not declared has no effect, whatever its sender expects. A
// boolean must be true or false: a JVM reads 1, t and yes as false.
func (x *exchange) judgeQuery(j *judge) {
	query, err := parseQuery(x.request.URL)
	if err != nil {
		j.whole(RuleRequest, Violation, "the query has a part that servers read differently")
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		values := query[name]
		parameter := x.operation.Parameters.GetByInAndName("query", name)
		isBare := strings.Join(values, "") == ""
		switch {
		case parameter == nil && (len(name) > 40 || isBare): // the name may be a secret
			j.whole(RuleRequest, Violation, "a query parameter is not declared")
		case parameter == nil:
			j.whole(RuleRequest, Violation, "the query parameter %s is not declared", text.Quote(name))
		case parameter.Schema == nil || parameter.Schema.Value.Type.Is("array"): // arrays have another form
		case len(values) > 1:
			j.whole(RuleRequest, Violation, "the query parameter %s is there %d times", name, len(values))
		case parameter.Schema.Value.Type.Is("boolean") && values[0] != "true" && values[0] != "false":
			j.whole(RuleRequest, Violation, "the query parameter %s is neither true nor false", name)
		}
	}
	for _, parameter := range x.operation.Parameters {
		if p := parameter.Value; p.In == "query" && p.Required && !query.Has(p.Name) {
			j.whole(RuleRequest, Violation, "the query parameter %s is missing", p.Name)
		}
	}
}

// bearer matches a bearer token (RFC 6750).
var bearer = regexp.MustCompile(`^(?i:bearer) +[A-Za-z0-9._~+/-]+=*$`)

// judgeAuthorization checks that the request has one of the contract's credentials.
func judgeAuthorization(j *judge, r *http.Request) {
	values := valuesOf(r.Header, "Authorization")
	switch len(values) {
	case 0:
		j.whole(RuleRequest, Drift, "there is no Authorization: only servers with client certificates, or without "+
			"authentication, take that")
		return
	case 1:
	default:
		j.whole(RuleRequest, Violation, "Authorization is there %d times", len(values))
		return
	}
	basic := http.Request{Header: http.Header{"Authorization": values}}
	if _, _, ok := basic.BasicAuth(); !ok && !bearer.MatchString(values[0]) {
		j.whole(RuleRequest, Violation, "Authorization is neither Basic with a user and a password nor Bearer with a token")
	}
}

// judgeSent checks the request's body, for each sending that was different. A body that is still being sent waits for
// the last call.
func (x *exchange) judgeSent(status int, last bool) {
	x.mu.Lock()
	sent := x.sent
	x.mu.Unlock()
	if x.judged {
		return
	}
	length := x.request.ContentLength
	if len(sent) > 0 && !last {
		if _, whole, over := sent[len(sent)-1].get(length); !whole && !over {
			return
		}
	}
	x.judged = true
	j := x.judge(true, status)
	defer func() { x.t.out.send(j.all()) }()
	takesBody := x.operation.RequestBody != nil && contentOf(x.operation.RequestBody.Value.Content, jsonType) != nil
	if len(sent) == 0 && x.verb != "" {
		j.whole(RuleRequest, Note, "there is no body, and so no topic is selected")
	}
	if len(sent) == 0 || !takesBody {
		return
	}
	if mediaType := mediaTypeOf(x.request.Header); mediaType != jsonType {
		j.whole(RuleRequest, Violation, "the request's body has %s, and not %q", nameOf(mediaType), jsonType)
	}
	var before []byte
	for i, c := range sent {
		body, whole, over := c.get(length)
		isLast := i == len(sent)-1
		switch {
		case over:
			j.unchecked(errTooLong)
		case !whole && isLast:
			j.whole(RuleUnchecked, Note, "the body was not sent to its end")
		case whole && (i == 0 || !bytes.Equal(body, before)):
			x.asked = x.judgeSelection(j, body)
			before, x.sentBody = body, true
		}
		if isLast && !whole {
			x.asked = nil // the server may have answered any of the bodies
		}
	}
}

// judgeSelection checks one body of a request and returns the topics that the body names. The result is nil if the
// names are not known or the body has a pattern.
func (x *exchange) judgeSelection(j *judge, body []byte) (asked []string) {
	body, err := decode(x.request.Header, body, x.t.options.MaxBody)
	if err != nil {
		j.unchecked(err)
		return nil
	}
	schema := schemaOf(x.operation.RequestBody.Value.Content)
	r := reader{judge: &judge{about: j.about, strict: j.strict}}
	root, err := r.read(body)
	if err == nil {
		err = r.judge.schema(root, schema)
	}
	switch {
	case errors.Is(err, errTooDeep):
		j.unchecked(err)
		return nil
	case err == nil, errors.Is(err, errEnough):
		j.findings = append(j.findings, r.judge.all()...)
	default:
		j.whole(RuleSyntax, Violation, "the body is not one JSON document in UTF-8")
		r.lenient, r.judge = true, &judge{}
		if root, err = r.read(body); err != nil && !errors.Is(err, errMore) {
			return nil
		}
	}
	if x.verb == "" || errors.Is(err, errEnough) { // the rest was not read
		return nil
	}
	for _, m := range root.children {
		if root.kind == '{' && !declares(schema, m.name) {
			_ = j.at(RuleRequest, Note, m, "the member is not declared")
		}
	}
	names, pattern := root.get("mirror_topic_names"), root.get("mirror_topic_name_pattern")
	for _, name := range names.list() {
		if name.kind == '"' {
			asked = append(asked, name.text)
		}
	}
	switch {
	case root.kind != '{': // the schema says so
	case asked != nil && pattern.isSet():
		_ = j.at(RuleRequest, Note, names, "there are names beside a pattern, and what that means is not known")
		asked = nil
	case asked == nil && (!pattern.isSet() || pattern.text == ""):
		_ = j.at(RuleRequest, Note, root, "no topic is selected, and what that means is not known")
	}
	return asked
}

// valuesOf returns the values of a header. The case of the name does not matter: net/http sends the name unchanged.
func valuesOf(h http.Header, name string) (values []string) {
	for _, key := range slices.Sorted(maps.Keys(h)) {
		if strings.EqualFold(key, name) {
			values = append(values, h[key]...)
		}
	}
	return values
}

// mediaTypeOf returns the media type of a body. It returns "" without a media type, and "?" for an invalid media type
// or more than one.
func mediaTypeOf(h http.Header) string {
	values := valuesOf(h, "Content-Type")
	if len(values) == 0 || len(values) == 1 && values[0] == "" {
		return ""
	}
	mediaType, _, _ := mime.ParseMediaType(values[0])
	if len(values) > 1 || !strings.Contains(mediaType, "/") {
		return "?"
	}
	return mediaType
}

// nameOf names a media type in a finding. An unknown media type is not quoted, because the header may hold anything.
func nameOf(mediaType string) string {
	switch mediaType {
	case jsonType, "application/problem+json", "application/vnd.api+json", "application/xml", "text/xml", "text/html",
		"text/plain", "application/octet-stream", "application/x-www-form-urlencoded":
		return `"` + mediaType + `"`
	case "":
		return "no media type"
	}
	return "another media type"
}
