package model

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

var (
	iteration = regexp.MustCompile(`^\$\.(\w+)\['iteration'\] < (\$\.n|3)$`)
	wrapped   = regexp.MustCompile(`^if \((.*)\) \{ true; \} else \{ false; \}$`)
	output    = regexp.MustCompile(`^\$\.(\w+)\.x != 1$`)
)

// Script evaluates the scripts that Random writes, and no others.
func Script(script string, scope map[string]any) (any, error) {
	if m := wrapped.FindStringSubmatch(script); m != nil {
		return Script(m[1], scope)
	}
	if rest, ok := strings.CutPrefix(script, "return "); ok {
		return Script(rest, scope)
	}
	if left, right, ok := strings.Cut(script, " && "); ok {
		a, err := Script(left, scope)
		if err != nil || a == false {
			return a, err
		}
		return Script(right, scope)
	}
	if m := iteration.FindStringSubmatch(script); m != nil {
		bound := any("3")
		if m[2] == "$.n" {
			bound = scope["n"]
		}
		return less(member(scope[m[1]], "iteration"), bound), nil
	}
	if m := output.FindStringSubmatch(script); m != nil {
		if _, ok := scope[m[1]]; !ok {
			return nil, fmt.Errorf("nothing is named %s", m[1])
		}
		n, ok := numeric(member(scope[m[1]], "x"))
		return !ok || n != 1, nil
	}
	if script == "$.c > 1 ? 'big' : 'small'" {
		if less("1", scope["c"]) {
			return "big", nil
		}
		return "small", nil
	}
	return nil, fmt.Errorf("unknown script %q", script)
}

func member(v any, key string) any {
	m, _ := v.(map[string]any)
	return m[key]
}

func less(a, b any) bool {
	x, ok := numeric(a)
	y, also := numeric(b)
	return ok && also && x < y
}

// numeric is what JavaScript takes for a number when it compares one with v.
// Absent values are told from null by the caller: neither is more than 1.
func numeric(v any) (float64, bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case nil, map[string]any, []any:
		return 0, v == nil
	}
	f, err := strconv.ParseFloat(fmt.Sprint(v), 64)
	return f, err == nil
}
