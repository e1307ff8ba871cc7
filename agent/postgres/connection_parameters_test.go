package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
)

// hostile are parameters that an owner of a database may set for all of its sessions, and that would change what the agent
// does in it, or keep it out.
var hostile = []string{
	"search_path = public, pg_catalog", "role = tenant", "local_preload_libraries = 'no_such_library'",
	"statement_timeout = 1", "lock_timeout = 1", "idle_in_transaction_session_timeout = 1", "idle_session_timeout = 1",
	"default_transaction_read_only = on", "default_transaction_isolation = serializable", "default_transaction_deferrable = on",
	"row_security = on", "client_encoding = latin1", "client_min_messages = debug5", "exit_on_error = on",
	"datestyle = 'German'", "intervalstyle = sql_standard", "extra_float_digits = -15", "bytea_output = escape",
	"standard_conforming_strings = off", "quote_all_identifiers = on", "transform_null_equals = on", "array_nulls = off",
	"xmloption = document", "constraint_exclusion = on",
}

const hostileTables = `CREATE TABLE t (id int PRIMARY KEY, at timestamptz, took interval, share float8, bytes bytea, "user" text, tags text[]);
	INSERT INTO t VALUES (1, '2026-07-01 12:00+00', '1 day 2 hours', 1.0::float8 / 3, '\x00ff', 'naïve € \', ARRAY['a', NULL]);
	CREATE VIEW v AS SELECT id, "user" FROM t WHERE "user" <> '\'; SELECT lo_from_bytea(0, '\x00ff')`

// saltOfDump is what differs in two dumps of the same: psql's \restrict and the numbers of large objects.
var saltOfDump = regexp.MustCompile(`(?m)^\\(un)?restrict .*$`)

// A dump is the same whatever a database or a role sets, and a look at the database goes on.
func TestWhatADatabaseSetsChangesNothing(t *testing.T) {
	server := postgrestest.Start(t)
	server.Exec(t, "postgres", "CREATE ROLE tenant LOGIN")
	server.Exec(t, "postgres", "CREATE DATABASE mine OWNER tenant")
	server.Exec(t, "mine", hostileTables)
	for _, format := range []string{postgres.FormatPlain, postgres.FormatCustom} {
		before := dumpOf(t, server, format)
		for _, setting := range hostile {
			server.Exec(t, "postgres", "SET ROLE tenant; ALTER DATABASE mine SET "+setting)
		}
		instance := open(t, append(server.Environ(), "PGDATABASE=mine", "PGCLIENTENCODING=latin1")...)
		about, err := instance.Server(t.Context())
		if err != nil || about.CurrentUser != "postgres" {
			t.Errorf("the server says %+v: %v", about, err)
		}
		if _, err := instance.Unreadable(t.Context(), "mine"); err != nil {
			t.Error(err)
		}
		if after := dumpOf(t, server, format); after != before {
			t.Errorf("%s: the dump is another, of %d bytes and not %d", format, len(after), len(before))
		}
		if err := instance.Analyze(t.Context(), "mine", 1); err != nil {
			t.Error(err)
		}
		server.Exec(t, "postgres", "ALTER DATABASE mine RESET ALL")
	}
}

// dumpOf is a dump of the database mine by a new Instance, without what differs in any two.
func dumpOf(t *testing.T, server *postgrestest.Server, format string) string {
	t.Helper()
	dump, err := open(t, server.Environ()...).Dump(t.Context(), "mine", format)
	if err != nil {
		t.Fatal(err)
	}
	defer dump.Close()
	text, err := io.ReadAll(dump)
	if err != nil {
		t.Fatal(err)
	}
	if warnings := dump.Warnings(); len(warnings) > 0 {
		t.Errorf("warnings: %q", warnings)
	}
	if format == postgres.FormatCustom { // its head has the time
		var sql strings.Builder
		if err := open(t, server.Environ()...).Script(t.Context(), dump.Server, strings.NewReader(string(text)), &sql); err != nil {
			t.Fatal(err)
		}
		text = []byte(sql.String())
	}
	return saltOfDump.ReplaceAllString(string(text), "")
}

// pooler is what stands in front of a server and does not pass a session's parameters on.
func pooler(t *testing.T, answer func(*pgproto3.Backend)) (dir string) {
	t.Helper()
	dir = t.TempDir()
	listener, err := net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			backend := pgproto3.NewBackend(conn, conn)
			if _, err := backend.ReceiveStartupMessage(); err == nil {
				answer(backend)
			}
			_ = conn.Close()
		}
	}()
	return dir
}

// A pooler refuses the parameters or, where it is told to, ignores them. In neither case is anything asked through it.
func TestAPoolerIsNoServer(t *testing.T) {
	refuses := func(b *pgproto3.Backend) {
		b.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "08P01", Message: "unsupported startup parameter: search_path"})
		_ = b.Flush()
	}
	ignores := func(b *pgproto3.Backend) {
		b.Send(&pgproto3.AuthenticationOk{})
		b.Send(&pgproto3.ParameterStatus{Name: "server_version", Value: "15.20"})
		b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
		_ = b.Flush()
		if _, err := b.Receive(); err != nil {
			return
		}
		b.Send(&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("search_path"), DataTypeOID: 25}}})
		b.Send(&pgproto3.DataRow{Values: [][]byte{[]byte(`"$user", public`)}})
		b.Send(&pgproto3.CommandComplete{CommandTag: []byte("SHOW")})
		b.Send(&pgproto3.CommandComplete{CommandTag: []byte("SET")})
		b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
		_ = b.Flush()
		_, _ = b.Receive()
	}
	for name, answer := range map[string]func(*pgproto3.Backend){"refuses": refuses, "ignores": ignores} {
		t.Run(name, func(t *testing.T) {
			instance := open(t, "PGHOST="+pooler(t, answer), "PGUSER=u", "PGPORT=5432")
			if _, err := instance.Server(t.Context()); !errors.Is(err, postgres.ErrPooler) || errors.Is(err, context.Canceled) {
				t.Errorf("error = %v", err)
			}
		})
	}
}

// What was configured holds where it overrides none of ours.
func TestConfiguredOptionsReachTheSession(t *testing.T) {
	server := postgrestest.Start(t)
	server.Exec(t, "postgres", "CREATE ROLE keeper SUPERUSER; CREATE ROLE clerk LOGIN; GRANT keeper TO clerk; ALTER ROLE clerk SET role = nobody_at_all")
	instance := open(t, append(server.Environ(), "PGUSER=clerk", "PGOPTIONS=-c role=keeper -c search_path=public -c work_mem=7MB")...)
	about, err := instance.Server(t.Context())
	if err != nil || about.CurrentUser != "keeper" || !about.Superuser {
		t.Errorf("the server says %+v: %v", about, err)
	}
	if err := instance.CreateDatabase(t.Context(), "made", postgres.Database{}); err != nil {
		t.Fatal(err)
	}
	const sql = "CREATE TABLE seen AS SELECT current_user || ' ' || current_setting('work_mem') AS v;\n"
	if err := instance.Load(t.Context(), "made", postgres.FormatPlain, strings.NewReader(sql)); err != nil {
		t.Fatal(err)
	}
	if got := server.Value(t, "made", "SELECT v FROM seen"); got != "keeper 7MB" {
		t.Errorf("psql's session had %q", fmt.Sprint(got))
	}
}
