package mirror

import (
	"fmt"
	"slices"
	"strings"
)

// A Selection says which mirror topics a call is about: Topics by name, or one of Pattern, Prefix,
// Suffix and All. The zero Selection selects nothing, and a call with it fails with ErrNoTopics.
// A Selection is a value that does not change; it is safe for concurrent use.
type Selection struct {
	kind selectionKind
	// names are the topic names of Topics, the literals of Prefix and Suffix, and the one
	// expression of Pattern and All.
	names []string
}

type selectionKind uint8

const (
	selectNothing selectionKind = iota
	selectTopics
	selectPattern
	selectPrefix
	selectSuffix
	selectAll
)

// Topics selects mirror topics by name. Each must be a legal topic name, and none may be there
// twice; no names at all is ErrNoTopics. Only a selection by name lets the report account for
// every topic, whatever happens on the wire.
func Topics(names ...string) Selection {
	return Selection{kind: selectTopics, names: slices.Clone(names)}
}

// String tells what is selected, on one printable line, for logs and messages.
func (s Selection) String() string {
	switch s.kind {
	case selectTopics:
		return count(len(s.names), "topic")
	case selectPattern, selectPrefix, selectSuffix, selectAll:
		return "pattern " + quote(s.expression())
	}
	return "nothing"
}

// check notes in bad what is wrong with the selection.
func (s Selection) check(bad *argumentError) {
	switch s.kind {
	case selectTopics:
		s.checkTopics(bad)
	case selectPattern:
		s.checkPattern(bad)
	case selectPrefix:
		s.checkLiterals(bad, "Prefix")
	case selectSuffix:
		s.checkLiterals(bad, "Suffix")
	case selectNothing:
		bad.add("Selection", "nothing is selected")
		bad.noTopics = true
	}
}

// maxShown bounds how many bad values of one kind an error spells out; the rest are counted.
const maxShown = 20

func (s Selection) checkTopics(bad *argumentError) {
	if len(s.names) == 0 {
		bad.add("Topics", "no topic is named")
		bad.noTopics = true
		return
	}
	seen := make(map[string]int, len(s.names))
	var illegal, twice []string
	for _, name := range s.names {
		seen[name]++
		switch {
		case seen[name] == 2:
			twice = append(twice, quote(name))
		case seen[name] == 1 && !isTopicName(name):
			illegal = append(illegal, quote(name))
		}
	}
	if len(illegal) > 0 {
		bad.add("Topics", "not a topic name: %s (1 to %d characters of a-z, A-Z, 0-9, '.', '_' and '-', but not \".\" or \"..\")", shown(illegal), maxTopicName)
	}
	if len(twice) > 0 {
		bad.add("Topics", "named twice: %s", shown(twice))
	}
}

// shown joins the first values and counts the others.
func shown(values []string) string {
	if len(values) <= maxShown {
		return strings.Join(values, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(values[:maxShown], ", "), len(values)-maxShown)
}

// maxTopicName is the length, in characters, of the longest topic name that Kafka allows.
const maxTopicName = 249

// isTopicName tells whether Kafka allows the name for a topic.
func isTopicName(name string) bool {
	return name != "" && len(name) <= maxTopicName && name != "." && name != ".." && isTopicText(name)
}

// isTopicText tells whether s has only characters that a topic name may have.
func isTopicText(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}
