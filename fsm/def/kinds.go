package def

import "strings"

// kindNames maps the built-in types that can run to their kinds.
var kindNames = []struct {
	typ  string
	kind Kind
}{
	{"SIMPLE", Worker},
	{"SWITCH", Switch},
	{"FORK_JOIN", Fork},
	{"JOIN", Join},
	{"DO_WHILE", DoWhile},
	{"SUB_WORKFLOW", SubWorkflow},
	{"WAIT", Wait},
	{"SET_VARIABLE", SetVariable},
	{"TERMINATE", Terminate},
	{"NOOP", Noop},
}

// otherTypes are the built-in types of Conductor and its commercial edition that
// cannot run here. They are refused by name: queued for workers, which is what
// happens to types that nobody knows, they would wait for ever.
var otherTypes = []string{
	"DYNAMIC", "FORK_JOIN_DYNAMIC", "HTTP", "EVENT", "HUMAN", "INLINE", "LAMBDA",
	"JSON_JQ_TRANSFORM", "DECISION", "EXCLUSIVE_JOIN", "START_WORKFLOW", "KAFKA_PUBLISH",
	"PULL_WORKFLOW_MESSAGES",
	"LLM_CHAT_COMPLETE", "LLM_TEXT_COMPLETE", "LLM_GENERATE_EMBEDDINGS", "LLM_INDEX_TEXT",
	"LLM_STORE_EMBEDDINGS", "LLM_SEARCH_INDEX", "LLM_SEARCH_EMBEDDINGS", "LLM_GET_EMBEDDINGS",
	"GENERATE_IMAGE", "GENERATE_AUDIO", "GENERATE_VIDEO", "GENERATE_PDF", "LIST_MCP_TOOLS",
	"CALL_MCP_TOOL", "LIST_API_TOOLS", "AGENT", "GET_AGENT_CARD", "CANCEL_AGENT",
	"PLAN_AND_COMPILE", "JDBC",
	"HTTP_POLL", "WAIT_FOR_WEBHOOK", "YIELD", "GET_WORKFLOW", "TERMINATE_WORKFLOW",
	"UPDATE_TASK", "UPDATE_SECRET", "GET_SIGNED_JWT", "BUSINESS_RULE", "QUERY_PROCESSOR",
	"OPSGENIE", "SENDGRID", "GRPC", "GET_DOCUMENT", "LLM_INDEX_DOCUMENT", "CHUNK_TEXT",
	"PARSE_DOCUMENT", "LIST_FILES",
}

// kindOf returns the kind of a type, and false for a built-in type that cannot
// run. A type that is not built in is served by workers.
func kindOf(typ string) (Kind, bool) {
	for _, k := range kindNames {
		if k.typ == typ {
			return k.kind, true
		}
	}
	for _, name := range otherTypes {
		if name == typ {
			return 0, false
		}
	}
	return Worker, true
}

func unsupportedType(typ string) string {
	names := make([]string, len(kindNames))
	for i, k := range kindNames {
		names[i] = k.typ
	}
	return "type " + typ + " is not supported yet; supported are " + strings.Join(names, ", ") +
		" and types of your own that workers serve"
}

// Queue returns the task type that workers ask for to get a Worker step: the
// step's name, or its type if that is one of your own.
func (n *Node) Queue() string {
	if n.Type == "SIMPLE" {
		return n.Name
	}
	return n.Type
}
