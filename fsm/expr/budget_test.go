package expr

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestBudgetEndsEveryEvaluation(t *testing.T) {
	big := `{"a": "` + strings.Repeat("x", 1<<20) + `", "l": [` + strings.Repeat(`{"k": 1},`, 50000) + `1]}`
	nested := strings.Repeat(`{"a":[1,`, 60) + "1" + strings.Repeat(`]}`, 60)
	tests := []struct{ name, template, root string }{
		{"interpolated copies", `"` + strings.Repeat("${a}", 1000) + `x"`, big},
		{"lone copies", `[` + strings.Repeat(`"${a}",`, 1000) + `1]`, big},
		{"nested scans", `"` + strings.Repeat("$..x", 1) + `${$..*..*..*..*..*}"`, nested},
		{"deep scans", `"${$..*..k}"`, big},
		{"filters", `"${l[?(@ in $.l)]}"`, big},
		{"filters in filters", `"${l[?($.l[?($.l[?(@.k == 2)])])]}"`, big},
		{"equal containers", `"${l[?($.l == $.l)]}"`, big},
		{"dynamic paths", `"` + strings.Repeat("${${a}}", 1000) + `"`, big},
		{"functions", `"` + strings.Repeat("${l[*].k.sum()}", 1000) + `"`, big},
	}
	for _, tt := range tests {
		tm, err := ParseTemplate([]byte(tt.template))
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		b := &Budget{Steps: MaxEvalSteps}
		out, err := tm.Append(nil, Raw([]byte(tt.root)), b)
		if !errors.Is(err, ErrBudget) || b.Steps != 0 {
			t.Errorf("%s: got %d bytes, %v, %d steps left", tt.name, len(out), err, b.Steps)
		}
		if len(out) > 80<<20 {
			t.Errorf("%s: wrote %d bytes", tt.name, len(out))
		}
	}
	var double strings.Builder
	double.WriteString("const v0 = $.a;")
	for i := range 40 {
		fmt.Fprintf(&double, "const v%d = v%d + v%d;", i+1, i, i)
	}
	for _, src := range []string{double.String() + "v40", strings.Repeat("$.l + '';", 1000), "function f() { $.a.indexOf('z'); $.a.indexOf('z') } " + strings.Repeat("f();", 5000)} {
		if _, err := run(t, src, big); !errors.Is(err, ErrBudget) {
			t.Errorf("%.40s: got %v", src, err)
		}
	}
}

func TestBudgetCountsScannedBytes(t *testing.T) {
	doc := Raw([]byte(`{"pad": "` + strings.Repeat("x", 6400) + `", "v": 1}`))
	p, err := ParsePath("v")
	if err != nil {
		t.Fatal(err)
	}
	b := &Budget{Steps: 1000}
	if _, err := p.Eval(doc, b); err != nil || b.Steps < 890 || b.Steps > 900 {
		t.Errorf("6,400 bytes: %v, %d of 1000 steps left", err, b.Steps)
	}
	if _, err := p.Eval(doc, &Budget{Steps: 50}); !errors.Is(err, ErrBudget) {
		t.Errorf("50 steps: %v", err)
	}
}

// TestHostileSources parses texts made to be slow or deep; work that is not
// linear in them would run into the time limit of the test.
func TestHostileSources(t *testing.T) {
	const n = 100000
	for _, s := range []string{
		strings.Repeat("${", n), strings.Repeat("${", n) + strings.Repeat("}", n), strings.Repeat("${a}", n), strings.Repeat("${workflow.secrets.a}", n/10),
		strings.Repeat("$${", n), strings.Repeat("{", n) + "${a}", strings.Repeat("${}", n), "${" + strings.Repeat("a.", n) + "}", "${a" + strings.Repeat("..a", n) + "}",
		"${a[?(" + strings.Repeat("(", n) + "1" + strings.Repeat(")", n) + ")]}", "${a[?(" + strings.Repeat("!", n) + "@)]}",
		"${a[?(@ in " + strings.Repeat("[", n) + strings.Repeat("]", n) + ")]}", "${" + strings.Repeat("a[?(@.", n) + "x" + strings.Repeat(")]", n) + "}",
		"${a[" + strings.Repeat("1,", n) + "1]}", "${a[" + strings.Repeat("1", n) + "]}", "${a[?(" + strings.Repeat("@||", n) + "@)]}",
	} {
		tm, err := ParseTemplateAt("", AppendString(nil, s))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tm.Append(nil, Raw([]byte(`{"a": [1]}`)), &Budget{Steps: MaxEvalSteps}); err != nil && !errors.Is(err, ErrBudget) {
			t.Errorf("%.30s: %v", s, err)
		}
		if _, err := ParsePath(s); err == nil && len(s) > 1<<20 {
			t.Errorf("%.30s: a path", s)
		}
		_, _ = ParseScript(s)
	}
	var keys strings.Builder
	for i := range n {
		fmt.Fprintf(&keys, `,"k%d":%d`, i%(n/2), i)
	}
	doc := []byte("{" + keys.String()[1:] + "}")
	canon, err := Canon(doc)
	if err != nil || Count(canon) != n/2 {
		t.Errorf("many keys: %d, %v", Count(canon), err)
	}
	if merged := Merge(canon, canon); string(merged) != string(canon) {
		t.Error("merging a document with itself changed it")
	}
	if err := Check([]byte(strings.Repeat("[", 1<<20))); err == nil {
		t.Error("a deep document passed")
	}
}

func TestLonePathDoesNotAllocate(t *testing.T) {
	tm, err := ParseTemplate([]byte(`{"a": "${x.output.list[1].k}", "b": 1}`))
	if err != nil {
		t.Fatal(err)
	}
	root := Raw([]byte(`{"w": {}, "x": {"output": {"list": [1, {"k": [1, 2, 3]}]}}}`))
	dst := make([]byte, 0, 256)
	b := &Budget{}
	if n := testing.AllocsPerRun(100, func() {
		b.Steps = MaxEvalSteps
		dst, err = tm.Append(dst[:0], root, b)
	}); n > 0 || err != nil || string(dst) != `{"a": [1, 2, 3], "b": 1}` {
		t.Errorf("%v allocations, %v: %s", n, err, dst)
	}
}

func BenchmarkScan(b *testing.B) {
	var doc strings.Builder
	doc.WriteString(`{"rows": [`)
	for i := range 5000 {
		fmt.Fprintf(&doc, `{"id": %d, "name": "some name \"%d\"", "tags": ["a", "b"], "price": %d.50, "ok": true}, `, i, i, i)
	}
	doc.WriteString(`null], "last": 1}`)
	raw := []byte(doc.String())
	p, err := ParsePath("last")
	if err != nil {
		b.Fatal(err)
	}
	b.Run("path", func(b *testing.B) {
		b.SetBytes(int64(len(raw)))
		for b.Loop() {
			if _, err := p.Eval(Raw(raw), nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("check", func(b *testing.B) {
		b.SetBytes(int64(len(raw)))
		for b.Loop() {
			if err := Check(raw); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("canon", func(b *testing.B) {
		b.SetBytes(int64(len(raw)))
		for b.Loop() {
			if _, err := Canon(raw); err != nil {
				b.Fatal(err)
			}
		}
	})
}
