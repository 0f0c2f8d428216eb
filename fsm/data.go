package fsm

import "encoding/binary"

// Data is a payload: raw JSON bytes in which every digit and unknown key survives, or
// a formula over records of the same execution that is answered member by member and
// never stored. It is immutable.
type Data struct {
	kind dataKind
	of   uint32 // serial of the record that a formula reads
	sum  uint64 // hash of raw, by which it enters the digest
	raw  []byte
}

// dataKind numbers are stored.
type dataKind uint8

const (
	dataNone dataKind = iota // absent: reads as {}
	dataRaw
	dataJoin // {member: output} of the JOIN record of
	dataLoop // {iteration, "1": {…}, …} of the DO_WHILE record of
	dataTask // the output of the record of
)

// emptyObject is what an absent payload reads as.
const emptyObject = "{}"

func raw(b []byte) Data {
	if len(b) == 0 {
		return Data{}
	}
	return Data{kind: dataRaw, raw: b, sum: payloadHash(b)}
}

// bytes gives the raw bytes of a payload that is no formula.
func (d Data) bytes() []byte {
	if d.kind == dataRaw {
		return d.raw
	}
	return []byte(emptyObject)
}

func (w *writer) data(tag int, d Data) {
	switch d.kind {
	case dataNone:
	case dataRaw:
		w.payload(tag, d)
	default:
		w.num(tag, uint64(d.of)<<8|uint64(d.kind))
	}
}

func (w *writer) payload(tag int, d Data) {
	sum := d.sum
	switch w.form {
	case formStored:
		w.bytes(tag, d.raw)
		return
	case formRehashed:
		sum = payloadHash(d.raw)
	}
	w.key(tag, wireBytes)
	w.b = append(w.b, 8)
	w.b = binary.BigEndian.AppendUint64(w.b, sum)
}

func (r *reader) data() Data {
	if r.kind == wireBytes {
		return raw(r.bytes())
	}
	v := r.num()
	d := Data{kind: dataKind(v & 0xff), of: uint32(v >> 8)}
	if d.kind < dataJoin || d.kind > dataTask || v>>40 != 0 {
		r.fail(ErrVersion)
	}
	return d
}
