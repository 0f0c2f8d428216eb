package sdktest

import (
	"log/slog"
	"strings"
	"sync"
)

// maxLines bounds the log lines kept: the last elections and what led to them.
const maxLines = 200

// journal keeps the last log lines of all nodes, to be shown when the test fails.
type journal struct {
	mu    sync.Mutex
	lines []string // a ring once it is full
	next  int
}

func (j *journal) logger(who string) *slog.Logger {
	return slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{Level: slog.LevelInfo})).With("who", who)
}

// Write keeps one line.
func (j *journal) Write(line []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.lines) < maxLines {
		j.lines = append(j.lines, string(line))
	} else {
		j.lines[j.next] = string(line)
		j.next = (j.next + 1) % maxLines
	}
	return len(line), nil
}

func (j *journal) text() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(j.lines[j.next:], "") + strings.Join(j.lines[:j.next], "")
}
