package fsm

import "encoding/binary"

// The encoding of everything stored: fields in ascending tag order, each
// uvarint(tag<<1 | kind) followed by a uvarint (kind 0) or a length and bytes
// (kind 1). Defaults are left out and a tag may repeat, so that a value has exactly
// one encoding. A tag that the reader does not know is refused, never skipped: the
// writer meant something by it.

const (
	wireNum   = 0
	wireBytes = 1
	// maxTag keeps tags to two bytes.
	maxTag = 1<<13 - 1
)

type writer struct {
	b    []byte
	form form
}

// form is what rows are encoded for.
type form uint8

const (
	formStored   form = iota // to be read again
	formDigest               // to be hashed: payloads are written as their hashes
	formRehashed             // the same, with each payload hashed anew
)

func (w *writer) key(tag int, kind uint64) { w.b = binary.AppendUvarint(w.b, uint64(tag)<<1|kind) }

func (w *writer) num(tag int, v uint64) {
	if v != 0 {
		w.key(tag, wireNum)
		w.b = binary.AppendUvarint(w.b, v)
	}
}

func (w *writer) int(tag int, v int64) { w.num(tag, uint64(v)<<1^uint64(v>>63)) }

func (w *writer) flag(tag int, v bool) {
	if v {
		w.num(tag, 1)
	}
}

func (w *writer) bytes(tag int, v []byte) {
	if len(v) != 0 {
		w.key(tag, wireBytes)
		w.b = binary.AppendUvarint(w.b, uint64(len(v)))
		w.b = append(w.b, v...)
	}
}

func (w *writer) str(tag int, v string) {
	if len(v) != 0 {
		w.key(tag, wireBytes)
		w.b = binary.AppendUvarint(w.b, uint64(len(v)))
		w.b = append(w.b, v...)
	}
}

// always writes a field even when it is empty, for lists whose elements may be.
func (w *writer) always(tag int, v string) {
	w.key(tag, wireBytes)
	w.b = binary.AppendUvarint(w.b, uint64(len(v)))
	w.b = append(w.b, v...)
}

func (w *writer) exec(tag int, e ExecID) {
	if !e.IsZero() {
		w.key(tag, wireBytes)
		w.b = append(w.b, 16)
		w.b = appendExec(w.b, e)
	}
}

func (w *writer) task(tag int, t TaskID) {
	if !t.IsZero() {
		w.key(tag, wireBytes)
		w.b = append(w.b, 20)
		w.b = appendTask(w.b, t)
	}
}

// nest writes a message as one field; the length is put before it once it is known.
func (w *writer) nest(tag int, f func(w *writer)) {
	w.key(tag, wireBytes)
	at := len(w.b)
	f(w)
	var size [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(size[:], uint64(len(w.b)-at))
	w.b = append(w.b, size[:n]...)
	copy(w.b[at+n:], w.b[at:len(w.b)-n])
	copy(w.b[at:], size[:n])
}

func appendExec(b []byte, e ExecID) []byte {
	b = binary.BigEndian.AppendUint64(b, e.Hi)
	return binary.BigEndian.AppendUint64(b, e.Lo)
}

func appendTask(b []byte, t TaskID) []byte {
	b = appendExec(b, t.Exec)
	return binary.BigEndian.AppendUint32(b, t.Serial)
}

// reader walks the fields of one message. After an error every read gives zero.
type reader struct {
	b    []byte
	err  error
	last int
	tag  int
	kind uint64
	n    uint64
	val  []byte
}

// next moves to the following field; false at the end or on an error.
func (r *reader) next() bool {
	if r.err != nil || len(r.b) == 0 {
		return false
	}
	key := r.uvarint()
	r.tag, r.kind = int(key>>1), key&1
	if r.err != nil || r.tag < r.last || r.tag == 0 || r.tag > maxTag {
		r.fail(ErrCorrupt)
		return false
	}
	r.last = r.tag
	r.n = r.uvarint()
	if r.kind == wireBytes {
		if r.err != nil || r.n > uint64(len(r.b)) {
			r.fail(ErrCorrupt)
			return false
		}
		r.val, r.b = r.b[:r.n:r.n], r.b[r.n:]
	} else {
		r.val = nil
	}
	return r.err == nil
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail(ErrCorrupt)
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// unknown refuses the field at hand.
func (r *reader) unknown() { r.fail(ErrVersion) }

func (r *reader) num() uint64 {
	if r.kind != wireNum {
		r.fail(ErrCorrupt)
		return 0
	}
	return r.n
}

func (r *reader) int() int64 {
	v := r.num()
	return int64(v>>1) ^ -int64(v&1)
}

func (r *reader) num8() uint8 {
	v := r.num()
	if v > 1<<8-1 {
		r.fail(ErrCorrupt)
	}
	return uint8(v)
}

func (r *reader) num32() uint32 {
	v := r.num()
	if v > 1<<32-1 {
		r.fail(ErrCorrupt)
	}
	return uint32(v)
}

func (r *reader) int32() int32 {
	v := r.int()
	if v != int64(int32(v)) {
		r.fail(ErrCorrupt)
	}
	return int32(v)
}

func (r *reader) flag() bool {
	v := r.num()
	if v != 1 {
		r.fail(ErrCorrupt)
	}
	return true
}

// raw is the field's bytes, still part of the message's buffer.
func (r *reader) raw() []byte {
	if r.kind != wireBytes {
		r.fail(ErrCorrupt)
		return nil
	}
	return r.val
}

// bytes is a copy of the field's bytes: what State keeps must not pin the message.
func (r *reader) bytes() []byte {
	v := r.raw()
	if len(v) == 0 {
		return nil
	}
	return append(make([]byte, 0, len(v)), v...)
}

func (r *reader) str() string { return string(r.raw()) }

func (r *reader) exec() ExecID {
	v := r.raw()
	if len(v) != 16 {
		r.fail(ErrCorrupt)
		return ExecID{}
	}
	return readExec(v)
}

func (r *reader) task() TaskID {
	v := r.raw()
	if len(v) != 20 {
		r.fail(ErrCorrupt)
		return TaskID{}
	}
	return TaskID{Exec: readExec(v), Serial: binary.BigEndian.Uint32(v[16:])}
}

func readExec(v []byte) ExecID {
	return ExecID{Hi: binary.BigEndian.Uint64(v), Lo: binary.BigEndian.Uint64(v[8:])}
}

// node reads a NodeID.
func (r *reader) node() NodeID {
	var n NodeID
	if v := r.raw(); len(v) == len(n) {
		copy(n[:], v)
	} else {
		r.fail(ErrCorrupt)
	}
	return n
}

// request reads a RequestID.
func (r *reader) request() RequestID {
	var id RequestID
	if v := r.raw(); len(v) == len(id) {
		copy(id[:], v)
	} else {
		r.fail(ErrCorrupt)
	}
	return id
}

// nest reads the field as a message.
func (r *reader) nest(field func(r *reader)) {
	in := reader{b: r.raw()}
	for in.next() {
		field(&in)
	}
	if in.err != nil {
		r.fail(in.err)
	}
}
