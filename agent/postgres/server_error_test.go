package postgres_test

import (
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pgharbor/pgharbor/agent/archive"
	"github.com/pgharbor/pgharbor/agent/load"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
)

// Everything that a server is known to quote rows in. The error says the condition and the names, and Words has the row:
// the trap is live.
func TestWhatAServerRefusesIsToldWithoutItsRows(t *testing.T) {
	const row = "hunter2"
	const objects = `CREATE TABLE public.goods (name text PRIMARY KEY);
CREATE TABLE public.orders (name text, n int CONSTRAINT few CHECK (n < 3));
CREATE FUNCTION public.refuse(text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the address % is none', $1 USING ERRCODE = '22P99'; END $$;
`
	tests := []struct{ name, sql, want string }{
		{"a key", "INSERT INTO public.goods VALUES ('hunter2'), ('hunter2');", "unique_violation (SQLSTATE 23505), schema public, table goods, constraint goods_pkey"},
		{"a foreign key", "INSERT INTO public.orders VALUES ('hunter2', 1); ALTER TABLE public.orders ADD CONSTRAINT known FOREIGN KEY (name) REFERENCES public.goods;", "foreign_key_violation (SQLSTATE 23503), schema public, table orders, constraint known"},
		{"a check", "INSERT INTO public.orders VALUES ('hunter2', 7);", "check_violation (SQLSTATE 23514), schema public, table orders, constraint few"},
		{"a line of COPY", "COPY public.orders FROM stdin;\na\thunter2\n\\.\n", "invalid_text_representation (SQLSTATE 22P02)"},
		{"a function", "SELECT public.refuse('hunter2');", "SQLSTATE 22P99"},
		{"a statement", "SELECT 'hunter2' FROM nowhere;", "undefined_table (SQLSTATE 42P01)"},
	}
	server := postgrestest.Shared(t)
	instance := open(t, server.Environ()...)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server.CreateDatabase(t, "refused")
			err := instance.Load(t.Context(), "refused", postgres.FormatPlain, strings.NewReader(objects+test.sql))
			if err == nil || !strings.HasSuffix(err.Error(), "psql: exit status 3: "+test.want) || strings.Contains(err.Error(), row) {
				t.Errorf("error = %v, want one that says %q", err, test.want)
			}
			if !strings.Contains(postgres.Words(fmt.Errorf("wrapped: %w", err)), row) {
				t.Errorf("the words for the host are %q", postgres.Words(err))
			}
		})
	}
}

// refusing makes a database "kept" whose dump a function of its own refuses to take back, with a row in its words, and an
// empty database "refused". It returns an archive of the first.
func refusing(t *testing.T, server *postgrestest.Server, instance *postgres.Instance) (archive string) {
	t.Helper()
	server.CreateDatabase(t, "kept")
	server.Exec(t, "kept", `CREATE FUNCTION public.fits(text) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
		CREATE TABLE public.goods (name text CHECK (public.fits(name)));
		INSERT INTO public.goods VALUES ('hunter2');
		CREATE OR REPLACE FUNCTION public.fits(text) RETURNS bool LANGUAGE plpgsql AS
			$$ BEGIN RAISE EXCEPTION 'not %', $1 USING ERRCODE = 'check_violation'; END $$`)
	server.CreateDatabase(t, "refused")
	return dumpAll(t, instance, "kept", postgres.FormatCustom)
}

// The same of the agent's own sessions: an archive's rows are loaded by them.
func TestWhatASessionIsRefusedIsToldWithoutItsRows(t *testing.T) {
	server := postgrestest.Shared(t)
	instance := open(t, server.Environ()...)
	err := loadArchive(t, instance, "refused", refusing(t, server, instance))
	var refused *postgres.ServerError
	if !errors.As(err, &refused) || refused.SQLState != "23514" || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error = %v", err)
	}
	if words := postgres.Words(err); !strings.Contains(words, "not hunter2") || !strings.Contains(words, "COPY goods, line 1") {
		t.Errorf("the words for the host are %q", words)
	}
}

// pg_restore tells no SQLSTATE; the table is told all the same, and what its words stand for where they are known.
func TestWhatPgRestoreIsRefusedIsToldWithoutItsRows(t *testing.T) {
	server := postgrestest.Shared(t)
	instance := open(t, server.Environ()...)
	archive := refusing(t, server, instance)
	err := instance.Load(t.Context(), "refused", postgres.FormatCustom, strings.NewReader(archive))
	if err == nil || err.Error() != "pg_restore: exit status 1, at table goods" || !strings.Contains(postgres.Words(err), "not hunter2") {
		t.Errorf("error = %v, %q", err, postgres.Words(err))
	}
	server.Exec(t, "kept", "ALTER TABLE public.goods DROP CONSTRAINT goods_name_check; DROP FUNCTION public.fits(text)")
	server.Exec(t, "refused", "CREATE TABLE public.goods (name text)")
	err = instance.Load(t.Context(), "refused", postgres.FormatCustom, strings.NewReader(dumpAll(t, instance, "kept", postgres.FormatCustom)))
	if err == nil || err.Error() != "pg_restore: exit status 1: duplicate_table (SQLSTATE 42P07)" {
		t.Errorf("error = %v, %q", err, postgres.Words(err))
	}
}

// What an owner makes the server or a tool say is taken for nothing but names of a bounded length.
func FuzzToolErrorsQuoteNothing(f *testing.F) {
	f.Add("psql:<stdin>:12: ERROR:  23505: duplicate key value violates unique constraint \"goods_pkey\"\n"+
		"DETAIL:  Key (name)=(hunter2) already exists.\nCONTEXT:  COPY goods, line 2\nSCHEMA NAME:  public\nTABLE NAME:  goods\n"+
		"CONSTRAINT NAME:  goods_pkey\nLOCATION:  _bt_check_unique, nbtinsert.c:666\n", 3)
	f.Add("pg_restore: while PROCESSING TOC:\npg_restore: from TOC entry 3190; 0 16386 TABLE DATA goods shop\n"+
		"pg_restore: error: COPY failed for table \"goods\": ERROR:  not hunter2\nCONTEXT:  PL/pgSQL function f(text) line 1 at RAISE\n", 1)
	f.Add("pg_dump: error: Dumping the contents of table \"goods\" failed: PQgetResult() failed.\n"+
		"pg_dump: detail: Error message from server: FEHLER:  hunter2\npg_dump: detail: Command was: COPY public.goods TO stdout;\n", 1)
	f.Add("psql:<stdin>:1: \x1b[31mFATAL:  57P01: x\nSCHEMA NAME:  \x00\xff\n", 2)
	f.Fuzz(func(t *testing.T, stderr string, exit int) {
		const quoted = "\nDETAIL:  Key (n)=(4111) exists.\nCONTEXT:  COPY t, line 1: \"4111\"\nQUERY:  SELECT 4111\nHINT:  4111\n" +
			"LINE 1: SELECT 4111\n               ^\nCommand was: INSERT INTO t VALUES ('4111',\n4111);\n"
		said := stderr + quoted
		err := &postgres.ToolError{Tool: "psql", Exit: exit, Stderr: said, Err: errors.New("exit status")}
		text := err.Error()
		if strings.Contains(text, "4111") && !strings.Contains(stderr, "4111") {
			t.Errorf("%q quotes what the server quoted", text)
		}
		if !strings.Contains(postgres.Words(err), "SELECT 4111") {
			t.Error("the words for the host are not all there")
		}
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) || !utf8.ValidString(text) {
			t.Errorf("%q is not fit for a line", text)
		}
		if refused := err.Refusal(); refused != nil && len(refused.SQLState) != 5 {
			t.Errorf("SQLSTATE %q", refused.SQLState)
		}
		_, _ = postgres.Lacks(err)
		_ = postgres.BlamesServer(err)
	})
}

// What is decided by a refusal does not depend on the server's language.
func TestARefusalIsJudgedInEveryLanguage(t *testing.T) {
	tests := []struct {
		stderr           string
		unfound, blaming bool
	}{
		{"psql:<stdin>:3: FEHLER:  42883: Funktion f() existiert nicht\nLOCATION:  ParseFuncOrColumn, parse_func.c:629\n", true, false},
		{"psql:<stdin>:3: ОШИБКА:  42704: роль \"ghost\" не существует\nLOCATION:  get_role_oid, acl.c:5170\n", true, true},
		{"psql:<stdin>:3: ERREUR:  23514: la nouvelle ligne viole la contrainte\nSCHEMA NAME:  public\n", false, false},
		{"psql:<stdin>:3: HINWEIS:  00000: something\npsql:<stdin>:4: FEHLER:  53100: kein Platz\n", false, true},
		{"psql:<stdin>:3: WARNUNG:  01000: permission denied\npsql:<stdin>:4: FEHLER:  42601: Syntaxfehler\n", false, false},
		{"psql:<stdin>:3: 错误:  57P01: 由于管理员命令中断联接\npsql:<stdin>:3: server closed the connection unexpectedly\n", false, true},
		{"pg_restore: error: could not execute query: ERROR:  function f() does not exist\nCommand was: permission denied\n", true, false},
		{"pg_restore: error: could not execute query: FEHLER:  unbekannt\n", false, false},
	}
	for _, test := range tests {
		err := fmt.Errorf("load: %w", &postgres.ToolError{Tool: "psql", Exit: 3, Stderr: test.stderr, Err: errors.New("exit status 3")})
		if got := postgres.NameNotFound(err); got != test.unfound {
			t.Errorf("%q: a name is not found: %v", test.stderr, got)
		}
		if got := postgres.BlamesServer(err); got != test.blaming {
			t.Errorf("%q: the server may be at fault: %v", test.stderr, got)
		}
	}
}

// A server speaks to the agent through a session, and nothing else of the agent opens one: so no server's words are in the
// text of an error.
func TestOnlySessionsHearTheServer(t *testing.T) {
	var hearing []string
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "postgrestest") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, imported := range file.Imports {
			if strings.Contains(imported.Path.Value, "jackc/pgx") {
				hearing = append(hearing, filepath.ToSlash(path))
			}
		}
		return nil
	})
	want := []string{"../postgres/connection.go", "../postgres/connection_bounded.go", "../postgres/connection_session.go"}
	if slices.Sort(hearing); err != nil || !slices.Equal(slices.Compact(hearing), want) {
		t.Errorf("%q import pgx, %v; all but %q take a *Session, whose errors may leave the host", hearing, err, want)
	}
}

func TestConditionsHaveTheirNames(t *testing.T) {
	for state, want := range map[string]string{"23505": "unique_violation", "00000": "successful_completion", "XX002": "index_corrupted", "22P99": "", "": ""} {
		if got := postgres.Condition(state); got != want {
			t.Errorf("%s is %q, want %q", state, got, want)
		}
	}
}

// loadArchive restores an archive by the agent's own sessions.
func loadArchive(t *testing.T, instance *postgres.Instance, database, dumped string) error {
	t.Helper()
	index := archive.New()
	if _, err := io.WriteString(index, dumped); err != nil || !index.Usable() {
		t.Fatalf("the archive is not usable: %v", err)
	}
	return load.Archive{
		Index: index, Jobs: 1, OnRead: func(int) {}, OnTable: func() {},
		Open: func() (load.ArchiveSource, error) { return archiveIn{strings.NewReader(dumped)}, nil },
	}.Into(t.Context(), instance, database)
}

type archiveIn struct{ whole io.ReaderAt }

func (a archiveIn) From(offset, length int64) (io.Reader, error) {
	return io.NewSectionReader(a.whole, offset, length), nil
}
