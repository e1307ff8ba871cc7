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
	stateInvalidCatalogName   = "3D000"
	stateInvalidAuthorization = "28000"
	stateInvalidPassword      = "28P01"
	stateDuplicateDatabase    = "42P04"
	StateNoPrivilege          = "42501"
	stateInvalidParameter     = "22023"
	stateOtherEncoding        = "22021" // the bytes are none of the database's encoding
	StateUndefinedObject      = "42704" // of a parameter, too
	stateProtocolViolation    = "08P01"
	stateNotAccepting         = "55000" // the database takes no connections
	StateNotReady             = "55000" // a materialized view is not filled
	stateObjectInUse          = "55006"
	stateLockNotAvailable     = "55P03"
	StateDeadlock             = "40P01"
	stateInternal             = "XX000"
)

// Connect opens a session in a database to work in it. The caller closes it.
func (i *Instance) Connect(ctx context.Context, database string) (*Session, error) {
	return i.open(ctx, database, working)
}

// Look opens a session in a database that only reads of its catalog. The caller closes it.
func (i *Instance) Look(ctx context.Context, database string) (*Session, error) {
	return i.open(ctx, database, looking)
}

// open opens a session with the parameters that the server takes. What is known of the server may be of one that was there
// before, or of a role that had other rights.
func (i *Instance) open(ctx context.Context, database string, p purpose) (*Session, error) {
	known, err := i.learn(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := i.dial(ctx, database, known, p)
	switch state := SQLState(err); {
	case err == nil && leadingNumber(conn.ParameterStatus("server_version")) == known.major:
		return begin(ctx, conn, p)
	case err == nil:
		err = conn.Close(ctx)
	case state != StateUndefinedObject && state != StateNoPrivilege:
		return nil, err
	}
	i.forget()
	again, learnErr := i.learn(ctx)
	switch {
	case learnErr != nil:
		return nil, errors.Join(err, learnErr)
	case err != nil && again == known:
		return nil, err
	}
	if conn, err = i.dial(ctx, database, again, p); err != nil {
		return nil, err
	}
	return begin(ctx, conn, p)
}

// dial opens a session with the parameters for a server of these traits.
func (i *Instance) dial(ctx context.Context, database string, server traits, p purpose) (*Session, error) {
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
		"application_name": cmp.Or(i.settings.get("application_name"), "pgharbor"),
		// Names go over the wire as the bytes that the catalog holds, whatever encoding they were made in.
		"client_encoding": "SQL_ASCII",
		"options":         server.options(i.settings.get("options")),
	}
	// The server takes these after the options, so that they override them.
	for _, parameter := range server.parameters(p, cmp.Or(i.LockTimeout, defaultLockTimeout)) {
		config.RuntimeParams[parameter.name] = parameter.value
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
	conn := &Session{}
	config.OnNotice = func(_ *pgconn.PgConn, notice *pgconn.Notice) { conn.warning = notice.Code }
	if conn.conn, err = pgconn.ConnectConfig(ctx, config); err != nil {
		return nil, connectError(ctx, database, err)
	}
	return conn, nil
}

// connectError says what the server or the network said, in one line and without the settings.
func connectError(ctx context.Context, database string, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("connect to database %q: %w", database, cause)
	}
	var answer *ServerError
	if errors.As(serverError(err), &answer) {
		if answer.SQLState == stateInvalidCatalogName {
			return fmt.Errorf("%w: %q: %w", ErrNoDatabase, database, answer)
		}
		// PostgreSQL speaks so of what is no start of a session at all.
		if answer.SQLState == stateProtocolViolation {
			return fmt.Errorf("connect to database %q: %w: %w", database, ErrPooler, answer)
		}
		return fmt.Errorf("connect to database %q: %w", database, answer)
	}
	var network *net.OpError
	if errors.As(err, &network) {
		return fmt.Errorf("connect to database %q: %w", database, network)
	}
	return fmt.Errorf("connect to database %q: %w", database, err)
}

// administer opens a session to work on what concerns the whole instance. It opens none in the databases to avoid, because
// nobody can rename a database from within.
func (i *Instance) administer(ctx context.Context, avoid ...string) (*Session, error) {
	return i.inSome(avoid, func(database string) (*Session, error) { return i.Connect(ctx, database) })
}

// inSome opens a session in the configured database, or in one that every instance has where that is gone, as it is when it
// is to be restored.
func (i *Instance) inSome(avoid []string, open func(database string) (*Session, error)) (*Session, error) {
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
		conn, err := open(database)
		if err == nil {
			return conn, nil
		}
		if !tried {
			first, tried = err, true
		}
		if state := SQLState(err); state != stateInvalidCatalogName && state != StateNoPrivilege && state != stateNotAccepting {
			break
		}
	}
	return nil, first
}

// Query asks one question in a session that only looks, for the whole instance. Rows come as text, NULL as "".
func (i *Instance) Query(ctx context.Context, sql string, args ...string) ([][]string, error) {
	conn, err := i.inSome(nil, func(database string) (*Session, error) { return i.Look(ctx, database) })
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return Ask(ctx, conn, sql, args...)
}

// QueryIn asks something in a database itself: a role may have a name that only its encoding can say.
func (i *Instance) QueryIn(ctx context.Context, database, sql string, args ...string) ([][]string, error) {
	conn, err := i.Look(ctx, database)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return Ask(ctx, conn, sql, args...)
}

// Ask runs one statement in a session. Rows come as text, NULL as "".
func Ask(ctx context.Context, conn *Session, sql string, args ...string) ([][]string, error) {
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

// Execute runs one statement in a session for the whole instance.
func (i *Instance) Execute(ctx context.Context, sql string) error {
	conn, err := i.administer(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return Run(ctx, conn, sql)
}

// IsAnswer reports whether an error is what the server answered, so that it is certain that it did not do what it was asked.
func IsAnswer(err error) bool {
	// Of a session that is ended, class 57, the last statement may have been carried out.
	state := SQLState(err)
	return state != "" && !strings.HasPrefix(state, "57P")
}
