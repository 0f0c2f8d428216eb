package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
	pawl "github.com/pawlhq/pawl/sdk"
)

func newTaskList(g *globals) *cobra.Command {
	req := &apiv1.ListTasksRequest{}
	c := &cobra.Command{
		Use: "list", Short: "List tasks, every attempt being one", Aliases: []string{"ls"},
		Example: "  pawl task list --query 'taskType = charge_card AND status = FAILED' --sort endTime:DESC", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return g.call(cmd, func(ctx context.Context, c *pawl.Client) error {
				res, err := c.Tasks().List(ctx, req)
				if err != nil {
					return err
				}
				if g.json() {
					return printJSON(cmd, res)
				}
				t := newTable(cmd.OutOrStdout(), "TASK", "DEFINITION", "REF", "TYPE", "STATUS", "RETRY", "SCHEDULED", "ENDED", "WORKER", "REASON")
				for _, f := range res.Tasks {
					k := f.Task
					t.row(k.Id, f.Definition, k.Ref, k.Type, k.Status.String(), strconv.Itoa(int(k.Retry)), when(k.Scheduled), when(k.Ended), k.Worker, k.Reason)
				}
				if err := t.flush(); err != nil {
					return err
				}
				return restOfList(cmd, req.Count, res)
			})
		},
	}
	searchFlags(c.Flags(), &req.Query, &req.Text, &req.Sort, &req.Cursor, &req.Limit, &req.Count)
	return c
}

// searchFlags are those of every list that is searched.
func searchFlags(f *pflag.FlagSet, query, text, sort, cursor *string, limit *int32, count *bool) {
	f.StringVar(query, "query", "", "conditions, such as \"status = FAILED AND startTime > 1700000000000\"")
	f.StringVar(text, "text", "", "words and \"quoted phrases\", each of which some field has")
	f.StringVar(sort, "sort", "", "FIELD:ASC or FIELD:DESC, several separated by |; newest first when not given")
	f.Int32Var(limit, "limit", 100, "at most this many, up to 5000")
	f.StringVar(cursor, "cursor", "", "go on where the page before ended")
	f.BoolVar(count, "count", false, "tell how many there are in all")
}

// found is the answer of a search.
type found interface {
	GetNext() string
	GetTotal() int64
	GetPartial() bool
}

// restOfList tells what is behind a page, apart from the page.
func restOfList(cmd *cobra.Command, count bool, page found) error {
	out := cmd.ErrOrStderr()
	if count && page.GetTotal() >= 0 {
		fmt.Fprintf(out, "%d in all\n", page.GetTotal())
	}
	if page.GetPartial() {
		fmt.Fprintln(out, "the search was cut short at its budget; what it has not looked at comes with the cursor")
	}
	if page.GetNext() != "" {
		fmt.Fprintf(out, "more with --cursor %s\n", page.GetNext())
	}
	return nil
}

func newTaskUpdate(g *globals) *cobra.Command {
	req := &apiv1.UpdateTaskRequest{Worker: "cli"}
	var status, output string
	c := &cobra.Command{
		Use: "update [TASK]", Short: "Report on a task from outside, by its id or by execution and reference name",
		Long: `Report on a task from outside, without a lease: one that a worker has is revoked. The task
is named by its id, or by --execution and --ref: the newest open one of that name. A
report on a task that has ended changes nothing.`,
		Example: "  pawl task update 00000000-0000-8… --status COMPLETED --result '{\"paid\":true}'\n" +
			"  pawl task update --execution 00000000-0000-8… --ref charge --status IN_PROGRESS --callback-seconds 60",
		Args: wantArgs(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			byRef := req.ExecutionId != "" || req.Ref != ""
			if len(args) == 1 == byRef {
				return usagef("%s takes the id of a task, or --execution and --ref; see %s --help", cmd.CommandPath(), cmd.CommandPath())
			}
			if len(args) == 1 {
				req.TaskId = args[0]
			}
			v, ok := apiv1.Task_Status_value[status]
			if status != "" && (!ok || v == 0) {
				return usagef("status: %q is not known; COMPLETED, FAILED, FAILED_WITH_TERMINAL_ERROR and IN_PROGRESS are", status)
			}
			req.Status = apiv1.Task_Status(v)
			var err error
			if req.Output, err = payload(cmd, "result", output); err != nil {
				return err
			}
			return g.call(cmd, func(ctx context.Context, c *pawl.Client) error { return updateTask(ctx, g, cmd, c, req) })
		},
	}
	f := c.Flags()
	f.StringVar(&req.ExecutionId, "execution", "", "id of the execution")
	f.StringVar(&req.Ref, "ref", "", "reference name of the task")
	f.StringVar(&status, "status", "", "COMPLETED, FAILED, FAILED_WITH_TERMINAL_ERROR or IN_PROGRESS")
	f.StringVar(&output, "result", "{}", "output, merged over what the task has: a JSON object, @FILE, or -")
	f.BoolVar(&req.Replace, "replace", false, "the result is the whole output")
	f.StringVar(&req.Reason, "reason", "", "why, when it does not succeed")
	f.Int32Var(&req.CallbackSeconds, "callback-seconds", 0, "when a task that is in progress becomes ready again")
	f.BoolVar(&req.ExtendLease, "extend-lease", false, "only start the response clock of the worker anew")
	f.StringVar(&req.RequestId, "request-id", "", "makes the call repeatable")
	return c
}
