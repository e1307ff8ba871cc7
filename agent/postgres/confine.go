package postgres

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
)

// ErrNoConfinement reports that no role could be had that may fill a database and nothing else.
var ErrNoConfinement = errors.New("a role that is confined to the new database can't be used here")

// scramIterations is PostgreSQL's own default for the passwords of roles.
const scramIterations = 4096

// Confined reaches one database as a role that owns it, is no superuser, is a member of nothing, and has a password that
// nobody else knows. What a script does as this role stays within the database.
type Confined struct {
	*Instance
	admin    *Instance
	database string
	role     string
}

// Confine makes the role, which must not exist, gives it the database and logs in as it. It is a login, and not SET ROLE,
// which a script could undo. ErrNoConfinement where the role can't be made or the server lets nobody in by a password.
// After an error the role may exist: DropConfined.
func (i *Instance) Confine(ctx context.Context, database, role string) (*Confined, error) {
	server, err := i.Server(ctx)
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
		if err := i.Execute(ctx, sql); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNoConfinement, err)
		}
	}
	// From PostgreSQL 15 on it is the database's owner's.
	if server.Number < 150000 {
		if err := i.ExecuteIn(ctx, database, "ALTER SCHEMA public OWNER TO "+QuoteName(role)); err != nil {
			return nil, err
		}
	}
	return i.logIn(ctx, database, role, password)
}

// logIn logs in with files of its own, for tools too.
func (i *Instance) logIn(ctx context.Context, database, role, password string) (*Confined, error) {
	var refused []error
	for _, host := range i.loginHosts() {
		instance, err := Open(i.settings.as(host, database, role, password), i.dir)
		if err != nil {
			return nil, err
		}
		instance.ConnectTimeout = i.ConnectTimeout
		if _, err = instance.Server(ctx); err == nil {
			return &Confined{Instance: instance, admin: i, database: database, role: role}, nil
		}
		refused = append(refused, err, instance.Close())
	}
	return nil, fmt.Errorf("%w: %w", ErrNoConfinement, errors.Join(refused...))
}

// as returns the settings of another login on the same server.
func (s Settings) as(host, database, role, password string) Settings {
	values, environ := map[string]string{}, map[string]string{}
	if s.resolved != nil {
		maps.Copy(values, s.values)
		maps.Copy(environ, s.environ)
	}
	for _, keyword := range []string{"passfile", "require_auth", "host"} {
		delete(values, keyword)
	}
	for keyword, value := range map[string]string{"host": host, "dbname": database, "user": role, "password": password} {
		if value != "" {
			values[keyword] = value
		}
	}
	return Settings{&resolved{values: values, environ: environ}}
}

// Close ends the role's login for good, and before that what it has prepared, of which there should be nothing. It stays the owner
// of what it has made.
func (c *Confined) Close(ctx context.Context) error {
	prepared, err := c.rollBackPrepared(ctx, c.database)
	if prepared && err == nil {
		err = errPrepared
	}
	return errors.Join(err, c.Instance.Close(), c.admin.LockOut(ctx, c.role))
}

// LockOut ends the sessions of a role and takes its login: it has no password afterwards, and may not log in.
func (i *Instance) LockOut(ctx context.Context, role string) error {
	_, err := i.Query(ctx, "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE usename = $1", role)
	return errors.Join(err, i.Execute(ctx, "ALTER ROLE "+QuoteName(role)+" NOLOGIN PASSWORD NULL"))
}

// DropConfined drops the role of Confine after its database, where there is one. Where the database stands under another
// name by now, the role is its owner and stays, without a login.
func (i *Instance) DropConfined(ctx context.Context, role string) error {
	rows, err := i.Query(ctx, "SELECT FROM pg_catalog.pg_roles WHERE rolname = $1", role)
	if err != nil || len(rows) == 0 {
		return err
	}
	err = i.Execute(ctx, "DROP ROLE IF EXISTS "+QuoteName(role))
	if SQLState(err) == StateDependents {
		return i.LockOut(ctx, role)
	}
	return err
}

// restricted are the first minor releases of psql that know \restrict, by major (CVE-2025-8714).
var restricted = map[int]int{13: 22, 14: 19, 15: 14, 16: 10, 17: 6}

// Restrict returns a script for psql in which psql takes none of its own commands, such as \!, whatever follows: that is for
// psql itself to hold, which reads SQL as nobody else does. A psql that does not know how gets the script as it is.
func (i *Instance) Restrict(ctx context.Context, script io.Reader) (io.Reader, error) {
	server, err := i.Server(ctx)
	if err != nil {
		return nil, err
	}
	psql, err := i.findTool(ctx, "psql", server)
	if err != nil {
		return nil, err
	}
	first, listed := restricted[psql.Number/10000]
	if psql.Number < 180000 && (!listed || psql.Number%10000 < first) {
		return script, nil
	}
	return io.MultiReader(strings.NewReader(`\restrict `+rand.Text()+"\n"), script), nil
}

// ScramVerifier is what PostgreSQL keeps of a password (RFC 5802 and 7677), so that the password itself gets into no log of
// the server's.
func ScramVerifier(password string) (string, error) {
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return "", err
	}
	salted, err := pbkdf2.Key(sha256.New, password, salt, scramIterations, sha256.Size)
	if err != nil {
		return "", err
	}
	key := func(of string) []byte {
		mac := hmac.New(sha256.New, salted)
		mac.Write([]byte(of))
		return mac.Sum(nil)
	}
	stored := sha256.Sum256(key("Client Key"))
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", scramIterations, encode(salt), encode(stored[:]), encode(key("Server Key"))), nil
}
