package postgres

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
)

// ErrNoLogin reports that no login could be had that runs what must not run with the superuser's rights.
var ErrNoLogin = errors.New("no login of an owner can be had")

// NoWayIn says that the server lets none in by a password, on any way that the agent has to it.
type NoWayIn struct {
	Line string // that pg_hba.conf lacks
	Err  error  // what the server or the network answered
}

// Error implements error.
func (e *NoWayIn) Error() string {
	return fmt.Sprintf("the server lets no role in by a password (%q is missing in its pg_hba.conf): %v", e.Line, e.Err)
}

// Unwrap returns what was answered, beside ErrNoLogin.
func (e *NoWayIn) Unwrap() []error { return []error{ErrNoLogin, e.Err} }

// Remedy is what to do about it.
func (e *NoWayIn) Remedy() string {
	remedy := fmt.Sprintf("put the line %q into pg_hba.conf, before those that come to the same, and reload the configuration of the server", e.Line)
	if e.Line == anySocket {
		remedy += `; for a user who is to go on coming by peer, such as postgres, a line "local all postgres peer" before it`
	}
	return remedy
}

// Lines of pg_hba.conf. Before PostgreSQL 16, it knows no patterns.
const (
	anySocket = "local all all scram-sha-256"
	ourSocket = "local all /^pgharbor_restore_ scram-sha-256"
	loopback  = "host all all localhost scram-sha-256"
	roleCheck = "pgharbor_restore_check"
)

// noWayIn says what is to be mended. answered are the ways on which the server answered.
func (i *Instance) noWayIn(ctx context.Context, answered []string, err error) error {
	line := anySocket
	if known, learnErr := i.learn(ctx); learnErr == nil && known.major >= 16 {
		line = ourSocket
	}
	host := i.settings.Host()
	switch rows, askErr := i.Query(ctx, "SELECT pg_catalog.inet_client_addr()::pg_catalog.text"); {
	case !i.bySocket() && askErr == nil && rows[0][0] != "":
		line = "host all all " + rows[0][0] + " scram-sha-256"
	case !i.bySocket():
		line = "host all all " + host + " scram-sha-256"
	case len(answered) > 1:
		line = loopback
	}
	return &NoWayIn{Line: line, Err: err}
}

func (i *Instance) bySocket() bool {
	host := i.settings.Host()
	return (host == "" || strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@")) && i.settings.get("hostaddr") == ""
}

// loginHosts are the configured way to the server and, where that is a socket, at which pg_hba.conf may ask for the user of the
// operating system, TCP on this host too.
func (i *Instance) loginHosts() []string {
	hosts := []string{i.settings.Host()}
	if i.bySocket() {
		hosts = append(hosts, "localhost")
	}
	return hosts
}

// inMemory is another way to the server, whose settings get into no file.
func (i *Instance) inMemory(settings Settings) *Connection {
	return &Connection{settings: settings, ConnectTimeout: i.ConnectTimeout}
}

// LogInInMemory logs in as a role that has a password, which gets into no file. A *NoWayIn where the server lets it in nowhere.
func (i *Instance) LogInInMemory(ctx context.Context, database, role, password string) (*Connection, error) {
	var refused []error
	var answered []string
	for _, host := range i.loginHosts() {
		login := i.inMemory(i.settings.as(host, database, role, password))
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
	return nil, i.noWayIn(ctx, answered, errors.Join(refused...))
}

// CheckLogin tells beforehand whether the server lets the logins of owners in: it tries one that does not exist, and sees whether a
// password is asked for. A *NoWayIn where none is; any other error where that can't be told.
func (i *Instance) CheckLogin(ctx context.Context) error {
	known, err := i.learn(ctx)
	if err != nil {
		return err
	}
	var refused []error
	var answered []string
	for _, host := range i.loginHosts() {
		login := i.inMemory(i.settings.as(host, roleCheck, roleCheck+"_1", rand.Text()))
		conn, err := login.dial(ctx, roleCheck, known, looking)
		var answer *ServerError
		switch {
		case err == nil:
			return conn.Close(ctx)
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !errors.As(err, &answer):
		case asksPassword(answer):
			return nil
		case answer.SQLState[:2] != "28":
			return err // it takes no sessions now
		default:
			answered = append(answered, host)
		}
		refused = append(refused, err)
	}
	if len(answered) == 0 {
		return cmp.Or(errors.Join(refused...), ErrNoLogin)
	}
	return i.noWayIn(ctx, answered, errors.Join(refused...))
}

// asksPassword reports whether the answer to a login that does not exist is about the password or, where none is asked for, about the role.
func asksPassword(answer *ServerError) bool {
	return answer.SQLState == stateInvalidPassword || answer.SQLState == stateInvalidCatalogName ||
		answer.SQLState == stateInvalidAuthorization && answer.routine == "InitializeSessionUserId"
}
