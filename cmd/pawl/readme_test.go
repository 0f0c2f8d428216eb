package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// blocks gives the fenced blocks of a page by what stands behind their fence.
func blocks(page string) map[string][]string {
	out := map[string][]string{}
	parts := strings.Split("\n"+page, "\n```")
	for i := 1; i < len(parts); i += 2 { // every second part is inside a fence
		info, text, _ := strings.Cut(parts[i], "\n")
		out[info] = append(out[info], text)
	}
	return out
}

func TestTourOfTheReadmeRuns(t *testing.T) {
	page, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	found := blocks(string(page))
	tour, greeting := found["sh tour"], found["json greeting.json"]
	if len(tour) < 3 || len(greeting) != 1 {
		t.Fatalf("the page has %d blocks of the tour and %d documents", len(tour), len(greeting))
	}
	dir := t.TempDir()
	if err := os.Symlink(program(t), filepath.Join(dir, "pawl")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "greeting.json"), []byte(greeting[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	_, addrs := startDev(t)
	script := "set -e\ntrap 'kill $!' EXIT\n" + strings.Join(tour, "\n")
	sh := exec.CommandContext(t.Context(), "sh", "-c", script)
	sh.Dir = dir
	sh.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "PAWL_ADDR="+strings.Join(addrs, ","))
	out, err := sh.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"it is the next of queue greet and waits for a worker with a free slot", `{"said": "Hello Grace"}`, "leader"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the tour does not show %q:\n%s", want, out)
		}
	}
}
