package server_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
)

// What Prometheus is to find, of ours and of gRPC's.
func TestMetrics(t *testing.T) {
	cp := servertest.Start(t)
	connectAgent(t, cp, "db1")
	if _, err := call(t, cp.Owner(t), "/pgharbor.v1.UserService/ListUsers", grpc.StreamDesc{}, &emptypb.Empty{}); err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(bounded(t), http.MethodGet, cp.URL("/metrics"), nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\npgharbor_agents_connected 1\n",
		"\npgharbor_catalog_up 1\n",
		"\npgharbor_database_verdict{database=\"\",pg_instance=\"db1\",verdict=\"UNKNOWN\"} 1\n",
		`grpc_server_handled_total{grpc_code="OK",grpc_method="ListUsers",grpc_service="pgharbor.v1.UserService",grpc_type="unary"} 1`,
		"\nprocess_resident_memory_bytes ", "\ngo_goroutines ",
	} {
		if !strings.Contains(string(body), want) {
			t.Errorf("/metrics lacks %q", want)
		}
	}
	problems, err := promlint.New(strings.NewReader(string(body))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
