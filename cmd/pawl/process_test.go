package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
	pawl "github.com/pawlhq/pawl/sdk"
)

// testLimit bounds one test of real processes, on a machine that does much else.
const testLimit = 80 * time.Second

// startFleet runs n servers until the test ends.
func startFleet(t *testing.T, n int) (*fleet, context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	t.Cleanup(cancel)
	f, err := newFleet(t.TempDir(), n, "fast")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.stop)
	if err := f.start(ctx); err != nil {
		t.Fatal(err)
	}
	return f, ctx
}

// crowd starts executions and remembers each that was acknowledged.
type crowd struct {
	client *pawl.Client

	mu       sync.Mutex
	started  []string
	position string
}

func newCrowd(t *testing.T, ctx context.Context, addrs []string) *crowd {
	t.Helper()
	c, err := pawl.Dial(ctx, pawl.WithAddresses(addrs...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.Apply(ctx, []byte(oneStep("step", "1", "nobody"))); err != nil {
		t.Fatal(err)
	}
	return &crowd{client: c}
}

func (c *crowd) start(ctx context.Context) error {
	res, err := c.client.Executions().Start(ctx, &apiv1.StartExecutionRequest{Name: "step", Input: "{}"})
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.started = append(c.started, res.ExecutionId)
	c.position = max(c.position, res.Position)
	return nil
}

func (c *crowd) starts(t *testing.T, ctx context.Context, n int) {
	t.Helper()
	for range n {
		if err := c.start(ctx); err != nil {
			t.Fatalf("start: %v", err)
		}
	}
}

// check reads everything back from each node by itself.
func (c *crowd) check(t *testing.T, ctx context.Context, f *fleet) {
	t.Helper()
	for _, p := range f.nodes {
		for _, id := range c.started {
			_, _, err := readExecution(ctx, nodeClient(p.client), id, &apiv1.Read{AtLeast: c.position})
			if err != nil {
				t.Errorf("%s does not have %s: %v", p.name, id, err)
			}
		}
	}
}

// up starts a node again and waits until it serves.
func up(t *testing.T, ctx context.Context, f *fleet, ps ...*process) {
	t.Helper()
	for _, p := range ps {
		if err := p.start(f.program); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range ps {
		if err := p.ready(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDemoLosesNothingWhileLeadersAreKilled(t *testing.T) {
	r := run(t, nil, "", "demo", "--executions", "40", "--kills", "2", "--seed", "7", "-o", "json")
	if r.code != 0 {
		t.Fatalf("exit code %d\n%s%s", r.code, r.out, r.errs)
	}
	var v verdict
	if err := json.Unmarshal([]byte(r.out), &v); err != nil {
		t.Fatalf("standard output is not one JSON object: %v: %s", err, r.out)
	}
	if v.Started != 40 || v.Completed+v.Failed != 40 || v.LeaderKills != 2 || v.TasksCompleted < 40 || !v.good() {
		t.Errorf("got %+v", v)
	}
	if n := strings.Count(r.errs, "killed the leader"); n != 2 {
		t.Errorf("it told of %d kills, want 2", n)
	}
}

func TestDemoThatIsKeptStaysUp(t *testing.T) {
	r := run(t, nil, "", "demo", "--executions", "2", "--kills", "0", "--keep")
	_, rest, found := strings.Cut(r.errs, "PAWL_ADDR=")
	addrs, rest, _ := strings.Cut(rest, ", data and logs in ")
	dir, _, _ := strings.Cut(rest, "\n")
	if r.code != 0 || !found {
		t.Fatalf("exit code %d\n%s%s", r.code, r.out, r.errs)
	}
	defer os.RemoveAll(dir)
	defer stopFolders(t, dir)
	s := shell{t, []string{"PAWL_ADDR=" + addrs}}
	if list := s.want(0, "execution", "list").out; strings.Count(list, "\n") != 3 {
		t.Errorf("executions of the kept cluster:\n%swant 2", list)
	}
}

// stopFolders ends the servers whose folders are in dir, by the ids in their locks.
func stopFolders(t *testing.T, dir string) {
	locks, err := filepath.Glob(filepath.Join(dir, "n*", "LOCK"))
	if err != nil || len(locks) == 0 {
		t.Errorf("no locks in %s: %v", dir, err)
	}
	for _, name := range locks {
		b, _ := os.ReadFile(name)
		var pid int
		if _, err := fmt.Sscan(string(b), &pid); err != nil {
			t.Errorf("%s holds %q: %v", name, b, err)
			continue
		}
		if p, err := os.FindProcess(pid); err == nil {
			_ = p.Signal(os.Interrupt) // an error says that it has ended
		}
	}
}

func TestNothingAcknowledgedIsLostWhateverStops(t *testing.T) {
	f, ctx := startFleet(t, 3)
	c := newCrowd(t, ctx, f.addresses())
	c.starts(t, ctx, 5)

	// One is killed, misses something, and catches up.
	if !f.nodes[2].kill() {
		t.Fatal("n3 had ended before it was killed")
	}
	c.starts(t, ctx, 10)
	up(t, ctx, f, f.nodes[2])
	c.check(t, ctx, f)

	// Each is stopped in peace while clients go on.
	rolling, done := context.WithCancel(ctx)
	failed := make(chan error, 1)
	go func() {
		for rolling.Err() == nil {
			if err := c.start(ctx); err != nil {
				failed <- err
				return
			}
		}
		failed <- nil
	}()
	for _, p := range f.nodes {
		began := time.Now()
		if code := p.stop(stopWithin); code != 0 {
			t.Errorf("%s ended with %d when asked to: %s", p.name, code, p.lastLog())
		}
		t.Logf("%s stopped in %s", p.name, time.Since(began).Round(time.Millisecond))
		up(t, ctx, f, p)
	}
	done()
	if err := <-failed; err != nil {
		t.Errorf("a client that follows the leader met %v", err)
	}
	c.check(t, ctx, f)

	// All are killed at once, and come back with another --expect, which means nothing
	// by now.
	for _, p := range f.nodes {
		if !p.kill() {
			t.Errorf("%s had ended before it was killed", p.name)
		}
		p.args[slices.Index(p.args, "--expect")+1] = "1"
	}
	up(t, ctx, f, f.nodes...)
	c.starts(t, ctx, 5)
	c.check(t, ctx, f)
	t.Logf("%d executions", len(c.started))
}

func TestFoldersInTheWrongPlaceAreRefused(t *testing.T) {
	f, ctx := startFleet(t, 3)
	stranger, _ := startFleet(t, 1)
	c := newCrowd(t, ctx, f.addresses())
	spare, err := freeAddrs(2)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := func(p *process, dir string) []string {
		args := slices.Clone(p.args)
		for flag, value := range map[string]string{"--data": dir, "--listen": spare[0], "--peer-listen": spare[1]} {
			args[slices.Index(args, flag)+1] = value
		}
		return args
	}
	s := shell{t, nil}

	r := s.want(exitFailed, elsewhere(f.nodes[0], f.nodes[0].dir)...)
	if !strings.Contains(r.errs, "already locked by process") {
		t.Errorf("a folder in use: %s", r.errs)
	}
	copied := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(copied, withoutSpares(f.nodes[1].dir)); err != nil {
		t.Fatal(err)
	}
	if r := s.want(66, elsewhere(f.nodes[1], copied)...); !strings.Contains(r.errs, "node id still answers") {
		t.Errorf("a copied folder: %s", r.errs)
	}
	if code := stranger.nodes[0].stop(stopWithin); code != 0 {
		t.Errorf("the other cluster ended with %d", code)
	}
	if r := s.want(66, elsewhere(f.nodes[2], stranger.nodes[0].dir)...); !strings.Contains(r.errs, "belong to another") {
		t.Errorf("a folder of another cluster: %s", r.errs)
	}
	c.starts(t, ctx, 3)
	c.check(t, ctx, f)
	up(t, ctx, stranger, stranger.nodes[0]) // it took no harm
}

// withoutSpares is a data folder as a copying person gets it: the empty log files that
// stand ready are large and hold nothing.
func withoutSpares(dir string) fs.FS { return sparesHidden{os.DirFS(dir).(fs.ReadDirFS)} }

type sparesHidden struct{ fs.ReadDirFS }

func (s sparesHidden) ReadDir(name string) ([]fs.DirEntry, error) {
	list, err := s.ReadDirFS.ReadDir(name)
	return slices.DeleteFunc(list, func(e fs.DirEntry) bool { return strings.HasPrefix(e.Name(), "spare") }), err
}

func TestDamageInTheLogStopsTheNodeAndNamesTheFile(t *testing.T) {
	f, ctx := startFleet(t, 1)
	c := newCrowd(t, ctx, f.addresses())
	c.starts(t, ctx, 20)
	p := f.nodes[0]
	if code := p.stop(stopWithin); code != 0 {
		t.Fatalf("it ended with %d when asked to", code)
	}
	logs, err := filepath.Glob(filepath.Join(p.dir, "raft", "wal", "0*.wal"))
	if err != nil || len(logs) != 1 {
		t.Fatalf("log files: %v, %v", logs, err)
	}
	flipMiddle(t, logs[0])
	for range 2 { // it stays so: nothing was cut away
		r := run(t, nil, "", p.args...)
		if r.code != 65 || !strings.Contains(r.errs, filepath.Base(logs[0])) {
			t.Errorf("exit code %d, want 65; it says %s", r.code, r.errs)
		}
	}
}

// flipMiddle turns a bit in the middle of what a sparse file holds.
func flipMiddle(t *testing.T, name string) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	head := make([]byte, 1<<20)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	for n > 0 && head[n-1] == 0 {
		n--
	}
	head[n/2] ^= 0x10
	if _, err := f.WriteAt(head[n/2:n/2+1], int64(n/2)); err != nil {
		t.Fatal(err)
	}
}

func TestNodesThatKnowOneOtherEachFindAllByGossip(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	f, err := newFleet(t.TempDir(), 3, "fast")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.stop)
	for i, p := range f.nodes {
		seed := "" // the first knows nobody
		if i > 0 {
			seed = f.nodes[i-1].peer
		}
		p.args[slices.Index(p.args, "--join")+1] = seed
		p.args[slices.Index(p.args, "--gossip=false")] = "--gossip=true"
	}
	if err := f.start(ctx); err != nil {
		t.Fatal(err)
	}
	newCrowd(t, ctx, f.addresses()).starts(t, ctx, 1)
}

func TestServerTakesSettingsFromFileEnvironmentAndFlags(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	f, err := newFleet(t.TempDir(), 1, "fast")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.stop)
	p := f.nodes[0]
	config := write(t, "node.yaml", fmt.Sprintf("data: %s\nlisten: 127.0.0.1:1\npeer_listen: 127.0.0.1:2\nexpect: 5\ngossip: false\n", p.dir))
	t.Setenv("PAWL_CONFIG", config)
	t.Setenv("PAWL_EXPECT", "1")
	t.Setenv("PAWL_LISTEN", "127.0.0.1:3")
	p.args = []string{"server", "--listen", p.client, "--peer-listen", p.peer}
	up(t, ctx, f, p)
	for path, want := range map[string]string{"/livez": "ok\n", "/readyz": "ok\n", "/readyz?verbose": "[+] serving ok\n[+] cluster ok\nreadyz check passed\n"} {
		res, err := http.Get("http://" + p.client + path)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || string(b) != want || res.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %q, %v; want %q", path, res.StatusCode, b, err, want)
		}
	}
}

func TestServerThatWaitsForOthersEndsWhenAskedTo(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	f, err := newFleet(t.TempDir(), 3, "fast")
	if err != nil {
		t.Fatal(err)
	}
	p := f.nodes[0]
	p.args[slices.Index(p.args, "--log-level")+1] = "info"
	if err := p.start(f.program); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(p.lastLog(), "waiting for the other nodes") {
		select {
		case <-ctx.Done():
			t.Fatal(p.lastLog())
		case <-tick.C:
		}
	}
	if code := p.stop(stopWithin); code != 0 {
		t.Errorf("it ended with %d: %s", code, p.lastLog())
	}
}

func TestDevelopmentClusterKeepsItsDataOnDiskOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	dev, addrs := startDev(t, "--data", dir)
	s := shell{t, []string{"PAWL_ADDR=" + addrs[0]}}
	s.want(0, "definition", "apply", write(t, "a.json", oneStep("kept", "1", "t")))
	id := strings.TrimSpace(s.want(0, "execution", "start", "kept").out)
	dev.end(t)
	_, addrs = startDev(t, "--data", dir)
	s = shell{t, []string{"PAWL_ADDR=" + addrs[0]}}
	s.want(0, "execution", "get", id)
	s.want(exitUsage, "dev", "--data", dir, "--nodes", "1", "--listen", "127.0.0.1:0")
	if r := s.want(exitFailed, "dev", "--nodes", "1", "--listen", addrs[0]); !strings.Contains(r.errs, "address already in use") {
		t.Errorf("a port in use: %s", r.errs)
	}
}
