package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	pawl "github.com/pawlhq/pawl/sdk"
)

func newExecutionWatch(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "watch ID", Short: "Tell what changes in an execution, until it ends",
		Long: `Tell what changes in an execution: first its state and that of its tasks, then each
change as it comes, until it ends. There is no limit of time unless --timeout is given.
The exit code is 7 if the execution ends without success.`,
		Example: "  pawl execution watch 00000000-0000-8…\n  pawl execution watch 00000000-0000-8… -o json", Args: wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := g.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			ctx := cmd.Context()
			if cmd.Flags().Changed("timeout") {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, g.timeout)
				defer cancel()
			}
			return watch(ctx, g, cmd, c, args[0])
		},
	}
}

// told is a change as it is printed with -o json: one object on a line.
type told struct {
	Kind       string     `json:"kind"`
	Position   string     `json:"position"`
	Time       *time.Time `json:"time,omitempty"`
	Status     string     `json:"status,omitempty"`
	Task       string     `json:"task,omitempty"`
	Ref        string     `json:"ref,omitempty"`
	TaskStatus string     `json:"taskStatus,omitempty"`
	Retry      int        `json:"retry,omitempty"`
	Reason     string     `json:"reason,omitempty"`
}

func watch(ctx context.Context, g *globals, cmd *cobra.Command, c *pawl.Client, id string) error {
	var last pawl.Status
	anything := pawl.Definition[any, any]{}.Execution(c, id)
	for change, err := range anything.Watch(ctx) {
		if errors.Is(err, context.DeadlineExceeded) {
			return &codedError{exitUnknown, fmt.Errorf("execution %s has not ended within %s", id, g.timeout)}
		}
		if err != nil {
			return err
		}
		if err := printChange(g, cmd, change); err != nil {
			return err
		}
		if change.Status != "" {
			last = change.Status
		}
		if change.Kind == "execution_deleted" {
			return &codedError{exitExecution, fmt.Errorf("execution %s was deleted", id)}
		}
	}
	if last != pawl.Completed {
		return &codedError{exitExecution, errors.New("execution " + id + " is " + string(last))}
	}
	return nil
}

func printChange(g *globals, cmd *cobra.Command, c pawl.Change) error {
	at := "now"
	if !c.Time.IsZero() {
		at = c.Time.UTC().Format("15:04:05.000")
	}
	if g.json() {
		t := told{Kind: c.Kind, Position: string(c.At), Status: string(c.Status), Task: c.Task, Ref: c.Ref,
			TaskStatus: c.TaskStatus, Retry: c.Retry, Reason: c.Reason}
		if !c.Time.IsZero() {
			t.Time = &c.Time
		}
		return printJSON(cmd, t)
	}
	what, status := c.Ref, c.TaskStatus
	if c.Task == "" {
		what, status = "execution", string(c.Status)
	}
	line := fmt.Sprintf("%-12s  %-22s  %-20s  %s", at, c.Kind, oneLine(what), status)
	if c.Reason != "" {
		line += "  " + oneLine(c.Reason)
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), line)
	return err
}
