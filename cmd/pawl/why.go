package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
	pawl "github.com/pawlhq/pawl/sdk"
)

func newExecutionWhy(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "why ID [REF]", Short: "Say what an execution or task waits for",
		Long: "Say what an execution as a whole and each of its open tasks wait for, or only a task:\n" +
			"given by its id, or by its reference name. What an execution below waits for stands\n" +
			"behind the task that started it, marked with >.",
		Example: "  pawl execution why 00000000-0000-8…\n  pawl execution why 00000000-0000-8… charge", Args: wantArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			req := &apiv1.ExplainExecutionRequest{Id: args[0]}
			if len(args) == 2 {
				req.Ref = args[1]
			}
			return g.call(cmd, func(ctx context.Context, c *pawl.Client) error {
				res, err := c.Executions().Explain(ctx, req)
				if err != nil {
					return err
				}
				if g.json() {
					return printJSON(cmd, res)
				}
				return printWhy(cmd, res)
			})
		},
	}
}

func printWhy(cmd *cobra.Command, res *apiv1.ExplainExecutionResponse) error {
	t := newTable(cmd.OutOrStdout(), "REF", "WHY", "UNTIL", "TASK", "")
	for _, r := range res.Reasons {
		ref := r.Ref
		if ref == "" {
			ref = "(all)"
		}
		t.wide(strings.Repeat("> ", int(r.Depth))+ref, r.Kind, when(r.Until), r.TaskId, r.Text)
	}
	if err := t.flush(); err != nil || !res.More {
		return err
	}
	_, err := fmt.Fprintln(cmd.ErrOrStderr(), "there are more open tasks; name one to be told of it")
	return err
}
