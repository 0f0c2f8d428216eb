package fsm_test

import (
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime/debug"

	"github.com/pawlhq/pawl/fsm"
	"github.com/pawlhq/pawl/jepsen/model"
)

// pair is the machine and the model side by side.
type pair struct {
	r       *rand.Rand
	unlucky int // one in so many reports is a failure
	// frugal says that entries may do little work each. That may change which of
	// several limits that pass in one step is felt first, and whether a child of an
	// ended parent has begun.
	frugal  bool
	fault   error // what the machine caught
	refused bool  // the last command
	state   *fsm.State
	twin    *fsm.State // nil, or a second machine that is restored now and then
	index   uint64
	slots   uint64
	world   *model.World
	execs   map[string]fsm.ExecID // by key of the model
	tasks   map[string]fsm.TaskID
	leases  map[fsm.TaskID]fsm.Lease
	names   map[string]string // keys of the model by ids of the machine
	done    []string          // what was done, in order
	after   func(fsm.View)    // looks at the machine right after the entry of a command
}

// apply applies a command in an entry of its own, and then what it left to do.
func (p *pair) apply(body fsm.Body, offers ...fsm.Offer) fsm.Result {
	e := &fsm.Entry{Time: fsm.Millis(p.now()), Work: p.budget(), Offers: offers}
	if body != nil {
		e.Commands = []*fsm.Command{{Body: body}}
	}
	var first *fsm.Applied
	for n, more := 0, true; more; n++ {
		applied := p.entry(e)
		if first == nil {
			first = applied
			if p.after != nil {
				p.after(p.state.View())
			}
		}
		if more = applied.More; more {
			p.effective()
		}
		if n > modelEntries {
			p.fault = errors.New("the agenda does not become empty")
			break
		}
		e = &fsm.Entry{Time: e.Time, Work: p.budget()}
	}
	if body == nil {
		return fsm.Result{}
	}
	return first.Results[0]
}

// modelEntries bounds the entries that one command may leave work for.
const modelEntries = 10_000

func (p *pair) entry(e *fsm.Entry) *fsm.Applied {
	bytes := e.AppendTo(nil)
	decode := func() *fsm.Entry {
		decoded, err := fsm.Decode(bytes)
		if err != nil {
			panic(err)
		}
		return decoded
	}
	p.index++
	applied := p.state.Apply(p.index, decode())
	if p.twin != nil {
		p.twin.Apply(p.index, decode())
		if p.twin.View().Digest() != p.state.View().Digest() {
			p.fault = errors.New("the twin has another digest")
		}
		if p.r.IntN(8) == 0 {
			restored, err := reload(p.twin)
			if err != nil {
				p.fault = err
			}
			p.twin = restored
		}
	}
	for _, g := range applied.Grants {
		p.leases[g.Task] = g.Lease
	}
	if err := p.state.Verify(fsm.Touched); err != nil {
		p.fault = err
	}
	return applied
}

// effective checks what holds for every reader while work is left to do: nothing is
// open in an execution that has ended.
func (p *pair) effective() {
	v := p.state.View()
	for key, id := range p.execs {
		e, ok := v.Execution(id)
		if !ok || !e.Status.Terminal() {
			continue
		}
		for t := range v.Tasks(id, 0) {
			if t.Status == fsm.TaskStatusScheduled || t.Status == fsm.TaskStatusInProgress {
				p.fault = fmt.Errorf("record %d %s is %v in execution %s, which is %v", t.Seq, t.Ref, t.Status, key, e.Status)
			}
		}
	}
}

func (p *pair) budget() uint32 {
	if p.frugal {
		return 1 + p.r.Uint32N(12)
	}
	return fsm.MaxWork
}

func (p *pair) now() int64 { return p.world.Now }

// restore goes on with a machine that was made from a snapshot.
func (p *pair) restore() error {
	s, err := reload(p.state)
	if err == nil {
		p.state = s
		p.watchFaults()
	}
	return err
}

// watchFaults makes what the machine catches and rolls back a difference.
func (p *pair) watchFaults() {
	p.state.OnFault(func(v any) { p.fault = fmt.Errorf("the machine caught a fault of its own: %v\n%s", v, debug.Stack()) })
}

func reload(s *fsm.State) (*fsm.State, error) {
	v := s.View()
	return fsm.Load(func(yield func(fsm.TableID, iter.Seq[[]byte]) bool) {
		for t := range v.Tables() {
			if !yield(t.ID, t.Rows) {
				return
			}
		}
	}, v.Digest())
}

// both applies a command, now and then in bulk, and checks that the two sides agree on
// whether it is allowed.
func (p *pair) both(refused error, body fsm.Body) error {
	var rejected *fsm.Rejection
	if b, ok := asBulk(body); ok && p.r.IntN(6) == 0 {
		items := p.apply(b).Items
		if len(items) != 2 || items[0].Rejection == nil {
			return fmt.Errorf("the machine does to an unknown execution: %+v", items)
		}
		rejected = items[1].Rejection
	} else {
		rejected = p.apply(body).Rejection
	}
	p.refused = refused != nil
	if (refused != nil) != (rejected != nil) {
		return fmt.Errorf("model says %v, machine says %v", refused, rejected)
	}
	return nil
}
