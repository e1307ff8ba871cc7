package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
)

// ErrNoSandbox reports that no role could be had that may fill a database and nothing else.
var ErrNoSandbox = errors.New("a role that is confined to the new database can't be used here")

// Sandboxed reaches one database as a role that owns it, is no superuser, is a member of nothing, and has a password that
// nobody else knows. What a script does as this role stays within the database.
type Sandboxed struct {
	*Instance
	admin    *Logins
	database string
	role     string
}

// Sandbox makes the role, which must not exist, gives it the database and logs in as it. It is a login, and not SET ROLE,
// which a script could undo. ErrNoSandbox where the role can't be made or the server lets nobody in by a password.
// After an error the role may exist: DropSandboxed.
func (l *Logins) Sandbox(ctx context.Context, database, role string) (*Sandboxed, error) {
	server, err := l.connection.Server(ctx)
	if err != nil {
		return nil, err
	}
	password := rand.Text()
	verifier, err := ScramVerifier(password)
	if err != nil {
		return nil, err
	}
	statements := []string{
		"CREATE ROLE " + QuoteName(role) + " LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE INHERIT NOREPLICATION NOBYPASSRLS PASSWORD" + QuoteLiteral(verifier),
	}
	if !server.Superuser {
		statements = append(statements, "GRANT "+QuoteName(role)+" TO CURRENT_USER") // what gives a database away must be able to take it
	}
	statements = append(statements, "ALTER DATABASE "+QuoteName(database)+" OWNER TO "+QuoteName(role))
	for _, sql := range statements {
		if err := l.connection.Execute(ctx, sql); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNoSandbox, err)
		}
	}
	// From PostgreSQL 15 on it is the database's owner's.
	if server.Number < 150000 {
		if err := l.connection.ExecuteIn(ctx, database, "ALTER SCHEMA public OWNER TO "+QuoteName(role)); err != nil {
			return nil, err
		}
	}
	return l.logIn(ctx, database, role, password)
}

// logIn logs in with files of its own, for tools too.
func (l *Logins) logIn(ctx context.Context, database, role, password string) (*Sandboxed, error) {
	var refused []error
	for _, host := range l.loginHosts() {
		instance, err := Open(l.connection.settings.as(host, database, role, password), l.tools.dir)
		if err != nil {
			return nil, err
		}
		instance.ConnectTimeout, instance.LockTimeout, instance.Hidden = l.connection.ConnectTimeout, l.connection.LockTimeout, l.tools.Hidden
		if _, err = instance.Server(ctx); err == nil {
			return &Sandboxed{Instance: instance, admin: l, database: database, role: role}, nil
		}
		refused = append(refused, err, instance.Close())
	}
	return nil, fmt.Errorf("%w: %w", ErrNoSandbox, errors.Join(refused...))
}

// Close ends the role's login for good, and before that what it has prepared, of which there should be nothing. It stays the owner
// of what it has made.
func (c *Sandboxed) Close(ctx context.Context) error {
	prepared, err := c.rollBackPrepared(ctx, c.database)
	if prepared && err == nil {
		err = errPrepared
	}
	return errors.Join(err, c.Instance.Close(), c.admin.LockOut(ctx, c.role))
}

// DropSandboxed drops the role of Sandbox after its database, where there is one. Where the database stands under another
// name by now, the role is its owner and stays, without a login.
func (l *Logins) DropSandboxed(ctx context.Context, role string) error {
	rows, err := l.connection.Query(ctx, "SELECT FROM pg_catalog.pg_roles WHERE rolname = $1", role)
	if err != nil || len(rows) == 0 {
		return err
	}
	err = l.connection.Execute(ctx, "DROP ROLE IF EXISTS "+QuoteName(role))
	if SQLState(err) == StateDependents {
		return l.LockOut(ctx, role)
	}
	return err
}
