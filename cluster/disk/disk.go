package disk

import (
	"errors"
	"io"
	"io/fs"
	"syscall"
)

// ErrLocked is wrapped by the error of Lock when another process, or another
// part of this one, holds the lock.
var ErrLocked = errors.New("already locked")

// FS is all of a file system the product uses. Paths are relative to one
// folder. All methods may be called at the same time.
type FS interface {
	// Open opens or creates a file; flag takes the os.O_ bits. O_APPEND is
	// not supported: every write names its offset.
	Open(name string, flag int, perm fs.FileMode) (File, error)
	// Rename replaces to by from. It is durable once SyncDir of the folder
	// returned.
	Rename(from, to string) error
	// Remove deletes a file or an empty folder.
	Remove(name string) error
	// ReadDir lists a folder, sorted by name.
	ReadDir(name string) ([]fs.DirEntry, error)
	// MkdirAll creates a folder and its parents.
	MkdirAll(name string, perm fs.FileMode) error
	// SyncDir makes creations, renames and removals in a folder durable.
	SyncDir(name string) error
	// Space says what room is left.
	Space() (Space, error)
	// Lock takes an exclusive lock that ends with Close or with the process.
	// A second Lock fails with an error that wraps ErrLocked.
	Lock(name string) (io.Closer, error)
}

// File is an open file. Reads and writes name their offset and may be called
// at the same time.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync returns when the data, and what is needed to read it back, is
	// durable. After a failed Sync nothing is known about what was written:
	// calling it again proves nothing.
	Sync() error
	// Zero writes zeros over [from, to), growing the file if needed, so that
	// later writes there allocate nothing.
	Zero(from, to int64) error
	// Size is the current length in bytes.
	Size() (int64, error)
	// Name is the name given to Open.
	Name() string
}

// Space is the room on the file system that holds the folder.
type Space struct {
	Free       uint64 // bytes this process may still write
	Total      uint64 // bytes in all
	FreeInodes uint64 // files that may still be created
}

// IsNoSpace reports whether err says that the disk or the quota is full.
func IsNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// ReadFile reads a whole file.
func ReadFile(fsys FS, name string) (data []byte, err error) {
	f, err := fsys.Open(name, readOnly, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	data = make([]byte, size)
	n, err := f.ReadAt(data, 0)
	if errors.Is(err, io.EOF) && n == len(data) {
		err = nil
	}
	return data[:n], err
}

// Replace writes a whole file so that a crash at any point leaves either the
// old content or the new one: a temporary file is written and synced, renamed
// over name, and the folder is synced. On an error the temporary file may be
// left behind.
func Replace(fsys FS, name string, data []byte) (err error) {
	temp := name + ".new"
	f, err := fsys.Open(temp, createNew, FilePerm)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(data, 0); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = fsys.Rename(temp, name); err != nil {
		return err
	}
	return fsys.SyncDir(parent(name))
}
