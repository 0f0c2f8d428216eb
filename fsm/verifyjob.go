package fsm

import "github.com/pawlhq/pawl/fsm/def"

// verifyJob checks that a record with a job is where its workers find it, and that
// nothing else is.
func (s *State) verifyJob(e *execution, t *task, n *def.Node) error {
	id := t.id.String()
	q, queued := s.queues.get(t.queue)
	asked := t.loops.verdict == verdictAsked
	if t.job == jobNone {
		switch {
		case t.grants != 0 || t.granted != 0:
			return broken(id, ": has no job, and leases of one")
		case asked:
			return broken(id, ": asks its condition by no job")
		case evaluates(n.Kind) && queued:
			return broken(id, ": has no job, and is in queue ", string(q.name))
		case t.loops.verdict != verdictNone && !e.status.Terminal() && !s.held.has(heldKey{exec: e.id, list: heldLoops, serial: t.id.Serial}):
			return broken(id, ": has an answer to its condition that nobody takes up")
		}
		return nil
	}
	switch {
	case !evaluates(n.Kind):
		return broken(id, ": has a job, and is of a kind that has none")
	case t.place != placeReady && t.place != placeLeased:
		return broken(id, ": has a job, and is where no worker finds it")
	case !queued || q.name != t.job.queue():
		return broken(id, ": has a job, and is in another queue")
	case t.grants > maxTries || (t.place == placeLeased) != (t.granted != 0 && t.lease != 0):
		return broken(id, ": leases of its job do not go with its place")
	case asked != (n.Kind == def.DoWhile):
		return broken(id, ": its job is not about its condition")
	}
	return nil
}
