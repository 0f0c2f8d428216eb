package builtin

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pawlhq/pawl/fsm/def"
)

func TestCheckFindsWhatCannotBeParsed(t *testing.T) {
	p := newPool(t, 0)
	const bad = "Expression is not well formatted: "
	for _, c := range []struct{ language, source, want string }{
		{script, "while(true){}", ""}, {script, "a b", bad + "SyntaxError: Unexpected identifier at line 1"},
		{script, "return 1", bad + "SyntaxError: Illegal return statement at line 1"},
		{"function", "return 1", ""}, {"function", "} function f() {", bad + "SyntaxError: Unexpected token }"},
		{script, "\nfor(", bad + "SyntaxError: Unexpected end of input at line 2"},
		{script, strings.Repeat("[", 1000), bad + "the source has more than 500 open brackets at one place"},
		{JQ, ".a | .b", ""}, {JQ, ".a |\n)", bad + "syntax error: unexpected token \")\" at line 2"}, {JQ, "nope", bad + "Function nope/0 does not exist"},
		{Zone, "2026-01-02 03:04 Europe/Berlin", ""}, {Zone, "x", `no date, time and zone in "x": expected yyyy-MM-dd HH:mm Zone/Name`},
		{"python", "1", bad + "Python is not available on this server: use javascript"},
	} {
		x := def.Program{Path: "here", Language: c.language, Source: c.source}
		if c.language == "function" {
			x.Language, x.Function = script, true
		}
		found, err := p.Check(t.Context(), []def.Program{x})
		got := ""
		for _, f := range found {
			got += f.Message
		}
		if err != nil || got != c.want || got != "" && found[0].Path != "here" {
			t.Errorf("%s %q: got %v, %v, want %q", c.language, c.source, found, err, c.want)
		}
	}
}

func TestCheckTellsFaultsInOrderAndNotWithoutEnd(t *testing.T) {
	p := newPool(t, 0)
	var programs []def.Program
	for i := range 4 * maxFaults {
		source := "(() => [1])()"
		if i%2 == 1 {
			source = "a b"
		}
		programs = append(programs, def.Program{Path: itoa(i), Language: script, Source: source})
	}
	found, err := p.Check(t.Context(), programs)
	if err != nil || len(found) != maxFaults {
		t.Fatalf("got %d faults, %v, want %d", len(found), err, maxFaults)
	}
	for i, f := range found {
		if f.Path != itoa(2*i+1) {
			t.Fatalf("fault %d is at %s, want %d", i, f.Path, 2*i+1)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if found, err := p.Check(ended, programs); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, %v when nobody waits, want an error", found, err)
	}
	p.Close()
	if found, err := p.Check(t.Context(), programs); !errors.Is(err, ErrPoolClosed) {
		t.Errorf("got %v, %v from a closed pool, want an error", found, err)
	}
}

func TestCorpusProgramsCanBeParsed(t *testing.T) {
	const dir = "../../shared/corpus/definitions"
	if _, err := os.Stat(dir); os.IsNotExist(err) {
		t.Skip("no corpus at " + dir)
	}
	files, err := filepath.Glob(dir + "/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s: %v", dir, err)
	}
	p := newPool(t, 0)
	judged := 0
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, part := range def.Split(src) {
			programs := def.Sniff(part).Programs(part)
			judged += len(programs)
			found, err := p.Check(t.Context(), programs)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range found {
				t.Errorf("%s[%d]: %s: %s", filepath.Base(file), i, f.Path, f.Message)
			}
		}
	}
	if judged < 50 {
		t.Errorf("%d programs in %d files: most are missing", judged, len(files))
	}
}
