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
func call(t *testing.T, by guard.Authenticator, method string, request any) (caller fleet.Caller, scope fleet.Scope, trail []chain.Entry, err error) {
	t.Helper()
	c, err := catalog.Open(t.Context(), filepath.Join(t.TempDir(), "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	g := &guard.Guard{
		Authenticator: by, Catalog: c, Trail: &audit.Trail{Store: c.Trail, Now: time.Now},
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Now: time.Now,
	}
	_, err = g.Unary(t.Context(), request, &grpc.UnaryServerInfo{FullMethod: method}, func(ctx context.Context, _ any) (any, error) {
		caller, scope = guard.CallerFrom(ctx), guard.ListScope(ctx)
		return "answered", nil
	})
	trail, _, listErr := c.Trail.List(t.Context(), catalog.AuditQuery{})
	if listErr != nil {
		t.Fatal(listErr)
	}
	return caller, scope, trail, err
}

// However a caller shows who they are, permission, scope and trail are the same.
func TestEveryAuthenticatorIsHeldByPermissionScopeAndTrail(t *testing.T) {
	vera := fleet.Caller{Kind: fleet.CallerUser, Name: "vera", Role: fleet.RoleViewer, Instances: fleet.Scope{"shop-*"}, Identity: fleet.NewID(), LastSeenAt: time.Now()}
	caller, scope, trail, err := call(t, shown{caller: &vera}, pgharborv1.BackupService_ListBackups_FullMethodName, &pgharborv1.ListBackupsRequest{})
	if err != nil || caller.String() != "user:vera" || !slices.Equal(scope, vera.Instances) || len(trail) != 0 {
		t.Errorf("a list in scope: %v, %v, %v, %v", caller, scope, trail, err)
	}
	for _, refused := range []struct {
		method  string
		request any
	}{
		{pgharborv1.BackupService_ListBackups_FullMethodName, &pgharborv1.ListBackupsRequest{Instance: "crm"}},
		{pgharborv1.BackupService_StartBackup_FullMethodName, &pgharborv1.StartBackupRequest{Instance: "shop-1"}},
		{pgharborv1.UserService_ListUsers_FullMethodName, &pgharborv1.ListUsersRequest{}},
	} {
		caller, _, trail, err := call(t, shown{caller: &vera}, refused.method, refused.request)
		if !errors.Is(err, fleet.ErrDenied) || caller.Name != "" {
			t.Errorf("%s: %v, and the RPC ran for %v", refused.method, err, caller)
		}
		if len(trail) != 1 || trail[0].Actor != "user:vera" || trail[0].Outcome != chain.OutcomeDenied {
			t.Errorf("%s: the trail says %v", refused.method, trail)
		}
	}
}

func TestWhoShowsNothingOrInVainReachesNoRPC(t *testing.T) {
	inVain := errors.New("the session has ended")
	for name, by := range map[string]shown{"nothing": {}, "in vain": {err: inVain}} {
		caller, _, trail, err := call(t, by, pgharborv1.BackupService_ListBackups_FullMethodName, &pgharborv1.ListBackupsRequest{})
		if err == nil || by.err != nil && !errors.Is(err, inVain) || caller.Name != "" || len(trail) != 0 {
			t.Errorf("%s: %v, %v, %v", name, err, caller, trail)
		}
	}
}
