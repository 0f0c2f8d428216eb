package fsm

import "fmt"

// jobsDefinition has a step of every kind that waits for work of the server itself.
const jobsDefinition = `{"name":"jobs","version":1,"schemaVersion":2,"tasks":[
 {"name":"s","taskReferenceName":"s","type":"SWITCH","evaluatorType":"javascript","expression":"['x','y'][0]","decisionCases":{
  "x":[{"name":"i","taskReferenceName":"i","type":"INLINE","optional":true,"inputParameters":{"expression":"JSON.stringify($)"}}],
  "3":[{"name":"hot","taskReferenceName":"h3","type":"SIMPLE"}]}},
 {"name":"d","taskReferenceName":"d","type":"DECISION","caseExpression":"[1].length","decisionCases":{
  "x":[{"name":"i2","taskReferenceName":"i2","type":"INLINE","inputParameters":{"expression":"1 + 1"}}]},
  "defaultCase":[{"name":"hot","taskReferenceName":"q","type":"JSON_JQ_TRANSFORM","permissive":true,"retryCount":1,"inputParameters":{"queryExpression":"."}}]},
 {"name":"l","taskReferenceName":"l","type":"DO_WHILE","loopCondition":"[$.l.iteration < 3][0]","loopOver":[
  {"name":"f","taskReferenceName":"f","type":"FORK_JOIN","forkTasks":[
   [{"name":"hot","taskReferenceName":"m","type":"LAMBDA","retryCount":2,"inputParameters":{"scriptExpression":"return [$]"}}],
   [{"name":"z","taskReferenceName":"z","type":"WAIT","inputParameters":{"until":"2027-01-01 10:00 Europe/Paris"}}]]},
  {"name":"j","taskReferenceName":"j","type":"JOIN","joinOn":["m","z"],"expression":"[true][0]"}]},
 {"name":"hot","taskReferenceName":"e","type":"SIMPLE"}]}`

// finishJob answers a job, now and then one that is over or never was.
func (c *chaos) finishJob() Body {
	t, l := c.held()
	for i := len(c.leased) - 1; i >= 0 && c.r.IntN(8) > 0; i-- {
		if x := c.leased[i]; ownQueue(x.Type) && c.r.IntN(3) > 0 {
			t, l = x.Task, x.Lease
			break
		}
	}
	b := &FinishJob{Task: t, Lease: l}
	if c.r.IntN(6) == 0 {
		b.Failure, b.Message, b.Line = JobFailure(1+c.r.IntN(5)), "boom", int32(c.r.IntN(3))
		return b
	}
	b.Result = []byte([]string{`"x"`, `3`, `true`, `false`, `null`, `[1,{"a":2}]`, `[]`, `{"status":"COMPLETED","outputData":{"a":1}}`,
		`{"status":"FAILED","reasonForIncompletion":"so"}`, fmt.Sprint(c.now - 5000 + Millis(c.r.IntN(20_000))), `1e400`, `{`}[c.r.IntN(12)])
	return b
}
