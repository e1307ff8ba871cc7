package server_test

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// What is in the audit log stays forever, so anyone who is refused there must not be able to fill a
// disk with it.
func TestRefusalOfAVeryLongNameIsShortInTheAuditLog(t *testing.T) {
	t.Parallel()
	cp := servertest.Start(t)
	vera := cp.User(t, "vera", fleet.RoleViewer, "dev-*")
	_, err := pgharborv1.NewHealthServiceClient(vera).GetHealth(bounded(t), &pgharborv1.GetHealthRequest{Instance: strings.Repeat("x", 3<<20)})
	if status.Code(err) != codes.PermissionDenied {
		t.Fatalf("health of what is out of scope: %v", status.Code(err))
	}
	entries := auditLog(t, cp, "HealthService/GetHealth")
	if len(entries) != 1 {
		t.Fatalf("%d entries", len(entries))
	}
	if written := len(entries[0].Instance) + len(entries[0].Detail); written > 64<<10 || !strings.HasPrefix(entries[0].Detail, "user:vera has the permission") {
		t.Errorf("the refusal takes %d bytes of the audit log: %.100s", written, entries[0].Detail)
	}
}
