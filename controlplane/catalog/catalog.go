// Package catalog keeps what is known of the fleet in SQLite. It is the truth
// of the control plane: whatever matters is a row here before anybody acts on
// it. One store an aggregate, in a file of its own; nothing outside this package
// sees SQL.
//
// Every method is one transaction, but for those that say otherwise because they
// write more than a few hundred rows. Errors that a caller can act upon wrap the
// sentinels of package fleet.
package catalog

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"time"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

//go:embed migrations/*.sql
var migrations embed.FS

// connections bounds the pool for reads; the writer has one of its own.
const connections = 8

// Open opens the catalog at path, creates it with mode 0600 if there is none, and brings its schema
// up to date.
func Open(ctx context.Context, path string) (*Catalog, error) {
	return open(ctx, path, migrate)
}

// OpenWhileServed opens the catalog at path to write to it while the control plane serves it, of which
// SQLite's write lock and its log (WAL) allow: each transaction is of one process alone, and seen
// by the other once it is whole. The schema must be that of this program, and stays:
// fleet.ErrConflict.
func OpenWhileServed(ctx context.Context, path string) (*Catalog, error) {
	return open(ctx, path, checkSchema)
}

func open(ctx context.Context, path string, prepare func(context.Context, *goose.Provider) error) (*Catalog, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	if err := file.Close(); err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	write, err := connect(path, 1, toWrite)
	if err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	provider, err := provide(write)
	if err == nil {
		err = prepare(ctx, provider)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("catalog %s: %w", path, err), write.Close())
	}
	read, err := connect(path, connections, toRead)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("catalog: %w", err), write.Close())
	}
	w := &writer{db: write}
	return newCatalog(database{DB: read, people: queue{of: w}}, queue{of: w, report: true}), nil
}

// toWrite takes the write lock at the start of every transaction: with deferred
// ones, two writers that have both read meet SQLITE_BUSY at once, and no timeout
// helps. Another writer is a command on the host, beside the control plane. FULL
// makes a committed row survive a power cut.
var toWrite = url.Values{
	"_txlock": {"immediate"},
	"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)"},
}

// toRead waits for no writer, as the log (WAL) allows, and refuses to be one. The
// timeout is for who opens the file first, and recovers the log.
var toRead = url.Values{"_pragma": {"busy_timeout(10000)", "query_only(1)"}}

func connect(path string, most int, query url.Values) (*sql.DB, error) {
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Opaque: url.PathEscape(path), RawQuery: query.Encode()}).String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(most)
	db.SetMaxIdleConns(most)
	return db, nil
}

func provide(db *sql.DB) (*goose.Provider, error) {
	folder, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectSQLite3, db, folder)
}

func migrate(ctx context.Context, provider *goose.Provider) error {
	_, err := provider.Up(ctx)
	return err
}

func checkSchema(ctx context.Context, provider *goose.Provider) error {
	is, ours, err := provider.GetVersions(ctx)
	if err == nil && is != ours {
		err = fleet.NewProblem(fleet.ErrConflict, "the control plane that runs is of another release than this program: its schema is %d, and not %d", is, ours).
			WithHint("use the program of the release that runs, or stop the control plane first")
	}
	return err
}

// Close waits for queries under way and closes the file.
func (c *Catalog) Close() error { return c.db.Close() }

// Ping reports whether the catalog answers a query.
func (c *Catalog) Ping(ctx context.Context) error {
	var one int
	return c.db.QueryRowContext(ctx, `SELECT count(*) FROM settings`).Scan(&one)
}

// SetSetting keeps a value under a key, in place of an earlier one.
func (c *Catalog) SetSetting(ctx context.Context, key, value string) error {
	_, err := c.db.ExecContext(ctx,
		`INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, value)
	return err
}

// Setting returns the value under a key, or fleet.ErrNotFound.
func (c *Catalog) Setting(ctx context.Context, key string) (string, error) {
	var value string
	err := c.db.QueryRowContext(ctx, `SELECT value FROM settings WHERE key = ?`, key).Scan(&value)
	return value, missing(err, "setting %q", key)
}

// queryer is what *sql.DB and *sql.Tx have in common for reading.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// collect reads every row of a query with scan.
func collect[T any](ctx context.Context, q queryer, scan func(row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// row is what *sql.Row and *sql.Rows have in common.
type row interface{ Scan(...any) error }

// missing turns "no rows" into fleet.ErrNotFound with a name for what is not
// there, and passes any other error on.
func missing(err error, format string, args ...any) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fleet.NewProblem(fleet.ErrNotFound, "there is no "+format, args...)
	}
	return err
}

// micros is a time as a column keeps it; the zero time is NULL.
func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// instant scans a column of micros into a time; NULL is the zero time.
type instant struct{ to *time.Time }

// Scan implements sql.Scanner.
func (i instant) Scan(value any) error {
	switch v := value.(type) {
	case nil:
		*i.to = time.Time{}
	case int64:
		*i.to = time.UnixMicro(v).UTC()
	default:
		return fmt.Errorf("a time column holds %T", value)
	}
	return nil
}
