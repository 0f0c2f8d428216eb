package def

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// cases is what a SWITCH needs besides.
const cases = `"decisionCases":{"x":[]}`

// refusal is a definition and a problem that it has.
type refusal struct {
	src  string
	want Problem
}

func mustRefuse(t *testing.T, list map[string]refusal) {
	t.Helper()
	for name, c := range list {
		t.Run(name, func(t *testing.T) {
			plan, problems := Compile([]byte(c.src))
			if plan != nil || !mentions(problems, c.want) {
				t.Errorf("got %v, want one at %q with %q", problems, c.want.Path, c.want.Message)
			}
		})
	}
}

func TestCompileRefusesDefinitions(t *testing.T) {
	noop := task("n", "NOOP", "")
	mustRefuse(t, map[string]refusal{
		"no name":            {`{"schemaVersion":2,"tasks":[` + noop + `]}`, Problem{"name", "WorkflowDef name cannot be null or empty"}},
		"colon in name":      {`{"name":"a:b","tasks":[` + noop + `]}`, Problem{"name", "Invalid name 'a:b'"}},
		"no tasks":           {`{"name":"w"}`, Problem{"tasks", "WorkflowTask list cannot be empty"}},
		"empty tasks":        {`{"name":"w","tasks":[]}`, Problem{"tasks", "WorkflowTask list cannot be empty"}},
		"schema 1":           {`{"name":"w","schemaVersion":1,"tasks":[` + noop + `]}`, Problem{"schemaVersion", "workflowDef schemaVersion: 2 is only supported"}},
		"unknown policy":     {`{"name":"w","timeoutPolicy":"RETRY","tasks":[` + noop + `]}`, Problem{"timeoutPolicy", "allowed are TIME_OUT_WF and ALERT_ONLY"}},
		"unknown field":      {`{"name":"w","task":[],"tasks":[` + noop + `]}`, Problem{"task", `unknown field "task"; the nearest known one is "tasks"`}},
		"unknown task field": {workflow(task("a", "NOOP", `"inputparameters":{}`)), Problem{"tasks[0].inputparameters", `nearest known one is "inputParameters"`}},
		"unknown deep field": {workflow(task("a", "NOOP", `"cacheConfig":{"ttl":1}`)), Problem{"tasks[0].cacheConfig.ttl", `unknown field "ttl"`}},
		"tasks no list":      {`{"name":"w","tasks":{}}`, Problem{"tasks", "found an object, allowed is a list"}},
		"task no object":     {workflow("5"), Problem{"tasks[0]", "found the number 5, allowed is an object"}},
		"name no text":       {`{"name":[],"tasks":[` + noop + `]}`, Problem{"name", "found a list, allowed is a string"}},
		"version no integer": {`{"name":"w","version":1.5,"tasks":[` + noop + `]}`, Problem{"version", "found the number 1.5, allowed is an integer"}},
		"version too large":  {`{"name":"w","version":2147483648,"tasks":[` + noop + `]}`, Problem{"version", "allowed is an integer of 32 bits"}},
		"flag no boolean":    {workflow(task("a", "NOOP", `"optional":"yes"`)), Problem{"tasks[0].optional", `found the string "yes", allowed is a boolean`}},
		"list of no texts":   {workflow(task("a", "JOIN", `"joinOn":[{}]`)), Problem{"tasks[0].joinOn[0]", "found an object, allowed is a string"}},
		"case no list":       {workflow(task("a", "SWITCH", `"evaluatorType":"value-param","expression":"k","decisionCases":{"a b":{}}`)), Problem{"tasks[0].decisionCases['a b']", "allowed is a list of tasks"}},
		"branch no list":     {workflow(task("f", "FORK_JOIN", `"forkTasks":[{}]`), task("j", "JOIN", "")), Problem{"tasks[0].forkTasks[0]", "allowed is a list of tasks"}},
		"duplicate": {workflow(noop, task("s", "SWITCH", `"evaluatorType":"value-param","expression":"k","decisionCases":{"yes":[`+task("o", "NOOP", "")+`,`+noop+`]}`)),
			Problem{"tasks[1].decisionCases.yes[1].taskReferenceName", "taskReferenceName: n should be unique across tasks for a given workflowDefinition: w"}},
		"dangling in a nest": {workflow(task("l", "DO_WHILE", `"loopCondition":"true","loopOver":[`+task("a", "SIMPLE", `"inputParameters":{"k":"${gone.output}"}`)+`]`)),
			Problem{"tasks[0].loopOver[0].inputParameters.k", "taskReferenceName: gone for given task: a"}},
		"dangling reference": {workflow(task("a", "SIMPLE", `"inputParameters":{"k":{"l":["${b.output.x}"]}}`)),
			Problem{"tasks[0].inputParameters.k.l[0]", "taskReferenceName: b for given task: a input value: ${b.output.x} of input parameter: k.l[0] is not defined in workflow definition."}},
		"no path":                {workflow(task("a", "SIMPLE", `"inputParameters":{"k":"${workflow.input x}"}`)), Problem{"tasks[0].inputParameters.k", "key: k input parameter value: ${workflow.input x} is not valid"}},
		"no path in a nest":      {workflow(task("l", "DO_WHILE", `"loopCondition":"true","loopOver":[`+task("a", "SIMPLE", `"inputParameters":{"k":"${a[}"}`)+`]`)), Problem{"tasks[0].loopOver[0].inputParameters.k", "${a[} is not valid"}},
		"no path in output":      {`{"name":"w","tasks":[` + noop + `],"outputParameters":{"k":"${n.[}"}}`, Problem{"outputParameters.k", "${n.[} is not valid"}},
		"task without name":      {workflow(`{"taskReferenceName":"a"}`), Problem{"tasks[0].name", "WorkflowTask name cannot be empty or null"}},
		"task without reference": {workflow(`{"name":"a","taskReferenceName":""}`), Problem{"tasks[0].taskReferenceName", "WorkflowTask taskReferenceName name cannot be empty or null"}},
		"negative delay":         {workflow(task("a", "SIMPLE", `"startDelay":-1`)), Problem{"tasks[0].startDelay", "must be greater than or equal to 0"}},
		"negative retries":       {workflow(task("a", "SIMPLE", `"retryCount":-1`)), Problem{"tasks[0].retryCount", "must be greater than or equal to 0"}},
		"join mode":              {workflow(task("a", "JOIN", `"joinMode":"x"`)), Problem{"tasks[0].joinMode", "allowed are SYNC and ASYNC"}},
		"inner type":             {workflow(task("a", "SIMPLE", `"taskDefinition":{"retryLogic":"x"}`)), Problem{"tasks[0].taskDefinition.retryLogic", "allowed are FIXED"}},
	})
}

func TestCompileRefusesWhatATypeDoesNotTake(t *testing.T) {
	noop := task("n", "NOOP", "")
	mustRefuse(t, map[string]refusal{
		"EVENT":                   {workflow(task("a", "EVENT", "")), Problem{"tasks[0].sink", "sink field is required for taskType: EVENT taskName: a"}},
		"DECISION value":          {workflow(task("a", "DECISION", cases)), Problem{"tasks[0]", "caseValueParam or caseExpression field is required for taskType: DECISION taskName: a"}},
		"DECISION cases":          {workflow(task("a", "DECISION", `"caseValueParam":"k"`)), Problem{"tasks[0].decisionCases", "decisionCases should have atleast one task for taskType: DECISION taskName: a"}},
		"SWITCH evaluator":        {workflow(task("a", "SWITCH", cases)), Problem{"tasks[0].evaluatorType", "evaluatorType field is required for taskType: SWITCH taskName: a"}},
		"SWITCH expression":       {workflow(task("a", "SWITCH", cases+`,"evaluatorType":"value-param"`)), Problem{"tasks[0].expression", "expression field is required for taskType: SWITCH taskName: a"}},
		"SWITCH cases":            {workflow(task("a", "SWITCH", `"decisionCases":{}`)), Problem{"tasks[0].decisionCases", "decisionCases should have atleast one task for taskType: SWITCH taskName: a"}},
		"SWITCH script":           {workflow(task("a", "SWITCH", cases+`,"evaluatorType":"javascript","expression":"($.a"`)), Problem{"tasks[0].expression", "Expression is not well formatted: missing the end of (, taskType: SWITCH taskName a"}},
		"DECISION script":         {workflow(task("a", "DECISION", cases+`,"caseExpression":"$.a >"`)), Problem{"tasks[0].caseExpression", "Expression is not well formatted: nothing follows >"}},
		"JOIN evaluator":          {workflow(task("a", "JOIN", `"evaluatorType":"value-param","expression":"k"`)), Problem{"tasks[0].evaluatorType", "allowed are javascript, graaljs and python"}},
		"name of the server":      {workflow(task("$script", "SIMPLE", "")), Problem{"tasks[0].name", "names that begin with $ are the server's own"}},
		"type of the server":      {workflow(task("a", "$jq", "")), Problem{"tasks[0].name", "names that begin with $ are the server's own"}},
		"DYNAMIC":                 {workflow(task("a", "DYNAMIC", "")), Problem{"tasks[0].dynamicTaskNameParam", "dynamicTaskNameParam field is required for taskType: DYNAMIC taskName: a"}},
		"dynamic fork tasks":      {workflow(task("a", "FORK_JOIN_DYNAMIC", "")), Problem{"tasks[0].dynamicForkTasksParam", "dynamicForkTasksParam field is required for taskType: FORK_JOIN_DYNAMIC taskName: a"}},
		"dynamic fork inputs":     {workflow(task("a", "FORK_JOIN_DYNAMIC", `"dynamicForkTasksParam":"p"`)), Problem{"tasks[0].dynamicForkTasksInputParamName", "dynamicForkTasksInputParamName field is required"}},
		"dynamic fork both":       {workflow(task("a", "FORK_JOIN_DYNAMIC", `"dynamicForkTasksParam":"p","dynamicForkJoinTasksParam":"q"`)), Problem{"tasks[0]", "dynamicForkJoinTasksParam or combination of"}},
		"FORK_JOIN":               {workflow(task("a", "FORK_JOIN", ""), task("j", "JOIN", "")), Problem{"tasks[0].forkTasks", "forkTasks should have atleast one task for taskType: FORK_JOIN taskName: a"}},
		"FORK_JOIN without JOIN":  {workflow(task("a", "FORK_JOIN", `"forkTasks":[[`+noop+`]]`), task("b", "NOOP", "")), Problem{"tasks[0]", "Fork task definition is not followed by a join task.  Check the blueprint"}},
		"FORK_JOIN at the end":    {workflow(task("a", "FORK_JOIN", `"forkTasks":[[`+noop+`]]`)), Problem{"tasks[0]", "Fork task definition is not followed by a join task.  Check the blueprint"}},
		"JOIN on nothing":         {workflow(task("a", "JOIN", `"joinOn":["b"]`)), Problem{"tasks[0].joinOn[0]", `joinOn of a names "b", which is no task of the definition`}},
		"JOIN on itself":          {workflow(task("a", "JOIN", `"joinOn":["a"]`)), Problem{"tasks[0].joinOn[0]", "names the JOIN itself"}},
		"TERMINATE optional":      {workflow(task("a", "TERMINATE", `"optional":true,"inputParameters":{"terminationStatus":"FAILED"}`)), Problem{"tasks[0].optional", "terminate task cannot be optional, taskName: a"}},
		"TERMINATE no status":     {workflow(task("a", "TERMINATE", "")), Problem{"tasks[0].inputParameters.terminationStatus", "terminate task must have an terminationStatus parameter"}},
		"TERMINATE other status":  {workflow(task("a", "TERMINATE", `"inputParameters":{"terminationStatus":"PAUSED"}`)), Problem{"tasks[0].inputParameters.terminationStatus", "must be set to COMPLETED, FAILED or TERMINATED"}},
		"EXCLUSIVE_JOIN on none":  {workflow(task("a", "EXCLUSIVE_JOIN", `"joinOn":["b"]`)), Problem{"tasks[0].joinOn[0]", `joinOn of a names "b", which is no task of the definition`}},
		"EXCLUSIVE_JOIN default":  {workflow(task("a", "EXCLUSIVE_JOIN", `"defaultExclusiveJoinTask":["a"]`)), Problem{"tasks[0].defaultExclusiveJoinTask[0]", "names the JOIN itself"}},
		"DO_WHILE condition":      {workflow(task("a", "DO_WHILE", `"loopOver":[`+noop+`]`)), Problem{"tasks[0].loopCondition", "loopCondition field is required for taskType: DO_WHILE taskName: a"}},
		"DO_WHILE blank":          {workflow(task("a", "DO_WHILE", `"loopCondition":" ","loopOver":[`+noop+`]`)), Problem{"tasks[0].loopCondition", "loopCondition is blank and there are no items"}},
		"DO_WHILE body":           {workflow(task("a", "DO_WHILE", `"loopCondition":"true","loopOver":[]`)), Problem{"tasks[0].loopOver", "loopOver field is required for taskType: DO_WHILE taskName: a"}},
		"DO_WHILE script":         {workflow(task("a", "DO_WHILE", `"loopCondition":"$.a['b","loopOver":[`+noop+`]`)), Problem{"tasks[0].loopCondition", "Expression is not well formatted: string without end"}},
		"DO_WHILE evaluator":      {workflow(task("a", "DO_WHILE", `"loopCondition":"true","evaluatorType":"cobol","loopOver":[`+noop+`]`)), Problem{"tasks[0].evaluatorType", "allowed are value-param"}},
		"DO_WHILE keepLastN":      {workflow(task("a", "DO_WHILE", `"loopCondition":"true","inputParameters":{"keepLastN":"many"},"loopOver":[`+noop+`]`)), Problem{"tasks[0].inputParameters.keepLastN", "allowed is an integer of at least 1"}},
		"DO_WHILE items":          {workflow(task("a", "DO_WHILE", `"loopCondition":"","items":"${x[}","loopOver":[`+noop+`]`)), Problem{"tasks[0].items", "${x[} is not valid"}},
		"SUB_WORKFLOW":            {workflow(task("a", "SUB_WORKFLOW", "")), Problem{"tasks[0].subWorkflowParam", "subWorkflowParam field is required for taskType: SUB_WORKFLOW taskName: a"}},
		"SUB_WORKFLOW name":       {workflow(task("a", "SUB_WORKFLOW", `"subWorkflowParam":{}`)), Problem{"tasks[0].subWorkflowParam.name", "SubWorkflowParams name cannot be empty"}},
		"SUB_WORKFLOW version":    {workflow(task("a", "SUB_WORKFLOW", `"subWorkflowParam":{"name":"b","version":"new"}`)), Problem{"tasks[0].subWorkflowParam.version", "allowed is an integer or an expression"}},
		"SUB_WORKFLOW inline":     {workflow(task("a", "SUB_WORKFLOW", `"subWorkflowParam":{"workflowDefinition":{}}`)), Problem{"tasks[0].subWorkflowParam.workflowDefinition.tasks", "WorkflowTask list cannot be empty"}},
		"SUB_WORKFLOW dynamic":    {workflow(task("a", "SUB_WORKFLOW", `"subWorkflowParam":{"workflowDefinition":"${workflow.[}"}`)), Problem{"tasks[0].subWorkflowParam.workflowDefinition", "is not valid"}},
		"SUB_WORKFLOW text":       {workflow(task("a", "SUB_WORKFLOW", `"subWorkflowParam":{"workflowDefinition":"d"}`)), Problem{"tasks[0].subWorkflowParam.workflowDefinition", "allowed is an object or one ${…}"}},
		"SUB_WORKFLOW idempotent": {workflow(task("a", "SUB_WORKFLOW", `"subWorkflowParam":{"name":"b","idempotencyKey":"k","idempotencyStrategy":"MAYBE"}`)), Problem{"tasks[0].subWorkflowParam.idempotencyStrategy", "allowed are FAIL"}},
		"state change list":       {workflow(task("a", "NOOP", `"onStateChange":{"onStart":{"type":"x"}}`)), Problem{"tasks[0].onStateChange.onStart", "allowed is a list of events"}},
		"state change event":      {workflow(task("a", "NOOP", `"onStateChange":{"onStart":["x"]}`)), Problem{"tasks[0].onStateChange.onStart[0]", "an object"}},
		"state change type":       {workflow(task("a", "NOOP", `"onStateChange":{"onStart,onFailed":[{"payload":{}}]}`)), Problem{"tasks[0].onStateChange.onStart,onFailed[0].type", "must not be empty"}},
		"state change payload":    {workflow(task("a", "NOOP", `"onStateChange":{"onStart":[{"type":"x","payload":{"p":"${a.[}"}}]}`)), Problem{"tasks[0].onStateChange.onStart[0].payload.p", "is not valid"}},
		"state changes":           {workflow(task("a", "NOOP", `"onStateChange":{"onStart":[`+strings.Repeat(`{"type":"x"},`, 16)+`{"type":"x"}]}`)), Problem{"tasks[0].onStateChange", "has 17 events; at most 16 are allowed"}},
		"WAIT both":               {workflow(task("a", "WAIT", `"inputParameters":{"duration":"1s","until":"${workflow.input.u}"}`)), Problem{"tasks[0].inputParameters", "Both 'duration' and 'until' specified. Please provide only one input"}},
		"WAIT duration":           {workflow(task("a", "WAIT", `"inputParameters":{"duration":"PT1H"}`)), Problem{"tasks[0].inputParameters.duration", "Not valid duration: PT1H"}},
		"WAIT number":             {workflow(task("a", "WAIT", `"inputParameters":{"duration":30}`)), Problem{"tasks[0].inputParameters.duration", "Not valid duration: 30"}},
		"WAIT until":              {workflow(task("a", "WAIT", `"inputParameters":{"until":"tomorrow"}`)), Problem{"tasks[0].inputParameters.until", "Invalid/Unsupported Wait Until format.  Provided: tomorrow"}},
	})
}

func TestCompileAccepts(t *testing.T) {
	noop := task("n", "NOOP", "")
	for name, src := range map[string]string{
		"names":                  `{"name":"a b-c<>{}#.é","tasks":[` + noop + `]}`,
		"null fields":            `{"name":"w","version":null,"description":null,"variables":null,"tasks":[` + task("a", "NOOP", `"inputParameters":null,"joinOn":null,"taskDefinition":null`) + `]}`,
		"texts for other sorts":  `{"name":5,"version":"2","restartable":"true","timeoutSeconds":"60","tasks":[` + task("a", "SIMPLE", `"startDelay":"5","optional":0`) + `]}`,
		"whole float":            `{"name":"w","version":2.0,"tasks":[` + noop + `]}`,
		"commercial fields":      `{"name":"w","tags":[],"overwriteTags":true,"accessPolicy":{},"ownerApp":"x","rateLimitConfig":{"rateLimitKey":"k"},"inputSchema":{"name":"s","type":"JSON"},"maskedFields":["a"],"tasks":[` + noop + `]}`,
		"empty lists everywhere": workflow(task("a", "SIMPLE", `"decisionCases":{},"defaultCase":[],"forkTasks":[],"joinOn":[],"defaultExclusiveJoinTask":[],"loopOver":[]`)),
		"lists without effect":   workflow(task("a", "SIMPLE", `"loopOver":[`+task("b", "HTTP", "")+`]`)),
		"many expressions":       workflow(task("a", "SIMPLE", `"inputParameters":{"k":"${workflow.input.a} and ${a.output.b}","l":[{}, "", null, "${workflow.variables.x}"]}`)),
		"task id":                workflow(task("a", "SIMPLE", `"inputParameters":{"k":"${CPEWF_TASK_ID}","l":"${NETFLIX_ENV}"}`)),
		"reference into a nest":  workflow(task("l", "DO_WHILE", `"loopCondition":"$.l['iteration'] < 2","loopOver":[`+noop+`]`), task("a", "SIMPLE", `"inputParameters":{"k":"${n.output}"}`)),
		"one word in a nest":     workflow(task("l", "DO_WHILE", `"loopCondition":"true","loopOver":[`+task("a", "SIMPLE", `"inputParameters":{"k":"${gone}"}`)+`]`)),
		"dangling in the output": `{"name":"w","tasks":[` + noop + `],"outputParameters":{"k":"${gone.output}"}}`,
		"later reference":        workflow(task("a", "SIMPLE", `"inputParameters":{"k":"${n.output}"}`), noop),
		"lone JOIN":              workflow(task("j", "JOIN", `"joinOn":[]`)),
		"JOIN on earlier":        workflow(noop, task("j", "JOIN", `"joinOn":["n"]`)),
		"WAIT for ever":          workflow(task("a", "WAIT", `"inputParameters":{"duration":"","until":null}`)),
		"WAIT by expression":     workflow(task("a", "WAIT", `"inputParameters":{"duration":"${workflow.input.d}"}`)),
		"WAIT until":             workflow(task("a", "WAIT", `"inputParameters":{"until":"2027-01-31 10:00 GMT+04:00"}`)),
		"WAIT zone":              workflow(task("a", "WAIT", `"inputParameters":{"until":"2027-01-01 10:00 PST"}`)),
		"script":                 workflow(task("a", "SWITCH", cases+`,"evaluatorType":"javascript","expression":"new Date()"`)),
		"python":                 workflow(task("a", "SWITCH", cases+`,"evaluatorType":"python","expression":"($"`)),
		"unknown evaluator":      workflow(task("a", "SWITCH", cases+`,"evaluatorType":"cobol","expression":"1"`)),
		"DECISION":               workflow(task("a", "DECISION", cases+`,"caseExpression":"","caseValueParam":"k"`)),
		"loop script":            workflow(task("a", "DO_WHILE", `"loopCondition":"eval(1)","evaluatorType":"graaljs","loopOver":[`+noop+`]`)),
		"JOIN script":            workflow(task("j", "JOIN", `"joinOn":[],"evaluatorType":"js","expression":"(function(){return true;})()"`)),
		"JOIN evaluator only":    workflow(task("j", "JOIN", `"joinOn":[],"evaluatorType":"js"`)),
		"type null":              workflow(`{"name":"a","taskReferenceName":"a","type":null}`),
		"contradicting copy":     workflow(task("a", "SIMPLE", `"taskDefinition":{"timeoutSeconds":120,"responseTimeoutSeconds":3600}`)),
		"null lists":             workflow(task("s", "SWITCH", `"evaluatorType":"value-param","expression":"k","decisionCases":{"x":null}`)),
		"state change":           workflow(task("a", "SIMPLE", `"onStateChange":{"onStart":[{"type":"x","payload":{}}]}`)),
	} {
		t.Run(name, func(t *testing.T) { mustCompile(t, src) })
	}
}

func TestCompileReportsEveryProblemAtOnce(t *testing.T) {
	_, problems := Compile([]byte(`{"tasks":[{"name":"","typ":"x"},` + task("b", "EVENT", "") + `]}`))
	want := []string{"name", "tasks[0].typ", "tasks[0].name", "tasks[0].taskReferenceName", "tasks[1].sink"}
	var got []string
	for _, p := range problems {
		got = append(got, p.Path)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want problems at %v", problems, want)
	}
}

func TestCompileSaysWhereJSONEnds(t *testing.T) {
	_, problems := Compile([]byte("{\n  \"name\": \"w\",\n}"))
	if want := (Problem{"", "not JSON: line 3, column 1: "}); len(problems) != 1 || !strings.HasPrefix(problems[0].Message, want.Message) {
		t.Errorf("got %v, want %v", problems, want)
	}
}

func TestHostileDefinitions(t *testing.T) {
	nest := func(n int) string {
		var b strings.Builder
		for i := range n - 1 {
			fmt.Fprintf(&b, `{"name":"l","taskReferenceName":"l%d","type":"DO_WHILE","loopCondition":"true","loopOver":[`, i)
		}
		b.WriteString(task("inner", "NOOP", ""))
		b.WriteString(strings.Repeat("]}", n-1))
		return workflow(b.String())
	}
	mustCompile(t, nest(63))
	wide := make([]string, MaxNodes+1)
	for i := range wide {
		wide[i] = `{"name":"n","taskReferenceName":"` + fmt.Sprint(i) + `"}`
	}
	mustCompile(t, workflow(wide[:MaxNodes]...))
	for name, c := range map[string]struct {
		src  string
		want Problem
	}{
		"too deep":         {nest(64), Problem{"", "nested too deeply"}},
		"too large":        {`{"name":"` + strings.Repeat("x", MaxSource) + `"}`, Problem{"", "the definition has"}},
		"too many tasks":   {workflow(wide...), Problem{"tasks[10000]", "the definition has more than 10000 tasks"}},
		"unknown fields":   {`{` + strings.Repeat(`"`+strings.Repeat("x", 5)+`":1,"y":1,`, 40000) + `"tasks":[]}`, Problem{"xxxxx", "unknown field"}},
		"long unknown":     {`{"` + strings.Repeat("é", 100000) + `":1}`, Problem{"", "unknown field"}},
		"many problems":    {workflow(strings.Repeat("0,", 200000) + "0"), Problem{"tasks[0]", "allowed is an object"}},
		"long value":       {`{"name":"w","tasks":"` + strings.Repeat("x", 500000) + `"}`, Problem{"tasks", "allowed is a list"}},
		"empty":            {"", Problem{"", "not JSON"}},
		"no object":        {"[]", Problem{"", "found a list, allowed is an object"}},
		"bad bytes":        {"{\"name\":\"\xff\"}", Problem{"", "not JSON"}},
		"null as document": {"null", Problem{"", "found null, allowed is an object"}},
	} {
		plan, problems := Compile([]byte(c.src))
		if plan != nil || !mentions(problems, c.want) {
			t.Errorf("%s: got %.300v, want %v", name, problems, c.want)
		}
		size := 0
		for _, p := range problems {
			size += len(p.Path) + len(p.Message)
		}
		if len(problems) > maxProblems || size > maxProblems*2000 {
			t.Errorf("%s: got %d problems of %d bytes", name, len(problems), size)
		}
	}
}
