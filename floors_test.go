package pawl_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/pawlhq/pawl/"

// floor lists what a folder may import of this module besides its own children. A
// folder that is missing here may not exist.
var floors = map[string][]string{
	"proto":          nil,
	"proto/gen":      nil,
	"fsm/table":      nil,
	"fsm/expr":       nil,
	"fsm/def":        {"fsm/expr"},
	"fsm/query":      nil,
	"fsm":            {"fsm/def", "fsm/expr", "fsm/query", "fsm/table"},
	"cluster/disk":   nil,
	"cluster/guard":  {"cluster/disk"},
	"cluster/wal":    {"cluster/disk", "cluster/guard"},
	"cluster/stable": {"cluster/disk", "cluster/guard"},
	"cluster/snap":   {"cluster/disk", "cluster/guard"},
	"cluster/peer":   {"cluster/disk", "cluster/guard", "fsm"},
	"cluster/gossip": {"cluster/disk", "cluster/guard", "fsm"},
	"cluster":        {"fsm", "cluster/disk", "cluster/guard", "cluster/wal", "cluster/stable", "cluster/snap", "cluster/peer", "cluster/gossip"},
	"scheduler":      {"fsm"},
	"builtin":        {"fsm", "fsm/def", "fsm/expr"},
	"transport":      {"transport/document", "transport/trial", "fsm", "fsm/def", "proto/gen"},

	"transport/document": nil,
	"transport/trial":    {"fsm", "fsm/def"},

	"jepsen/behaviour": {"fsm", "fsm/def", "fsm/expr", "builtin"},

	"sdk":             {"proto/gen"},
	"sdk/sdktest":     {"sdk", "cmd/pawl/server", "builtin"},
	"examples/order":  {"sdk"},
	"jepsen/model":    nil,
	"cmd/protogen":    nil,
	"cmd/pawl/server": {"fsm", "fsm/def", "cluster", "cluster/disk", "cluster/guard", "cluster/wal", "cluster/stable", "cluster/snap", "cluster/peer", "cluster/gossip", "scheduler", "builtin", "transport"},
	"cmd/pawl":        {"cmd/pawl/server", "builtin", "sdk", "proto/gen", "examples/order", "fsm/def", "cluster/guard", "transport/document"},
}

// testOnly lists what test files may import besides.
var testOnly = []string{"jepsen/model", "fsm", "fsm/def", "fsm/expr", "cluster/disk", "cluster/guard", "scheduler", "builtin", "sdk/sdktest", "sdk", "proto/gen", "transport"}

// sourceFiles walks the Go files of the module that people write.
func sourceFiles(t *testing.T, visit func(path string, file *ast.File, set *token.FileSet)) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != "." || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		visit(filepath.ToSlash(path), file, set)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// floorOf finds the entry of floors that a folder belongs to: itself or the nearest above.
func floorOf(dir string) (string, bool) {
	for d := dir; d != "." && d != ""; d = filepath.Dir(d) {
		if _, ok := floors[d]; ok {
			return d, true
		}
	}
	return "", false
}

func TestFoldersImportLowerFloorsOnly(t *testing.T) {
	sourceFiles(t, func(path string, file *ast.File, _ *token.FileSet) {
		dir := filepath.ToSlash(filepath.Dir(path))
		if dir == "." {
			return
		}
		own, ok := floorOf(dir)
		if !ok {
			t.Errorf("%s: folder is on no floor", dir)
			return
		}
		for _, spec := range file.Imports {
			target, ours := strings.CutPrefix(importPath(spec), module)
			if !ours || target == dir {
				continue
			}
			floor, known := floorOf(target)
			allowed := known && (floor == own || slices.Contains(floors[own], floor))
			if strings.HasSuffix(path, "_test.go") {
				allowed = allowed || known && slices.Contains(testOnly, floor)
			}
			if !allowed {
				t.Errorf("%s imports %s: not on a lower floor", path, target)
			}
		}
	})
}

func importPath(spec *ast.ImportSpec) string {
	p, _ := strconv.Unquote(spec.Path.Value)
	return p
}

// pure lists the packages that the machine may use. None of them has a clock,
// randomness, I/O, goroutines or an iteration order.
var pure = []string{"bytes", "cmp", "encoding/binary", "encoding/hex", "errors", "iter", "math", "math/bits", "slices",
	"strconv", "strings", "unicode/utf16", "unicode/utf8", "github.com/zeebo/xxh3"}

// impure lists functions of those packages whose result may change with the Go
// release or the platform.
var impure = map[string][]string{
	"strings": {"ToUpper", "ToLower", "EqualFold", "Title", "Fields", "TrimSpace", "ToTitle"},
	"bytes":   {"ToUpper", "ToLower", "EqualFold", "Title", "Fields", "TrimSpace", "ToTitle"},
	"math": {"Sin", "Cos", "Tan", "Exp", "Exp2", "Pow", "Log", "Log2", "Log10", "Log1p", "Cbrt", "Sinh", "Cosh", "Tanh", "FMA",
		"Gamma", "Hypot", "Atan", "Atan2", "Asin", "Acos"},
}

func TestMachineIsPure(t *testing.T) {
	sourceFiles(t, func(path string, file *ast.File, set *token.FileSet) {
		if !strings.HasPrefix(path, "fsm/") || strings.HasSuffix(path, "_test.go") {
			return
		}
		for _, spec := range file.Imports {
			p := importPath(spec)
			if !slices.Contains(pure, p) && !strings.HasPrefix(p, module+"fsm/") {
				t.Errorf("%s imports %s: the machine has no use for it", path, p)
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch x := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s: goroutine in the machine", set.Position(x.Pos()))
			case *ast.ChanType:
				t.Errorf("%s: channel in the machine", set.Position(x.Pos()))
			case *ast.SelectorExpr:
				if id, ok := x.X.(*ast.Ident); ok && slices.Contains(impure[id.Name], x.Sel.Name) {
					t.Errorf("%s: %s.%s may change with the release or platform", set.Position(x.Pos()), id.Name, x.Sel.Name)
				}
			case *ast.FuncDecl:
				if x.Name.Name == "init" && x.Recv == nil {
					t.Errorf("%s: init in the machine", set.Position(x.Pos()))
				}
			}
			return true
		})
	})
}

// Bounds of files and functions, so that no hub can grow.
const (
	maxFileLines     = 800
	maxFunctionLines = 70
)

func TestFilesAndFunctionsStaySmall(t *testing.T) {
	sourceFiles(t, func(path string, file *ast.File, set *token.FileSet) {
		if strings.HasPrefix(path, "proto/gen/") {
			return
		}
		if lines := set.Position(file.End()).Line; lines > maxFileLines {
			t.Errorf("%s has %d lines; at most %d", path, lines, maxFileLines)
		}
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			if n := set.Position(f.End()).Line - set.Position(f.Pos()).Line + 1; n > maxFunctionLines {
				t.Errorf("%s: %s has %d lines; at most %d", set.Position(f.Pos()), f.Name.Name, n, maxFunctionLines)
			}
		}
	})
}

func TestExportedNamesAreDocumented(t *testing.T) {
	packages := map[string]bool{}
	sourceFiles(t, func(path string, file *ast.File, set *token.FileSet) {
		if strings.HasPrefix(path, "proto/gen/") || strings.HasSuffix(path, "_test.go") {
			return
		}
		dir := filepath.Dir(path)
		packages[dir] = packages[dir] || file.Doc != nil
		for _, d := range file.Decls {
			undocumented(t, set, d)
		}
	})
	for dir, documented := range packages {
		if !documented {
			t.Errorf("%s: package has no comment", dir)
		}
	}
}

func undocumented(t *testing.T, set *token.FileSet, d ast.Decl) {
	t.Helper()
	report := func(name *ast.Ident, docs ...*ast.CommentGroup) {
		for _, doc := range docs {
			if doc != nil {
				return
			}
		}
		if name.IsExported() {
			t.Errorf("%s: %s has no comment", set.Position(name.Pos()), name.Name)
		}
	}
	switch x := d.(type) {
	case *ast.FuncDecl:
		if x.Recv == nil || exportedReceiver(x.Recv) && !boilerplate(x.Name.Name) {
			report(x.Name, x.Doc)
		}
	case *ast.GenDecl:
		for _, spec := range x.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				report(s.Name, x.Doc, s.Doc, s.Comment)
			case *ast.ValueSpec:
				for _, name := range s.Names {
					report(name, x.Doc, s.Doc, s.Comment)
				}
			}
		}
	}
}

// boilerplate names methods whose meaning an interface of the standard library gives.
func boilerplate(name string) bool {
	return slices.Contains([]string{"Error", "Unwrap", "String", "Len", "Less", "Swap"}, name)
}

func exportedReceiver(r *ast.FieldList) bool {
	t := r.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}

func TestDirectDependenciesHaveAReason(t *testing.T) {
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mod)) {
		name, version, ok := strings.Cut(strings.TrimSpace(line), " ")
		if ok && strings.Contains(name, ".") && strings.HasPrefix(version, "v") && !strings.Contains(version, "// indirect") &&
			!strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("ARCHITECTURE.md gives no reason for %s", name)
		}
	}
}
