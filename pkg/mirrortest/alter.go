package mirrortest

import "slices"

// alter changes the selected topics that it can and may, and answers with a row for each. The
// pair's mu is held.
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
			if row.ErrorCode == nil {
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

// row is the answer's row for a topic as it is before anything is done to it. The pair's mu is held.
func (c *Cluster) row(q query, name string) alterRow {
	row := alterRow{
		resource: resource{"AlterMirrorsData", metadata{
			Self: c.url("links", q.link, "mirrors", name), ResourceName: "crn:///kafka=" + c.ID,
		}},
		Topic: name, Lags: []lagRow{},
		truncation: &truncation{MessagesTruncated: -1, Partitions: []cutRow{}},
	}
	t := c.topics[name]
	if no := c.refuse(q.verb, q.link, name); no != nil {
		row.ErrorCode, row.ErrorMessage = &no.code, &no.message
	} else if transitions[q.verb].restores {
		row.truncation = t.truncation(q.partitions)
	}
	if c.pair.opts.NoTruncationData {
		row.truncation = nil
	}
	if t != nil {
		now := t.now()
		row.Lags = c.lagRows(now.status, now.partitions)
	}
	return row
}

// truncation is what is cut off a topic to restore it.
func (t *topic) truncation(partitions bool) *truncation {
	all := truncation{Partitions: []cutRow{}}
	for i, p := range t.other.now().partitions {
		cut := cutRow{Partition: i, OffsetTruncatedTo: max(0, p.LastSourceFetchOffset)}
		if i < len(t.ahead) {
			cut.MessagesTruncated = t.ahead[i]
		}
		all.MessagesTruncated += cut.MessagesTruncated
		if partitions {
			all.Partitions = append(all.Partitions, cut)
		}
	}
	return &all
}
