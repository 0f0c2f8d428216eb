package cluster

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

func TestThreeNodesProposeReadAndFailOver(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := newCluster(t, 3)
		defer c.stopAll()
		l := c.leader()
		for i, n := range c.nodes {
			name := fmt.Sprint("type", i)
			c.mustPropose(n, name)
			for _, o := range c.nodes {
				v, err := read(o, 5*time.Second)
				if err != nil || !has(v, name) {
					t.Fatalf("read on %s: %v, found %v", o.name, err, err == nil && has(v, name))
				}
			}
		}
		l.stop()
		for i, n := range c.others(l) {
			c.mustPropose(n, fmt.Sprint("after", i))
		}
		l.restart()
		c.agree()
	})
}

// A follower answers as soon as it has applied a command. The leader's own machine may
// be behind then, and a read there must wait for it.
func TestReadWaitsForWhatAFollowerHasAnswered(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := newCluster(t, 3)
		defer c.stopAll()
		l := c.leader()
		slow := make(chan struct{})
		l.host.mu.Lock()
		l.host.offers, l.host.slow = []fsm.Offer{{Queue: "q", Slot: fsm.Slot{Node: l.p.Node, Boot: l.p.Boot, N: 1}}}, slow
		l.host.mu.Unlock()
		c.mustPropose(l, "before")
		c.mustPropose(c.others(l)[0], "after")
		go func() {
			time.Sleep(time.Second)
			close(slow)
		}()
		for _, n := range c.nodes {
			if v, err := read(n, 5*time.Second); err != nil || !has(v, "after") {
				t.Errorf("read on %s: %v, found %v", n.name, err, err == nil && has(v, "after"))
			}
		}
	})
}

func TestOneNodeFoundsItsClusterAndRestarts(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := newCluster(t, 1)
		defer c.stopAll()
		n := c.leader()
		c.mustPropose(n, "a")
		n.stop()
		n.restart()
		c.leader()
		v, err := n.p.Reads.Linearizable(context.Background())
		if err != nil || !has(v, "a") {
			t.Fatalf("after the restart: %v", err)
		}
	})
}
