package cluster

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"

	"github.com/pawlhq/pawl/cluster/disk"
	"github.com/pawlhq/pawl/cluster/guard"
	"github.com/pawlhq/pawl/cluster/peer"
	"github.com/pawlhq/pawl/fsm"
)

const (
	identityFile    = "identity"
	identityMagic   = "PAWLID01"
	identityVersion = 1
	membersFile     = "members"
	membersMagic    = "PAWLMB01"
	membersVersion  = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Identity is who a node is, for as long as its disk lives.
type Identity struct {
	Cluster     [16]byte // zero until the node belongs to a cluster
	Genesis     [16]byte // made once, with the first configuration; zero before
	Incarnation uint8
	Node        fsm.NodeID
	Key         ed25519.PrivateKey
	Boot        uint32     // raised before each start
	Admitted    bool       // the node belongs to the cluster of Genesis
	Promised    fsm.NodeID // the one node that may found a cluster with this one
}

// ClusterID is the text form of the cluster's id, empty until there is one.
func (i *Identity) ClusterID() string {
	if i.Cluster == [16]byte{} {
		return ""
	}
	return hex.EncodeToString(i.Cluster[:])
}

// Member is what a node remembers of a member across restarts.
type Member struct {
	ID         fsm.NodeID
	Key        peer.Fingerprint
	PeerAddr   string
	ClientAddr string
}

// identities keeps the identity of a node and what it knows of the members. It is used
// by one goroutine at a time.
type identities struct {
	fs disk.FS
	id Identity
}

// loadIdentity reads the identity of a folder, or makes one for an empty folder, and
// raises its boot. What it returns is durable.
func loadIdentity(fsys disk.FS) (*identities, error) {
	s := &identities{fs: fsys}
	body, err := readSealed(fsys, identityFile, identityMagic, identityVersion)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err = s.create(); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	default:
		if err = s.id.decode(body); err != nil {
			return nil, err
		}
	}
	s.id.Boot++
	return s, s.save()
}

// create makes a new identity. A folder that has data but no identity is not empty:
// its node's votes must not be cast a second time.
func (s *identities) create() error {
	for _, name := range []string{"raft/wal", "raft/snap", "raft/stable.db", "raft/stable"} {
		entries, err := s.fs.ReadDir(name)
		if err == nil && len(entries) == 0 || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		return &guard.Damaged{File: identityFile, Offset: -1, What: "it is missing, but " + name + " is there"}
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("make node key: %w", err)
	}
	s.id = Identity{Key: key}
	if _, err := rand.Read(s.id.Node[:]); err != nil {
		return fmt.Errorf("make node id: %w", err)
	}
	return nil
}

// save makes the identity durable.
func (s *identities) save() error {
	return writeSealed(s.fs, identityFile, identityMagic, identityVersion, s.id.encode())
}

func (i *Identity) encode() []byte {
	w := out{}
	w.b = append(w.b, i.Cluster[:]...)
	w.b = append(w.b, i.Genesis[:]...)
	w.byte(i.Incarnation)
	w.node(i.Node)
	w.bytes(i.Key.Seed())
	w.num(uint64(i.Boot))
	admitted := byte(0)
	if i.Admitted {
		admitted = 1
	}
	w.byte(admitted)
	w.node(i.Promised)
	return w.b
}

func (i *Identity) decode(b []byte) error {
	r := in{b: b}
	copy(i.Cluster[:], r.take(16))
	copy(i.Genesis[:], r.take(16))
	i.Incarnation = r.byte()
	i.Node = r.node()
	seed := r.bytes()
	i.Boot = uint32(r.num())
	i.Admitted = r.byte() == 1
	i.Promised = r.node()
	if r.err != nil || len(r.b) != 0 || len(seed) != ed25519.SeedSize {
		return &guard.Damaged{File: identityFile, Offset: -1, What: "its fields do not add up"}
	}
	i.Key = ed25519.NewKeyFromSeed(seed)
	return nil
}

func (s *identities) saveMembers(ms []Member) error {
	w := out{}
	w.num(uint64(len(ms)))
	for _, m := range ms {
		w.node(m.ID)
		w.b = append(w.b, m.Key[:]...)
		w.str(m.PeerAddr)
		w.str(m.ClientAddr)
	}
	return writeSealed(s.fs, membersFile, membersMagic, membersVersion, w.b)
}

func (s *identities) loadMembers() ([]Member, error) {
	body, err := readSealed(s.fs, membersFile, membersMagic, membersVersion)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := in{b: body}
	ms := make([]Member, 0, r.count())
	for range cap(ms) {
		m := Member{ID: r.node()}
		copy(m.Key[:], r.take(len(m.Key)))
		m.PeerAddr, m.ClientAddr = r.str(), r.str()
		ms = append(ms, m)
	}
	if r.err != nil || len(r.b) != 0 {
		return nil, &guard.Damaged{File: membersFile, Offset: -1, What: "its fields do not add up"}
	}
	return ms, nil
}

// writeSealed replaces a small file: magic, version, body, checksum.
func writeSealed(fsys disk.FS, name, magic string, version uint16, body []byte) error {
	b := append([]byte(magic), 0, 0)
	binary.BigEndian.PutUint16(b[len(magic):], version)
	b = append(b, body...)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	if err := disk.Replace(fsys, name, b); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// readSealed reads what writeSealed wrote. The error is a *guard.Newer, a
// *guard.Damaged or that of the file system.
func readSealed(fsys disk.FS, name, magic string, known uint16) ([]byte, error) {
	b, err := disk.ReadFile(fsys, name)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	head := len(magic) + 2
	if len(b) < head+4 || string(b[:len(magic)]) != magic {
		return nil, &guard.Damaged{File: name, Offset: 0, What: "it does not begin as such a file does"}
	}
	if v := binary.BigEndian.Uint16(b[len(magic):]); v > known {
		return nil, &guard.Newer{File: name, Version: v, Known: known}
	}
	body := b[:len(b)-4]
	if binary.BigEndian.Uint32(b[len(b)-4:]) != crc32.Checksum(body, castagnoli) {
		return nil, &guard.Damaged{File: name, Offset: -1, What: "its checksum is wrong"}
	}
	return body[head:], nil
}
