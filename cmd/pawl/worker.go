package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	pawl "github.com/pawlhq/pawl/sdk"
)

func newWorker(g *globals) *cobra.Command {
	return group("worker", "Workers", "  pawl worker run --type resize --exec ./resize.sh", nil, newWorkerRun(g))
}

type workerFlags struct {
	types       []string
	command     string
	concurrency int
	name        string
}

func newWorkerRun(g *globals) *cobra.Command {
	var f workerFlags
	c := &cobra.Command{
		Use: "run", Short: "Work on tasks with a command of yours",
		Long: `Run a command for each task: its input is JSON on standard input, its result the JSON
object on standard output. A command that exits with another code than 0 fails the
attempt, and standard error is the reason. It sees PAWL_TASK_ID, PAWL_EXECUTION_ID,
PAWL_LEASE and PAWL_ATTEMPT in its environment. The worker runs until it is interrupted.`,
		Example: "  pawl worker run --type resize --exec './resize.sh --fast' --concurrency 4", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(f.types) == 0 || f.command == "" {
				return usagef("name a task type with --type and a command with --exec")
			}
			if f.concurrency < 1 || f.concurrency > maxConcurrency {
				return usagef("concurrency: %d is not from 1 to %d", f.concurrency, maxConcurrency)
			}
			return runWorker(cmd, g, f)
		},
	}
	c.Flags().StringArrayVar(&f.types, "type", nil, "task type; repeatable")
	c.Flags().StringVar(&f.command, "exec", "", "command line, run by sh")
	c.Flags().IntVar(&f.concurrency, "concurrency", 1, "tasks at a time, for each type")
	c.Flags().StringVar(&f.name, "name", "", "name that the tasks show; the host and process when empty")
	return c
}

// maxConcurrency bounds the commands that run at a time: each is a process.
const maxConcurrency = 1000

func runWorker(cmd *cobra.Command, g *globals, f workerFlags) error {
	c, err := g.connect(cmd.Context())
	if err != nil {
		return err
	}
	defer c.Close()
	var opts []pawl.WorkerOption
	if f.name != "" {
		opts = append(opts, pawl.WithName(f.name))
	}
	w := pawl.NewWorker(c, opts...)
	for _, t := range f.types {
		pawl.Handle(w, t, func(ctx context.Context, t *pawl.Task[json.RawMessage]) (json.RawMessage, error) {
			return runCommand(ctx, f.command, t)
		}, pawl.WithConcurrency(f.concurrency))
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "working on %s\n", strings.Join(f.types, ", "))
	return w.Run(cmd.Context())
}

// maxStderr bounds the reason taken from a command's standard error.
const maxStderr = 500

func runCommand(ctx context.Context, line string, t *pawl.Task[json.RawMessage]) (json.RawMessage, error) {
	c := exec.CommandContext(ctx, "sh", "-c", line)
	c.Stdin = bytes.NewReader(t.Input)
	c.Env = append(os.Environ(), "PAWL_TASK_ID="+t.ID, "PAWL_EXECUTION_ID="+t.Execution,
		fmt.Sprintf("PAWL_LEASE=%d", t.Lease), fmt.Sprintf("PAWL_ATTEMPT=%d", t.Attempt))
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		text := strings.TrimSpace(errs.String())
		if len(text) > maxStderr {
			text = text[len(text)-maxStderr:]
		}
		return nil, fmt.Errorf("%w: %s", err, text)
	}
	result := bytes.TrimSpace(out.Bytes())
	if len(result) == 0 {
		return json.RawMessage("{}"), nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(result, &object); err != nil {
		return nil, pawl.Terminal(fmt.Errorf("standard output is not a JSON object: %w", err))
	}
	return result, nil
}
