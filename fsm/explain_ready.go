package fsm

// job is said of a record that waits for work of the server itself.
func (x *explainer) job(t *task) {
	what := "a script worker"
	switch t.job {
	case jobJq:
		what = "a jq worker"
	case jobTime:
		what = "a worker that knows time zones"
	}
	r := Reason{Kind: WhyJob, Queue: t.job.queue(), Count: int(t.grants)}
	if t.place != placeLeased {
		r.Text = join("it waits for ", what)
		x.add(r)
		x.ready(t)
		return
	}
	r.Until = max(t.granted+jobLease, x.s.noExpiryBefore)
	r.Text = join(what, " of node ", t.holder.Node.String(), " is at it, try ", itoa(int64(t.grants)), " of ", itoa(maxTries),
		"; its time ends", x.in(r.Until))
	x.add(r)
	x.due(r.Until)
}

// ready is said of a task that may be leased: all that keeps it from it.
func (x *explainer) ready(t *task) {
	q, _ := x.s.queues.get(t.queue)
	if q.paused {
		x.add(Reason{Kind: WhyQueuePaused, Queue: q.name, Text: join("queue ", string(q.name), " is paused")})
	}
	own, others := x.ahead(q, t)
	blocked := x.limited(q, t, own)
	ahead := own + others
	if ahead > 0 {
		x.add(Reason{Kind: WhyBehind, Queue: q.name, Count: ahead, Text: join(plural(ahead, "task is", "tasks are"), " ahead of it in queue ",
			string(q.name), "; workers have ", plural(int(q.leased), "task", "tasks"), " of it")})
	}
	if ahead > 0 || blocked || q.paused {
		return
	}
	asked := ""
	if q.seen != 0 {
		asked = join("; a worker was last known to ask for it ", spanText(x.s.now-q.seen), " ago")
	}
	x.add(Reason{Kind: WhyNoWorker, Queue: q.name, Text: join("it is the next of queue ", string(q.name), " and waits for a worker with a free slot; workers have ",
		plural(int(q.leased), "task", "tasks"), " of the queue", asked)})
}

// limited says what limits of its type keep a task from being leased, with those of its
// type that are ahead of it.
func (x *explainer) limited(q *queue, t *task, ahead int) bool {
	name := x.s.limitOf(t, q)
	if name == "" {
		return false
	}
	most, _ := x.s.rateOf(name)
	rate, next := x.s.rateFree(name)
	all := x.s.permits(name).Free
	full := false
	if rate == 0 {
		x.add(Reason{Kind: WhyRate, Type: name, Until: next, Count: most, Text: join("task type ", name, " has had the ",
			plural(most, "lease", "leases"), " of this window; the next is given", x.in(next))})
	}
	if tt, ok := x.s.taskTypes.get(name); ok && tt.parsed.ConcurrentLimit > 0 {
		l, known := x.s.limits.get(name)
		full = known && l.inflight >= uint32(tt.parsed.ConcurrentLimit)
		if full {
			x.holders(name, int(tt.parsed.ConcurrentLimit))
		}
	}
	switch {
	case rate == 0 || full:
		return true
	case all >= 0 && ahead >= all:
		x.add(Reason{Kind: WhyLimit, Type: name, Count: all, Text: join("task type ", name, " may have ",
			plural(all, "further lease", "further leases"), ", and as many of it are ahead")})
		return true
	}
	return false
}

// maxLeaseScan bounds the leases that are looked at for those that hold a limit.
const maxLeaseScan = 4096

// holders is said of a type that has reached its concurrency limit: who holds it.
func (x *explainer) holders(name string, most int) {
	var list names
	r := Reason{Kind: WhyLimit, Type: name, Count: most}
	scanned := 0
	for k := range x.s.leases.tree.All() {
		if scanned++; scanned > maxLeaseScan || list.full() || !x.spend() {
			break
		}
		t, _ := x.s.tasks.get(k.task)
		if q, ok := x.s.queues.get(t.queue); !ok || x.s.limitOf(t, q) != name {
			continue
		}
		if list.add(join(k.task.String(), " at ", t.worker)) {
			r.Of = append(r.Of, k.task)
		}
	}
	r.Text = join("task type ", name, " has as many leases as it may, ", itoa(int64(most)))
	if list.text != "" {
		r.Text = join(r.Text, "; held by ", list.text)
	}
	x.add(r)
}

// maxAheadWalk bounds the tasks ahead in one lane that are looked at one by one; where
// there are more, those that would be passed over are counted too.
const maxAheadWalk = 256

// tally is how many tasks of one type are ahead of a task.
type tally struct {
	limit string // the type, empty for those that count against no limit
	n     int
}

// ahead counts the tasks that are leased before one: those of its own type, and others.
// Of types with a limit those count that may be leased now.
func (x *explainer) ahead(q *queue, t *task) (own, others int) {
	name := x.s.limitOf(t, q)
	lanes := []lane{{limit: name}}
	if q.shared {
		lanes = append([]lane{{}}, q.lanes...)
	}
	var list []tally
	for _, l := range lanes {
		list = x.before(list, q, l, t)
	}
	for _, c := range list {
		if c.limit == name {
			own += c.n
		} else if free := x.s.permits(c.limit).Free; free >= 0 {
			others += min(c.n, free)
		} else {
			others += c.n
		}
	}
	return own, others
}

// before adds up the tasks of a lane that come before one.
func (x *explainer) before(list []tally, q *queue, l lane, t *task) []tally {
	count := func(limit string, n int) {
		for i := range list {
			if list[i].limit == limit {
				list[i].n += n
				return
			}
		}
		list = append(list, tally{limit: limit, n: n})
	}
	from := readyKey{queue: q.id, lane: l.n, rank: -1 << 63}
	to := readyKey{queue: q.id, lane: l.n, rank: t.rank, task: t.id}
	tree := x.s.ready.tree
	n := tree.Rank(to) - tree.Rank(from)
	if n > maxAheadWalk {
		count(l.limit, n)
		return list
	}
	for k := range tree.From(from) {
		if n--; n < 0 || !x.spend() {
			break
		}
		if o, _ := x.s.tasks.get(k.task); !x.s.execOf(o).over(o) {
			count(x.s.limitOf(o, q), 1)
		}
	}
	return list
}
