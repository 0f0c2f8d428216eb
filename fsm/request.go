package fsm

// Requests are remembered so that a call whose answer was lost can be made again.
const (
	// keepRequests is how long an answer is remembered.
	keepRequests Millis = 600_000
	// maxRequests bounds the answers remembered; the oldest go first.
	maxRequests = 1_000_000
	// expireSpare is how many old answers an entry forgets beyond those it adds.
	expireSpare = 16
)

// answer is what a request was told. Rejections are not remembered: they left no
// trace, and the request is judged anew.
type answer struct {
	content uint32 // hash of the command, to tell another request with the same id
	index   uint64
	exec    ExecID
	task    TaskID
	version int32
	ignored bool
	refused []byte // Bulk: the executions that were refused, and why
}

func (s *State) contentOf(c *Command) uint32 {
	w := &s.j.buf
	w.b = append(w.b[:0], byte(c.Body.kind()))
	c.Body.append(w)
	return uint32(rowHash(w.b).Lo)
}

// repeated gives the first answer of a request that was done before.
func (s *State) repeated(c *Command) (Result, *Rejection, bool) {
	if c.RequestID.IsZero() {
		return Result{}, nil, false
	}
	a, ok := s.requests.get(c.RequestID)
	if !ok {
		return Result{}, nil, false
	}
	if a.content != s.contentOf(c) {
		return Result{}, reject(Duplicate, "request id: was used for another request"), true
	}
	return Result{Exec: a.exec, Task: a.task, Version: a.version, Ignored: a.ignored, Index: a.index, Repeated: true,
		Items: itemsOf(c.Body, a.refused)}, nil, true
}

func (s *State) remember(c *Command, res Result) {
	if c.RequestID.IsZero() || s.requests.has(c.RequestID) {
		return
	}
	index := res.Index
	if index == 0 {
		index = s.index
	}
	s.requests.put(c.RequestID, answer{
		content: s.contentOf(c), index: index, exec: res.Exec, task: res.Task, version: res.Version,
		ignored: res.Ignored, refused: refusedItems(res.Items),
	})
	s.nextRequest++
	s.requestAges.put(requestAge{n: s.nextRequest, at: s.now}, c.RequestID)
}

// requestAge orders requests by when they were answered.
type requestAge struct {
	n  uint64
	at Millis
}

// expireRequests forgets answers that are old or too many.
func (s *State) expireRequests(commands int) {
	for range 2*commands + expireSpare {
		k, id, ok := s.requestAges.tree.Min()
		if !ok || k.at > s.now-keepRequests && s.requestAges.tree.Len() <= maxRequests {
			return
		}
		s.requestAges.drop(k)
		s.requests.drop(id)
	}
}
