package fsm

import (
	"bytes"

	"github.com/pawlhq/pawl/fsm/def"
)

// Invalid turns the problems of a document into a rejection.
func Invalid(problems []def.Problem) *Rejection {
	r := reject(InvalidDefinition, "the definition is not valid")
	for _, p := range problems {
		r.Problems = append(r.Problems, Problem(p))
	}
	return r
}

// lookup finds a registered version; 0 means the highest.
func (s *State) lookup(name string, version int32) (*definition, bool) {
	if version > 0 {
		return s.definitions.get(definitionKey{name: name, version: version})
	}
	for k, d := range s.definitions.tree.Before(definitionKey{name: name, version: 1<<31 - 1}) {
		return d, k.name == name
	}
	return nil, false
}

// intern gives the plan of some bytes, which all that have them share.
func (s *State) intern(compiled *def.Plan) *plan {
	h := rowHash(compiled.Source)
	if p, ok := s.plans.get(s.planIDs[h]); ok && bytes.Equal(p.source.raw, compiled.Source) {
		return p
	}
	s.nextPlan++
	p := s.plans.insert(&plan{id: s.nextPlan, source: raw(compiled.Source), compiled: compiled})
	s.planIDs[h] = p.id
	return p
}

// release gives up one use of a plan, and the plan with the last.
func (s *State) release(id planID) {
	p, ok := s.plans.get(id)
	if !ok {
		panic("fsm: released a plan that is gone")
	}
	p = s.plans.mut(p)
	p.refs--
	if p.refs == 0 {
		s.plans.remove(p)
	}
}

// compileAsked compiles a definition and checks what its steps leave to task types.
func (s *State) compileAsked(source []byte, compile func([]byte) (*def.Plan, []def.Problem)) (*def.Plan, []def.Problem) {
	compiled, problems := compile(source)
	if compiled == nil {
		return nil, problems
	}
	for _, a := range compiled.Asks {
		if t, ok := s.taskTypes.get(a.Name); !ok || !a.Given(t.parsed) {
			problems = append(problems, a.Problem)
		}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return compiled, nil
}

// Compile compiles a definition as PutDefinition would as of the View, or as
// StartExecution with mayBeEmpty. It gives the plan or everything that is wrong.
func (v View) Compile(source []byte, mayBeEmpty bool) (*def.Plan, []def.Problem) {
	compile := def.Compile
	if mayBeEmpty {
		compile = def.CompileInline
	}
	if v.s == nil {
		v.s = New(0)
	}
	return v.s.compileAsked(source, compile)
}

func (s *State) putDefinition(c *PutDefinition) (Result, *Rejection) {
	compiled, problems := s.compileAsked(c.Source, def.Compile)
	if compiled == nil {
		return Result{}, Invalid(problems)
	}
	key := definitionKey{name: compiled.Name, version: compiled.Version}
	old, exists := s.definitions.get(key)
	if exists {
		p, _ := s.plans.get(old.plan)
		if bytes.Equal(p.source.raw, compiled.Source) {
			return Result{Version: key.version, Repeated: true}, nil
		}
		if !c.Overwrite {
			return Result{}, reject(AlreadyExists, "Workflow with ", key.name, ".", itoa(int64(key.version)), " already exists!")
		}
	}
	p := s.intern(compiled)
	s.plans.mut(p).refs++
	if exists {
		s.release(old.plan)
		d := s.definitions.mut(old)
		d.plan, d.updated = p.id, s.now
	} else {
		s.definitions.insert(&definition{name: key.name, version: key.version, plan: p.id, created: s.now, updated: s.now})
	}
	s.out.Defined = append(s.out.Defined, s.hintOf(key, compiled.Reach))
	s.retuneQuota(key.name)
	s.emit(Event{Kind: DefinitionPut, Ref: key.name})
	return Result{Version: key.version}, nil
}

func (s *State) hintOf(key definitionKey, reach []string) DefinitionHint {
	latest, ok := s.lookup(key.name, 0)
	h := DefinitionHint{Name: key.name, Version: key.version, Latest: ok && latest.version == key.version}
	for _, t := range reach {
		h.Queues = append(h.Queues, Queue(t))
	}
	return h
}

func (s *State) deleteDefinition(c *DeleteDefinition) (Result, *Rejection) {
	key := definitionKey{name: c.Name, version: c.Version}
	d, ok := s.definitions.get(key)
	if !ok {
		return Result{}, notFound("No such workflow definition: ", c.Name, " version: ", itoa(int64(c.Version)))
	}
	s.release(d.plan)
	s.definitions.remove(d)
	s.out.Defined = append(s.out.Defined, DefinitionHint{Name: c.Name, Version: c.Version})
	if next, left := s.lookup(c.Name, 0); left {
		p, _ := s.plans.get(next.plan)
		s.out.Defined = append(s.out.Defined, s.hintOf(next.key(), p.compiled.Reach))
	}
	s.retuneQuota(c.Name)
	s.emit(Event{Kind: DefinitionDeleted, Ref: c.Name})
	return Result{Version: c.Version}, nil
}

func (s *State) putTaskType(c *PutTaskType) (Result, *Rejection) {
	parsed, problems := def.ParseTaskType(c.Source)
	if parsed == nil {
		return Result{}, Invalid(problems)
	}
	if old, ok := s.taskTypes.get(parsed.Name); ok {
		t := s.taskTypes.mut(old)
		t.parsed, t.updated = parsed, s.now
	} else {
		s.taskTypes.insert(&taskType{name: parsed.Name, parsed: parsed, created: s.now, updated: s.now})
	}
	s.retune(parsed.Name)
	s.emit(Event{Kind: TaskTypePut, Ref: parsed.Name})
	return Result{}, nil
}

func (s *State) deleteTaskType(c *DeleteTaskType) (Result, *Rejection) {
	t, ok := s.taskTypes.get(c.Name)
	if !ok {
		return Result{}, notFound("No such task definition: ", c.Name)
	}
	s.taskTypes.remove(t)
	s.retune(c.Name)
	s.emit(Event{Kind: TaskTypeDeleted, Ref: c.Name})
	return Result{}, nil
}
