package mirrortest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// A cache repeats an answer with its old Date and an Age that grows.
func TestFault_ACache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := mirrortest.NewPair(t, mirrortest.Options{InMemory: true})
		p.Local.Inject(mirrortest.Fault{Reads: true, For: time.Hour, Do: mirrortest.Cache()})
		first, header := listed(t, p.Local, "dr-link")
		date := header.Get("Date")
		require.NotContains(t, header, "Age")
		p.Local.SetStatus("topic-1", mirror.StatusFailed)
		for _, age := range []string{"11", "22"} {
			time.Sleep(11 * time.Second)
			again, header := listed(t, p.Local, "dr-link")
			require.Equal(t, first, again)
			require.Equal(t, []string{date}, header["Date"])
			require.Equal(t, age, header.Get("Age"))
		}
		time.Sleep(time.Second)
		fresh, header := listed(t, p.Local, "dr-link", "Cache-Control", "no-cache")
		require.NotContains(t, header, "Age")
		require.Equal(t, mirror.StatusFailed, fresh[0].Status)
		after, header := listed(t, p.Local, "dr-link")
		require.Equal(t, fresh, after, "the cache keeps the new answer")
		require.NotEqual(t, date, header.Get("Date"))
		time.Sleep(time.Hour)
		last, header := listed(t, p.Local, "dr-link")
		require.Equal(t, mirror.StatusFailed, last[0].Status)
		require.NotContains(t, header, "Age")
	})
}
