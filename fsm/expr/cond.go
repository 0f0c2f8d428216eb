package expr

import "strconv"

type condOp uint8

const (
	condOr condOp = iota
	condAnd
	condNot
	condExists
	condEqual
	condUnequal
	condLess
	condLessEqual
	condMore
	condMoreEqual
	condIn
)

// cond is what a filter tests. Or, And have both kids, Not has left, the others
// compare operands.
type cond struct {
	op          condOp
	left, right *cond
	a, b        operand
}

// operand is a literal, or a path from `@` or from `$`.
type operand struct {
	path     *Path
	fromRoot bool
	literal  Value
}

func (o *operand) value(at, doc Value, b *Budget) (Value, error) {
	switch {
	case o.path == nil:
		return o.literal, nil
	case o.fromRoot:
		return o.path.find(doc, doc, b)
	}
	return o.path.find(at, doc, b)
}

// holds reports whether the value at meets the condition.
func (c *cond) holds(at, doc Value, b *Budget) (bool, error) {
	if err := b.spend(0); err != nil {
		return false, err
	}
	switch c.op {
	case condOr, condAnd:
		ok, err := c.left.holds(at, doc, b)
		if err != nil || ok == (c.op == condOr) {
			return ok, err
		}
		return c.right.holds(at, doc, b)
	case condNot:
		ok, err := c.left.holds(at, doc, b)
		return !ok, err
	}
	x, err := c.a.value(at, doc, b)
	if err != nil {
		return false, err
	}
	if c.op == condExists {
		return c.a.exists(x), nil
	}
	y, err := c.b.value(at, doc, b)
	if err != nil {
		return false, err
	}
	return compare(c.op, x, y, b)
}

// exists is what an operand alone means: a path must lead somewhere, and a
// literal must be true.
func (o *operand) exists(v Value) bool {
	switch {
	case o.path == nil:
		return string(v.raw) == "true"
	case !o.path.definite:
		return Count(v.raw) > 0
	}
	return !v.Missing()
}

func compare(op condOp, x, y Value, b *Budget) (bool, error) {
	switch op {
	case condEqual:
		return equal(x, y, b, 0)
	case condUnequal:
		ok, err := equal(x, y, b, 0)
		return !ok, err
	case condIn:
		return isIn(x, y, b)
	}
	order, kind := 0, x.Kind()
	switch {
	case kind != y.Kind():
		return false, nil
	case kind == Number:
		order = compareNumbers(x.raw, y.raw)
	case kind == String:
		order = compareUnits(unquote(x.raw), unquote(y.raw))
	default:
		return false, nil
	}
	if err := b.spend(len(x.raw) + len(y.raw)); err != nil {
		return false, err
	}
	switch op {
	case condLess:
		return order < 0, nil
	case condLessEqual:
		return order <= 0, nil
	case condMore:
		return order > 0, nil
	}
	return order >= 0, nil
}

func isIn(x, list Value, b *Budget) (found bool, err error) {
	if list.Kind() != Array {
		return false, nil
	}
	c, ok := open(list.raw, '[')
	for ok && !found && err == nil {
		var val []byte
		if _, val, ok = c.next(); ok {
			found, err = equal(x, Value{raw: val}, b, 0)
		}
	}
	return found, err
}

// equal compares by value: numbers numerically, objects whatever their order,
// and a number with the string that reads like it. Nothing equals what is missing.
func equal(x, y Value, b *Budget, depth int) (bool, error) {
	kx, ky := x.Kind(), y.Kind()
	if kx == Map && ky == Map || kx == Array && ky == Array {
		if depth == MaxDepth {
			return false, nil
		}
		return equalContainers(x, y, kx, b, depth+1)
	}
	if err := b.spend(len(x.raw) + len(y.raw)); err != nil {
		return false, err
	}
	switch {
	case kx == Number && ky == Number:
		return compareNumbers(x.raw, y.raw) == 0, nil
	case kx == String && ky == String:
		return sameKey(x.raw, y.raw), nil
	case kx == Number && ky == String:
		f, err := strconv.ParseFloat(keyText(y.raw), 64)
		return err == nil && f == toFloat(x.raw), nil
	case kx == String && ky == Number:
		return keyIs(x.raw, string(y.raw)), nil
	}
	return kx == ky && kx != Invalid && string(x.raw) == string(y.raw), nil
}

func equalContainers(x, y Value, kind Kind, b *Budget, depth int) (same bool, err error) {
	nx, err := x.count(b)
	if err != nil {
		return false, err
	}
	ny, err := y.count(b)
	if err != nil || nx != ny {
		return false, err
	}
	same, i := true, 0
	err = x.each(b, func(key []byte, name string, vx Value) (err error) {
		if !same {
			return nil
		}
		var vy Value
		if kind == Array {
			vy, err = y.elem(i, b)
		} else {
			if key != nil {
				name = keyText(key)
			}
			vy, err = y.member(name, b)
		}
		if err == nil {
			same, err = equal(vx, vy, b, depth)
		}
		i++
		return err
	})
	return same, err
}
