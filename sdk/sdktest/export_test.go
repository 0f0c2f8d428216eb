package sdktest

// Lost is how many answers were lost.
func (c *Cluster) Lost() int {
	c.losses.mu.Lock()
	defer c.losses.mu.Unlock()
	return c.losses.lost
}

// Running is how many nodes run.
func (c *Cluster) Running() (n int) {
	for _, x := range c.nodes {
		x.mu.Lock()
		if x.run != nil {
			n++
		}
		x.mu.Unlock()
	}
	return n
}
