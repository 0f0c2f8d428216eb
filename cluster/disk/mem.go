package disk

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// memTotal is the size a memory file system claims to have. Nothing enforces
// it; a full disk is a fault to inject.
const memTotal = 1 << 40

// MemFS is a file system in memory, for nodes that need not outlive their
// process and for tests in virtual time. It touches no file, starts no
// goroutine and is safe for concurrent use.
type MemFS struct {
	mu     sync.Mutex
	files  map[string]*memNode
	dirs   map[string]bool
	locked map[string]bool
}

// memNode is the content behind a name; open files keep it when the name goes.
type memNode struct {
	mu sync.RWMutex
	sparse
}

// Mem returns an empty file system in memory.
func Mem() *MemFS {
	return &MemFS{files: map[string]*memNode{}, dirs: map[string]bool{".": true}, locked: map[string]bool{}}
}

// Open opens or creates a file.
func (m *MemFS) Open(name string, flag int, _ fs.FileMode) (File, error) {
	name = path.Clean(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	node := m.files[name]
	switch {
	case !fs.ValidPath(name) || m.dirs[name]:
		return nil, pathError("open", name, fs.ErrInvalid)
	case node == nil && (flag&os.O_CREATE == 0 || !m.dirs[parent(name)]):
		return nil, pathError("open", name, fs.ErrNotExist)
	case node != nil && flag&os.O_CREATE != 0 && flag&os.O_EXCL != 0:
		return nil, pathError("open", name, fs.ErrExist)
	case node == nil:
		node = &memNode{}
		m.files[name] = node
	case flag&os.O_TRUNC != 0:
		node.mu.Lock()
		node.sparse = sparse{}
		node.mu.Unlock()
	}
	return &memFile{node: node, name: name, writable: flag&(os.O_RDWR|os.O_WRONLY) != 0}, nil
}

// Rename replaces to by from.
func (m *MemFS) Rename(from, to string) error {
	from, to = path.Clean(from), path.Clean(to)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dirs[from] {
		return m.renameDirLocked(from, to)
	}
	node := m.files[from]
	if node == nil || !m.dirs[parent(to)] {
		return pathError("rename", from, fs.ErrNotExist)
	}
	if m.dirs[to] {
		return pathError("rename", to, fs.ErrExist)
	}
	delete(m.files, from)
	m.files[to] = node
	return nil
}

func (m *MemFS) renameDirLocked(from, to string) error {
	if m.dirs[to] || m.files[to] != nil || !m.dirs[parent(to)] || strings.HasPrefix(to+"/", from+"/") {
		return pathError("rename", to, fs.ErrInvalid)
	}
	for _, name := range sortedNames(m.files) {
		if rest, ok := strings.CutPrefix(name, from+"/"); ok {
			m.files[path.Join(to, rest)] = m.files[name]
			delete(m.files, name)
		}
	}
	for _, name := range sortedNames(m.dirs) {
		if rest, ok := strings.CutPrefix(name+"/", from+"/"); ok {
			m.dirs[path.Join(to, rest)] = true
			delete(m.dirs, name)
		}
	}
	return nil
}

// Remove deletes a file or an empty folder.
func (m *MemFS) Remove(name string) error {
	name = path.Clean(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.files[name] != nil {
		delete(m.files, name)
		return nil
	}
	if !m.dirs[name] || name == "." {
		return pathError("remove", name, fs.ErrNotExist)
	}
	if len(m.entriesLocked(name)) > 0 {
		return pathError("remove", name, fs.ErrExist)
	}
	delete(m.dirs, name)
	return nil
}

// ReadDir lists a folder, sorted by name.
func (m *MemFS) ReadDir(name string) ([]fs.DirEntry, error) {
	name = path.Clean(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.dirs[name] {
		return nil, pathError("readdir", name, fs.ErrNotExist)
	}
	return m.entriesLocked(name), nil
}

func (m *MemFS) entriesLocked(folder string) []fs.DirEntry {
	var out []fs.DirEntry
	for name, node := range m.files {
		if parent(name) == folder {
			node.mu.RLock()
			out = append(out, memEntry{name: path.Base(name), size: node.size})
			node.mu.RUnlock()
		}
	}
	for name := range m.dirs {
		if name != "." && parent(name) == folder {
			out = append(out, memEntry{name: path.Base(name), folder: true})
		}
	}
	slices.SortFunc(out, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return out
}

// MkdirAll creates a folder and its parents.
func (m *MemFS) MkdirAll(name string, _ fs.FileMode) error {
	name = path.Clean(name)
	if !fs.ValidPath(name) {
		return pathError("mkdir", name, fs.ErrInvalid)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for d := name; d != "."; d = parent(d) {
		if m.files[d] != nil {
			return pathError("mkdir", d, fs.ErrExist)
		}
	}
	for d := name; d != "."; d = parent(d) {
		m.dirs[d] = true
	}
	return nil
}

// SyncDir only checks that the folder is there.
func (m *MemFS) SyncDir(name string) error {
	name = path.Clean(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.dirs[name] {
		return pathError("syncdir", name, fs.ErrNotExist)
	}
	return nil
}

// Space answers with a size nobody reaches.
func (m *MemFS) Space() (Space, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var used uint64
	for _, node := range m.files {
		node.mu.RLock()
		used += node.allocated()
		node.mu.RUnlock()
	}
	return Space{Free: memTotal - min(used, memTotal), Total: memTotal, FreeInodes: 1 << 20}, nil
}

// Lock takes an exclusive lock until Close.
func (m *MemFS) Lock(name string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locked[name] {
		return nil, fmt.Errorf("lock %s: %w", name, ErrLocked)
	}
	m.locked[name] = true
	return &memLock{fsys: m, name: name}, nil
}

type memLock struct {
	fsys *MemFS
	name string
	once sync.Once
}

func (l *memLock) Close() error {
	l.once.Do(func() {
		l.fsys.mu.Lock()
		defer l.fsys.mu.Unlock()
		delete(l.fsys.locked, l.name)
	})
	return nil
}

// memFile is an open file of a MemFS.
type memFile struct {
	node     *memNode
	name     string
	writable bool
	mu       sync.Mutex
	closed   bool
}

func (f *memFile) check(op string, write bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return pathError(op, f.name, fs.ErrClosed)
	}
	if write && !f.writable {
		return pathError(op, f.name, fs.ErrPermission)
	}
	return nil
}

// ReadAt reads at an offset.
func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.check("read", false); err != nil {
		return 0, err
	}
	f.node.mu.RLock()
	defer f.node.mu.RUnlock()
	return f.node.readAt(p, off)
}

// WriteAt writes at an offset.
func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.check("write", true); err != nil {
		return 0, err
	}
	f.node.mu.Lock()
	defer f.node.mu.Unlock()
	f.node.writeAt(p, off)
	return len(p), nil
}

// Zero writes zeros over [from, to).
func (f *memFile) Zero(from, to int64) error {
	if err := f.check("zero", true); err != nil {
		return err
	}
	f.node.mu.Lock()
	defer f.node.mu.Unlock()
	f.node.zero(from, to)
	return nil
}

// Size is the current length in bytes.
func (f *memFile) Size() (int64, error) {
	if err := f.check("size", false); err != nil {
		return 0, err
	}
	f.node.mu.RLock()
	defer f.node.mu.RUnlock()
	return f.node.size, nil
}

// Sync has nothing to do.
func (f *memFile) Sync() error { return f.check("sync", false) }

// Name is the name given to Open.
func (f *memFile) Name() string { return f.name }

// Close ends the use of the file.
func (f *memFile) Close() error {
	if err := f.check("close", false); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return nil
}

// memEntry is one line of a folder's list; it is also its own FileInfo.
type memEntry struct {
	name   string
	size   int64
	folder bool
}

func (e memEntry) Name() string               { return e.name }
func (e memEntry) IsDir() bool                { return e.folder }
func (e memEntry) Type() fs.FileMode          { return e.Mode().Type() }
func (e memEntry) Info() (fs.FileInfo, error) { return e, nil }
func (e memEntry) Size() int64                { return e.size }
func (e memEntry) ModTime() time.Time         { return time.Time{} }
func (e memEntry) Sys() any                   { return nil }

func (e memEntry) Mode() fs.FileMode {
	if e.folder {
		return fs.ModeDir | FolderPerm
	}
	return FilePerm
}

func pathError(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}

func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
