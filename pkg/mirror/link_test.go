package mirror_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func TestLink_IsReadWithTasksAndConfigs(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{InMemory: true})
	pair.Remote.OnLink(func(l *mirrortest.Link) {
		l.Tasks = append(l.Tasks, mirrortest.Task{Name: "TopicConfigSync", State: "IN_ERROR", Errors: []mirrortest.Reason{
			{Code: "AUTHORIZATION_ERROR", Message: "no"},
		}})
		l.Error, l.ErrorMessage, l.State = "TIMEOUT_ERROR", "slow", "UNAVAILABLE"
		l.Configs = map[string]string{"link.mode": "BIDIRECTIONAL", "cluster.link.prefix": "", "consumer.offset.sync.enable": ""}
	})
	local, err := newClient(t, pair.Local.Config()).Link(t.Context(), pair.Link())
	require.NoError(t, err)
	ours := mirror.LinkInfo{
		Name: "dr-link", ClusterID: "lkc-local", RemoteClusterID: "lkc-remote", ID: "id-of-dr-link", State: "ACTIVE",
		Mode: "BIDIRECTIONAL", OffsetSync: "true", OffsetSyncInterval: "30000", ACLSync: "false", AutoCreate: "false",
		OffsetSyncFilter: `{"groupFilters":[{"name":"*","patternType":"LITERAL","filterType":"INCLUDE"}]}`,
		Tasks:            []mirror.LinkTask{{Name: "ConsumerOffsetSync", State: "ACTIVE"}},
	}
	require.Equal(t, ours, local)
	remote, err := newClient(t, pair.Remote.Config()).Link(t.Context(), pair.Link())
	require.NoError(t, err)
	require.Equal(t, mirror.LinkInfo{
		Name: "dr-link", ClusterID: "lkc-remote", RemoteClusterID: "lkc-local", ID: "id-of-dr-link", State: "UNAVAILABLE",
		Error: "TIMEOUT_ERROR", ErrorMessage: "slow", Mode: "BIDIRECTIONAL",
		Tasks: []mirror.LinkTask{ours.Tasks[0], {Name: "TopicConfigSync", State: "IN_ERROR", Errors: []mirror.Reason{
			{Code: "AUTHORIZATION_ERROR", Message: "no"},
		}}},
	}, remote)
	require.Contains(t, pair.Requests()[0].URI, "/links/dr-link?include_tasks=true")
	require.Contains(t, pair.Requests()[1].URI, "/links/dr-link/configs")
}

// Older servers name the other cluster otherwise, and a config may have no value (observed).
func TestLink_ReadsOlderAndStrangeAnswers(t *testing.T) {
	const configs = `{"name":"link.mode","value":null},{"name":"cluster.link.prefix","value":null},{"name":"x","value":null}`
	const link = `{"link_name":"link","remote_cluster_id":"r"}`
	for _, c := range []struct{ link, configs, want, err string }{
		{`{"link_name":"link","source_cluster_id":"src","remote_cluster_id":null,"cluster_link_id":"i"}`, rows(configs), "src", ""},
		{`{"link_name":"link","destination_cluster_id":"dst","cluster_link_id":"i"}`, rows(), "dst", ""},
		{`{"link_name":"link"}`, rows(`{"name":"other","value":4}`, `{"name":"link.modes"}`), "", ""},
		{`{"link_name":"link","new":[{}],"topic_names":["a"],"tasks":null}`, rows(`{"name":4}`, `4`), "", ""},
		{`{}`, rows(), "", `it is about the link ""`},
		{`null`, rows(), "", "it is not a JSON object"},
		{`{"error_code":40301,"message":"no"}`, rows(), "", "it has an error_code"},
		{`{"link_name":"other","remote_cluster_id":"r"}`, rows(), "", `it is about the link "other"`},
		{`{"link_name":"link","tasks":[{"task_name":4}]}`, rows(), "", "not as the contract has it"},
		{`{"link_name":"link"}x`, rows(), "", "bytes after its end"},
		{`{"link_name":"link"`, rows(), "", "unexpected EOF"},
		{`{"remote_cluster_id":"a","remote_cluster_id":"b","link_name":"link"}`, rows(), "", "not as the contract has it"},
		{`[]`, rows(), "", "it is not a JSON object"},
		{link, rows(`{"name":"link.mode","value":4}`), "r", "the value of link.mode cannot be read"},
		{link, rows(`{"name":"link.mode","value":"A","value":"B"}`), "r", "the value of link.mode cannot be read"},
		{link, rows(`{"link_name":"other","name":"link.mode","value":"SOURCE"}`), "r", "another link"},
		{link, `{"data":[`, "r", "unexpected EOF"},
		{link, `{"metadata":{"next":"p"},"data":[]}`, "r", `goes on at "p"`},
		{link, `{"errors":[{"code":"50002"}],"data":[]}`, "r", "an error beside its rows"},
	} {
		w := serve(t, ok(""))
		w.Local.Inject(mirrortest.Fault{Reads: true, Do: ok(c.link)})
		w.Local.Inject(mirrortest.Fault{Reads: true, Do: ok(c.configs)})
		info, err := w.client(t).Link(t.Context(), "link")
		require.Equal(t, c.want, info.RemoteClusterID, c.link)
		require.Empty(t, info.Mode+info.Prefix)
		require.Equal(t, "link lkc-local", info.Name+" "+info.ClusterID)
		if c.err == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, c.err)
		}
	}
}

// The answer of an attempt that failed leaves nothing behind.
func TestLink_AFailedAttemptLeavesNothingBehind(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{InMemory: true})
	cut := `{"data":[{"name":"link.mode","value":"SOURCE"},{"name":"cluster.link.prefix","value":"eu."}`
	pair.Local.Inject(mirrortest.Fault{Reads: true, Nth: 2, Do: ok(cut)})
	info, err := newClient(t, pair.Local.Config()).Link(t.Context(), pair.Link())
	require.NoError(t, err)
	require.Equal(t, "BIDIRECTIONAL ", info.Mode+" "+info.Prefix)
}

func TestCheckPair(t *testing.T) {
	side := func(cluster, other string) mirror.LinkInfo {
		return mirror.LinkInfo{
			Name: "l", ClusterID: cluster, RemoteClusterID: other, ID: "i", State: "ACTIVE", Mode: "BIDIRECTIONAL", OffsetSync: "true",
			Tasks: []mirror.LinkTask{{Name: "t", State: "ACTIVE"}, {Name: "u", State: "NOT_CONFIGURED"}},
		}
	}
	require.Equal(t, mirror.PairCheck{}, mirror.CheckPair(side("a", "b"), side("b", "a")))
	older := side("b", "a")
	older.State, older.Tasks, older.Mode = "", nil, "bidirectional" // what a server does not say is not in the way
	require.NoError(t, mirror.CheckPair(side("a", "b"), older).Err())
	for want, edit := range map[string]func(*mirror.LinkInfo){
		`on "b" link.mode is DESTINATION`:                         func(l *mirror.LinkInfo) { l.Mode = "DESTINATION" },
		`on "b" link.mode is not known`:                           func(l *mirror.LinkInfo) { l.Mode = "" },
		`on "b" the link has the prefix "eu."`:                    func(l *mirror.LinkInfo) { l.Prefix = "eu." },
		`on "b" the link points at cluster "c", not at "a"`:       func(l *mirror.LinkInfo) { l.RemoteClusterID = "c" },
		`on "a" the link points at cluster "b", not at "%d"`:      func(l *mirror.LinkInfo) { l.ClusterID = "%d" },
		`the sides have different link ids, "i" and "j"`:          func(l *mirror.LinkInfo) { l.ID = "j" },
		`the sides have different names, "l" and "m"`:             func(l *mirror.LinkInfo) { l.Name = "m" },
		`on "b" the link is PAUSED`:                               func(l *mirror.LinkInfo) { l.State = "PAUSED" },
		`on "b" it is not known which cluster the link points at`: func(l *mirror.LinkInfo) { l.RemoteClusterID = "" },
		`the link id is not known on both sides`:                  func(l *mirror.LinkInfo) { l.ID = "" },
		`on "b" the link's error is TIMEOUT_ERROR: slow`: func(l *mirror.LinkInfo) {
			l.Error, l.ErrorMessage = "TIMEOUT_ERROR", "slow"
		},
		`both sides are of cluster "a"`: func(l *mirror.LinkInfo) { l.ClusterID = "a" },
	} {
		other := side("b", "a")
		edit(&other)
		check := mirror.CheckPair(side("a", "b"), other)
		require.ErrorContains(t, check.Err(), want)
		require.Contains(t, strings.Join(check.InTheWay, "; "), want)
	}
	for want, edit := range map[string]func(*mirror.LinkInfo){
		`on "b" the task u is LINK_FAILED`: func(l *mirror.LinkInfo) { l.Tasks[1].State = "LINK_FAILED" },
		`on "b" the task t is IN_ERROR: AUTHORIZATION_ERROR: no`: func(l *mirror.LinkInfo) {
			l.Tasks[0].State, l.Tasks[0].Errors = "IN_ERROR", []mirror.Reason{{Code: "AUTHORIZATION_ERROR", Message: "no"}}
		},
		`on "b" consumer offset sync is off`:                        func(l *mirror.LinkInfo) { l.OffsetSync = "false" },
		`on "b" it is not known whether consumer offset sync is on`: func(l *mirror.LinkInfo) { l.OffsetSync = "" },
	} {
		other := side("b", "a")
		edit(&other)
		check := mirror.CheckPair(side("a", "b"), other)
		require.NoError(t, check.Err(), "worth a look, and not in the way")
		require.Equal(t, []string{want}, check.WorthALook)
	}
	worst := mirror.LinkInfo{Name: "\x1b", Mode: "\x1b", State: "\n", Prefix: "\x1b", Tasks: []mirror.LinkTask{{Name: "\x1b", State: "IN_ERROR"}}}
	check := mirror.CheckPair(worst, side("a", "b"))
	require.NotContains(t, check.Err().Error()+strings.Join(check.WorthALook, ""), "\x1b")
}

func TestConsumerGroup(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{InMemory: true, Groups: [2][]mirrortest.Group{{{ID: "a/b", State: "STABLE"}}}})
	cfg := pair.Local.Config()
	cfg.RetryFor = -1
	client := newClient(t, cfg)
	g, err := client.ConsumerGroup(t.Context(), "a/b")
	require.NoError(t, err)
	require.Equal(t, mirror.ConsumerGroup{ID: "a/b", State: "STABLE"}, g)
	_, err = client.ConsumerGroup(t.Context(), "nowhere")
	var api *mirror.APIError
	require.ErrorAs(t, err, &api)
	require.Equal(t, 404, api.Status)
	_, err = client.ConsumerGroup(t.Context(), "")
	require.ErrorIs(t, err, mirror.ErrInvalidArgument)
	_, err = new(mirror.Client).ConsumerGroup(t.Context(), "g")
	require.ErrorIs(t, err, mirror.ErrInvalidArgument)
	for body, state := range map[string]string{
		`{"consumer_group_id":"g","state":"NEW"}`: "NEW", `{"consumer_group_id":"g","state":4}`: "", `{"consumer_group_id":"g"}`: "",
		`{"consumer_group_id":"other","state":"EMPTY"}`: "error", `{"state":"EMPTY"}`: "error", `[]`: "error",
	} {
		g, err := newClient(t, offline(answering(body))).ConsumerGroup(t.Context(), "g")
		require.Equal(t, state == "error", err != nil, body)
		require.Equal(t, strings.TrimPrefix(state, "error"), g.State)
	}
}
