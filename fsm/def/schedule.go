package def

import (
	"strconv"
	"strings"

	"github.com/pawlhq/pawl/fsm/expr"
)

// Schedule says when executions of a definition start by themselves.
type Schedule struct {
	Source []byte // as written, byte for byte
	Name   string
	Crons  []CronSchedule
	Start  *Start
}

// CronSchedule is one set of times in one time zone.
type CronSchedule struct {
	Expression string
	Zone       string // UTC when the schedule says nothing
}

var scheduleFields = []field{
	{"name", text},
	{"description", text},
	{"cronExpression", text},
	{"zoneId", text},
	{"cronSchedules", list},
	{"startWorkflowRequest", object},
	{"paused", flag},
	{"pausedReason", text},
	{"runCatchupScheduleInstances", flag},
	{"scheduleStartTime", long},
	{"scheduleEndTime", long},
	{"createTime", anything},
	{"updatedTime", anything},
	{"createdBy", text},
	{"updatedBy", text},
	{"nextRunTime", long},
	{"orgId", text},
	{"queueMsgId", text},
	{"tags", list},
}

var cronFields = []field{
	{"cronExpression", text},
	{"zoneId", text},
}

// MaxCrons bounds the expressions of one schedule.
const MaxCrons = 100

// ParseSchedule reads one schedule. It returns the schedule, or everything that is
// wrong with it; then the schedule is nil. Whether a time zone exists is not known
// here, since that needs tables that change: it is one of the Programs.
func ParseSchedule(src []byte) (*Schedule, []Problem) {
	var r report
	raw := r.document(src)
	if raw == nil {
		return nil, r.problems
	}
	s := r.schedule(raw)
	if len(r.problems) > 0 {
		return nil, r.problems
	}
	return s, nil
}

func (r *report) schedule(raw []byte) *Schedule {
	rec := r.record(nil, raw, scheduleFields)
	s := &Schedule{Source: raw, Name: rec.text("name")}
	if expr.KindOf(raw) != expr.Map {
		return nil
	}
	if s.Name == "" {
		r.add(rootField("name"), "is required: the name of the schedule")
	}
	s.Crons = r.crons(rec)
	if from, to := rec.int("scheduleStartTime", 0), rec.int("scheduleEndTime", 0); to > 0 && from >= to {
		r.add(rootField("scheduleEndTime"), "is not after scheduleStartTime")
	}
	if req := rec.raw("startWorkflowRequest"); req != nil {
		s.Start = r.start(rootField("startWorkflowRequest"), req)
	} else {
		r.add(rootField("startWorkflowRequest"), "is required: what the schedule starts")
	}
	return s
}

// crons reads the list of expressions, or the single one when there is no list.
func (r *report) crons(rec record) []CronSchedule {
	var out []CronSchedule
	i := 0
	for el := range expr.Elements(rec.raw("cronSchedules")) {
		if i == MaxCrons {
			r.add(rootField("cronSchedules"), "has more expressions than the "+strconv.Itoa(MaxCrons)+" that are allowed")
			break
		}
		below := r.record(rootField("cronSchedules").element(i), el, cronFields)
		out = append(out, r.cron(below))
		i++
	}
	if i == 0 {
		out = append(out, r.cron(rec))
	}
	return out
}

func (r *report) cron(rec record) CronSchedule {
	c := CronSchedule{Expression: rec.text("cronExpression"), Zone: rec.text("zoneId")}
	if fault := cronFault(c.Expression); fault != "" {
		r.add(rec.at.member("cronExpression"), fault)
	}
	if c.Zone == "" {
		c.Zone = "UTC"
	} else if _, ok, named := zoneOffset(c.Zone); !ok && (!named || strings.Contains(c.Zone, " ")) {
		r.add(rec.at.member("zoneId"), "found "+quote(c.Zone)+", allowed is the name of a time zone or an offset, such as Europe/Paris or GMT+04:00")
	} else if !ok {
		r.programs = append(r.programs, Program{Path: rec.at.member("zoneId").String(), Language: LanguageZone, Source: "2000-01-01 00:00 " + c.Zone})
	}
	return c
}
