package def

import (
	"strings"
	"testing"
)

func TestProgramsAreWhatTakesAnEngineToBeParsed(t *testing.T) {
	inline := func(in string) string { return workflow(task("a", "INLINE", `"inputParameters":{`+in+`}`)) }
	const inlineDef = `{"name":"w","tasks":[{"name":"a","taskReferenceName":"a","type":"INLINE","inputParameters":{"expression":"f()"}}]}`
	const expression = "tasks[0].inputParameters.expression javascript f()"
	for src, want := range map[string]string{
		inline(`"expression":"f()"`):                                                                  expression,
		inline(`"evaluatorType":"graaljs","expression":"f()"`):                                        expression,
		inline(`"evaluatorType":"python","expression":"f()"`):                                         "",
		inline(`"evaluatorType":"value-param","expression":"f()"`):                                    "",
		inline(`"evaluatorType":"${workflow.input.e}","expression":"f()"`):                            "",
		inline(`"expression":"$.a + 1"`):                                                              "", // the machine does that itself
		inline(`"expression":"${workflow.input.x}"`):                                                  "",
		inline(`"expression":"f(${workflow.input.x}"`):                                                "",
		inline(`"expression":"${workflow.secrets.x}()"`):                                              "",
		inline("\"expression\":\"`$${a}`\""):                                                          "tasks[0].inputParameters.expression javascript `${a}`",
		inline(`"expression":1`):                                                                      "",
		inline(`"expression":" "`):                                                                    "",
		inline(`"x":1`):                                                                               "",
		workflow(task("a", "LAMBDA", `"inputParameters":{"scriptExpression":"return f()"}`)):          "tasks[0].inputParameters.scriptExpression function return f()",
		workflow(task("a", "LAMBDA", `"inputParameters":{"scriptExpression":"return $.a"}`)):          "",
		workflow(task("a", "JSON_JQ_TRANSFORM", `"inputParameters":{"queryExpression":".a | nope"}`)): "tasks[0].inputParameters.queryExpression jq .a | nope",
		workflow(task("a", "JSON_JQ_TRANSFORM", `"inputParameters":{"queryExpression":"${x}"}`)):      "",
		workflow(task("a", "SIMPLE", `"inputParameters":{"expression":"f()"}`)):                       "",
		workflow(task("a", "WAIT", `"inputParameters":{"until":"2027-01-31 18:30 Europe/Nowhere"}`)):  "tasks[0].inputParameters.until zone 2027-01-31 18:30 Europe/Nowhere",
		workflow(task("a", "WAIT", `"inputParameters":{"until":"2027-01-31 18:30 GMT+04:00"}`)):       "",
		// The document need not be valid, and each of its programs is there.
		workflow(task("", "SWITCH", `"evaluatorType":"javascript","expression":"f()"`), task("d", "DECISION", `"caseExpression":"g()","decisionCases":{"a":[`+
			task("l", "DO_WHILE", `"loopCondition":"h()","loopOver":[`+task("i", "LAMBDA", `"inputParameters":{"scriptExpression":"return f()"}`)+`]`)+`]}`)): //
		"tasks[0].expression javascript f(), tasks[1].caseExpression javascript g(), tasks[1].decisionCases.a[0].loopCondition javascript h(), " +
			"tasks[1].decisionCases.a[0].loopOver[0].inputParameters.scriptExpression function return f()",
		workflow(task("f", "FORK_JOIN", `"forkTasks":[[`+task("a", "NOOP", "")+`]]`), task("j", "JOIN", `"expression":"f()"`)): "tasks[1].expression javascript f()",
		// What looks broken without an engine is a problem already.
		workflow(task("a", "SWITCH", `"evaluatorType":"javascript","expression":"f(","decisionCases":{"a":[]}`)):           "",
		workflow(task("a", "SUB_WORKFLOW", `"subWorkflowParam":{"name":"s","workflowDefinition":`+inlineDef+`}`)):          "tasks[0].subWorkflowParam.workflowDefinition." + expression,
		`{"name":"w","input":{},"workflowDef":` + inlineDef + `}`:                                                          "workflowDef." + expression,
		`{"name":"s","cronExpression":"0 0 9 * * *","startWorkflowRequest":{"name":"w","workflowDef":` + inlineDef + `}}`:  "startWorkflowRequest.workflowDef." + expression,
		`{"name":"s","cronExpression":"0 0 9 * * *","zoneId":"Europe/Nowhere","startWorkflowRequest":{"name":"w"}}`:        "zoneId zone 2000-01-01 00:00 Europe/Nowhere",
		`{"name":"h","event":"e","condition":"f()","actions":[{"action":"start_workflow","start_workflow":{"name":"w"}}]}`: "condition javascript f()",
		`{"name":"h","event":"e","condition":"$.a == 1","actions":[]}`:                                                     "",
		`{"name":"h","event":"e","evaluatorType":"python","condition":"f()","actions":[]}`:                                 "",
		`{"name":"t","inputTemplate":{"expression":"f()"}}`:                                                                "",
		`{"name":`: "",
	} {
		var got []string
		for _, p := range Sniff([]byte(src)).Programs([]byte(src)) {
			language := p.Language
			if p.Function {
				language = "function"
			}
			got = append(got, p.Path+" "+language+" "+p.Source)
		}
		if got := strings.Join(got, ", "); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", src, got, want)
		}
	}
	p := ShapeWorkflow.Programs([]byte(inline(`"expression":"f()"`)))[0]
	const message = "Expression is not well formatted: bad, taskType: INLINE taskName a"
	if got := p.Problem("bad"); got != (Problem{"tasks[0].inputParameters.expression", message}) {
		t.Errorf("got %+v, want %q", got, message)
	}
}
