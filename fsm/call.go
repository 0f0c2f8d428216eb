package fsm

import (
	"github.com/pawlhq/pawl/fsm/def"
	"github.com/pawlhq/pawl/fsm/expr"
)

// callInput is what the input of a step that a worker of the server does holds beside
// its parameters.
func (s *State) callInput(e *execution, t *task, n *def.Node, in []byte) ([]byte, error) {
	switch n.Type {
	case "EVENT":
		sink, err := s.evaluate(e, t, n.Sink)
		if err != nil {
			return nil, err
		}
		return expr.SetKey(expr.SetKey(in, "sink", sink), "asyncComplete", boolJSON(n.Async)), nil
	case "HTTP":
		return expr.SetKey(in, "asyncComplete", boolJSON(n.Async)), nil
	}
	return in, nil
}

func boolJSON(v bool) []byte {
	if v {
		return []byte("true")
	}
	return []byte("false")
}

// called keeps the output of a call whose task is completed from outside: the record
// stays in progress, out of its queue.
func (s *State) called(t *task, p report) (Result, *Rejection) {
	output, over := merged(t, p.output)
	if over > 0 {
		return s.report(t, p)
	}
	t = s.tasks.mut(t)
	t.doneLease, t.doneIndex = t.lease, s.index
	s.leavePlace(t)
	t.output, t.updated = output, s.now
	if p.worker != "" {
		t.worker = p.worker
	}
	t.place = placeWaiting
	s.enterPlace(t)
	s.emitTask(TaskProgressed, t)
	return Result{Exec: t.id.Exec, Task: t.id}, nil
}
