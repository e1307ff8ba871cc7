package client_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/controlplane/client"
	"github.com/pgharbor/pgharbor/controlplane/pki"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

var anna = pki.Principal{Kind: pki.KindUser, Name: "anna", Identity: "id1"}

func enroll(t *testing.T, cp *controlPlane, p pki.Principal) (*client.Identity, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "identity")
	identity, err := client.Enroll(t.Context(), dir, cp.invite(p))
	if err != nil {
		t.Fatal(err)
	}
	return identity, dir
}

// whoAmI asks the control plane over a new connection.
func whoAmI(t *testing.T, identity *client.Identity) (string, error) {
	t.Helper()
	conn, err := identity.Dial()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	me, err := pgharborv1.NewIdentityServiceClient(conn).GetIdentity(ctx, &pgharborv1.GetIdentityRequest{})
	return me.GetName(), err
}

func TestEnrolledIsKnownAgainAfterARestart(t *testing.T) {
	cp := startControlPlane(t)
	_, dir := enroll(t, cp, anna)
	identity, err := client.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if identity.Address() != cp.address || identity.Kind() != pki.KindUser || identity.Name() != "anna" {
		t.Errorf("loaded %s %s at %s", identity.Kind(), identity.Name(), identity.Address())
	}
	if name, err := whoAmI(t, identity); err != nil || name != "anna" {
		t.Errorf("the control plane knows %q, %v", name, err)
	}
}

func TestIdentityIsPrivate(t *testing.T) {
	_, dir := enroll(t, startControlPlane(t), anna)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if rest, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), ".*")); len(rest) > 0 {
		t.Errorf("left behind: %v", rest)
	}
}

func TestCarelessCopyBecomesPrivate(t *testing.T) {
	_, dir := enroll(t, startControlPlane(t), anna)
	for path, mode := range map[string]fs.FileMode{dir: 0o755, filepath.Join(dir, "identity.pem"): 0o644} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := client.Load(dir); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]fs.FileMode{dir: 0o700, filepath.Join(dir, "identity.pem"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, %v", path, info.Mode(), err)
		}
	}
}

func TestEnrollIntoAnEmptyFolder(t *testing.T) {
	cp := startControlPlane(t)
	dir := t.TempDir()
	if _, err := client.Enroll(t.Context(), dir, cp.invite(anna)); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Load(dir); err != nil {
		t.Error(err)
	}
}

func TestEnrollNeverReplacesAnIdentity(t *testing.T) {
	cp := startControlPlane(t)
	_, dir := enroll(t, cp, anna)
	bert := pki.Principal{Kind: pki.KindUser, Name: "bert", Identity: "id2"}
	invite := cp.invite(bert)
	if _, err := client.Enroll(t.Context(), dir, invite); !errors.Is(err, client.ErrAlreadyEnrolled) {
		t.Fatalf("Enroll: %v, want ErrAlreadyEnrolled", err)
	}
	identity, err := client.Load(dir)
	if err != nil || identity.Name() != "anna" {
		t.Errorf("the folder now holds %v, %v", identity, err)
	}
	if _, err := client.Enroll(t.Context(), filepath.Join(t.TempDir(), "other"), invite); err != nil {
		t.Errorf("the invite was spent by the refused attempt: %v", err)
	}
}

func TestEnrollRefused(t *testing.T) {
	cp, other := startControlPlane(t), startControlPlane(t)
	used := cp.invite(anna)
	if _, err := client.Enroll(t.Context(), filepath.Join(t.TempDir(), "x"), used); err != nil {
		t.Fatal(err)
	}
	parsed, err := pki.ParseInvite(cp.invite(anna))
	if err != nil {
		t.Fatal(err)
	}
	misled := parsed
	misled.Address = other.address
	tests := map[string]struct {
		invite string
		holds  func(error) bool
	}{
		"mistyped":        {used[:len(used)-1], func(err error) bool { return errors.Is(err, pki.ErrBadInvite) }},
		"used":            {used, func(err error) bool { return status.Code(err) == codes.Unauthenticated }},
		"another's place": {misled.String(), func(err error) bool { return strings.Contains(err.Error(), "not the control plane") }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			_, err := client.Enroll(t.Context(), filepath.Join(parent, "identity"), test.invite)
			if err == nil || !test.holds(err) {
				t.Errorf("Enroll: %v", err)
			}
			if err != nil && strings.Contains(err.Error(), parsed.Secret) {
				t.Errorf("the error tells the secret: %v", err)
			}
			if left, _ := os.ReadDir(parent); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestEnrollGivesUpWithItsContext(t *testing.T) {
	invite := pki.Invite{Address: "127.0.0.1:1", Fingerprint: "sha256:" + strings.Repeat("00", 32), Secret: "x"}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.Enroll(ctx, filepath.Join(t.TempDir(), "x"), invite.String()); err == nil {
		t.Error("enrolled with nobody")
	}
}

func TestLoadSaysWhatIsWrong(t *testing.T) {
	if _, err := client.Load(t.TempDir()); !errors.Is(err, client.ErrNotEnrolled) {
		t.Errorf("an empty folder: %v", err)
	}
	if _, err := client.Load(filepath.Join(t.TempDir(), "missing")); !errors.Is(err, client.ErrNotEnrolled) {
		t.Errorf("no folder: %v", err)
	}
	_, dir := enroll(t, startControlPlane(t), anna)
	if err := os.Truncate(filepath.Join(dir, "identity.pem"), 100); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Load(dir); err == nil || errors.Is(err, client.ErrNotEnrolled) {
		t.Errorf("a cut file: %v", err)
	}
}

func TestRevokedIsToldSo(t *testing.T) {
	cp := startControlPlane(t)
	identity, _ := enroll(t, cp, anna)
	cp.mu.Lock()
	cp.revoked = true
	cp.mu.Unlock()
	if _, err := whoAmI(t, identity); status.Code(err) != codes.Unauthenticated {
		t.Errorf("a revoked person got %v, want UNAUTHENTICATED", err)
	}
}

func TestNobodyThereIsUnavailable(t *testing.T) {
	cp := startControlPlane(t)
	_, dir := enroll(t, cp, anna)
	path := filepath.Join(dir, "control-plane.json")
	if err := os.WriteFile(path, []byte(`{"address":"127.0.0.1:1"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	identity, err := client.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := whoAmI(t, identity); status.Code(err) != codes.Unavailable {
		t.Errorf("got %v, want UNAVAILABLE", err)
	}
}

func TestAnotherControlPlaneIsNotSpokenTo(t *testing.T) {
	cp, other := startControlPlane(t), startControlPlane(t)
	_, dir := enroll(t, cp, anna)
	path := filepath.Join(dir, "control-plane.json")
	if err := os.WriteFile(path, []byte(`{"address":"`+other.address+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	identity, err := client.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := whoAmI(t, identity); err == nil || !strings.Contains(err.Error(), "not the control plane") {
		t.Errorf("got %v", err)
	}
}
