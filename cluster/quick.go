package cluster

import (
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/pawlhq/pawl/fsm"
)

// quickFor is how long a node looks sooner than usual for a new leader: some elections
// long.
const quickFor = 2 * time.Second

// quick makes a follower look for a new leader before its timeout, when it knows more
// than that the old one is silent. It stays safe: nobody votes while a majority hears
// a leader, and a leader that lives keeps the timer from running out.
type quick struct {
	raft   *raft.Raft
	timing Timing
	log    *slog.Logger

	mu    sync.Mutex
	back  *time.Timer // restores the usual timeout
	ended bool
}

// dead is told of a node whose machine answers that its process is gone.
func (q *quick) dead(id fsm.NodeID) {
	_, leader := q.raft.LeaderWithID()
	if string(leader) == id.String() && q.raft.State() == raft.Follower {
		q.look()
	}
}

// look lets the silence of a leader count as soon as its lease has run out.
func (q *quick) look() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended || !q.heartbeat(q.timing.Lease) {
		return
	}
	if q.back != nil {
		q.back.Stop()
	}
	q.back = time.AfterFunc(quickFor, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if !q.ended {
			q.heartbeat(q.timing.Heartbeat)
		}
	})
}

func (q *quick) heartbeat(d time.Duration) bool {
	c := q.raft.ReloadableConfig()
	c.HeartbeatTimeout = d
	if err := q.raft.ReloadConfig(c); err != nil {
		q.log.Warn("timeouts not changed", "err", err)
		return false
	}
	return true
}

func (q *quick) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	if q.back != nil {
		q.back.Stop()
	}
}
