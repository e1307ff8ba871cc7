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

// loadSessions are the sessions of one goroutine of a guarded load, opened when they are first needed: the superuser's,
// and those of owners and of nobody, each with its own login.
type loadSessions struct {
	source  *sessionSource
	open    map[sessionKey]*loadSession
	catalog catalog    // asks in the superuser's session
	code    codeFinder // asks there too
}

// sessionKey tells sessions apart. The superuser's is the one without anything.
type sessionKey struct {
	owner  string // whose rights it has
	nobody string // it has no rights but what it is given for this
	lent   bool   // it is for what runs nobody's code, with rights that the owner does not have
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

func (s *loadSessions) close(ctx context.Context) {
	for _, session := range s.open {
		_ = session.conn.Close(context.WithoutCancel(ctx)) // what it did is done
	}
}

// admin is the session of the superuser, or of the role that restores.
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

// look sets the search path.
func (s *loadSession) look(ctx context.Context, path string) error {
	if s.path == path {
		return nil
	}
	s.path = path
	return postgres.Run(ctx, s.conn, strings.TrimSuffix(path, ";"))
}

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
