package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/pawlhq/pawl/cluster/guard"
)

// scanner reads a log from its oldest segment to its end.
//
// It meets three kinds of bad places. Where nothing says that the bytes were
// ever durable, the log ends. A damaged payload under a good header is noted,
// and forgiven if the entry was truncated later or a snapshot covers it. Any
// other damage is a hole: what came before it is of no use, since the log must
// be contiguous, and the scan starts anew behind it; it is forgiven if a
// snapshot covers everything up to where the log then begins.
type scanner struct {
	log      *Log
	segments []*segment
	buf      []byte
	report   Report

	index     index
	cache     cache
	next      uint64 // index of the next entry
	nextKnown bool   // false behind a hole
	previous  uint32 // header crc of the last record
	prevKnown bool   // false behind a hole
	epoch     uint64 // highest seen
	lastEpoch uint64 // of the last good record

	bad  map[uint64]*guard.Damaged // entries with damaged payloads
	hole *guard.Damaged            // the last one that nothing has forgiven yet
}

// run scans all segments. Those behind the end of the log are given up.
func (s *scanner) run() error {
	s.cache.limit = s.log.opts.CacheBytes
	sealed := false
	for i, seg := range s.segments {
		if err := seg.open(s.log); err != nil {
			return err
		}
		if i > 0 && seg.number != s.segments[i-1].number+1 {
			s.tear(seg.damaged(&s.log.opts, -1, "the segment before it is missing"))
			sealed = false
		}
		err := seg.readHeader(&s.log.opts)
		var damaged *guard.Damaged
		if errors.As(err, &damaged) {
			s.tear(damaged)
			sealed = false
			if err := seg.close(); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		s.enter(seg, sealed)
		var end bool
		if sealed, end, err = s.segment(i); err != nil {
			return err
		}
		if end {
			return s.giveUp(i + 1)
		}
	}
	last := s.segments[len(s.segments)-1]
	if s.hole == nil || sealed {
		s.hole = last.damaged(&s.log.opts, -1, "the segment after it is missing")
	}
	return s.hole
}

// enter checks that a segment follows what was read so far.
func (s *scanner) enter(seg *segment, sealed bool) {
	if sealed && (s.nextKnown && seg.first != s.next || s.prevKnown && seg.previous != s.previous) {
		s.tear(seg.damaged(&s.log.opts, 0, "it does not continue the segment before it"))
	}
	s.next, s.nextKnown = seg.first, true
	s.previous, s.prevKnown = seg.previous, true
}

// segment scans one segment. It ends sealed, or at the end of the log, or, if
// neither, in a hole that reaches to the next segment.
func (s *scanner) segment(i int) (sealed, end bool, err error) {
	seg := s.segments[i]
	data, err := s.load(seg)
	if err != nil {
		return false, false, err
	}
	rest := beyond{at: -1}
	at := int64(segmentHeader)
	for {
		h, payload, what, err := s.look(seg, data, at)
		if err != nil {
			return false, false, err
		}
		if what != "" {
			if rest.at < 0 {
				rest = lookBeyond(data, at, seg.salt)
			}
			if int64(rest.synced) <= at && rest.later == unknown {
				rest.later = s.recordsAfter(i + 1)
			}
			if int64(rest.synced) <= at && rest.later == no {
				seg.used = at
				s.cutTail(seg, data, at, rest)
				return false, true, nil
			}
			damage := seg.damaged(&s.log.opts, at, what)
			if payload == nil {
				s.tear(damage)
				if at = nextRecord(data, at+8, seg.salt); at < 0 {
					return false, false, nil
				}
				continue
			}
			s.bad[h.index] = damage
			s.tell(damage)
		}
		r := h.record(payload)
		s.take(&r, h, loc{segment: uint32(seg.number), offset: uint32(at), length: h.length}, what == "")
		at += h.size()
		if h.kind == typeSeal {
			seg.used = at
			return true, false, nil
		}
	}
}

// look reads the record at an offset. What says why it cannot be taken as it
// is; the payload is then nil unless it alone is damaged.
func (s *scanner) look(seg *segment, data []byte, at int64) (h header, payload []byte, what string, err error) {
	if at > int64(len(data)) {
		return h, nil, "the segment ends within a record", nil
	}
	h, ok := parseHeader(data[at:], seg.salt)
	switch {
	case !ok || at+h.size() > int64(len(data)):
		return h, nil, "no record can be read there", nil
	case s.prevKnown && h.previous != s.previous:
		return h, nil, "the record there does not continue the one before it", nil
	case h.version > recordVersion:
		return h, nil, "", &guard.Newer{File: s.log.opts.path(seg.name), Version: h.version, Known: recordVersion}
	case s.nextKnown && !h.follows(s.next):
		return h, nil, fmt.Sprintf("the record there has index %d, not %d", h.index, s.next), nil
	}
	payload = data[at+recordHeader : at+recordHeader+int64(h.length)]
	if crc32.Checksum(payload, castagnoli) != h.payloadCRC {
		return h, payload, fmt.Sprintf("the checksum of entry %d does not match", h.index), nil
	}
	return h, payload, "", nil
}

// follows says whether a record may come when the next entry has index next.
func (h *header) follows(next uint64) bool {
	switch h.kind {
	case typeRestart:
		return true
	case typeTruncate:
		return h.index <= next
	}
	return h.index == next
}

// take counts a record.
func (s *scanner) take(r *record, h header, at loc, good bool) {
	s.index.apply(r, at)
	s.cache.apply(r)
	switch {
	case r.kind == typeTruncate:
		for i := range s.bad {
			if i >= r.index {
				delete(s.bad, i)
			}
		}
	case r.kind == typeRestart:
		clear(s.bad)
		s.hole = nil // whatever was lost there was thrown away as well
	case r.isEntry() && good && r.index > s.log.opts.SnapshotIndex:
		s.cache.addCopy(r)
	}
	s.next, s.nextKnown = r.next(), true
	s.previous, s.prevKnown = h.crc, true
	s.epoch, s.lastEpoch = max(s.epoch, h.epoch), h.epoch
	s.report.Bytes += h.size()
	s.report.CleanStop = r.kind == typeCleanStop
}

// tear notes a hole and forgets what was before it.
func (s *scanner) tear(d *guard.Damaged) {
	s.tell(d)
	s.hole = d
	s.index, s.cache = index{}, cache{limit: s.cache.limit}
	clear(s.bad)
	s.nextKnown, s.prevKnown = false, false
}

// maxTold bounds the report: a disk that lost a stretch damages thousands of
// records, and the first few say where.
const maxTold = 16

func (s *scanner) tell(d *guard.Damaged) {
	if len(s.report.Damage) < maxTold {
		s.report.Damage = append(s.report.Damage, d.Error())
	}
}

// cutTail ends the log. A write that was not finished shows as a record with
// this or a later epoch behind the end, or as a piece of one at the end; what
// was cut before an earlier start has an older epoch.
func (s *scanner) cutTail(seg *segment, data []byte, at int64, rest beyond) {
	if rest.at != at {
		rest = lookBeyond(data, at, seg.salt)
	}
	torn := rest.found && rest.epoch >= s.lastEpoch
	if at+4 <= int64(len(data)) && binary.LittleEndian.Uint32(data[at:]) == saltMagic(seg.salt) {
		_, whole := parseHeader(data[at:], seg.salt)
		torn = torn || !whole
	}
	s.epoch = max(s.epoch, rest.epoch)
	if torn {
		s.report.Torn = true
		s.report.TornAt = fmt.Sprintf("%s at byte %d", s.log.opts.path(seg.name), at)
	}
}

// giveUp turns segments that were put in place but never used into spares.
func (s *scanner) giveUp(from int) error {
	for _, seg := range s.segments[from:] {
		if err := seg.open(s.log); err != nil {
			return err
		}
		if err := s.log.retire(seg); err != nil {
			return err
		}
	}
	s.segments = s.segments[:from]
	return nil
}

// settle forgives damage that the snapshot covers and fails for the rest.
func (s *scanner) settle() error {
	covered := s.log.opts.SnapshotIndex
	if s.hole != nil {
		begin := s.next
		if len(s.index.locs) > 0 {
			begin = s.index.first
		}
		if !s.nextKnown || begin > covered+1 {
			return s.hole
		}
		s.report.Dropped = begin - 1
	}
	for i, d := range s.bad {
		switch {
		case !s.index.has(i):
		case i > covered:
			return d
		default:
			s.report.Dropped = max(s.report.Dropped, i)
		}
	}
	if dropped := s.report.Dropped; dropped > 0 {
		s.index.dropBefore(dropped + 1)
		s.cache.dropBefore(dropped + 1)
	}
	return nil
}

// unused are the segments in front of the first one that the log has taken.
func (s *scanner) unused(first *segment) []*segment {
	for i, seg := range s.segments {
		if seg == first {
			return s.segments[:i]
		}
	}
	return nil
}

// load reads a whole segment into the scanner's buffer.
func (s *scanner) load(seg *segment) ([]byte, error) {
	if int64(cap(s.buf)) < seg.size {
		s.buf = make([]byte, seg.size)
	}
	data := s.buf[:seg.size]
	if n, err := seg.file.ReadAt(data, 0); n < len(data) {
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("read segment %s: %w", seg.name, err)
	}
	return data, nil
}

type answer uint8

const (
	unknown answer = iota
	no
	yes
)

// recordsAfter says whether a later segment was ever written to. It loads no
// segment into the scanner's buffer, which is in use.
func (s *scanner) recordsAfter(from int) answer {
	for _, seg := range s.segments[from:] {
		other := &scanner{log: s.log}
		probe := *seg
		if err := probe.open(s.log); err != nil {
			return yes // it cannot be ruled out
		}
		err := probe.readHeader(&s.log.opts)
		var data []byte
		if err == nil {
			data, err = other.load(&probe)
		}
		if errors.Join(err, probe.close()) != nil {
			// The header was durable before the name: if it is damaged, what
			// was behind it is not known.
			return yes
		}
		if nextRecord(data, segmentHeader, probe.salt) >= 0 {
			return yes
		}
	}
	return no
}

// beyond is what can be read behind a bad place.
type beyond struct {
	at     int64  // the bad place; -1 before anything was read
	found  bool   // a record is there
	synced uint32 // the most that any of them says was durable
	epoch  uint64 // the highest of them
	later  answer // whether a later segment holds records
}

func lookBeyond(data []byte, at int64, salt uint64) beyond {
	b := beyond{at: at}
	for from := at; ; from += 8 {
		if from = nextRecord(data, from, salt); from < 0 {
			return b
		}
		h, _ := parseHeader(data[from:], salt)
		b.found, b.synced, b.epoch = true, max(b.synced, h.synced), max(b.epoch, h.epoch)
	}
}

// nextRecord is the offset of the first readable record header from an offset
// on, -1 if there is none.
func nextRecord(data []byte, from int64, salt uint64) int64 {
	magic := saltMagic(salt)
	for ; from+recordHeader <= int64(len(data)); from += 8 {
		if binary.LittleEndian.Uint32(data[from:]) != magic {
			continue
		}
		if _, ok := parseHeader(data[from:], salt); ok {
			return from
		}
	}
	return -1
}
