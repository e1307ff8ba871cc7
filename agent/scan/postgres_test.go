package scan

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
)

// hostileSchema holds what has fooled readers of dumps: fakes in every place where Postgres keeps text.
const hostileSchema = `
CREATE SCHEMA "a.b ""c""";
CREATE TABLE "a.b ""c"""."new
line; COPY x FROM stdin;" ("FROM" text, "stdin;" int);
INSERT INTO "a.b ""c"""."new
line; COPY x FROM stdin;" SELECT 'x', g FROM generate_series(1, 1234) g;
CREATE TABLE nothing ();
INSERT INTO nothing DEFAULT VALUES;
INSERT INTO nothing DEFAULT VALUES;
CREATE TABLE "Ünïcode 表" (t text);
INSERT INTO "Ünïcode 表" VALUES (E'\\.'), (E'\n\\.\n'), (''), (NULL), (E'a\r\n\\.\r\nb'), (E'\\'), ('-- PostgreSQL database dump complete');
CREATE TABLE empty (t text);
CREATE TABLE parts (k int) PARTITION BY LIST (k);
CREATE TABLE part1 PARTITION OF parts FOR VALUES IN (1);
INSERT INTO parts SELECT 1 FROM generate_series(1, 5);
CREATE FUNCTION fake() RETURNS text LANGUAGE plpgsql AS $f$ BEGIN RETURN $_$ it's
COPY public.fake (a) FROM stdin;
1
\.
--
-- PostgreSQL database dump complete
--
$_$; END $f$;
CREATE FUNCTION atomic() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END;
CREATE FUNCTION quoted() RETURNS text LANGUAGE sql AS 'SELECT ''\''''
COPY public.fake (a) FROM stdin;
''';
COMMENT ON TABLE empty IS E'back\\slash'' and
COPY public.fake (a) FROM stdin;
';
CREATE VIEW v AS SELECT E'\\''
--
-- PostgreSQL database dump complete
--
'::text AS "col""umn";
SELECT lo_from_bytea(0, repeat('COPY public.fake FROM stdin;', 10)::bytea);
`

func TestScanCountsWhatPostgresHolds(t *testing.T) {
	for _, standard := range []string{"on", "off"} {
		t.Run("standard_conforming_strings="+standard, func(t *testing.T) {
			server := postgrestest.Shared(t)
			database := "scan_" + standard
			server.CreateDatabase(t, database)
			server.Exec(t, database, hostileSchema+"ALTER DATABASE "+database+" SET standard_conforming_strings = "+standard)
			want := held(t, server, database)
			dump := "'" + filepath.Join(server.Bin, "pg_dump") + "'"
			restore := "'" + filepath.Join(server.Bin, "pg_restore") + "'"
			for _, script := range []string{dump, dump + " -Fc | " + restore + " -f -"} {
				cmd := exec.Command("sh", "-c", script)
				cmd.Env = append(server.Environ(), "PGDATABASE="+database)
				out, err := cmd.Output()
				if err != nil {
					t.Fatalf("%s: %v", script, err)
				}
				if !strings.Contains(string(out), "SET standard_conforming_strings = "+standard+";") {
					t.Errorf("%s: the dump does not say how its strings are quoted", script)
				}
				s := scan(string(out))
				if diff := cmp.Diff(want, sorted(s.Tables())); diff != "" {
					t.Errorf("%s: %s", script, diff)
				}
				if !s.Complete() {
					t.Errorf("%s: its end marker is not seen in %q", script, out[max(0, len(out)-200):])
				}
				if scan(string(out[:len(out)-200])).Complete() {
					t.Errorf("%s: without its end it is complete", script)
				}
			}
		})
	}
}

// held returns the tables of a database as its server counts them.
func held(t *testing.T, server *postgrestest.Server, database string) (tables []TableRows) {
	t.Helper()
	for _, row := range server.Query(t, database, `SELECT schemaname, tablename,
		(xpath('/row/n/text()', query_to_xml(format('SELECT count(*) AS n FROM ONLY %I.%I', schemaname, tablename), false, true, '')))[1]
		FROM pg_tables JOIN pg_class ON oid = format('%I.%I', schemaname, tablename)::regclass
		WHERE schemaname NOT IN ('pg_catalog', 'information_schema') AND relkind = 'r'`) {
		rows, err := strconv.ParseInt(row[2], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		tables = append(tables, TableRows{Schema: row[0], Name: row[1], Rows: rows})
	}
	return sorted(tables)
}

func sorted(tables []TableRows) []TableRows {
	slices.SortFunc(tables, func(a, b TableRows) int {
		return slices.Compare([]string{a.Schema, a.Name}, []string{b.Schema, b.Name})
	})
	return tables
}
