package mirrortest

import "slices"

// alter changes the selected topics that allow the verb, and answers with a row for each topic. The pair's mu is
// held.
func (c *Cluster) alter(q query, fault *Fault) (a response, applied []string) {
	var rows [][]byte
	topics := slices.Clone(q.topics)
	if c.pair.opts.Shuffle {
		c.draw.Shuffle(len(topics), func(i, j int) { topics[i], topics[j] = topics[j], topics[i] })
	}
	for _, name := range topics {
		row := c.row(q, name)
		spared := fault != nil && !fault.AfterApply && (fault.Do.row == nil || fault.Topic == name)
		if t := c.topics[name]; t != nil && !q.validateOnly && !spared {
			t.sent[q.verb]++
			if row["error_code"] == nil {
				c.apply(q.verb, name)
				applied = append(applied, name)
			}
		}
		if text := fault.encode(name, row); text != nil {
			rows = append(rows, text)
		}
	}
	return list("KafkaAlterMirrorsDataList", c.url("links", q.link, "mirrors"), rows), applied
}

// row returns the row about a topic, with the state before the change. The pair's mu is held.
func (c *Cluster) row(q query, name string) members {
	row := object("AlterMirrorsData", c.url("links", q.link, "mirrors", name), "crn:///kafka="+c.ID, members{
		"mirror_topic_name": name, "error_code": nil, "error_message": nil, "mirror_lags": []lagRow{},
		"messages_truncated": -1, "partition_level_truncation_data": []members{},
	})
	t := c.topics[name]
	if no := c.refuse(q.verb, q.link, name); no != nil {
		no.put(row)
	} else if transitions[q.verb].restores {
		t.truncation(row, q.partitions)
	}
	if c.pair.opts.NoTruncationData {
		delete(row, "messages_truncated")
		delete(row, "partition_level_truncation_data")
	}
	if t != nil {
		now := t.now()
		row["mirror_lags"] = c.lagRows(now.status, now.partitions)
	}
	return row
}

// truncation adds to the row of a topic how much a restore cuts off the topic.
func (t *topic) truncation(row members, partitions bool) {
	cuts, total := []members{}, int64(0)
	for i, p := range t.other.now().partitions {
		cut := int64(0)
		if i < len(t.ahead) {
			cut = t.ahead[i].Lag
		}
		total += cut
		cuts = append(cuts, members{
			"partition_id": i, "offset_truncated_to": max(0, p.LastSourceFetchOffset), "messages_truncated": cut,
		})
	}
	row["messages_truncated"] = total
	if partitions {
		row["partition_level_truncation_data"] = cuts
	}
}
