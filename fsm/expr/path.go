package expr

import "strconv"

// MaxPathSteps bounds the steps of one path, and so the recursion that walks
// them; paths may be put together from user data.
const MaxPathSteps = 256

// Path is a parsed path: dots, quoted keys, indexes (negative ones from the
// end), slices, wildcards, `..`, unions, filters and functions. It is immutable.
type Path struct {
	src      string
	steps    []step
	simple   bool // members and indexes only
	definite bool
}

// PathError says where text stops being a path, and why.
type PathError struct {
	Offset int    // in bytes, of the text without surrounding blanks
	What   string // what is wrong there
}

// Error returns the offset and the cause.
func (e *PathError) Error() string {
	return "invalid path at offset " + strconv.Itoa(e.Offset) + ": " + e.What
}

type stepKind uint8

const (
	stepMember  stepKind = iota // .name
	stepIndex                   // [1]
	stepMerge                   // ['a','b'] at the end: an object of those members
	stepNames                   // ['a','b'] before other steps: each of them
	stepIndexes                 // [0,1]
	stepSlice                   // [from:to:by]
	stepAll                     // .* and [*]
	stepDeep                    // .. before another step: this value and all below
	stepFilter                  // [?(…)]
	stepCall                    // .length()
)

type step struct {
	kind    stepKind
	name    string // of a member or a function
	names   []string
	index   int
	indexes []int
	slice   slice
	cond    *cond
}

// slice is [from:to:by]; what was left out is nil, by is not zero.
type slice struct {
	from, to *int
	by       int
}

var nullRaw = []byte("null")

// Definite reports whether the path leads to at most one value. An indefinite
// path gives an array of what it finds.
func (p *Path) Definite() bool { return p.definite }

// Root returns the first member of a path that begins with a plain one, else "".
func (p *Path) Root() string {
	if len(p.steps) > 0 && p.steps[0].kind == stepMember {
		return p.steps[0].name
	}
	return ""
}

// Second returns the second member of a path that begins with two plain ones.
func (p *Path) Second() (string, bool) {
	if p.Root() != "" && len(p.steps) > 1 && p.steps[1].kind == stepMember {
		return p.steps[1].name, true
	}
	return "", false
}

// String returns the text the path was parsed from.
func (p *Path) String() string { return p.src }

// Eval walks the path from root. What a definite path does not find is null;
// an indefinite path gives an array, empty if it finds nothing. A value found in
// raw JSON is a sub-slice of it. The only error is ErrBudget.
func (p *Path) Eval(root Value, b *Budget) (Value, error) {
	if r, ok := root.obj.(Resolver); ok {
		if v, done, err := r.Resolve(p, b); done || err != nil {
			return v, err
		}
	}
	v, err := p.find(root, root, b)
	if err != nil {
		return Value{}, err
	}
	if v.Missing() {
		return Value{raw: nullRaw}, nil
	}
	return v, nil
}

// find walks from at; filters read `$` from doc. What is not there is missing.
func (p *Path) find(at, doc Value, b *Budget) (Value, error) {
	if p.simple {
		return follow(at, p.steps, b)
	}
	steps := p.steps
	for {
		n := 0
		for n < len(steps) && steps[n].kind != stepCall {
			n++
		}
		v, err := findPart(at, doc, steps[:n], b)
		if err != nil || n == len(steps) {
			return v, err
		}
		if at, err = call(steps[n].name, v, b); err != nil {
			return Value{}, err
		}
		steps = steps[n+1:]
	}
}

// follow walks members and indexes.
func follow(v Value, steps []step, b *Budget) (Value, error) {
	var err error
	for i := range steps {
		if steps[i].kind == stepMember {
			v, err = v.member(steps[i].name, b)
		} else {
			v, err = v.elem(steps[i].index, b)
		}
		if err != nil || v.Missing() {
			return Value{}, err
		}
	}
	return v, nil
}

// findPart walks steps without calls.
func findPart(at, doc Value, steps []step, b *Budget) (Value, error) {
	w := walker{doc: doc, b: b}
	if err := w.walk(at, steps); err != nil {
		return Value{}, err
	}
	if !isDefinite(steps) {
		return array(w.found, b)
	}
	if len(w.found) == 0 {
		return Value{}, nil
	}
	return w.found[0], nil
}

func isDefinite(steps []step) bool {
	for i := range steps {
		switch steps[i].kind {
		case stepMember, stepIndex, stepMerge, stepCall:
		default:
			return false
		}
	}
	return true
}

// array writes values as a JSON array.
func array(vs []Value, b *Budget) (Value, error) {
	dst := []byte{'['}
	for i, v := range vs {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = v.appendJSON(dst, b, 0); err != nil {
			return Value{}, err
		}
	}
	return Value{raw: append(dst, ']')}, nil
}
