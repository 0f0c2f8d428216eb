package builtin

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

func query(source, input string) Outcome {
	return Evaluate(Job{Language: JQ, Source: source, Input: json.RawMessage(input), Now: 1_700_000_000_250}, time.Second)
}

// B126.
func TestQueriesGiveAllTheirResults(t *testing.T) {
	for _, c := range []struct{ source, input, want string }{
		{"(.a + .b) | map(select(. > 1))", `{"a": [1, 2], "b": [3]}`, "[[2,3]]"},
		{".a[], .b", `{"a": [1, 2], "b": null}`, "[1,2,null]"},
		{"empty", "{}", "[]"},
		{".", `[9007199254740993, 9223372036854775807, 123456789012345678901234567890, 1.0, 1.50, 1e2]`,
			"[[9007199254740993,9223372036854775807,123456789012345678901234567890,1.0,1.50,1e2]]"},
		{".[0] + 1, .[1] + 1", "[9007199254740993, 9223372036854775807]", "[9007199254740994,9223372036854775808]"},
		{"nan, infinite, -infinite", "null", "[null,1.7976931348623157e+308,-1.7976931348623157e+308]"},
		{"1/4, 3/1, 10 % 3", "null", "[0.25,3,1]"},
		{"now, (now | floor | todate)", "null", `[1700000000.25,"2023-11-14T22:13:20Z"]`},
		{`"2015-03-05T23:51:47Z" | fromdate, (strptime("%Y-%m-%dT%H:%M:%SZ") | mktime)`, "null", "[1425599507,1425599507]"},
		{`. as {a: $x} | $x | @base64, test("^b+$")`, `{"a": "bb"}`, `["YmI=",true]`},
		{"path(..)", `{"a": [1]}`, `[[],["a"],["a",0]]`},
		{".a.b |= 5", "{}", `[{"a":{"b":5}}]`},
		{`try error("x") catch ., (.a? // "none")`, `"s"`, `["x","none"]`},
		{"{a: .queryExpression}", `{"queryExpression": "q"}`, `[{"a":"q"}]`},
	} {
		o := query(c.source, c.input)
		if o.Failure != fsm.JobDone || string(o.Result) != c.want {
			t.Errorf("%s: got %s %+v, want %s", c.source, o.Result, o, c.want)
		}
	}
}

// B127.
func TestQueriesThatFailSayWhyAsConductorDoes(t *testing.T) {
	const doc = `{"in1": "text", "in2": {"array": [1]}, "list": [1], "n": 5, "z": null}`
	for _, c := range []struct{ source, message string }{
		{"{ out: (.in1.array + .in2.array) }", `Cannot index string with string "array"`},
		{".in2.array + .in1.array", `Cannot index string with string "array"`},
		{`.["in1"]["array"].x`, `Cannot index string with string "array"`},
		{".in1[.in2 | keys[0]]", "Cannot index string with string"},
		{`.list.foo`, `Cannot index array with string "foo"`},
		{".n.foo", `Cannot index number with string "foo"`},
		{"def f(x): x | .array; f(.in1)", `Cannot index string with string "array"`},
		{".in2.array[0].x.y", `Cannot index number with string "x"`},
		{"path(.in1.a)", `Cannot index string with string "a"`},
		{".list | map(.a)", `Cannot index number with string "a"`},
		{".in2[0]", "Cannot index object with number"},
		{".n[]", "Cannot iterate over number"}, {".z[]", "Cannot iterate over null"},
		{`.in1 + .n`, `string ("text") and number (5) cannot be added`},
		{`.in1 - .n`, `string ("text") and number (5) cannot be subtracted`},
		{`1 / 0 * .n`, `number (1) and number (0) cannot be divided because the divisor is zero`},
		{".n | keys", "number (5) has no keys"},
		{`error("own")`, "own"}, {"error({a: 1})", `{"a":1} (not a string)`},
		{"error(null)", "null (not a string)"},
	} {
		if o := query(c.source, doc); o.Failure != fsm.JobThrew || o.Message != c.message {
			t.Errorf("%s: got %+v, want %s", c.source, o, c.message)
		}
	}
}

func TestResultsOfQueriesAreBounded(t *testing.T) {
	for _, source := range []string{"range(1e12)", "[limit(300000; repeat(1))] | ., ."} {
		if o := Evaluate(Job{Language: JQ, Source: source}, 20*time.Second); o.Failure != fsm.JobThrew || !strings.Contains(o.Message, "at most 1044480 are allowed") {
			t.Errorf("%s: got %+v", source, o)
		}
	}
	if o := query("reduce range(126) as $i (1; [.])", "null"); o.Failure != fsm.JobDone {
		t.Errorf("a deep result: got %+v", o)
	}
	if o := query("reduce range(127) as $i (1; [.])", "null"); o.Message != tooDeep.Message {
		t.Errorf("a result that is too deep: got %+v", o)
	}
}

// B129.
func TestQueriesThatCannotBeParsed(t *testing.T) {
	for _, c := range []struct{ source, message string }{
		{".a |", "syntax error: unexpected EOF"}, {"{a:", "syntax error: unexpected EOF"}, {"", "missing query (try \".\")"},
		{"foo(1)", "Function foo/1 does not exist"}, {"$x", "variable not defined: $x"},
		{"localtime", "localtime is not available: a query sees its input only"},
		{`1 as $x | "\(env.PATH)"`, "env is not available: a query sees its input only"},
		{"$ENV.PATH", "$ENV is not available: a query sees its input only"},
		{"[inputs]", "inputs is not available: a query sees its input only"},
		{"input", "input is not available: a query sees its input only"},
		{"halt_error(1)", "halt_error is not available: a query sees its input only"},
		{"def f: halt; f", "halt is not available: a query sees its input only"},
		{`import "a" as a; a::f`, "modules are not available"}, {`include "a"; f`, "modules are not available"},
	} {
		o := query(c.source, "{}")
		if o.Failure != fsm.JobMalformed || o.Message != c.message {
			t.Errorf("%s: got %+v, want %s", c.source, o, c.message)
		}
	}
}
