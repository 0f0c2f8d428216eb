package scheduler

import (
	"strings"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

// stamp gives what an entry of cs should carry. It looks at the queues that cs can
// make ready and at those that changes have listed, never at all of them. It says
// whether some of those are left.
func (b *books) stamp(cs []*fsm.Command, max int, now fsm.Millis, mono time.Time) (st fsm.Stamp, left bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.term == 0 {
		return fsm.Stamp{Work: workBusy}, false
	}
	max = min(max, fsm.MaxOffers)
	st = fsm.Stamp{Work: b.time.work(len(cs)), Seen: b.seenLocked(now)}
	if b.time.stamped(now, mono) {
		for _, q := range b.time.dueFor {
			st.Offers = b.hintLocked(q, "", max, st.Offers)
		}
	}
	for _, c := range cs {
		if len(st.Offers) >= max {
			break
		}
		st.Offers = b.followLocked(c, min(max, len(st.Offers)+offersPerCommand), st.Offers)
	}
	st.Offers = b.needLocked(max, st.Offers)
	if len(st.Offers) > 0 {
		b.stamps[&st.Offers[0]] = struct{}{}
	}
	return st, len(b.hungry) > 0
}

// followLocked appends offers for what c can make ready.
func (b *books) followLocked(c *fsm.Command, max int, offers []fsm.Offer) []fsm.Offer {
	switch body := c.Body.(type) {
	case *fsm.CompleteTask:
		return b.reachLocked(body.Task, false, max, offers)
	case *fsm.FailTask:
		return b.reachLocked(body.Task, !body.Terminal, max, offers)
	case *fsm.ProgressTask:
		return b.reachLocked(body.Task, body.CallbackSeconds <= 0, max, offers)
	case *fsm.ReturnLease:
		return b.reachLocked(body.Task, true, max, offers)
	case *fsm.UpdateTask:
		return b.reachLocked(body.Task, false, max, offers)
	case *fsm.StartExecution:
		for _, q := range b.starts.get(body.Name, body.Version) {
			offers = b.hintLocked(b.domainLocked(q, body.Domains), "", max, offers)
		}
	}
	return offers
}

// reachLocked appends offers for what follows a task, or for the task itself when it
// may return to its queue at once.
func (b *books) reachLocked(t fsm.TaskID, returns bool, max int, offers []fsm.Offer) []fsm.Offer {
	h, ok := b.hints.get(t)
	if !ok {
		return offers
	}
	own := kindName(h.own)
	if returns {
		return b.hintLocked(h.own, own, max, offers)
	}
	for _, q := range h.reach {
		offers = b.hintLocked(q, own, max, offers)
	}
	return offers
}

// hintLocked offers one slot to a queue that may become ready, unless its limit is
// used up and freed is another type.
func (b *books) hintLocked(name fsm.Queue, freed string, max int, offers []fsm.Offer) []fsm.Offer {
	q := b.queues[name]
	if q == nil || len(offers) >= max {
		return offers
	}
	if q.kind != nil && q.kind.free == 0 && q.kind.name != freed {
		return offers
	}
	return b.takeLocked(q, 1, offers)
}

// domainLocked is where a start sends the tasks of the plain queue q: to the first
// domain with a free slot.
func (b *books) domainLocked(q fsm.Queue, ds []fsm.Domain) fsm.Queue {
	if len(ds) == 0 {
		return q
	}
	list := ""
	for _, d := range ds {
		if d.Type == string(q) {
			list = d.Domain
			break
		}
		if d.Type == "*" {
			list = d.Domain
		}
	}
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		if name == "" || name == "NO_DOMAIN" {
			return q
		}
		in := fsm.Queue(name) + ":" + q
		if b.queues[in] != nil && b.queues[in].head() != nil {
			return in
		}
	}
	return q
}

// kindName is the task type of a queue.
func kindName(q fsm.Queue) string {
	return string(q[strings.LastIndexByte(string(q), ':')+1:])
}

// hasDomain reports whether q is a queue of a domain.
func hasDomain(q fsm.Queue) bool { return strings.IndexByte(string(q), ':') >= 0 }

// polledLocked notes queues of domains that workers have asked for.
func (b *books) polledLocked(qs []fsm.Queue) {
	for _, name := range qs {
		q := b.queues[name]
		if q == nil || len(b.polled) >= maxPolled {
			continue // its slots have gone since, or an idle cluster stamps nothing
		}
		q.polled = b.clock.Now()
		if !q.unseen {
			q.unseen = true
			b.polled = append(b.polled, q)
		}
	}
}

// seenLocked lists the queues to mark as asked for. Marks ride along: none is worth
// an entry, since the entry that schedules a task takes them with it.
func (b *books) seenLocked(now fsm.Millis) []fsm.Queue {
	var seen []fsm.Queue
	for len(b.polled) > 0 && len(seen) < fsm.MaxSeen {
		q := b.polled[0]
		b.polled = b.polled[1:]
		q.unseen = false
		if now-q.seen >= seenEvery && now-q.polled < seenStale {
			q.seen = now
			seen = append(seen, q.name)
		}
		b.pruneLocked(q)
	}
	return seen
}
