package mirrortest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// Mirror is a row about a mirror topic.
type Mirror struct {
	Link, Topic, Source string
	Status              mirror.Status
	// Since is the beginning of the status, by the cluster's own clock.
	Since time.Time
	// Error is the name of the error; "" is NO_ERROR.
	Error      string
	Partitions []Partition
	Reasons    []Reason
}

// Reason is why a change of a mirror topic, or a task of a link, does not succeed.
type Reason struct {
	Code    string `json:"error_code"`
	Message string `json:"error_message"`
}

// Link is a cluster's side of a link.
type Link struct {
	Name, ID, RemoteClusterID string
	State                     string
	// Error is the name of the error; "" is NO_ERROR.
	Error, ErrorMessage string
	Tasks               []Task
	// Configs are keyed by name; "" is null, as on real servers (observed).
	Configs map[string]string
}

// Task is a task of a link.
type Task struct {
	Name   string   `json:"task_name"`
	State  string   `json:"state"`
	Errors []Reason `json:"errors"`
}

// Group is a consumer group.
type Group struct {
	ID string
	// State is for example STABLE or EMPTY. In any state but EMPTY and DEAD the group is active.
	State string
	// Topics are the topics that the group consumes. An active group holds up a promote and a truncate-and-restore of
	// these topics on its cluster.
	Topics []string
}

func (g Group) active() bool { return g.State != "EMPTY" && g.State != "DEAD" }

// members are the members of a JSON object. The rows are maps and not generated types, so the contract can be
// generated anew without this package.
type members map[string]any

type lagRow struct {
	Partition             int   `json:"partition"`
	Lag                   int64 `json:"lag"`
	LastSourceFetchOffset int64 `json:"last_source_fetch_offset"`
}

// lagRows returns the rows of partitions. A mirror of a dead source shows no lag (observed).
func (c *Cluster) lagRows(s mirror.Status, partitions []Partition) []lagRow {
	rows := []lagRow{}
	for i, p := range partitions {
		if s == mirror.StatusActive && c.peer.dead {
			p.Lag = 0
		}
		rows = append(rows, lagRow{i, p.Lag, p.LastSourceFetchOffset})
	}
	return rows
}

// url returns the URL of a resource on the cluster with these parts of the path.
func (c *Cluster) url(parts ...string) string {
	all := c.Endpoint + c.prefix() + "/v3/clusters/" + url.PathEscape(c.ID)
	for _, part := range parts {
		all += "/" + url.PathEscape(part)
	}
	return all
}

// object adds the members of every object of the API. The name is the name of the resource; "" leaves the name out.
func object(kind, self, name string, own members) members {
	metadata := members{"self": self}
	if name != "" {
		metadata["resource_name"] = name
	}
	own["kind"], own["metadata"] = kind, metadata
	return own
}

// list returns an answer with rows. The rows are joined by hand, because an injected row may not be JSON.
func list(kind, self string, rows [][]byte) response {
	return jsonAnswer(http.StatusOK, fmt.Appendf(nil, `{"kind":%q,"metadata":{"self":%q},"data":[%s]}`,
		kind, self, bytes.Join(rows, []byte(","))))
}

// failure returns an answer in Kafka's error form.
func failure(status, code int, format string, args ...any) *response {
	a := jsonAnswer(status, mustJSON(members{"error_code": code, "message": fmt.Sprintf(format, args...)}))
	return &a
}

func jsonAnswer(status int, body []byte) response {
	return response{status: status, header: http.Header{"Content-Type": {"application/json"}}, body: body}
}

// mustJSON encodes a row, which cannot fail.
func mustJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}
