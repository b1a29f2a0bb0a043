package contract

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/seed25095279/clusterlink-go/api"
	"github.com/seed25095279/clusterlink-go/pkg/internal/printable"
)

// Options say how a Transport checks. The zero value of every field is ready to use.
type Options struct {
	// Strict makes a Drift a Violation.
	Strict bool
	// MaxBody bounds what is kept of a body to be checked, in bytes; 0 is 32 MiB. A longer body goes
	// through untouched and gets a note in place of a check.
	MaxBody int
}

// Transport is a RoundTripper that checks what goes through it. It changes no byte, and passes on
// errors and traces as they are. It is safe for concurrent use.
type Transport struct {
	base    http.RoundTripper
	found   func(Finding)
	options Options
	doc     *openapi3.T
	routes  []route
}

// route is a path of the contract.
type route struct {
	path  string
	names []string       // of its parameters
	where *regexp.Regexp // finds it in a URL, whatever comes before /v3
	item  *openapi3.PathItem
}

var parameter = regexp.MustCompile(`\\\{([a-z_]+)\\\}`)

// routesOf returns the paths of a document.
func routesOf(doc *openapi3.T) []route {
	var routes []route
	for path, item := range doc.Paths.Map() {
		r := route{path: path, item: item}
		quoted := regexp.QuoteMeta(strings.TrimPrefix(path, "/kafka"))
		for _, m := range parameter.FindAllStringSubmatch(quoted, -1) {
			r.names = append(r.names, m[1])
		}
		r.where = regexp.MustCompile(parameter.ReplaceAllString(quoted, "([^/]+)") + "$")
		routes = append(routes, r)
	}
	return routes
}

// find returns the path of the contract that a request is for, and the values of its parameters.
func find(routes []route, u *url.URL) (r route, values map[string]string, found bool) {
	for _, r := range routes {
		if parts := r.where.FindStringSubmatch(u.EscapedPath()); parts != nil {
			values := map[string]string{}
			for i, name := range r.names {
				values[name], _ = url.PathUnescape(parts[i+1]) // what does not unescape is not a URL
			}
			return r, values, true
		}
	}
	return route{}, nil, false
}

// NewTransport returns a Transport that sends through base, or through http.DefaultTransport if base
// is nil, and calls found with each Finding: about the request and the answer's head before RoundTrip
// returns, and about the answer's body when it has been read to its end or closed. The calls come one
// at a time, from the goroutine that does that. Requests for paths that the contract does not
// have are not checked.
func NewTransport(base http.RoundTripper, found func(Finding), o Options) (*Transport, error) {
	if found == nil {
		return nil, errors.New("contract: there is nothing to call with the findings")
	}
	doc, err := openapi3.NewLoader().LoadFromData(api.Spec())
	if err != nil {
		return nil, fmt.Errorf("contract: the contract cannot be loaded: %w", err)
	}
	if base == nil {
		base = http.DefaultTransport
	}
	if o.MaxBody == 0 {
		o.MaxBody = 32 << 20
	}
	var mu sync.Mutex
	one := func(f Finding) {
		mu.Lock()
		defer mu.Unlock()
		found(f)
	}
	return &Transport{base: base, found: one, options: o, doc: doc, routes: routesOf(doc)}, nil
}

// exchange is one request and its answer.
type exchange struct {
	t              *Transport
	route          route
	operation      *openapi3.Operation // nil if the contract has none for the method
	parameters     map[string]string   // of the path
	request        *http.Request
	sent, received capture
	body           []byte // of the request
	status         int
	header         http.Header
}

// RoundTrip sends the request through the base, and checks it and its answer.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	route, parameters, found := find(t.routes, r.URL)
	if !found {
		return t.base.RoundTrip(r)
	}
	x := &exchange{t: t, route: route, parameters: parameters, request: r}
	x.operation = route.item.GetOperation(cmp.Or(r.Method, http.MethodGet))
	x.sent.limit, x.received.limit = t.options.MaxBody, t.options.MaxBody
	if r.Body != nil {
		through := *r
		through.Body = &tap{ReadCloser: r.Body, to: &x.sent}
		r = &through
	}
	resp, err := t.base.RoundTrip(r)
	if err != nil {
		return resp, err
	}
	x.status, x.header = resp.StatusCode, resp.Header
	if x.operation == nil {
		detail := "the contract has no " + printable.Line(r.Method, 16) + " here"
		x.find(Finding{Rule: RuleRequest, Severity: Violation, Request: true, Detail: detail})
		return resp, nil
	}
	x.checkRequest()
	if x.checkHead() {
		resp.Body = &tap{ReadCloser: resp.Body, to: &x.received, end: x.checkBody}
	}
	return resp, nil
}

func (x *exchange) find(f Finding) {
	if f.Severity == Drift && x.t.options.Strict {
		f.Severity = Violation
	}
	f.Status = x.status
	f.Detail = printable.Line(f.Detail, 512)
	x.t.found(f)
}

// input is the exchange as the OpenAPI library takes it, with a request that may be read.
func (x *exchange) input() *openapi3filter.RequestValidationInput {
	r := x.request.Clone(context.Background())
	r.Body = io.NopCloser(bytes.NewReader(x.body))
	r.Header.Del("Authorization") // there is no need of it here
	return &openapi3filter.RequestValidationInput{
		Request:     r,
		PathParams:  x.parameters,
		QueryParams: x.request.URL.Query(),
		Route: &routers.Route{
			Spec: x.t.doc, Path: x.route.path, PathItem: x.route.item, Method: x.request.Method, Operation: x.operation,
		},
		Options: &openapi3filter.Options{
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, MultiError: true, IncludeResponseStatus: true,
		},
	}
}

func (x *exchange) checkRequest() {
	body, whole := x.sent.get()
	if !whole {
		x.find(Finding{Rule: RuleUnchecked, Request: true, Detail: "the body is too long to be checked"})
		return
	}
	x.body = body
	x.schemaFindings(openapi3filter.ValidateRequest(context.Background(), x.input()), RuleRequest, true)
	asked, err := parse(body)
	if err != nil || x.operation.RequestBody == nil {
		return // the schema said so
	}
	x.treeFindings(asked, x.operation.RequestBody.Value.Content["application/json"].Schema.Value, true)
}

// checkHead checks status and media type, and tells whether there is a body to check.
func (x *exchange) checkHead() bool {
	mediaType, _, _ := mime.ParseMediaType(x.header.Get("Content-Type"))
	response := x.operation.Responses.Status(x.status)
	switch {
	case response == nil:
		detail := fmt.Sprintf("the status %d is not declared", x.status)
		x.find(Finding{Rule: RuleStatus, Severity: drifts(x.status, mediaType), Detail: detail})
	case response.Value.Content[mediaType] == nil:
		detail := fmt.Sprintf("%s is not declared for the status %d", printable.Quote(mediaType), x.status)
		x.find(Finding{Rule: RuleMediaType, Severity: drifts(x.status, mediaType), Detail: detail})
	default:
		return mediaType == "application/json"
	}
	return false
}

// drifts tells whether real servers are known to answer so.
func drifts(status int, mediaType string) Severity {
	json, html := mediaType == "application/json", mediaType == "text/html"
	switch {
	case status == http.StatusForbidden, status == http.StatusNotFound,
		status == http.StatusTooManyRequests && json,
		status >= 500 && html, status >= 400 && status < 500 && html:
		return Drift
	}
	return Violation
}

func (x *exchange) checkBody(readToItsEnd bool) {
	received, whole := x.received.get()
	switch {
	case !whole:
		x.find(Finding{Rule: RuleUnchecked, Detail: "the body is too long to be checked"})
		return
	case !readToItsEnd:
		x.find(Finding{Rule: RuleUnchecked, Detail: "the body was not read to its end"})
		return
	}
	body, err := parse(received)
	if err != nil {
		x.find(Finding{Rule: RuleSyntax, Severity: Violation, Detail: "the body is not one JSON document"})
		return
	}
	schema := x.operation.Responses.Status(x.status).Value.Content["application/json"].Schema.Value
	err = openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: x.input(), Status: x.status, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(bytes.NewReader(received)), Options: x.input().Options,
	})
	x.schemaFindings(err, RuleSchema, false)
	x.treeFindings(body, schema, false)
	if x.status == http.StatusOK {
		truncates := x.operation.Parameters.GetByInAndName("query", "include_partition_level_truncation_data") != nil
		checkAnswer(body, x.asked(), x.parameters, truncates, x.finder(false))
	}
}

// asked are the names that the request asked for; nil if it asked by pattern.
func (x *exchange) asked() []string {
	body, err := parse(x.body)
	if err != nil || body.get("mirror_topic_name_pattern").isSet() {
		return nil
	}
	names := []string{}
	for _, name := range body.get("mirror_topic_names").list() {
		names = append(names, name.text)
	}
	return names
}

func (x *exchange) treeFindings(body *tree, schema *openapi3.Schema, request bool) {
	checkTree(body, schema, x.finder(request))
}

func (x *exchange) finder(request bool) finder {
	return func(rule string, t *tree, format string, args ...any) {
		severity := Violation
		if rule == RuleSelf {
			severity = Note
		}
		detail := fmt.Sprintf(format, args...)
		x.find(Finding{Rule: rule, Severity: severity, Pointer: t.pointer, Request: request, Detail: detail})
	}
}

// schemaFindings makes findings of what the OpenAPI library says, leaving out the values that it
// quotes.
func (x *exchange) schemaFindings(err error, rule string, request bool) {
	var several openapi3.MultiError
	var one *openapi3.SchemaError
	var ofRequest *openapi3filter.RequestError
	var ofResponse *openapi3filter.ResponseError
	finding := Finding{Rule: rule, Severity: Violation, Request: request}
	switch {
	case err == nil:
		return
	case errors.As(err, &several):
		for _, e := range several {
			x.schemaFindings(e, rule, request)
		}
		return
	case errors.As(err, &one):
		for _, name := range one.JSONPointer() {
			finding.Pointer += "/" + escape(name)
		}
		finding.Detail = one.Reason
	case errors.As(err, &ofRequest):
		finding.Detail = ofRequest.Reason
		if ofRequest.Parameter != nil {
			finding.Detail = "parameter " + ofRequest.Parameter.Name + " " + finding.Detail
		}
	case errors.As(err, &ofResponse):
		finding.Detail = ofResponse.Reason
	}
	if finding.Detail == "" {
		finding.Detail = "it is not as the contract has it"
	}
	x.find(finding)
}

// capture keeps what went by, up to a limit. A transport may still be sending when its answer is here.
type capture struct {
	mu    sync.Mutex
	bytes []byte
	limit int
	over  bool
}

func (c *capture) keep(p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over = c.over || len(c.bytes)+len(p) > c.limit; c.over {
		c.bytes = nil
		return
	}
	c.bytes = append(c.bytes, p...)
}

// get returns what went by; nothing and false if it was too much.
func (c *capture) get() ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.bytes), !c.over
}

// tap lets a body be read as it is, and keeps a copy.
type tap struct {
	io.ReadCloser
	to   *capture
	end  func(readToItsEnd bool)
	once sync.Once
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	t.to.keep(p[:n])
	if errors.Is(err, io.EOF) {
		t.finish(true)
	}
	return n, err
}

func (t *tap) Close() error {
	t.finish(false)
	return t.ReadCloser.Close()
}

func (t *tap) finish(readToItsEnd bool) {
	if t.end != nil {
		t.once.Do(func() { t.end(readToItsEnd) })
	}
}
