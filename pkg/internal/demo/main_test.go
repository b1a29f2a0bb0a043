package main

import (
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// text runs the demo in virtual time, and returns what it printed.
func text(t *testing.T, bar, all bool) string {
	t.Helper()
	// Whatever the environment says, the demo stays with its own clusters.
	t.Setenv("HTTP_PROXY", "http://proxy.invalid:1")
	t.Setenv("KAFKA_REST_ENDPOINT", "https://rest.invalid")
	var b strings.Builder
	synctest.Test(t, func(t *testing.T) {
		d := &demo{w: &b, bar: bar, inMemory: true}
		require.NoError(t, d.run(t.Context(), all))
	})
	return b.String()
}

func TestDemo_ThePlannedJobFitsAPage(t *testing.T) {
	require.LessOrEqual(t, strings.Count(text(t, false, false), "\n"), 70)
}

func TestDemo_BarsFitANarrowTerminal(t *testing.T) {
	bars := regexp.MustCompile(`\r[^\r\n]*`).FindAllString(text(t, true, false), -1)
	require.Greater(t, len(bars), 5)
	for _, bar := range bars {
		require.LessOrEqual(t, len(bar), 40)
	}
	require.Contains(t, bars, "\r[######..........] 10 of 26 sent ")
	require.Contains(t, bars, "\r[################] 26 of 26 done ")
}

func TestDemo(t *testing.T) {
	steps := regexp.MustCompile(`(?m)^\d\. .*$`).Split(text(t, false, true), -1)
	require.Len(t, steps, 1+7+5+2)
	for step, lines := range [][]string{
		1: {"mirror.CheckPair(here, there)\nerr: <nil>"},
		2: {"mirror.CheckCaughtUp(first, later, names...)\nerr: <nil>"},
		3: {"26 would be accepted; err: <nil>"},
		4: {
			"10 of 26 sent\n20 of 26 sent\n26 of 26 sent\ndo not move clients: 6 unknown",
			"20 accepted, 0 failed, 6 unknown, 0 untouched",
			"events.19, events.20, events.21, events.22 and 2 more",
		},
		5: {
			"not yet: 25 of 26 done; 1 in progress", "PENDING_STOPPED", "CONSUMER_GROUP_IN_USE_ERROR: group billing is active",
			"ended   nothing has moved for 3s: stalled", "follow again.\n26 of 26 done\nerr: <nil>",
		},
		7: {"26 accepted, 0 failed, 0 unknown, 0 untouched; err: <nil>", "26 of 26 done\nerr: <nil>"},
		8: {`not STOPPED: ["orders" "refunds"]; last known lag: 12 messages`},
		9: {
			"0 accepted, 0 failed, 2 unknown, 0 untouched\nerr: ", "not yet: 1 of 2 done",
			"refunds  SOURCE_UNAVAILABLE  it is SOURCE_UNAVAILABLE on lkc-local, which can hide a finished failover",
		},
		10: {"2 accepted, 0 failed, 0 unknown, 0 untouched; err: <nil>"},
		11: {"the server's own total is 12 for 2 topics"},
		12: {"2 accepted, 0 failed, 0 unknown, 0 untouched; err: <nil>", "2 of 2 done\nerr: <nil>"},
		13: {
			"1 accepted, 1 failed, 0 unknown, 0 untouched",
			"failed   topic-2  50000  400: Topic 'topic-2' has already stopped its mirror from 'my-new-link-1'",
			"lag        100000 messages in 6 partitions; the largest is 40000, topic-sb partition 2",
			"truncated  84060 messages, by the rows of 6 partitions of 2 topics; the server gives no total",
		},
		14: {
			"0 accepted, 1 failed, 1 unknown, 0 untouched, 1 unexpected row",
			"unknown  topic-1  not known  the answer has no row for this topic",
			"topic-sb    accepted  this topic was not asked for",
		},
	} {
		for _, line := range lines {
			require.Contains(t, steps[step], line)
		}
	}
}
