package stable

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/pawlhq/pawl/cluster/disk"
	"github.com/pawlhq/pawl/cluster/guard"
)

// lockWait bounds the wait for the file's lock. The data folder is locked
// already, so only a person with a tool can be in the way.
const lockWait = time.Second

// boltKey is the only key in use.
var boltKey = []byte("values")

// boltBackend keeps the record in a bbolt file.
type boltBackend struct {
	store *raftboltdb.BoltStore
	path  string
}

// OpenBolt opens a store in a bbolt file, which is created for its owner alone
// if it is missing; its folder must be there. The error is a *guard.Damaged if
// the file is not what was stored. Exit, or the guard's if it is nil, ends the
// process when a term falls.
func OpenBolt(path string, g *guard.Guard, exit func(code int, reason string)) (*Store, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := createBolt(path); err != nil {
			return nil, fmt.Errorf("create stable store: %w", err)
		}
	}
	b, err := openBolt(path)
	if err != nil {
		return nil, fmt.Errorf("open stable store: %w", err)
	}
	return newStore(b, g, exit)
}

// createBolt makes a file that holds an empty record, under a name of its own
// until it is whole. So a file without a record is never new: it is damaged.
func createBolt(path string) error {
	temp := path + ".new"
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	b, err := openBolt(temp)
	if err != nil {
		return err
	}
	if err := errors.Join(b.save(values{}.encode()), b.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

func openBolt(path string) (b *boltBackend, err error) {
	b = &boltBackend{path: path}
	defer b.rescue(&err, debug.SetPanicOnFault(true))
	if err := b.walk(); err != nil {
		return nil, b.damage(err)
	}
	b.store, err = raftboltdb.New(raftboltdb.Options{
		Path: path,
		BoltOptions: &bbolt.Options{
			Timeout:        lockWait,
			NoFreelistSync: true, // rebuilt at start: there are a handful of pages
			FreelistType:   bbolt.FreelistMapType,
		},
	})
	return b, b.damage(err)
}

// walk touches all pages in use. Opening for writing does the same in a
// goroutine of bbolt's own, where a panic could not be caught.
func (b *boltBackend) walk() (err error) {
	data, err := os.ReadFile(b.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := errors.Join(err, checkPages(data)); err != nil {
		return err
	}
	db, err := bbolt.Open(b.path, disk.FilePerm, &bbolt.Options{Timeout: lockWait, ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.Begin(false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tx.Rollback()) }()
	sum := crc32.New(castagnoli)
	return tx.ForEach(func(name []byte, bucket *bbolt.Bucket) error {
		_, _ = sum.Write(name)
		return bucket.ForEach(func(k, v []byte) error {
			_, _ = sum.Write(k)
			_, _ = sum.Write(v)
			return nil
		})
	})
}

func (b *boltBackend) load() (record []byte, err error) {
	defer b.rescue(&err, debug.SetPanicOnFault(true))
	record, err = b.store.Get(boltKey)
	if errors.Is(err, raftboltdb.ErrKeyNotFound) {
		return nil, &guard.Damaged{File: b.name(), Offset: -1, What: "it holds no values"}
	}
	return record, err
}

// save writes the record twice. bbolt has two roots, and if the newer one is
// damaged it goes on from the older without a word: from a forgotten vote. So
// both roots have to lead to the record before anybody hears of it.
func (b *boltBackend) save(record []byte) (err error) {
	defer b.rescue(&err, debug.SetPanicOnFault(true))
	if err := b.store.Set(boltKey, record); err != nil {
		return err
	}
	return b.store.Set(boltKey, record)
}

// rescue turns a panic into damage: bbolt maps the file and follows what its
// pages say, so a bad page ends in a panic or at a bad address.
func (b *boltBackend) rescue(err *error, panicOnFault bool) {
	debug.SetPanicOnFault(panicOnFault)
	if p := recover(); p != nil {
		*err = &guard.Damaged{File: b.name(), Offset: -1, What: fmt.Sprint(p)}
	}
}

// damage names the errors of bbolt that mean it.
func (b *boltBackend) damage(err error) error {
	for _, bad := range []error{berrors.ErrInvalid, berrors.ErrVersionMismatch, berrors.ErrChecksum, berrors.ErrInvalidMapping} {
		if errors.Is(err, bad) {
			return &guard.Damaged{File: b.name(), Offset: -1, What: bad.Error()}
		}
	}
	return err
}

func (b *boltBackend) name() string { return filepath.Base(b.path) }

// Close closes the file.
func (b *boltBackend) Close() error { return b.store.Close() }
