package backup_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/seal"
)

func TestInventory(t *testing.T) {
	sample(t, "harbour")
	config := newConfig(t)
	now := start
	config.Now = func() time.Time { return now }
	var ids []string
	for range 3 {
		now = now.Add(time.Hour)
		ids = append(ids, backUp(t, config, "harbour").ID)
	}
	path := func(id string) string {
		stored, err := backup.New(*config).Repository.Find(id)
		if err != nil {
			t.Fatal(err)
		}
		return folderOf(config).Path(stored.Location)
	}
	if err := os.Remove(path(ids[0])); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path(ids[1]), 10); err != nil {
		t.Fatal(err)
	}
	inventory, err := backup.New(*config).Repository.Inventory()
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range []string{backup.StateMissing, backup.StateDamaged, backup.StatePresent} {
		if inventory[n].ID != ids[n] || inventory[n].State != want {
			t.Errorf("backup %d is %s, %s; want %s, %s", n, inventory[n].ID, inventory[n].State, ids[n], want)
		}
	}
	if _, _, err := backup.New(*config).Repository.OpenStored(ids[0]); backup.Failure(err) != backup.FailureNotFound {
		t.Errorf("opening a file that is gone: %v", err)
	}
	file, stored, err := backup.New(*config).Repository.OpenStored(ids[2])
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	content, err := io.ReadAll(backup.From(file, 0))
	if err != nil || sha(content) != stored.SHA256 {
		t.Errorf("the opened file is not the stored one: %v", err)
	}
	if err := backup.New(*config).Repository.Remove(ids[2]); err != nil {
		t.Fatal(err)
	}
	if _, err := backup.New(*config).Repository.Find(ids[2]); !errors.Is(err, backup.ErrNotFound) {
		t.Errorf("finding what was removed: %v", err)
	}
	if err := backup.New(*config).Repository.Remove(ids[2]); !errors.Is(err, backup.ErrNotFound) {
		t.Errorf("removing it again: %v", err)
	}
}

// A manifest that is broken, of a newer version, or not that of its file, is named and hides no other.
func TestManifestsThatAreNot(t *testing.T) {
	sample(t, "harbour")
	tests := []struct{ name, from, to string }{
		{"no JSON", "{", ""},
		{"a newer version", `"version": 1`, `"version": 2`},
		{"no id", `"id": "`, `"no": "`},
		{"another file", `"filename": "`, `"filename": "x`},
		{"a path", `"filename": "`, `"filename": "../harbour/`},
		{"another database", `"database": "harbour"`, `"database": "other"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			config := newConfig(t)
			bad := backUp(t, config, "harbour")
			good := backUp(t, config, "harbour")
			path := filepath.Join(folderOf(config).Dir(), "harbour", bad.Filename+".manifest.json")
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(strings.Replace(string(content), test.from, test.to, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			inventory, err := backup.New(*config).Repository.Inventory()
			if err == nil || !strings.Contains(err.Error(), bad.Filename) {
				t.Errorf("error = %v, want one that names %s", err, bad.Filename)
			}
			if len(inventory) != 1 || inventory[0].ID != good.ID {
				t.Errorf("inventory = %v", inventory)
			}
			if _, err := backup.New(*config).Repository.Find("unknown"); backup.Failure(err) != backup.FailureNotFound {
				t.Errorf("finding another one is %q: %v", backup.Failure(err), err)
			}
		})
	}
}

// loose puts a file in the store's folder as the runbook's script would have, and returns its dump.
func loose(t *testing.T, config *backup.Config, name, command string) {
	t.Helper()
	server := postgrestest.Shared(t)
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", command+" > "+name)
	cmd.Env, cmd.Dir = append(server.Environ(), "PATH="+server.Bin+":"+os.Getenv("PATH"), "PASS=secret", "OLD=older"), folderOf(config).Dir()
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, output)
	}
}

func TestAdopt(t *testing.T) {
	server := sample(t, "harbour", "harbour2")
	config := newConfig(t)
	config.Keys.Passphrases = seal.Passphrases{Current: "secret", Old: []string{"older"}}
	const enc = " | openssl enc -aes-256-cbc -pbkdf2 -pass env:"
	tests := []struct {
		file, command string
		complete      bool
		created       string
	}{
		{"backup-2025-01-15-01-00-00.sql", "pg_dump harbour", true, "2025-01-15T00:00:00Z"},
		{"backup-2025-07-15-01-00-00.sql.enc", "pg_dump harbour" + enc + "PASS", true, "2025-07-14T23:00:00Z"},
		{"backup-2025-07-16-01-00-00.sql.enc", "pg_dump harbour" + enc + "OLD", true, "2025-07-15T23:00:00Z"},
		{"backup-2025-07-17-01-00-00.sql", "pg_dump harbour | head -n -6", false, "2025-07-16T23:00:00Z"},
		{"backup-2025-07-18-01-00-00.sql.enc", "pg_dump harbour | head -n -6" + enc + "PASS", false, "2025-07-17T23:00:00Z"},
		{"backup-2025-07-19-01-00-00.sql.enc", "pg_dump harbour" + enc + "HOME", false, "2025-07-18T23:00:00Z"},
		{"backup-2025-07-20-01-00-00.sql.enc", "pg_dump harbour" + enc + "PASS | head -c 1000", false, "2025-07-19T23:00:00Z"},
		{"backup-2025-07-21-01-00-00.sql", "true", false, "2025-07-20T23:00:00Z"},
	}
	for _, test := range tests {
		loose(t, config, test.file, test.command)
	}
	loose(t, config, "notes.txt", "echo none of ours")
	adopted, err := backup.New(*config).Importer.Import(t.Context(), "harbour")
	if err != nil {
		t.Fatal(err)
	}
	if len(adopted) != len(tests) {
		t.Fatalf("adopted %d files, want %d", len(adopted), len(tests))
	}
	inventory, err := backup.New(*config).Repository.Inventory()
	if err != nil {
		t.Fatal(err)
	}
	for n, test := range tests {
		got := inventory[n]
		content, err := os.ReadFile(filepath.Join(folderOf(config).Dir(), test.file))
		if err != nil {
			t.Fatal(err)
		}
		if got.Filename != test.file || got.Complete != test.complete || got.CreatedAt.Format(time.RFC3339) != test.created ||
			got.Trigger != backup.TriggerImported || got.Database != "harbour" || got.State != backup.StatePresent ||
			got.SHA256 != sha(content) || got.SizeBytes != int64(len(content)) {
			t.Errorf("%s was adopted as %+v", test.file, got)
		}
		if sealed := got.Encryption.Scheme == seal.SchemeOpenSSL; sealed != strings.HasSuffix(test.file, ".enc") {
			t.Errorf("%s: encryption %q", test.file, got.Encryption.Scheme)
		}
		if test.complete {
			if err := restore(t.Context(), t, config, got.ID, "harbour2"); err != nil {
				t.Errorf("%s: %v", test.file, err)
			}
			server.DropDatabase(t, "harbour2")
		}
	}
	if again, err := backup.New(*config).Importer.Import(t.Context(), "harbour"); err != nil || len(again) != 0 {
		t.Errorf("adopted again: %v, %v", again, err)
	}
}

// A file that the old script still writes to is left alone until it is done.
func TestAdoptWaitsForTheWriter(t *testing.T) {
	config := newConfig(t)
	file, err := os.Create(filepath.Join(folderOf(config).Dir(), "backup-2025-01-15-01-00-00.sql"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	fmt.Fprintln(file, "-- PostgreSQL database dump")
	if adopted, err := backup.New(*config).Importer.Import(t.Context(), "harbour"); err != nil || len(adopted) != 0 {
		t.Errorf("adopted %v, %v", adopted, err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if adopted, err := backup.New(*config).Importer.Import(t.Context(), "harbour"); err != nil || len(adopted) != 1 {
		t.Errorf("adopted %v, %v", adopted, err)
	}
}

// What a killed agent leaves is removed by the run's id, and nothing else.
func TestCleanUp(t *testing.T) {
	server := postgrestest.Shared(t)
	config := newConfig(t)
	for _, name := range []string{"pgharbor_restore_dead", "pgharbor_restore_alive"} {
		server.CreateDatabase(t, name)
	}
	for _, want := range []int{1, 0} {
		removed, err := backup.New(*config).Restorer.CleanUp(t.Context(), "dead")
		if err != nil || len(removed) != want {
			t.Errorf("removed %q, %v", removed, err)
		}
	}
	if left := temporaries(t); len(left) != 1 || left[0] != "pgharbor_restore_alive" {
		t.Errorf("left %q", left)
	}
	if _, err := backup.New(*config).Restorer.CleanUp(t.Context(), `x"; --`); err == nil {
		t.Error("an id that is none is taken")
	}

	file, err := config.Store.Create("harbour", "backup-2026-07-01-14-00-00.sql", "dead")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write([]byte("half")); err != nil {
		t.Fatal(err)
	}
	removed, err := config.Store.Sweep()
	if err != nil || len(removed) != 1 || len(files(t, config)) > 0 {
		t.Errorf("removed %q, %v; left %q", removed, err, files(t, config))
	}
}

// The words are on the wire and decide the exit code.
func TestFailure(t *testing.T) {
	tests := map[error]string{
		nil:                          "",
		backup.ErrDamaged:            "integrity",
		backup.ErrIncomplete:         "integrity",
		backup.ErrNoPassphrase:       "passphrase",
		backup.ErrWrongPassphrase:    "passphrase",
		backup.ErrTargetExists:       "exists",
		backup.ErrNotFound:           "not-found",
		postgres.ErrNoDatabase:       "not-found",
		backup.ErrForeign:            "failed",
		errors.New("the disk burns"): "failed",
	}
	for err, want := range tests {
		if err != nil {
			err = fmt.Errorf("restore: %w", err)
		}
		if got := backup.Failure(err); got != want {
			t.Errorf("Failure(%v) = %q, want %q", err, got, want)
		}
	}
}

// A sweep of another process takes what it finds half-made for broken.
func TestAdoptLeavesTheFolderToWhoHasItLocked(t *testing.T) {
	config := newConfig(t)
	if err := os.WriteFile(filepath.Join(folderOf(config).Dir(), "backup-2025-01-15-01-00-00.sql"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	unlock, err := config.Store.Lock("")
	if err != nil {
		t.Fatal(err)
	}
	if adopted, err := backup.New(*config).Importer.Import(t.Context(), "harbour"); err != nil || len(adopted) != 0 {
		t.Errorf("adopted %v, %v", adopted, err)
	}
	unlock()
	if adopted, err := backup.New(*config).Importer.Import(t.Context(), "harbour"); err != nil || len(adopted) != 1 {
		t.Errorf("adopted %v, %v", adopted, err)
	}
}
