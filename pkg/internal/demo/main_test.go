package main

import (
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDemo(t *testing.T) {
	command := filepath.Join(t.TempDir(), "clusterlink")
	build := []string{"build", "-o", command}
	if info, _ := debug.ReadBuildInfo(); slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		build = append(build, "-race") // what the tests are built from is there already
	}
	out, err := exec.Command("go", append(build, "../../cmd/clusterlink")...).CombinedOutput()
	require.NoError(t, err, string(out))
	for _, part := range []struct {
		name  string
		do    func(*demo) error
		lines int
		says  []string
	}{
		{"planned", planned, 45, []string{"4 were unknown and are done: nothing was sent twice", "asked 1 time to change"}},
		{"unplanned", unplanned, 100, []string{"not read", "deletes the records", "2 of 2 are ACTIVE"}},
		{"the contract's example", contractExample, 45, []string{"has already stopped its mirror", "topic-sb"}},
	} {
		t.Run(part.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			require.NoError(t, run(t.Context(), command, &out, part.do), out.String())
			require.LessOrEqual(t, strings.Count(out.String(), "\n"), part.lines)
			for _, text := range part.says {
				require.Contains(t, out.String(), text)
			}
		})
	}
}
