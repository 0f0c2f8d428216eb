package fsm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestEveryOpenTaskHasATrueReason lets random commands loose and demands after each
// entry that every open task of every execution that has not ended says what it waits
// for, and that it is so: what a reason promises is tried on a copy of the machine.
// PAWL_RUNS is the number of histories, PAWL_SEED the seed of the first.
func TestEveryOpenTaskHasATrueReason(t *testing.T) {
	seed, runs := envInt(t, "PAWL_SEED", rand.Uint64()), envInt(t, "PAWL_RUNS", 3)
	met := map[string]int{}
	for i := range runs {
		explainedHistory(t, seed+i, met)
	}
	t.Logf("PAWL_SEED=%d PAWL_RUNS=%d: %v", seed, runs, met)
	if runs < 40 {
		return
	}
	for _, kind := range []string{WhyEnded, WhyClosing, WhyPaused, WhySweep, WhyAgenda, WhyDue, WhyHeld, WhyQuota, WhyDelayed,
		WhyBackoff, WhyCallback, WhyQueuePaused, WhyRate, WhyLimit, WhyBehind, WhyNoWorker, WhyLeased, WhyJob, WhyMembers,
		WhyIteration, WhyChild, WhyTimer, WhySignal, WhyUpdate} {
		if met[kind] == 0 {
			t.Errorf("%s was never said", kind)
		}
	}
}

func explainedHistory(t *testing.T, seed uint64, met map[string]int) {
	c := newChaos(t, seed, &coverage{done: map[string]int{}, refused: map[Code]int{}})
	defer func() {
		if v := recover(); v != nil || t.Failed() {
			t.Logf("PAWL_SEED=%d PAWL_RUNS=1, index %d", seed, c.index)
			if v != nil {
				panic(v)
			}
		}
	}()
	c.setUp()
	for range 60 + c.r.IntN(120) {
		c.step()
		p := prober{chaos: c, v: c.a.View(), met: met}
		p.probe()
	}
}

// prober holds what is said of a View to be true.
type prober struct {
	*chaos
	v   View
	met map[string]int
}

func (p *prober) probe() {
	for id, e := range p.a.executions.tree.All() {
		if e.gone {
			continue
		}
		whole, ok := p.v.ExplainExecution(id)
		if !ok || len(whole.Reasons) == 0 || len(whole.Reasons) > maxReasons || whole.More && len(whole.Reasons) < maxReasons/2 {
			p.t.Fatalf("index %d: execution %s is %s: %+v", p.index, id, e.status, whole)
		}
		if e.status.Terminal() {
			p.met[whole.Reasons[0].Kind]++
			p.check(whole.Reasons[len(whole.Reasons)-1])
			continue
		}
		for _, t := range p.list(id) {
			reasons := p.v.Explain(t.ID)
			own := slices.ContainsFunc(reasons, func(r Reason) bool { return r.Task == t.ID && r.Ref == t.Ref && r.Depth == 0 })
			if !own || !slices.ContainsFunc(whole.Reasons, func(r Reason) bool { return r.Task == t.ID }) {
				p.t.Fatalf("index %d: nothing is said of %s %s: %+v", p.index, t.ID, t.Ref, reasons)
			}
			for _, r := range reasons {
				p.check(r)
			}
		}
		for _, r := range whole.Reasons {
			p.met[r.Kind]++
			p.check(r)
		}
	}
}

// list is the open tasks of an execution.
func (p *prober) list(id ExecID) (out []TaskInfo) {
	for t := range p.v.Tasks(id, 1) {
		if !t.Status.Terminal() {
			out = append(out, t)
		}
	}
	return out
}

// wrong fails the test by a reason that is not true.
func (p *prober) wrong(r Reason, what string) {
	p.t.Helper()
	t, _ := p.v.Task(r.Task)
	p.t.Fatalf("index %d, now %d: %+v: %s\n%s %s due %d, %q", p.index, p.now, r, what, t.Ref, t.Status, t.Due, p.table(r.Task.Exec))
}

// check holds a reason to what State says, and now and then to what a copy does.
func (p *prober) check(r Reason) {
	if r.Text == "" || len(r.Text) > MaxReason || len(r.Of) > maxNamed || len(r.Names) > maxNamed {
		p.wrong(r, "is not bounded")
	}
	if r.Until != 0 && r.Until <= p.now {
		p.wrong(r, "is over already")
	}
	switch r.Kind {
	case WhyFault, WhyStuck:
		p.checkStuck(r)
		return
	}
	if p.r.IntN(100) > 0 {
		return
	}
	switch r.Kind {
	case WhyNoWorker, WhyBehind, WhyRate, WhyLimit, WhyQueuePaused:
		p.checkQueue(r)
	case WhyDelayed, WhyBackoff, WhyCallback, WhyTimer, WhyLeased, WhyJob, WhyDue:
		p.checkTime(r)
	case WhyAgenda, WhySweep, WhyClosing:
		p.checkAgenda(r)
	case WhyPaused, WhyHeld:
		p.checkHeld(r)
	case WhySignal, WhyUpdate, WhyMessage:
		p.checkOutside(r)
	case WhyMembers, WhyNever:
		p.checkMembers(r)
	case WhyChild:
		if e, ok := p.v.Execution(r.Of[0].Exec); !ok || e.Status.Terminal() || e.Parent != r.Task {
			p.wrong(r, "is not waited for")
		}
	case WhyQuota:
		if e, _ := p.v.Execution(r.Task.Exec); !e.Parked || e.Quota != r.Names[0] {
			p.wrong(r, "does not wait for a quota")
		}
	}
}

// copy is a machine of its own in the same State.
func (p *prober) copy() *State {
	s, err := Load(copyTables(p.v), p.v.Digest())
	if err != nil {
		p.t.Fatal(err)
	}
	s.fault = func(v any) { panic(v) }
	return s
}

// says says whether a copy gives the same kind of reason for the same task.
func says(s *State, r Reason, same func(Reason) bool) bool {
	list := s.View().Explain(r.Task)
	if r.Task.Serial == 0 {
		e, _ := s.View().ExplainExecution(r.Task.Exec)
		list = e.Reasons
	}
	return slices.ContainsFunc(list, func(x Reason) bool { return x.Task == r.Task && x.Kind == r.Kind && same(x) })
}

func limits(r Reason) bool { return r.Kind == WhyLimit || r.Kind == WhyRate }

func anyReason(Reason) bool { return true }

// grants offers slots to a copy that does nothing else, and gives the tasks leased.
func grants(s *State, q Queue, n int) (out []TaskID) {
	e := &Entry{Time: s.now}
	for i := range n {
		e.Offers = append(e.Offers, Offer{Slot: Slot{Node: testNode, Boot: 999, N: uint64(i + 1)}, Queue: q, Worker: "probe"})
	}
	for _, g := range s.Apply(s.index+1, e).Grants {
		out = append(out, g.Task)
	}
	return out
}

// checkQueue offers slots: a task that says that it only misses a worker is leased, one
// that is blocked is not, and one that is behind others is leased after just those.
func (p *prober) checkQueue(r Reason) {
	t, _ := p.v.Task(r.Task)
	q := t.Queue
	if q == "" {
		q = p.queueOf(r.Task)
	}
	s := p.copy()
	switch r.Kind {
	case WhyNoWorker:
		if got := grants(s, q, 1); len(got) != 1 || got[0] != r.Task {
			p.wrong(r, fmt.Sprintf("is not leased by a free worker, but %v", got))
		}
	case WhyBehind:
		got := grants(s, q, r.Count)
		if slices.Contains(got, r.Task) {
			p.wrong(r, "is leased before those ahead")
		}
		if len(got) < r.Count || slices.ContainsFunc(p.v.Explain(r.Task), limits) {
			return // a limit is reached first
		}
		if got = append(got, grants(s, q, 1)...); got[len(got)-1] != r.Task {
			p.wrong(r, fmt.Sprintf("is not the next behind %v", got))
		}
	default:
		if got := grants(s, q, MaxOffers); slices.Contains(got, r.Task) {
			p.wrong(r, "is leased in spite of that")
		}
	}
}

func (p *prober) queueOf(id TaskID) Queue {
	t, _ := p.a.tasks.get(id)
	q, _ := p.a.queues.get(t.queue)
	return q.name
}

// settleDown lets a copy do all that it has to do up to a time.
func settleDown(s *State, at Millis) {
	for range 2000 {
		if !s.Apply(s.index+1, &Entry{Time: at, Work: MaxWork}).More {
			return
		}
	}
}

// checkTime lets the time pass: one that was told is not told any more then.
func (p *prober) checkTime(r Reason) {
	s := p.copy()
	if r.Until == 0 && r.Kind != WhyDue {
		return // no time was told
	}
	at := max(r.Until, p.now)
	if r.Kind != WhyDue {
		settleDown(s, at-1)
		if t, ok := s.tasks.get(r.Task); ok && t.open() && !says(s, r, func(x Reason) bool { return x.Until == r.Until }) {
			if x, _ := p.a.tasks.get(r.Task); x.place == t.place && x.lease == t.lease {
				p.wrong(r, fmt.Sprintf("is not so to the end: %+v", s.View().Explain(r.Task)))
			}
		}
	}
	settleDown(s, at)
	if says(s, r, func(x Reason) bool { return r.Kind == WhyDue || x.Until != 0 && x.Until <= r.Until }) {
		p.wrong(r, "is so beyond its time")
	}
}

// checkAgenda lets the machine do what it has to do: nothing is left then that waits for
// it.
func (p *prober) checkAgenda(r Reason) {
	s := p.copy()
	settleDown(s, p.now)
	if says(s, r, anyReason) {
		p.wrong(r, fmt.Sprintf("is not done by itself: %+v", s.View().Explain(r.Task)))
	}
}

// checkHeld resumes the execution: it is not held up any more.
func (p *prober) checkHeld(r Reason) {
	s := p.copy()
	settleDown(s, p.now)
	e, ok := s.find(r.Task.Exec)
	if !ok || r.Kind == WhyPaused && e.status != Paused && !e.status.Terminal() {
		p.wrong(r, "is not paused")
	}
	if e.status == Paused {
		s.Apply(s.index+1, &Entry{Time: p.now, Work: MaxWork, Commands: []*Command{{Body: &ResumeExecution{Exec: e.id}}}})
		settleDown(s, p.now)
	}
	if says(s, r, anyReason) {
		p.wrong(r, fmt.Sprintf("is so of an execution that goes on: %+v", s.View().Explain(r.Task)))
	}
}

// checkOutside ends the task as the reason says that it is ended.
func (p *prober) checkOutside(r Reason) {
	t, _ := p.v.Task(r.Task)
	s := p.copy()
	var b Body = &UpdateTask{Task: r.Task, Status: TaskStatusCompleted}
	if e, _ := s.find(r.Task.Exec); r.Kind == WhySignal && e.sweep == sweepNone && e.parent.IsZero() {
		b = &Signal{Exec: r.Task.Exec, Ref: t.Ref}
	}
	res := s.Apply(s.index+1, &Entry{Time: p.now, Commands: []*Command{{Body: b}}}).Results[0]
	if res.Rejection != nil || res.Ignored || res.Task != r.Task {
		p.wrong(r, fmt.Sprintf("takes no %T: %+v", b, res))
	}
}

// checkMembers looks for the steps that are named: none has settled.
func (p *prober) checkMembers(r Reason) {
	t, _ := p.a.tasks.get(r.Task)
	e := p.a.execOf(t)
	for _, ref := range r.Names {
		x, made := p.a.recordOf(e, ref, t.loop, t.iteration)
		if made && x.settled || made && r.Kind == WhyNever {
			p.wrong(r, ref+" is there")
		}
	}
	if n := p.a.nodeOf(e, t.node); r.Kind == WhyMembers && n.Type == "JOIN" && uint32(r.Count) != t.join.pending {
		p.wrong(r, fmt.Sprintf("%d are pending", t.join.pending))
	}
}

// checkStuck lets everything happen that may happen by itself: nothing does. A fault of
// the machine there is none.
func (p *prober) checkStuck(r Reason) {
	if r.Kind == WhyFault {
		p.wrong(r, "is a fault")
	}
	s := p.copy()
	e, _ := s.find(r.Task.Exec)
	before := e.updated
	settleDown(s, p.now+3_600_000)
	if e, _ = s.find(r.Task.Exec); e.updated != before && !e.status.Terminal() {
		p.wrong(r, "has moved")
	}
}
