package mirrortest_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func statuses(t *testing.T, c *mirrortest.Cluster) string {
	t.Helper()
	l, err := client(t, c).Mirrors(ctx, "dr-link")
	require.NoError(t, err)
	var all []string
	for _, m := range l.Mirrors {
		all = append(all, m.Topic+" "+string(m.Status))
	}
	return strings.Join(all, ", ")
}

// What a cluster lists is its state: before a topic was ever a mirror there it is not listed, and a stopped
// one stays listed.
func TestReads_FollowTheState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := mirrortest.NewPair(t, mirrortest.Options{
			InMemory: true, Settle: time.Minute, Clocks: [2]time.Duration{time.Hour, -time.Minute},
		})
		start := time.Now()
		require.Equal(t, "topic-1 ACTIVE, topic-2 ACTIVE", statuses(t, p.Local))
		require.Empty(t, statuses(t, p.Remote))
		time.Sleep(10 * time.Second)
		_, err := reverse(t, p.Local, "topic-1")
		require.NoError(t, err)
		require.Equal(t, "topic-1 PENDING_STOPPED, topic-2 ACTIVE", statuses(t, p.Local))
		require.Equal(t, "topic-1 PENDING_MIRROR", statuses(t, p.Remote))
		time.Sleep(time.Minute)
		require.Equal(t, "topic-1 STOPPED, topic-2 ACTIVE", statuses(t, p.Local))

		for _, c := range []struct {
			cluster *mirrortest.Cluster
			clock   time.Duration
		}{{p.Local, time.Hour}, {p.Remote, -time.Minute}} {
			l, err := client(t, c.cluster).Mirrors(ctx, "dr-link")
			require.NoError(t, err)
			require.True(t, l.At.Equal(time.Now().Add(c.clock)), "by its own clock")
			m, _ := l.Mirror("topic-1")
			require.True(t, m.Since.Equal(start.Add(70*time.Second+c.clock)))
			require.Equal(t, 3, m.Partitions)
			require.Len(t, m.Lags, 3)
			require.Equal(t, "topic-1", m.Source)
			require.Empty(t, m.Error)
		}
	})
}

// A topic can be held up, and its list can be made strange in any way.
func TestReads_CanBeMadeStrange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := mirrortest.NewPair(t, mirrortest.Options{InMemory: true, Settle: time.Second})
		p.Local.SetReasons("topic-1", mirror.Reason{Code: "X"})
		_, err := reverse(t, p.Local, "topic-1")
		require.NoError(t, err)
		time.Sleep(time.Hour)
		require.Equal(t, mirror.StatusPendingStopped, p.Local.Status("topic-1"), "it is held up")
		p.Local.SetReasons("topic-1")
		require.Equal(t, mirror.StatusStopped, p.Local.Status("topic-1"))
		p.Local.SetStatus("topic-2", mirror.StatusFailed)
		p.Local.SetStatus("nowhere", mirror.StatusFailed)
		require.Equal(t, "topic-1 STOPPED, topic-2 FAILED", statuses(t, p.Local))

		p.Local.OnList(func(all []mirror.Mirror) []mirror.Mirror {
			slices.Reverse(all)
			return append(all, mirror.Mirror{Topic: "foreign", Status: "NEW"})
		})
		require.Equal(t, "topic-2 FAILED, topic-1 STOPPED, foreign NEW", statuses(t, p.Local))
		p.Local.OnList(nil)
		p.Local.SetPartitions("topic-2", mirrortest.Partition{Lag: 4, LastSourceFetchOffset: 2})
		m, err := client(t, p.Local).Mirror(ctx, "dr-link", "topic-2")
		require.NoError(t, err)
		require.Equal(t, int64(4), m.Lag().Total)
	})
}

// Faults of reads and faults of changes do not take each other's place.
func TestFault_OfReads(t *testing.T) {
	p := mirrortest.NewPair(t, mirrortest.Options{})
	p.Local.Inject(mirrortest.Fault{Reads: true, Do: mirrortest.Error(403, 40301, "no reads")})
	p.Local.Inject(mirrortest.Fault{Do: mirrortest.Error(403, 40301, "no changes")})
	_, err := reverse(t, p.Local, "topic-1")
	require.ErrorContains(t, err, "no changes")
	_, err = client(t, p.Local).Mirrors(ctx, "dr-link")
	require.ErrorContains(t, err, "no reads")
	p.Local.Inject(mirrortest.Fault{Reads: true, Topic: "topic-1", Do: mirrortest.LeaveOut()})
	require.Equal(t, "topic-2 ACTIVE", statuses(t, p.Local))
	p.Local.Inject(mirrortest.Fault{Reads: true, Topic: "topic-1", Do: mirrortest.Row("{}")})
	l, err := client(t, p.Local).Mirrors(ctx, "dr-link")
	require.ErrorContains(t, err, "row 1 has no topic name")
	require.Len(t, l.Mirrors, 1)
}

// The link, its configs and single topics are read from the same state, and of what is not there it says so.
func TestReads_OfTheLinkAndOfOneTopic(t *testing.T) {
	p := mirrortest.NewPair(t, mirrortest.Options{})
	c := client(t, p.Remote)
	want := mirror.LinkInfo{
		Name: "dr-link", ClusterID: "lkc-remote", RemoteClusterID: "lkc-local", ID: "link-id-1", State: "ACTIVE",
		Mode: "BIDIRECTIONAL", Tasks: []mirror.LinkTask{{Name: "ConsumerOffsetSync", State: "ACTIVE"}},
	}
	info, err := c.Link(ctx, "dr-link")
	require.NoError(t, err)
	require.Equal(t, want, info)
	want.Mode, want.Prefix, want.Error, want.ErrorMessage = "DESTINATION", "eu.", "TIMEOUT_ERROR", "too slow"
	want.Tasks = append(want.Tasks, mirror.LinkTask{
		Name: "AclSync", State: "IN_ERROR", Errors: []mirror.Reason{{Code: "AUTHORIZATION_ERROR", Message: "no"}},
	})
	p.Remote.OnLink(func(mirror.LinkInfo) mirror.LinkInfo { return want })
	info, err = c.Link(ctx, "dr-link")
	require.NoError(t, err)
	require.Equal(t, want, info)
	_, err = c.Link(ctx, "dr-link-2")
	require.ErrorIs(t, err, mirror.ErrNoLink)

	p.Local.SetError("topic-1", "SOURCE_TOPIC_MAY_BE_DELETED")
	p.Local.SetReasons("topic-1", mirror.Reason{Code: "X", Message: "y"})
	m, err := client(t, p.Local).Mirror(ctx, "dr-link", "topic-1")
	require.NoError(t, err)
	require.Equal(t, "SOURCE_TOPIC_MAY_BE_DELETED", m.Error)
	require.Equal(t, []mirror.Reason{{Code: "X", Message: "y"}}, m.Reasons)
	_, err = client(t, p.Local).Mirror(ctx, "dr-link", "topic-3")
	require.ErrorIs(t, err, mirror.ErrNoMirror)
	p.Local.Inject(mirrortest.Fault{Reads: true, Topic: "topic-1", Do: mirrortest.LeaveOut()})
	_, err = client(t, p.Local).Mirror(ctx, "dr-link", "topic-1")
	require.ErrorIs(t, err, mirror.ErrNoMirror)
	p.Local.Inject(mirrortest.Fault{Reads: true, Topic: "topic-1", Do: mirrortest.Row(`{"mirror_topic_name":4}`)})
	_, err = client(t, p.Local).Mirror(ctx, "dr-link", "topic-1")
	require.ErrorContains(t, err, "row 1 has no topic name")
}

// A header can be added to the limiter's answer, and its own be dropped, as a proxy does.
func TestFault_TheLimitersHeaders(t *testing.T) {
	p := mirrortest.NewPair(t, mirrortest.Options{})
	for _, c := range []struct {
		do      mirrortest.Action
		limited bool
	}{{mirrortest.RateLimited(), true}, {mirrortest.RateLimitedWithoutHeader(), false}} {
		p.Local.Inject(mirrortest.Fault{Do: mirrortest.WithHeader(c.do, "Retry-After", "120")})
		_, err := reverse(t, p.Local, "topic-1")
		var api *mirror.APIError
		require.ErrorAs(t, err, &api)
		require.Equal(t, 2*time.Minute, api.RetryAfter)
		require.Equal(t, c.limited, errors.Is(err, mirror.ErrRateLimited))
		require.Zero(t, p.Local.Applied("topic-1"))
	}
}
