package expr

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
)

// A slow walker over a decoded tree, written apart from the parser and the walker.

type (
	refMap  []refMember
	refList []any
	refNum  string
)

type refMember struct {
	key string
	val any
}

func (m refMap) get(key string) (any, bool) {
	for _, e := range m {
		if e.key == key {
			return e.val, true
		}
	}
	return nil, false
}

// refText writes a tree without blanks.
func refText(v any) string {
	switch v := v.(type) {
	case refMap:
		var parts []string
		for _, e := range v {
			parts = append(parts, strconv.Quote(e.key)+":"+refText(e.val))
		}
		return "{" + strings.Join(parts, ",") + "}"
	case refList:
		var parts []string
		for _, e := range v {
			parts = append(parts, refText(e))
		}
		return "[" + strings.Join(parts, ",") + "]"
	case refNum:
		return string(v)
	case string:
		return strconv.Quote(v)
	case nil:
		return "null"
	}
	return fmt.Sprint(v)
}

// refStep is one step: its text, and what it finds from a value.
type refStep struct {
	text   string
	many   bool
	narrow func(v any) []any
}

func refNames(names ...string) func(any) []any {
	return func(v any) (out []any) {
		m, _ := v.(refMap)
		for _, name := range names {
			if val, ok := m.get(name); ok {
				out = append(out, val)
			}
		}
		return out
	}
}

func refIndexes(indexes ...int) func(any) []any {
	return func(v any) (out []any) {
		l, _ := v.(refList)
		for _, i := range indexes {
			if i < 0 {
				i += len(l)
			}
			if i >= 0 && i < len(l) {
				out = append(out, l[i])
			}
		}
		return out
	}
}

func refChildren(v any) (out []any) {
	switch v := v.(type) {
	case refMap:
		for _, e := range v {
			out = append(out, e.val)
		}
	case refList:
		out = v
	}
	return out
}

func refRange(from, to int) func(any) []any {
	return func(v any) (out []any) {
		l, _ := v.(refList)
		for i, e := range l {
			lo, hi := from, to
			if lo < 0 {
				lo += len(l)
			}
			if hi < 0 {
				hi += len(l)
			}
			if i >= lo && i < hi {
				out = append(out, e)
			}
		}
		return out
	}
}

// refDeep visits v and what is below it, parents first.
func refDeep(v any, narrow func(any) []any) []any {
	switch v.(type) {
	case refMap, refList:
	default:
		return nil
	}
	out := narrow(v)
	for _, child := range refChildren(v) {
		out = append(out, refDeep(child, narrow)...)
	}
	return out
}

func refFilter(key, op string, literal any) func(any) []any {
	holds := func(v any) bool {
		m, _ := v.(refMap)
		x, ok := m.get(key)
		if op == "" {
			return ok
		}
		order, comparable := 0, false
		switch l := literal.(type) {
		case refNum:
			if n, isNum := x.(refNum); isNum {
				a, _, _ := big.ParseFloat(string(n), 10, 200, big.ToNearestEven)
				b, _, _ := big.ParseFloat(string(l), 10, 200, big.ToNearestEven)
				order, comparable = a.Cmp(b), true
			}
		case string:
			if s, isStr := x.(string); isStr {
				order, comparable = strings.Compare(s, l), true
			}
		}
		switch op {
		case "==":
			return comparable && order == 0
		case "!=":
			return !(comparable && order == 0)
		case "<":
			return comparable && order < 0
		case "<=":
			return comparable && order <= 0
		case ">":
			return comparable && order > 0
		}
		return comparable && order >= 0
	}
	return func(v any) (out []any) {
		candidates, _ := v.(refList)
		if _, ok := v.(refMap); ok {
			candidates = refList{v}
		}
		for _, e := range candidates {
			if holds(e) {
				out = append(out, e)
			}
		}
		return out
	}
}

type refRand struct{ *rand.Rand }

func (r refRand) pick(from ...string) string { return from[r.IntN(len(from))] }

func (r refRand) key() string { return r.pick("a", "b", "c", "d-e", "f g", "é") }

func (r refRand) scalar() any {
	switch r.IntN(6) {
	case 0:
		return nil
	case 1:
		return r.IntN(2) == 0
	case 2:
		return r.pick("x", "y", "zz", "é😀", "q\"", "[1]", "}")
	}
	return refNum(r.pick("0", "-1", "1", "2", "1.5", "10", "2.50", "123456789012345678901234567890", "1e2"))
}

func (r refRand) tree(depth int) any {
	if depth == 0 || r.IntN(6) == 0 {
		return r.scalar()
	}
	if r.IntN(2) == 0 {
		l := refList{}
		for range r.IntN(5) {
			l = append(l, r.tree(depth-1))
		}
		return l
	}
	m := refMap{}
	for range r.IntN(6) {
		key := r.key()
		if _, ok := m.get(key); !ok {
			m = append(m, refMember{key, r.tree(depth - 1)})
		}
	}
	return m
}

// spaced is refText with blanks where JSON allows them.
func (r refRand) spaced(v any) string {
	text := refText(v)
	var b strings.Builder
	inString := false
	for i := range len(text) {
		c := text[i]
		if c == '"' && (i == 0 || text[i-1] != '\\') {
			inString = !inString
		}
		b.WriteByte(c)
		if !inString && strings.IndexByte("{}[],:", c) >= 0 && r.IntN(4) == 0 {
			b.WriteString(r.pick(" ", "\n", "\t  "))
		}
	}
	return b.String()
}

func (r refRand) step() refStep {
	key, n := r.key(), r.IntN(6)-2
	switch r.IntN(11) {
	case 0:
		return refStep{fmt.Sprintf("[%d]", n), false, refIndexes(n)}
	case 1:
		return refStep{"[*]", true, refChildren}
	case 2:
		m := r.IntN(4)
		return refStep{fmt.Sprintf("[%d, %d]", n, m), true, refIndexes(n, m)}
	case 3:
		m := r.IntN(6) - 1
		return refStep{fmt.Sprintf("[%d:%d]", n, m), true, refRange(n, m)}
	case 4:
		op := r.pick("", "==", "!=", "<", "<=", ">", ">=")
		var literal any = r.pick("x", "y", "zz")
		text := fmt.Sprintf("[?(@['%s'] %s '%v')]", key, op, literal)
		if r.IntN(2) == 0 {
			literal = refNum(r.pick("0", "1", "2", "2.5", "10", "100"))
			text = fmt.Sprintf("[?(@[\"%s\"]%s%v)]", key, op, literal)
		}
		if op == "" {
			text = fmt.Sprintf("[?( @['%s'] )]", key)
		}
		return refStep{text, true, refFilter(key, op, literal)}
	case 5:
		return refStep{"..*", true, func(v any) []any { return refDeep(v, refChildren) }}
	case 6:
		return refStep{"..['" + key + "']", true, func(v any) []any { return refDeep(v, refNames(key)) }}
	}
	if strings.Contains(key, " ") || r.IntN(3) == 0 {
		return refStep{"['" + key + "']", false, refNames(key)}
	}
	return refStep{"." + key, false, refNames(key)}
}

func TestRandomPathsAgreeWithReference(t *testing.T) {
	seed := uint64(rand.Uint32())
	if s := os.Getenv("PAWL_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("PAWL_SEED=%d", seed)
	r := refRand{rand.New(rand.NewPCG(seed, 1))}
	found := 0
	for range 20000 {
		tree := r.tree(5)
		path, many, at := "$", false, []any{tree}
		for range 1 + r.IntN(4) {
			s := r.step()
			var next []any
			for _, v := range at {
				next = append(next, s.narrow(v)...)
			}
			path, many, at = path+s.text, many || s.many, next
		}
		want := refText(refList(at))
		if !many {
			want = "null"
			if len(at) > 0 {
				want = refText(at[0])
			}
		}
		if want != "null" && want != "[]" {
			found++
		}
		doc := r.spaced(tree)
		p, err := ParsePath(path)
		if err != nil {
			t.Fatalf("ParsePath(%q): %v", path, err)
		}
		v, err := p.Eval(Raw([]byte(doc)), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := compact(v.AppendJSON(nil)); got != compact([]byte(want)) || p.Definite() == many {
			t.Fatalf("%s in %s: got %s, want %s (definite %v)", path, doc, got, want, p.Definite())
		}
	}
	if found < 2000 {
		t.Errorf("only %d paths found something", found)
	}
}

// compact drops blanks outside strings.
func compact(raw []byte) string {
	var out []byte
	for i := 0; i < len(raw); i++ {
		if raw[i] == '"' {
			end := skipString(raw, i)
			out = append(out, raw[i:end]...)
			i = end - 1
		} else if !isBlank(raw[i]) {
			out = append(out, raw[i])
		}
	}
	return string(out)
}
