package job

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/retention"
	"github.com/pgharbor/pgharbor/agent/seal"
	"github.com/pgharbor/pgharbor/agent/signing"
	"github.com/pgharbor/pgharbor/agent/state"
	"github.com/pgharbor/pgharbor/agent/store"
	"github.com/pgharbor/pgharbor/agent/store/local"
)

// newRunner is a runner on the shared server with folders of its own.
func newRunner(t *testing.T, change func(*Config)) *Runner {
	t.Helper()
	instance := instanceOf(t, postgrestest.Shared(t))
	return newOffline(t, func(c *Config) {
		c.Host.Instance = instance
		if change != nil {
			change(c)
		}
	})
}

// newOffline is a runner with folders of its own, and no server.
func newOffline(t *testing.T, change func(*Config)) *Runner {
	t.Helper()
	backups, err := local.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	clock, err := retention.OpenClockGuard(filepath.Join(t.TempDir(), "clock.json"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { backups.Close() })
	config := Config{
		Host:  backup.Config{Store: backups, InstanceName: "shop-db", Now: time.Now},
		State: openState(t, t.TempDir()), Log: slog.New(slog.DiscardHandler), Now: time.Now, Clock: clock,
		DefaultDatabase: "postgres", Plan: Plan{Concurrency: 1, Retention: retention.Policy{Days: 30, KeepLast: 2}},
	}
	config.Host.Signer = signing.Open(config.State.Dir())
	if err := backup.New(config.Host).Repository.BeginSigning(); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&config)
	}
	config.Backups = backup.New(config.Host)
	return New(config)
}

func instanceOf(t *testing.T, server *postgrestest.Server) *postgres.Instance {
	t.Helper()
	settings, err := postgres.SettingsFrom(server.Environ())
	if err != nil {
		t.Fatal(err)
	}
	instance, err := postgres.Open(settings, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { instance.Close() })
	return instance
}

// entries reads the whole journal.
func entries(t *testing.T, folder *state.Folder) []state.Entry {
	t.Helper()
	var all []state.Entry
	for _, id := range pending(t, folder.Journal) {
		entry, err := folder.Journal.Read(id)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, entry)
	}
	return all
}

// storeBackup puts a backup of a given time in the store. Its content is its id.
func storeBackup(t *testing.T, r *Runner, database, id, runID string, created time.Time, dependsOn ...string) store.Location {
	t.Helper()
	file, err := r.Host.Store.Create(database, "backup-"+created.UTC().Format("2006-01-02-15-04-05")+".sql", runID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write([]byte(id)); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(id))
	hash := hex.EncodeToString(sum[:])
	loc, err := file.Commit(func(loc store.Location) ([]byte, error) {
		return json.Marshal(backup.Manifest{
			// Not signed, and so none of those that this instance's agent made since it signs.
			Version: backup.ManifestVersion, ID: id, RunID: runID, Instance: "old-name", Database: database, Filename: loc.File,
			Format: postgres.FormatPlain, Compression: backup.CompressionNone, Encryption: backup.Encryption{Scheme: seal.SchemeNone},
			SizeBytes: int64(len(id)), SHA256: hash, PlainSizeBytes: int64(len(id)), PlainSHA256: hash,
			CreatedAt: created.UTC(), StartedAt: created.UTC(), FinishedAt: created.UTC(), Trigger: backup.TriggerSchedule, Complete: true, DependsOn: dependsOn,
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func backupID(n int) string { return fmt.Sprintf("backup%010d", n) }

// lockTable keeps every dump of the database waiting, until release.
func lockTable(t *testing.T, database, table string) (release func()) {
	t.Helper()
	// Not t.Context(), which has ended when a Cleanup runs.
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, postgrestest.Shared(t).URL(database))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(ctx, "BEGIN; LOCK TABLE "+pgx.Identifier{table}.Sanitize()); err != nil {
		t.Fatal(err)
	}
	release = func() { conn.Close(ctx) }
	t.Cleanup(release)
	return release
}

// awaitDumps waits until the server has n dumps waiting for a lock.
func awaitDumps(t *testing.T, n int) {
	t.Helper()
	server, deadline := postgrestest.Shared(t), time.Now().Add(30*time.Second)
	for {
		waiting := server.Value(t, "postgres", `SELECT count(*) FROM pg_stat_activity
			WHERE application_name = 'pg_dump' AND wait_event_type = 'Lock'`)
		if waiting == fmt.Sprint(n) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s dumps wait for a lock, not %d", waiting, n)
		}
	}
}

func openState(t *testing.T, dir string) *state.Folder {
	t.Helper()
	folder, err := state.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

func pending(t *testing.T, j *state.Journal) []string {
	t.Helper()
	ids, err := j.Pending()
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// resultOf is the news that a job has succeeded.
func resultOf(job string) state.Entry {
	return state.ResultEntry(state.Result{JobID: job, State: state.StateSucceeded, FinishedAt: time.Unix(1, 0).UTC()})
}

// takeTurn is somebody who does what the turns are of, until done.
func takeTurn(t *testing.T, turns *turns) (done func()) {
	t.Helper()
	done, err := turns.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// inUse is how many turns are taken.
func (t *turns) inUse() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.taken
}

// folderOf is the folder in which an engine keeps its backups.
func folderOf(host backup.Config) *local.Store { return host.Store.(*local.Store) }
