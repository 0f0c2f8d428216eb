package fsm

import (
	"slices"
	"strings"

	"github.com/pawlhq/pawl/fsm/def"
	"github.com/pawlhq/pawl/fsm/expr"
)

// MaxAgenda refuses starts while more background work than this waits.
const MaxAgenda = 100_000

func (s *State) startExecution(c *StartExecution) (Result, *Rejection) {
	if s.agenda.tree.Len() > MaxAgenda {
		return Result{}, reject(Exhausted, "too much unfinished background work: ask again later")
	}
	return s.startAsked(c)
}

// startAsked is startExecution for those who may start even while much waits: steps of
// executions that are there.
func (s *State) startAsked(c *StartExecution) (Result, *Rejection) {
	compiled, rej := s.planToStart(c)
	if rej != nil {
		return Result{}, rej
	}
	key := startKey{name: compiled.Name, key: c.Key}
	if c.Key != "" {
		if old, taken := s.keys.get(key); taken {
			if res, rej, anew := s.existing(c, old); !anew {
				return res, rej
			}
		}
	}
	p, x := s.intern(compiled), &execution{
		input: raw(c.Input), corr: c.Correlation, createdBy: c.CreatedBy, event: c.Event,
		key_: c.Key, priority: c.Priority, domains: slices.Clone(c.Domains),
	}
	if why := s.refusedByQuota(p, x); why != "" {
		return Result{}, reject(Exhausted, why)
	}
	e := s.addExecution(p, x)
	if c.Key != "" {
		s.keys.put(key, e.id)
	}
	s.beginExecution(e)
	return Result{Exec: e.id}, nil
}

// existing answers a start whose idempotency key is taken, unless the strategy lets
// the key name a new execution.
func (s *State) existing(c *StartExecution, old ExecID) (res Result, rej *Rejection, anew bool) {
	e, ok := s.executions.get(old)
	switch {
	case !ok:
		panic("fsm: key of an execution that is gone")
	case c.Strategy == ReturnExisting:
		return Result{Exec: old, Repeated: true, Index: old.Index()}, nil, false
	case c.Strategy == FailOnRunning && e.status.Terminal():
		return Result{}, nil, true
	}
	rej = reject(AlreadyExists, "an execution with this idempotency key exists: ", old.String())
	rej.Exec = old
	return Result{}, rej, false
}

func (s *State) planToStart(c *StartExecution) (*def.Plan, *Rejection) {
	if len(c.Definition) > 0 {
		compiled, problems := s.compileAsked(c.Definition, def.CompileInline)
		if compiled == nil {
			return nil, Invalid(problems)
		}
		return compiled, nil
	}
	d, ok := s.lookup(c.Name, c.Version)
	if !ok {
		return nil, reject(NoDefinition, noDefinition(c.Name, c.Version))
	}
	p, _ := s.plans.get(d.plan)
	return p.compiled, nil
}

func noDefinition(name string, version int32) string {
	text := "latest"
	if version != 0 {
		text = itoa(int64(version))
	}
	return join("No such workflow defined. name=", name, ", version=", text)
}

// withInputTemplate adds the definition's defaults to an input that is not empty.
func withInputTemplate(p *def.Plan, input Data) Data {
	if p.InputDefaults == nil || expr.Count(input.raw) == 0 {
		return input
	}
	return raw(expr.Merge(p.InputDefaults, input.raw))
}

// addExecution makes an execution of a plan and its index rows.
func (s *State) addExecution(p *plan, e *execution) *execution {
	if s.scratch.executions > maxIDOrdinal {
		panic("fsm: more executions in one entry than ids")
	}
	s.spend(1)
	e.id = newExecID(s.index, s.incarnation, s.scratch.executions)
	s.scratch.executions++
	e.plan, e.status = p.id, Running
	e.input = withInputTemplate(p.compiled, e.input)
	e.nextSerial, e.nextSeq = 1, 1
	e.created, e.updated = s.now, s.now
	e.variables = raw(p.compiled.Variables)
	s.plans.mut(p).refs++
	e = s.executions.insert(e)
	s.indexExecution(e)
	s.armExecution(e)
	s.emit(Event{Kind: ExecutionStarted, Exec: e.id, Ref: p.compiled.Name, Status: Running})
	return e
}

// beginExecution makes the first record of an execution and runs.
func (s *State) beginExecution(e *execution) {
	r := s.enter(e)
	if r.p.First == def.EndRoot {
		s.end(r, Completed, "No tasks found to be executed", ending{})
	} else {
		s.makeFirst(r)
	}
	s.leave(r)
}

func domainsOf(obj []byte) []Domain {
	var out []Domain
	for k, v := range expr.Members(obj) {
		if text, ok := expr.Unquote(v); ok {
			out = append(out, Domain{Type: k, Domain: text})
		}
	}
	slices.SortStableFunc(out, func(a, b Domain) int { return strings.Compare(a.Type, b.Type) })
	return out
}
