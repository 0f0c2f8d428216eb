package transport

import (
	"context"
	"strings"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

const (
	// busyTime bounds how long a change is asked for again while the machine works off an
	// earlier one of the same execution: with its quanta, hundreds of thousands of records.
	busyTime = 5 * time.Second
	// busyFirst and busyMost bound the pauses between.
	busyFirst = 20 * time.Millisecond
	busyMost  = 500 * time.Millisecond
)

// patience is how long one call has waited for the machine. The zero value has not.
type patience struct{ waited, next time.Duration }

// pause waits before another try and reports whether there is to be one: not when the
// time is up, the caller has gone or the node is about to stop.
func (s *Server) pause(ctx context.Context, p *patience) bool {
	p.next = min(max(2*p.next, busyFirst), busyMost, busyTime-p.waited)
	if p.next <= 0 {
		return false
	}
	select {
	case <-s.deps.After(p.next):
		p.waited += p.next
		return true
	case <-ctx.Done():
	case <-s.draining:
	}
	return false
}

// lost tells what kept the machine busy to a caller whose patience is over.
func (p *patience) lost(message string) string {
	return strings.TrimSuffix(message, ": ask again shortly") + ", and still is after " + p.waited.String() + " of further tries: ask again later"
}

func isBusy(r *fsm.Rejection) bool { return r != nil && r.Code == fsm.Busy }

// propose gives the machine's answer to c. While the machine is busy with what c names it
// asks again: such an answer has left no trace, so the request id is as good as new.
func (s *Server) propose(ctx context.Context, c *fsm.Command) (fsm.Outcome, error) {
	var p patience
	for {
		out, err := s.deps.Proposer.Propose(ctx, c)
		if err != nil || !isBusy(out.Result.Rejection) {
			return out, err
		}
		if !s.pause(ctx, &p) {
			told := *out.Result.Rejection // the machine's own is shared
			told.Message = p.lost(told.Message)
			out.Result.Rejection = &told
			return out, nil
		}
	}
}
