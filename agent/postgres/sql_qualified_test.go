package postgres_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A name without its schema is looked for along the search path, which an owner of a database sets. Sessions begin with one
// of ours; this is for the day on which one does not.
func TestAllSQLOfTheAgentIsQualified(t *testing.T) {
	statements := 0
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for at, text := range texts(file) {
			if isSQL(text) {
				statements++
			}
			for _, fault := range unqualified(text) {
				t.Errorf("%s: %s in %q", files.Position(at), fault, text)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if statements < 50 {
		t.Errorf("%d statements were found, which can't be all", statements)
	}
}

func TestUnqualifiedSQLIsFound(t *testing.T) {
	for sql, faults := range map[string]int{
		"SELECT rolname FROM pg_roles":                                              1,
		"SELECT a FROM pg_catalog.pg_roles r, pg_class c":                           1,
		"SELECT a FROM pg_catalog.pg_roles r JOIN ONLY pg_class c ON c.oid = r.oid": 1,
		"SELECT a FROM public.pg_roles":                                             1,
		`SELECT a FROM "pg_roles"`:                                                  1,
		"SELECT (SELECT count(*) FROM pg_stat_activity), pg_catalog.count(*)":       2,
		"SELECT a FROM pg_catalog.pg_class WHERE pg_get_userbyid(a) = 'x'":          1,
		"SELECT public.format('%I', 'a')":                                           1,
		`SELECT "format"('%I', 'a')`:                                                1,
		"SELECT 'pg_class'::pg_catalog.regclass":                                    1,
		"SELECT a::text":                                                            1,
		"SELECT CAST(a AS text)":                                                    1,
		"CREATE TABLE " + hole + " AS SELECT now()":                                 1,
		"INSERT INTO t VALUES (1)":                                                  1,
		"UPDATE t SET a = 1":                                                        1,
		"DELETE FROM t":                                                             1,
		hole + ", pg_size_pretty(1), 'now()'":                                       1,
		"WITH a AS (SELECT oid FROM pg_class) SELECT oid FROM a, b":                 2,
		"WITH RECURSIVE a (n) AS (SELECT 1), b AS (SELECT n FROM a) SELECT n FROM b JOIN a ON true": 0,
		"has_table_privilege(oid, 'SELECT')":                                                    1,
		"SELECT pg_catalog.count(*) FROM ONLY " + hole:                                          0,
		"SELECT 'it''s FROM t' FROM pg_catalog.pg_class -- FROM t\n":                            0,
		"SELECT pg_catalog.unnest(a) FROM pg_catalog.unnest(b) WITH ORDINALITY AS u (a, b)":     0,
		"SELECT a IS DISTINCT FROM b, coalesce(a, b) FROM (SELECT 1) AS x, pg_catalog.pg_class": 0,
		"COPY " + hole + " FROM stdin":                                                          0,
		"REVOKE ALL ON DATABASE " + hole + " FROM PUBLIC":                                       0,
		"Select a backup from the list (or none)":                                               0,
	} {
		if got := unqualified(sql); len(got) != faults {
			t.Errorf("%q: %d faults %q, want %d", sql, len(got), got, faults)
		}
	}
}

// hole stands for what a statement is composed of beside its literals.
const hole = "\x01"

// texts are the string literals of a file, those that are added up as one.
func texts(file *ast.File) map[token.Pos]string {
	found := map[token.Pos]string{}
	var text func(ast.Expr) string
	text = func(expr ast.Expr) string {
		switch e := expr.(type) {
		case *ast.BasicLit:
			if literal, err := strconv.Unquote(e.Value); e.Kind == token.STRING && err == nil {
				return formatVerb.ReplaceAllString(literal, hole)
			}
		case *ast.BinaryExpr:
			if e.Op == token.ADD {
				return text(e.X) + text(e.Y)
			}
		}
		return hole
	}
	var visit func(ast.Node) bool
	// parts looks into what a sum is composed of: a call within it has literals of its own.
	var parts func(ast.Expr)
	parts = func(expr ast.Expr) {
		if e, ok := expr.(*ast.BinaryExpr); ok && e.Op == token.ADD {
			parts(e.X)
			parts(e.Y)
		} else if text(expr) == hole {
			ast.Inspect(expr, visit)
		}
	}
	visit = func(node ast.Node) bool {
		expr, ok := node.(ast.Expr)
		if !ok || strings.Trim(text(expr), hole) == "" {
			return true
		}
		found[expr.Pos()] = text(expr)
		parts(expr)
		return false
	}
	ast.Inspect(file, visit)
	return found
}

// formatVerb is what fmt puts something in the place of. What PostgreSQL's format does the same with is in upper case.
var formatVerb = regexp.MustCompile(`%[dsqvw]`)

var (
	sqlBegins = regexp.MustCompile(`^\s*(SELECT|WITH|INSERT|UPDATE|DELETE|COPY|CREATE|ALTER|DROP|TRUNCATE|ANALYZE|GRANT|REVOKE|SET|SHOW|BEGIN|COMMENT ON|SECURITY LABEL)\b`)
	sqlWithin = regexp.MustCompile(`\b(pg_|has_)[a-z_]+\(|\b(FROM|JOIN)\s+(ONLY\s+)?"?pg_`)
	sqlQuery  = regexp.MustCompile(`\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|COPY)\b`)
	sqlToken  = regexp.MustCompile(`--[^\n]*|[eE]?'(?:[^'\\]|''|\\.)*'|"(?:[^"]|"")*"|\$\d+|[A-Za-z_][A-Za-z0-9_$]*|\d+|::|\S`)
)

func isSQL(text string) bool { return sqlBegins.MatchString(text) || sqlWithin.MatchString(text) }

// grammar are the words before a parenthesis that are no functions: PostgreSQL's grammar knows them and looks for no name.
var grammar = strings.Fields(`ALL AND ANY ARRAY AS BY COALESCE EXISTS FILTER FROM GREATEST IN JOIN LATERAL LEAST NOT NULLIF ON OR OVER
	SELECT SET THEN USING VALUES WHEN WHERE WITH`)

// unqualified lists the names in a statement that are looked for along the search path.
func unqualified(text string) (faults []string) {
	if !isSQL(text) {
		return nil
	}
	s := sqlTokens{}
	for _, word := range sqlToken.FindAllString(text, -1) {
		if !strings.HasPrefix(word, "--") {
			s = append(s, word)
		}
	}
	query, own := sqlQuery.MatchString(text), s.ownNames()
	var lists []bool // for each open parenthesis: whether a list of relations goes on
	inList := false
	for n, word := range s {
		switch upper := strings.ToUpper(word); {
		case word == "(":
			if s.isName(n-1) && !s.inCatalog(n-1) && !slices.Contains(own, s.at(n-1)) && !slices.Contains(grammar, strings.ToUpper(s.at(n-1))) && !strings.EqualFold(s.at(n-2), "AS") {
				faults = append(faults, fmt.Sprintf("the function %s", s.at(n-1)))
			}
			lists, inList = append(lists, inList), false
		case word == ")":
			if len(lists) > 0 {
				lists, inList = lists[:len(lists)-1], lists[len(lists)-1]
			}
		case word == "::" && !s.inCatalog(n+3):
			faults = append(faults, fmt.Sprintf("the type %s", s.at(n+1)))
		case word == "::" && strings.HasPrefix(s.at(n+3), "reg") && strings.HasPrefix(s.at(n-1), "'") && !strings.Contains(s.at(n-1), "."):
			faults = append(faults, fmt.Sprintf("the object %s", s.at(n-1)))
		case !query:
		case upper == "FROM" && !strings.EqualFold(s.at(n-1), "DISTINCT"), upper == "JOIN", upper == "INTO",
			upper == "UPDATE" && !strings.EqualFold(s.at(n-1), "FOR"), word == "," && inList:
			inList = word == "," || upper == "FROM"
			faults = append(faults, s.relation(n+1, own)...)
		case slices.Contains([]string{"WHERE", "ORDER", "GROUP", "UNION", "SELECT", "SET", "VALUES", "LIMIT"}, upper):
			inList = false
		}
	}
	return faults
}

type sqlTokens []string

func (s sqlTokens) at(n int) string {
	if n < 0 || n >= len(s) {
		return ""
	}
	return s[n]
}

func (s sqlTokens) isName(n int) bool {
	word := s.at(n)
	return word != "" && (word[0] == '"' || word[0] == '_' || word[0]|0x20 >= 'a' && word[0]|0x20 <= 'z') && !strings.HasSuffix(word, "'")
}

// inCatalog reports whether the name stands behind the catalog's schema, that of temporary objects, or what is composed.
func (s sqlTokens) inCatalog(n int) bool {
	return s.at(n-1) == "." && slices.Contains([]string{"pg_catalog", "pg_temp", hole}, s.at(n-2))
}

// ownNames are those that a statement gives to its own queries, by WITH: they come before all that are looked for.
func (s sqlTokens) ownNames() (names []string) {
	for n, word := range s {
		if strings.EqualFold(word, "WITH") || strings.EqualFold(word, "RECURSIVE") || len(names) > 0 && word == "," && s.at(n-1) == ")" {
			after := n + 2
			if s.at(after) == "(" { // its columns
				after += slices.Index(append(slices.Clone(s[after:]), ")"), ")") + 1
			}
			if s.isName(n+1) && strings.EqualFold(s.at(after), "AS") && s.at(after+1) == "(" {
				names = append(names, s.at(n+1))
			}
		}
	}
	return names
}

// relation looks at the name of a relation or of a function that begins at n, where there is one.
func (s sqlTokens) relation(n int, own []string) []string {
	for strings.EqualFold(s.at(n), "ONLY") || strings.EqualFold(s.at(n), "LATERAL") {
		n++
	}
	if !s.isName(n) || slices.Contains(own, s.at(n)) || strings.EqualFold(s.at(n), "STDIN") || s.inCatalog(n+2) || strings.EqualFold(s.at(n), "SELECT") || s.at(n+1) == "(" {
		return nil
	}
	return []string{fmt.Sprintf("the relation %s", s.at(n))}
}
