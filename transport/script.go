package transport

import (
	"context"
	"time"

	"github.com/pawlhq/pawl/fsm"
	"github.com/pawlhq/pawl/fsm/def"
)

// scriptsWithin bounds how long the sources of one definition are looked at: all that
// fit one request are parsed in a fraction of it.
const scriptsWithin = 10 * time.Second

// faults finds what no engine can parse in a definition. An error says that it is not
// known; asking again may tell.
func (s *Server) faults(ctx context.Context, source []byte) ([]def.Problem, error) {
	programs := def.ShapeWorkflow.Programs(source)
	if len(programs) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, scriptsWithin)
	defer cancel()
	found, err := s.deps.Scripts.Check(ctx, programs)
	if err != nil {
		s.deps.Log.Warn("scripts not checked", "err", err)
		return nil, &fsm.OverloadedError{Reason: "the scripts of the definition cannot be checked", RetryAfter: retrySoon}
	}
	return found, nil
}

// parsed refuses a definition with sources that no engine can parse, which the machine
// would take; everything else that is wrong is told beside them.
func (s *Server) parsed(ctx context.Context, source []byte, mayBeEmpty bool) error {
	found, err := s.faults(ctx, source)
	if err != nil || len(found) == 0 {
		return err
	}
	v, _ := s.deps.Views.Stale()
	_, problems := v.Compile(source, mayBeEmpty)
	return fsm.Invalid(append(problems, found...))
}
