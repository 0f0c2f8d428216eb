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
	default:
		return false
	}
	return true
}
