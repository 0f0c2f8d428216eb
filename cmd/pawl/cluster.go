package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
	pawl "github.com/pawlhq/pawl/sdk"
)

func newCluster(g *globals) *cobra.Command {
	return group("cluster", "The nodes and who leads", "  pawl cluster status\n  pawl cluster transfer", nil,
		newClusterStatus(g), newClusterTransfer(g))
}

func newClusterStatus(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show the members as the node that answers sees them", Example: "  pawl cluster status -o json", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return g.call(cmd, func(ctx context.Context, c *pawl.Client) error {
				res, err := c.Cluster().Status(ctx, &apiv1.ClusterStatusRequest{})
				if err != nil {
					return err
				}
				if g.json() {
					return printJSON(cmd, res)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "cluster %s, term %d, applied %d, committed %d\n\n", res.ClusterId, res.Term, res.Applied, res.Committed)
				t := newTable(cmd.OutOrStdout(), "NODE", "ROLE", "ALIVE", "CLIENT", "PEER", "APPLIED")
				for _, m := range res.Members {
					t.row(m.NodeId, role(m), yesNo(m.Alive), m.ClientAddress, m.PeerAddress, strconv.FormatUint(m.Applied, 10))
				}
				return t.flush()
			})
		},
	}
}

func role(m *apiv1.Member) string {
	switch {
	case m.Leader:
		return "leader"
	case m.Voter:
		return "voter"
	}
	return "non-voter"
}

func newClusterTransfer(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "transfer [NODE]", Short: "Hand leadership to another node", Example: "  pawl cluster transfer", Args: wantArgs(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			req := &apiv1.TransferLeadershipRequest{}
			if len(args) == 1 {
				req.To = args[0]
			}
			return g.call(cmd, func(ctx context.Context, c *pawl.Client) error {
				res, err := c.Cluster().Transfer(ctx, req)
				if err != nil {
					return err
				}
				return done(g, cmd, res, "node "+res.LeaderId+" leads")
			})
		},
	}
}
