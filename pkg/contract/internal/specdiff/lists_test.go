package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSpecdiff_KnownDifferencesHaveTheirReasons(t *testing.T) {
	require.NotEmpty(t, known())
	seen := map[knownDifference]bool{}
	for _, d := range known() {
		require.NotEmpty(t, d.reason, "%v", d)
		require.Regexp(t, "^[a-z-]+$", d.id)
		require.Greater(t, len(d.text), 10, "so short a text hides too much")
		d.reason = ""
		require.False(t, seen[d], "%v is there twice", d)
		seen[d] = true
	}
	for line := range strings.Lines(string(severities)) {
		require.Regexp(t, `^[a-z-]+ (err|warn|info|none)\n$`, line)
	}
}
