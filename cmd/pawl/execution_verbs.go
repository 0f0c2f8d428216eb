package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/protobuf/proto"

	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
	"github.com/pawlhq/pawl/proto/gen/pawl/api/v1/apiv1connect"
	pawl "github.com/pawlhq/pawl/sdk"
)

// maxIDs is how many executions one call takes.
const maxIDs = 1000

// steering is a verb of the command line: what it asks for of one execution is what it
// asks for of many.
type steering struct {
	apiv1.BulkExecutionsRequest
	task, taskInput string // rerun of one
	query           string
	dryRun          bool
}

// steer asks for a verb on one execution.
type steer func(ctx context.Context, x apiv1connect.ExecutionServiceClient, id string, s *steering) (proto.Message, error)

// verb is a command that steers executions.
type verb struct {
	name, short, long, example string
	done                       string // what it says of an execution afterwards
	kind                       apiv1.BulkExecutionsRequest_Verb
	flags                      func(f *pflag.FlagSet, s *steering)
	one                        steer
}

// bulkLong is what the help of every verb says of many ids.
const bulkLong = `
With several ids, or with --query, each execution is judged for itself: a line tells what
became of it, and the exit code is 1 if one was refused.`

func (v verb) command(g *globals) *cobra.Command {
	s := &steering{}
	s.Verb = v.kind
	c := &cobra.Command{
		Use: v.name + " ID...", Short: v.short, Long: strings.TrimSpace(v.short + ". " + v.long + "\n" + bulkLong),
		Example: v.example,
		Args:    wantArgs(0, maxIDs),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 0 && s.query == "":
				return usagef("%s takes at least one id, or --query; see %s --help", cmd.CommandPath(), cmd.CommandPath())
			case len(args) > 0 && s.query != "":
				return usagef("query: cannot be combined with ids")
			case s.dryRun && s.query == "":
				return usagef("dry-run: needs --query")
			case s.task != "" && (len(args) != 1 || s.query != ""):
				return usagef("from: a task belongs to one execution; give one id")
			case s.taskInput != "" && s.task == "":
				return usagef("task-input: needs --from")
			}
			if err := s.read(cmd); err != nil {
				return err
			}
			return g.call(cmd, func(ctx context.Context, c *pawl.Client) error {
				if len(args) == 1 {
					return v.steerOne(ctx, g, cmd, c, args[0], s)
				}
				return v.steerMany(ctx, g, cmd, c, args, s)
			})
		},
	}
	if v.flags != nil {
		v.flags(c.Flags(), s)
	}
	c.Flags().StringVar(&s.query, "query", "", "the executions that this query selects, at most 1000, instead of ids")
	c.Flags().BoolVar(&s.dryRun, "dry-run", false, "with --query: only list their ids")
	c.Flags().StringVar(&s.RequestId, "request-id", "", "makes the call repeatable: the same id gets the first answer")
	return c
}

// read gets the payloads that stand in files.
func (s *steering) read(cmd *cobra.Command) (err error) {
	for _, p := range []struct {
		flag string
		text *string
	}{{"input", &s.Input}, {"result", &s.Output}, {"task-input", &s.taskInput}} {
		if *p.text != "" && err == nil {
			*p.text, err = payload(cmd, p.flag, *p.text)
		}
	}
	return err
}

func (v verb) steerOne(ctx context.Context, g *globals, cmd *cobra.Command, c *pawl.Client, id string, s *steering) error {
	res, err := v.one(ctx, c.Executions(), id, s)
	if err != nil {
		return err
	}
	return done(g, cmd, res, v.done+" at "+res.(interface{ GetPosition() string }).GetPosition())
}

func (v verb) steerMany(ctx context.Context, g *globals, cmd *cobra.Command, c *pawl.Client, ids []string, s *steering) error {
	if s.query != "" {
		var err error
		if ids, err = selected(ctx, c, s.query); err != nil {
			return err
		}
	}
	if s.dryRun || len(ids) == 0 {
		return printIDs(g, cmd, ids)
	}
	s.ExecutionIds = ids
	res, err := c.Executions().Bulk(ctx, &s.BulkExecutionsRequest)
	if err != nil {
		return err
	}
	refused := 0
	t := newTable(cmd.OutOrStdout(), "EXECUTION", "RESULT", "")
	for _, r := range res.Results {
		if r.Error == nil {
			t.row(r.ExecutionId, v.done)
			continue
		}
		refused++
		t.row(r.ExecutionId, r.Error.Code, r.Error.Message)
	}
	if g.json() {
		err = printJSON(cmd, res)
	} else {
		err = t.flush()
	}
	if err == nil && refused > 0 {
		err = &codedError{exitFailed, fmt.Errorf("%d of %d executions were not %s", refused, len(ids), v.done)}
	}
	return err
}

// selected gives the ids that a query selects; more than one call takes is a mistake of
// whoever asked.
func selected(ctx context.Context, c *pawl.Client, query string) ([]string, error) {
	var ids []string
	for x, err := range c.Search(ctx, pawl.Search{Query: query, Limit: maxIDs + 1}) {
		if err != nil {
			return nil, err
		}
		ids = append(ids, x.Id)
	}
	if len(ids) > maxIDs {
		return nil, usagef("query: selects more than %d executions; narrow it, for example by startTime", maxIDs)
	}
	return ids, nil
}

func printIDs(g *globals, cmd *cobra.Command, ids []string) error {
	if g.json() {
		return printJSON(cmd, map[string][]string{"executionIds": append([]string{}, ids...)})
	}
	for _, id := range ids {
		fmt.Fprintln(cmd.OutOrStdout(), id)
	}
	return nil
}

func inputFlag(f *pflag.FlagSet, s *steering, usage string) {
	f.StringVarP(&s.Input, "input", "i", "", usage+": a JSON object, @FILE, or - for standard input")
}

// newVerbs makes the commands that steer executions.
func newVerbs(g *globals) []*cobra.Command {
	var out []*cobra.Command
	for _, v := range slices.Concat(verbsOfFlow(), verbsOfSteps(), verbsOfEnded()) {
		out = append(out, v.command(g))
	}
	return out
}

// verbsOfFlow hold executions, let them go on or end them.
func verbsOfFlow() []verb {
	return []verb{{
		name: "pause", short: "Stop executions from making further tasks", long: "Tasks under way may finish.",
		example: "  pawl execution pause 00000000-0000-8…\n  pawl execution pause --query 'workflowType = order AND status = RUNNING'",
		done:    "paused", kind: apiv1.BulkExecutionsRequest_PAUSE,
		one: func(ctx context.Context, x apiv1connect.ExecutionServiceClient, id string, s *steering) (proto.Message, error) {
			return x.Pause(ctx, &apiv1.PauseExecutionRequest{ExecutionId: id, RequestId: s.RequestId})
		},
	}, {
		name: "resume", short: "Let paused executions go on", example: "  pawl execution resume 00000000-0000-8…",
		done: "resumed", kind: apiv1.BulkExecutionsRequest_RESUME,
		one: func(ctx context.Context, x apiv1connect.ExecutionServiceClient, id string, s *steering) (proto.Message, error) {
			return x.Resume(ctx, &apiv1.ResumeExecutionRequest{ExecutionId: id, RequestId: s.RequestId})
		},
	}, {
		name: "decide", short: "Let executions go on as far as they can", long: "They do so by themselves; it never has to be asked.",
		example: "  pawl execution decide 00000000-0000-8…",
		done:    "decided", kind: apiv1.BulkExecutionsRequest_DECIDE,
		one: func(ctx context.Context, x apiv1connect.ExecutionServiceClient, id string, s *steering) (proto.Message, error) {
			return x.Decide(ctx, &apiv1.DecideExecutionRequest{ExecutionId: id, RequestId: s.RequestId})
		},
	}, {
		name: "terminate", short: "End executions and the children below them",
		example: "  pawl execution terminate 00000000-0000-8… --reason 'ordered twice'\n  pawl execution terminate --query 'correlationId = batch7' --dry-run",
		done:    "terminated", kind: apiv1.BulkExecutionsRequest_TERMINATE,
		flags: func(f *pflag.FlagSet, s *steering) {
			f.StringVar(&s.Reason, "reason", "", "shown as the reason")
			f.BoolVar(&s.TriggerFailureWorkflow, "failure-workflow", false, "start the definition's failure workflow, as a failure would")
		},
		one: func(ctx context.Context, x apiv1connect.ExecutionServiceClient, id string, s *steering) (proto.Message, error) {
			return x.Terminate(ctx, &apiv1.TerminateExecutionRequest{ExecutionId: id, Reason: s.Reason, TriggerFailureWorkflow: s.TriggerFailureWorkflow, RequestId: s.RequestId})
		},
	}}
}

// verbsOfSteps change what executions that have not ended do.
func verbsOfSteps() []verb {
	return []verb{{
		name: "skip", short: "Let executions pass over a step that they have not come to",
		example: "  pawl execution skip 00000000-0000-8… --ref send_invoice --result '{\"sent\":false}'",
		done:    "skipped", kind: apiv1.BulkExecutionsRequest_SKIP,
		flags: func(f *pflag.FlagSet, s *steering) {
			f.StringVar(&s.Ref, "ref", "", "reference name of the step")
			inputFlag(f, s, "input that the skipped task shows")
			f.StringVar(&s.Output, "result", "", "output that it shows: a JSON object, @FILE, or -")
		},
		one: func(ctx context.Context, x apiv1connect.ExecutionServiceClient, id string, s *steering) (proto.Message, error) {
			return x.Skip(ctx, &apiv1.SkipExecutionRequest{ExecutionId: id, Ref: s.Ref, Input: s.Input, Output: s.Output, RequestId: s.RequestId})
		},
	}, {
		name: "jump", short: "Let executions go on at a step that they have not come to",
		long:    "What is open is canceled, and the steps between are skipped.",
		example: "  pawl execution jump 00000000-0000-8… --ref ship --input '{\"express\":true}'",
		done:    "moved", kind: apiv1.BulkExecutionsRequest_JUMP,
		flags: func(f *pflag.FlagSet, s *steering) {
			f.StringVar(&s.Ref, "ref", "", "reference name of the step, which stands in the main line of the definition")
			inputFlag(f, s, "input of the step instead of the definition's")
		},
		one: func(ctx context.Context, x apiv1connect.ExecutionServiceClient, id string, s *steering) (proto.Message, error) {
			return x.Jump(ctx, &apiv1.JumpExecutionRequest{ExecutionId: id, Ref: s.Ref, Input: s.Input, RequestId: s.RequestId})
		},
	}, {
		name: "set-variables", short: "Write variables of executions that have not ended",
		example: "  pawl execution set-variables 00000000-0000-8… --input '{\"express\":true}'",
		done:    "changed", kind: apiv1.BulkExecutionsRequest_SET_VARIABLES,
		flags: func(f *pflag.FlagSet, s *steering) {
			inputFlag(f, s, "the variables, each of which replaces the one of its name")
			f.BoolVar(&s.Append, "append", false, "add to variables that are lists")
		},
		one: func(ctx context.Context, x apiv1connect.ExecutionServiceClient, id string, s *steering) (proto.Message, error) {
			return x.SetVariables(ctx, &apiv1.SetExecutionVariablesRequest{ExecutionId: id, Variables: s.Input, Append: s.Append, RequestId: s.RequestId})
		},
	}, {
		name: "reset-callbacks", short: "Make tasks ready that were handed back for later", example: "  pawl execution reset-callbacks 00000000-0000-8…",
		done: "reset", kind: apiv1.BulkExecutionsRequest_RESET_CALLBACKS,
		one: func(ctx context.Context, x apiv1connect.ExecutionServiceClient, id string, s *steering) (proto.Message, error) {
			return x.ResetCallbacks(ctx, &apiv1.ResetExecutionCallbacksRequest{ExecutionId: id, RequestId: s.RequestId})
		},
	}}
}

// verbsOfEnded run executions again, or remove them.
func verbsOfEnded() []verb {
	return []verb{{
		name: "restart", short: "Run executions that have ended from their first step", long: "The input stays; variables are those of the definition again.",
		example: "  pawl execution restart 00000000-0000-8… --latest",
		done:    "restarted", kind: apiv1.BulkExecutionsRequest_RESTART,
		flags: func(f *pflag.FlagSet, s *steering) {
			f.BoolVar(&s.Latest, "latest", false, "with the newest version of the definition instead of the one they have")
		},
		one: func(ctx context.Context, x apiv1connect.ExecutionServiceClient, id string, s *steering) (proto.Message, error) {
			return x.Restart(ctx, &apiv1.RestartExecutionRequest{ExecutionId: id, Latest: s.Latest, RequestId: s.RequestId})
		},
	}, {
		name: "retry", short: "Give the failed steps of executions that have ended a further attempt",
		example: "  pawl execution retry 00000000-0000-8…\n  pawl execution retry --query 'status = FAILED AND workflowType = order'",
		done:    "retried", kind: apiv1.BulkExecutionsRequest_RETRY,
		flags: func(f *pflag.FlagSet, s *steering) {
			f.BoolVar(&s.ResumeSubworkflows, "resume-children", false, "go on inside children that failed instead of starting new ones")
		},
		one: func(ctx context.Context, x apiv1connect.ExecutionServiceClient, id string, s *steering) (proto.Message, error) {
			return x.Retry(ctx, &apiv1.RetryExecutionRequest{ExecutionId: id, ResumeSubworkflows: s.ResumeSubworkflows, RequestId: s.RequestId})
		},
	}, {
		name: "rerun", short: "Run executions that have ended again, from a task or from the first step",
		long:    "What came after the task goes. The task may be one of an execution below.",
		example: "  pawl execution rerun 00000000-0000-8… --from 00000000-0000-8… --task-input '{\"n\":2}'",
		done:    "reran", kind: apiv1.BulkExecutionsRequest_RERUN,
		flags: func(f *pflag.FlagSet, s *steering) {
			f.StringVar(&s.task, "from", "", "id of the task to begin at; the first step when it is not given")
			f.StringVar(&s.taskInput, "task-input", "", "another input of that task: a JSON object, @FILE, or -")
			inputFlag(f, s, "another input of the execution")
			f.StringVar(&s.Correlation, "correlation", "", "another correlation id")
		},
		one: func(ctx context.Context, x apiv1connect.ExecutionServiceClient, id string, s *steering) (proto.Message, error) {
			return x.Rerun(ctx, &apiv1.RerunExecutionRequest{ExecutionId: id, TaskId: s.task, TaskInput: s.taskInput,
				WorkflowInput: s.Input, Correlation: s.Correlation, RequestId: s.RequestId})
		},
	}, {
		name: "delete", short: "Remove executions that have ended, with all their tasks", example: "  pawl execution delete 00000000-0000-8…",
		done: "deleted", kind: apiv1.BulkExecutionsRequest_DELETE,
		flags: func(f *pflag.FlagSet, s *steering) {
			f.BoolVar(&s.Force, "force", false, "also those that have not ended: they are terminated first")
		},
		one: func(ctx context.Context, x apiv1connect.ExecutionServiceClient, id string, s *steering) (proto.Message, error) {
			return x.Delete(ctx, &apiv1.DeleteExecutionRequest{ExecutionId: id, Force: s.Force, RequestId: s.RequestId})
		},
	}}
}
