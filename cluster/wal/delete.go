package wal

import (
	"fmt"

	"github.com/pawlhq/pawl/cluster/guard"
)

// DeleteRange deletes the entries from min to max, which must reach to one end
// of the log or to both.
//
// A prefix goes only as far as holds and Options.KeepBytes allow: FirstIndex
// tells how far. It is not made durable, so after a restart some of it may be
// back. A suffix, and the whole log, are durably gone when it returns; after
// the whole log has gone, any index may come next.
func (l *Log) DeleteRange(min, max uint64) error {
	l.wmu.Lock()
	defer l.wmu.Unlock()
	if l.failed != nil {
		return l.failed
	}
	first, _ := l.FirstIndex()
	last, _ := l.LastIndex()
	switch {
	case first == 0 || min > max || max < first || min > last:
		return nil
	case max >= last:
		return l.cutLocked(min, first)
	case min > first:
		return fmt.Errorf("delete entries %d to %d: they are in the middle of %d to %d", min, max, first, last)
	}
	l.mu.Lock()
	keep := l.keepFromLocked(max + 1)
	l.index.dropBefore(keep)
	l.cache.dropBefore(keep)
	l.mu.Unlock()
	return l.retireUnusedLocked()
}

func (l *Log) cutLocked(from, first uint64) error {
	mark := record{kind: typeTruncate, index: from}
	if from <= first {
		// Not a truncation: that would let entries come back that went as a
		// prefix before.
		mark = record{kind: typeRestart, index: first}
	}
	if err := l.appendLocked([]record{mark}); err != nil {
		return fmt.Errorf("delete entries from %d: %w", from, err)
	}
	return l.retireUnusedLocked()
}

// Reset empties the log durably; the next entry has index next. It is for a
// log that does not fit the snapshot a node starts from.
func (l *Log) Reset(next uint64) error {
	l.wmu.Lock()
	defer l.wmu.Unlock()
	if err := l.appendLocked([]record{{kind: typeRestart, index: next}}); err != nil {
		return fmt.Errorf("reset log to %d: %w", next, err)
	}
	return l.retireUnusedLocked()
}

// keepFromLocked is the index from which on entries stay, when a prefix delete
// asks for from.
func (l *Log) keepFromLocked(from uint64) uint64 {
	for _, held := range l.holds {
		from = min(from, held)
	}
	if l.opts.KeepBytes <= 0 {
		return from
	}
	// The newest entry that still has KeepBytes of log from it on.
	behind := make(map[uint32]int64, len(l.segments)) // bytes in later segments
	var later int64
	for i := len(l.segments) - 1; i >= 0; i-- {
		s := l.segments[i]
		behind[uint32(s.number)] = later + s.used
		later += s.used - segmentHeader
	}
	short := l.index.find(func(at loc) bool { return behind[at.segment]-int64(at.offset) < l.opts.KeepBytes })
	if short > 0 {
		short--
	}
	return min(from, short)
}

// retireUnusedLocked gives up the segments in front that hold no entry.
func (l *Log) retireUnusedLocked() error {
	for {
		l.mu.Lock()
		oldest := l.segments[0]
		unused := oldest != l.w.segment && (len(l.index.locs) == 0 || uint64(l.index.locs[0].segment) > oldest.number)
		if unused {
			l.segments = l.segments[1:]
		}
		l.mu.Unlock()
		if !unused {
			return nil
		}
		if err := l.guard.Do(guard.OpLog, func() error { return l.retire(oldest) }); err != nil {
			l.failed = err
			return err
		}
	}
}

// Hold keeps entries from being deleted as a prefix, for a reader that still
// needs them. It does not stop a suffix, or the whole log, from going.
type Hold struct {
	log  *Log
	name string
}

// Hold returns a hold on everything there is, to be moved on with Set.
func (l *Log) Hold(name string) *Hold {
	h := &Hold{log: l, name: name}
	h.Set(0)
	return h
}

// Set moves the hold: entries from index on stay. It may move either way, but
// does not bring back what is gone.
func (h *Hold) Set(index uint64) {
	h.log.mu.Lock()
	defer h.log.mu.Unlock()
	if h.log.holds == nil {
		h.log.holds = map[*Hold]uint64{}
	}
	h.log.holds[h] = index
}

// Release ends the hold. Entries go with the next prefix delete.
func (h *Hold) Release() {
	h.log.mu.Lock()
	defer h.log.mu.Unlock()
	delete(h.log.holds, h)
}

// Name is the name given to Log.Hold.
func (h *Hold) Name() string { return h.name }
