package cluster

import (
	"context"
	"io"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// raftLog gives raft a logger that writes to ours.
func raftLog(log *slog.Logger) hclog.Logger {
	l := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: "raft", Output: io.Discard, Level: hclog.Off})
	l.RegisterSink(sink{log})
	return l
}

// sink takes what raft logs. What raft calls an error heals by itself, or ends the node
// elsewhere; so it is a warning here.
type sink struct{ log *slog.Logger }

// Accept logs one line.
func (s sink) Accept(_ string, level hclog.Level, msg string, args ...any) {
	to := slog.LevelDebug
	if level >= hclog.Warn {
		to = slog.LevelWarn
	}
	if s.log.Enabled(context.Background(), to) {
		s.log.Log(context.Background(), to, msg, args...)
	}
}
