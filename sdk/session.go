package pawl

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect"

	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

const (
	// maxPending bounds the executions of a session that have not ended. A node reads
	// no further at 10,000.
	maxPending = 8000
	// maxBatch and batchBytes bound one message to a node.
	maxBatch   = 1000
	batchBytes = 1 << 20
	// reconnectFirst and reconnectMost bound the pauses between streams: the first
	// comes back before an election is over, the last spares a cluster that is down.
	reconnectFirst = 20 * time.Millisecond
	reconnectMost  = 2 * time.Second
	// closeTime bounds the wait for the node to close its side of a stream.
	closeTime = 2 * time.Second
)

var errSessionClosed = errors.New("session closed")

// Session starts many executions over one stream and waits for their ends. It is for
// clients that start hundreds a second; others use Definition. It is safe for
// concurrent use and outlives nodes: after a break it connects again and repeats what
// is unanswered, which happens once all the same.
type Session struct {
	client *Client
	cancel context.CancelFunc
	done   chan struct{} // closed when the session is over
	room   chan struct{} // a token for each pending execution
	wake   chan struct{} // there is something to send

	mu      sync.Mutex
	pending map[uint64]*Pending
	queue   []*Pending // to send on this stream
	last    uint64     // call number
	closing bool       // no more starts
	err     error      // set when the session is over
}

// Pending is an execution that a Session started. Its methods are safe for concurrent
// use.
type Pending struct {
	call  uint64
	start *apiv1.StartExecutionRequest
	since time.Time

	started chan struct{} // closed when begun or err is set
	ended   chan struct{} // closed when end or endErr is set

	// Set before started is closed.
	begun Started
	err   error
	// Set before ended is closed.
	end    Ended
	endErr error

	// Guarded by the session's mutex.
	isStarted bool
	queued    bool // in the session's queue
	sent      bool // unanswered on this stream
	pause     backoff
}

// Started tells of the start of an execution.
type Started struct {
	ID string
	At Position
	// Existing says that the execution was there before: its key had been used.
	Existing bool
}

// Ended tells of the end of an execution.
type Ended struct {
	ID     string
	Status Status
	Output []byte // JSON object
	Reason string
	At     Position
}

// Session opens a session. It is over when ctx ends or Close has returned.
func (c *Client) Session(ctx context.Context) (*Session, error) {
	if err := c.locate(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &Session{
		client: c, cancel: cancel,
		done: make(chan struct{}), room: make(chan struct{}, maxPending), wake: make(chan struct{}, 1),
		pending: make(map[uint64]*Pending),
	}
	go s.run(ctx)
	return s, nil
}

// Start asks for an execution and returns without waiting for the answer. input is a
// JSON object; empty is {}. It waits for room while 8,000 executions are pending.
func (s *Session) Start(ctx context.Context, name string, version int, input []byte, opts ...StartOption) (*Pending, error) {
	req := startRequest(name, version, validText(string(input)), opts)
	if req.RequestId == "" {
		req.RequestId = rand.Text()
	}
	select {
	case s.room <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.done:
		return nil, s.over()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing || s.err != nil {
		<-s.room
		return nil, cmp.Or(s.err, errSessionClosed)
	}
	s.last++
	p := &Pending{
		call: s.last, start: req, since: time.Now(),
		started: make(chan struct{}), ended: make(chan struct{}),
		pause: backoff{first: pauseFirst, most: pauseMost},
	}
	s.pending[p.call] = p
	s.queueLocked(p)
	return p, nil
}

// Close waits until everything pending has ended, or ctx has, and ends the session.
// What is pending then fails: it may run, and its end is not told.
func (s *Session) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	token(s.wake)
	var err error
	select {
	case <-s.done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.cancel()
	<-s.done
	return err
}

func (s *Session) over() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// RequestID gives the id that makes the start repeatable.
func (p *Pending) RequestID() string { return p.start.RequestId }

// Started waits for the answer to the start.
func (p *Pending) Started(ctx context.Context) (Started, error) {
	select {
	case <-p.started:
		return p.begun, p.err
	case <-ctx.Done():
		return Started{}, ctx.Err()
	}
}

// Ended waits for the end of the execution, whatever it is: the status tells. It fails
// as Started when the execution was not started.
func (p *Pending) Ended(ctx context.Context) (Ended, error) {
	select {
	case <-p.ended:
		return p.end, p.endErr
	case <-ctx.Done():
		return Ended{}, ctx.Err()
	}
}

// run keeps the session connected until it is over.
func (s *Session) run(ctx context.Context) {
	defer close(s.done)
	defer s.fail(ctx)
	pause := backoff{first: reconnectFirst, most: reconnectMost}
	for ctx.Err() == nil && !s.finished() {
		if s.client.locate(ctx) == nil {
			began := time.Now()
			err := s.serve(ctx)
			if time.Since(began) > reconnectMost {
				pause.reset()
			}
			if err != nil && ctx.Err() == nil {
				s.client.log.Warn("session broken", "err", err)
			}
		}
		if s.finished() || sleep(ctx, pause.next(0)) != nil {
			return
		}
	}
}

// finished reports whether a session that takes no more starts has none pending.
func (s *Session) finished() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing && len(s.pending) == 0
}

// fail ends the session for all that is pending.
func (s *Session) fail(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = cmp.Or(context.Cause(ctx), errSessionClosed)
	for _, p := range s.pending {
		// Whether it was sent or not: a stream before may have carried it.
		s.settleLocked(p, gaveUp(ctx, &Error{Code: codeUnreachable, Message: "session over"}, true))
	}
}

type sessionConn = connect.BidiStreamForClientSimple[apiv1.SessionRequest, apiv1.SessionResponse]

// serve sends and receives on one stream until it ends.
func (s *Session) serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, err := s.client.executions.Session(ctx)
	if err != nil {
		return err
	}
	s.again()
	ended := make(chan error, 1)
	var receiver sync.WaitGroup
	receiver.Go(func() { ended <- s.receive(conn) })
	err = s.send(conn, ended)
	cancel()
	receiver.Wait()
	if errors.Is(err, io.EOF) || errors.Is(err, errElsewhere) {
		return nil
	}
	return err
}

// errElsewhere ends the use of a stream whose node is about to stop.
var errElsewhere = errors.New("the node is about to stop")

// again queues everything that has no answer: a new stream knows nothing of it.
func (s *Session) again() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = s.queue[:0]
	for _, p := range s.pending {
		p.sent, p.queued = false, true
		s.queue = append(s.queue, p)
	}
	slices.SortFunc(s.queue, func(a, b *Pending) int { return cmp.Compare(a.call, b.call) })
	token(s.wake)
}

// send sends until the session is finished or the stream has ended, and gives the error
// of the stream's end.
func (s *Session) send(conn *sessionConn, ended <-chan error) error {
	for {
		select {
		case <-s.wake:
		case err := <-ended:
			return err
		}
		for {
			msg, more := s.next()
			if msg == nil {
				break
			}
			if conn.Send(msg) != nil {
				return late(ended) // Receive has the reason
			}
			if !more {
				break
			}
		}
		if s.finished() {
			_ = conn.CloseRequest() // the stream has nothing left to lose
			return late(ended)
		}
	}
}

// late waits for the end of a stream that is about to end.
func late(ended <-chan error) error {
	t := time.NewTimer(closeTime)
	defer t.Stop()
	select {
	case err := <-ended:
		return err
	case <-t.C:
		return errors.New("the node does not close the stream")
	}
}

// next takes the next message from the queue, nil when there is none.
func (s *Session) next() (msg *apiv1.SessionRequest, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	size, n := 0, 0
	for _, p := range s.queue {
		if n == maxBatch || size > batchBytes {
			break
		}
		n++
		p.queued = false
		if s.pending[p.call] != p || s.tooLateLocked(p) {
			continue
		}
		if msg == nil {
			msg = new(apiv1.SessionRequest)
		}
		p.sent = true
		if p.isStarted {
			msg.Waits = append(msg.Waits, &apiv1.SessionWait{Call: p.call, ExecutionId: p.begun.ID})
			continue
		}
		size += len(p.start.Input) + len(p.start.Definition)
		msg.Starts = append(msg.Starts, &apiv1.SessionStart{Call: p.call, Start: p.start, Wait: true})
	}
	s.queue = slices.Delete(s.queue, 0, n)
	return msg, len(s.queue) > 0
}

// tooLateLocked settles a start that must not be repeated any more.
func (s *Session) tooLateLocked(p *Pending) bool {
	if p.isStarted || time.Since(p.since) < maxCallTime {
		return false
	}
	s.settleLocked(p, &Error{Code: codeUnreachable, Message: "no answer to the start"})
	return true
}

func (s *Session) receive(conn *sessionConn) error {
	for {
		msg, err := conn.Receive()
		if err != nil {
			return err
		}
		s.mu.Lock()
		for _, m := range msg.Started {
			s.startedLocked(m)
		}
		for _, m := range msg.Ended {
			s.endedLocked(m)
		}
		s.mu.Unlock()
		token(s.wake)
		if msg.GoElsewhere != nil {
			// Request ids make it safe to leave answers behind.
			return errElsewhere
		}
	}
}

func (s *Session) startedLocked(m *apiv1.SessionStarted) {
	p := s.pending[m.Call]
	if p == nil || p.isStarted {
		return
	}
	if m.Error != nil {
		s.refusedLocked(p, fromDetail(m.Error, nil))
		return
	}
	p.isStarted = true
	p.begun = Started{ID: m.ExecutionId, At: Position(m.Position), Existing: m.Existing}
	close(p.started)
}

func (s *Session) endedLocked(m *apiv1.SessionEnded) {
	p := s.pending[m.Call]
	if p == nil || !p.isStarted {
		return
	}
	if m.Error != nil {
		e := fromDetail(m.Error, nil)
		e.Definite = true // only the wait has failed
		s.refusedLocked(p, e)
		return
	}
	p.end = Ended{
		ID: m.ExecutionId, Status: Status(m.Status.String()), Output: []byte(m.Output),
		Reason: m.Reason, At: Position(m.Position),
	}
	s.settleLocked(p, nil)
}

// refusedLocked tries again later what may pass, and settles the rest.
func (s *Session) refusedLocked(p *Pending, e *Error) {
	if !e.passes() {
		s.settleLocked(p, e)
		return
	}
	p.sent = false
	time.AfterFunc(p.pause.next(e.RetryAfter), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.pending[p.call] == p && !p.sent {
			s.queueLocked(p)
		}
	})
}

func (s *Session) queueLocked(p *Pending) {
	if p.queued {
		return
	}
	p.queued = true
	s.queue = append(s.queue, p)
	token(s.wake)
}

// settleLocked gives the last answer of p; with err nil its end has been set.
func (s *Session) settleLocked(p *Pending, err error) {
	delete(s.pending, p.call)
	if !p.isStarted {
		p.isStarted, p.err = true, err
		close(p.started)
	}
	p.endErr = err
	close(p.ended)
	<-s.room
}
