package main

import (
	"bytes"
	"context"
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

func newDefinition(g *globals) *cobra.Command {
	return group("definition", "Workflow definitions and task types",
		"  pawl definition apply order.json tasks.json", []string{"def"},
		newDefinitionApply(g), newDefinitionGet(g), newDefinitionList(g), newDefinitionValidate(g), newDefinitionTest(g))
}

// doc is one document of a file.
type doc struct {
	file   string
	at     string // place in the file's list, such as [2]; empty when it is the file
	shape  def.Shape
	source []byte // JSON
	fault  string // why the file holds no document
	// plan or taskType is what a valid definition or task type is read into.
	plan     *def.Plan
	taskType *def.TaskType
}

// title names what a valid document registers.
func (d doc) title() string {
	if d.taskType != nil {
		return "task type " + d.taskType.Name
	}
	return fmt.Sprintf("definition %s version %d", d.plan.Name, d.plan.Version)
}

// finding is a problem of the document as one of its file.
func (d doc) finding(p def.Problem) finding {
	path := d.at
	if p.Path != "" && path != "" && p.Path[0] != '[' {
		path += "."
	}
	return finding{Path: path + p.Path, Message: p.Message}
}

// readDocuments reads files, JSON or YAML, that each hold one document or a list of
// them. A document that cannot be read at all is there too, for its problems.
func readDocuments(files []string) ([]doc, error) {
	var out []doc
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			return nil, usagef("%w", err)
		}
		raw, err := document.JSON(src)
		if err != nil {
			out = append(out, doc{file: name, fault: err.Error()})
			continue
		}
		parts := def.Split(raw)
		for i, part := range parts {
			d := doc{file: name, shape: def.Sniff(part), source: part}
			if !bytes.Equal(part, raw) {
				d.at = fmt.Sprintf("[%d]", i)
			}
			switch d.shape {
			case def.ShapeWorkflow:
				d.plan, _ = def.Compile(part)
			case def.ShapeTaskType:
				d.taskType, _ = def.ParseTaskType(part)
			}
			out = append(out, d)
		}
		if len(parts) == 0 {
			out = append(out, doc{file: name, fault: "the list is empty"})
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
			verdict, err := judge(cmd.Context(), docs)
			if err != nil {
				return err
			}
			found := append(verdict.findings(), unregistrable(docs)...)
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
				if err := checkAsks(ctx, c, docs); err != nil {
					return err
				}
				return applyAll(ctx, g, cmd, c, typesFirst(docs), overwrite)
			})
		},
	}
	c.Flags().BoolVar(&overwrite, "overwrite", false, "replace a version that is there with other contents")
	return c
}

// unregistrable finds documents of kinds that are not registered this way.
func unregistrable(docs []doc) []finding {
	var out []finding
	for _, d := range docs {
		if d.fault == "" && d.shape != def.ShapeWorkflow && d.shape != def.ShapeTaskType && d.shape != def.ShapeUnknown {
			out = append(out, finding{File: d.file, Path: d.at, Message: "is a " + d.shape.String() + "; workflow definitions and task types can be registered"})
		}
	}
	return out
}

// twice finds versions that several documents claim.
func twice(docs []doc) []finding {
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
func checkTaken(ctx context.Context, c *pawl.Client, docs []doc) error {
	var found []finding
	for _, d := range docs {
		if d.plan == nil {
			continue
		}
		res, err := c.Definitions().Get(ctx, &apiv1.GetDefinitionRequest{Name: d.plan.Name, Version: d.plan.Version})
		switch {
		case errors.Is(err, pawl.ErrNotFound):
		case err != nil:
			return err
		case res.Definition.Source != string(d.plan.Source):
			found = append(found, finding{File: d.file, Path: "version", Message: fmt.Sprintf(
				"%s is registered with other contents; raise the version or use --overwrite", d.title())})
		}
	}
	if len(found) > 0 {
		return &findingsError{summary: "nothing was registered", code: exitRefused, findings: found}
	}
	return nil
}

// checkAsks looks for what definitions leave to task types: it must be in a task type of
// the same files, or in one that is registered.
func checkAsks(ctx context.Context, c *pawl.Client, docs []doc) error {
	brought := map[string]*def.TaskType{}
	for _, d := range docs {
		if d.taskType != nil {
			brought[d.taskType.Name] = d.taskType
		}
	}
	var found []finding
	for _, d := range docs {
		if d.plan == nil {
			continue
		}
		for _, a := range d.plan.Asks {
			t, err := brought[a.Name], error(nil)
			if t == nil {
				if t, err = registeredType(ctx, c, a.Name); err != nil {
					return err
				}
			}
			if t == nil || !a.Given(t) {
				f := d.finding(a.Problem)
				f.File = d.file
				found = append(found, f)
			}
		}
	}
	if len(found) > 0 {
		return &findingsError{summary: "nothing was registered", code: exitRefused, findings: found}
	}
	return nil
}

// registeredType gives a task type as the cluster has it, nil when it has none.
func registeredType(ctx context.Context, c *pawl.Client, name string) (*def.TaskType, error) {
	res, err := c.Definitions().GetTaskType(ctx, &apiv1.GetTaskTypeRequest{Name: name})
	if errors.Is(err, pawl.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	t, _ := def.ParseTaskType([]byte(res.TaskType.Source))
	return t, nil
}

// typesFirst puts task types before the definitions that may need them.
func typesFirst(docs []doc) []doc {
	var types, others []doc
	for _, d := range docs {
		if d.taskType != nil {
			types = append(types, d)
		} else {
			others = append(others, d)
		}
	}
	return append(types, others...)
}

func applyAll(ctx context.Context, g *globals, cmd *cobra.Command, c *pawl.Client, docs []doc, overwrite bool) error {
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
