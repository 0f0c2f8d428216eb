package fsm_test

import (
	"errors"
	"fmt"

	"github.com/pawlhq/pawl/fsm"
	"github.com/pawlhq/pawl/jepsen/model"
)

// answer answers the script of a record, or of another that was handed out first.
func (p *pair) answer(t *model.Task) (string, error) {
	queue := fsm.Queue("$script")
	if t.Kind() == "JSON_JQ_TRANSFORM" {
		queue = "$jq"
	}
	granted := p.offer(queue)
	if granted == nil {
		return "job", errors.New("no job was granted, but a script is to be answered")
	}
	key, ok := p.names[granted.String()]
	if t = p.world.Find(key); !ok || t == nil {
		return "job", fmt.Errorf("job %v, which was granted, is unknown", granted)
	}
	done := &fsm.FinishJob{Task: *granted, Lease: p.leases[*granted]}
	if p.r.IntN(p.unlucky) == 0 {
		done.Failure, done.Message = fsm.JobThrew, "boom"
		late := p.r.IntN(2) == 0
		if late {
			done.Failure, done.Message = fsm.JobTimedOut, ""
		}
		return "job-failed " + key, p.both(p.world.AnswerJob(key, nil, "boom", late), done)
	}
	done.Result = p.value(t.Kind())
	return "job " + key, p.both(p.world.AnswerJob(key, done.Result, "", false), done)
}

// value is what a script of a record of that kind may give.
func (p *pair) value(kind string) []byte {
	all := []string{`"big"`, `"small"`, `"x"`, `2`, `null`}
	switch kind {
	case "INLINE", "LAMBDA":
		all = append(all, `{"a":[1,{"b":2}]}`)
	case "DO_WHILE":
		all = []string{`true`, `false`, `false`, `0`, `1`, `null`, `"x"`}
	case "JSON_JQ_TRANSFORM":
		all = []string{`[]`, `[1]`, `[{"a":1},"b"]`, `[null]`}
	}
	return []byte(all[p.r.IntN(len(all))])
}
