package backup_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/store/local"
)

const endOfDump = "--\n-- PostgreSQL database dump complete\n--\n\n"

// replace restores a stored backup over a database and returns what replaced what.
func replace(t *testing.T, config *backup.Config, manifest backup.Manifest, target string) (backup.Replacement, error) {
	t.Helper()
	var replaced backup.Replacement
	err := backup.New(*config).Restorer.Restore(t.Context(), backup.RestoreRequest{
		From: local.File(filepath.Join(folderOf(config).Dir(), manifest.Database, manifest.Filename)), Manifest: &manifest, Target: target, Replace: true,
		RestoreID:  "replacing",
		BeforeSwap: func(r backup.Replacement) error { replaced = r; return nil },
	})
	return replaced, err
}

// Whatever goes wrong before the exchange, the database in service is the one from before, under its name, and nothing
// stays beside it.
func TestReplaceThatFailsLeavesTheOldOne(t *testing.T) {
	server := postgrestest.Shared(t)
	server.CreateDatabase(t, "harbour")
	server.Exec(t, "harbour", "CREATE TABLE old (n int); INSERT INTO old VALUES (42)")
	noted := errors.New("the state folder is full")
	tests := []struct {
		name, sql  string
		beforeSwap error
		want       error
		text       string
	}{
		{"an error in the dump", "CREATE TABLE t (n int);\nSELECT 1/0;\n", nil, nil, "division_by_zero (SQLSTATE 22012)"},
		{"rows that got lost", "CREATE TABLE t (n int);\nCREATE FUNCTION drop_row() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';\n" +
			"CREATE TRIGGER lose BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION drop_row();\n" +
			"ALTER TABLE t ENABLE ALWAYS TRIGGER lose;\nCOPY t (n) FROM stdin;\n1\n2\n\\.\n", nil, backup.ErrRowsDiffer, "has 0 rows, and the backup 2"},
		{"rows that are too many", "CREATE TABLE t (n int);\nCOPY t (n) FROM stdin;\n1\n\\.\nINSERT INTO t VALUES (2);\n", nil, backup.ErrRowsDiffer, "has 2 rows, and the backup 1"},
		{"what can't be noted", "CREATE TABLE t (n int);\n", noted, noted, ""},
		{"a role that is missing", "CREATE TABLE t (n int);\nALTER TABLE t OWNER TO nobody_here;\n", nil, nil, "roles: the server does not have the roles nobody_here"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "backup.sql")
			if err := os.WriteFile(path, []byte(test.sql+endOfDump), 0o600); err != nil {
				t.Fatal(err)
			}
			err := backup.New(*newConfig(t)).Restorer.Restore(t.Context(), backup.RestoreRequest{
				From: local.File(path), Target: "harbour", Replace: true, RestoreID: "bad", TrustContent: true,
				BeforeSwap: func(backup.Replacement) error { return test.beforeSwap },
			})
			if err == nil || !strings.Contains(err.Error(), test.text) || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("error = %v, want %v %q", err, test.want, test.text)
			}
			inPlace(t, server, "harbour")
		})
	}
}

// inPlace wants the old database to be in service, and nothing beside it.
func inPlace(t *testing.T, server *postgrestest.Server, name string) {
	t.Helper()
	if got := server.Value(t, name, "SELECT n FROM old"); got != "42" {
		t.Errorf("%s holds %q", name, got)
	}
	for _, other := range server.Databases(t) {
		if strings.HasPrefix(other, "pgharbor_restore_") || strings.Contains(other, "_before_") {
			t.Errorf("%q was left", other)
		}
	}
}

// A disk that is full ends the restore, not the database in service. The limit of the server's files stands for the disk:
// the server gets an error from its write, and no power over it.
func TestReplaceOnAFullDisk(t *testing.T) {
	large := postgrestest.Shared(t)
	large.CreateDatabase(t, "harbour")
	large.Exec(t, "harbour", "CREATE TABLE filler AS SELECT repeat(md5(g::text), 30) FROM generate_series(1, 40000) g")
	stored := newConfig(t)
	manifest := backUp(t, stored, "harbour")
	server := postgrestest.Start(t, postgrestest.WithFileLimit(17<<20))
	server.Exec(t, "postgres", "CREATE DATABASE harbour")
	server.Exec(t, "harbour", "CREATE TABLE old (n int); INSERT INTO old VALUES (42)")
	config := newConfig(t, server.Environ()...)
	config.Store = stored.Store
	_, err := replace(t, config, manifest, "harbour")
	if err == nil || !strings.Contains(postgres.Words(err), "could not extend file") {
		t.Errorf("error = %v", err)
	}
	inPlace(t, server, "harbour")
}

// Applications that reconnect as fast as they can are put out, kept out for the moment of the exchange, and see the new
// database then; the configured database may be the one that is replaced.
func TestReplaceUnderFire(t *testing.T) {
	server := sample(t, "harbour")
	config := newConfig(t, "PGDATABASE=harbour")
	manifest := backUp(t, config, "harbour")
	want := server.Value(t, "harbour", fingerprint)
	server.Exec(t, "harbour", "UPDATE ships SET name = 'sunk'")

	ctx, stop := context.WithCancel(t.Context())
	var applications sync.WaitGroup
	var sessions atomic.Int64
	for range 8 {
		applications.Go(func() {
			for ctx.Err() == nil {
				conn, err := pgx.Connect(ctx, server.URL("harbour"))
				if err != nil {
					continue // put out, and back at once
				}
				sessions.Add(1)
				for err == nil {
					_, err = conn.Exec(ctx, "SELECT count(*) FROM ships")
				}
				_ = conn.Close(context.WithoutCancel(ctx))
			}
		})
	}
	for sessions.Load() < 8 && t.Context().Err() == nil {
		server.Value(t, "postgres", "SELECT 1")
	}
	replaced, err := replace(t, config, manifest, "harbour")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.DropDatabase(t, replaced.OldName); server.DropDatabase(t, replaced.NewName) })
	if err := backup.New(*config).Swapper.Undo(t.Context(), replaced); err != nil {
		t.Errorf("undo: %v", err)
	}
	stop()
	applications.Wait()
	if got := server.Value(t, "harbour", "SELECT DISTINCT name FROM ships"); got != "sunk" {
		t.Errorf("after the undo there is %q", got)
	}
	if got := server.Value(t, replaced.NewName, fingerprint); got != want {
		t.Errorf("kept is %s, want %s", got, want)
	}
	if err := backup.New(*config).Swapper.Undo(t.Context(), replaced); err != nil {
		t.Errorf("an undo of what is in place: %v", err)
	}
}

// What a database has beside its content stays with its name, its tablespace too.
func TestReplaceKeepsWhatTheNameHas(t *testing.T) {
	server := sample(t, "harbour")
	server.Exec(t, "postgres", "CREATE ROLE keeper; CREATE ROLE guest")
	t.Cleanup(func() { server.Exec(t, "postgres", "DROP ROLE keeper, guest") })
	config := newConfig(t)
	manifest := backUp(t, config, "harbour")
	for _, sql := range []string{
		"ALTER SYSTEM SET allow_in_place_tablespaces = on", "SELECT pg_reload_conf()", "CREATE TABLESPACE fast LOCATION ''",
		"ALTER DATABASE harbour SET TABLESPACE fast", "ALTER DATABASE harbour OWNER TO keeper", "ALTER DATABASE harbour CONNECTION LIMIT 7",
		"ALTER DATABASE harbour SET work_mem = '7MB'", "ALTER ROLE guest IN DATABASE harbour SET search_path = 'a b', public",
		"GRANT CREATE ON DATABASE harbour TO guest WITH GRANT OPTION", "REVOKE CONNECT ON DATABASE harbour FROM PUBLIC",
		"COMMENT ON DATABASE harbour IS 'it''s \\ ours'",
	} {
		server.Exec(t, "postgres", sql)
	}
	t.Cleanup(func() { server.Exec(t, "postgres", "DROP TABLESPACE IF EXISTS fast") })
	const has = `SELECT d.oid <> 0, pg_get_userbyid(datdba), datconnlimit, datacl, spcname, shobj_description(d.oid, 'pg_database'),
		(SELECT string_agg(setrole::regrole || ' ' || setconfig::text, ';' ORDER BY setrole) FROM pg_db_role_setting WHERE setdatabase = d.oid)
		FROM pg_database d JOIN pg_tablespace s ON s.oid = dattablespace WHERE datname = 'harbour'`
	before := strings.Join(server.Query(t, "postgres", has)[0], "|")
	replaced, err := replace(t, config, manifest, "harbour")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.DropDatabase(t, replaced.OldName); server.DropDatabase(t, "harbour") })
	if after := strings.Join(server.Query(t, "postgres", has)[0], "|"); after != before {
		t.Errorf("before: %s\nafter:  %s", before, after)
	}
}

// Names at PostgreSQL's limit, of any script, are kept within it and stay UTF-8.
func TestReplaceOfALongName(t *testing.T) {
	name := strings.Repeat("船", postgres.MaxName/3)
	server := sample(t, name)
	config := newConfig(t)
	replaced, err := replace(t, config, backUp(t, config, name), name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.DropDatabase(t, replaced.OldName); server.DropDatabase(t, replaced.NewName) })
	for _, kept := range []string{replaced.OldName, replaced.NewName} {
		if len(kept) > postgres.MaxName || !utf8.ValidString(kept) || !strings.HasPrefix(kept, "船") || !strings.HasSuffix(kept, "_replacing") {
			t.Errorf("kept as %q, of %d bytes", kept, len(kept))
		}
	}
	if err := backup.New(*config).Swapper.Undo(t.Context(), replaced); err != nil {
		t.Error(err)
	}
}

// Transactions that wait for their second phase are in the way of a rename; the look ahead says so before a byte moves.
func TestReplaceWithPreparedTransactions(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.WithSetting("max_prepared_transactions", "2"))
	server.Exec(t, "postgres", "CREATE DATABASE harbour")
	server.Exec(t, "harbour", "CREATE TABLE old (n int); INSERT INTO old VALUES (42)")
	config := newConfig(t, server.Environ()...)
	manifest := backUp(t, config, "harbour")
	server.Exec(t, "harbour", "BEGIN; INSERT INTO old VALUES (43); PREPARE TRANSACTION 'half'")
	_, err := replace(t, config, manifest, "harbour")
	if failed := backup.FailedChecks(err); len(failed) != 1 || failed[0].Name != "target" || !strings.Contains(failed[0].Remedy, "ROLLBACK PREPARED") {
		t.Errorf("error = %v", err)
	}
	server.Exec(t, "harbour", "ROLLBACK PREPARED 'half'")
	inPlace(t, server, "harbour")
}
