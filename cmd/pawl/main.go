// Command pawl is the whole product in one program: the server, the cluster for
// development, and everything a user or an operator asks of them.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/pawlhq/pawl/builtin"
)

// version is set at release.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cmd := newRoot()
	if err := cmd.ExecuteContext(ctx); err != nil {
		os.Exit(fail(cmd, err, os.Args[1:]))
	}
}

// newRoot is the command tree.
func newRoot() *cobra.Command {
	g := &globals{}
	root := &cobra.Command{
		Use:   "pawl",
		Short: "Durable execution in one binary",
		Long: `Pawl runs workflows that survive crashes. Run 1, 3 or 5 nodes, connect workers, and
every execution goes on to its end.

Exit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 refused, 5 not reachable or no
leader, 6 timed out with the outcome unknown, 7 the execution itself failed.
"pawl server" exits with 64 for a bad configuration, 65 for damaged data, 66 for a
wrong cluster or identity, 70 to 74 for faults that its log names.`,
		Example:       "  pawl dev\n  pawl definition apply order.json\n  pawl execution start order --input '{\"id\":1}' --wait",
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version,
		Args:          unknownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	g.flags(root)
	root.AddCommand(
		newDev(g), newServer(), newDemo(g), newBench(g),
		newDefinition(g), newExecution(g), newTask(g), newWorker(g), newQueue(g), newSecret(g), newEnv(g), newCluster(g), newVersion(g), newEvalWorker(),
	)
	return root
}

// newEvalWorker is what a server starts to evaluate scripts in.
func newEvalWorker() *cobra.Command {
	return &cobra.Command{
		Use: builtin.ChildArgument, Short: "Evaluate scripts for a server, which starts this itself", Hidden: true, Args: noArgs,
		Run: func(*cobra.Command, []string) { os.Exit(builtin.ServeChild(os.Stdin, os.Stdout)) },
	}
}

func newVersion(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Example: "  pawl version -o json", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if g.json() {
				return printJSON(cmd, map[string]string{"version": version})
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), version)
			return err
		},
	}
}
