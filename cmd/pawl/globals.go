package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	pawl "github.com/pawlhq/pawl/sdk"
)

// globals are the flags of every command that talks to a cluster. Each has a twin in
// the environment.
type globals struct {
	address string
	output  string
	timeout time.Duration
}

func (g *globals) flags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringVar(&g.address, "address", env("PAWL_ADDR", "127.0.0.1:8080"), "client addresses of the cluster, comma separated (PAWL_ADDR)")
	f.StringVarP(&g.output, "output", "o", env("PAWL_OUTPUT", "table"), "output format: table or json (PAWL_OUTPUT)")
	g.timeout = defaultTimeout
	f.DurationVar(&g.timeout, "timeout", g.timeout, "how long a call may take (PAWL_TIMEOUT)")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if v, ok := os.LookupEnv("PAWL_TIMEOUT"); ok && !cmd.Flags().Changed("timeout") {
			d, err := time.ParseDuration(v)
			if err != nil {
				return usagef("PAWL_TIMEOUT: %q is not a duration such as 30s", v)
			}
			g.timeout = d
		}
		if g.output != "table" && g.output != "json" {
			return usagef("output: %q is not known; table and json are", g.output)
		}
		if g.timeout <= 0 {
			return usagef("timeout: must be above 0")
		}
		return nil
	}
}

func env(name, otherwise string) string {
	if v, ok := os.LookupEnv(name); ok {
		return v
	}
	return otherwise
}

func (g *globals) json() bool { return g.output == "json" }

const (
	// defaultTimeout is how long a call may take unless somebody says otherwise.
	defaultTimeout = 30 * time.Second
	// connectLimit bounds the search for a node that answers. It is longer than one
	// silent host takes, and does not wait for a leader.
	connectLimit = 5 * time.Second
)

// dial connects to the cluster; the context it gives ends with the call's time.
func (g *globals) dial(ctx context.Context) (*pawl.Client, context.Context, context.CancelFunc, error) {
	c, err := g.connect(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, g.timeout)
	return c, ctx, cancel, nil
}

// connect finds a node that answers.
func (g *globals) connect(ctx context.Context) (*pawl.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, min(g.timeout, connectLimit))
	defer cancel()
	c, err := pawl.Dial(ctx, pawl.WithAddresses(strings.Split(g.address, ",")...))
	var silent *pawl.Error
	switch {
	case err == nil:
		return c, nil
	case !errors.As(err, &silent):
		return nil, usagef("address: %w", err)
	}
	return nil, &codedError{exitUnreachable, fmt.Errorf("no node answers at %s: %w", g.address, err)}
}

// call runs f with a connected client.
func (g *globals) call(cmd *cobra.Command, f func(ctx context.Context, c *pawl.Client) error) error {
	c, ctx, cancel, err := g.dial(cmd.Context())
	if err != nil {
		return err
	}
	defer cancel()
	defer c.Close()
	return g.late(f(ctx, c))
}

// late puts into words that the time of a call is over.
func (g *globals) late(err error) error {
	var remote *pawl.Error
	if !errors.As(err, &remote) || !errors.Is(err, context.DeadlineExceeded) || errors.As(err, new(*codedError)) {
		return err
	}
	if errors.Is(err, pawl.ErrUnknownOutcome) {
		return &lateError{err, fmt.Sprintf("no answer within %s; the change may have happened, or may still happen", g.timeout)}
	}
	return &lateError{err, fmt.Sprintf("no answer within %s, or no leader", g.timeout)}
}

// lateError says in its own words what the error beneath it means.
type lateError struct {
	cause error
	text  string
}

func (e *lateError) Error() string { return e.text }
func (e *lateError) Unwrap() error { return e.cause }

// payload reads a JSON argument: the text itself, @file, or - for standard input.
func payload(cmd *cobra.Command, field, arg string) (string, error) {
	in := cmd.InOrStdin()
	switch {
	case strings.HasPrefix(arg, "@"):
		f, err := os.Open(arg[1:])
		if err != nil {
			return "", usagef("%s: %w", field, err)
		}
		defer f.Close()
		in = f
	case arg != "-":
		return arg, nil
	}
	b, err := io.ReadAll(io.LimitReader(in, maxPayload+1))
	if err != nil {
		return "", usagef("%s: %w", field, err)
	}
	if len(b) > maxPayload {
		return "", &codedError{exitRefused, fmt.Errorf("%s: has more than the %d bytes that are allowed", field, maxPayload)}
	}
	return string(b), nil
}

// maxPayload is what a server takes in one request.
const maxPayload = 1 << 20

// unknownCommand refuses what is no command, and names those that are like it.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2 // edits
	near := ""
	if names := cmd.SuggestionsFor(args[0]); len(names) > 0 {
		near = "; did you mean " + strings.Join(names, " or ") + "?"
	}
	return usagef("%s has no command %q%s; see %s --help", cmd.CommandPath(), args[0], near, cmd.CommandPath())
}

func noArgs(cmd *cobra.Command, args []string) error { return wantArgs(0, 0)(cmd, args) }

// wantArgs checks the number of arguments; a mistake is one of usage.
func wantArgs(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usagef("%s takes %s; see %s --help", cmd.CommandPath(), argCount(least, most), cmd.CommandPath())
		}
		return nil
	}
}

func argCount(least, most int) string {
	switch {
	case most == 0:
		return "no arguments"
	case least == most && least == 1:
		return "one argument"
	case least == most:
		return fmt.Sprintf("%d arguments", least)
	}
	return fmt.Sprintf("%d to %d arguments", least, most)
}

// group makes a command that only holds others.
func group(use, short, example string, aliases []string, children ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Example: example, Aliases: aliases, Args: unknownCommand, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	c.AddCommand(children...)
	return c
}
