package main

import (
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func TestTeller_OnATerminal_ALineMovesAndIsNeverTooLong(t *testing.T) {
	for _, columns := range []int{80, 40, 2} {
		synctest.Test(t, func(t *testing.T) {
			var out strings.Builder
			tell := teller{w: &out, moves: true, columns: func() int { return columns }}
			tell.now("%s", strings.Repeat("日本", 50))
			time.Sleep(3500 * time.Millisecond)
			tell.say("a line that stays")
			tell.done()
			require.Contains(t, out.String(), "a line that stays\n")
			moving := regexp.MustCompile(`\r([^\r\n]*)\x1b\[K`).FindAllStringSubmatch(out.String(), -1)
			require.Len(t, moving, 7, "one a second, and around the line that stays")
			for _, m := range moving {
				require.Less(t, text.Width(m[1]), columns)
			}
		})
	}
}

func TestTeller_Elsewhere_ALineIsAChangeOrAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		tell := teller{w: &out}
		for range 130 {
			tell.now("waiting")
			time.Sleep(time.Second)
		}
		tell.now("nearly there")
		tell.done()
		require.Equal(t, "waiting\nwaiting (1m0s)\nwaiting (2m0s)\nnearly there\n", out.String())
	})
}

func TestRateLimiter_IsToldAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShell(t, mirrortest.Options{Topics: topics("a"), InMemory: true})
		s.pair.Local.Inject(mirrortest.Fault{Do: mirrortest.RateLimited()})
		o := s.inside("", "plan", "pause", "dr-link", "a")
		require.Equal(t, 0, o.code)
		require.Contains(t, o.err, "waiting for the rate limiter, for a minute at most\n")

		s.pair.Local.Inject(mirrortest.Fault{Do: mirrortest.RateLimited(), Every: true})
		o = s.inside("", "plan", "pause", "dr-link", "a")
		require.Equal(t, exitUnchanged, o.code)
		require.Equal(t, []string{"plan", "pause", "dr-link", "a"}, o.next(t), "try again")
	})
}
