package catalog_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/internal/subject"
)

// ofKind is a backup of a database that is no dump.
func ofKind(kind string, at time.Time) fleet.Backup {
	b := aBackup("db1", at)
	b.Kind = kind
	return b
}

func TestKindSubjectAndWhatABackupDependsOnAreKept(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerAgent, "db1", "")
	base := ofKind("base", now)
	base.Subject, base.Database = "instance", ""
	next := ofKind("base", now)
	next.Manifest.DependsOn = []string{base.ID}
	old := aBackup("db1", now) // as an agent tells it that knows neither
	old.Kind, old.Subject = "", ""
	nameless := old
	nameless.ID, nameless.Database = fleet.NewID(), ""
	inventory(t, c, base, next, old, nameless)
	old.Kind, old.Subject, nameless.Kind = "logical", "database", "logical"
	for _, want := range []fleet.Backup{base, next, old, nameless} {
		if diff := cmp.Diff(want, backupOf(t, c, want.ID)); diff != "" {
			t.Error(diff)
		}
	}
	listed, _, err := c.Backups.List(t.Context(), catalog.BackupQuery{Database: "shop"})
	if err != nil || len(listed) != 2 {
		t.Errorf("of the database there are %d, %v", len(listed), err)
	}
}

func TestADatabaseIsEvaluatedByItsDumpsAlone(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerAgent, "db1", "")
	dumps := []fleet.Backup{aBackup("db1", now.Add(-3*time.Hour)), aBackup("db1", now.Add(-2*time.Hour))}
	other := []fleet.Backup{ofKind("base", now.Add(-150*time.Minute)), ofKind("base", now.Add(-time.Hour))}
	for n := range other {
		other[n].SizeBytes = 9000
		other[n].TestRestore = fleet.TestRestore{State: fleet.TestRestoreFailed, FinishedAt: now}
	}
	dumps[0].TestRestore = fleet.TestRestore{State: fleet.TestRestoreSucceeded, FinishedAt: now.Add(-time.Minute), RestoreTook: time.Second}
	inventory(t, c, append(dumps, other...)...)
	facts := factsOf(t, c)["db1/shop"]
	if b := facts.NewestBackup; b == nil || b.ID != dumps[1].ID {
		t.Errorf("the newest dump is %+v", b)
	}
	if len(facts.Sizes) != 1 || facts.Sizes[0].Stored != 10 {
		t.Errorf("the sizes before are %+v", facts.Sizes)
	}
	if facts.TestRestored == nil || facts.TestRestored.ID != dumps[0].ID || facts.RestoreTakes != time.Second {
		t.Errorf("the newest test restore is of %+v and took %s", facts.TestRestored, facts.RestoreTakes)
	}
}

func TestABackupOfTheWholeInstanceMakesNoDatabase(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerAgent, "db1", "")
	whole := ofKind("base", now)
	whole.Subject, whole.Database = "instance", ""
	inventory(t, c, aBackup("db1", now), whole)
	var names []string
	for name := range factsOf(t, c) {
		names = append(names, name)
	}
	if diff := cmp.Diff([]string{"db1/shop"}, names); diff != "" {
		t.Error(diff)
	}
}

func TestEachSeriesIsWitnessedByItsOwnChain(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerAgent, "db1", "")
	inChain := func(b fleet.Backup, sequence int64) fleet.Backup {
		b.Manifest.Sequence, b.Manifest.SignedBy = sequence, "key"
		return b
	}
	inventory(t, c, inChain(aBackup("db1", now), 1), inChain(aBackup("db1", now), 2), inChain(ofKind("base", now), 1))
	first, again, rolledBack := inChain(ofKind("base", now), 2), inChain(ofKind("base", now), 1), inChain(aBackup("db1", now), 2)
	whole := inChain(ofKind("base", now), 1)
	whole.Subject, whole.Database = "instance", ""
	old := inChain(aBackup("db1", now), 1) // by an agent that knows no kinds
	old.Kind, old.Subject = "", ""
	suspects, err := c.Backups.Witness(t.Context(), "db1", []fleet.Backup{first, again, rolledBack, whole, old})
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]fleet.Backup{"the next of its kind": first, "the first of the whole instance": whole} {
		if why := suspects[b.ID]; why != "" {
			t.Errorf("%s is suspect: %s", name, why)
		}
	}
	for name, b := range map[string]fleet.Backup{"one that was": again, "a dump that was": rolledBack, "a dump that was, of an old agent": old} {
		if suspects[b.ID] == "" {
			t.Errorf("%s is not suspect", name)
		}
	}
}

func TestBackupsOfBeforeKindsAreDumps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	db := raw(t, path)
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, os.DirFS("migrations"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), 18); err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec(`
		INSERT INTO agents (name, created_at, enrolled_at, last_seen_at, version, status, inventory_digest) VALUES ('db1', 1000, 2000, ?1, '0.1', '{}', 'd1');
		INSERT INTO backups (id, instance, database, state, created_at, complete, size_bytes, retention_status, retention_expires, manifest) VALUES
			('b1', 'db1', 'shop', 'present', ?1, 1, 70, 'kept', ?1, '{"filename":"backup-1.sql.enc"}'),
			('b2', 'db1', '', 'present', ?1, 1, 71, 'kept', ?1, '{"filename":"backup-2.sql"}')`, now.UnixMicro())
	if err != nil {
		t.Fatal(err)
	}
	c, err := catalog.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	for id, want := range map[string]subject.Series{"b1": subject.LogicalOf("shop"), "b2": subject.LogicalOf("")} {
		if b := backupOf(t, c, id); b.Series() != want || b.Kind != "logical" {
			t.Errorf("%s is of %s, kind %q", id, b.Series(), b.Kind)
		}
	}
}
