package load

import (
	"context"
	"fmt"
	"strings"
	"unicode"
)

// A deputy is a function of a superuser that may run what others made: whoever runs the one may run the other. With an empty search path it
// comes to that by a name that stands in its body, by SQL that it puts together, or by a path of its own.

// superusersRoutines are the functions that superusers made: oid, schema, name, owner, body and name in small letters, and whether the body does not
// tell what they run. One whose body is no text has what it runs among its dependencies.
var superusersRoutines = `SELECT p.oid, n.nspname, p.proname, r.rolname, pg_catalog.lower(p.prosrc), pg_catalog.lower(p.proname::pg_catalog.text), (g.lanname NOT IN ('sql', 'plpgsql', 'internal', 'c')
		OR g.lanname IN ('sql', 'plpgsql') AND p.prosrc ~* '\m(execute|dblink\w*|ts_stat|ts_rewrite|\w+_to_xml\w*|operator)\M'
		OR EXISTS (SELECT FROM pg_catalog.unnest(p.proconfig) AS c (setting) WHERE pg_catalog.starts_with(c.setting, 'search_path=')
			AND c.setting !~ '^search_path=("?pg_(catalog|temp)"?|""|[, ])*$'))::pg_catalog.text
	FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace JOIN pg_catalog.pg_roles r ON r.oid = p.proowner
	JOIN pg_catalog.pg_language g ON g.oid = p.prolang WHERE p.oid >= 12000 AND ` + trustedRole + ` AND NOT ` + fmt.Sprintf(ofExtension, "'pg_catalog.pg_proc'", "p.oid")

// othersNames are the names of functions, types and relations of others than superusers, in small letters, and those of superusers' views,
// with their oids.
var othersNames = `SELECT DISTINCT pg_catalog.lower(o.name), CASE WHEN ` + trustedRole + ` THEN o.view::pg_catalog.text ELSE '' END FROM (
		SELECT p.proname::pg_catalog.text, p.proowner, 0::pg_catalog.oid FROM pg_catalog.pg_proc p WHERE p.oid >= 12000
		UNION ALL SELECT t.typname, t.typowner, 0 FROM pg_catalog.pg_type t WHERE t.oid >= 12000
		UNION ALL SELECT c.relname, c.relowner, CASE WHEN c.relkind IN ('v', 'm') THEN c.oid ELSE 0 END FROM pg_catalog.pg_class c
			WHERE c.oid >= 12000 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
	) AS o (name, owner, view) JOIN pg_catalog.pg_roles r ON r.oid = o.owner WHERE NOT ` + trustedRole + ` OR o.view <> 0`

// routine is a function of a superuser.
type routine struct {
	oid, name, body string // the last two in small letters, as the server has them in the database's locale
	code            reachedCode
	untold          bool // its body does not tell what it runs
}

// deputies finds, among some functions and those that they name, one of a superuser that may run what others made.
func (s *loadSessions) deputies(ctx context.Context, functions []string) ([]reachedCode, error) {
	if len(functions) == 0 {
		return nil, nil
	}
	if code, err := s.codeOf(ctx, anyCode); err != nil || len(code) == 0 {
		return nil, err // there is nothing to run
	}
	rows, err := s.query(ctx, superusersRoutines)
	if err != nil {
		return nil, err
	}
	names, err := s.query(ctx, othersNames)
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
	return look.find(ctx, s)
}

// anyCode is some code of others than superusers.
var anyCode = `SELECT o.kind, o.schema, o.name, o.owner FROM (` + codeObjects + `) o LIMIT 1`

// deputyLook is a look for deputies under way.
type deputyLook struct {
	routines      []routine
	names         [][]string      // rows of othersNames
	pending, seen map[string]bool // oids of functions, and of views that were looked at
}

// find goes from the pending functions to what their bodies name, until it comes to a deputy or to nothing new.
func (l deputyLook) find(ctx context.Context, s *loadSessions) ([]reachedCode, error) {
	for found := true; found; {
		found = false
		for _, r := range l.routines {
			if !l.pending[r.oid] || l.seen[r.oid] {
				continue
			}
			l.seen[r.oid], found = true, true
			views, meets := l.named(r)
			if r.untold || meets {
				return []reachedCode{r.code}, nil
			}
			if code, err := l.follow(ctx, s, views); err != nil || len(code) > 0 {
				return code, err
			}
		}
	}
	return nil, nil
}

// named takes what the body of a function names: other functions become pending; it returns views, and whether anything is another's.
func (l deputyLook) named(r routine) (views []string, meets bool) {
	has := namesIn(r.body)
	for _, name := range l.names {
		switch {
		case !has(name[0]):
		case name[1] == "":
			return nil, true
		case !l.seen[name[1]]:
			l.seen[name[1]] = true
			views = append(views, name[1])
		}
	}
	for _, other := range l.routines {
		if has(other.name) {
			l.pending[other.oid] = true
		}
	}
	return views, false
}

// namesIn reports whether a body has a name in it, as a word of its own or within quotes.
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

// follow looks at what superusers' views run.
func (l deputyLook) follow(ctx context.Context, s *loadSessions, views []string) ([]reachedCode, error) {
	if len(views) == 0 {
		return nil, nil
	}
	from := start{tables: views}
	code, err := reachOfQuery.find(ctx, s, from)
	if err != nil || len(code) > 0 {
		return code, err
	}
	functions, err := reachOfQuery.functions(ctx, s, from)
	for _, oid := range functions {
		l.pending[oid] = true
	}
	return nil, err
}
