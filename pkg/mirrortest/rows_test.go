package mirrortest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func TestServer_TextsAndKindsOfRealServers(t *testing.T) {
	p := mirrortest.NewPair(t, mirrortest.Options{})
	_, body := raw(t, p.Local, "POST", strings.Replace(path(p.Local), "dr-link", "other%2Flink", 1),
		`{"mirror_topic_names":["topic-1"]}`)
	require.JSONEq(t, `{"error_code":404,"message":"The cluster link doesn't exist: other/link"}`, body)
	_, body = raw(t, p.Remote, "POST", path(p.Remote)+"?validate_only=true", `{"mirror_topic_names":["topic-1"]}`)
	require.Contains(t, body, `"error_code":404,"error_message":"The mirror topic doesn't exist: topic-1"`)
	_, body = raw(t, p.Local, "POST", path(p.Local)+"?validate_only=true", `{"mirror_topic_names":["topic-1"]}`)
	require.Contains(t, body, `{"kind":"KafkaAlterMirrorsDataList"`)
	require.Contains(t, body, `"kind":"AlterMirrorsData"`)
}
