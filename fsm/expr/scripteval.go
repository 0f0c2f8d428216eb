package expr

import (
	"math"
	"strconv"
	"strings"
)

// ScriptError is what a script throws.
type ScriptError struct {
	Message string // as the engine words it
	Line    int    // where it throws, from 1
}

// Error returns the message.
func (e *ScriptError) Error() string { return e.Message }

// Eval runs the script with `$` as dollar. Its error is a *ScriptError if the
// script throws, a *SubsetError if only a value it met shows that the script is
// outside the subset, or ErrBudget.
func (s *Script) Eval(dollar Value, b *Budget) (Result, error) {
	m := machine{b: b, src: s.src, dollar: dollar, vars: make([]jsValue, s.slots)}
	done, err := m.statements(s.body)
	if err != nil || s.isFunc && !done.returned {
		return Result{}, err
	}
	return Result{done.val}, nil
}

// machine runs one script. No name has two values at a time and no function
// calls itself, so one slot for each is enough.
type machine struct {
	b      *Budget
	src    string
	dollar Value
	vars   []jsValue
}

// completion is what a statement leaves behind.
type completion struct {
	val      jsValue
	some     bool // there is a value, maybe undefined
	returned bool
}

func (m *machine) statements(body []stmt) (last completion, err error) {
	for i := range body {
		done, err := m.statement(&body[i])
		if err != nil || done.returned {
			return done, err
		}
		if done.some {
			last = done
		}
	}
	return last, nil
}

func (m *machine) statement(s *stmt) (done completion, err error) {
	switch s.kind {
	case stmtExpr:
		done.some = true
		done.val, err = m.eval(s.e)
	case stmtReturn:
		done.returned = true
		if s.e != nil {
			done.val, err = m.eval(s.e)
		}
	case stmtLet:
		m.vars[s.slot] = jsValue{}
		if s.e != nil {
			m.vars[s.slot], err = m.eval(s.e)
		}
	case stmtBlock:
		return m.statements(s.body)
	case stmtIf:
		cond, err := m.eval(s.e)
		if err != nil {
			return done, err
		}
		if cond.truth() {
			done, err = m.statement(&s.body[0])
		} else if len(s.body) > 1 {
			done, err = m.statement(&s.body[1])
		}
		done.some = true
		return done, err
	}
	return done, err
}

func (m *machine) throw(n *node, message string) error {
	return &ScriptError{Message: "TypeError: " + message, Line: 1 + strings.Count(m.src[:n.pos], "\n")}
}

func (m *machine) outside(n *node, what string) error {
	return &SubsetError{Offset: n.pos, What: what}
}

func (m *machine) eval(n *node) (jsValue, error) {
	if err := m.b.spend(0); err != nil {
		return jsValue{}, err
	}
	switch n.kind {
	case nodeConst:
		return n.val, nil
	case nodeDollar:
		return fromJSON(m.dollar, m.b)
	case nodeVar:
		return m.vars[n.slot], nil
	case nodeCall:
		return m.call(n.body)
	}
	a, err := m.eval(n.a)
	if err != nil {
		return a, err
	}
	switch n.kind {
	case nodeNot:
		return boolValue(!a.truth()), nil
	case nodeAnd, nodeOr:
		if a.truth() == (n.kind == nodeOr) {
			return a, nil
		}
		return m.eval(n.b)
	case nodeCond:
		if a.truth() {
			return m.eval(n.b)
		}
		return m.eval(n.c)
	case nodeMember:
		return m.member(n, a, n.name)
	case nodeToString:
		s, err := m.toString(n, a)
		return stringValue(s), err
	case nodeToNumber, nodePlus, nodeMinus:
		f, err := m.toNumber(n, a)
		if n.kind == nodeMinus {
			f = -f
		}
		return numberValue(f), err
	}
	return m.evalTwo(n, a)
}

// evalTwo evaluates what needs n.b too.
func (m *machine) evalTwo(n *node, a jsValue) (jsValue, error) {
	if n.kind == nodeMethod && a.kind <= jsNull { // thrown before the argument is evaluated
		return m.member(n, a, n.name)
	}
	b, err := m.eval(n.b)
	if err != nil {
		return b, err
	}
	switch n.kind {
	case nodeElem:
		if a.kind <= jsNull {
			if b.kind == jsObject {
				return b, m.outside(n, "object as a key")
			}
			return m.member(n, a, b.text())
		}
		key, err := m.toString(n, b)
		if err != nil {
			return b, err
		}
		return m.member(n, a, key)
	case nodeMethod:
		return m.method(n, a, b)
	}
	return m.binary(n, a, b)
}

func (m *machine) call(f *function) (jsValue, error) {
	if f.expr != nil {
		return m.eval(f.expr)
	}
	done, err := m.statements(f.body)
	if !done.returned {
		return jsValue{}, err
	}
	return done.val, err
}

// member is a[name].
func (m *machine) member(n *node, a jsValue, name string) (jsValue, error) {
	if a.kind <= jsNull {
		return a, m.throw(n, "Cannot read property '"+mend(name)+"' of "+a.text())
	}
	if a.kind == jsObject && a.obj.Kind() == Map {
		v, err := a.obj.member(name, m.b)
		if err == nil && v.Missing() && isObjectBuiltin(name) {
			err = m.outside(n, "property "+name)
		}
		if err != nil {
			return a, err
		}
		return fromJSON(v, m.b)
	}
	if a.kind == jsObject || a.kind == jsString {
		if name == "length" {
			length, err := length(a.obj, m.b)
			if a.kind == jsString {
				return numberValue(float64(unitCount(a.str))), m.b.spend(len(a.str))
			}
			return numberValue(toFloat(length.raw)), err
		}
		if i, ok := arrayIndex(name); ok {
			return m.element(a, i)
		}
	}
	if isBuiltin(name) {
		return a, m.outside(n, "property "+name)
	}
	return jsValue{}, nil
}

// arrayIndex returns the index that a property name is.
func arrayIndex(name string) (int, bool) {
	i, err := strconv.Atoi(name)
	return i, err == nil && len(name) <= 9 && i >= 0 && strconv.Itoa(i) == name
}

// element is a[i] of an array or a string.
func (m *machine) element(a jsValue, i int) (jsValue, error) {
	if a.kind == jsObject {
		v, err := a.obj.elem(i, m.b)
		if err != nil {
			return a, err
		}
		return fromJSON(v, m.b)
	}
	if err := m.b.spend(len(a.str)); err != nil {
		return a, err
	}
	if isASCII(a.str) {
		if i < len(a.str) {
			return stringValue(a.str[i : i+1]), nil
		}
		return jsValue{}, nil
	}
	if u := units(a.str); i < len(u) {
		return stringValue(fromUnits(u[i : i+1])), nil
	}
	return jsValue{}, nil
}

// method is a.name(b).
func (m *machine) method(n *node, a, b jsValue) (jsValue, error) {
	isArray := a.kind == jsObject && a.obj.Kind() == Array
	if a.kind != jsString && !isArray || isArray && n.name == "startsWith" {
		callee := m.src[n.pos:n.end]
		if i := strings.LastIndex(callee, "("); i >= 0 {
			callee = callee[:i]
		}
		return a, m.throw(n, callee+" is not a function")
	}
	if isArray {
		return m.search(n, a.obj, b)
	}
	needle, err := m.toString(n, b)
	if err == nil {
		err = m.b.spend(len(a.str) + len(needle))
	}
	if err != nil {
		return a, err
	}
	switch n.name {
	case "startsWith":
		return boolValue(unitIndex(a.str, needle) == 0), nil
	case "includes":
		return boolValue(unitIndex(a.str, needle) >= 0), nil
	}
	return numberValue(float64(unitIndex(a.str, needle))), nil
}

// unitIndex returns where needle begins in s, in UTF-16 units, -1 if nowhere.
func unitIndex(s, needle string) int {
	_, startsLow := halfAt(needle, 0)
	_, endsHigh := halfAt(needle, max(len(needle)-3, 0))
	if !startsLow && !endsHigh {
		i := strings.Index(s, needle)
		if i > 0 {
			return unitCount(s[:i])
		}
		return i
	}
	u, v := units(s), units(needle)
	for i := 0; i+len(v) <= len(u); i++ {
		k := 0
		for k < len(v) && u[i+k] == v[k] {
			k++
		}
		if k == len(v) {
			return i
		}
	}
	return -1
}

// search is indexOf or includes on an array.
func (m *machine) search(n *node, list Value, needle jsValue) (jsValue, error) {
	i, at := 0, -1
	err := list.each(m.b, func(_ []byte, _ string, v Value) error {
		x, err := fromJSON(v, m.b)
		if err != nil || at >= 0 {
			return err
		}
		if x.kind == jsObject && needle.kind == jsObject {
			return m.outside(n, "identity of objects")
		}
		if strictEqual(x, needle) || n.name == "includes" && isNaN(x) && isNaN(needle) {
			at = i
		}
		i++
		return nil
	})
	if n.name == "includes" {
		return boolValue(at >= 0), err
	}
	return numberValue(float64(at)), err
}

func isNaN(v jsValue) bool { return v.kind == jsNumber && math.IsNaN(v.num) }

func (m *machine) binary(n *node, a, b jsValue) (jsValue, error) {
	switch n.name {
	case "===", "!==", "==", "!=":
		same, err := m.equal(n, a, b)
		return boolValue(same == (n.name[0] == '=')), err
	}
	a, err := m.primitive(n, a)
	if err == nil {
		b, err = m.primitive(n, b)
	}
	if err != nil {
		return a, err
	}
	switch {
	case n.name == "+" && (a.kind == jsString || b.kind == jsString):
		s := joinHalves(a.text(), b.text())
		return stringValue(s), m.b.spend(len(s))
	case a.kind == jsString && b.kind == jsString && (n.name[0] == '<' || n.name[0] == '>'):
		order := float64(compareUnits(a.str, b.str))
		return boolValue(less(n.name, order, 0)), m.b.spend(len(a.str) + len(b.str))
	}
	x, err := m.toNumber(n, a)
	if err != nil {
		return a, err
	}
	y, err := m.toNumber(n, b)
	if err != nil {
		return a, err
	}
	if n.name[0] == '<' || n.name[0] == '>' {
		return boolValue(less(n.name, x, y)), nil
	}
	return numberValue(arithmetic(n.name, x, y)), nil
}

func less(op string, x, y float64) bool {
	switch op {
	case "<":
		return x < y
	case "<=":
		return x <= y
	case ">":
		return x > y
	}
	return x >= y
}

func arithmetic(op string, x, y float64) float64 {
	switch op {
	case "+":
		return x + y
	case "-":
		return x - y
	case "*":
		return float64(x * y)
	case "/":
		return x / y
	}
	return remainder(x, y)
}

// equal is a === b or a == b.
func (m *machine) equal(n *node, a, b jsValue) (bool, error) {
	if err := m.b.spend(min(len(a.str), len(b.str))); err != nil {
		return false, err
	}
	if a.kind == jsObject && b.kind == jsObject {
		return false, m.outside(n, "identity of objects")
	}
	if len(n.name) == 3 {
		return strictEqual(a, b), nil
	}
	var err error
	if a.kind == jsObject && b.kind > jsNull {
		a, err = m.primitive(n, a)
	} else if b.kind == jsObject && a.kind > jsNull {
		b, err = m.primitive(n, b)
	}
	same, ok := looseEqual(a, b)
	if err == nil && !ok {
		err = m.outside(n, "number")
	}
	return same, err
}

func (m *machine) toNumber(n *node, v jsValue) (float64, error) {
	v, err := m.primitive(n, v)
	if err != nil {
		return 0, err
	}
	f, ok := v.number()
	if !ok {
		return math.NaN(), m.outside(n, "number")
	}
	return f, m.b.spend(len(v.str))
}

func (m *machine) toString(n *node, v jsValue) (string, error) {
	v, err := m.primitive(n, v)
	return v.text(), err
}

// primitive turns objects into their text and leaves other values alone.
func (m *machine) primitive(n *node, v jsValue) (jsValue, error) {
	if v.kind != jsObject {
		return v, nil
	}
	s, err := m.objectText(n, v.obj, 0)
	return stringValue(s), err
}

func (m *machine) objectText(n *node, v Value, depth int) (string, error) {
	if depth > MaxDepth {
		return "", m.outside(n, "nested too deeply")
	}
	if v.Kind() == Map {
		for _, name := range []string{"toString", "valueOf"} {
			own, err := v.member(name, m.b)
			if err == nil && !own.Missing() {
				err = m.outside(n, "property "+name)
			}
			if err != nil {
				return "", err
			}
		}
		return "[object Object]", nil
	}
	var text strings.Builder
	first := true
	err := v.each(m.b, func(_ []byte, _ string, v Value) error {
		if !first {
			text.WriteByte(',')
		}
		first = false
		x, err := fromJSON(v, m.b)
		switch {
		case err != nil || x.kind <= jsNull:
			return err
		case x.kind == jsObject:
			s, err := m.objectText(n, x.obj, depth+1)
			if err == nil {
				err = m.b.spend(len(s))
			}
			text.WriteString(s)
			return err
		}
		text.WriteString(x.text())
		return nil
	})
	return text.String(), err
}
