package mirror_test

import (
	"context"
	"fmt"
	"log"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirror/mirrortest"
)

// lagGate lets topics pass that had everything of their sources in two readings: ACTIVE and caught up in
// both, and nothing fetched in between. The producers must have stopped before. In production the pause is at
// least 10 s.
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
	for _, topic := range topics {
		before, _ := first.Mirror(topic)
		after, _ := second.Mirror(topic)
		if !before.CaughtUp() || !after.CaughtUp() {
			return fmt.Errorf("%s has not caught up: %s, lag %v", topic, after.Status, after.Lag())
		}
		byPartition := func(a, b mirror.PartitionLag) int { return a.Partition - b.Partition }
		slices.SortFunc(before.Lags, byPartition)
		slices.SortFunc(after.Lags, byPartition)
		if !slices.Equal(before.Lags, after.Lags) {
			return fmt.Errorf("%s still gets messages: has its producer stopped?", topic)
		}
	}
	return nil
}

// A lag gate before a reversal: two readings, and what must be so in both.
func ExampleClient_Mirrors() {
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
	// refunds has not caught up: ACTIVE, lag 7 messages in 1 partition; the largest is 7, refunds partition 0
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
			"still gets messages",
		},
		"a lag comes up": {
			func(c *mirrortest.Cluster) { c.SetPartitions("a", mirrortest.Partition{Lag: 1}) },
			"has not caught up: ACTIVE, lag 1",
		},
		"it is paused": {
			func(c *mirrortest.Cluster) { c.SetStatus("a", mirror.StatusPaused) }, "has not caught up: PAUSED",
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
