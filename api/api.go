// Package api holds the contract: the OpenAPI document that the client in gen is generated from, and
// what a comparison with another document has to know.
//
// It imports the standard library only, so that a contract check anywhere can read the document
// without taking a parser along.
package api

import (
	_ "embed"
	"slices"
	"strings"
)

//go:embed openapi.yaml
var spec []byte

//go:embed severities.txt
var severities []byte

//go:embed known-differences.txt
var knownDifferences string

// Spec returns the OpenAPI document, as YAML. Each call returns a copy that the caller owns.
func Spec() []byte { return slices.Clone(spec) }

// Severities returns which changes of the document break this library where oasdiff would say
// otherwise, in the form of its --severity-levels file, which has no room for comments: a type that
// the server takes more widely than before is harmless on the wire, and another Go type in the
// generated code. Each call returns a copy.
func Severities() []byte { return slices.Clone(severities) }

// KnownDifference is a difference from the vendor's whole specification that was looked at.
type KnownDifference struct {
	// ID is the id of the change, and Text a part of its text.
	ID, Text string
	// Reason is why it does not matter.
	Reason string
}

// KnownDifferences returns the reviewed list.
func KnownDifferences() []KnownDifference {
	var all []KnownDifference
	for line := range strings.Lines(knownDifferences) {
		if parts := strings.SplitN(line, " | ", 3); len(parts) == 3 && !strings.HasPrefix(line, "#") {
			all = append(all, KnownDifference{parts[0], parts[1], strings.TrimSpace(parts[2])})
		}
	}
	return all
}
