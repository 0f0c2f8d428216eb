package cluster

import (
	"bytes"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/pawlhq/pawl/fsm"
)

// A follower that knows its leader's process to be gone looks for a new one before its
// timeout, and goes back to the usual timeout afterwards.
func TestLooksAtOnceWhenTheLeaderIsGone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := newCluster(t, 3, func(_ int, n *node) {
			n.cfg.Timing = Timing{Heartbeat: 5 * time.Second, Election: 5 * time.Second, Lease: 2 * time.Second, Commit: 50 * time.Millisecond}
		})
		defer c.stopAll()
		lead := c.leader()
		var other *node
		for _, n := range c.nodes {
			if n != lead {
				other = n
			}
		}
		c.until(10*time.Second, "the other node follows", func() bool { // a majority may do without it
			_, id := other.p.Raft.LeaderWithID()
			return id == raft.ServerID(lead.p.Node.String()) && other.p.Raft.State() == raft.Follower
		})
		heartbeat := func() time.Duration { return other.p.Raft.ReloadableConfig().HeartbeatTimeout }
		other.p.quick.dead(other.p.Node) // not the leader: nothing to look for
		if got := heartbeat(); got != 5*time.Second {
			t.Fatalf("looks sooner without a reason: %s", got)
		}
		other.p.quick.dead(lead.p.Node)
		if got := heartbeat(); got != 2*time.Second {
			t.Fatalf("timeout after the leader died is %s, want that of the lease", got)
		}
		time.Sleep(quickFor + time.Second)
		if got := heartbeat(); got != 5*time.Second {
			t.Fatalf("timeout afterwards is %s, want the usual one", got)
		}
		if _, id := other.p.Raft.LeaderWithID(); id != raft.ServerID(lead.p.Node.String()) {
			t.Fatal("a leader that lives was replaced")
		}
	})
}

func TestOneFounderLooksFirst(t *testing.T) {
	members := []Member{{ID: fsm.NodeID{2}}, {ID: fsm.NodeID{9}}, {ID: fsm.NodeID{5}}}
	first := 0
	for _, m := range members {
		if highest(m.ID, members) {
			first++
			if !bytes.Equal(m.ID[:1], []byte{9}) {
				t.Fatalf("%s looks first", m.ID)
			}
		}
	}
	if first != 1 {
		t.Fatalf("%d nodes look first", first)
	}
}
