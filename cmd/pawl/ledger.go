package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// note is one line of a ledger: what a client saw, written before it goes on.
type note struct {
	At        int64  `json:"at"`   // Unix milliseconds
	Kind      string `json:"kind"` // run, done, failed, stale
	Task      string `json:"task,omitempty"`
	Execution string `json:"execution,omitempty"`
	Type      string `json:"type,omitempty"`
	Lease     uint64 `json:"lease,omitempty"`
	PID       int    `json:"pid,omitempty"`
}

// The kinds of note.
const (
	noteRun    = "run"    // a handler begins
	noteDone   = "done"   // the server acknowledged a completion
	noteFailed = "failed" // the server acknowledged a failure
	noteStale  = "stale"  // the server refused a report as stale
)

// ledger is a file that only grows. Several processes may write to it one after
// another; a line is written whole or not at all.
type ledger struct {
	mu   sync.Mutex
	file *os.File
}

func openLedger(path string) (*ledger, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &ledger{file: f}, nil
}

func (l *ledger) write(n note) error {
	n.At, n.PID = time.Now().UnixMilli(), os.Getpid()
	line, err := json.Marshal(n)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err = l.file.Write(append(line, '\n'))
	return err
}

func (l *ledger) close() error { return l.file.Close() }

// readLedger reads all whole lines; a process that was killed may leave half of one.
func readLedger(path string) ([]note, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []note
	in := bufio.NewReader(f)
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		var n note
		if err := json.Unmarshal(line, &n); err != nil {
			return nil, fmt.Errorf("ledger %s: %w", path, err)
		}
		out = append(out, n)
	}
}
