package peer

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/hashicorp/go-msgpack/v2/codec"

	"github.com/pawlhq/pawl/cluster/guard"
	"github.com/pawlhq/pawl/fsm"
)

// Class is what a connection is for. Connections of different classes never
// wait for each other.
type Class string

// The classes, as the names TLS negotiates.
const (
	ClassRaft   Class = "pawl-raft/1"   // raft's own stream
	ClassBeat   Class = "pawl-beat/1"   // raft's heartbeats
	ClassLink   Class = "pawl-link/1"   // calls and casts
	ClassBulk   Class = "pawl-bulk/1"   // snapshots and other large things
	ClassGossip Class = "pawl-gossip/1" // streams of the gossip
)

var classes = []string{string(ClassRaft), string(ClassBeat), string(ClassLink), string(ClassBulk), string(ClassGossip)}

// consensus reports whether what comes over the class can change votes or the
// log, so that a node outside any cluster must not listen.
func (c Class) consensus() bool { return c == ClassRaft || c == ClassBeat || c == ClassBulk }

const (
	protocol = 1 // of Hello and of everything behind it

	// maxHello bounds a greeting: its fields take a few hundred bytes.
	maxHello = 4 << 10
)

// Hello is the first message of each side of a connection.
type Hello struct {
	Protocol    uint16     `codec:"p"`
	ClusterID   string     `codec:"c"`
	Genesis     [16]byte   `codec:"g"`
	Incarnation uint8      `codec:"i"`
	From        fsm.NodeID `codec:"f"`
	To          fsm.NodeID `codec:"t"` // zero asks for no one in particular
	Boot        uint32     `codec:"b"`
	Nonce       [16]byte   `codec:"n"`
	MinVersion  uint16     `codec:"l"` // of the cluster versions the node speaks
	MaxVersion  uint16     `codec:"h"`
}

// Refusal is why one node did not accept another.
type Refusal uint8

// The refusals. Their numbers are part of the protocol.
const (
	RefusedProtocol    Refusal = 1 + iota // another protocol version
	RefusedAddressee                      // the one asked for does not live here
	RefusedCluster                        // another cluster id
	RefusedGenesis                        // another genesis
	RefusedIncarnation                    // another incarnation
	RefusedBoot                           // an older state of a disk that was seen newer
	RefusedClone                          // the same start of the same disk runs twice
	RefusedLive                           // an earlier process of that disk still answers
	RefusedKey                            // another key than the one known for the id
	RefusedExpelled                       // removed from the cluster
	RefusedUnadmitted                     // one side is in no cluster yet
	RefusedClass                          // nothing listens to the class, yet
	RefusedDuplicate                      // the pair has a link already
	RefusedBusy                           // too many connections
)

var refusals = map[Refusal]string{
	RefusedProtocol:    "another protocol version",
	RefusedAddressee:   "another node lives at this address",
	RefusedCluster:     "another cluster id",
	RefusedGenesis:     "another cluster: the genesis differs",
	RefusedIncarnation: "another incarnation of the cluster",
	RefusedBoot:        "its disk is older than what was seen of it: it may have forgotten votes and entries",
	RefusedClone:       "the same start of the same disk runs twice: the data folder was copied",
	RefusedLive:        "an earlier process with the same node id still answers",
	RefusedKey:         "the key is not the one known for the node id",
	RefusedExpelled:    "the node was removed from the cluster",
	RefusedUnadmitted:  "not admitted to a cluster yet",
	RefusedClass:       "starting: nothing listens yet",
	RefusedDuplicate:   "the two nodes have a link already",
	RefusedBusy:        "too many connections",
}

// String says the refusal in words.
func (r Refusal) String() string {
	if s, ok := refusals[r]; ok {
		return s
	}
	return fmt.Sprintf("refusal %d", uint8(r))
}

// identity reports whether trying again soon is of no use, because a person
// has to act first.
func (r Refusal) identity() bool {
	switch r {
	case RefusedProtocol, RefusedCluster, RefusedGenesis, RefusedIncarnation, RefusedBoot, RefusedClone, RefusedKey, RefusedExpelled:
		return true
	}
	return false
}

// RefusedError is the error of a connection that one side did not accept.
type RefusedError struct {
	Peer   fsm.NodeID // the other node, zero when it was not learnt
	Addr   string     // where it was met
	Reason Refusal
	ByPeer bool  // the other side refused this one
	Hello  Hello // what the other side said of itself; zero when it said nothing
}

// Error names the peer, who refused and why.
func (e *RefusedError) Error() string {
	if e.ByPeer {
		return fmt.Sprintf("peer %s at %s refused this node: %s", e.Peer, e.Addr, e.Reason)
	}
	return fmt.Sprintf("refused peer %s at %s: %s", e.Peer, e.Addr, e.Reason)
}

// Alarm tells of something a person must look at.
type Alarm struct {
	Peer   fsm.NodeID
	Addr   string
	Reason Refusal
	// Fatal is set when this process is the one in the wrong and must end, with
	// the code ExitCode gives.
	Fatal bool
	Text  string // one plain sentence
}

// ExitCode is the exit code of a process that ends because of the alarm.
func (a Alarm) ExitCode() int { return guard.ExitIdentity }

// reply is what both sides send: the dialer always with Refused zero.
type reply struct {
	Hello   Hello   `codec:"hello"`
	Refused Refusal `codec:"no"`
}

// writeHello sends r as one frame: its length in four bytes, then msgpack.
func writeHello(w io.Writer, r reply) error {
	var body []byte
	if err := codec.NewEncoderBytes(&body, new(codec.MsgpackHandle)).Encode(r); err != nil {
		return fmt.Errorf("encode hello: %w", err)
	}
	frame := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(body)), uint32(len(body)))
	if _, err := w.Write(append(frame, body...)); err != nil {
		return fmt.Errorf("send hello: %w", err)
	}
	return nil
}

// readHello reads what writeHello sent. It reads no byte behind it.
func readHello(r io.Reader) (reply, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return reply{}, fmt.Errorf("read hello: %w", err)
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxHello {
		return reply{}, fmt.Errorf("read hello: %d bytes are too many", n)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return reply{}, fmt.Errorf("read hello: %w", err)
	}
	var p reply
	if err := codec.NewDecoderBytes(body, new(codec.MsgpackHandle)).Decode(&p); err != nil {
		return reply{}, fmt.Errorf("decode hello: %w", err)
	}
	return p, nil
}
