package def

import (
	"strconv"
	"strings"

	"github.com/pawlhq/pawl/fsm/expr"
)

// State is a change of a task's state that a step can have told.
type State uint8

// The changes, as bits of StateEvent.On.
const (
	OnScheduled State = 1 << iota
	OnStart
	OnSuccess
	OnFailed
	OnCancelled
)

// States lists the changes in the order in which a task goes through them.
func States() []State { return []State{OnScheduled, OnStart, OnSuccess, OnFailed, OnCancelled} }

// String gives the name that definitions have for one change.
func (s State) String() string {
	switch s {
	case OnScheduled:
		return "onScheduled"
	case OnStart:
		return "onStart"
	case OnSuccess:
		return "onSuccess"
	case OnFailed:
		return "onFailed"
	case OnCancelled:
		return "onCancelled"
	}
	return ""
}

// StateEvent is one event of a step's onStateChange.
type StateEvent struct {
	On      State // the changes that it tells of
	Type    string
	Payload *expr.Template // nil when it has none
}

// maxStateEvents bounds the events of one step.
const maxStateEvents = 16

// stateEvents reads onStateChange: lists of events by names of changes, with commas
// between those. A name that is none of a change has no effect.
func (p *parser) stateEvents(s *step) {
	at := s.at.member("onStateChange")
	for names, list := range expr.Members(s.raw("onStateChange")) {
		var on State
		for name := range strings.SplitSeq(names, ",") {
			on |= stateOf(strings.Trim(name, " "))
		}
		at := at.member(names)
		switch kind := expr.KindOf(list); {
		case kind == expr.Null || on == 0:
			continue
		case kind != expr.Array:
			p.add(at, "found "+describe(list)+", allowed is a list of events")
			continue
		}
		i := 0
		for el := range expr.Elements(list) {
			p.stateEvent(s, at.element(i), on, el)
			i++
		}
	}
	if len(s.told) > maxStateEvents {
		p.add(at, "has "+strconv.Itoa(len(s.told))+" events; at most "+strconv.Itoa(maxStateEvents)+" are allowed")
	}
}

func (p *parser) stateEvent(s *step, at *place, on State, raw []byte) {
	rec := p.record(at, raw, stateEventFields)
	if expr.KindOf(raw) != expr.Map {
		return
	}
	if rec.text("type") == "" {
		p.add(at.member("type"), "must not be empty")
	}
	s.told = append(s.told, StateEvent{On: on, Type: rec.text("type"), Payload: p.template(at.member("payload"), rec.raw("payload"))})
}

func stateOf(name string) State {
	for _, s := range States() {
		if s.String() == name {
			return s
		}
	}
	return 0
}
