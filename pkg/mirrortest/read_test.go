package mirrortest_test

import (
	"fmt"
	"net/http"
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
	rows, _ := listed(t, c, "dr-link")
	return strings.Trim(fmt.Sprint(rows), "[]")
}

// What a cluster lists is its state: before a topic was ever a mirror there it is not listed, and a stopped
// one stays listed.
func TestReads_FollowTheState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := mirrortest.NewPair(t, mirrortest.Options{
			InMemory: true, Takes: time.Minute, Clocks: [2]time.Duration{time.Hour, -time.Minute},
		})
		start := time.Now()
		require.Equal(t, "topic-1 ACTIVE topic-2 ACTIVE", statuses(t, p.Local))
		require.Empty(t, statuses(t, p.Remote))
		time.Sleep(10 * time.Second)
		_, err := reverse(t, p.Local, "topic-1")
		require.NoError(t, err)
		require.Equal(t, "topic-1 PENDING_STOPPED topic-2 ACTIVE", statuses(t, p.Local))
		require.Equal(t, "topic-1 PENDING_MIRROR", statuses(t, p.Remote))
		time.Sleep(time.Minute)
		require.Equal(t, "topic-1 STOPPED topic-2 ACTIVE", statuses(t, p.Local))

		for _, c := range []struct {
			cluster *mirrortest.Cluster
			clock   time.Duration
		}{{p.Local, time.Hour}, {p.Remote, -time.Minute}} {
			rows, header := listed(t, c.cluster, "dr-link")
			require.Equal(t, time.Now().Add(c.clock).UTC().Format(http.TimeFormat), header.Get("Date"), "by its own clock")
			require.Equal(t, start.Add(70*time.Second+c.clock).UnixMilli(), rows[0].Since)
			require.Len(t, rows[0].Lags, 3)
		}
	})
}

// A topic can be held up, and its list can be made strange in any way.
func TestReads_CanBeMadeStrange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := mirrortest.NewPair(t, mirrortest.Options{InMemory: true, Takes: time.Second})
		p.Local.SetReasons("topic-1", mirrortest.Reason{Code: "X"})
		_, err := reverse(t, p.Local, "topic-1")
		require.NoError(t, err)
		time.Sleep(time.Hour)
		require.Equal(t, mirror.StatusPendingStopped, p.Local.Status("topic-1"), "it is held up")
		p.Local.SetReasons("topic-1")
		require.Equal(t, mirror.StatusStopped, p.Local.Status("topic-1"))
		p.Local.SetStatus("topic-2", mirror.StatusFailed)
		p.Local.SetStatus("nowhere", mirror.StatusFailed)
		require.Equal(t, "topic-1 STOPPED topic-2 FAILED", statuses(t, p.Local))

		p.Local.OnList(func(all []mirrortest.Mirror) []mirrortest.Mirror {
			slices.Reverse(all)
			return append(all, mirrortest.Mirror{Topic: "foreign", Status: "NEW"})
		})
		require.Equal(t, "topic-2 FAILED topic-1 STOPPED foreign NEW", statuses(t, p.Local))
		p.Local.OnList(nil)
		p.Local.SetPartitions("topic-2", mirrortest.Partition{Lag: 4, LastSourceFetchOffset: 2})
		rows, _ := listed(t, p.Local, "dr-link")
		require.Equal(t, []lag{{4, 2}}, rows[1].Lags)
	})
}

// The link, its configs and single topics are read from the same state, and what is not there is a 404.
func TestReads_OfTheLinkAndOfOneTopic(t *testing.T) {
	p := mirrortest.NewPair(t, mirrortest.Options{})
	link := strings.TrimSuffix(list, "/mirrors")
	_, body := raw(t, p.Local, "GET", link, "")
	require.Contains(t, body, `"link_name":"dr-link"`)
	require.Contains(t, body, `"remote_cluster_id":"lkc-remote"`)
	require.Contains(t, body, `"topic_names":["topic-1","topic-2"]`)
	require.NotContains(t, body, "tasks")
	_, body = raw(t, p.Local, "GET", link+"?include_tasks=true", "")
	require.Contains(t, body, `"tasks":[{"task_name":"ConsumerOffsetSync","state":"ACTIVE","errors":[]}]`)
	p.Local.OnLink(func(l *mirrortest.Link) {
		l.Error, l.Configs["link.mode"] = "TIMEOUT_ERROR", "DESTINATION"
		l.Tasks = append(l.Tasks, mirrortest.Task{
			Name: "AclSync", State: "IN_ERROR", Errors: []mirrortest.Reason{{Code: "AUTHORIZATION_ERROR", Message: "no"}},
		})
	})
	info, err := client(t, p.Local).Link(ctx, "dr-link")
	require.NoError(t, err)
	require.Equal(t, "DESTINATION", info.Mode)
	require.Empty(t, info.Prefix, "null")
	require.Equal(t, "TIMEOUT_ERROR", info.Error)
	require.Len(t, info.Tasks, 2)
	require.Equal(t, "AUTHORIZATION_ERROR", info.Tasks[1].Errors[0].Code)

	p.Local.SetError("topic-1", "SOURCE_TOPIC_MAY_BE_DELETED")
	p.Local.SetReasons("topic-1", mirrortest.Reason{Code: "X", Message: "y"})
	m, err := client(t, p.Local).Mirror(ctx, "dr-link", "topic-1")
	require.NoError(t, err)
	require.Equal(t, "SOURCE_TOPIC_MAY_BE_DELETED", m.Error)
	require.Equal(t, []mirror.Reason{{Code: "X", Message: "y"}}, m.Reasons)
	read := func(path string) int {
		resp, _ := raw(t, p.Local, "GET", path, "")
		return resp.StatusCode
	}
	require.Equal(t, 404, read(list+"/topic-3"))
	require.Equal(t, 404, read(strings.Replace(list, "dr-link", "dr-link-2", 1)))
	p.Local.Inject(mirrortest.Fault{Reads: true, Topic: "topic-1", Do: mirrortest.LeaveOut()})
	require.Equal(t, 404, read(list+"/topic-1"))
	p.Local.Inject(mirrortest.Fault{Reads: true, Topic: "topic-1", Do: mirrortest.Row(`{"mirror_topic_name":4}`)})
	_, body = raw(t, p.Local, "GET", list+"/topic-1", "")
	require.Equal(t, `{"mirror_topic_name":4}`, body)
}

// Topics of another link are in no list of this one, and a change of them under this link is refused by row.
func TestReads_OfASecondLink(t *testing.T) {
	p := mirrortest.NewPair(t, mirrortest.Options{Topics: []mirrortest.Topic{{Name: "a"}, {Name: "b", Link: "other"}}})
	require.Equal(t, "a ACTIVE", statuses(t, p.Local))
	_, body := raw(t, p.Local, "GET", list+"?mirror_status=PAUSED", "")
	require.Contains(t, body, `"data":[]`)
	rows, _ := listed(t, p.Local, "other")
	require.Equal(t, []row{{
		Link: "other", Topic: "b", Status: "ACTIVE", Since: rows[0].Since, Partitions: 3, Lags: rows[0].Lags,
	}}, rows)
	_, err := reverse(t, p.Local, "b")
	require.ErrorContains(t, err, "The mirror topic doesn't exist: b")
	report, err := client(t, p.Local).ReverseAndPause(ctx, "other", mirror.All())
	require.NoError(t, err)
	require.Equal(t, []string{"b"}, report.Topics(mirror.Accepted))
	resp, _ := raw(t, p.Local, "GET", list+"/b", "")
	require.Equal(t, 404, resp.StatusCode)
}

// A consumer group is read with its state, and one that is not there is a 404 of Kafka's own code.
func TestReads_OfAGroup(t *testing.T) {
	p := mirrortest.NewPair(t, mirrortest.Options{
		Groups: [2][]mirrortest.Group{{{ID: "billing", State: "STABLE"}}, {{ID: "audit", State: "EMPTY"}}},
	})
	for _, c := range []struct {
		cluster *mirrortest.Cluster
		group   string
		status  int
		want    string
	}{
		{p.Local, "billing", 200, `"state":"STABLE"`},
		{p.Remote, "audit", 200, `"consumer_group_id":"audit"`},
		{p.Local, "audit", 404, `"error_code":40403`},
	} {
		resp, body := raw(t, c.cluster, "GET", "/kafka/v3/clusters/"+c.cluster.ID+"/consumer-groups/"+c.group, "")
		require.Equal(t, c.status, resp.StatusCode)
		require.Contains(t, body, c.want)
	}
	group, err := client(t, p.Local).ConsumerGroup(ctx, "billing")
	require.NoError(t, err)
	require.Equal(t, mirror.ConsumerGroup{ID: "billing", State: "STABLE"}, group)
}

func TestReads_WithoutADate(t *testing.T) {
	p := mirrortest.NewPair(t, mirrortest.Options{NoDate: true})
	_, header := listed(t, p.Local, "dr-link")
	require.NotContains(t, header, "Date")
	resp, _ := raw(t, p.Local, "POST", path(p.Local), `{"mirror_topic_names":["topic-1"]}`)
	require.NotContains(t, resp.Header, "Date")
}
