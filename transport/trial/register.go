package trial

import (
	"strings"

	"github.com/pawlhq/pawl/fsm"
	"github.com/pawlhq/pawl/fsm/def"
)

const (
	// maxTypes and maxDefinitions bound what is taken over from a cluster. Definitions
	// that are named come first, so that the bound is met by none but names that are made
	// at run time.
	maxTypes       = 10_000
	maxDefinitions = 1000
)

// register makes the machine know what the trial brings along, and what the cluster has.
func (b *bench) register() error {
	for v := range b.Known.Environment() {
		b.do(&fsm.PutVariable{Name: v.Name, Value: v.Value})
	}
	types := 0
	for t := range b.Known.TaskTypes() {
		if types++; types > maxTypes {
			break
		}
		b.do(&fsm.PutTaskType{Source: t.Source})
	}
	var plans []*def.Plan
	for _, d := range b.Documents {
		var body fsm.Body = &fsm.PutTaskType{Source: d}
		workflow := def.Sniff(d) == def.ShapeWorkflow
		if workflow {
			body = &fsm.PutDefinition{Source: d}
		}
		if r := b.do(body); r.Rejection != nil {
			return r.Rejection
		}
		if p, _ := def.Compile(d); workflow && p != nil {
			plans = append(plans, p)
		}
	}
	w := wanted{b: b, have: map[string]bool{}}
	for _, p := range plans {
		w.have[p.Name] = true
	}
	w.want(b.Start.Name)
	for _, p := range plans {
		w.below(p)
	}
	w.rest()
	return nil
}

// wanted takes definitions over as others name them.
type wanted struct {
	b     *bench
	have  map[string]bool // by name: of those that are brought along no version is taken over
	count int
	open  bool // some name is made at run time
}

// want takes over all versions of a definition, and what they name.
func (w *wanted) want(name string) {
	if name == "" || w.have[name] || w.count >= maxDefinitions {
		return
	}
	w.have[name] = true
	for d := range w.b.Known.Definitions() {
		if d.Name == name {
			w.take(d)
		}
	}
}

func (w *wanted) take(d fsm.DefinitionInfo) {
	if w.count++; w.count > maxDefinitions {
		return
	}
	if r := w.b.do(&fsm.PutDefinition{Source: d.Source}); r.Rejection != nil {
		return // it was registered under rules of an older program
	}
	if p, problems := def.Compile(d.Source); len(problems) == 0 {
		w.below(p)
	}
}

// below takes over what the steps of a definition name.
func (w *wanted) below(p *def.Plan) {
	for i := range p.Nodes {
		n := &p.Nodes[i]
		switch {
		case n.Kind == def.StartWorkflow || n.SubName != nil && !n.SubName.Constant():
			w.open = true
		case n.SubName != nil && n.SubInline == nil:
			w.want(strings.Trim(string(n.SubName.Raw()), `"`))
		}
	}
}

// rest takes over the others, when any of them may be named.
func (w *wanted) rest() {
	if !w.open {
		return
	}
	for d := range w.b.Known.Definitions() {
		if !w.have[d.Name] {
			w.take(d)
		}
	}
}
