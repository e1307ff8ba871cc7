package catalog_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// now has microseconds, as the catalog keeps them.
var now = time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)

// open returns an empty catalog and its file.
func open(t *testing.T) (*catalog.Catalog, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "catalog.db")
	c, err := catalog.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, path
}

// raw opens the file behind the catalog's back.
func raw(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func invite(t *testing.T, c *catalog.Catalog, kind fleet.CallerKind, name string, role fleet.Role) fleet.Invite {
	t.Helper()
	i := fleet.Invite{
		SecretHash: fleet.NewID(), Kind: kind, Name: name, Role: role, CreatedBy: "host", CreatedAt: now, ExpiresAt: now.Add(time.Hour),
	}
	if err := c.Invites.Create(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	return i
}

// enrol makes somebody who has redeemed an invite.
func enrol(t *testing.T, c *catalog.Catalog, kind fleet.CallerKind, name string, role fleet.Role) fleet.Caller {
	t.Helper()
	caller := fleet.Caller{Kind: kind, Name: name, Identity: fleet.NewID()}
	if err := redeem(t, c, invite(t, c, kind, name, role).SecretHash, caller, now); err != nil {
		t.Fatal(err)
	}
	return caller
}

func aRun(instance string, at time.Time) fleet.Run {
	return fleet.Run{
		ID: fleet.NewID(), Instance: instance, Database: "shop", Trigger: "schedule", State: fleet.RunSucceeded, StartedAt: at, FinishedAt: at.Add(time.Second),
	}
}

func aBackup(instance string, at time.Time) fleet.Backup {
	return fleet.Backup{
		ID: fleet.NewID(), Instance: instance, Kind: "logical", Subject: "database", Database: "shop", State: fleet.BackupPresent, CreatedAt: at, Complete: true, SizeBytes: 10,
	}
}

func record(t *testing.T, c *catalog.Catalog, r fleet.Run, b *fleet.Backup) {
	t.Helper()
	if err := c.Runs.Record(t.Context(), r, b); err != nil {
		t.Fatal(err)
	}
}

func TestOpenMakesTheSchemaOnceAndForItsOwnerAlone(t *testing.T) {
	c, path := open(t)
	if err := c.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.SetSetting(t.Context(), "key", "kept"); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	again, err := catalog.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got, err := again.Setting(t.Context(), "key"); err != nil || got != "kept" {
		t.Errorf("after it was opened again: %q, %v", got, err)
	}
	if _, err := again.Setting(t.Context(), "other"); !errors.Is(err, fleet.ErrNotFound) {
		t.Errorf("a setting that is not there: %v", err)
	}
}

// The path is a path and not a URL.
func TestOpenInAFolderOfAnyName(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b?mode=memory#%41&_pragma=x")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "catalog.db")
	c, err := catalog.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		t.Errorf("the catalog is elsewhere: %v, %v", info, err)
	}
}

func TestOpenRefusesWhatIsNoCatalog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	if err := os.WriteFile(path, []byte("this is no database, although it is long enough to be one of some kind"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := catalog.Open(t.Context(), path); err == nil {
		_ = c.Close()
		t.Error("it was opened")
	}
}

// SQLite has one writer; the others wait for it and do not fail.
func TestManyWritersAtOnce(t *testing.T) {
	const writers, each = 8, 10
	c, path := open(t)
	other, err := catalog.Open(t.Context(), path) // another process would be no different
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	enrol(t, c, fleet.CallerAgent, "db1", "")
	var wg sync.WaitGroup
	for i := range writers {
		catalogs := []*catalog.Catalog{c, other}
		wg.Go(func() {
			for range each {
				b := aBackup("db1", now)
				if err := catalogs[i%2].Runs.Record(t.Context(), aRun("db1", now), &b); err != nil {
					t.Errorf("writing: %v", err)
				}
				if _, err := c.AuditLog.Append(t.Context(), chain.Entry{At: now, Action: "test"}); err != nil {
					t.Errorf("the audit log: %v", err)
				}
				if _, err := c.Facts(t.Context(), now); err != nil {
					t.Errorf("reading: %v", err)
				}
			}
		})
	}
	wg.Wait()
	runs, _, err := c.Runs.List(t.Context(), catalog.RunQuery{Page: catalog.Page{Size: 1000}})
	if err != nil || len(runs) != writers*each {
		t.Errorf("%d runs, %v", len(runs), err)
	}
	verifyAuditLog(t, c, writers*each)
}

func TestTimesSurviveARoundTrip(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerAgent, "db1", "")
	zone := time.FixedZone("UTC+5:30", 19800)
	for _, at := range []time.Time{
		now, now.In(zone), time.Date(1969, 12, 31, 23, 59, 59, 999999000, time.UTC), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		b := aBackup("db1", at)
		b.Retention.ExpiresAt = at
		b.Manifest.StartedAt = at.UTC()
		record(t, c, aRun("db1", at), &b)
		got, err := c.Backups.Get(t.Context(), b.ID)
		if err != nil {
			t.Fatal(err)
		}
		if !got.CreatedAt.Equal(at) || got.CreatedAt.Location() != time.UTC || !got.Retention.ExpiresAt.Equal(at) || !got.Manifest.StartedAt.Equal(at) {
			t.Errorf("%s became %+v", at, got)
		}
		if !got.RemovedAt.IsZero() {
			t.Errorf("what was not removed was removed at %s", got.RemovedAt)
		}
	}
}

func TestBackupSurvivesARoundTrip(t *testing.T) {
	c, _ := open(t)
	enrol(t, c, fleet.CallerAgent, "db1", "")
	b := fleet.Backup{
		ID: fleet.NewID(), Instance: "db1", Kind: "logical", Subject: "database", Database: "a \"b\"\n' -- ; ä", State: fleet.BackupPresent, CreatedAt: now, Complete: true, SizeBytes: 1 << 50,
		Retention: fleet.Retention{Status: "kept", ExpiresAt: now.Add(time.Hour), Reason: "young"},
		Manifest: fleet.Manifest{
			Filename: "backup-1.sql.zst.enc", SHA256: "00", Encrypted: true, Format: "plain", Compression: "zstd", Encryption: "e", PlainSizeBytes: 1 << 51,
			PlainSHA256: "11", RunID: "r", Trigger: "schedule", ServerVersion: "15.18", DumpVersion: "15.18", Encoding: "UTF8", Collation: "C", CType: "C",
			StartedAt: now, Warnings: []string{"w"}, Tables: []fleet.TableRows{{Schema: "s", Name: "n", Rows: 1 << 40}},
		},
	}
	record(t, c, aRun("db1", now), &b)
	got, err := c.Backups.Get(t.Context(), b.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b, got); diff != "" {
		t.Error(diff)
	}
	listed, _, err := c.Backups.List(t.Context(), catalog.BackupQuery{Database: b.Database})
	if err != nil || len(listed) != 1 {
		t.Errorf("by its database's name: %d, %v", len(listed), err)
	}
}
