package fsm_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pawlhq/pawl/fsm"
	"github.com/pawlhq/pawl/jepsen/model"
)

// compare compares everything that can be seen of both sides.
func (p *pair) compare() error {
	if p.fault != nil {
		return p.fault
	}
	if err := p.state.Verify(fsm.Full); err != nil {
		return err
	}
	v := p.state.View()
	for _, e := range p.world.Execs() {
		if p.lost(e) {
			continue
		}
		if err := p.learn(v, e); err != nil {
			return err
		}
	}
	for _, e := range p.world.Execs() {
		if p.lost(e) {
			continue
		}
		if err := p.compareExec(v, e); err != nil {
			return err
		}
	}
	return nil
}

// lost says that no record tells which execution of the machine e is: the one that
// started it was dropped in the step that made it.
func (p *pair) lost(e *model.Exec) bool {
	if _, known := p.execs[e.Key()]; known {
		return false
	}
	parent, recorded := e.Parent()
	return parent != nil && (!recorded || p.lost(parent))
}

func (p *pair) compareExec(v fsm.View, e *model.Exec) error {
	got, ok := v.Execution(p.execs[e.Key()])
	if !ok {
		return fmt.Errorf("execution %s is gone", e.Key())
	}
	have := fmt.Sprintf("%s out=%s variables=%s failed=%v", got.Status, p.canon(got.Output), p.canon(got.Variables),
		slices.Sorted(slices.Values(got.FailedRefs)))
	want := fmt.Sprintf("%s out=%s variables=%s failed=%v", e.Status, p.canon([]byte(canonAny(e.Output))), e.Variables(), e.Failed())
	if have != want || !p.sameReason(got.Reason, e.Reason) {
		return fmt.Errorf("execution %q\nmachine %s %q\nmodel   %s %q\n%s", e.Key(), have, p.keyed(got.Reason), want, e.Reason, e)
	}
	records := e.Records()
	i := 0
	for got := range v.Tasks(p.execs[e.Key()], 0) {
		if got.Kind == "TERMINATE" { // nothing follows it: the flag says nothing
			records[i].Executed = got.Executed
		}
		have, want := p.machineRecord(got), p.modelRecord(records[i])
		if have != want || !p.sameReason(got.Reason, records[i].Reason) {
			return fmt.Errorf("record\nmachine %s %q\nmodel   %s %q\n%s", have, p.keyed(got.Reason), want, records[i].Reason, e)
		}
		i++
	}
	return nil
}

// learn maps the ids of an execution's records, and of what they started, to the
// keys of the model.
func (p *pair) learn(v fsm.View, e *model.Exec) error {
	id := p.execs[e.Key()]
	p.names[id.String()] = e.Key()
	var seen []fsm.TaskInfo
	for t := range v.Tasks(id, 0) {
		seen = append(seen, t)
	}
	if len(seen) != len(e.Tasks()) {
		var names []string
		for _, t := range seen {
			names = append(names, fmt.Sprintf("%d %s %s", t.Seq, t.Ref, t.Status))
		}
		return fmt.Errorf("execution %q: machine has %d records %v, model\n%s", e.Key(), len(seen), names, e)
	}
	for i, t := range e.Tasks() {
		p.tasks[t.Key()] = seen[i].ID
		p.names[seen[i].ID.String()] = t.Key()
		if (t.Child != nil) != !seen[i].Child.IsZero() {
			return fmt.Errorf("record %s %s: machine has child %v, model %v\n%s", t.Key(), t.Name(), seen[i].Child, t.Child != nil, e)
		}
		if t.Child != nil {
			p.execs[t.Child.Key()] = seen[i].Child
		}
		if t.Started != nil {
			p.know(t.Started.Key(), parse(seen[i].Output)["workflowId"])
		}
	}
	if f, ok := e.Output[failureKey].(string); ok {
		if got, ok := v.Execution(id); ok && strings.HasPrefix(f, "e") {
			p.know(f, parse(got.Output)[failureKey])
		}
	}
	return nil
}

const failureKey = "conductor.failure_workflow"

func (p *pair) know(key string, id any) {
	if parsed, err := fsm.ParseExecID(fmt.Sprint(id)); err == nil {
		p.execs[key] = parsed
	}
}

var idForm = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// keyed writes the keys of the model for the ids of the machine.
func (p *pair) keyed(s string) string {
	return idForm.ReplaceAllStringFunc(s, func(id string) string {
		if key, ok := p.names[id]; ok {
			return key
		}
		return id
	})
}

func (p *pair) machineRecord(t fsm.TaskInfo) string {
	of := "none"
	if !t.RetriedOf.IsZero() {
		of = p.names[t.RetriedOf.String()]
	}
	child := ""
	if !t.Child.IsZero() {
		child = p.names[t.Child.String()]
	}
	return fmt.Sprintf("%d %s %s type=%s retry=%d of=%s retried=%v executed=%v iteration=%d child=%s in=%s out=%s",
		t.Seq, t.Ref, t.Status, t.Type, t.Retry, of, t.Retried, t.Executed, t.Iteration, child,
		p.canonInput(t.Kind, t.Input), p.canonOutput(t.Kind, t.Status.String(), t.Output))
}

func (p *pair) modelRecord(r model.Record) string {
	return fmt.Sprintf("%d %s %s type=%s retry=%d of=%s retried=%v executed=%v iteration=%d child=%s in=%s out=%s",
		r.Seq, r.Ref, r.Status, r.Type, r.Retry, r.RetriedOf, r.Retried, r.Executed, r.Iteration, r.Child,
		p.canonInput(r.Kind, []byte(r.Input)), p.canonOutput(r.Kind, r.Status, []byte(r.Output)))
}

// canonOutput leaves out what outputs that are made of others show before they are
// complete, and how errors are told.
func (p *pair) canonOutput(kind, status string, b []byte) string {
	v := parse(b)
	switch kind {
	case "DO_WHILE":
		if status != "COMPLETED" {
			return fmt.Sprint("iteration ", v["iteration"])
		}
	case "INLINE", "LAMBDA", "JSON_JQ_TRANSFORM":
		if v["error"] != nil {
			v["error"] = "told"
		}
	}
	return p.keyed(canonAny(v))
}

// sameReason compares reasons. The machine cuts long ones, and its ids are longer
// than the model's keys; how allowed errors are told is not compared. What begins
// with ~ in the model is only a part of the reason.
func (p *pair) sameReason(machine, model string) bool {
	short := p.keyed(machine)
	if i := strings.Index(model, "~"); i >= 0 {
		part, _, _ := strings.Cut(model[i+1:], "'")
		return strings.HasPrefix(short, model[:i]) && strings.Contains(short, part)
	}
	if strings.Contains(machine, "completed with errors") {
		return true
	}
	if len(machine) > fsm.MaxReason-4 {
		return strings.HasPrefix(model, short[:len(short)-40])
	}
	return short == model
}

// canonInput leaves out what the server adds to inputs beyond the description of
// the language.
func (p *pair) canonInput(kind string, b []byte) string {
	v := parse(b)
	switch kind {
	case "JOIN", "EXCLUSIVE_JOIN":
		delete(v, "joinOn")
		delete(v, "defaultExclusiveJoinTask")
	case "FORK_JOIN_DYNAMIC":
		delete(v, "forkedTaskDefs")
	case "SUB_WORKFLOW":
		if given, ok := v["workflowInput"].(map[string]any); ok { // once it has started
			v = given
		}
	}
	return p.keyed(canonAny(v))
}

func (p *pair) canon(b []byte) string {
	v := parse(b)
	if f, ok := v[failureKey].(string); ok && strings.Contains(f, "Error workflow") {
		v[failureKey] = "told"
	}
	return p.keyed(canonAny(v))
}

func parse(b []byte) map[string]any {
	v := map[string]any{}
	if len(b) == 0 {
		return v
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return map[string]any{"not JSON": string(b)}
	}
	return v
}

func canonAny(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
