package catalog_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// firstRelease is what a control plane of the first release has left behind, in
// its own schema.
const firstRelease = `
INSERT INTO agents (name, created_at, enrolled_at, last_seen_at, version, status, inventory_digest) VALUES
	('db1', 1000, 2000, ?1, '0.1', '{"backups_enabled":true,"databases":[{"name":"shop","covered":true}]}', 'd1');
INSERT INTO users (name, role, created_at, enrolled_at) VALUES ('ada', 'OWNER', 1000, 2000), ('olga', 'OPERATOR', 1000, 2000);
INSERT INTO grants (user, permission, granted_by, granted_at) VALUES ('olga', 'backup.restore', 'user:ada', 3000);
INSERT INTO identities (id, kind, name, created_at) VALUES ('i1', 'agent', 'db1', 2000), ('i2', 'user', 'ada', 2000), ('i3', 'user', 'olga', 2000);
INSERT INTO invites (secret_hash, kind, name, role, created_by, created_at, expires_at) VALUES ('s', 'user', 'vera', 'VIEWER', 'user:ada', ?1, ?1 + 3600000000);
INSERT INTO runs (id, instance, database, trigger, state, started_at, finished_at, backup_id, size_bytes) VALUES
	('r1', 'db1', 'shop', 'schedule', 'succeeded', ?1 - 3600000000, ?1 - 3000000000, 'b1', 70);
INSERT INTO backups (id, instance, database, state, created_at, complete, size_bytes, retention_status, retention_expires, manifest) VALUES
	('b1', 'db1', 'shop', 'present', ?1 - 3000000000, 1, 70, 'kept', ?1 + 3600000000, '{"filename":"backup-1.sql.enc","encrypted":true,"plain_size_bytes":60}'),
	('b0', 'db1', 'shop', 'missing', ?1 - 4000000000, 1, 71, 'kept', ?1 + 3600000000, '{"filename":"backup-0.sql","encrypted":false}');
INSERT INTO jobs (id, kind, instance, spec, state, requested_by, created_at, finished_at, deadline) VALUES
	('j1', 'restore', 'db1', '{"backup_id":"b1","target_database":"copy"}', 'succeeded', 'user:olga', 1000, 2000, 3000);`

// A catalog of the first release is brought up to date with all that it knows.
func TestCatalogOfTheFirstReleaseIsBroughtUpToDate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	db := raw(t, path)
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, os.DirFS("migrations"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(firstRelease, now.UnixMicro()); err != nil {
		t.Fatal(err)
	}
	c, err := catalog.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })

	f := factsOf(t, c)["db1/shop"]
	if b := f.NewestBackup; b == nil || b.ID != "b1" || b.SizeBytes != 70 || !b.Manifest.Encrypted || b.Manifest.PlainSizeBytes != 60 || f.Missing != 1 {
		t.Errorf("facts: %+v, the newest backup %+v", f, b)
	}
	if len(f.Sizes) != 1 || f.Sizes[0].Plain != 0 || f.NewestRun == nil || f.NewestRun.ID != "r1" || !f.Covered {
		t.Errorf("facts: %+v", f)
	}
	// Its agent says nothing yet of its disk, its certificate and its clock, and
	// nobody is alarmed for that.
	f.Missing = 0
	if j := fleet.Evaluate(f, fleet.DefaultThresholds, now, 10*time.Second); j.Verdict != fleet.VerdictOK {
		t.Errorf("%s: %+v", j.Verdict, j.Reasons)
	}
	olga, err := caller(t, c, fleet.Caller{Kind: fleet.CallerUser, Name: "olga", Identity: "i3"})
	if err != nil || len(olga.Grants) != 1 || !olga.Instances.Whole() || !olga.Grants[0].Instances.Whole() {
		t.Errorf("olga is %+v, %v", olga, err)
	}
	if olga.LastSeenAt.IsZero() {
		t.Error("olga's device counts as new")
	}
	if err := redeem(t, c, "s", fleet.Caller{Kind: fleet.CallerUser, Name: "vera", Identity: fleet.NewID()}, now); err != nil {
		t.Errorf("an open invite: %v", err)
	}
	restores, _, err := c.Restores.List(t.Context(), catalog.RestoreQuery{})
	if err != nil || len(restores) != 1 || restores[0].Spec.TargetDatabase != "copy" {
		t.Errorf("restores: %+v, %v", restores, err)
	}
}
