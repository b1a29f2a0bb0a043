package mirror

import (
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUserAgent_HasTheVersionThatTheBuildRecords(t *testing.T) {
	other := debug.Module{Path: "example.com/failover", Version: "v1.2.3"}
	for want, info := range map[string]*debug.BuildInfo{
		"clusterlink-go/v0.1.0": {Main: other, Deps: []*debug.Module{{Path: module, Version: "v0.1.0"}}},
		"clusterlink-go/v0.2.0": {Main: debug.Module{Path: module, Version: "v0.2.0"}},
		"clusterlink-go":        {Main: debug.Module{Path: module, Version: "(devel)"}, Deps: []*debug.Module{&other}},
	} {
		require.Equal(t, want, userAgentOf(info))
	}
	require.Equal(t, "clusterlink-go", userAgentOf(nil))
	require.Regexp(t, `^clusterlink-go(/v\S+)?$`, defaultUserAgent())
}
