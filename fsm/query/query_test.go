package query

import (
	"errors"
	"strconv"
	"strings"
	"testing"
)

// show writes a tree with all its parentheses.
func show(n Node) string {
	names := map[Op]string{Equal: "=", NotEqual: "!=", Less: "<", Greater: ">", LessOrEqual: "<=", GreaterOrEqual: ">=",
		In: "in", Between: "between", IsNull: "null", IsNotNull: "not null", StartsWith: "starts"}
	var parts []string
	switch n.Op {
	case And, Or:
		for _, k := range n.Kids {
			parts = append(parts, show(k))
		}
		return "(" + strings.Join(parts, map[Op]string{And: " & ", Or: " | "}[n.Op]) + ")"
	}
	for _, v := range n.Values {
		parts = append(parts, strings.Join(v.Parts, "~"))
	}
	return strings.TrimRight(n.Field+" "+names[n.Op]+" "+strings.Join(parts, ","), " ")
}

func TestGrammar(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "()",
		"  \n":                                 "()",
		"a = 1":                                "a = 1",
		"a=b":                                  "a = b",
		"a='b c'":                              "a = b c",
		`a="b 'c'"`:                            "a = b 'c'",
		`a='it\'s'`:                            "a = it's",
		`a="x\"y\\z"`:                          `a = x"y\z`,
		`a='b*c'`:                              "a = b~c",
		`a='b\*c'`:                             "a = b*c",
		"a = order*":                           "a = order~",
		"a != b":                               "a != b",
		"a<1 AND b>2":                          "(a < 1 & b > 2)",
		"a <= 1 and b >= 2":                    "(a <= 1 & b >= 2)",
		"a=1 OR b=2 AND c=3":                   "(a = 1 | (b = 2 & c = 3))",
		"a=1 AND b=2 OR c=3":                   "((a = 1 & b = 2) | c = 3)",
		"(a=1 OR b=2) AND c=3":                 "((a = 1 | b = 2) & c = 3)",
		"((a=1))":                              "a = 1",
		"a IN (x,y)":                           "a in x,y",
		"a in ('x', \"y\", z)":                 "a in x,y,z",
		"a IN(x)":                              "a in x",
		"a BETWEEN 1 AND 2 AND b=3":            "(a between 1,2 & b = 3)",
		"a Is Null or a IS NOT null":           "(a null | a not null)",
		"a STARTS_WITH 'x'":                    "a starts x",
		"a starts_with x":                      "a starts x",
		"a = -1.5e3":                           "a = -1.5e3",
		"t = 2026-01-02T03:04:05Z":             "t = 2026-01-02T03:04:05Z",
		"a = ''":                               "a =",
		"in = in":                              "in = in",
		"correlationId='c' AND workflowType=w": "(correlationId = c & workflowType = w)",
		"a = ключ":                             "a = ключ",
	} {
		n, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got := show(n); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func TestErrorsSayWhereAndWhatIsAllowed(t *testing.T) {
	deep := strings.Repeat("(", MaxDepth+1) + "a=1" + strings.Repeat(")", MaxDepth+1)
	for text, want := range map[string]string{
		"a":               `at character 2: found the end, want =, !=, <, >, <=, >=, IN, BETWEEN, IS or STARTS_WITH`,
		"a b":             `at character 3: found "b", want =, !=, <, >, <=, >=, IN, BETWEEN, IS or STARTS_WITH`,
		"= 1":             `at character 1: found "=", want the name of a field or (`,
		"'a' = 1":         `at character 1: found "'a'", want the name of a field or (`,
		"AND a=1":         `at character 1: found "AND", want the name of a field or (`,
		"a =":             `at character 4: found the end, want a value`,
		"a = )":           `at character 5: found ")", want a value`,
		"a = OR b=1":      `at character 5: found "OR", want a value`,
		"a = 'b":          `at character 5: found "'b", want a quote at the end of the value`,
		"a ! b":           `at character 3: found "!", want =, !=, <, >, <=, >=, IN, BETWEEN, IS or STARTS_WITH`,
		"a = 1 b = 2":     `at character 7: found "b", want AND, OR or the end`,
		"(a = 1":          `at character 7: found the end, want AND, OR or )`,
		"a = 1)":          `at character 6: found ")", want AND, OR or the end`,
		"a = 1 AND":       `at character 10: found the end, want the name of a field or (`,
		"a IN x":          `at character 6: found "x", want ( and a list of values`,
		"a IN ()":         `at character 7: found ")", want a value`,
		"a IN (x y)":      `at character 9: found "y", want , or )`,
		"a BETWEEN 1 2":   `at character 13: found "2", want AND between the two bounds`,
		"a IS 1":          `at character 6: found "1", want null or NOT null`,
		"a IS NOT 1":      `at character 10: found "1", want null or NOT null`,
		deep:              `at character 33: found "(", want at most 32 parentheses within each other`,
		"a=1 AND (b=2 OR": `at character 16: found the end, want the name of a field or (`,
	} {
		_, err := Parse(text)
		var e *Error
		if !errors.As(err, &e) || e.Error() != want {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

func TestBoundsHold(t *testing.T) {
	term := "a=1"
	most := term + strings.Repeat(" OR a=1", MaxTerms-1)
	if _, err := Parse(most); err != nil {
		t.Errorf("%d conditions: %v", MaxTerms, err)
	}
	for name, text := range map[string]string{
		"conditions": most + " OR a=1",
		"values":     "a IN (" + strings.Repeat("1,", MaxValues) + "1)",
		"length":     "a='" + strings.Repeat("x", MaxLength) + "'",
	} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := ParseText(strings.Repeat("x ", MaxWords+1)); err == nil {
		t.Error("words: no error")
	}
}

func TestWildcards(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"abc", "abc", true}, {"abc", "abcd", false}, {"a*", "abc", true}, {"*c", "abc", true}, {"a*c", "ac", true},
		{"a*a", "a", false}, {"*b*", "abc", true}, {"*", "", true}, {"a*b*c", "a1b2c", true}, {"a*b*c", "a1c2b", false},
		{"*ab*ab*", "abab", true}, {"*ab*ab*", "aba", false},
	} {
		if got := Match(strings.Split(c.pattern, "*"), c.text); got != c.want {
			t.Errorf("%s in %s: got %v, want %v", c.pattern, c.text, got, c.want)
		}
	}
}

func TestFreeText(t *testing.T) {
	for _, c := range []struct {
		free, text string
		want       bool
	}{
		{"*", "", true}, {"", "anything", true}, {"card", "Card service down", true}, {"card down", "Card service down", true},
		{`"card down"`, "Card service down", false}, {`"service down"`, "Card service, down!", true}, {"car", "card", false},
		{"car*", "card", true}, {"card-service", "card service", true}, {"card-service", "card, then a service", false},
		{"größe", "die größe", true}, {"a_b", "a b", false}, {"...", "x", true}, {`{"k":"v"}`, `{"k": "v"}`, true},
	} {
		phrases, err := ParseText(c.free)
		if err != nil {
			t.Fatalf("%s: %v", c.free, err)
		}
		got := true
		for _, p := range phrases {
			got = got && p.In(c.text)
		}
		if got != c.want {
			t.Errorf("%s in %s: got %v, want %v", c.free, c.text, got, c.want)
		}
	}
	if _, err := ParseText(`x "y`); err == nil {
		t.Error("a phrase without an end: no error")
	}
}

// FuzzQuery checks that any text is answered by a tree within the bounds or an error
// that points into the text, and that what is quoted means the same as written anew.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{"a=1", "a IN (x,'y') AND (b BETWEEN 1 AND 2 OR c IS NOT null)", `a="\"*" or b STARTS_WITH q*`, "((", "a='", "a !"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := Parse(text)
		var e *Error
		if err != nil {
			if !errors.As(err, &e) || e.At < 0 || e.At > len(text) || e.Want == "" {
				t.Fatalf("error %v does not point into the text", err)
			}
			return
		}
		again, err := Parse(write(n))
		if err != nil || show(again) != show(n) {
			t.Fatalf("%s was written as %s: %v", show(n), write(n), err)
		}
		if phrases, err := ParseText(text); err == nil {
			for _, p := range phrases {
				p.In(text)
			}
		}
	})
}

// write gives a query that Parse reads as n.
func write(n Node) string {
	var parts []string
	switch n.Op {
	case And, Or:
		for _, k := range n.Kids {
			parts = append(parts, "("+write(k)+")")
		}
		return strings.Join(parts, map[Op]string{And: " AND ", Or: " OR "}[n.Op])
	}
	for _, v := range n.Values {
		cuts := make([]string, len(v.Parts))
		for i, p := range v.Parts {
			cuts[i] = strings.NewReplacer(`\`, `\\`, `'`, `\'`, `*`, `\*`).Replace(p)
		}
		parts = append(parts, "'"+strings.Join(cuts, "*")+"'")
	}
	switch n.Op {
	case In:
		return n.Field + " in (" + strings.Join(parts, ",") + ")"
	case Between:
		return n.Field + " between " + parts[0] + " and " + parts[1]
	case IsNull:
		return n.Field + " is null"
	case IsNotNull:
		return n.Field + " is not null"
	case StartsWith:
		return n.Field + " starts_with " + parts[0]
	}
	sign := []string{"=", "!=", "<", ">", "<=", ">="}[n.Op-Equal]
	return n.Field + sign + parts[0]
}

func BenchmarkParse(b *testing.B) {
	text := "status IN (RUNNING, FAILED) AND workflowType = 'order' AND startTime > " + strconv.Itoa(1_700_000_000_000)
	for b.Loop() {
		if _, err := Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}
