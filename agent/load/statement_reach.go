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
func (f codeFinder) reachedBy(ctx context.Context, st dump.Statement, c dump.Code, table string, trusted bool) (string, error) {
	if c.Scans && !trusted {
		return "a check of its owner's", nil
	}
	names := st.OwnNames(c.Words)
	if c.Planned && (len(names)+len(c.Parents) > 0 || table != "") { // whether of the dump or made since
		found, err := f.reachedByCasts(ctx, names, c.Parents, table)
		if err != nil || len(found) > 0 {
			return first(found, "maybe, by a cast, the "), err
		}
	}
	literals := st.LiteralTypes(c.Words)
	for _, name := range names {
		found, calls, err := f.reachedByName(ctx, name, c.Planned, c.Planned || slices.Contains(literals, name))
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
func (f codeFinder) reachedByCasts(ctx context.Context, names, parents []string, table string) ([]reachedCode, error) {
	var types, tables []string
	for _, name := range names {
		named, functions, err := f.catalog.named(ctx, name, true)
		if err != nil {
			return nil, err
		}
		if len(functions) > 0 {
			return f.ask(ctx, anyCast)
		}
		types = append(types, named...)
	}
	if table != "" {
		tables = append(tables, table)
	}
	for _, name := range parents {
		parent, err := f.catalog.table(ctx, name)
		if err != nil {
			return nil, err
		}
		tables = append(tables, parent.oid)
	}
	return f.hiddenReach(ctx, true, tables, types)
}

// anyCast is a cast by a function of somebody who is no superuser.
var anyCast = `SELECT o.kind, o.schema, o.name, o.owner FROM pg_catalog.pg_cast c JOIN (` + codeObjects + `) o ON o.kind = 'function' AND o.oid = c.castfunc LIMIT 1`

// othersLiterals is the code of others than its owner that reading the literals of a statement may run.
func (f codeFinder) othersLiterals(ctx context.Context, st dump.Statement, c dump.Code, owner string) ([]reachedCode, error) {
	types := st.LiteralTypes(c.Words)
	if st.Begins("CREATE", "AGGREGATE") { // its first value is one of its state's type
		types = st.OwnNames(c.Words)
	}
	return f.othersOf(ctx, types, false, owner)
}

// othersCalled is the code of others than its owner that computing the expressions of a statement runs.
func (f codeFinder) othersCalled(ctx context.Context, st dump.Statement, c dump.Code, owner string) ([]reachedCode, error) {
	return f.othersOf(ctx, st.OwnNames(c.Words), true, owner)
}

// othersOf is the code of others than an owner that the first name leads to that leads to any.
func (f codeFinder) othersOf(ctx context.Context, names []string, computed bool, owner string) ([]reachedCode, error) {
	for _, name := range names {
		found, _, err := f.reachedByName(ctx, name, computed, false)
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
func (f codeFinder) reachedByName(ctx context.Context, name string, computed, bySuperuser bool) (code []reachedCode, calls bool, err error) {
	types, functions, err := f.catalog.named(ctx, name, computed)
	if err != nil || len(types)+len(functions) == 0 {
		return nil, false, err
	}
	way := reachOfInput.bySuperuser(bySuperuser)
	way.casts = computed
	code, err = f.find(ctx, way, start{types: types, functions: functions})
	return code, len(functions) > 0, err
}

// rowsRun is what loading a row of a table may run: code of others than superusers, and all functions that are not the server's own.
func (f codeFinder) rowsRun(ctx context.Context, table tableInfo) (code []reachedCode, functions []string, err error) {
	way, from := reachOfRows, start{tables: []string{table.oid}}
	way.parts, way.deputies = table.routed(), table.trusted
	if code, err = f.find(ctx, way, from); err != nil {
		return nil, nil, err
	}
	functions, err = f.functions(ctx, way, from)
	return code, functions, err
}

// changeReaches names code of others than superusers that a change of a table may run; "" where there is none.
func (f codeFinder) changeReaches(ctx context.Context, st dump.Statement, c dump.Code, table tableInfo, way reach) (string, error) {
	reached, err := f.reachedBy(ctx, st, c, table.oid, table.trusted)
	if err != nil || reached != "" {
		return reached, err
	}
	found, err := f.findAll(ctx, way.bySuperuser(true), start{tables: []string{table.oid}}, false)
	if err == nil && len(found) == 0 && way.plans {
		found, err = f.ask(ctx, inClasses)
	}
	return first(found, "the "), err
}

// inClasses is code that operator classes, families and ranges call. A superuser who makes these may name anybody's functions, and a
// statement need not name them.
var inClasses = `SELECT o.kind, o.schema, o.name, o.owner FROM (` + codeObjects + `) o WHERE o.kind = 'function' AND o.oid IN (SELECT m.amproc::pg_catalog.oid FROM pg_catalog.pg_amproc m)
	OR o.kind = 'function' AND o.oid IN (SELECT x.oid FROM pg_catalog.pg_range g, pg_catalog.unnest(ARRAY[g.rngcanonical::pg_catalog.oid, g.rngsubdiff::pg_catalog.oid]) AS x (oid))
	OR o.kind = 'operator' AND o.oid IN (SELECT m.amopopr FROM pg_catalog.pg_amop m) LIMIT 1`

// wayOf is the way to the code that a change of a table may run beside its own expressions.
func (f codeFinder) wayOf(ctx context.Context, st dump.Statement, c dump.Code, table tableInfo) (reach, error) {
	switch c.Looks {
	case dump.AtTree:
		return reachOfTree, nil
	case dump.AtPlans:
		return reachOfQuery, nil
	case dump.AtNotNull:
		if mayBeNull, err := f.mayBeNull(ctx, st, table); err != nil || !mayBeNull {
			return reachOfQuery, err
		}
	}
	return reachOfChange, nil
}

// mayBeNull reports whether a column of the key that a statement adds may be null by now: then the server looks whether a check forbids it.
func (f codeFinder) mayBeNull(ctx context.Context, st dump.Statement, table tableInfo) (bool, error) {
	rows, err := f.catalog.oids(ctx, `SELECT a.attnum FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1::pg_catalog.oid AND a.attnum > 0 AND NOT a.attnotnull
		AND a.attname = ANY ($2::pg_catalog.text[])`, table.oid, textArray(copyColumns(st.SQL)))
	return len(rows) > 0, err
}
