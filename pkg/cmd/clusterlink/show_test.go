package main

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func TestSettle_ATopicThatIsBeingChangedIsNotUntouched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShell(t, mirrortest.Options{Topics: topics("a"), Takes: time.Hour, InMemory: true})
		s.inside("x", "plan", "failover", "dr-link", "a", "--job", "x.job")
		s.pair.Local.Inject(mirrortest.Fault{Do: mirrortest.Cut(0), AfterApply: true})
		o := s.inside("dr-link\n", "apply", "x.job")
		require.Equal(t, exitLook, o.code, o.err)
		require.NotContains(t, o.err, "settle", "the change can be seen")
		settle := []string{"settle", "x.job", "a", "--as", "untouched", "--why", "x"}
		o = s.inside("x", settle...)
		require.Equal(t, exitUnchanged, o.code)
		require.Contains(t, o.err, "a is PENDING_STOPPED")
		require.NoError(t, s.pair.Local.Die(mirrortest.Refuses))
		o = s.inside("x", settle...)
		require.Equal(t, 0, o.code, o.err)
	})
}
