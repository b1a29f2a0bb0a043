package contract

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"mime"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/seed25095279/clusterlink-go/api"
)

const (
	jsonType     = "application/json"
	errorsMember = "errors"
)

// loaded loads the contract once.
var loaded = sync.OnceValues(func() ([]route, error) { return load(api.Spec()) })

func load(spec []byte) ([]route, error) {
	doc, err := openapi3.NewLoader().LoadFromData(spec)
	if err != nil {
		return nil, fmt.Errorf("contract: the contract cannot be loaded: %w", err)
	}
	return routesOf(doc), nil
}

// contentOf returns the content of a media type, with or without parameters in the contract.
func contentOf(content openapi3.Content, mediaType string) *openapi3.MediaType {
	for name, media := range content {
		if plain, _, err := mime.ParseMediaType(name); err == nil && plain == mediaType {
			return media
		}
	}
	return content.Get(mediaType) // matches wildcards
}

// schemaOf returns the schema of a JSON body, or nil if any body is valid.
func schemaOf(content openapi3.Content) *openapi3.Schema {
	if media := contentOf(content, jsonType); media != nil && media.Schema != nil {
		return media.Schema.Value
	}
	return nil
}

// failed returns the schema of the response to a failed request. Besides the contract's error, real servers send the
// cloud's list of errors and the servlet container's page as JSON (observed). judgeFailure tells these by their
// members.
func failed(single *openapi3.Schema) *openapi3.Schema {
	s := *single
	s.AdditionalProperties = openapi3.AdditionalProperties{}
	s.Properties = openapi3.Schemas{errorsMember: openapi3.NewSchemaRef("", openapi3.NewArraySchema().WithItems(single))}
	maps.Copy(s.Properties, single.Properties)
	return &s
}

// declares returns whether a schema declares a member.
func declares(s *openapi3.Schema, name string) bool {
	has := func(part *openapi3.SchemaRef) bool { return declares(part.Value, name) }
	return s.Properties[name] != nil || s.AdditionalProperties != (openapi3.AdditionalProperties{}) ||
		slices.ContainsFunc(slices.Concat(s.AllOf, s.OneOf, s.AnyOf), has)
}

// cut returns a schema without the element schema of the list data, and the element schema, so that rows can be
// checked one at a time. For 2.9 MB of empty elements the OpenAPI library takes 19 GB if the elements are checked
// together. The row is nil if the schema has no list.
func cut(s *openapi3.Schema) (rest, row *openapi3.Schema) {
	if s == nil {
		return nil, nil
	}
	copied := *s
	if data := s.Properties["data"]; data != nil && data.Value.Items != nil {
		list := *data.Value
		list.Items = openapi3.NewSchemaRef("", openapi3.NewSchema())
		copied.Properties = maps.Clone(s.Properties)
		copied.Properties["data"] = openapi3.NewSchemaRef("", &list)
		return &copied, data.Value.Items.Value
	}
	for i, part := range s.AllOf {
		if rest, row := cut(part.Value); row != nil {
			copied.AllOf = slices.Clone(s.AllOf)
			copied.AllOf[i] = openapi3.NewSchemaRef("", rest)
			return &copied, row
		}
	}
	return s, nil
}

// olderRow matches pointers to the row members that servers from before September 2024 leave out (observed).
var olderRow = regexp.MustCompile(`^/data/\d+/(messages_truncated|partition_level_truncation_data)$`)

const notInteger = "it is not written as an integer, or does not fit its format"

// schema checks a value. It returns errEnough if reading can stop.
func (j *judge) schema(t *tree, s *openapi3.Schema) error {
	if s == nil {
		return nil
	}
	as := openapi3.VisitAsResponse()
	if j.about.Request {
		as = openapi3.VisitAsRequest()
	}
	visit := func(findOdd bool) []*openapi3.SchemaError {
		return parts(s.VisitJSON(t.value(findOdd), openapi3.MultiErrors(), openapi3.DisableSchemaErrorDetails(), as))
	}
	at := t.pointer()
	var enough error
	told := map[string]bool{} // parts of an allOf can report the same
	tell := func(rule string, severity Severity, wrong *openapi3.SchemaError, detail string) {
		pointer := at
		for _, part := range wrong.JSONPointer() {
			pointer += "/" + escaped(part)
		}
		if wrong.SchemaField == "required" && olderRow.MatchString(pointer) {
			severity = Drift
		}
		if !told[pointer+detail] {
			told[pointer+detail] = true
			enough = cmp.Or(enough, j.atPointer(rule, severity, pointer, "%s", detail))
		}
	}
	for _, wrong := range visit(false) {
		if enough != nil {
			return enough
		}
		_, isNumber := wrong.Value.(float64)
		switch {
		case wrong.SchemaField == "format" && isNumber:
			tell(RuleInteger, Violation, wrong, notInteger)
		case wrong.SchemaField == "required":
			tell(RuleSchema, Violation, wrong, "the member is missing")
		default:
			tell(RuleSchema, Violation, wrong, cmp.Or(wrong.Reason, "it is not as the contract has it"))
		}
	}
	if !t.isOdd() {
		return enough
	}
	for _, wrong := range visit(true) {
		if wrong.Value == oddMark && wrong.SchemaField == "type" && strings.HasSuffix(wrong.Reason, "integer") {
			tell(RuleInteger, Violation, wrong, notInteger)
		}
	}
	return enough
}

// parts returns the single errors of the OpenAPI library for a value. The errors of an allOf's parts replace the
// error of the allOf.
func parts(err error) (all []*openapi3.SchemaError) {
	var several openapi3.MultiError
	var one *openapi3.SchemaError
	if !errors.As(err, &one) {
		return nil
	}
	if list, ok := err.(openapi3.MultiError); ok { //nolint:errorlint // it is not wrapped
		several = list
	} else if one.SchemaField != "allOf" || !errors.As(one.Origin, &several) {
		return []*openapi3.SchemaError{one}
	}
	for _, part := range several {
		all = append(all, parts(part)...)
	}
	return all
}
