package wal

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/hashicorp/raft"
)

// The layout of a record header. All numbers are little endian.
//
//	 0 magic u32        derived from the salt
//	 4 header crc u32   of the salt and bytes 8 to 64
//	 8 length u32       of the payload, extensions included
//	12 type u8 · flags u8 · version u16
//	16 index u64        of a mark: the index of the next entry after it
//	24 term u64
//	32 epoch u64        number of syncs, over all segments
//	40 appended at i64  nanoseconds, 0 for none
//	48 previous u32     header crc of the record before
//	52 payload crc u32
//	56 synced u32       what of this file was durable before this was written
//	60 extensions u32   how much of the payload is the entry's extensions
const recordHeader = 64

const recordVersion = 1

// Types of records up to maxEntry are raft's own.
const (
	maxEntry      = 0x3f
	typeTruncate  = 0x80
	typeRestart   = 0x81
	typeCleanStop = 0x82
	typeSeal      = 0x83
	typeOpened    = 0x84
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// record is one record in memory.
type record struct {
	kind     uint8
	index    uint64
	term     uint64
	appended int64
	data     []byte
	ext      []byte
}

func entryRecord(e *raft.Log) record {
	r := record{kind: uint8(e.Type), index: e.Index, term: e.Term, data: e.Data, ext: e.Extensions}
	if !e.AppendedAt.IsZero() {
		r.appended = e.AppendedAt.UnixNano()
	}
	return r
}

func (r *record) isEntry() bool { return r.kind <= maxEntry }

// size is what the record takes in a file.
func (r *record) size() int64 { return recordSize(len(r.data) + len(r.ext)) }

func recordSize(payload int) int64 { return (recordHeader + int64(payload) + 7) &^ 7 }

// next is the index of the entry that may follow.
func (r *record) next() uint64 {
	if r.isEntry() {
		return r.index + 1
	}
	return r.index
}

// place is what a record says about where it stands.
type place struct {
	epoch    uint64
	previous uint32 // header crc of the record before
	synced   uint32
}

// append encodes the record behind buf and returns its header crc.
func (r *record) append(buf []byte, salt uint64, p place) ([]byte, uint32) {
	at := len(buf)
	buf = append(buf, make([]byte, recordHeader)...)
	buf = append(buf, r.data...)
	buf = append(buf, r.ext...)
	payload := buf[at+recordHeader:]
	h := buf[at : at+recordHeader]
	le := binary.LittleEndian
	le.PutUint32(h[0:], saltMagic(salt))
	le.PutUint32(h[8:], uint32(len(payload)))
	h[12] = r.kind
	le.PutUint16(h[14:], recordVersion)
	le.PutUint64(h[16:], r.index)
	le.PutUint64(h[24:], r.term)
	le.PutUint64(h[32:], p.epoch)
	le.PutUint64(h[40:], uint64(r.appended))
	le.PutUint32(h[48:], p.previous)
	le.PutUint32(h[52:], crc32.Checksum(payload, castagnoli))
	le.PutUint32(h[56:], p.synced)
	le.PutUint32(h[60:], uint32(len(r.ext)))
	crc := headerCRC(salt, h)
	le.PutUint32(h[4:], crc)
	for len(buf)%8 != at%8 {
		buf = append(buf, 0)
	}
	return buf, crc
}

// header is a decoded record header whose checksum matched.
type header struct {
	place
	kind       uint8
	version    uint16
	length     uint32
	index      uint64
	term       uint64
	appended   int64
	crc        uint32
	payloadCRC uint32
	ext        uint32
}

// parseHeader decodes a header. It says no to anything that was not written
// under this salt as it stands.
func parseHeader(b []byte, salt uint64) (h header, ok bool) {
	le := binary.LittleEndian
	if len(b) < recordHeader || le.Uint32(b) != saltMagic(salt) {
		return h, false
	}
	h.crc = le.Uint32(b[4:])
	if h.crc != headerCRC(salt, b) {
		return h, false
	}
	h.length = le.Uint32(b[8:])
	h.kind, h.version = b[12], le.Uint16(b[14:])
	h.index, h.term, h.epoch = le.Uint64(b[16:]), le.Uint64(b[24:]), le.Uint64(b[32:])
	h.appended = int64(le.Uint64(b[40:]))
	h.previous, h.payloadCRC = le.Uint32(b[48:]), le.Uint32(b[52:])
	h.synced, h.ext = le.Uint32(b[56:]), le.Uint32(b[60:])
	return h, h.ext <= h.length
}

func (h *header) size() int64 { return recordSize(int(h.length)) }

// record takes over a payload that was verified.
func (h *header) record(payload []byte) record {
	split := h.length - h.ext
	return record{kind: h.kind, index: h.index, term: h.term, appended: h.appended, data: payload[:split:split], ext: payload[split:]}
}

// entry fills in a raft entry. It shares the record's bytes.
func (r *record) entry(e *raft.Log) {
	*e = raft.Log{Index: r.index, Term: r.term, Type: raft.LogType(r.kind)}
	if len(r.data) > 0 {
		e.Data = r.data
	}
	if len(r.ext) > 0 {
		e.Extensions = r.ext
	}
	if r.appended != 0 {
		e.AppendedAt = time.Unix(0, r.appended)
	}
}

func headerCRC(salt uint64, h []byte) uint32 {
	var s [8]byte
	binary.LittleEndian.PutUint64(s[:], salt)
	return crc32.Update(crc32.Checksum(s[:], castagnoli), castagnoli, h[8:recordHeader])
}

// saltMagic is never 0, so zeros are never a record.
func saltMagic(salt uint64) uint32 { return uint32(salt) ^ uint32(salt>>32) | 1 }
