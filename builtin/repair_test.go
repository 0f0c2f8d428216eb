package builtin

import "testing"

func TestComparisonsAreGroupedFromTheLeft(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{"1 < 2 < 3", "true"}, {"3 > 2 > 1", "false"}, {"'b' > 'a' > 0", "true"}, {"3 > (2 > 1)", "true"}, {"3 > ( /* ( */ (2 > 1))", "true"},
		{"5 > (4) > 0", "true"}, {"5 > ((4) > 0)", "true"}, {"5 > ($).n > 0", "true"}, {"5 > (($).n > 0)", "true"}, {"6 > ($.n) + 1 > (0)", "true"},
		{"1 < 5 <= 1 >= 1", "true"}, {"4 > 3 > 0 > 0", "true"}, {"(function(){ return [3 > 2 > 1, 3 > (2 > 1)] })()", "[false,true]"},
		{"[1].map(x => 3 > 2 > x)[0]", "false"}, {"`${3 > 2 > 1}`", `"false"`}, {"true instanceof Object > -1", "true"},
		{"5 > ')'.length > 0", "true"}, {"5 > '('.length > 0", "true"}, {"if (3 > 2 > 1) 'a'; else 'b'", `"b"`},
		{"for (var i = 0; i < 9 > 0; i++) { if (i > 20) break } i", "9"}, {"1 < (x => x < 2)(1) < 3", "true"},
	} {
		if o := run(c.source, `{"n": 4}`); string(o.Result) != c.want {
			t.Errorf("%s: got %s %+v, want %s", c.source, o.Result, o, c.want)
		}
	}
}

func TestEqualityReadsTextsAsNumbersOnBothSides(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{"'1.0' == 1", "true"}, {"1 == '1.0'", "true"}, {"'-0' == false", "true"}, {"false == '-0'", "true"}, {"'\u00a05' == 5", "true"},
		{"'1.0' != 1", "false"}, {"'0x10' == 16", "true"}, {"'a' == 1", "false"}, {"'' == 0", "true"}, {"true == '1'", "true"}, {"'1' == '1.0'", "false"},
		{"null == undefined", "true"}, {"null == 0", "false"}, {"$ == $", "true"}, {"({}) == '[object Object]'", "true"}, {"[5] == 5", "true"},
		{"new String('a') == 'a'", "true"}, {"NaN != NaN", "true"}, {"(x => x == 2 ? 'two' : 'other')('2')", `"two"`},
		{"Symbol.iterator == Symbol.iterator", "true"}, {"10n == '10'", "true"}, {"'10' == 10n", "true"}, {"typeof globalThis['==='] == 'undefined'", "true"},
	} {
		if o := run(c.source, `{"n": 4}`); string(o.Result) != c.want {
			t.Errorf("%s: got %s %+v, want %s", c.source, o.Result, o, c.want)
		}
	}
	if o := run("var a = {valueOf() { throw new Error('x') }};\n\na == 1", "{}"); o.Message != "Error: x" || o.Line != 1 {
		t.Errorf("a comparison that throws: got %+v", o)
	}
}
