//go:build regenerate

package contract_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/api"
)

// Contracts as they may be one day: each needs no edit by hand. What is generated takes the place of
// gen/client.gen.go, and the contract that of api/openapi.yaml, in the builds of this test alone. Of the
// vendor's whole document, which VENDOR_SPEC names, the packages are compiled; of the others their tests
// pass too.
func TestRegenerate_NeedsNoEditByHand(t *testing.T) {
	replaced := func(pairs ...string) string {
		spec := string(api.Spec())
		for i := 0; i < len(pairs); i += 2 {
			require.Contains(t, spec, pairs[i])
		}
		return strings.NewReplacer(pairs...).Replace(spec)
	}
	const label = "              type: object\n              additionalProperties:\n                type: string\n"
	contracts := map[string]string{
		"a new optional member in each row": replaced(
			"            error_code:\n              type: integer\n",
			"            labels:\n"+label+"            error_code:\n              type: integer\n",
			"            num_partitions:\n              type: integer\n",
			"            error_code:\n              type: string\n            num_partitions:\n              type: integer\n",
			"            is_default:\n              type: boolean\n",
			"            labels:\n"+label+"            is_default:\n              type: boolean\n",
			"            cluster_link_id:\n              type: string\n",
			"            labels:\n"+label+"            cluster_link_id:\n              type: string\n",
		),
		"a new verb": replaced(
			"  /kafka/v3/clusters/{cluster_id}/links/{link_name}/mirrors:pause:\n    post:\n",
			"  /kafka/v3/clusters/{cluster_id}/links/{link_name}/mirrors:rewind:\n    post:\n"+
				"      operationId: updateKafkaMirrorTopicsRewind\n"+
				"      security: [resource-api-key: [], external-access-token: []]\n"+
				"      parameters:\n"+
				"        - $ref: '#/components/parameters/ClusterId'\n"+
				"        - $ref: '#/components/parameters/LinkName'\n"+
				"        - $ref: '#/components/parameters/ValidateOnly'\n"+
				"      requestBody: {$ref: '#/components/requestBodies/AlterMirrorsRequest'}\n"+
				"      responses:\n"+
				"        '200': {$ref: '#/components/responses/AlterMirrorsResponse'}\n"+
				"        '400': {$ref: '#/components/responses/BadRequest'}\n"+
				"        '401': {$ref: '#/components/responses/Unauthorized'}\n"+
				"        '429': {$ref: '#/components/responses/TooManyRequests'}\n"+
				"        5XX: {$ref: '#/components/responses/ServerError'}\n"+
				"  /kafka/v3/clusters/{cluster_id}/links/{link_name}/mirrors:pause:\n    post:\n",
		),
		"schemas of other names, and an error code of 32 bits": replaced(
			"AlterMirrorStatusResponseData", "MirrorOutcome",
			"ListMirrorTopicsResponseData", "MirrorTopic",
			"PartitionLevelTruncationData", "Truncation",
			"schemas/Error'", "schemas/Failure'", "    Error:\n", "    Failure:\n",
			"            error_code:\n              type: integer\n",
			"            error_code:\n              type: integer\n              format: int32\n",
		),
	}
	const vendors = "the vendor's document"
	if file := os.Getenv("VENDOR_SPEC"); file != "" {
		spec, err := os.ReadFile(filepath.Clean(file))
		require.NoError(t, err)
		contracts[vendors] = string(spec)
	}
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	for name, spec := range contracts {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			run := func(args ...string) {
				t.Helper()
				cmd := exec.CommandContext(t.Context(), "go", args...)
				cmd.Dir = root
				out, err := cmd.CombinedOutput()
				require.NoError(t, err, "go %s\n%s", strings.Join(args, " "), out)
			}
			contract, code := filepath.Join(dir, "openapi.yaml"), filepath.Join(dir, "client.gen.go")
			require.NoError(t, os.WriteFile(contract, []byte(spec), 0o600))
			settings, err := os.ReadFile("../../api/oapi-codegen.yaml")
			require.NoError(t, err)
			config := filepath.Join(dir, "oapi-codegen.yaml")
			own := strings.Replace(string(settings), "output: gen/client.gen.go", "output: "+code, 1)
			require.NoError(t, os.WriteFile(config, []byte(own), 0o600))
			run("tool", "oapi-codegen", "-config", config, contract)
			overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{
				filepath.Join(root, "gen", "client.gen.go"): code,
				filepath.Join(root, "api", "openapi.yaml"):  contract,
			}})
			require.NoError(t, err)
			file := filepath.Join(dir, "overlay.json")
			require.NoError(t, os.WriteFile(file, overlay, 0o600))
			run("build", "-overlay", file, "./pkg/mirror/...", "./pkg/mirrortest/...", "./pkg/contract/...")
			if name != vendors {
				run("test", "-count=1", "-overlay", file, "./pkg/contract/...")
			}
		})
	}
}
