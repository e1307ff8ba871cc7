package load

import (
	"context"
	"slices"

	"github.com/pgharbor/pgharbor/agent/dump"
)

// statementCode finds the code that a statement of a dump may run.
type statementCode struct {
	codeFinder
	st   dump.Statement
	does dump.Code
}

// of is about a statement.
func (f codeFinder) of(st dump.Statement, does dump.Code) statementCode {
	return statementCode{f, st, does}
}

// reachedBy names code of others than superusers that the statement may run when it is run; "" if there is none. Its
// expressions are read, which takes their literals through the input of their types. If constant parts are computed at
// once, functions and operators are called too, and casts that a dump does not show. table is the oid of the table that
// the statement is about; "" if it makes what it is about. If the owner is not trusted, the superuser is to call no
// function for the statement at all, whoever wrote the function.
func (f statementCode) reachedBy(ctx context.Context, table string, trusted bool) (string, error) {
	if f.does.Scans && !trusted {
		return "a check of its owner's", nil
	}
	names := f.st.OwnNames(f.does.Words)
	if f.does.Planned && (len(names)+len(f.does.Parents) > 0 || table != "") { // whether of the dump or made since
		found, err := f.reachedByCasts(ctx, names, table)
		if err != nil || len(found) > 0 {
			return first(found, "maybe, by a cast, the "), err
		}
	}
	literals := f.st.LiteralTypes(f.does.Words)
	for _, name := range names {
		found, calls, err := f.reachedByName(ctx, name, f.does.Planned, f.does.Planned || slices.Contains(literals, name))
		if err == nil && calls && !trusted {
			return "what is called " + name, nil
		}
		if err != nil || len(found) > 0 {
			return first(found, "the "), err
		}
	}
	return "", nil
}

// reachedByCasts is what casts may run in an expression with these names: casts of the types that it names, and of a
// table's columns. It is any cast if the expression calls a function or operator of the database's own, which may take
// any type.
func (f statementCode) reachedByCasts(ctx context.Context, names []string, table string) ([]reachedCode, error) {
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
	for _, name := range f.does.Parents {
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

// othersLiterals is the code of others than the owner that reading the literals of the statement may run.
func (f statementCode) othersLiterals(ctx context.Context, owner string) ([]reachedCode, error) {
	types := f.st.LiteralTypes(f.does.Words)
	if f.st.Begins("CREATE", "AGGREGATE") { // its first value is one of its state's type
		types = f.st.OwnNames(f.does.Words)
	}
	return f.othersOf(ctx, types, false, owner)
}

// othersCalled is the code of others than the owner that computing the expressions of the statement runs.
func (f statementCode) othersCalled(ctx context.Context, owner string) ([]reachedCode, error) {
	return f.othersOf(ctx, f.st.OwnNames(f.does.Words), true, owner)
}

// othersOf looks at names in turn, and returns what the first one that leads to code of others than an owner leads to.
func (f statementCode) othersOf(ctx context.Context, names []string, computed bool, owner string) ([]reachedCode, error) {
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

// reachedByName is what a name in an expression may lead to: a type's input and, if the expression is computed,
// functions and operators. calls says that there are functions of that name. bySuperuser says that the superuser is to
// run the statement.
func (f statementCode) reachedByName(ctx context.Context, name string, computed, bySuperuser bool) (code []reachedCode, calls bool, err error) {
	types, functions, err := f.catalog.named(ctx, name, computed)
	if err != nil || len(types)+len(functions) == 0 {
		return nil, false, err
	}
	way := reachOfInput.bySuperuser(bySuperuser)
	way.casts = computed
	code, err = f.find(ctx, way, start{types: types, functions: functions})
	return code, len(functions) > 0, err
}

// changeReaches names code of others than superusers that a change of a table may run; "" if there is none.
func (f statementCode) changeReaches(ctx context.Context, table tableInfo, way reach) (string, error) {
	reached, err := f.reachedBy(ctx, table.oid, table.trusted)
	if err != nil || reached != "" {
		return reached, err
	}
	found, err := f.findAll(ctx, way.bySuperuser(true), start{tables: []string{table.oid}}, false)
	if err == nil && len(found) == 0 && way.plans {
		found, err = f.ask(ctx, inClasses)
	}
	return first(found, "the "), err
}

// inClasses is code that operator classes, families and ranges call. A superuser who makes these may name anybody's
// functions, and a statement does not have to name them.
var inClasses = `SELECT o.kind, o.schema, o.name, o.owner FROM (` + codeObjects + `) o WHERE o.kind = 'function' AND o.oid IN (SELECT m.amproc::pg_catalog.oid FROM pg_catalog.pg_amproc m)
	OR o.kind = 'function' AND o.oid IN (SELECT x.oid FROM pg_catalog.pg_range g, pg_catalog.unnest(ARRAY[g.rngcanonical::pg_catalog.oid, g.rngsubdiff::pg_catalog.oid]) AS x (oid))
	OR o.kind = 'operator' AND o.oid IN (SELECT m.amopopr FROM pg_catalog.pg_amop m) LIMIT 1`

// wayOf is the way to the code that a change of a table may run in addition to its own expressions.
func (f statementCode) wayOf(ctx context.Context, table tableInfo) (reach, error) {
	switch f.does.Looks {
	case dump.AtTree:
		return reachOfTree, nil
	case dump.AtPlans:
		return reachOfQuery, nil
	case dump.AtNotNull:
		if mayBeNull, err := f.mayBeNull(ctx, table); err != nil || !mayBeNull {
			return reachOfQuery, err
		}
	}
	return reachOfChange, nil
}

// mayBeNull reports whether a column of the key that the statement adds may be null. If so, the server looks whether a
// check forbids it.
func (f statementCode) mayBeNull(ctx context.Context, table tableInfo) (bool, error) {
	rows, err := f.catalog.oids(ctx, `SELECT a.attnum FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1::pg_catalog.oid AND a.attnum > 0 AND NOT a.attnotnull
		AND a.attname = ANY ($2::pg_catalog.text[])`, table.oid, textArray(copyColumns(f.st.SQL)))
	return len(rows) > 0, err
}

// mixes names code of somebody else than the owner of a table that a change of it runs, and that the owner did not put
// there; "" if there is none. Who uses another's function on a table trusts it, as with each row. But who owns another
// table of the tree may have put anything there.
func (f statementCode) mixes(ctx context.Context, table tableInfo, way reach) (string, error) {
	others, err := f.othersLiterals(ctx, table.owner)
	if err != nil || len(others) > 0 {
		return first(others, "reads a literal of the "), err
	}
	if f.does.Scans {
		if others, err = f.othersCalled(ctx, table.owner); err != nil || len(others) > 0 {
			return first(others, "runs for each row the "), err
		}
	}
	owners, err := f.catalog.treeOwners(ctx, table.oid)
	if err != nil || len(owners) == 1 {
		return "", err
	}
	found, err := f.find(ctx, way, start{tables: []string{table.oid}})
	if err != nil {
		return "", err
	}
	way.alone = true // what is on the table itself is there by its owner
	own, err := f.find(ctx, way, start{tables: []string{table.oid}})
	others = slices.DeleteFunc(found, func(r reachedCode) bool { return r.owner == table.owner || slices.Contains(own, r) })
	return first(others, "runs the "), err
}
