//go:build oasdiff

package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/api"
)

// command is the command line of oasdiff, from the environment, as make contract sets it.
func command(t *testing.T) []string {
	t.Helper()
	words := strings.Fields(os.Getenv("OASDIFF"))
	require.NotEmpty(t, words, "OASDIFF is not set: run make contract")
	return words
}

func TestSpecdiff_Edits(t *testing.T) {
	spec := string(api.Spec())
	const breaks, harmless = true, false
	for _, c := range []struct {
		name     string
		edit     [][2]string // the first of each is replaced, in order
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
			breaks, "the operationId is another"},
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
			breaks, "external-access-token alone does not do"},
		{"both credentials at once", [][2]string{{
			"        - resource-api-key: []\n        - external-access-token: []\n",
			"        - resource-api-key: []\n          external-access-token: []\n",
		}}, breaks, "resource-api-key alone does not do"},
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
		t.Run(c.name, func(t *testing.T) {
			edited := spec
			for _, e := range c.edit {
				require.Contains(t, edited, e[0])
				edited = strings.Replace(edited, e[0], e[1], 1)
			}
			file := filepath.Join(t.TempDir(), "spec.yaml")
			require.NoError(t, os.WriteFile(file, []byte(edited), 0o600))
			var b strings.Builder
			breaking, err := run(context.Background(), &b, command(t), file)
			require.NoError(t, err)
			if testing.Verbose() {
				first, _, _ := strings.Cut(b.String(), "\n")
				fmt.Printf("%-40s breaking %-5v  %.120s\n", c.name, breaking, first)
			}
			require.Equal(t, c.breaking, breaking, b.String())
			require.Contains(t, b.String(), c.says)
		})
	}
}

func TestSpecdiff_FromAURL(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/openapi.yaml" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(api.Spec())
	}))
	defer server.Close()
	var b strings.Builder
	breaking, err := run(context.Background(), &b, command(t), server.URL+"/openapi.yaml")
	require.NoError(t, err)
	require.False(t, breaking)
	_, err = run(context.Background(), &b, command(t), server.URL+"/gone.yaml")
	require.ErrorContains(t, err, "404")
}

func TestSpecdiff_WhatCannotBeCompared(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "spec.yaml")
	require.NoError(t, os.WriteFile(file, []byte("{"), 0o600))
	for spec, want := range map[string]string{file: "cannot be loaded", filepath.Join(dir, "none"): "no such file"} {
		_, err := run(context.Background(), &strings.Builder{}, command(t), spec)
		require.ErrorContains(t, err, want)
	}
}
