package behaviour

import (
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write docs/conductor-compatibility.md from what the tests say and see")

const pagePath = "../../docs/conductor-compatibility.md"

// section is a part of the list of behaviours.
type section struct {
	last  int // number of its last behaviour
	title string
}

var sections = []section{
	{21, "Simple flow"}, {24, "Optional and permissive"}, {37, "Fork and join"}, {48, "Dynamic fork"}, {55, "Switch and decision"},
	{74, "Do-while"}, {96, "Sub-workflow"}, {113, "Terminate, variables, wait, human, signal"}, {121, "Events"},
	{138, "Scripts, jq, HTTP, dynamic, exclusive join, start-workflow"}, {152, "Retry, backoff, time-outs"},
	{160, "Limits and domains"}, {174, "Control calls"}, {187, "Search, metadata, validation"}, {192, "Expressions"},
	{202, "External payload, listeners, schedules"},
}

// shown is what the tests of a behaviour say and saw.
type shown struct {
	given, different, test string
	failed                 bool
}

// outcomes holds how the tests of this run ended, by name.
var outcomes = map[string]bool{}

// record notes how a test ends.
func record(t *testing.T) {
	t.Cleanup(func() { outcomes[t.Name()] = t.Failed() })
}

// TestMain runs the tests, then writes or checks the page.
func TestMain(m *testing.M) {
	serveScripts()
	flag.Parse()
	code := m.Run()
	closeEngines()
	if err := page(); err != nil {
		fmt.Fprintln(os.Stderr, "docs/conductor-compatibility.md:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func page() error {
	all, err := declared()
	if err != nil {
		return err
	}
	whole := flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.skip").Value.String() == ""
	for n, s := range all {
		failed, ran := outcomes[s.test]
		if whole && !ran {
			return fmt.Errorf("%s does not record how it ended", s.test)
		}
		all[n].failed = failed
	}
	text, err := render(all)
	if err != nil {
		return err
	}
	if *rewrite {
		if !whole {
			return errors.New("it is written from a run of all tests only")
		}
		return os.WriteFile(pagePath, []byte(text), 0o644)
	}
	if old, err := os.ReadFile(pagePath); err != nil || string(old) != text {
		return errors.New("it does not say what the tests saw; go test ./jepsen/behaviour -rewrite")
	}
	return nil
}

var testName = regexp.MustCompile(`^TestB(\d{3})[A-Z]`)

// declared reads the tests of this package: each one's number, name and comment.
func declared() (map[int]*shown, error) {
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		return nil, err
	}
	all := map[int]*shown{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			match := testName.FindStringSubmatch(f.Name.Name)
			if match == nil {
				continue
			}
			n, _ := strconv.Atoi(match[1])
			if all[n] != nil {
				return nil, fmt.Errorf("%s and %s show one behaviour", all[n].test, f.Name.Name)
			}
			if all[n], err = said(n, f); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// said reads the comment of a test.
func said(n int, f *ast.FuncDecl) (*shown, error) {
	s := &shown{test: f.Name.Name}
	for _, p := range strings.Split(f.Doc.Text(), "\n\n") {
		p = strings.Join(strings.Fields(p), " ")
		if text, ok := strings.CutPrefix(p, fmt.Sprintf("B%d: ", n)); ok {
			s.given = text
		} else if text, ok := strings.CutPrefix(p, "Different: "); ok {
			s.different = text
		}
	}
	if s.given == "" {
		return nil, fmt.Errorf("the comment of %s does not begin with B%d:", s.test, n)
	}
	return s, nil
}

const intro = `# Conductor's behaviours

Pawl speaks Conductor's language. What that means is said here one behaviour at a
time: 202 of them, numbered B1 to B202, taken from what Conductor's own tests and
those of its clients demand. Each line that says *same* or *different on purpose* is
held by the test named with it, in ` + "`jepsen/behaviour`" + `, written from the description
of Conductor and not from this code. The page is made from those tests; do not edit it.
`

// render writes the page.
func render(all map[int]*shown) (string, error) {
	var b strings.Builder
	b.WriteString(intro)
	same, different, failing := 0, 0, 0
	for _, s := range all {
		switch {
		case s.failed:
			failing++
		case s.different != "":
			different++
		default:
			same++
		}
	}
	fmt.Fprintf(&b, "\n%d same, %d different on purpose, %d not yet", same, different, len(notYet))
	if failing > 0 {
		fmt.Fprintf(&b, ", %d **failing**", failing)
	}
	b.WriteString(".\n")
	n := 0
	for _, s := range sections {
		fmt.Fprintf(&b, "\n## %s\n\n| | given and seen | | shown by |\n|---|---|---|---|\n", s.title)
		for n < s.last {
			n++
			line, err := row(n, all[n])
			if err != nil {
				return "", err
			}
			b.WriteString(line)
		}
	}
	return b.String(), nil
}

func row(n int, s *shown) (string, error) {
	missing, later := notYet[n]
	switch {
	case later && s != nil:
		return "", fmt.Errorf("B%d is shown by %s and listed as not yet", n, s.test)
	case later:
		return fmt.Sprintf("| B%d | %s | not yet: needs %s | |\n", n, sentence(missing.given), missing.needs), nil
	case s == nil:
		return "", fmt.Errorf("no test shows B%d", n)
	}
	verdict := "same"
	if s.different != "" {
		verdict = "different on purpose: " + s.different
	}
	if s.failed {
		verdict = "**fails**"
	}
	return fmt.Sprintf("| B%d | %s | %s | `%s` |\n", n, sentence(s.given), strings.ReplaceAll(verdict, "|", "\\|"), s.test), nil
}

// sentence makes text the content of a cell that begins with a capital.
func sentence(text string) string {
	text = strings.ReplaceAll(text, "|", "\\|")
	return strings.ToUpper(text[:1]) + text[1:]
}

func TestEveryBehaviourIsShownOrListed(t *testing.T) {
	all, err := declared()
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= sections[len(sections)-1].last; n++ {
		if _, later := notYet[n]; later == (all[n] != nil) {
			t.Errorf("B%d: shown by a test: %v, listed as not yet: %v", n, all[n] != nil, later)
		}
	}
	numbers := []int{}
	for n := range all {
		numbers = append(numbers, n)
	}
	if slices.Max(numbers) > sections[len(sections)-1].last {
		t.Errorf("there is no B%d", slices.Max(numbers))
	}
}
