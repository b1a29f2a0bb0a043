package contract

import (
	"math"
	"slices"
	"strings"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

// meaning checks the meaning of the members of a 200, row by row.
type meaning struct {
	judge      *judge
	asked      []string          // the names in the request; nil if unknown or a pattern
	hasRow     map[string]bool   // whether a topic has a row
	parameters map[string]string // of the path
	isVerb     bool              // the operation changes mirror topics
	truncates  bool              // the operation can truncate topics
}

// row checks a row of a list, or the single row of a response.
func (m *meaning) row(row *tree) {
	m.self(row.get("metadata", "self"))
	m.lags(row)
	if m.isVerb {
		m.verdict(row)
		m.truncations(row)
	}
	name := row.get("mirror_topic_name")
	if name == nil || name.kind != '"' {
		return // the schema says so
	}
	key := name.text
	if link := row.get("link_name"); m.asked == nil && m.ofAllLinks() && link != nil {
		key += "\n" + link.text
	}
	hasRow, known := m.hasRow[key]
	m.hasRow[key] = true
	switch {
	case hasRow:
		m.violation(RuleTwice, name, "the topic %s has a row already", text.Quote(name.text))
	case m.asked != nil && !known:
		m.violation(RuleUnasked, name, "the topic %s was not asked for", text.Quote(name.text))
	}
}

// whole makes the checks that need all rows.
func (m *meaning) whole(answer *tree) {
	if _, alone := m.parameters["mirror_topic_name"]; !alone {
		if next := answer.get("metadata", "next"); next != nil && next.text != "" {
			m.violation(RuleNext, next, "it is set, and nothing accepts it")
		}
		m.self(answer.get("metadata", "self"))
		answer = answer.get("data")
	}
	for _, name := range m.asked {
		if !m.hasRow[name] && answer != nil {
			m.violation(RuleMissing, answer, "the topic %s has no row", text.Quote(name))
			m.hasRow[name] = true // report each topic once
		}
	}
}

// ofAllLinks returns whether the request is about all links of the cluster. A topic can then have a row for each
// link.
func (m *meaning) ofAllLinks() bool {
	return m.parameters["link_name"] == "" || m.parameters["link_name"] == "-"
}

func (m *meaning) violation(rule string, t *tree, format string, args ...any) {
	_ = m.judge.at(rule, Violation, t, format, args...) // the reader's next finding ends the check
}

func (m *meaning) verdict(row *tree) {
	code, message := row.get("error_code"), row.get("error_message")
	number, isNumber := code.integer()
	hasCode := code.isSet() && (!isNumber || number != 0)
	hasMessage := message.isSet() && message.text != ""
	switch {
	case hasCode && !hasMessage:
		m.violation(RuleVerdict, code, "there is a code and no message")
	case hasMessage && !hasCode:
		m.violation(RuleVerdict, message, "there is a message and no code")
	}
}

func (m *meaning) lags(row *tree) {
	lags := row.get("mirror_lags")
	m.partitions(lags, "partition")
	count, counted := row.get("num_partitions").integer()
	if counted && count < 0 {
		m.violation(RulePartition, row.get("num_partitions"), "%d is negative", count)
	}
	for _, lag := range lags.list() {
		if k, ok := lag.get("partition").integer(); ok && counted && k >= count {
			m.violation(RulePartition, lag.get("partition"), "partition %d of a topic that has %d", k, count)
		}
		for _, name := range []string{"lag", "last_source_fetch_offset"} {
			if n, ok := lag.get(name).integer(); ok && n < -1 {
				m.violation(RuleLag, lag.get(name), "%d is less than -1", n)
			}
		}
	}
}

func (m *meaning) truncations(row *tree) {
	truncations := row.get("partition_level_truncation_data")
	m.partitions(truncations, "partition_id")
	total, summable := row.get("messages_truncated").integer()
	summable = summable && total >= 0 && len(truncations.list()) > 0 // both must be given
	sum, over := int64(0), false
	for _, part := range truncations.list() {
		for _, name := range []string{"offset_truncated_to", "messages_truncated"} {
			if n, ok := part.get(name).integer(); ok && n < 0 {
				m.violation(RuleTruncation, part.get(name), "%d is negative", n)
			}
		}
		n, ok := part.get("messages_truncated").integer()
		summable = summable && ok && n >= 0
		if over = over || n > math.MaxInt64-sum; !over {
			sum += max(n, 0)
		}
	}
	known := ""
	if !m.truncates {
		known = "; this operation is not known to truncate"
	}
	switch given := row.get("messages_truncated"); {
	case summable && over:
		m.violation(RuleTruncation, given, "it is %d, and the partitions' add up to more than 64 bits%s", total, known)
	case summable && sum != total:
		m.violation(RuleTruncation, given, "it is %d, and the partitions' add up to %d%s", total, sum, known)
	}
}

func (m *meaning) partitions(list *tree, name string) {
	seen := map[int64]bool{}
	for _, p := range list.list() {
		n, ok := p.get(name).integer()
		switch {
		case !ok: // the schema says so
		case n < 0:
			m.violation(RulePartition, p.get(name), "%d is negative", n)
		case seen[n]:
			m.violation(RulePartition, p.get(name), "partition %d is there already", n)
		default:
			seen[n] = true
		}
	}
}

// self notes a self link to another cluster or link than the request. The contract's own examples have such links.
func (m *meaning) self(self *tree) {
	if !self.isSet() || self.kind != '"' {
		return
	}
	if self.text == "" {
		_ = m.judge.at(RuleSelf, Note, self, "it is empty")
		return
	}
	if m.ofAllLinks() {
		return
	}
	path, _, _ := strings.Cut(self.text, "?")
	segments, _ := segmentsOf(path)
	want := []string{"clusters", m.parameters["cluster_id"], "links", m.parameters["link_name"]}
	for i := range segments {
		if i+len(want) <= len(segments) && slices.Equal(segments[i:i+len(want)], want) {
			return
		}
	}
	_ = m.judge.at(RuleSelf, Note, self, "it is of another cluster or link than was asked")
}
