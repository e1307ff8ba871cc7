package backup_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/store/local"
)

// kind is a query for one kind of object.
type kind struct{ name, sql string }

// kinds are those of testdata/kinds.sql.
func kinds(t *testing.T) []kind {
	t.Helper()
	text, err := os.ReadFile("testdata/kinds.sql")
	if err != nil {
		t.Fatal(err)
	}
	var all []kind
	for _, part := range strings.Split(string(text), "\n-- kind: ")[1:] {
		name, sql, _ := strings.Cut(part, "\n")
		all = append(all, kind{name, sql})
	}
	return all
}

// everything starts a server with a database that has everything.
func everything(t *testing.T) *postgrestest.Server {
	t.Helper()
	server := postgrestest.Start(t, postgrestest.WithSetting("wal_level", "logical"), postgrestest.WithSetting("allow_in_place_tablespaces", "on"))
	server.Exec(t, "postgres", "CREATE ROLE keeper; CREATE ROLE clerk; CREATE ROLE guest")
	server.Exec(t, "postgres", "CREATE TABLESPACE shelf LOCATION ''")
	server.Exec(t, "postgres", "CREATE DATABASE everything")
	sql, err := os.ReadFile("testdata/everything.sql")
	if err != nil {
		t.Fatal(err)
	}
	load := exec.CommandContext(t.Context(), filepath.Join(server.Bin, "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", server.URL("everything"))
	load.Stdin = strings.NewReader(string(sql))
	if output, err := load.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return server
}

// census is what a database has of each kind, a line an object.
func census(t *testing.T, server *postgrestest.Server, database string) map[string][]string {
	t.Helper()
	const own = `SET client_min_messages = error; SET search_path = ''; SET session_replication_role = replica;
		CREATE TEMPORARY VIEW own AS SELECT oid FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema';
		SET search_path = pg_temp; SET search_path = '';`
	all := map[string][]string{}
	for _, k := range kinds(t) {
		for _, row := range server.Query(t, database, own+strings.ReplaceAll(k.sql, "JOIN own ", "JOIN pg_temp.own ")) {
			all[k.name] = append(all[k.name], strings.Join(row, " | "))
		}
		slices.Sort(all[k.name])
	}
	return all
}

// contents is a hash of all rows of each relation that has some, the state of sequences among them.
func contents(t *testing.T, server *postgrestest.Server, database string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, row := range server.Query(t, database, `SET search_path = ''; SELECT c.oid::regclass, relkind FROM pg_class c
		WHERE relkind IN ('r', 'm', 'S') AND relnamespace::regnamespace::text !~ '^(pg_|information_schema)' AND (relkind <> 'm' OR relispopulated)`) {
		columns := "t::text"
		if row[1] == "S" {
			columns = "last_value || ' ' || is_called"
		}
		all[row[0]] = server.Value(t, database, fmt.Sprintf("SET search_path = ''; SELECT count(*) || ' ' || md5(coalesce(string_agg(line, E'\\n' ORDER BY line), '')) FROM (SELECT %s AS line FROM ONLY %s t) x", columns, row[0]))
	}
	return all
}

// dumpText is what pg_dump writes of a database, without what differs each time.
func dumpText(t *testing.T, server *postgrestest.Server, database string) []string {
	t.Helper()
	dump := exec.CommandContext(t.Context(), filepath.Join(server.Bin, "pg_dump"), "-d", server.URL(database))
	text, err := dump.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(regexp.MustCompile(`(?m)^\\(un)?restrict .*$`).ReplaceAllString(string(text), ""), "\n")
}

// Everything comes back, whatever the format: 90 kinds of object, all rows, and what pg_dump says of it all.
func TestEverythingComesBack(t *testing.T) {
	server := everything(t)
	before, rows, text := census(t, server, "everything"), contents(t, server, "everything"), dumpText(t, server, "everything")
	for _, k := range kinds(t) {
		if len(before[k.name]) == 0 {
			t.Errorf("of %s there are none to compare", k.name)
		}
	}
	if len(before) < 50 || len(rows) < 30 {
		t.Errorf("%d kinds and %d relations are compared", len(before), len(rows))
	}
	for _, format := range []struct{ format, compression string }{
		{postgres.FormatPlain, backup.CompressionNone}, {postgres.FormatPlain, backup.CompressionZstd},
		{postgres.FormatCustom, backup.CompressionNone}, {postgres.FormatCustom, backup.CompressionZstd},
	} {
		t.Run(format.format+" "+format.compression, func(t *testing.T) {
			config := configOn(t, server, newConfig(t))
			config.Format, config.Compression, config.Keys.Passphrases.Current = format.format, format.compression, "secret"
			manifest := backUp(t, config, "everything")
			if len(manifest.Warnings) > 0 {
				t.Errorf("warnings: %q", manifest.Warnings)
			}
			if err := restoreWith(t, config, manifest, "again", ""); err != nil {
				t.Fatal(err)
			}
			defer dropWithSubscription(t, server, "again")
			after := census(t, server, "again")
			for _, k := range kinds(t) {
				if diff := cmp.Diff(before[k.name], after[k.name]); diff != "" {
					t.Errorf("%s (-before +after):\n%s", k.name, diff)
				}
			}
			if diff := cmp.Diff(rows, contents(t, server, "again")); diff != "" {
				t.Errorf("rows (-before +after):\n%s", diff)
			}
			if diff := cmp.Diff(text, dumpText(t, server, "again")); diff != "" {
				t.Errorf("pg_dump (-before +after):\n%s", diff)
			}
			checkCounts(t, server, manifest)
		})
	}
}

// checkCounts holds the rows of the manifest against those of the database.
func checkCounts(t *testing.T, server *postgrestest.Server, manifest backup.Manifest) {
	t.Helper()
	if len(manifest.Tables) < 20 {
		t.Errorf("%d tables are counted", len(manifest.Tables))
	}
	for _, table := range manifest.Tables {
		quoted := server.Value(t, "everything", fmt.Sprintf("SELECT format('%%I.%%I', $x$%s$x$::text, $x$%s$x$::text)", table.Schema, table.Name))
		if got := server.Value(t, "everything", "SELECT count(*) FROM ONLY "+quoted); got != fmt.Sprint(table.Rows) {
			t.Errorf("%s has %s rows, and the manifest says %d", quoted, got, table.Rows)
		}
	}
}

// dropWithSubscription drops a database that PostgreSQL does not let go as long as it has a subscription.
func dropWithSubscription(t *testing.T, server *postgrestest.Server, database string) {
	t.Helper()
	for _, sql := range []string{"ALTER SUBSCRIPTION news DISABLE", "ALTER SUBSCRIPTION news SET (slot_name = NONE)", "DROP SUBSCRIPTION news"} {
		server.Exec(t, database, "SET session_replication_role = replica; "+sql)
	}
	server.DropDatabase(t, database)
}

// A restore that fails when all is loaded leaves no database, though PostgreSQL drops none that has subscriptions, and none
// of its event triggers stands in the way.
func TestAFailedRestoreOfEverythingLeavesNothing(t *testing.T) {
	server := everything(t)
	for _, format := range []string{postgres.FormatPlain, postgres.FormatCustom} {
		config := configOn(t, server, newConfig(t))
		config.Format = format
		manifest := backUp(t, config, "everything")
		ctx, stop := context.WithCancel(t.Context())
		err := backup.New(*config).Restorer.Restore(ctx, backup.RestoreRequest{
			From: local.File(folderOf(config).Path(find(t, config, manifest).Location)), Manifest: &manifest, Target: "again", RestoreID: "failed",
			OnProgress: func(p backup.Progress) {
				if p.Phase == backup.PhaseAnalyze {
					stop()
				}
			},
		})
		stop()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", format, err)
		}
		if diff := cmp.Diff([]string{"everything", "postgres"}, server.Databases(t)); diff != "" {
			t.Errorf("%s: databases (-want +got):\n%s", format, diff)
		}
	}
}

// What changed in the file after it was verified is never restored, though its parts are read apart.
func TestAnArchiveThatChangesAfterItWasVerified(t *testing.T) {
	server := sample(t, "harbour", "harbour2")
	for _, compression := range []string{backup.CompressionNone, backup.CompressionZstd} {
		config := newConfig(t)
		config.Format, config.Compression, config.Keys.Passphrases.Current = postgres.FormatCustom, compression, "secret"
		manifest := backUp(t, config, "harbour")
		path, changed := folderOf(config).Path(find(t, config, manifest).Location), false
		err := backup.New(*config).Restorer.Restore(t.Context(), backup.RestoreRequest{
			From: local.File(path), Manifest: &manifest, Target: "harbour2", RestoreID: "changed",
			OnProgress: func(p backup.Progress) {
				if p.Phase == backup.PhaseRestore && !changed {
					changed = true
					content, err := os.ReadFile(path)
					if err != nil {
						t.Error(err)
					}
					content[len(content)*3/4] ^= 1
					if err := os.WriteFile(path, content, 0o600); err != nil {
						t.Error(err)
					}
				}
			},
		})
		if !errors.Is(err, backup.ErrDamaged) {
			t.Errorf("%s: %v", compression, err)
		}
		if slices.Contains(server.Databases(t), "harbour2") || len(temporaries(t)) > 0 {
			t.Errorf("%s: left %q", compression, server.Databases(t))
		}
	}
}
