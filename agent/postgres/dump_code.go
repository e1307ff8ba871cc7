package postgres

import (
	"slices"
	"strings"
)

// code is what a statement brings that the server may run when it makes or changes an object.
//
// The server reads the literals of every expression at once, by the type's own input, which for a domain within an array, a
// row or a range goes through its checks. Of some expressions it computes the constant parts at once, too.
type code struct {
	on      codeOwner
	name    string // the table or domain that it belongs to, as it stands there; "" for a new object
	words   []word // in which the expressions stand
	planned bool   // constant parts are computed at once
	scans   bool   // it is computed for all rows that there are
	// parents are tables whose columns it has, too: their types are not among the words.
	parents []string
	// looks is what else of a table a change of it may compute.
	looks looks
}

// looks is what a change of a table computes beside its own expressions: the constant parts of what stands on the table.
type looks int

const (
	atTree    looks = iota // the expressions of partitions, of the whole tree
	atPlans                // these, and what the planner looks at: indexes and statistics
	atChecks               // these, and checks
	atNotNull              // these, and checks where a column of a key may be null
)

// codeOwner says whose the code of a statement is.
type codeOwner int

const (
	noCode    codeOwner = iota
	newObject           // of who is to own the object that the statement makes
	ofTable
	ofDomain
	ofSuperuser // of a superuser alone
)

// code finds the expressions in a statement of a dump. What is not known to have none counts as one.
func (s statement) code() code {
	switch {
	case s.begins("CREATE"):
		return s.createdCode()
	case s.begins("ALTER", "DOMAIN"):
		end := s.nameEnd(2)
		if end < len(s.words) && s.words[end].is("ADD") {
			valid := !strings.HasSuffix(s.sql, "NOT VALID") // it is computed for all rows that have the domain by now
			return code{on: ofDomain, name: s.qualifiedName(2), words: s.words[end:], planned: valid, scans: valid}
		}
	case s.begins("ALTER"):
		if at := s.find(1, "TABLE"); at == 1 || at == 2 && s.words[1].is("FOREIGN") {
			return s.alteredCode(at + 1)
		}
		if s.begins("ALTER", "VIEW") {
			return s.alteredCode(2)
		}
	}
	return code{}
}

// createdCode is that of a CREATE.
func (s statement) createdCode() code {
	if at := s.createdAt(); at > 0 {
		rest := s.words[s.nameEnd(at):]
		switch kind := s.words[at-1]; {
		case kind.is("TABLE"):
			return s.tableCode(rest)
		case kind.is("VIEW"):
			if s.begins("CREATE", "OR", "REPLACE") { // it is there already, with its owner
				return code{on: ofTable, name: s.qualifiedName(at), words: rest}
			}
			return code{on: newObject, words: rest}
		case kind.is("FUNCTION"), kind.is("PROCEDURE"):
			return routineCode(rest)
		case kind.is("AGGREGATE"):
			return newCode(rest, anyOf(rest, "INITCOND", "MINITCOND"), true)
		case kind.is("DOMAIN"):
			return newCode(rest, anyOf(rest, "DEFAULT", "CHECK"), false)
		default: // STATISTICS
			return newCode(between(rest, "ON", "FROM"), anyOf(between(rest, "ON", "FROM"), "("), true)
		}
	}
	switch {
	case s.begins("CREATE", "INDEX"), s.begins("CREATE", "UNIQUE", "INDEX"):
		_, late := lateIndex(s)
		c := s.partOfTable("ON", "USING", late, true)
		c.looks = atPlans
		return c
	case s.begins("CREATE", "FOREIGN", "DATA", "WRAPPER"): // each server, mapping and table of it calls its validator
		return code{on: ofSuperuser, words: s.words[4:], planned: true}
	case s.createsLanguage(): // each function in it calls its validator
		return code{on: ofSuperuser, words: s.words[2:], planned: true}
	case s.begins("CREATE", "RULE"):
		return s.partOfTable("TO", "", true, false)
	case s.begins("CREATE", "POLICY"):
		return s.partOfTable("ON", "", true, false)
	case s.begins("CREATE", "TRIGGER"), s.begins("CREATE", "CONSTRAINT", "TRIGGER"):
		c := s.partOfTable("ON", "", true, false)
		c.words = between(c.words, "WHEN", "EXECUTE")
		return c
	}
	return code{}
}

// createsLanguage says whether a statement is CREATE [OR REPLACE] [TRUSTED] [PROCEDURAL] LANGUAGE.
func (s statement) createsLanguage() bool {
	at := 1
	for at < len(s.words) && slices.ContainsFunc([]string{"OR", "REPLACE", "TRUSTED", "PROCEDURAL"}, s.words[at].is) {
		at++
	}
	return s.begins("CREATE") && at < len(s.words) && s.words[at].is("LANGUAGE")
}

// newCode is the code of a new object, where it has any.
func newCode(words []word, has, planned bool) code {
	if !has {
		return code{}
	}
	return code{on: newObject, words: words, planned: planned}
}

// tableCode is that of CREATE TABLE, from its name on: checks, defaults, generated columns, the expressions of partitions. The
// types of the columns count, too, but not the parents.
func (s statement) tableCode(words []word) code {
	var parents []string
	if at := outside(words, "INHERITS"); at >= 0 {
		end := at + 1
		for depth := 0; end < len(words); end++ {
			if depth += parenthesis(words[end]); depth == 0 {
				break
			}
		}
		parents = s.ownNames(words[at:end])
		words = slices.Concat(words[:at], words[min(end+1, len(words)):])
	}
	planned := partitionsByExpression(words)
	for n := range words {
		if words[n].is("AS") && n+1 < len(words) && words[n+1].text == "(" {
			planned = true // GENERATED ALWAYS AS (
		}
	}
	c := newCode(words, planned || anyOf(words, "DEFAULT", "CHECK"), planned)
	c.parents = parents
	return c
}

// routineCode is that of a function or procedure, from its name on: defaults of its arguments, or a body that the server reads.
func routineCode(words []word) code {
	body := outside(words, "BEGIN") >= 0 || outside(words, "RETURN") >= 0
	return newCode(words, body || anyOf(words, "DEFAULT"), false)
}

// partOfTable is the code of an object that belongs to the table named after a keyword; the expressions stand after another
// keyword, or after the table where that is "".
func (s statement) partOfTable(before, after string, has, planned bool) code {
	at := s.find(2, before) + 1
	if at < len(s.words) && s.words[at].is("ONLY") {
		at++
	}
	if at == 0 || at >= len(s.words) {
		return code{}
	}
	c := code{on: ofTable, name: s.qualifiedName(at)}
	if !has {
		return c
	}
	c.words, c.planned = s.words[s.nameEnd(at):], planned
	if n := slices.IndexFunc(c.words, func(w word) bool { return w.is(after) }); after != "" && n >= 0 {
		c.words = c.words[n:]
	}
	return c
}

// does says whether a statement is ALTER kind [ONLY] name action.
func (s statement) does(kind, action string) bool {
	at := 2
	if at < len(s.words) && s.words[at].is("ONLY") {
		at++
	}
	if !s.begins("ALTER", kind) || at >= len(s.words) {
		return false
	}
	end := s.nameEnd(at)
	return end < len(s.words) && s.words[end].is(action)
}

// plain are the changes of a table that hold no expression.
var plain = []string{"DISABLE", "ENABLE", "FORCE", "INHERIT", "NO", "OPTIONS", "SET"}

// alteredCode is that of ALTER TABLE, whose name begins at a position.
func (s statement) alteredCode(at int) code {
	if at < len(s.words) && s.words[at].is("ONLY") {
		at++
	}
	if at >= len(s.words) {
		return code{}
	}
	rest := s.words[s.nameEnd(at):]
	c := code{on: ofTable, name: s.qualifiedName(at)}
	follows := func(n int, keywords ...string) bool {
		return n < len(rest) && slices.ContainsFunc(keywords, rest[n].is)
	}
	_, late := lateIndex(s)
	switch {
	case follows(0, "OWNER", "ATTACH"):
		return code{}
	case follows(0, "CLUSTER", "REPLICA"): // the index is read
		c.looks = atPlans
	case follows(0, plain...):
	case follows(0, "ALTER") && follows(1, "COLUMN") && follows(3, "SET") && follows(4, "DEFAULT"):
		c.words = rest[5:]
	case follows(0, "ALTER") && follows(1, "COLUMN") && follows(3, "SET") && follows(4, "NOT"):
		c.looks = atChecks
	case follows(0, "ALTER") && follows(1, "COLUMN") && follows(3, "SET", "ADD", "OPTIONS"):
	case follows(0, "ADD") && follows(1, "CONSTRAINT") && follows(3, "PRIMARY"):
		c.looks = atNotNull
	case follows(0, "ADD") && follows(1, "CONSTRAINT") && follows(3, "NOT"):
		c.looks = atChecks
	case follows(0, "ADD") && follows(1, "CONSTRAINT") && (follows(3, "UNIQUE") || follows(3, "EXCLUDE") && !late):
		c.looks = atPlans
	default:
		c.words, c.planned, c.looks = rest, true, atChecks
		c.scans = follows(0, "ADD") && follows(3, "CHECK") && !strings.HasSuffix(s.sql, "NOT VALID")
	}
	return c
}

// partitionsByExpression says whether PARTITION BY names more than columns.
func partitionsByExpression(words []word) bool {
	at := outside(words, "PARTITION")
	if at < 0 {
		return false
	}
	depth := 0
	for _, w := range words[at:] {
		if depth += parenthesis(w); depth > 1 {
			return true
		}
	}
	return false
}

// parenthesis is by how much a word changes the depth.
func parenthesis(w word) int {
	switch {
	case w.quoted:
	case w.text == "(":
		return 1
	case w.text == ")":
		return -1
	}
	return 0
}

// outside is the position of a keyword outside of parentheses; -1 where it does not come.
func outside(words []word, keyword string) int {
	depth := 0
	for n, w := range words {
		if depth += parenthesis(w); depth == 0 && w.is(keyword) {
			return n
		}
	}
	return -1
}

// between are the words between two keywords at no depth of parentheses; none where the first does not come.
func between(words []word, from, to string) []word {
	at := outside(words, from)
	if at < 0 {
		return nil
	}
	words = words[at+1:]
	if end := outside(words, to); end >= 0 {
		return words[:end]
	}
	return words
}

// anyOf says whether one of the keywords comes, at any depth.
func anyOf(words []word, keywords ...string) bool {
	return slices.ContainsFunc(words, func(w word) bool { return slices.ContainsFunc(keywords, w.is) })
}

// ownNames are the names in a statement's words that stand in a schema other than PostgreSQL's own, as they are written. A dump is
// written with an empty search path, so every name of the database's own has its schema before it.
func (s statement) ownNames(words []word) []string {
	var names []string
	for n := 0; n < len(words); n++ {
		if words[n].quoted && s.sql[words[n].start] != '"' { // a string
			continue
		}
		end := n + 1
		for end < len(words) && words[end].start == words[end-1].end && (endsInDot(words[end-1]) || !words[end].quoted && strings.HasPrefix(words[end].text, ".")) {
			end++
		}
		name := s.sql[words[n].start:words[end-1].end]
		n = end - 1
		if schema, _ := splitQualified(name); schema != "" && schema != "pg_catalog" && !startsNumber(name) {
			names = append(names, name)
		}
	}
	return names
}

// literalTypes are the types of the database's own that literals have in a statement's words: 'text'::schema.type.
func (s statement) literalTypes(words []word) []string {
	var types []string
	for n := 3; n < len(words); n++ {
		literal := words[n-3].quoted && s.sql[words[n-3].start] != '"' && words[n-2].text == ":" && words[n-1].text == ":"
		if literal && words[n-1].end == words[n].start {
			types = append(types, s.ownNames(words[n:])[:min(1, len(s.ownNames(words[n:])))]...)
		}
	}
	return types
}

func endsInDot(w word) bool { return !w.quoted && strings.HasSuffix(w.text, ".") }

// startsNumber says whether a word is a number, such as 1.5 or 1.5e10.
func startsNumber(text string) bool { return text[0] >= '0' && text[0] <= '9' || text[0] == '.' }
