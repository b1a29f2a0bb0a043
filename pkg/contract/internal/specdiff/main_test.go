//go:build oasdiff

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3conv"
	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/api"
)

// oasdiffPath is the program, from the environment, as make contract sets it.
func oasdiffPath(t *testing.T) string {
	t.Helper()
	require.NotEmpty(t, os.Getenv("OASDIFF"), "OASDIFF is not set: run make contract")
	return os.Getenv("OASDIFF")
}

// result is what the program prints, and its exit code.
func result(t *testing.T, spec string) (says string, code int) {
	t.Helper()
	var b strings.Builder
	code = compare(context.Background(), &b, []string{"-oasdiff", oasdiffPath(t), "--", spec})
	return b.String(), code
}

// written returns the name of a file with a text.
func written(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "spec.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// edit is a change of the contract, and what it means for the library.
type edit struct {
	name string
	// text has the pieces of the contract's text that are replaced, each once and in order.
	text [][2]string
	// change changes the contract as it was loaded.
	change   func(*openapi3.T)
	breaking bool
	says     string
}

const isBreaking, isHarmless = true, false

// textEdits are made in the contract's text.
func textEdits() []edit {
	const breaks, harmless = isBreaking, isHarmless
	var all []edit
	for _, c := range []struct {
		name     string
		text     [][2]string
		breaking bool
		says     string
	}{
		{"nothing", nil, harmless, "0 breaking, 0 harmless, 0 known"},
		{"a description", [][2]string{{"The name of the cluster link.", "The link."}}, harmless, "0 breaking"},
		{"operation removed", [][2]string{{"    post:\n      operationId", "    put:\n      operationId"}},
			breaks, "the operation is gone"},
		{"path renamed", [][2]string{{"/mirrors:reverse-and-pause-mirror:", "/mirrors:reverse-and-pause:"}},
			breaks, "the operation is gone"},
		{"operationId changed", [][2]string{{"operationId: update", "operationId: alter"}},
			harmless, "replaced with `alter"},
		{"new required parameter", [][2]string{
			{"components:\n  parameters:\n",
				"components:\n  parameters:\n    Force: {name: force, in: query, required: true, schema: {type: boolean}}\n"},
			{"        - $ref: '#/components/parameters/LinkName'\n",
				"        - $ref: '#/components/parameters/LinkName'\n        - $ref: '#/components/parameters/Force'\n"},
		}, breaks, "`force`"},
		{"new optional parameter", [][2]string{
			{"components:\n  parameters:\n",
				"components:\n  parameters:\n    Force: {name: force, in: query, required: false, schema: {type: boolean}}\n"},
			{"        - $ref: '#/components/parameters/LinkName'\n",
				"        - $ref: '#/components/parameters/LinkName'\n        - $ref: '#/components/parameters/Force'\n"},
		}, harmless, "`force`"},
		{"validate_only removed", [][2]string{{"        - $ref: '#/components/parameters/ValidateOnly'\n", ""}},
			breaks, "`validate_only`"},
		{"validate_only a string", [][2]string{{
			"is\n        false.\n      in: query\n      required: false\n      schema:\n        type: boolean\n",
			"is\n        false.\n      in: query\n      required: false\n      schema:\n        type: string\n",
		}}, breaks, "`validate_only`"},
		{"names removed from the request", [][2]string{{
			"        mirror_topic_names:\n          description: The names of the mirror topics.\n" +
				"          type: array\n          items:\n            type: string\n",
			"",
		}}, breaks, "`mirror_topic_names`"},
		{"names limited", [][2]string{{
			"          type: array\n          items:\n            type: string\n        mirror_topic_name_pattern",
			"          type: array\n          maxItems: 10\n" +
				"          items:\n            type: string\n        mirror_topic_name_pattern",
		}}, breaks, "`mirror_topic_names`"},
		{"new optional member of the request", [][2]string{{
			"        mirror_topic_name_pattern:\n          description: A pat",
			"        note:\n          type: string\n        mirror_topic_name_pattern:\n          description: A pat",
		}}, harmless, "`note`"},
		{"new required member of the request", [][2]string{
			{"        mirror_topic_name_pattern:\n          description: A pat",
				"        note:\n          type: string\n        mirror_topic_name_pattern:\n          description: A pat"},
			{"      description: Which mirror topics to change.\n      type: object\n",
				"      description: Which mirror topics to change.\n      type: object\n      required: [note]\n"},
		}, breaks, "`note`"},
		{"error_code optional, inside the allOf", [][2]string{{
			"            - error_message\n            - error_code\n",
			"            - error_message\n",
		}}, breaks, "error_code"},
		{"error_code removed, inside the allOf", [][2]string{
			{"            - error_message\n            - error_code\n", "            - error_message\n"},
			{"            error_code:\n              type: integer\n              nullable: true\n", ""},
		}, breaks, "error_code"},
		{"error_code a string", [][2]string{{
			"            error_code:\n              type: integer\n",
			"            error_code:\n              type: string\n",
		}}, breaks, "error_code"},
		{"new member of a row", [][2]string{{
			"            error_code:\n              type: integer\n",
			"            mirror_status:\n              type: string\n            error_code:\n              type: integer\n",
		}}, harmless, "mirror_status"},
		{"a member by reference to a part of a schema", [][2]string{{
			"            source_topic_name:\n              type: string\n",
			"            source_topic_name:\n              $ref: '#/components/schemas/LinkTask/properties/task_name'\n",
		}}, harmless, "0 breaking, 0 harmless"},
		{"lag a string", [][2]string{{
			"        lag:\n          type: integer\n          format: int64\n",
			"        lag:\n          type: string\n",
		}}, breaks, "lag"},
		{"mirror_lags may be null", [][2]string{{
			"      description: How far a mirror topic is behind its source, partition by partition.\n      type: array\n",
			"      description: How far a mirror topic is behind its source, partition by partition.\n" +
				"      nullable: true\n      type: array\n",
		}}, breaks, "mirror_lags"},
		{"error_message never null", [][2]string{{
			"            error_message:\n              type: string\n              nullable: true\n",
			"            error_message:\n              type: string\n",
		}}, harmless, "error_message"},
		{"data an object", [][2]string{{
			"            data:\n              type: array\n",
			"            data:\n              type: object\n",
		}}, breaks, "data"},
		{"5XX removed", [][2]string{{"        5XX:\n          $ref: '#/components/responses/ServerError'\n", ""}},
			breaks, "the answer 500 as application/json is not declared any more"},
		{"5XX narrowed to 500", [][2]string{{"        5XX:\n", "        '500':\n"}},
			breaks, "the answer 503 as application/json is not declared any more"},
		{"401 removed", [][2]string{{"        '401':\n          $ref: '#/components/responses/Unauthorized'\n", ""}},
			breaks, "the answer 401"},
		{"429 as JSON", [][2]string{{"        text/html:\n", "        application/json:\n"}},
			breaks, "the answer 429 as text/html"},
		{"200 as XML", [][2]string{{
			"        application/json:\n          schema:\n            $ref: '#/components/schemas/AlterMirrorStatus",
			"        application/xml:\n          schema:\n            $ref: '#/components/schemas/AlterMirrorStatus",
		}}, breaks, "the answer 200 as application/json"},
		{"409 declared", [][2]string{{
			"        '429':\n",
			"        '409':\n          $ref: '#/components/responses/BadRequest'\n        '429':\n",
		}}, harmless, "409"},
		{"no bearer tokens any more", [][2]string{{"        - external-access-token: []\n", ""}},
			breaks, "a bearer token alone does not do"},
		{"both credentials at once", [][2]string{{
			"        - resource-api-key: []\n        - external-access-token: []\n",
			"        - resource-api-key: []\n          external-access-token: []\n",
		}}, breaks, "an API key as HTTP Basic alone does not do"},
		{"another credential as well", [][2]string{
			{"        - external-access-token: []\n", "        - external-access-token: []\n        - cloud-key: []\n"},
			{"  securitySchemes:\n", "  securitySchemes:\n    cloud-key: {type: http, scheme: basic}\n"},
		}, harmless, "cloud-key"},
		{"another operation", [][2]string{{
			"components:\n  parameters",
			"  /kafka/v3/clusters:\n    get:\n      responses:\n        '200':\n          description: All clusters.\n" +
				"components:\n  parameters",
		}}, harmless, "0 breaking, 0 harmless"},
		{"new member of Error", [][2]string{{
			"        error_code:\n          type: integer\n          format: int32\n",
			"        hint:\n          type: string\n        error_code:\n          type: integer\n          format: int32\n",
		}}, harmless, "hint"},
	} {
		all = append(all, edit{c.name, c.text, nil, c.breaking, c.says})
	}
	return all
}

const (
	linkPath  = "/kafka/v3/clusters/{cluster_id}/links/{link_name}"
	pausePath = linkPath + "/mirrors:reverse-and-pause-mirror"
)

// docEdits are made in the contract as it was loaded.
func docEdits() []edit {
	pause := func(f func(op *openapi3.Operation)) func(*openapi3.T) {
		return func(d *openapi3.T) { f(d.Paths.Value(pausePath).Post) }
	}
	schema := func(name string, f func(*openapi3.Schema)) func(*openapi3.T) {
		return func(d *openapi3.T) { f(d.Components.Schemas[name].Value) }
	}
	request := func(f func(s *openapi3.Schema)) func(*openapi3.T) { return schema("AlterMirrorsRequestData", f) }
	names := func(f func(s *openapi3.Schema)) func(*openapi3.T) {
		return request(func(s *openapi3.Schema) { f(s.Properties["mirror_topic_names"].Value) })
	}
	row := func(member string, f func(s *openapi3.Schema)) func(*openapi3.T) {
		return schema("AlterMirrorStatusResponseData", func(s *openapi3.Schema) {
			f(s.AllOf[1].Value.Properties[member].Value)
		})
	}
	parameter := func(name string, f func(p *openapi3.Parameter)) func(*openapi3.T) {
		return func(d *openapi3.T) { f(d.Components.Parameters[name].Value) }
	}
	answers := func(f func(all *openapi3.Responses)) func(*openapi3.T) {
		return pause(func(op *openapi3.Operation) { f(op.Responses) })
	}
	servers := func(urls ...string) func(*openapi3.T) {
		return func(d *openapi3.T) {
			d.Servers = nil
			for _, url := range urls {
				d.Servers = append(d.Servers, &openapi3.Server{URL: url})
			}
		}
	}
	move := func(was, is string) func(*openapi3.T) {
		return func(d *openapi3.T) {
			moved := &openapi3.Paths{}
			for _, path := range d.Paths.Keys() {
				moved.Set(strings.Replace(path, was, is, 1), d.Paths.Value(path))
			}
			d.Paths = moved
		}
	}
	both := func(changes ...func(*openapi3.T)) func(*openapi3.T) {
		return func(d *openapi3.T) {
			for _, f := range changes {
				f(d)
			}
		}
	}
	required := func(names ...string) *openapi3.SchemaRef {
		return openapi3.NewSchemaRef("", &openapi3.Schema{Required: names})
	}
	requestAs := func(mediaType string) func(*openapi3.T) {
		return func(d *openapi3.T) {
			body := d.Components.RequestBodies["AlterMirrorsRequest"].Value
			body.Content = openapi3.Content{mediaType: body.Content[jsonType]}
		}
	}
	text := func(d string) *openapi3.ResponseRef {
		return &openapi3.ResponseRef{Value: openapi3.NewResponse().WithDescription(d)}
	}
	asError := func(d *openapi3.T) *openapi3.ResponseRef { return d.Components.Responses["ServerError"] }
	null := openapi3.NewSchemaRef("", &openapi3.Schema{Type: &openapi3.Types{"null"}})
	newest := func(d *openapi3.T) { openapi3conv.Upgrade(d) }
	restricted := func(schemaName, member string, values ...any) func(*openapi3.T) {
		return schema(schemaName, func(s *openapi3.Schema) {
			if member != "" {
				s = s.AllOf[1].Value.Properties[member].Value
			}
			s.Enum = values
		})
	}
	everyStatus := []any{
		"ACTIVE", "FAILED", "LINK_FAILED", "LINK_PAUSED", "PAUSED", "PENDING_STOPPED", "SOURCE_UNAVAILABLE", "STOPPED",
		"PENDING_MIRROR", "PENDING_SYNCHRONIZE", "PENDING_SETUP_FOR_RESTORE", "PENDING_RESTORE",
	}
	without := func(schemaName string, members ...string) func(*openapi3.T) {
		return schema(schemaName, func(s *openapi3.Schema) {
			own := s.AllOf[1].Value
			for _, name := range members {
				delete(own.Properties, name)
			}
			own.Required = slices.DeleteFunc(own.Required, func(name string) bool { return slices.Contains(members, name) })
		})
	}
	ofType := func(schemaName, member, name string) func(*openapi3.T) {
		return schema(schemaName, func(s *openapi3.Schema) {
			s.AllOf[1].Value.Properties[member].Value = &openapi3.Schema{Type: &openapi3.Types{name}}
		})
	}
	rename := func(name, as string) func(*openapi3.T) {
		return func(d *openapi3.T) {
			d.Components.Schemas[as] = d.Components.Schemas[name]
			delete(d.Components.Schemas, name)
			for _, response := range d.Components.Responses {
				for _, media := range response.Value.Content {
					if media.Schema.Ref == "#/components/schemas/"+name {
						media.Schema.Ref = "#/components/schemas/" + as
					}
				}
			}
			_ = d.WalkSchemas(func(_ string, s *openapi3.SchemaRef) error {
				if s.Ref == "#/components/schemas/"+name {
					s.Ref = "#/components/schemas/" + as
				}
				return nil
			})
		}
	}
	scheme := func(name string, s *openapi3.SecurityScheme) func(*openapi3.T) {
		return func(d *openapi3.T) { d.Components.SecuritySchemes[name].Value = s }
	}
	circular := func(name string) func(*openapi3.T) {
		return func(d *openapi3.T) {
			s := openapi3.NewSchema()
			s.AllOf = openapi3.SchemaRefs{openapi3.NewSchemaRef("#/components/schemas/"+name, s)}
			d.Components.Schemas[name] = openapi3.NewSchemaRef("", s)
		}
	}
	operation := func(path string) func(*openapi3.T) {
		return func(d *openapi3.T) { d.Paths.Set(path, &openapi3.PathItem{Post: d.Paths.Value(pausePath).Post}) }
	}
	const breaks, harmless = isBreaking, isHarmless
	return []edit{
		// What the library reads.
		{"the statuses that there are", nil, restricted("MirrorTopicStatus", "", everyStatus...), harmless, "3 known"},
		{"one status more", nil, restricted("MirrorTopicStatus", "", append(everyStatus[:12:12], "NEW")...),
			harmless, "PENDING_RESTORE NEW]"},
		{"no STOPPED", nil, restricted("MirrorTopicStatus", "", "ACTIVE", "PAUSED"), breaks,
			"mirror_status is never STOPPED any more"},
		{"statuses in small letters", nil, restricted("MirrorTopicStatus", "", "active", "paused", "stopped"), breaks,
			"mirror_status is never ACTIVE any more"},
		{"no ACTIVE link", nil, restricted("ListLinksResponseData", "link_state", "UP", "DOWN"), breaks,
			"link_state is never ACTIVE any more"},
		{"categories of links", nil, schema("LinkCategory", func(s *openapi3.Schema) {
			s.Properties["state_category"].Value.Enum = []any{"GOOD", "BAD"}
		}), harmless, "[GOOD BAD]"},
		{"three members of a config are gone", nil,
			without("ListLinkConfigsResponseData", "is_default", "is_read_only", "is_sensitive"),
			harmless, "`data/items/is_sensitive`"},
		{"the value of a config is gone", nil, without("ListLinkConfigsResponseData", "value"), breaks, "`data/items/value`"},
		{"a member of a config has another type", nil, ofType("ListLinkConfigsResponseData", "is_default", "string"),
			harmless, "the library does not read it"},
		{"the topics of a link are gone", nil, without("ListLinksResponseData", "topic_names"), harmless, "`topic_names`"},
		{"the topics of a link have another type", nil, ofType("ListLinksResponseData", "topic_names", "integer"),
			breaks, "`topic_names`"},
		{"the id of a link is gone", nil, without("ListLinksResponseData", "cluster_link_id"), breaks, "`cluster_link_id`"},
		{"the status of a mirror is gone", nil, without("ListMirrorTopicsResponseData", "mirror_status"), breaks,
			"`data/items/mirror_status`"},
		{"a kind in base64", nil, schema("Resource", func(s *openapi3.Schema) { s.Properties["kind"].Value.Format = "byte" }),
			harmless, ""},

		// Names and widths.
		{"a row of another name", nil, rename("AlterMirrorStatusResponseData", "MirrorOutcome"), harmless, "0 breaking, 0 harmless"},
		{"an error of another name", nil, rename("Error", "Failure"), harmless, "0 breaking, 0 harmless"},
		{"an error code of 32 bits", nil, row("error_code", func(s *openapi3.Schema) { s.Format = "int32" }), harmless, "0 breaking"},
		{"a partition of 64 bits", nil, schema("MirrorLag", func(s *openapi3.Schema) {
			s.Properties["partition"].Value.Format = "int64"
		}), harmless, "0 breaking"},
		{"labels of a row", nil, schema("AlterMirrorStatusResponseData", func(s *openapi3.Schema) {
			s.AllOf[1].Value.WithProperty("labels", openapi3.NewObjectSchema().WithAnyAdditionalProperties())
		}), harmless, "`data/items/labels`"},
		{"lags that are there once", nil, schema("MirrorLags", func(s *openapi3.Schema) { s.UniqueItems = true }), harmless, "0 breaking"},

		// Verbs that are new.
		{"a new verb", nil, operation(linkPath + "/mirrors:rewind"), harmless,
			"the other document has an operation that this one lacks: POST " + linkPath + "/mirrors:rewind"},
		{"a new verb that reads", nil, func(d *openapi3.T) {
			d.Paths.Set(linkPath+"/mirrors:summary", &openapi3.PathItem{Get: d.Paths.Value(linkPath).Get})
		}, harmless, "this one lacks: GET " + linkPath + "/mirrors:summary"},

		// Schemas that are parts of themselves.
		{"a circular schema that nothing uses", nil, circular("Unused"), harmless, "0 breaking, 0 harmless"},
		{"a circular schema that another operation uses", nil, func(d *openapi3.T) {
			circular("Elsewhere")(d)
			d.AddOperation("/kafka/v3/x", "GET", &openapi3.Operation{Responses: openapi3.NewResponses(openapi3.WithStatus(
				200, &openapi3.ResponseRef{Value: openapi3.NewResponse().WithDescription("x").WithContent(
					openapi3.NewContentWithJSONSchemaRef(
						openapi3.NewSchemaRef("#/components/schemas/Elsewhere", d.Components.Schemas["Elsewhere"].Value),
					),
				)},
			))})
		}, harmless, "0 breaking, 0 harmless"},

		// Credentials.
		{"a bearer token in place of OAuth", nil, scheme("external-access-token", openapi3.NewSecurityScheme().
			WithType("http").WithScheme("bearer")), harmless, "0 breaking"},
		{"OpenID Connect in place of OAuth", nil, scheme("external-access-token", openapi3.NewOIDCSecurityScheme(
			"https://x.example",
		)), harmless, "0 breaking"},
		{"an API key in a header of its own", nil, scheme("resource-api-key", openapi3.NewSecurityScheme().
			WithType("apiKey").WithIn("header").WithName("X-Key")), breaks, "an API key as HTTP Basic alone does not do"},
		{"credentials of other names", nil, func(d *openapi3.T) {
			schemes := d.Components.SecuritySchemes
			schemes["key"], schemes["token"] = schemes["resource-api-key"], schemes["external-access-token"]
			delete(schemes, "resource-api-key")
			delete(schemes, "external-access-token")
			for _, path := range d.Paths.Keys() {
				for _, op := range d.Paths.Value(path).Operations() {
					op.Security = &openapi3.SecurityRequirements{{"key": {}}, {"token": {}}}
				}
			}
		}, harmless, "0 breaking"},

		// What a server takes where nothing is given.
		{"validate_only true by default", nil, parameter("ValidateOnly", func(p *openapi3.Parameter) {
			p.Schema.Value.Default = true
		}), breaks, "a server takes true where the parameter `validate_only` is left out"},
		{"validate_only false by default", nil, parameter("ValidateOnly", func(p *openapi3.Parameter) {
			p.Schema.Value.Default = false
		}), harmless, ""},
		{"names by default", nil, names(func(s *openapi3.Schema) { s.Default = []any{"a"} }), breaks, "a server takes [a]"},
		{"a pattern by default", nil, request(func(s *openapi3.Schema) {
			s.Properties["mirror_topic_name_pattern"].Value.Default = ".*"
		}), breaks, "a server takes .*"},
		{"a status by default", nil, parameter("MirrorStatus", func(p *openapi3.Parameter) {
			p.Schema.Value = openapi3.NewStringSchema().WithDefault("ACTIVE")
			p.Schema.Ref = ""
		}), breaks, "a server takes ACTIVE"},
		{"a new parameter with a default", nil, pause(func(op *openapi3.Operation) {
			op.AddParameter(openapi3.NewQueryParameter("dry_run").WithSchema(openapi3.NewBoolSchema().WithDefault(true)))
		}), breaks, "a server takes true where the parameter `dry_run` is left out"},
		{"a new member with a default", nil, request(func(s *openapi3.Schema) {
			s.WithProperty("force", openapi3.NewBoolSchema().WithDefault(true))
		}), breaks, "a server takes true"},

		// What the library's own requests show.
		{"a request only as vnd.api+json", nil, requestAs("application/vnd.api+json"), breaks, "a request of the library"},
		{"a request only as problem+json", nil, requestAs("application/problem+json"), breaks, "a request of the library"},
		{"a request only as a form", nil, requestAs("application/x-www-form-urlencoded"), breaks, ""},
		{"names that must not be there", nil, request(func(s *openapi3.Schema) { s.Not = required("mirror_topic_names") }),
			breaks, "a request of the library"},
		{"a choice that needs both", nil, request(func(s *openapi3.Schema) {
			s.OneOf = openapi3.SchemaRefs{required("mirror_topic_names", "mirror_topic_name_pattern")}
		}), breaks, "a request of the library"},
		{"a choice that fits neither", nil, request(func(s *openapi3.Schema) {
			s.AnyOf = openapi3.SchemaRefs{required("topics"), required("topic")}
		}), breaks, "a request of the library"},
		{"names or a pattern", nil, request(func(s *openapi3.Schema) {
			s.OneOf = openapi3.SchemaRefs{required("mirror_topic_names"), required("mirror_topic_name_pattern")}
		}), harmless, ""},
		{"names that are there once", nil, names(func(s *openapi3.Schema) { s.UniqueItems = true }), harmless, "uniqueItems"},
		{"one member at most", nil, request(func(s *openapi3.Schema) { s.MaxProps = openapi3.Ptr[uint64](1) }),
			harmless, "maxProperties"},
		{"no member at all", nil, request(func(s *openapi3.Schema) { s.MaxProps = openapi3.Ptr[uint64](0) }),
			breaks, "a request of the library"},
		{"names that are only read", nil, names(func(s *openapi3.Schema) { s.ReadOnly = true }),
			breaks, "a request of the library"},
		{"names of at most 100 characters", nil, names(func(s *openapi3.Schema) {
			s.Items.Value = openapi3.NewStringSchema().WithMaxLength(100)
		}), breaks, "a request of the library"},
		{"names without a dot", nil, names(func(s *openapi3.Schema) {
			s.Items.Value = openapi3.NewStringSchema().WithPattern("^[a-z0-9-]+$")
		}), breaks, "a request of the library"},
		{"names as long as Kafka allows", nil, names(func(s *openapi3.Schema) {
			s.Items.Value = openapi3.NewStringSchema().WithMinLength(1).WithMaxLength(249)
		}), harmless, ""},
		{"names as Kafka allows them", nil, names(func(s *openapi3.Schema) {
			s.Items.Value = openapi3.NewStringSchema().WithPattern("^[a-zA-Z0-9._-]{1,249}$")
		}), harmless, ""},
		{"names without a capital", nil, names(func(s *openapi3.Schema) {
			s.Items.Value = openapi3.NewStringSchema().WithPattern("^[a-z0-9._-]{1,249}$")
		}), breaks, "a request of the library"},
		{"a name in the path as Kafka allows it", nil, parameter("MirrorTopicName", func(p *openapi3.Parameter) {
			p.Schema = openapi3.NewSchemaRef("", openapi3.NewStringSchema().WithMaxLength(249).WithPattern("^[a-zA-Z0-9._-]+$"))
		}), harmless, ""},
		{"one name at least", nil, names(func(s *openapi3.Schema) { s.MinItems = 1 }), harmless, "the requests of the library were tried"},
		{"one member at least", nil, request(func(s *openapi3.Schema) { s.MinProps = 1 }), harmless, "0 breaking"},
		{"two names at least", nil, names(func(s *openapi3.Schema) { s.MinItems = 2 }), breaks, "a request of the library"},
		{
			"100 names at most", nil, names(func(s *openapi3.Schema) { s.WithMaxItems(100) }), breaks,
			"a request of the library",
		},
		{"names that are objects", nil, names(func(s *openapi3.Schema) { s.Items.Value = openapi3.NewObjectSchema() }),
			breaks, "a request of the library"},
		{"a pattern of two characters at most", nil, request(func(s *openapi3.Schema) {
			s.Properties["mirror_topic_name_pattern"].Value.WithMaxLength(1)
		}), breaks, "a request of the library"},
		{"a cluster's id of three characters", nil, parameter("ClusterId", func(p *openapi3.Parameter) {
			p.Schema = openapi3.NewSchemaRef("", openapi3.NewStringSchema().WithMaxLength(3))
		}), breaks, "a request of the library"},
		{"validate_only as a header", nil, parameter("ValidateOnly", func(p *openapi3.Parameter) { p.In = "header" }),
			breaks, "`validate_only`"},
		{"a required body", nil, func(d *openapi3.T) {
			d.Components.RequestBodies["AlterMirrorsRequest"].Value.Required = true
		}, harmless, "harmless  "},

		// How values are written.
		{"a path parameter as a label", nil, parameter("LinkName", func(p *openapi3.Parameter) { p.Style = "label" }),
			breaks, "another style"},
		{"a path parameter as a matrix", nil, parameter("LinkName", func(p *openapi3.Parameter) { p.Style = "matrix" }),
			breaks, "another style"},
		{"a query parameter as an object", nil, parameter(
			"ValidateOnly", func(p *openapi3.Parameter) { p.Style = "deepObject" },
		),
			breaks, "another style"},
		{"the style that holds anyway", nil, parameter("LinkName", func(p *openapi3.Parameter) { p.Style = "simple" }),
			harmless, "0 breaking, 0 harmless"},
		{"a parameter as JSON", nil, parameter("LinkName", func(p *openapi3.Parameter) {
			p.Content, p.Schema = openapi3.NewContentWithJSONSchemaRef(p.Schema), nil
		}), breaks, "`link_name` is written as a document"},
		{"topic names in base64", nil, row("mirror_topic_name", func(s *openapi3.Schema) { s.Format = "byte" }),
			breaks, "text in another encoding"},
		{"topic names in binary", nil, names(func(s *openapi3.Schema) {
			s.Items.Value = openapi3.NewStringSchema().WithFormat("binary")
		}), breaks, "text in another encoding"},
		{"topic names in base64, as OpenAPI 3.1 has it", nil, both(row("mirror_topic_name", func(s *openapi3.Schema) {
			s.ContentEncoding = "base64"
		}), newest), breaks, "text in another encoding"},

		// Answers.
		{"202 beside 200", nil, answers(func(r *openapi3.Responses) { r.Set("202", r.Value("200")) }), breaks, "as 202 too"},
		{"207 beside 200", nil, answers(func(r *openapi3.Responses) { r.Set("207", r.Value("200")) }), breaks, "as 207 too"},
		{
			"204 beside 200", nil, answers(func(r *openapi3.Responses) { r.Set("204", text("Nothing.")) }), breaks,
			"as 204 too",
		},
		{"2XX beside 200", nil, answers(func(r *openapi3.Responses) { r.Set("2XX", r.Value("200")) }), breaks, "as 2XX too"},
		{"2XX in place of 200", nil, answers(func(r *openapi3.Responses) {
			r.Set("2XX", r.Value("200"))
			r.Delete("200")
		}), breaks, "the answer 200 is not declared by itself"},
		{"default in place of 200", nil, answers(func(r *openapi3.Responses) {
			r.Set("default", r.Value("200"))
			r.Delete("200")
		}), breaks, "the answer 200 is not declared by itself"},
		{"a default that is no error", nil, answers(func(r *openapi3.Responses) { r.Set("default", r.Value("200")) }),
			breaks, "not as an error"},
		{"a default that is an error", nil, func(d *openapi3.T) {
			d.Paths.Value(pausePath).Post.Responses.Set("default", asError(d))
		}, harmless, ""},
		{"default in place of 5XX", nil, func(d *openapi3.T) {
			for _, path := range d.Paths.Keys() {
				for _, op := range d.Paths.Value(path).Operations() {
					op.Responses.Set("default", asError(d))
					op.Responses.Delete("5XX")
				}
			}
		}, harmless, ""},
		{"default in place of 429", nil, func(d *openapi3.T) {
			op := d.Paths.Value(pausePath).Post
			op.Responses.Set("default", asError(d))
			op.Responses.Delete("429")
		}, breaks, "the answer 429 as text/html"},
		{"403 declared", nil, answers(func(r *openapi3.Responses) { r.Set("403", r.Value("400")) }), harmless, "403"},
		{"a charset", nil, func(d *openapi3.T) {
			for _, c := range []openapi3.Content{
				d.Components.Responses["AlterMirrorsResponse"].Value.Content,
				d.Components.RequestBodies["AlterMirrorsRequest"].Value.Content,
			} {
				c[jsonType+"; charset=utf-8"] = c[jsonType]
				delete(c, jsonType)
			}
		}, harmless, "0 breaking"},
		{"another media type beside", nil, func(d *openapi3.T) {
			c := d.Components.Responses["AlterMirrorsResponse"].Value.Content
			c["application/vnd.api+json"] = c[jsonType]
		}, harmless, "application/vnd.api+json"},
		{"an error code that is not answered", nil, row("error_code", func(s *openapi3.Schema) { s.WriteOnly = true }),
			breaks, "is not answered any more"},
		{"longer ids of errors", nil, schema("Error", func(s *openapi3.Schema) {
			s.Properties["id"].Value.WithMaxLength(4000)
		}), harmless, "harmless  "},
		{"ids of errors of any length", nil, schema(
			"Error", func(s *openapi3.Schema) { s.Properties["id"].Value.MaxLength = nil },
		),
			harmless, "harmless  "},
		{"errors with any members", nil, schema("Error", func(s *openapi3.Schema) {
			s.AdditionalProperties = openapi3.AdditionalProperties{}
		}), harmless, "may have members that are not declared"},
		{"messages truncated as text", nil, row("messages_truncated", func(s *openapi3.Schema) {
			s.Type, s.Format = &openapi3.Types{"string"}, ""
		}), breaks, "messages_truncated"},

		// Where operations are.
		{"the prefix in the server's URL", nil, both(servers("https://x.example/kafka/v3"), move("/kafka/v3", "")),
			harmless, "there, under another prefix"},
		{"half of the prefix in the server's URL", nil, both(servers("https://x.example/kafka/"), move("/kafka", "")),
			harmless, "there, under another prefix"},
		{"the prefix in a variable of the server's URL", nil, both(func(d *openapi3.T) {
			d.Servers = openapi3.Servers{{URL: "https://x.example/{base}", Variables: map[string]*openapi3.ServerVariable{
				"base": {Default: "kafka"},
			}}}
		}, move("/kafka", "")), harmless, "there, under another prefix"},
		{"the prefix in a relative server", nil, both(servers("/kafka/v3"), move("/kafka/v3", "")),
			harmless, "there, under another prefix"},
		{"the whole server in a variable", nil, both(func(d *openapi3.T) {
			d.Servers = openapi3.Servers{{URL: "{endpoint}/kafka/v3", Variables: map[string]*openapi3.ServerVariable{
				"endpoint": {Default: "https://x.example"},
			}}}
		}, move("/kafka/v3", "")), harmless, "there, under another prefix"},
		{"a server with a path", nil, servers("https://x.example/proxy"), breaks,
			`there, under another prefix: "/proxy/kafka" in place of "/kafka"`},
		{"a server with the prefix, and again", nil, servers("https://x.example/kafka/v3"), breaks, `"/kafka/v3/kafka"`},
		{
			"two servers, one with a path", nil, servers("https://x.example/proxy", "https://y.example"), harmless,
			"0 harmless",
		},
		{"no server", nil, servers(), harmless, "0 breaking, 0 harmless"},
		{"an operation's own server with a path", nil, pause(func(op *openapi3.Operation) {
			op.Servers = &openapi3.Servers{{URL: "https://x.example/proxy"}}
		}), breaks, "under another prefix"},
		{"no prefix", nil, move("/kafka/v3", "/v3"), breaks, `there, under another prefix: "" in place of "/kafka"`},
		{"another version", nil, move("/v3", "/v4"), breaks, "the operation is gone"},
		{
			"an operation that is missing", nil, func(d *openapi3.T) { d.Paths.Delete(pausePath) }, breaks,
			"1 breaking, 0 harmless",
		},
		{"path parameters of other names", nil, func(d *openapi3.T) {
			both(move("{cluster_id}", "{clusterId}"), move("{link_name}", "{link}"))(d)
			d.Components.Parameters["ClusterId"].Value.Name = "clusterId"
			d.Components.Parameters["LinkName"].Value.Name = "link"
		}, harmless, "0 breaking, 0 harmless"},
		{"parameters of the path", nil, func(d *openapi3.T) {
			for _, path := range d.Paths.Keys() {
				item := d.Paths.Value(path)
				for _, op := range item.Operations() {
					item.Parameters, op.Parameters = op.Parameters, nil
				}
			}
		}, harmless, "0 breaking, 0 harmless"},
		{"credentials of the whole document", nil, func(d *openapi3.T) {
			for _, path := range d.Paths.Keys() {
				for _, op := range d.Paths.Value(path).Operations() {
					d.Security, op.Security = *op.Security, nil
				}
			}
		}, harmless, "0 breaking, 0 harmless"},

		{"no credentials at all", nil, func(d *openapi3.T) {
			for _, path := range d.Paths.Keys() {
				for _, op := range d.Paths.Value(path).Operations() {
					op.Security = openapi3.NewSecurityRequirements()
				}
			}
		}, harmless, "now allows anonymous access"},
		{"credentials that may be left out", nil, pause(func(op *openapi3.Operation) {
			op.Security.With(openapi3.NewSecurityRequirement())
		}), harmless, "now allows anonymous access"},
		{"a member that needs another", nil, both(newest, request(func(s *openapi3.Schema) {
			s.DependentRequired = map[string][]string{"mirror_topic_names": {"reason"}}
		})), breaks, "is not valid: the body: mirror_topic_names: - at '': properties 'reason' required"},

		// The same in other words.
		{"another version number", nil, func(d *openapi3.T) { d.Info.Version = "4.0.0" }, harmless, "0 breaking, 0 harmless"},
		{"the newest form of OpenAPI", nil, newest, harmless, "0 breaking, 0 harmless"},
		{"null as a choice", nil, both(newest, row("error_message", func(s *openapi3.Schema) {
			*s = openapi3.Schema{AnyOf: openapi3.SchemaRefs{openapi3.NewSchemaRef("", openapi3.NewStringSchema()), null}}
		})), harmless, "0 breaking, 0 harmless"},
		{"null as a choice beside a reference", nil, both(newest, func(d *openapi3.T) {
			list := d.Components.Schemas["PartitionLevelTruncationDataList"].Value
			list.Type = &openapi3.Types{"array"}
			d.Components.Schemas["AlterMirrorStatusResponseData"].Value.AllOf[1].Value.
				Properties["partition_level_truncation_data"] = openapi3.NewSchemaRef("", &openapi3.Schema{
				OneOf: openapi3.SchemaRefs{
					null, openapi3.NewSchemaRef("#/components/schemas/PartitionLevelTruncationDataList", list),
				},
			})
		}), harmless, "0 breaking, 0 harmless"},
		{"a null that is new, in the newest form", nil, both(newest, row("mirror_topic_name", func(s *openapi3.Schema) {
			s.Type = &openapi3.Types{"string", "null"}
		})), breaks, "mirror_topic_name"},
		{"another tag and summary", nil, pause(func(op *openapi3.Operation) { op.Tags, op.Summary = []string{"x"}, "y" }),
			harmless, "0 breaking"},
		{"another example", nil, func(d *openapi3.T) {
			d.Components.Responses["AlterMirrorsResponse"].Value.Content[jsonType].Example = map[string]any{"kind": "x"}
		}, harmless, "0 breaking"},
	}
}

// text returns the contract after the edit.
func (e edit) apply(t *testing.T) string {
	t.Helper()
	edited := string(api.Spec())
	for _, piece := range e.text {
		require.Contains(t, edited, piece[0])
		edited = strings.Replace(edited, piece[0], piece[1], 1)
	}
	if e.change == nil {
		return edited
	}
	doc, err := openapi3.NewLoader().LoadFromData([]byte(edited))
	require.NoError(t, err)
	e.change(doc)
	text, err := json.Marshal(doc)
	require.NoError(t, err)
	return string(text)
}

func TestSpecdiff_Edits(t *testing.T) {
	edits := append(textEdits(), docEdits()...)
	names := map[string]bool{}
	for _, c := range edits {
		require.False(t, names[c.name], "%s is there twice", c.name)
		names[c.name] = true
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			says, code := result(t, written(t, c.apply(t)))
			want := map[bool]int{isBreaking: exitBreaking, isHarmless: exitHarmless}[c.breaking]
			if testing.Verbose() {
				first, _, _ := strings.Cut(says, "\n")
				fmt.Printf("%-50s exit code %d expected %d  %.110s\n", c.name, code, want, first)
			}
			require.Equal(t, want, code, says)
			require.Contains(t, says, c.says)
		})
	}
}

// A schema can be a part of others very often, which takes no longer for that.
func TestSpecdiff_PartsOfParts(t *testing.T) {
	says, code := result(t, written(t, edit{change: func(d *openapi3.T) {
		part := openapi3.NewSchemaRef("", openapi3.NewStringSchema())
		for i := range 40 {
			name := fmt.Sprintf("Part%d", i)
			d.Components.Schemas[name] = openapi3.NewSchemaRef("", &openapi3.Schema{AllOf: openapi3.SchemaRefs{part, part}})
			part = openapi3.NewSchemaRef("#/components/schemas/"+name, d.Components.Schemas[name].Value)
		}
	}}.apply(t)))
	require.Equal(t, exitHarmless, code, says)
}

// The vendor's own document has said other things before: extracts of two versions of it stand in
// testdata.
func TestSpecdiff_History(t *testing.T) {
	for file, want := range map[string]string{
		"2024-09-11.yaml": "3 breaking, ", "before.yaml": "2 breaking, ",
	} {
		extract, err := openapi3.NewLoader().LoadFromFile(filepath.Join("testdata", file))
		require.NoError(t, err)
		then := edit{change: func(d *openapi3.T) {
			for name, s := range extract.Components.Schemas {
				d.Components.Schemas[name].Value = s.Value
			}
		}}
		says, code := result(t, written(t, then.apply(t)))
		require.Equal(t, exitBreaking, code)
		require.Contains(t, says, want)
	}
}

func TestSpecdiff_WhatCannotBeCompared(t *testing.T) {
	const no = "not an OpenAPI 3 document"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/openapi.yaml":
			_, _ = w.Write(api.Spec())
		case "/error.json":
			_, _ = w.Write([]byte(`{"error_code":40101,"message":"Authentication failed"}`))
		case "/page.html":
			_, _ = w.Write([]byte("<!DOCTYPE html><html><body>Sign in</body></html>"))
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	external := "openapi: 3.0.0\ninfo: {title: x, version: '1'}\npaths:\n  /x: {$ref: 'https://x.example/y.yaml'}\n"
	for name, c := range map[string]struct {
		spec string
		code int
		says string
	}{
		"a URL":              {server.URL + "/openapi.yaml", exitHarmless, "same or harmless"},
		"a URL that is gone": {server.URL + "/gone.yaml", exitNotCompared, "404"},
		"an error as JSON":   {server.URL + "/error.json", exitNotCompared, no},
		"an error as a page": {server.URL + "/page.html", exitNotCompared, no},
		"a URL that is refused": {
			"http://u:c4n4ry@127.0.0.1:1/?token=c4n4ry", exitNotCompared, "the document's URL: dial",
		},
		"a URL that is none": {"http://u:c4n4ry@[::1/?token=c4n4ry", exitNotCompared, "URL cannot be parsed"},
		"no document":        {"", exitNotCompared, "no document is given"},
		"no file":            {filepath.Join(t.TempDir(), "none"), exitNotCompared, "no such file"},
		"a folder":           {t.TempDir(), exitNotCompared, "directory"},
		"an empty file":      {written(t, ""), exitNotCompared, no},
		"an empty object":    {written(t, "{}"), exitNotCompared, no},
		"an open brace":      {written(t, "{"), exitNotCompared, no},
		"a list":             {written(t, "[]"), exitNotCompared, no},
		"text":               {written(t, "Not found"), exitNotCompared, no},
		"bytes":              {written(t, "\x00\xff\xfe"), exitNotCompared, no},
		"Swagger 2": {
			written(t, "swagger: '2.0'\ninfo: {title: x, version: '1'}\npaths: {}\n"), exitNotCompared, no,
		},
		"OpenAPI 4": {
			written(t, "openapi: 4.0.0\ninfo: {title: x, version: '1'}\npaths: {}\n"), exitNotCompared, no,
		},
		"no paths":             {written(t, "openapi: 3.0.0\ninfo: {title: x, version: '1'}\n"), exitNotCompared, no},
		"parts in other files": {written(t, external), exitNotCompared, no},
		"a schema that is a part of itself": {written(t, edit{change: func(d *openapi3.T) {
			row := d.Components.Schemas["MirrorLag"]
			row.Value.AllOf = openapi3.SchemaRefs{openapi3.NewSchemaRef("#/components/schemas/MirrorLag", row.Value)}
		}}.apply(t)), exitNotCompared, "part of itself"},
		"no operation of ours": {
			written(t, "openapi: 3.0.0\ninfo: {title: x, version: '1'}\npaths: {}\n"), exitBreaking, "is gone",
		},
	} {
		t.Run(name, func(t *testing.T) {
			says, code := result(t, c.spec)
			require.Equal(t, c.code, code, says)
			require.Contains(t, says, c.says)
			require.NotContains(t, says, "c4n4ry")
			lines := strings.Split(strings.TrimSpace(says), "\n")
			require.Contains(t, lines[len(lines)-1], fmt.Sprintf("(exit code %d)", code))
		})
	}
	var b strings.Builder
	require.Equal(
		t, exitNotCompared,
		compare(context.Background(), &b, []string{"-oasdiff", "/nonexistent", written(t, string(api.Spec()))}),
	)
	require.Contains(t, b.String(), "oasdiff")
	require.Equal(t, exitNotCompared, compare(context.Background(), &b, []string{"-unknown"}))
	require.Equal(t, exitNotCompared, compare(context.Background(), &b, nil))
}
