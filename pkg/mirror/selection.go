package mirror

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
)

// A Selection says which mirror topics a call is about: Topics by name, or a Pattern, Prefix, Suffix or All. The zero
// Selection selects nothing; a call with the zero Selection fails with ErrNoTopics. A Selection never changes and is
// safe for concurrent use.
type Selection struct {
	names      []string // of Topics
	expression string   // sent as mirror_topic_name_pattern; "" for Topics
	// covers reports whether the expression selects a name; nil if only the server can tell.
	covers func(name string) bool
	check  func(bad *argumentError) // nil for the zero Selection
}

// Topics selects mirror topics by name. Each name must be legal and unique; no names at all is ErrNoTopics. Only with a
// selection by name can the report account for every topic, whatever happens on the wire.
func Topics(names ...string) Selection {
	names = slices.Clone(names)
	return Selection{names: names, check: func(bad *argumentError) { checkTopics(bad, names) }}
}

// Pattern selects mirror topics by a regular expression, which is sent unchanged. The server's dialect is not
// documented; very likely it is Java's (assumed). Whether the expression must match the whole name is not known. Go's
// dialect differs, and the library never evaluates the expression. The exact preview is a dry run with Validate.
//
// An expression selecting everything is refused; use All on purpose. The refusal guards against an empty variable
// within the expression and is no proof: an expression means everything if Go finds a match in each of a few unrelated
// names. Expressions that Go cannot compile are not refused.
func Pattern(expression string) Selection {
	return Selection{
		expression: expression,
		check:      func(bad *argumentError) { checkPattern(bad, expression) },
	}
}

// Prefix selects the mirror topics whose names begin with any of the given literals. A '.' is a plain dot. A literal
// that is empty or has a character not allowed in a topic name is refused.
//
// The expression is anchored at both ends, so a server that searches and a server that matches whole names select the
// same topics. A row for a topic with another name is unexpected and makes the call's error not nil.
func Prefix(literals ...string) Selection {
	return literal("Prefix", "^(?:", ".*)$", strings.HasPrefix, literals)
}

// Suffix selects the mirror topics whose names end with any of the given literals. Otherwise Suffix is like Prefix.
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

// All selects every mirror topic of the link. No other selection does.
func All() Selection {
	return Selection{
		expression: ".*", // the contract's own example of a pattern
		covers:     isTopicName,
		check:      func(*argumentError) {},
	}
}

// String returns the selection on a printable line, for logs and messages.
func (s Selection) String() string {
	switch {
	case s.check == nil:
		return "nothing"
	case s.expression == "":
		return text.Count(len(s.names), "topic")
	}
	return "pattern " + text.Quote(s.expression)
}

// Match returns the given names that the selection covers, in their order: names with a literal of Prefix or Suffix,
// every topic name for All, or the names of Topics. The result can be passed to Topics. Match fails for a Pattern,
// whose dialect is the server's; preview a Pattern with Validate. Match also fails for a selection that a call would
// refuse. Errors match ErrInvalidArgument.
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
		named := setOf(s.names)
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

func setOf(names []string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}

// checkTo adds the selection's problems to bad.
func (s Selection) checkTo(bad *argumentError) {
	if s.check == nil {
		bad.add("Selection", "nothing is selected")
		bad.noTopics = true
		return
	}
	s.check(bad)
}

// maxShown is the largest number of bad values in an error. Further values are counted.
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

// isTopicName reports whether Kafka allows the name for a topic.
func isTopicName(name string) bool {
	return name != "" && len(name) <= maxTopicName && name != "." && name != ".." && isTopicText(name)
}

// isTopicText reports whether s has only characters allowed in a topic name.
func isTopicText(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '_' && r != '-'
	})
}

// alternatives returns an expression for any of the literals. Go's quoting of the characters in topic names means the
// same in Java.
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

// unrelated are topic names without a common character. An expression with a match in each of the names selects
// everything or nearly everything.
var unrelated = []string{"orders", "EU.BILLING", "20190731", "_cdc-out_", "Zq7xK"}

func matchesEverything(expression string) bool {
	re, err := regexp.Compile(expression) // an expression that only Java compiles is left to the server
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

// Batch is the share of a call in a single request, as shown to a Recorder.
type Batch struct {
	// ClusterID, Link and Verb are those of the call.
	ClusterID string `json:"cluster_id"`
	Link      string `json:"link"`
	Verb      Verb   `json:"verb"`
	// Run is the unique id of the call.
	Run string `json:"run"`
	// Index counts the call's batches from 0. Of is the number of batches.
	Index int `json:"index"`
	Of    int `json:"of"`
	// Topics are the names in the batch; none for a pattern.
	Topics []string `json:"topics,omitempty"`
	// Pattern is the expression in the batch; "" for a selection by name.
	Pattern string `json:"pattern,omitempty"`
}

// batches cuts a call into requests of at most size names. A pattern is a single request.
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
