package sdktest

// Lost is how many answers were lost.
func (c *Cluster) Lost() int {
	c.losses.mu.Lock()
	defer c.losses.mu.Unlock()
	return c.losses.lost
}
