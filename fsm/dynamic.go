package fsm

import (
	"github.com/pawlhq/pawl/fsm/def"
	"github.com/pawlhq/pawl/fsm/expr"
)

// resolve turns a DYNAMIC step that is to be made into what its input names. It reports
// false when the execution has ended instead.
func (s *State) resolve(r *run, st *step, n *def.Node) (*def.Node, bool) {
	name, in := s.dynamicName(r, st, n)
	if name == "" {
		s.end(r, Failed, join("Cannot map a dynamic task based on the parameter and input. Parameter= ", n.Param, ", input= ", in), ending{})
		return nil, false
	}
	plan := s.planFor(r.e, st.node)
	compiled := def.Resolve(plan, n, name)
	if compiled == nil {
		s.end(r, Failed, join("A dynamic task cannot be of the type ", cut(name), ". Parameter= ", n.Param), ending{})
		return nil, false
	}
	st.resolved = &fragment{name: name, of: st.node, compiled: compiled}
	return &compiled.Nodes[0], true
}

// dynamicName is the task that the input of a DYNAMIC step names, empty when it names
// none; and the input as Conductor prints it.
func (s *State) dynamicName(r *run, st *step, n *def.Node) (name, shown string) {
	if r.as != nil && r.as.name != "" {
		return r.as.name, ""
	}
	var in []byte
	t := &task{id: TaskID{Exec: r.e.id, Serial: r.e.nextSerial}, node: st.node, member: st.member}
	tmpl, err := s.inputTemplate(r.e, t, n)
	if err == nil {
		in, err = s.evaluate(r.e, t, tmpl)
	}
	if err != nil {
		return "", err.Error()
	}
	budget := expr.Budget{Steps: expr.MaxEvalSteps}
	text, err := expr.AppendText(nil, expr.Raw(in), &budget)
	if err != nil {
		return "", err.Error()
	}
	v, ok := expr.Get(in, n.Param)
	if !ok || expr.KindOf(v) == expr.Null {
		return "", string(text)
	}
	value, err := expr.AppendText(nil, expr.Raw(v), &budget)
	if err != nil || len(value) > MaxName {
		return "", string(text)
	}
	return string(value), string(text)
}
