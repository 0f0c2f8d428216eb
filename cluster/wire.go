package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/hashicorp/go-msgpack/v2/codec"

	"github.com/pawlhq/pawl/fsm"
)

var errShort = errors.New("message is cut or malformed")

// msgpack encodes the rare messages: as arrays, so that field names take no room.
var msgpack = func() *codec.MsgpackHandle {
	h := &codec.MsgpackHandle{}
	h.StructToArray = true
	h.WriteExt = true
	return h
}()

func pack(v any) ([]byte, error) {
	var b []byte
	if err := codec.NewEncoderBytes(&b, msgpack).Encode(v); err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return b, nil
}

func unpack(b []byte, v any) error {
	if err := codec.NewDecoderBytes(b, msgpack).Decode(v); err != nil {
		return fmt.Errorf("decode %T: %w", v, err)
	}
	return nil
}

// out appends to a message of the frequent kinds.
type out struct{ b []byte }

func (w *out) num(v uint64)       { w.b = binary.AppendUvarint(w.b, v) }
func (w *out) int(v int64)        { w.b = binary.AppendVarint(w.b, v) }
func (w *out) byte(v byte)        { w.b = append(w.b, v) }
func (w *out) node(n fsm.NodeID)  { w.b = append(w.b, n[:]...) }
func (w *out) bytes(v []byte)     { w.num(uint64(len(v))); w.b = append(w.b, v...) }
func (w *out) str(v string)       { w.num(uint64(len(v))); w.b = append(w.b, v...) }
func (w *out) fixed(v uint64)     { w.b = binary.BigEndian.AppendUint64(w.b, v) }
func (w *out) exec(id fsm.ExecID) { w.fixed(id.Hi); w.fixed(id.Lo) }
func (w *out) task(id fsm.TaskID) { w.exec(id.Exec); w.num(uint64(id.Serial)) }
func (w *out) slot(s fsm.Slot)    { w.node(s.Node); w.num(uint64(s.Boot)); w.num(s.N) }
func (w *out) queues(q []fsm.Queue) {
	w.num(uint64(len(q)))
	for _, s := range q {
		w.str(string(s))
	}
}

func (w *out) strs(list []string) {
	w.num(uint64(len(list)))
	for _, s := range list {
		w.str(s)
	}
}

// in reads a message back. The first thing that is wrong sticks in err, and everything
// behind it reads as zero.
type in struct {
	b   []byte
	err error
}

func (r *in) fail() { r.b, r.err = nil, errShort }

func (r *in) num() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *in) int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count reads the number of things that follow, each of which takes a byte at least.
func (r *in) count() int {
	n := r.num()
	if n > uint64(len(r.b)) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *in) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.fail()
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *in) byte() byte {
	if v := r.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (r *in) node() (n fsm.NodeID) { copy(n[:], r.take(len(n))); return n }
func (r *in) bytes() []byte        { return r.take(r.count()) }
func (r *in) str() string          { return string(r.bytes()) }

func (r *in) fixed() uint64 {
	if v := r.take(8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

func (r *in) exec() fsm.ExecID { return fsm.ExecID{Hi: r.fixed(), Lo: r.fixed()} }
func (r *in) task() fsm.TaskID { return fsm.TaskID{Exec: r.exec(), Serial: uint32(r.num())} }
func (r *in) slot() fsm.Slot   { return fsm.Slot{Node: r.node(), Boot: uint32(r.num()), N: r.num()} }

func (r *in) queues() []fsm.Queue {
	n := r.count()
	if n == 0 {
		return nil
	}
	out := make([]fsm.Queue, 0, n)
	for range n {
		out = append(out, fsm.Queue(r.str()))
	}
	return out
}

func (r *in) strs() []string {
	n := r.count()
	if n == 0 {
		return nil
	}
	out := make([]string, 0, n)
	for range n {
		out = append(out, r.str())
	}
	return out
}
