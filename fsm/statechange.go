package fsm

import (
	"github.com/pawlhq/pawl/fsm/def"
	"github.com/pawlhq/pawl/fsm/expr"
)

// Bounds of what is told of one change of a task's state, all events of it together. An
// event whose payload does not fit has none.
const (
	maxToldSteps = 4096
	maxToldBytes = 16 << 10
	// tellUnits is what telling costs at most, beside the task's own unit.
	tellUnits = maxToldSteps / 1024
)

// Told is one event of a step's onStateChange.
type Told struct {
	On      string // the change: onScheduled, onStart, onSuccess, onFailed or onCancelled
	Type    string
	Payload []byte // JSON; nil when there is none, or none within the bounds
}

// tell emits the events that a step's definition has for a change of a task's state.
func (s *State) tell(on def.State, t *task) {
	if on == 0 {
		return
	}
	e := s.execOf(t)
	events := s.nodeOf(e, t.node).OnState
	if len(events) == 0 {
		return
	}
	b, left := expr.Budget{Steps: maxToldSteps}, maxToldBytes
	for _, change := range def.States() {
		for i := range events {
			if on&change&events[i].On == 0 {
				continue
			}
			payload, err := s.evaluateWithin(e, t, events[i].Payload, &b)
			if err != nil || len(payload) > left {
				payload = nil
			}
			left -= len(payload)
			s.emit(Event{Kind: TaskStateChanged, Exec: e.id, Serial: t.id.Serial, Ref: visibleRef(s, t), Task: t.status,
				Retry: t.retry, Told: &Told{On: change.String(), Type: events[i].Type, Payload: payload}})
		}
	}
}

// changeOf is the change of state that an event of a task means.
func changeOf(k EventKind) def.State {
	switch k {
	case TaskCompleted, TaskCompletedWithErrors:
		return def.OnSuccess
	case TaskFailed, TaskTimedOut:
		return def.OnFailed
	case TaskCanceled:
		return def.OnCancelled
	}
	return 0
}

// tellCost is what telling of the end of a record can cost that a sweep cancels.
func (s *State) tellCost(e *execution, t *task) int {
	for i := range s.nodeOf(e, t.node).OnState {
		if s.nodeOf(e, t.node).OnState[i].On&def.OnCancelled != 0 {
			return tellUnits
		}
	}
	return 0
}
