package load

import (
	"context"
	"slices"

	"github.com/pgharbor/pgharbor/agent/dump"
)

// reachedBy names code of others than superusers that a statement may run when it is run; "" where there is none. Its expressions
// are read, which takes their literals through the input of their types; where constant parts are computed at once, functions and
// operators are called, and casts that a dump does not show. table is the oid of the one that the statement is about; "" where it
// makes what it is about. Whoever is not trusted is to call no function by the superuser, whoever wrote that.
func (l *loader) reachedBy(ctx context.Context, s *loadSessions, st dump.Statement, c dump.Code, table string, trusted bool) (string, error) {
	if c.Scans && !trusted {
		return "a check of its owner's", nil
	}
	names := st.OwnNames(c.Words)
	if c.Planned && (len(names)+len(c.Parents) > 0 || table != "") { // whether of the dump or made since
		found, err := l.reachedByCasts(ctx, s, names, c.Parents, table)
		if err != nil || len(found) > 0 {
			return first(found, "maybe, by a cast, the "), err
		}
	}
	literals := st.LiteralTypes(c.Words)
	for _, name := range names {
		found, calls, err := l.reachedByName(ctx, s, name, c.Planned, c.Planned || slices.Contains(literals, name))
		if err == nil && calls && !trusted {
			return "what is called " + name, nil
		}
		if err != nil || len(found) > 0 {
			return first(found, "the "), err
		}
	}
	return "", nil
}

// reachedByCasts is what casts may run in an expression that names these: those of the types that it names, and of a table's columns;
// any, where it calls a function or operator of the database's own, which may take any type.
func (l *loader) reachedByCasts(ctx context.Context, s *loadSessions, names, parents []string, table string) ([]reachedCode, error) {
	var types, tables []string
	for _, name := range names {
		named, functions, err := l.named(ctx, s, name, true)
		if err != nil {
			return nil, err
		}
		if len(functions) > 0 {
			return s.codeOf(ctx, anyCast)
		}
		types = append(types, named...)
	}
	if table != "" {
		tables = append(tables, table)
	}
	for _, name := range parents {
		parent, err := l.table(ctx, s, name)
		if err != nil {
			return nil, err
		}
		tables = append(tables, parent.oid)
	}
	return l.hiddenReach(ctx, s, true, tables, types)
}

func first(found []reachedCode, before string) string {
	if len(found) == 0 {
		return ""
	}
	return before + found[0].String()
}

// anyCast is a cast by a function of somebody who is no superuser.
var anyCast = `SELECT o.kind, o.schema, o.name, o.owner FROM pg_catalog.pg_cast c JOIN (` + codeObjects + `) o ON o.kind = 'function' AND o.oid = c.castfunc LIMIT 1`

// othersLiterals is the code of others than its owner that reading the literals of a statement may run.
func (l *loader) othersLiterals(ctx context.Context, s *loadSessions, st dump.Statement, c dump.Code, owner string) ([]reachedCode, error) {
	if !l.several {
		return nil, nil
	}
	types := st.LiteralTypes(c.Words)
	if st.Begins("CREATE", "AGGREGATE") { // its first value is one of its state's type
		types = st.OwnNames(c.Words)
	}
	return l.othersOf(ctx, s, types, false, owner)
}

// othersCalled is the code of others than its owner that computing the expressions of a statement runs.
func (l *loader) othersCalled(ctx context.Context, s *loadSessions, st dump.Statement, c dump.Code, owner string) ([]reachedCode, error) {
	return l.othersOf(ctx, s, st.OwnNames(c.Words), true, owner)
}

// othersOf is the code of others than an owner that the first name leads to that leads to any.
func (l *loader) othersOf(ctx context.Context, s *loadSessions, names []string, computed bool, owner string) ([]reachedCode, error) {
	for _, name := range names {
		found, _, err := l.reachedByName(ctx, s, name, computed, false)
		if err != nil {
			return nil, err
		}
		if others := slices.DeleteFunc(found, func(r reachedCode) bool { return r.owner == owner }); len(others) > 0 {
			return others, nil
		}
	}
	return nil, nil
}

// reachedByName is what a name in an expression may lead to: a type's input, and where the expression is computed, functions and
// operators; calls: there are such. bySuperuser: the superuser is to run the statement.
func (l *loader) reachedByName(ctx context.Context, s *loadSessions, name string, computed, bySuperuser bool) (code []reachedCode, calls bool, err error) {
	types, functions, err := l.named(ctx, s, name, computed)
	if err != nil || len(types)+len(functions) == 0 {
		return nil, false, err
	}
	way := reachOfInput.bySuperuser(bySuperuser)
	way.casts = computed
	code, err = way.find(ctx, s, start{types: types, functions: functions})
	return code, len(functions) > 0, err
}

// named are the types that have a name, and the functions that have it or belong to an operator that begins as it does.
func (l *loader) named(ctx context.Context, s *loadSessions, name string, computed bool) (types, functions []string, err error) {
	schema, object := dump.SplitQualified(name)
	args := []string{dump.Unquoted(schema), dump.Unquoted(object)}
	types, err = s.oids(ctx, `SELECT t.oid FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname = $1 AND t.typname = $2`, args...)
	if err != nil || !computed {
		return types, nil, err
	}
	functions, err = s.oids(ctx, `SELECT p.oid FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = $1 AND p.proname = $2
		UNION SELECT o.oprcode::pg_catalog.oid FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
			WHERE n.nspname = $1 AND $2::pg_catalog.text <> '' AND pg_catalog.starts_with($2::pg_catalog.text, pg_catalog.substr(o.oprname::pg_catalog.text, 1, 1))`, args...)
	return types, functions, err
}

// rowsRun is what loading a row of a table may run: code of others than superusers, and all functions that are not the server's own.
func rowsRun(ctx context.Context, s *loadSessions, table tableInfo) (code []reachedCode, functions []string, err error) {
	way, from := reachOfRows, start{tables: []string{table.oid}}
	way.parts, way.deputies = table.routed(), table.trusted
	if code, err = way.find(ctx, s, from); err != nil {
		return nil, nil, err
	}
	functions, err = way.functions(ctx, s, from)
	return code, functions, err
}
