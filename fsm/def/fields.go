package def

// sort is what JSON a field takes.
type sort uint8

const (
	anything sort = iota
	text          // a string; numbers and booleans are taken as their text
	whole         // a 32-bit integer, also as text
	long          // a 64-bit integer, also as text
	flag          // a boolean, also as text or number
	object        // an object
	list          // an array
	texts         // an array of texts
)

// allowed names the sort in messages.
func (s sort) allowed() string {
	switch s {
	case text:
		return "a string"
	case whole, long:
		return "an integer"
	case flag:
		return "a boolean"
	case object:
		return "an object"
	case list:
		return "a list"
	case texts:
		return "a list of strings"
	}
	return "any value"
}

// field is one name that an object may have.
type field struct {
	name string
	sort sort
}

// The tables hold what Conductor's server, its commercial edition and its older
// releases read or write. Fields that only those use are accepted and have no
// effect, so that definitions exported from them can be registered as they are.

var workflowFields = []field{
	{"name", text},
	{"version", whole},
	{"description", text},
	{"tasks", list},
	{"inputParameters", texts},
	{"outputParameters", object},
	{"inputTemplate", object},
	{"failureWorkflow", text},
	{"failureWorkflowVersion", whole},
	{"schemaVersion", whole},
	{"restartable", flag},
	{"ownerEmail", text},
	{"timeoutPolicy", text},
	{"timeoutSeconds", long},
	{"variables", object},
	{"workflowStatusListenerEnabled", flag},
	{"workflowStatusListenerSink", text},
	{"rateLimitConfig", object},
	{"cacheConfig", object},
	{"inputSchema", object},
	{"outputSchema", object},
	{"enforceSchema", flag},
	{"metadata", object},
	{"maskedFields", texts},
	{"createTime", anything},
	{"updateTime", anything},
	{"createdBy", text},
	{"updatedBy", text},
	{"ownerApp", text},
	{"accessPolicy", object},
	{"tags", list},
	{"overwriteTags", flag},
	{"onStateChange", object},
	{"hasSchedule", flag},
	{"expectedScheduleName", text},
}

var stepFields = []field{
	{"name", text},
	{"taskReferenceName", text},
	{"description", text},
	{"type", text},
	{"inputParameters", object},
	{"startDelay", whole},
	{"optional", flag},
	{"permissive", flag},
	{"asyncComplete", flag},
	{"retryCount", whole},
	{"taskDefinition", object},
	{"rateLimited", flag},
	{"dynamicTaskNameParam", text},
	{"caseValueParam", text},
	{"caseExpression", text},
	{"evaluatorType", text},
	{"expression", text},
	{"scriptExpression", text},
	{"decisionCases", object},
	{"defaultCase", list},
	{"forkTasks", list},
	{"dynamicForkJoinTasksParam", text},
	{"dynamicForkTasksParam", text},
	{"dynamicForkTasksInputParamName", text},
	{"joinOn", texts},
	{"joinStatus", text},
	{"joinMode", text},
	{"defaultExclusiveJoinTask", texts},
	{"loopCondition", text},
	{"loopOver", list},
	{"captureOutput", flag},
	{"items", anything},
	{"sink", text},
	{"triggerFailureWorkflow", flag},
	{"subWorkflowParam", object},
	{"onStateChange", object},
	{"cacheConfig", object},
	{"metadata", object},
	{"label", text},
	{"workflowTaskType", text},
	{"callbackFromWorker", flag},
	{"inputKeys", texts},
	{"outputKeys", texts},
	{"retryLogic", text},
	{"retryDelaySeconds", whole},
	{"concurrentExecLimit", whole},
	{"createTime", anything},
	{"updateTime", anything},
	{"createdBy", text},
	{"updatedBy", text},
}

var subWorkflowFields = []field{
	{"name", text},
	{"version", anything},
	{"taskToDomain", object},
	{"workflowDefinition", anything},
	{"priority", anything},
	{"idempotencyKey", text},
	{"idempotencyStrategy", text},
}

var taskTypeFields = []field{
	{"name", text},
	{"description", text},
	{"retryCount", whole},
	{"retryLogic", text},
	{"retryDelaySeconds", whole},
	{"backoffScaleFactor", whole},
	{"maxRetryDelaySeconds", whole},
	{"backoffJitterMs", whole},
	{"timeoutSeconds", long},
	{"timeoutPolicy", text},
	{"responseTimeoutSeconds", long},
	{"pollTimeoutSeconds", whole},
	{"totalTimeoutSeconds", long},
	{"concurrentExecLimit", whole},
	{"rateLimitPerFrequency", whole},
	{"rateLimitFrequencyInSeconds", whole},
	{"inputKeys", texts},
	{"outputKeys", texts},
	{"inputTemplate", object},
	{"inputSchema", object},
	{"outputSchema", object},
	{"enforceSchema", flag},
	{"isolationGroupId", text},
	{"executionNameSpace", text},
	{"ownerEmail", text},
	{"baseType", text},
	{"taskStatusListenerEnabled", flag},
	{"runtimeMetadata", texts},
	{"createTime", anything},
	{"updateTime", anything},
	{"createdBy", text},
	{"updatedBy", text},
	{"ownerApp", text},
	{"accessPolicy", object},
	{"tags", list},
	{"overwriteTags", flag},
}

var schemaFields = []field{
	{"name", text},
	{"version", whole},
	{"type", text},
	{"data", object},
	{"externalRef", text},
	{"createTime", anything},
	{"updateTime", anything},
	{"createdBy", text},
	{"updatedBy", text},
	{"ownerApp", text},
}

var rateLimitFields = []field{
	{"rateLimitKey", text},
	{"concurrentExecLimit", whole},
	{"policy", text},
}

var stateEventFields = []field{
	{"type", text},
	{"payload", anything},
}

var cacheFields = []field{
	{"key", text},
	{"ttlInSecond", whole},
}

// known returns the field called name.
func known(table []field, name string) (field, bool) {
	for _, f := range table {
		if f.name == name {
			return f, true
		}
	}
	return field{}, false
}

// nearest returns the name in table that takes the fewest edits to reach from
// name, the first of several.
func nearest(table []field, name string) string {
	best, least := "", -1
	for _, f := range table {
		if d := edits(clip(name), f.name); least < 0 || d < least {
			best, least = f.name, d
		}
	}
	return best
}

// edits counts the insertions, deletions and replacements that turn a into b;
// upper and lower case ASCII letters count as equal.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if lower(a[i]) != lower(b[j]) {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
