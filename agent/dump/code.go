package dump

import (
	"slices"
	"strings"
)

// Code is what a statement brings that the server may run when it makes or changes an object.
//
// The server reads the literals of every expression at once, by the type's own input, which for a domain within an array, a
// row or a range goes through its checks. Of some expressions it computes the constant parts at once, too.
type Code struct {
	On      CodeOwner
	Name    string // the table or domain that it belongs to, as it stands there; "" for a new object
	Words   []Word // in which the expressions stand
	Planned bool   // constant parts are computed at once
	Scans   bool   // it is computed for all rows that there are
	// Parents are tables whose columns it has, too: their types are not among the words.
	Parents []string
	// Looks is what else of a table a change of it may compute.
	Looks Looks
}

// Looks is what a change of a table computes beside its own expressions: the constant parts of what stands on the table.
type Looks int

// What a change of a table computes, from least to most.
const (
	AtTree    Looks = iota // the expressions of partitions, of the whole tree
	AtPlans                // these, and what the planner looks at: indexes and statistics
	AtChecks               // these, and checks
	AtNotNull              // these, and checks where a column of a key may be null
)

// CodeOwner says whose the code of a statement is.
type CodeOwner int

// Whose the code is.
const (
	NoCode    CodeOwner = iota
	NewObject           // of who is to own the object that the statement makes
	OfTable
	OfDomain
	OfSuperuser // of a superuser alone
)

// Code finds the expressions in a statement of a dump. What is not known to have none counts as one.
func (s Statement) Code() Code {
	switch {
	case s.Begins("CREATE"):
		return s.createdCode()
	case s.Begins("ALTER", "DOMAIN"):
		end := s.nameEnd(2)
		if end < len(s.Words) && s.Words[end].Is("ADD") {
			valid := !strings.HasSuffix(s.SQL, "NOT VALID") // it is computed for all rows that have the domain by now
			return Code{On: OfDomain, Name: s.QualifiedName(2), Words: s.Words[end:], Planned: valid, Scans: valid}
		}
	case s.Begins("ALTER"):
		if at := s.Find(1, "TABLE"); at == 1 || at == 2 && s.Words[1].Is("FOREIGN") {
			return s.alteredCode(at + 1)
		}
		if s.Begins("ALTER", "VIEW") {
			return s.alteredCode(2)
		}
	}
	return Code{}
}

// createdCode is that of a CREATE.
func (s Statement) createdCode() Code {
	if at := s.CreatedAt(); at > 0 {
		rest := s.Words[s.nameEnd(at):]
		switch kind := s.Words[at-1]; {
		case kind.Is("TABLE"):
			return s.tableCode(rest)
		case kind.Is("VIEW"):
			if s.Begins("CREATE", "OR", "REPLACE") { // it is there already, with its owner
				return Code{On: OfTable, Name: s.QualifiedName(at), Words: rest}
			}
			return Code{On: NewObject, Words: rest}
		case kind.Is("FUNCTION"), kind.Is("PROCEDURE"):
			return routineCode(rest)
		case kind.Is("AGGREGATE"):
			return newCode(rest, anyOf(rest, "INITCOND", "MINITCOND"), true)
		case kind.Is("DOMAIN"):
			return newCode(rest, anyOf(rest, "DEFAULT", "CHECK"), false)
		default: // STATISTICS
			return newCode(between(rest, "ON", "FROM"), anyOf(between(rest, "ON", "FROM"), "("), true)
		}
	}
	switch {
	case s.Begins("CREATE", "INDEX"), s.Begins("CREATE", "UNIQUE", "INDEX"):
		_, late := lateIndex(s)
		c := s.partOfTable("ON", "USING", late, true)
		c.Looks = AtPlans
		return c
	case s.Begins("CREATE", "FOREIGN", "DATA", "WRAPPER"): // each server, mapping and table of it calls its validator
		return Code{On: OfSuperuser, Words: s.Words[4:], Planned: true}
	case s.createsLanguage(): // each function in it calls its validator
		return Code{On: OfSuperuser, Words: s.Words[2:], Planned: true}
	case s.Begins("CREATE", "RULE"):
		return s.partOfTable("TO", "", true, false)
	case s.Begins("CREATE", "POLICY"):
		return s.partOfTable("ON", "", true, false)
	case s.Begins("CREATE", "TRIGGER"), s.Begins("CREATE", "CONSTRAINT", "TRIGGER"):
		c := s.partOfTable("ON", "", true, false)
		c.Words = between(c.Words, "WHEN", "EXECUTE")
		return c
	}
	return Code{}
}

// createsLanguage reports whether a statement is CREATE [OR REPLACE] [TRUSTED] [PROCEDURAL] LANGUAGE.
func (s Statement) createsLanguage() bool {
	at := 1
	for at < len(s.Words) && slices.ContainsFunc([]string{"OR", "REPLACE", "TRUSTED", "PROCEDURAL"}, s.Words[at].Is) {
		at++
	}
	return s.Begins("CREATE") && at < len(s.Words) && s.Words[at].Is("LANGUAGE")
}

// newCode is the code of a new object, where it has any.
func newCode(words []Word, has, planned bool) Code {
	if !has {
		return Code{}
	}
	return Code{On: NewObject, Words: words, Planned: planned}
}

// tableCode is that of CREATE TABLE, from its name on: checks, defaults, generated columns, the expressions of partitions. The
// types of the columns count, too, but not the parents.
func (s Statement) tableCode(words []Word) Code {
	var parents []string
	if at := outside(words, "INHERITS"); at >= 0 {
		end := at + 1
		for depth := 0; end < len(words); end++ {
			if depth += Parenthesis(words[end]); depth == 0 {
				break
			}
		}
		parents = s.OwnNames(words[at:end])
		words = slices.Concat(words[:at], words[min(end+1, len(words)):])
	}
	planned := partitionsByExpression(words)
	for n := range words {
		if words[n].Is("AS") && n+1 < len(words) && words[n+1].Text == "(" {
			planned = true // GENERATED ALWAYS AS (
		}
	}
	c := newCode(words, planned || anyOf(words, "DEFAULT", "CHECK"), planned)
	c.Parents = parents
	return c
}

// routineCode is that of a function or procedure, from its name on: defaults of its arguments, or a body that the server reads.
func routineCode(words []Word) Code {
	body := outside(words, "BEGIN") >= 0 || outside(words, "RETURN") >= 0
	return newCode(words, body || anyOf(words, "DEFAULT"), false)
}

// partOfTable is the code of an object that belongs to the table named after a keyword; the expressions stand after another
// keyword, or after the table where that is "".
func (s Statement) partOfTable(before, after string, has, planned bool) Code {
	at := s.Find(2, before) + 1
	if at < len(s.Words) && s.Words[at].Is("ONLY") {
		at++
	}
	if at == 0 || at >= len(s.Words) {
		return Code{}
	}
	c := Code{On: OfTable, Name: s.QualifiedName(at)}
	if !has {
		return c
	}
	c.Words, c.Planned = s.Words[s.nameEnd(at):], planned
	if n := slices.IndexFunc(c.Words, func(w Word) bool { return w.Is(after) }); after != "" && n >= 0 {
		c.Words = c.Words[n:]
	}
	return c
}

// Does reports whether a statement is ALTER kind [ONLY] name action.
func (s Statement) Does(kind, action string) bool {
	at := 2
	if at < len(s.Words) && s.Words[at].Is("ONLY") {
		at++
	}
	if !s.Begins("ALTER", kind) || at >= len(s.Words) {
		return false
	}
	end := s.nameEnd(at)
	return end < len(s.Words) && s.Words[end].Is(action)
}

// plain are the changes of a table that hold no expression.
var plain = []string{"DISABLE", "ENABLE", "FORCE", "INHERIT", "NO", "OPTIONS", "SET"}

// alteredCode is that of ALTER TABLE, whose name begins at a position.
func (s Statement) alteredCode(at int) Code {
	if at < len(s.Words) && s.Words[at].Is("ONLY") {
		at++
	}
	if at >= len(s.Words) {
		return Code{}
	}
	rest := s.Words[s.nameEnd(at):]
	c := Code{On: OfTable, Name: s.QualifiedName(at)}
	follows := func(n int, keywords ...string) bool {
		return n < len(rest) && slices.ContainsFunc(keywords, rest[n].Is)
	}
	_, late := lateIndex(s)
	switch {
	case follows(0, "OWNER", "ATTACH"):
		return Code{}
	case follows(0, "CLUSTER", "REPLICA"): // the index is read
		c.Looks = AtPlans
	case follows(0, plain...):
	case follows(0, "ALTER") && follows(1, "COLUMN") && follows(3, "SET") && follows(4, "DEFAULT"):
		c.Words = rest[5:]
	case follows(0, "ALTER") && follows(1, "COLUMN") && follows(3, "SET") && follows(4, "NOT"):
		c.Looks = AtChecks
	case follows(0, "ALTER") && follows(1, "COLUMN") && follows(3, "SET", "ADD", "OPTIONS"):
	case follows(0, "ADD") && follows(1, "CONSTRAINT") && follows(3, "PRIMARY"):
		c.Looks = AtNotNull
	case follows(0, "ADD") && follows(1, "CONSTRAINT") && follows(3, "NOT"):
		c.Looks = AtChecks
	case follows(0, "ADD") && follows(1, "CONSTRAINT") && (follows(3, "UNIQUE") || follows(3, "EXCLUDE") && !late):
		c.Looks = AtPlans
	default:
		c.Words, c.Planned, c.Looks = rest, true, AtChecks
		c.Scans = follows(0, "ADD") && follows(3, "CHECK") && !strings.HasSuffix(s.SQL, "NOT VALID")
	}
	return c
}

// partitionsByExpression reports whether PARTITION BY names more than columns.
func partitionsByExpression(words []Word) bool {
	at := outside(words, "PARTITION")
	if at < 0 {
		return false
	}
	depth := 0
	for _, w := range words[at:] {
		if depth += Parenthesis(w); depth > 1 {
			return true
		}
	}
	return false
}

// Parenthesis is by how much a word changes the depth.
func Parenthesis(w Word) int {
	switch {
	case w.Quoted:
	case w.Text == "(":
		return 1
	case w.Text == ")":
		return -1
	}
	return 0
}

// outside is the position of a keyword outside of parentheses; -1 where it does not come.
func outside(words []Word, keyword string) int {
	depth := 0
	for n, w := range words {
		if depth += Parenthesis(w); depth == 0 && w.Is(keyword) {
			return n
		}
	}
	return -1
}

// between are the words between two keywords at no depth of parentheses; none where the first does not come.
func between(words []Word, from, to string) []Word {
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

// anyOf reports whether one of the keywords comes, at any depth.
func anyOf(words []Word, keywords ...string) bool {
	return slices.ContainsFunc(words, func(w Word) bool { return slices.ContainsFunc(keywords, w.Is) })
}

// OwnNames are the names in a statement's words that stand in a schema other than PostgreSQL's own, as they are written. A dump is
// written with an empty search path, so every name of the database's own has its schema before it.
func (s Statement) OwnNames(words []Word) []string {
	var names []string
	for n := 0; n < len(words); n++ {
		if words[n].Quoted && s.SQL[words[n].Start] != '"' { // a string
			continue
		}
		end := n + 1
		for end < len(words) && words[end].Start == words[end-1].End && (endsInDot(words[end-1]) || !words[end].Quoted && strings.HasPrefix(words[end].Text, ".")) {
			end++
		}
		name := s.SQL[words[n].Start:words[end-1].End]
		n = end - 1
		if schema, _ := SplitQualified(name); schema != "" && schema != "pg_catalog" && !startsNumber(name) {
			names = append(names, name)
		}
	}
	return names
}

// LiteralTypes are the types of the database's own that literals have in a statement's words: 'text'::schema.type.
func (s Statement) LiteralTypes(words []Word) []string {
	var types []string
	for n := 3; n < len(words); n++ {
		literal := words[n-3].Quoted && s.SQL[words[n-3].Start] != '"' && words[n-2].Text == ":" && words[n-1].Text == ":"
		if literal && words[n-1].End == words[n].Start {
			types = append(types, s.OwnNames(words[n:])[:min(1, len(s.OwnNames(words[n:])))]...)
		}
	}
	return types
}

func endsInDot(w Word) bool { return !w.Quoted && strings.HasSuffix(w.Text, ".") }

// startsNumber reports whether a word is a number, such as 1.5 or 1.5e10.
func startsNumber(text string) bool { return text[0] >= '0' && text[0] <= '9' || text[0] == '.' }
