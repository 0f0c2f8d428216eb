package model

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// NextDue returns when something happens by itself next, and whether anything
// will.
func (w *World) NextDue() (int64, bool) {
	at, _ := w.next()
	return at, at != never
}

const never = int64(1) << 62

// fire does the earliest thing that is due and says whether there was one.
func (w *World) fire() bool {
	at, do := w.next()
	if at > w.Now {
		return false
	}
	w.Fired += w.due
	do()
	return true
}

// next finds the earliest thing that happens by itself; of several at the same
// time the one whose record or execution was made first.
func (w *World) next() (at int64, do func()) {
	at, order := never, 0
	w.due = 0
	consider := func(when int64, made int, what func()) {
		if when <= w.Now {
			w.due++
		}
		if when < at || when == at && when != never && made < order {
			at, order, do = when, made, what
		}
	}
	for _, e := range w.execs {
		if e.Ended() {
			continue
		}
		consider(e.deadline(), e.order, e.timeOut)
		for _, t := range e.tasks {
			if !t.Open() {
				continue
			}
			if t.timed {
				consider(t.until, t.order, t.wake)
			}
			if t.idle() {
				consider(t.ready, t.order, t.awake)
			}
			if (t.step.Type == "SUB_WORKFLOW" || t.step.Type == "START_WORKFLOW" && !t.begun) && t.Status == "SCHEDULED" && e.Status == "RUNNING" {
				consider(t.ready, t.order, e.decide)
			}
			if e.Status == "RUNNING" {
				for _, l := range t.limits() {
					consider(l.at, t.order, t.judge)
				}
			}
		}
	}
	return at, do
}

func (e *Exec) deadline() int64 {
	if e.def.TimeoutSeconds <= 0 || e.def.TimeoutPolicy != "TIME_OUT_WF" {
		return never
	}
	return e.clock() + 1000*e.def.TimeoutSeconds
}

// clock is the time from which the time limit of the execution counts.
func (e *Exec) clock() int64 {
	if e.retried > 0 {
		return e.retried
	}
	return e.created
}

func (e *Exec) timeOut() {
	e.end("TIMED_OUT", fmt.Sprintf("Workflow timed out after %d seconds. Timeout configured as %d seconds."+
		" Timeout policy configured to TIME_OUT_WF", (e.world.Now-e.clock())/1000, e.def.TimeoutSeconds), nil)
}

func (t *Task) wake() {
	t.Status = "COMPLETED"
	t.exec.decide()
}

// limit is one time limit of an open record.
type limit struct {
	at     int64
	policy string
	reason func(now int64) string
}

// limits returns the time limits that hold for an open record, in the order in
// which they are judged.
func (t *Task) limits() []limit {
	if !t.leased() {
		return nil
	}
	s := t.exec.world.settings(t.step)
	var all []limit
	earliest := int64(0)
	add := func(base, seconds, extra int64, policy, form string, args ...any) {
		if seconds > 0 && policy != "ALERT_ONLY" {
			all = append(all, limit{max(earliest, base+1000*(seconds+extra)), policy, func(now int64) string {
				return fmt.Sprintf(strings.ReplaceAll(form, "ELAPSED", fmt.Sprint((now-base)/1000)), args...)
			}})
		}
	}
	add(t.first, s.TotalTimeout, 0, s.Policy, "Task %s/%s exceeded total timeout of %d seconds (elapsed ELAPSED seconds"+
		" across all attempts including retry delays). Timeout policy: %s", t.step.Name, t.Key(), s.TotalTimeout, s.Policy)
	if t.start > 0 {
		add(t.start+1000*t.delay, s.Timeout, 0, s.Policy, "Task timed out after ELAPSED seconds. Timeout configured as %d"+
			" seconds. Timeout policy configured to %s", s.Timeout, s.Policy)
	}
	if t.Status == "SCHEDULED" {
		earliest = t.ready // nobody can poll it before
		add(t.scheduled+1000*t.delay, s.PollTimeout, t.callback, s.Policy, "Task poll timed out after ELAPSED seconds."+
			" Poll timeout configured as %d seconds. Timeout policy configured to %s", s.PollTimeout, s.Policy)
	} else if !t.called { // a call that is made waits for whoever completes it
		add(t.updated, *s.ResponseTimeout, t.callback, "RETRY", "responseTimeout: %d exceeded for the taskId: %s with"+
			" Task Definition: %s", *s.ResponseTimeout, t.Key(), t.step.Name)
	}
	return all
}

// judge times an open record out by the first limit that has passed.
func (t *Task) judge() {
	now := t.exec.world.Now
	for _, l := range t.limits() {
		if l.at > now {
			continue
		}
		t.Status, t.Reason = "TIMED_OUT", l.reason(now)
		if l.policy == "TIME_OUT_WF" {
			t.exec.end("TIMED_OUT", t.Reason, t)
			return
		}
		t.exec.decide()
		return
	}
}

var duration = regexp.MustCompile(`^(?i)(?:(\d+)\s*(?:days|day|d))?\s*(?:(\d+)\s*(?:hours|hour|hrs|hr|h))?\s*` +
	`(?:(\d+)\s*(?:minutes|minute|mins|min|m))?\s*(?:(\d+)\s*(?:seconds|second|secs|sec|s))?$`)

// arm reads, once, when a WAIT ends.
func (e *Exec) arm(t *Task) {
	if t.begun {
		return
	}
	t.begun = true
	forHow, _ := t.Input["duration"].(string)
	until, _ := t.Input["until"].(string)
	switch {
	case forHow != "" && until != "":
		t.Status = "FAILED_WITH_TERMINAL_ERROR"
		t.Reason = "Both 'duration' and 'until' specified. Please provide only one input"
	case forHow != "":
		m := duration.FindStringSubmatch(strings.TrimSpace(forHow))
		if m == nil {
			t.Status, t.Reason = "FAILED_WITH_TERMINAL_ERROR", "Not valid duration: "+forHow
			return
		}
		t.timed, t.until = true, e.world.Now
		for i, unit := range []int64{86_400_000, 3_600_000, 60_000, 1000} {
			n, _ := strconv.ParseInt(m[i+1], 10, 64)
			t.until += n * unit
		}
	case until != "":
		at, err := time.Parse("2006-01-02 15:04", until)
		if err != nil {
			if at, err = time.Parse("2006-01-02", until); err != nil {
				t.Status, t.Reason = "FAILED_WITH_TERMINAL_ERROR", "Invalid/Unsupported Wait Until format.  Provided: "+until
				return
			}
		}
		t.timed, t.until = true, at.UnixMilli()
	}
	if t.timed && t.until <= e.world.Now {
		t.Status = "COMPLETED"
	}
}
