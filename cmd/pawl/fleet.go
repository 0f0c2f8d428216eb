package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// fleet is a cluster of real server processes on loopback, with data on disk.
type fleet struct {
	dir     string
	program string
	profile string
	nodes   []*process
}

// process is one server of a fleet.
type process struct {
	name         string
	client, peer string
	debug        string // address of profiles
	dir          string
	args         []string

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{} // closed when cmd has ended
}

// newFleet reserves addresses for n nodes below dir. Nothing runs yet.
func newFleet(dir string, n int, profile string) (*fleet, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	f := &fleet{dir: dir, program: program, profile: profile}
	addrs, err := freeAddrs(3 * n)
	if err != nil {
		return nil, err
	}
	peers := strings.Join(addrs[n:2*n], ",")
	for i := range n {
		p := &process{name: fmt.Sprintf("n%d", i+1), client: addrs[i], peer: addrs[n+i], debug: addrs[2*n+i], dir: filepath.Join(dir, fmt.Sprintf("n%d", i+1))}
		p.args = []string{"server", "--data", p.dir, "--listen", p.client, "--peer-listen", p.peer, "--expect", fmt.Sprint(n),
			"--join", peers, "--profile", profile, "--gossip=false", "--log-level", "warn", "--debug-listen", p.debug}
		f.nodes = append(f.nodes, p)
	}
	return f, nil
}

// freeAddrs asks the system for loopback ports that are free now.
func freeAddrs(n int) ([]string, error) {
	var out []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		out = append(out, l.Addr().String())
	}
	return out, nil
}

// addresses lists the client addresses of all nodes.
func (f *fleet) addresses() []string {
	var out []string
	for _, p := range f.nodes {
		out = append(out, p.client)
	}
	return out
}

// start starts every node and waits until all are ready.
func (f *fleet) start(ctx context.Context) error {
	for _, p := range f.nodes {
		if err := p.start(f.program); err != nil {
			return err
		}
	}
	for _, p := range f.nodes {
		if err := p.ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

// stop asks every node to end, and kills those that do not.
func (f *fleet) stop() {
	var wg sync.WaitGroup
	for _, p := range f.nodes {
		wg.Go(func() { p.stop(stopWithin) })
	}
	wg.Wait()
}

// stopWithin is how long a process may take to end before it is killed.
const stopWithin = 10 * time.Second

func (p *process) start(program string) error {
	log, err := os.OpenFile(p.dir+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(program, p.args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // ^C is for the parent alone
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(done)
	}()
	p.mu.Lock()
	p.cmd, p.done = cmd, done
	p.mu.Unlock()
	return nil
}

// kill ends the process with SIGKILL, as a power cut would, and waits until it is gone.
// It reports whether that is what ended it.
func (p *process) kill() bool {
	p.mu.Lock()
	cmd, done := p.cmd, p.done
	p.mu.Unlock()
	if cmd == nil {
		return false
	}
	_ = cmd.Process.Kill() // an error says that it has ended
	<-done
	how, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && how.Signaled() && how.Signal() == syscall.SIGKILL
}

// stop asks the process to end, kills it when it does not, and gives its exit code, -1
// when it was killed or never ran.
func (p *process) stop(within time.Duration) int {
	p.mu.Lock()
	cmd, done := p.cmd, p.done
	p.mu.Unlock()
	if cmd == nil {
		return -1
	}
	_ = cmd.Process.Signal(syscall.SIGTERM) // an error says that it has ended
	select {
	case <-done:
	case <-time.After(within):
		p.kill()
	}
	return cmd.ProcessState.ExitCode()
}

// ready waits until the node serves, or says from its log why it does not.
func (p *process) ready(ctx context.Context) error {
	p.mu.Lock()
	done := p.done
	p.mu.Unlock()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if isReady(ctx, p.client) {
			return nil
		}
		select {
		case <-done:
			return fmt.Errorf("%s ended: %s", p.name, p.lastLog())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w: %s", p.name, ctx.Err(), p.lastLog())
		case <-tick.C:
		}
	}
}

func isReady(ctx context.Context, addr string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/readyz", nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body) // so that the connection is used again
	return res.StatusCode == http.StatusOK
}

// maxLogTail bounds what is shown of a log.
const maxLogTail = 2000

func (p *process) lastLog() string {
	b, err := os.ReadFile(p.dir + ".log")
	if err != nil {
		return err.Error()
	}
	if len(b) > maxLogTail {
		b = b[len(b)-maxLogTail:]
	}
	return strings.TrimSpace(string(b))
}

// errNoLeader says that no node of a fleet knew who leads.
var errNoLeader = errors.New("no node knows who leads")
