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
		if _, ok := p.execs[e.Key()]; !ok && !e.Attached() {
			continue // a loop forgot its record at once: nothing says what it is called
		}
		if err := p.learn(v, e); err != nil {
			return err
		}
	}
	for _, e := range p.known() {
		if err := p.compareExec(v, e); err != nil {
			return err
		}
	}
	return nil
}

// known returns the executions of the model of which the machine's are known.
func (p *pair) known() []*model.Exec {
	return slices.DeleteFunc(slices.Clone(p.world.Execs()), func(e *model.Exec) bool { return p.execs[e.Key()].IsZero() })
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
		return fmt.Errorf("execution %q\nmachine %s %q\n  %s\nmodel   %s %q\n%s", e.Key(), have, p.keyed(got.Reason), p.lines(v, e), want, e.Reason, e)
	}
	records := e.Records()
	i := 0
	for got := range v.Tasks(p.execs[e.Key()], 0) {
		if got.Kind == "TERMINATE" { // nothing follows it: the flag says nothing
			records[i].Executed = got.Executed
		}
		have, want := p.machineRecord(got), p.modelRecord(records[i])
		if have != want || !p.sameReason(got.Reason, records[i].Reason) {
			return fmt.Errorf("record\nmachine %s %q\nmodel   %s %q\nmachine\n  %s\nmodel\n%s", have, p.keyed(got.Reason), want, records[i].Reason, p.lines(v, e), e)
		}
		i++
	}
	return nil
}

// lines writes the records that the machine has of an execution.
func (p *pair) lines(v fsm.View, e *model.Exec) string {
	var lines []string
	for t := range v.Tasks(p.execs[e.Key()], 0) {
		lines = append(lines, p.machineRecord(t))
	}
	return strings.Join(lines, "\n  ")
}

// learn maps the ids of an execution's records, and of what they started, to the
// keys of the model.
func (p *pair) learn(v fsm.View, e *model.Exec) error {
	id := p.execs[e.Key()]
	if old, ok := p.names[id.String()]; ok && old != e.Key() {
		return fmt.Errorf("execution %s of the model is %s of the machine", e.Key(), old)
	}
	p.names[id.String()] = e.Key()
	var seen []fsm.TaskInfo
	for t := range v.Tasks(id, 0) {
		seen = append(seen, t)
	}
	if len(seen) != len(e.Tasks()) {
		return fmt.Errorf("execution %q: machine\n  %s\nmodel\n%s", e.Key(), p.lines(v, e), e)
	}
	for i, t := range e.Tasks() {
		if old, ok := p.names[seen[i].ID.String()]; ok && old != t.Key() {
			return fmt.Errorf("record %s %s of the model is %s of the machine\n%s", t.Key(), t.Name(), old, e)
		}
		p.tasks[t.Key()] = seen[i].ID
		p.names[seen[i].ID.String()] = t.Key()
		if (t.Child != nil) != !seen[i].Child.IsZero() {
			return fmt.Errorf("record %s %s: machine has child %v, model %v\nmachine %s\n%s", t.Key(), t.Name(), seen[i].Child, t.Child != nil, p.lines(v, e), e)
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

// canonOutput leaves out what an EXCLUSIVE_JOIN shows that is open again: it has to find
// its output anew.
func (p *pair) canonOutput(kind, status string, b []byte) string {
	if kind == "EXCLUSIVE_JOIN" && status != "COMPLETED" {
		return "none yet"
	}
	return p.canon(b)
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

// parse reads an object, without the whole executions that failure workflows get and
// the words in which errors are told.
func parse(b []byte) map[string]any {
	v := map[string]any{}
	if len(b) == 0 {
		return v
	}
	defer strip(v)
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return map[string]any{"not JSON": string(b)}
	}
	return v
}

func strip(v any) {
	switch v := v.(type) {
	case map[string]any:
		delete(v, "failedWorkflow")
		if v["error"] != nil {
			v["error"] = "told"
		}
		if v["failureStatus"] != nil {
			v["reason"] = "told"
		}
		for _, inner := range v {
			strip(inner)
		}
	case []any:
		for _, inner := range v {
			strip(inner)
		}
	}
}

func canonAny(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
