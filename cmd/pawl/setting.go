package main

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"

	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
	pawl "github.com/pawlhq/pawl/sdk"
)

func newSecret(g *globals) *cobra.Command {
	return group("secret", "What templates name as ${workflow.secrets.NAME}", "  pawl secret put CARD_KEY < key.txt", nil,
		newSecretPut(g), newSecretList(g), newSecretDelete(g))
}

// maxValue bounds what is read as a value: more than the server takes, so that it is
// the server that refuses a longer one.
const maxValue = 1 << 17

// settingValue reads a value from standard input when none is given: a secret in an
// argument stays in the history of the shell. The last line break is not part of it.
func settingValue(cmd *cobra.Command, args []string) (string, error) {
	if len(args) == 2 {
		return args[1], nil
	}
	b, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxValue))
	if err != nil {
		return "", usagef("read the value: %w", err)
	}
	if len(b) == 0 {
		return "", usagef("%w", errors.New("no value: give it as an argument or on standard input"))
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"), nil
}

func newSecretPut(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "put NAME [VALUE]", Short: "Set a secret; without a value it is read from standard input",
		Example: "  pawl secret put CARD_KEY < key.txt", Args: wantArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			value, err := settingValue(cmd, args)
			if err != nil {
				return err
			}
			return g.call(cmd, func(ctx context.Context, c *pawl.Client) error {
				res, err := c.Settings().PutSecret(ctx, &apiv1.PutSecretRequest{Name: args[0], Value: value})
				if err != nil {
					return err
				}
				return done(g, cmd, res, "set at "+res.Position)
			})
		},
	}
}

func newSecretList(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the names of secrets", Aliases: []string{"ls"}, Example: "  pawl secret list", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return g.call(cmd, func(ctx context.Context, c *pawl.Client) error {
				res, err := c.Settings().ListSecrets(ctx, &apiv1.ListSecretsRequest{})
				if err != nil {
					return err
				}
				if g.json() {
					return printJSON(cmd, res)
				}
				t := newTable(cmd.OutOrStdout(), "NAME", "UPDATED")
				for _, x := range res.Secrets {
					t.row(x.Name, when(x.Updated))
				}
				return t.flush()
			})
		},
	}
}

func newSecretDelete(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Short: "Forget a secret", Example: "  pawl secret delete CARD_KEY", Args: wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.call(cmd, func(ctx context.Context, c *pawl.Client) error {
				res, err := c.Settings().DeleteSecret(ctx, &apiv1.DeleteSecretRequest{Name: args[0]})
				if err != nil {
					return err
				}
				return done(g, cmd, res, "deleted at "+res.Position)
			})
		},
	}
}

func newEnv(g *globals) *cobra.Command {
	return group("env", "What templates read as ${workflow.env.NAME}", "  pawl env put HOST example.org", nil,
		newEnvPut(g), newEnvList(g), newEnvDelete(g))
}

func newEnvPut(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "put NAME [VALUE]", Short: "Set a variable; without a value it is read from standard input",
		Example: "  pawl env put HOST example.org", Args: wantArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			value, err := settingValue(cmd, args)
			if err != nil {
				return err
			}
			return g.call(cmd, func(ctx context.Context, c *pawl.Client) error {
				res, err := c.Settings().PutVariable(ctx, &apiv1.PutVariableRequest{Name: args[0], Value: value})
				if err != nil {
					return err
				}
				return done(g, cmd, res, "set at "+res.Position)
			})
		},
	}
}

func newEnvList(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List variables", Aliases: []string{"ls"}, Example: "  pawl env list -o json", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return g.call(cmd, func(ctx context.Context, c *pawl.Client) error {
				res, err := c.Settings().ListVariables(ctx, &apiv1.ListVariablesRequest{})
				if err != nil {
					return err
				}
				if g.json() {
					return printJSON(cmd, res)
				}
				t := newTable(cmd.OutOrStdout(), "NAME", "VALUE", "UPDATED")
				for _, x := range res.Variables {
					t.row(x.Name, x.Value, when(x.Updated))
				}
				return t.flush()
			})
		},
	}
}

func newEnvDelete(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Short: "Forget a variable", Example: "  pawl env delete HOST", Args: wantArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.call(cmd, func(ctx context.Context, c *pawl.Client) error {
				res, err := c.Settings().DeleteVariable(ctx, &apiv1.DeleteVariableRequest{Name: args[0]})
				if err != nil {
					return err
				}
				return done(g, cmd, res, "deleted at "+res.Position)
			})
		},
	}
}
