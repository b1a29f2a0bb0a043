package mirror_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

func TestConfigFromEnv(t *testing.T) {
	endpoint, requests := record(t)
	full := map[string]string{
		"KAFKA_REST_ENDPOINT": endpoint,
		"KAFKA_API_KEY":       "key",
		"KAFKA_API_SECRET":    canary,
		"KAFKA_CLUSTER_ID":    "lkc-1",
		"KAFKA_ID":            "",
	}
	for _, c := range []struct {
		name    string
		changes map[string]string
		want    []string
	}{
		{"all set", nil, nil},
		{"the other name of the id", map[string]string{"KAFKA_CLUSTER_ID": "", "KAFKA_ID": "lkc-1"}, nil},
		{"both names, one id", map[string]string{"KAFKA_ID": "lkc-1"}, nil},
		{"two ids", map[string]string{"KAFKA_ID": "lkc-2"},
			[]string{`KAFKA_CLUSTER_ID: it is "lkc-1" and KAFKA_ID is "lkc-2"`}},
		{"no secret", map[string]string{"KAFKA_API_SECRET": ""}, []string{"KAFKA_API_SECRET: it is not set"}},
		{"nothing", map[string]string{
			"KAFKA_REST_ENDPOINT": "", "KAFKA_API_KEY": "", "KAFKA_API_SECRET": "", "KAFKA_CLUSTER_ID": "",
		}, []string{
			"KAFKA_REST_ENDPOINT: it is not set", "KAFKA_API_KEY: it is not set",
			"KAFKA_API_SECRET: it is not set", "neither it nor KAFKA_ID is set",
		}},
	} {
		for _, prefix := range []string{"", "OTHER_"} {
			t.Run(prefix+c.name, func(t *testing.T) {
				for name, value := range full {
					t.Setenv(prefix+name, value)
				}
				for name, value := range c.changes {
					t.Setenv(prefix+name, value)
				}
				cfg, err := mirror.ConfigFromEnv(prefix)
				if c.want == nil {
					require.NoError(t, err)
					_, err = reverse(t, newClient(t, cfg), "a")
					require.NoError(t, err)
					last := (*requests)[len(*requests)-1]
					require.Equal(t, "Basic a2V5OmM0bjRyeS1zM2NyM3Q=", last.header.Get("Authorization"))
					require.Contains(t, last.uri, "/clusters/lkc-1/")
					return
				}
				require.ErrorIs(t, err, mirror.ErrInvalidArgument)
				for _, want := range c.want {
					require.ErrorContains(t, err, strings.ReplaceAll(want, "KAFKA_", prefix+"KAFKA_"))
				}
				require.NotContains(t, err.Error(), canary)
				require.Nil(t, cfg.Credential)
			})
		}
	}
}
