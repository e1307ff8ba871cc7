package backup_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/scan"
	"github.com/pgharbor/pgharbor/agent/seal"
	"github.com/pgharbor/pgharbor/agent/store"
	"github.com/pgharbor/pgharbor/agent/store/local"
)

func TestMain(m *testing.M) { postgrestest.Main(m) }

// start is when every test's dump begins: noon in summer, so that a zone shows.
var start = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// newConfig returns a config on the shared server, with a folder of its own, a zone and a clock that stands. The
// environment's last entries win.
func newConfig(t testing.TB, environ ...string) *backup.Config {
	t.Helper()
	settings, err := postgres.SettingsFrom(append(postgrestest.Shared(t).Environ(), environ...))
	if err != nil {
		t.Fatal(err)
	}
	instance, err := postgres.Open(settings, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := instance.Close(); err != nil {
			t.Error(err)
		}
	})
	files, err := local.Open(filepath.Join(t.TempDir(), "backups"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := files.Close(); err != nil {
			t.Error(err)
		}
	})
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return &backup.Config{Instance: instance, Store: files, InstanceName: "test", Location: berlin, Now: func() time.Time { return start }}
}

// sample fills a database that is dropped when the test ends, together with any of the restored names.
func sample(t *testing.T, name string, restored ...string) *postgrestest.Server {
	t.Helper()
	server := postgrestest.Shared(t)
	server.CreateDatabase(t, name)
	server.Exec(t, name, `CREATE TABLE ships (id int PRIMARY KEY, name text, log bytea);
		INSERT INTO ships SELECT g, 'ship ' || g || E' \\ \t ü', decode(md5(g::text), 'hex') FROM generate_series(1, 2000) g;
		CREATE TABLE empty (n int)`)
	t.Cleanup(func() {
		for _, name := range restored {
			server.DropDatabase(t, name)
		}
	})
	return server
}

// fingerprint is the content of a sample as one value.
const fingerprint = "SELECT md5(string_agg(s::text, ',' ORDER BY id)) FROM ships s"

func backUp(t *testing.T, config *backup.Config, database string) backup.Manifest {
	t.Helper()
	manifest, err := backup.New(*config).Dumper.Backup(t.Context(), backup.BackupRequest{RunID: "run", Database: database, Trigger: backup.TriggerManual})
	if err != nil {
		t.Fatal(err)
	}
	return manifest
}

func restore(ctx context.Context, t *testing.T, config *backup.Config, id, target string) error {
	t.Helper()
	stored, err := backup.New(*config).Repository.Find(id)
	if err != nil {
		t.Fatal(err)
	}
	return backup.New(*config).Restorer.Restore(ctx, backup.RestoreRequest{
		From: local.File(folderOf(config).Path(stored.Location)), Manifest: &stored.Manifest, Target: target, RestoreID: "restore-" + id,
	})
}

// files are the names in the store's folder, without the locks.
func files(t *testing.T, config *backup.Config) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(folderOf(config).Dir(), func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && !strings.HasSuffix(path, "lock") {
			names = append(names, filepath.Base(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

// temporaries are the databases that a restore left.
func temporaries(t *testing.T) []string {
	t.Helper()
	return slices.DeleteFunc(postgrestest.Shared(t).Databases(t), func(name string) bool {
		return !strings.HasPrefix(name, "pgharbor_restore_")
	})
}

func TestRoundTrip(t *testing.T) {
	tests := []struct {
		format, compression, passphrase, file string
	}{
		{"plain", "none", "", "backup-2026-07-01-14-00-00.sql"},
		{"plain", "none", "secret", "backup-2026-07-01-14-00-00.sql.enc"},
		{"plain", "zstd", "", "backup-2026-07-01-14-00-00.sql.zst"},
		{"plain", "zstd", "secret", "backup-2026-07-01-14-00-00.sql.zst.enc"},
		{"custom", "none", "secret", "backup-2026-07-01-14-00-00.dump.enc"},
		{"custom", "zstd", "secret", "backup-2026-07-01-14-00-00.dump.zst.enc"},
	}
	server := sample(t, "harbour", "harbour2")
	want := server.Value(t, "harbour", fingerprint)
	for _, test := range tests {
		t.Run(test.file, func(t *testing.T) {
			config := newConfig(t)
			config.Format, config.Compression, config.Keys.Passphrases = test.format, test.compression, seal.Passphrases{Current: test.passphrase}
			manifest := backUp(t, config, "harbour")
			if diff := cmp.Diff([]string{test.file, test.file + ".globals", test.file + ".manifest.json"}, files(t, config)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			tables := []scan.TableRows{{Schema: "public", Name: "empty"}, {Schema: "public", Name: "ships", Rows: 2000}}
			if diff := cmp.Diff(tables, manifest.Tables); diff != "" {
				t.Errorf("tables (-want +got):\n%s", diff)
			}
			if err := restore(t.Context(), t, config, manifest.ID, "harbour2"); err != nil {
				t.Fatal(err)
			}
			if got := server.Value(t, "harbour2", fingerprint); got != want {
				t.Errorf("restored content %s, want %s", got, want)
			}
			if got := server.Value(t, "harbour2", "SELECT reltuples FROM pg_class WHERE relname = 'ships'"); got != "2000" {
				t.Errorf("the restored database was not analysed: %s rows", got)
			}
			server.DropDatabase(t, "harbour2")
		})
	}
}

// The manifest in the file is the one that Backup returned, and says what it should.
func TestManifest(t *testing.T) {
	sample(t, "harbour")
	config := newConfig(t)
	config.Keys.Passphrases.Current = "secret"
	manifest := backUp(t, config, "harbour")
	path := filepath.Join(folderOf(config).Dir(), "harbour", manifest.Filename)
	stored, err := os.ReadFile(store.ManifestName(path))
	if err != nil {
		t.Fatal(err)
	}
	read, err := backup.ParseManifest(stored)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(manifest, read); diff != "" {
		t.Errorf("stored manifest (-returned +stored):\n%s", diff)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if manifest.SizeBytes != int64(len(content)) || manifest.SHA256 != sha(content) {
		t.Errorf("size and hash are not the file's: %d, %s", manifest.SizeBytes, manifest.SHA256)
	}
	if manifest.ServerVersion == "" || manifest.PgDumpVersion == "" || manifest.Encoding != "UTF8" || manifest.Collation == "" ||
		!manifest.Complete || !manifest.CreatedAt.Equal(start) || manifest.RunID != "run" || len(manifest.ID) != 16 {
		t.Errorf("manifest = %+v", manifest)
	}
	var fields map[string]any
	text, err := os.ReadFile(path + ".manifest.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"version", "id", "instance", "database", "filename", "size_bytes", "sha256", "plain_size_bytes", "plain_sha256", "tables"} {
		if _, ok := fields[field]; !ok {
			t.Errorf("the stored manifest has no %q", field)
		}
	}
	if strings.Contains(string(text), "secret") {
		t.Error("the manifest holds the passphrase")
	}
}
func sha(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// folderOf is the folder in which a config keeps its backups.
func folderOf(e *backup.Config) *local.Store { return e.Store.(*local.Store) }
