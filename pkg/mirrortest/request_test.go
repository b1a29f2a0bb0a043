package mirrortest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func TestSelection(t *testing.T) {
	topics := []mirrortest.Topic{{Name: "b.eu"}, {Name: "a.eu"}, {Name: "a.us"}}
	for _, c := range []struct {
		name   string
		body   string
		status int
		want   string // topics of the rows, or a part of the error
	}{
		{"names, in their order", `{"mirror_topic_names":["b.eu","a.us","b.eu"]}`, 200, "b.eu a.us"},
		{"pattern, sorted", `{"mirror_topic_name_pattern":".*\\.eu"}`, 200, "a.eu b.eu"},
		{"pattern matches the whole name", `{"mirror_topic_name_pattern":"eu"}`, 200, ""},
		{"no match", `{"mirror_topic_name_pattern":"x.*"}`, 200, ""},
		{"both", `{"mirror_topic_names":["b.eu"],"mirror_topic_name_pattern":"a.*"}`, 400, "Only one of"},
		{"neither", `{}`, 400, "must be given"},
		{"unknown topic", `{"mirror_topic_names":["x","b.eu"]}`, 200, "x b.eu"},
		{"not a list", `{"mirror_topic_names":"b.eu"}`, 400, "Cannot deserialize"},
		{"not JSON", `topics=b.eu`, 400, "Cannot deserialize"},
		{"a pattern that Java and Go may differ on", `{"mirror_topic_name_pattern":"[a-z&&[^b]].*"}`,
			400, "Java and Go may differ"},
		{"a pattern of Java's only", `{"mirror_topic_name_pattern":"(?!a).*"}`, 400, "does not evaluate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := mirrortest.NewPair(t, mirrortest.Options{Topics: topics})
			resp, body := raw(t, p.Local, "POST", path(p.Local)+"?validate_only=true", c.body)
			require.Equal(t, c.status, resp.StatusCode, body)
			if c.status != 200 {
				require.Contains(t, body, c.want)
				return
			}
			var names []string
			for _, part := range strings.Split(body, `"mirror_topic_name":"`)[1:] {
				name, _, _ := strings.Cut(part, `"`)
				names = append(names, name)
			}
			require.Equal(t, c.want, strings.Join(names, " "))
		})
	}
}

func TestServer_NotFoundAndBadRequest(t *testing.T) {
	p := mirrortest.NewPair(t, mirrortest.Options{})
	const names = `{"mirror_topic_names":["topic-1"]}`
	for _, c := range []struct {
		method, path, body string
		header             []string
		status             int
	}{
		{"GET", path(p.Local), "", nil, 405},
		{"PUT", path(p.Local), names, nil, 405},
		{"POST", path(p.Remote), names, nil, 404},
		{"POST", strings.Replace(path(p.Local), "dr-link", "other", 1), names, nil, 404},
		{"POST", strings.TrimPrefix(path(p.Local), "/kafka"), names, nil, 404},
		{"POST", path(p.Local) + "?validate_only=maybe", names, nil, 400},
		{"POST", path(p.Local), names, []string{"Content-Type", "text/plain"}, 415},
		{"POST", path(p.Local), names, []string{"Content-Type", ""}, 415},
		{"POST", path(p.Local), names, nil, 200}, // validate_only is false by default
	} {
		resp, body := raw(t, p.Local, c.method, c.path, c.body, c.header...)
		require.Equal(t, c.status, resp.StatusCode, body)
		require.Equal(t, c.status == 200, p.Local.Applied("topic-1") == 1)
	}
}
