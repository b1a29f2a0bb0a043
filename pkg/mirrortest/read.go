package mirrortest

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"time"
)

// OnList lets f change every list of the cluster's mirror topics from now on, for example to make rows stale, foreign
// or missing. The function f gets a copy, one list at a time, and must not call the Pair. In a row added by f, Link
// "" is the link of the list, and Source "" is Topic. A nil f ends the effect.
func (c *Cluster) OnList(f func([]Mirror) []Mirror) {
	c.pair.mu.Lock()
	defer c.pair.mu.Unlock()
	c.onList = f
}

// OnLink lets f change the cluster's side of each link from now on. A nil f ends the effect.
func (c *Cluster) OnLink(f func(*Link)) {
	c.pair.mu.Lock()
	defer c.pair.mu.Unlock()
	c.onLink = f
}

// now returns the time of the cluster's own clock.
func (c *Cluster) now() time.Time { return time.Now().Add(c.clock) }

// tell answers a request that reads. The pair's mu is held.
func (c *Cluster) tell(q query, fault *Fault) response {
	at := time.Now()
	if fault != nil {
		at = at.Add(-fault.Do.late)
	}
	switch q.reads {
	case readLink:
		return jsonAnswer(http.StatusOK, mustJSON(c.linkRow(q.link, q.tasks)))
	case readConfigs:
		return list("KafkaLinkConfigDataList", c.url("links", q.link, "configs"), c.configs(q.link))
	case readGroup:
		return c.group(q.group)
	case readMirror:
		if t := c.topics[q.topics[0]]; t != nil && t.link == q.link && t.at(at).status != "" {
			m := c.mirror(t, at)
			if q.reasons {
				m.Reasons = t.heldBy()
			}
			if row := fault.encode(m.Topic, c.mirrorRow(m)); row != nil {
				return jsonAnswer(http.StatusOK, row)
			}
		}
		return *failure(http.StatusNotFound, 404, "The mirror topic doesn't exist: %s", q.topics[0])
	}
	mirrors := []Mirror{}
	for _, name := range q.topics {
		if t := c.topics[name]; t.at(at).status != "" {
			mirrors = append(mirrors, c.mirror(t, at))
		}
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
		m.Link, m.Source = cmp.Or(m.Link, q.link), cmp.Or(m.Source, m.Topic)
		if row := fault.encode(m.Topic, c.mirrorRow(m)); row != nil {
			rows = append(rows, row)
		}
	}
	return list("KafkaMirrorDataList", c.url("links", q.link, "mirrors"), rows)
}

// mirror returns a mirror topic at a time.
func (c *Cluster) mirror(t *topic, at time.Time) Mirror {
	s := t.at(at)
	return Mirror{
		Link: t.link, Topic: t.name, Source: t.name, Status: s.status, Since: s.since.Add(c.clock), Error: s.err,
		Partitions: slices.Clone(s.partitions),
	}
}

func (c *Cluster) mirrorRow(m Mirror) members {
	row := object("KafkaMirrorData", c.url("links", m.Link, "mirrors", m.Topic), "", members{
		"link_name": m.Link, "mirror_topic_name": m.Topic, "source_topic_name": m.Source,
		"num_partitions": len(m.Partitions), "mirror_lags": c.lagRows(m.Status, m.Partitions),
		"mirror_status": m.Status, "mirror_topic_error": cmp.Or(m.Error, "NO_ERROR"), "state_time_ms": m.Since.UnixMilli(),
	})
	if m.Reasons != nil {
		row["mirror_state_transition_errors"] = m.Reasons
	}
	return row
}

// link returns the cluster's side of a link.
func (c *Cluster) link(name string) Link {
	l := Link{
		Name: name, ID: "id-of-" + name, RemoteClusterID: c.peer.ID, State: "ACTIVE",
		Tasks: []Task{{Name: "ConsumerOffsetSync", State: "ACTIVE"}},
		Configs: map[string]string{
			"link.mode": "BIDIRECTIONAL", "cluster.link.prefix": "",
			"consumer.offset.sync.enable": "true", "consumer.offset.sync.ms": "30000",
			"consumer.offset.group.filters": `{"groupFilters":[{"name":"*","patternType":"LITERAL","filterType":"INCLUDE"}]}`,
			"acl.sync.enable":               "false", "auto.create.mirror.topics.enable": "false",
		},
	}
	if c.onLink != nil {
		c.onLink(&l)
	}
	return l
}

func (c *Cluster) linkRow(name string, tasks bool) members {
	l := c.link(name)
	row := object("KafkaLinkData", c.url("links", name), "", members{
		"link_name": l.Name, "cluster_link_id": l.ID, "remote_cluster_id": l.RemoteClusterID, "link_state": l.State,
		"link_error": cmp.Or(l.Error, "NO_ERROR"), "link_error_message": l.ErrorMessage, "topic_names": c.names(name),
	})
	if tasks {
		for i := range l.Tasks {
			l.Tasks[i].Errors = append([]Reason{}, l.Tasks[i].Errors...) // [] and not null
		}
		row["tasks"] = l.Tasks
	}
	return row
}

func (c *Cluster) configs(link string) (rows [][]byte) {
	l := c.link(link)
	for _, name := range slices.Sorted(maps.Keys(l.Configs)) {
		row := members{
			"cluster_id": c.ID, "link_name": l.Name, "name": name, "value": nil, "is_default": false,
			"is_read_only": false, "is_sensitive": false, "source": "DYNAMIC_CLUSTER_LINK_CONFIG", "synonyms": []string{},
		}
		if l.Configs[name] != "" {
			row["value"] = l.Configs[name]
		}
		rows = append(rows, mustJSON(object("KafkaLinkConfigData", c.url("links", link), "", row)))
	}
	return rows
}

func (c *Cluster) group(id string) response {
	i := slices.IndexFunc(c.groups, func(g Group) bool { return g.ID == id })
	if i < 0 {
		return *failure(http.StatusNotFound, 40403, "Consumer group '%s' is not on cluster '%s'", id, c.ID)
	}
	self := c.url("consumer-groups", id)
	row := members{
		"cluster_id": c.ID, "consumer_group_id": id, "is_simple": false, "is_mixed_consumer_group": false,
		"partition_assignor": "org.apache.kafka.clients.consumer.RoundRobinAssignor", "type": "CLASSIC",
		"state": c.groups[i].State, "coordinator": members{"related": c.url("brokers", "1")},
		"consumers": members{"related": self + "/consumers"}, "lag_summary": members{"related": self + "/lag-summary"},
	}
	name := "crn:///kafka=" + c.ID + "/consumer-group=" + id
	return jsonAnswer(http.StatusOK, mustJSON(object("KafkaConsumerGroup", self, name, row)))
}
