// Package postgres reaches one PostgreSQL instance: over a connection for what SQL can do, and through pg_dump,
// pg_restore and psql for the rest. It is the only package of the agent that starts processes.
//
// Names of databases are any bytes that PostgreSQL allows. Secrets reach the tools through a private file, never
// through arguments or the environment.
package postgres

import (
	"context"
	"errors"
	"io"
	"time"
)

// Formats of a dump, as pg_dump names them.
const (
	FormatPlain  = "plain"
	FormatCustom = "custom"
)

var (
	// ErrDatabaseExists says that a database can't get a name because another has it.
	ErrDatabaseExists = errors.New("the database exists already")
	// ErrNoDatabase says that there is no database of that name.
	ErrNoDatabase = errors.New("no such database")
)

// Instance is a PostgreSQL server and the tools to work with it. It is safe for concurrent use.
type Instance struct {
	// StallTimeout is how long a dump may go without a byte before its pg_dump is killed; 0 means an hour.
	StallTimeout time.Duration
	// LockTimeout is how long pg_dump waits for a table's lock; 0 means 10 minutes.
	LockTimeout time.Duration
}

// Server is what a server says of itself.
type Server struct {
	Version     string // "15.18", as server_version begins
	Number      int    // 150018
	Superuser   bool
	CurrentUser string
}

// Database is one database of the instance. The fields about its locale are empty where they don't apply.
type Database struct {
	Name           string
	Encoding       string // "UTF8"
	Collate        string
	CType          string
	LocaleProvider string // "libc", "icu" or "builtin"
	Locale         string // of the providers icu and builtin
	SizeBytes      int64
}

// Tool is a program of PostgreSQL that was found.
type Tool struct {
	Name    string // "pg_dump"
	Path    string
	Version string // "15.18"
	Number  int    // 150018, comparable with Server.Number
}

// Open prepares to reach an instance; it connects to nothing. privateDir is a folder of this user alone, in which Open
// makes a folder of its own for the passfile; Close removes it.
func Open(settings Settings, privateDir string) (*Instance, error) {
	return nil, errors.ErrUnsupported
}

// Close removes the private files. Tools that still run keep what they have read.
func (i *Instance) Close() error { return errors.ErrUnsupported }

// Server asks the server what it is.
func (i *Instance) Server(ctx context.Context) (Server, error) {
	return Server{}, errors.ErrUnsupported
}

// ToolVersions finds pg_dump, pg_restore and psql, in this order. The error names a tool that is missing or older
// than the server.
func (i *Instance) ToolVersions(ctx context.Context) ([]Tool, error) {
	return nil, errors.ErrUnsupported
}

// Databases lists all databases that are no templates and take connections, by name.
func (i *Instance) Databases(ctx context.Context) ([]Database, error) {
	return nil, errors.ErrUnsupported
}

// Database describes one database; ErrNoDatabase where there is none.
func (i *Instance) Database(ctx context.Context, name string) (Database, error) {
	return Database{}, errors.ErrUnsupported
}

// DatabaseExists says whether there is a database of this name, template or not.
func (i *Instance) DatabaseExists(ctx context.Context, name string) (bool, error) {
	return false, errors.ErrUnsupported
}

// CreateDatabase makes an empty database from template0. Encoding and locale are those of like where it has them, else
// template0's. ErrDatabaseExists where the name is taken.
func (i *Instance) CreateDatabase(ctx context.Context, name string, like Database) error {
	return errors.ErrUnsupported
}

// DropDatabase drops a database and ends the sessions in it. It is no error where there is none.
func (i *Instance) DropDatabase(ctx context.Context, name string) error {
	return errors.ErrUnsupported
}

// RenameDatabase renames a database that nobody is connected to; ErrDatabaseExists where the new name is taken.
func (i *Instance) RenameDatabase(ctx context.Context, from, to string) error {
	return errors.ErrUnsupported
}

// Analyze collects the planner's statistics of a database.
func (i *Instance) Analyze(ctx context.Context, name string) error { return errors.ErrUnsupported }

// Dump starts pg_dump on a database. The caller reads it to its end and closes it; ctx kills it.
func (i *Instance) Dump(ctx context.Context, database, format string) (*Dump, error) {
	return nil, errors.ErrUnsupported
}

// Dump is the output of a pg_dump. Read returns io.EOF only if pg_dump exited 0 without an error on its standard error;
// any other end is a *ToolError.
type Dump struct{}

// Read implements io.Reader.
func (d *Dump) Read(p []byte) (int, error) { return 0, errors.ErrUnsupported }

// Warnings are the lines of pg_dump's standard error. They are complete after Read returned io.EOF.
func (d *Dump) Warnings() []string { return nil }

// Close kills pg_dump if it still runs, and waits for it.
func (d *Dump) Close() error { return errors.ErrUnsupported }

// Load runs a dump into a database, in one transaction: psql for FormatPlain, pg_restore for FormatCustom. Where src
// returns an error other than io.EOF, the tool is killed before it could see an end of its input, so that nothing is
// committed, and that error is returned. A failure of the tool is a *ToolError.
func (i *Instance) Load(ctx context.Context, database, format string, src io.Reader) error {
	return errors.ErrUnsupported
}

// ToolError is the failure of a tool, in its own words.
type ToolError struct {
	Tool   string
	Exit   int    // the exit status; -1 where a signal ended it
	Stderr string // the end of what it said, at most 16 KiB
	Err    error  // why it was ended, or how it ended
}

// Error is one line: the tool and its last words.
func (e *ToolError) Error() string { return e.Tool }

// Unwrap returns the cause, such as the error of a context.
func (e *ToolError) Unwrap() error { return e.Err }
