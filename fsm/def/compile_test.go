package def

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pawlhq/pawl/fsm/expr"
)

// workflow returns a definition with the tasks given as JSON.
func workflow(tasks ...string) string {
	return `{"name":"w","schemaVersion":2,"tasks":[` + strings.Join(tasks, ",") + `]}`
}

// task returns a step; its name is its reference name.
func task(ref, typ, more string) string {
	if more != "" {
		more = "," + more
	}
	return `{"name":"` + ref + `","taskReferenceName":"` + ref + `","type":"` + typ + `"` + more + `}`
}

func mustCompile(t *testing.T, src string) *Plan {
	t.Helper()
	plan, problems := Compile([]byte(src))
	if len(problems) > 0 {
		t.Fatalf("compile %s: %v", src, problems)
	}
	checkPlan(t, plan)
	return plan
}

// checkPlan checks what holds for every plan.
func checkPlan(t *testing.T, plan *Plan) {
	t.Helper()
	if len(plan.ByRef) != len(plan.Nodes) {
		t.Errorf("got %d names for %d nodes", len(plan.ByRef), len(plan.Nodes))
	}
	for i := range plan.Nodes {
		n := &plan.Nodes[i]
		self := int32(i)
		if plan.ByRef[n.Ref] != self {
			t.Errorf("node %d: %s leads to %d", i, n.Ref, plan.ByRef[n.Ref])
		}
		if n.Input == nil {
			t.Errorf("node %d has no input", i)
		}
		if n.Next >= 0 && n.Next <= self || n.Next < EndIteration {
			t.Errorf("node %d goes on with %d", i, n.Next)
		}
		if n.Loop >= self || n.Loop >= 0 && self >= plan.Nodes[n.Loop].LoopEnd {
			t.Errorf("node %d is in loop %d", i, n.Loop)
		}
		for _, head := range n.Heads {
			if head <= self {
				t.Errorf("node %d has the head %d", i, head)
			}
		}
		if !slices.IsSorted(n.Joiners) {
			t.Errorf("node %d has joiners %v", i, n.Joiners)
		}
		if len(n.Reach) > MaxReach {
			t.Errorf("node %d reaches %v", i, n.Reach)
		}
	}
}

// table writes a plan's nodes for people.
func table(plan *Plan) string {
	var b strings.Builder
	name := func(n int32) string {
		switch n {
		case EndRoot:
			return "root."
		case EndBranch:
			return "branch."
		case EndIteration:
			return "iteration."
		case None:
			return "-"
		case Empty:
			return "{}"
		}
		return plan.Nodes[n].Ref
	}
	names := func(list []int32) string {
		out := make([]string, len(list))
		for i, n := range list {
			out[i] = name(n)
		}
		return strings.Join(out, ",")
	}
	fmt.Fprintf(&b, "first=%s reach=%s\n", name(plan.First), strings.Join(plan.Reach, ","))
	for i := range plan.Nodes {
		n := &plan.Nodes[i]
		fmt.Fprintf(&b, "%2d %-7s %-12s next=%s", i, n.Ref, n.Type, name(n.Next))
		if n.Loop != None {
			fmt.Fprintf(&b, " loop=%s", name(n.Loop))
		}
		if n.LoopEnd != 0 {
			fmt.Fprintf(&b, " end=%d", n.LoopEnd)
		}
		if n.Top {
			b.WriteString(" top")
		}
		if n.Heads != nil {
			fmt.Fprintf(&b, " heads=%s", names(n.Heads))
		}
		var keys []string
		for key, head := range n.Cases {
			keys = append(keys, key+":"+name(head))
		}
		slices.Sort(keys)
		if len(keys) > 0 {
			fmt.Fprintf(&b, " cases=%s default=%s", strings.Join(keys, ","), name(n.Default))
		}
		if n.JoinOf != None {
			fmt.Fprintf(&b, " join=%s", name(n.JoinOf))
		}
		if n.JoinOn != nil {
			fmt.Fprintf(&b, " on=%s", names(n.JoinOn))
		}
		if n.Joiners != nil {
			fmt.Fprintf(&b, " joiners=%s", names(n.Joiners))
		}
		fmt.Fprintf(&b, " reach=%s\n", strings.Join(n.Reach, ","))
	}
	return b.String()
}

func TestNestedDefinitionCompilesToItsTable(t *testing.T) {
	src, err := os.ReadFile("testdata/nested.json")
	if err != nil {
		t.Fatal(err)
	}
	golden, err := os.ReadFile("testdata/nested.table")
	if err != nil {
		t.Fatal(err)
	}
	if got := table(mustCompile(t, string(src))); got != string(golden) {
		t.Errorf("got\n%s\nwant\n%s", got, golden)
	}
}

func TestCompileReadsTheHeader(t *testing.T) {
	plan := mustCompile(t, `{"name":"order","version":"7","schemaVersion":2,"tasks":[`+task("a", "SIMPLE", "")+`],
		"timeoutSeconds":90,"timeoutPolicy":"TIME_OUT_WF","restartable":false,"variables":{"n":1},"inputTemplate":{"k":"${x}"},
		"failureWorkflow":"${workflow.input.f}","failureWorkflowVersion":3,"outputParameters":{"r":"${a.output.r}"}}`)
	if plan.Name != "order" || plan.Version != 7 || plan.TimeoutSeconds != 90 || plan.TimeoutPolicy != TimeOutWorkflow || plan.Restartable {
		t.Errorf("got %+v", plan)
	}
	if string(plan.Variables) != `{"n":1}` || string(plan.InputDefaults) != `{"k":"${x}"}` || plan.FailureWorkflow == nil ||
		plan.FailureWorkflowVersion != 3 || plan.Output == nil {
		t.Errorf("got %+v", plan)
	}
	plan = mustCompile(t, workflow(task("a", "SIMPLE", "")))
	if plan.Version != 1 || plan.TimeoutPolicy != AlertOnly || !plan.Restartable || plan.Output != nil || plan.FailureWorkflow != nil ||
		plan.Variables != nil || plan.InputDefaults != nil || plan.TimeoutSeconds != 0 {
		t.Errorf("defaults: got %+v", plan)
	}
}

func TestCompileReadsAStep(t *testing.T) {
	plan := mustCompile(t, workflow(`{"name":"pay","taskReferenceName":"p","startDelay":5,"optional":"true","permissive":true,"asyncComplete":1,
		"retryCount":2,"inputParameters":{"a":1},"taskDefinition":{"retryCount":9,"timeoutSeconds":60}}`, task("x", "MY_TYPE", "")))
	n := plan.Nodes[0]
	if n.Ref != "p" || n.Name != "pay" || n.Type != "SIMPLE" || n.Kind != Worker || n.StartDelay != 5 || !n.Optional || !n.Permissive ||
		!n.Async || n.Retries != 2 || !n.Top || n.Queue() != "pay" || string(n.Input.Raw()) != `{"a":1}` {
		t.Errorf("got %+v", n)
	}
	if e := n.Embedded; e == nil || e.Name != "pay" || e.RetryCount != 9 || e.Timeout != 60 || e.ResponseTimeout != 3600 {
		t.Errorf("embedded: got %+v", n.Embedded)
	}
	if x := plan.Nodes[1]; x.Kind != Worker || x.Queue() != "MY_TYPE" || x.Retries != -1 || string(x.Input.Raw()) != "{}" || x.Embedded != nil {
		t.Errorf("own type: got %+v", x)
	}
	if !slices.Equal(plan.Reach, []string{"pay"}) || !slices.Equal(n.Reach, []string{"MY_TYPE"}) {
		t.Errorf("reach: got %v, %v", plan.Reach, n.Reach)
	}
}

func TestSwitchReadsItsEvaluator(t *testing.T) {
	plan := mustCompile(t, workflow(
		task("a", "SWITCH", `"evaluatorType":"value-param","expression":"k","decisionCases":{"x":[],"y":[`+task("b", "NOOP", "")+`]},"defaultCase":[]`),
		task("c", "SWITCH", `"evaluatorType":"javascript","expression":"$.n > 1 ? 'x' : 'y'","decisionCases":{"x":[]}`)))
	a, c := plan.Nodes[0], plan.Nodes[2]
	if a.Script != nil || a.Param != "k" || a.Cases["x"] != Empty || a.Cases["y"] != 1 || a.Default != Empty {
		t.Errorf("got %+v", a)
	}
	if c.Script == nil || c.Param != "" || c.Default != None {
		t.Errorf("got %+v", c)
	}
}

func TestSubWorkflowReadsItsParameters(t *testing.T) {
	plan := mustCompile(t, workflow(
		task("a", "SUB_WORKFLOW", `"subWorkflowParam":{"name":"${workflow.input.n}","version":"${workflow.input.v}","priority":3,"taskToDomain":{"t":"${workflow.input.d}"}}`),
		task("b", "SUB_WORKFLOW", `"subWorkflowParam":{"name":"child","version":"","workflowDefinition":null}`)))
	a, b := plan.Nodes[0], plan.Nodes[1]
	if a.SubName.Constant() || a.SubVersion == nil || string(a.SubPriority.Raw()) != "3" || a.SubDomainsExpr.Constant() || a.SubDomains == nil {
		t.Errorf("got %+v", a)
	}
	if string(b.SubName.Raw()) != `"child"` || b.SubVersion != nil || b.SubPriority != nil || b.SubDomains != nil || b.SubDomainsExpr != nil {
		t.Errorf("got %+v", b)
	}
}

func TestLoopReadsItsItems(t *testing.T) {
	body := `,"loopOver":[` + task("b", "NOOP", "") + `]`
	for more, want := range map[string]string{
		`"loopCondition":"","items":"${workflow.input.l}"`:                                    `"${workflow.input.l}"`,
		`"loopCondition":" ","inputParameters":{"items":[1,2]}`:                               `[1,2]`,
		`"loopCondition":"","inputParameters":{"items":[1],"_items":"${workflow.input.l}"}`:   `"${workflow.input.l}"`,
		`"loopCondition":"$.n > 0","items":"","inputParameters":{"n":1,"keepLastN":"${a.b}"}`: "",
	} {
		src := workflow(task("a", "NOOP", ""), task("l", "DO_WHILE", more+body))
		n := mustCompile(t, src).Nodes[1]
		got := ""
		if n.Items != nil {
			got = string(n.Items.Raw())
		}
		if got != want || (n.Script == nil) != (want != "") {
			t.Errorf("%s: got items %s, script %v", more, got, n.Script)
		}
	}
}

func TestJoinWaitsOnceForEachName(t *testing.T) {
	fork := task("f", "FORK_JOIN", `"forkTasks":[[`+task("a", "SIMPLE", "")+`],[],[`+task("b", "SIMPLE", "")+`,`+task("c", "SIMPLE", "")+`]]`)
	plan := mustCompile(t, workflow(fork, task("j", "JOIN", `"joinOn":["c","a","c"]`)))
	if got := plan.Nodes[4].JoinOn; !slices.Equal(got, []int32{3, 1}) {
		t.Errorf("got %v, want c and a", got)
	}
	if got := plan.Nodes[3].Joiners; !slices.Equal(got, []int32{4}) {
		t.Errorf("joiners of c: got %v", got)
	}
	plan = mustCompile(t, workflow(fork, task("j", "JOIN", "")))
	if got := plan.Nodes[4].JoinOn; !slices.Equal(got, []int32{1, 3}) {
		t.Errorf("without names: got %v, want the ends of the branches", got)
	}
}

func TestCompileKeepsTheSource(t *testing.T) {
	src := " " + workflow(`{ "taskReferenceName":"a" ,"name":"x","inputParameters":{"n":1.50,"é":"\u00e9"} }`) + "\n"
	plan := mustCompile(t, "\xEF\xBB\xBF"+src)
	if got, want := string(plan.Source), strings.TrimSpace(src); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	plan = mustCompile(t, workflow(`{"taskReferenceName":"a","name":"x","name":"y"}`))
	if got := plan.Nodes[0].Name; got != "y" || strings.Contains(string(plan.Source), `"x"`) {
		t.Errorf("got %s of %s, want the last of two", got, plan.Source)
	}
}

func TestReachStopsAtItsBounds(t *testing.T) {
	var branches []string
	for i := range 20 {
		branches = append(branches, "["+task(fmt.Sprintf("b%d", i), "SIMPLE", "")+"]")
	}
	plan := mustCompile(t, workflow(task("f", "FORK_JOIN", `"forkTasks":[`+strings.Join(branches, ",")+`]`), task("j", "JOIN", ""), task("z", "SIMPLE", "")))
	if got := strings.Join(plan.Reach, ","); got != "b0,b1,b2,b3,b4,b5,b6,b7" {
		t.Errorf("got %s", got)
	}
	if got := plan.Nodes[5].Reach; !slices.Equal(got, []string{"z"}) {
		t.Errorf("after a branch: got %v, want what follows the JOIN", got)
	}
}

func TestFragmentMembersAreBranches(t *testing.T) {
	plan := mustCompile(t, workflow(task("a", "SIMPLE", "")))
	f, problems := CompileFragment(plan, []byte(`[`+task("x", "SIMPLE", "")+`,`+
		task("f", "FORK_JOIN", `"forkTasks":[[`+task("y", "SIMPLE", "")+`]]`)+`,`+
		task("l", "DO_WHILE", `"loopCondition":"$.a > 1","loopOver":[`+task("z", "SIMPLE", `"inputParameters":{"v":"${elsewhere.output}"}`)+`]`)+`]`))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	checkPlan(t, f)
	if !slices.Equal(f.Members, []int32{0, 1, 3}) {
		t.Errorf("got members %v", f.Members)
	}
	for _, m := range f.Members {
		if n := f.Nodes[m]; n.Next != EndBranch || n.Top || n.JoinOf != None {
			t.Errorf("got %+v", n)
		}
	}
	if n := f.Nodes[2]; n.Next != EndBranch {
		t.Errorf("in the fork: got %+v", n)
	}
	if n := f.Nodes[4]; n.Next != EndIteration || n.Loop != 3 {
		t.Errorf("in the loop: got %+v", n)
	}
	if _, problems := CompileFragment(plan, []byte(`{}`)); len(problems) != 1 {
		t.Errorf("an object: got %v", problems)
	}
	if _, problems := CompileFragment(plan, []byte(`[{"name":"n"}]`)); !mentions(problems, Problem{"[0].taskReferenceName", "cannot be empty"}) {
		t.Errorf("without a reference name: got %v", problems)
	}
}

func TestStepsReadWhatDecidesThem(t *testing.T) {
	body := `"loopOver":[` + task("b", "NOOP", "") + `]`
	for src, want := range map[string]decider{
		task("a", "SWITCH", cases+`,"evaluatorType":"value-param","expression":"k"`):              {evaluator: ByParam, param: "k"},
		task("a", "SWITCH", cases+`,"evaluatorType":"graaljs","expression":"new Date()"`):         {evaluator: JavaScript, source: "new Date()"},
		task("a", "SWITCH", cases+`,"evaluatorType":"cobol","expression":"1"`):                    {evaluator: NoEvaluator, param: "cobol"},
		task("a", "SWITCH", cases+`,"evaluatorType":"python","expression":"len($)"`):              {evaluator: Python, source: "len($)"},
		task("a", "DECISION", cases+`,"caseExpression":"JSON.stringify($)","caseValueParam":"k"`): {evaluator: JavaScript, source: "JSON.stringify($)"},
		task("a", "DECISION", cases+`,"caseValueParam":"k"`):                                      {evaluator: ByParam, param: "k"},
		task("a", "DO_WHILE", body+`,"loopCondition":"k","evaluatorType":"value-param"`):          {evaluator: ByParam, param: "k"},
		task("a", "DO_WHILE", body+`,"loopCondition":"[1].map(x => x)"`):                          {evaluator: JavaScript, source: "[1].map(x => x)"},
		task("a", "JOIN", `"evaluatorType":"js","expression":"(() => true)()"`):                   {evaluator: JavaScript, source: "(() => true)()"},
		task("a", "JOIN", `"evaluatorType":"js"`):                                                 {},
	} {
		n := mustCompile(t, workflow(src)).Nodes[0]
		got := decider{evaluator: n.Evaluator, source: n.Source, script: n.Script, param: n.Param}
		if want.source != "" {
			want.script, _ = expr.ParseScript(want.source)
		}
		if got.evaluator != want.evaluator || got.source != want.source || got.param != want.param || (got.script == nil) != (want.script == nil) {
			t.Errorf("%s: got %+v, want %+v", src, got, want)
		}
		if n.Asks() != (want.source != "" && want.script == nil) {
			t.Errorf("%s: asks %v", src, n.Asks())
		}
	}
}

func TestLoopsSayWhetherTheyKeepOutputs(t *testing.T) {
	for more, want := range map[string]bool{
		``: false, `,"captureOutput":false`: true, `,"captureOutput":true`: false,
		`,"inputParameters":{"captureOutput":false}`: true, `,"inputParameters":{"captureOutput":"${workflow.input.c}"}`: false,
	} {
		src := workflow(task("a", "DO_WHILE", `"loopCondition":"true","loopOver":[`+task("b", "NOOP", "")+`]`+more))
		if got := mustCompile(t, src).Nodes[0].Bare; got != want {
			t.Errorf("%s: got %v, want %v", more, got, want)
		}
	}
}

func TestReachNamesTheWorkOfTheServer(t *testing.T) {
	ask := `"evaluatorType":"javascript","expression":"new Date()","decisionCases":{"x":[` + task("in", "SIMPLE", "") + `]}`
	plan := mustCompile(t, workflow(
		task("a", "SIMPLE", ""), task("s", "SWITCH", ask), task("i", "INLINE", ""), task("q", "JSON_JQ_TRANSFORM", ""),
		task("w", "WAIT", `"inputParameters":{"until":"2027-01-01 10:00 PST"}`),
		task("l", "DO_WHILE", `"loopCondition":"[$.x].length","loopOver":[`+task("b", "SIMPLE", "")+`,`+task("n", "NOOP", "")+`]`), task("z", "SIMPLE", "")))
	for ref, want := range map[string]string{
		"a": ScriptQueue, "s": "in,$script,$jq", "i": JqQueue, "q": TimeQueue, "w": "b", "b": ScriptQueue, "l": "b,z",
	} {
		if got := strings.Join(plan.Nodes[plan.ByRef[ref]].Reach, ","); got != want {
			t.Errorf("after %s: got %s, want %s", ref, got, want)
		}
	}
}
