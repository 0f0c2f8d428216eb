package expr

import (
	"bufio"
	"encoding/json"
	"errors"
	"math"
	"os"
	"strings"
	"testing"
)

// show returns a result as testdata/scripts.js does.
func show(r Result) string {
	switch {
	case r.v.kind == jsUndefined:
		return "undefined"
	case r.v.kind == jsNumber && r.v.num == 0 && math.Signbit(r.v.num):
		return "-0"
	case r.v.kind == jsNumber && !isFinite(r.v.num):
		return r.v.text()
	}
	return string(r.AppendJSON(nil))
}

func sameJSON(a, b string) bool {
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return a == b
	}
	ax, _ := json.Marshal(x)
	by, _ := json.Marshal(y)
	return string(ax) == string(by)
}

// TestScriptsAgreeWithEngine compares with what a JavaScript engine gave. A
// script of the table may be outside only where it needs an object's identity.
func TestScriptsAgreeWithEngine(t *testing.T) {
	dollar, err := os.ReadFile("testdata/dollar.json")
	if err != nil {
		t.Fatal(err)
	}
	file := os.Getenv("PAWL_SCRIPTS")
	if file == "" {
		file = "testdata/scripts.jsonl"
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n, outside := 0, 0
	for lines := bufio.NewScanner(f); lines.Scan(); n++ {
		var c struct{ Script, Want string }
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		s, err := ParseScript(c.Script)
		if err != nil {
			t.Errorf("%s: %v", c.Script, err)
			continue
		}
		r, err := s.Eval(Raw(dollar), &Budget{Steps: MaxEvalSteps})
		var thrown *ScriptError
		var subset *SubsetError
		got := show(r)
		switch {
		case errors.As(err, &thrown):
			got = "throws"
		case errors.As(err, &subset) && subset.What == "identity of objects":
			outside++
			continue
		case err != nil:
			got = err.Error()
		}
		if got != c.Want && !sameJSON(got, c.Want) {
			t.Errorf("%s: got %s, want %s", c.Script, got, c.Want)
		}
	}
	t.Logf("%d scripts, %d outside", n, outside)
	if n < 500 || outside > n/20 {
		t.Errorf("%d scripts, %d outside: the table has lost its use", n, outside)
	}
}

func TestParseScriptRefuses(t *testing.T) {
	for _, src := range []string{
		"a", "$.", "$.a.b(", "$.x()", "$.x(1)", "$.list.map(1)", "$.s.indexOf()", "$.s.indexOf(1, 2)", "$.s.toUpperCase()",
		"x = 1", "$.a = 1", "$.a++", "--$.a", "1 ?? 2", "$?.a", "2 ** 3", "1 & 2", "1 << 2", "~1", "typeof 1", "void 0", "'a' in $",
		"$.a instanceof x", "new Date()", "({a: 1})", "[1]", "[]", "{a: 1}", "{\"a\": 1}", "a: 1", "`x`", "/x/", "/x/.test('x')",
		"for (;;) {}", "while (true) {}", "do {} while (0)", "switch (1) {}", "throw 1", "try {} catch (e) {}", "break", "return 1",
		"if (true) true else false", "if true 1", "if (1) let a = 1", "if (1) function f() {}", "1 2", "1,2", "(1,2)", "(1", "1)", "}", "{",
		"const a", "const a = 1; const a = 2", "var $ = 1", "let String = 1", "const this = 1", "let let = 1", "a; const a = 1",
		"{ const a = 1 } a", "if (1) { var a = 1 } a", "const a = a", "const a = 1; a()", "const a = 1; a = 2",
		"function f(x) { return x } f(1)", "function f() {} f", "f(); function f() {}", "function f() { return f() } f()",
		"function f() { return a } const a = 1; f()", "function f() { return 1 } f(2)", "(function () {})", "(function () {})(1)",
		"(function (a) {})()", "(x => x)(1)", "(() => 1)", "(() => 1)(2)", "() => 1", "(() => 1())", "(async () => 1)()", "(function* () {})()",
		"(function f() { return f })()", "const f = 1; (function f() { return f })()", "(function () { function g() {} })()",
		"String", "String()", "String(1, 2)", "Number", "String.length", "parseInt('1')", "JSON", "Math.abs(1)", "arguments", "this", "eval('1')",
		"'a", "'a\n'", "'\\1'", "'\\u12'", "'\\u{110000}'", "'\\xg'", "010", "09", "1n", "1_000", "1a", "0x", "0xg", "0b2", "1.x",
		"0x20000000000001", "'a' <!-- b", "/* x", "# x", "é", "$.é", "\\u0061", "1\n(2)", "const a = 1\n(2)", "$.a\n(1)", "...$", "async", "import('x')", "yield 1", "\xff",
	} {
		_, err := ParseScript(src)
		var subset *SubsetError
		if !errors.As(err, &subset) {
			t.Errorf("ParseScript(%q): got %v, want a *SubsetError", src, err)
		}
	}
}

func TestScriptDepthIsBounded(t *testing.T) {
	for _, part := range [][3]string{
		{"(", "1", ")"}, {"!", "1", ""}, {"1 + ", "1", ""}, {"1 ? ", "1", " : 1"}, {"1 ? 1 : ", "1", ""}, {"$[", "1", "]"}, {"{", "1", "}"},
		{"if (1) ", "1", ""}, {"if (1) ; else ", "1", ""}, {"(() => ", "1", ")()"}, {"(function () { return ", "1", " })()"}, {"- ", "1", ""},
		{"String(", "1", ")"}, {"1 && ", "1", ""}, {"", "$", ".a"}, {"", "$", "[0]"},
	} {
		src := strings.Repeat(part[0], 5000) + part[1] + strings.Repeat(part[2], 5000)
		if _, err := ParseScript(src); err == nil {
			t.Errorf("%q 5000 times: compiled", part[0]+part[2])
		}
		src = strings.Repeat(part[0], 20) + part[1] + strings.Repeat(part[2], 20)
		if _, err := ParseScript(src); err != nil {
			t.Errorf("%s: %v", src, err)
		}
	}
	if _, err := ParseScript(strings.Repeat(" ", MaxScriptBytes) + "1"); err == nil {
		t.Error("a script above MaxScriptBytes compiled")
	}
}

func run(t *testing.T, src, dollar string) (Result, error) {
	t.Helper()
	s, err := ParseScript(src)
	if err != nil {
		t.Fatalf("ParseScript(%q): %v", src, err)
	}
	return s.Eval(Raw([]byte(dollar)), &Budget{Steps: MaxEvalSteps})
}

func TestB54ScriptResultsMatchCases(t *testing.T) {
	const dollar = `{"yes": true, "one": 1, "r": 1.0, "half": 0.5, "s": "x", "nul": null, "o": {"a": [1, "b"]}, "neg": -1, "numeral": "1"}`
	tests := []struct {
		src, text, json string
		kind            Kind
		truth           bool
	}{
		{"$.yes", "true", "true", Bool, true},
		{"!$.yes", "false", "false", Bool, false},
		{"$.one", "1", "1", Number, true},
		{"$.r", "1", "1", Number, true},
		{"$.half", "0.5", "0.5", Number, true},
		{"$.neg", "-1", "-1", Number, false},
		{"0", "0", "0", Number, false},
		{"0 / 0", "NaN", "null", Null, false},
		{"1 / 0", "Infinity", "null", Null, true},
		{"$.s", "x", `"x"`, String, false},
		{"$.numeral", "1", `"1"`, String, false},
		{"'true'", "true", `"true"`, String, false},
		{"$.nul", "null", "null", Null, false},
		{"$.missing", "null", "null", Null, false},
		{"$.o", "{a=[1, b]}", `{"a": [1, "b"]}`, Map, false},
		{"$.o.a", "[1, b]", `[1, "b"]`, Array, false},
	}
	for _, tt := range tests {
		r, err := run(t, tt.src, dollar)
		if err != nil || r.Text() != tt.text || string(r.AppendJSON(nil)) != tt.json || r.Kind() != tt.kind || r.Truth() != tt.truth {
			t.Errorf("%s: got text %q, JSON %s, kind %d, truth %v, error %v", tt.src, r.Text(), r.AppendJSON(nil), r.Kind(), r.Truth(), err)
		}
	}
}

func TestScriptErrors(t *testing.T) {
	const dollar = `{"n": 1, "o": {}, "l": [{}, {}], "nul": null, "s": "a", "own": {"toString": 1, "constructor": 2}}`
	thrown := []struct{ src, want string }{
		{"$.missing.x", "TypeError: Cannot read property 'x' of undefined"},
		{"$.nul['a b']", "TypeError: Cannot read property 'a b' of null"},
		{"$.missing[$.n]", "TypeError: Cannot read property '1' of undefined"},
		{"$.missing.indexOf('x')", "TypeError: Cannot read property 'indexOf' of undefined"},
		{"$.n.indexOf('x')", "TypeError: $.n.indexOf is not a function"},
		{"$.l.startsWith('x')", "TypeError: $.l.startsWith is not a function"},
	}
	for _, tt := range thrown {
		_, err := run(t, tt.src, dollar)
		var e *ScriptError
		if !errors.As(err, &e) || e.Message != tt.want {
			t.Errorf("%s: got %v, want %s", tt.src, err, tt.want)
		}
	}
	for _, src := range []string{
		"$.o == $.o", "$.l.indexOf($.o)", "$.o.constructor", "$.o[$.s + 'x'] || $.o['toString']", "$.l.map", "$.s.trim", "$.n.toFixed",
		"$.own + ''", "Number('0xffffffffffffffff')",
	} {
		_, err := run(t, src, dollar)
		var e *SubsetError
		if !errors.As(err, &e) {
			t.Errorf("%s: got %v, want a *SubsetError", src, err)
		}
	}
	if r, err := run(t, "$.own.constructor", dollar); err != nil || r.Text() != "2" {
		t.Errorf("own property: got %s, %v", r.Text(), err)
	}
}

func TestParseFunctionReturns(t *testing.T) {
	tests := []struct{ src, want string }{
		{"return 1", "1"},
		{"return $.a - 1;", "1"},
		{"if ($.a)\n\treturn $.a\nelse if($.b)\nreturn $.b\nelse\nreturn 0;", "2"},
		{"var x = $.a; return x", "2"},
		{"5", "undefined"},
		{"", "undefined"},
		{"return", "undefined"},
		{"if ($.b) { return 1 }", "undefined"},
	}
	for _, tt := range tests {
		s, err := ParseFunction(tt.src)
		if err != nil {
			t.Fatalf("ParseFunction(%q): %v", tt.src, err)
		}
		r, err := s.Eval(Raw([]byte(`{"a": 2}`)), nil)
		if show(r) != tt.want || err != nil {
			t.Errorf("%q: got %s, %v, want %s", tt.src, show(r), err, tt.want)
		}
	}
}

func TestScriptRoots(t *testing.T) {
	tests := []struct {
		src, roots string
		all        bool
		root       string
		members    string
		whole      bool
	}{
		{"$.loop['iteration'] < $.value", "loop value", false, "loop", "iteration", false},
		{"$.value < 3 || $.loop.x + $.value + $.loop.y", "value loop", false, "loop", "x y", false},
		{"$.loop[$.i]", "loop i", false, "loop", "", true},
		{"$[$.i]", "i", true, "i", "", true},
		{"$", "", true, "loop", "", true},
		{"const d = $; d.loop.x", "", true, "loop", "", true},
		{"const l = $.loop; l.x", "loop", false, "loop", "", true},
		{"$.list.indexOf($.x.y)", "list x", false, "list", "", true},
		{"$.list.indexOf($.x.y)", "list x", false, "x", "y", false},
		{"$.indexOf('x')", "", true, "x", "", true},
		{"$.list.length > 0", "list", false, "list", "length", false},
		{"$.a.b.c.d", "a", false, "a", "b", false},
		{"1", "", false, "a", "", false},
		{"(function () { return $.a.b })()", "a", false, "a", "b", false},
	}
	for _, tt := range tests {
		s, err := ParseScript(tt.src)
		if err != nil {
			t.Fatalf("ParseScript(%q): %v", tt.src, err)
		}
		members, whole := s.Members(tt.root)
		if roots := strings.Join(s.Roots(), " "); roots != tt.roots || s.AllRoots() != tt.all {
			t.Errorf("%s: got roots %q, all %v", tt.src, roots, s.AllRoots())
		}
		if got := strings.Join(members, " "); got != tt.members || whole != tt.whole {
			t.Errorf("%s: got members of %s %q, whole %v", tt.src, tt.root, got, whole)
		}
	}
}

func TestScriptWalksComposites(t *testing.T) {
	root := Composite(pair{Raw([]byte(`{"iteration": 3}`)), Composite(pair{Raw([]byte("1")), Value{}})})
	s, err := ParseScript("$.left.iteration + $.right.left + ($.right.right === undefined) + ($.nope === undefined) + ($.right + '')")
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Eval(root, nil)
	if got := r.Text(); got != "6[object Object]" || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
}
