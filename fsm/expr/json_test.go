package expr

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	deep := strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth)
	for _, good := range []string{
		"null", " true ", "false", "0", "-0", "1.5e+10", "1E400", `""`, `"\u00e9\ud800\n\/"`, "[]", " [ 1 , [ ] ] ", "{}", `{"a":{"b":[{}]}}`,
		`{"":1," ":2}`, "\"é\u2028😀\x7f\"", deep,
	} {
		if err := Check([]byte(good)); err != nil {
			t.Errorf("Check(%s): %v", good, err)
		}
	}
	bad := []struct {
		raw    string
		offset int
		what   string
	}{
		{"", 0, "unexpected end"},
		{" ", 1, "unexpected end"},
		{"nul", 3, "unexpected end"},
		{"nulL", 3, "expected a value"},
		{"True", 0, "expected a value"},
		{"1 2", 2, "unexpected text after the value"},
		{"01", 1, "unexpected text after the value"},
		{"-", 1, "unexpected end"},
		{"-x", 1, "expected a value"},
		{"1.", 2, "unexpected end"},
		{"1.e", 2, "expected a digit"},
		{"1e+", 3, "unexpected end"},
		{".5", 0, "expected a value"},
		{"+1", 0, "expected a value"},
		{"NaN", 0, "expected a value"},
		{"'a'", 0, "expected a value"},
		{`"a`, 2, "unexpected end"},
		{"\"a\nb\"", 2, "control character in a string"},
		{`"\x"`, 2, "unknown escape"},
		{`"\u12g4"`, 5, "expected four hexadecimal digits"},
		{"\"\xff\"", 1, "invalid UTF-8"},
		{"\"\xed\xa0\x80\"", 1, "invalid UTF-8"},
		{"[1,]", 3, "expected a value"},
		{"[1 2]", 3, "expected , or ]"},
		{"[", 1, "unexpected end"},
		{"[1", 2, "unexpected end"},
		{"{a:1}", 1, "expected a key in double quotes"},
		{`{"a" 1}`, 5, "expected : after the key"},
		{`{"a":1,}`, 7, "expected a key in double quotes"},
		{`{"a":1]`, 6, "expected , or }"},
		{"\ufeff1", 0, "expected a value"},
		{"[" + deep + "]", MaxDepth, "nested too deeply"},
	}
	for _, tt := range bad {
		var e *SyntaxError
		if err := Check([]byte(tt.raw)); !errors.As(err, &e) || e.Offset != tt.offset || e.What != tt.what {
			t.Errorf("Check(%q): got %v, want offset %d: %s", tt.raw, err, tt.offset, tt.what)
		}
	}
}

func TestCanonKeepsLastOfDuplicates(t *testing.T) {
	tests := []struct{ raw, want string }{
		{`{"a":1,"a":2}`, `{"a":2}`},
		{`{ "a" : 1 , "b" : 2, "a" : 3 }`, `{ "b" : 2, "a" : 3 }`},
		{`{"a":1,"\u0061":2}`, `{"\u0061":2}`},
		{`{"a":1,"a":2,"a":3,"b":4}`, `{"a":3,"b":4}`},
		{`{"a":{"x":1,"x":2},"b":1,"a":[{"y":1,"y":{"z":1,"z":2}}]}`, `{"b":1,"a":[{"y":{"z":2}}]}`},
		{`[{"a":1,"a":2}, {"a":1}]`, `[{"a":2}, {"a":1}]`},
		{`{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"j":10,"a":11,"i":12,"j":13}`,
			`{"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"a":11,"i":12,"j":13}`},
	}
	for _, tt := range tests {
		got, err := Canon([]byte(tt.raw))
		if string(got) != tt.want || err != nil {
			t.Errorf("Canon(%s): got %s, %v, want %s", tt.raw, got, err, tt.want)
		}
	}
	raw := []byte(` {"a": 1.0, "b": {"a": 1e5}, "c": [1, 1], "unknown": 123456789012345678901234567890} `)
	if got, err := Canon(raw); err != nil || &got[0] != &raw[0] || len(got) != len(raw) {
		t.Errorf("Canon copied %s: %s, %v", raw, got, err)
	}
	if _, err := Canon([]byte("{")); err == nil {
		t.Error("Canon took {")
	}
}

func TestContainers(t *testing.T) {
	raw := []byte(` { "a" : 1 , "b\n" : [ 1, {"x": [ 2 ]} , "s" ] , "c": {} } `)
	list, _ := Get(raw, "b\n")
	if string(list) != `[ 1, {"x": [ 2 ]} , "s" ]` {
		t.Errorf("Get: %s", list)
	}
	var got []string
	for key, val := range Members(raw) {
		got = append(got, key+"="+string(val))
	}
	if s := strings.Join(got, ";"); s != "a=1;b\n="+string(list)+";c={}" {
		t.Errorf("Members: %q", s)
	}
	got = nil
	for val := range Elements(list) {
		got = append(got, string(val))
	}
	if s := strings.Join(got, ";"); s != `1;{"x": [ 2 ]};"s"` {
		t.Errorf("Elements: %s", s)
	}
	for range Members(raw) {
		break
	}
	for range Elements(list) {
		break
	}
	for i, want := range map[int]string{0: "1", 2: `"s"`, -1: `"s"`, -3: "1", 3: "", -4: ""} {
		if el, ok := Index(list, i); string(el) != want || ok != (want != "") {
			t.Errorf("Index(%d): %s, %v", i, el, ok)
		}
	}
	if Count(raw) != 3 || Count(list) != 3 || Count([]byte("[]")) != 0 || Count([]byte("1")) != 0 || Count(nil) != 0 {
		t.Error("Count is wrong")
	}
	if _, ok := Get(list, "x"); ok {
		t.Error("Get found a member of an array")
	}
	if _, ok := Index(raw, 0); ok {
		t.Error("Index found an element of an object")
	}
	if _, ok := Index(raw, -1); ok {
		t.Error("Index found the last element of an object")
	}
	for s, want := range map[string]Kind{
		"{}": Map, " [": Array, "\n\"": String, "t": Bool, "f": Bool, "n": Null, "-": Number, "7": Number, "": Invalid, "x": Invalid,
	} {
		if got := KindOf([]byte(s)); got != want {
			t.Errorf("KindOf(%q): got %d, want %d", s, got, want)
		}
	}
}

func TestStrings(t *testing.T) {
	for _, tt := range []struct{ raw, text, again string }{
		{`"a"`, "a", `"a"`},
		{` "a\"\\\/\b\f\n\r\t\u0001" `, "a\"\\/\b\f\n\r\t\x01", `"a\"\\/\b\f\n\r\t\u0001"`},
		{`"\u00e9\ud83d\ude00\u2028"`, "é😀\u2028", "\"é😀\u2028\""},
		{`"\ud83dx\ude00"`, "\ufffdx\ufffd", "\"\ufffdx\ufffd\""},
	} {
		text, ok := Unquote([]byte(tt.raw))
		if text != tt.text || !ok {
			t.Errorf("Unquote(%s): %q, %v", tt.raw, text, ok)
		}
		if again := string(AppendString(nil, text)); again != tt.again {
			t.Errorf("AppendString(%q): %s", text, again)
		}
	}
	for _, bad := range []string{"", "1", `"`, "null", `"a`} {
		if _, ok := Unquote([]byte(bad)); ok {
			t.Errorf("Unquote(%s) is a string", bad)
		}
	}
	if got := string(AppendString(nil, "a\xffb")); got != "\"a\ufffdb\"" {
		t.Errorf("invalid UTF-8: %s", got)
	}
	if got := render(t, `"<${a}${b}|${a}>"`, `{"a": "\ud83d", "b": "\ude00"}`); got != `"<\ud83d\ude00|\ud83d>"` {
		t.Errorf("half surrogates: %s", got)
	}
}

func TestMerge(t *testing.T) {
	many := func(val string) string {
		var b strings.Builder
		for _, c := range "klmnopqrst" {
			b.WriteString(`,"` + string(c) + `":` + val)
		}
		return b.String()
	}
	for _, tt := range []struct{ base, over, want string }{
		{`{"a":1,"b":2}`, `{"b":3,"c":4}`, `{"a":1,"b":3,"c":4}`},
		{` { "a" : 1.0 } `, `{}`, ` { "a" : 1.0 } `},
		{`{}`, `{"a": {"x" : 1}}`, `{"a":{"x" : 1}}`},
		{`{"a\n":1}`, `{"\u0061\u000a":2}`, `{"a\n":2}`},
		{`[1]`, `{"a":1}`, `{"a":1}`},
		{`{"a":1}`, `2`, `2`},
		{``, `{"a":1}`, `{"a":1}`},
		{`{"a":1` + many("1") + `}`, `{"b":1` + many("2") + `}`, `{"a":1` + many("2") + `,"b":1}`},
	} {
		if got := string(Merge([]byte(tt.base), []byte(tt.over))); got != tt.want {
			t.Errorf("Merge(%s, %s): got %s, want %s", tt.base, tt.over, got, tt.want)
		}
	}
	for _, tt := range []struct{ obj, key, val, want string }{
		{`{"a": 1, "b": 2}`, "a", " 3 ", `{"a":3,"b":2}`},
		{`{"a": 1}`, "q\"", "[]", `{"a":1,"q\"":[]}`},
		{`{}`, "a", "1", `{"a":1}`},
		{`null`, "a", "1", `{"a":1}`},
	} {
		if got := string(SetKey([]byte(tt.obj), tt.key, []byte(tt.val))); got != tt.want {
			t.Errorf("SetKey(%s, %s): got %s, want %s", tt.obj, tt.key, got, tt.want)
		}
	}
}

func TestNumberTexts(t *testing.T) {
	for _, tt := range []struct {
		f          float64
		java, text string
	}{
		{0, "0.0", "0"}, {math.Copysign(0, -1), "-0.0", "0"}, {1, "1.0", "1"}, {-1.5, "-1.5", "-1.5"}, {100, "100.0", "100"},
		{1234567, "1234567.0", "1234567"}, {9999999, "9999999.0", "9999999"}, {1e7, "1.0E7", "10000000"}, {12345678.5, "1.23456785E7", "12345678.5"},
		{0.001, "0.001", "0.001"}, {0.00123, "0.00123", "0.00123"}, {0.0009, "9.0E-4", "0.0009"}, {1e-5, "1.0E-5", "0.00001"}, {1e-7, "1.0E-7", "1e-7"},
		{1e10, "1.0E10", "10000000000"}, {1e21, "1.0E21", "1e+21"}, {123456789012345680000, "1.2345678901234568E20", "123456789012345680000"},
		{1e23, "1.0E23", "1e+23"}, {5e-324, "4.9E-324", "5e-324"}, {2e-323, "2.0E-323", "2e-323"}, {math.MaxFloat64, "1.7976931348623157E308", "1.7976931348623157e+308"},
		{0.1, "0.1", "0.1"}, {0.30000000000000004, "0.30000000000000004", "0.30000000000000004"}, {math.Inf(1), "Infinity", "Infinity"},
		{math.Inf(-1), "-Infinity", "-Infinity"}, {math.NaN(), "NaN", "NaN"}, {1.5e300, "1.5E300", "1.5e+300"}, {2.5e-9, "2.5E-9", "2.5e-9"},
	} {
		if got := FormatJavaDouble(tt.f); got != tt.java {
			t.Errorf("FormatJavaDouble(%g): got %s, want %s", tt.f, got, tt.java)
		}
		if got := FormatNumber(tt.f); got != tt.text {
			t.Errorf("FormatNumber(%g): got %s, want %s", tt.f, got, tt.text)
		}
	}
	for raw, want := range map[string]string{
		"1": "1", "-0": "-0", "1.0": "1.0", "1.10": "1.1", "1e5": "100000.0", "1E10": "1.0E10", "1e400": "Infinity", "12345678901234567890": "12345678901234567890",
		`"a\"b"`: `a"b`, "true": "true", "null": "null", `{"a": 1, "b": ["x", null, 1.50, {}]}`: "{a=1, b=[x, null, 1.5, {}]}", "[ ]": "[]", "": "null",
	} {
		if got, err := AppendText(nil, Raw([]byte(raw)), nil); string(got) != want || err != nil {
			t.Errorf("AppendText(%s): got %s, %v, want %s", raw, got, err, want)
		}
	}
}
