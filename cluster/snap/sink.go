package snap

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"time"

	"github.com/hashicorp/raft"

	"github.com/pawlhq/pawl/cluster/disk"
)

// syncStep bounds what one sync of a snapshot flushes: a log sync that comes
// meanwhile waits for that much at most.
const syncStep = 8 << 20

// Sink is a snapshot that is being written. It has one user at a time.
type Sink struct {
	store  *Store
	header header
	temp   string
	file   disk.File
	start  time.Time

	begun    bool // the header is written
	at       int64
	unsynced int64
	sum      hash.Hash
	chunks   uint32
	raw      uint64
	buf      []byte // of the stream, less than a chunk
	out      []byte // encoded
	err      error  // what ended the sink before Close
	done     bool   // closed or cancelled
}

var _ raft.SnapshotSink = (*Sink)(nil)

// Create begins a snapshot. Nothing of it can be seen until its sink is
// closed.
func (s *Store) Create(version raft.SnapshotVersion, index, term uint64, configuration raft.Configuration,
	configurationIndex uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	if version != raft.SnapshotVersionMax {
		return nil, fmt.Errorf("create snapshot: version %d, want %d", version, raft.SnapshotVersionMax)
	}
	s.mu.Lock()
	h := header{
		cluster: s.opts.ClusterID, genesis: s.genesis, incarnation: s.incarnation, group: s.opts.Group,
		index: index, term: term, configIndex: configurationIndex, configuration: raft.EncodeConfiguration(configuration),
	}
	s.mu.Unlock()
	k := &Sink{
		store: s, header: h, start: s.opts.Now(), sum: sha256.New(),
		temp: tempPrefix + strconv.FormatUint(s.serial.Add(1), 16),
	}
	err := s.do(func() (err error) {
		k.file, err = s.fsys.Open(s.path(k.temp), createNew, disk.FilePerm)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("create snapshot: %w", err)
	}
	return k, nil
}

// ID names the snapshot once the sink is closed.
func (k *Sink) ID() string { return snapshotID(k.header.term, k.header.index) }

// SetNotes puts the caller's notes into the header. It must come before the
// first Write. Notes stay with the file: raft does not send them along.
func (k *Sink) SetNotes(notes []byte) error {
	if k.begun {
		return errors.New("set notes: the header is written")
	}
	if len(notes) > maxHeader/2 {
		return fmt.Errorf("set notes: %d bytes are too many", len(notes))
	}
	k.header.notes = bytes.Clone(notes)
	return nil
}

// Write takes a piece of the stream. It may sleep to keep the rate.
func (k *Sink) Write(p []byte) (int, error) {
	if k.done {
		return 0, errors.New("write snapshot: the sink is closed")
	}
	for n := 0; n < len(p); {
		part := p[n:min(len(p), n+maxChunk-len(k.buf))]
		k.buf = append(k.buf, part...)
		n += len(part)
		if len(k.buf) < maxChunk {
			break
		}
		if err := k.flush(); err != nil {
			return n, fmt.Errorf("write snapshot: %w", err)
		}
	}
	return len(p), nil
}

// flush writes the header if it is due, and what is buffered as one chunk.
func (k *Sink) flush() error {
	if k.err != nil {
		return k.err
	}
	k.out = k.out[:0]
	if !k.begun {
		k.begun = true
		k.out = k.header.encode()
	}
	if len(k.buf) > 0 {
		k.out = appendChunk(k.out, k.chunks, k.buf)
		k.chunks++
		k.raw += uint64(len(k.buf))
		k.buf = k.buf[:0]
	}
	k.sum.Write(k.out)
	if k.err = k.put(k.out); k.err == nil {
		k.pace()
	}
	return k.err
}

func (k *Sink) put(b []byte) error {
	return k.store.do(func() error {
		if _, err := k.file.WriteAt(b, k.at); err != nil {
			return err
		}
		k.at += int64(len(b))
		if k.unsynced += int64(len(b)); k.unsynced < syncStep {
			return nil
		}
		k.unsynced = 0
		return k.file.Sync()
	})
}

// pace sleeps while the sink is ahead of its rate.
func (k *Sink) pace() {
	rate := k.store.opts.BytesPerSecond
	if rate <= 0 {
		return
	}
	due := time.Duration(float64(k.at) / float64(rate) * float64(time.Second))
	if ahead := due - k.store.opts.Now().Sub(k.start); ahead > 0 {
		k.store.opts.Sleep(ahead)
	}
}

// Close makes the snapshot durable, reads it back, and puts it in place. If it
// fails, nothing of the snapshot can be seen. Closing again does nothing.
func (k *Sink) Close() error {
	if k.done {
		return nil
	}
	if err := k.finish(); err != nil {
		return fmt.Errorf("close snapshot: %w", errors.Join(err, k.Cancel()))
	}
	k.done = true
	f := &file{term: k.header.term, index: k.header.index, state: good, meta: k.header.meta(int64(k.raw)), notes: k.header.notes}
	if err := k.store.publish(f); err != nil {
		return fmt.Errorf("remove old snapshots: %w", err)
	}
	return nil
}

func (k *Sink) finish() error {
	if len(k.buf) > 0 || !k.begun {
		if err := k.flush(); err != nil {
			return err
		}
	}
	if k.err != nil {
		return k.err
	}
	if err := k.put(encodeFooter(k.chunks, k.raw, k.sum.Sum(nil))); err != nil {
		return err
	}
	s := k.store
	if err := s.do(k.file.Sync); err != nil {
		return err
	}
	// What was written may not be what was meant: the log behind it is about
	// to be deleted.
	if _, _, err := s.verify(k.temp); err != nil {
		return err
	}
	return s.do(func() error {
		if err := s.fsys.Rename(s.path(k.temp), s.path(k.ID()+suffix)); err != nil {
			return err
		}
		if err := s.fsys.SyncDir(s.opts.Dir); err != nil {
			return err
		}
		return k.file.Close()
	})
}

// Cancel gives the snapshot up and leaves nothing behind. After Close it does
// nothing.
func (k *Sink) Cancel() error {
	if k.done {
		return nil
	}
	k.done = true
	err := k.store.do(func() error {
		return errors.Join(k.file.Close(), k.store.fsys.Remove(k.store.path(k.temp)))
	})
	if err != nil {
		return fmt.Errorf("cancel snapshot: %w", err)
	}
	return nil
}
