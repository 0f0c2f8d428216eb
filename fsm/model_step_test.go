package fsm_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/pawlhq/pawl/fsm"
	"github.com/pawlhq/pawl/jepsen/model"
)

// step does one random thing to both sides and says what it was, nothing when there
// is nothing more to do.
func (p *pair) step() (string, error) {
	if p.over() && p.r.IntN(4) == 0 {
		return "", nil
	}
	// No two things are asked at the same time: which of several limits that pass
	// together is judged first is not laid down.
	p.refused = false
	p.world.Advance(1 + p.r.Int64N(50))
	p.apply(nil)
	if err := p.compare(); err != nil {
		return "advance a moment", err
	}
	open := p.open()
	due, timed := p.world.NextDue()
	switch x := p.r.IntN(100); {
	case x < 3 && len(p.leases) > 0:
		return p.late()
	case x < 4:
		return "restore", p.restore()
	case x < 7 || len(open) == 0 && !timed:
		return p.verb()
	case timed && (x < 20 || len(open) == 0):
		millis := due - p.now()
		if p.r.IntN(5) == 0 {
			millis += p.r.Int64N(30_000)
		}
		p.world.Advance(millis)
		p.apply(nil)
		return fmt.Sprintf("advance %d ms", millis), nil
	case len(open) == 0:
		return p.verb()
	case x < 25:
		p.world.Advance(1 + p.r.Int64N(3000))
		p.apply(nil)
		return "advance a little", nil
	}
	return p.report(open[p.r.IntN(len(open))])
}

// over says whether everything has ended.
func (p *pair) over() bool {
	return !slices.ContainsFunc(p.world.Execs(), func(e *model.Exec) bool { return !e.Ended() })
}

// open returns the records that somebody outside can report on.
func (p *pair) open() []*model.Task {
	var open []*model.Task
	for _, e := range p.known() {
		for _, t := range e.Tasks() {
			if !t.Open() || e.Ended() {
				continue
			}
			switch t.Kind() {
			case "SIMPLE", "WAIT", "HUMAN", "YIELD", "HTTP":
				open = append(open, t)
			default:
				if t.Waits() {
					open = append(open, t)
				}
			}
		}
	}
	return open
}

// late reports under a lease that is over, which must change nothing.
func (p *pair) late() (string, error) {
	keys := slices.Sorted(maps.Keys(p.tasks))
	from := p.r.IntN(len(keys))
	for _, key := range slices.Concat(keys[from:], keys[:from]) {
		id := p.tasks[key]
		if t := p.world.Find(key); p.leases[id] != 0 && (t == nil || t.Status != "IN_PROGRESS" || t.Exec().Ended()) {
			p.apply(&fsm.CompleteTask{Task: id, Lease: p.leases[id], Output: []byte(`{"late":true}`)})
			return "late " + key, nil
		}
	}
	return "late", nil
}

// report polls a record or reports on it.
func (p *pair) report(t *model.Task) (string, error) {
	if t.Waits() {
		return p.answer(t)
	}
	key := t.Key()
	id := p.tasks[key]
	worker := t.Kind() == "SIMPLE" || t.Kind() == "HTTP"
	lease, leased := p.leases[id], worker && t.Leased()
	x := p.r.IntN(100)
	if worker && t.Status == "SCHEDULED" && x < 50 {
		return p.poll(t)
	}
	output := p.output()
	bad := p.r.IntN(p.unlucky) == 0
	switch {
	case !bad && leased && x >= 95:
		return "extend " + key, p.both(p.world.Extend(key), &fsm.ExtendLeases{Items: []fsm.Extension{{Task: id, Lease: lease}}})
	case !bad && leased && x >= 93:
		return "return " + key, p.both(p.world.Return(key), &fsm.ReturnLease{Task: id, Lease: lease})
	case !bad && leased && x >= 85 && t.Kind() == "SIMPLE":
		seconds := p.r.Int32N(10)
		return "progress " + key, p.both(p.world.Progress(key, output, int64(seconds)),
			&fsm.ProgressTask{Task: id, Lease: lease, Output: output, CallbackSeconds: seconds})
	case !bad && leased:
		return "complete " + key, p.both(p.world.Called(key, output), &fsm.CompleteTask{Task: id, Lease: lease, Output: output})
	case !bad:
		return "update " + key, p.both(p.world.Complete(key, output),
			&fsm.UpdateTask{Task: id, Status: fsm.TaskStatusCompleted, Output: output})
	}
	terminal := p.r.IntN(5) == 0
	if leased {
		return "fail " + key, p.both(p.world.Fail(key, "no luck", terminal, output),
			&fsm.FailTask{Task: id, Lease: lease, Reason: "no luck", Terminal: terminal, Output: output})
	}
	status := fsm.TaskStatusFailed
	if terminal {
		status = fsm.TaskStatusFailedTerminal
	}
	return "update " + key, p.both(p.world.Fail(key, "no luck", terminal, output),
		&fsm.UpdateTask{Task: id, Status: status, Output: output, Reason: "no luck"})
}

// poll offers a slot for the queue of a record. Whatever the machine hands out, the
// model must find that right.
func (p *pair) poll(t *model.Task) (string, error) {
	info, _ := p.state.View().Task(p.tasks[t.Key()])
	granted := p.offer(info.Queue)
	if granted == nil {
		if err := p.world.Poll(t.Key()); !errors.Is(err, model.ErrRefused) {
			return "poll " + t.Key(), errors.New("nothing was granted, but the record is ready")
		}
		return "poll " + t.Key() + " in vain", nil
	}
	key, ok := p.names[granted.String()]
	if !ok {
		return "poll " + t.Key(), fmt.Errorf("task %v, which was granted, is unknown", granted)
	}
	return "poll " + key, p.world.Poll(key)
}

// offer offers a slot for a queue and returns the task that is leased for it.
func (p *pair) offer(queue fsm.Queue) *fsm.TaskID {
	p.slots++
	known := maps.Clone(p.leases)
	p.apply(nil, fsm.Offer{Slot: fsm.Slot{Node: fsm.NodeID{1}, Boot: 1, N: p.slots}, Queue: queue, Worker: "w"})
	for id, l := range p.leases {
		if known[id] != l {
			return &id
		}
	}
	return nil
}

func (p *pair) output() []byte {
	switch p.r.IntN(8) {
	case 0:
		return nil
	case 1:
		return []byte(`{"x":true,"s":null,"deep":{"a":[1,{"b":"c"}]}}`)
	}
	return fmt.Appendf(nil, `{"x":%d,"s":"%c"}`, 1+p.r.IntN(3), 'a'+rune(p.r.IntN(2)))
}
