package load

import (
	"context"
	"maps"
	"slices"

	"github.com/pgharbor/pgharbor/agent/dump"
)

// withhold takes the rights that others than its owner have on a table that is not as the dump has it yet, and on views
// of it: its rows, or some of their guards, are missing. Code of owners is about to run, and must not see it in that
// state.
func (g *guards) withhold(ctx context.Context, s *loadSessions) error {
	if !g.owners.shared {
		return nil
	}
	names := map[string]bool{}
	for _, name := range g.progress.missing() {
		names[name] = true
	}
	for _, d := range slices.Concat(g.stands, g.forced) {
		if name := g.guardedBy(d); name != "" {
			names[name] = true
		}
	}
	if len(names) == 0 {
		return nil
	}
	rows, err := s.catalog.query(ctx, grantedAround, textArray(slices.Sorted(maps.Keys(names))))
	if err != nil {
		return err
	}
	var revokes []string
	for _, row := range rows {
		g.withheld[row[0]] = true
		revokes = append(revokes, "REVOKE ALL ON TABLE "+row[0]+" FROM "+row[1]+" CASCADE")
	}
	if len(revokes) == 0 {
		return nil
	}
	return g.logins.grant(ctx, s, revokes...)
}

// giveBack gives back the rights that withhold took: on a table, if it is now as the dump has it, or on all tables and
// views, for "". It is called after all guards of the table that can be made were made.
func (g *guards) giveBack(ctx context.Context, s *loadSessions, table string) error {
	if table == "" {
		if err := g.giveBackDefiners(ctx, s); err != nil {
			return err
		}
	}
	if len(g.withheld) == 0 {
		return nil
	}
	names := slices.Sorted(maps.Keys(g.withheld))
	if table != "" {
		guarded := func(d dump.Definition) bool { return g.guardedBy(d) == table }
		if slices.ContainsFunc(g.stands, guarded) || slices.ContainsFunc(g.forced, guarded) || !g.withheld[table] {
			return nil
		}
		loaded, err := g.isLoaded(ctx, s, table)
		if err != nil || !loaded {
			return err
		}
		names = []string{table}
	}
	for _, name := range names {
		delete(g.withheld, name)
		if err := g.grantAgain(ctx, s, name); err != nil {
			return err
		}
	}
	return nil
}

// withholdDefiner takes from all but its owner the right to call a function that runs with the owner's rights, as soon
// as it is made: it may ask for rows that are not there yet, and write to tables without their guards. object is the
// function as ALTER has it.
func (g *guards) withholdDefiner(ctx context.Context, s *loadSessions, object string) error {
	g.definers[object] = true
	g.rights.postponed[dump.InGrants(object)] = true
	return s.runSQL(ctx, "REVOKE EXECUTE ON "+object+" FROM PUBLIC")
}

// giveBackDefiners lets those call such functions who may by the dump.
func (g *guards) giveBackDefiners(ctx context.Context, s *loadSessions) error {
	for _, object := range slices.Sorted(maps.Keys(g.definers)) {
		delete(g.definers, object)
		if err := s.runSQL(ctx, "GRANT EXECUTE ON "+object+" TO PUBLIC"); err != nil {
			return err
		}
		if err := g.rights.give(ctx, s, object); err != nil {
			return err
		}
	}
	return nil
}

// isDefiner reports whether a statement makes a function that runs with its owner's rights, and that can be called: a
// trigger's function can't.
func isDefiner(st dump.Statement) bool {
	if !st.Begins("CREATE", "FUNCTION") && !st.Begins("CREATE", "PROCEDURE") {
		return false
	}
	at, returns := st.Find(2, "SECURITY"), st.Find(2, "RETURNS")
	if at < 0 || at+1 >= len(st.Words) || !st.Words[at+1].Is("DEFINER") {
		return false
	}
	return returns < 0 || returns+1 >= len(st.Words) || !st.Words[returns+1].Is("TRIGGER") && !st.Words[returns+1].Is("EVENT_TRIGGER")
}

// grantAgain gives the rights on a table, by its name in the dump, after they were taken.
func (g *guards) grantAgain(ctx context.Context, s *loadSessions, table string) error {
	g.logins.granting.Lock()
	defer g.logins.granting.Unlock()
	return s.runAll(ctx, g.rights.on("TABLE "+table))
}

// grantedAround are the tables $1, by their names, what is above and below them, and the views that read these: each
// with those who have a right on it or on a column of it, but its owner and who restores.
const grantedAround = `WITH RECURSIVE around (oid) AS (SELECT pg_catalog.to_regclass(n.name)::pg_catalog.oid FROM pg_catalog.unnest($1::pg_catalog.text[]) AS n (name)
		UNION SELECT next.oid FROM around a CROSS JOIN LATERAL (SELECT i.inhparent FROM pg_catalog.pg_inherits i WHERE i.inhrelid = a.oid
			UNION ALL SELECT i.inhrelid FROM pg_catalog.pg_inherits i WHERE i.inhparent = a.oid
			UNION ALL SELECT w.ev_class FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite w ON w.oid = d.objid AND w.ev_type = '1'
				WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = a.oid) AS next (oid))
	SELECT DISTINCT pg_catalog.format('%I.%I', n.nspname, c.relname), CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE g.grantee::pg_catalog.regrole::pg_catalog.text END
	FROM around a JOIN pg_catalog.pg_class c ON c.oid = a.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	CROSS JOIN LATERAL (SELECT c.relacl UNION ALL SELECT t.attacl FROM pg_catalog.pg_attribute t WHERE t.attrelid = c.oid) AS l (acl)
	CROSS JOIN LATERAL pg_catalog.aclexplode(l.acl) AS g WHERE g.grantee <> c.relowner AND g.grantee::pg_catalog.regrole <> CURRENT_USER::pg_catalog.regrole
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND e.objid = c.oid AND e.deptype = 'e')`
