package contract

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/seed25095279/clusterlink-go/api"
)

// shape is a schema made ready for reading a body from its start to its end. It is here because the
// OpenAPI library checks a body as a whole: to find all that is wrong it takes a gigabyte for a body
// of 39 kB, and otherwise it stops at the first thing. Values are still checked by the library, one at
// a time.
type shape struct {
	own        *openapi3.Schema  // what the value itself must be, without its members or elements
	properties map[string]*shape // of an object; the shape of a property is nil if it can be anything
	required   []string
	closed     bool   // to members that are not among the properties
	items      *shape // of an array
}

// shapeOf returns the shape of a schema, and an error if the schema says something that would not be
// checked.
func shapeOf(s *openapi3.Schema) (*shape, error) {
	if len(s.OneOf)+len(s.AnyOf) > 0 || s.Not != nil || s.UniqueItems || s.MinItems > 0 || s.MaxItems != nil ||
		s.MinProps > 0 || s.MaxProps != nil || s.AdditionalProperties.Schema != nil {
		return nil, fmt.Errorf("contract: the schema %q says more than is checked", s.Title)
	}
	own := *s
	own.AllOf, own.Items, own.Properties, own.Required = nil, nil, nil, nil
	own.AdditionalProperties = openapi3.AdditionalProperties{}
	if s.Items != nil {
		own.Items = openapi3.NewSchemaRef("", openapi3.NewSchema()) // an array must have one
	}
	result := &shape{own: &own, properties: map[string]*shape{}, required: s.Required}
	result.closed = s.AdditionalProperties.Has != nil && !*s.AdditionalProperties.Has
	for name, property := range s.Properties {
		p, err := shapeOf(property.Value)
		if err != nil {
			return nil, err
		}
		result.properties[name] = p
	}
	if s.Items != nil {
		items, err := shapeOf(s.Items.Value)
		if err != nil {
			return nil, err
		}
		result.items = items
	}
	for _, ref := range s.AllOf {
		part, err := shapeOf(ref.Value)
		if err != nil {
			return nil, err
		}
		sameType := part.own.Type != nil && (own.Type == nil || slices.Equal(*own.Type, *part.own.Type))
		if part.closed || part.items != nil || !sameType {
			return nil, fmt.Errorf("contract: the schema %q has an allOf that is not checked", s.Title)
		}
		for name, property := range part.properties {
			result.properties[name] = property
		}
		result.required = append(result.required, part.required...)
		own.Type = part.own.Type
	}
	return result, nil
}

// property returns the shape of a member, nil if it can be anything, and whether it is declared.
func (s *shape) property(name string) (property *shape, declared bool) {
	if s == nil {
		return nil, false
	}
	property, declared = s.properties[name]
	return property, declared
}

// shapes are those of the bodies that the contract has.
type shapes struct {
	routes []route
	of     map[*openapi3.Schema]*shape
	failed *shape // of the answer to a request that failed
}

const (
	jsonType     = "application/json"
	errorsMember = "errors"
)

// loadShapes reads the contract once.
var loadShapes = sync.OnceValues(func() (*shapes, error) {
	doc, err := openapi3.NewLoader().LoadFromData(api.Spec())
	if err != nil {
		return nil, fmt.Errorf("contract: the contract cannot be loaded: %w", err)
	}
	s := &shapes{routes: routesOf(doc), of: map[*openapi3.Schema]*shape{}}
	var contents []openapi3.Content
	for _, route := range s.routes {
		for _, op := range route.item.Operations() {
			if op.RequestBody != nil {
				contents = append(contents, op.RequestBody.Value.Content)
			}
			for _, response := range op.Responses.Map() {
				contents = append(contents, response.Value.Content)
			}
		}
	}
	for _, content := range contents {
		if media := content[jsonType]; media != nil && s.of[media.Schema.Value] == nil {
			if s.of[media.Schema.Value], err = shapeOf(media.Schema.Value); err != nil {
				return nil, err
			}
		}
	}
	single, err := shapeOf(doc.Components.Schemas["Error"].Value)
	if err != nil {
		return nil, err
	}
	// Beside the contract's Error, real servers answer with the cloud's list of errors, and with the
	// page of the servlet container as JSON (observed): judgeFailure knows them by their members.
	failed := *single
	failed.closed = false
	failed.properties = maps.Clone(single.properties)
	failed.properties[errorsMember] = &shape{own: openapi3.NewArraySchema().WithItems(openapi3.NewSchema()), items: single}
	s.failed = &failed
	return s, nil
})
