package load

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pgharbor/pgharbor/agent/dump"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// attach makes a table a partition. For that the server computes constant parts of the checks and expressions of the
// whole tree, and reads the bounds.
func (m *maker) attach(ctx context.Context, s *loadSessions, d dump.Definition, st dump.Statement) error {
	parent, err := s.catalog.table(ctx, strings.TrimPrefix(st.Reference("TABLE", "ATTACH"), "ONLY "))
	if err != nil {
		return err
	}
	child, err := s.catalog.table(ctx, st.Reference("PARTITION", "FOR", "DEFAULT"))
	if err != nil {
		return err
	}
	owners, err := s.catalog.treeOwners(ctx, parent.oid, child.oid)
	if err != nil {
		return err
	}
	several := parent.trusted || len(owners) > 1
	reached, err := s.code.attachReaches(ctx, several, parent.oid, child.oid)
	if err != nil {
		return err
	}
	switch {
	case several && len(reached) == 0:
		return m.asAdmin(ctx, s, d)
	case several:
		return &dump.ContentError{Object: "table " + child.name, Why: "to make it a part of " + parent.name + " runs the " + reached[0].String() + ", and they do not all belong to one role that is no superuser"}
	}
	as := sessionKey{owner: parent.owner}
	err = m.paths.run(ctx, s, as, d)
	if !refused(err) || len(reached) > 0 {
		return contentError("table "+child.name, parent.owner, err)
	}
	if postgres.LacksLogin(err) {
		return m.asAdmin(ctx, s, d)
	}
	return m.logins.lending(ctx, s, as, st.OwnNames(st.Words), nil, func(lent sessionKey) error { return m.paths.run(ctx, s, lent, d) })
}

// attachIndex makes an index a part of a partitioned one, for which the server reads the conditions of both.
func (m *maker) attachIndex(ctx context.Context, s *loadSessions, d dump.Definition, st dump.Statement) error {
	index, err := s.catalog.table(ctx, st.Reference("INDEX", "ATTACH"))
	if err != nil {
		return err
	}
	part, err := s.catalog.oids(ctx, `SELECT x.indrelid FROM pg_catalog.pg_index x WHERE x.indexrelid = pg_catalog.to_regclass($1::pg_catalog.text)`,
		st.QualifiedName(st.Find(3, "PARTITION")+1))
	if err != nil {
		return err
	}
	reached, err := s.code.queryReaches(ctx, index.trusted, part...)
	if err != nil {
		return err
	}
	owners, err := s.catalog.treeOwners(ctx, part...)
	if err != nil {
		return err
	}
	if n := slices.IndexFunc(reached, func(r reachedCode) bool { return index.trusted || r.owner != index.owner }); n >= 0 && (index.trusted || len(owners) > 1) {
		return &dump.ContentError{Object: dump.FirstWords(d.SQL), Why: fmt.Sprintf("the index of %q would run the %s", index.owner, reached[n])}
	}
	if index.trusted {
		return m.asAdmin(ctx, s, d)
	}
	return m.paths.run(ctx, s, sessionKey{owner: index.owner}, d)
}

// contentError names the object whose code was refused what it needs when it ran as its owner.
func contentError(object, owner string, err error) error {
	if postgres.SQLState(err) != postgres.StateNoPrivilege {
		return err
	}
	return &dump.ContentError{Object: object, Why: "its owner " + strconv.Quote(owner) + " can't load it", Err: err}
}
