package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// tableInfo is what decides which session may load a table.
type tableInfo struct {
	oid, name string
	owner     string
	trusted   bool // the owner is a superuser, or is whoever restores: its code may do what this session may
	own       bool // it is no part of an extension
	code      bool // loading a row may run code that is not the server's: a check, a generated column, a domain
}

// trustedRole says whether a role r of pg_roles is a superuser or the session's own.
const trustedRole = `(r.rolsuper OR r.rolname = CURRENT_USER)`

// ofExtension says whether an object is part of an extension.
const ofExtension = `EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = %s::pg_catalog.regclass AND e.objid = %s AND e.deptype = 'e')`

// codeObjects are the functions, operators, domains and views that were not written by superusers, or come with an
// extension: their kind, schema, name and owner. It is a table for FROM; %s restricts each part.
var codeObjects = `SELECT 'function' AS kind, n.nspname AS schema, p.proname AS name, r.rolname AS owner, p.oid, 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid AS class
		FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace JOIN pg_catalog.pg_roles r ON r.oid = p.proowner
		WHERE NOT ` + trustedRole + ` AND NOT ` + fmt.Sprintf(ofExtension, "'pg_catalog.pg_proc'", "p.oid") + `
	UNION ALL SELECT 'operator', n.nspname, o.oprname, r.rolname, o.oid, 'pg_catalog.pg_operator'::pg_catalog.regclass
		FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace JOIN pg_catalog.pg_roles r ON r.oid = o.oprowner
		WHERE NOT ` + trustedRole + ` AND NOT ` + fmt.Sprintf(ofExtension, "'pg_catalog.pg_operator'", "o.oid") + `
	UNION ALL SELECT 'type', n.nspname, t.typname, r.rolname, t.oid, 'pg_catalog.pg_type'::pg_catalog.regclass
		FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace JOIN pg_catalog.pg_roles r ON r.oid = t.typowner
		WHERE t.typtype = 'd' AND NOT ` + trustedRole + ` AND NOT ` + fmt.Sprintf(ofExtension, "'pg_catalog.pg_type'", "t.oid") + `
	UNION ALL SELECT 'view', n.nspname, c.relname, r.rolname, c.oid, 'pg_catalog.pg_class'::pg_catalog.regclass
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
		WHERE c.relkind IN ('v', 'm') AND NOT ` + trustedRole + ` AND NOT ` + fmt.Sprintf(ofExtension, "'pg_catalog.pg_class'", "c.oid")

// tableFacts are those of the table $1, a name as it stands in a dump. The last column lists the types of its columns that
// are not among PostgreSQL's pinned ones.
var tableFacts = `WITH RECURSIVE found AS (
		SELECT c.oid, c.relkind, c.relowner FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass($1::pg_catalog.text)
	), tables (oid) AS (
		SELECT oid FROM found UNION SELECT i.inhparent FROM tables t JOIN pg_catalog.pg_inherits i ON i.inhrelid = t.oid
	) SELECT f.oid, r.rolname, ` + trustedRole + `::pg_catalog.text,
		(f.relkind IN ('r', 'p', 'm') AND NOT ` + fmt.Sprintf(ofExtension, "'pg_catalog.pg_class'", "f.oid") + `)::pg_catalog.text,
		(EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = f.oid AND k.contype = 'c')
			OR EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = f.oid AND a.attnum > 0 AND a.attgenerated <> '')
			OR EXISTS (SELECT FROM tables t JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = t.oid AND p.partexprs IS NOT NULL))::pg_catalog.text,
		(SELECT pg_catalog.string_agg(DISTINCT a.atttypid::pg_catalog.text, ' ') FROM pg_catalog.pg_attribute a
			WHERE a.attrelid = f.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid >= 12000)
	FROM found f JOIN pg_catalog.pg_roles r ON r.oid = f.relowner`

// table asks for what decides about a table.
func (l *guardedLoader) table(ctx context.Context, s *loadSessions, name string) (tableInfo, error) {
	rows, err := s.query(ctx, tableFacts, name)
	if err != nil {
		return tableInfo{}, fmt.Errorf("table %s: %w", name, err)
	}
	if len(rows) == 0 {
		return tableInfo{}, fmt.Errorf("%w: table %s is not among its definitions", errNotDumped, name)
	}
	info := tableInfo{oid: rows[0][0], name: name, owner: rows[0][1], trusted: rows[0][2] == "true", own: rows[0][3] == "true", code: rows[0][4] == "true"}
	if !info.code {
		info.code, err = l.haveChecks(ctx, s, strings.Fields(rows[0][5]))
	}
	return info, err
}

// superusersOnly refuses a table or a materialized view of a superuser that would run code of somebody else when it is
// loaded.
func (l *guardedLoader) superusersOnly(ctx context.Context, s *loadSessions, t tableInfo) error {
	if !t.trusted {
		return &ContentError{Object: "table " + t.name, Why: "it and the table that it is a part of belong to different roles, and either may run code"}
	}
	if l.code != nil && len(l.code) == 0 {
		return nil
	}
	uses, err := l.othersCode(ctx, s, t.oid)
	if err != nil || uses == "" {
		return err
	}
	return &ContentError{Object: "table " + t.name, Why: "it belongs to a superuser and uses the " + uses + ", who is none"}
}

// codeNames are the names of all code in the database that superusers did not write.
func (l *guardedLoader) codeNames(ctx context.Context, s *loadSessions) (map[string]bool, error) {
	rows, err := s.query(ctx, `SELECT DISTINCT kind, name FROM (`+codeObjects+`) o`)
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	l.callable = false
	for _, row := range rows {
		name := row[1]
		l.callable = l.callable || row[0] != "view"
		if row[0] == "operator" {
			name = anyOperator
		}
		names[name] = true
	}
	return names, nil
}

// anyOperator stands for all operators: a dump writes one that is not the server's as OPERATOR(schema.sign).
const anyOperator = "OPERATOR"

// mentions returns a name of others' code that stands in a statement, so that it may call it; "" where there is none.
func (l *guardedLoader) mentions(s statement) string {
	for _, w := range s.words {
		if w.is(anyOperator) && l.code[anyOperator] {
			return "an operator"
		}
		parts := []string{w.text}
		if !w.quoted {
			parts = strings.Split(w.text, ".")
		}
		for _, part := range parts {
			if l.code[part] {
				return part
			}
		}
	}
	return ""
}

// trusts says whether a role's code may do what this session may.
func (l *guardedLoader) trusts(ctx context.Context, s *loadSessions, role string) (bool, error) {
	rows, err := s.query(ctx, `SELECT `+trustedRole+`::pg_catalog.text FROM pg_catalog.pg_roles r WHERE r.rolname = $1`, role)
	if err != nil {
		return false, err
	}
	if len(rows) == 0 {
		return false, fmt.Errorf("%w %q", errNoRole, role)
	}
	return rows[0][0] == "true", nil
}

// errNoRole says that a role that a dump names does not exist.
var errNoRole = errors.New("there is no role")

// castsByOthers says whether a cast of the database calls a function that no superuser wrote: a foreign key may use it.
func (l *guardedLoader) castsByOthers(ctx context.Context, s *loadSessions) (bool, error) {
	if len(l.code) == 0 {
		return false, nil
	}
	rows, err := s.query(ctx, `SELECT FROM pg_catalog.pg_cast c JOIN (`+codeObjects+`) o ON o.oid = c.castfunc AND o.kind = 'function' LIMIT 1`)
	return len(rows) > 0, err
}
