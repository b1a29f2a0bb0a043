package mirror_test

import (
	"context"
	"fmt"
	"log"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// lagGate reads twice, and lets topics pass that had everything of their sources in both readings. The
// producers must have stopped before. In production the pause is at least 10 s.
func lagGate(ctx context.Context, c *mirror.Client, link string, pause time.Duration, topics ...string) error {
	first, err := c.Mirrors(ctx, link)
	if err != nil {
		return err
	}
	select {
	case <-time.After(pause):
	case <-ctx.Done():
		return ctx.Err()
	}
	second, err := c.Mirrors(ctx, link)
	if err != nil {
		return err
	}
	return mirror.CheckCaughtUp(first, second, topics...)
}

// A lag gate before a reversal: two readings, and what must be so in both.
func ExampleCheckCaughtUp() {
	pair, err := mirrortest.Start(mirrortest.Options{Topics: []mirrortest.Topic{
		{Name: "orders", Partitions: []mirrortest.Partition{{LastSourceFetchOffset: 340}}},
		{Name: "refunds", Partitions: []mirrortest.Partition{{Lag: 7, LastSourceFetchOffset: 12}}},
	}})
	if err != nil {
		log.Fatal(err)
	}
	defer pair.Close()
	client, err := mirror.NewClient(pair.Local.Config())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(lagGate(context.Background(), client, "dr-link", time.Millisecond, "orders"))
	fmt.Println(lagGate(context.Background(), client, "dr-link", time.Millisecond, "orders", "refunds"))
	// Output:
	// <nil>
	// 1 of 2 topics not caught up: refunds is ACTIVE with a lag of 7
}

// A preflight compares the two sides of a link, and says everything that would make a reversal fail.
func ExampleCheckPair() {
	pair, err := mirrortest.Start(mirrortest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer pair.Close()
	check := func() error {
		var sides [2]mirror.LinkInfo
		for i, cluster := range []*mirrortest.Cluster{pair.Local, pair.Remote} {
			client, err := mirror.NewClient(cluster.Config())
			if err != nil {
				return err
			}
			if sides[i], err = client.Link(context.Background(), "dr-link"); err != nil {
				return err
			}
		}
		return mirror.CheckPair(sides[0], sides[1])
	}
	fmt.Println(check())

	pair.Remote.OnLink(func(l mirror.LinkInfo) mirror.LinkInfo {
		l.Mode = "SOURCE"
		return l
	})
	fmt.Println(check())
	// Output:
	// <nil>
	// the link is not ready for a reversal: on "lkc-remote" link.mode is SOURCE, not BIDIRECTIONAL
}

// The gate of the example, over the time that it takes in production.
func TestExampleLagGate(t *testing.T) {
	for name, c := range map[string]struct {
		then func(*mirrortest.Cluster)
		err  string
	}{
		"nothing comes": {func(*mirrortest.Cluster) {}, ""},
		"a producer writes": {
			func(c *mirrortest.Cluster) { c.SetPartitions("a", mirrortest.Partition{LastSourceFetchOffset: 9}) },
			"a moved between the readings (has its producer stopped?)",
		},
		"a lag comes up": {
			func(c *mirrortest.Cluster) { c.SetPartitions("a", mirrortest.Partition{Lag: 1}) },
			"1 of 1 topic not caught up: a is ACTIVE with a lag of 1",
		},
		"it is paused": {
			func(c *mirrortest.Cluster) { c.SetStatus("a", mirror.StatusPaused) }, "a is PAUSED with a lag of 0",
		},
		"nothing was ever fetched": {
			func(c *mirrortest.Cluster) { c.SetPartitions("a", mirrortest.Partition{LastSourceFetchOffset: -1}) },
			"a is ACTIVE with a lag of 0, 1 partition never fetched from",
		},
		"a partition is missing": {
			func(c *mirrortest.Cluster) {
				c.OnList(func(all []mirror.Mirror) []mirror.Mirror {
					all[0].Partitions = 2
					return all
				})
			},
			"a is ACTIVE with a lag of 0, 1 partition without a lag",
		},
		"it has an error": {
			func(c *mirrortest.Cluster) { c.SetError("a", "SOURCE_TOPIC_MAY_BE_DELETED") },
			"a is ACTIVE with a lag of 0 and SOURCE_TOPIC_MAY_BE_DELETED",
		},
		"it is no longer listed": {
			func(c *mirrortest.Cluster) {
				c.OnList(func([]mirror.Mirror) []mirror.Mirror { return []mirror.Mirror{} })
			},
			"1 of 1 topic not caught up: a is not listed",
		},
		"the link is lost": {func(c *mirrortest.Cluster) {
			c.Inject(mirrortest.Fault{Reads: true, Every: true, Do: mirrortest.Error(403, 40301, "no")})
		}, "HTTP 403"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pair := mirrortest.NewPair(t, mirrortest.Options{InMemory: true, Topics: []mirrortest.Topic{
					{Name: "a", Partitions: []mirrortest.Partition{{LastSourceFetchOffset: 8}}},
				}})
				client := newClient(t, pair.Local.Config())
				time.AfterFunc(5*time.Second, func() { c.then(pair.Local) })
				start := time.Now()
				err := lagGate(t.Context(), client, pair.Link(), 10*time.Second, "a")
				require.Equal(t, 10*time.Second, time.Since(start))
				if c.err == "" {
					require.NoError(t, err)
				} else {
					require.ErrorContains(t, err, c.err)
				}
			})
		})
	}
}

func TestCheckCaughtUp_NeedsTwoReadingsOfOneLink(t *testing.T) {
	a := &mirror.Listing{ClusterID: "lkc-1", Link: "x"}
	b := &mirror.Listing{ClusterID: "lkc-1", Link: "y"}
	early := &mirror.Listing{ClusterID: "lkc-1", Link: "x", At: time.Unix(1, 0)}
	late := &mirror.Listing{ClusterID: "lkc-1", Link: "x", At: time.Unix(11, 0)}
	for _, c := range []struct {
		first, second *mirror.Listing
		topics        []string
		err           string
	}{
		{nil, a, []string{"t"}, "the gate needs two readings"},
		{a, a, []string{"t"}, "the gate needs two readings"},
		{a, b, []string{"t"}, `the readings are of two links: "x" of "lkc-1" and "y" of "lkc-1"`},
		{late, early, []string{"t"}, "the second reading is older than the first"},
		{a, nil, nil, "the gate needs two readings; topics: there are none"},
	} {
		err := mirror.CheckCaughtUp(c.first, c.second, c.topics...)
		require.ErrorIs(t, err, mirror.ErrInvalidArgument)
		require.ErrorContains(t, err, c.err)
	}
}
