package expr

import (
	"testing"
)

func render(t *testing.T, template, root string) string {
	t.Helper()
	tm, err := ParseTemplate([]byte(template))
	if err != nil {
		t.Fatalf("ParseTemplate(%s): %v", template, err)
	}
	out, err := tm.Append(nil, Raw([]byte(root)), &Budget{Steps: MaxEvalSteps})
	if err != nil {
		t.Fatalf("Append(%s): %v", template, err)
	}
	if string(tm.Raw()) != template {
		t.Errorf("%s: the template became %s", template, tm.Raw())
	}
	v, err := tm.Eval(Raw([]byte(root)), nil)
	if whole := v.AppendJSON(nil); err != nil || string(whole) != string(trim(out)) {
		t.Errorf("%s: Eval gives %s, %v, Append %s", template, whole, err, out)
	}
	if err := Check(out); err != nil {
		t.Errorf("%s: gives %s: %v", template, out, err)
	}
	return string(out)
}

func checkRenders(t *testing.T, root string, tests [][2]string) {
	t.Helper()
	for _, tt := range tests {
		if got := render(t, tt[0], root); got != tt[1] {
			t.Errorf("%s: got %s, want %s", tt[0], got, tt[1])
		}
	}
}

func TestB188LoneExpressionKeepsType(t *testing.T) {
	checkRenders(t, `{"externalId": {"taskRefName": "t001", "workflowId": "w002"}, "name": "conductor", "version": 2, "r": 1.0, "e": 1E5,
		"big": 12345678901234567890, "yes": true, "no": null, "l": [ 1 ]}`, [][2]string{
		{`"${$.externalId}"`, `{"taskRefName": "t001", "workflowId": "w002"}`},
		{`"${externalId.taskRefName}"`, `"t001"`},
		{`"${name}"`, `"conductor"`},
		{`"${version}"`, `2`},
		{`"${ version }"`, `2`},
		{`"${r}"`, `1.0`},
		{`"${e}"`, `1E5`},
		{`"${big}"`, `12345678901234567890`},
		{`"${yes}"`, `true`},
		{`"${no}"`, `null`},
		{`"${l}"`, `[ 1 ]`},
		{`" ${version}"`, `" 2"`},
		{`"${name}-${version}"`, `"conductor-2"`},
		{`"${r} ${e} ${big} ${yes} ${no} ${l} ${externalId}"`,
			`"1.0 100000.0 12345678901234567890 true null [1] {taskRefName=t001, workflowId=w002}"`},
	})
}

func TestB189EscapesAndBlanks(t *testing.T) {
	checkRenders(t, `{"name": "conductor", "version": 2, "dollar": "$${name}", "re": "${name}"}`, [][2]string{
		{`"$${name}"`, `"${name}"`},
		{`"$${name} ${version} $${x}"`, `"${name} 2 ${x}"`},
		{`"${version}$${name}"`, `"2${name}"`},
		{`"$$${name}"`, `"$${name}"`},
		{`"${}"`, `""`},
		{`"${   }"`, `""`},
		{`"a${}b${ }"`, `"ab"`},
		{`"${re}"`, `"${name}"`},
		{`"x${re}"`, `"x${name}"`},
		{`"${dollar}"`, `"$${name}"`},
		{`"${"`, `"${"`},
		{`"${name"`, `"${name"`},
		{`"${name ${version}"`, `"${name 2"`},
		{`"$name {version} }"`, `"$name {version} }"`},
		{`"{\"a\": \"${name}\", \"b\": {}}"`, `"{\"a\": \"conductor\", \"b\": {}}"`},
		{`"\u0024{name}"`, `"conductor"`},
		{`"line\n${name}\ttab"`, `"line\nconductor\ttab"`},
	})
}

func TestB190NestedExpressions(t *testing.T) {
	checkRenders(t, `{"list": [{"k": "a"}, {"k": "b"}], "index": 1, "key": "words", "map": {"words": ["x", "y"], "b": "deep", "words2": 1},
		"which": {"i": "index"}, "none": null, "path": "map.b", "bad": "a b", "empty": ""}`, [][2]string{
		{`"${list[${index}]}"`, `{"k": "b"}`},
		{`"${list[${index}].k}"`, `"b"`},
		{`"${map.${key}[${index}]}"`, `"y"`},
		{`"${map.${list[${index}].k}}"`, `"deep"`},
		{`"${map.${list[${${which.i}}].k}}"`, `"deep"`},
		{`"${map.${key}2}"`, `1`},
		{`"${${path}}"`, `"deep"`},
		{`"${${none}}"`, `null`},
		{`"${${empty}}"`, `""`},
		{`"${${bad}}"`, `null`},
		{`"<${map.${bad}}>"`, `"<null>"`},
		{`"${map.$${key}}"`, `null`},
		{`"${workflow.secrets.${key}}"`, `"${workflow.secrets.words}"`},
		{`"<${workflow.secrets.${key}}>"`, `"<${workflow.secrets.words}>"`},
	})
}

func TestB191ExpressionsAtAnyDepth(t *testing.T) {
	checkRenders(t, `{"name": "n\"q", "version": 2}`, [][2]string{
		{`{"a": [ {"b": "${version}", "c": ["${name}", 1.0, true]} ], "${name}": "x${name}y" }`,
			`{"a": [ {"b": 2, "c": ["n\"q", 1.0, true]} ], "${name}": "xn\"qy" }`},
		{` [ "${version}" , "v${version}" ] `, ` [ 2 , "v2" ] `},
		{`{"a":{"b":{"c":[[["${version}"]]]}}}`, `{"a":{"b":{"c":[[[2]]]}}}`},
		{`{"a": 1, "b": "plain"}`, `{"a": 1, "b": "plain"}`},
		{`1`, `1`},
	})
}

func TestB192MissingPaths(t *testing.T) {
	checkRenders(t, `{"list": [{"x": 1}, {"x": 2}], "a": 1}`, [][2]string{
		{`{"k": "${nope}", "l": "${a.b.c}", "m": "${list[7].x}"}`, `{"k": null, "l": null, "m": null}`},
		{`"${list[?(@.x > 1)]}"`, `[{"x": 2}]`},
		{`"${list[?(@.x > 5)]}"`, `[]`},
		{`"${$..x}"`, `[1,2]`},
		{`"${nope..x}"`, `[]`},
		{`"v: ${nope} ${nope[*]}"`, `"v: null []"`},
	})
}
