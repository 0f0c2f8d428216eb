package cluster

import (
	"fmt"

	"github.com/pawlhq/pawl/fsm"
)

// envelopeVersion is the first byte of every entry. A reader refuses any other.
const envelopeVersion = 1

// Nonce makes an entry unlike any other: who proposed it, in which start of that node,
// as which of its entries.
type Nonce struct {
	Node fsm.NodeID
	Boot uint32
	Seq  uint64
}

// origin says who waits for a command: the node that a client spoke to, its start, and
// its number for the attempt.
type origin struct {
	node fsm.NodeID
	boot uint32
	seq  uint64
}

// envelope is a log entry: the machine's Entry and what the nodes need to find their
// own commands in it.
type envelope struct {
	nonce Nonce
	// term is that of the leadership that proposed it. In another term it means
	// nothing: whoever waits for it was told that it will not come.
	term    uint64
	origins []origin // one for each command
	entry   []byte
}

// appendHead writes all of an envelope but the entry, which is what follows it.
func appendHead(b []byte, n Nonce, term uint64, origins []origin) []byte {
	w := out{b}
	w.byte(envelopeVersion)
	w.node(n.Node)
	w.num(uint64(n.Boot))
	w.num(n.Seq)
	w.num(term)
	type start struct {
		node fsm.NodeID
		boot uint32
	}
	var starts []start // few: one for each node
	find := func(o origin) int {
		for i, s := range starts {
			if s.node == o.node && s.boot == o.boot {
				return i
			}
		}
		return -1
	}
	for _, o := range origins {
		if find(o) < 0 {
			starts = append(starts, start{o.node, o.boot})
		}
	}
	w.num(uint64(len(starts)))
	for _, s := range starts {
		w.node(s.node)
		w.num(uint64(s.boot))
	}
	w.num(uint64(len(origins)))
	for _, o := range origins {
		w.num(uint64(find(o)))
		w.num(o.seq)
	}
	return w.b
}

// readNonce reads only who proposed an entry; false for bytes that are no envelope.
func readNonce(b []byte) (Nonce, bool) {
	r := in{b: b}
	if r.byte() != envelopeVersion {
		return Nonce{}, false
	}
	n := Nonce{Node: r.node(), Boot: uint32(r.num()), Seq: r.num()}
	return n, r.err == nil
}

// readEnvelope takes an entry apart. The error wraps fsm.ErrVersion for an entry of
// another version, and fsm.ErrCorrupt for anything else.
func readEnvelope(b []byte) (envelope, error) {
	r := in{b: b}
	if v := r.byte(); r.err == nil && v != envelopeVersion {
		return envelope{}, fmt.Errorf("envelope version %d: %w", v, fsm.ErrVersion)
	}
	e := envelope{nonce: Nonce{Node: r.node(), Boot: uint32(r.num()), Seq: r.num()}, term: r.num()}
	starts := make([]origin, 0, r.count())
	for range cap(starts) {
		starts = append(starts, origin{node: r.node(), boot: uint32(r.num())})
	}
	n := r.count()
	e.origins = make([]origin, 0, min(n, fsm.MaxCommands))
	for range n {
		i := r.num()
		if i >= uint64(len(starts)) {
			r.fail()
			break
		}
		o := starts[i]
		o.seq = r.num()
		e.origins = append(e.origins, o)
	}
	if r.err != nil {
		return envelope{}, fmt.Errorf("envelope: %w", fsm.ErrCorrupt)
	}
	e.entry = r.b
	return e, nil
}
