//go:build tools || generate

// Package tools holds the one go:generate line of the module. The generator itself is a tool of
// go.mod: an import here would hand its whole tree to those who only want the library.
package tools

//go:generate go tool oapi-codegen -config api/oapi-codegen.yaml api/openapi.yaml
