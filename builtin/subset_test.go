package builtin

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dop251/goja"

	"github.com/pawlhq/pawl/fsm"
	"github.com/pawlhq/pawl/fsm/expr"
)

// subsetSteps bounds what the machine spends on one script of a test.
const subsetSteps = 20_000

// agree fails the test when the machine's own evaluation of a script differs from the
// engine's. It reports whether there was something to compare.
func agree(t *testing.T, src string, doc []byte, function bool) bool {
	t.Helper()
	if expr.Check(doc) != nil || len(src) > 4096 {
		return false
	}
	defer func() {
		if x := recover(); x != nil {
			t.Errorf("%q (function: %v) on %s: panic: %v\n%s", src, function, doc, x, debug.Stack())
		}
	}()
	parse := expr.ParseScript
	if function {
		parse = expr.ParseFunction
	}
	script, err := parse(src)
	job := Job{Language: JavaScript, Source: src, Function: function, Input: doc}
	var outside *expr.SubsetError
	if err != nil {
		if !errors.As(err, &outside) {
			if _, o := compileScript(&job); o.Failure == fsm.JobDone {
				t.Errorf("%q (function: %v): the machine says %v, the engine takes it", src, function, err)
			}
			return true
		}
		return false
	}
	got, err := script.Eval(expr.Raw(doc), &expr.Budget{Steps: subsetSteps})
	if errors.As(err, &outside) || errors.Is(err, expr.ErrBudget) {
		return false
	}
	wrong := func(format string, args ...any) {
		t.Errorf("%q (function: %v) on %s: %s", src, function, doc, fmt.Sprintf(format, args...))
	}
	program, o := compileScript(&job)
	if o.Failure != fsm.JobDone {
		// The engine ends a statement at a line end although a semicolon follows.
		if o.Message != "SyntaxError: Unexpected token else" {
			wrong("the machine takes it, the engine says %s", o.Message)
		}
		return true
	}
	vm := goja.New()
	w := newResultWriter(vm)
	if err := errors.Join(addEqual(vm), vm.Set("$", toScript(vm, doc))); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(Limit, func() { vm.Interrupt("deadline") })
	defer timer.Stop()
	want, thrown := vm.RunProgram(program)
	if err != nil || thrown != nil {
		compareThrown(err, thrown, wrong)
		return true
	}
	w.value(want, 0)
	if a, b := canonical(t, got.AppendJSON(nil)), canonical(t, w.dst); a != b {
		wrong("value: got %s, want %s", a, b)
	}
	if truth := engineTruth(want); got.Truth() != truth {
		wrong("truth: got %v, want %v", got.Truth(), truth)
	}
	if text, ok := engineText(want); ok && got.Text() != text {
		wrong("text: got %q, want %q", got.Text(), text)
	}
	return true
}

func compareThrown(err, thrown error, wrong func(string, ...any)) {
	var ex *goja.Exception
	switch {
	case err == nil:
		wrong("got a value, the engine throws %v", thrown)
	case thrown == nil:
		wrong("got %v, the engine has a value", err)
	case errors.As(thrown, &ex) && class(ex.Value().String()) != class(err.Error()):
		wrong("got %v, the engine throws %v", err, ex.Value())
	}
}

// class is that of an error: the engine's messages do not tell null from undefined.
func class(message string) string {
	name, _, _ := strings.Cut(message, ":")
	return name
}

// canonical is how the engine writes a value that it was given.
func canonical(t *testing.T, raw []byte) string {
	t.Helper()
	o := Evaluate(Job{Language: JavaScript, Source: "$", Input: raw}, Limit)
	if o.Failure != fsm.JobDone {
		t.Fatalf("%s: %+v", raw, o)
	}
	return string(o.Result)
}

// engineTruth is whether a value keeps a loop going.
func engineTruth(v goja.Value) bool {
	if b, ok := v.Export().(bool); ok {
		return b
	}
	return goja.IsNumber(v) && v.ToFloat() > 0
}

// engineText is what a switch compares; objects are not the engine's to write.
func engineText(v goja.Value) (string, bool) {
	if _, ok := v.(*goja.Object); ok {
		return "", false
	}
	if goja.IsUndefined(v) || goja.IsNull(v) {
		return "null", true
	}
	return v.String(), true
}

const subsetDoc = `{"n": 5, "f": 1.50, "z": 0, "m": -0.0, "big": 12345678901234567890, "huge": 1e400, "s": "a\ud83d\ude00b", "half": "\ud83d", "e": "",
	"num": " 12 ", "t": true, "x": null, "l": [1, "2", null, [3], {"k": 1}, 1.0], "o": {"a": {"b": "c"}, "length": 3}, "loop": {"iteration": 2}, "0": "zero"}`

// FuzzScriptSubsetAgainstEngine holds what the machine evaluates itself to the engine:
// whatever it takes has the same value, truth, text or error, and what it calls badly
// formed the engine refuses.
func FuzzScriptSubsetAgainstEngine(f *testing.F) {
	for _, src := range subsetSeeds {
		f.Add(src, []byte(subsetDoc), false)
		f.Add("return "+src, []byte(subsetDoc), true)
	}
	for i := range 64 {
		g := generator{rand.New(rand.NewPCG(1, uint64(i)))}
		f.Add(g.script(), []byte(subsetDoc), i%4 == 0)
	}
	f.Fuzz(func(t *testing.T, src string, doc []byte, function bool) { agree(t, src, doc, function) })
}

var subsetSeeds = []string{
	"if ($.loop['iteration'] < $.n) { true; } else { false; }",
	"function e() { const a = $.l.indexOf(2); return a > 0 ? 'x' : \"y\" } e();",
	"(() => String($.l) + Number('0x1f') % 3)()", "$.s.includes('a') && !$.missing || -$.n",
	"var a = 1, b = a\na + b // c", "(function(){ if ($.n == '5') { return 'a' } return 'b' }())", "$.o.a.b === 'c' ? 1 : 0",
	"1\n/* x\n */ -1", "$.l[0] + $.l[1] + $.l[3] + $.l", "'\\u{1f600}' < $.s", "$.huge > 1e308", "$.m / 0", "-$.z + ''",
	"$.x == undefined", "$.l.includes($.x)", "{ 1; { 2 } }", "if (1) ; else 2", "'\\\n'", "0.1 + .2 + 1. + 1e-7 + 1e21 + ''",
	"let x = 5; x % -3", "'b' > 'a' > 0", "$.num == 12", "!'' + -'' + +' 0b11 '", "$.half + '\\ude00'", "$['o']['length'] + $.s.length",
	"const a = $.o; a['a'].b.startsWith('c')", "$.missing.x", "$.n.length", "$.x['y']", "$.l.indexOf(NaN)", "5..z", "var", "1 +", "((1)", "'a",
	"} 1", "a b", "if", "let let = 1", "({})", "[1]", "$.a = 1", "x => x", "`a`", "/a/", "1 ? 2", "return 1", "$..a", "$.1", "0x", "1__0", "0777", "\"\\8\"",
}

// generator makes scripts in and around the subset.
type generator struct{ r *rand.Rand }

func (g generator) one(of ...string) string { return of[g.r.IntN(len(of))] }

func (g generator) script() string {
	switch g.r.IntN(8) {
	case 0:
		return "(function(){" + g.body(3) + "})()"
	case 1:
		return "function e(){" + g.body(3) + "} e();"
	case 2:
		return "(() => " + g.expr(3) + ")()"
	case 3:
		return "(() => {" + g.body(3) + "})()"
	}
	return g.statements(3, false)
}

func (g generator) body(depth int) string { return g.statements(depth, true) }

func (g generator) statements(depth int, inFunction bool) string {
	var out strings.Builder
	for range 1 + g.r.IntN(3) {
		out.WriteString(g.statement(depth, inFunction))
		out.WriteString(g.one(";", "\n", ";\n", " ; ", "; // c\n", "", " /* \n */ "))
	}
	return out.String()
}

func (g generator) statement(depth int, inFunction bool) string {
	if depth == 0 {
		return g.expr(1)
	}
	switch g.r.IntN(9) {
	case 0:
		return "if (" + g.expr(depth-1) + ") {" + g.statements(depth-1, inFunction) + "} else {" + g.statements(depth-1, inFunction) + "}"
	case 1:
		return "if (" + g.expr(depth-1) + ") " + g.statement(depth-1, inFunction) + g.one(";", "", "\n") + g.one("", " else "+g.statement(depth-1, inFunction))
	case 2:
		return g.one("var ", "let ", "const ") + g.one("a", "b", "c", "d", "undefined", "e") + g.one(" = ", "=") + g.expr(depth-1) + g.one("", ", f = "+g.expr(depth-1))
	case 3:
		return "{" + g.statements(depth-1, inFunction) + "}"
	case 4, 5:
		if inFunction {
			return g.one("return ", "return\n", "return(") + g.expr(depth) + g.one("", ")")
		}
	}
	return g.expr(depth)
}

func (g generator) expr(depth int) string {
	if depth <= 0 {
		return g.leaf()
	}
	sub := func() string { return g.expr(depth - 1) }
	switch g.r.IntN(14) {
	case 0, 1, 2, 3:
		return sub() + g.one(" ", "", "\n") + g.one("+", "-", "*", "/", "%", "<", "<=", ">", ">=", "==", "!=", "===", "!==", "&&", "||", "+", "<", "==") + g.one(" ", "", " -", " +") + sub()
	case 4:
		return sub() + " ? " + sub() + " : " + sub()
	case 5:
		return g.one("!", "-", "+", "!!", "- -", "+ +") + sub()
	case 6:
		return "(" + sub() + ")"
	case 7:
		return g.one("String", "Number") + "(" + sub() + ")"
	case 8:
		return g.path() + g.one(".indexOf", ".includes", ".startsWith", ".indexOf", ".includes") + "(" + sub() + ")"
	case 9:
		return "(" + sub() + ")" + g.one("[", ".length[", "["+sub()+"][") + sub() + "]"
	case 10:
		return g.path() + "[" + sub() + "]"
	case 11:
		return "(" + g.one("function(){return ", "() => {return ", "function f(){") + sub() + "})()"
	}
	return g.leaf()
}

func (g generator) path() string {
	p := "$"
	for range 1 + g.r.IntN(3) {
		p += g.one(".n", ".f", ".z", ".s", ".l", ".o", ".x", ".half", ".e", ".missing", "['l']", "[0]", "[1]", ".length", ".a", ".b", ".big", ".num", "[-1]", "['a b']", "[1.0]", "[0x1]")
	}
	return p
}

func (g generator) leaf() string {
	switch g.r.IntN(6) {
	case 0:
		return g.one("0", "1", "2", "-1", "1.5", "1e3", ".5", "5.", "0x1F", "0b101", "1e21", "1e-7", "9007199254740993", "1e400", "0.1", "123456789012345680000", "4.35", "100")
	case 1:
		return g.one(`""`, `"a"`, "'b'", `'\u0061'`, `"\ud83d"`, `'\x41'`, `" 12 "`, `'0x10'`, `'1e3'`, `"\n"`, `'é'`, `'😀'`, `"Infinity"`, `'-0'`, `"5"`, `'\
'`, `'.'`, `'1_0'`, "'\u00a0 7'")
	case 2:
		return g.one("true", "false", "null", "undefined", "NaN", "Infinity", "a", "b", "$")
	}
	return g.path()
}

// subsetRuns is how many scripts a plain test run makes; PAWL_SUBSET_RUNS sets another.
const subsetRuns = 4000

func TestGeneratedScriptsAgreeWithTheEngine(t *testing.T) {
	runs, seed := subsetRuns, uint64(time.Now().UnixNano())
	if n, err := strconv.Atoi(os.Getenv("PAWL_SUBSET_RUNS")); err == nil {
		runs = n
	}
	if n, err := strconv.ParseUint(os.Getenv("PAWL_SEED"), 10, 64); err == nil {
		seed = n
	}
	t.Logf("PAWL_SEED=%d", seed)
	g := generator{rand.New(rand.NewPCG(seed, 0))}
	compared := 0
	for range runs {
		if agree(t, g.script(), []byte(subsetDoc), false) {
			compared++
		}
		if agree(t, g.body(3), []byte(subsetDoc), true) {
			compared++
		}
		if t.Failed() {
			break
		}
	}
	t.Logf("%d of %d compared", compared, 2*runs)
	if compared < runs/10 {
		t.Errorf("only %d of %d scripts were in the subset", compared, 2*runs)
	}
}

func TestSeedsOfTheSubsetAgreeWithTheEngine(t *testing.T) {
	if !json.Valid([]byte(subsetDoc)) {
		t.Fatal("the document is not JSON")
	}
	for _, src := range subsetSeeds {
		agree(t, src, []byte(subsetDoc), false)
		agree(t, src, []byte(subsetDoc), true)
	}
}
