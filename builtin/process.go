package builtin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

const (
	// startWithin bounds the start of a child, on a machine that has much else to do.
	startWithin = 20 * time.Second
	// killAfter is what a parent waits beyond the limit, and beyond the child's own
	// grace, before it kills it.
	killAfter = 2 * grace
	// maxLastWords bounds what is kept of a child's standard error.
	maxLastWords = 2 << 10
)

// process is one child. One goroutine at a time asks it.
type process struct {
	cmd  *exec.Cmd
	in   *os.File // to the child
	out  *os.File // from the child
	last *lastWords
	dead chan struct{} // closed when the process has ended
}

// start makes a child and waits for its first word.
func start(command []string) (*process, error) {
	p := &process{cmd: exec.Command(command[0], command[1:]...), last: &lastWords{}, dead: make(chan struct{})}
	childIn, in, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start a child: %w", err)
	}
	out, childOut, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start a child: %w", errors.Join(err, childIn.Close(), in.Close()))
	}
	p.in, p.out = in, out
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = childIn, childOut, p.last
	p.cmd.Env = []string{} // not nil, which would be all of ours
	p.cmd.WaitDelay = time.Second
	err = p.cmd.Start()
	_, _ = childIn.Close(), childOut.Close() // the child has its own
	if err != nil {
		return nil, fmt.Errorf("start a child: %w", errors.Join(err, in.Close(), out.Close()))
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is in ProcessState
		close(p.dead)
	}()
	late := time.AfterFunc(startWithin, p.kill)
	defer late.Stop()
	var word string
	if err := readFrame(p.out, &word); err != nil || word != hello {
		p.end()
		return nil, fmt.Errorf("start a child: %s does not serve as one (%s)", command[0], p.how())
	}
	return p, nil
}

func (p *process) kill() { _ = p.cmd.Process.Kill() } // fails only when it has ended

func (p *process) alive() bool {
	select {
	case <-p.dead:
		return false
	default:
		return true
	}
}

// end kills the child and waits for its end.
func (p *process) end() {
	p.kill()
	<-p.dead
	_, _ = p.in.Close(), p.out.Close()
}

// ask gives a request, encoded, to the child. Without an answer the child has ended: by itself,
// which is an outcome, by its deadline, which is one too, or by somebody else or ctx,
// which is an error.
func (p *process) ask(ctx context.Context, frame []byte, limit time.Duration) (Outcome, error) {
	var overran atomic.Bool
	late := time.AfterFunc(limit+grace+killAfter, func() {
		overran.Store(true)
		p.kill()
	})
	defer late.Stop()
	stop := context.AfterFunc(ctx, p.kill)
	defer stop()
	var o Outcome
	_, sent := p.in.Write(frame)
	err := sent
	if err == nil {
		if err = readFrame(p.out, &o); err == nil {
			return o, nil
		}
	}
	p.end()
	switch code := p.cmd.ProcessState.ExitCode(); {
	case overran.Load() || code == exitOverrun:
		return timedOut(limit), nil
	case ctx.Err() != nil:
		return Outcome{}, ctx.Err()
	case sent != nil || code < 0:
		return Outcome{}, fmt.Errorf("a child has ended: %s: %w", p.how(), err)
	}
	return failed(fsm.JobDied, p.cause()), nil
}

// cause words the end of a child that ended by itself.
func (p *process) cause() string {
	words := p.last.text()
	switch {
	case p.cmd.ProcessState.ExitCode() == exitMemory,
		strings.Contains(words, "out of memory"), strings.Contains(words, "cannot allocate memory"):
		return fmt.Sprintf("out of memory: a script may take %d MiB", maxMemory>>20)
	case strings.Contains(words, "stack exceeds"):
		return "out of stack: the source or a value is nested too deeply"
	}
	return "the evaluating process has ended: " + p.how()
}

// how says how the process ended, and the first of its last words.
func (p *process) how() string {
	first, _, _ := strings.Cut(p.last.text(), "\n")
	if first == "" {
		return p.cmd.ProcessState.String()
	}
	return p.cmd.ProcessState.String() + ", " + first
}

// lastWords keeps the beginning of what is written to it: Go says first why it ends.
type lastWords struct {
	mu   sync.Mutex
	kept []byte
}

var _ io.Writer = (*lastWords)(nil)

// Write never fails.
func (l *lastWords) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = append(l.kept, b[:min(len(b), maxLastWords-len(l.kept))]...)
	return len(b), nil
}

func (l *lastWords) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.kept)
}
