package fsm

import (
	"regexp"
	"strings"
)

// idWord is what stands for an id in a line that gives one to a step: @e1, or @e1/2 for
// a task.
var idWord = regexp.MustCompile(`@e[0-9]+(/[0-9]+)?`)

// identified puts ids in the place of names.
func (a args) identified(text string) string {
	return idWord.ReplaceAllStringFunc(text, func(name string) string {
		if name = name[1:]; strings.Contains(name, "/") {
			return a.task(name).String()
		}
		return a.exec(name).String()
	})
}

// nameMessages lets the messages of an execution be told in what is seen: e1!/2.
func (s *story) nameMessages(id ExecID) {
	s.execs[messageID(id, 0).Exec] = s.execs[id] + "!"
}
