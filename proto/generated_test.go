package proto

import (
	"io/fs"
	"os"
	"os/exec"
	"testing"
)

func TestGeneratedCodeIsWhatTheSchemasGive(t *testing.T) {
	// Opening every file makes the cached result of this test depend on it.
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		_, err = os.ReadFile(name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "run", "./cmd/protogen", "-check")
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go run ./cmd/protogen -check: %v\n%s", err, out)
	}
}
