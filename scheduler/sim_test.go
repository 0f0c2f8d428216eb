package scheduler

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

// The simulation drives three schedulers over a modelled log with the real machine.
// Entries are under way for a while, and a change of leader loses some of them. Links
// drop and delay messages, workers come, go and die. Nothing runs by itself but the
// schedulers' timers, in the bubble's time.
type sim struct {
	t    *testing.T
	r    *rand.Rand
	base time.Time

	state  *fsm.State
	log    []*record
	done   int // records that are committed and applied
	term   uint64
	leader int
	leads  bool // the leader has opened its term
	nodes  []*simNode
	links  [][][]func() // from, to: messages under way

	waiting  []*fsm.Command // taken by nobody yet, or surely lost
	workers  []*simWorker
	granted  map[fsm.Slot]fsm.Lease
	received map[fsm.Lease]bool
	faults   bool
	// unsettled are offers of a term that has ended, settled in a later one.
	unsettled []func()
	stats     struct{ entries, ticks, grants, unused, lost, changes, returns, expired int }
}

type record struct {
	term   uint64
	entry  *fsm.Entry
	origin *simNode
	offers []fsm.Offer
	batch  fsm.Batch
}

type simNode struct {
	sim      *sim
	id       fsm.NodeID
	at       int // index in nodes
	s        *Scheduler
	observed int // records
}

type simWorker struct {
	node   *simNode
	stream fsm.StreamID
	ch     <-chan fsm.Leased
	cancel context.CancelFunc
	once   bool
	queues []fsm.Queue
	leases []fsm.Leased
	dead   bool
	closed bool
}

func (s *sim) Now() fsm.Millis { return 1 + fsm.Millis(time.Since(s.base)/time.Millisecond) }

var errLink = errors.New("link is down")

func (n *simNode) Register(set fsm.SlotSet) error {
	s := n.sim
	if s.faults && s.r.IntN(40) == 0 {
		return errLink
	}
	to := s.leader
	s.send(n.at, to, func() { s.nodes[to].s.Register(set.Term, n.id, set) })
	return nil
}

func (n *simNode) Deliver(node fsm.NodeID, l fsm.Leased) error {
	s := n.sim
	if s.faults && s.r.IntN(40) == 0 {
		return errLink
	}
	to := int(node[0]) - 1
	s.send(n.at, to, func() { s.nodes[to].s.Deliver(l) })
	return nil
}

func (n *simNode) Tick(context.Context, ...*fsm.Command) error { panic("the simulation ticks") }

func (s *sim) send(from, to int, f func()) {
	if s.faults && s.r.IntN(25) == 0 {
		return
	}
	s.links[from][to] = append(s.links[from][to], f)
}

func newSim(t *testing.T, seed uint64) *sim {
	s := &sim{
		t: t, r: rand.New(rand.NewPCG(seed, 11)), base: time.Now(), state: fsm.New(0), term: 1,
		granted: map[fsm.Slot]fsm.Lease{}, received: map[fsm.Lease]bool{}, faults: true,
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	for i := range 3 {
		n := &simNode{sim: s, id: fsm.NodeID{byte(i + 1)}, at: i}
		var err error
		n.s, err = New(Config{
			Node: n.id, Boot: 1, Proposer: n, Deliverer: n, Registrar: n, Clock: s, Log: log,
			Open: func(uint64) (Events, error) { return nil, fsm.ErrLapped },
			View: func() fsm.View { return s.state.View() },
		})
		if err != nil {
			t.Fatal(err)
		}
		s.nodes = append(s.nodes, n)
		s.links = append(s.links, make([][]func(), 3))
	}
	for i := range 4 {
		s.waiting = append(s.waiting, s.taskType(i))
	}
	for _, d := range simDefinitions {
		s.waiting = append(s.waiting, &fsm.Command{Body: &fsm.PutDefinition{Source: []byte(d)}})
	}
	s.begin()
	return s
}

var simDefinitions = []string{
	`{"name":"one","version":1,"schemaVersion":2,"tasks":[{"name":"t0","taskReferenceName":"a","type":"SIMPLE"}]}`,
	`{"name":"two","version":1,"schemaVersion":2,"tasks":[{"name":"t1","taskReferenceName":"a","type":"SIMPLE"},
	 {"name":"t2","taskReferenceName":"b","type":"SIMPLE"}]}`,
	`{"name":"fork","version":1,"schemaVersion":2,"tasks":[{"name":"f","taskReferenceName":"f","type":"FORK_JOIN","forkTasks":[
	 [{"name":"t0","taskReferenceName":"a","type":"SIMPLE"}],[{"name":"t1","taskReferenceName":"b","type":"SIMPLE"}],
	 [{"name":"t3","taskReferenceName":"c","type":"SIMPLE"},{"name":"t3","taskReferenceName":"d","type":"SIMPLE"}]]},
	 {"name":"j","taskReferenceName":"j","type":"JOIN","joinOn":["a","b","d"]},
	 {"name":"t2","taskReferenceName":"e","type":"SIMPLE"}]}`,
}

func (s *sim) taskType(i int) *fsm.Command {
	limit := ""
	if i > 0 {
		limit = fmt.Sprintf(`,"concurrentExecLimit":%d`, 1+s.r.IntN(6))
	}
	return &fsm.Command{Body: &fsm.PutTaskType{Source: fmt.Appendf(nil,
		`{"name":"t%d","retryCount":1000,"retryLogic":"FIXED","retryDelaySeconds":%d,"timeoutSeconds":0,"responseTimeoutSeconds":%d%s}`,
		i, s.r.IntN(2), 1+s.r.IntN(2), limit)}}
}

// begin appends the first entry of a term.
func (s *sim) begin() {
	n := s.nodes[s.leader]
	s.append(&record{term: s.term, origin: n, entry: &fsm.Entry{Commands: []*fsm.Command{
		{Body: &fsm.BeginTerm{Node: n.id, Boot: 1}}}}})
}

func (s *sim) append(r *record) {
	r.entry.Time = s.Now()
	s.log = append(s.log, r)
	s.stats.entries++
}

// propose appends an entry if the leader may.
func (s *sim) propose(cs []*fsm.Command) bool {
	if !s.leads || len(s.log)-s.done >= 8 {
		return false
	}
	n := s.nodes[s.leader]
	limit := fsm.MaxOffers
	if s.r.IntN(4) == 0 {
		limit = 1 + s.r.IntN(3)
	}
	st := n.s.Stamp(cs, limit)
	if len(st.Offers) > limit {
		s.t.Fatalf("%d offers, at most %d allowed", len(st.Offers), limit)
	}
	if s.faults && s.r.IntN(30) == 0 {
		n.s.Settle(st.Offers, false)
		return false
	}
	s.append(&record{term: s.term, origin: n, offers: st.Offers,
		entry: &fsm.Entry{Work: st.Work, Offers: st.Offers, Seen: st.Seen, Commands: cs}})
	return true
}

// commit applies the oldest record under way.
func (s *sim) commit() {
	if s.done == len(s.log) {
		return
	}
	r := s.log[s.done]
	s.done++
	a := s.state.Apply(uint64(s.done), r.entry)
	r.batch = fsm.Batch{Index: uint64(s.done), Term: r.term, Time: s.state.Now(), Applied: a}
	if err := s.state.Verify(fsm.Touched); err != nil {
		s.t.Fatalf("index %d: %v", s.done, err)
	}
	offered := map[fsm.Slot]bool{}
	for _, o := range r.entry.Offers {
		if offered[o.Slot] {
			s.t.Fatalf("index %d: slot %v offered twice", s.done, o.Slot)
		}
		offered[o.Slot] = true
	}
	for _, g := range a.Grants {
		if old, ok := s.granted[g.Slot]; ok {
			s.t.Fatalf("index %d: slot %v leased as %v, before as %v", s.done, g.Slot, g.Lease, old)
		}
		if !offered[g.Slot] {
			s.t.Fatalf("index %d: slot %v leased and not offered", s.done, g.Slot)
		}
		s.granted[g.Slot] = g.Lease
	}
	if got, want := len(a.Grants)+len(a.Unused), len(r.entry.Offers); got != want {
		s.t.Fatalf("index %d: %d offers came back of %d", s.done, got, want)
	}
	s.stats.grants += len(a.Grants)
	s.stats.unused += len(a.Unused)
	for _, e := range a.Events {
		switch e.Kind {
		case fsm.TaskReturned:
			s.stats.returns++
		case fsm.TaskTimedOut:
			s.stats.expired++
		}
	}
	if r.origin == s.nodes[s.leader] && s.leads && len(r.offers) > 0 {
		r.origin.s.Settle(r.offers, true)
	}
	if a.Begun != nil && r.term == s.term {
		s.nodes[s.leader].s.Lead(s.term, s.state.View())
		s.leads = true
		for _, settle := range s.unsettled { // of earlier terms
			settle()
		}
		s.unsettled = nil
	}
}

// elect makes another node lead, or the same one anew; entries that are under way
// survive up to some place.
func (s *sim) elect() {
	keep := s.done + s.r.IntN(len(s.log)-s.done+1)
	lost := s.log[keep:]
	s.log = s.log[:keep:keep]
	old := s.nodes[s.leader]
	if s.leads {
		old.s.Resign(s.term)
	}
	for _, r := range lost {
		s.stats.lost++
		s.waiting = append(s.waiting, r.entry.Commands...)
		if len(r.offers) == 0 || r.origin != old {
			continue
		}
		if s.r.IntN(2) == 0 {
			old.s.Settle(r.offers, false)
		} else {
			s.unsettled = append(s.unsettled, func() { old.s.Settle(r.offers, false) })
		}
	}
	s.waiting = slices.DeleteFunc(s.waiting, func(c *fsm.Command) bool { _, ok := c.Body.(*fsm.BeginTerm); return ok })
	s.stats.changes++
	s.term++
	s.leads = false
	s.leader = s.r.IntN(3)
	s.begin()
}

func (n *simNode) observe() bool {
	if n.observed == n.sim.done {
		return false
	}
	b := n.sim.log[n.observed].batch
	n.observed++
	n.s.Observe(b)
	return true
}

// lapse makes a node miss entries, as a slow reader does.
func (n *simNode) lapse() {
	if n.sim.done-n.observed < 2 {
		return
	}
	n.s.rebuild(n.sim.state.View(), true)
	n.observed = n.sim.done
	n.s.host.reach(uint64(n.observed), n.sim.log[n.observed-1].batch.Term)
}

// errands runs what Run's loops would.
func (n *simNode) errands(refresh bool) {
	if set, ok := n.s.host.nextSet(refresh); ok {
		if err := n.Register(set); err != nil {
			n.s.host.resend()
		}
	}
	for _, e := range n.s.host.takeReturns() {
		n.sim.waiting = append(n.sim.waiting, &fsm.Command{Body: &fsm.ReturnLease{Task: e.task, Lease: e.lease}})
	}
}

func (s *sim) deliver() {
	from, to := s.r.IntN(3), s.r.IntN(3)
	if q := s.links[from][to]; len(q) > 0 {
		s.links[from][to] = q[1:]
		q[0]()
	}
}

func (s *sim) tick() {
	if !s.leads || len(s.log)-s.done >= 8 {
		return
	}
	if ok, _ := s.nodes[s.leader].s.books.pace(s.Now(), time.Now()); ok {
		s.stats.ticks++
		s.propose(nil)
	}
}

func (s *sim) take(n int) []*fsm.Command {
	n = min(n, len(s.waiting))
	cs := s.waiting[:n:n]
	return cs
}

func (s *sim) flushCommands() {
	cs := s.take(1 + s.r.IntN(3))
	if len(cs) > 0 && s.propose(cs) {
		s.waiting = s.waiting[len(cs):]
	}
}

func (s *sim) park(queues []fsm.Queue, once bool, credit int) {
	ctx, cancel := context.WithCancel(context.Background())
	n := s.nodes[s.r.IntN(3)]
	w := &simWorker{node: n, cancel: cancel, once: once, queues: queues}
	var err error
	w.stream, w.ch, err = n.s.Park(ctx, fsm.SlotSpec{Worker: "w" + strconv.Itoa(s.r.IntN(9)), Queues: queues, Credit: credit, Once: once})
	if err != nil {
		s.t.Fatal(err)
	}
	s.workers = append(s.workers, w)
}

func (s *sim) someQueues() []fsm.Queue {
	qs := []fsm.Queue{"t0", "t1", "t2", "t3"}
	s.r.Shuffle(len(qs), func(i, j int) { qs[i], qs[j] = qs[j], qs[i] })
	return qs[:1+s.r.IntN(3)]
}

// receive lets workers read what has come.
func (s *sim) receive() {
	synctest.Wait()
	for _, w := range s.workers {
		for more := true; more && !w.closed; {
			select {
			case l, ok := <-w.ch:
				if !ok {
					w.closed = true
					break
				}
				s.got(w, l)
			default:
				more = false
			}
			synctest.Wait()
		}
	}
	s.workers = slices.DeleteFunc(s.workers, func(w *simWorker) bool { return w.closed && (w.dead || len(w.leases) == 0) })
}

func (s *sim) got(w *simWorker, l fsm.Leased) {
	if s.received[l.Lease] {
		s.t.Fatalf("lease %v delivered twice", l.Lease)
	}
	s.received[l.Lease] = true
	if got := s.granted[l.Slot]; got != l.Lease {
		s.t.Fatalf("slot %v: delivered %v, granted %v", l.Slot, l.Lease, got)
	}
	if !slices.Contains(w.queues, l.Queue) {
		s.t.Fatalf("queue %s delivered to a worker of %v", l.Queue, w.queues)
	}
	w.leases = append(w.leases, l)
}

// work finishes one lease of a worker.
func (s *sim) work(w *simWorker) {
	if w.dead || len(w.leases) == 0 {
		return
	}
	l := w.leases[0]
	w.leases = w.leases[1:]
	if !w.once {
		w.node.s.Credit(w.stream, 1)
	}
	switch x := s.r.IntN(12); {
	case x == 0 && s.faults:
		s.waiting = append(s.waiting, &fsm.Command{Body: &fsm.FailTask{Task: l.Task, Lease: l.Lease, Reason: "no"}})
	case x == 1 && s.faults:
		s.waiting = append(s.waiting, &fsm.Command{Body: &fsm.ReturnLease{Task: l.Task, Lease: l.Lease}})
	case x == 2 && s.faults: // forgets it
	default:
		s.waiting = append(s.waiting, &fsm.Command{Body: &fsm.CompleteTask{Task: l.Task, Lease: l.Lease}})
	}
}

func (s *sim) someWorker() *simWorker {
	if len(s.workers) == 0 {
		return nil
	}
	return s.workers[s.r.IntN(len(s.workers))]
}

// step does one random thing.
func (s *sim) step() {
	switch x := s.r.IntN(100); {
	case x < 14:
		s.commit()
	case x < 33:
		s.nodes[s.r.IntN(3)].observe()
	case x < 50:
		s.deliver()
	case x < 56:
		s.nodes[s.r.IntN(3)].errands(s.r.IntN(4) == 0)
	case x < 70:
		s.flushCommands()
	case x < 76:
		s.tick()
	case x < 88:
		if w := s.someWorker(); w != nil {
			s.work(w)
		}
	case x < 92:
		time.Sleep(time.Duration(1+s.r.IntN(60)) * time.Millisecond)
	case s.faults:
		s.disturb()
	}
}

func (s *sim) disturb() {
	switch x := s.r.IntN(40); {
	case x < 12:
		name := []string{"one", "two", "fork"}[s.r.IntN(3)]
		for range 1 + s.r.IntN(3) {
			s.waiting = append(s.waiting, &fsm.Command{Body: &fsm.StartExecution{Name: name}})
		}
	case x < 18:
		s.park(s.someQueues(), true, 1+s.r.IntN(4))
	case x < 22:
		s.park(s.someQueues(), false, s.r.IntN(4))
	case x < 29:
		if w := s.someWorker(); w != nil {
			w.cancel()
			w.dead = !w.once && s.r.IntN(2) == 0
		}
	case x < 31:
		s.waiting = append(s.waiting, s.taskType(s.r.IntN(4)))
	case x < 33:
		s.waiting = append(s.waiting, &fsm.Command{Body: &fsm.PauseQueue{Queue: s.someQueues()[0]}})
	case x < 35:
		s.waiting = append(s.waiting, &fsm.Command{Body: &fsm.ResumeQueue{Queue: s.someQueues()[0]}})
	case x < 37:
		s.elect()
	case x < 38:
		s.nodes[s.leader].s.Gone(s.nodes[s.r.IntN(3)].id)
	case x < 39 && s.r.IntN(4) == 0:
		s.nodes[s.r.IntN(3)].lapse()
	}
}

// settle lets everything come to rest without further faults or work, except that
// workers answer when finish is set, until everything has ended.
func (s *sim) settle(finish bool) {
	s.faults = false
	defer func() { s.faults = true }()
	for quiet := 0; quiet < 25; {
		busy := s.round(finish)
		if quiet++; busy {
			quiet = 0
		}
		if time.Since(s.base) > 2*time.Hour {
			s.t.Fatalf("no rest: %+v", s.stats)
		}
		time.Sleep(60 * time.Millisecond)
	}
}

// round does everything that can be done once. It reports whether that was anything.
func (s *sim) round(finish bool) (busy bool) {
	for len(s.waiting) > 0 && s.leads {
		busy = true
		if cs := s.take(8); s.propose(cs) {
			s.waiting = s.waiting[len(cs):]
		} else {
			s.commit()
		}
	}
	for s.done < len(s.log) {
		busy = true
		s.commit()
	}
	for i, n := range s.nodes {
		for n.observe() {
			busy = true
		}
		n.errands(true)
		for to := range s.links[i] {
			for len(s.links[i][to]) > 0 {
				f := s.links[i][to][0]
				s.links[i][to] = s.links[i][to][1:]
				f()
			}
		}
	}
	before := s.stats.ticks
	s.tick()
	s.receive()
	if finish {
		for _, w := range s.workers {
			for len(w.leases) > 0 && !w.dead {
				s.work(w)
				busy = true
			}
		}
	}
	return busy || s.stats.ticks > before
}

// atRest checks that the leader's books agree with State and with the nodes, and that
// no task waits beside a free slot.
func (s *sim) atRest() {
	s.t.Helper()
	b := s.nodes[s.leader].s.books
	v := s.state.View()
	permits := map[string]int{}
	for p := range v.Permits() {
		permits[p.Type] = p.Free
		if k := b.kinds[p.Type]; k == nil || k.free != p.Free {
			s.t.Fatalf("type %s: books %+v, State has %d permits", p.Type, k, p.Free)
		}
	}
	for r := range v.Ready() {
		q := b.queues[r.Queue]
		if q == nil && r.Ready == 0 {
			continue
		}
		if q == nil || q.ready != r.Ready || q.flying != 0 {
			s.t.Fatalf("queue %s: books %+v, State has %d ready", r.Queue, q, r.Ready)
		}
		if free, limited := permits[r.Type]; r.Ready > 0 && q.head() != nil && (!limited || free != 0) {
			s.t.Fatalf("queue %s rests with %d tasks, %d permits and a free slot", r.Queue, r.Ready, free)
		}
	}
	for _, n := range s.nodes {
		s.sameSlots(b, n)
	}
}

func (s *sim) sameSlots(b *books, n *simNode) {
	nb := b.nodes[nodeBoot{n.id, 1}]
	want, got := len(n.s.host.slots), 0
	if nb != nil {
		for _, sl := range nb.slots {
			if sl.state == slotFree {
				got++
				if n.s.host.slots[sl.n] == nil {
					s.t.Fatalf("node %d: the leader has slot %d, the node has not", n.at, sl.n)
				}
			} else if sl.state == slotOffered {
				s.t.Fatalf("node %d: slot %d is still offered", n.at, sl.n)
			}
		}
	}
	if got != want {
		for k, st := range n.s.host.slots {
			s.t.Logf("slot %d: %+v", k, *st)
			if nb != nil {
				s.t.Logf("leader: %+v group %+v", nb.slots[k], nb.groups[st.id])
			}
		}
		s.t.Fatalf("node %d (leader %d): %d slots, %d registered", n.at, s.leader, want, got)
	}
}

// finish lets workers take everything that is left.
func (s *sim) finish() {
	for _, q := range []fsm.Queue{"t0", "t1", "t2", "t3"} {
		s.waiting = append(s.waiting, &fsm.Command{Body: &fsm.ResumeQueue{Queue: q}})
		s.park([]fsm.Queue{q}, false, 2)
	}
	for range 40 {
		s.settle(true)
		if s.state.View().List(fsm.ListQuery{Status: fsm.Running}).Total == 0 {
			break
		}
		time.Sleep(time.Second) // a lease of a dead worker, a delay
	}
	if left := s.state.View().List(fsm.ListQuery{Status: fsm.Running}); left.Total != 0 {
		s.t.Fatalf("%d executions did not end, as %v", left.Total, left.Items[0].ID)
	}
	s.atRest()
	for _, w := range s.workers {
		w.cancel()
	}
	s.settle(true)
	for _, n := range s.nodes {
		if c := n.s.Counts(); c.Streams+c.Slots+c.Held+c.Returning+c.Registered+c.Offered != 0 {
			s.t.Fatalf("node %d keeps %+v", n.at, c)
		}
		if h := n.s.host; len(h.in.late)+len(h.held.execs)+len(h.held.orphans)+h.bytes != 0 {
			s.t.Fatalf("node %d keeps %d late, %d executions, %d orphans, %d bytes", n.at, len(h.in.late), len(h.held.execs), len(h.held.orphans), h.bytes)
		}
	}
}

func (s *sim) run(steps int) {
	for i := range steps {
		s.step()
		s.receive()
		if i%400 == 399 {
			s.settle(false)
			s.atRest()
		}
	}
	s.finish()
	if err := s.state.Verify(fsm.Touched); err != nil {
		s.t.Fatal(err)
	}
}

func (s *sim) close() {
	for _, n := range s.nodes {
		n.s.host.close()
	}
}

// TestEveryTaskFindsASlot runs the simulation from many seeds, or from PAWL_SEED.
func TestEveryTaskFindsASlot(t *testing.T) {
	first, runs := uint64(1), 300
	if v := os.Getenv("PAWL_SEED"); v != "" {
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		first, runs = n, 1
	}
	var total sim
	for seed := first; seed < first+uint64(runs); seed++ {
		synctest.Test(t, func(t *testing.T) {
			defer func() {
				if t.Failed() {
					t.Logf("PAWL_SEED=%d", seed)
				}
			}()
			s := newSim(t, seed)
			defer s.close()
			s.run(1000)
			total.add(s)
		})
		if t.Failed() {
			return
		}
	}
	t.Logf("%d runs: %+v", runs, total.stats)
	if runs > 1 && (total.stats.lost == 0 || total.stats.changes == 0 || total.stats.returns == 0 || total.stats.expired == 0) {
		t.Fatalf("the runs did not meet every fault: %+v", total.stats)
	}
}

func (s *sim) add(o *sim) {
	s.stats.entries += o.stats.entries
	s.stats.ticks += o.stats.ticks
	s.stats.grants += o.stats.grants
	s.stats.unused += o.stats.unused
	s.stats.lost += o.stats.lost
	s.stats.changes += o.stats.changes
	s.stats.returns += o.stats.returns
	s.stats.expired += o.stats.expired
}
