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

// keyMaker makes foreign keys.
type keyMaker struct {
	all     []dump.Definition
	owners  *owners
	logins  *logins
	paths   *pathRunner
	workers *workers
}

// foreignKey is one that is to be made, with what planning its query may run.
type foreignKey struct {
	dump.Definition
	from, to tableInfo
	reaches  []reachedCode
	asOther  bool // the server looks at the other table as its owner
}

// make makes the foreign keys, several at a time: first those of superusers, which run nobody's code, then the others,
// each by the login of the owner of the table that has the key. So no code runs beside what the superuser does.
func (k *keyMaker) make(ctx context.Context, s *loadSessions) error {
	plain := k.all
	var asOwner []foreignKey
	if k.owners.mixed {
		plain = nil
		for _, d := range k.all {
			key, err := k.look(ctx, s, d)
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
	err := k.workers.each(ctx, plain, func(ctx context.Context, s *loadSessions, d dump.Definition) error {
		return k.makeOne(ctx, s, sessionKey{}, d)
	})
	if err != nil {
		return err
	}
	return k.makeByOwners(ctx, s, asOwner)
}

// makeByOwners makes foreign keys by the logins of their tables' owners. What a login is refused comes last, one by
// one, and is looked at again: code of an owner may have run since, and changed what another key finds.
func (k *keyMaker) makeByOwners(ctx context.Context, s *loadSessions, all []foreignKey) error {
	var mu sync.Mutex
	again := map[string]error{}
	keys, statements := map[string]foreignKey{}, []dump.Definition(nil)
	for _, key := range all {
		keys[key.SQL], statements = key, append(statements, key.Definition)
	}
	err := k.workers.each(ctx, statements, func(ctx context.Context, s *loadSessions, d dump.Definition) error {
		key := keys[d.SQL]
		err := k.makeOne(ctx, s, sessionKey{owner: key.from.owner}, d)
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
			err = k.makeAfter(ctx, s, d, refusal)
		}
	}
	return err
}

// makeAfter makes a foreign key that a login was refused, if that runs no code. Who made the key may have had a right
// to refer to the other table that the owner does not have: the login gets it. If there is no login, or the trees of
// the two tables have other owners than these two, the superuser makes it.
func (k *keyMaker) makeAfter(ctx context.Context, s *loadSessions, d dump.Definition, refusal error) error {
	key, err := k.look(ctx, s, d)
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
		return k.makeOne(ctx, s, sessionKey{}, d)
	}
	as := sessionKey{owner: key.from.owner}
	err = k.logins.lending(ctx, s, as, []string{key.from.name, key.to.name}, []string{"REFERENCES ON TABLE " + key.to.name}, func(lent sessionKey) error {
		return k.makeOne(ctx, s, lent, d)
	})
	return contentError(dump.FirstWords(d.SQL), key.from.owner, err)
}

// makeOne makes a foreign key. Two may wait for each other; then it tries again.
func (k *keyMaker) makeOne(ctx context.Context, s *loadSessions, key sessionKey, d dump.Definition) error {
	var err error
	for range keyAttempts {
		if err = k.paths.run(ctx, s, key, d); postgres.SQLState(err) != postgres.StateDeadlock {
			break
		}
	}
	return err
}

// look finds the tables of a foreign key, and what it may run.
func (k *keyMaker) look(ctx context.Context, s *loadSessions, d dump.Definition) (foreignKey, error) {
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

// onlyOwn refuses a foreign key that would run code of somebody else than the owner of its table, or code of the
// owner's as somebody else: if the owner may not read the other table as a whole, the server looks for each row as that
// table's owner.
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

// keyAttempts is how often a foreign key is tried if it deadlocks with others.
const keyAttempts = 5
