package disk

import (
	"fmt"
	"io"
	"io/fs"
	"path"
	"syscall"
)

// Open opens or creates a file.
func (f *FaultFS) Open(name string, flag int, perm fs.FileMode) (File, error) {
	if _, err := f.meet(OpOpen, name); err != nil {
		return nil, err
	}
	name = path.Clean(name)
	f.mu.Lock()
	defer f.mu.Unlock()
	inner, err := f.inner.Open(name, flag, perm)
	if err != nil {
		return nil, err
	}
	id, known := f.platter.live[name]
	if !known {
		f.nextNode++
		id = f.nextNode
	}
	if !known || flag&createNew == createNew {
		f.stepLocked(Step{Op: OpOpen, Name: name, Flag: flag, node: id})
	}
	return &faultFile{fsys: f, inner: inner, name: name, node: id, life: f.life}, nil
}

// faultFile is an open file of a FaultFS.
type faultFile struct {
	fsys  *FaultFS
	inner File
	name  string
	node  int
	life  int
}

// lock returns with the file system locked, unless a crash came between.
func (f *faultFile) lock() error {
	f.fsys.mu.Lock()
	if f.fsys.life != f.life {
		f.fsys.mu.Unlock()
		return pathError("use", f.name, ErrCrashed)
	}
	return nil
}

// ReadAt reads at an offset.
func (f *faultFile) ReadAt(p []byte, off int64) (int, error) {
	r, err := f.fsys.meet(OpRead, f.name)
	if err != nil {
		return 0, err
	}
	if err := f.lock(); err != nil {
		return 0, err
	}
	defer f.fsys.mu.Unlock()
	n, err := f.inner.ReadAt(p, off)
	switch {
	case r == nil || n == 0:
	case r.Do == Short:
		return f.fsys.rng.IntN(n), pathError("read", f.name, r.Err)
	case r.Do == Flip:
		p[f.fsys.rng.IntN(n)] ^= 1 << f.fsys.rng.IntN(8)
	}
	return n, err
}

// WriteAt writes at an offset.
func (f *faultFile) WriteAt(p []byte, off int64) (int, error) {
	r, err := f.fsys.meet(OpWrite, f.name)
	if err != nil {
		return 0, err
	}
	if err := f.lock(); err != nil {
		return 0, err
	}
	defer f.fsys.mu.Unlock()
	if r == nil || len(p) == 0 {
		return f.putLocked(p, off)
	}
	rng := f.fsys.rng
	switch r.Do {
	case Full, Short:
		n, err := f.putLocked(p[:rng.IntN(len(p))], off)
		if err != nil {
			return n, err
		}
		if r.Do == Full {
			return n, pathError("write", f.name, syscall.ENOSPC)
		}
		return n, pathError("write", f.name, fmt.Errorf("%w: %w", io.ErrShortWrite, r.Err))
	case Torn:
		for n := 0; n < len(p); n += sector {
			if rng.IntN(2) == 0 {
				if _, err := f.putLocked(p[n:min(n+sector, len(p))], off+int64(n)); err != nil {
					return 0, err
				}
			}
		}
		return 0, pathError("write", f.name, r.Err)
	case Flip:
		p = append([]byte(nil), p...)
		p[rng.IntN(len(p))] ^= 1 << rng.IntN(8)
	}
	return f.putLocked(p, off)
}

func (f *faultFile) putLocked(p []byte, off int64) (int, error) {
	n, err := f.inner.WriteAt(p, off)
	if n > 0 {
		f.fsys.stepLocked(Step{Op: OpWrite, Name: f.name, Off: off, Data: append([]byte(nil), p[:n]...), node: f.node})
	}
	return n, err
}

// Zero writes zeros over [from, to).
func (f *faultFile) Zero(from, to int64) error {
	if _, err := f.fsys.meet(OpZero, f.name); err != nil {
		return err
	}
	if err := f.lock(); err != nil {
		return err
	}
	defer f.fsys.mu.Unlock()
	if err := f.inner.Zero(from, to); err != nil {
		return err
	}
	f.fsys.stepLocked(Step{Op: OpZero, Name: f.name, Off: from, End: to, node: f.node})
	return nil
}

// Sync makes the data durable, unless a rule lies.
func (f *faultFile) Sync() error {
	r, err := f.fsys.meet(OpSync, f.name)
	if err != nil {
		return err
	}
	if err := f.lock(); err != nil {
		return err
	}
	defer f.fsys.mu.Unlock()
	if err := f.inner.Sync(); err != nil {
		return err
	}
	if r == nil || r.Do != Lie {
		f.fsys.stepLocked(Step{Op: OpSync, Name: f.name, node: f.node})
	}
	return nil
}

// Size is the current length in bytes.
func (f *faultFile) Size() (int64, error) {
	if err := f.lock(); err != nil {
		return 0, err
	}
	defer f.fsys.mu.Unlock()
	return f.inner.Size()
}

// Name is the name given to Open.
func (f *faultFile) Name() string { return f.name }

// Close ends the use of the file; it makes nothing durable.
func (f *faultFile) Close() error { return f.inner.Close() }
