package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// snapshotLook is how often it is looked whether a snapshot is due.
	snapshotLook = 5 * time.Second
	// snapshotAge is the age at which a small log is worth a snapshot, if it has
	// snapshotEntries at least.
	snapshotAge     = time.Hour
	snapshotEntries = 1_000
	// snapshotRetryMin and snapshotRetryMax bound the wait after one that failed.
	snapshotRetryMin = 10 * time.Second
	snapshotRetryMax = 5 * time.Minute
)

// Snapshots decides when State is written to a file, so that the log can be cut.
type Snapshots struct {
	raft    *raft.Raft
	store   raft.SnapshotStore
	replica *Replica
	cfg     Config
	share   float64 // by which this node waits longer, so that not all write at once
	log     *slog.Logger
}

// Run takes snapshots when they are due, until ctx ends.
func (s *Snapshots) Run(ctx context.Context) error {
	tick := time.NewTicker(snapshotLook)
	defer tick.Stop()
	last, pause := time.Now(), snapshotRetryMin
	var notBefore time.Time
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		now := time.Now()
		if now.Before(notBefore) || !s.due(now.Sub(last)) {
			continue
		}
		switch err := s.Take(ctx); {
		case err == nil:
			last, pause = now, snapshotRetryMin
		case ctx.Err() == nil:
			s.log.Warn("no snapshot", "err", err, "again", pause)
			notBefore = now.Add(pause)
			pause = min(2*pause, snapshotRetryMax)
		}
	}
}

func (s *Snapshots) due(age time.Duration) bool {
	var size int64
	if list, err := s.store.List(); err == nil && len(list) > 0 {
		size = list[0].Size
	}
	limit := min(max(s.cfg.SnapshotMin, size/2), s.cfg.SnapshotMax)
	limit += int64(float64(limit) * s.share)
	if s.replica.sinceSnap.Load() >= limit {
		return true
	}
	return age >= snapshotAge && s.replica.entries.Load() >= snapshotEntries
}

// Take takes a snapshot now. A log without anything new needs none.
func (s *Snapshots) Take(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- s.raft.Snapshot().Error() }() // ends with raft's snapshot, or with raft
	select {
	case err := <-done:
		if err != nil && !errors.Is(err, raft.ErrNothingNewToSnapshot) {
			return fmt.Errorf("take snapshot: %w", err)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
