package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/pawlhq/pawl/builtin"
)

// asProgram makes this test binary run as the program itself, so that tests start real
// processes without a build.
const asProgram = "TEST_RUN_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" || builtin.IsChild() { // a child has no environment
		main()
		os.Exit(0)
	}
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "PAWL_") {
			os.Unsetenv(name)
		}
	}
	os.Setenv(asProgram, "1")
	os.Exit(m.Run())
}

// ran is how one run of the program ended.
type ran struct {
	out, errs string
	code      int
}

// runLimit bounds one run of the program in a test.
const runLimit = 30 * time.Second

// run runs the program to its end.
func run(t *testing.T, env []string, stdin string, args ...string) ran {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runLimit)
	defer cancel()
	c := exec.CommandContext(ctx, program(t), args...)
	c.Env = append(os.Environ(), env...)
	c.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	err := c.Run()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		t.Fatalf("run %v: %v", args, err)
	}
	return ran{out: out.String(), errs: errs.String(), code: c.ProcessState.ExitCode()}
}

func program(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// running is a program that goes on beside a test.
type running struct {
	cmd  *exec.Cmd
	errs bytes.Buffer
}

// startDev starts a development cluster and gives its addresses.
func startDev(t *testing.T, args ...string) (*running, []string) {
	t.Helper()
	r := &running{cmd: exec.Command(program(t), append([]string{"dev", "--listen", "127.0.0.1:0", "-o", "json"}, args...)...)}
	r.cmd.Stderr = &r.errs
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.end(t) })
	var told struct {
		Addresses []string `json:"addresses"`
		Ready     int      `json:"ready_ms"`
	}
	if err := json.NewDecoder(out).Decode(&told); err != nil {
		t.Fatalf("the cluster does not start: %v\n%s", err, r.errs.String())
	}
	t.Logf("ready in %d ms", told.Ready)
	return r, told.Addresses
}

// end asks the program to end and wants it to do so in peace.
func (r *running) end(t *testing.T) {
	t.Helper()
	if r.cmd.ProcessState != nil {
		return
	}
	_ = r.cmd.Process.Signal(os.Interrupt) // an error says that it has ended
	kill := time.AfterFunc(stopWithin, func() { _ = r.cmd.Process.Kill() })
	defer kill.Stop()
	if err := r.cmd.Wait(); err != nil {
		t.Errorf("the program ended with %v\n%s", err, r.errs.String())
	}
}

// write puts a file into the test's folder and gives its path.
func write(t *testing.T, name, content string) string {
	t.Helper()
	path := t.TempDir() + "/" + name
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
