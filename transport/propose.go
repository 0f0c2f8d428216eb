package transport

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/pawlhq/pawl/fsm"
	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

// change proposes body and gives the machine's answer. Its errors are ready for the
// client; a rejection is one.
func (s *Server) change(ctx context.Context, requestID string, body fsm.Body) (fsm.Outcome, error) {
	id, err := RequestID(requestID)
	if err != nil {
		return fsm.Outcome{}, changeError(err)
	}
	return s.submit(ctx, &fsm.Command{RequestID: id, Body: body})
}

// submit proposes c as change does.
func (s *Server) submit(ctx context.Context, c *fsm.Command) (fsm.Outcome, error) {
	if err := fsm.Validate(c); err != nil {
		return fsm.Outcome{}, changeError(clientFields(err))
	}
	out, err := s.propose(ctx, c)
	if err == nil && out.Result.Rejection != nil {
		err = out.Result.Rejection
	}
	if err != nil {
		return out, changeError(s.noted(clientFields(err)))
	}
	return out, nil
}

// fieldNames gives for fields of commands the fields of requests that they come from.
var fieldNames = map[string]string{
	"task":             "taskId",
	"items":            "taskId",
	"ids":              "executionIds",
	"task_input":       "taskInput",
	"workflow_input":   "workflowInput",
	"execution":        "executionId",
	"created_by":       "createdBy",
	"domains":          "taskToDomain",
	"callback_seconds": "callbackSeconds",
	"queue":            "name",
	"message":          "body",
}

// clientFields names the field at fault as the client knows it.
func clientFields(err error) error {
	var r *fsm.Rejection
	if !errors.As(err, &r) {
		return err
	}
	name, ok := fieldNames[r.Field]
	if !ok {
		return err
	}
	named := *r // the machine's own is shared
	named.Message = name + strings.TrimPrefix(r.Message, r.Field)
	named.Field = name
	return &named
}

// async proposes c without waiting and calls done exactly once, perhaps before it
// returns. A rejection comes as an error.
func (s *Server) async(c *fsm.Command, done func(fsm.Outcome, error)) {
	if err := fsm.Validate(c); err != nil {
		done(fsm.Outcome{}, clientFields(err))
		return
	}
	answer := func(out fsm.Outcome, err error) {
		if err == nil && out.Result.Rejection != nil {
			err = out.Result.Rejection
		}
		if err != nil {
			err = s.noted(clientFields(err))
		}
		done(out, err)
	}
	if s.proposeAsync != nil {
		s.proposeAsync.ProposeAsync(c, answer)
		return
	}
	s.background.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), defaultDeadline)
		defer cancel()
		answer(s.deps.Proposer.Propose(ctx, c))
	})
}

// noted logs err when its text will not be shown to the client.
func (s *Server) noted(err error) error {
	if f := Describe(err); f.Code == CodeInternal {
		s.deps.Log.Error("request failed", "err", err)
	}
	return err
}

// view gives the state that a read asks for, or an error that is ready for the client.
func (s *Server) view(ctx context.Context, r *apiv1.Read) (fsm.View, error) {
	stale := r.GetConsistency() == apiv1.Read_STALE
	switch c := r.GetConsistency(); {
	case c != apiv1.Read_LINEARIZABLE && !stale:
		return fsm.View{}, readError(badField("read.consistency", "not a known consistency"))
	case stale && r.GetAtLeast() != "":
		return fsm.View{}, readError(badField("read.atLeast", "cannot be combined with STALE"))
	case stale:
		v, _ := s.deps.Views.Stale()
		return v, nil
	case r.GetAtLeast() != "":
		return s.viewAt(ctx, "read.atLeast", r.GetAtLeast())
	}
	v, err := s.deps.Views.Linearizable(ctx)
	if err != nil {
		return v, readError(s.noted(err))
	}
	return v, nil
}

func (s *Server) viewAt(ctx context.Context, field, pos string) (fsm.View, error) {
	p, err := fsm.ParsePosition(pos)
	if err != nil {
		return fsm.View{}, readError(badField(field, "not a position that this API gave"))
	}
	v, err := s.deps.Views.AtLeast(ctx, p)
	if err != nil {
		return v, readError(s.noted(err))
	}
	return v, nil
}

// handBack returns leases that did not reach their worker, so that others need not
// wait for their response timeouts.
func (s *Server) handBack(ls []fsm.Leased) {
	for i := range ls {
		l := &ls[i]
		s.async(&fsm.Command{Body: &fsm.ReturnLease{Task: l.Task, Lease: l.Lease}}, func(_ fsm.Outcome, err error) {
			if err != nil {
				s.deps.Log.Debug("lease not returned", "task", l.Task.String(), "err", err)
			}
		})
	}
}

// restTime bounds the wait for leases that were offered when a worker left: they are
// granted within an entry, or come back at the next change of leader.
const restTime = 10 * time.Second

// handBackRest receives from a channel of leases until it is closed, and returns them
// all.
func (s *Server) handBackRest(leases <-chan fsm.Leased) {
	late := time.NewTimer(restTime)
	defer late.Stop()
	for {
		select {
		case l, ok := <-leases:
			if !ok {
				return
			}
			s.handBack([]fsm.Leased{l})
		case <-late.C:
			return
		}
	}
}

// within gives the time that a long poll may take: what the client asked for, less
// when its own deadline comes before, so that an empty answer still reaches it.
func within(ctx context.Context, millis int32) time.Duration {
	d := time.Duration(millis) * time.Millisecond
	if end, ok := ctx.Deadline(); ok {
		d = min(d, time.Until(end)-answerTime)
	}
	return max(d, 0)
}

// answerTime is kept for the answer of a long poll: what was offered to it before its
// end is waited for.
const answerTime = 300 * time.Millisecond
