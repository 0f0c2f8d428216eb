package fsm

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"
)

// Millis is cluster time in milliseconds since the Unix epoch, or a duration in
// milliseconds. Every time in State is one; none comes from a local clock.
type Millis int64

// NodeID names a node for the life of its disk: 128 random bits.
type NodeID [16]byte

// String gives the 32 lower-case hexadecimal digits that ParseNodeID reads back.
func (n NodeID) String() string { return hex.EncodeToString(n[:]) }

// IsZero reports whether n names no node.
func (n NodeID) IsZero() bool { return n == NodeID{} }

// ParseNodeID reads the form that NodeID.String writes.
func ParseNodeID(s string) (NodeID, error) {
	var n NodeID
	if len(s) != 2*len(n) {
		return n, ErrBadID
	}
	if _, err := hex.Decode(n[:], []byte(s)); err != nil {
		return NodeID{}, ErrBadID
	}
	return n, nil
}

// Layout of an id, from the highest bit: index 48, version 4 (always 8), shard 12,
// variant 2 (binary 10), incarnation 6, ordinal 20, kind 4, serial 32. The text form
// is therefore a valid version 8 UUID. Only this file may take one apart.
const (
	idVersion    = 8
	idVariant    = 0b10
	maxIDIndex   = 1<<48 - 1
	maxIDOrdinal = 1<<20 - 1
	maxIDShard   = 1<<12 - 1
	// MaxIncarnation is the last incarnation a cluster can reach; after it a new
	// cluster id is needed, since ids and leases hold six bits of it.
	MaxIncarnation = 1<<6 - 1
)

// ExecID names an execution. Ids sort by creation. The low 32 bits are zero; a task
// of the execution has its serial there.
type ExecID struct{ Hi, Lo uint64 }

// TaskID names one attempt: its execution and a serial from 1.
type TaskID struct {
	Exec   ExecID
	Serial uint32
}

// newExecID makes the id of the ordinal-th execution that the entry at index makes.
func newExecID(index uint64, incarnation uint8, ordinal uint32) ExecID {
	if index > maxIDIndex || ordinal > maxIDOrdinal || incarnation > MaxIncarnation {
		panic("fsm: id field out of range")
	}
	return ExecID{
		Hi: index<<16 | idVersion<<12,
		Lo: idVariant<<62 | uint64(incarnation)<<56 | uint64(ordinal)<<36,
	}
}

// kindMessage is the kind in the id of a message; that of executions and tasks is 0.
const kindMessage = 3

// messageID is the id of the n-th message that an execution was given. It has the form
// of a task's and is the id of none.
func messageID(e ExecID, n uint32) TaskID {
	return TaskID{Exec: ExecID{Hi: e.Hi, Lo: e.Lo | kindMessage<<32}, Serial: n}
}

// IsZero reports whether e names no execution.
func (e ExecID) IsZero() bool { return e == ExecID{} }

// Index is the index of the entry that made the execution.
func (e ExecID) Index() uint64 { return e.Hi >> 16 }

// String gives the id as a lower-case UUID.
func (e ExecID) String() string { return uuid(e.Hi, e.Lo) }

// Compare orders ids by creation.
func (e ExecID) Compare(o ExecID) int {
	switch {
	case e.Hi < o.Hi:
		return -1
	case e.Hi > o.Hi:
		return 1
	case e.Lo < o.Lo:
		return -1
	case e.Lo > o.Lo:
		return 1
	}
	return 0
}

// IsZero reports whether t names no task.
func (t TaskID) IsZero() bool { return t == TaskID{} }

// String gives the id as a lower-case UUID whose last eight digits are the serial.
func (t TaskID) String() string { return uuid(t.Exec.Hi, t.Exec.Lo|uint64(t.Serial)) }

// Compare orders task ids by execution, then serial.
func (t TaskID) Compare(o TaskID) int {
	if c := t.Exec.Compare(o.Exec); c != 0 {
		return c
	}
	switch {
	case t.Serial < o.Serial:
		return -1
	case t.Serial > o.Serial:
		return 1
	}
	return 0
}

func uuid(hi, lo uint64) string {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], hi)
	binary.BigEndian.PutUint64(raw[8:], lo)
	var b [36]byte
	hex.Encode(b[0:8], raw[0:4])
	hex.Encode(b[9:13], raw[4:6])
	hex.Encode(b[14:18], raw[6:8])
	hex.Encode(b[19:23], raw[8:10])
	hex.Encode(b[24:36], raw[10:16])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}

// ParseID reads the text form of an execution or task id; for an execution the
// serial is 0. Text of any other shape gives ErrBadID.
func ParseID(s string) (TaskID, error) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return TaskID{}, ErrBadID
	}
	var digits [32]byte
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] != '-' {
			if n == len(digits) {
				return TaskID{}, ErrBadID
			}
			digits[n] = s[i]
			n++
		}
	}
	var raw [16]byte
	if n != len(digits) {
		return TaskID{}, ErrBadID
	}
	if _, err := hex.Decode(raw[:], digits[:]); err != nil {
		return TaskID{}, ErrBadID
	}
	hi, lo := binary.BigEndian.Uint64(raw[:8]), binary.BigEndian.Uint64(raw[8:])
	if hi>>12&0xf != idVersion || lo>>62 != idVariant {
		return TaskID{}, ErrBadID
	}
	return TaskID{Exec: ExecID{Hi: hi, Lo: lo &^ 0xffffffff}, Serial: uint32(lo)}, nil
}

// ParseExecID reads the text form of an execution id.
func ParseExecID(s string) (ExecID, error) {
	t, err := ParseID(s)
	if err == nil && t.Serial != 0 {
		err = ErrBadID
	}
	return t.Exec, err
}

// Lease fences one attempt of one task. A later lease on the same task always
// compares greater, so a worker that lost its lease cannot complete the task. It is
// below 1<<63, and a decimal string in JSON.
type Lease uint64

// Layout of a lease: incarnation 6, index 43, ordinal 14.
const (
	maxLeaseIndex   = 1<<43 - 1
	maxLeaseOrdinal = 1<<14 - 1
)

func newLease(index uint64, incarnation uint8, ordinal uint32) Lease {
	if index > maxLeaseIndex || ordinal > maxLeaseOrdinal || incarnation > MaxIncarnation {
		panic("fsm: lease field out of range")
	}
	return Lease(uint64(incarnation)<<57 | index<<14 | uint64(ordinal))
}

// String gives the lease in decimal.
func (l Lease) String() string { return strconv.FormatUint(uint64(l), 10) }

// Position is a log index as clients see it: opaque, comparable only by the cluster.
type Position struct {
	Incarnation uint8
	Group       uint16
	Index       uint64
}

// String gives the form that ParsePosition reads back; empty for the zero Position.
func (p Position) String() string {
	if p == (Position{}) {
		return ""
	}
	var raw [11]byte
	raw[0] = p.Incarnation
	binary.BigEndian.PutUint16(raw[1:], p.Group)
	binary.BigEndian.PutUint64(raw[3:], p.Index)
	return hex.EncodeToString(raw[:])
}

// ParsePosition reads the form that Position.String writes.
func ParsePosition(s string) (Position, error) {
	if s == "" {
		return Position{}, nil
	}
	var raw [11]byte
	if len(s) != 2*len(raw) {
		return Position{}, ErrBadID
	}
	if _, err := hex.Decode(raw[:], []byte(s)); err != nil {
		return Position{}, ErrBadID
	}
	return Position{
		Incarnation: raw[0],
		Group:       binary.BigEndian.Uint16(raw[1:]),
		Index:       binary.BigEndian.Uint64(raw[3:]),
	}, nil
}

// RequestID makes a call repeatable: the same id with the same content gets the
// first answer. The zero value means none.
type RequestID [16]byte

// IsZero reports whether r names no request.
func (r RequestID) IsZero() bool { return r == RequestID{} }
