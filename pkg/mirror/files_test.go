package mirror_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Files can be read from the top down: no two name each other, but for methods of Client and Report, which each
// stand where their subject is.
func TestFiles_NoTwoNameEachOther(t *testing.T) {
	s := load(t)
	paths, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var files []*ast.File
	for _, path := range paths {
		if !strings.HasSuffix(path, "_test.go") {
			file, err := parser.ParseFile(s.fset, path, nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			files = append(files, file)
		}
	}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}}
	p, err := (&types.Config{Importer: s.importer}).Check(module+"/pkg/mirror", s.fset, files, info)
	require.NoError(t, err)
	ofTheirOwn := func(o types.Object) bool {
		f, isFunc := o.(*types.Func)
		if !isFunc || f.Signature().Recv() == nil {
			return false
		}
		recv := f.Signature().Recv().Type().String()
		return strings.HasSuffix(recv, "mirror.Client") || strings.HasSuffix(recv, "mirror.Report")
	}
	fileOf := func(pos token.Pos) string { return filepath.Base(s.fset.Position(pos).Filename) }
	names := map[[2]string]string{} // a file, another that it names, and what it names there
	for _, file := range files {
		for _, d := range file.Decls {
			if f, isFunc := d.(*ast.FuncDecl); isFunc && ofTheirOwn(info.Defs[f.Name]) {
				continue
			}
			ast.Inspect(d, func(n ast.Node) bool {
				id, isIdent := n.(*ast.Ident)
				if o := info.Uses[id]; isIdent && o != nil && o.Pkg() == p && !ofTheirOwn(o) {
					names[[2]string{fileOf(id.Pos()), fileOf(o.Pos())}] = o.Name()
				}
				return true
			})
		}
	}
	require.Greater(t, len(names), len(files))
	for pair, name := range names {
		if back := names[[2]string{pair[1], pair[0]}]; pair[0] < pair[1] {
			require.Empty(t, back, "%s names %s of %s, which names it", pair[0], name, pair[1])
		}
	}
}
