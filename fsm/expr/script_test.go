package expr

import (
	"bufio"
	"encoding/json"
	"errors"
	"math"
	"os"
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
