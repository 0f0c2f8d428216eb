package builtin

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

const script = JavaScript

func run(source, input string) Outcome {
	return Evaluate(Job{Language: script, Source: source, Input: json.RawMessage(input), Now: 1_700_000_000_123}, time.Second)
}

// The idioms of INLINE tasks, and what becomes of their values. B122, B123.
func TestScriptsHaveTheValueOfTheirLastStatement(t *testing.T) {
	const input = `{"a": 2, "b": 3, "s": "ä\ud83d\ude00", "half": "\ud83d", "l": [1, [2]], "big": 12345678901234567890, "__proto__": {"x": 1}, "z": null}`
	for _, c := range []struct{ source, want string }{
		{"$.a + $.b", "5"},
		{"(function(){ return $.a + $.b; })()", "5"},
		{"function e(){ if ($.a > 1) { return 'big' } else { return 'small' } } e();", `"big"`},
		{"const f = () => `${$.a}-${$.b}`; f()", `"2-3"`},
		{"var x = 1; x; var y = 2;", "1"},
		{"if ($.a == 2) { 'two' } else { 'other' }", `"two"`},
		{"JSON.stringify({n: $.a})", `"{\"n\":2}"`},
		{"Object.keys($).length", "8"},
		{"$.l.map(x => x).concat([3])", "[1,[2],3]"},
		{"$.l.get(0) + $.l.size()", "3"}, {"$.l.get(9)", "null"}, {"var n = 0; for (var k in $.l) n++; n", "2"}, // B64: as lists of a Java host
		{"let {a, ...rest} = $; a ?? 1; a?.b", "null"},
		{"class A { #p = 4; get p() { return this.#p } } new A().p", "4"},
		{"$.s", `"ä😀"`},
		{"$.s.length", "3"},
		{"$.half", `"\ud83d"`},
		{"$.half + '\\ude00'", `"😀"`},
		{"'a' + $.half + 'b'", `"a\ud83db"`},
		{"$.big", "12345678901234567000"},
		{"$.__proto__.x", "1"},
		{"$.z", "null"}, {"$.missing", "null"}, {"undefined", "null"}, {"", "null"}, {"var a", "null"},
		{"1/0", "null"}, {"NaN", "null"}, {"-0", "0"}, {"1.0", "1"}, {"0.1+0.2", "0.30000000000000004"}, {"1e21", "1e+21"}, {"2**53", "9007199254740992"},
		{"123456789012345678901234567890n", "123456789012345678901234567890"},
		{"(function(){})", "null"}, {"[() => 1, Symbol.iterator, undefined]", "[null,null,null]"},
		{"({f: function(){}, u: undefined, d: new Date(0), r: /x/, m: new Map([[1, 2]]), e: new Error('x')})",
			`{"f":null,"u":null,"d":{},"r":{},"m":{},"e":{}}`},
		{"var a = []; a[2] = 1; a", "[null,null,1]"},
		{"Promise.resolve(1)", "{}"}, {"(async () => 1)()", "{}"},
		{"new Proxy([1, 2], {})", "[1,2]"}, {"new Proxy({a: 1}, {get: () => 7})", `{"a":7}`},
		{"({toJSON() { return 1 }, a: 2})", `{"toJSON":null,"a":2}`},
		{"({get a() { return 5 }})", `{"a":5}`},
		{"Object.create({inherited: 1})", "{}"},
		{"Array.isArray = () => true; JSON = null; ({a: 1})", `{"a":1}`},
		{"$.a = 9; $.a", "9"},
		{"eval('$.a * 2')", "4"}, {"new Function('x', 'return x * 2')(4)", "8"},
		{"true", "true"}, {"'\\u0000\"\\\\\\u2028'", `"\u0000\"\\` + "\u2028" + `"`},
	} {
		o := run(c.source, input)
		if o.Failure != fsm.JobDone || string(o.Result) != c.want {
			t.Errorf("%s: got %s %+v, want %s", c.source, o.Result, o, c.want)
		}
	}
}

func TestFunctionBodiesReturn(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{"return $.a > 1", "true"}, {"$.a", "null"}, {"return {a: $.a} // end", `{"a":2}`}, {"if ($.a) return 'x'", `"x"`},
	} {
		o := Evaluate(Job{Language: script, Function: true, Source: c.source, Input: json.RawMessage(`{"a":2}`)}, time.Second)
		if o.Failure != fsm.JobDone || string(o.Result) != c.want {
			t.Errorf("%s: got %s %+v, want %s", c.source, o.Result, o, c.want)
		}
	}
	for _, source := range []string{"return 1 }", "return 1 } function b() { return 2", "return 1 } {", "} + function() {"} {
		if o := Evaluate(Job{Language: script, Function: true, Source: source}, time.Second); o.Failure != fsm.JobMalformed {
			t.Errorf("%s: got %+v, want that it does not parse", source, o)
		}
	}
}

func TestScriptsThatThrowSayWhatAndWhere(t *testing.T) {
	for _, c := range []struct {
		source, message string
		line            int32
		failure         fsm.JobFailure
	}{
		{"1;\nthrow new Error('boom')", "Error: boom", 2, fsm.JobThrew},
		{"throw 'text'", "text", 1, fsm.JobThrew},
		{"throw null", "null", 1, fsm.JobThrew}, {"throw undefined", "undefined", 1, fsm.JobThrew}, {"throw {a: 1}", "[object Object]", 1, fsm.JobThrew},
		{"throw {toString() { throw 1 }}", "a value that has no text was thrown", 1, fsm.JobThrew},
		{"throw Symbol('s')", "s", 1, fsm.JobThrew},
		{"\n\n$.a.b", "TypeError: Cannot read property 'b' of undefined", 3, fsm.JobThrew},
		{"nope", "ReferenceError: nope is not defined", 1, fsm.JobThrew},
		{"\n[1].reduce(function() {}.x)", "TypeError: Cannot convert undefined or null to object", 2, fsm.JobThrew},
		{"load('x')", "ReferenceError: load is not defined", 1, fsm.JobThrew}, {"print(1)", "ReferenceError: print is not defined", 1, fsm.JobThrew},
		{"console.log(1)", "ReferenceError: console is not defined", 1, fsm.JobThrew},
		{"Java.type('java.lang.System')", "ReferenceError: Java is not defined", 1, fsm.JobThrew},
		{"require('fs')", "ReferenceError: require is not defined", 1, fsm.JobThrew},
		{"function f() { return f() }\nf()", "RangeError: Maximum call stack size exceeded", 1, fsm.JobThrew},
		{"var a = {}; a.a = a; a", tooDeep.Message, 0, fsm.JobThrew},
		{"({get a() {\nthrow new TypeError('get')}})", "TypeError: get", 2, fsm.JobThrew},
		{"new Proxy({}, {ownKeys() { throw 'keys' }})", "keys", 1, fsm.JobThrew},
		{"a b", "SyntaxError: Unexpected identifier", 1, fsm.JobMalformed},
		{"1 +\n", "SyntaxError: Unexpected end of input", 2, fsm.JobMalformed},
		{"return 1", "SyntaxError: Illegal return statement", 1, fsm.JobMalformed},
		{"let a; let a", "SyntaxError: Identifier 'a' has already been declared", 1, fsm.JobMalformed},
	} {
		o := run(c.source, "{}")
		if o.Message != c.message || o.Line != c.line || o.Failure != c.failure || o.Result != nil {
			t.Errorf("%q: got %+v, want %q at line %d", c.source, o, c.message, c.line)
		}
	}
}

func TestScriptsSeeTheirJobAndNotTheWorld(t *testing.T) {
	o := run("[new Date().getTime(), Date.now(), +new Date, new Date(2023, 0, 1, 12).toISOString(), new Date().getTimezoneOffset()]", "{}")
	if want := `[1700000000123,1700000000123,1700000000123,"2023-01-01T12:00:00.000Z",0]`; string(o.Result) != want {
		t.Errorf("dates: got %s, want %s", o.Result, want)
	}
	a, b := run("[Math.random(), Math.random()]", "1"), run("[Math.random(), Math.random()]", "1")
	if string(a.Result) != string(b.Result) {
		t.Errorf("random numbers of the same job: got %s and %s", a.Result, b.Result)
	}
	if c := run("[Math.random(), Math.random()]", "2"); string(a.Result) == string(c.Result) {
		t.Errorf("random numbers of different jobs: got %s twice", c.Result)
	}
	if o := run("//# sourceMappingURL=/etc/hostname\n1", "{}"); string(o.Result) != "1" {
		t.Errorf("a source map was looked for: %+v", o)
	}
	if o := run("Object.getOwnPropertyNames(globalThis).filter(n => /^[a-z]/.test(n)).sort().join()", "{}"); string(o.Result) !=
		`"decodeURI,decodeURIComponent,encodeURI,encodeURIComponent,escape,eval,globalThis,isFinite,isNaN,parseFloat,parseInt,undefined,unescape"` {
		t.Errorf("global functions: got %s", o.Result)
	}
}

func TestResultsAreBounded(t *testing.T) {
	for _, source := range []string{
		"'x'.repeat(2e6)", "var a = []; a.length = 4e9; a", "var a = [1,1,1,1]; for (var i = 0; i < 20; i++) a = [a, a, a, a]; a",
		"new Proxy([], {get: (o, k) => k == 'length' ? 1e15 : 1})",
	} {
		o := Evaluate(Job{Language: script, Source: source}, 30*time.Second)
		if o.Failure != fsm.JobThrew || !strings.Contains(o.Message, "at most 1044480 are allowed") {
			t.Errorf("%s: got %+v", source, o)
		}
	}
	if o := run("var a = 1; for (var i = 0; i < 126; i++) a = [a]; a", "{}"); o.Failure != fsm.JobDone {
		t.Errorf("a deep result: %+v", o)
	}
	for _, source := range []string{strings.Repeat(" ", MaxSource+1), strings.Repeat("(", 501) + strings.Repeat(")", 501), "'\xff'"} {
		if o := run(source, "{}"); o.Failure != fsm.JobMalformed {
			t.Errorf("%.20q: got %+v", source, o)
		}
	}
}
