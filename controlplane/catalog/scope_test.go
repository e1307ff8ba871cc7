package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

func scope(t *testing.T, globs ...string) fleet.Scope {
	t.Helper()
	s, err := fleet.NewScope(globs...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// recordOnFour records backups, runs and restores of four instances, and returns the
// ids of those on prod-0 and stage-2, the newest first.
func recordOnFour(t *testing.T, c *catalog.Catalog) (want []string) {
	t.Helper()
	for i := range 40 {
		name := fmt.Sprintf("prod-%d", i%4)
		if i%4 != 0 {
			name = fmt.Sprintf("stage-%d", i%4)
		}
		if i < 4 {
			enrol(t, c, fleet.CallerAgent, name, "")
		}
		r, b := aRun(name, now.Add(time.Duration(i)*time.Second)), aBackup(name, now.Add(time.Duration(i)*time.Second))
		record(t, c, r, &b)
		if _, err := c.Jobs.Create(t.Context(), fleet.Job{
			ID: b.ID, Kind: fleet.JobRestore, Instance: name, RequestedBy: "user:owner", CreatedAt: b.CreatedAt, Deadline: b.CreatedAt,
		}); err != nil {
			t.Fatal(err)
		}
		if name == "prod-0" || name == "stage-2" {
			want = append(want, b.ID)
		}
	}
	slices.Reverse(want)
	return want
}

// Pages are full of what is in scope, however much of the fleet lies between.
func TestPagesHoldOnlyWhatIsInScope(t *testing.T) {
	c, _ := open(t)
	want := recordOnFour(t, c)
	seen := scope(t, "prod-*", "stage-2")
	pages := func(list func(catalog.Page) ([]string, string, error)) (all []string, n int) {
		for page := (catalog.Page{Size: 3}); ; n++ {
			ids, next, err := list(page)
			if err != nil || next != "" && len(ids) != 3 {
				t.Fatalf("a page of %d, %v", len(ids), err)
			}
			all = append(all, ids...)
			if page.Token = next; next == "" {
				return all, n
			}
		}
	}
	backups, _ := pages(func(p catalog.Page) ([]string, string, error) {
		found, next, err := c.Backups.List(t.Context(), catalog.BackupQuery{Page: p, Scope: seen})
		return ids(found, func(b fleet.Backup) string { return b.ID }), next, err
	})
	jobs, _ := pages(func(p catalog.Page) ([]string, string, error) {
		found, next, err := c.Restores.List(t.Context(), catalog.RestoreQuery{Page: p, Scope: seen})
		return ids(found, func(r fleet.Restore) string { return r.ID }), next, err
	})
	runs, _ := pages(func(p catalog.Page) ([]string, string, error) {
		found, next, err := c.Runs.List(t.Context(), catalog.RunQuery{Page: p, Scope: seen})
		return ids(found, func(r fleet.Run) string { return r.Instance }), next, err
	})
	if diff := cmp.Diff(want, backups); diff != "" {
		t.Errorf("backups: %s", diff)
	}
	if diff := cmp.Diff(want, jobs); diff != "" {
		t.Errorf("restores: %s", diff)
	}
	if len(runs) != len(want) || slices.Contains(runs, "stage-1") {
		t.Errorf("runs of %v", runs)
	}
	agents, err := c.Agents.List(t.Context(), seen)
	if got := ids(agents, func(a fleet.Agent) string { return a.Name }); err != nil || !slices.Equal(got, []string{"prod-0", "stage-2"}) {
		t.Errorf("agents %v, %v", got, err)
	}
}

func ids[T any](list []T, id func(T) string) (all []string) {
	for _, one := range list {
		all = append(all, id(one))
	}
	return all
}

// instanceName is what package pki lets an agent be called.
var instanceName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// What SQLite lists and what package fleet lets pass are the same.
func FuzzScopeInSQLAndInGo(f *testing.F) {
	for _, seed := range [][2]string{
		{"prod-*", "prod-1"}, {"prod-*", "preprod-1"}, {"*-db", "shop-db"}, {"db?", "db1"}, {"db?", "db"}, {"a*b?c**", "axxbyc"},
		{"**x*", "x"}, {"?*", "a"}, {"..", "a."}, {"-", "-"}, {"*_*", "a_b"},
	} {
		f.Add(seed[0], seed[1])
	}
	c, err := catalog.Open(context.Background(), filepath.Join(f.TempDir(), "catalog.db"))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = c.Close() })
	f.Fuzz(func(t *testing.T, glob, name string) {
		s, err := fleet.NewScope(glob)
		if err != nil || !instanceName.MatchString(name) {
			return
		}
		err = c.Invites.Create(t.Context(), fleet.Invite{SecretHash: fleet.NewID(), Kind: fleet.CallerAgent, Name: name, CreatedAt: now, ExpiresAt: now})
		if err != nil {
			t.Fatal(err)
		}
		found, err := c.Agents.List(t.Context(), s)
		listed := slices.ContainsFunc(found, func(a fleet.Agent) bool { return a.Name == name })
		if err != nil || listed != s.Covers(name) {
			t.Errorf("%q of %q: listed %t, let pass %t, %v", name, glob, listed, s.Covers(name), err)
		}
	})
}

func TestScopeIsKeptWithThePersonTheGrantAndTheInvite(t *testing.T) {
	c, path := open(t)
	i := fleet.Invite{
		SecretHash: fleet.NewID(), Kind: fleet.CallerUser, Name: "olga", Role: fleet.RoleOperator, Instances: scope(t, "prod-*", "db?"),
		CreatedBy: "host", CreatedAt: now, ExpiresAt: now.Add(time.Hour),
	}
	if err := c.Invites.Create(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	if kept, err := c.Invites.Get(t.Context(), i.SecretHash); err != nil || !slices.Equal(kept.Instances, i.Instances) {
		t.Errorf("the invite is for %v, %v", kept.Instances, err)
	}
	olga := fleet.Caller{Kind: fleet.CallerUser, Name: "olga", Identity: fleet.NewID(), Device: "laptop"}
	if err := redeem(t, c, i.SecretHash, olga, now); err != nil {
		t.Fatal(err)
	}
	for _, g := range []fleet.Grant{
		{Permission: fleet.PermissionBackupHold}, {Permission: fleet.PermissionBackupRestore, Instances: scope(t, "prod-1")},
		{Permission: fleet.PermissionBackupRestore, Instances: scope(t, "prod-2")}, // in place of the one before
	} {
		if err := c.Users.Grant(t.Context(), "olga", nil, g, "user:owner", now); err != nil {
			t.Fatal(err)
		}
	}
	want := olga
	want.Role, want.Instances = fleet.RoleOperator, i.Instances
	want.Grants = []fleet.Grant{{Permission: fleet.PermissionBackupHold}, {Permission: fleet.PermissionBackupRestore, Instances: scope(t, "prod-2")}}
	got, err := caller(t, c, olga)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	// An invite to the same name is no way to another scope.
	i.SecretHash, i.Instances = fleet.NewID(), nil
	if err := c.Invites.Create(t.Context(), i); !errors.Is(err, fleet.ErrExists) {
		t.Errorf("an invite for the whole fleet: %v", err)
	}
	// What is no scope is not taken for the whole fleet.
	if _, err := raw(t, path).ExecContext(t.Context(), `UPDATE users SET instances = '[a'`); err != nil {
		t.Fatal(err)
	}
	if _, err := caller(t, c, olga); err == nil {
		t.Error("a scope that can't be read lets everything pass")
	}
}
