package load

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/pgharbor/pgharbor/agent/dump"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// foreignKey is one that is to be made, with what planning its query may run.
type foreignKey struct {
	dump.Definition
	from, to tableInfo
	reaches  []reachedCode
	asOther  bool // the server looks at the other table as its owner
}

// foreignKeys makes them, several at a time: first those of superusers, which run nobody's code, and when these are made the others, by the
// login of the owner of the table that has the key. So no code runs beside what the superuser does.
func (l *loader) foreignKeys(ctx context.Context, s *loadSessions) error {
	plain := l.Definitions.Keys
	var asOwner []foreignKey
	if l.owners.mixed {
		plain = nil
		for _, d := range l.Definitions.Keys {
			key, err := l.foreignKey(ctx, s, d)
			if err != nil {
				return err
			}
			if err := onlyOwn(key); err != nil {
				return err
			}
			if key.from.trusted {
				plain = append(plain, d)
			} else {
				asOwner = append(asOwner, key)
			}
		}
	}
	err := l.parallel(ctx, plain, func(ctx context.Context, s *loadSessions, d dump.Definition) error {
		return l.makeKey(ctx, s, sessionKey{}, d)
	})
	if err != nil {
		return err
	}
	return l.keysByOwners(ctx, s, asOwner)
}

// keysByOwners makes foreign keys by the logins of their tables' owners; what these are not let make comes last, one by one, and is looked at
// again: code of an owner may have run, and changed what another key finds.
func (l *loader) keysByOwners(ctx context.Context, s *loadSessions, all []foreignKey) error {
	var mu sync.Mutex
	again := map[string]error{}
	keys, statements := map[string]foreignKey{}, []dump.Definition(nil)
	for _, key := range all {
		keys[key.SQL], statements = key, append(statements, key.Definition)
	}
	err := l.parallel(ctx, statements, func(ctx context.Context, s *loadSessions, d dump.Definition) error {
		key := keys[d.SQL]
		err := l.makeKey(ctx, s, sessionKey{owner: key.from.owner}, d)
		if !refused(err) || len(key.reaches) > 0 {
			return contentError(dump.FirstWords(d.SQL), key.from.owner, err)
		}
		mu.Lock()
		again[d.SQL] = err
		mu.Unlock()
		return nil
	})
	for _, d := range statements {
		if refusal := again[d.SQL]; err == nil && refusal != nil {
			err = l.keyAfter(ctx, s, d, refusal)
		}
	}
	return err
}

// keyAfter makes a foreign key that a login was not let make, where that runs no code. Who made it may have had a right to refer to the other
// table that the owner has not: the login gets it. Where no login is to be had, and for a tree of several owners, the superuser makes it.
func (l *loader) keyAfter(ctx context.Context, s *loadSessions, d dump.Definition, refusal error) error {
	key, err := l.foreignKey(ctx, s, d)
	if err != nil {
		return err
	}
	if len(key.reaches) > 0 {
		return &dump.ContentError{Object: dump.FirstWords(d.SQL), Why: "it runs the " + key.reaches[0].String() + ", and its owner " + strconv.Quote(key.from.owner) + " can't make it", Err: refusal}
	}
	owners, err := s.catalog.treeOwners(ctx, key.from.oid, key.to.oid)
	if err != nil {
		return err
	}
	if postgres.LacksLogin(refusal) || key.from.trusted || len(owners) > 2 || len(owners) == 2 && key.from.owner == key.to.owner {
		return l.makeKey(ctx, s, sessionKey{}, d)
	}
	as := sessionKey{owner: key.from.owner}
	err = l.logins.lending(ctx, s, as, []string{key.from.name, key.to.name}, []string{"REFERENCES ON TABLE " + key.to.name}, func(lent sessionKey) error {
		return l.makeKey(ctx, s, lent, d)
	})
	return contentError(dump.FirstWords(d.SQL), key.from.owner, err)
}

// makeKey makes a foreign key. One may wait for another that waits for it.
func (l *loader) makeKey(ctx context.Context, s *loadSessions, key sessionKey, d dump.Definition) error {
	var err error
	for range keyAttempts {
		if err = l.paths.run(ctx, s, key, d); postgres.SQLState(err) != postgres.StateDeadlock {
			break
		}
	}
	return err
}

// foreignKey looks at the tables of a foreign key.
func (l *loader) foreignKey(ctx context.Context, s *loadSessions, d dump.Definition) (foreignKey, error) {
	key, st := foreignKey{Definition: d}, d.Statement()
	var err error
	if key.from, err = s.catalog.table(ctx, strings.TrimPrefix(st.Reference("TABLE", "ADD"), "ONLY ")); err != nil {
		return key, err
	}
	if key.to, err = s.catalog.table(ctx, st.QualifiedName(st.Find(3, "REFERENCES")+1)); err != nil {
		return key, err
	}
	if key.reaches, err = s.code.queryReaches(ctx, key.from.trusted, key.from.oid, key.to.oid); err != nil {
		return key, err
	}
	casts, err := s.code.hiddenReach(ctx, key.from.trusted, []string{key.from.oid, key.to.oid}, nil)
	if err != nil {
		return key, err
	}
	key.reaches = append(key.reaches, casts...)
	whole, err := s.catalog.query(ctx, readsWhole, key.from.oid, key.to.oid)
	key.asOther = len(whole) == 0
	return key, err
}

// onlyOwn refuses a foreign key that would run code of somebody else than the owner of its table, or code of the owner's as somebody else: where
// the owner may not read the other table as a whole, the server looks for each row as the owner of that.
func onlyOwn(key foreignKey) error {
	others := slices.IndexFunc(key.reaches, func(r reachedCode) bool { return key.from.trusted || r.owner != key.from.owner })
	if others >= 0 {
		return &dump.ContentError{Object: dump.FirstWords(key.SQL), Why: "it belongs to " + fmt.Sprintf("%q", key.from.owner) + " and runs the " + key.reaches[others].String()}
	}
	if len(key.reaches) > 0 && key.asOther {
		return &dump.ContentError{Object: dump.FirstWords(key.SQL), Why: "it runs the " + key.reaches[0].String() + " as the owner of " + key.to.name}
	}
	return nil
}

// readsWhole reports whether the owner of a table, $1, may read another, $2, without row security.
const readsWhole = `SELECT FROM pg_catalog.pg_class f, pg_catalog.pg_class t WHERE f.oid = $1::pg_catalog.oid AND t.oid = $2::pg_catalog.oid
	AND (t.relowner = f.relowner OR pg_catalog.has_table_privilege(f.relowner, t.oid, 'SELECT') AND NOT f.relrowsecurity AND NOT t.relrowsecurity)`

// splitViews parts the materialized views of superusers from the others, where the database has code of others.
func (l *loader) splitViews(ctx context.Context, s *loadSessions) (early, late []dump.Definition, err error) {
	if !l.owners.mixed {
		return nil, l.Definitions.Refresh, nil
	}
	for _, d := range l.Definitions.Refresh {
		view, err := s.catalog.table(ctx, viewName(d))
		if err != nil {
			return nil, nil, err
		}
		if !view.trusted {
			late = append(late, d)
			continue
		}
		reached, err := s.code.viewReaches(ctx, view.oid)
		if err != nil {
			return nil, nil, err
		}
		if len(reached) > 0 {
			return nil, nil, &dump.ContentError{Object: "materialized view " + view.name, Why: "it belongs to a superuser and runs the " + reached[0].String()}
		}
		early = append(early, d)
	}
	return early, late, nil
}

func viewName(d dump.Definition) string {
	words := dump.ReadWords(d.SQL, 3)
	return strings.TrimSpace(d.SQL[words[2].End:])
}
