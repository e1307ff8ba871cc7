package load

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"

	"github.com/pgharbor/pgharbor/agent/dump"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

const noLogin = "it is loaded by a login of its own, and none is to be had"

// logins makes the logins of a load. Each is for one session, and has the rights of one owner or none. Rights are given
// and taken by one goroutine at a time.
type logins struct {
	target

	granting sync.Mutex // held while rights are given or taken; guards what follows
	made     int        // roles that were made
	refusal  error      // why no login gets in, once that is known
}

// connect opens a session, with a login made for it alone.
//
// Code that runs in a session can give its own role another password. So a role may log in only until its one session
// stands: by then no code has run as it, and nobody else knows the password.
func (l *logins) connect(ctx context.Context, key sessionKey) (*loadSession, error) {
	l.granting.Lock()
	defer l.granting.Unlock()
	if l.refusal != nil {
		return nil, &dump.ContentError{Object: key.object(), Why: noLogin, Err: l.refusal}
	}
	role, password := l.newLogin(), rand.Text()
	if err := l.makeLogin(ctx, role, password, key.owner); err != nil {
		return nil, &dump.ContentError{Object: key.object(), Why: "a login that has no more than its owner's rights can't be made, for which the agent's role needs CREATEROLE", Err: fmt.Errorf("%w: %w", postgres.ErrNoLogin, err)}
	}
	login, err := l.instance.LogInInMemory(ctx, l.database, role, password)
	if !postgres.LacksLogin(err) && err != nil {
		return nil, err
	}
	if err != nil {
		l.refusal = err
		return nil, &dump.ContentError{Object: key.object(), Why: noLogin, Err: err}
	}
	conn, err := login.Connect(ctx, l.database)
	// Before PostgreSQL 15, a role can also make others members of itself, and they would have its right to connect.
	err = errors.Join(err, l.instance.Execute(ctx, "ALTER ROLE "+postgres.QuoteName(role)+" NOLOGIN"),
		l.instance.Execute(ctx, "REVOKE CONNECT ON DATABASE "+postgres.QuoteName(l.database)+" FROM "+postgres.QuoteName(role)))
	if err != nil {
		if conn != nil {
			_ = conn.Close(ctx) // the other error is told
		}
		return nil, err
	}
	return &loadSession{conn: conn, login: role}, nil
}

// newLogin is the name of a new role. The caller holds granting.
func (l *logins) newLogin() string {
	l.made++
	return fmt.Sprintf("%s_%d", l.database, l.made)
}

// makeLogin makes a role that may log in to the database and is a member of the owner alone, or of nothing.
func (l *logins) makeLogin(ctx context.Context, role, password, owner string) error {
	verifier, err := postgres.ScramVerifier(password)
	if err != nil {
		return err
	}
	statements := []string{
		"CREATE ROLE " + postgres.QuoteName(role) + " LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE INHERIT NOREPLICATION NOBYPASSRLS PASSWORD" + postgres.QuoteLiteral(verifier),
		"GRANT CONNECT ON DATABASE " + postgres.QuoteName(l.database) + " TO " + postgres.QuoteName(role),
	}
	if owner != "" {
		grant := "GRANT " + postgres.QuoteName(owner) + " TO " + postgres.QuoteName(role)
		if l.server.Number >= 160000 {
			grant += " WITH INHERIT TRUE, SET FALSE"
		}
		statements = append(statements, grant)
	}
	if !l.server.Superuser {
		statements = append(statements, "GRANT "+postgres.QuoteName(role)+" TO CURRENT_USER") // to take away what the login makes
	}
	for _, sql := range statements {
		// In the database itself: an owner may have a name that only its encoding can say.
		if err := l.instance.ExecuteIn(ctx, l.database, sql); err != nil {
			return err
		}
	}
	return nil
}

// drop drops the roles of the logins, and with them what code made as one of them; nothing of the dump is among that.
// It is done before the event triggers of the dump are made, which would hear of it.
func (l *logins) drop(ctx context.Context, s *loadSessions) error {
	for key := range s.open {
		if key != (sessionKey{}) {
			s.end(ctx, key)
		}
	}
	for n := range l.made {
		role := postgres.QuoteName(fmt.Sprintf("%s_%d", l.database, n+1))
		if err := s.runSQL(ctx, "DROP OWNED BY "+role); err != nil {
			return err
		}
	}
	return DropRoles(ctx, l.instance, l.database)
}

// DropRoles ends the logins of a Guarded load and drops their roles. A role that somebody has given something elsewhere
// stays, without a login and a member of nothing.
func DropRoles(ctx context.Context, i *postgres.Instance, database string) error {
	rows, err := i.Query(ctx, `SELECT rolname FROM pg_catalog.pg_roles WHERE pg_catalog.starts_with(rolname::pg_catalog.text, $1::pg_catalog.text)`, database+"_")
	if err != nil {
		return err
	}
	for _, row := range rows {
		if err := i.LockOut(ctx, row[0]); err != nil {
			return err
		}
		err := i.Execute(ctx, "DROP ROLE IF EXISTS "+postgres.QuoteName(row[0])) // its memberships go with it
		if postgres.SQLState(err) == postgres.StateDependents {
			err = endLogin(ctx, i, row[0])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// memberOf are the roles that the role $1 is a member of.
const memberOf = `SELECT g.rolname FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles g ON g.oid = m.roleid
	JOIN pg_catalog.pg_roles r ON r.oid = m.member WHERE r.rolname = $1`

// endLogin takes from a role its login and its memberships: code that ran as it may have given it another password.
func endLogin(ctx context.Context, i *postgres.Instance, role string) error {
	groups, err := i.Query(ctx, memberOf, role)
	if err != nil {
		return err
	}
	for _, group := range groups {
		if err := i.Execute(ctx, "REVOKE "+postgres.QuoteName(group[0])+" FROM "+postgres.QuoteName(role)); err != nil {
			return err
		}
	}
	return i.LockOut(ctx, role)
}

// scratch is a schema of a login's own, made at first need. It goes with the login.
func (s *loadSessions) scratch(ctx context.Context, login *loadSession) (string, error) {
	if login.scratch == "" {
		name := postgres.QuoteName(login.login)
		if err := s.runSQL(ctx, "CREATE SCHEMA "+name+" AUTHORIZATION "+name); err != nil {
			return "", err
		}
		login.scratch = name
	}
	return login.scratch, nil
}
