package backup_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/store/local"
)

// The runbook's own commands make a file that is restored, and open one that was backed up.
func TestStockToolsBothWays(t *testing.T) {
	server := sample(t, "harbour", "harbour2", "harbour3")
	want := server.Value(t, "harbour", fingerprint)
	dir := t.TempDir()
	run := func(script string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "sh", "-ec", script)
		cmd.Env, cmd.Dir = append(server.Environ(), "PATH="+server.Bin+":"+os.Getenv("PATH"), "PASS=secret"), dir
		if output, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", script, err, output)
		}
	}
	config := newConfig(t)
	config.Keys.Passphrases.Current = "secret"

	run("pg_dump harbour | openssl enc -aes-256-cbc -pbkdf2 -pass env:PASS > old.sql.enc")
	if err := backup.New(*config).Restorer.Restore(t.Context(), backup.RestoreRequest{From: local.File(dir + "/old.sql.enc"), Target: "harbour2", RestoreID: "stock"}); err != nil {
		t.Fatal(err)
	}
	if got := server.Value(t, "harbour2", fingerprint); got != want {
		t.Errorf("restored %s, want %s", got, want)
	}

	manifest := backUp(t, config, "harbour")
	path := filepath.Join(folderOf(config).Dir(), "harbour", manifest.Filename)
	server.CreateDatabase(t, "harbour3")
	run("openssl enc -d -aes-256-cbc -pbkdf2 -pass env:PASS -in '" + path + "' -out restore.sql; psql -qX -v ON_ERROR_STOP=1 -o /dev/null -d harbour3 -f restore.sql")
	if got := server.Value(t, "harbour3", fingerprint); got != want {
		t.Errorf("psql restored %s, want %s", got, want)
	}
}

// A file without a manifest is verified as far as it can be.
func TestForeignFiles(t *testing.T) {
	sample(t, "harbour")
	config := newConfig(t)
	config.Keys.Passphrases.Current = "secret"
	manifest := backUp(t, config, "harbour")
	sealed, err := os.ReadFile(filepath.Join(folderOf(config).Dir(), "harbour", manifest.Filename))
	if err != nil {
		t.Fatal(err)
	}
	config.Keys.Passphrases.Current, config.Format = "", postgres.FormatCustom
	config.Store = newConfig(t).Store
	manifest = backUp(t, config, "harbour")
	archive, err := os.ReadFile(filepath.Join(folderOf(config).Dir(), "harbour", manifest.Filename))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name       string
		content    []byte
		passphrase string
		want       error
	}{
		{"sealed, no passphrase", sealed, "", backup.ErrNoPassphrase},
		{"sealed, a wrong passphrase", sealed, "wrong", backup.ErrWrongPassphrase},
		{"sealed and cut by a byte", sealed[:len(sealed)-1], "secret", backup.ErrDamaged},
		{"an archive cut by a byte", archive[:len(archive)-1], "", backup.ErrDamaged},
		{"an archive cut in half", archive[:len(archive)/2], "", backup.ErrDamaged},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(path, test.content, 0o600); err != nil {
				t.Fatal(err)
			}
			config.Keys.Passphrases.Current = test.passphrase
			err := backup.New(*config).Restorer.Restore(t.Context(), backup.RestoreRequest{From: local.File(path), Target: "harbour2", RestoreID: "foreign"})
			if !errors.Is(err, test.want) {
				t.Errorf("error = %v, want %v", err, test.want)
			}
			untouched(t, "harbour2")
		})
	}
}

// The restored database has the encoding and locale of the one that was dumped.
func TestRestoreKeepsEncodingAndLocale(t *testing.T) {
	server := postgrestest.Shared(t)
	config := newConfig(t)
	latin := postgres.Database{Encoding: "LATIN1", Collate: "C", CType: "C", LocaleProvider: "libc"}
	if err := config.Instance.CreateDatabase(t.Context(), "latin", latin); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, name := range []string{"latin", "latin2", "latin3"} {
			server.DropDatabase(t, name)
		}
	})
	server.Exec(t, "latin", "CREATE TABLE t (v text); INSERT INTO t VALUES (chr(233))")
	manifest := backUp(t, config, "latin")
	if err := restore(t.Context(), t, config, manifest.ID, "latin2"); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folderOf(config).Dir(), "latin", manifest.Filename)
	if err := backup.New(*config).Restorer.Restore(t.Context(), backup.RestoreRequest{From: local.File(path), Target: "latin3", RestoreID: "bare"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"latin2", "latin3"} {
		got, err := config.Instance.Database(t.Context(), name)
		if err != nil || got.Encoding != "LATIN1" || got.Collate != "C" {
			t.Errorf("%s = %+v, %v", name, got, err)
		}
		if value := server.Value(t, name, "SELECT ascii(v) FROM t"); value != "233" {
			t.Errorf("%s holds %s", name, value)
		}
	}
}
