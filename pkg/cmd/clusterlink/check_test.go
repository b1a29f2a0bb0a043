package main

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func TestGate_ThatDoesNotPass_OffersToWaitOrALargerLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lagging := topics("a", "b")
		lagging[1].Partitions[0].Lag = 12
		s := newShell(t, mirrortest.Options{Topics: lagging, InMemory: true})
		s.inside("x", "plan", "promote", "dr-link", "--all", "--job", "x.job")
		for line, code := range map[string]int{"check promote dr-link": exitRefused, "apply x.job": exitUnchanged} {
			o := s.inside("no", strings.Fields(line)...)
			require.Equal(t, code, o.code, o.err)
			require.Equal(t, 1, strings.Count(o.out, "not ready"), o.out)
			require.Contains(t, o.err, "next: clusterlink "+line+" --timeout 10m\n")
			require.Equal(t, strings.Fields(line+" --max-lag 12"), o.next(t))
		}
		require.Equal(t, 0, s.inside("x", "check", "promote", "dr-link", "--max-lag", "12").code)
		require.Zero(t, s.pair.Local.Sent("a"))
	})
}

func TestCheck_AnEmptyGroupIsInOrder(t *testing.T) {
	t.Parallel()
	s := newShell(t, mirrortest.Options{Groups: [2][]mirrortest.Group{{{ID: "g", State: "EMPTY"}}}})
	o := s.run("check", "failover", "dr-link", "--groups", "g")
	require.Equal(t, 0, o.code, o.err)
	require.NotContains(t, o.out, "worth a look")
	require.NotContains(t, o.out, "Stop the consumers", "an unplanned failover does not wait for these")
}

func TestClusterThatCannotBeReached_ItsCauseComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShell(t, mirrortest.Options{Topics: topics("a"), InMemory: true})
		s.pair.Remote.Inject(mirrortest.Fault{Reads: true, Every: true, Do: mirrortest.Cut(0)})
		o := s.inside("", "check", "reverse-and-pause", "dr-link", "--timeout", "2s")
		require.NotZero(t, o.code)
		require.Contains(t, o.err, "\nlkc-remote: EOF; 0 of 1 caught up")
	})
}
