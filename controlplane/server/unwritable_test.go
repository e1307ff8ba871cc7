package server_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// Where the trail can't be written, nothing that belongs on it happens.
func TestWithoutATrailNothingHappens(t *testing.T) {
	cp := servertest.Start(t)
	a := connectAgent(t, cp, "db1")
	backup := a.hasBackup(t, 10)
	vera := cp.User(t, "vera", fleet.RoleViewer) // who has not signed in yet
	owner, pending := cp.Owner(t), cp.InviteUser(t, "pending", fleet.RoleViewer)
	users, agents := pgharborv1.NewUserServiceClient(owner), pgharborv1.NewAgentServiceClient(owner)
	device := deviceOf(t, owner)

	db, err := sql.Open("sqlite", filepath.Join(cp.DataDir, "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), `CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no space'); END`); err != nil {
		t.Fatal(err)
	}

	for name, attempt := range map[string]func() error{
		"invite a user": func() error {
			_, err := users.CreateUserInvite(bounded(t), &pgharborv1.CreateUserInviteRequest{Name: "new", Role: "VIEWER"})
			return err
		},
		"invite an agent": func() error {
			_, err := agents.CreateAgentInvite(bounded(t), &pgharborv1.CreateAgentInviteRequest{Name: "new"})
			return err
		},
		"revoke a user": func() error {
			_, err := users.RevokeUser(bounded(t), &pgharborv1.RevokeUserRequest{Name: "vera"})
			return err
		},
		"change a user": func() error {
			_, err := users.UpdateUser(bounded(t), &pgharborv1.UpdateUserRequest{Name: "vera", Role: "OWNER"})
			return err
		},
		"revoke a device": func() error {
			_, err := pgharborv1.NewIdentityServiceClient(owner).RevokeDevice(bounded(t), &pgharborv1.RevokeDeviceRequest{DeviceId: device})
			return err
		},
		"sign in": func() error {
			_, err := pgharborv1.NewIdentityServiceClient(vera).GetIdentity(bounded(t), &pgharborv1.GetIdentityRequest{})
			return err
		},
		"revoke an agent": func() error {
			_, err := agents.RevokeAgent(bounded(t), &pgharborv1.RevokeAgentRequest{Name: "db1"})
			return err
		},
		"enrol": func() error { return redeem(bounded(t), dialWith(t, cp, nil), pending) },
		"back up": func() error {
			_, err := pgharborv1.NewBackupServiceClient(owner).StartBackup(bounded(t), &pgharborv1.StartBackupRequest{Instance: "db1"})
			return err
		},
		"restore": func() error {
			_, err := pgharborv1.NewRestoreServiceClient(owner).CreateRestore(bounded(t),
				&pgharborv1.CreateRestoreRequest{BackupId: backup, TargetDatabase: "new", Confirm: "new", Reason: "why"})
			return err
		},
		"download": func() error {
			stream, err := pgharborv1.NewTransferServiceClient(owner).Download(bounded(t), &pgharborv1.DownloadRequest{BackupId: backup})
			if err == nil {
				_, err = stream.Recv()
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := attempt(); status.Code(err) != codes.Internal {
				t.Errorf("got %v", err)
			}
		})
	}
	for table, want := range map[string]int{
		"users": 3, "agents": 1, "jobs": 0, "users WHERE revoked_at IS NOT NULL": 0, "agents WHERE revoked_at IS NOT NULL": 0,
		"users WHERE role = 'OWNER'": 1, "identities WHERE revoked_at IS NOT NULL": 0,
		"users WHERE name = 'pending' AND enrolled_at IS NOT NULL": 0,
	} {
		var got int
		if err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM `+table).Scan(&got); err != nil || got != want {
			t.Errorf("%s: %d, want %d, %v", table, got, want, err)
		}
	}
}
