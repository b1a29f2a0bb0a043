package mirror_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// parse reads the Go files in dir whose names match.
func parse(t *testing.T, dir string, match func(name string) bool) []*ast.File {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	var files []*ast.File
	for _, name := range all {
		if match(name) {
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			files = append(files, f)
		}
	}
	require.NotEmpty(t, files)
	return files
}

// exported calls f with each exported name of the package in dir, and with the part of the syntax that a
// user sees of it.
func exported(t *testing.T, dir string, f func(name string, seen ast.Node)) {
	t.Helper()
	for _, file := range parse(t, dir, func(name string) bool { return !strings.HasSuffix(name, "_test.go") }) {
		for _, decl := range file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && (d.Recv == nil || ast.IsExported(receiver(d))) {
					f(d.Name.Name, d.Type)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch s := spec.(type) {
					case *ast.TypeSpec:
						if s.Name.IsExported() {
							exportedType(s, f)
						}
					case *ast.ValueSpec:
						for _, name := range s.Names {
							if name.IsExported() {
								f(name.Name, s)
							}
						}
					}
				}
			}
		}
	}
}

func exportedType(s *ast.TypeSpec, f func(string, ast.Node)) {
	st, isStruct := s.Type.(*ast.StructType)
	if !isStruct {
		f(s.Name.Name, s.Type)
		return
	}
	f(s.Name.Name, s.Name)
	for _, field := range st.Fields.List {
		for _, name := range field.Names {
			if name.IsExported() {
				f(name.Name, field.Type)
			}
		}
		if len(field.Names) == 0 {
			f("", field.Type)
		}
	}
}

func receiver(d *ast.FuncDecl) string {
	typ := d.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	return typ.(*ast.Ident).Name
}

func TestSurface_NoGeneratedTypes(t *testing.T) {
	exported(t, ".", func(name string, seen ast.Node) {
		ast.Inspect(seen, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if pkg, ok := sel.X.(*ast.Ident); ok {
					require.NotEqual(t, "gen", pkg.Name, "%s shows a generated type", name)
				}
			}
			return true
		})
	})
}

// Methods that fmt, slog, errors and the encoders call; tests reach them through those.
var calledByOthers = regexp.MustCompile(`^(Error|Is|Unwrap|String|LogValue|Format|(Unm|M)arshal(JSON|Text)|RoundTrip|ServeHTTP|Read|Close|Do)$`)

func TestSurface_EveryExportedNameIsUsedFromOutside(t *testing.T) {
	for dir, outside := range map[string][]string{".": {"."}, "mirrortest": {"mirrortest", ".", "../contract"}, "../contract": {"../contract"}, "../../api": {"../contract", "../contract/internal/specdiff"}} {
		t.Run(dir, func(t *testing.T) { everyNameIsUsed(t, dir, outside) })
	}
}

func everyNameIsUsed(t *testing.T, dir string, outside []string) {
	used := map[string]bool{}
	var tests []*ast.File
	for _, from := range outside {
		tests = append(tests, parse(t, from, func(name string) bool {
			return strings.HasSuffix(name, "_test.go") || from != dir // another package is outside too
		})...)
	}
	for _, file := range tests {
		if !strings.HasSuffix(file.Name.Name, "_test") && slices.Contains(outside, dir) {
			continue // a test from inside
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				used[n.Sel.Name] = true
			case *ast.KeyValueExpr:
				if key, ok := n.Key.(*ast.Ident); ok {
					used[key.Name] = true
				}
			}
			return true
		})
	}
	exported(t, dir, func(name string, _ ast.Node) {
		require.True(t, used[name] || calledByOthers.MatchString(name), "no test and no example outside the package uses %s", name)
	})
}

func TestSurface_WhatAUserLinks(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if .Module}}{{.Module.Path}}{{end}}", ".").Output()
	require.NoError(t, err)
	modules := map[string]bool{}
	for _, m := range strings.Fields(string(out)) {
		modules[m] = true
	}
	require.Equal(t, map[string]bool{
		"github.com/seed25095279/clusterlink-go": true,
		"github.com/oapi-codegen/runtime":        true,
		"github.com/go-json-experiment/json":     true,
		// What the runtime takes along.
		"github.com/apapsch/go-jsonmerge/v2": true,
		"github.com/google/uuid":             true,
	}, modules)
}

// What the README shows are the examples, which run.
func TestSurface_ReadmeShowsTheExamples(t *testing.T) {
	flat := func(file string) string {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var lines []string
		for line := range strings.Lines(string(text)) {
			lines = append(lines, strings.TrimSpace(line))
		}
		return strings.Join(lines, "\n")
	}
	examples := flat("example_test.go") + flat("mirrortest/example_test.go") + flat("../contract/example_test.go")
	snippets := strings.Split(flat("../../README.md"), "```go\n")[1:]
	require.NotEmpty(t, snippets)
	for _, snippet := range snippets {
		snippet, _, _ = strings.Cut(snippet, "```")
		require.Contains(t, examples, snippet)
	}
}
