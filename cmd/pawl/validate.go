package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/pawlhq/pawl/builtin"
)

// scriptsWithin bounds how long the scripts of all files are parsed: most take less
// than a millisecond, and the worst four seconds.
const scriptsWithin = 2 * time.Minute

// check is what the validator says of one file.
type check struct {
	File     string    `json:"file"`
	Kind     string    `json:"kind"`
	OK       bool      `json:"ok"`
	Problems []finding `json:"problems"`
}

// checks is the outcome of a validation: files that are valid as a whole, and others.
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
		Long: `Check files without a server: workflow definitions, task types, event handlers, schedules
and start requests, in JSON or YAML, one or a list of them; each is told by its shape.
Scripts and jq programs are parsed by the engines that evaluate them, in child processes.
Exit code 1 if any file is not valid.`,
		Example: "  pawl definition validate order.json tasks.yaml -o json", Args: wantArgs(1, 1000),
		RunE: func(cmd *cobra.Command, args []string) error {
			docs, err := readDocuments(args)
			if err != nil {
				return err
			}
			out, err := judge(cmd.Context(), docs)
			if err != nil {
				return err
			}
			if err := printChecks(g, cmd, out); err != nil {
				return err
			}
			if out.Rejected > 0 {
				return fmt.Errorf("%d of %d files are not valid", out.Rejected, len(out.Files))
			}
			return nil
		},
	}
}

// judge checks documents, those of one file together.
func judge(ctx context.Context, docs []doc) (checks, error) {
	out := checks{Files: []check{}}
	engines, err := builtin.NewPool(builtin.PoolConfig{})
	if err != nil {
		return out, err
	}
	defer engines.Close()
	ctx, cancel := context.WithTimeout(ctx, scriptsWithin)
	defer cancel()
	for i := 0; i < len(docs); {
		c := check{File: docs[i].file, Kind: docs[i].shape.String(), Problems: []finding{}}
		if docs[i].at != "" {
			c.Kind = "list of " + docs[i].shape.String() + "s"
		}
		for ; i < len(docs) && docs[i].file == c.File; i++ {
			found, err := problemsOf(ctx, engines, docs[i])
			if err != nil {
				return out, fmt.Errorf("check %s: %w", c.File, err)
			}
			c.Problems = append(c.Problems, found...)
		}
		if c.OK = len(c.Problems) == 0; c.OK {
			out.Accepted++
		} else {
			out.Rejected++
		}
		out.Files = append(out.Files, c)
	}
	return out, nil
}

func problemsOf(ctx context.Context, engines *builtin.Pool, d doc) ([]finding, error) {
	if d.fault != "" {
		return []finding{{Message: d.fault}}, nil
	}
	unparsed, err := engines.Check(ctx, d.shape.Programs(d.source))
	var out []finding
	for _, p := range append(d.shape.Problems(d.source), unparsed...) {
		out = append(out, d.finding(p))
	}
	return out, err
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
