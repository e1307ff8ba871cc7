package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// spoken are the keywords that pgconn reads as libpq does. The others matter to the tools alone.
var spoken = []string{
	"host", "port", "user", "password", "passfile", "connect_timeout", "sslmode", "sslnegotiation", "sslcert", "sslkey",
	"sslpassword", "sslcertmode", "sslrootcert", "sslsni", "krbsrvname", "target_session_attrs", "min_protocol_version",
	"max_protocol_version", "channel_binding", "require_auth", "application_name", "options",
}

const (
	defaultLockTimeout = 10 * time.Minute
	// defaultConnectTimeout is for a server that takes a connection and then says nothing, as a stopped one does: psql
	// would wait for ever, and so would every run after it.
	defaultConnectTimeout = 30 * time.Second
)

// Connection is the way to a server: by it alone sessions are opened. It holds no files and runs no programs. It is safe for
// concurrent use, and there is nothing to close: each session is closed by who opened it.
type Connection struct {
	// ConnectTimeout is how long a connection may take where the settings have no connect_timeout; 0 means 30 seconds.
	ConnectTimeout time.Duration
	// LockTimeout is how long a session that works, and pg_dump, wait for a lock; 0 means 10 minutes.
	LockTimeout time.Duration

	settings Settings
	// answerLimit is how many bytes a session takes from a server that is not to be trusted; 0 does not bound it.
	answerLimit int64

	mu    sync.Mutex
	known traits // of the server, since the first session
}

// NewConnection is the way that the settings describe. It connects to nothing yet.
func NewConnection(settings Settings) *Connection { return &Connection{settings: settings} }

// Connect opens a session in a database to work in it. The caller closes it.
func (c *Connection) Connect(ctx context.Context, database string) (*Session, error) {
	return c.open(ctx, database, working)
}

// Look opens a session in a database that only reads of its catalog. The caller closes it.
func (c *Connection) Look(ctx context.Context, database string) (*Session, error) {
	return c.open(ctx, database, looking)
}

// open opens a session with the parameters that the server takes. What is known of the server may be of one that was there
// before, or of a role that had other rights.
func (c *Connection) open(ctx context.Context, database string, p purpose) (*Session, error) {
	known, err := c.learn(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := c.dial(ctx, database, known, p)
	switch state := SQLState(err); {
	case err == nil && leadingNumber(conn.ParameterStatus("server_version")) == known.major:
		return begin(ctx, conn, p)
	case err == nil:
		err = conn.Close(ctx)
	case state != StateUndefinedObject && state != StateNoPrivilege:
		return nil, err
	}
	c.forget()
	again, learnErr := c.learn(ctx)
	switch {
	case learnErr != nil:
		return nil, errors.Join(err, learnErr)
	case err != nil && again == known:
		return nil, err
	}
	if conn, err = c.dial(ctx, database, again, p); err != nil {
		return nil, err
	}
	return begin(ctx, conn, p)
}

// dial opens a session with the parameters for a server of these traits.
func (c *Connection) dial(ctx context.Context, database string, server traits, p purpose) (*Session, error) {
	var words []string
	for _, keyword := range spoken {
		if value := c.settings.get(keyword); value != "" {
			words = append(words, keyword+"="+quoteConninfo(value))
		}
	}
	config, err := pgconn.ParseConfig(strings.Join(words, " "))
	if err != nil {
		return nil, errors.New("the connection settings are not valid")
	}
	config.Database = database
	config.ConnectTimeout = cmp.Or(config.ConnectTimeout, c.connectTimeout())
	config.RuntimeParams = map[string]string{
		"application_name": cmp.Or(c.settings.get("application_name"), "pgharbor"),
		// Names go over the wire as the bytes that the catalog holds, whatever encoding they were made in.
		"client_encoding": "SQL_ASCII",
		"options":         server.options(c.settings.get("options")),
	}
	// The server takes these after the options, so that they override them.
	for _, parameter := range server.parameters(p, cmp.Or(c.LockTimeout, defaultLockTimeout)) {
		config.RuntimeParams[parameter.name] = parameter.value
	}
	if address := c.settings.get("hostaddr"); address != "" {
		config.LookupFunc = func(context.Context, string) ([]string, error) { return strings.Split(address, ","), nil }
		if c.settings.Host() == "" {
			config.Host = address
		}
	}
	if c.answerLimit > 0 {
		boundAnswers(config, c.answerLimit)
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
		if answer.SQLState == StateInvalidCatalogName {
			return fmt.Errorf("%w: %q: %w", ErrNoDatabase, database, answer)
		}
		// PostgreSQL speaks so of what is no start of a session at all.
		if answer.SQLState == StateProtocolViolation {
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
func (c *Connection) administer(ctx context.Context, avoid ...string) (*Session, error) {
	return c.inSome(avoid, func(database string) (*Session, error) { return c.Connect(ctx, database) })
}

// inSome opens a session in the configured database, or in one that every instance has where that is gone, as it is when it
// is to be restored.
func (c *Connection) inSome(avoid []string, open func(database string) (*Session, error)) (*Session, error) {
	candidates := []string{"postgres", "template1"}
	if c.settings.User() != "" {
		candidates = []string{"postgres", c.settings.User(), "template1"}
	}
	if configured := c.settings.Database(); configured != "" {
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
		if state := SQLState(err); state != StateInvalidCatalogName && state != StateNoPrivilege && state != StateNotAccepting {
			break
		}
	}
	return nil, first
}

func (c *Connection) connectTimeout() time.Duration {
	return cmp.Or(c.ConnectTimeout, defaultConnectTimeout)
}
