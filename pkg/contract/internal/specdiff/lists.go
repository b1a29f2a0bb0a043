package main

import (
	_ "embed"
	"strings"
)

// severities says which changes break this library where oasdiff would say otherwise, in the form of
// its --severity-levels file, which has no room for comments. A type that the server takes more widely
// than before is harmless on the wire, and another Go type in the generated code. The library sends a
// body always, with one member and no name twice, and reads text of any length.
//
//go:embed severities.txt
var severities []byte

//go:embed known-differences.txt
var knownDifferences string

// knownDifference is a difference from the vendor's whole specification that was looked at.
type knownDifference struct {
	id     string // of the change
	text   string // a part of what oasdiff says of it
	reason string // why it does not matter
}

// known returns the reviewed list.
func known() []knownDifference {
	var all []knownDifference
	for line := range strings.Lines(knownDifferences) {
		if parts := strings.SplitN(line, " | ", 3); len(parts) == 3 && !strings.HasPrefix(line, "#") {
			all = append(all, knownDifference{parts[0], parts[1], strings.TrimSpace(parts[2])})
		}
	}
	return all
}
