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
		require.Equal(t, "check reverse-and-pause dr-link --cluster lkc-local", strings.Join(s.inside("", "status", "dr-link").next(t), " "))
		for _, status := range []mirror.Status{mirror.StatusPendingStopped, mirror.StatusStopped, mirror.StatusSourceUnavailable} {
			s.pair.Local.SetStatus("a", status)
			o := s.inside("", "status", "dr-link")
			require.NotContains(t, o.err, "next:", status)
			require.Equal(t, status == mirror.StatusPendingStopped, strings.Contains(o.out, "a change is under way on lkc-local"))
		}
	})
}
