package main

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
	pawl "github.com/pawlhq/pawl/sdk"
)

func newTask(g *globals) *cobra.Command {
	return group("task", "Work on tasks by hand",
		"  pawl task poll --type charge_card\n  pawl task complete TASK --lease 123 --result '{\"paid\":true}'", nil,
		newTaskGet(g), newTaskList(g), newTaskPoll(g), newTaskComplete(g), newTaskFail(g), newTaskUpdate(g))
}

func newTaskGet(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "get TASK", Short: "Show one attempt", Example: "  pawl task get 00000000-0000-8… -o json", Args: wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.call(cmd, func(ctx context.Context, c *pawl.Client) error {
				res, err := c.Tasks().Get(ctx, &apiv1.GetTaskRequest{TaskId: args[0]})
				if err != nil {
					return err
				}
				if g.json() {
					return printJSON(cmd, res.Task)
				}
				k := res.Task
				t := newTable(cmd.OutOrStdout(), "TASK", "REF", "TYPE", "STATUS", "RETRY", "LEASE", "WORKER", "REASON")
				t.row(k.Id, k.Ref, k.Type, k.Status.String(), strconv.Itoa(int(k.Retry)), strconv.FormatUint(k.Lease, 10), k.Worker, k.Reason)
				return t.flush()
			})
		},
	}
}

func newTaskPoll(g *globals) *cobra.Command {
	req := &apiv1.PollTasksRequest{}
	c := &cobra.Command{
		Use: "poll", Short: "Lease tasks, waiting for one if there is none",
		Example: "  pawl task poll --type charge_card --count 2 -o json", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(req.Types) == 0 {
				return usagef("type: name at least one task type with --type")
			}
			// The wait is part of what was asked for, on top of the time of a call.
			g.timeout += max(0, time.Duration(req.TimeoutMillis)*time.Millisecond)
			return g.call(cmd, func(ctx context.Context, c *pawl.Client) error {
				res, err := c.Tasks().Poll(ctx, req)
				if err != nil {
					return err
				}
				if g.json() {
					return printJSON(cmd, res)
				}
				t := newTable(cmd.OutOrStdout(), "TASK", "LEASE", "TYPE", "REF", "RETRY", "INPUT")
				for _, k := range res.Tasks {
					t.row(k.TaskId, strconv.FormatUint(k.Lease, 10), k.Type, k.Ref, strconv.Itoa(int(k.Retry)), k.Input)
				}
				return t.flush()
			})
		},
	}
	c.Flags().StringArrayVar(&req.Types, "type", nil, "task type; repeatable")
	c.Flags().StringVar(&req.Domain, "domain", "", "domain of the queue")
	c.Flags().StringVar(&req.Worker, "worker", "cli", "name that the tasks show")
	c.Flags().Int32Var(&req.Count, "count", 1, "at most this many, up to 100")
	c.Flags().Int32Var(&req.TimeoutMillis, "wait-millis", 5000, "how long to wait for the first")
	return c
}

func newTaskComplete(g *globals) *cobra.Command {
	var lease uint64
	var output, requestID string
	c := &cobra.Command{
		Use: "complete TASK", Short: "Finish a task with success",
		Long:    "Finish a task with success. Without --lease the report is unfenced: it counts whoever works on the task.",
		Example: "  pawl task complete 00000000-0000-8… --lease 123 --result '{\"paid\":true}'", Args: wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := payload(cmd, "result", output)
			if err != nil {
				return err
			}
			return g.call(cmd, func(ctx context.Context, c *pawl.Client) error {
				if lease == 0 {
					return updateTask(ctx, g, cmd, c, &apiv1.UpdateTaskRequest{
						TaskId: args[0], Status: apiv1.Task_COMPLETED, Output: text, Worker: "cli", RequestId: requestID})
				}
				res, err := c.Tasks().Complete(ctx, &apiv1.CompleteTaskRequest{
					TaskId: args[0], Lease: lease, Output: text, Worker: "cli", RequestId: requestID})
				if err != nil {
					return err
				}
				return done(g, cmd, res, "completed at "+res.Position)
			})
		},
	}
	c.Flags().Uint64Var(&lease, "lease", 0, "lease that the poll gave")
	c.Flags().StringVar(&output, "result", "{}", "output of the task: a JSON object, @FILE, or -")
	c.Flags().StringVar(&requestID, "request-id", "", "makes the call repeatable")
	return c
}

func newTaskFail(g *globals) *cobra.Command {
	var lease uint64
	var reason, output, requestID string
	var terminal bool
	c := &cobra.Command{
		Use: "fail TASK", Short: "Finish a task without success",
		Example: "  pawl task fail 00000000-0000-8… --lease 123 --reason 'card refused' --terminal", Args: wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := payload(cmd, "result", output)
			if err != nil {
				return err
			}
			return g.call(cmd, func(ctx context.Context, c *pawl.Client) error {
				if lease == 0 {
					status := apiv1.Task_FAILED
					if terminal {
						status = apiv1.Task_FAILED_WITH_TERMINAL_ERROR
					}
					return updateTask(ctx, g, cmd, c, &apiv1.UpdateTaskRequest{
						TaskId: args[0], Status: status, Output: text, Reason: reason, Worker: "cli", RequestId: requestID})
				}
				res, err := c.Tasks().Fail(ctx, &apiv1.FailTaskRequest{TaskId: args[0], Lease: lease, Reason: reason,
					Terminal: terminal, Output: text, Worker: "cli", RequestId: requestID})
				if err != nil {
					return err
				}
				return done(g, cmd, res, "failed at "+res.Position)
			})
		},
	}
	c.Flags().Uint64Var(&lease, "lease", 0, "lease that the poll gave")
	c.Flags().StringVar(&reason, "reason", "", "why")
	c.Flags().BoolVar(&terminal, "terminal", false, "no further attempt")
	c.Flags().StringVar(&output, "result", "{}", "output of the task: a JSON object, @FILE, or -")
	c.Flags().StringVar(&requestID, "request-id", "", "makes the call repeatable")
	return c
}

func updateTask(ctx context.Context, g *globals, cmd *cobra.Command, c *pawl.Client, req *apiv1.UpdateTaskRequest) error {
	res, err := c.Tasks().Update(ctx, req)
	if err != nil {
		return err
	}
	line := "updated at " + res.Position
	if res.Ignored {
		line = "ignored: the task has ended"
	}
	return done(g, cmd, res, line)
}
