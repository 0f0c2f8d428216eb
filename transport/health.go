package transport

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"

	"github.com/pawlhq/pawl/fsm"
	"github.com/pawlhq/pawl/proto/gen/pawl/api/v1/apiv1connect"
)

// checkTime bounds all checks of readiness together.
const checkTime = 2 * time.Second

// services are the names that health answers for; the empty one is the node.
var services = map[string]bool{
	"":                                 true,
	apiv1connect.DefinitionServiceName: true,
	apiv1connect.ExecutionServiceName:  true,
	apiv1connect.TaskServiceName:       true,
	apiv1connect.WorkerServiceName:     true,
	apiv1connect.QueueServiceName:      true,
	apiv1connect.ClusterServiceName:    true,
	apiv1connect.SettingServiceName:    true,
	grpchealth.HealthV1ServiceName:     true,
}

// verdict is the outcome of one check.
type verdict struct {
	name string
	err  error
}

// ready runs all checks and reports whether all hold.
func (s *Server) ready(ctx context.Context) (bool, []verdict) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	all := make([]verdict, 0, len(s.deps.Checks)+1)
	ok := !s.isDraining()
	if ok {
		all = append(all, verdict{"serving", nil})
	} else {
		all = append(all, verdict{"serving", errDraining})
	}
	for _, c := range s.deps.Checks {
		err := c.Run(ctx)
		ok = ok && err == nil
		all = append(all, verdict{c.Name, err})
	}
	return ok, all
}

// livez says that the process answers. A node that must not go on ends by itself.
func (s *Server) livez(w http.ResponseWriter, r *http.Request) {
	report(w, r, "livez", true, []verdict{{"ping", nil}})
}

// readyz says whether the node should be sent clients.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	ok, all := s.ready(r.Context())
	report(w, r, "readyz", ok, all)
}

// report writes the checks that fail, or with ?verbose all.
func report(w http.ResponseWriter, r *http.Request, what string, ok bool, all []verdict) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if !ok {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, verbose := r.URL.Query()["verbose"]
	if ok && !verbose {
		fmt.Fprintln(w, "ok")
		return
	}
	for _, v := range all {
		if v.err != nil {
			fmt.Fprintf(w, "[-] %s: %s\n", v.name, strings.ReplaceAll(v.err.Error(), "\n", " "))
		} else if verbose {
			fmt.Fprintf(w, "[+] %s ok\n", v.name)
		}
	}
	if ok {
		fmt.Fprintf(w, "%s check passed\n", what)
	} else {
		fmt.Fprintf(w, "%s check failed\n", what)
	}
}

// health answers gRPC health checks with the truth of /readyz.
type health struct{ s *Server }

// Check gives whether the node should be sent clients; all services stand and fall
// together.
func (h health) Check(ctx context.Context, req *grpchealth.CheckRequest) (*grpchealth.CheckResponse, error) {
	if !services[req.Service] {
		f := Describe(&fsm.Rejection{Code: fsm.NotFound, Message: "service " + req.Service + " not found"})
		return nil, connect.NewError(f.Connect, fmt.Errorf("%s", f.Message))
	}
	if ok, _ := h.s.ready(ctx); !ok {
		return &grpchealth.CheckResponse{Status: grpchealth.StatusNotServing}, nil
	}
	return &grpchealth.CheckResponse{Status: grpchealth.StatusServing}, nil
}
