package attack_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/store/local"
)

// encoded are databases with names beyond ASCII, by their encoding. Owners are bob, and a role whose name only LATIN1 can say.
var encoded = map[string]struct{ encoding, sql string }{
	"tables in LATIN1": {"LATIN1", `CREATE SCHEMA U&"stra\00dfe" AUTHORIZATION bob; SET ROLE bob; CREATE TABLE U&"stra\00dfe".U&"t\00e4g" (id serial, U&"\00fc" text CHECK (b.norm(U&"\00fc") <> ''));
		INSERT INTO U&"stra\00dfe".U&"t\00e4g" (U&"\00fc") VALUES (U&'\00fc'); CREATE INDEX ON U&"stra\00dfe".U&"t\00e4g" (b.norm(U&"\00fc")); CREATE TABLE U&"stra\00dfe".U&"t\00f6g" (n int); INSERT INTO U&"stra\00dfe".U&"t\00f6g" VALUES (1), (2)`},
	"a role in LATIN1": {"LATIN1", `CREATE ROLE U&"m\00fcller"; ALTER DATABASE mal OWNER TO U&"m\00fcller"; COMMENT ON DATABASE mal IS U&'\00fc'; CREATE SCHEMA app AUTHORIZATION U&"m\00fcller"; SET ROLE U&"m\00fcller";
		CREATE TABLE app.t (id serial, a text CHECK (a <> '')); INSERT INTO app.t (a) VALUES (U&'\00fc'); GRANT SELECT ON app.t TO bob`},
	"EUC_JP": {"EUC_JP", `CREATE SCHEMA U&"\8868" AUTHORIZATION bob; SET ROLE bob; CREATE TABLE U&"\8868".U&"\80fd\529b" (id serial, U&"\8868" text CHECK (b.norm(U&"\8868") <> '')); INSERT INTO U&"\8868".U&"\80fd\529b" (U&"\8868") VALUES (U&'\8868')`},
	"SQL_ASCII": {"SQL_ASCII", `SET ROLE bob; CREATE TABLE b.t (id serial, a text CHECK (b.norm(a) <> '')); INSERT INTO b.t (a) VALUES (E'\xe4\xff');
		DO $$ BEGIN EXECUTE E'CREATE TABLE b."t\xe4" (a text CHECK (b.norm(a) <> ''''))'; EXECUTE E'INSERT INTO b."t\xe4" VALUES (''x'')'; END $$`},
}

const ownerOf = `SELECT pg_catalog.pg_get_userbyid(datdba), shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = '`

// Databases that are not UTF-8 come back with all of their names, from either format.
func TestNamesOfOtherEncodingsComeBack(t *testing.T) {
	for name, c := range encoded {
		t.Run(name, func(t *testing.T) {
			server := loadServer(t)
			server.Exec(t, "postgres", "DROP DATABASE mal")
			server.Exec(t, "postgres", "CREATE DATABASE mal TEMPLATE template0 ENCODING '"+c.encoding+"' LC_COLLATE 'C' LC_CTYPE 'C'")
			as(t, server, "postgres", `CREATE SCHEMA b AUTHORIZATION bob; SET ROLE bob; CREATE FUNCTION b.norm(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT pg_catalog.lower($1)'`)
			as(t, server, "postgres", c.sql)
			for _, format := range []string{postgres.FormatPlain, postgres.FormatCustom} {
				comesBack(t, server, loadConfig(t, server, format), nil)
			}
		})
	}
}

// A whole cluster in LATIN1, as old ones are; and a backup of it from before names were escaped, whose manifest has lost some.
func TestNamesOfALatin1ClusterComeBack(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.WithInitdb("--encoding=LATIN1", "--locale=C"))
	server.Exec(t, "postgres", `CREATE ROLE U&"m\00fcller" LOGIN`)
	server.CreateDatabase(t, "mal")
	as(t, server, "postgres", `CREATE SCHEMA app AUTHORIZATION U&"m\00fcller"; SET ROLE U&"m\00fcller"; CREATE TABLE app.U&"t\00e4g" (id serial, a text CHECK (a <> ''));
		INSERT INTO app.U&"t\00e4g" (a) VALUES (U&'\00fc'); RESET ROLE; ALTER ROLE U&"m\00fcller" IN DATABASE mal SET work_mem = '1MB'; ALTER DATABASE mal OWNER TO U&"m\00fcller"; COMMENT ON DATABASE mal IS U&'\00fc'`)
	for _, format := range []string{postgres.FormatPlain, postgres.FormatCustom} {
		config := loadConfig(t, server, format)
		comesBack(t, server, config, nil)
		comesBack(t, server, config, func(m *backup.Manifest) {
			lose := func(name string) string { return strings.ToValidUTF8(name, "\uFFFD") }
			for n := range m.Tables {
				m.Tables[n].Name = lose(m.Tables[n].Name)
			}
			m.Needs.Owners, m.Needs.Members = postgres.ChangeNames(m.Needs.Owners, lose), postgres.ChangeNames(m.Needs.Members, lose)
		})
	}
}

// comesBack wants a backup of mal to be restored to the same, after a change to its manifest.
func comesBack(t *testing.T, server *postgrestest.Server, config *backup.Config, change func(*backup.Manifest)) {
	t.Helper()
	stored, err := backup.New(*config).Repository.Find(loadDump(t, config).ID)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&stored.Manifest)
	}
	err = backup.New(*config).Restorer.Restore(t.Context(), backup.RestoreRequest{
		From: local.File(folderOf(config).Path(stored.Location)), Manifest: &stored.Manifest, Target: "guarded", RestoreID: "encoding",
		OnWarning: func(text string) { t.Errorf("%s: %s", config.Format, text) },
	})
	if err != nil {
		t.Errorf("%s: %v\n%s", config.Format, err, postgres.Words(err))
		return
	}
	wantNoLogins(t, server)
	if diff := cmp.Diff(dumpOf(t, server, "mal"), dumpOf(t, server, "guarded")); diff != "" {
		t.Errorf("%s: (-before +after):\n%.2500s", config.Format, diff)
	}
	if diff := cmp.Diff(server.Query(t, "postgres", ownerOf+"mal'"), server.Query(t, "postgres", ownerOf+"guarded'")); diff != "" {
		t.Errorf("%s: the database (-before +after):\n%s", config.Format, diff)
	}
	server.DropDatabase(t, "guarded")
}
