package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// spoken are the keywords that pgconn reads as libpq does. The others matter to the tools alone.
var spoken = []string{
	"host", "port", "user", "password", "passfile", "connect_timeout", "sslmode", "sslnegotiation", "sslcert", "sslkey",
	"sslpassword", "sslcertmode", "sslrootcert", "sslsni", "krbsrvname", "target_session_attrs", "min_protocol_version",
	"max_protocol_version", "channel_binding", "require_auth", "application_name", "options",
}

// SQLSTATEs that this package acts on.
const (
	stateInvalidCatalogName = "3D000"
	stateDuplicateDatabase  = "42P04"
	stateNoPrivilege        = "42501"
	stateInvalidParameter   = "22023"
	stateNotAccepting       = "55000" // the database takes no connections
	stateObjectInUse        = "55006"
	stateLockNotAvailable   = "55P03"
)

// connect opens a session in a database. The caller closes it.
func (i *Instance) connect(ctx context.Context, database string) (*pgconn.PgConn, error) {
	var words []string
	for _, keyword := range spoken {
		if value := i.settings.get(keyword); value != "" {
			words = append(words, keyword+"="+quoteConninfo(value))
		}
	}
	config, err := pgconn.ParseConfig(strings.Join(words, " "))
	if err != nil {
		return nil, errors.New("the connection settings are not valid")
	}
	config.Database = database
	config.ConnectTimeout = cmp.Or(config.ConnectTimeout, i.connectTimeout())
	config.RuntimeParams = map[string]string{
		"application_name": "pgharbor",
		// Names go over the wire as the bytes that the catalog holds, whatever encoding they were made in.
		"client_encoding": "SQL_ASCII",
	}
	for _, keyword := range []string{"application_name", "options"} {
		if value := i.settings.get(keyword); value != "" {
			config.RuntimeParams[keyword] = value
		}
	}
	if address := i.settings.get("hostaddr"); address != "" {
		config.LookupFunc = func(context.Context, string) ([]string, error) { return strings.Split(address, ","), nil }
		if i.settings.Host() == "" {
			config.Host = address
		}
	}
	if i.answerLimit > 0 {
		boundAnswers(config, i.answerLimit)
	}
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, connectError(ctx, database, err)
	}
	// A time limit of the role is for its queries, not for making or analysing a database.
	if _, err := conn.Exec(ctx, "SET statement_timeout = 0").ReadAll(); err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	return conn, nil
}

// connectError says what the server or the network said, in one line and without the settings.
func connectError(ctx context.Context, database string, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("connect to database %q: %w", database, cause)
	}
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		if answer.Code == stateInvalidCatalogName {
			return fmt.Errorf("%w: %w", ErrNoDatabase, answer)
		}
		return fmt.Errorf("connect to database %q: %w", database, answer)
	}
	var network *net.OpError
	if errors.As(err, &network) {
		return fmt.Errorf("connect to database %q: %w", database, network)
	}
	return fmt.Errorf("connect to database %q: %w", database, err)
}

// administer opens a session for what concerns the whole instance: in the configured database, or in one that every
// instance has where that is gone, as it is when it is to be restored. It opens none in the databases to avoid, because
// nobody can rename a database from within.
func (i *Instance) administer(ctx context.Context, avoid ...string) (*pgconn.PgConn, error) {
	candidates := []string{"postgres", "template1"}
	if i.settings.User() != "" {
		candidates = []string{"postgres", i.settings.User(), "template1"}
	}
	if configured := i.settings.Database(); configured != "" {
		candidates = append([]string{configured}, candidates...)
	}
	first := errors.New("there is no database to work from: neither postgres nor template1 can be used")
	tried := false
	for _, database := range candidates {
		if slices.Contains(avoid, database) {
			continue
		}
		conn, err := i.connect(ctx, database)
		if err == nil {
			return conn, nil
		}
		if !tried {
			first, tried = err, true
		}
		if state := sqlState(err); state != stateInvalidCatalogName && state != stateNoPrivilege && state != stateNotAccepting {
			break
		}
	}
	return nil, first
}

// query runs one statement in a session for the whole instance. Rows come as text, NULL as "".
func (i *Instance) query(ctx context.Context, sql string, args ...string) ([][]string, error) {
	conn, err := i.administer(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	values := make([][]byte, len(args))
	for n, arg := range args {
		values[n] = []byte(arg)
	}
	result := conn.ExecParams(ctx, sql, values, nil, nil, nil).Read()
	if result.Err != nil {
		return nil, result.Err
	}
	rows := make([][]string, len(result.Rows))
	for n, row := range result.Rows {
		for _, column := range row {
			rows[n] = append(rows[n], string(column))
		}
	}
	return rows, nil
}

// execute runs one statement in a session for the whole instance.
func (i *Instance) execute(ctx context.Context, sql string) error {
	_, err := i.query(ctx, sql)
	return err
}

// IsAnswer says whether an error is what the server answered, so that it is certain that it did not do what it was asked.
func IsAnswer(err error) bool {
	// Of a session that is ended, class 57, the last statement may have been carried out.
	state := sqlState(err)
	return state != "" && !strings.HasPrefix(state, "57P")
}

// sqlState returns the SQLSTATE of a server's answer, or "".
func sqlState(err error) string {
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		return answer.Code
	}
	return ""
}
