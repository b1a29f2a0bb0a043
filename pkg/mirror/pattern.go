package mirror

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

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
