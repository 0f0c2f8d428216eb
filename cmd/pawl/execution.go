package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
	pawl "github.com/pawlhq/pawl/sdk"
)

func newExecution(g *globals) *cobra.Command {
	return group("execution", "Runs of a definition",
		"  pawl execution start order --input '{\"id\":1}' --wait\n  pawl execution retry --query 'status = FAILED'", []string{"workflow", "wf", "run"},
		append(newVerbs(g), newExecutionStart(g), newExecutionGet(g), newExecutionList(g), newExecutionWhy(g), newExecutionWatch(g),
			newExecutionSignal(g), newExecutionMessage(g))...)
}

type startFlags struct {
	input, key, strategy, correlation, requestID string
	number, priority                             int32
	domains, until                               []string
	wait                                         bool
}

func newExecutionStart(g *globals) *cobra.Command {
	var f startFlags
	c := &cobra.Command{
		Use: "start NAME", Short: "Start an execution",
		Long:    "Start an execution. With --wait the exit code is 7 if it ends without success.",
		Example: "  pawl execution start order --input @order.json --key order-1 --wait",
		Args:    wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.call(cmd, func(ctx context.Context, c *pawl.Client) error { return start(ctx, g, cmd, c, args[0], f) })
		},
	}
	c.Flags().StringVarP(&f.input, "input", "i", "{}", "input: a JSON object, @FILE, or - for standard input")
	c.Flags().Int32Var(&f.number, "version", 0, "version of the definition, 0 for the latest")
	c.Flags().StringVar(&f.key, "key", "", "idempotency key: one execution of the definition has it")
	c.Flags().StringVar(&f.strategy, "on-conflict", "FAIL", "when the key is taken: FAIL, RETURN_EXISTING or FAIL_ON_RUNNING")
	c.Flags().StringVar(&f.correlation, "correlation", "", "correlation id")
	c.Flags().Int32Var(&f.priority, "priority", 0, "0 to 99, higher first")
	c.Flags().StringArrayVar(&f.domains, "domain", nil, "TYPE=DOMAIN: send tasks of a type to a domain's workers; repeatable")
	c.Flags().BoolVar(&f.wait, "wait", false, "wait for the end, as long as --timeout allows")
	c.Flags().StringSliceVar(&f.until, "wait-for", nil, "reference names of tasks: also wait for the first of them that ends")
	c.Flags().StringVar(&f.requestID, "request-id", "", "makes the call repeatable: the same id gets the first answer")
	return c
}

func (f startFlags) request(cmd *cobra.Command, name string) (*apiv1.StartExecutionRequest, error) {
	input, err := payload(cmd, "input", f.input)
	if err != nil {
		return nil, err
	}
	strategy, ok := apiv1.StartExecutionRequest_Strategy_value[f.strategy]
	if !ok {
		return nil, usagef("on-conflict: %q is not known; FAIL, RETURN_EXISTING and FAIL_ON_RUNNING are", f.strategy)
	}
	domains := map[string]string{}
	for _, d := range f.domains {
		taskType, domain, ok := strings.Cut(d, "=")
		if !ok {
			return nil, usagef("domain: %q must be TYPE=DOMAIN", d)
		}
		domains[taskType] = domain
	}
	return &apiv1.StartExecutionRequest{
		Name: name, Version: f.number, Input: input, Key: f.key, Strategy: apiv1.StartExecutionRequest_Strategy(strategy),
		Correlation: f.correlation, Priority: f.priority, TaskToDomain: domains, RequestId: f.requestID,
	}, nil
}

func start(ctx context.Context, g *globals, cmd *cobra.Command, c *pawl.Client, name string, f startFlags) error {
	req, err := f.request(cmd, name)
	if err != nil {
		return err
	}
	if len(f.until) > 0 {
		return startUntil(ctx, g, cmd, c, req, f)
	}
	res, err := c.Executions().Start(ctx, req)
	if err != nil {
		return err
	}
	if !f.wait {
		if g.json() {
			return printJSON(cmd, res)
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), res.ExecutionId)
		return err
	}
	end, err := waitForEnd(ctx, c, res.ExecutionId, res.Position)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &codedError{exitUnknown, fmt.Errorf("execution %s was started and had no end within %s", res.ExecutionId, g.timeout)}
	case err != nil:
		return &codedError{exitUnknown, fmt.Errorf("execution %s was started, its end was not seen: %w", res.ExecutionId, err)}
	}
	if err := printExecution(g, cmd, end); err != nil {
		return err
	}
	if end.Status != apiv1.Execution_COMPLETED {
		return &codedError{exitExecution, errors.New(strings.TrimSuffix(fmt.Sprintf("execution %s is %s: %s", end.Id, end.Status, end.Reason), ": "))}
	}
	return nil
}

// startUntil starts an execution and waits until one of the tasks has ended.
func startUntil(ctx context.Context, g *globals, cmd *cobra.Command, c *pawl.Client, start *apiv1.StartExecutionRequest, f startFlags) error {
	if f.wait {
		return usagef("wait: cannot be combined with --wait-for")
	}
	start.RequestId = ""
	millis := min(g.timeout, maxWait) - answerTime
	res, err := c.Executions().StartAndWait(ctx, &apiv1.StartAndWaitRequest{
		Start: start, UntilRefs: f.until, RequestId: f.requestID, TimeoutMillis: int32(max(millis, time.Millisecond).Milliseconds()),
	})
	if err != nil {
		return err
	}
	if g.json() {
		err = printJSON(cmd, res)
	} else if res.Execution != nil {
		err = printExecution(g, cmd, res.Execution)
	}
	if t := res.Reached; t != nil && !g.json() && err == nil {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "\n%s is %s: %s\n", t.Ref, t.Status, t.Output)
	}
	switch {
	case err != nil:
		return err
	case res.Reached == nil && !res.Ended:
		return &codedError{exitUnknown, fmt.Errorf("execution %s was started, and none of %s has ended yet", res.ExecutionId, strings.Join(f.until, ", "))}
	case res.Ended && res.Execution.Status != apiv1.Execution_COMPLETED:
		return &codedError{exitExecution, fmt.Errorf("execution %s is %s: %s", res.ExecutionId, res.Execution.Status, res.Execution.Reason)}
	}
	return nil
}

const (
	// maxWait is the longest that a server waits in one call, and answerTime what is kept of
	// the command's time for the answer.
	maxWait    = time.Minute
	answerTime = 500 * time.Millisecond
)

// waitMillis is how long one long poll lasts; the command's time bounds all of them.
const waitMillis = 20_000

func waitForEnd(ctx context.Context, c *pawl.Client, id, position string) (*apiv1.Execution, error) {
	for {
		res, err := c.Executions().Wait(ctx, &apiv1.WaitExecutionRequest{ExecutionId: id, TimeoutMillis: waitMillis, AtLeast: position})
		if err != nil {
			return nil, err
		}
		if res.Ended {
			return res.Execution, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
}

func printExecution(g *globals, cmd *cobra.Command, e *apiv1.Execution) error {
	if g.json() {
		return printJSON(cmd, e)
	}
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "id          %s\ndefinition  %s %d\nstatus      %s\n", e.Id, e.Definition, e.Version, e.Status)
	for _, line := range [][2]string{
		{"reason", e.Reason}, {"created", when(e.Created)}, {"ended", when(e.Ended)}, {"correlation", e.Correlation},
		{"parent", e.ParentTaskId}, {"failed", strings.Join(e.FailedRefs, ", ")}, {"input", e.Input}, {"output", e.Output},
	} {
		if line[1] != "" {
			fmt.Fprintf(out, "%-12s%s\n", line[0], line[1])
		}
	}
	return nil
}

func newExecutionGet(g *globals) *cobra.Command {
	var tasks bool
	c := &cobra.Command{
		Use: "get ID", Short: "Show an execution", Example: "  pawl execution get 00000000-0000-8… --tasks", Args: wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.call(cmd, func(ctx context.Context, c *pawl.Client) error {
				res, err := c.Executions().Get(ctx, &apiv1.GetExecutionRequest{ExecutionId: args[0], Tasks: tasks})
				if err != nil {
					return err
				}
				if g.json() {
					return printJSON(cmd, res)
				}
				if err := printExecution(g, cmd, res.Execution); err != nil || !tasks {
					return err
				}
				fmt.Fprintln(cmd.OutOrStdout())
				t := newTable(cmd.OutOrStdout(), "SEQ", "REF", "TYPE", "STATUS", "RETRY", "WORKER", "TASK", "REASON")
				for _, k := range res.Tasks {
					t.row(strconv.Itoa(int(k.Seq)), k.Ref, k.Type, k.Status.String(), strconv.Itoa(int(k.Retry)), k.Worker, k.Id, k.Reason)
				}
				return t.flush()
			})
		},
	}
	c.Flags().BoolVar(&tasks, "tasks", false, "with its tasks")
	return c
}

func newExecutionList(g *globals) *cobra.Command {
	req := &apiv1.ListExecutionsRequest{}
	var status string
	c := &cobra.Command{
		Use: "list", Short: "List executions, newest first", Aliases: []string{"ls"},
		Long: `List executions, newest first unless --sort says otherwise. --query takes conditions in
Conductor's language: =, !=, <, >, <=, >=, IN (…), BETWEEN … AND …, IS null, STARTS_WITH,
AND, OR and parentheses; * in a value stands for anything; times are milliseconds since
1970.`,
		Example: "  pawl execution list --definition order --status FAILED\n  pawl execution list --query 'status IN (FAILED, TIMED_OUT) AND startTime > 1700000000000' --sort endTime:DESC", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if status != "" {
				v, ok := apiv1.Execution_Status_value[status]
				if !ok || v == 0 {
					return usagef("status: %q is not known; RUNNING, PAUSED, COMPLETED, FAILED, TIMED_OUT and TERMINATED are", status)
				}
				req.Status = apiv1.Execution_Status(v)
			}
			return g.call(cmd, func(ctx context.Context, c *pawl.Client) error {
				res, err := c.Executions().List(ctx, req)
				if err != nil {
					return err
				}
				if g.json() {
					return printJSON(cmd, res)
				}
				t := newTable(cmd.OutOrStdout(), "ID", "DEFINITION", "VERSION", "STATUS", "CREATED", "ENDED", "TASKS", "REASON")
				for _, e := range res.Executions {
					t.row(e.Id, e.Definition, strconv.Itoa(int(e.Version)), e.Status.String(), when(e.Created), when(e.Ended),
						strconv.Itoa(int(e.TaskCount)), e.Reason)
				}
				if err := t.flush(); err != nil {
					return err
				}
				return restOfList(cmd, req.Count, res)
			})
		},
	}
	c.Flags().StringVar(&req.Definition, "definition", "", "only of this definition")
	c.Flags().StringVar(&status, "status", "", "only in this status")
	c.Flags().StringVar(&req.Correlation, "correlation", "", "only with this correlation id")
	searchFlags(c.Flags(), &req.Query, &req.Text, &req.Sort, &req.Cursor, &req.Limit, &req.Count)
	return c
}

func newExecutionSignal(g *globals) *cobra.Command {
	req := &apiv1.SignalExecutionRequest{}
	var output, status string
	c := &cobra.Command{
		Use: "signal ID", Short: "End the WAIT that an execution stands at",
		Example: "  pawl execution signal 00000000-0000-8… --payload '{\"tracking\":\"42\"}'", Args: wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := payload(cmd, "payload", output)
			if err != nil {
				return err
			}
			v := apiv1.Task_Status(apiv1.Task_Status_value[status])
			if v != apiv1.Task_COMPLETED && v != apiv1.Task_FAILED && v != apiv1.Task_FAILED_WITH_TERMINAL_ERROR {
				return usagef("status: %q is not known; COMPLETED, FAILED and FAILED_WITH_TERMINAL_ERROR are", status)
			}
			req.ExecutionId, req.Output, req.Status = args[0], text, v
			return g.call(cmd, func(ctx context.Context, c *pawl.Client) error {
				res, err := c.Executions().Signal(ctx, req)
				if err != nil {
					return err
				}
				return done(g, cmd, res, res.TaskId)
			})
		},
	}
	c.Flags().StringVar(&output, "payload", "{}", "output of the WAIT: a JSON object, @FILE, or -")
	c.Flags().StringVar(&status, "status", "COMPLETED", "how the WAIT ends")
	c.Flags().StringVar(&req.Ref, "ref", "", "only a WAIT of this reference name")
	c.Flags().StringVar(&req.Reason, "reason", "", "reason, when it does not succeed")
	c.Flags().StringVar(&req.RequestId, "request-id", "", "makes the call repeatable")
	return c
}

func newExecutionMessage(g *globals) *cobra.Command {
	req := &apiv1.PushMessageRequest{}
	var body string
	c := &cobra.Command{
		Use: "message ID", Short: "Give an execution a message for its PULL_WORKFLOW_MESSAGES tasks",
		Example: "  pawl execution message 00000000-0000-8… --body '{\"paid\":true}'", Args: wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := payload(cmd, "body", body)
			if err != nil {
				return err
			}
			req.ExecutionId, req.Body = args[0], text
			return g.call(cmd, func(ctx context.Context, c *pawl.Client) error {
				res, err := c.Executions().PushMessage(ctx, req)
				if err != nil {
					return err
				}
				return done(g, cmd, res, res.MessageId)
			})
		},
	}
	c.Flags().StringVar(&body, "body", "{}", "the message: a JSON object, @FILE, or -")
	c.Flags().StringVar(&req.RequestId, "request-id", "", "makes the call repeatable")
	return c
}

// done prints the answer of a verb: the message as JSON, or one line.
func done(g *globals, cmd *cobra.Command, message any, line string) error {
	if g.json() {
		return printJSON(cmd, message)
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), line)
	return err
}
