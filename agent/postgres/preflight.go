package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Of what a server may lack.
const (
	Extensions  = "SELECT name FROM pg_catalog.pg_available_extensions"
	Tablespaces = "SELECT spcname FROM pg_catalog.pg_tablespace"
)

// Preflight asks, before anything is done, whether it would work: what the server lacks and what this role may not do. It
// changes nothing. It needs a connection alone, and is safe for concurrent use.
type Preflight struct{ connection *Connection }

// NewPreflight works over a connection; it does not connect yet.
func NewPreflight(connection *Connection) *Preflight { return &Preflight{connection} }

// Missing returns those of the names that the server does not have, of Extensions or Tablespaces.
func (p *Preflight) Missing(ctx context.Context, of string, names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	return p.connection.missing(ctx, of, names)
}

// Use is who uses a database.
type Use struct {
	Sessions     int
	Applications []string // of the sessions, as they call themselves
	Prepared     int      // transactions that wait for their second phase, and stand in the way of a rename
	Slots        int      // of logical replication
}

// Use says who uses a database.
func (p *Preflight) Use(ctx context.Context, database string) (Use, error) {
	rows, err := p.connection.Query(ctx, `SELECT (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity
			WHERE datname = $1 AND backend_type = 'client backend' AND pid <> pg_catalog.pg_backend_pid()),
		(SELECT pg_catalog.count(*) FROM pg_catalog.pg_prepared_xacts WHERE database = $1),
		(SELECT pg_catalog.count(*) FROM pg_catalog.pg_replication_slots WHERE database = $1),
		(SELECT pg_catalog.string_agg(DISTINCT nullif(application_name, ''), ', ') FROM pg_catalog.pg_stat_activity
			WHERE datname = $1 AND backend_type = 'client backend' AND pid <> pg_catalog.pg_backend_pid())`, database)
	if err != nil {
		return Use{}, err
	}
	var use Use
	for n, count := range []*int{&use.Sessions, &use.Prepared, &use.Slots} {
		if *count, err = strconv.Atoi(rows[0][n]); err != nil {
			return Use{}, err
		}
	}
	if rows[0][3] != "" {
		use.Applications = strings.Split(rows[0][3], ", ")
	}
	return use, nil
}

// MayReplace says what rights the role lacks to make a database and, where replaced is not "", to put it in that one's
// place; "" where it has them.
func (p *Preflight) MayReplace(ctx context.Context, replaced string) (lacks string, err error) {
	rows, err := p.connection.Query(ctx, `SELECT (rolsuper OR rolcreatedb)::pg_catalog.text,
		coalesce((SELECT (rolsuper OR pg_catalog.pg_has_role(datdba, 'MEMBER'))::pg_catalog.text FROM pg_catalog.pg_database WHERE datname = $1), 'true')
		FROM pg_catalog.pg_roles WHERE rolname = current_user`, replaced)
	if err != nil {
		return "", err
	}
	switch {
	case len(rows) != 1:
		return "", errors.New("the server does not know its own user")
	case rows[0][0] != "true":
		return "CREATEDB", nil
	case rows[0][1] != "true":
		return fmt.Sprintf("the ownership of database %q", replaced), nil
	}
	return "", nil
}

// ErrNoLocale reports that the server's host does not have a locale.
var ErrNoLocale = errors.New("the server does not have the locale")

// CheckLocale tries whether databases of a locale can be made, by a collation that is never made. ErrNoLocale where
// they can't; another error where that can't be told.
func (p *Preflight) CheckLocale(ctx context.Context, like Database) error {
	server, err := p.connection.Server(ctx)
	if err != nil {
		return err
	}
	since := map[string]int{"icu": 150000, "builtin": 170000}[like.LocaleProvider]
	if server.Number < since {
		return fmt.Errorf("%w: databases with the locale provider %s come with PostgreSQL %d", ErrNoLocale, like.LocaleProvider, since/10000)
	}
	known, err := p.connection.Query(ctx, `SELECT FROM pg_catalog.pg_database WHERE pg_catalog.pg_encoding_to_char(encoding) = $1 AND datcollate = $2 AND datctype = $3`,
		like.Encoding, like.Collate, like.CType)
	if err != nil || len(known) > 0 && since == 0 {
		return err
	}
	for _, locale := range []string{like.Collate, like.CType} {
		if err := p.tryLocale(ctx, like.Encoding, locale); err != nil {
			return err
		}
	}
	return nil
}

func (p *Preflight) tryLocale(ctx context.Context, encoding, locale string) error {
	if locale == "" || locale == "C" || locale == "POSIX" {
		return nil
	}
	conn, err := p.connection.administer(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	try := "CREATE COLLATION pg_temp.pgharbor_preview (PROVIDER = libc, LOCALE = " + QuoteLiteral(locale) + ")"
	err = Run(ctx, conn, "BEGIN", try)
	if err == nil {
		return Run(ctx, conn, "ROLLBACK")
	}
	if SQLState(err) == StateInvalidParameter && conn.ParameterStatus("server_encoding") == encoding {
		return fmt.Errorf("%w: %w", ErrNoLocale, err)
	}
	return err
}

// FreeSpace returns the free bytes of the disk of the server's data, and where that is. The error says why that can't be
// told from here.
func (p *Preflight) FreeSpace(ctx context.Context) (free int64, dir string, err error) {
	host := p.connection.settings.Host()
	if host != "" && host[0] != '/' && host != "localhost" && host != "127.0.0.1" && host != "::1" {
		return 0, "", fmt.Errorf("the server is on another host, %s", host)
	}
	rows, err := p.connection.Query(ctx, "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'data_directory'")
	if err != nil {
		return 0, "", err
	}
	if len(rows) == 0 || rows[0][0] == "" {
		return 0, "", errors.New("the role may not read the setting data_directory")
	}
	dir = rows[0][0]
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil {
		return 0, dir, fmt.Errorf("%s can't be seen from here: %w", dir, err)
	}
	return int64(disk.Bavail) * disk.Bsize, dir, nil
}
