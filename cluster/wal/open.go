package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/raft"

	"github.com/pawlhq/pawl/cluster/disk"
	"github.com/pawlhq/pawl/cluster/guard"
)

// Report is what Open found, for one log line.
type Report struct {
	Segments  int      // files in use
	First     uint64   // oldest entry, 0 if none
	Last      uint64   // newest entry, 0 if none
	Bytes     int64    // of records read
	CleanStop bool     // the log was closed when it was last used
	Torn      bool     // the last write was not finished, and was cut
	TornAt    string   // file and offset of the cut
	Dropped   uint64   // entries up to this index were given up as damaged
	Damage    []string // the first of what was damaged; harmless, or Open had failed
}

// Open opens the log in a folder, creating it if it is not there, and recovers
// what a crash has left. When it returns, every entry it counts is durable.
//
// The error is a *guard.Damaged if entries that were acknowledged, and that no
// snapshot covers, are not whole; a *guard.Foreign if the files belong to
// another cluster, node or group; a *guard.Newer if they were written by a
// newer version. guard.Code gives the exit code of each.
func Open(fsys disk.FS, o Options, g *guard.Guard) (*Log, Report, error) {
	if err := o.complete(); err != nil {
		return nil, Report{}, err
	}
	l := &Log{fsys: fsys, opts: o, guard: g, cache: cache{limit: o.CacheBytes}}
	l.spares.wanted = make(chan struct{}, 1)
	segments, err := l.list()
	if err != nil {
		return nil, Report{}, fmt.Errorf("open log: %w", err)
	}
	report, err := l.recover(segments)
	if err != nil {
		for _, s := range segments {
			err = errors.Join(err, s.close())
		}
		return nil, report, fmt.Errorf("open log: %w", err)
	}
	return l, report, nil
}

func (o *Options) complete() error {
	if o.Dir == "" {
		o.Dir = "raft/wal"
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = defaultSegment
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = defaultCache
	}
	if o.SegmentBytes < minSegment || o.SegmentBytes > maxSegment {
		return fmt.Errorf("open log: segments of %d bytes: want %d to %d", o.SegmentBytes, minSegment, maxSegment)
	}
	return nil
}

// list makes the folder and sorts out what is in it. The segments come back by
// number, not opened.
func (l *Log) list() ([]*segment, error) {
	if err := l.fsys.MkdirAll(l.opts.Dir, disk.FolderPerm); err != nil {
		return nil, err
	}
	for d := path.Clean(l.opts.Dir); d != "."; d = path.Dir(d) {
		if err := l.fsys.SyncDir(path.Dir(d)); err != nil {
			return nil, err
		}
	}
	entries, err := l.fsys.ReadDir(l.opts.Dir)
	if err != nil {
		return nil, err
	}
	var segments []*segment
	for _, e := range entries {
		switch first, number, ok := parseName(e.Name()); {
		case ok:
			segments = append(segments, &segment{name: e.Name(), first: first, number: number})
		case strings.HasPrefix(e.Name(), tempPrefix):
			err = l.fsys.Remove(l.opts.path(e.Name()))
		case strings.HasPrefix(e.Name(), sparePrefix):
			err = l.foundSpare(e)
		}
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(segments, func(a, b *segment) int {
		if a.number < b.number {
			return -1
		}
		return 1
	})
	return segments, nil
}

func (l *Log) foundSpare(e fs.DirEntry) error {
	l.spares.saw(e.Name())
	info, err := e.Info()
	if err != nil {
		return err
	}
	if info.Size() != l.opts.SegmentBytes || l.spares.count() >= maxSpares {
		return l.fsys.Remove(l.opts.path(e.Name()))
	}
	l.spares.put(e.Name())
	return nil
}

// recover reads the segments and leaves the log ready for use.
func (l *Log) recover(segments []*segment) (Report, error) {
	if len(segments) == 0 {
		return l.create()
	}
	s := &scanner{log: l, segments: segments, next: segments[0].first, nextKnown: true, bad: map[uint64]*guard.Damaged{}}
	if err := s.run(); err != nil {
		return s.report, err
	}
	if err := s.settle(); err != nil {
		return s.report, err
	}
	// What was read may sit in the kernel's memory only, written by a process
	// that was killed before its sync.
	for _, seg := range s.segments {
		if seg.file == nil {
			continue // its header is damaged and a snapshot covers it
		}
		if err := seg.file.Sync(); err != nil {
			return s.report, fmt.Errorf("sync segment %s: %w", seg.name, err)
		}
	}
	l.adopt(s)
	l.wmu.Lock()
	defer l.wmu.Unlock()
	if err := l.appendLocked([]record{{kind: typeOpened, index: l.w.next}}); err != nil {
		return s.report, err
	}
	for _, seg := range s.unused(l.segments[0]) {
		if err := seg.close(); err != nil {
			return s.report, err
		}
		if err := l.retireFile(seg.name, seg.size); err != nil {
			return s.report, err
		}
	}
	return s.report, l.reportRange(&s.report)
}

// create begins a log.
func (l *Log) create() (Report, error) {
	if l.opts.SnapshotIndex > 0 {
		what := fmt.Sprintf("there is a snapshot at %d, but no log", l.opts.SnapshotIndex)
		return Report{}, &guard.Damaged{File: l.opts.Dir, Offset: -1, What: what}
	}
	s, err := l.begin(1, 1, 0, 0)
	if err != nil {
		return Report{}, err
	}
	l.segments = []*segment{s}
	l.index.next = 1
	l.w = writer{segment: s, offset: segmentHeader, epoch: 1, next: 1}
	return Report{Segments: 1}, nil
}

// adopt takes over what the scanner found.
func (l *Log) adopt(s *scanner) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := len(s.segments) - 1
	from := last
	if len(s.index.locs) > 0 {
		for from = 0; s.segments[from].number < uint64(s.index.locs[0].segment); from++ {
		}
	}
	l.segments = slices.Clone(s.segments[from:])
	l.index, l.cache = s.index, s.cache
	l.index.next = s.next
	l.w = writer{segment: s.segments[last], offset: s.segments[last].used, previous: s.previous, epoch: s.epoch + 1, next: s.next}
}

func (l *Log) reportRange(r *Report) (err error) {
	r.Segments = len(l.segments)
	if r.First, err = l.FirstIndex(); err != nil {
		return err
	}
	r.Last, err = l.LastIndex()
	return err
}

func (s *segment) open(l *Log) (err error) {
	if s.file, err = l.fsys.Open(l.opts.path(s.name), os.O_RDWR, disk.FilePerm); err != nil {
		return err
	}
	s.size, err = s.file.Size()
	return err
}

func (s *segment) close() error {
	if s.file == nil {
		return nil
	}
	f := s.file
	s.file = nil
	return f.Close()
}

// cacheEntry copies an entry out of the scanner's buffer.
func (c *cache) addCopy(r *record) {
	cp := *r
	cp.data, cp.ext = slices.Clone(r.data), slices.Clone(r.ext)
	var e raft.Log
	cp.entry(&e)
	c.add(e)
}
