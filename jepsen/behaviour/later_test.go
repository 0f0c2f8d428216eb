package behaviour

// later is a behaviour that no test shows yet.
type later struct{ given, needs string }

const (
	handlers  = "event handlers"
	external  = "a store for payloads outside the records"
	schedules = "schedules"
)

var notYet = map[int]later{
	117: {"A handler's start_workflow action starts with values of the message and its two conductor.event keys.", handlers},
	118: {"A handler's complete_task finds its task by workflow and reference name, or by id.", handlers},
	119: {"A handler acts when its condition is true only; numbers compare as numbers.", handlers},
	120: {"expandInlineJSON lets a handler look into JSON that is a text.", handlers},
	121: {"Handlers are registered, changed, listed and deleted; an inactive one does nothing.", handlers},
	132: {"The answer of an HTTP task has the body's type, the status code and the headers.", "the worker that makes HTTP calls"},
	187: {"inputSchema and enforceSchema are kept as given, and checked when they say so.", "checks against schemas"},
	193: {"An output over the threshold is kept outside; later tasks get the real values.", external},
	194: {"Large outputs pass through every operator as small ones do.", external},
	195: {"Updates of a large output add to it.", external},
	197: {"Listeners hear of each change of a task once, and cannot hold a workflow up.", "listeners"},
	198: {"A schedule with three cron entries fires each; nothing while it is paused.", schedules},
	199: {"A schedule in a zone fires at local time over the change of clocks.", schedules},
	200: {"A schedule fires between its start and its end only.", schedules},
	201: {"What a schedule starts gets its name and times; a failed start is recorded.", schedules},
	202: {"Calls about an unknown schedule are not found; a deleted one never fires.", schedules},
}
