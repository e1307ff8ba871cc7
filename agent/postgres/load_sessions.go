package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
)

// loadSessions are the sessions of one goroutine of a guarded load, opened at first need: the superuser's with an empty search
// path, the superuser's with that of the database, and those of owners.
type loadSessions struct {
	loader *guardedLoader
	open   map[sessionKey]*loadSession
}

// sessionKey tells sessions apart.
type sessionKey struct {
	owner    string // "" is the superuser
	withPath bool   // the search path is the database's
}

// loadSession is a session that loads.
type loadSession struct {
	conn     *session
	settings string // of the statement before
	login    string // the role of the login; "" is the superuser
}

func (l *guardedLoader) newSessions() *loadSessions {
	return &loadSessions{loader: l, open: map[sessionKey]*loadSession{}}
}

func (s *loadSessions) close(ctx context.Context) {
	for _, session := range s.open {
		_ = session.conn.Close(context.WithoutCancel(ctx)) // what it did is done
	}
}

// admin is the session of the superuser, or of whoever restores.
func (s *loadSessions) admin(ctx context.Context) (*loadSession, error) {
	return s.session(ctx, sessionKey{})
}

// as is the session of a login that is a member of the owner and of nothing else.
func (s *loadSessions) as(ctx context.Context, owner string) (*loadSession, error) {
	return s.session(ctx, sessionKey{owner: owner})
}

func (s *loadSessions) session(ctx context.Context, key sessionKey) (*loadSession, error) {
	if session := s.open[key]; session != nil {
		return session, nil
	}
	instance, login := s.loader.Instance, ""
	if key.owner != "" {
		var err error
		if instance, err = s.loader.login(ctx, key.owner); err != nil {
			return nil, err
		}
		login = instance.settings.User()
	}
	conn, err := instance.connect(ctx, s.loader.database)
	if err != nil {
		return nil, err
	}
	session := &loadSession{conn: conn, login: login}
	if err := session.begin(ctx, s.loader, key); err != nil {
		return nil, errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
	}
	s.open[key] = session
	return session, nil
}

// begin gives a session the settings that the dump asks for.
func (s *loadSession) begin(ctx context.Context, l *guardedLoader, key sessionKey) error {
	settings := append([]string{}, l.Definitions.session...)
	settings = append(settings, "SET synchronous_commit = off", "SET constraint_exclusion = off", "SET lock_timeout = 0",
		"SET idle_in_transaction_session_timeout = 0", "SET client_min_messages = warning")
	if key.owner == "" {
		settings = append(settings, "SET row_security = off")
		for _, setting := range loadSettings(l.server) {
			settings = append(settings, "SET "+setting)
		}
	} else {
		// Its code may read tables of which it sees some rows.
		settings = append(settings, "SET row_security = on")
	}
	path := ""
	if key.withPath {
		path = l.SearchPath
		if key.owner != "" {
			path = strings.ReplaceAll(path, `"$user"`, quoteName(key.owner))
		}
	}
	if path == "" {
		settings = append(settings, "SET search_path = ''")
	} else {
		settings = append(settings, searchPathTo(path))
	}
	for _, sql := range settings {
		// A parameter that only a newer server has, such as a time limit, is no loss.
		if err := run(ctx, s.conn, strings.TrimSuffix(sql, ";")); err != nil && sqlState(err) != stateUndefinedObject {
			return err
		}
	}
	return nil
}

// user is the role of the login.
func (s *loadSession) user() string { return s.login }

// run runs one statement of the dump.
func (s *loadSession) run(ctx context.Context, d definition) error {
	if d.settings != s.settings {
		for sql := range strings.SplitSeq(d.settings, ";\n") {
			if sql == "" {
				continue
			}
			if err := run(ctx, s.conn, sql); err != nil {
				return err
			}
		}
		s.settings = d.settings
	}
	statements := []string{d.sql}
	if d.as != "" {
		statements = []string{"SET SESSION AUTHORIZATION " + d.as, d.sql, "RESET SESSION AUTHORIZATION"}
	}
	return run(ctx, s.conn, statements...)
}

// run runs one statement in the superuser's session.
func (s *loadSessions) run(ctx context.Context, d definition) error {
	admin, err := s.admin(ctx)
	if err != nil {
		return err
	}
	if err := admin.run(ctx, d); err != nil {
		return fmt.Errorf("%s: %w", firstWords(d.sql), err)
	}
	return nil
}

func (s *loadSessions) runAll(ctx context.Context, all []definition) error {
	for _, d := range all {
		if err := s.run(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

func (s *loadSessions) runSQL(ctx context.Context, sql string) error {
	return s.run(ctx, definition{sql: sql})
}

// query asks something in the superuser's session.
func (s *loadSessions) query(ctx context.Context, sql string, args ...string) ([][]string, error) {
	admin, err := s.admin(ctx)
	if err != nil {
		return nil, err
	}
	values := make([][]byte, len(args))
	for n, arg := range args {
		values[n] = []byte(arg)
	}
	result := admin.conn.ExecParams(ctx, sql, values, nil, nil, nil).Read()
	rows := make([][]string, len(result.Rows))
	for n, row := range result.Rows {
		for _, column := range row {
			rows[n] = append(rows[n], string(column))
		}
	}
	return rows, result.Err
}

// firstWords say what a statement does and to what, without what it holds.
func firstWords(sql string) string {
	var words []string
	for _, w := range readWords(sql, 8) {
		if w.text == "(" || w.is("AS") || w.is("TO") || w.is("FROM") || w.is("IS") {
			break
		}
		words = append(words, w.text)
	}
	return strings.Join(words, " ")
}

// login makes a role that may log in and is a member of the owner alone, and returns the way to the server with it. One
// login does for all sessions of the load.
func (l *guardedLoader) login(ctx context.Context, owner string) (*Instance, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if instance := l.logins[owner]; instance != nil {
		return instance, nil
	}
	l.made++
	role, password := fmt.Sprintf("%s_%d", l.database, l.made), rand.Text()
	verifier, err := scramVerifier(password)
	if err != nil {
		return nil, err
	}
	grant := "GRANT " + quoteName(owner) + " TO " + quoteName(role)
	if l.server.Number >= 160000 {
		grant += " WITH INHERIT TRUE, SET FALSE"
	}
	statements := []string{
		"CREATE ROLE " + quoteName(role) + " LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE INHERIT NOREPLICATION NOBYPASSRLS PASSWORD" + quoteLiteral(verifier),
		grant,
	}
	if !l.server.Superuser {
		statements = append(statements, "GRANT "+quoteName(role)+" TO CURRENT_USER") // to take away what the login makes
	}
	for _, sql := range statements {
		if err := l.execute(ctx, sql); err != nil {
			return nil, &ContentError{Object: "role " + owner, Why: "a login that has its rights and no others can't be made, for which the agent's role needs CREATEROLE", Err: err}
		}
	}
	confined, err := l.logIn(ctx, l.database, role, password)
	if err != nil {
		return nil, &ContentError{Object: "role " + owner, Why: "the server lets no login in by a password", Err: err}
	}
	l.logins[owner] = confined.Instance
	return confined.Instance, nil
}

// closeLogins ends the use of the logins. Their roles are for DropLoadRoles.
func (l *guardedLoader) closeLogins() {
	for _, instance := range l.logins {
		_ = instance.Close() // it holds a private folder, which goes with the agent's own at the latest
	}
}

// dropLogins drops the roles of the logins, and with them what code made as one of them, which is nothing that the dump has.
// It comes before the event triggers of the dump, which would hear of it.
func (l *guardedLoader) dropLogins(ctx context.Context, s *loadSessions) error {
	for key, session := range s.open {
		if key.owner != "" {
			_ = session.conn.Close(ctx) // what it did is done
			delete(s.open, key)
		}
	}
	for n := range l.made {
		role := quoteName(fmt.Sprintf("%s_%d", l.database, n+1))
		if err := s.runSQL(ctx, "DROP OWNED BY "+role); err != nil {
			return err
		}
	}
	return l.DropLoadRoles(ctx, l.database)
}

// DropLoadRoles ends the logins of a LoadGuarded and drops their roles. One that somebody has given something elsewhere stays,
// without a login and a member of nothing.
func (i *Instance) DropLoadRoles(ctx context.Context, database string) error {
	rows, err := i.query(ctx, `SELECT rolname FROM pg_catalog.pg_roles WHERE pg_catalog.starts_with(rolname::pg_catalog.text, $1::pg_catalog.text)`, database+"_")
	if err != nil {
		return err
	}
	for _, row := range rows {
		if err := i.endLogin(ctx, row[0]); err != nil {
			return err
		}
		if err := i.execute(ctx, "DROP ROLE IF EXISTS "+quoteName(row[0])); err != nil && sqlState(err) != stateDependents {
			return err
		}
	}
	return nil
}

// memberOf are the roles that the role $1 is a member of.
const memberOf = `SELECT g.rolname FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles g ON g.oid = m.roleid
	JOIN pg_catalog.pg_roles r ON r.oid = m.member WHERE r.rolname = $1`

// endLogin takes from a role its login and its memberships: code that ran as it may have given it another password.
func (i *Instance) endLogin(ctx context.Context, role string) error {
	groups, err := i.query(ctx, memberOf, role)
	if err != nil {
		return err
	}
	for _, group := range groups {
		if err := i.execute(ctx, "REVOKE "+quoteName(group[0])+" FROM "+quoteName(role)); err != nil {
			return err
		}
	}
	return i.lockOut(ctx, role)
}
