// Package api holds the contract: the OpenAPI document that the client in gen is generated from.
//
// It imports the standard library only, so that a contract check anywhere can read the document
// without taking a parser along. To change mirror topics, use package mirror in pkg/mirror.
package api

import (
	_ "embed"
	"slices"
)

//go:embed openapi.yaml
var spec []byte

// Spec returns the OpenAPI document, as YAML. Each call returns a copy that the caller owns.
func Spec() []byte { return slices.Clone(spec) }
