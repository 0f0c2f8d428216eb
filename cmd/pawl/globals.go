package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	pawl "github.com/pawlhq/pawl/sdk"
)

// globals are the flags of every command that talks to a cluster. Each has a twin in
// the environment: PAWL_ and its name.
type globals struct {
	address string
	output  string
	timeout time.Duration
}

func (g *globals) flags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringVar(&g.address, "address", env("PAWL_ADDR", "127.0.0.1:8080"), "client addresses of the cluster, comma separated (PAWL_ADDR)")
	f.StringVarP(&g.output, "output", "o", env("PAWL_OUTPUT", "table"), "output format: table or json (PAWL_OUTPUT)")
	f.DurationVar(&g.timeout, "timeout", envDuration("PAWL_TIMEOUT", 30*time.Second), "how long a call may take (PAWL_TIMEOUT)")
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
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

func envDuration(name string, otherwise time.Duration) time.Duration {
	if d, err := time.ParseDuration(os.Getenv(name)); err == nil {
		return d
	}
	return otherwise
}

func (g *globals) json() bool { return g.output == "json" }

// dial connects to the cluster; the context it gives ends with the call's time.
func (g *globals) dial(ctx context.Context) (*pawl.Client, context.Context, context.CancelFunc, error) {
	ctx, cancel := context.WithTimeout(ctx, g.timeout)
	c, err := pawl.Dial(ctx, pawl.WithAddresses(strings.Split(g.address, ",")...))
	if err != nil {
		cancel()
		return nil, nil, nil, &codedError{exitUnreachable, fmt.Errorf("connect to %s: %w", g.address, err)}
	}
	return c, ctx, cancel, nil
}

// call runs f with a connected client.
func (g *globals) call(cmd *cobra.Command, f func(ctx context.Context, c *pawl.Client) error) error {
	c, ctx, cancel, err := g.dial(cmd.Context())
	if err != nil {
		return err
	}
	defer cancel()
	defer c.Close()
	return f(ctx, c)
}

// payload reads a JSON argument: the text itself, @file, or - for standard input.
func payload(cmd *cobra.Command, arg string) (string, error) {
	switch {
	case arg == "-":
		b, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxPayload))
		return string(b), err
	case strings.HasPrefix(arg, "@"):
		b, err := os.ReadFile(arg[1:])
		if err != nil {
			return "", usagef("%w", err)
		}
		return string(b), nil
	}
	return arg, nil
}

// maxPayload bounds what is read from standard input: more than a server takes.
const maxPayload = 2 << 20

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
	c := &cobra.Command{Use: use, Short: short, Example: example, Aliases: aliases, Args: func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usagef("%s has no command %q; see %s --help", cmd.CommandPath(), args[0], cmd.CommandPath())
		}
		return nil
	}, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	c.AddCommand(children...)
	return c
}
