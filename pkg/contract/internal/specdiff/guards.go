package main

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// guards finds changes that break the library, although a comparison does not count these as breaking and the
// library's requests do not show them. The documents have the same operations.
func guards(ours, theirs *openapi3.T) []change {
	found := map[change]bool{}
	for _, path := range ours.Paths.Keys() {
		for method, own := range ours.Paths.Value(path).Operations() {
			g := guard{path, found, map[[2]*openapi3.Schema]bool{}}
			op := theirs.Paths.Value(path).GetOperation(method)
			g.answers(own, op)
			g.security(op, theirs.Components.SecuritySchemes)
			g.parameters(own, op)
			g.newParameters(own, op)
			g.bodies(own, op)
		}
	}
	return sorted(found)
}

// guard collects changes of one operation.
type guard struct {
	path  string
	found map[change]bool
	seen  map[[2]*openapi3.Schema]bool // the compared pairs of schemas in one body
}

func (g guard) check(ok bool, id, text string) {
	if !ok {
		g.found[change{ID: id, Text: text, Level: breaks, Path: g.path}] = true
	}
}

// answers checks the responses that the library distinguishes. Only a 200 means an accepted request.
func (g guard) answers(own, op *openapi3.Operation) {
	g.check(op.Responses.Value("200") != nil, "guard-answer", "the answer 200 is not declared by itself any more")
	for status := range op.Responses.Map() {
		g.check(!strings.HasPrefix(status, "2") || status == "200", "guard-answer",
			fmt.Sprintf("success can be answered as %s too, which the library does not take for it", status))
	}
	other := op.Responses.Default()
	for _, answer := range []struct {
		status    int
		mediaType string
	}{
		{200, "application/json"}, {400, "application/json"}, {401, "application/json"}, {429, "text/html"},
		{500, "application/json"}, {503, "application/json"},
	} {
		response := op.Responses.Status(answer.status)
		if response == nil && answer.status != 200 {
			response = other
		}
		ok := response != nil && response.Value.Content[answer.mediaType] != nil
		g.check(
			ok, "guard-answer", fmt.Sprintf("the answer %d as %s is not declared any more", answer.status, answer.mediaType),
		)
	}
	if other != nil && own.Responses.Default() == nil {
		if media := other.Value.Content["application/json"]; media != nil && media.Schema != nil {
			err := media.Schema.Value.VisitJSON(map[string]any{"error_code": 40002.0, "message": "text"})
			g.check(err == nil, "guard-answer", "any other status can be answered, and not as an error")
		}
	}
}

// security checks that each of the library's two credentials is enough alone, under any scheme name. An operation
// without credentials accepts both.
func (g guard) security(op *openapi3.Operation, schemes openapi3.SecuritySchemes) {
	if len(*op.Security) == 0 {
		return
	}
	for _, sent := range []struct {
		name string
		fits func(*openapi3.SecurityScheme) bool
	}{
		{"an API key as HTTP Basic", func(s *openapi3.SecurityScheme) bool {
			return s.Type == "http" && strings.EqualFold(s.Scheme, "basic")
		}},
		{"a bearer token", func(s *openapi3.SecurityScheme) bool {
			return s.Type == "http" && strings.EqualFold(s.Scheme, "bearer") || s.Type == "oauth2" || s.Type == "openIdConnect"
		}},
	} {
		ok := slices.ContainsFunc(*op.Security, func(alternative openapi3.SecurityRequirement) bool {
			for name := range alternative {
				return len(alternative) == 1 && schemes[name] != nil && sent.fits(schemes[name].Value)
			}
			return false
		})
		g.check(ok, "guard-security", sent.name+" alone does not do any more")
	}
}

// parameters checks the style of the values of parameters, and the server's defaults.
func (g guard) parameters(own, op *openapi3.Operation) {
	for _, ref := range own.Parameters {
		theirs := op.Parameters.GetByInAndName(ref.Value.In, ref.Value.Name)
		if theirs == nil {
			continue // the comparison reports this
		}
		was, errWas := ref.Value.SerializationMethod()
		is, errIs := theirs.SerializationMethod()
		g.check(errWas == nil && errIs == nil && was.Style == is.Style, "guard-style",
			fmt.Sprintf("the parameter `%s` is written in another style", theirs.Name))
		g.check((ref.Value.Schema == nil) == (theirs.Schema == nil), "guard-style",
			fmt.Sprintf("the parameter `%s` is written as a document", theirs.Name))
		if ref.Value.Schema != nil && theirs.Schema != nil {
			g.schema("the parameter `"+theirs.Name+"`", "", ref.Value.Schema.Value, theirs.Schema.Value, true)
		}
	}
}

// newParameters finds a new parameter with a default that has an effect.
func (g guard) newParameters(own, op *openapi3.Operation) {
	for _, ref := range op.Parameters {
		p := ref.Value
		if own.Parameters.GetByInAndName(p.In, p.Name) == nil && p.Schema != nil {
			g.schema("the parameter `"+p.Name+"`", "", &openapi3.Schema{}, p.Schema.Value, true)
		}
	}
}

func (g guard) bodies(own, op *openapi3.Operation) {
	pair := func(what string, own, theirs openapi3.Content, request bool) {
		was, is := own[jsonType], theirs[jsonType]
		if was != nil && is != nil && was.Schema != nil && is.Schema != nil {
			clear(g.seen)
			g.schema(what, "", was.Schema.Value, is.Schema.Value, request)
		}
	}
	if own.RequestBody != nil && op.RequestBody != nil {
		pair("the request", own.RequestBody.Value.Content, op.RequestBody.Value.Content, true)
	}
	for status, response := range own.Responses.Map() {
		if other := op.Responses.Value(status); other != nil {
			pair("the answer "+status, response.Value.Content, other.Value.Content, false)
		}
	}
}

// schema checks the parts of two schemas that a comparison leaves out, recursively. The member is the place of the
// schemas in the text what.
func (g guard) schema(what, member string, own, theirs *openapi3.Schema, request bool) {
	pair := [2]*openapi3.Schema{own, theirs}
	if g.seen[pair] || !request && member != "" && !isRead(g.path, strings.TrimSuffix(member[1:], "/items")) {
		return
	}
	g.seen[pair] = true
	where := what + member
	g.check(encodingOf(own) == encodingOf(theirs), "guard-encoding",
		fmt.Sprintf("%s is text in another encoding: %s", where, encodingOf(theirs)))
	if request {
		same := reflect.DeepEqual(own.Default, theirs.Default) || theirs.Default == false // as if absent
		g.check(same, "guard-default", fmt.Sprintf("a server takes %v where %s is left out", theirs.Default, where))
	} else {
		g.check(own.WriteOnly || !theirs.WriteOnly, "guard-write-only", where+" is not answered any more")
		for _, needed := range neededValues[member[strings.LastIndex(member, "/")+1:]] {
			g.check(theirs.Enum == nil || slices.Contains(theirs.Enum, any(needed)), "guard-enum",
				fmt.Sprintf("%s is never %s any more, which the library looks for", where, needed))
		}
	}
	if isClosed(own) && !isClosed(theirs) {
		g.found[change{
			ID: "guard-additional-properties", Level: harmless, Path: g.path,
			Text: where + " may have members that are not declared",
		}] = true
	}
	if own.Items != nil && theirs.Items != nil {
		g.schema(what, member+"/items", own.Items.Value, theirs.Items.Value, request)
	}
	known := properties(own)
	for name, property := range properties(theirs) {
		if known[name] != nil {
			g.schema(what, member+"/"+name, known[name], property, request)
		} else if request {
			g.check(property.Default == nil, "guard-default",
				fmt.Sprintf("a server takes %v where %s/%s is left out", property.Default, where, name))
		}
	}
}

// encodingOf returns the encoding of bytes in a text, or "" for plain text.
func encodingOf(s *openapi3.Schema) string {
	if s.ContentEncoding == "" && (s.Format == "byte" || s.Format == "binary") {
		return s.Format
	}
	return s.ContentEncoding
}

func isClosed(s *openapi3.Schema) bool {
	return s.AdditionalProperties.Has != nil && !*s.AdditionalProperties.Has
}

// properties returns the members of a schema and of the parts in its allOf.
func properties(s *openapi3.Schema) map[string]*openapi3.Schema {
	all := map[string]*openapi3.Schema{}
	for _, part := range s.AllOf {
		maps.Copy(all, properties(part.Value))
	}
	for name, ref := range s.Properties {
		all[name] = ref.Value
	}
	return all
}
