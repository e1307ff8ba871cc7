// Package postgrestest starts real PostgreSQL servers for tests. A server lives
// in a temporary folder, listens on a socket in it, and ends with the test.
package postgrestest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Superuser is the role that every test server is initialised with.
const Superuser = "postgres"

// Server is a running PostgreSQL of a test. Its methods may be called from
// several goroutines.
type Server struct {
	// SocketDir is the folder with the server's socket; PGHOST of a client.
	SocketDir string
	// Port is the port of the socket, and of loopback where WithPassword was given.
	Port int
	// Bin is the folder with the server's own programs.
	Bin string

	settings settings
	dir      string
	process  *process
}

type settings struct {
	password  string
	config    []string
	initdb    []string
	fileLimit int // bytes; 0 is none
}

// Option changes how a server is set up.
type Option func(*settings)

// WithPassword makes the server listen on 127.0.0.1 too, where it asks the
// superuser for this password (SCRAM). The socket stays open to everyone.
func WithPassword(password string) Option {
	return func(s *settings) { s.password = password }
}

// WithSetting sets a parameter of postgresql.conf.
func WithSetting(name, value string) Option {
	return func(s *settings) { s.config = append(s.config, "-c", name+"="+value) }
}

// WithFileLimit makes every write fail that would make a file larger than this many bytes, as one on a full disk does. The
// server's own log has files of 16 MiB.
func WithFileLimit(bytes int) Option {
	return func(s *settings) { s.fileLimit = bytes }
}

// WithInitdb passes arguments on to initdb.
func WithInitdb(args ...string) Option {
	return func(s *settings) { s.initdb = append(s.initdb, args...) }
}

// Start runs a server of its own for a test, which ends with it.
func Start(tb testing.TB, options ...Option) *Server {
	tb.Helper()
	server, err := start(options...)
	if err != nil {
		tb.Fatalf("start a PostgreSQL server: %v", err)
	}
	tb.Cleanup(server.remove)
	return server
}

var shared struct {
	sync.Mutex
	server *Server
	err    error
}

// Shared is one server for all tests of a package, started when the first asks
// for it. The package's TestMain must call Main. Tests share its databases, so
// each makes its own.
func Shared(tb testing.TB) *Server {
	tb.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil && shared.err == nil {
		shared.server, shared.err = start()
	}
	if shared.err != nil {
		tb.Fatalf("start the shared PostgreSQL server: %v", shared.err)
	}
	return shared.server
}

// Main runs a package's tests and then ends the server that Shared started:
//
//	func TestMain(m *testing.M) { postgrestest.Main(m) }
func Main(m *testing.M) {
	code := m.Run()
	if shared.server != nil {
		shared.server.remove()
	}
	os.Exit(code)
}

// Environ are the variables with which libpq's programs find the server over
// its socket. PATH and HOME are those of the test.
func (s *Server) Environ() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + os.Getenv("HOME"),
		"PGHOST=" + s.SocketDir,
		"PGPORT=" + strconv.Itoa(s.Port),
		"PGUSER=" + Superuser,
	}
}

// URL reaches a database over the socket, without a password.
func (s *Server) URL(database string) string {
	query := url.Values{"host": {s.SocketDir}, "port": {strconv.Itoa(s.Port)}, "user": {Superuser}, "sslmode": {"disable"}}
	return "postgresql:///" + url.PathEscape(database) + "?" + query.Encode()
}

// PasswordURL reaches a database over loopback with the password of WithPassword.
func (s *Server) PasswordURL(database string) string {
	return fmt.Sprintf("postgresql://%s@127.0.0.1:%d/%s?sslmode=disable",
		url.UserPassword(Superuser, s.settings.password), s.Port, url.PathEscape(database))
}

// Exec runs SQL, which may be several statements, in a database.
func (s *Server) Exec(tb testing.TB, database, sql string) {
	tb.Helper()
	s.Query(tb, database, sql)
}

// Query runs SQL in a database and returns the rows of its last statement as
// text; NULL is "".
func (s *Server) Query(tb testing.TB, database, sql string) [][]string {
	tb.Helper()
	rows, err := s.query(database, sql)
	if err != nil {
		tb.Fatalf("in database %q: %v\n%.500s", database, err, sql)
	}
	return rows
}

// Value is the first column of the first row that Query returns, or "".
func (s *Server) Value(tb testing.TB, database, sql string) string {
	tb.Helper()
	rows := s.Query(tb, database, sql)
	if len(rows) == 0 || len(rows[0]) == 0 {
		return ""
	}
	return rows[0][0]
}

// CreateDatabase makes an empty database and drops it when the test ends.
func (s *Server) CreateDatabase(tb testing.TB, name string) {
	tb.Helper()
	s.Exec(tb, Superuser, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	tb.Cleanup(func() { s.DropDatabase(tb, name) })
}

// DropDatabase drops a database if there is one, whoever is connected to it.
func (s *Server) DropDatabase(tb testing.TB, name string) {
	tb.Helper()
	s.Exec(tb, Superuser, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)")
}

// Databases are the names of all databases but the templates, sorted.
func (s *Server) Databases(tb testing.TB) []string {
	tb.Helper()
	var names []string
	for _, row := range s.Query(tb, Superuser, "SELECT datname FROM pg_catalog.pg_database WHERE NOT datistemplate ORDER BY 1") {
		names = append(names, row[0])
	}
	return names
}

func (s *Server) query(database, sql string) ([][]string, error) {
	// Not tb.Context(), which has ended when a Cleanup runs.
	ctx := context.Background()
	config, err := pgconn.ParseConfig(s.URL(""))
	if err != nil {
		return nil, err
	}
	config.Database = database
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil || len(results) == 0 {
		return nil, err
	}
	var rows [][]string
	for _, row := range results[len(results)-1].Rows {
		var texts []string
		for _, column := range row {
			texts = append(texts, string(column))
		}
		rows = append(rows, texts)
	}
	return rows, nil
}
