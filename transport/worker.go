package transport

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
	"sync/atomic"

	"connectrpc.com/connect"

	"github.com/pawlhq/pawl/fsm"
	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

const (
	// maxCredit bounds the room that a worker may announce at once: more than one
	// process keeps busy.
	maxCredit = 4096
	// batchTasks and batchBytes bound what the server puts into one message, so that
	// the first task of a burst does not wait for the last to be encoded.
	batchTasks = 256
	batchBytes = 1 << 20
)

// workers serves WorkerService.
type workers struct{ s *Server }

type workConn = connect.BidiStream[apiv1.WorkRequest, apiv1.WorkResponse]

// workStream is one connected worker. The handler's goroutine reads, a second one
// writes; reports under way have none of their own when the Proposer is asynchronous.
type workStream struct {
	s      *Server
	conn   *workConn
	box    *outbox[reportAnswer]
	worker string
	id     fsm.StreamID
	leases <-chan fsm.Leased
	leave  context.CancelFunc // no more tasks
	credit atomic.Int64       // announced and not used

	// The writer's own.
	answers  []reportAnswer
	batch    []fsm.Leased
	bytes    int // of the inputs in batch
	msg      apiv1.WorkResponse
	tasks    pool[apiv1.LeasedTask]
	results  pool[apiv1.ReportResult]
	position spelled[fsm.Position]
}

// reportAnswer is the answer to one report.
type reportAnswer struct {
	call uint64
	at   fsm.Position
	err  error
}

// Work connects a worker until either side ends the stream.
func (w *workers) Work(ctx context.Context, conn *workConn) error {
	if w.s.isDraining() {
		return changeError(errDraining)
	}
	first, err := conn.Receive()
	if err != nil {
		return ignoreEOF(err)
	}
	spec, err := helloSpec(first)
	if err != nil {
		return changeError(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	parked, leave := context.WithCancel(ctx)
	defer leave()
	ws := &workStream{s: w.s, conn: conn, box: newOutbox[reportAnswer](), worker: spec.Worker, leave: leave}
	if ws.id, ws.leases, err = w.s.deps.Parking.Park(parked, spec); err != nil {
		return changeError(w.s.noted(err))
	}
	ws.credit.Store(int64(spec.Credit))

	var writer sync.WaitGroup
	writer.Go(func() {
		ws.write(ctx)
		cancel()
	})
	err = ws.read(ctx, first)
	ws.box.close()
	leave()
	if err != nil {
		cancel()
	}
	writer.Wait()
	w.s.background.Go(func() { w.s.handBackRest(ws.leases) })
	return err
}

func helloSpec(first *apiv1.WorkRequest) (fsm.SlotSpec, error) {
	h := first.Hello
	if h == nil {
		return fsm.SlotSpec{}, badField("hello", "required in the first message")
	}
	if first.Credit < 0 || first.Credit > maxCredit {
		return fsm.SlotSpec{}, badField("credit", "must be from 0 to 4096")
	}
	if len(h.Held) > maxBatch {
		return fsm.SlotSpec{}, badField("hello.held", "at most 1000 in one message")
	}
	spec := fsm.SlotSpec{Worker: h.Worker, Credit: int(first.Credit)}
	for _, q := range h.Queues {
		spec.Queues = append(spec.Queues, fsm.Queue(q))
	}
	return spec, checkSpec(&spec, "hello.queues")
}

// ignoreEOF turns the regular end of a client's side into nil. Errors of the
// connection go back as they are: nobody is there to read them.
func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// read takes messages until the client closes its side, which gives nil.
func (ws *workStream) read(ctx context.Context, first *apiv1.WorkRequest) error {
	held := make([]*apiv1.Report, len(first.Hello.Held))
	leases := make([]fsm.Lease, len(held))
	for i, h := range first.Hello.Held {
		leases[i] = fsm.Lease(h.Lease)
		held[i] = &apiv1.Report{Call: h.Call, TaskId: h.TaskId, Lease: h.Lease, What: &apiv1.Report_Extend{}}
	}
	if first.Hello.ReturnOthers {
		ws.s.deps.Parking.Held(ws.id, leases)
	}
	if err := ws.report(ctx, held); err != nil {
		return err
	}
	msg, err := first, error(nil)
	for {
		if err := ws.report(ctx, msg.Reports); err != nil {
			return err
		}
		if msg, err = ws.conn.Receive(); err != nil {
			return ignoreEOF(err)
		}
		if msg.Hello != nil {
			return changeError(badField("hello", "only in the first message"))
		}
		if err := ws.addCredit(msg.Credit); err != nil {
			return err
		}
	}
}

func (ws *workStream) addCredit(n int32) error {
	if n == 0 {
		return nil
	}
	if n < 0 || ws.credit.Add(int64(n)) > maxCredit {
		return changeError(badField("credit", "at most 4096 open at once, and not negative"))
	}
	ws.s.deps.Parking.Credit(ws.id, int(n))
	return nil
}

// report proposes a batch of reports.
func (ws *workStream) report(ctx context.Context, reports []*apiv1.Report) error {
	if len(reports) == 0 {
		return nil
	}
	if len(reports) > maxBatch {
		return changeError(badField("reports", "at most 1000 in one message"))
	}
	if err := ws.box.begin(ctx, len(reports)); err != nil {
		return err
	}
	for _, r := range reports {
		call := r.Call
		body, err := ws.body(r)
		if err != nil {
			ws.box.put(reportAnswer{call: call, err: err}, true)
			continue
		}
		ws.s.async(&fsm.Command{Body: body}, func(out fsm.Outcome, err error) {
			ws.box.put(reportAnswer{call: call, at: out.Position, err: err}, true)
		})
	}
	return nil
}

// body gives the command of a report. Its lease makes it repeatable without a request
// id.
func (ws *workStream) body(r *apiv1.Report) (fsm.Body, error) {
	id, err := taskID("taskId", r.TaskId)
	if err != nil {
		return nil, err
	}
	lease := fsm.Lease(r.Lease)
	switch what := r.What.(type) {
	case *apiv1.Report_Complete:
		return &fsm.CompleteTask{Task: id, Lease: lease, Output: payload(what.Complete.GetOutput()), Worker: ws.worker}, nil
	case *apiv1.Report_Fail:
		f := what.Fail
		return &fsm.FailTask{Task: id, Lease: lease, Reason: f.GetReason(), Terminal: f.GetTerminal(),
			Output: payload(f.GetOutput()), Worker: ws.worker}, nil
	case *apiv1.Report_Progress:
		p := what.Progress
		return &fsm.ProgressTask{Task: id, Lease: lease, Output: payload(p.GetOutput()),
			CallbackSeconds: p.GetCallbackSeconds(), Worker: ws.worker}, nil
	case *apiv1.Report_Extend:
		// One command a lease: of several in one, a stale one would go unnoticed.
		return &fsm.ExtendLeases{Items: []fsm.Extension{{Task: id, Lease: lease}}}, nil
	case *apiv1.Report_Return:
		return &fsm.ReturnLease{Task: id, Lease: lease}, nil
	}
	return nil, badField("reports", "one of complete, fail, progress, extend, return is required")
}

// write sends tasks and answers until the stream is done or broken.
func (ws *workStream) write(ctx context.Context) {
	if ws.conn.Send(nil) != nil { // the headers tell the worker that it is connected
		return
	}
	draining := ws.s.draining
	leases := ws.leases
	for {
		goElsewhere := false
		ws.batch, ws.bytes = ws.batch[:0], 0
		select {
		case l, ok := <-leases:
			if !ok {
				leases = nil
				continue
			}
			ws.add(l)
		case <-ws.box.wake:
		case <-draining:
			draining, goElsewhere = nil, true
			ws.leave()
		case <-ctx.Done():
			return
		}
		ws.gather(leases)
		done := ws.fill(ctx, goElsewhere)
		if len(ws.msg.Tasks)+len(ws.msg.Results) > 0 || goElsewhere {
			if err := ws.conn.Send(&ws.msg); err != nil {
				ws.s.handBack(ws.batch)
				return
			}
		}
		if done {
			return
		}
	}
}

// gather waits for no time, but lets others run as long as that brings more: the entry
// that woke the writer usually has many tasks and answers for one worker, and a message
// costs far more than what is in it.
func (ws *workStream) gather(leases <-chan fsm.Leased) {
	for range batchTasks {
		before := len(ws.batch) + ws.box.len()
		ws.takeLeases(leases)
		runtime.Gosched()
		ws.takeLeases(leases)
		if len(ws.batch)+ws.box.len() == before {
			return
		}
	}
}

// takeLeases takes the leases that are there, up to the bounds of a message.
func (ws *workStream) takeLeases(leases <-chan fsm.Leased) {
	for len(ws.batch) < batchTasks && ws.bytes < batchBytes {
		select {
		case l, ok := <-leases:
			if !ok {
				return
			}
			ws.add(l)
		default:
			return
		}
	}
}

func (ws *workStream) add(l fsm.Leased) {
	ws.batch = append(ws.batch, l)
	ws.bytes += len(l.Input)
}

// fill makes the next message and reports whether it is the last.
func (ws *workStream) fill(ctx context.Context, goElsewhere bool) (done bool) {
	if ws.box.isClosed() && len(ws.batch) > 0 {
		// The worker has no way to report any more.
		ws.s.handBack(ws.batch)
		ws.batch = ws.batch[:0]
	}
	had := len(ws.batch)
	ws.batch = ws.s.completed(ctx, ws.batch)
	if back := had - len(ws.batch); back > 0 { // the worker still has room for them
		ws.s.deps.Parking.Credit(ws.id, back)
	}
	ws.credit.Add(-int64(len(ws.batch)))
	ws.msg.Tasks = ws.tasks.get(len(ws.batch))
	for i := range ws.batch {
		leased(ws.msg.Tasks[i], &ws.batch[i])
	}
	ws.answers, done = ws.box.take(ws.answers)
	ws.msg.Results = ws.results.get(len(ws.answers))
	for i := range ws.answers {
		a, m := &ws.answers[i], ws.msg.Results[i]
		m.Call, m.Position, m.Error = a.call, "", nil
		if a.err != nil {
			f := Describe(a.err)
			m.Error = f.Detail()
		} else {
			m.Position = ws.position.spell(a.at, a.at.String)
		}
	}
	ws.msg.GoElsewhere = nil
	if goElsewhere {
		ws.msg.GoElsewhere = ws.s.elsewhere()
	}
	return done
}

func (s *Server) elsewhere() *apiv1.GoElsewhere {
	return &apiv1.GoElsewhere{Reason: errDraining.Error(), LeaderAddress: s.deps.Cluster.LeaderAddr()}
}
