package proto

import (
	"os/exec"
	"testing"
)

func TestGeneratedCodeIsWhatTheSchemasGive(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "run", "./cmd/protogen", "-check")
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go run ./cmd/protogen -check: %v\n%s", err, out)
	}
}
