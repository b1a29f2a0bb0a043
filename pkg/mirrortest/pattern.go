package mirrortest

import (
	"fmt"
	"regexp"
)

// beyond finds what means one thing in Java and another in Go, or might: a class within a class, an
// intersection of classes, an empty class, escapes of letters and digits other than the plain ones,
// the flags U and P, and a repetition that begins with a comma.
var beyond = regexp.MustCompile(`\[[^\]]*(?:\[|&&)|\[\^?\]|\\[^dDwWsSbB\pP\pS]|\(\?[a-zA-Z-]*[UP]|\{,`)

// compile makes of a Java expression a Go one that matches the same whole topic names (assumed: the
// server does not search). An expression for
// which that is not certain is an error.
func compile(expression string) (*regexp.Regexp, error) {
	if beyond.MatchString(expression) {
		return nil, fmt.Errorf("mirrortest does not evaluate the pattern '%s': Java and Go may differ on it", expression)
	}
	// By itself first: with parentheses around it, a lone one inside could find its match.
	if _, err := regexp.Compile(expression); err != nil {
		return nil, fmt.Errorf("mirrortest does not evaluate the pattern '%s': %w", expression, err)
	}
	return regexp.Compile(`\A(?:` + expression + `)\z`)
}
