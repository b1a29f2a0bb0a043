package mirror

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

// A Selection says which mirror topics a call is about: Topics by name, or one of Pattern, Prefix,
// Suffix and All. The zero Selection selects nothing, and a call with it fails with ErrNoTopics.
// A Selection is a value that does not change; it is safe for concurrent use.
type Selection struct {
	names      []string // of Topics
	expression string   // sent as mirror_topic_name_pattern; "" for Topics
	// covers tells whether an expression selects a topic name; nil if only the server can tell.
	covers func(name string) bool
	check  func(bad *argumentError) // nil for the zero Selection
}

// Topics selects mirror topics by name. Each must be a legal topic name, and none may be there
// twice; no names at all is ErrNoTopics. Only a selection by name lets the report account for
// every topic, whatever happens on the wire.
func Topics(names ...string) Selection {
	names = slices.Clone(names)
	return Selection{names: names, check: func(bad *argumentError) { checkTopics(bad, names) }}
}

// Pattern selects mirror topics by a regular expression that is sent as it stands. Its dialect is
// the server's, and undocumented: Java's, very likely, and not known is whether it must match the
// whole name (assumed, both). Go's dialect differs, so the library never evaluates it: a dry run
// with Validate is its exact preview.
//
// An expression that selects everything is refused; All says that on purpose. The refusal is a
// guard against a variable that was empty when the expression was put together, not a proof: an
// expression is taken for 'everything' if, as a Go expression, it finds a match in each of a few
// names that have nothing in common, and what Go cannot compile passes.
func Pattern(expression string) Selection {
	return Selection{
		expression: expression,
		check:      func(bad *argumentError) { checkPattern(bad, expression) },
	}
}

// Prefix selects the mirror topics whose names begin with one of the given literals, in which
// '.' is a dot and nothing else. An empty literal, or one with a character that is not allowed in a
// topic name, is refused.
//
// The expression that is sent is anchored at both ends, so it means the same whether the server
// asks for a match of the whole name or searches in it. A row about a topic with another name is
// unexpected, and the call's error is not nil.
func Prefix(literals ...string) Selection {
	return literal("Prefix", "^(?:", ".*)$", strings.HasPrefix, literals)
}

// Suffix selects the mirror topics whose names end in one of the given literals; in all else it
// is like Prefix.
func Suffix(literals ...string) Selection {
	return literal("Suffix", "^(?:.*", ")$", strings.HasSuffix, literals)
}

func literal(field, before, after string, has func(name, literal string) bool, literals []string) Selection {
	literals = slices.Clone(literals)
	return Selection{
		expression: before + alternatives(literals) + after,
		covers: func(name string) bool {
			return slices.ContainsFunc(literals, func(l string) bool { return has(name, l) })
		},
		check: func(bad *argumentError) { checkLiterals(bad, field, literals) },
	}
}

// All selects every mirror topic of the link. It is the only way to say so.
func All() Selection {
	return Selection{
		expression: ".*", // the contract's own example of a pattern
		covers:     isTopicName,
		check:      func(*argumentError) {},
	}
}

// String tells what is selected, on one printable line, for logs and messages.
func (s Selection) String() string {
	switch {
	case s.check == nil:
		return "nothing"
	case s.expression == "":
		return text.Count(len(s.names), "topic")
	}
	return "pattern " + text.Quote(s.expression)
}

// Match tells which of the given names the selection covers, in their order: what Prefix, Suffix
// and All would select if these were the mirror topics, or which of them Topics names. What comes
// back can go into Topics. For a Pattern it returns an error, since the dialect is the server's:
// preview it with Validate. A selection that a call would refuse is refused here
// too. Errors match ErrInvalidArgument.
func (s Selection) Match(names []string) ([]string, error) {
	bad := &argumentError{}
	s.checkTo(bad)
	if s.expression != "" && s.covers == nil && bad.err() == nil {
		bad.add("Pattern", "only the server can tell what it matches: preview it with Validate")
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	covers := s.covers
	if s.expression == "" {
		named := make(map[string]bool, len(s.names))
		for _, name := range s.names {
			named[name] = true
		}
		covers = func(name string) bool { return named[name] }
	}
	var matched []string
	for _, name := range names {
		if covers(name) {
			matched = append(matched, name)
		}
	}
	return matched, nil
}

// checkTo notes in bad what is wrong with the selection.
func (s Selection) checkTo(bad *argumentError) {
	if s.check == nil {
		bad.add("Selection", "nothing is selected")
		bad.noTopics = true
		return
	}
	s.check(bad)
}

// maxShown bounds how many bad values of one kind an error spells out; the rest are counted.
const maxShown = 20

func checkTopics(bad *argumentError, names []string) {
	if len(names) == 0 {
		bad.add("Topics", "no topic is named")
		bad.noTopics = true
		return
	}
	seen := make(map[string]int, len(names))
	var illegal, twice []string
	for _, name := range names {
		seen[name]++
		switch {
		case seen[name] == 2:
			twice = append(twice, text.Quote(name))
		case seen[name] == 1 && !isTopicName(name):
			illegal = append(illegal, text.Quote(name))
		}
	}
	if len(illegal) > 0 {
		bad.add("Topics", "not a topic name: %s (1 to %d characters of a-z, A-Z, 0-9, '.', '_' and '-', "+
			"but not \".\" or \"..\")", text.Some(illegal, maxShown), maxTopicName)
	}
	if len(twice) > 0 {
		bad.add("Topics", "named twice: %s", text.Some(twice, maxShown))
	}
}

// maxTopicName is the length, in characters, of the longest topic name that Kafka allows.
const maxTopicName = 249

// isTopicName tells whether Kafka allows the name for a topic.
func isTopicName(name string) bool {
	return name != "" && len(name) <= maxTopicName && name != "." && name != ".." && isTopicText(name)
}

// isTopicText tells whether s has only characters that a topic name may have.
func isTopicText(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '_' && r != '-'
	})
}

// alternatives returns an expression for any one of the literals. Go's quoting of the characters
// that topic names have means the same in Java.
func alternatives(literals []string) string {
	quoted := make([]string, len(literals))
	for i, l := range literals {
		quoted[i] = regexp.QuoteMeta(l)
	}
	if len(quoted) == 1 {
		return quoted[0]
	}
	return "(?:" + strings.Join(quoted, "|") + ")"
}

func checkPattern(bad *argumentError, expression string) {
	switch {
	case expression == "":
		bad.add("Pattern", "the expression is empty")
	case !utf8.ValidString(expression):
		bad.add("Pattern", "the expression is not UTF-8")
	case matchesEverything(expression):
		bad.add("Pattern", "%s selects every mirror topic (was a variable empty?): to mean that, use All",
			text.Quote(expression))
	}
}

// unrelated are topic names without a character in common to all, so that an expression that
// finds a match in each of them selects everything, or nearly so.
var unrelated = []string{"orders", "EU.BILLING", "20190731", "_cdc-out_", "Zq7xK"}

func matchesEverything(expression string) bool {
	re, err := regexp.Compile(expression) // it fails for what is Java's, perhaps: the server will tell
	return err == nil && !slices.ContainsFunc(unrelated, func(name string) bool { return !re.MatchString(name) })
}

func checkLiterals(bad *argumentError, field string, literals []string) {
	if len(literals) == 0 {
		bad.add(field, "no literal is given")
		bad.noTopics = true
		return
	}
	var illegal []string
	for _, l := range literals {
		if l == "" || len(l) > maxTopicName || !isTopicText(l) {
			illegal = append(illegal, text.Quote(l))
		}
	}
	if len(illegal) > 0 {
		bad.add(field, "no part of a topic name: %s (1 to %d characters of a-z, A-Z, 0-9, '.', '_' and '-')",
			text.Some(illegal, maxShown), maxTopicName)
	}
}

// Batch is one request's share of a call: what a Recorder gets to see of it.
type Batch struct {
	// ClusterID, Link and Verb are the call's own.
	ClusterID string `json:"cluster_id"`
	Link      string `json:"link"`
	Verb      Verb   `json:"verb"`
	// Run is the id of the call, unique to it.
	Run string `json:"run"`
	// Index counts the call's batches from 0, and Of is how many there are.
	Index int `json:"index"`
	Of    int `json:"of"`
	// Topics are the names that the batch sends; none for a pattern.
	Topics []string `json:"topics,omitempty"`
	// Pattern is the expression that the batch sends; "" for a selection by name.
	Pattern string `json:"pattern,omitempty"`
}

// batches cuts a call into requests of at most size names; a pattern is one request.
func (s Selection) batches(b Batch, size int) []Batch {
	if s.expression != "" {
		b.Of = 1
		return []Batch{b}
	}
	size = min(size, len(s.names))
	b.Of = (len(s.names) + size - 1) / size
	all := make([]Batch, 0, b.Of)
	for names := range slices.Chunk(s.names, size) {
		b.Topics, b.Index = names, len(all)
		all = append(all, b)
	}
	return all
}
