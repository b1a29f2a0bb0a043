package contract

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/seed25095279/clusterlink-go/pkg/internal/printable"
)

// finder is called for each thing that is found, with the part of the body that it is about.
type finder func(rule string, t *tree, format string, args ...any)

// checkTree finds, anywhere in a body, what holds whatever the members mean: duplicate members, and
// integers that do not fit the format that the schema gives them.
func checkTree(t *tree, s *openapi3.Schema, found finder) {
	seen := map[string]bool{}
	for _, m := range t.members {
		if seen[m.name] {
			found(RuleDuplicate, m.value, "the member is there twice")
		}
		seen[m.name] = true
		checkTree(m.value, property(s, m.name), found)
	}
	for _, e := range t.elements {
		checkTree(e, items(s), found)
	}
	if s == nil || !s.Type.Is("integer") || t.kind != '0' {
		return
	}
	bits := 64
	if s.Format == "int32" {
		bits = 32
	}
	if _, err := strconv.ParseInt(t.text, 10, bits); err != nil {
		found(RuleInteger, t, "%s is not an integer of %d bits", printable.Line(t.text, 64), bits)
	}
}

// property returns the schema of a member, also where it stands in one of the parts of an allOf.
func property(s *openapi3.Schema, name string) *openapi3.Schema {
	if s == nil {
		return nil
	}
	if p := s.Properties[name]; p != nil {
		return p.Value
	}
	for _, part := range s.AllOf {
		if p := property(part.Value, name); p != nil {
			return p
		}
	}
	return nil
}

func items(s *openapi3.Schema) *openapi3.Schema {
	if s == nil || s.Items == nil {
		return nil
	}
	return s.Items.Value
}

// checkAnswer finds what is wrong with the meaning of a 200: asked are the names of the request, nil
// for a pattern. The parameters are those of the path; truncates says that the operation can cut topics.
func checkAnswer(answer *tree, asked []string, parameters map[string]string, truncates bool, found finder) {
	if next := answer.get("metadata", "next"); next.isSet() {
		found(RuleNext, next, "it is set, and nothing accepts it")
	}
	checkSelf(answer.get("metadata", "self"), parameters, found)
	data := answer.get("data")
	rows := data.list()
	if one, is := parameters["mirror_topic_name"]; is { // it is read alone
		rows, asked, data = []*tree{answer}, []string{one}, answer
	}
	want := map[string]bool{}
	for _, name := range asked {
		want[name] = true
	}
	seen := map[string]bool{}
	for _, row := range rows {
		checkRow(row, truncates, found)
		if row != answer {
			checkSelf(row.get("metadata", "self"), parameters, found)
		}
		name := row.get("mirror_topic_name")
		if name == nil || name.kind != '"' {
			continue // the schema says so
		}
		if seen[name.text] {
			found(RuleTwice, name, "the topic %s has a row already", printable.Quote(name.text))
		}
		seen[name.text] = true
		if asked != nil && !want[name.text] {
			found(RuleUnasked, name, "the topic %s was not asked for", printable.Quote(name.text))
		}
	}
	for _, name := range asked {
		if !seen[name] && data != nil {
			found(RuleMissing, data, "the topic %s has no row", printable.Quote(name))
		}
	}
}

func checkRow(row *tree, truncates bool, found finder) {
	code, message := row.get("error_code"), row.get("error_message")
	number, isNumber := code.integer()
	hasCode := code.isSet() && (!isNumber || number != 0)
	hasMessage := message.isSet() && message.text != ""
	switch {
	case hasCode && !hasMessage:
		found(RuleVerdict, code, "there is a code and no message")
	case hasMessage && !hasCode:
		found(RuleVerdict, message, "there is a message and no code")
	}
	checkPartitions(row.get("mirror_lags"), "partition", found)
	if n, ok := row.get("num_partitions").integer(); ok {
		if n < 0 {
			found(RulePartition, row.get("num_partitions"), "%d is negative", n)
		}
		for _, p := range row.get("mirror_lags").list() {
			if k, ok := p.get("partition").integer(); ok && k >= n {
				found(RulePartition, p.get("partition"), "partition %d of a topic that has %d", k, n)
			}
		}
	}
	for _, p := range row.get("mirror_lags").list() {
		for _, name := range []string{"lag", "last_source_fetch_offset"} {
			if n, ok := p.get(name).integer(); ok && n < -1 {
				found(RuleLag, p.get(name), "%d is less than -1", n)
			}
		}
	}
	truncations := row.get("partition_level_truncation_data")
	checkPartitions(truncations, "partition_id", found)
	total, ok := row.get("messages_truncated").integer()
	if !ok || total < 0 || len(truncations.list()) == 0 {
		return // they are not both given
	}
	sum := int64(0)
	for _, p := range truncations.list() {
		n, ok := p.get("messages_truncated").integer()
		if !ok {
			return
		}
		sum += n
	}
	if sum != total {
		text := "it is %d, and the partitions' add up to %d"
		if !truncates {
			text += "; this operation is not known to truncate"
		}
		found(RuleTruncation, row.get("messages_truncated"), text, total, sum)
	}
}

func checkPartitions(list *tree, name string, found finder) {
	seen := map[int64]bool{}
	for _, p := range list.list() {
		n, ok := p.get(name).integer()
		switch {
		case !ok: // the schema says so
		case n < 0:
			found(RulePartition, p.get(name), "%d is negative", n)
		case seen[n]:
			found(RulePartition, p.get(name), "partition %d is there already", n)
		}
		seen[n] = true
	}
}

func checkSelf(self *tree, parameters map[string]string, found finder) {
	if !self.isSet() || self.kind != '"' {
		return
	}
	path := self.text
	if u, err := url.Parse(path); err == nil {
		path = u.EscapedPath()
	}
	cluster, link := url.PathEscape(parameters["cluster_id"]), url.PathEscape(parameters["link_name"])
	want := fmt.Sprintf("/clusters/%s/links/%s/", cluster, link)
	if !strings.Contains(path+"/", want) {
		found(RuleSelf, self, "it is of another cluster or link than was asked")
	}
}
