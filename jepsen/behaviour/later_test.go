package behaviour

// later is a behaviour that no test shows yet.
type later struct{ given, needs string }

const (
	handlers   = "event handlers"
	external   = "a store for payloads outside the records"
	schedules  = "schedules"
	unfinished = "the rest of the language"
	waiting    = "the call that starts a workflow and waits"
)

var notYet = map[int]later{
	// held
	38:  {"a dynamic fork makes the tasks that a list names, each with its own input, and a JOIN on all of them.", unfinished},
	39:  {"a forked task that fails for good ends the workflow; retry makes new records of it and of the canceled ones, and opens the JOIN again.", unfinished},
	40:  {"retry with resumeSubworkflowTasks of a parent whose forked child failed goes on in that child: no new record in the parent, and completed siblings do not run again.", unfinished},
	41:  {"an inline definition that begins with a dynamic fork fed with texts in place of objects starts, and is FAILED with a reason.", unfinished},
	42:  {"a runtime task without a reference name fails the workflow with a reason that names the input; a runtime SUB_WORKFLOW needs no name.", unfinished},
	43:  {"two runtime tasks of one reference name fail the workflow with a reason, and no forked record is left open.", unfinished},
	44:  {"a runtime task may be optional: it is tried again, then the JOIN goes on without it.", unfinished},
	45:  {"forkTaskName with forkTaskInputs makes one task for each element: its name has an index, its input is the element with its index.", unfinished},
	46:  {"a fork over no tasks completes with its JOIN, whose output is {}, and the flow goes on.", unfinished},
	47:  {"the JOIN of a dynamic fork keeps its own inputParameters beside joinOn.", unfinished},
	48:  {"${CPEWF_TASK_ID} in forked tasks is each one's own id.", unfinished},
	62:  {"${loop['iteration']} is the current round, in 2 rounds and in 500.", unfinished},
	64:  {"a loop over a list with a script, a SWITCH and a WAIT inside goes round once for each element.", unfinished},
	92:  {"an inline workflowDefinition runs without being registered; the child's input has _systemMetadata.dynamic=true, which that of a registered one has not.", unfinished},
	93:  {"priority in subWorkflowParam is the child's; idempotencyKey and idempotencyStrategy there are in the task's input, and the child starts.", unfinished},
	98:  {"a TERMINATE task with FAILED ends the workflow FAILED and starts its failure workflow with the id, reason, status and failed task.", unfinished},
	101: {"a terminationStatus that is empty, null or unknown at run time leaves the TERMINATE task FAILED and the workflow too; it does not hang.", unfinished},
	134: {"DYNAMIC runs as a task of the name that its parameter gives; a parameter that is missing or empty fails the workflow with a reason that names it.", unfinished},
	161: {"retry of a RUNNING workflow, of a FAILED one without records, and of one with nothing left to retry, is refused as a conflict and changes nothing.", unfinished},
	182: {"each task type misses its own field with its own message.", unfinished},
	183: {"a dynamic fork needs its two parameters, or the old one alone, or forkTaskInputs; a mix of old and new is refused.", unfinished},
	// end held
	117: {"A handler's start_workflow action starts with values of the message and its two conductor.event keys.", handlers},
	118: {"A handler's complete_task finds its task by workflow and reference name, or by id.", handlers},
	119: {"A handler acts when its condition is true only; numbers compare as numbers.", handlers},
	120: {"expandInlineJSON lets a handler look into JSON that is a text.", handlers},
	121: {"Handlers are registered, changed, listed and deleted; an inactive one does nothing.", handlers},
	132: {"The answer of an HTTP task has the body's type, the status code and the headers.", "the worker that makes HTTP calls"},
	170: {"A start that waits answers with the output, or with RUNNING when its time is up.", waiting},
	171: {"A start that waits for named tasks answers at the first of them that has ended.", waiting},
	174: {"The test call runs a workflow with mocked outputs, as far as they go.", "the test call"},
	187: {"inputSchema and enforceSchema are kept as given, and checked when they say so.", "checks against schemas"},
	193: {"An output over the threshold is kept outside; later tasks get the real values.", external},
	194: {"Large outputs pass through every operator as small ones do.", external},
	195: {"Updates of a large output add to it.", external},
	196: {"An output over the hard limit fails its task for good, with size and limit.", external},
	197: {"Listeners hear of each change of a task once, and cannot hold a workflow up.", "listeners"},
	198: {"A schedule with three cron entries fires each; nothing while it is paused.", schedules},
	199: {"A schedule in a zone fires at local time over the change of clocks.", schedules},
	200: {"A schedule fires between its start and its end only.", schedules},
	201: {"What a schedule starts gets its name and times; a failed start is recorded.", schedules},
	202: {"Calls about an unknown schedule are not found; a deleted one never fires.", schedules},
}
