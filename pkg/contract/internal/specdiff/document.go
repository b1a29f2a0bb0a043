package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	printable "github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

const (
	maxSpec  = 64 << 20 // bytes
	jsonType = "application/json"
)

// fetch reads a document from a file or a URL.
func fetch(ctx context.Context, spec string) ([]byte, error) {
	var from io.ReadCloser
	if strings.HasPrefix(spec, "http://") || strings.HasPrefix(spec, "https://") {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, spec, nil)
		if err != nil {
			return nil, errors.New("the document's URL cannot be parsed") // the error quotes the URL with its secrets
		}
		resp, err := http.DefaultClient.Do(r)
		if inURL := (*url.Error)(nil); errors.As(err, &inURL) {
			return nil, fmt.Errorf("the document's URL: %w", inURL.Err)
		}
		if from = resp.Body; resp.StatusCode != http.StatusOK {
			_ = from.Close()
			return nil, fmt.Errorf("the document's URL answers %s", resp.Status)
		}
	} else {
		f, err := os.Open(filepath.Clean(spec))
		if err != nil {
			return nil, err
		}
		from = f
	}
	defer from.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(from, maxSpec+1))
	if len(text) > maxSpec {
		return nil, fmt.Errorf("the document is longer than %d bytes", maxSpec)
	}
	return text, err
}

// load parses a self-contained OpenAPI 3 document.
func load(text []byte) (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, fmt.Errorf("it is not an OpenAPI 3 document: %s", printable.Line(err.Error(), 512))
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.") || doc.Paths == nil {
		return nil, errors.New("it is not an OpenAPI 3 document")
	}
	return doc, nil
}

// normal returns a document in the form for comparison, with only the components that the operations use.
func normal(doc *openapi3.T) (*openapi3.T, error) {
	text, err := json.Marshal(doc)
	if err == nil {
		text, err = onlyUsed(text)
	}
	if err != nil {
		return nil, fmt.Errorf("the document cannot be written: %s", printable.Line(err.Error(), 512))
	}
	if doc, err = load(text); err != nil {
		return nil, err
	}
	plainMediaTypes(doc)
	above := map[*openapi3.Schema]bool{}
	if err := doc.WalkSchemas(func(pointer string, s *openapi3.SchemaRef) error {
		if isPartOfItself(s.Value, above) {
			return fmt.Errorf("it cannot be compared: a schema is a part of itself: %s", printable.Line(pointer, 256))
		}
		return nil
	}); err != nil {
		return nil, err
	}
	return doc, doc.WalkSchemas(func(_ string, s *openapi3.SchemaRef) error {
		unwrapNull(s.Value)
		return nil
	})
}

// reference matches a reference to a component or to a part of a component.
var reference = regexp.MustCompile(`"#/components/([A-Za-z]+)/([^"/]+)`)

// onlyUsed removes the components that the operations of a document do not use. The credentials stay, because
// operations use credentials by name.
func onlyUsed(text []byte) ([]byte, error) {
	var doc map[string]json.RawMessage
	var components map[string]map[string]json.RawMessage
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	if doc["components"] != nil {
		if err := json.Unmarshal(doc["components"], &components); err != nil {
			return nil, err
		}
	}
	used := map[string]map[string]json.RawMessage{"securitySchemes": components["securitySchemes"]}
	var use func(json.RawMessage)
	use = func(text json.RawMessage) {
		for _, m := range reference.FindAllSubmatch(text, -1) {
			kind, name := string(m[1]), string(m[2])
			if used[kind] == nil {
				used[kind] = map[string]json.RawMessage{}
			}
			if part := components[kind][name]; part != nil && used[kind][name] == nil {
				used[kind][name] = part
				use(part)
			}
		}
	}
	use(doc["paths"])
	kept, err := json.Marshal(used)
	if err != nil {
		return nil, err
	}
	doc["components"] = kept
	return json.Marshal(doc)
}

// isPartOfItself returns whether a schema contains itself without a member or an element in between, so that a check
// of a value never ends. In above, true marks the schemas around s, and false marks the finished schemas.
func isPartOfItself(s *openapi3.Schema, above map[*openapi3.Schema]bool) bool {
	if is, seen := above[s]; seen {
		return is
	}
	above[s] = true
	parts := slices.Concat(s.AllOf, s.OneOf, s.AnyOf)
	if s.Not != nil {
		parts = append(parts, s.Not)
	}
	if slices.ContainsFunc(parts, func(part *openapi3.SchemaRef) bool { return isPartOfItself(part.Value, above) }) {
		return true
	}
	above[s] = false
	return false
}

// plainMediaTypes removes parameters of media types, such as a charset. JSON has no parameters.
func plainMediaTypes(doc *openapi3.T) {
	plain := func(c openapi3.Content) {
		for name, media := range c {
			if mediaType, _, err := mime.ParseMediaType(name); err == nil && c[mediaType] == nil {
				c[mediaType] = media
				delete(c, name)
			}
		}
	}
	for _, item := range doc.Paths.Map() {
		for _, op := range item.Operations() {
			if op.RequestBody != nil {
				plain(op.RequestBody.Value.Content)
			}
			for _, response := range op.Responses.Map() {
				plain(response.Value.Content)
			}
		}
	}
}

// unwrapNull replaces a choice between a schema and null with a nullable schema. OpenAPI 3.1 allows both forms.
func unwrapNull(s *openapi3.Schema) {
	choice := s.OneOf
	if len(choice) == 0 {
		choice = s.AnyOf
	}
	if len(choice) != 2 || len(s.OneOf) > 0 && len(s.AnyOf) > 0 || s.Type != nil || s.Properties != nil || s.AllOf != nil {
		return
	}
	for i, ref := range choice {
		if other := choice[1-i].Value; ref.Value.Type.Is("null") && other.Type != nil && !other.Type.Is("null") {
			title, description := s.Title, s.Description
			*s = *other
			s.Title, s.Description = title, description
			types := append(openapi3.Types{}, *other.Type...)
			if !types.Includes("null") {
				types = append(types, "null")
			}
			s.Type = &types
			return
		}
	}
}

var parameterName = regexp.MustCompile(`\{([^{}]*)\}`)

// align returns both documents with only the operations that both have. Each operation has the contract's path and
// names of path parameters, all parameters of its path, and the credentials that apply. A part of the path may be in
// the server's URL.
func align(contract, other *openapi3.T) (ours, theirs *openapi3.T, changes []change) {
	ours = &openapi3.T{
		OpenAPI: contract.OpenAPI, Info: contract.Info, Components: contract.Components, Paths: &openapi3.Paths{},
	}
	theirs = &openapi3.T{
		OpenAPI: other.OpenAPI, Info: contract.Info, Components: other.Components, Paths: &openapi3.Paths{},
	}
	moved, seen := map[string]bool{}, map[*openapi3.Operation]bool{}
	for _, path := range contract.Paths.Keys() {
		for method, own := range contract.Paths.Value(path).Operations() {
			there, op := locate(other, path, method)
			if op == nil {
				text := fmt.Sprintf("the operation is gone: %s %s", method, path)
				changes = append(changes, change{ID: "guard-operation", Text: text, Level: breaks, Path: path})
				continue
			}
			seen[op.operation] = true
			add(ours, path, method, own, own.Parameters, contract.Security)
			add(theirs, path, method, op.operation, op.parameters(path, there), other.Security)
			if op.prefix != "/kafka" {
				text := fmt.Sprintf("there, under another prefix: %q in place of %q", op.prefix, "/kafka")
				changes = append(changes, change{ID: "guard-prefix", Text: text, Level: breaks, Path: path})
			} else if parameterName.ReplaceAllString(there, "{}") != parameterName.ReplaceAllString(path, "{}") {
				moved[path] = true
			}
		}
	}
	for path := range moved {
		changes = append(changes, change{
			ID: "guard-prefix", Level: harmless, Path: path,
			Text: "there, under another prefix: a part of the path is in the server's URL",
		})
	}
	for _, path := range other.Paths.Keys() {
		for method, op := range other.Paths.Value(path).Operations() {
			if strings.Contains(path, "/mirrors:") && !seen[op] {
				text := fmt.Sprintf("the other document has an operation that this one lacks: %s %s", method, path)
				changes = append(changes, change{ID: "guard-new-operation", Text: text, Level: harmless, Path: path})
			}
		}
	}
	return ours, theirs, changes
}

// located is an operation of another document.
type located struct {
	operation *openapi3.Operation
	item      *openapi3.PathItem
	prefix    string // before /v3, with the path of the server's URL
}

// locate finds the contract's operation in a document, if possible under the same prefix.
func locate(doc *openapi3.T, path, method string) (there string, best *located) {
	want := parameterName.ReplaceAllString(strings.TrimPrefix(path, "/kafka"), "{}")
	for _, candidate := range doc.Paths.Keys() {
		item := doc.Paths.Value(candidate)
		op := item.GetOperation(method)
		if op == nil {
			continue
		}
		for _, base := range basePaths(doc, item, op) {
			prefix, found := strings.CutSuffix(parameterName.ReplaceAllString(base+candidate, "{}"), want)
			if found && (best == nil || best.prefix != "/kafka") {
				there, best = candidate, &located{op, item, prefix}
			}
		}
	}
	return there, best
}

// basePaths returns the paths of the servers of an operation.
func basePaths(doc *openapi3.T, item *openapi3.PathItem, op *openapi3.Operation) []string {
	servers := doc.Servers
	if len(item.Servers) > 0 {
		servers = item.Servers
	}
	if op.Servers != nil && len(*op.Servers) > 0 {
		servers = *op.Servers
	}
	var paths []string
	for _, server := range servers {
		base, err := server.BasePath()
		if err != nil {
			base = "/"
		}
		paths = append(paths, strings.TrimSuffix(base, "/"))
	}
	if len(paths) == 0 {
		return []string{""}
	}
	return paths
}

// parameters returns the parameters of the operation and of its path. Path parameters get the contract's names.
func (l *located) parameters(path, there string) openapi3.Parameters {
	names := map[string]string{}
	ours, theirs := parameterName.FindAllStringSubmatch(path, -1), parameterName.FindAllStringSubmatch(there, -1)
	for i := range min(len(ours), len(theirs)) { // aligned at the end of the paths
		names[theirs[len(theirs)-1-i][1]] = ours[len(ours)-1-i][1]
	}
	all := append(openapi3.Parameters{}, l.operation.Parameters...)
	for _, p := range l.item.Parameters {
		if l.operation.Parameters.GetByInAndName(p.Value.In, p.Value.Name) == nil {
			all = append(all, p)
		}
	}
	for i, p := range all {
		if name := names[p.Value.Name]; p.Value.In == "path" && name != "" && name != p.Value.Name {
			renamed := *p.Value
			renamed.Name = name
			all[i] = &openapi3.ParameterRef{Value: &renamed}
		}
	}
	return all
}

// add adds an operation to a document, with the given parameters. An operation without credentials gets the
// credentials of the whole document.
func add(
	doc *openapi3.T, path, method string, op *openapi3.Operation,
	parameters openapi3.Parameters, security openapi3.SecurityRequirements,
) {
	added := *op
	added.Servers, added.Parameters = nil, parameters
	if added.Security == nil {
		added.Security = &security
	}
	item := doc.Paths.Value(path)
	if item == nil {
		item = &openapi3.PathItem{}
		doc.Paths.Set(path, item)
	}
	item.SetOperation(method, &added)
}
