package contract_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/contract"
)

// edited returns the contract after a change, as a document.
func edited(t *testing.T, change func(*openapi3.T)) []byte {
	t.Helper()
	text, err := json.Marshal(document(t)) // JSON is read faster than YAML
	require.NoError(t, err)
	doc, err := openapi3.NewLoader().LoadFromData(text)
	require.NoError(t, err)
	change(doc)
	text, err = json.Marshal(doc)
	require.NoError(t, err)
	return text
}

// A contract that was generated anew may say whatever OpenAPI can say: the transport loads it, a good
// exchange keeps to it, and what is new is checked by the OpenAPI library.
func TestTransport_TakesEveryContract(t *testing.T) {
	const oneLag = `[{"partition":0,"lag":1,"last_source_fetch_offset":-1}]`
	texts := func() *openapi3.Schema {
		s := openapi3.NewObjectSchema()
		s.AdditionalProperties.Schema = openapi3.NewSchemaRef("", openapi3.NewStringSchema())
		return s
	}
	// Schemas are found by where they are: a contract that was generated anew may call them otherwise.
	const jsonType = "application/json"
	verb := func(d *openapi3.T) *openapi3.Operation { return d.Paths.Value(path).Post }
	answer := func(d *openapi3.T) openapi3.Content { return verb(d).Responses.Value("200").Value.Content }
	data := func(d *openapi3.T) *openapi3.Schema {
		return answer(d)[jsonType].Schema.Value.AllOf[1].Value.Properties["data"].Value
	}
	lagsOf := func(d *openapi3.T) *openapi3.Schema {
		return data(d).Items.Value.AllOf[1].Value.Properties["mirror_lags"].Value
	}
	request := func(d *openapi3.T) *openapi3.Schema { return verb(d).RequestBody.Value.Content[jsonType].Schema.Value }
	inRow := func(name string, s *openapi3.Schema) func(*openapi3.T) {
		return func(d *openapi3.T) { data(d).Items.Value.AllOf[1].Value.WithProperty(name, s) }
	}
	inRequest := func(name string, s *openapi3.Schema) func(*openapi3.T) {
		return func(d *openapi3.T) { request(d).WithProperty(name, s) }
	}
	members := func(s string) func(*traffic) {
		return func(c *traffic) { c.answer = list(row("a"), strings.Replace(row("b"), "{", "{"+s+",", 1)) }
	}
	for name, c := range map[string]struct {
		change func(*openapi3.T)
		wrong  func(*traffic)
		want   string // of what is wrong
	}{
		"a map in a row": {inRow("labels", texts()), members(`"labels":{"x":7}`),
			"/data/1/labels/x: value must be a string"},
		"a map of lists in a row": {inRow("labels", openapi3.NewObjectSchema().WithAdditionalProperties(
			openapi3.NewArraySchema().WithItems(openapi3.NewStringSchema()),
		)), members(`"labels":{"x":["a",7]}`), "/data/1/labels/x/1: value must be a string"},
		"a map in the request": {inRequest("labels", texts()),
			func(c *traffic) { c.body = `{"mirror_topic_names":["a","b"],"labels":{"x":7}}` },
			"/labels/x: value must be a string"},
		"lags that are there once": {
			func(d *openapi3.T) {
				lagsOf(d).UniqueItems = true
				lagsOf(d).Items.Value.Required = nil
			},
			func(c *traffic) {
				again := `{"lag":1,"last_source_fetch_offset":-1}`
				c.answer = strings.Replace(c.answer, oneLag, "["+again+","+again+"]", 1)
			},
			"/data/0/mirror_lags: duplicate items found",
		},
		"names that are there once": {
			func(d *openapi3.T) {
				request(d).Properties["mirror_topic_names"].Value.UniqueItems = true
			},
			func(c *traffic) { c.body = `{"mirror_topic_names":["a","b","a"]}` },
			"/mirror_topic_names: duplicate items found",
		},
		"rows that are there once, and one at least": {
			func(d *openapi3.T) {
				data(d).UniqueItems, data(d).MinItems = true, 1
			},
			func(c *traffic) { c.body, c.answer = `{"mirror_topic_name_pattern":"x"}`, list() },
			"/data: minimum number of items is 1",
		},
		"a choice": {inRow("by", &openapi3.Schema{OneOf: openapi3.SchemaRefs{
			openapi3.NewSchemaRef("", openapi3.NewStringSchema()), openapi3.NewSchemaRef("", openapi3.NewBoolSchema()),
		}}), members(`"by":7`), `/data/1/by: value doesn't match any schema from "oneOf"`},
		"a number of a few values": {inRow("size", &openapi3.Schema{Type: &openapi3.Types{"number"}, Min: openapi3.Ptr(1.0)}),
			members(`"size":1e3,"lag":0.5,"x":{"size":0}`), ""},
		"a row with a part in a part": {
			func(d *openapi3.T) {
				s := data(d).Items.Value
				s.AllOf = openapi3.SchemaRefs{openapi3.NewSchemaRef("", &openapi3.Schema{AllOf: s.AllOf})}
			},
			func(c *traffic) { c.answer = strings.Replace(c.answer, `"lag":1`, `"lag":true`, 1) },
			"/data/0/mirror_lags/0/lag: value must be an integer",
		},
		"a member that is a part of itself": {
			func(d *openapi3.T) {
				tree := openapi3.NewObjectSchema()
				d.Components.Schemas["Tree"] = openapi3.NewSchemaRef("", tree)
				tree.Properties = openapi3.Schemas{"next": openapi3.NewSchemaRef("#/components/schemas/Tree", tree)}
				inRow("tree", tree)(d)
			}, members(`"tree":{"next":{"next":7}}`), "/data/1/tree/next/next: value must be an object",
		},
		"a charset": {func(d *openapi3.T) {
			c := answer(d)
			c[jsonType+"; charset=utf-8"] = c[jsonType]
			delete(c, jsonType)
		}, func(c *traffic) { c.answer = strings.Replace(c.answer, `"lag":1`, `"lag":true`, 1) },
			"/data/0/mirror_lags/0/lag: value must be an integer"},
		"an error of another name": {
			func(d *openapi3.T) {
				single := verb(d).Responses.Value("5XX").Value.Content[jsonType].Schema
				d.Components.Schemas["Renamed"] = openapi3.NewSchemaRef("", single.Value)
				delete(d.Components.Schemas, strings.TrimPrefix(single.Ref, "#/components/schemas/"))
				for _, response := range d.Components.Responses {
					if media := response.Value.Content[jsonType]; media != nil && media.Schema.Value == single.Value {
						media.Schema.Ref = "#/components/schemas/Renamed"
					}
				}
			},
			func(c *traffic) { c.status, c.answer = 500, `{"error_code":"x"}` },
			"/error_code: value must be an integer",
		},
		"a default answer": {
			func(d *openapi3.T) {
				verb(d).Responses.Set("default", verb(d).Responses.Value("5XX"))
			},
			func(c *traffic) { c.status, c.answer = 409, `{"error_code":"x"}` },
			"/error_code: value must be an integer",
		},
		"an answer of any kind": {
			func(d *openapi3.T) {
				d.Paths.Value(path).Post.Responses.Value("200").Value.Content["application/json"].Schema = nil
			},
			func(c *traffic) { c.answer = list(row("a")) }, "/data: the topic \"b\" has no row",
		},
		"operations with bodies of their own": {
			func(d *openapi3.T) {
				body := openapi3.NewRequestBody().WithJSONSchema(texts())
				labels := openapi3.NewResponse().WithDescription("x").WithJSONSchema(texts())
				d.AddOperation("/kafka/v3/clusters/{cluster_id}/links/{link_name}/labels", "POST", &openapi3.Operation{
					RequestBody: &openapi3.RequestBodyRef{Value: body}, Responses: openapi3.NewResponses(
						openapi3.WithStatus(200, &openapi3.ResponseRef{Value: labels}),
					),
				})
			},
			func(c *traffic) {
				c.target, c.body, c.answer = link1+"/labels", `{"a":"b"}`, `{"x":7}`
			}, "/x: value must be a string",
		},
		"a wildcard": {func(d *openapi3.T) {
			c := answer(d)
			c["application/*"] = c[jsonType]
			delete(c, jsonType)
		}, func(c *traffic) { c.answer = strings.Replace(c.answer, `"lag":1`, `"lag":true`, 1) },
			"/data/0/mirror_lags/0/lag: value must be an integer"},
		"an answer to an upload": {
			func(d *openapi3.T) {
				labels := openapi3.NewResponse().WithDescription("x").WithJSONSchema(texts())
				d.AddOperation("/kafka/v3/clusters/{cluster_id}/links/{link_name}/file", "POST", &openapi3.Operation{
					RequestBody: &openapi3.RequestBodyRef{Value: openapi3.NewRequestBody().WithContent(
						openapi3.NewContentWithSchema(openapi3.NewStringSchema(), []string{"text/plain"}),
					)},
					Responses: openapi3.NewResponses(openapi3.WithStatus(200, &openapi3.ResponseRef{Value: labels})),
				})
			},
			func(c *traffic) {
				c.target, c.body, c.answer = link1+"/file", "text", `{"x":7}`
				c.sends.Set("Content-Type", "text/plain")
			}, "/x: value must be a string",
		},
	} {
		t.Run(name, func(t *testing.T) {
			spec := edited(t, c.change)
			x := good()
			var findings []contract.Finding
			transport, err := contract.NewTransportFor(spec, roundTripper(func(r *http.Request) (*http.Response, error) {
				_, _ = io.Copy(io.Discard, r.Body)
				resp, err := answering(io.NopCloser(strings.NewReader(x.answer))).RoundTrip(r)
				resp.StatusCode = x.status
				return resp, err
			}), func(f contract.Finding) { findings = append(findings, f) }, contract.Options{})
			require.NoError(t, err)
			exchange := func() {
				r := post(t, "http://127.0.0.1:1", strings.NewReader(x.body))
				r.URL.Path, r.URL.RawQuery, _ = strings.Cut(x.target, "?")
				r.Header = x.sends
				resp, err := transport.RoundTrip(r)
				require.NoError(t, err)
				_, err = io.Copy(io.Discard, resp.Body)
				require.NoError(t, err)
			}
			exchange()
			require.Empty(t, findings)
			c.wrong(x)
			exchange()
			var says []string
			for _, f := range findings {
				says = append(says, f.Pointer+": "+f.Detail)
			}
			if c.want == "" {
				require.Empty(t, says)
			} else {
				require.Equal(t, []string{c.want}, says)
			}
		})
	}
}
