package document

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestYAMLBecomesTheSameJSON(t *testing.T) {
	for src, want := range map[string]string{
		"{\"a\" : 1}":                                   `{"a" : 1}`,
		"\xEF\xBB\xBF [1,":                              "\xEF\xBB\xBF [1,",
		"name: order\nversion: 1\ntasks: []\n":          `{"name":"order","version":1,"tasks":[]}`,
		"b: 1\na: 2\n":                                  `{"b":1,"a":2}`,
		"big: 12345678901234567890123\n":                `{"big":12345678901234567890123}`,
		"f: 1.50\ne: 1e3\nx: 0x1F\no: 0o17\nu: 1_000\n": `{"f":1.50,"e":1e3,"x":31,"o":15,"u":1000}`,
		"dot: .5\nplus: +3\n":                           `{"dot":0.5,"plus":3}`,
		"yes: true\nno: False\nn: ~\nempty:\n":          `{"yes":true,"no":false,"n":null,"empty":null}`,
		"on: off\n":                                     `{"on":"off"}`,
		"at: 2026-01-02\n":                              `{"at":"2026-01-02"}`,
		"s: \"1\"\nt: '${workflow.input.x}'\n":          `{"s":"1","t":"${workflow.input.x}"}`,
		"decisionCases:\n  true: []\n  1: []\n":         `{"decisionCases":{"true":[],"1":[]}}`,
		"script: |\n  if (a) {\n    return 1;\n  }\n":   `{"script":"if (a) {\n  return 1;\n}\n"}`,
		"a: &x {k: 1}\nb: *x\n":                         `{"a":{"k":1},"b":{"k":1}}`,
		"a: &x {k: 1, l: 2}\nb:\n  <<: *x\n  l: 3\n":    `{"a":{"k":1,"l":2},"b":{"l":3,"k":1}}`,
		"a: 1\n---\nb: 2\n":                             `[{"a":1},{"b":2}]`,
		"- 1\n- [2, {a: <b>}]\n":                        `[1,[2,{"a":"<b>"}]]`,
		"# only a comment at the top\nname: x\n":        `{"name":"x"}`,
	} {
		got, err := JSON([]byte(src))
		if err != nil || string(got) != want {
			t.Errorf("%q: got %s, %v, want %s", src, got, err, want)
		}
	}
}

func TestBadYAMLIsRefusedWithItsLine(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += string(c) + ": &" + string(c) + " [" + strings.TrimSuffix(strings.Repeat("*"+string(c-1)+",", 10), ",") + "]\n"
	}
	merges := "a: &a {k: 1}\n"
	for c := 'b'; c < 'k'; c++ {
		merges += string(c) + ": &" + string(c) + "\n  <<: [" + strings.TrimSuffix(strings.Repeat("*"+string(c-1)+",", 10), ",") + "]\n"
	}
	for src, want := range map[string]string{
		merges:                          "merges bring more than the 65536 members",
		"":                              "the document is empty",
		"a: 1\na: 2\n":                  `line 2: the key "a" is there twice`,
		"a: .inf\n":                     `line 1: ".inf" has no place in JSON`,
		"a: !!binary aGk=\n":            "line 1: binary values are not allowed",
		"? [a]\n: 1\n":                  "line 1: a key is no text",
		"a: b: c\n":                     "not YAML: mapping values are not allowed",
		"a:\n  <<: 1\n":                 "line 2: << takes a mapping",
		"a: *nothing\n":                 "not YAML: unknown anchor",
		bomb:                            "becomes larger than the 1048576 bytes",
		strings.Repeat("- ", 200) + "x": "nested deeper than the 128 levels",
		"a: &a\n  b: *a\n":              "",
	} {
		got, err := JSON([]byte(src))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: got %.80s, %v, want %q", src, got, err, want)
		}
	}
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte("a: &x {k: 1}\nb:\n  <<: *x\n"))
	f.Add([]byte("- 1\n- .5\n- 0x10\n"))
	f.Add([]byte("{\"a\":1}"))
	f.Fuzz(func(t *testing.T, src []byte) {
		out, err := JSON(src)
		if err == nil && !looksLikeJSON(src) && len(out) > MaxBytes+2 {
			t.Fatalf("%d bytes became %d", len(src), len(out))
		}
		if err == nil && !looksLikeJSON(src) && !json.Valid(out) {
			t.Fatalf("%q became %q, which is not JSON", src, out)
		}
	})
}
