package fsm

import "github.com/pawlhq/pawl/fsm/def"

// Explain says what a task waits for, most telling reason first. A task that is not
// known has no reason.
func (v View) Explain(id TaskID) []Reason {
	if v.s == nil {
		return nil
	}
	t, ok := v.s.findTask(id)
	if !ok {
		return nil
	}
	e := v.s.execOf(t)
	var out []Reason
	if st := effective(e, t); st.Terminal() {
		return []Reason{{Kind: "ended", Text: join("the task is ", st.String())}}
	}
	if e.status == Paused {
		out = append(out, Reason{Kind: "paused", Text: join("execution ", e.id.String(), " is paused")})
	}
	switch {
	case t.job != jobNone:
		return append(out, v.explainJob(t)...)
	case t.place == placeReady:
		out = append(out, v.explainReady(t)...)
	case t.place == placeDelayed:
		out = append(out, Reason{Kind: "delayed", Text: join("it becomes ready in ", itoa(int64(t.ready-v.s.now)), " ms")})
	case t.place == placeLeased:
		out = append(out, Reason{Kind: "leased", Text: join("worker ", t.worker, " holds lease ", t.lease.String(), " on node ", t.holder.Node.String())})
	case t.place == placeParked:
		out = append(out, v.explainParked(e))
	case t.place == placeWaiting:
		out = append(out, v.explainWaiting(e, t))
	}
	return out
}

// explainJob says what keeps work of the server itself.
func (v View) explainJob(t *task) []Reason {
	what := "a script worker"
	switch t.job {
	case jobJq:
		what = "a jq worker"
	case jobTime:
		what = "a worker that knows time zones"
	}
	if t.place == placeLeased {
		return []Reason{{Kind: "job", Text: join(what, " of node ", t.holder.Node.String(), " is at it, try ", itoa(int64(t.grants)))}}
	}
	return append([]Reason{{Kind: "job", Text: join("it waits for ", what)}}, v.explainReady(t)...)
}

func (v View) explainReady(t *task) []Reason {
	q, _ := v.s.queues.get(t.queue)
	if q.paused {
		return []Reason{{Kind: "paused", Text: join("queue ", string(q.name), " is paused")}}
	}
	var out []Reason
	name := v.s.limitOf(t, q)
	if free, next := v.s.rateFree(name); free == 0 {
		out = append(out, Reason{Kind: "rate", Text: join("task type ", name, " has had its leases of this window; the next is given in ", itoa(int64(next-v.s.now)), " ms")})
	} else if p := v.s.permits(name); p.Free == 0 {
		out = append(out, Reason{Kind: "limit", Text: join("task type ", name, " has reached its concurrency limit")})
	}
	ahead := v.s.ready.tree.Rank(t.readyKey()) - v.s.ready.tree.Rank(readyKey{queue: t.queue, lane: t.lane, rank: -1 << 63})
	if ahead > 0 {
		out = append(out, Reason{Kind: "behind", Text: join(itoa(int64(ahead)), " tasks are ahead of it in queue ", string(q.name))})
	}
	if len(out) == 0 {
		out = append(out, Reason{Kind: "no_worker", Text: join("no worker has a free slot for queue ", string(q.name))})
	}
	return out
}

func (v View) explainWaiting(e *execution, t *task) Reason {
	n := v.s.nodeOf(e, t.node)
	switch n.Kind {
	case def.SubWorkflow:
		return Reason{Kind: "child", Text: join("it waits for execution ", t.child.String())}
	case def.Human:
		return Reason{Kind: "update", Text: "it waits for an update from outside"}
	case def.Call:
		return Reason{Kind: "update", Text: "its call is made; it waits for an update from outside"}
	case def.StartWorkflow:
		return Reason{Kind: "agenda", Text: "its execution is about to start"}
	case def.ExclusiveJoin:
		return Reason{Kind: "members", Text: v.explainExclusive(e, t, n)}
	case def.Join:
		if t.join.pending == 0 && n.Source != "" {
			return Reason{Kind: "members", Text: "its expression told it to wait on, and no member is left that could change"}
		}
		return Reason{Kind: "members", Text: join("it waits for ", v.missingMembers(e, t, n))}
	case def.DoWhile:
		return Reason{Kind: "members", Text: join("iteration ", itoa(int64(t.loops.cur)), " is under way, with ", itoa(int64(t.loops.open)), " open tasks")}
	case def.Wait:
		if t.ready != 0 {
			return Reason{Kind: "timer", Text: join("its time comes in ", itoa(int64(t.ready-v.s.now)), " ms; a signal ends it sooner")}
		}
	}
	return Reason{Kind: "signal", Text: "it waits for a signal or an update"}
}

// maxNamed bounds the members that an explanation names.
const maxNamed = 10

// missingForked is missingMembers for the JOIN of a dynamic fork.
func (v View) missingForked(e *execution, t *task) string {
	text, named := "", 0
	m := v.s.membersOf(e, t.fork)
	for i := range m.Len() {
		if x, ok := v.s.recordOf(e, m.Ref(i), t.loop, t.iteration); ok && x.settled {
			continue
		}
		if named++; named > maxNamed {
			return join(text, " and more, ", itoa(int64(t.join.pending)), " in all")
		}
		if text != "" {
			text = join(text, ", ")
		}
		text = join(text, m.Ref(i))
	}
	return text
}

func (v View) missingMembers(e *execution, t *task, n *def.Node) string {
	text, named := "", 0
	if t.fork != 0 {
		return v.missingForked(e, t)
	}
	for _, number := range n.JoinOn {
		ref := v.s.nodeOf(e, t.node.at(number)).Ref
		if m, ok := v.s.recordAt(e, t.node.at(number), t.loop, t.iteration); ok && m.settled {
			continue
		}
		if named++; named > maxNamed {
			return join(text, " and more")
		}
		if text != "" {
			text = join(text, ", ")
		}
		text = join(text, ref)
	}
	return text
}

func (v View) explainParked(e *execution) Reason {
	text, ahead := v.s.holders(e)
	if e.quotaState == quotaHolds {
		return Reason{Kind: "quota", Text: "the execution is about to begin: it has got its part of the quota of its definition"}
	}
	return Reason{Kind: "quota", Text: join("the execution waits for its part of the quota of its definition, with ",
		itoa(int64(ahead)), " before it; ", text, " hold one")}
}
