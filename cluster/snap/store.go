package snap

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/pawlhq/pawl/cluster/disk"
	"github.com/pawlhq/pawl/cluster/guard"
)

// ErrNotFound is wrapped by the error of Open and Verify for a snapshot that
// is not there.
var ErrNotFound = errors.New("snapshot not found")

const (
	readOnly   = os.O_RDONLY
	createNew  = os.O_RDWR | os.O_CREATE | os.O_TRUNC
	tempPrefix = "tmp-"
	suffix     = ".snap"

	// keep is how many good snapshots stay: the newest, and one to fall back
	// to if that is found damaged at the next start.
	keep = 2
)

// Options of a Store.
type Options struct {
	Dir         string   // folder below the FS; "raft/snap" if empty
	ClusterID   [16]byte // of the owner: files of another are refused
	Genesis     [16]byte // as ClusterID; all zero accepts any
	Incarnation uint64   // files of a higher one are refused
	Group       uint32   // raft group

	// BytesPerSecond bounds how fast a sink writes, so that the log's syncs do
	// not queue behind a snapshot. 0 is no bound.
	BytesPerSecond int64
	Sleep          func(time.Duration) // passes the time; time.Sleep if nil
	Now            func() time.Time    // time.Now if nil
	Log            *slog.Logger        // gets what is damaged; none if nil
}

// Store is a raft.SnapshotStore in files. It is safe for concurrent use.
type Store struct {
	fsys   disk.FS
	opts   Options
	guard  *guard.Guard
	serial atomic.Uint64 // of temporary names

	mu          sync.Mutex
	genesis     [16]byte
	incarnation uint64
	files       []*file // newest first
	damaged     []*guard.Damaged
}

// file is one snapshot.
type file struct {
	term, index uint64
	state       state
	meta        *raft.SnapshotMeta // once it is good
	notes       []byte             // once it is good
}

type state uint8

const (
	unread state = iota
	good
	broken
)

var _ raft.SnapshotStore = (*Store)(nil)

// Open opens the snapshots in a folder, creating it if it is not there. It
// removes what unfinished sinks have left and reads snapshots from the newest
// on until one is good.
//
// Damage is no error: Damaged tells of it, and whether List names anything
// that meets the log is for the caller to find out. The error is a
// *guard.Foreign or a *guard.Newer for files that are not ours to read.
func Open(fsys disk.FS, o Options, g *guard.Guard) (*Store, error) {
	if o.Dir == "" {
		o.Dir = "raft/snap"
	}
	if o.Sleep == nil {
		o.Sleep = time.Sleep
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{fsys: fsys, opts: o, guard: g, genesis: o.Genesis, incarnation: o.Incarnation}
	if err := s.scan(); err != nil {
		return nil, fmt.Errorf("open snapshots: %w", err)
	}
	if err := s.findGood(); err != nil {
		return nil, fmt.Errorf("open snapshots: %w", err)
	}
	return s, nil
}

func (s *Store) scan() error {
	if err := s.fsys.MkdirAll(s.opts.Dir, disk.FolderPerm); err != nil {
		return err
	}
	for d := path.Clean(s.opts.Dir); d != "."; d = path.Dir(d) {
		if err := s.fsys.SyncDir(path.Dir(d)); err != nil {
			return err
		}
	}
	entries, err := s.fsys.ReadDir(s.opts.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tempPrefix) {
			if err := s.fsys.Remove(s.path(e.Name())); err != nil {
				return err
			}
			continue
		}
		if f, ok := parseName(e.Name()); ok {
			s.files = append(s.files, f)
		}
	}
	s.sortLocked()
	return nil
}

func parseName(name string) (*file, bool) {
	id, found := strings.CutSuffix(name, suffix)
	term, index, cut := strings.Cut(id, "-")
	f := &file{}
	var err1, err2 error
	f.term, err1 = strconv.ParseUint(term, 10, 64)
	f.index, err2 = strconv.ParseUint(index, 10, 64)
	return f, found && cut && err1 == nil && err2 == nil && f.id() == id
}

func (f *file) id() string { return snapshotID(f.term, f.index) }

func (s *Store) sortLocked() {
	slices.SortFunc(s.files, func(a, b *file) int {
		return cmp.Or(cmp.Compare(b.index, a.index), cmp.Compare(b.term, a.term))
	})
}

// findGood reads snapshots from the newest on until one is good.
func (s *Store) findGood() error {
	s.mu.Lock()
	files := slices.Clone(s.files)
	s.mu.Unlock()
	for _, f := range files {
		if s.stateOf(f) == good {
			return nil
		}
		err := s.check(f)
		var damaged *guard.Damaged
		if err == nil {
			return nil
		}
		if !errors.As(err, &damaged) {
			return err
		}
	}
	return nil
}

func (s *Store) stateOf(f *file) state {
	s.mu.Lock()
	defer s.mu.Unlock()
	return f.state
}

// check reads a snapshot and notes what it found.
func (s *Store) check(f *file) error {
	h, raw, err := s.verify(f.id() + suffix)
	if err == nil {
		err = s.checkOwner(f, h)
	}
	if err != nil {
		s.bad(f.term, f.index, err)
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f.state, f.meta, f.notes = good, h.meta(int64(raw)), h.notes
	return nil
}

func (s *Store) checkOwner(f *file, h header) error {
	s.mu.Lock()
	genesis, incarnation := s.genesis, s.incarnation
	s.mu.Unlock()
	name := s.path(f.id() + suffix)
	switch {
	case h.term != f.term || h.index != f.index:
		return &guard.Damaged{File: name, Offset: 0, What: "its header does not match its name"}
	case h.cluster != s.opts.ClusterID:
		return &guard.Foreign{File: name, What: fmt.Sprintf("it was taken in cluster %x", h.cluster)}
	case genesis != [16]byte{} && !bytes.Equal(h.genesis[:], genesis[:]):
		return &guard.Foreign{File: name, What: fmt.Sprintf("it has genesis %x", h.genesis)}
	case h.group != s.opts.Group:
		return &guard.Foreign{File: name, What: fmt.Sprintf("it was taken in group %d", h.group)}
	case h.incarnation > incarnation:
		return &guard.Foreign{File: name, What: fmt.Sprintf("it has incarnation %d, this node %d", h.incarnation, incarnation)}
	}
	return nil
}

// bad notes a snapshot that was found damaged.
func (s *Store) bad(term, index uint64, err error) {
	var damaged *guard.Damaged
	if !errors.As(err, &damaged) {
		return
	}
	s.opts.Log.Error("snapshot is damaged", "term", term, "index", index, "err", err)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.files {
		if f.term == term && f.index == index && f.state != broken {
			f.state = broken
			s.damaged = append(s.damaged, damaged)
		}
	}
}

// SetIdentity changes what new snapshots say of the cluster's genesis and
// incarnation, for a node that learns them while it runs.
func (s *Store) SetIdentity(genesis [16]byte, incarnation uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.genesis, s.incarnation = genesis, incarnation
}

// Damaged is what was found damaged since Open, in the order it was found.
func (s *Store) Damaged() []*guard.Damaged {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.damaged)
}

// List names the snapshots that were verified in this process, newest first.
// If the newest ones have turned out damaged, it looks for an older good one.
// The size of each is that of its stream.
func (s *Store) List() ([]*raft.SnapshotMeta, error) {
	if err := s.findGood(); err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*raft.SnapshotMeta
	for _, f := range s.files {
		if f.state == good {
			meta := *f.meta
			out = append(out, &meta)
		}
	}
	return out, nil
}

// Open returns a snapshot and its stream. The stream stays readable when the
// snapshot is replaced or removed meanwhile. An error while reading that is a
// *guard.Damaged has made List forget the snapshot.
func (s *Store) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	f, err := s.find(id)
	if err != nil {
		return nil, nil, fmt.Errorf("open snapshot: %w", err)
	}
	if s.stateOf(f) != good {
		if err := s.check(f); err != nil {
			return nil, nil, fmt.Errorf("open snapshot %s: %w", id, err)
		}
	}
	r, err := s.openReader(f.id() + suffix)
	if err != nil {
		s.bad(f.term, f.index, err)
		return nil, nil, fmt.Errorf("open snapshot %s: %w", id, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	meta := *f.meta
	return &meta, r, nil
}

// Notes are the notes that Sink.SetNotes gave a snapshot that List names.
func (s *Store) Notes(id string) ([]byte, error) {
	f, err := s.find(id)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(f.notes), nil
}

// Verify reads a snapshot whole. A *guard.Damaged says what is wrong with it,
// and has made List forget it.
func (s *Store) Verify(id string) error {
	f, err := s.find(id)
	if err == nil {
		err = s.check(f)
	}
	if err != nil {
		return fmt.Errorf("verify snapshot %s: %w", id, err)
	}
	return nil
}

func (s *Store) find(id string) (*file, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.files {
		if f.id() == id {
			return f, nil
		}
	}
	return nil, fmt.Errorf("%s: %w", id, ErrNotFound)
}

// publish takes in a snapshot that is in place and removes what it makes
// superfluous: good ones beyond keep, and damaged ones older than those.
func (s *Store) publish(f *file) error {
	s.mu.Lock()
	s.files = slices.DeleteFunc(s.files, func(old *file) bool { return old.id() == f.id() })
	s.files = append(s.files, f)
	s.sortLocked()
	goodOnes, stay := 0, []*file(nil)
	var drop []*file
	for _, f := range s.files {
		if goodOnes == keep {
			drop = append(drop, f)
			continue
		}
		if f.state == good {
			goodOnes++
		}
		stay = append(stay, f)
	}
	s.files = stay
	s.mu.Unlock()
	for _, f := range drop {
		err := s.do(func() error { return s.fsys.Remove(s.path(f.id() + suffix)) })
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (s *Store) path(name string) string { return path.Join(s.opts.Dir, name) }
