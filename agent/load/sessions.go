package load

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/pgharbor/pgharbor/agent/dump"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// sessionSource opens the sessions of all goroutines of a load.
type sessionSource struct {
	target
	logins   *logins
	settings []string // SET statements that the dump begins with
	meanings []string // statements that set what the database's code goes by
	ignored  ignoredGrants
}

// loadSessions are the sessions of one goroutine of a guarded load, opened at first need: the superuser's, and those of owners and
// of nobody, each with a login of its own.
type loadSessions struct {
	source  *sessionSource
	open    map[sessionKey]*loadSession
	catalog catalog    // asks in the superuser's session
	code    codeFinder // likewise
}

// sessionKey tells sessions apart. The superuser's is the one without anything.
type sessionKey struct {
	owner  string // whose rights it has
	nobody string // it has no rights but what it is given for this
	lent   bool   // it is for what runs nobody's code, with rights that the owner has not
}

// object is what a session is for.
func (k sessionKey) object() string {
	if k.owner != "" {
		return "what role " + strconv.Quote(k.owner) + " owns"
	}
	return k.nobody
}

// loadSession is a session that loads.
type loadSession struct {
	conn     *postgres.Session
	settings string            // of the statement before
	path     string            // SET search_path that is in force
	login    string            // the role of the login; "" is the superuser
	scratch  string            // a schema of its own, quoted; "" is none yet
	prepared map[string]string // names of prepared statements, by their SQL
}

// sessions are those of another goroutine, which is to close them.
func (o *sessionSource) sessions() *loadSessions {
	s := &loadSessions{source: o, open: map[sessionKey]*loadSession{}}
	s.catalog = catalog{s.admin}
	s.code = codeFinder{s.catalog, o.server}
	return s
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

func (s *loadSessions) session(ctx context.Context, key sessionKey) (*loadSession, error) {
	if session := s.open[key]; session != nil {
		return session, nil
	}
	session, err := s.source.connect(ctx, key)
	if err != nil {
		return nil, err
	}
	if err := s.source.begin(ctx, session); err != nil {
		return nil, errors.Join(err, session.conn.Close(context.WithoutCancel(ctx)))
	}
	s.open[key] = session
	return session, nil
}

// end closes a session.
func (s *loadSessions) end(ctx context.Context, key sessionKey) {
	if session := s.open[key]; session != nil {
		_ = session.conn.Close(context.WithoutCancel(ctx)) // what it did is done
		delete(s.open, key)
	}
}

// connect opens a session of the superuser, or one with a login of its own.
func (o *sessionSource) connect(ctx context.Context, key sessionKey) (*loadSession, error) {
	if key != (sessionKey{}) {
		return o.logins.connect(ctx, key)
	}
	conn, err := o.instance.Connect(ctx, o.database)
	return &loadSession{conn: conn}, err
}

// begin gives a session the settings that the dump asks for.
func (o *sessionSource) begin(ctx context.Context, s *loadSession) error {
	settings := append([]string{}, o.settings...)
	settings = append(settings, "SET synchronous_commit = off", "SET constraint_exclusion = off", "SET lock_timeout = 0",
		"SET idle_in_transaction_session_timeout = 0", "SET client_min_messages = warning")
	if s.login == "" {
		settings = append(settings, "SET row_security = off")
		for _, setting := range postgres.LoadSettings(o.server) {
			settings = append(settings, "SET "+setting)
		}
	} else {
		// Its code may read tables of which it sees some rows.
		settings = append(settings, "SET row_security = on")
	}
	for _, sql := range settings {
		// A parameter that only a newer server has, such as a time limit, is no loss.
		if err := postgres.Run(ctx, s.conn, strings.TrimSuffix(sql, ";")); err != nil && postgres.SQLState(err) != postgres.StateUndefinedObject {
			return err
		}
	}
	if err := s.mean(ctx, o.meanings); err != nil {
		return err
	}
	return s.look(ctx, emptyPath)
}

// emptyPath finds no name but PostgreSQL's own.
const emptyPath = "SET search_path = ''"

// look sets the search path.
func (s *loadSession) look(ctx context.Context, path string) error {
	if s.path == path {
		return nil
	}
	s.path = path
	return postgres.Run(ctx, s.conn, strings.TrimSuffix(path, ";"))
}

// runWithPaths runs a statement with an empty search path, as the dump asks for, and where its code does not find a name so,
// with that of the database. For the superuser that is done where nobody else's code can be found along it.
func (l *loader) runWithPaths(ctx context.Context, s *loadSessions, key sessionKey, d dump.Definition) error {
	return l.doWithPaths(ctx, s, key, d, (*loadSession).run)
}

// runner runs a statement in a session.
type runner func(session *loadSession, ctx context.Context, d dump.Definition) error

// doWithPaths does likewise with what runs a statement.
func (l *loader) doWithPaths(ctx context.Context, s *loadSessions, key sessionKey, d dump.Definition, do runner) error {
	err := l.doIn(ctx, s, key, d, emptyPath, do)
	path := l.owners.searchPath(key)
	if err == nil || !postgres.NameNotFound(err) || path == emptyPath || key.lent { // lent rights are not for what the owner has along a path
		return err
	}
	if key != (sessionKey{}) || !l.owners.mixed {
		return l.doIn(ctx, s, key, d, path, do)
	}
	return l.alongPath(ctx, s, dump.FirstWords(d.SQL), err, func() error { return l.doIn(ctx, s, key, d, path, do) })
}

// runIn runs a statement with a search path.
func (l *loader) runIn(ctx context.Context, s *loadSessions, key sessionKey, d dump.Definition, path string) error {
	return l.doIn(ctx, s, key, d, path, (*loadSession).run)
}

// doIn does likewise with what runs a statement. What a login runs is over before the superuser goes along a path.
func (l *loader) doIn(ctx context.Context, s *loadSessions, key sessionKey, d dump.Definition, path string, do runner) error {
	if key != (sessionKey{}) {
		l.quiet.RLock()
		defer l.quiet.RUnlock()
	}
	session, err := s.session(ctx, key)
	if err != nil {
		return err
	}
	if err := session.look(ctx, path); err != nil {
		return err
	}
	return errors.Join(do(session, ctx, d), session.look(ctx, emptyPath))
}

// alongPath does what finds names by the search path as the superuser: no login runs meanwhile, and there is no code of others that could
// be found. err is why it needs the path.
func (l *loader) alongPath(ctx context.Context, s *loadSessions, object string, err error, do func() error) error {
	l.quiet.Lock()
	defer l.quiet.Unlock()
	found, failed := othersAlong(ctx, s, l.owners.searchPath(sessionKey{}))
	if failed != nil {
		return failed
	}
	if len(found) > 0 {
		return &dump.ContentError{Object: object, Why: "its code finds names by the search path, which others have a part in", Err: err}
	}
	return do()
}

// othersAlong is what others than superusers have that could be found by a name along a path, where there is anything: their code, wherever it
// is, and in the schemas of the path their tables, which may have a view's query or a check, or be taken for another's table.
func othersAlong(ctx context.Context, s *loadSessions, path string) ([]reachedCode, error) {
	found, err := s.code.ask(ctx, `SELECT o.kind, o.schema, o.name, o.owner FROM (`+codeObjects+`) o WHERE o.kind NOT IN ('view', 'table') LIMIT 1`)
	if err != nil || len(found) > 0 {
		return found, err
	}
	admin, err := s.admin(ctx)
	if err != nil {
		return nil, err
	}
	if err := admin.look(ctx, path); err != nil {
		return nil, err
	}
	found, err = s.code.ask(ctx, othersOnPath)
	return found, errors.Join(err, admin.look(ctx, emptyPath))
}

// othersOnPath is what others than superusers have of relations in the schemas of the search path that a function of a superuser may mean.
var othersOnPath = `SELECT 'table', n.nspname, c.relname, r.rolname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	JOIN pg_catalog.pg_roles r ON r.oid = c.relowner WHERE n.nspname = ANY (pg_catalog.current_schemas(false)) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
	AND NOT ` + trustedRole + ` AND NOT ` + fmt.Sprintf(ofExtension, "'pg_catalog.pg_class'", "c.oid") + `
	AND EXISTS (SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_roles r ON r.oid = p.proowner JOIN pg_catalog.pg_language g ON g.oid = p.prolang
		WHERE p.oid >= 12000 AND ` + trustedRole + ` AND NOT ` + fmt.Sprintf(ofExtension, "'pg_catalog.pg_proc'", "p.oid") + ` AND (g.lanname NOT IN ('sql', 'plpgsql', 'internal', 'c')
			OR p.prosrc ~* '\mexecute\M' OR pg_catalog.strpos(pg_catalog.lower(p.prosrc), pg_catalog.lower(pg_catalog.replace(c.relname, '"', '""'))) > 0)) LIMIT 1`

// user is the role of the login.
func (s *loadSession) user() string { return s.login }

// set gives a session the settings of a statement.
func (s *loadSession) set(ctx context.Context, settings string) error {
	if settings == s.settings {
		return nil
	}
	for sql := range strings.SplitSeq(settings, ";\n") {
		if sql == "" {
			continue
		}
		if err := postgres.Run(ctx, s.conn, sql); err != nil {
			return err
		}
	}
	s.settings = settings
	return nil
}

// run runs one statement of the dump.
func (s *loadSession) run(ctx context.Context, d dump.Definition) error {
	if err := s.set(ctx, d.Settings); err != nil {
		return err
	}
	if d.As == "" {
		return postgres.Run(ctx, s.conn, d.SQL)
	}
	return errors.Join(postgres.Run(ctx, s.conn, "SET SESSION AUTHORIZATION "+d.As, d.SQL), postgres.Run(ctx, s.conn, "RESET SESSION AUTHORIZATION"))
}

// run runs one statement in the superuser's session.
func (s *loadSessions) run(ctx context.Context, d dump.Definition) error {
	admin, err := s.admin(ctx)
	if err != nil {
		return err
	}
	admin.conn.TakeWarning()
	err = admin.run(ctx, d)
	s.source.ignored.heed(d, admin.conn.TakeWarning())
	if d.As != "" && postgres.SQLState(err) == postgres.StateNoPrivilege {
		err = s.grantAs(ctx, d, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", dump.FirstWords(d.SQL), err)
	}
	return nil
}

func (s *loadSessions) runAll(ctx context.Context, all []dump.Definition) error {
	for _, d := range all {
		if err := s.run(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

func (s *loadSessions) runSQL(ctx context.Context, sql string) error {
	return s.run(ctx, dump.Definition{SQL: sql})
}

// runTogether runs statements in one transaction of the superuser's session.
func (s *loadSessions) runTogether(ctx context.Context, statements ...string) error {
	admin, err := s.admin(ctx)
	if err != nil {
		return err
	}
	return admin.inTransaction(ctx, func() error {
		for _, sql := range statements {
			if err := s.runSQL(ctx, sql); err != nil {
				return err
			}
		}
		return nil
	})
}

// inTransaction does something between BEGIN and COMMIT; a failure undoes it.
func (s *loadSession) inTransaction(ctx context.Context, do func() error) error {
	if err := postgres.Run(ctx, s.conn, "BEGIN"); err != nil {
		return err
	}
	if err := do(); err != nil {
		_ = postgres.Run(ctx, s.conn, "ROLLBACK") // what failed before counts
		return err
	}
	return postgres.Run(ctx, s.conn, "COMMIT")
}
