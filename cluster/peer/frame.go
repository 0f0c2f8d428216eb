package peer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// Kind says what a message is. Numbers are part of the protocol.
type Kind uint8

// What the link itself sends.
const (
	kindNone   Kind = iota // a withdrawn frame: read and dropped
	kindHealth             // genesis and incarnation of the sender
	kindAnswer             // the payload answers the call
	kindFailed             // the handler's error, as text
	kindTurned             // no handler ran, and why, as text
)

// What nodes say to each other.
const (
	Propose   Kind = 16 + iota // a command for the leader to propose
	ReadIndex                  // an index to read at
	Confirm                    // a round that confirms leadership
	Slots                      // the slots of a node, to the leader
	Deliver                    // leased tasks, to the node that has their slots
	Leader                     // who leads, since which index
	Health                     // what a node says of its disk and clock
	Digest                     // digests at marks
	Feed                       // change feed of another node
	Forward                    // any other request that the leader answers
)

// What nodes say before they are members of one cluster.
const (
	Promise Kind = 64 + iota // asks for, or withdraws, the promise to one initiator
	Genesis                  // the cluster a node now belongs to
	Join                     // asks to become a member
)

// admission reports whether a node in no cluster may send and answer k.
func (k Kind) admission() bool { return k == Promise || k == Genesis || k == Join }

const (
	// MaxFrame bounds one message with its header. Larger things go by stream.
	MaxFrame = 4 << 20
	// MaxPayload is what fits into one message.
	MaxPayload = MaxFrame - headSize

	headSize = 4 + headRest
	headRest = 1 + 8 + 4 // kind, call, deadline: counted by the length field
)

var errFrame = errors.New("malformed frame")

// head is the header of a frame: length, kind, call, deadline, big endian.
type head struct {
	payload  int // bytes that follow
	kind     Kind
	call     uint64 // 0: nobody waits for an answer
	deadline time.Duration
}

// appendFrame adds a frame to buf. The deadline is cut to whole milliseconds,
// but not to zero, which would mean none.
func appendFrame(buf []byte, k Kind, call uint64, deadline time.Duration, payload []byte) []byte {
	millis := uint32(0)
	if deadline > 0 {
		millis = uint32(max(1, deadline.Milliseconds()))
	}
	buf = binary.BigEndian.AppendUint32(buf, uint32(headRest+len(payload)))
	buf = append(buf, byte(k))
	buf = binary.BigEndian.AppendUint64(buf, call)
	buf = binary.BigEndian.AppendUint32(buf, millis)
	return append(buf, payload...)
}

// readHead reads one header and checks its length, so that what follows can
// be allocated.
func readHead(r io.Reader, raw *[headSize]byte) (head, error) {
	if _, err := io.ReadFull(r, raw[:]); err != nil {
		return head{}, err
	}
	length := binary.BigEndian.Uint32(raw[:])
	if length < headRest || length > MaxFrame-4 {
		return head{}, fmt.Errorf("%w: length %d", errFrame, length)
	}
	return head{
		payload:  int(length) - headRest,
		kind:     Kind(raw[4]),
		call:     binary.BigEndian.Uint64(raw[5:]),
		deadline: time.Duration(binary.BigEndian.Uint32(raw[13:])) * time.Millisecond,
	}, nil
}
