package transport

import (
	"context"
	"sync"

	"connectrpc.com/connect"

	"github.com/pawlhq/pawl/fsm"
	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

type sessionConn = connect.BidiStream[apiv1.SessionRequest, apiv1.SessionResponse]

// session is one busy client. The handler's goroutine reads, a second one writes.
type session struct {
	s    *Server
	conn *sessionConn
	box  *outbox[sessionAnswer]

	mu      sync.Mutex
	waiting map[*waiter]struct{} // to be taken out when the stream ends

	// The writer's own.
	answers  []sessionAnswer
	msg      apiv1.SessionResponse
	started  pool[apiv1.SessionStarted]
	ended    pool[apiv1.SessionEnded]
	position spelled[fsm.Position]
}

// sessionAnswer is the answer to a start, or the end of an execution.
type sessionAnswer struct {
	call uint64
	exec fsm.ExecID
	at   fsm.Position
	err  error
	// x is set when the execution has ended.
	x *fsm.ExecutionInfo
	// isEnd tells the two kinds apart also when err is set.
	isEnd bool
	// wait asks the writer to watch the execution that was started.
	wait     bool
	existing bool
}

// Session takes starts and waits until either side ends the stream.
func (x *executions) Session(ctx context.Context, conn *sessionConn) error {
	if x.s.isDraining() {
		return changeError(errDraining)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ss := &session{s: x.s, conn: conn, box: newOutbox[sessionAnswer](), waiting: make(map[*waiter]struct{})}
	var writer sync.WaitGroup
	writer.Go(func() {
		ss.write(ctx)
		cancel()
	})
	err := ss.read(ctx)
	ss.box.close()
	if err != nil {
		cancel()
	}
	writer.Wait()
	ss.forget()
	return err
}

// forget takes out what is still waited for.
func (ss *session) forget() {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for w := range ss.waiting {
		ss.s.waiters.remove(w)
	}
}

// read takes messages until the client closes its side, which gives nil.
func (ss *session) read(ctx context.Context) error {
	for {
		msg, err := ss.conn.Receive()
		if err != nil {
			return ignoreEOF(err)
		}
		calls := len(msg.Starts) + len(msg.Waits)
		if calls > maxBatch {
			return changeError(badField("starts", "at most 1000 starts and waits in one message"))
		}
		if err := ss.box.begin(ctx, calls); err != nil {
			return err
		}
		for _, st := range msg.Starts {
			ss.start(ctx, st)
		}
		for _, w := range msg.Waits {
			id, err := execID("executionId", w.ExecutionId)
			if err != nil {
				ss.box.put(sessionAnswer{call: w.Call, err: err, isEnd: true}, true)
				continue
			}
			ss.watch(ctx, w.Call, id, 0)
		}
	}
}

// start proposes a start. Its errors are answers.
func (ss *session) start(ctx context.Context, st *apiv1.SessionStart) {
	call, wait := st.Call, st.Wait
	refuse := func(err error) { ss.box.put(sessionAnswer{call: call, err: err}, true) }
	if st.Start == nil {
		refuse(badField("start", "required"))
		return
	}
	body, err := startBody(st.Start)
	if err != nil {
		refuse(err)
		return
	}
	id, err := RequestID(st.Start.RequestId)
	if err != nil {
		refuse(err)
		return
	}
	propose := func() {
		ss.s.async(&fsm.Command{RequestID: id, Body: body}, func(out fsm.Outcome, err error) {
			if err != nil {
				refuse(err)
				return
			}
			ss.box.put(sessionAnswer{
				call: call, exec: out.Result.Exec, at: out.Position, existing: out.Result.Repeated, wait: wait,
			}, !wait)
		})
	}
	if len(body.Definition) == 0 {
		propose()
		return
	}
	ss.s.background.Go(func() { // parsing takes another process
		if err := ss.s.parsed(ctx, body.Definition, true); err != nil {
			refuse(err)
			return
		}
		propose()
	})
}

// watch answers call when the execution has ended.
// The execution ran at index since; 0 when that is not known.
func (ss *session) watch(ctx context.Context, call uint64, id fsm.ExecID, since uint64) {
	w := &waiter{exec: id}
	w.ended = func(x *fsm.ExecutionInfo, at fsm.Position) {
		ss.mu.Lock()
		delete(ss.waiting, w)
		ss.mu.Unlock()
		ss.box.put(sessionAnswer{call: call, exec: id, at: at, x: x, isEnd: true}, true)
	}
	ss.mu.Lock()
	ss.waiting[w] = struct{}{}
	ss.mu.Unlock()
	known, err := ss.s.waiters.watch(ctx, w, since)
	if err != nil {
		ss.unwatch(w, call, err)
		return
	}
	if !known {
		// A start that another node answered may be ahead of this one.
		ss.s.background.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, defaultDeadline)
			defer cancel()
			if err := ss.s.waiters.mustExist(ctx, w); err != nil && ss.s.waiters.remove(w) {
				ss.unwatch(w, call, err)
			}
		})
	}
}

func (ss *session) unwatch(w *waiter, call uint64, err error) {
	ss.mu.Lock()
	delete(ss.waiting, w)
	ss.mu.Unlock()
	ss.box.put(sessionAnswer{call: call, exec: w.exec, err: err, isEnd: true}, true)
}

// write sends answers until the stream is done or broken.
func (ss *session) write(ctx context.Context) {
	if ss.conn.Send(nil) != nil { // the headers tell the client that it is connected
		return
	}
	draining := ss.s.draining
	for {
		goElsewhere := false
		select {
		case <-ss.box.wake:
		case <-draining:
			draining, goElsewhere = nil, true
		case <-ctx.Done():
			return
		}
		ss.box.gather()
		done := ss.fill(ctx, goElsewhere)
		if len(ss.msg.Started)+len(ss.msg.Ended) > 0 || goElsewhere {
			if ss.conn.Send(&ss.msg) != nil {
				return
			}
		}
		// A client that was sent elsewhere and has closed waits for nothing here.
		if done || (draining == nil && ss.box.isClosed()) {
			return
		}
	}
}

// fill makes the next message and reports whether it is the last.
func (ss *session) fill(ctx context.Context, goElsewhere bool) (done bool) {
	ss.answers, done = ss.box.take(ss.answers)
	ends := 0
	for i := range ss.answers {
		if ss.answers[i].isEnd {
			ends++
		}
	}
	ss.msg.Started = ss.started.get(len(ss.answers) - ends)
	ss.msg.Ended = ss.ended.get(ends)
	started, ended := ss.msg.Started, ss.msg.Ended
	for i := range ss.answers {
		a := &ss.answers[i]
		if a.isEnd {
			ss.fillEnded(ended[0], a)
			ended = ended[1:]
			continue
		}
		ss.fillStarted(started[0], a)
		started = started[1:]
		if a.wait {
			since := a.exec.Index()
			if a.existing {
				since = 0
			}
			ss.watch(ctx, a.call, a.exec, since)
		}
	}
	ss.msg.GoElsewhere = nil
	if goElsewhere {
		ss.msg.GoElsewhere = ss.s.elsewhere()
	}
	return done
}

func (ss *session) fillStarted(m *apiv1.SessionStarted, a *sessionAnswer) {
	m.Call, m.ExecutionId, m.Position, m.Existing, m.Error = a.call, "", "", a.existing, nil
	if a.err != nil {
		f := Describe(a.err)
		m.Error = f.Detail()
		return
	}
	m.ExecutionId = a.exec.String()
	m.Position = ss.position.spell(a.at, a.at.String)
}

func (ss *session) fillEnded(m *apiv1.SessionEnded, a *sessionAnswer) {
	m.Call, m.ExecutionId, m.Error = a.call, idText(a.exec), nil
	m.Status, m.Output, m.Reason, m.Position = 0, "", "", ""
	if a.err != nil {
		f := Describe(a.err)
		m.Error = f.Detail()
		return
	}
	m.Status = apiv1.Execution_Status(a.x.Status)
	m.Output = text(a.x.Output)
	m.Reason = validText(a.x.Reason)
	m.Position = ss.position.spell(a.at, a.at.String)
}
