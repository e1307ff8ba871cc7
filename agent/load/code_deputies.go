package load

import (
	"context"
	"fmt"
	"strings"
	"unicode"
)

// A deputy is a function of a superuser that may run what others made: whoever runs the one may run the other. With an
// empty search path it comes to that by a name that stands in its body, by SQL that it puts together, or by a path of
// its own.

// superusersRoutines are the functions that superusers made: oid, schema, name, owner, body and name in small letters,
// and whether the body does not tell what they run. One whose body is no text has what it runs among its dependencies.
var superusersRoutines = `SELECT p.oid, n.nspname, p.proname, r.rolname, pg_catalog.lower(p.prosrc), pg_catalog.lower(p.proname::pg_catalog.text), (g.lanname NOT IN ('sql', 'plpgsql', 'internal', 'c')
		OR g.lanname IN ('sql', 'plpgsql') AND (p.prosrc ~* '\m(execute|dblink\w*|operator)\M' OR EXISTS (SELECT FROM pg_catalog.pg_proc t
			WHERE pg_catalog.strpos(pg_catalog.lower(p.prosrc), t.proname::pg_catalog.text) > 0 AND ` + fmt.Sprintf(runsTexts, "t") + `))
		OR EXISTS (SELECT FROM pg_catalog.unnest(p.proconfig) AS c (setting) WHERE pg_catalog.starts_with(c.setting, 'search_path=')
			AND c.setting !~ '^search_path=("?pg_(catalog|temp)"?|""|[, ])*$'))::pg_catalog.text
	FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace JOIN pg_catalog.pg_roles r ON r.oid = p.proowner
	JOIN pg_catalog.pg_language g ON g.oid = p.prolang WHERE p.oid >= 12000 AND ` + trustedRole + ` AND NOT ` + fmt.Sprintf(ofExtension, "'pg_catalog.pg_proc'", "p.oid")

// ownNames are the names of the database's own functions, types and relations, in small letters: whether they are
// superusers', class and oid.
var ownNames = `SELECT pg_catalog.lower(o.name), (` + trustedRole + `)::pg_catalog.text, o.class, o.oid FROM (
		SELECT p.proname::pg_catalog.text, p.proowner, ` + classOfFunctions + `::pg_catalog.oid, p.oid FROM pg_catalog.pg_proc p
		UNION ALL SELECT t.typname, t.typowner, ` + classOfTypes + `, t.oid FROM pg_catalog.pg_type t
		UNION ALL SELECT c.relname, c.relowner, ` + classOfTables + `, c.oid FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')
	) AS o (name, owner, class, oid) JOIN pg_catalog.pg_roles r ON r.oid = o.owner WHERE o.oid >= 12000
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = o.class AND e.objid = o.oid AND e.deptype = 'e')`

// routine is a function of a superuser.
type routine struct {
	oid, name, body string // the last two in small letters, as the server has them in the database's locale
	code            reachedCode
	untold          bool // its body does not tell what it runs
}

// deputies finds, among some functions and those that they name, one of a superuser that may run what others made.
func (f codeFinder) deputies(ctx context.Context, functions []string) ([]reachedCode, error) {
	if len(functions) == 0 {
		return nil, nil
	}
	rows, err := f.catalog.query(ctx, superusersRoutines)
	if err != nil {
		return nil, err
	}
	names, err := f.catalog.query(ctx, ownNames)
	if err != nil {
		return nil, err
	}
	look := deputyLook{names: names, pending: map[string]bool{}, seen: map[string]bool{}}
	for _, row := range rows {
		look.routines = append(look.routines, routine{oid: row[0], body: row[4], name: row[5], untold: row[6] == "true",
			code: reachedCode{what: "function " + row[1] + "." + row[2], owner: row[3]}})
	}
	for _, oid := range functions {
		look.pending[oid] = true
	}
	return look.find(ctx, f.catalog)
}

// deputyLook is a search for deputies under way.
type deputyLook struct {
	routines      []routine
	names         [][]string      // rows of ownNames
	pending, seen map[string]bool // oids of functions, and of what was looked at
}

// find goes from the pending functions to what their bodies name, until it finds a deputy or nothing new.
func (l deputyLook) find(ctx context.Context, c catalog) ([]reachedCode, error) {
	for found := true; found; {
		found = false
		for _, r := range l.routines {
			if !l.pending[r.oid] || l.seen[r.oid] {
				continue
			}
			l.seen[r.oid], found = true, true
			named, meets := l.named(r)
			if r.untold || meets {
				return []reachedCode{r.code}, nil
			}
			if code, err := l.follow(ctx, c, named); err != nil || len(code) > 0 {
				return code, err
			}
		}
	}
	return nil, nil
}

// named takes what the body of a function names. It returns what superusers own of that, each as CLASS.OID, and the
// function itself, since its defaults and types count too; and whether anything belongs to somebody else.
func (l deputyLook) named(r routine) (found []string, meets bool) {
	found = append(found, classOfFunctions+"."+r.oid)
	has := namesIn(r.body)
	for _, name := range l.names {
		switch class, oid := name[2], name[3]; {
		case !has(name[0]):
		case name[1] != "true":
			return found, true
		case !l.seen[class+"."+oid]:
			l.seen[class+"."+oid] = true
			found = append(found, class+"."+oid)
			if class == classOfFunctions {
				l.pending[oid] = true
			}
		}
	}
	return found, false
}

// namesIn returns a function that reports whether a body has a name in it, as a whole word or within quotes.
func namesIn(body string) func(name string) bool {
	words := map[string]bool{}
	for _, word := range strings.FieldsFunc(body, notInName) {
		words[word] = true
	}
	return func(name string) bool {
		if strings.ContainsFunc(name, notInName) {
			return strings.Contains(body, strings.ReplaceAll(name, `"`, `""`))
		}
		return words[name]
	}
}

// notInName reports whether a character can't be in a name without quotes.
func notInName(r rune) bool {
	return r != '_' && r != '$' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
}

// follow looks at all that objects of superusers are made of and at all that belongs to them. Whatever it is, and
// whatever it is for, nothing may be somebody else's. The functions among it become pending.
func (l deputyLook) follow(ctx context.Context, c catalog, from []string) ([]reachedCode, error) {
	rows, err := c.query(ctx, everything, textArray(from))
	for _, row := range rows {
		if row[0] != "" {
			return []reachedCode{{what: row[0] + " " + row[1] + "." + row[2], owner: row[3]}}, nil
		}
		l.pending[row[4]] = true
	}
	return nil, err
}

// everything is what objects depend on, what depends on them and is dropped with them, and so on. It returns kind,
// schema, name and owner of what is somebody else's, and the oids of superusers' functions. Schemas do not count.
var everything = `WITH RECURSIVE reached (class, oid) AS (` + namedObjects + `
		UNION SELECT next.class, next.oid FROM reached r CROSS JOIN LATERAL (` + reach{columns: true, checks: true, parts: true, plans: true, casts: true}.edges() + `
			UNION ALL SELECT d.refclassid, d.refobjid FROM pg_catalog.pg_depend d WHERE d.classid = r.class AND d.objid = r.oid AND d.refobjid >= 12000
				AND d.refclassid NOT IN ('pg_catalog.pg_namespace'::pg_catalog.regclass, 'pg_catalog.pg_extension'::pg_catalog.regclass)
			UNION ALL SELECT d.classid, d.objid FROM pg_catalog.pg_depend d WHERE d.refclassid = r.class AND d.refobjid = r.oid AND d.deptype IN ('a', 'i', 'P', 'S')
		) AS next (class, oid))
	, owned (kind, schema, name, owner, class, oid) AS (
		SELECT 'function', p.pronamespace, p.proname::pg_catalog.text, p.proowner, ` + classOfFunctions + `::pg_catalog.oid, p.oid FROM pg_catalog.pg_proc p
		UNION ALL SELECT 'type', t.typnamespace, t.typname, t.typowner, ` + classOfTypes + `, t.oid FROM pg_catalog.pg_type t
		UNION ALL SELECT 'table', c.relnamespace, c.relname, c.relowner, ` + classOfTables + `, c.oid FROM pg_catalog.pg_class c
		UNION ALL SELECT 'operator', o.oprnamespace, o.oprname, o.oprowner, 'pg_catalog.pg_operator'::pg_catalog.regclass, o.oid FROM pg_catalog.pg_operator o)
	SELECT CASE WHEN ` + trustedRole + ` THEN '' ELSE o.kind END, n.nspname, o.name, r.rolname, o.oid FROM reached x JOIN owned o ON o.class = x.class AND o.oid = x.oid
		JOIN pg_catalog.pg_namespace n ON n.oid = o.schema JOIN pg_catalog.pg_roles r ON r.oid = o.owner
		WHERE o.oid >= 12000 AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = o.class AND e.objid = o.oid AND e.deptype = 'e')
			AND (NOT ` + trustedRole + ` OR o.class = ` + classOfFunctions + `) ORDER BY 1 DESC`
