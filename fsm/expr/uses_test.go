package expr

import (
	"strings"
	"testing"
)

func TestBrokenFindsOnlyWhatNoEngineTakes(t *testing.T) {
	for src, want := range map[string]string{
		``:                           "",
		`$.a > 1`:                    "",
		`$.a >`:                      "nothing follows >",
		`if ($.a) {1} else {`:        "missing the end of {",
		`($.a`:                       "missing the end of (",
		`$.a)`:                       "unexpected )",
		`[1)`:                        "unexpected )",
		`'abc`:                       "string without end",
		"'abc\n'":                    "line end in a string",
		`1 /* never`:                 "comment without end",
		`$.a.match(/[)]/)`:           "", // a regular expression may hold anything
		"`${$.a}`":                   "",
		`$.a++`:                      "",
		`x => x`:                     "",
		`$.a ? 1 : 2`:                "",
		`new Date()`:                 "",
		`(function(){return 1;})()`:  "",
		`'\u{110000}'`:               "",
		`async () => { for (;;) ; }`: "",
	} {
		if got := Broken(src); got != want {
			t.Errorf("%s: got %q, want %q", src, got, want)
		}
	}
}

func TestScanUsesErrsToTheSideOfMore(t *testing.T) {
	for src, want := range map[string]string{
		`$.a > $.b`:                            "a b",
		`$['a b'].x + $ . c["y"].z`:            "a b.x c.y",
		`$?.a?.b`:                              "a.b",
		"`${$.a.b} and ${x}`":                  "a.b",
		`var $x = 1; a$ + $x`:                  "",
		`Object.keys($)`:                       "*",
		`$[k]`:                                 "*",
		`$["a` + `\x62"]`:                      "*",
		`$.a[k]`:                               "a",
		`$ /* */ .a`:                           "*",
		`eval("$.a")`:                          "*",
		`this.$.a`:                             "*",
		`globalThis['$']`:                      "*",
		`\u0024.a`:                             "*",
		`$.l.iteration < 3 && $['l'].x`:        "l.iteration l.x",
		`let f = () => $; f().a`:               "*",
		`[1].concat($.list).length > $?.['n']`: "list n",
	} {
		u := ScanUses(src)
		var got []string
		for _, p := range u.paths {
			got = append(got, strings.TrimSuffix(p[0]+"."+p[1], "."))
		}
		if u.whole {
			got = []string{"*"}
		}
		if g := strings.Join(got, " "); g != want {
			t.Errorf("%s: got %q, want %q", src, g, want)
		}
	}
	u := ScanUses(`$.l.iteration + $.m`)
	if !u.Root("l") || u.Root("x") || !u.Only("l", "iteration", "loopItem") || u.Only("m", "iteration") || !ScanUses("$").Root("x") {
		t.Error("roots or members are wrong")
	}
}
