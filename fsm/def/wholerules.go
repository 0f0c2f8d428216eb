package def

// wholeRules checks what can only be said of a definition that has been read to its
// end.
func (p *parser) wholeRules() {
	for _, s := range p.all {
		switch s.typ {
		case "FORK_JOIN":
			p.followedByJoin(s)
		case "JOIN":
			p.joinRules(s)
		case "EXCLUSIVE_JOIN":
			p.known(s, "joinOn", s.joinOn)
			p.known(s, "defaultExclusiveJoinTask", s.fallbackOn)
		}
		if s.input != nil && !p.fragment && !p.sub {
			p.references(s)
		}
	}
}

// growing reports whether the definition has steps whose names are only known when it
// runs.
func (p *parser) growing() bool {
	for _, s := range p.all {
		if s.typ == "FORK_JOIN_DYNAMIC" {
			return true
		}
	}
	return false
}

func (p *parser) followedByJoin(s *step) {
	if s.after != nil && s.after.typ == "JOIN" || p.fragment && s.top {
		return
	}
	p.add(s.at, "Fork task definition is not followed by a join task.  Check the blueprint: "+clip(s.ref))
}

// joinRules resolves what a JOIN waits for. Without names it waits for the end
// of every branch of the FORK_JOIN before it.
func (p *parser) joinRules(s *step) {
	if s.before != nil && s.before.typ == "FORK_JOIN_DYNAMIC" {
		s.joinOn = nil // its members are only known when it runs
		return
	}
	if len(s.joinOn) == 0 && s.before != nil {
		for _, b := range s.before.forks {
			if n := len(b.steps); n > 0 && b.steps[n-1].ref != "" {
				s.joinOn = append(s.joinOn, b.steps[n-1].ref)
			}
		}
		return
	}
	p.known(s, "joinOn", s.joinOn)
}

// known checks that the names in a field of a join are those of other steps.
func (p *parser) known(s *step, field string, names []string) {
	for i, name := range names {
		at := s.at.member(field).element(i)
		switch other, ok := p.byRef[name]; {
		case !ok:
			p.add(at, field+" of "+clip(s.ref)+" names "+quote(name)+", which is no task of the definition")
		case other == s:
			p.add(at, field+" of "+clip(s.ref)+" names the JOIN itself")
		}
	}
}

// references checks that what a step reads is in the definition. Steps in nested lists
// may read the outputs of forked tasks, whose names no definition holds.
func (p *parser) references(s *step) {
	for _, ref := range s.input.Refs() {
		if ref.Root == "" || ref.Root == "workflow" || ref.Second == "" && (environmental(ref.Text) || !s.top) {
			continue
		}
		if _, ok := p.byRef[ref.Root]; ok || !s.top && p.growing() {
			continue
		}
		p.addUnder(s.at.member("inputParameters"), ref.At, "taskReferenceName: "+clip(ref.Root)+" for given task: "+clip(s.name)+
			" input value: ${"+clip(ref.Text)+"} of input parameter: "+clip(ref.At)+" is not defined in workflow definition.")
	}
}

// environmental reports whether a whole expression reads like the name of an
// environment variable. Conductor fills in those of its own process; here they
// are null, but for CPEWF_TASK_ID.
func environmental(name string) bool {
	for i := range len(name) {
		c := name[i]
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return name != ""
}
