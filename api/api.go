// Package api holds the contract: the OpenAPI document that the client in gen is generated from.
//
// The package imports only the standard library, so a contract check can read the document without a parser. To
// change mirror topics, use package mirror in pkg/mirror.
package api

import (
	_ "embed"
	"slices"
)

//go:embed openapi.yaml
var spec []byte

// Spec returns the OpenAPI document as YAML. Each call returns a new copy.
func Spec() []byte { return slices.Clone(spec) }
