package fsm

import (
	"fmt"
	"strings"
)

// explain prints what a task or an execution waits for: each reason with its data, and
// before it whose it is when that is not plain.
func (s *story) explain(v View, name string) {
	var asked TaskID
	var list []Reason
	if strings.Contains(name, "/") {
		asked = args{story: s}.task(name)
		list = v.Explain(asked)
	} else {
		e, ok := v.ExplainExecution(args{story: s}.exec(name))
		if !ok {
			s.out.WriteString("unknown\n")
		}
		if list = e.Reasons; e.More {
			defer s.out.WriteString("and more\n")
		}
	}
	for _, r := range list {
		line := strings.Repeat("  ", r.Depth)
		if r.Task != asked {
			line += strings.TrimSpace(r.Task.String()+" "+r.Ref) + " "
		}
		line += r.Kind + ": " + r.Text
		if data := reasonData(v, r); data != "" {
			line += " |" + data
		}
		s.out.WriteString(s.alias(line) + "\n")
	}
}

func reasonData(v View, r Reason) (data string) {
	if r.Until != 0 {
		data += fmt.Sprintf(" until=+%d", r.Until-v.Time())
	}
	if r.Count != 0 {
		data += fmt.Sprintf(" count=%d", r.Count)
	}
	if r.Queue != "" {
		data += fmt.Sprintf(" queue=%s", r.Queue)
	}
	if r.Type != "" {
		data += fmt.Sprintf(" type=%s", r.Type)
	}
	if len(r.Of) > 0 {
		data += fmt.Sprintf(" of=%s", r.Of)
	}
	if len(r.Names) > 0 {
		data += fmt.Sprintf(" names=%s", r.Names)
	}
	return data
}
