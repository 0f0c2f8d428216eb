package expr

// Object is a value that its owner answers member by member, so that it need
// never be written out. Get and Range must agree and must not change while an
// evaluation runs.
type Object interface {
	// Get returns the member under key, and false if there is none.
	Get(key string) (Value, bool)
	// Range calls yield for each member in order until it returns false.
	Range(yield func(key string, v Value) bool)
}

// Value is what a path walks: raw JSON, a composite Object, or nothing. The zero
// Value is missing. Values are shared, so nobody may write to their bytes.
type Value struct {
	raw []byte
	obj Object
}

// Raw returns the value of one JSON document that Canon accepted. Blanks around
// it do not count; bytes that begin no value give the missing Value.
func Raw(b []byte) Value {
	if len(b) > 0 && (isBlank(b[0]) || isBlank(b[len(b)-1])) {
		b = trim(b)
	}
	if len(b) == 0 {
		return Value{}
	}
	return Value{raw: b}
}

// Composite returns the value that o answers for. A nil o gives the missing Value.
func Composite(o Object) Value { return Value{obj: o} }

// Missing reports whether there is no value, not even null.
func (v Value) Missing() bool { return v.raw == nil && v.obj == nil }

// Raw returns the value's JSON, and false if it is missing or composite.
func (v Value) Raw() ([]byte, bool) { return v.raw, v.raw != nil }

// Kind returns the kind of the value: Map for composites, Invalid if missing.
func (v Value) Kind() Kind {
	if v.obj != nil {
		return Map
	}
	return KindOf(v.raw)
}

// Member returns the member under key; it is missing if v is no object or lacks it.
func (v Value) Member(key string) Value {
	m, _ := v.member(key, nil)
	return m
}

// Elem returns element i, from the end if i is negative; it is missing if v is
// no array or too short.
func (v Value) Elem(i int) Value {
	e, _ := v.elem(i, nil)
	return e
}

// AppendJSON appends the value as JSON: raw bytes as they are, a composite
// member by member, null if missing.
func (v Value) AppendJSON(dst []byte) []byte {
	dst, _ = v.appendJSON(dst, nil, 0)
	return dst
}

func (v Value) member(key string, b *Budget) (Value, error) {
	if v.obj != nil {
		m, ok := v.obj.Get(key)
		if !ok {
			m = Value{}
		}
		return m, b.spend(0)
	}
	raw, scanned := find(v.raw, key)
	return Value{raw: raw}, b.spend(scanned)
}

func (v Value) elem(i int, b *Budget) (Value, error) {
	if v.obj != nil {
		return Value{}, b.spend(0)
	}
	raw, scanned := element(v.raw, i)
	return Value{raw: raw}, b.spend(scanned)
}

// each calls visit for every member or element in order, key empty for elements,
// until visit fails.
func (v Value) each(b *Budget, visit func(key []byte, name string, child Value) error) error {
	if v.obj != nil {
		return eachMember(v.obj, b, visit)
	}
	c, ok := open(v.raw, '{')
	if !ok {
		c, ok = open(v.raw, '[')
	}
	for ok {
		var key, val []byte
		from := c.i
		key, val, ok = c.next()
		if err := b.spend(c.i - from); err != nil {
			return err
		}
		if ok {
			if err := visit(key, "", Value{raw: val}); err != nil {
				return err
			}
		}
	}
	return nil
}

func eachMember(o Object, b *Budget, visit func(key []byte, name string, child Value) error) (err error) {
	o.Range(func(name string, child Value) bool {
		if err = b.spend(0); err == nil {
			err = visit(nil, name, child)
		}
		return err == nil
	})
	return err
}

// count returns the number of members or elements.
func (v Value) count(b *Budget) (int, error) {
	if v.obj == nil {
		n, scanned := count(v.raw)
		return n, b.spend(scanned)
	}
	n := 0
	err := v.each(b, func([]byte, string, Value) error { n++; return nil })
	return n, err
}

// AppendWithin is AppendJSON within a budget: ErrBudget when it does not reach.
func (v Value) AppendWithin(dst []byte, b *Budget) ([]byte, error) { return v.appendJSON(dst, b, 0) }

func (v Value) appendJSON(dst []byte, b *Budget, depth int) ([]byte, error) {
	if v.obj == nil {
		if v.raw == nil {
			return append(dst, "null"...), b.copied(4)
		}
		if err := b.copied(len(v.raw)); err != nil {
			return dst, err
		}
		return append(dst, v.raw...), nil
	}
	return v.appendMembers(dst, b, depth)
}

func (v Value) appendMembers(dst []byte, b *Budget, depth int) ([]byte, error) {
	if depth == MaxDepth {
		return append(dst, "null"...), nil // an owner that nests in itself
	}
	dst = append(dst, '{')
	first := true
	err := v.each(b, func(_ []byte, name string, child Value) (err error) {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(AppendString(dst, name), ':')
		dst, err = child.appendJSON(dst, b, depth+1)
		return err
	})
	return append(dst, '}'), err
}

// AppendText appends what v reads as inside a longer string, which is what Java
// makes of it: a string as it is, an integer digit by digit, another number like
// Double.toString, {a=1} and [1, 2], null if missing. The text may hold half
// surrogates in the form that AppendString takes.
func AppendText(dst []byte, v Value, b *Budget) ([]byte, error) { return v.appendText(dst, b, 0) }

func (v Value) appendText(dst []byte, b *Budget, depth int) ([]byte, error) {
	switch kind := v.Kind(); kind {
	case Map, Array:
		if depth == MaxDepth {
			return append(dst, "null"...), nil
		}
		return v.appendTexts(dst, kind, b, depth+1)
	case String:
		dst = appendUnquoted(dst, v.raw[1:max(len(v.raw)-1, 1)])
	case Number:
		if isInteger(v.raw) {
			dst = append(dst, v.raw...)
		} else {
			dst = appendJavaDouble(dst, toFloat(v.raw))
		}
	case Bool:
		dst = append(dst, v.raw...)
	default:
		dst = append(dst, "null"...)
	}
	return dst, b.spend(len(v.raw))
}

func (v Value) appendTexts(dst []byte, kind Kind, b *Budget, depth int) ([]byte, error) {
	ends := "[]"
	if kind == Map {
		ends = "{}"
	}
	dst = append(dst, ends[0])
	first := true
	err := v.each(b, func(key []byte, name string, child Value) (err error) {
		if !first {
			dst = append(dst, ", "...)
		}
		first = false
		if len(key) > 0 {
			dst = append(appendUnquoted(dst, key[1:len(key)-1]), '=')
		} else if kind == Map {
			dst = append(append(dst, name...), '=')
		}
		dst, err = child.appendText(dst, b, depth)
		return err
	})
	return append(dst, ends[1]), err
}

// Merge returns the members of base with those of over put over them: a key of
// both keeps its place in base, new keys follow in the order of over. If either
// is no object the result is over.
func Merge(base, over []byte) []byte {
	if KindOf(base) != Map || KindOf(over) != Map {
		return over
	}
	later := membersOf(over)
	if later.len() == 0 {
		return base
	}
	out := append(make([]byte, 0, len(base)+len(over)), '{')
	c, ok := open(base, '{')
	for ok {
		var key, val []byte
		if key, val, ok = c.next(); !ok {
			break
		}
		if i := later.index(key); i >= 0 {
			val = later.vals[i]
			later.keys[i] = nil
		}
		out = appendMember(out, key, val)
	}
	for i, key := range later.keys {
		if key != nil {
			out = appendMember(out, key, later.vals[i])
		}
	}
	return append(out, '}')
}

// SetKey returns obj with the member key set to value, in place if obj has it
// and at the end if not. If obj is no object the result has that member alone.
func SetKey(obj []byte, key string, value []byte) []byte {
	over := appendMember([]byte{'{'}, AppendString(nil, key), value)
	over = append(over, '}')
	if KindOf(obj) != Map {
		return over
	}
	return Merge(obj, over)
}

// appendMember appends a member to an object that is being written.
func appendMember(dst, key, val []byte) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(append(dst, key...), ':')
	return append(dst, trim(val)...)
}

// members is an object taken apart, for look-ups in any number.
type members struct {
	keys, vals [][]byte
	many       map[string]int // by text, above smallObject
}

func membersOf(obj []byte) *members {
	m := &members{}
	c, ok := open(obj, '{')
	for ok {
		var key, val []byte
		if key, val, ok = c.next(); ok {
			m.keys, m.vals = append(m.keys, key), append(m.vals, val)
		}
	}
	if len(m.keys) > smallObject {
		m.many = make(map[string]int, len(m.keys))
		for i, key := range m.keys {
			m.many[keyText(key)] = i
		}
	}
	return m
}

func (m *members) len() int { return len(m.keys) }

// index returns the position of a key token, -1 if it is not there.
func (m *members) index(key []byte) int {
	if m.many != nil {
		if i, ok := m.many[keyText(key)]; ok {
			return i
		}
		return -1
	}
	for i, k := range m.keys {
		if k != nil && sameKey(k, key) {
			return i
		}
	}
	return -1
}
