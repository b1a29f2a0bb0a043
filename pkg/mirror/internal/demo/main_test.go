package main

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDemo(t *testing.T) {
	// Whatever the environment says, the demo stays on loopback.
	t.Setenv("HTTP_PROXY", "http://proxy.invalid:1")
	t.Setenv("KAFKA_REST_ENDPOINT", "https://rest.invalid")
	var b strings.Builder
	require.NoError(t, run(context.Background(), &b))
	steps := strings.Split(b.String(), "report, err := ")
	require.Len(t, steps, 9)
	for step, lines := range [][]string{
		1: {
			"dry run: nothing was changed", "1 accepted, 1 failed, 0 unknown, 0 untouched", "lag              100000 messages",
		},
		2: {
			"1 accepted, 1 failed, 0 unknown, 0 untouched",
			"topic-2  failed   50000  400: Topic 'topic-2' has already stopped its mirror from 'my-new-link-1'",
			"lag              100000 messages in 6 partitions; the largest is 40000, topic-sb partition 2",
			"truncated        84060 messages, by the rows of 6 partitions of 2 topics; the server gives no total",
			"topic-sb: lag 50000, truncated 42030 messages in 3 partitions by its rows",
			"topic-2: lag 50000, truncated 42030 messages in 3 partitions by its rows",
		},
		3: {
			"0 accepted, 1 failed, 1 unknown, 0 untouched, 1 unexpected row",
			"topic-1  unknown  not known  the answer has no row for this topic",
			"topic-sb    accepted  this topic was not asked for",
		},
		4: {
			`dry run: nothing was changed; reverse-and-pause-mirror, link "my-new-link-1", ` +
				`pattern "^(?:orders\..*)$": 2 accepted, 0 failed`, "err: <nil>",
		},
		5: {
			"2 accepted, 0 failed, 0 unknown, 0 untouched", "err: <nil>",
		},
		6: {
			"0 accepted, 0 failed, 2 unknown, 0 untouched",
			"payments  unknown  not known  the request may have been carried out, and no response came: EOF",
			"look at the topic before sending it again",
		},
		7: {
			"payments  failed   ", "400: Topic 'payments' has already stopped its mirror",
		},
		8: {
			"batch 1 of 6: 10 of 60 topics\n", "batch 6 of 6: 60 of 60 topics\n",
			"60 accepted, 0 failed, 0 unknown, 0 untouched",
			"batch 3: 10 topics, HTTP 429 Too Many Requests", "batch 3: 10 topics, HTTP 200", "err: <nil>",
		},
	} {
		for _, line := range lines {
			require.Contains(t, steps[step], line)
		}
	}
}
