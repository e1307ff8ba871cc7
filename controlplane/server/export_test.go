package server

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"

	"github.com/pgharbor/pgharbor/controlplane/api"
	"github.com/pgharbor/pgharbor/controlplane/api/guard"
	"github.com/pgharbor/pgharbor/controlplane/pki"
	"github.com/pgharbor/pgharbor/controlplane/server/admission"
)

// Services is what the gRPC server says that it serves.
func Services(tb testing.TB) map[string]grpc.ServiceInfo {
	tb.Helper()
	dir := tb.TempDir()
	if _, err := pki.CreateCA(dir, time.Now()); err != nil {
		tb.Fatal(err)
	}
	ca, err := pki.LoadAuthorities(dir)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := newGRPC(&controlPlane{API: &api.API{CA: ca, Now: time.Now, Guard: &guard.Guard{}}}, admission.New(admission.Default, time.Now, prometheus.NewRegistry()), grpcprom.NewServerMetrics())
	if err != nil {
		tb.Fatal(err)
	}
	defer s.Stop()
	return s.GetServiceInfo()
}
