package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"

	"github.com/pawlhq/pawl/proto/gen/pawl/api/v1/apiv1connect"
)

func (s *site) get(t *testing.T, path string) (int, string) {
	t.Helper()
	resp, err := s.h1.Get(s.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestHealthTellsTheTruthEverywhere(t *testing.T) {
	var sick atomic.Bool
	s := serve(t, Check{"leader", func(context.Context) error { return nil }}, Check{"disk", func(context.Context) error {
		if sick.Load() {
			return errors.New("below\nreserve")
		}
		return nil
	}})
	health := grpchealth.NewClient(s.h2, s.url)
	grpcStatus := func() grpchealth.Status {
		t.Helper()
		resp, err := health.Check(t.Context(), &grpchealth.CheckRequest{Service: apiv1connect.WorkerServiceName})
		if err != nil {
			t.Fatal(err)
		}
		return resp.Status
	}
	if code, body := s.get(t, "/readyz"); code != http.StatusOK || body != "ok\n" {
		t.Errorf("readyz: got %d %q", code, body)
	}
	if code, body := s.get(t, "/readyz?verbose"); code != http.StatusOK || !strings.Contains(body, "[+] disk ok\n") || !strings.Contains(body, "readyz check passed") {
		t.Errorf("readyz?verbose: got %d %q", code, body)
	}
	if got := grpcStatus(); got != grpchealth.StatusServing {
		t.Errorf("gRPC health: got %v", got)
	}
	sick.Store(true)
	if code, body := s.get(t, "/readyz"); code != http.StatusServiceUnavailable || body != "[-] disk: below reserve\nreadyz check failed\n" {
		t.Errorf("readyz of a sick node: got %d %q", code, body)
	}
	if got := grpcStatus(); got != grpchealth.StatusNotServing {
		t.Errorf("gRPC health of a sick node: got %v", got)
	}
	if code, body := s.get(t, "/livez?verbose"); code != http.StatusOK || !strings.Contains(body, "livez check passed") {
		t.Errorf("livez: got %d %q", code, body)
	}
	sick.Store(false)
	s.server.Drain()
	if code, body := s.get(t, "/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "[-] serving") {
		t.Errorf("readyz while draining: got %d %q", code, body)
	}
	if code, _ := s.get(t, "/livez"); code != http.StatusOK {
		t.Errorf("livez while draining: got %d", code)
	}
	_, err := health.Check(t.Context(), &grpchealth.CheckRequest{Service: "other"})
	if connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("health of an unknown service: got %v", err)
	}
}

func TestOtherOriginsMayNotChangeAnything(t *testing.T) {
	s := serve(t)
	for site, want := range map[string]int{"cross-site": http.StatusForbidden, "same-origin": http.StatusOK} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+apiv1connect.QueueServiceListProcedure, strings.NewReader(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Sec-Fetch-Site", site)
		resp, err := s.h1.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: got %d, want %d", site, resp.StatusCode, want)
		}
	}
}

func TestMountedPathsStandBehindTheSameLimits(t *testing.T) {
	m := newMachine()
	server := New(Deps{Proposer: m, Views: m, Parking: m, Cluster: m, Events: m.open})
	server.Mount("POST /api/", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	for size, want := range map[int]int{10: http.StatusNoContent, MaxRequestBytes + 1: http.StatusRequestEntityTooLarge} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/api/x", strings.NewReader(strings.Repeat("x", size)))
		if err != nil {
			t.Fatal(err)
		}
		w := &recorder{header: make(http.Header), code: http.StatusOK}
		server.Handler().ServeHTTP(w, req)
		if w.code != want {
			t.Errorf("%d bytes: got %d, want %d", size, w.code, want)
		}
	}
}

type recorder struct {
	header http.Header
	code   int
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) Write(b []byte) (int, error) { return len(b), nil }
func (r *recorder) WriteHeader(code int)        { r.code = code }

func TestServeEndsWithAnErrorWhenTheListenerFails(t *testing.T) {
	s := serve(t)
	if got := s.server.Serve(t.Context(), brokenListener{}); got == nil || !errors.Is(got, errDisk) {
		t.Errorf("got %v, want the listener's error", got)
	}
}

type brokenListener struct{}

func (brokenListener) Accept() (net.Conn, error) { return nil, errDisk }
func (brokenListener) Close() error              { return nil }
func (brokenListener) Addr() net.Addr            { return &net.TCPAddr{} }
