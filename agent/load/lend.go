package load

import (
	"context"

	"github.com/pgharbor/pgharbor/agent/dump"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// unheld are the schemas $1, and the types called $2 in them, that the role $3 has no right to use, as in GRANT USAGE
// ON.
const unheld = `SELECT pg_catalog.format('SCHEMA %I', n.nspname) FROM pg_catalog.pg_namespace n
		WHERE n.nspname = ANY ($1::pg_catalog.text[]) AND NOT pg_catalog.has_schema_privilege($3::pg_catalog.name, n.oid, 'USAGE')
	UNION SELECT pg_catalog.format('TYPE %I.%I', n.nspname, t.typname) FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_type t ON t.typnamespace = n.oid
		WHERE n.nspname = ANY ($1::pg_catalog.text[]) AND t.typname = ANY ($2::pg_catalog.text[]) AND NOT pg_catalog.has_type_privilege($3::pg_catalog.name, t.oid, 'USAGE')`

// lending runs something by the login of an owner that was refused it before, with the right to use the schemas and
// types that it names. Who made the object had that right; its owner may not have it any more. It is for what runs
// nobody's code: there may be functions in a schema that nothing but the schema guards. more are other rights, as they
// stand between GRANT and TO.
//
// The login is made for this alone, and do is told its key. In another one, code of the owner may have run and left a
// search path that finds the owner's operators instead of the server's own.
func (l *logins) lending(ctx context.Context, s *loadSessions, key sessionKey, names, more []string, do func(lent sessionKey) error) error {
	key.lent = true
	login, err := s.session(ctx, key)
	if err != nil {
		return err
	}
	var schemas, objects []string
	for _, name := range names {
		schema, object := dump.SplitQualified(name)
		schemas, objects = append(schemas, dump.Unquoted(schema)), append(objects, dump.Unquoted(object))
	}
	rights, err := s.catalog.oids(ctx, unheld, textArray(schemas), textArray(objects), login.login)
	if err != nil {
		return err
	}
	role := postgres.QuoteName(login.login)
	var grants, revokes []string
	for n := range rights {
		rights[n] = "USAGE ON " + rights[n]
	}
	for _, right := range append(rights, more...) {
		grants, revokes = append(grants, "GRANT "+right+" TO "+role), append(revokes, "REVOKE "+right+" FROM "+role)
	}
	if err := l.grant(ctx, s, grants...); err != nil {
		return err
	}
	err = do(key)
	if postgres.NameNotFound(err) {
		err = &dump.ContentError{Object: key.object(), Why: "it is found by a search path, and needs rights that its owner has not", Err: err}
	}
	if err != nil {
		return err // the database goes
	}
	return l.grant(ctx, s, revokes...)
}

// grant gives or takes rights, all or none, one session at a time: the server fails if two sessions change the rights
// on one object.
func (l *logins) grant(ctx context.Context, s *loadSessions, grants ...string) error {
	l.granting.Lock()
	defer l.granting.Unlock()
	return s.runTogether(ctx, grants...)
}
