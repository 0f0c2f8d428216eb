package sdktest

import (
	"fmt"

	"github.com/pawlhq/pawl/cmd/pawl/server"
)

// Leader gives the number of the node that leads, and waits for one to be elected.
func (c *Cluster) Leader() int {
	c.t.Helper()
	leader := -1
	if !await(func() bool { leader = c.leader(); return leader >= 0 }) {
		c.t.Fatal("sdktest: no node leads")
	}
	return leader
}

func (c *Cluster) leader() int {
	for i := range c.nodes {
		if s := c.server(i); s != nil && s.Leads() {
			return i
		}
	}
	return -1
}

// server gives the server of node i, nil while it is down.
func (c *Cluster) server(i int) *server.Node {
	n := c.nodes[i]
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.run == nil {
		return nil
	}
	return n.run.server
}

// Kill ends a node without a word to its clients: their connections break where they
// are, and what was on its way in either direction is lost. What the node has stored
// stays for Restart. It returns when the node has ended; a node that is down stays so.
//
// It is a crash to the other nodes too: they lose their links to it and elect another
// leader, as they would if its process had been killed.
func (c *Cluster) Kill(node int) {
	c.t.Helper()
	n := c.place(node)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.run == nil {
		return
	}
	c.wire.down(n.cfg.Listen)
	if n.run.server != nil {
		n.run.server.Kill()
		<-n.run.ended
	}
	if err := n.run.end(); err != nil {
		c.t.Errorf("sdktest: node %d: %v", node, err)
	}
	n.run = nil
}

// Restart starts a node that was killed, from what it has stored, at its old addresses.
// It returns when the node has caught up with what the others had applied by then.
func (c *Cluster) Restart(node int) {
	c.t.Helper()
	n := c.place(node)
	wanted := c.newest().index
	n.mu.Lock()
	if n.run != nil {
		n.mu.Unlock()
		c.t.Errorf("sdktest: node %d is not down", node)
		return
	}
	r := c.launch(node)
	err := r.await()
	if err == nil {
		n.run = r
		c.wire.up(n.cfg.Listen)
	}
	n.mu.Unlock()
	if err == nil && !await(func() bool { return lookAt(r.server).index >= wanted }) {
		err = fmt.Errorf("has not caught up with entry %d", wanted)
	}
	if err != nil {
		c.t.Errorf("sdktest: restart node %d: %v", node, err)
	}
}

func (c *Cluster) place(node int) *node {
	c.t.Helper()
	if node < 0 || node >= len(c.nodes) {
		c.t.Fatalf("sdktest: no node %d in a cluster of %d", node, len(c.nodes))
	}
	return c.nodes[node]
}
