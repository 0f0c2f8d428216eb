package expr

import (
	"encoding/json"
	"errors"
	"testing"
	"unicode/utf8"
)

// nesting returns how deep the brackets of valid JSON go.
func nesting(raw []byte) int {
	depth, deepest := 0, 0
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			i = skipString(raw, i) - 1
		case '{', '[':
			depth++
			deepest = max(deepest, depth)
		case '}', ']':
			depth--
		}
	}
	return deepest
}

func FuzzCheck(f *testing.F) {
	for _, s := range []string{store, `{"a":1,"a":[true,null]}`, `"\ud800\u0041"`, "[1e5,-0.0]", "{", `{"a" : "\x"}`, "tru"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		err := Check(raw)
		valid := json.Valid(raw)
		if want := valid && utf8.Valid(raw) && nesting(raw) <= MaxDepth; want != (err == nil) {
			t.Fatalf("Check(%q): %v, want valid %v", raw, err, want)
		}
		// Whatever the bytes, looking at them must end.
		v := Raw(raw)
		v.Member("a")
		v.Elem(-1)
		Count(raw)
		_, _ = AppendText(nil, v, &Budget{Steps: 1000})
		_, _ = Unquote(raw)
		Merge(raw, raw)
		if err != nil {
			return
		}
		canon, err := Canon(raw)
		if err != nil || Check(canon) != nil {
			t.Fatalf("Canon(%q): %q, %v", raw, canon, err)
		}
		var x, y any
		if json.Unmarshal(raw, &x) == nil && json.Unmarshal(canon, &y) == nil {
			a, _ := json.Marshal(x)
			b, _ := json.Marshal(y)
			if string(a) != string(b) {
				t.Fatalf("Canon(%q) = %q means something else", raw, canon)
			}
		}
		if again, _ := Canon(canon); string(again) != string(canon) {
			t.Fatalf("Canon(%q) is not stable: %q", canon, again)
		}
	})
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{"store.book[?(@.price < 10 && !@.isbn)].title", "$..['a','b']", "list[::-2]", "a['x\\'y'].length()", "x[?(@ in [1,'a',[true]])]"} {
		f.Add(s, []byte(store))
	}
	f.Fuzz(func(t *testing.T, src string, doc []byte) {
		p, err := ParsePath(src)
		if err != nil {
			var pe *PathError
			if !errors.As(err, &pe) || pe.Offset > len(src) {
				t.Fatalf("ParsePath(%q): %v", src, err)
			}
			return
		}
		if _, err := ParsePath(p.String()); err != nil {
			t.Fatalf("ParsePath(%q) again: %v", p, err)
		}
		v, err := p.Eval(Raw(doc), &Budget{Steps: 20000})
		if err != nil && !errors.Is(err, ErrBudget) {
			t.Fatalf("%q: %v", src, err)
		}
		if err == nil && Check(doc) == nil && utf8.ValidString(src) {
			if err := Check(v.AppendJSON(nil)); err != nil {
				t.Fatalf("%q in %q gives %q: %v", src, doc, v.AppendJSON(nil), err)
			}
		}
	})
}

func FuzzTemplate(f *testing.F) {
	for _, s := range []string{`{"a": ["${x.y}", "v${z} $${w}"]}`, `"${list[${i}]}"`, `"${}${ }"`, `"\u0024{a}"`, `"${workflow.secrets.a}"`, `"${a{b}c}"`} {
		f.Add([]byte(s), []byte(`{"x": {"y": 1.0}, "z": {"k": ["\ud83d", 1e5]}, "list": [1, 2], "i": 1}`))
	}
	f.Fuzz(func(t *testing.T, raw, root []byte) {
		tm, err := ParseTemplateAt("at", raw)
		if (err == nil) != (Check(raw) == nil) {
			t.Fatalf("ParseTemplateAt(%q): %v, Check: %v", raw, err, Check(raw))
		}
		if err != nil || Check(root) != nil {
			return
		}
		out, err := tm.Append(nil, Raw(root), &Budget{Steps: 20000})
		if errors.Is(err, ErrBudget) {
			return
		}
		if err != nil || Check(out) != nil {
			t.Fatalf("%q: %q, %v, %v", raw, out, err, Check(out))
		}
		if tm.Constant() && string(out) != string(tm.Raw()) {
			t.Fatalf("%q is constant, but gives %q", raw, out)
		}
		v, err := tm.Eval(Raw(root), nil)
		if err != nil || string(v.AppendJSON(nil)) != string(trim(out)) {
			t.Fatalf("%q: Append %q, Eval %q, %v", raw, out, v.AppendJSON(nil), err)
		}
	})
}

func FuzzScript(f *testing.F) {
	for _, s := range []string{
		"if ($.loop['iteration'] < $.n) { true; } else { false; }", "function e() { const a = $.l.indexOf(2); return a > 0 ? 'x' : \"y\" } e();",
		"(() => String($.l) + Number('0x1f') % 3)()", "$.s.includes('a') && !$.missing || -$.n", "var a = 1, b = a\na + b // c",
	} {
		f.Add(s, []byte(`{"n": 5, "l": [1, 2], "s": "a\ud83d", "loop": {"iteration": 1}}`))
	}
	f.Fuzz(func(t *testing.T, src string, doc []byte) {
		s, err := ParseScript(src)
		if err != nil {
			var subset *SubsetError
			if !errors.As(err, &subset) || subset.Offset > len(src) {
				t.Fatalf("ParseScript(%q): %v", src, err)
			}
			return
		}
		r, err := s.Eval(Raw(doc), &Budget{Steps: 20000})
		var thrown *ScriptError
		var subset *SubsetError
		if err != nil && !errors.Is(err, ErrBudget) && !errors.As(err, &thrown) && !errors.As(err, &subset) {
			t.Fatalf("%q: %v", src, err)
		}
		if Check(doc) == nil {
			if err := Check(r.AppendJSON(nil)); err != nil {
				t.Fatalf("%q gives %q: %v", src, r.AppendJSON(nil), err)
			}
			if !utf8.ValidString(r.Text()) {
				t.Fatalf("%q reads %q", src, r.Text())
			}
		}
	})
}
