package expr

// walker collects what indefinite steps find, in document order.
type walker struct {
	doc   Value // what `$` in filters means
	b     *Budget
	found []Value
}

// walk adds what steps find from v. Each level of its recursion takes one step,
// or with deep one level of the value.
func (w *walker) walk(v Value, steps []step) error {
	if v.Missing() {
		return nil
	}
	if len(steps) == 0 {
		w.found = append(w.found, v)
		return w.b.spend(0)
	}
	s, rest := &steps[0], steps[1:]
	switch s.kind {
	case stepMember:
		return w.member(v, s.name, rest)
	case stepIndex:
		return w.elem(v, s.index, rest)
	case stepMerge:
		return w.merge(v, s.names)
	case stepNames:
		for _, name := range s.names {
			if err := w.member(v, name, rest); err != nil {
				return err
			}
		}
		return nil
	case stepIndexes:
		for _, i := range s.indexes {
			if err := w.elem(v, i, rest); err != nil {
				return err
			}
		}
		return nil
	case stepSlice:
		return w.slice(v, s.slice, rest)
	case stepDeep:
		return w.deep(v, rest, 0)
	case stepFilter:
		return w.filter(v, s.cond, rest)
	}
	return v.each(w.b, func(_ []byte, _ string, child Value) error { return w.walk(child, rest) })
}

func (w *walker) member(v Value, name string, rest []step) error {
	m, err := v.member(name, w.b)
	if err != nil {
		return err
	}
	return w.walk(m, rest)
}

func (w *walker) elem(v Value, i int, rest []step) error {
	e, err := v.elem(i, w.b)
	if err != nil {
		return err
	}
	return w.walk(e, rest)
}

// merge adds an object of those of names that v has.
func (w *walker) merge(v Value, names []string) error {
	if v.Kind() != Map {
		return nil
	}
	dst := []byte{'{'}
	for _, name := range names {
		m, err := v.member(name, w.b)
		if err != nil {
			return err
		}
		if m.Missing() {
			continue
		}
		if len(dst) > 1 {
			dst = append(dst, ',')
		}
		dst = append(AppendString(dst, name), ':')
		if dst, err = m.appendJSON(dst, w.b, 0); err != nil {
			return err
		}
	}
	return w.walk(Value{raw: append(dst, '}')}, nil)
}

func (w *walker) slice(v Value, s slice, rest []step) error {
	if v.Kind() != Array {
		return nil
	}
	var all []Value
	err := v.each(w.b, func(_ []byte, _ string, child Value) error {
		all = append(all, child)
		return nil
	})
	from, to := s.bounds(len(all))
	for i := from; err == nil && (s.by > 0 && i < to || s.by < 0 && i > to); i += s.by {
		err = w.walk(all[i], rest)
	}
	return err
}

// bounds returns the first index and the one to stop before, for n elements.
func (s slice) bounds(n int) (from, to int) {
	lo, hi := 0, n // what bounds are cut to
	if s.by < 0 {
		lo, hi = -1, n-1
	}
	from, to = lo, hi
	if s.by < 0 {
		from, to = hi, lo
	}
	if s.from != nil {
		from = fromEnd(*s.from, n, lo, hi)
	}
	if s.to != nil {
		to = fromEnd(*s.to, n, lo, hi)
	}
	return from, to
}

func fromEnd(i, n, lo, hi int) int {
	if i < 0 {
		i += n
	}
	return min(max(i, lo), hi)
}

// deep walks steps from v and from every container below it, parents first.
func (w *walker) deep(v Value, steps []step, depth int) error {
	kind := v.Kind()
	if kind != Map && kind != Array || depth > MaxDepth {
		return nil
	}
	// A filter tests the elements of an array one by one; here they are visited anyway.
	if steps[0].kind != stepFilter || kind == Map {
		if err := w.walk(v, steps); err != nil {
			return err
		}
	}
	return v.each(w.b, func(_ []byte, _ string, child Value) error {
		return w.deep(child, steps, depth+1)
	})
}

// filter walks on from the elements of an array that meet c, or from an object
// that meets it itself.
func (w *walker) filter(v Value, c *cond, rest []step) error {
	test := func(_ []byte, _ string, v Value) error {
		ok, err := c.holds(v, w.doc, w.b)
		if err != nil || !ok {
			return err
		}
		return w.walk(v, rest)
	}
	switch v.Kind() {
	case Map:
		return test(nil, "", v)
	case Array:
		return v.each(w.b, test)
	}
	return nil
}

// call applies the function name of a path to what the steps before it found.
func call(name string, v Value, b *Budget) (Value, error) {
	switch name {
	case "length":
		return length(v, b)
	case "keys":
		return keys(v, b)
	case "first":
		return v.elem(0, b)
	case "last":
		return v.elem(-1, b)
	}
	return aggregate(name, v, b)
}

func isFunction(name string) bool {
	switch name {
	case "length", "keys", "first", "last", "sum", "min", "max", "avg":
		return true
	}
	return false
}

func length(v Value, b *Budget) (Value, error) {
	switch v.Kind() {
	case String:
		return intValue(unitCount(unquote(v.raw))), b.spend(len(v.raw))
	case Map, Array:
		n, err := v.count(b)
		return intValue(n), err
	}
	return Value{}, nil
}

func keys(v Value, b *Budget) (Value, error) {
	if v.Kind() != Map {
		return Value{}, nil
	}
	dst := []byte{'['}
	err := v.each(b, func(key []byte, name string, _ Value) error {
		if len(dst) > 1 {
			dst = append(dst, ',')
		}
		if key != nil {
			dst = append(dst, key...)
		} else {
			dst = AppendString(dst, name)
		}
		return nil
	})
	return Value{raw: append(dst, ']')}, err
}

// aggregate returns the sum, minimum, maximum or average of the numbers in an
// array as a float; it is missing if there are none.
func aggregate(name string, v Value, b *Budget) (Value, error) {
	if v.Kind() != Array {
		return Value{}, nil
	}
	n, acc := 0, 0.0
	err := v.each(b, func(_ []byte, _ string, child Value) error {
		if child.Kind() != Number {
			return nil
		}
		f := toFloat(child.raw)
		switch {
		case n == 0:
			acc = f
		case name == "min":
			acc = min(acc, f)
		case name == "max":
			acc = max(acc, f)
		default:
			acc += f
		}
		n++
		return nil
	})
	if err != nil || n == 0 {
		return Value{}, err
	}
	if name == "avg" {
		acc /= float64(n)
	}
	return floatValue(acc), nil
}
