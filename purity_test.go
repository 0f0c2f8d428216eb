package pawl_test

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// anyOrder marks the few loops over maps whose order nobody can see.
const anyOrder = "order does not matter"

func TestMachineHasNoOrderButThatOfItsTables(t *testing.T) {
	set := token.NewFileSet()
	from := importer.ForCompiler(set, "source", nil)
	for _, dir := range []string{"fsm/table", "fsm/expr", "fsm/def", "fsm"} {
		var files []*ast.File
		names, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		lines := map[string][]string{}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			src, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			file, err := parser.ParseFile(set, name, src, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
			lines[name] = strings.Split(string(src), "\n")
		}
		info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
		config := types.Config{Importer: from}
		if _, err := config.Check(module+dir, set, files, info); err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			ast.Inspect(file, func(n ast.Node) bool {
				loop, ok := n.(*ast.RangeStmt)
				if !ok {
					return true
				}
				if _, isMap := info.TypeOf(loop.X).Underlying().(*types.Map); isMap {
					at := set.Position(loop.Pos())
					if !strings.Contains(lines[at.Filename][at.Line-1], anyOrder) {
						t.Errorf("%s: range over a map: its order differs from node to node", at)
					}
				}
				return true
			})
		}
	}
}
