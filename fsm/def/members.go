package def

import (
	"strconv"

	"github.com/pawlhq/pawl/fsm/expr"
)

// MaxFork bounds the members of a dynamic fork.
const MaxFork = 100_000

// Members is what a dynamic fork starts, read from its input. Members that are alike
// share a node, so 100,000 of one kind make one; a member's reference name and input
// are its own. It keeps parts of the input that it is read from.
type Members struct {
	Plan *Plan // the nodes, each member a branch that comes to EndBranch
	list []member
}

// member is one step of the list.
type member struct {
	ref   string
	node  int32
	input []byte // its inputParameters as written, nil when it has none
	over  []byte // put over those, nil when there is nothing
	index int32  // its __index, -1 when it gets none
}

// Len returns the number of members.
func (m *Members) Len() int { return len(m.list) }

// Ref returns the reference name of member i.
func (m *Members) Ref(i int) string { return m.list[i].ref }

// Node returns the node of member i.
func (m *Members) Node(i int) int32 { return m.list[i].node }

// First returns the first member that has a node.
func (m *Members) First(node int32) int {
	for i := range m.list {
		if m.list[i].node == node {
			return i
		}
	}
	return -1
}

// Input returns the template of the input of member i. It is parsed anew at each call:
// a member's input is made once an attempt.
func (m *Members) Input(i int) (*expr.Template, error) {
	return expr.ParseTemplateAt("", m.rawInput(i))
}

func (m *Members) rawInput(i int) []byte {
	x := &m.list[i]
	in := x.input
	switch {
	case in == nil:
		in = []byte("{}")
	case expr.KindOf(in) != expr.Map: // an element of forkTaskInputs that is no object
		in = expr.SetKey([]byte("{}"), "input", in)
	}
	if x.over != nil {
		in = expr.Merge(in, x.over)
	}
	if x.index >= 0 {
		in = expr.SetKey(in, "__index", strconv.AppendInt(nil, int64(x.index), 10))
	}
	return in
}

// AppendDefinition appends member i as a step.
func (m *Members) AppendDefinition(dst []byte, i int) []byte {
	n := &m.Plan.Nodes[m.list[i].node]
	dst = expr.AppendString(append(dst, `{"name":`...), n.Name)
	dst = expr.AppendString(append(dst, `,"taskReferenceName":`...), m.list[i].ref)
	dst = expr.AppendString(append(dst, `,"type":`...), n.Type)
	dst = append(append(dst, `,"inputParameters":`...), m.rawInput(i)...)
	if n.Optional {
		dst = append(dst, `,"optional":true`...)
	}
	return append(dst, '}')
}

// Forked reads the members of the dynamic fork n of plan p, whose reference name is ref,
// from its evaluated input. prefixed puts the fork's name before those that are made up.
// failure says why there can be no members.
func Forked(p *Plan, n *Node, ref string, in []byte, prefixed bool) (m *Members, failure string) {
	f := &forker{ref: ref, optional: n.Optional, shapes: map[string]*step{}, parser: &parser{
		report: report{lenient: true}, byRef: map[string]*step{}, fragment: true, workflow: p.Name}}
	simple, given := expr.Get(in, "forkTaskInputs")
	given = given && expr.KindOf(simple) != expr.Null
	switch {
	case given && (expr.KindOf(simple) == expr.Array || n.TasksParam == "" && n.LegacyParam == ""):
		failure = f.alike(in, simple, prefixed)
	case n.LegacyParam != "":
		failure = f.legacy(in, n.LegacyParam)
	case n.TasksParam != "":
		failure = f.given(in, n.TasksParam, n.InputsParam)
	default:
		f.param = "forkTaskInputs"
		failure = f.invalid()
	}
	if failure != "" {
		return nil, failure
	}
	return f.finishMembers(p)
}

// forker reads one list of members.
type forker struct {
	*parser
	ref      string // of the fork
	optional bool
	shapes   map[string]*step // by what members that share a node have in common
	steps    []*step          // one for each node to be
	of       []*step          // of each member
	list     []member
	param    string // input that the list is in, and the list, for messages
	from     []byte
}

func (f *forker) invalid() string {
	return "Input '" + f.param + "' is invalid. Cannot deserialize a list of Workflow Tasks from '" + javaText(f.from) + "'"
}

// javaText is a value as Conductor prints it.
func javaText(raw []byte) string {
	b, err := expr.AppendText(nil, expr.Raw(raw), &expr.Budget{Steps: expr.MaxEvalSteps})
	if err != nil || raw == nil {
		return "null"
	}
	return clip(string(b))
}

// because is invalid, and the first thing that is wrong with a member.
func (f *forker) because(problems []Problem) string {
	return f.invalid() + ": " + problems[0].Path + ": " + problems[0].Message
}

func (f *forker) finishMembers(p *Plan) (*Members, string) {
	if len(f.problems) > 0 {
		return nil, f.because(f.problems)
	}
	plan, problems := f.finishFragment(&Plan{Name: p.Name, Version: p.Version, Rules: p.Rules}, branch{steps: f.steps})
	if plan == nil {
		return nil, f.because(problems)
	}
	for i, s := range f.of {
		f.list[i].node = s.node
	}
	return &Members{Plan: plan, list: f.list}, ""
}

// member adds a member made of the step that build writes; shape is what those that can
// share its node have in common. It gives a failure when there is no room.
func (f *forker) member(shape string, m member, build func() []byte) (failure string) {
	if len(f.list) == MaxFork {
		return "Input '" + f.param + "' is invalid. A dynamic fork may have at most " + strconv.Itoa(MaxFork) + " tasks"
	}
	s, ok := f.shapes[shape]
	if !ok {
		if f.count++; f.count > MaxNodes {
			return "Input '" + f.param + "' is invalid. More than " + strconv.Itoa(MaxNodes) + " of its tasks differ from each other"
		}
		s = f.step(rootField(f.param).element(len(f.list)), build())
		if len(f.problems) > 0 {
			return f.because(f.problems)
		}
		if shares(s.kind) {
			f.shapes[shape] = s
		}
		f.steps = append(f.steps, s)
	}
	f.of, f.list = append(f.of, s), append(f.list, m)
	return ""
}

// shares reports whether nodes of a kind hold nothing of a member's input, nor steps.
func shares(k Kind) bool {
	switch k {
	case Worker, Call, SubWorkflow, Wait, Human, Yield, SetVariable, Noop, Terminate, StartWorkflow, Dynamic,
		PullMessages, GetWorkflow, TerminateWorkflow, UpdateTask:
		return true
	}
	return false
}

// alike reads forkTaskInputs: one task for each of its elements.
func (f *forker) alike(in, inputs []byte, prefixed bool) string {
	f.param, f.from = "forkTaskInputs", inputs
	if expr.KindOf(inputs) != expr.Array {
		return f.invalid()
	}
	name, typ, flow := parameter(in, "forkTaskName"), parameter(in, "forkTaskType"), parameter(in, "forkTaskWorkflow")
	if typ == "" {
		typ = "SIMPLE"
	}
	if flow != "" {
		typ = "SUB_WORKFLOW"
	}
	if name == "" {
		if name = f.ref; typ != "SIMPLE" && flow == "" {
			name = typ
		}
	}
	prefix := "_" + name + "_"
	if prefixed {
		prefix = "_" + f.ref + prefix
	}
	sub := subParam(flow, in)
	common := written(name, typ, f.optional, sub)
	i := 0
	for el := range expr.Elements(inputs) {
		ref := prefix + strconv.Itoa(i)
		more := matching(el, typ, sub)
		build := func() []byte {
			b := expr.SetKey(common, "taskReferenceName", expr.AppendString(nil, ref))
			if expr.KindOf(el) == expr.Map {
				b = expr.SetKey(b, "inputParameters", el)
			}
			return expr.Merge(b, more)
		}
		if failure := f.member(string(more), member{ref: ref, input: el, index: int32(i)}, build); failure != "" {
			return failure
		}
		i++
	}
	return ""
}

// written is a step with what the members of a list have in common.
func written(name, typ string, optional bool, sub []byte) []byte {
	b := expr.SetKey([]byte("{}"), "name", expr.AppendString(nil, name))
	b = expr.SetKey(b, "type", expr.AppendString(nil, typ))
	if sub != nil {
		b = expr.SetKey(b, "subWorkflowParam", sub)
	}
	if optional {
		b = expr.SetKey(b, "optional", []byte("true"))
	}
	return b
}

func subParam(flow string, in []byte) []byte {
	if flow == "" {
		return nil
	}
	b := expr.SetKey([]byte("{}"), "name", expr.AppendString(nil, flow))
	if version, ok := expr.Get(in, "forkTaskWorkflowVersion"); ok && expr.KindOf(version) != expr.Null {
		b = expr.SetKey(b, "version", version)
	}
	return b
}

// matching is what an element of forkTaskInputs says of its task, as an object: fields
// that its type has, when their values fit; other values are just data.
func matching(el []byte, typ string, sub []byte) []byte {
	out := []byte("{}")
	if expr.KindOf(el) != expr.Map {
		return out
	}
	var quiet report
	for key, val := range expr.Members(el) {
		switch {
		case key == "taskToDomain" && sub != nil && expr.KindOf(val) == expr.Map:
			out = expr.SetKey(out, "subWorkflowParam", expr.SetKey(sub, key, val))
		case ofAnyStep(key), typ != "SIMPLE" && ofSomeSteps(key):
			if field, ok := known(stepFields, key); ok && expr.KindOf(val) != expr.Null && quiet.fits(nil, val, field.sort) {
				out = expr.SetKey(out, key, val)
			}
		}
	}
	return out
}

func ofAnyStep(key string) bool {
	switch key {
	case "optional", "permissive", "startDelay", "retryCount", "asyncComplete":
		return true
	}
	return false
}

func ofSomeSteps(key string) bool {
	switch key {
	case "decisionCases", "defaultCase", "forkTasks", "evaluatorType", "expression", "caseValueParam", "caseExpression",
		"loopCondition", "loopOver", "items", "sink", "subWorkflowParam", "dynamicTaskNameParam", "taskDefinition":
		return true
	}
	return false
}

// given reads a list of whole steps, and the inputs by reference name beside it.
func (f *forker) given(in []byte, tasksParam, inputsParam string) string {
	f.param = tasksParam
	f.from, _ = expr.Get(in, tasksParam)
	if expr.KindOf(f.from) != expr.Array {
		return f.invalid()
	}
	over, failure := overrides(in, inputsParam)
	if failure != "" {
		return failure
	}
	for el := range expr.Elements(f.from) {
		shape, m := shapeOf(el)
		if m.ref == "" {
			return f.invalid()
		}
		m.over = over[m.ref]
		build := func() []byte {
			if _, says := expr.Get(el, "optional"); f.optional && !says {
				return expr.SetKey(el, "optional", []byte("true"))
			}
			return el
		}
		if failure := f.member(shape, m, build); failure != "" {
			return failure
		}
	}
	return ""
}

// overrides reads the inputs that are given by reference name.
func overrides(in []byte, param string) (map[string][]byte, string) {
	const failure = "Input to the dynamically forked tasks is not a map -> expecting a map of K,V  but found "
	inputs, _ := expr.Get(in, param)
	if expr.KindOf(inputs) != expr.Map {
		return nil, failure + javaText(inputs)
	}
	over := make(map[string][]byte, expr.Count(inputs))
	for key, val := range expr.Members(inputs) {
		switch expr.KindOf(val) {
		case expr.Map:
			over[key] = val
		case expr.Null:
		default:
			return nil, failure + javaText(val)
		}
	}
	return over, ""
}

// shapeOf takes a step apart into what it may share and what is its own. What is no
// object has no reference name.
func shapeOf(el []byte) (shape string, m member) {
	m.index = -1
	var b []byte
	if expr.KindOf(el) != expr.Map {
		return "", m
	}
	for key, val := range expr.Members(el) {
		switch key {
		case "taskReferenceName":
			m.ref, _ = textOf(val)
		case "inputParameters":
			if expr.KindOf(val) == expr.Map {
				m.input = val
			}
		case "description", "metadata", "label":
		default:
			b = append(append(append(append(b, key...), ':'), val...), ',')
		}
	}
	return string(b), m
}

// legacy reads the oldest form: a list of tasks in Conductor's own words.
func (f *forker) legacy(in []byte, param string) string {
	f.param = param
	f.from, _ = expr.Get(in, param)
	tasks, _ := expr.Get(f.from, "dynamicTasks")
	if expr.KindOf(tasks) != expr.Array {
		return "Dynamic tasks could not be created. The value of '" + param + "' from task's input " + javaText(in) +
			" has no dynamic tasks to be scheduled"
	}
	for el := range expr.Elements(tasks) {
		name, typ, flow := parameter(el, "taskName"), parameter(el, "type"), parameter(el, "workflowName")
		m := member{ref: parameter(el, "referenceName"), index: -1}
		if m.ref == "" {
			return f.invalid()
		}
		switch {
		case flow != "":
			typ = "SUB_WORKFLOW"
		case typ == "":
			typ = "SIMPLE"
		}
		if input, ok := expr.Get(el, "input"); ok && expr.KindOf(input) == expr.Map {
			m.input = input
		}
		common := written(name, typ, f.optional, subParam(flow, nil))
		build := func() []byte {
			b := expr.SetKey(common, "taskReferenceName", expr.AppendString(nil, m.ref))
			if m.input != nil {
				b = expr.SetKey(b, "inputParameters", m.input)
			}
			return b
		}
		if failure := f.member(string(common), m, build); failure != "" {
			return failure
		}
	}
	return ""
}
