package postgres

import (
	"context"
	"errors"
	"maps"
	"strings"
)

// Logins reach the server as another role, so that what others wrote runs with no more rights than theirs. They need a
// connection and a private folder, and are safe for concurrent use.
type Logins struct {
	connection *Connection
	tools      *Tools // a sandboxed role has its folder within theirs, and hides what they hide
}

// NewLogins works over a connection, next to the tools; it does not connect yet.
func NewLogins(connection *Connection, tools *Tools) *Logins {
	return &Logins{connection: connection, tools: tools}
}

// LogInInMemory logs in as a role that has a password, which gets into no file. A *NoWayIn where the server lets it in nowhere.
func (l *Logins) LogInInMemory(ctx context.Context, database, role, password string) (*Connection, error) {
	var refused []error
	var answered []string
	for _, host := range l.loginHosts() {
		login := l.inMemory(l.connection.settings.as(host, database, role, password))
		_, err := login.Server(ctx)
		if err == nil {
			return login, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		refused = append(refused, err)
		if SQLState(err) != "" {
			answered = append(answered, host)
		}
	}
	return nil, l.noWayIn(ctx, answered, errors.Join(refused...))
}

// inMemory is another way to the server, whose settings get into no file.
func (l *Logins) inMemory(settings Settings) *Connection {
	return &Connection{settings: settings, ConnectTimeout: l.connection.ConnectTimeout}
}

// loginHosts are the configured way to the server and, where that is a socket, at which pg_hba.conf may ask for the user of the
// operating system, TCP on this host too.
func (l *Logins) loginHosts() []string {
	hosts := []string{l.connection.settings.Host()}
	if l.bySocket() {
		hosts = append(hosts, "localhost")
	}
	return hosts
}

func (l *Logins) bySocket() bool {
	host := l.connection.settings.Host()
	return (host == "" || strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@")) && l.connection.settings.get("hostaddr") == ""
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

// LockOut ends the sessions of a role and takes its login: it has no password afterwards, and may not log in.
func (l *Logins) LockOut(ctx context.Context, role string) error {
	_, err := l.connection.Query(ctx, "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE usename = $1", role)
	return errors.Join(err, l.connection.Execute(ctx, "ALTER ROLE "+QuoteName(role)+" NOLOGIN PASSWORD NULL"))
}
