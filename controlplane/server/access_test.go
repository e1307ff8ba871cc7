package server_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/pki"
	"github.com/pgharbor/pgharbor/controlplane/server"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// Who may call an RPC, by the table "Roles" of the interface. Those with no
// certificate, a foreign, an expired or a revoked one may call none of them.
const (
	anyone    = "owner operator operator+restore viewer agent nobody"
	enrolled  = "owner operator operator+restore viewer agent"
	people    = "owner operator operator+restore viewer"
	operators = "owner operator operator+restore"
	restorers = "owner operator+restore"
	owners    = "owner"
	agents    = "agent"
)

// allowed is written by hand: that package access has the same opinion is what
// the test shows.
var allowed = map[string]string{
	"/pgharbor.v1.EnrollmentService/Enroll": anyone,

	"/pgharbor.v1.IdentityService/GetIdentity":      enrolled,
	"/pgharbor.v1.IdentityService/RenewCertificate": enrolled,
	"/pgharbor.v1.IdentityService/ListDevices":      people,
	"/pgharbor.v1.IdentityService/RevokeDevice":     people,
	"/grpc.health.v1.Health/Check":                  enrolled,
	"/grpc.health.v1.Health/List":                   enrolled,
	"/grpc.health.v1.Health/Watch":                  enrolled,

	"/pgharbor.v1.SessionService/Connect": agents,
	"/pgharbor.v1.TransferService/Upload": agents,

	// backup.list, health.read
	"/pgharbor.v1.BackupService/ListBackups":       people,
	"/pgharbor.v1.BackupService/GetBackup":         people,
	"/pgharbor.v1.RunService/ListRuns":             people,
	"/pgharbor.v1.JobService/GetJob":               people,
	"/pgharbor.v1.JobService/WatchJob":             people,
	"/pgharbor.v1.RestoreService/GetRestore":       people,
	"/pgharbor.v1.RestoreService/ListRestores":     people,
	"/pgharbor.v1.RetentionService/ListRetentions": people,
	"/pgharbor.v1.HealthService/GetHealth":         people,
	"/pgharbor.v1.AgentService/ListAgents":         people,

	// backup.run
	"/pgharbor.v1.BackupService/StartBackup": operators,
	// backup.download
	"/pgharbor.v1.TransferService/Download": owners,
	// backup.restore
	"/pgharbor.v1.RestoreService/CreateRestore": restorers,

	// agent.manage, user.manage, audit.read
	"/pgharbor.v1.AgentService/CreateAgentInvite": owners,
	"/pgharbor.v1.AgentService/RevokeAgent":       owners,
	"/pgharbor.v1.UserService/ListUsers":          owners,
	"/pgharbor.v1.UserService/CreateUserInvite":   owners,
	"/pgharbor.v1.UserService/GrantPermission":    owners,
	"/pgharbor.v1.UserService/RevokeUser":         owners,
	"/pgharbor.v1.UserService/UpdateUser":         owners,
	"/pgharbor.v1.UserService/RevokePermission":   owners,
	"/pgharbor.v1.UserService/ListUserDevices":    owners,
	"/pgharbor.v1.UserService/RevokeUserDevice":   owners,
	"/pgharbor.v1.AuditService/ListAuditEntries":  owners,

	// Who decides on an approval is shown by the tests of approvals.
	"/pgharbor.v1.ApprovalService/ListApprovals": people,
	"/pgharbor.v1.ApprovalService/GetApproval":   people,
	"/pgharbor.v1.ApprovalService/Approve":       people,
	"/pgharbor.v1.ApprovalService/Deny":          people,
	"/pgharbor.v1.PolicyService/ListPolicies":    people,
	"/pgharbor.v1.PolicyService/SetPolicy":       owners,
	"/pgharbor.v1.PolicyService/RemovePolicy":    owners,
}

func TestEveryRPCWithEveryCaller(t *testing.T) {
	served := methods(t)
	cp := servertest.Start(t)
	callers := everyCaller(t, cp)
	for method, streams := range served {
		may, named := allowed[method]
		if !named {
			t.Errorf("no row of the test's table says who may call %s", method)
			continue
		}
		for name, conn := range callers {
			err := call(t, conn, method, streams)
			want := slices.Contains(strings.Fields(may), name)
			if got := passed(method, err); got != want {
				t.Errorf("%s by %s: allowed %t, want %t: %v", method, name, got, want, err)
			}
		}
	}
	for method := range allowed {
		if _, ok := served[method]; !ok {
			t.Errorf("the test's table names %s, which is not served", method)
		}
	}
}

// methods returns every RPC of the server, and whether it streams.
func methods(t *testing.T) map[string]grpc.StreamDesc {
	all := map[string]grpc.StreamDesc{}
	for service, info := range server.Services(t) {
		for _, m := range info.Methods {
			all["/"+service+"/"+m.Name] = grpc.StreamDesc{ClientStreams: m.IsClientStream, ServerStreams: m.IsServerStream}
		}
	}
	return all
}

// call sends one empty message and returns how it was answered.
func call(t *testing.T, conn *grpc.ClientConn, method string, streams grpc.StreamDesc) error {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stream, err := conn.NewStream(ctx, &streams, method)
	if err != nil {
		return err
	}
	if err := stream.SendMsg(&emptypb.Empty{}); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return stream.RecvMsg(&emptypb.Empty{})
}

// passed says whether a call got as far as its method.
func passed(method string, err error) bool {
	if strings.HasSuffix(method, "/Enroll") { // it refuses an empty secret itself
		return strings.Contains(status.Convert(err).Message(), "the invite is not one of this control plane")
	}
	switch status.Code(err) {
	case codes.Unauthenticated, codes.PermissionDenied, codes.Unavailable, codes.Unimplemented:
		return false
	default:
		return true
	}
}

func everyCaller(t *testing.T, cp *servertest.ControlPlane) map[string]*grpc.ClientConn {
	callers := map[string]*grpc.ClientConn{
		"owner":            cp.Owner(t),
		"operator":         cp.User(t, "olga", fleet.RoleOperator),
		"operator+restore": cp.User(t, "oleg", fleet.RoleOperator),
		"viewer":           cp.User(t, "vera", fleet.RoleViewer),
		"agent":            cp.Agent(t, "db1"),
		"revoked user":     cp.User(t, "eve", fleet.RoleOwner),
		"revoked agent":    cp.Agent(t, "db2"),
		"nobody":           dialWith(t, cp, nil),
		"foreign owner":    dialWith(t, cp, foreignCertificate(t)),
		"expired owner":    dialWith(t, cp, expiredCertificate(t, cp)),
	}
	users, agents := pgharborv1.NewUserServiceClient(callers["owner"]), pgharborv1.NewAgentServiceClient(callers["owner"])
	if _, err := users.GrantPermission(t.Context(), &pgharborv1.GrantPermissionRequest{Name: "oleg", Permission: "backup.restore"}); err != nil {
		t.Fatal(err)
	}
	if _, err := users.RevokeUser(t.Context(), &pgharborv1.RevokeUserRequest{Name: "eve"}); err != nil {
		t.Fatal(err)
	}
	if _, err := agents.RevokeAgent(t.Context(), &pgharborv1.RevokeAgentRequest{Name: "db2"}); err != nil {
		t.Fatal(err)
	}
	return callers
}

// dialWith trusts the control plane and shows it the certificate, if any.
func dialWith(t *testing.T, cp *servertest.ControlPlane, cert *tls.Certificate) *grpc.ClientConn {
	t.Helper()
	config := pki.ClientConfig(authority(t, cp).Certificate(), func() *tls.Certificate { return cert })
	conn, err := grpc.NewClient("dns:///"+cp.Address(), grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func authority(t *testing.T, cp *servertest.ControlPlane) *pki.CA {
	t.Helper()
	ca, err := pki.LoadCA(filepath.Join(cp.DataDir, "pki"))
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func foreignCertificate(t *testing.T) *tls.Certificate {
	t.Helper()
	ca, err := pki.CreateCA(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return sign(t, ca, pki.Principal{Kind: pki.KindUser, Name: servertest.OwnerName, Identity: "abcdefghijklmnop"}, time.Now())
}

// expiredCertificate is of an OWNER who may still do all.
func expiredCertificate(t *testing.T, cp *servertest.ControlPlane) *tls.Certificate {
	t.Helper()
	cert := certificateIn(t, cp.Enroll(t, cp.InviteUser(t, "otto", fleet.RoleOwner)))
	principal, err := pki.FromCertificate(cert.Leaf)
	if err != nil {
		t.Fatal(err)
	}
	return sign(t, authority(t, cp), principal, time.Now().Add(-3*time.Hour))
}

func certificateIn(t *testing.T, dir string) *tls.Certificate {
	t.Helper()
	file := filepath.Join(dir, "identity.pem")
	cert, err := tls.LoadX509KeyPair(file, file)
	if err != nil {
		t.Fatal(err)
	}
	return &cert
}

func sign(t *testing.T, ca *pki.CA, p pki.Principal, at time.Time) *tls.Certificate {
	t.Helper()
	key, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	csr, err := pki.NewCSR(key)
	if err != nil {
		t.Fatal(err)
	}
	issued, err := ca.Sign(csr, p, 2*time.Hour, at)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: issued.Chain, PrivateKey: key}
}

// A certificate's name is worth nothing where its enrolment is not known.
func TestCertificateOfAnUnknownEnrolmentIsRefused(t *testing.T) {
	cp := servertest.Start(t)
	forged := sign(t, authority(t, cp), pki.Principal{Kind: pki.KindUser, Name: servertest.OwnerName, Identity: "abcdefghijklmnop"}, time.Now())
	err := call(t, dialWith(t, cp, forged), "/pgharbor.v1.BackupService/ListBackups", grpc.StreamDesc{})
	if passed("", err) {
		t.Fatalf("it may list backups: %v", err)
	}
}

func TestAnythingBelowTLS13IsRefused(t *testing.T) {
	cp := servertest.Start(t)
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12} {
		conn, err := tls.Dial("tcp", cp.Address(), &tls.Config{
			MinVersion: version, MaxVersion: version, InsecureSkipVerify: true, NextProtos: []string{"h2"},
		})
		if err == nil {
			_ = conn.Close()
			t.Errorf("%s was accepted", tls.VersionName(version))
		}
	}
	conn, err := tls.Dial("tcp", cp.Address(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatalf("TLS 1.3 is refused too: %v", err)
	}
	_ = conn.Close()
}
