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
)

func newDefinition(g *globals) *cobra.Command {
	return group("definition", "Workflow definitions and task types",
		"  pawl definition apply order.json tasks.json", []string{"def"},
		newDefinitionApply(g), newDefinitionGet(g), newDefinitionList(g), newDefinitionValidate(g))
}

// document is one definition of a file.
type document struct {
	file   string
	shape  def.Shape
	source []byte
}

// title names what a valid document registers.
func (d document) title() string {
	if d.shape == def.ShapeTaskType {
		t, _ := def.ParseTaskType(d.source)
		return "task type " + t.Name
	}
	plan, _ := def.Compile(d.source)
	return fmt.Sprintf("definition %s version %d", plan.Name, plan.Version)
}

// readDocuments reads files that each hold one definition or a list of them.
func readDocuments(files []string) ([]document, error) {
	var out []document
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			return nil, usagef("%w", err)
		}
		for _, part := range def.Split(src) {
			out = append(out, document{file: name, shape: def.Sniff(part), source: part})
		}
	}
	return out, nil
}

func newDefinitionApply(g *globals) *cobra.Command {
	var overwrite bool
	c := &cobra.Command{
		Use:   "apply FILE...",
		Short: "Register definitions and task types",
		Long: `Register every workflow definition and task type of the files; each is told by its
shape. All are checked before the first is sent, so that nothing is half registered.`,
		Example: "  pawl definition apply order.json\n  pawl definition apply --overwrite *.json -o json",
		Args:    wantArgs(1, 1000),
		RunE: func(cmd *cobra.Command, args []string) error {
			docs, err := readDocuments(args)
			if err != nil {
				return err
			}
			found := judge(docs).findings()
			if len(found) == 0 {
				found = twice(docs)
			}
			if len(found) > 0 {
				return &findingsError{summary: "nothing was registered", code: exitRefused, findings: found}
			}
			return g.call(cmd, func(ctx context.Context, c *pawl.Client) error {
				if !overwrite {
					if err := checkTaken(ctx, c, docs); err != nil {
						return err
					}
				}
				return applyAll(ctx, g, cmd, c, docs, overwrite)
			})
		},
	}
	c.Flags().BoolVar(&overwrite, "overwrite", false, "replace a version that is there with other contents")
	return c
}

// twice finds versions that several documents claim.
func twice(docs []document) []finding {
	var out []finding
	first := map[string]string{}
	for _, d := range docs {
		name := d.title()
		if file, ok := first[name]; ok {
			out = append(out, finding{File: d.file, Message: name + " is also in " + file})
			continue
		}
		first[name] = d.file
	}
	return out
}

// checkTaken looks for versions that are registered with other contents. The server
// looks again; this is so that the first documents of several are not registered when a
// later one cannot be.
func checkTaken(ctx context.Context, c *pawl.Client, docs []document) error {
	var found []finding
	for _, d := range docs {
		plan, _ := def.Compile(d.source)
		if d.shape != def.ShapeWorkflow || plan == nil {
			continue
		}
		res, err := c.Definitions().Get(ctx, &apiv1.GetDefinitionRequest{Name: plan.Name, Version: plan.Version})
		switch {
		case errors.Is(err, pawl.ErrNotFound):
		case err != nil:
			return err
		case res.Definition.Source != string(plan.Source):
			found = append(found, finding{File: d.file, Path: "version", Message: fmt.Sprintf(
				"%s is registered with other contents; raise the version or use --overwrite", d.title())})
		}
	}
	if len(found) > 0 {
		return &findingsError{summary: "nothing was registered", code: exitRefused, findings: found}
	}
	return nil
}

func applyAll(ctx context.Context, g *globals, cmd *cobra.Command, c *pawl.Client, docs []document, overwrite bool) error {
	t := newTable(cmd.OutOrStdout(), "KIND", "NAME", "VERSION", "POSITION")
	for _, d := range docs {
		res, err := c.Definitions().Apply(ctx, &apiv1.ApplyDefinitionRequest{Source: string(d.source), Overwrite: overwrite})
		if err != nil {
			return err
		}
		if g.json() {
			if err := printJSON(cmd, res); err != nil {
				return err
			}
			continue
		}
		t.row(res.Kind.String(), res.Name, strconv.Itoa(int(res.Version)), res.Position)
	}
	if g.json() {
		return nil
	}
	return t.flush()
}

func newDefinitionGet(g *globals) *cobra.Command {
	var number int32
	var taskType bool
	c := &cobra.Command{
		Use: "get NAME", Short: "Show a definition as it was registered",
		Example: "  pawl definition get order --version 2\n  pawl definition get charge_card --task-type",
		Args:    wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if number < 0 {
				return usagef("version: %d is below 0, which stands for the latest", number)
			}
			return g.call(cmd, func(ctx context.Context, c *pawl.Client) error {
				if taskType {
					res, err := c.Definitions().GetTaskType(ctx, &apiv1.GetTaskTypeRequest{Name: args[0]})
					if err != nil {
						return err
					}
					return printSource(g, cmd, res, res.TaskType.Source)
				}
				res, err := c.Definitions().Get(ctx, &apiv1.GetDefinitionRequest{Name: args[0], Version: number})
				if err != nil {
					return err
				}
				return printSource(g, cmd, res, res.Definition.Source)
			})
		},
	}
	c.Flags().Int32Var(&number, "version", 0, "version, 0 for the latest")
	c.Flags().BoolVar(&taskType, "task-type", false, "NAME is a task type")
	return c
}

func printSource(g *globals, cmd *cobra.Command, message any, source string) error {
	if g.json() {
		return printJSON(cmd, message)
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), source)
	return err
}

func newDefinitionList(g *globals) *cobra.Command {
	var taskTypes bool
	c := &cobra.Command{
		Use: "list", Short: "List definitions, or task types", Aliases: []string{"ls"},
		Example: "  pawl definition list\n  pawl definition list --task-types -o json", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return g.call(cmd, func(ctx context.Context, c *pawl.Client) error {
				if taskTypes {
					return listTaskTypes(ctx, g, cmd, c)
				}
				res, err := c.Definitions().List(ctx, &apiv1.ListDefinitionsRequest{})
				if err != nil || g.json() {
					return errors.Join(err, printIf(err == nil, cmd, res))
				}
				t := newTable(cmd.OutOrStdout(), "NAME", "VERSION", "CREATED", "UPDATED")
				for _, d := range res.Definitions {
					t.row(d.Name, strconv.Itoa(int(d.Version)), when(d.Created), when(d.Updated))
				}
				return t.flush()
			})
		},
	}
	c.Flags().BoolVar(&taskTypes, "task-types", false, "list task types")
	return c
}

func listTaskTypes(ctx context.Context, g *globals, cmd *cobra.Command, c *pawl.Client) error {
	res, err := c.Definitions().ListTaskTypes(ctx, &apiv1.ListTaskTypesRequest{})
	if err != nil || g.json() {
		return errors.Join(err, printIf(err == nil, cmd, res))
	}
	t := newTable(cmd.OutOrStdout(), "NAME", "CREATED", "UPDATED")
	for _, d := range res.TaskTypes {
		t.row(d.Name, when(d.Created), when(d.Updated))
	}
	return t.flush()
}

func printIf(do bool, cmd *cobra.Command, v any) error {
	if !do {
		return nil
	}
	return printJSON(cmd, v)
}

// check is what the validator says of one document.
type check struct {
	File     string    `json:"file"`
	Kind     string    `json:"kind"`
	OK       bool      `json:"ok"`
	Problems []finding `json:"problems"`
}

// checks is the outcome of a validation.
type checks struct {
	Accepted int     `json:"accepted"`
	Rejected int     `json:"rejected"`
	Files    []check `json:"files"`
}

// findings lists everything that is wrong, with its file.
func (c checks) findings() []finding {
	var out []finding
	for _, f := range c.Files {
		for _, p := range f.Problems {
			p.File = f.File
			out = append(out, p)
		}
	}
	return out
}

func newDefinitionValidate(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "validate FILE...", Short: "Check files offline with the server's own validator",
		Long:    "Check workflow definitions and task types without a server. Exit code 1 if any is not valid.",
		Example: "  pawl definition validate order.json -o json", Args: wantArgs(1, 1000),
		RunE: func(cmd *cobra.Command, args []string) error {
			docs, err := readDocuments(args)
			if err != nil {
				return err
			}
			out := judge(docs)
			if err := printChecks(g, cmd, out); err != nil {
				return err
			}
			if out.Rejected > 0 {
				return fmt.Errorf("%d of %d documents are not valid", out.Rejected, len(docs))
			}
			return nil
		},
	}
}

func judge(docs []document) checks {
	out := checks{Files: []check{}}
	for _, d := range docs {
		c := check{File: d.file, Kind: d.shape.String(), Problems: problemsOf(d)}
		if c.OK = len(c.Problems) == 0; c.OK {
			out.Accepted++
		} else {
			out.Rejected++
		}
		out.Files = append(out.Files, c)
	}
	return out
}

func problemsOf(d document) []finding {
	out := []finding{}
	var problems []def.Problem
	switch d.shape {
	case def.ShapeWorkflow:
		_, problems = def.Compile(d.source)
	case def.ShapeTaskType:
		_, problems = def.ParseTaskType(d.source)
	case def.ShapeUnknown:
		return append(out, finding{Message: unknownShape(d.source)})
	default:
		return append(out, finding{Message: "is a " + d.shape.String() + "; workflow definitions and task types can be registered"})
	}
	for _, p := range problems {
		out = append(out, finding{Path: p.Path, Message: p.Message})
	}
	return out
}

// unknownShape says why a document is neither of the two kinds.
func unknownShape(source []byte) string {
	var v any
	if err := json.Unmarshal(source, &v); err != nil {
		return "is not JSON: " + err.Error()
	}
	return "is neither a workflow definition, which has a name and tasks, nor a task type, which has a name"
}

// printChecks prints one line a document, and below it everything that is wrong,
// uncut: it has to be read whole.
func printChecks(g *globals, cmd *cobra.Command, out checks) error {
	if g.json() {
		return printJSON(cmd, out)
	}
	t := newTable(cmd.OutOrStdout(), "FILE", "KIND", "OK", "PROBLEMS")
	for _, c := range out.Files {
		t.row(c.File, c.Kind, yesNo(c.OK), strconv.Itoa(len(c.Problems)))
	}
	if err := t.flush(); err != nil {
		return err
	}
	for _, f := range out.findings() {
		fmt.Fprintln(cmd.OutOrStdout(), f.text())
	}
	return nil
}
