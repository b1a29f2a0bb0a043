// Package program runs the programs of the examples in their tests: the binary of a test is also the program.
package program

import (
	"os"
	"os/exec"
	"testing"

	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

const isProgram = "CLUSTERLINK_TEST_IS_PROGRAM"

// Main is the TestMain of a program's tests. In a process of Command it calls the program's main.
func Main(m *testing.M, main func()) {
	if os.Getenv(isProgram) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// Command returns the program with its arguments, and with a cluster in its environment.
func Command(t *testing.T, c *mirrortest.Cluster, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...) //nolint:gosec // the test's own binary
	key, secret := c.APIKey()
	cmd.Env = append(os.Environ(), isProgram+"=1", "KAFKA_REST_ENDPOINT="+c.Endpoint, "KAFKA_CLUSTER_ID="+c.ID,
		"KAFKA_API_KEY="+key, "KAFKA_API_SECRET="+secret)
	return cmd
}
