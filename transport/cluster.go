package transport

import (
	"context"
	"fmt"

	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

// cluster serves ClusterService.
type cluster struct{ s *Server }

// Status gives what this node knows.
func (c *cluster) Status(context.Context, *apiv1.ClusterStatusRequest) (*apiv1.ClusterStatusResponse, error) {
	st := c.s.deps.Cluster.Status()
	v, _ := c.s.deps.Views.Stale()
	resp := &apiv1.ClusterStatusResponse{
		ClusterId: st.ClusterID,
		Term:      st.Term,
		Applied:   v.Index(),
		Committed: st.Committed,
		Position:  position(v).String(),
	}
	if v.Index() > 0 {
		digest := v.Digest()
		resp.Digest = fmt.Sprintf("%016x%016x", digest.Hi, digest.Lo)
	}
	if !st.Leader.IsZero() {
		resp.LeaderId = st.Leader.String()
	}
	for _, m := range st.Members {
		resp.Members = append(resp.Members, &apiv1.Member{
			NodeId:        m.ID.String(),
			Name:          m.Name,
			Voter:         m.Voter,
			Leader:        m.Leader,
			Self:          m.Self,
			ClientAddress: m.ClientAddr,
			PeerAddress:   m.PeerAddr,
			Alive:         m.Alive,
			Applied:       m.Applied,
			Version:       m.Version,
		})
	}
	return resp, nil
}

// Transfer hands leadership over.
func (c *cluster) Transfer(ctx context.Context, req *apiv1.TransferLeadershipRequest) (*apiv1.TransferLeadershipResponse, error) {
	to, err := nodeID("to", req.To)
	if err != nil {
		return nil, changeError(err)
	}
	leader, err := c.s.deps.Cluster.Transfer(ctx, to)
	if err != nil {
		return nil, changeError(c.s.noted(err))
	}
	return &apiv1.TransferLeadershipResponse{LeaderId: leader.String()}, nil
}
