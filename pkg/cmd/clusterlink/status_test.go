package main

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func TestStatus_OffersTheNextCommandOnlyIfAllMirrorsAreActive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShell(t, mirrortest.Options{Topics: topics("a", "b"), InMemory: true})
		o := s.inside("", "status", "dr-link")
		require.Equal(t, strings.Fields("check reverse-and-pause dr-link --cluster lkc-local"), o.next(t))
		for _, status := range []mirror.Status{"PENDING_STOPPED", "STOPPED", "SOURCE_UNAVAILABLE"} {
			s.pair.Local.SetStatus("a", status)
			o = s.inside("", "status", "dr-link")
			require.NotContains(t, o.err, "next:", status)
			underWay := strings.Contains(o.out, "a change is under way on lkc-local")
			require.Equal(t, status == mirror.StatusPendingStopped, underWay)
		}
	})
}

func TestStatus_NamesWhatIsNotActiveAndEachTopicThatWasNamed(t *testing.T) {
	t.Parallel()
	names := []string{strings.Repeat("a", 30), strings.Repeat("b", 30), strings.Repeat("c", 30)}
	s := newShell(t, mirrortest.Options{Topics: append(topics(names...), mirrortest.Topic{Name: "cut-off",
		Status: mirror.StatusSourceUnavailable, Partitions: []mirrortest.Partition{{Lag: 12, LastSourceFetchOffset: 7}}})})
	o := s.run(append([]string{"status", "dr-link"}, names...)...)
	require.Regexp(t, `SOURCE_UNAVAILABLE +1 topic \(cut-off\), lag 12`, o.out)
	require.Regexp(t, `ACTIVE +3 topics, lag 0`, o.out)
	for _, name := range names {
		require.Contains(t, o.out, name+"  ACTIVE, lag 0")
	}
}
