package guard_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/controlplane/api/guard"
	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// shown is an Authenticator of callers who show no certificate, as those of a browser.
type shown struct {
	caller *fleet.Caller
	err    error
}

func (s shown) Authenticate(context.Context) (*fleet.Caller, error) { return s.caller, s.err }

// call makes one call past a guard and returns who its RPC was told calls, and which
// scope its list was limited to.
func call(t *testing.T, by guard.Authenticator, method string, request any) (caller fleet.Caller, scope fleet.Scope, auditLog []chain.Entry, err error) {
	t.Helper()
	c, err := catalog.Open(t.Context(), filepath.Join(t.TempDir(), "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	g := &guard.Guard{
		Authenticator: by, Catalog: c, Audit: &audit.Log{Store: c.AuditLog, Now: time.Now},
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Now: time.Now,
	}
	_, err = g.Unary(t.Context(), request, &grpc.UnaryServerInfo{FullMethod: method}, func(ctx context.Context, _ any) (any, error) {
		caller, scope = guard.CallerFrom(ctx), guard.ListScope(ctx)
		return "answered", nil
	})
	auditLog, _, listErr := c.AuditLog.List(t.Context(), catalog.AuditQuery{})
	if listErr != nil {
		t.Fatal(listErr)
	}
	return caller, scope, auditLog, err
}

// However a caller shows who they are, permission, scope and audit log are the same.
func TestEveryAuthenticatorIsHeldByPermissionScopeAndAuditLog(t *testing.T) {
	vera := fleet.Caller{Kind: fleet.CallerUser, Name: "vera", Role: fleet.RoleViewer, Instances: fleet.Scope{"shop-*"}, Identity: fleet.NewID(), LastSeenAt: time.Now()}
	caller, scope, auditLog, err := call(t, shown{caller: &vera}, pgharborv1.BackupService_ListBackups_FullMethodName, &pgharborv1.ListBackupsRequest{})
	if err != nil || caller.String() != "user:vera" || !slices.Equal(scope, vera.Instances) || len(auditLog) != 0 {
		t.Errorf("a list in scope: %v, %v, %v, %v", caller, scope, auditLog, err)
	}
	for _, refused := range []struct {
		method  string
		request any
	}{
		{pgharborv1.BackupService_ListBackups_FullMethodName, &pgharborv1.ListBackupsRequest{Instance: "crm"}},
		{pgharborv1.BackupService_StartBackup_FullMethodName, &pgharborv1.StartBackupRequest{Instance: "shop-1"}},
		{pgharborv1.UserService_ListUsers_FullMethodName, &pgharborv1.ListUsersRequest{}},
	} {
		caller, _, auditLog, err := call(t, shown{caller: &vera}, refused.method, refused.request)
		if !errors.Is(err, fleet.ErrDenied) || caller.Name != "" {
			t.Errorf("%s: %v, and the RPC ran for %v", refused.method, err, caller)
		}
		if len(auditLog) != 1 || auditLog[0].Actor != "user:vera" || auditLog[0].Outcome != chain.OutcomeDenied {
			t.Errorf("%s: the audit log says %v", refused.method, auditLog)
		}
	}
}

func TestWhoShowsNothingOrInVainReachesNoRPC(t *testing.T) {
	inVain := errors.New("the session has ended")
	for name, by := range map[string]shown{"nothing": {}, "in vain": {err: inVain}} {
		caller, _, auditLog, err := call(t, by, pgharborv1.BackupService_ListBackups_FullMethodName, &pgharborv1.ListBackupsRequest{})
		if err == nil || by.err != nil && !errors.Is(err, inVain) || caller.Name != "" || len(auditLog) != 0 {
			t.Errorf("%s: %v, %v, %v", name, err, caller, auditLog)
		}
	}
}
