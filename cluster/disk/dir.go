package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// FilePerm and FolderPerm are the rights of everything a node creates: its
// files hold keys and payloads, so nobody but the owner reads them.
const (
	FilePerm   fs.FileMode = 0o600
	FolderPerm fs.FileMode = 0o700
)

const (
	readOnly  = os.O_RDONLY
	createNew = os.O_RDWR | os.O_CREATE | os.O_TRUNC

	// zeroChunk bounds one write of Zero, so that zeroing a large file does
	// not need a large buffer.
	zeroChunk = 1 << 20
)

var zeros [zeroChunk]byte

// dir is a folder of the machine's file system.
type dir struct {
	path string
	root *os.Root
}

// Dir opens a folder of the machine's file system, creating it for its owner
// alone if it is missing. Names that would leave the folder are refused.
func Dir(path string) (FS, error) {
	if err := os.MkdirAll(path, FolderPerm); err != nil {
		return nil, fmt.Errorf("create folder: %w", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("open folder: %w", err)
	}
	return &dir{path: path, root: root}, nil
}

// Open opens or creates a file.
func (d *dir) Open(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := d.root.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &dirFile{File: f, name: name}, nil
}

// Rename replaces to by from.
func (d *dir) Rename(from, to string) error { return d.root.Rename(from, to) }

// Remove deletes a file or an empty folder.
func (d *dir) Remove(name string) error { return d.root.Remove(name) }

// ReadDir lists a folder, sorted by name.
func (d *dir) ReadDir(name string) ([]fs.DirEntry, error) {
	return fs.ReadDir(d.root.FS(), name)
}

// MkdirAll creates a folder and its parents.
func (d *dir) MkdirAll(name string, perm fs.FileMode) error {
	return d.root.MkdirAll(name, perm)
}

// SyncDir makes changes of names in a folder durable.
func (d *dir) SyncDir(name string) (err error) {
	f, err := d.root.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return f.Sync()
}

// Space says what room is left on the file system of the folder.
func (d *dir) Space() (Space, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(d.path, &st); err != nil {
		return Space{}, fmt.Errorf("ask for free space of %s: %w", d.path, err)
	}
	block := uint64(st.Bsize)
	return Space{Free: st.Bavail * block, Total: st.Blocks * block, FreeInodes: st.Ffree}, nil
}

// Lock takes an advisory lock on a file that also says which process has it.
func (d *dir) Lock(name string) (io.Closer, error) {
	f, err := d.root.OpenFile(name, os.O_RDWR|os.O_CREATE, FilePerm)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		holder := make([]byte, 20)
		n, _ := f.ReadAt(holder, 0)
		err = errors.Join(lockError(path.Join(d.path, name), strings.TrimSpace(string(holder[:n])), err), f.Close())
		return nil, err
	}
	pid := strconv.Itoa(os.Getpid()) + "\n"
	if err = f.Truncate(0); err == nil {
		_, err = f.WriteAt([]byte(pid), 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write lock: %w", err), f.Close())
	}
	return f, nil
}

func lockError(name, holder string, err error) error {
	if !errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("lock %s: %w", name, err)
	}
	if holder == "" {
		return fmt.Errorf("lock %s: %w", name, ErrLocked)
	}
	return fmt.Errorf("lock %s: %w by process %s", name, ErrLocked, holder)
}

// dirFile is an open file of a dir.
type dirFile struct {
	*os.File
	name string
}

// Name is the name given to Open, not the path on the machine.
func (f *dirFile) Name() string { return f.name }

// Sync returns when the data is durable.
func (f *dirFile) Sync() error {
	if err := syncData(f.File); err != nil {
		return &fs.PathError{Op: "sync", Path: f.name, Err: err}
	}
	return nil
}

// Zero writes zeros over [from, to).
func (f *dirFile) Zero(from, to int64) error {
	for from < to {
		n, err := f.WriteAt(zeros[:min(to-from, zeroChunk)], from)
		if err != nil {
			return err
		}
		from += int64(n)
	}
	return nil
}

// Size is the current length in bytes.
func (f *dirFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

// parent is the folder of a name.
func parent(name string) string { return path.Dir(name) }
