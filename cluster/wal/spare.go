package wal

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/pawlhq/pawl/cluster/guard"
)

const (
	// maxSpares is one ready for the next rotation and one that a compaction
	// gave back: more would only hold space.
	maxSpares = 2

	// zeroStep bounds what one sync of a new file flushes, so that the syncs
	// of appends do not queue behind a whole segment.
	zeroStep = 8 << 20
)

// spares are files of one segment's size, ready for use.
type spares struct {
	serial atomic.Uint64 // of the last spare or temporary name
	missed atomic.Uint64 // times there was none
	wanted chan struct{} // one token: take a look

	mu    sync.Mutex
	names []string
}

// take removes one spare, "" if there is none, and asks for another.
func (s *spares) take() (name string) {
	s.mu.Lock()
	if n := len(s.names); n > 0 {
		name, s.names = s.names[n-1], s.names[:n-1]
	}
	s.mu.Unlock()
	select {
	case s.wanted <- struct{}{}:
	default:
	}
	return name
}

func (s *spares) put(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names = append(s.names, name)
}

func (s *spares) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.names)
}

// nextName is the name of one more spare.
func (s *spares) nextName() string {
	return sparePrefix + strconv.FormatUint(s.serial.Add(1), 16) + suffix
}

// saw keeps new names clear of one that exists.
func (s *spares) saw(name string) {
	hex := strings.TrimSuffix(strings.TrimPrefix(name, sparePrefix), suffix)
	if n, err := strconv.ParseUint(hex, 16, 64); err == nil && n > s.serial.Load() {
		s.serial.Store(n)
	}
}

// Run keeps one spare segment ready until ctx ends. Without it the log works
// as well, but pays for a new file when a segment is full.
func (l *Log) Run(ctx context.Context) error {
	for {
		if err := l.prepare(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-l.spares.wanted:
		}
	}
}

func (l *Log) prepare() error {
	if l.spares.count() > 0 {
		return nil
	}
	return l.guard.Do(guard.OpPrepare, func() error {
		f, temp, err := l.createFile(l.opts.SegmentBytes)
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
		name := l.spares.nextName()
		if err := l.fsys.Rename(l.opts.path(temp), l.opts.path(name)); err != nil {
			return err
		}
		if err := l.fsys.SyncDir(l.opts.Dir); err != nil {
			return err
		}
		l.spares.put(name)
		return nil
	})
}

// retire turns a segment that holds nothing any more into a spare, or removes
// it. When it returns, its old name is gone for good: segments go one by one,
// oldest first, so that no crash leaves a hole between them.
func (l *Log) retire(s *segment) error {
	if err := s.file.Close(); err != nil {
		return fmt.Errorf("close segment %s: %w", s.name, err)
	}
	return l.retireFile(s.name, s.size)
}

func (l *Log) retireFile(name string, size int64) error {
	if size != l.opts.SegmentBytes || l.spares.count() >= maxSpares {
		if err := l.fsys.Remove(l.opts.path(name)); err != nil {
			return fmt.Errorf("remove segment: %w", err)
		}
		return l.fsys.SyncDir(l.opts.Dir)
	}
	spare := l.spares.nextName()
	if err := l.fsys.Rename(l.opts.path(name), l.opts.path(spare)); err != nil {
		return fmt.Errorf("keep segment as a spare: %w", err)
	}
	if err := l.fsys.SyncDir(l.opts.Dir); err != nil {
		return err
	}
	l.spares.put(spare)
	return nil
}
