package mirrortest

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"time"

	"github.com/seed25095279/clusterlink-go/gen"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// OnList has f see and change what the cluster says in every list of its mirror topics, from now on: rows
// that are late, stale, shuffled, foreign or missing. It is called with a copy, one list at a time, and must
// not call the Pair. Nil ends it.
func (c *Cluster) OnList(f func([]mirror.Mirror) []mirror.Mirror) {
	c.pair.mu.Lock()
	defer c.pair.mu.Unlock()
	c.onList = f
}

// OnLink has f see and change what the cluster says of its side of the link, from now on. Nil ends it.
func (c *Cluster) OnLink(f func(mirror.LinkInfo) mirror.LinkInfo) {
	c.pair.mu.Lock()
	defer c.pair.mu.Unlock()
	c.onLink = f
}

// SetStatus gives a mirror topic a status, as if something had happened to it by itself. Changes that were
// under way are dropped.
func (c *Cluster) SetStatus(name string, s mirror.Status) {
	c.change(name, func(t *topic) { t.goThrough([]mirror.Status{s}, 0) })
}

// SetError gives a mirror topic the name of what is wrong with it; "" is NO_ERROR.
func (c *Cluster) SetError(name, code string) {
	c.change(name, func(t *topic) { t.mirrorError = code })
}

// SetReasons gives a mirror topic the reasons why a change of it does not succeed. As long as it has any, its
// status does not change by itself.
func (c *Cluster) SetReasons(name string, reasons ...mirror.Reason) {
	c.change(name, func(t *topic) { t.reasons = slices.Clone(reasons) })
}

// SetPartitions sets how far a topic's partitions are behind.
func (c *Cluster) SetPartitions(name string, partitions ...Partition) {
	c.change(name, func(t *topic) { t.partitions = slices.Clone(partitions) })
}

func (c *Cluster) change(name string, do func(*topic)) {
	c.pair.mu.Lock()
	defer c.pair.mu.Unlock()
	if t := c.topics[name]; t != nil {
		t.statusNow()
		do(t)
	}
}

// now is the time by the cluster's own clock.
func (c *Cluster) now() time.Time { return time.Now().Add(c.clock) }

// readPath is the path of an operation that reads, after the prefix: cluster, link, and what of it.
var readPath = regexp.MustCompile(`^/v3/clusters/([^/]+)/links/([^/]+)(|/configs|/mirrors|/mirrors/([^/]+))$`)

// readable makes out what a GET asks for, or why it is refused. The pair's mu is held.
func (c *Cluster) readable(r *http.Request, path string) (q query, refused *response) {
	parts := readPath.FindStringSubmatch(path)
	switch {
	case parts == nil || parts[1] != url.PathEscape(c.ID):
		return q, failure(http.StatusNotFound, 404, "HTTP 404 Not Found")
	case r.Method != http.MethodGet:
		return q, failure(http.StatusMethodNotAllowed, 405, "HTTP 405 Method Not Allowed")
	case parts[2] != url.PathEscape(c.pair.link):
		return q, noLink(parts[2])
	}
	q.reads = parts[3]
	switch {
	case parts[4] != "":
		q.reads = "/mirrors/"
		name, _ := url.PathUnescape(parts[4]) // what does not unescape is not a URL
		q.topics = []string{name}
	case q.reads == "/mirrors":
		q.topics = c.names()
	}
	for flag, set := range map[string]*bool{"include_state_transition_errors": &q.reasons, "include_tasks": &q.tasks} {
		*set = r.URL.Query().Get(flag) == "true"
	}
	q.status = mirror.Status(r.URL.Query().Get("mirror_status"))
	return q, nil
}

// tell answers a request that reads. The pair's mu is held.
func (c *Cluster) tell(q query, fault *Fault) response {
	switch q.reads {
	case "":
		return jsonAnswer(http.StatusOK, mustJSON(c.linkData(q.tasks)))
	case "/configs":
		return c.list("KafkaLinkConfigDataList", "/configs", c.configs())
	case "/mirrors/":
		t := c.topics[q.topics[0]]
		switch {
		case fault == nil || fault.Topic != q.topics[0]:
		case fault.Do.kind == doRow:
			return jsonAnswer(http.StatusOK, []byte(fault.Do.row))
		case fault.Do.kind == doLeaveOut:
			t = nil
		}
		if t == nil || t.statusNow() == "" {
			return *failure(http.StatusNotFound, 404, "The mirror topic doesn't exist: %s", q.topics[0])
		}
		return jsonAnswer(http.StatusOK, mustJSON(c.mirrorData(c.mirror(q.topics[0], q.reasons))))
	}
	mirrors := []mirror.Mirror{}
	for _, name := range q.topics {
		mirrors = append(mirrors, c.mirror(name, false))
	}
	if c.pair.opts.Shuffle {
		c.draw.Shuffle(len(mirrors), func(i, j int) { mirrors[i], mirrors[j] = mirrors[j], mirrors[i] })
	}
	if c.onList != nil {
		mirrors = c.onList(mirrors)
	}
	var rows [][]byte
	for _, m := range mirrors {
		if q.status != "" && m.Status != q.status {
			continue
		}
		row := mustJSON(c.mirrorData(m))
		if fault != nil && fault.Topic == m.Topic {
			switch fault.Do.kind {
			case doRow:
				row = []byte(fault.Do.row)
			case doLeaveOut:
				continue
			}
		}
		rows = append(rows, row)
	}
	return c.list("KafkaMirrorDataList", "/mirrors", rows)
}

// list is an answer with rows. They are joined by hand, for one that was injected need not be JSON.
func (c *Cluster) list(kind, path string, rows [][]byte) response {
	head := mustJSON(gen.ResourceCollection{
		Kind: kind, Metadata: gen.ResourceCollectionMetadata{Self: c.self() + path},
	})
	body := fmt.Sprintf(`%s,"data":[%s]}`, bytes.TrimSuffix(head, []byte("}")), bytes.Join(rows, []byte(",")))
	return jsonAnswer(http.StatusOK, []byte(body))
}

// mirror is a mirror topic as it is now.
func (c *Cluster) mirror(name string, reasons bool) mirror.Mirror {
	t := c.topics[name]
	m := mirror.Mirror{
		Topic: name, Source: name, Status: t.statusNow(), Since: t.since.Add(c.clock), Error: t.mirrorError,
		Partitions: len(t.partitions),
	}
	for i, p := range t.partitions {
		m.Lags = append(m.Lags, mirror.PartitionLag{
			Partition: i, Lag: p.Lag, LastSourceFetchOffset: p.LastSourceFetchOffset,
		})
	}
	if reasons {
		m.Reasons = slices.Clone(t.reasons)
	}
	return m
}

// mirrorData is the row of a mirror topic.
func (c *Cluster) mirrorData(m mirror.Mirror) gen.ListMirrorTopicsResponseData {
	code := m.Error
	if code == "" {
		code = "NO_ERROR"
	}
	row := gen.ListMirrorTopicsResponseData{
		Kind: "KafkaMirrorData", Metadata: gen.ResourceMetadata{Self: c.self() + "/mirrors/" + url.PathEscape(m.Topic)},
		LinkName: c.pair.link, MirrorTopicName: m.Topic, SourceTopicName: m.Source, NumPartitions: m.Partitions,
		MirrorLags: gen.MirrorLags{}, MirrorStatus: string(m.Status), MirrorTopicError: &code,
		StateTimeMs: m.Since.UnixMilli(),
	}
	for _, p := range m.Lags {
		row.MirrorLags = append(row.MirrorLags, gen.MirrorLag{
			Partition: p.Partition, Lag: int64(p.Lag), LastSourceFetchOffset: int64(p.LastSourceFetchOffset),
		})
	}
	for _, r := range m.Reasons {
		one := gen.LinkTaskError{ErrorCode: r.Code, ErrorMessage: r.Message}
		row.MirrorStateTransitionErrors = append(row.MirrorStateTransitionErrors, one)
	}
	return row
}

// link is the cluster's side of the link.
func (c *Cluster) link() mirror.LinkInfo {
	info := mirror.LinkInfo{
		Name: c.pair.link, ClusterID: c.ID, RemoteClusterID: c.peer.ID, ID: "link-id-1", State: "ACTIVE",
		Mode: "BIDIRECTIONAL", Tasks: []mirror.LinkTask{{Name: "ConsumerOffsetSync", State: "ACTIVE"}},
	}
	if c.onLink != nil {
		info = c.onLink(info)
	}
	return info
}

func (c *Cluster) linkData(tasks bool) gen.ListLinksResponseData {
	info := c.link()
	code := info.Error
	if code == "" {
		code = "NO_ERROR"
	}
	data := gen.ListLinksResponseData{
		Kind: "KafkaLinkData", Metadata: gen.ResourceMetadata{Self: c.self()}, LinkName: info.Name,
		ClusterLinkID: info.ID, RemoteClusterID: &info.RemoteClusterID, LinkState: &info.State, LinkError: &code,
		LinkErrorMessage: &info.ErrorMessage, TopicNames: append([]string{}, c.names()...),
	}
	if !tasks {
		return data
	}
	for _, t := range info.Tasks {
		task := gen.LinkTask{TaskName: t.Name, State: t.State, Errors: []gen.LinkTaskError{}}
		for _, e := range t.Errors {
			task.Errors = append(task.Errors, gen.LinkTaskError{ErrorCode: e.Code, ErrorMessage: e.Message})
		}
		data.Tasks = append(data.Tasks, task)
	}
	return data
}

func (c *Cluster) configs() (rows [][]byte) {
	info := c.link()
	config := func(name string, value *string) {
		rows = append(rows, mustJSON(gen.ListLinkConfigsResponseData{
			Kind: "KafkaLinkConfigData", Metadata: gen.ResourceMetadata{Self: c.self()}, ClusterID: c.ID,
			LinkName: info.Name, Name: name, Value: value, Source: "DYNAMIC_CLUSTER_LINK_CONFIG", Synonyms: []string{},
		}))
	}
	prefix := &info.Prefix
	if info.Prefix == "" {
		prefix = nil // as real servers have it (observed)
	}
	config("link.mode", &info.Mode)
	config("cluster.link.prefix", prefix)
	config("consumer.offset.sync.ms", new("30000"))
	return rows
}

// self is the URL of the cluster's side of the link.
func (c *Cluster) self() string {
	return c.Endpoint + c.prefix() + "/v3/clusters/" + url.PathEscape(c.ID) + "/links/" + url.PathEscape(c.pair.link)
}

// failure is an error of Kafka's shape.
func failure(status, code int, format string, args ...any) *response {
	a := errorAnswer(status, code, fmt.Sprintf(format, args...))
	return &a
}

func noLink(escaped string) *response {
	link, _ := url.PathUnescape(escaped) // what does not unescape is not a URL
	return failure(http.StatusNotFound, 404, "The cluster link doesn't exist: %s", link)
}
