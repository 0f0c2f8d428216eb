package def

import "slices"

// maxLook bounds how many steps are looked at for one list of hints, so that
// compiling stays linear in the size of a definition.
const maxLook = 64

// reach fills in which task types can become ready when a step finishes, and
// when an execution starts.
func (c *compiler) reach() {
	nodes := c.plan.Nodes
	for i := range nodes {
		w := walker{nodes: nodes}
		w.after(int32(i))
		nodes[i].Reach = w.run()
	}
	w := walker{nodes: nodes}
	w.at(c.plan.First)
	for _, n := range c.plan.Members {
		w.at(n)
	}
	c.plan.Reach = w.run()
}

// walker goes on from step to step as long as they finish by themselves.
type walker struct {
	nodes []Node
	queue []int32  // steps met, in order
	asked []string // queues of the server's own work that is met between steps
}

// ask meets work of the server itself, after which the flow goes on another time.
func (w *walker) ask(queue string) {
	if !slices.Contains(w.asked, queue) {
		w.asked = append(w.asked, queue)
	}
}

// at meets the node n, if it is one.
func (w *walker) at(n int32) {
	if n >= 0 && len(w.queue) < maxLook && !slices.Contains(w.queue, n) {
		w.queue = append(w.queue, n)
	}
}

// after meets what can follow when step n has finished.
func (w *walker) after(n int32) {
	node := &w.nodes[n]
	switch node.Kind {
	case Switch:
		for _, head := range node.Heads {
			w.at(head)
		}
		w.next(node) // a list may be empty, and none may be taken
	case DoWhile:
		if node.Asks() { // what follows the answer to its condition
			w.at(node.Heads[0])
		}
		w.next(node)
	case Fork:
		for _, head := range node.Heads {
			w.at(head)
		}
		if node.JoinOf >= 0 && len(w.nodes[node.JoinOf].JoinOn) == 0 {
			w.at(node.JoinOf)
		}
	case DynamicFork, Terminate: // what a fork makes is not known before
		return // nothing follows the end
	default:
		w.next(node)
	}
	for _, join := range node.Joiners {
		w.at(join)
	}
}

// next meets the node that follows, looking over the end of a loop's body.
func (w *walker) next(node *Node) {
	for node.Next == EndIteration {
		loop := &w.nodes[node.Loop]
		if loop.Asks() {
			w.ask(ScriptQueue)
			return
		}
		w.at(loop.Heads[0])
		for _, join := range loop.Joiners {
			w.at(join)
		}
		node = loop
	}
	w.at(node.Next)
}

// run returns the queues of the steps that are met and done by workers or by the
// server's own, up to MaxReach.
func (w *walker) run() []string {
	var types []string
	add := func(queue string) {
		if len(types) < MaxReach && !slices.Contains(types, queue) {
			types = append(types, queue)
		}
	}
	for i := 0; i < len(w.queue) && len(types) < MaxReach; i++ {
		n := w.queue[i]
		node := &w.nodes[n]
		if queue := node.asks(); queue != "" {
			add(queue)
			if node.Kind != Inline && node.Kind != Lambda { // those may be done here
				continue
			}
		}
		switch node.Kind {
		case Worker, Call:
			add(node.Queue())
		case Switch, Fork, Join, Noop, SetVariable, Inline, Lambda, ExclusiveJoin, StartWorkflow, GetWorkflow, TerminateWorkflow, UpdateTask:
			w.after(n)
		case DoWhile:
			w.at(w.nodes[n].Heads[0])
			if w.nodes[n].Items != nil { // there may be none
				w.after(n)
			}
		}
	}
	for _, queue := range w.asked {
		add(queue)
	}
	return types
}

// asks returns the queue of the server's own work that a step may begin with.
func (n *Node) asks() string {
	switch n.Kind {
	case Inline, Lambda:
		return ScriptQueue
	case Switch, Join:
		if n.Asks() {
			return ScriptQueue
		}
	case Jq:
		return JqQueue
	case Wait:
		if n.Zone {
			return TimeQueue
		}
	}
	return ""
}
