package fsm

import "fmt"

// askLimits answers lines that read limits and settings.
func (s *story) askLimits(a args) bool {
	v := s.a.View()
	switch a.words[0] {
	case "permits":
		for p := range v.Permits() {
			fmt.Fprintf(&s.out, "%s: %d\n", p.Type, p.Free)
		}
	case "ready":
		for r := range v.Ready() {
			if r.Queue == Queue(a.word(1)) {
				fmt.Fprintf(&s.out, "%d may be leased, limit %q\n", r.Ready, r.Type)
			}
		}
	case "secrets":
		for x := range v.Secrets() {
			fmt.Fprintf(&s.out, "%s%s\n", x.Name, x.Value)
		}
	case "environment":
		for x := range v.Environment() {
			fmt.Fprintf(&s.out, "%s=%s\n", x.Name, x.Value)
		}
	case "delivered": // a task as its worker gets it
		t, _ := v.Task(a.task(a.word(1)))
		l := Leased{Input: t.Input}
		if tt, ok := s.a.taskTypes.get(t.Name); ok {
			l.Wants = tt.parsed.RuntimeMetadata
		}
		if l.NeedsSettings() {
			l = v.Complete(l)
		}
		fmt.Fprintf(&s.out, "input=%s", l.Input)
		for _, x := range l.Told {
			fmt.Fprintf(&s.out, " %s=%s", x.Name, x.Value)
		}
		s.out.WriteByte('\n')
	default:
		return false
	}
	return true
}

// settingBody reads lines that change settings.
func settingBody(a args) Body {
	switch a.words[0] {
	case "secret":
		return &PutSecret{Name: a.word(1), Value: a.word(2)}
	case "no-secret":
		return &DeleteSecret{Name: a.word(1)}
	case "env":
		return &PutVariable{Name: a.word(1), Value: a.word(2)}
	case "no-env":
		return &DeleteVariable{Name: a.word(1)}
	}
	return nil
}
