package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/hashicorp/raft"

	"github.com/pawlhq/pawl/cluster/disk"
	"github.com/pawlhq/pawl/cluster/guard"
	"github.com/pawlhq/pawl/cluster/snap"
	"github.com/pawlhq/pawl/cluster/stable"
	"github.com/pawlhq/pawl/cluster/wal"
	"github.com/pawlhq/pawl/fsm"
)

// stores are the durable parts of a node.
type stores struct {
	log    *wal.Log
	stable *stable.Store
	snaps  *snap.Store
}

// openStores opens what is stored and makes one consistent state of it: the newest
// snapshot that loads, and a log that goes on from it.
func openStores(cfg Config, id Identity, g *guard.Guard, deps Deps) (s stores, state *fsm.State, at raft.SnapshotMeta, err error) {
	if cfg.Dir != "" {
		if err = cfg.FS.MkdirAll("raft", disk.FolderPerm); err != nil {
			return s, nil, at, err
		}
		s.stable, err = stable.OpenBolt(cfg.Dir+"/raft/stable.db", g, deps.Exit)
	} else {
		s.stable, err = stable.OpenFS(cfg.FS, "raft/stable", g, deps.Exit)
	}
	if err != nil {
		return s, nil, at, err
	}
	s.snaps, err = snap.Open(cfg.FS, snap.Options{
		ClusterID: id.Cluster, Genesis: id.Genesis, Incarnation: uint64(id.Incarnation),
		BytesPerSecond: cfg.SnapshotRate, Log: deps.Log,
	}, g)
	if err != nil {
		return s, nil, at, err
	}
	state, at, err = loadNewest(s.snaps, id.Incarnation, deps.Log)
	if err != nil {
		return s, nil, at, err
	}
	var report wal.Report
	s.log, report, err = wal.Open(cfg.FS, wal.Options{
		ClusterID: id.Cluster, NodeID: id.Node, SegmentBytes: cfg.WALSegment, CacheBytes: cfg.WALCache,
		KeepBytes: cfg.WALKeep, SnapshotIndex: at.Index,
	}, g)
	if err != nil {
		return s, nil, at, err
	}
	deps.Log.Info("log opened", "first", report.First, "last", report.Last, "clean", report.CleanStop, "torn", report.Torn, "snapshot", at.Index)
	return s, state, at, fit(s.log, at)
}

// loadNewest loads the newest snapshot, an older one if that is damaged.
func loadNewest(snaps *snap.Store, incarnation uint8, log *slog.Logger) (*fsm.State, raft.SnapshotMeta, error) {
	for {
		list, err := snaps.List()
		if err != nil {
			return nil, raft.SnapshotMeta{}, err
		}
		if len(list) == 0 {
			return fsm.New(incarnation), raft.SnapshotMeta{}, nil // fit finds out whether the log reaches back far enough
		}
		begun := time.Now()
		_, rc, err := snaps.Open(list[0].ID)
		if err != nil {
			return nil, raft.SnapshotMeta{}, err
		}
		state, _, err := readState(rc)
		rc.Close()
		if err == nil {
			log.Info("snapshot loaded", "index", list[0].Index, "took", time.Since(begun))
			return state, *list[0], nil
		}
		if again, listErr := snaps.List(); listErr != nil || len(again) > 0 && again[0].ID == list[0].ID {
			return nil, raft.SnapshotMeta{}, fmt.Errorf("load snapshot %s: %w", list[0].ID, &guard.Damaged{File: "raft/snap/" + list[0].ID + ".snap", Offset: -1, What: err.Error()})
		}
		log.Warn("snapshot given up", "id", list[0].ID, "err", err)
	}
}

// fit makes the log go on from the snapshot. A crash while a snapshot of another node
// was installed leaves a log that ends before it, or is of another branch: nothing of
// that was ever committed behind the snapshot.
func fit(log *wal.Log, at raft.SnapshotMeta) error {
	first, err := log.FirstIndex()
	if err != nil {
		return err
	}
	last, err := log.LastIndex()
	if err != nil {
		return err
	}
	if last != 0 && first > at.Index+1 {
		return &guard.Damaged{File: "raft/wal", Offset: -1, What: fmt.Sprintf("it begins at %d, but the newest good snapshot is of %d", first, at.Index)}
	}
	if at.Index == 0 {
		return nil
	}
	conflict := last < at.Index
	if !conflict && first <= at.Index {
		var l raft.Log
		if err := log.GetLog(at.Index, &l); err != nil {
			return err
		}
		conflict = l.Term != at.Term
	}
	if conflict {
		return log.Reset(at.Index + 1)
	}
	return nil
}

// tap is the log store as raft sees it: it tells the Proposer where its entries go.
type tap struct {
	*wal.Log
	self   fsm.NodeID
	boot   uint32
	stored func(seq, index, term uint64)
}

var (
	_ raft.LogStore          = (*tap)(nil)
	_ raft.MonotonicLogStore = (*tap)(nil)
)

// StoreLog stores one entry.
func (t *tap) StoreLog(l *raft.Log) error { return t.StoreLogs([]*raft.Log{l}) }

// StoreLogs stores entries. Those of this start of this node are told of before, since
// after an error they may be in the log nevertheless.
func (t *tap) StoreLogs(logs []*raft.Log) error {
	for _, l := range logs {
		if l.Type != raft.LogCommand {
			continue
		}
		if n, ok := readNonce(l.Data); ok && n.Node == t.self && n.Boot == t.boot {
			t.stored(n.Seq, l.Index, l.Term)
		}
	}
	return t.Log.StoreLogs(logs)
}

// gate holds back appends while what is committed but not applied would fill memory.
type gate struct {
	raft    func() consensus
	replica *Replica
}

const (
	// backlogBytes is what may be committed and not applied.
	backlogBytes = 64 << 20
	// backlogLook is how often a gate that is shut is tried again.
	backlogLook = 5 * time.Millisecond
)

// Wait returns once there is room, or ctx ends.
func (g *gate) Wait(ctx context.Context) error {
	for {
		r := g.raft()
		if r == nil {
			return nil
		}
		commit, applied := r.CommitIndex(), g.replica.Applied()
		if commit <= applied || int64(commit-applied)*max(1, g.replica.meanBytes.Load()) <= backlogBytes {
			return nil
		}
		timer := time.NewTimer(backlogLook)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}
