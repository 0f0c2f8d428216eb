package disk

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// systems are the implementations, all held to the same tests.
func systems(t *testing.T) map[string]FS {
	real, err := Dir(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	return map[string]FS{"dir": real, "mem": Mem(), "faulty": Faulty(Mem(), Plan{})}
}

func create(t *testing.T, fsys FS, name, content string) File {
	t.Helper()
	f, err := fsys.Open(name, os.O_RDWR|os.O_CREATE, FilePerm)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte(content), 0); err != nil {
		t.Fatal(err)
	}
	return f
}

func content(t *testing.T, fsys FS, name string) string {
	t.Helper()
	data, err := ReadFile(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return "absent"
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestFilesBehaveAlike(t *testing.T) {
	for name, fsys := range systems(t) {
		t.Run(name, func(t *testing.T) {
			if err := fsys.MkdirAll("a/b", FolderPerm); err != nil {
				t.Fatal(err)
			}
			f := create(t, fsys, "a/b/one", "hello")
			if err := f.Zero(3, 10000); err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt([]byte("end"), 9999); err != nil {
				t.Fatal(err)
			}
			if size, err := f.Size(); err != nil || size != 10002 {
				t.Fatalf("size: got %d and %v, want 10002", size, err)
			}
			want := "hel" + strings.Repeat("\x00", 9996) + "end"
			if got := content(t, fsys, "a/b/one"); got != want {
				t.Fatalf("content differs, length %d, want %d", len(got), len(want))
			}
			if n, err := f.ReadAt(make([]byte, 10), 10000); n != 2 || err != io.EOF {
				t.Fatalf("read over the end: got %d and %v, want 2 and EOF", n, err)
			}
			if err := errors.Join(f.Sync(), fsys.SyncDir("a/b"), f.Close()); err != nil {
				t.Fatal(err)
			}
			if f.Name() != "a/b/one" {
				t.Fatalf("name: got %q", f.Name())
			}
			if err := fsys.Rename("a/b/one", "a/b/two"); err != nil {
				t.Fatal(err)
			}
			create(t, fsys, "a/b/three", "3").Close()
			entries, err := fsys.ReadDir("a/b")
			if err != nil || len(entries) != 2 || entries[0].Name() != "three" || entries[1].Name() != "two" {
				t.Fatalf("list: got %v and %v", entries, err)
			}
			if info, err := entries[1].Info(); err != nil || info.Size() != 10002 {
				t.Fatalf("info: got %v and %v", info, err)
			}
			if err := errors.Join(fsys.Remove("a/b/two"), fsys.Remove("a/b/three"), fsys.Remove("a/b")); err != nil {
				t.Fatal(err)
			}
			if _, err := fsys.ReadDir("a/b"); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("list of a removed folder: got %v", err)
			}
			if sp, err := fsys.Space(); err != nil || sp.Free == 0 || sp.Total < sp.Free || sp.FreeInodes == 0 {
				t.Fatalf("space: got %+v and %v", sp, err)
			}
		})
	}
}

func TestOpenErrors(t *testing.T) {
	for name, fsys := range systems(t) {
		t.Run(name, func(t *testing.T) {
			create(t, fsys, "file", "x").Close()
			for _, c := range []struct {
				name string
				flag int
				want error
			}{
				{"absent", os.O_RDWR, fs.ErrNotExist},
				{"no/folder", os.O_RDWR | os.O_CREATE, fs.ErrNotExist},
				{"file", os.O_RDWR | os.O_CREATE | os.O_EXCL, fs.ErrExist},
			} {
				if _, err := fsys.Open(c.name, c.flag, FilePerm); !errors.Is(err, c.want) {
					t.Errorf("open %s: got %v, want %v", c.name, err, c.want)
				}
			}
			if _, err := fsys.Open("../out", os.O_RDWR|os.O_CREATE, FilePerm); err == nil {
				t.Error("open of a name that leaves the folder went through")
			}
			f, err := fsys.Open("file", os.O_RDONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt([]byte("y"), 0); err == nil {
				t.Error("wrote to a file opened for reading")
			}
			if err := fsys.Rename("absent", "b"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("rename of an absent file: got %v", err)
			}
		})
	}
}

func TestSecondLockFails(t *testing.T) {
	for name, fsys := range systems(t) {
		t.Run(name, func(t *testing.T) {
			l, err := fsys.Lock("LOCK")
			if err != nil {
				t.Fatal(err)
			}
			_, err = fsys.Lock("LOCK")
			if !errors.Is(err, ErrLocked) {
				t.Fatalf("second lock: got %v, want ErrLocked", err)
			}
			if name == "dir" && !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
				t.Fatalf("second lock does not name the holder: %v", err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if l, err = fsys.Lock("LOCK"); err != nil {
				t.Fatalf("lock after release: %v", err)
			}
			l.Close()
		})
	}
}

func TestReplaceKeepsOldOrNew(t *testing.T) {
	fsys := Faulty(Mem(), Plan{Trace: true})
	if err := Replace(fsys, "id", []byte("old")); err != nil {
		t.Fatal(err)
	}
	from := fsys.Steps()
	if err := Replace(fsys, "id", bytes.Repeat([]byte("new"), 1000)); err != nil {
		t.Fatal(err)
	}
	for n := from; n <= fsys.Steps(); n++ {
		for _, keep := range []Keep{KeepAll, KeepNone, KeepSome, KeepSome} {
			got := content(t, fsys.Image(n, keep, uint64(n)), "id")
			if got != "old" && len(got) != 3000 {
				t.Errorf("crash after %d steps, keep %d: got %d bytes", n, keep, len(got))
			}
		}
	}
	if got := content(t, fsys.Image(fsys.Steps(), KeepNone, 0), "id"); len(got) != 3000 {
		t.Errorf("lost after Replace returned: got %q", got)
	}
}

func TestDirKeepsItsFilesPrivate(t *testing.T) {
	base := filepath.Join(t.TempDir(), "data")
	fsys, err := Dir(base)
	if err != nil {
		t.Fatal(err)
	}
	create(t, fsys, "secret", "x").Close()
	for name, want := range map[string]fs.FileMode{base: FolderPerm, filepath.Join(base, "secret"): FilePerm} {
		if st, err := os.Stat(name); err != nil || st.Mode().Perm() != want {
			t.Errorf("%s: got %v and %v, want %v", name, st.Mode(), err, want)
		}
	}
}
