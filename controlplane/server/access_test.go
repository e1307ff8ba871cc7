package server_test

import (
	"crypto/tls"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/pgharbor/pgharbor/controlplane/pki"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
)

// Anyone who may call an RPC on an instance that is theirs, by the table "Roles" of the interface.
// Those with no certificate, a foreign, an expired or a revoked one may call none of them.
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
	"/pgharbor.v1.IdentityService/SyncAuthorities":  enrolled,
	"/pgharbor.v1.IdentityService/ListDevices":      people,
	"/pgharbor.v1.IdentityService/RevokeDevice":     people,
	"/grpc.health.v1.Health/Check":                  enrolled,
	"/grpc.health.v1.Health/List":                   enrolled,
	"/grpc.health.v1.Health/Watch":                  enrolled,

	"/pgharbor.v1.SessionService/Connect": agents,
	"/pgharbor.v1.TransferService/Upload": agents,
	"/pgharbor.v1.TransferService/Fetch":  agents,

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
	"/pgharbor.v1.HealthService/WatchHealth":       people,
	"/pgharbor.v1.AlertService/ListAlerts":         people,
	"/pgharbor.v1.HealthService/ListThresholds":    people,
	"/pgharbor.v1.AgentService/ListAgents":         people,
	"/pgharbor.v1.AgentService/GetAgent":           people,

	// backup.run
	"/pgharbor.v1.BackupService/StartBackup": operators,
	// backup.verify, backup.hold
	"/pgharbor.v1.BackupService/VerifyBackup":  operators,
	"/pgharbor.v1.BackupService/HoldBackup":    owners,
	"/pgharbor.v1.BackupService/ReleaseBackup": owners,
	// backup.download
	"/pgharbor.v1.TransferService/Download": owners,
	// backup.restore
	"/pgharbor.v1.RestoreService/CreateRestore":  restorers,
	"/pgharbor.v1.RestoreService/PreviewRestore": restorers,
	"/pgharbor.v1.RestoreService/UndoRestore":    restorers,

	// agent.manage, user.manage, audit.read
	"/pgharbor.v1.AgentService/CreateAgentInvite":  owners,
	"/pgharbor.v1.AgentService/RevokeAgent":        owners,
	"/pgharbor.v1.UserService/ListUsers":           owners,
	"/pgharbor.v1.UserService/CreateUserInvite":    owners,
	"/pgharbor.v1.UserService/GrantPermission":     owners,
	"/pgharbor.v1.UserService/RevokeUser":          owners,
	"/pgharbor.v1.UserService/UpdateUser":          owners,
	"/pgharbor.v1.UserService/RevokePermission":    owners,
	"/pgharbor.v1.UserService/ListUserDevices":     owners,
	"/pgharbor.v1.UserService/RevokeUserDevice":    owners,
	"/pgharbor.v1.AuditService/ListAuditEntries":   owners,
	"/pgharbor.v1.AuditService/ExportAuditEntries": owners,
	"/pgharbor.v1.AuditService/ListTrailHeads":     owners,
	"/pgharbor.v1.HealthService/SetThreshold":      owners,
	"/pgharbor.v1.AlertService/TestAlerts":         owners,
	"/pgharbor.v1.HealthService/RemoveThreshold":   owners,

	// Anyone who may decide, and is shown it, is who may do it, which here is a download; the tests
	// of approvals show the rest.
	"/pgharbor.v1.ApprovalService/ListApprovals": people,
	"/pgharbor.v1.ApprovalService/GetApproval":   owners,
	"/pgharbor.v1.ApprovalService/Approve":       owners,
	"/pgharbor.v1.ApprovalService/Deny":          owners,
	"/pgharbor.v1.PolicyService/ListPolicies":    people,
	"/pgharbor.v1.PolicyService/SetPolicy":       owners,
	"/pgharbor.v1.PolicyService/RemovePolicy":    owners,
}

// touches is written by hand too: what an RPC touches, and so where a scope holds
// it. "nothing", "fleet" (only who has all of it passes), "list" (shows what is in
// scope; "owners' list": and the others pass, and are shown nothing), "own" (the
// instance of the agent that calls), or the field of the request and what the test
// puts there.
var touches = map[string]string{
	"/pgharbor.v1.EnrollmentService/Enroll": "nothing",

	"/pgharbor.v1.IdentityService/GetIdentity":      "nothing",
	"/pgharbor.v1.IdentityService/RenewCertificate": "nothing",
	"/pgharbor.v1.IdentityService/SyncAuthorities":  "nothing",
	"/pgharbor.v1.IdentityService/ListDevices":      "nothing",
	"/pgharbor.v1.IdentityService/RevokeDevice":     "nothing",
	"/grpc.health.v1.Health/Check":                  "nothing",
	"/grpc.health.v1.Health/List":                   "nothing",
	"/grpc.health.v1.Health/Watch":                  "nothing",

	"/pgharbor.v1.SessionService/Connect": "own",
	"/pgharbor.v1.TransferService/Upload": "own transfer",
	"/pgharbor.v1.TransferService/Fetch":  "own",

	"/pgharbor.v1.BackupService/ListBackups":       "list",
	"/pgharbor.v1.RunService/ListRuns":             "list",
	"/pgharbor.v1.RestoreService/ListRestores":     "list",
	"/pgharbor.v1.RetentionService/ListRetentions": "list",
	"/pgharbor.v1.HealthService/GetHealth":         "list",
	"/pgharbor.v1.HealthService/WatchHealth":       "list",
	"/pgharbor.v1.HealthService/ListThresholds":    "list",
	"/pgharbor.v1.HealthService/SetThreshold":      "fleet",
	"/pgharbor.v1.AlertService/TestAlerts":         "fleet",
	"/pgharbor.v1.AlertService/ListAlerts":         "list",
	"/pgharbor.v1.HealthService/RemoveThreshold":   "fleet",
	"/pgharbor.v1.AuditService/ExportAuditEntries": "fleet",
	"/pgharbor.v1.AuditService/ListTrailHeads":     "fleet",
	"/pgharbor.v1.AgentService/ListAgents":         "list",
	"/pgharbor.v1.ApprovalService/ListApprovals":   "owners' list",
	"/pgharbor.v1.PolicyService/ListPolicies":      "list",

	"/pgharbor.v1.BackupService/GetBackup":        "id=backup",
	"/pgharbor.v1.BackupService/VerifyBackup":     "id=backup",
	"/pgharbor.v1.BackupService/HoldBackup":       "id=backup",
	"/pgharbor.v1.BackupService/ReleaseBackup":    "id=backup",
	"/pgharbor.v1.BackupService/StartBackup":      "instance=db1",
	"/pgharbor.v1.TransferService/Download":       "backup_id=backup",
	"/pgharbor.v1.JobService/GetJob":              "id=job",
	"/pgharbor.v1.JobService/WatchJob":            "id=job",
	"/pgharbor.v1.RestoreService/CreateRestore":   "backup_id=backup",
	"/pgharbor.v1.RestoreService/PreviewRestore":  "backup_id=backup",
	"/pgharbor.v1.RestoreService/UndoRestore":     "restore_id=job",
	"/pgharbor.v1.RestoreService/GetRestore":      "id=job",
	"/pgharbor.v1.AgentService/GetAgent":          "name=db1",
	"/pgharbor.v1.AgentService/CreateAgentInvite": "name=db-new",
	"/pgharbor.v1.AgentService/RevokeAgent":       "name=db-none",
	"/pgharbor.v1.ApprovalService/GetApproval":    "id=approval",
	"/pgharbor.v1.ApprovalService/Approve":        "id=approval",
	"/pgharbor.v1.ApprovalService/Deny":           "id=approval",

	"/pgharbor.v1.UserService/ListUsers":         "fleet",
	"/pgharbor.v1.UserService/CreateUserInvite":  "fleet",
	"/pgharbor.v1.UserService/UpdateUser":        "fleet",
	"/pgharbor.v1.UserService/GrantPermission":   "fleet",
	"/pgharbor.v1.UserService/RevokePermission":  "fleet",
	"/pgharbor.v1.UserService/RevokeUser":        "fleet",
	"/pgharbor.v1.UserService/ListUserDevices":   "fleet",
	"/pgharbor.v1.UserService/RevokeUserDevice":  "fleet",
	"/pgharbor.v1.AuditService/ListAuditEntries": "fleet",
	"/pgharbor.v1.PolicyService/SetPolicy":       "fleet",
	"/pgharbor.v1.PolicyService/RemovePolicy":    "fleet",
}

// dialWith trusts the control plane and shows it the certificate, if any.
func dialWith(t *testing.T, cp *servertest.ControlPlane, cert *tls.Certificate) *grpc.ClientConn {
	t.Helper()
	return dialAt(t, cp, cp.Address(), cert)
}

// dialAt is dialWith for another address.
func dialAt(t *testing.T, cp *servertest.ControlPlane, address string, cert *tls.Certificate) *grpc.ClientConn {
	t.Helper()
	config := pki.ClientConfig(authority(t, cp).Certificate(), func() *tls.Certificate { return cert })
	conn, err := grpc.NewClient("dns:///"+address, grpc.WithTransportCredentials(credentials.NewTLS(config)))
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

// A certificate's name has no value if its enrolment is not known.
func TestCertificateOfAnUnknownEnrolmentIsRefused(t *testing.T) {
	cp := servertest.Start(t)
	forged := sign(t, authority(t, cp), pki.Principal{Kind: pki.KindUser, Name: servertest.OwnerName, Identity: "abcdefghijklmnop"}, time.Now())
	_, err := call(t, dialWith(t, cp, forged), "/pgharbor.v1.BackupService/ListBackups", grpc.StreamDesc{}, &emptypb.Empty{})
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
