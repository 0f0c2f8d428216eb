package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// definition is a workflow definition as it is registered.
type definition struct {
	Name            string         `json:"name"`
	Version         int            `json:"version"`
	Tasks           []*step        `json:"tasks"`
	Output          map[string]any `json:"outputParameters"`
	Variables       map[string]any `json:"variables"`
	InputTemplate   map[string]any `json:"inputTemplate"`
	TimeoutSeconds  int64          `json:"timeoutSeconds"`
	TimeoutPolicy   string         `json:"timeoutPolicy"`
	FailureWorkflow string         `json:"failureWorkflow"`
	FailureVersion  int            `json:"failureWorkflowVersion"`
	Restartable     *bool          `json:"restartable"`
}

// step is one entry of a list of tasks.
type step struct {
	Name          string             `json:"name"`
	Ref           string             `json:"taskReferenceName"`
	Type          string             `json:"type"`
	Input         map[string]any     `json:"inputParameters"`
	StartDelay    int64              `json:"startDelay"`
	Optional      bool               `json:"optional"`
	Permissive    bool               `json:"permissive"`
	Retries       *int               `json:"retryCount"`
	TaskType      *taskType          `json:"taskDefinition"`
	Evaluator     string             `json:"evaluatorType"`
	Expression    string             `json:"expression"`
	Cases         map[string][]*step `json:"decisionCases"`
	Default       []*step            `json:"defaultCase"`
	Branches      [][]*step          `json:"forkTasks"`
	JoinOn        []string           `json:"joinOn"`
	LoopCondition string             `json:"loopCondition"`
	Body          []*step            `json:"loopOver"`
	Items         any                `json:"items"` // an expression or a list
	Child         *childParam        `json:"subWorkflowParam"`
	CaseParam     string             `json:"caseValueParam"` // DECISION
	CaseScript    string             `json:"caseExpression"` // DECISION
	DefaultJoin   []string           `json:"defaultExclusiveJoinTask"`
	NameParam     string             `json:"dynamicTaskNameParam"`
	ForkParam     string             `json:"dynamicForkTasksParam"`
	InputsParam   string             `json:"dynamicForkTasksInputParamName"`
	LegacyParam   string             `json:"dynamicForkJoinTasksParam"`
	Async         bool               `json:"asyncComplete"`
	Sink          string             `json:"sink"`
	Cache         *cacheParam        `json:"cacheConfig"`

	owner *step   // whose list this step stands in, nil for the root list
	list  []*step // that list
	at    int     // where in it
}

type childParam struct {
	Name       string `json:"name"`
	Version    any    `json:"version"`            // a number or an expression
	Definition any    `json:"workflowDefinition"` // an object or an expression
}

// cacheParam says under which key the output of a step is kept, and how long.
type cacheParam struct {
	Key     string `json:"key"`
	Seconds int64  `json:"ttlInSecond"`
}

// taskType holds the settings of a task definition.
type taskType struct {
	Retries         *int           `json:"retryCount"`
	Logic           string         `json:"retryLogic"`
	DelaySeconds    *int64         `json:"retryDelaySeconds"`
	Scale           *int64         `json:"backoffScaleFactor"`
	MaxDelay        int64          `json:"maxRetryDelaySeconds"`
	Timeout         int64          `json:"timeoutSeconds"`
	Policy          string         `json:"timeoutPolicy"`
	ResponseTimeout *int64         `json:"responseTimeoutSeconds"`
	PollTimeout     int64          `json:"pollTimeoutSeconds"`
	TotalTimeout    int64          `json:"totalTimeoutSeconds"`
	InputTemplate   map[string]any `json:"inputTemplate"`
}

func decodeDefinition(source []byte) (*definition, error) {
	d := &definition{}
	if err := decode(source, d); err != nil {
		return nil, fmt.Errorf("decode definition: %w", err)
	}
	if d.Version == 0 {
		d.Version = 1
	}
	adopt(d.Tasks, nil)
	return d, nil
}

// decode reads JSON and keeps numbers as they are written.
func decode(source []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(source))
	dec.UseNumber()
	return dec.Decode(into)
}

func adopt(list []*step, owner *step) {
	for i, s := range list {
		s.owner, s.list, s.at = owner, list, i
		if s.Type == "" {
			s.Type = "SIMPLE"
		}
		for _, c := range s.Cases {
			adopt(c, s)
		}
		adopt(s.Default, s)
		for _, b := range s.Branches {
			adopt(b, s)
		}
		adopt(s.Body, s)
	}
}

// after returns the step to make when s is done, nil if that is for a JOIN, a
// loop or the end of the execution to decide.
func (s *step) after() *step {
	for {
		if s.at+1 < len(s.list) {
			return s.list[s.at+1]
		}
		if s.owner == nil || s.owner.Type != "SWITCH" && s.owner.Type != "DECISION" {
			return nil
		}
		s = s.owner
	}
}

// find returns the step of that reference name at or below a list.
func find(list []*step, ref string) *step {
	for _, s := range list {
		if s.Ref == ref {
			return s
		}
		lists := append([][]*step{s.Default, s.Body}, s.Branches...)
		for _, c := range s.Cases {
			lists = append(lists, c)
		}
		for _, l := range lists {
			if found := find(l, ref); found != nil {
				return found
			}
		}
	}
	return nil
}

// Refs returns the reference names of the definition, in the order they are written.
func (e *Exec) Refs() []string { return refs(e.def.Tasks) }

func refs(list []*step) []string {
	var all []string
	for _, s := range list {
		all = append(all, s.Ref)
		for _, k := range slices.Sorted(maps.Keys(s.Cases)) {
			all = append(all, refs(s.Cases[k])...)
		}
		for _, inner := range append([][]*step{s.Default, s.Body}, s.Branches...) {
			all = append(all, refs(inner)...)
		}
	}
	return all
}

// MainLine returns the reference names of the root list.
func (e *Exec) MainLine() []string {
	var all []string
	for _, s := range e.def.Tasks {
		all = append(all, s.Ref)
	}
	return all
}

// settings returns the task type that holds for a step: the one written into
// the step, else the registered one, else the defaults of its kind.
func (w *World) settings(s *step) taskType {
	t, registered := w.registered(s)
	worker := registered || s.Type == "SIMPLE"
	fill(&t.Retries, 3, worker)
	fill(&t.DelaySeconds, 60, true)
	fill(&t.Scale, 1, true)
	switch s.Type {
	case "HTTP", "KAFKA_PUBLISH", "EVENT":
		worker = true
	}
	fill(&t.ResponseTimeout, 3600, worker)
	if t.Policy == "" {
		t.Policy = "TIME_OUT_WF"
	}
	return t
}

// registered returns the task type as it is written, and whether there is one.
func (w *World) registered(s *step) (t taskType, ok bool) {
	if s.TaskType != nil {
		return *s.TaskType, true
	}
	if w.TaskType != nil {
		if source := w.TaskType(s.Name); source != nil {
			ok = decode(source, &t) == nil
		}
	}
	return t, ok
}

// fill gives an absent setting its default, or zero where the default is only
// for workers.
func fill[N int | int64](field **N, value N, applies bool) {
	if *field != nil {
		return
	}
	if !applies {
		value = 0
	}
	*field = &value
}

// allowed returns how many retries the step has.
func (w *World) allowed(s *step) int {
	switch s.Type {
	case "FORK_JOIN", "FORK_JOIN_DYNAMIC", "JOIN", "EXCLUSIVE_JOIN", "SWITCH", "DECISION", "DO_WHILE":
		return 0
	}
	if s.Retries != nil {
		return *s.Retries
	}
	return *w.settings(s).Retries
}

// retryDelay returns the seconds between a failed attempt and the next one.
func (w *World) retryDelay(s *step, attempt int) int64 {
	const most = 1<<31 - 1
	t := w.settings(s)
	delay := *t.DelaySeconds
	switch t.Logic {
	case "LINEAR_BACKOFF":
		delay *= *t.Scale * int64(attempt+1)
	case "EXPONENTIAL_BACKOFF":
		for range attempt {
			delay = min(2*delay, most)
		}
	}
	delay = min(delay, most)
	if t.MaxDelay > 0 {
		delay = min(delay, t.MaxDelay)
	}
	return delay
}
