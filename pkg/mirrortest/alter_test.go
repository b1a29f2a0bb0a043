package mirrortest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func TestServer_RowsOfOtherServers(t *testing.T) {
	var topics []mirrortest.Topic
	var names []string
	for i := range 20 {
		names = append(names, fmt.Sprint("t", i))
		topics = append(topics, mirrortest.Topic{Name: names[i]})
	}
	p := mirrortest.NewPair(t, mirrortest.Options{Topics: topics, Shuffle: true, NoTruncationData: true})
	_, body := raw(t, p.Local, "POST", path(p.Local)+"?validate_only=true",
		`{"mirror_topic_names":["`+strings.Join(names, `","`)+`"]}`)
	require.NotContains(t, body, "truncat")
	var order []string
	for _, part := range strings.Split(body, `"mirror_topic_name":"`)[1:] {
		name, _, _ := strings.Cut(part, `"`)
		order = append(order, name)
	}
	require.ElementsMatch(t, names, order)
	require.NotEqual(t, names, order)
	report, err := reverse(t, p.Local, names...)
	require.NoError(t, err)
	p.Local.AssertReport(t, report)
	require.Equal(t, names, report.Topics(mirror.Accepted), "the report is in the order asked")

	rows, _ := listed(t, p.Local, "dr-link")
	order = nil
	for _, r := range rows {
		order = append(order, r.Topic)
	}
	require.ElementsMatch(t, names, order)
	require.NotEqual(t, names, order, "lists are shuffled too")
}
