package wal

import (
	"errors"
	"fmt"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/pawlhq/pawl/cluster/disk"
	"github.com/pawlhq/pawl/cluster/guard"
)

// ErrClosed is what a closed Log answers.
var ErrClosed = errors.New("log is closed")

const (
	// defaultSegment holds at least 60 entries of the largest kind, and keeps
	// a rotation, which costs a second sync, to once in thousands of appends.
	defaultSegment = 64 << 20

	// minSegment is room for the header and a few small records.
	minSegment = segmentHeader + 1024

	// maxSegment keeps offsets in 32 bits.
	maxSegment = 1 << 30

	// defaultCache serves peers that are a second or two behind, and apply,
	// without a read.
	defaultCache = 64 << 20

	// maxBuffer is the largest buffer kept between appends.
	maxBuffer = 4 << 20
)

// Options of a Log.
type Options struct {
	Dir          string   // folder below the FS; "raft/wal" if empty
	ClusterID    [16]byte // of the owner: files of another are refused
	NodeID       [16]byte // of the owner: files of another are refused
	Group        uint32   // raft group
	SegmentBytes int64    // size of a segment file; 64 MiB if 0
	CacheBytes   int64    // newest entries kept in memory; 64 MiB if 0
	KeepBytes    int64    // of the log that a prefix delete leaves alone

	// SnapshotIndex is the index of the newest snapshot that verifies: damage
	// at or below it costs nothing. 0 for none.
	SnapshotIndex uint64

	// OnStored sees each entry, in order, once it is durable here, so that it
	// can be decoded before it is applied. It may be cut again later. It must
	// not block, nor call the Log.
	OnStored func(index, term uint64, typ raft.LogType, data []byte)
}

// Log is a raft.LogStore in segment files. Its methods are safe for concurrent
// use; appends and deletes wait for each other, reads wait for neither.
type Log struct {
	fsys  disk.FS
	opts  Options
	guard *guard.Guard

	spares spares

	// Writing. wmu is held for the length of an append or delete, its sync
	// included, and is taken before mu.
	wmu    sync.Mutex
	w      writer
	buf    []byte
	locs   []loc
	failed error // the first error of writing, or ErrClosed

	// What can be read. Changed under both locks, once it is durable.
	mu       sync.RWMutex
	index    index
	cache    cache
	segments []*segment // oldest first, numbers contiguous
	holds    map[*Hold]uint64
}

var (
	_ raft.LogStore          = (*Log)(nil)
	_ raft.MonotonicLogStore = (*Log)(nil)
)

// writer is the end of the log.
type writer struct {
	segment  *segment
	offset   int64
	previous uint32 // header crc of the last record
	epoch    uint64 // of the next write
	next     uint64 // index of the next entry
}

// IsMonotonic says that entries must follow each other without a gap.
func (l *Log) IsMonotonic() bool { return true }

// FirstIndex is the index of the oldest entry, 0 if there is none.
func (l *Log) FirstIndex() (uint64, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if len(l.index.locs) == 0 {
		return 0, nil
	}
	return l.index.first, nil
}

// LastIndex is the index of the newest entry, 0 if there is none.
func (l *Log) LastIndex() (uint64, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if len(l.index.locs) == 0 {
		return 0, nil
	}
	return l.index.next - 1, nil
}

// GetLog reads an entry; raft.ErrLogNotFound if it is not there. What comes
// from the disk is verified; damage ends the node. The bytes of the entry may
// be shared with other readers and must not be changed.
func (l *Log) GetLog(index uint64, log *raft.Log) error {
	l.mu.RLock()
	if !l.index.has(index) {
		l.mu.RUnlock()
		return raft.ErrLogNotFound
	}
	if e, ok := l.cache.get(index); ok {
		l.mu.RUnlock()
		*log = e
		return nil
	}
	at := l.index.locs[index-l.index.first]
	s := l.segmentLocked(at.segment)
	l.mu.RUnlock()

	var gone bool
	var r record
	err := l.guard.Do(guard.OpRead, func() (err error) {
		if r, err = s.readRecord(&l.opts, index, at); err != nil && !l.holdsStill(index, at) {
			gone = true // its segment was retired under our hands
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("read entry %d: %w", index, err)
	}
	if gone {
		return raft.ErrLogNotFound
	}
	r.entry(log)
	return nil
}

func (l *Log) holdsStill(index uint64, at loc) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.index.has(index) && l.index.locs[index-l.index.first] == at
}

func (l *Log) segmentLocked(number uint32) *segment {
	return l.segments[uint64(number)-l.segments[0].number]
}

// StoreLog appends one entry, as StoreLogs does.
func (l *Log) StoreLog(log *raft.Log) error { return l.StoreLogs([]*raft.Log{log}) }

// StoreLogs appends entries. When it returns nil they are durable. They must
// follow the last one without a gap; an empty log takes any index. The Log
// keeps their bytes, which must not be changed.
func (l *Log) StoreLogs(logs []*raft.Log) error {
	if len(logs) == 0 {
		return nil
	}
	l.wmu.Lock()
	defer l.wmu.Unlock()
	first := logs[0].Index
	records := make([]record, 0, len(logs)+1)
	if first != l.w.next {
		if last, _ := l.LastIndex(); last != 0 {
			return fmt.Errorf("store entry %d: the log goes on at %d", first, l.w.next)
		}
		records = append(records, record{kind: typeRestart, index: first})
	}
	for i, e := range logs {
		if e.Index != first+uint64(i) || e.Type > maxEntry {
			return fmt.Errorf("store entry %d of type %d after %d: not the next one", e.Index, e.Type, first+uint64(i)-1)
		}
		records = append(records, entryRecord(e))
	}
	restarted := len(records) > len(logs)
	if err := l.appendLocked(records); err != nil {
		return fmt.Errorf("store entries %d to %d: %w", first, logs[len(logs)-1].Index, err)
	}
	l.mu.Lock()
	for _, e := range logs {
		l.cache.add(*e)
	}
	l.mu.Unlock()
	if l.opts.OnStored != nil {
		for _, e := range logs {
			l.opts.OnStored(e.Index, e.Term, e.Type, e.Data)
		}
	}
	if restarted {
		return l.retireUnusedLocked()
	}
	return nil
}

// appendLocked makes records durable and then visible. The first error is
// final: what reached the disk is unknown.
func (l *Log) appendLocked(records []record) error {
	if l.failed != nil {
		return l.failed
	}
	err := l.guard.Do(guard.OpLog, func() error {
		for done := false; !done; {
			n, err := l.appendToSegment(records)
			if err != nil {
				return err
			}
			records, done = records[n:], n == len(records)
		}
		return nil
	})
	l.failed = err
	return err
}

// appendToSegment writes and syncs as many records as the segment takes, and
// says how many. If some are left, the next segment is in place.
func (l *Log) appendToSegment(records []record) (int, error) {
	w, buf, locs := l.w, l.buf[:0], l.locs[:0]
	start, n := w.offset, 0
	for n < len(records) && w.offset+records[n].size()+recordHeader <= w.segment.size {
		locs = append(locs, loc{
			segment: uint32(w.segment.number),
			offset:  uint32(w.offset),
			length:  uint32(len(records[n].data) + len(records[n].ext)),
		})
		buf = w.add(buf, &records[n], start)
		n++
	}
	var following *segment
	if n < len(records) {
		buf = w.add(buf, &record{kind: typeSeal, index: w.next}, start)
		var err error
		if following, err = l.begin(w.next, w.segment.number+1, w.previous, records[n].size()); err != nil {
			return 0, err
		}
	}
	if _, err := w.segment.file.WriteAt(buf, start); err != nil {
		return 0, err
	}
	if err := w.segment.file.Sync(); err != nil {
		return 0, err
	}
	w.epoch++
	l.show(records[:n], locs, w, following)
	if l.buf, l.locs = buf, locs; cap(buf) > maxBuffer {
		l.buf = nil
	}
	return n, nil
}

// add encodes a record at the writer's place and moves the place on.
func (w *writer) add(buf []byte, r *record, synced int64) []byte {
	before := len(buf)
	buf, w.previous = r.append(buf, w.segment.salt, place{epoch: w.epoch, previous: w.previous, synced: uint32(synced)})
	w.offset += int64(len(buf) - before)
	w.next = r.next()
	return buf
}

// show makes visible what is durable.
func (l *Log) show(records []record, locs []loc, w writer, following *segment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range records {
		l.index.apply(&records[i], locs[i])
		l.cache.apply(&records[i])
	}
	w.segment.used = w.offset
	if following != nil {
		l.segments = append(l.segments, following)
		w.segment, w.offset = following, segmentHeader
	}
	l.w = w
}

// Stats are for metrics.
type Stats struct {
	Segments int    // files in use
	Spares   int    // files ready for use
	Bytes    int64  // of records, those of deleted entries in files in use included
	Unready  uint64 // segments made while an append waited, since there was no spare
}

// Stats counts what the log takes.
func (l *Log) Stats() Stats {
	l.mu.RLock()
	defer l.mu.RUnlock()
	s := Stats{Segments: len(l.segments), Spares: l.spares.count(), Unready: l.spares.missed.Load()}
	for _, seg := range l.segments {
		s.Bytes += seg.used - segmentHeader
	}
	return s
}

// Close writes the clean-stop mark and closes the files. Nothing above needs
// the mark: a log that was not closed opens as well.
func (l *Log) Close() error {
	l.wmu.Lock()
	defer l.wmu.Unlock()
	if errors.Is(l.failed, ErrClosed) {
		return nil
	}
	var err error
	if l.failed == nil && l.guard.Err() == nil {
		err = l.appendLocked([]record{{kind: typeCleanStop, index: l.w.next}})
	}
	l.failed = ErrClosed
	return errors.Join(err, l.closeFiles())
}

func (l *Log) closeFiles() (err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.segments {
		err = errors.Join(err, s.file.Close())
	}
	l.segments, l.index, l.cache = nil, index{}, cache{}
	return err
}
