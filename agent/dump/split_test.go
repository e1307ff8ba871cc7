package dump

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func splitAll(t testing.TB, text string, pieces int) []string {
	t.Helper()
	var all []string
	s := Splitter{Emit: func(sql string) error { all = append(all, sql); return nil }}
	for piece := range slices.Chunk([]byte(text), max(pieces, 1)) {
		if _, err := s.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// A dump is parted where psql parts it, wherever its pieces are cut.
func TestStatementsArePartedAsPsqlPartsThem(t *testing.T) {
	const text = "--\n-- PostgreSQL database dump\n--\n\\restrict abc\n\nSET a = 1;\n\n-- a remark; of two\n" +
		`COMMENT ON TABLE t IS 'it''s; -- no comment';` + "\n" +
		`CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $_$ SELECT $$;$$ || '$_'; $_$;` + "\n" +
		`CREATE FUNCTION g(n int DEFAULT 1) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN n > 0 THEN 1 END; SELECT 2; END;` + "\n" +
		`CREATE FUNCTION a.begin() RETURNS SETOF a.begin LANGUAGE sql BEGIN ATOMIC SELECT begin, atomic FROM a.z; SELECT CASE begin WHEN 1 THEN 2 END; END;` + "\n" +
		`CREATE FUNCTION begin.atomic() RETURNS begin.atomic LANGUAGE sql AS ''; CREATE FUNCTION begin."x".atomic() AS '';` + "\n" +
		`CREATE OR REPLACE PROCEDURE "p;q"() LANGUAGE sql BEGIN` + "\n\t" + `ATOMIC INSERT INTO t VALUES (1); END;` + "\n" +
		"CREATE RULE r AS ON INSERT TO t DO ( SELECT 1; SELECT 2; );\n" +
		`CREATE TABLE begin_end (a text DEFAULT E'\'; it''s \\', "b""; c" int); CREATE VIEW v AS SELECT 1 /* ; /* ; */ */ - -1;` + "\n" +
		"SET standard_conforming_strings = off;\n" + `COMMENT ON TABLE t IS 'a \'; b';` + "\n" + `SET standard_conforming_strings = on; COMMENT ON TABLE t IS 'a \';` + "\n\n"
	want := []string{
		"SET a = 1", `COMMENT ON TABLE t IS 'it''s; -- no comment'`,
		`CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $_$ SELECT $$;$$ || '$_'; $_$`,
		`CREATE FUNCTION g(n int DEFAULT 1) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN n > 0 THEN 1 END; SELECT 2; END`,
		`CREATE FUNCTION a.begin() RETURNS SETOF a.begin LANGUAGE sql BEGIN ATOMIC SELECT begin, atomic FROM a.z; SELECT CASE begin WHEN 1 THEN 2 END; END`,
		`CREATE FUNCTION begin.atomic() RETURNS begin.atomic LANGUAGE sql AS ''`, `CREATE FUNCTION begin."x".atomic() AS ''`,
		`CREATE OR REPLACE PROCEDURE "p;q"() LANGUAGE sql BEGIN` + "\n\t" + `ATOMIC INSERT INTO t VALUES (1); END`,
		"CREATE RULE r AS ON INSERT TO t DO ( SELECT 1; SELECT 2; )",
		`CREATE TABLE begin_end (a text DEFAULT E'\'; it''s \\', "b""; c" int)`, "CREATE VIEW v AS SELECT 1 /* ; /* ; */ */ - -1",
		"SET standard_conforming_strings = off", `COMMENT ON TABLE t IS 'a \'; b'`,
		"SET standard_conforming_strings = on", `COMMENT ON TABLE t IS 'a \'`,
	}
	for _, pieces := range []int{len(text), 1, 2, 3, 7} {
		if diff := cmp.Diff(want, splitAll(t, text, pieces)); diff != "" {
			t.Errorf("in pieces of %d (-want +got):\n%s", pieces, diff)
		}
	}
}

// However a text is cut into pieces, it has the same statements, and nothing of it is made up.
func FuzzSplitter(f *testing.F) {
	for _, seed := range []string{"SELECT 1;", "a $x$ ; $x$; b", `E'\';' ;`, "/* ; */ --;\n;", "CREATE FUNCTION f() BEGIN ATOMIC a; END;", "$$$$;", "'';''';", `"";"";`, "CREATE TABLE;", `CREATE TABLE a. (b.c DEFAULT 'x'::"d".e) INHERITS (f.g);`,
		"ALTER TABLE ONLY a.b ADD CONSTRAINT c CHECK (d.e());", "CREATE INDEX ON;", "CREATE RULE r TO;", "CREATE TRIGGER g ON a.b WHEN (c.d) EXECUTE;",
		"ALTER DOMAIN;", "ALTER DOMAIN a ADD;", "CREATE OR REPLACE VIEW a.v AS b.c;", "CREATE STATISTICS a.s ON (b.c) FROM;"} {
		f.Add(seed, 3)
	}
	f.Fuzz(func(t *testing.T, text string, pieces int) {
		whole := splitAll(t, text, len(text))
		if diff := cmp.Diff(whole, splitAll(t, text, pieces)); diff != "" {
			t.Errorf("(-whole +pieces of %d):\n%s", pieces, diff)
		}
		for _, sql := range whole {
			if !strings.Contains(text, sql) && !strings.Contains(text, "--") {
				t.Errorf("%q is not in the text", sql)
			}
			st := Definition{SQL: sql}.Statement()
			for _, name := range st.OwnNames(st.Code().Words) {
				if !strings.Contains(sql, name) {
					t.Errorf("%q is not in %q", name, sql)
				}
			}
		}
	})
}

// The superuser runs what pg_dump writes of one database, and no statement that runs a query of the dump's own.
func TestStatementsThatNoDumpHasAreRefused(t *testing.T) {
	for _, sql := range []string{
		"SELECT 1/0", "SELECT public.f()", "SELECT pg_catalog.lo_create(public.f())",
		"SELECT pg_catalog.lo_create('1'), public.f()", "DO 'BEGIN END'", "INSERT INTO t VALUES (1)", "UPDATE t SET a = 1", "DELETE FROM t", "CALL p()",
		"COPY t FROM PROGRAM 'id'", "COPY t TO PROGRAM 'id'", "COPY t FROM '/etc/passwd'", "COPY (SELECT f()) TO stdout",
		"CREATE TABLE t AS SELECT f()", "CREATE TABLE t (a) AS SELECT f()", "CREATE MATERIALIZED VIEW m AS SELECT f()", "CREATE MATERIALIZED VIEW m AS SELECT f() WITH DATA",
		"CREATE ROLE r SUPERUSER", "CREATE USER u", "CREATE GROUP g", "CREATE DATABASE d", "CREATE TABLESPACE s LOCATION ''", "ALTER ROLE r SUPERUSER", "ALTER USER u SUPERUSER",
		"ALTER DATABASE d SET a = 1", "ALTER SYSTEM SET a = 1", "GRANT admiral TO mallory", "REVOKE admiral FROM bob", "COMMENT ON ROLE r IS ''", "EXPLAIN ANALYZE SELECT f()",
		"DROP TABLE t", "LOAD 'x'", "VACUUM", "ANALYZE t", "CLUSTER", "LISTEN x", "PREPARE p AS SELECT 1", "EXECUTE p", "TRUNCATE t", "VALUES (f())", "WITH x AS (SELECT 1) SELECT f()", "TABLE t",
	} {
		d := NewDefinitions()
		_, _ = d.Write([]byte(sql + ";\n"))
		if d.Err == nil {
			t.Errorf("%s is not refused", sql)
		}
	}
}
