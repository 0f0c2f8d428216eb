package def

import "slices"

// kindNames maps the built-in types that can run to their kinds.
var kindNames = []struct {
	typ  string
	kind Kind
}{
	{"SIMPLE", Worker},
	{"SWITCH", Switch},
	{"DECISION", Switch},
	{"FORK_JOIN", Fork},
	{"JOIN", Join},
	{"DO_WHILE", DoWhile},
	{"SUB_WORKFLOW", SubWorkflow},
	{"WAIT", Wait},
	{"SET_VARIABLE", SetVariable},
	{"TERMINATE", Terminate},
	{"NOOP", Noop},
	{"HTTP", Call},
	{"HTTP_POLL", Call},
	{"EVENT", Call},
	{"KAFKA_PUBLISH", Call},
	{"HUMAN", Human},
	{"WAIT_FOR_WEBHOOK", Human},
	{"YIELD", Yield},
	{"EXCLUSIVE_JOIN", ExclusiveJoin},
	{"START_WORKFLOW", StartWorkflow},
	{"INLINE", Inline},
	{"LAMBDA", Lambda},
	{"JSON_JQ_TRANSFORM", Jq},
	{"DYNAMIC", Dynamic},
	{"FORK_JOIN_DYNAMIC", DynamicFork},
	{"PULL_WORKFLOW_MESSAGES", PullMessages},
	{"GET_WORKFLOW", GetWorkflow},
	{"TERMINATE_WORKFLOW", TerminateWorkflow},
	{"UPDATE_TASK", UpdateTask},
}

// servedTypes are built-in types of Conductor and its commercial edition that workers
// serve here under their type, though no task type of theirs is registered.
var servedTypes = []string{
	"LLM_CHAT_COMPLETE", "LLM_TEXT_COMPLETE", "LLM_GENERATE_EMBEDDINGS", "LLM_INDEX_TEXT",
	"LLM_STORE_EMBEDDINGS", "LLM_SEARCH_INDEX", "LLM_SEARCH_EMBEDDINGS", "LLM_GET_EMBEDDINGS",
	"LLM_INDEX_DOCUMENT", "GENERATE_IMAGE", "GENERATE_AUDIO", "GENERATE_VIDEO", "GENERATE_PDF",
	"LIST_MCP_TOOLS", "CALL_MCP_TOOL", "LIST_API_TOOLS", "AGENT", "GET_AGENT_CARD",
	"CANCEL_AGENT", "PLAN_AND_COMPILE", "JDBC", "UPDATE_SECRET", "GET_SIGNED_JWT",
	"BUSINESS_RULE", "QUERY_PROCESSOR", "OPSGENIE", "SENDGRID", "GRPC", "GET_DOCUMENT",
	"CHUNK_TEXT", "PARSE_DOCUMENT", "LIST_FILES",
}

// Served reports whether workers serve steps of a type without a task type of its
// name: the built-in types, and SIMPLE.
func Served(typ string) bool {
	return slices.Contains(servedTypes, typ) || typ == "SIMPLE"
}

// kindOf returns the kind of a type. A type that is not built in is served by workers.
func kindOf(typ string) Kind {
	for _, k := range kindNames {
		if k.typ == typ {
			return k.kind
		}
	}
	return Worker
}

// Leased reports whether steps of the kind are handed to workers.
func (k Kind) Leased() bool { return k == Worker || k == Call }

// Queue returns the task type that workers ask for to get a Worker or Call step: the
// step's name, or its type if that is one of your own. Call steps are for workers of
// the server, which ask for queues of their own.
func (n *Node) Queue() string { return queueOf(n.Type, n.Name) }

func (s *step) queue() string { return queueOf(s.typ, s.name) }

func queueOf(typ, name string) string {
	switch typ {
	case "SIMPLE":
		return name
	case "HTTP":
		return "$http"
	case "HTTP_POLL":
		return "$http_poll"
	case "EVENT":
		return "$event"
	case "KAFKA_PUBLISH":
		return "$kafka"
	}
	return typ
}
