package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
	pawl "github.com/pawlhq/pawl/sdk"
)

func newQueue(g *globals) *cobra.Command {
	return group("queue", "Where tasks wait for workers", "  pawl queue list", nil,
		newQueueList(g), newQueuePause(g), newQueueResume(g))
}

func newQueueList(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List queues", Aliases: []string{"ls"}, Example: "  pawl queue list -o json", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return g.call(cmd, func(ctx context.Context, c *pawl.Client) error {
				res, err := c.Queues().List(ctx, &apiv1.ListQueuesRequest{})
				if err != nil {
					return err
				}
				if g.json() {
					return printJSON(cmd, res)
				}
				t := newTable(cmd.OutOrStdout(), "QUEUE", "READY", "DELAYED", "LEASED", "PAUSED", "OLDEST", "CONCURRENCY", "RATE", "PERMITS")
				for _, q := range res.Queues {
					t.row(q.Name, strconv.Itoa(int(q.Ready)), strconv.Itoa(int(q.Delayed)), strconv.Itoa(int(q.Leased)), yesNo(q.Paused), when(q.Oldest),
						limited(q.Concurrency > 0, strconv.Itoa(int(q.Concurrency))),
						limited(q.Rate > 0, fmt.Sprintf("%d in %ds", q.Rate, q.RateSeconds)), limited(q.Permits >= 0, strconv.Itoa(int(q.Permits))))
				}
				return t.flush()
			})
		},
	}
}

// limited shows what a queue is limited to, when it is.
func limited(is bool, text string) string {
	if !is {
		return "-"
	}
	return text
}

func newQueuePause(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "pause QUEUE", Short: "Stop the hand-out of a queue's tasks", Example: "  pawl queue pause charge_card", Args: wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.call(cmd, func(ctx context.Context, c *pawl.Client) error {
				res, err := c.Queues().Pause(ctx, &apiv1.PauseQueueRequest{Name: args[0]})
				if err != nil {
					return err
				}
				return done(g, cmd, res, "paused at "+res.Position)
			})
		},
	}
}

func newQueueResume(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "resume QUEUE", Short: "Let a queue's tasks be handed out again", Example: "  pawl queue resume charge_card", Args: wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.call(cmd, func(ctx context.Context, c *pawl.Client) error {
				res, err := c.Queues().Resume(ctx, &apiv1.ResumeQueueRequest{Name: args[0]})
				if err != nil {
					return err
				}
				return done(g, cmd, res, "resumed at "+res.Position)
			})
		},
	}
}
