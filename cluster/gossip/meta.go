package gossip

import (
	"fmt"

	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/memberlist"

	"github.com/pawlhq/pawl/fsm"
)

// Meta is what a node says of itself.
type Meta struct {
	Node        fsm.NodeID `codec:"n"`
	Incarnation uint8      `codec:"i"`
	Peer        string     `codec:"p"` // host:port for other nodes
	Client      string     `codec:"c"` // host:port for clients
	Version     string     `codec:"v"` // of the binary
}

// encode gives the msgpack form, which must fit what memberlist carries.
func (m Meta) encode() ([]byte, error) {
	var b []byte
	if err := codec.NewEncoderBytes(&b, new(codec.MsgpackHandle)).Encode(m); err != nil {
		return nil, fmt.Errorf("encode gossip meta: %w", err)
	}
	if len(b) > memberlist.MetaMaxSize {
		return nil, fmt.Errorf("gossip meta has %d bytes, %d fit", len(b), memberlist.MetaMaxSize)
	}
	return b, nil
}

// decode reads what a node called name says of itself. It may only speak for
// the id that is its name.
func decode(name string, b []byte) (Meta, error) {
	var m Meta
	if err := codec.NewDecoderBytes(b, new(codec.MsgpackHandle)).Decode(&m); err != nil {
		return Meta{}, fmt.Errorf("decode gossip meta of %q: %w", name, err)
	}
	if m.Node.String() != name {
		return Meta{}, fmt.Errorf("gossip meta of %q speaks for %s", name, m.Node)
	}
	return m, nil
}
