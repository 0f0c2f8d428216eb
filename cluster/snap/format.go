package snap

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/hashicorp/raft"
)

// The layout of a file; numbers are little endian.
//
//	header  magic · version u16 · flags u16 · length u32 of the header
//	        cluster id 16 · genesis 16 · incarnation u64 · group u32
//	        raft index u64, term u64 · configuration index u64
//	        configuration u32 length + bytes · notes u32 length + bytes
//	        crc u32 of all that
//	chunk*  magic u32 · table u16 · first u8 · codec u8 · records u32
//	        number u32 · raw length u32 · stored length u32
//	        crc u32 of these and the bytes · bytes
//	footer  magic u32 · chunks u32 · raw bytes u64
//	        sha256 of all before the footer · crc u32 of the footer
//
// Table, first and records are for streams that are cut by table; a stream
// that is opaque has zeros there. Codec 0 is raw, and the only one.
const (
	fileMagic   = "PWALSNP1"
	fileVersion = 1

	headerFixed = 16 + 32 + 8 + 4 + 24 + 4 + 4 + 4
	maxHeader   = 4 << 20 // a configuration of thousands of servers is far below

	chunkMagic  = 0x4b4e4843
	chunkHeader = 28
	maxChunk    = 1 << 20 // what a reader holds and checks at a time
	codecRaw    = 0

	footerMagic = 0x52544f46
	footerSize  = 16 + 32 + 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is what a file says about itself.
type header struct {
	cluster       [16]byte
	genesis       [16]byte
	incarnation   uint64
	group         uint32
	index, term   uint64
	configIndex   uint64
	configuration []byte
	notes         []byte
}

func (h *header) encode() []byte {
	le := binary.LittleEndian
	b := append([]byte(nil), fileMagic...)
	b = le.AppendUint16(b, fileVersion)
	b = le.AppendUint16(b, 0)
	b = le.AppendUint32(b, uint32(headerFixed+len(h.configuration)+len(h.notes)))
	b = append(append(b, h.cluster[:]...), h.genesis[:]...)
	b = le.AppendUint64(b, h.incarnation)
	b = le.AppendUint32(b, h.group)
	b = le.AppendUint64(b, h.index)
	b = le.AppendUint64(b, h.term)
	b = le.AppendUint64(b, h.configIndex)
	b = append(le.AppendUint32(b, uint32(len(h.configuration))), h.configuration...)
	b = append(le.AppendUint32(b, uint32(len(h.notes))), h.notes...)
	return le.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decodeHeader reads a header whose checksum matched.
func decodeHeader(b []byte) (h header, err error) {
	le := binary.LittleEndian
	copy(h.cluster[:], b[16:])
	copy(h.genesis[:], b[32:])
	h.incarnation, h.group = le.Uint64(b[48:]), le.Uint32(b[56:])
	h.index, h.term, h.configIndex = le.Uint64(b[60:]), le.Uint64(b[68:]), le.Uint64(b[76:])
	rest := b[84 : len(b)-4]
	for _, field := range []*[]byte{&h.configuration, &h.notes} {
		if len(rest) < 4 || uint64(len(rest)-4) < uint64(le.Uint32(rest)) {
			return h, fmt.Errorf("header ends within a field")
		}
		n := le.Uint32(rest)
		*field, rest = rest[4:4+n], rest[4+n:]
	}
	return h, nil
}

// meta is the header as raft wants it. The configuration passed its checksum,
// so raft, which panics on one it cannot decode, gets what it once encoded.
func (h *header) meta(size int64) *raft.SnapshotMeta {
	return &raft.SnapshotMeta{
		Version:            raft.SnapshotVersionMax,
		ID:                 snapshotID(h.term, h.index),
		Index:              h.index,
		Term:               h.term,
		Configuration:      raft.DecodeConfiguration(h.configuration),
		ConfigurationIndex: h.configIndex,
		Size:               size,
	}
}

func snapshotID(term, index uint64) string { return fmt.Sprintf("%d-%d", term, index) }

// appendChunk encodes a chunk.
func appendChunk(b []byte, number uint32, data []byte) []byte {
	le := binary.LittleEndian
	at := len(b)
	b = le.AppendUint32(b, chunkMagic)
	b = append(b, 0, 0, 0, codecRaw)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint32(b, number)
	b = le.AppendUint32(b, uint32(len(data)))
	b = le.AppendUint32(b, uint32(len(data)))
	b = le.AppendUint32(b, chunkCRC(b[at:], data))
	return append(b, data...)
}

func chunkCRC(head, data []byte) uint32 {
	return crc32.Update(crc32.Checksum(head[:chunkHeader-4], castagnoli), castagnoli, data)
}

func encodeFooter(chunks uint32, raw uint64, sum []byte) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, footerMagic)
	b = le.AppendUint32(b, chunks)
	b = le.AppendUint64(b, raw)
	b = append(b, sum...)
	return le.AppendUint32(b, crc32.Checksum(b, castagnoli))
}
