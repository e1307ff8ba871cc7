package load

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/pgharbor/pgharbor/agent/dump"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// pathRunner runs statements along the search paths that their code may need.
type pathRunner struct {
	owners *owners
	// quiet is held while the superuser finds names by a search path; what logins run holds it for reading.
	quiet sync.RWMutex
}

// run runs a statement with an empty search path, as the dump asks for. If its code does not find a name then, it runs
// it with the database's path. The superuser does that only if nobody else's code can be found along it.
func (p *pathRunner) run(ctx context.Context, s *loadSessions, key sessionKey, d dump.Definition) error {
	return p.do(ctx, s, key, d, (*loadSession).run)
}

// runner runs a statement in a session.
type runner func(session *loadSession, ctx context.Context, d dump.Definition) error

// do does the same with another runner.
func (p *pathRunner) do(ctx context.Context, s *loadSessions, key sessionKey, d dump.Definition, by runner) error {
	err := p.doIn(ctx, s, key, d, emptyPath, by)
	path := p.owners.searchPath(key)
	if err == nil || !postgres.NameNotFound(err) || path == emptyPath || key.lent { // lent rights must not run what the owner has along a path
		return err
	}
	if key != (sessionKey{}) || !p.owners.mixed {
		return p.doIn(ctx, s, key, d, path, by)
	}
	return p.alongPath(ctx, s, dump.FirstWords(d.SQL), err, func() error { return p.doIn(ctx, s, key, d, path, by) })
}

// runIn runs a statement with a search path.
func (p *pathRunner) runIn(ctx context.Context, s *loadSessions, key sessionKey, d dump.Definition, path string) error {
	return p.doIn(ctx, s, key, d, path, (*loadSession).run)
}

// doIn does the same with another runner. The superuser follows no path before what logins run here has ended.
func (p *pathRunner) doIn(ctx context.Context, s *loadSessions, key sessionKey, d dump.Definition, path string, by runner) error {
	if key != (sessionKey{}) {
		p.quiet.RLock()
		defer p.quiet.RUnlock()
	}
	session, err := s.session(ctx, key)
	if err != nil {
		return err
	}
	if err := session.look(ctx, path); err != nil {
		return err
	}
	return errors.Join(by(session, ctx, d), session.look(ctx, emptyPath))
}

// alongPath does what finds names by the search path as the superuser, while no login runs and if no code of others can
// be found. err is why it needs the path.
func (p *pathRunner) alongPath(ctx context.Context, s *loadSessions, object string, err error, do func() error) error {
	p.quiet.Lock()
	defer p.quiet.Unlock()
	found, failed := othersAlong(ctx, s, p.owners.searchPath(sessionKey{}))
	if failed != nil {
		return failed
	}
	if len(found) > 0 {
		return &dump.ContentError{Object: object, Why: "its code finds names by the search path, which others have a part in", Err: err}
	}
	return do()
}

// othersAlong is what others than superusers have that could be found by a name along a path, if there is any: their
// code, wherever it is, and their tables in the schemas of the path. A table may have a view's query or a check, or be
// taken for another one.
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

// othersOnPath is what others than superusers have of relations in the schemas of the search path that a function of a
// superuser may mean.
var othersOnPath = `SELECT 'table', n.nspname, c.relname, r.rolname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	JOIN pg_catalog.pg_roles r ON r.oid = c.relowner WHERE n.nspname = ANY (pg_catalog.current_schemas(false)) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
	AND NOT ` + trustedRole + ` AND NOT ` + fmt.Sprintf(ofExtension, "'pg_catalog.pg_class'", "c.oid") + `
	AND EXISTS (SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_roles r ON r.oid = p.proowner JOIN pg_catalog.pg_language g ON g.oid = p.prolang
		WHERE p.oid >= 12000 AND ` + trustedRole + ` AND NOT ` + fmt.Sprintf(ofExtension, "'pg_catalog.pg_proc'", "p.oid") + ` AND (g.lanname NOT IN ('sql', 'plpgsql', 'internal', 'c')
			OR p.prosrc ~* '\mexecute\M' OR pg_catalog.strpos(pg_catalog.lower(p.prosrc), pg_catalog.lower(pg_catalog.replace(c.relname, '"', '""'))) > 0)) LIMIT 1`
