package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/pawlhq/pawl/fsm/def"
	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
	pawl "github.com/pawlhq/pawl/sdk"
	"github.com/pawlhq/pawl/transport/document"
)

func newDefinitionTest(g *globals) *cobra.Command {
	var mocks, input, name string
	c := &cobra.Command{
		Use: "test FILE...", Short: "Run a definition with mocked results, without registering it",
		Long: `Run the first workflow definition of the files on a machine of its own: tasks come to what
the mocks say, time skips, and nothing is kept. Other documents of the files come before
the registered ones of the same names. The mocks are an object of lists by reference name,
one result for each attempt; {"taskRefToMockOutput": …, "subWorkflowTestRequest": {REF: …}}
has those of children too. The exit code is 1 unless the execution completes.`,
		Example: "  echo '{\"charge\":[{\"status\":\"FAILED\"},{\"output\":{\"paid\":true}}]}' > mocks.json\n  pawl definition test order.json --mocks mocks.json --input '{\"id\":1}'",
		Args:    wantArgs(1, 1000),
		RunE: func(cmd *cobra.Command, args []string) error {
			req := &apiv1.TestDefinitionRequest{Start: &apiv1.StartExecutionRequest{Name: name}}
			docs, err := readDocuments(args)
			if err != nil {
				return err
			}
			verdict, err := judge(cmd.Context(), docs)
			if err != nil {
				return err
			}
			if found := append(verdict.findings(), unregistrable(docs)...); len(found) > 0 {
				return &findingsError{summary: "nothing was run", code: exitRefused, findings: found}
			}
			for _, d := range docs {
				req.Sources = append(req.Sources, string(d.source))
				if d.shape == def.ShapeWorkflow && req.Start.Name == "" {
					req.Start.Name = d.plan.Name
				}
			}
			if req.Start.Input, err = payload(cmd, "input", input); err != nil {
				return err
			}
			if mocks != "" {
				if req.Mocks, err = readMocks(mocks); err != nil {
					return err
				}
			}
			return g.call(cmd, func(ctx context.Context, c *pawl.Client) error {
				res, err := c.Definitions().Test(ctx, req)
				if err != nil {
					return err
				}
				return printTest(g, cmd, res)
			})
		},
	}
	c.Flags().StringVar(&mocks, "mocks", "", "file of the mocked results, JSON or YAML")
	c.Flags().StringVarP(&input, "input", "i", "{}", "input: a JSON object, @FILE, or - for standard input")
	c.Flags().StringVar(&name, "name", "", "run this definition instead of the first of the files")
	return c
}

func printTest(g *globals, cmd *cobra.Command, res *apiv1.TestDefinitionResponse) error {
	if g.json() {
		if err := printJSON(cmd, res); err != nil {
			return err
		}
	} else if err := printTestTable(g, cmd, res); err != nil {
		return err
	}
	x := res.Execution
	switch {
	case res.Cut:
		return &codedError{exitFailed, errors.New("it went on for longer than a test may; is there a loop for ever?")}
	case len(res.Waiting) > 0:
		return &codedError{exitFailed, fmt.Errorf("it waits for a mock of %s", res.Waiting[0].Ref)}
	case x.Status != apiv1.Execution_COMPLETED:
		return &codedError{exitFailed, fmt.Errorf("the execution is %s: %s", x.Status, x.Reason)}
	}
	return nil
}

func printTestTable(g *globals, cmd *cobra.Command, res *apiv1.TestDefinitionResponse) error {
	if err := printExecution(g, cmd, res.Execution); err != nil {
		return err
	}
	fmt.Fprintln(cmd.OutOrStdout())
	t := newTable(cmd.OutOrStdout(), "SEQ", "REF", "TYPE", "STATUS", "RETRY", "INPUT", "OUTPUT", "REASON")
	for _, k := range res.Tasks {
		t.row(strconv.Itoa(int(k.Seq)), k.Ref, k.Type, k.Status.String(), strconv.Itoa(int(k.Retry)), k.Input, k.Output, k.Reason)
	}
	return t.flush()
}

// mocked is a result as Conductor writes it.
type mocked struct {
	Status        string          `json:"status"`
	Output        json.RawMessage `json:"output"`
	Reason        string          `json:"reasonForIncompletion"`
	QueueWaitTime int64           `json:"queueWaitTime"`
	ExecutionTime int64           `json:"executionTime"`
}

// nestedMocks is the form that has the mocks of children too.
type nestedMocks struct {
	Tasks    map[string][]mocked    `json:"taskRefToMockOutput"`
	Children map[string]nestedMocks `json:"subWorkflowTestRequest"`
}

func readMocks(file string) (*apiv1.TestMocks, error) {
	src, err := os.ReadFile(file)
	if err != nil {
		return nil, usagef("mocks: %w", err)
	}
	raw, err := document.JSON(src)
	if err != nil {
		return nil, usagef("mocks: %s: %w", file, err)
	}
	var n nestedMocks
	var top map[string]json.RawMessage
	if err := json.Unmarshal(raw, &top); err != nil {
		return nil, usagef("mocks: %s: %w", file, err)
	}
	_, tasks := top["taskRefToMockOutput"]
	_, children := top["subWorkflowTestRequest"]
	if tasks || children {
		err = json.Unmarshal(raw, &n)
	} else {
		err = json.Unmarshal(raw, &n.Tasks)
	}
	if err != nil {
		return nil, usagef("mocks: %s: %w", file, err)
	}
	return n.message()
}

func (n nestedMocks) message() (*apiv1.TestMocks, error) {
	out := &apiv1.TestMocks{Tasks: map[string]*apiv1.TestAttempts{}, Children: map[string]*apiv1.TestMocks{}}
	for ref, list := range n.Tasks {
		attempts := &apiv1.TestAttempts{}
		for _, m := range list {
			status, ok := apiv1.Task_Status_value[m.Status]
			if m.Status != "" && !ok {
				return nil, usagef("mocks: %s: status %q is not known", ref, m.Status)
			}
			attempts.Attempts = append(attempts.Attempts, &apiv1.TestAttempt{Status: apiv1.Task_Status(status), Output: string(m.Output),
				Reason: m.Reason, QueueMillis: m.QueueWaitTime, WorkMillis: m.ExecutionTime})
		}
		out.Tasks[ref] = attempts
	}
	for ref, below := range n.Children {
		child, err := below.message()
		if err != nil {
			return nil, err
		}
		out.Children[ref] = child
	}
	return out, nil
}
