package contract_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/api"
	"github.com/seed25095279/clusterlink-go/pkg/contract"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

const path = "/kafka/v3/clusters/{cluster_id}/links/{link_name}/mirrors:reverse-and-pause-mirror"

var loadOnce = sync.OnceValues(func() (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromData(api.Spec())
	if err == nil {
		err = doc.Validate(context.Background(), openapi3.EnableExamplesValidation())
	}
	return doc, err
})

// document is the contract, which is valid, examples included. It is not to be changed.
func document(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := loadOnce()
	require.NoError(t, err)
	return doc
}

// operation is the contract's reverse-and-pause-mirror.
func operation(t *testing.T) *openapi3.Operation {
	t.Helper()
	item := document(t).Paths.Find(path)
	require.NotNil(t, item)
	require.NotNil(t, item.Post)
	return item.Post
}

// Every operation of the document has a name, both credentials, and the answers that the library tells
// apart.
func TestSpec_IsValidAndWhole(t *testing.T) {
	doc := document(t)
	names := map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			require.NotEmpty(t, op.OperationID, path)
			require.False(t, names[op.OperationID], "%s is there twice", op.OperationID)
			names[op.OperationID] = true
			security := &openapi3.SecurityRequirements{{"resource-api-key": {}}, {"external-access-token": {}}}
			require.Equal(t, security, op.Security, path)
			media := map[string]string{}
			for status, response := range op.Responses.Map() {
				for mediaType := range response.Value.Content {
					media[status] += mediaType
				}
			}
			require.Equal(t, map[string]string{
				"200": "application/json", "400": "application/json", "401": "application/json",
				"429": "text/html", "5XX": "application/json",
			}, media, "%s %s", method, path)
		}
	}
	for _, v := range verbs {
		item := doc.Paths.Find("/kafka/v3/clusters/{cluster_id}/links/{link_name}/mirrors:" + string(v))
		require.NotNil(t, item, "the library has a verb that the contract has not: %s", v)
		require.NotNil(t, item.Post)
	}
	require.Equal(t, "updateKafkaMirrorTopicsReverseAndPauseMirror", operation(t).OperationID)
	require.Len(t, operation(t).Parameters, 3)
}

func TestSpec_HandsOutCopies(t *testing.T) {
	one := api.Spec()
	one[0] = '!'
	require.NotEqual(t, one[0], api.Spec()[0])
}

// call makes one call to a cluster that gives one answer, and returns what it sent.
func call(
	t *testing.T, s mirror.Selection, status int, mediaType, answer string,
) (sent string, report *mirror.Report, err error) {
	t.Helper()
	pair := mirrortest.NewPair(t, mirrortest.Options{})
	pair.Local.Inject(mirrortest.Fault{Every: true, Do: mirrortest.Answer(status, answer, "Content-Type", mediaType)})
	client := through(t, pair.Local, nil)
	report, err = client.ReverseAndPause(t.Context(), pair.Link(), s)
	return pair.Requests()[0].Body, report, err
}

// The contract's request examples go out as they stand there.
func TestSpec_RequestExamples(t *testing.T) {
	examples := operation(t).RequestBody.Value.Content["application/json"].Examples
	require.Len(t, examples, 2)
	for name, c := range map[string]struct {
		selection mirror.Selection
		body      string
	}{
		"mirror_topic_names":        {mirror.Topics("topic-1", "topic-2"), `{"mirror_topic_names":["topic-1","topic-2"]}`},
		"mirror_topic_name_pattern": {mirror.All(), `{"mirror_topic_name_pattern":".*"}`},
	} {
		example, err := json.Marshal(examples[name].Value.Value)
		require.NoError(t, err)
		require.JSONEq(t, string(example), c.body)
		sent, _, _ := call(t, c.selection, 500, "application/json", `{}`)
		require.Equal(t, c.body, sent)
	}
}

// Each error of the contract, and those that real servers send beyond it, ends in the right status,
// code, message and outcome.
func TestSpec_ErrorExamples(t *testing.T) {
	op := operation(t)
	type want struct {
		status, code int
		message      string
		outcome      mirror.Outcome
	}
	check := func(t *testing.T, mediaType, body string, w want) {
		t.Helper()
		_, report, err := call(t, mirror.Topics("topic-1"), w.status, mediaType, body)
		var got *mirror.APIError
		require.ErrorAs(t, err, &got)
		require.Equal(t, w, want{ //nolint:testifylint // w is what is wanted
			got.Status, got.Code, got.Message, report.Results[0].Outcome,
		})
		require.Equal(t, w.status == 401, errors.Is(err, mirror.ErrUnauthenticated))
		require.NotErrorIs(t, err, mirror.ErrRateLimited, "the page alone does not prove it")
	}
	declared := map[string]want{
		"bad_request_cannot_deserialize": {400, 400, "Cannot deserialize value of type `java.lang.Integer` " +
			"from String \"A\": not a valid `java.lang.Integer` value", mirror.Untouched},
		"unsupported_version_exception": {400, 40035,
			"The version of this API is not supported in the underlying Kafka cluster.", mirror.Untouched},
		"kafka_authentication_failed":   {401, 40101, "Authentication failed", mirror.Untouched},
		"too_many_requests":             {429, 0, "Error 429 Too Many Requests", mirror.Unknown},
		"generic_internal_server_error": {500, 500, "Internal Server Error", mirror.Unknown},
	}
	for status, response := range op.Responses.Map() {
		for mediaType, content := range response.Value.Content {
			for name, example := range content.Examples {
				t.Run(status+" "+name, func(t *testing.T) {
					body, isText := example.Value.Value.(string)
					if !isText {
						text, err := json.Marshal(example.Value.Value)
						require.NoError(t, err)
						body = string(text)
					}
					require.Contains(t, declared, name)
					check(t, mediaType, body, declared[name])
					delete(declared, name)
				})
			}
		}
	}
	require.Empty(t, declared, "every example was served")

	for body, w := range map[string]want{
		`{"error_code":50003,"message":"Timed out."}`:            {500, 50003, "Timed out.", mirror.Unknown},
		`{"error_code":40301,"message":"Authorization failed."}`: {403, 40301, "Authorization failed.", mirror.Untouched},
		`{"error_code":404,"message":"Link not found."}`:         {404, 404, "Link not found.", mirror.Untouched},
	} {
		t.Run(w.message, func(t *testing.T) { check(t, "application/json", body, w) })
	}
}

func TestSeverity_TextForms(t *testing.T) {
	require.Equal(t, "note drift violation severity(9)",
		fmt.Sprint(contract.Note, contract.Drift, contract.Violation, contract.Severity(9)))
	f := contract.Finding{
		Rule: contract.RuleRequest, Severity: contract.Violation, Method: "GET", Path: "/b\n", Number: 7,
		Request: true, Pointer: "/a\n", Detail: "x", Count: 1,
	}
	require.Equal(t, `violation request: request 7, GET /b\n: request at /a\n: x`, f.String())
	f.Request, f.Status, f.Count = false, 200, 500
	require.Equal(t, `violation request: request 7, GET /b\n: answer 200 at /a\n: x (the first of 500)`, f.String())
}
