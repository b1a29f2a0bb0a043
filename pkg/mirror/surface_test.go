package mirror_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

var update = flag.Bool("update", false, "write the golden files anew")

const module = "github.com/seed25095279/clusterlink-go"

// surface is the exported API of the module's packages, and what uses it.
type surface struct {
	fset     *token.FileSet
	importer types.Importer
}

// load makes a surface of what the go command has compiled.
func load(t *testing.T) *surface {
	t.Helper()
	out, err := exec.Command("go", "list", "-test", "-export", "-deps",
		"-f", "{{if .Export}}{{.ImportPath}}\t{{.Export}}{{end}}", module+"/...").Output()
	require.NoError(t, err)
	exports := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), "\t")
		exports[path] = file
	}
	s := &surface{fset: token.NewFileSet()}
	s.importer = importer.ForCompiler(s.fset, "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(exports[path])
	})
	return s
}

func (s *surface) pkg(t *testing.T, path string) *types.Package {
	t.Helper()
	p, err := s.importer.Import(module + "/" + path)
	require.NoError(t, err)
	return p
}

// exported calls f with each exported object of a package: its names, and the fields and methods of its
// types, each with the name that it goes by.
func exported(p *types.Package, f func(name string, o types.Object)) {
	for _, name := range p.Scope().Names() {
		o := p.Scope().Lookup(name)
		if !o.Exported() {
			continue
		}
		f(name, o)
		named, isType := o.Type().(*types.Named)
		if _, isTypeName := o.(*types.TypeName); !isType || !isTypeName {
			continue
		}
		for m := range named.Methods() {
			if m.Exported() {
				f(name+"."+m.Name(), m)
			}
		}
		if st, isStruct := named.Underlying().(*types.Struct); isStruct {
			for field := range st.Fields() {
				if field.Exported() {
					f(name+"."+field.Name(), field)
				}
			}
		}
	}
}

func TestSurface_NoGeneratedTypes(t *testing.T) {
	s := load(t)
	exported(s.pkg(t, "pkg/mirror"), func(name string, o types.Object) {
		if _, isTypeName := o.(*types.TypeName); !isTypeName { // its fields and methods come by themselves
			require.NotContains(t, o.Type().String(), module+"/gen", "%s shows a generated type", name)
		}
	})
}

// Methods that fmt, slog, errors and the encoders call; tests reach them through those.
var calledByOthers = regexp.MustCompile(
	`\.(Error|Is|Unwrap|String|LogValue|Format|(Unm|M)arshal(JSON|Text)|RoundTrip|ServeHTTP)$`,
)

func TestSurface_EveryExportedNameIsUsedFromOutside(t *testing.T) {
	s := load(t)
	used := map[types.Object]bool{}
	for _, dir := range []string{
		".", "journal", "mirrortest",
		"../contract", "../contract/internal/specdiff", "internal/demo", "internal/serve",
	} {
		for _, tests := range []bool{true, false} {
			if !tests && !strings.Contains(dir, "internal") {
				continue // a package may not vouch for itself
			}
			s.uses(t, dir, tests, used)
		}
	}
	var unused []string
	for _, path := range []string{"pkg/mirror", "pkg/mirror/journal", "pkg/mirrortest", "pkg/contract", "api"} {
		exported(s.pkg(t, path), func(name string, o types.Object) {
			if !used[o] && !calledByOthers.MatchString(name) {
				unused = append(unused, path+" "+name)
			}
		})
	}
	require.Empty(t, unused, "no test and no example outside of the package uses these")
}

// uses notes what the files in dir use: its tests from outside, or its program.
func (s *surface) uses(t *testing.T, dir string, tests bool, used map[types.Object]bool) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") != tests {
			continue
		}
		f, err := parser.ParseFile(s.fset, name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		if strings.HasSuffix(f.Name.Name, "_test") || f.Name.Name == "main" {
			files = append(files, f)
		}
	}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	conf := types.Config{Importer: s.importer, Error: func(error) {}} // a main's own tests may use what is not here
	_, _ = conf.Check(dir, s.fset, files, info)
	for _, o := range info.Uses {
		used[o] = true
	}
}

// The exported API stands in a file, so that a change is seen in review: go test -run Surface -update.
func TestSurface_IsAsInTheGoldenFile(t *testing.T) {
	s := load(t)
	var lines []string
	for _, path := range []string{"pkg/mirror", "pkg/mirror/journal", "pkg/mirrortest", "pkg/contract"} {
		exported(s.pkg(t, path), func(name string, o types.Object) {
			qualifier := func(p *types.Package) string { return p.Name() }
			text := strings.Replace(types.ObjectString(o, qualifier), o.Pkg().Name()+".", "", 1)
			if _, isTypeName := o.(*types.TypeName); isTypeName {
				if _, isStruct := o.Type().Underlying().(*types.Struct); isStruct {
					text = "type " + name + " struct"
				}
			}
			if v, isVar := o.(*types.Var); isVar && v.IsField() {
				text = "field " + name + " " + types.TypeString(v.Type(), qualifier)
			}
			lines = append(lines, path+": "+text)
		})
	}
	requireGolden(t, "testdata/api.txt", strings.Join(lines, "\n")+"\n")
}

// requireGolden holds a text to a golden file.
func requireGolden(t *testing.T, file, text string) {
	t.Helper()
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), text, "%s: if that is meant, run the test with -update", file)
}

// The names of the JSON form are a promise. This report has every one of them.
func TestSurface_JSONNamesAreAsInTheGoldenFile(t *testing.T) {
	report, _ := reverse(t, serve(t, ok(`{"metadata":{"next":"p"},"data":[`+strings.Join([]string{
		`{"mirror_topic_name":"a","error_code":400,"error_message":"no",` +
			`"mirror_lags":[{"partition":0,"lag":1,"last_source_fetch_offset":1}],"messages_truncated":1,` +
			`"partition_level_truncation_data":[{"partition_id":0,"offset_truncated_to":1,"messages_truncated":1}]}`,
		`{"mirror_topic_name":"a","error_code":null}`, good("z"), failedRow("f"),
	}, ",")+`]}`)).client(t), "a", "b", "f")
	limited := mirrortest.WithHeader(mirrortest.Error(429, 42901, "slow"), "DoSFilter", "unavailable")
	limited = mirrortest.WithHeader(mirrortest.WithHeader(limited, "Retry-After", "9"), "X-Request-Id", "r")
	rejected, _ := reverse(t, serve(t, limited).client(t), "b")
	refused, _ := reverse(t, serve(t, mirrortest.Error(403, 40301, "x")).client(t), "c")
	pattern, _ := serve(t, ok("")).client(t).Validate(t.Context(), mirror.VerbReverseAndPause, "", mirror.All())
	trailing, _ := reverse(t, serve(t, ok(rows(good("d"))+"x")).client(t), "d")
	names := map[string]bool{}
	for _, r := range []*mirror.Report{report, rejected, refused, pattern, trailing} {
		var form any
		require.NoError(t, json.Unmarshal([]byte(marshal(t, r)), &form))
		collect(form, "", names)
	}
	requireGolden(t, "testdata/json.txt", strings.Join(slices.Sorted(maps.Keys(names)), "\n")+"\n")
}

// collect notes the path of each member.
func collect(v any, path string, names map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			names[path+"/"+name] = true
			collect(member, path+"/"+name, names)
		}
	case []any:
		for _, element := range v {
			collect(element, path+"[]", names)
		}
	}
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

// Every Go snippet of the README compiles when it is pasted into an empty file with its imports.
func TestSurface_ReadmeSnippetsCompile(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	paths := map[string]string{
		"context": "context", "log": "log", "os": "os", "http": "net/http", "testing": "testing",
		"require": "github.com/stretchr/testify/require", "mirror": module + "/pkg/mirror",
		"mirrortest": module + "/pkg/mirrortest", "contract": module + "/pkg/contract",
	}
	snippets := strings.Split(string(text), "```go\n")[1:]
	require.Len(t, snippets, 3)
	overlay := map[string]string{}
	for i, snippet := range snippets {
		snippet, _, _ = strings.Cut(snippet, "```")
		imports := map[string]bool{}
		for _, used := range regexp.MustCompile(`\b([a-z]+)\.[A-Z]`).FindAllStringSubmatch(snippet, -1) {
			if path := paths[used[1]]; path != "" {
				imports[path] = true
			}
		}
		source := "package main\n"
		for path := range imports {
			source += fmt.Sprintf("import %q\n", path)
		}
		file := filepath.Join(t.TempDir(), "snippet.go")
		require.NoError(t, os.WriteFile(file, []byte(source+snippet), 0o600))
		name := "main.go"
		if strings.HasPrefix(snippet, "func Test") {
			name = fmt.Sprintf("snippet%d_test.go", i)
		}
		here, err := filepath.Abs(filepath.Join("testdata/readme", name))
		require.NoError(t, err)
		overlay[here] = file
	}
	text, err = json.Marshal(map[string]any{"Replace": overlay})
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "overlay.json")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-o", filepath.Join(t.TempDir(), "out"),
		"-overlay", file, "./testdata/readme").CombinedOutput()
	require.NoError(t, err, string(out))
}
