package builtin

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/pawlhq/pawl/fsm"
	"github.com/pawlhq/pawl/fsm/def"
)

// maxFaults bounds the problems of one Check: nobody reads more before mending these.
const maxFaults = 100

// Check finds the programs that their engines cannot parse, in the order given, the
// first hundred at most. What the children can do at once they do at once. An error
// says that it is not known: ctx has ended, or it is one that Evaluate has.
func (p *Pool) Check(ctx context.Context, programs []def.Program) ([]def.Problem, error) {
	faults := make([]string, len(programs))
	errs := make([]error, len(programs))
	var next, found atomic.Int64
	var judges sync.WaitGroup
	for range min(p.Children(), len(programs)) {
		judges.Go(func() {
			for found.Load() < maxFaults {
				i := int(next.Add(1)) - 1
				if i >= len(programs) {
					return
				}
				if faults[i], errs[i] = p.parse(ctx, &programs[i]); errs[i] != nil {
					return
				}
				if faults[i] != "" {
					found.Add(1)
				}
			}
		})
	}
	judges.Wait()
	var out []def.Problem
	for i := range programs {
		if errs[i] != nil {
			return nil, fmt.Errorf("parse %s: %w", programs[i].Path, errs[i])
		}
		if faults[i] != "" && len(out) < maxFaults {
			out = append(out, programs[i].Problem(faults[i]))
		}
	}
	return out, nil
}

// parse says why a program cannot be parsed, nothing when it can.
func (p *Pool) parse(ctx context.Context, x *def.Program) (fault string, err error) {
	o, err := p.ask(ctx, &request{Job: Job{Language: x.Language, Function: x.Function, Source: x.Source}, Check: true, Limit: p.limit})
	switch {
	case err != nil || o.Failure == fsm.JobDone:
		return "", err
	case o.Line == 0:
		return o.Message, nil
	}
	return fmt.Sprintf("%s at line %d", o.Message, o.Line), nil
}
