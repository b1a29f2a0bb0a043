package contract_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/contract"
)

func TestTransport_TellsOfATopicOnce(t *testing.T) {
	x := good()
	x.body, x.answer = `{"mirror_topic_names":["a","a","b","a"]}`, list(row("b"), row("c"), row("c"), row("b"))
	findings, _ := x.exchange(t, contract.Options{})
	var says []string
	for _, f := range findings {
		says = append(says, f.Rule+" "+f.Pointer)
	}
	require.Equal(t, []string{
		"topic-unasked /data/1/mirror_topic_name", "topic-twice /data/2/mirror_topic_name",
		"topic-twice /data/3/mirror_topic_name", "topic-missing /data",
	}, says)
}
