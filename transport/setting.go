package transport

import (
	"context"
	"time"

	"github.com/pawlhq/pawl/fsm"
	apiv1 "github.com/pawlhq/pawl/proto/gen/pawl/api/v1"
)

// settings serves SettingService.
type settings struct{ s *Server }

// PutSecret sets a secret.
func (x *settings) PutSecret(ctx context.Context, req *apiv1.PutSecretRequest) (*apiv1.PutSecretResponse, error) {
	out, err := x.s.change(ctx, req.RequestId, &fsm.PutSecret{Name: req.Name, Value: req.Value})
	if err != nil {
		return nil, err
	}
	return &apiv1.PutSecretResponse{Position: out.Position.String()}, nil
}

// ListSecrets gives the names of all secrets.
func (x *settings) ListSecrets(ctx context.Context, req *apiv1.ListSecretsRequest) (*apiv1.ListSecretsResponse, error) {
	v, err := x.s.view(ctx, req.Read)
	if err != nil {
		return nil, err
	}
	resp := &apiv1.ListSecretsResponse{Position: position(v).String()}
	for info := range v.Secrets() {
		resp.Secrets = append(resp.Secrets, setting(&info))
	}
	return resp, nil
}

func setting(x *fsm.SettingInfo) *apiv1.Setting {
	return &apiv1.Setting{Name: x.Name, Value: x.Value, Created: instant(x.Created), Updated: instant(x.Updated)}
}

// DeleteSecret forgets a secret.
func (x *settings) DeleteSecret(ctx context.Context, req *apiv1.DeleteSecretRequest) (*apiv1.DeleteSecretResponse, error) {
	out, err := x.s.change(ctx, req.RequestId, &fsm.DeleteSecret{Name: req.Name})
	if err != nil {
		return nil, err
	}
	return &apiv1.DeleteSecretResponse{Position: out.Position.String()}, nil
}

// PutVariable sets a variable of the environment.
func (x *settings) PutVariable(ctx context.Context, req *apiv1.PutVariableRequest) (*apiv1.PutVariableResponse, error) {
	out, err := x.s.change(ctx, req.RequestId, &fsm.PutVariable{Name: req.Name, Value: req.Value})
	if err != nil {
		return nil, err
	}
	return &apiv1.PutVariableResponse{Position: out.Position.String()}, nil
}

// ListVariables gives all variables of the environment.
func (x *settings) ListVariables(ctx context.Context, req *apiv1.ListVariablesRequest) (*apiv1.ListVariablesResponse, error) {
	v, err := x.s.view(ctx, req.Read)
	if err != nil {
		return nil, err
	}
	resp := &apiv1.ListVariablesResponse{Position: position(v).String()}
	for info := range v.Environment() {
		resp.Variables = append(resp.Variables, setting(&info))
	}
	return resp, nil
}

// DeleteVariable forgets a variable of the environment.
func (x *settings) DeleteVariable(ctx context.Context, req *apiv1.DeleteVariableRequest) (*apiv1.DeleteVariableResponse, error) {
	out, err := x.s.change(ctx, req.RequestId, &fsm.DeleteVariable{Name: req.Name})
	if err != nil {
		return nil, err
	}
	return &apiv1.DeleteVariableResponse{Position: out.Position.String()}, nil
}

// settleTime bounds the wait for the entry that gave a lease to be applied here: only
// a node that has fallen behind needs longer, and others serve the task sooner then.
const settleTime = 2 * time.Second

// completed fills in the secrets of leased tasks, from a view that has the entry that
// leased them. Those that cannot be filled in are given back.
func (s *Server) completed(ctx context.Context, ls []fsm.Leased) []fsm.Leased {
	kept := ls[:0]
	for i := range ls {
		l := ls[i]
		if l.NeedsSettings() {
			filled, err := s.fillIn(ctx, l)
			if err != nil {
				s.deps.Log.Debug("secrets not filled in", "task", l.Task.String(), "err", err)
				s.handBack([]fsm.Leased{l})
				continue
			}
			l = filled
		}
		kept = append(kept, l)
	}
	return kept
}

func (s *Server) fillIn(ctx context.Context, l fsm.Leased) (fsm.Leased, error) {
	v, _ := s.deps.Views.Stale()
	if v.Index() < l.Index {
		ctx, cancel := context.WithTimeout(ctx, settleTime)
		defer cancel()
		var err error
		if v, err = s.deps.Views.AtLeast(ctx, fsm.Position{Incarnation: v.Incarnation(), Index: l.Index}); err != nil {
			return l, err
		}
	}
	return v.Complete(l), nil
}
