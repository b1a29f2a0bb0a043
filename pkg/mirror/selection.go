package mirror

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/seed25095279/clusterlink-go/gen"
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

// Batch is one request's share of a call: what a hook gets to see of it.
type Batch struct {
	// ClusterID, Link and DryRun are the call's own.
	ClusterID string `json:"cluster_id"`
	Link      string `json:"link"`
	DryRun    bool   `json:"dry_run"`
	// Index counts the call's batches from 0, and Of is how many there are.
	Index int `json:"index"`
	Of    int `json:"of"`
	// Topics are the names that the batch sends; none for a pattern. They are the call's own, not to
	// be changed.
	Topics []string `json:"topics,omitempty"`
	// Pattern is the expression that the batch sends; "" for a selection by name.
	Pattern string `json:"pattern,omitempty"`

	first int // of Topics, in the call's names
}

// Report returns a report about this batch alone, for a journal: with the results that AfterBatch
// was given, or, if they are nil, with every topic Unknown: it may have been sent, and no answer
// is known.
func (b Batch) Report(results []Result) *Report {
	r := &Report{ClusterID: b.ClusterID, Link: b.Link, DryRun: b.DryRun, Pattern: b.Pattern, Rest: Accepted}
	if results == nil {
		why := cause("it was about to be sent, and no answer is known", nil)
		r.problems = []error{why}
		for _, name := range b.Topics {
			r.Results = append(r.Results, Result{Topic: name, cause: why})
		}
		if b.Pattern != "" {
			r.Rest = Unknown
		}
		return r
	}
	r.Results = slices.Clone(results)
	r.Complete = r.Count(Unknown)+r.Count(Untouched) == 0
	return r
}

// batches cuts the selection into requests of at most size names; a pattern is one request.
func (s Selection) batches(b Batch, size int) []Batch {
	if s.kind != selectTopics {
		b.Pattern, b.Of = s.expression(), 1
		return []Batch{b}
	}
	b.Of = (len(s.names) + size - 1) / size
	var all []Batch
	for names := range slices.Chunk(s.names, size) {
		b.Topics = names
		all = append(all, b)
		b.Index++
		b.first += len(names)
	}
	return all
}

// body is the request's body: names or a pattern, never both.
func (b Batch) body() ([]byte, error) {
	if b.Pattern != "" {
		return json.Marshal(gen.AlterMirrorsRequestData{MirrorTopicNamePattern: &b.Pattern})
	}
	return json.Marshal(gen.AlterMirrorsRequestData{MirrorTopicNames: b.Topics})
}

// everything is the expression that All sends; it is the contract's own example of a pattern.
const everything = ".*"

// Pattern selects mirror topics by a regular expression that is sent as it stands. Its dialect is
// the server's, and undocumented: Java's, very likely, and not known is whether it must match the
// whole name (assumed, both). Go's dialect differs, so the library never evaluates it: a dry run
// with ValidateReverseAndPause is its exact preview.
//
// An expression that selects everything is refused; All says that on purpose. The refusal is a
// guard against a variable that was empty when the expression was put together, not a proof: an
// expression is taken for 'everything' if, as a Go expression, it finds a match in each of a few
// names that have nothing in common, and what Go cannot compile passes.
func Pattern(expression string) Selection {
	return Selection{kind: selectPattern, names: []string{expression}}
}

// Prefix selects the mirror topics whose names begin with one of the given literals, in which
// '.' is a dot and nothing else. An empty literal, or one with a character that no topic name
// has, is refused.
//
// The expression that is sent is anchored at both ends, so it means the same whether the server
// asks for a match of the whole name or searches in it.
func Prefix(literals ...string) Selection {
	return Selection{kind: selectPrefix, names: slices.Clone(literals)}
}

// Suffix selects the mirror topics whose names end in one of the given literals; in all else it
// is like Prefix.
func Suffix(literals ...string) Selection {
	return Selection{kind: selectSuffix, names: slices.Clone(literals)}
}

// All selects every mirror topic of the link. It is the only way to say so.
func All() Selection {
	return Selection{kind: selectAll, names: []string{everything}}
}

// Match tells which of the given names the selection covers, in their order: what Prefix, Suffix
// and All would select if these were the mirror topics, or which of them Topics names. What comes
// back can go into Topics. For a Pattern it returns an error, since the dialect is the server's:
// preview it with ValidateReverseAndPause. A selection that a call would refuse is refused here
// too. Errors match ErrInvalidArgument.
func (s Selection) Match(names []string) ([]string, error) {
	bad := &argumentError{}
	s.check(bad)
	if s.kind == selectPattern && bad.err() == nil {
		bad.add("Pattern", "only the server can tell what it matches: preview it with ValidateReverseAndPause")
	}
	if err := bad.err(); err != nil {
		return nil, err
	}
	covers := func(string) bool { return true }
	switch s.kind {
	case selectTopics:
		named := make(map[string]bool, len(s.names))
		for _, name := range s.names {
			named[name] = true
		}
		covers = func(name string) bool { return named[name] }
	case selectPrefix:
		covers = func(name string) bool {
			return slices.ContainsFunc(s.names, func(l string) bool { return strings.HasPrefix(name, l) })
		}
	case selectSuffix:
		covers = func(name string) bool {
			return slices.ContainsFunc(s.names, func(l string) bool { return strings.HasSuffix(name, l) })
		}
	}
	var matched []string
	for _, name := range names {
		if covers(name) {
			matched = append(matched, name)
		}
	}
	return matched, nil
}

// expression returns what is sent as mirror_topic_name_pattern; "" for a selection by name.
func (s Selection) expression() string {
	switch s.kind {
	case selectPattern, selectAll:
		return s.names[0]
	case selectPrefix:
		return "^(?:" + alternatives(s.names) + ".*)$"
	case selectSuffix:
		return "^(?:.*" + alternatives(s.names) + ")$"
	}
	return ""
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

func (s Selection) checkPattern(bad *argumentError) {
	switch expression := s.names[0]; {
	case expression == "":
		bad.add("Pattern", "the expression is empty")
	case !utf8.ValidString(expression):
		bad.add("Pattern", "the expression is not UTF-8")
	case matchesEverything(expression):
		bad.add("Pattern", "%s selects every mirror topic (was a variable empty?): to mean that, use All", quote(expression))
	}
}

// unrelated are topic names without a character in common to all, so that an expression that
// finds a match in each of them selects everything, or nearly so.
var unrelated = []string{"orders", "EU.BILLING", "20190731", "_cdc-out_", "Zq7xK"}

func matchesEverything(expression string) bool {
	re, err := regexp.Compile(expression)
	if err != nil {
		return false // Java's, perhaps: the server will tell
	}
	for _, name := range unrelated {
		if !re.MatchString(name) {
			return false
		}
	}
	return true
}

func (s Selection) checkLiterals(bad *argumentError, field string) {
	if len(s.names) == 0 {
		bad.add(field, "no literal is given")
		bad.noTopics = true
		return
	}
	var illegal []string
	for _, l := range s.names {
		if l == "" || len(l) > maxTopicName || !isTopicText(l) {
			illegal = append(illegal, quote(l))
		}
	}
	if len(illegal) > 0 {
		bad.add(field, "no part of a topic name: %s (1 to %d characters of a-z, A-Z, 0-9, '.', '_' and '-')", shown(illegal), maxTopicName)
	}
}
