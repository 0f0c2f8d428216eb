package builtin

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/dop251/goja"

	"github.com/pawlhq/pawl/fsm/expr"
)

// toScript makes a value of checked JSON that shares nothing with it.
func toScript(vm *goja.Runtime, raw []byte) goja.Value {
	switch expr.KindOf(raw) {
	case expr.Bool:
		return vm.ToValue(bytes.Contains(raw, []byte("true")))
	case expr.Number:
		f, _ := strconv.ParseFloat(string(bytes.TrimSpace(raw)), 64) // out of range is an infinity
		return vm.ToValue(f)
	case expr.String:
		return scriptString(vm, bytes.TrimSpace(raw))
	case expr.Array:
		var items []any
		for item := range expr.Elements(raw) {
			items = append(items, toScript(vm, item))
		}
		return vm.NewArray(items...)
	case expr.Map:
		o := vm.NewObject()
		for name, member := range expr.Members(raw) {
			// Not by Set: the name may be __proto__.
			_ = o.DefineDataProperty(name, toScript(vm, member), goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_TRUE)
		}
		return o
	}
	return goja.Null()
}

// scriptString reads a JSON string as UTF-16, where half of a pair is a character.
func scriptString(vm *goja.Runtime, raw []byte) goja.Value {
	raw = raw[1 : len(raw)-1]
	if bytes.IndexByte(raw, '\\') < 0 {
		return vm.ToValue(string(raw))
	}
	var units []uint16
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			r, n := utf8.DecodeRune(raw[i:])
			units = utf16.AppendRune(units, r)
			i += n
			continue
		}
		if raw[i+1] == 'u' {
			n, _ := strconv.ParseUint(string(raw[i+2:i+6]), 16, 16)
			units = append(units, uint16(n))
			i += 6
			continue
		}
		units = append(units, escaped(raw[i+1]))
		i += 2
	}
	return goja.StringFromUTF16(units)
}

func escaped(c byte) uint16 {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return uint16(c)
}

// resultWriter writes values of a script as JSON. Getters and proxies may run; what
// they throw goes through. An Outcome is thrown for a value that cannot be kept.
type resultWriter struct {
	vm      *goja.Runtime
	isArray goja.Callable
	dst     []byte
}

func newResultWriter(vm *goja.Runtime) *resultWriter {
	isArray, _ := goja.AssertFunction(vm.Get("Array").(*goja.Object).Get("isArray"))
	return &resultWriter{vm: vm, isArray: isArray}
}

func (w *resultWriter) value(v goja.Value, depth int) {
	if len(w.dst) > MaxResult {
		panic(tooLarge(len(w.dst)))
	}
	switch x := v.(type) {
	case nil:
	case *goja.Object:
		w.object(x, depth+1)
		return
	case goja.String:
		w.text(x)
		return
	default:
		if goja.IsNumber(v) {
			w.number(v)
			return
		}
		if goja.IsBigInt(v) {
			w.dst = append(w.dst, v.String()...)
			return
		}
		if b, ok := v.Export().(bool); ok {
			w.dst = strconv.AppendBool(w.dst, b)
			return
		}
	}
	w.dst = append(w.dst, "null"...) // undefined and symbols too
}

func (w *resultWriter) number(v goja.Value) {
	if n, ok := v.Export().(int64); ok {
		w.dst = strconv.AppendInt(w.dst, n, 10)
		return
	}
	f := v.ToFloat()
	if f-f != 0 { // not finite
		w.dst = append(w.dst, "null"...)
		return
	}
	w.dst = append(w.dst, expr.FormatNumber(f)...)
}

// text writes a string, halves of pairs as escapes.
func (w *resultWriter) text(s goja.String) {
	if s.Length() > MaxResult {
		panic(tooLarge(len(w.dst) + s.Length()))
	}
	units := make([]uint16, s.Length())
	for i := range units {
		units[i] = s.CharAt(i)
	}
	from := 0
	w.dst = append(w.dst, '"')
	for i := 0; i <= len(units); i++ {
		half := i < len(units) && utf16.IsSurrogate(rune(units[i]))
		if half && i+1 < len(units) && utf16.DecodeRune(rune(units[i]), rune(units[i+1])) != utf8.RuneError {
			i++
			continue
		}
		if !half && i < len(units) {
			continue
		}
		quoted := expr.AppendString(nil, string(utf16.Decode(units[from:i])))
		w.dst = append(w.dst, quoted[1:len(quoted)-1]...)
		if half {
			const hex = "0123456789abcdef"
			u := units[i]
			w.dst = append(w.dst, '\\', 'u', hex[u>>12], hex[u>>8&15], hex[u>>4&15], hex[u&15])
		}
		from = i + 1
	}
	w.dst = append(w.dst, '"')
}

func (w *resultWriter) object(o *goja.Object, depth int) {
	if _, ok := goja.AssertFunction(o); ok {
		w.dst = append(w.dst, "null"...)
		return
	}
	if depth > maxDepth {
		panic(tooDeep)
	}
	is, err := w.isArray(goja.Undefined(), o)
	if err != nil {
		panic(err)
	}
	if is.ToBoolean() {
		w.array(o, depth)
		return
	}
	w.dst = append(w.dst, '{')
	for i, name := range o.Keys() {
		if i > 0 {
			w.dst = append(w.dst, ',')
		}
		w.dst = append(expr.AppendString(w.dst, name), ':')
		w.value(o.Get(name), depth)
	}
	w.dst = append(w.dst, '}')
}

func (w *resultWriter) array(o *goja.Object, depth int) {
	w.dst = append(w.dst, '[')
	n := o.Get("length").ToInteger()
	for i := range n {
		if i > 0 {
			w.dst = append(w.dst, ',')
		}
		w.value(o.Get(strconv.FormatInt(i, 10)), depth)
	}
	w.dst = append(w.dst, ']')
}

// decode reads checked JSON with numbers as they are written.
func decode(raw []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}
