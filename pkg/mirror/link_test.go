package mirror_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func TestLink_IsReadWithTasksAndConfigs(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{})
	task := mirror.LinkTask{Name: "TopicConfigSync", State: "IN_ERROR", Errors: []mirror.Reason{
		{Code: "AUTHORIZATION_ERROR", Message: "no"},
	}}
	pair.Remote.OnLink(func(l mirror.LinkInfo) mirror.LinkInfo {
		l.Tasks = append(l.Tasks, task)
		l.Error, l.ErrorMessage, l.State = "TIMEOUT_ERROR", "slow", "UNAVAILABLE"
		return l
	})
	local, err := newClient(t, pair.Local.Config()).Link(t.Context(), pair.Link())
	require.NoError(t, err)
	ours := mirror.LinkInfo{
		Name: "dr-link", ClusterID: "lkc-local", RemoteClusterID: "lkc-remote", ID: "link-id-1", State: "ACTIVE",
		Mode: "BIDIRECTIONAL", Tasks: []mirror.LinkTask{{Name: "ConsumerOffsetSync", State: "ACTIVE"}},
	}
	require.Equal(t, ours, local)
	remote, err := newClient(t, pair.Remote.Config()).Link(t.Context(), pair.Link())
	require.NoError(t, err)
	require.Equal(t, mirror.LinkInfo{
		Name: "dr-link", ClusterID: "lkc-remote", RemoteClusterID: "lkc-local", ID: "link-id-1", State: "UNAVAILABLE",
		Error: "TIMEOUT_ERROR", ErrorMessage: "slow", Mode: "BIDIRECTIONAL", Tasks: append(ours.Tasks, task),
	}, remote)
	require.Contains(t, pair.Journal()[0].URI, "/links/dr-link?include_tasks=true")
	require.Contains(t, pair.Journal()[1].URI, "/links/dr-link/configs")
}

// Older servers name the other cluster otherwise, and a config may have no value.
func TestLink_ReadsOlderAndStrangeAnswers(t *testing.T) {
	const configs = `{"name":"link.mode","value":null},{"name":"cluster.link.prefix","value":null},` +
		`{"name":"x","value":null}`
	for _, c := range []struct{ link, configs, want, err string }{
		{
			`{"link_name":"link","source_cluster_id":"src","remote_cluster_id":null,"cluster_link_id":"i"}`, rows(configs),
			"src", "",
		},
		{`{"link_name":"link","destination_cluster_id":"dst","cluster_link_id":"i"}`, rows(), "dst", ""},
		{`{"link_name":"link"}`, rows(`{"name":"other","value":4}`, `{"name":"link.modes"}`), "", ""},
		{`{"link_name":"link","new":"` + "\xff" + `","topic_names":[4],"tasks":null}`, rows(), "", ""},
		{`{}`, rows(), "", `it is about the link ""`},
		{`null`, rows(), "", "it is not a JSON object"},
		{`{"error_code":40301,"message":"no"}`, rows(), "", "it has an error_code"},
		{`{"link_name":"other","remote_cluster_id":"r"}`, rows(), "", `it is about the link "other"`},
		{`{"link_name":"link","tasks":[{"task_name":4}]}`, rows(), "", "not as the contract has it"},
		{`{"link_name":"link"}x`, rows(), "", "bytes after its end"},
		{`{"link_name":"link"`, rows(), "", "unexpected EOF"},
		{`{"remote_cluster_id":4}`, rows(), "", "not as the contract has it"},
		{`{"remote_cluster_id":"a","remote_cluster_id":"b"}`, rows(), "", "it has remote_cluster_id twice"},
		{`[]`, rows(), "", "it is not a JSON object"},
		{`{"link_name":"link","remote_cluster_id":"r"}`, rows(`{"name":4}`), "r", "a config in it has no name"},
		{`{"link_name":"link","remote_cluster_id":"r"}`, rows(`4`), "r", "a config in it cannot be read"},
		{`{"link_name":"link","remote_cluster_id":"r"}`, rows(`{"name":"link.mode","value":4}`), "r",
			"the value of link.mode cannot be read"},
		{`{"link_name":"link","remote_cluster_id":"r"}`, `{"data":[`, "r", "(0 rows read)"},
		{`{"link_name":"link","remote_cluster_id":"r"}`, `{"metadata":{"next":"p"},"data":[]}`, "r", "configs are missing"},
	} {
		w := serve(t, ok(""))
		w.Local.Inject(mirrortest.Fault{Reads: true, Do: ok(c.link)})
		w.Local.Inject(mirrortest.Fault{Reads: true, Do: ok(c.configs)})
		info, err := w.client(t).Link(t.Context(), "link")
		require.Equal(t, c.want, info.RemoteClusterID)
		require.Empty(t, info.Mode+info.Prefix)
		require.Equal(t, "link lkc-local", info.Name+" "+info.ClusterID)
		if c.err == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, c.err)
		}
	}
}

func TestCheckPair(t *testing.T) {
	side := func(cluster, other string) mirror.LinkInfo {
		return mirror.LinkInfo{
			Name: "l", ClusterID: cluster, RemoteClusterID: other, ID: "i", State: "ACTIVE", Mode: "BIDIRECTIONAL",
			Tasks: []mirror.LinkTask{{Name: "t", State: "ACTIVE"}, {Name: "u", State: "NOT_CONFIGURED"}},
		}
	}
	require.NoError(t, mirror.CheckPair(side("a", "b"), side("b", "a")))
	older := side("b", "a")
	older.State, older.Tasks = "", nil // what a server does not say is no problem
	require.NoError(t, mirror.CheckPair(side("a", "b"), older))
	for want, edit := range map[string]func(*mirror.LinkInfo){
		`on "b" link.mode is DESTINATION, not BIDIRECTIONAL`:      func(l *mirror.LinkInfo) { l.Mode = "DESTINATION" },
		`on "b" link.mode is not known`:                           func(l *mirror.LinkInfo) { l.Mode = "" },
		`on "b" the link has the prefix "eu."`:                    func(l *mirror.LinkInfo) { l.Prefix = "eu." },
		`on "b" the link points at cluster "c", not at "a"`:       func(l *mirror.LinkInfo) { l.RemoteClusterID = "c" },
		`on "a" the link points at cluster "b", not at "%d"`:      func(l *mirror.LinkInfo) { l.ClusterID = "%d" },
		`the sides have different link ids, "i" and "j"`:          func(l *mirror.LinkInfo) { l.ID = "j" },
		`the sides have different names, "l" and "m"`:             func(l *mirror.LinkInfo) { l.Name = "m" },
		`on "b" the link is PAUSED`:                               func(l *mirror.LinkInfo) { l.State = "PAUSED" },
		`on "b" it is not known which cluster the link points at`: func(l *mirror.LinkInfo) { l.RemoteClusterID = "" },
		`the link id is not known on both sides`:                  func(l *mirror.LinkInfo) { l.ID = "" },
		`on "b" the task u is LINK_FAILED`: func(l *mirror.LinkInfo) {
			l.Tasks[1].State = "LINK_FAILED"
		},
		`on "b" the link's error is TIMEOUT_ERROR: slow`: func(l *mirror.LinkInfo) {
			l.Error, l.ErrorMessage = "TIMEOUT_ERROR", "slow"
		},
		`on "b" the task t is IN_ERROR: AUTHORIZATION_ERROR: no`: func(l *mirror.LinkInfo) {
			l.Tasks[0].State, l.Tasks[0].Errors = "IN_ERROR", []mirror.Reason{{Code: "AUTHORIZATION_ERROR", Message: "no"}}
		},
	} {
		other := side("b", "a")
		edit(&other)
		err := mirror.CheckPair(side("a", "b"), other)
		require.ErrorContains(t, err, "the link is not ready for a reversal: ")
		require.ErrorContains(t, err, want)
	}
	err := mirror.CheckPair(side("a", "b"), side("a", "b"))
	require.ErrorContains(t, err, `both sides are of cluster "a"`)
	worst := mirror.LinkInfo{Name: "\x1b", Mode: "\x1b", State: "\n", Prefix: "\x1b"}
	require.NotContains(t, mirror.CheckPair(worst, side("a", "b")).Error(), "\x1b")
}
