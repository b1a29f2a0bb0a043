package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/api"
)

// What the library is said to read is in the contract: a name that is misspelled would hide a breaking
// change.
func TestReads_AreMembersOfTheContract(t *testing.T) {
	doc, err := load(api.Spec())
	require.NoError(t, err)
	found := map[string]bool{}
	for path, item := range doc.Paths.Map() {
		found[operationOf(path)] = true
		for _, op := range item.Operations() {
			answer := op.Responses.Value("200").Value.Content[jsonType].Schema.Value
			for _, place := range reads[operationOf(path)] {
				require.NotNil(t, memberOf(answer, place), "%s %s", path, place)
				require.True(t, isRead(path, place))
			}
		}
		require.True(t, isRead(path, "error_code"))
	}
	require.True(t, isRead("/kafka/v3/another", "anything"))
	for name := range reads {
		require.True(t, found[name], name)
	}
}

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
