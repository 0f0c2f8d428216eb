package def

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Problem is one thing wrong with a definition.
type Problem struct {
	Path    string // where, such as tasks[0].decisionCases.yes[1].name; empty for the whole document
	Message string // what
}

const (
	// maxProblems bounds a report: nobody reads more before mending these.
	maxProblems = 100
	// maxQuote bounds what a message repeats of the definition.
	maxQuote = 120
)

// report collects problems up to maxProblems.
type report struct {
	problems []Problem
	programs []Program
	lenient  bool // fields that nobody knows are not problems
}

func (r *report) add(at *place, message string) {
	if !r.full() {
		r.problems = append(r.problems, Problem{Path: at.String(), Message: message})
	}
}

func (r *report) full() bool { return len(r.problems) >= maxProblems }

// place is where in a document something stands. Paths are only written out for
// problems. A nil place is the document itself.
type place struct {
	up    *place
	key   string
	index int // of an element; -1 for members
}

// rootField is the place of a field of the document.
func rootField(name string) *place { return &place{key: name, index: -1} }

func (p *place) member(key string) *place { return &place{up: p, key: key, index: -1} }

func (p *place) element(i int) *place { return &place{up: p, index: i} }

// String returns the path.
func (p *place) String() string {
	if p == nil {
		return ""
	}
	var chain []*place
	for q := p; q != nil; q = q.up {
		chain = append(chain, q)
	}
	var out []byte
	for i := len(chain) - 1; i >= 0; i-- {
		switch q := chain[i]; {
		case q.index >= 0:
			out = append(strconv.AppendInt(append(out, '['), int64(q.index), 10), ']')
		case plainKey(q.key):
			if len(out) > 0 {
				out = append(out, '.')
			}
			out = append(out, q.key...)
		default:
			out = append(append(append(out, "['"...), clip(q.key)...), "']"...)
		}
	}
	return string(out)
}

// plainKey reports whether key can follow a dot without being misread.
func plainKey(key string) bool {
	return key != "" && len(key) <= maxQuote && !strings.ContainsAny(key, ".[]'\"${} \t\r\n")
}

// clip cuts s to what a message may repeat, between characters.
func clip(s string) string {
	if len(s) <= maxQuote {
		return s
	}
	n := maxQuote
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
