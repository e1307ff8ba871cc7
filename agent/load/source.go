package load

import (
	"context"
	"strings"

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

func newSource(in target, load Guarded) *sessionSource {
	return &sessionSource{target: in, logins: &logins{target: in}, settings: load.Definitions.Session, meanings: meanings(load.Settings)}
}

// sessions are those of one more goroutine, which closes them.
func (o *sessionSource) sessions() *loadSessions {
	s := &loadSessions{source: o, open: map[sessionKey]*loadSession{}}
	s.catalog = catalog{s.admin}
	s.code = codeFinder{s.catalog, o.server}
	return s
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

// target is the database that is filled.
type target struct {
	instance *postgres.Instance
	database string
	server   postgres.Server
}
