package mirrortest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func TestReversal_MovesBothSides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := mirrortest.NewPair(t, mirrortest.Options{InMemory: true, Takes: time.Minute})
		statuses := func() string {
			return fmt.Sprintf("%s/%s", p.Local.Status("topic-1"), p.Remote.Status("topic-1"))
		}
		require.Equal(t, "ACTIVE/", statuses())
		report, err := reverse(t, p.Local, "topic-1")
		require.NoError(t, err)
		p.Local.AssertReport(t, report)
		require.Equal(t, "PENDING_STOPPED/PENDING_MIRROR", statuses(), "accepted, not done")
		require.Equal(t, []mirror.Status{mirror.StatusPendingStopped, mirror.StatusPendingMirror},
			[]mirror.Status{p.Local.Status("topic-1"), p.Remote.Status("topic-1")})
		require.Equal(t, "ACTIVE", string(p.Local.Status("topic-2")))

		_, err = reverse(t, p.Local, "topic-1")
		require.ErrorContains(t, err,
			"topic-1: 400: Topic 'topic-1' has already stopped its mirror from 'dr-link'", "pending counts as stopped")
		time.Sleep(time.Minute - 1)
		require.Equal(t, "PENDING_STOPPED/PENDING_MIRROR", statuses())
		_, err = reverse(t, p.Remote, "topic-1")
		require.ErrorContains(t, err, "does not allow reverse-and-pause-mirror while its mirror is PENDING_MIRROR")
		time.Sleep(time.Nanosecond)
		require.Equal(t, "STOPPED/PAUSED", statuses())

		_, err = reverse(t, p.Remote, "topic-1")
		require.NoError(t, err, "and back again")
		time.Sleep(time.Minute)
		require.Equal(t, "PAUSED/STOPPED", statuses())
		require.Equal(t, 1, p.Local.Applied("topic-1"))
		require.Equal(t, 2, p.Local.Sent("topic-1"))
		require.Equal(t, 1, p.Remote.Applied("topic-1"))
	})
}

func TestReversal_RefusesByRow(t *testing.T) {
	p := mirrortest.NewPair(t, mirrortest.Options{Link: "dr-link", Topics: []mirrortest.Topic{
		{Name: "active"}, {Name: "paused", Status: mirror.StatusPaused}, {Name: "stopped", Status: mirror.StatusStopped},
		{Name: "failed", Status: "LINK_FAILED"}, {Name: "pending", Status: mirror.StatusPendingStopped},
		{Name: "lagging", Partitions: []mirrortest.Partition{
			{Lag: 7, LastSourceFetchOffset: 3}, {LastSourceFetchOffset: -1},
		}},
	}})
	for _, dryRun := range []bool{true, false} {
		call := client(t, p.Local).ReverseAndPause
		if dryRun {
			call = func(ctx context.Context, link string, s mirror.Selection) (*mirror.Report, error) {
				return client(t, p.Local).Validate(ctx, mirror.VerbReverseAndPause, link, s)
			}
		}
		report, err := call(ctx, "dr-link",
			mirror.Topics("active", "paused", "stopped", "failed", "pending", "lagging", "nowhere"))
		require.Error(t, err)
		var got []string
		for _, r := range report.Results {
			got = append(got, fmt.Sprintf("%s %v %d", r.Topic, r.Outcome, r.Code))
		}
		require.Equal(t, []string{
			"active accepted 0", "paused accepted 0", "stopped failed 400", "failed failed 400",
			"pending failed 400", "lagging accepted 0", "nowhere failed 40403",
		}, got)
		lagging, _ := report.Result("lagging")
		require.Equal(t, []mirror.PartitionLag{
			{Lag: 7, LastSourceFetchOffset: 3}, {Partition: 1, LastSourceFetchOffset: -1},
		}, lagging.Lags)
		require.Equal(t, int64(-1), lagging.MessagesTruncated)
		p.Local.AssertReport(t, report)
		if dryRun {
			require.Equal(t, mirror.StatusActive, p.Local.Status("active"), "a dry run changes nothing")
			require.Zero(t, p.Local.Applied("active")+p.Local.Sent("active"))
		}
	}
	require.Equal(t, mirror.StatusStopped, p.Local.Status("active"))
	require.Equal(t, mirror.StatusPaused, p.Remote.Status("active"))
	require.Equal(t, mirror.Status("LINK_FAILED"), p.Local.Status("failed"))
	require.Zero(t, p.Local.Applied("failed"))
	require.Empty(t, p.Remote.Status("failed"), "a refused topic changes on neither side")
	_, err := reverse(t, p.Remote, "failed")
	require.ErrorContains(t, err, "failed: 404: The mirror topic doesn't exist: failed")
	require.Empty(t, p.Local.Status("nowhere"))
}

// Each verb starts from the statuses that are known for it, and refuses the others by row.
func TestVerbs_StartFromTheirStatuses(t *testing.T) {
	statuses := []mirror.Status{
		mirror.StatusActive, mirror.StatusPaused, mirror.StatusStopped, mirror.StatusPendingStopped,
		mirror.StatusPendingMirror, mirror.StatusPendingSynchronize, mirror.StatusPendingSetupForRestore,
		mirror.StatusPendingRestore, mirror.StatusFailed, mirror.StatusLinkFailed, mirror.StatusLinkPaused,
		mirror.StatusSourceUnavailable,
	}
	const mirroring = "ACTIVE PAUSED"
	for verb, want := range map[mirror.Verb]string{
		mirror.VerbReverseAndPause:    mirroring,
		mirror.VerbReverseAndStart:    mirroring,
		mirror.VerbPromote:            mirroring,
		mirror.VerbFailover:           mirroring + " FAILED LINK_FAILED LINK_PAUSED SOURCE_UNAVAILABLE",
		mirror.VerbPause:              mirroring,
		mirror.VerbResume:             mirroring,
		mirror.VerbTruncateAndRestore: "STOPPED",
	} {
		var topics []mirrortest.Topic
		var names, accepted []string
		for _, s := range statuses {
			topics = append(topics, mirrortest.Topic{Name: string(s), Status: s, Remote: mirror.StatusStopped})
			names = append(names, string(s))
		}
		p := mirrortest.NewPair(t, mirrortest.Options{Topics: topics})
		report, _ := client(t, p.Local).Validate(ctx, verb, p.Link(), mirror.Topics(names...))
		for _, r := range report.Results {
			if r.Outcome == mirror.Accepted {
				accepted = append(accepted, r.Topic)
			}
			var refusal *mirror.TopicError
			stops := strings.HasPrefix(string(verb), "reverse") || verb == mirror.VerbPromote || verb == mirror.VerbFailover
			stopped := stops && strings.HasSuffix(r.Topic, string(mirror.StatusStopped))
			if errors.As(r.Err(), &refusal) {
				require.Equal(t, stopped, refusal.AlreadyStopped(), "%s of %s", verb, r.Topic)
			}
		}
		require.Equal(t, want, strings.Join(accepted, " "), verb)
	}
}

// A topic is restored only where the one on the other cluster is a stopped mirror.
func TestTruncateAndRestore_NeedsAStoppedCounterpart(t *testing.T) {
	p := mirrortest.NewPair(t, mirrortest.Options{})
	report, err := client(t, p.Remote).Validate(ctx, mirror.VerbTruncateAndRestore, p.Link(), mirror.Topics("topic-1"))
	require.ErrorContains(t, err, "topic-1: 400: The mirror of topic 'topic-1' on the other cluster has not stopped")
	require.Equal(t, mirror.VerbTruncateAndRestore, report.Verb)

	_, err = client(t, p.Local).Promote(ctx, p.Link(), mirror.Topics("topic-1"))
	require.NoError(t, err)
	report, err = client(t, p.Remote).Validate(ctx, mirror.VerbTruncateAndRestore, p.Link(), mirror.Topics("topic-1"))
	require.NoError(t, err)
	require.Zero(t, report.Truncation().Reported, "a promote loses nothing")
	require.Equal(t, mirror.VerbTruncateAndRestore, p.Requests()[2].Verb)
}

// Only the source that the stopped mirror had is restored, not the other side.
func TestTruncateAndRestore_IsForTheOldSource(t *testing.T) {
	p := mirrortest.NewPair(t, mirrortest.Options{Topics: []mirrortest.Topic{{Name: "a"}}})
	a := mirror.Topics("a")
	_, err := client(t, p.Local).ReverseAndStart(ctx, p.Link(), a)
	require.NoError(t, err)
	_, err = client(t, p.Remote).Failover(ctx, p.Link(), a)
	require.NoError(t, err)
	_, err = client(t, p.Remote).Validate(ctx, mirror.VerbTruncateAndRestore, p.Link(), a)
	require.ErrorContains(t, err, "is not the source that the stopped mirror had")
	_, err = client(t, p.Local).Validate(ctx, mirror.VerbTruncateAndRestore, p.Link(), a)
	require.NoError(t, err)
}

// On a real cluster mirrors have had their status for a long time.
func TestTopic_HasHadItsStatusForDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := mirrortest.NewPair(t, mirrortest.Options{InMemory: true, Topics: []mirrortest.Topic{
			{Name: "fresh", Age: time.Second}, {Name: "old", Remote: mirror.StatusStopped},
		}})
		rows, _ := listed(t, p.Local, "dr-link")
		require.Equal(t, time.Now().Add(-time.Second).UnixMilli(), rows[0].Since)
		require.Equal(t, time.Now().Add(-72*time.Hour).UnixMilli(), rows[1].Since)
		rows, _ = listed(t, p.Remote, "dr-link")
		require.Equal(t, time.Now().Add(-72*time.Hour).UnixMilli(), rows[0].Since)
	})
}

// An empty partition stays at -1, whatever happens to its topic. A partition with data has an offset once its
// mirror is ACTIVE, on either cluster, until the test takes it away, as a leader change may do.
func TestPartition_EmptyOrWithData(t *testing.T) {
	partitions := []mirrortest.Partition{
		{LastSourceFetchOffset: -1}, {Lag: 2, LastSourceFetchOffset: 40}, {LastSourceFetchOffset: 0},
	}
	p := mirrortest.NewPair(t, mirrortest.Options{Topics: []mirrortest.Topic{{Name: "a", Partitions: partitions}}})
	shows := func(c *mirrortest.Cluster) []lag {
		rows, _ := listed(t, c, "dr-link")
		return rows[0].Lags
	}
	require.Equal(t, []lag{{0, -1}, {2, 40}, {0, 0}}, shows(p.Local))
	_, err := reverse(t, p.Local, "a")
	require.NoError(t, err)
	require.Equal(t, []lag{{0, -1}, {0, -1}, {0, -1}}, shows(p.Remote), "nothing has been fetched yet")
	_, err = client(t, p.Remote).Resume(ctx, p.Link(), mirror.Topics("a"))
	require.NoError(t, err)
	require.Equal(t, []lag{{0, -1}, {0, 40}, {0, 0}}, shows(p.Remote))

	p.Remote.SetPartitions("a", mirrortest.Partition{LastSourceFetchOffset: -1})
	require.Equal(t, []lag{{0, -1}}, shows(p.Remote), "after a leader change")
}

// A consumer group that is active on the cluster holds up a promote and a restore of its topics, and no reversal.
func TestGroup_HoldsUpAPromoteAndARestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		billing := mirrortest.Group{ID: "billing", State: "STABLE", Topics: []string{"a", "b"}}
		p := mirrortest.NewPair(t, mirrortest.Options{
			InMemory: true, Takes: 10 * time.Second, Groups: [2][]mirrortest.Group{{billing}},
			Topics: []mirrortest.Topic{{Name: "a"}, {Name: "b"}, {Name: "c"}},
		})
		_, err := client(t, p.Local).Promote(ctx, p.Link(), mirror.Topics("a", "c"))
		require.NoError(t, err)
		_, err = reverse(t, p.Local, "b")
		require.NoError(t, err)
		time.Sleep(time.Hour)
		require.Equal(t, "a PENDING_STOPPED b STOPPED c STOPPED", statuses(t, p.Local))
		_, body := raw(t, p.Local, "GET", list+"/a?include_state_transition_errors=true", "")
		require.Contains(t, body, `"error_code":"CONSUMER_GROUP_IN_USE_ERROR"`)
		require.Contains(t, body, "billing")

		billing.State = "EMPTY"
		p.Local.SetGroup(billing)
		require.Equal(t, mirror.StatusStopped, p.Local.Status("a"))
		rows, _ := listed(t, p.Local, "dr-link")
		require.Equal(t, time.Now().UnixMilli(), rows[0].Since, "it ended when the group did")

		p.Remote.SetGroup(mirrortest.Group{ID: "audit", State: "STABLE", Topics: []string{"a"}})
		restore := strings.Replace(path(p.Remote), "reverse-and-pause-mirror", "truncate-and-restore", 1)
		raw(t, p.Remote, "POST", restore, `{"mirror_topic_names":["a"]}`)
		time.Sleep(time.Hour)
		require.Equal(t, mirror.StatusPendingSetupForRestore, p.Remote.Status("a"))
		p.Remote.SetGroup(mirrortest.Group{ID: "audit", State: "DEAD", Topics: []string{"a"}})
		time.Sleep(10 * time.Second)
		require.Equal(t, mirror.StatusActive, p.Remote.Status("a"))
	})
}
