package postgres

import (
	"slices"
	"strings"
)

// writtenByDump says whether a statement is of a kind that pg_dump writes of one database, and that runs no query of its own.
// Whatever else a dump holds somebody else wrote, and it is not run.
func (s statement) writtenByDump() bool {
	switch {
	case s.begins("GRANT"):
		return s.reference("ON", "TO") != "" // not GRANT role TO role
	case s.begins("REVOKE"):
		return s.reference("ON", "FROM") != ""
	case s.begins("COMMENT", "ON"), s.begins("SECURITY", "LABEL"):
		return !s.ofInstance(s.find(1, "ON") + 1)
	case s.begins("ALTER"):
		return !s.ofInstance(1) && s.alters()
	case s.begins("CREATE"):
		return s.creates()
	case s.begins("REFRESH", "MATERIALIZED", "VIEW"):
		return true
	case s.begins("SELECT"):
		return s.callsDumpFunction()
	}
	return false
}

// ofInstance says whether the object named from a position on belongs to the instance and not to a database.
func (s statement) ofInstance(at int) bool {
	if at >= len(s.words) {
		return true
	}
	if s.words[at].is("USER") {
		return at+1 >= len(s.words) || !s.words[at+1].is("MAPPING")
	}
	for _, kind := range []string{"ROLE", "GROUP", "DATABASE", "TABLESPACE", "SYSTEM", "PARAMETER"} {
		if s.words[at].is(kind) {
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

// creates says whether a CREATE makes an object that pg_dump makes, without running the query that defines it.
func (s statement) creates() bool {
	at := 1
	if s.begins("CREATE", "OR", "REPLACE") {
		at = 3
	}
	if at+1 < len(s.words) && s.words[at].is("DEFAULT") && s.words[at+1].is("CONVERSION") {
		return true
	}
	if s.ofInstance(at) || !slices.ContainsFunc(created, s.words[at].is) {
		return false
	}
	switch {
	case s.words[at].is("MATERIALIZED"):
		return strings.HasSuffix(s.sql, "WITH NO DATA")
	case s.words[at].is("TABLE"), s.words[at].is("UNLOGGED"):
		return s.reference("CREATE", "AS") == "" // not CREATE TABLE … AS SELECT
	}
	return true
}

// altered are the kinds of object that a dump changes after it made them.
var altered = slices.Concat(created, []string{"DEFAULT", "LARGE"})

// alters says whether an ALTER is of an object of the database.
func (s statement) alters() bool {
	return len(s.words) > 1 && slices.ContainsFunc(altered, s.words[1].is)
}

// dumpFunctions are the functions that a dump calls for definitions; those for data are told by isData.
var dumpFunctions = []string{"pg_catalog.set_config", "pg_catalog.lo_create", "pg_catalog.lo_unlink"}

// callsDumpFunction says whether a SELECT calls one of them with plain values and does nothing else.
func (s statement) callsDumpFunction() bool {
	if len(s.words) < 4 || s.words[1].quoted || !slices.Contains(dumpFunctions, s.words[1].text) || s.words[2].text != "(" {
		return false
	}
	for n, w := range s.words[3:] {
		last := n == len(s.words)-4
		switch {
		case last:
			return !w.quoted && w.text == ")"
		case w.quoted && s.sql[w.start] == '\'', !w.quoted && (w.text == "," || w.is("true") || w.is("false") || isDigits(w.text)):
		default:
			return false
		}
	}
	return false
}

func isDigits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}
