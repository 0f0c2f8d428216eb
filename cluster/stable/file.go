package stable

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/pawlhq/pawl/cluster/disk"
	"github.com/pawlhq/pawl/cluster/guard"
)

// fileBackend keeps the record in one small file that is replaced whole.
type fileBackend struct {
	fsys disk.FS
	path string
}

// OpenFS opens a store in a file of an FS, creating its folder if it is
// missing. The error is a *guard.Damaged if the file is not what was stored.
// Exit, or the guard's if it is nil, ends the process when a term falls.
func OpenFS(fsys disk.FS, name string, g *guard.Guard, exit func(code int, reason string)) (*Store, error) {
	folder := path.Dir(name)
	err := fsys.MkdirAll(folder, disk.FolderPerm)
	for d := folder; err == nil && d != "."; d = path.Dir(d) {
		err = fsys.SyncDir(path.Dir(d))
	}
	if err != nil {
		return nil, fmt.Errorf("open stable store: %w", err)
	}
	return newStore(&fileBackend{fsys: fsys, path: name}, g, exit)
}

// load reads the file; one that is not there was never written.
func (b *fileBackend) load() ([]byte, error) {
	data, err := disk.ReadFile(b.fsys, b.path)
	if errors.Is(err, fs.ErrNotExist) {
		return values{}.encode(), nil
	}
	return data, err
}

func (b *fileBackend) save(record []byte) error { return disk.Replace(b.fsys, b.path, record) }

func (b *fileBackend) name() string { return b.path }

// Close has nothing open.
func (b *fileBackend) Close() error { return nil }
