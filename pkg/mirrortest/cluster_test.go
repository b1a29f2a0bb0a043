package mirrortest_test

import (
	"context"
	"net/http"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// The other cluster dies: nothing of it answers, and the mirrors of its topics show no lag, until it is back.
func TestCluster_Dies(t *testing.T) {
	for _, inMemory := range []bool{false, true} {
		refused := syscall.ECONNREFUSED
		if runtime.GOOS == "windows" && !inMemory {
			refused = 10061 // the number of Windows' own network
		}
		for how, want := range map[mirrortest.Death]error{
			mirrortest.Refuses: refused, mirrortest.Swallows: context.DeadlineExceeded,
		} {
			test := func(t *testing.T) {
				p := mirrortest.NewPair(t, mirrortest.Options{InMemory: inMemory, Topics: []mirrortest.Topic{
					{Name: "a", Partitions: []mirrortest.Partition{{Lag: 5, LastSourceFetchOffset: 40}}},
				}})
				ask := func() error {
					ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
					defer cancel()
					r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.Remote.Endpoint, nil)
					require.NoError(t, err)
					resp, err := p.Remote.Config().Transport.RoundTrip(r)
					if err == nil {
						err = resp.Body.Close()
					}
					return err
				}
				endpoint := p.Remote.Endpoint
				require.NoError(t, p.Remote.Die(how))
				require.ErrorIs(t, ask(), want)
				rows, _ := listed(t, p.Local, "dr-link")
				require.Equal(t, []lag{{0, 40}}, rows[0].Lags)

				_, err := client(t, p.Local).Failover(ctx, p.Link(), mirror.Topics("a"))
				require.NoError(t, err)
				require.NoError(t, p.Remote.Revive())
				require.Equal(t, endpoint, p.Remote.Endpoint)
				_, body := raw(t, p.Remote, "POST", strings.Replace(path(p.Remote), "reverse-and-pause-mirror",
					"truncate-and-restore?validate_only=true", 1), `{"mirror_topic_names":["a"]}`)
				require.Contains(t, body, `"messages_truncated":5`, "the lag was there all the time")
			}
			if inMemory {
				synctest.Test(t, test)
			} else {
				t.Run("on loopback", test)
			}
		}
	}
}
