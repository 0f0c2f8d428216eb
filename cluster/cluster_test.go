package cluster

import (
	"context"
	"fmt"
	"testing"
	"time"
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
