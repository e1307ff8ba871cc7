package dump

import (
	"slices"
	"strings"
)

// writtenByDump reports whether a statement is of a kind that pg_dump writes of one database, and that runs no query of its own.
// Whatever else a dump holds somebody else wrote, and it is not run.
func (s Statement) writtenByDump() bool {
	switch {
	case s.Begins("GRANT"):
		return s.Reference("ON", "TO") != "" // not GRANT role TO role
	case s.Begins("REVOKE"):
		return s.Reference("ON", "FROM") != ""
	case s.Begins("COMMENT", "ON"), s.Begins("SECURITY", "LABEL"):
		return !s.ofInstance(s.Find(1, "ON") + 1)
	case s.Begins("ALTER"):
		return !s.ofInstance(1) && s.alters()
	case s.Begins("CREATE"):
		return s.creates()
	case s.Begins("REFRESH", "MATERIALIZED", "VIEW"):
		return true
	case s.Begins("SELECT"):
		return s.callsDumpFunction()
	}
	return false
}

// ofInstance reports whether the object named from a position on belongs to the instance and not to a database.
func (s Statement) ofInstance(at int) bool {
	if at >= len(s.Words) {
		return true
	}
	if s.Words[at].Is("USER") {
		return at+1 >= len(s.Words) || !s.Words[at+1].Is("MAPPING")
	}
	for _, kind := range []string{"ROLE", "GROUP", "DATABASE", "TABLESPACE", "SYSTEM", "PARAMETER"} {
		if s.Words[at].Is(kind) {
			return true
		}
	}
	return false
}

// created are the kinds of object that a dump makes: the word after CREATE, or after CREATE OR REPLACE.
var created = []string{
	"ACCESS", "AGGREGATE", "CAST", "COLLATION", "CONSTRAINT", "CONVERSION", "DOMAIN", "EVENT", "EXTENSION", "FOREIGN", "FUNCTION",
	"INDEX", "LANGUAGE", "MATERIALIZED", "OPERATOR", "POLICY", "PROCEDURAL", "PROCEDURE", "PUBLICATION", "RULE", "SCHEMA", "SEQUENCE",
	"SERVER", "STATISTICS", "SUBSCRIPTION", "TABLE", "TEXT", "TRANSFORM", "TRIGGER", "TRUSTED", "TYPE", "UNIQUE", "UNLOGGED", "USER", "VIEW",
}

// creates reports whether a CREATE makes an object that pg_dump makes, without running the query that defines it.
func (s Statement) creates() bool {
	at := 1
	if s.Begins("CREATE", "OR", "REPLACE") {
		at = 3
	}
	if at+1 < len(s.Words) && s.Words[at].Is("DEFAULT") && s.Words[at+1].Is("CONVERSION") {
		return true
	}
	if s.ofInstance(at) || !slices.ContainsFunc(created, s.Words[at].Is) {
		return false
	}
	switch {
	case s.Words[at].Is("MATERIALIZED"):
		return strings.HasSuffix(s.SQL, "WITH NO DATA")
	case s.Words[at].Is("TABLE"), s.Words[at].Is("UNLOGGED"):
		return s.Reference("CREATE", "AS") == "" // not CREATE TABLE … AS SELECT
	}
	return true
}

// altered are the kinds of object that a dump changes after it made them.
var altered = slices.Concat(created, []string{"DEFAULT", "LARGE"})

// alters reports whether an ALTER is of an object of the database.
func (s Statement) alters() bool {
	return len(s.Words) > 1 && slices.ContainsFunc(altered, s.Words[1].Is)
}

// dumpFunctions are the functions that a dump calls for definitions; those for data are told by isData.
var dumpFunctions = []string{"pg_catalog.set_config", "pg_catalog.lo_create", "pg_catalog.lo_unlink"}

// callsDumpFunction reports whether a SELECT calls one of them with plain values and does nothing else.
func (s Statement) callsDumpFunction() bool {
	if len(s.Words) < 4 || s.Words[1].Quoted || !slices.Contains(dumpFunctions, s.Words[1].Text) || s.Words[2].Text != "(" {
		return false
	}
	for n, w := range s.Words[3:] {
		last := n == len(s.Words)-4
		switch {
		case last:
			return !w.Quoted && w.Text == ")"
		case w.Quoted && s.SQL[w.Start] == '\'', !w.Quoted && (w.Text == "," || w.Is("true") || w.Is("false") || isDigits(w.Text)):
		default:
			return false
		}
	}
	return false
}

func isDigits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}
