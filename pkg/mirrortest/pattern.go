package mirrortest

import (
	"fmt"
	"regexp"
)

// beyond matches syntax that differs, or might differ, between Java and Go: a class within a class, an intersection
// of classes, an empty class, escapes of letters and digits other than the plain ones, the flags U and P, and a
// repetition that begins with a comma.
var beyond = regexp.MustCompile(`\[[^\]]*(?:\[|&&)|\[\^?\]|\\[^dDwWsSbB\pP\pS]|\(\?[a-zA-Z-]*[UP]|\{,`)

// compile converts a Java expression into a Go expression that matches the same whole topic names (assumed: the
// server does not search). An expression that may differ in Go is an error.
func compile(expression string) (*regexp.Regexp, error) {
	if beyond.MatchString(expression) {
		return nil, fmt.Errorf("mirrortest does not evaluate the pattern '%s': Java and Go may differ on it", expression)
	}
	// The expression must compile alone: the parentheses below could close a lone parenthesis inside.
	if _, err := regexp.Compile(expression); err != nil {
		return nil, fmt.Errorf("mirrortest does not evaluate the pattern '%s': %w", expression, err)
	}
	return regexp.Compile(`\A(?:` + expression + `)\z`)
}
