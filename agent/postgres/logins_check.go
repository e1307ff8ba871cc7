package postgres

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
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
func (l *Logins) noWayIn(ctx context.Context, answered []string, err error) error {
	line := anySocket
	if known, learnErr := l.connection.learn(ctx); learnErr == nil && known.major >= 16 {
		line = ourSocket
	}
	host := l.connection.settings.Host()
	switch rows, askErr := l.connection.Query(ctx, "SELECT pg_catalog.inet_client_addr()::pg_catalog.text"); {
	case !l.bySocket() && askErr == nil && rows[0][0] != "":
		line = "host all all " + rows[0][0] + " scram-sha-256"
	case !l.bySocket():
		line = "host all all " + host + " scram-sha-256"
	case len(answered) > 1:
		line = loopback
	}
	return &NoWayIn{Line: line, Err: err}
}

// CheckLogin tells beforehand whether the server lets the logins of owners in: it tries one that does not exist, and sees whether a
// password is asked for. A *NoWayIn where none is; any other error where that can't be told.
func (l *Logins) CheckLogin(ctx context.Context) error {
	known, err := l.connection.learn(ctx)
	if err != nil {
		return err
	}
	var refused []error
	var answered []string
	for _, host := range l.loginHosts() {
		login := l.inMemory(l.connection.settings.as(host, roleCheck, roleCheck+"_1", rand.Text()))
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
	return l.noWayIn(ctx, answered, errors.Join(refused...))
}

// asksPassword reports whether the answer to a login that does not exist is about the password or, where none is asked for, about the role.
func asksPassword(answer *ServerError) bool {
	return answer.SQLState == StateInvalidPassword || answer.SQLState == StateInvalidCatalogName ||
		answer.SQLState == StateInvalidAuthorization && answer.routine == "InitializeSessionUserId"
}
