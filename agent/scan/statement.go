package scan

import (
	"bytes"
	"regexp"
)

// endMarker is the comment with which pg_dump ends a script, and pg_restore too; without its dashes.
const endMarker = " PostgreSQL database dump complete"

// statement follows the tokens of one SQL statement after the other as far as they can matter here, which is for
//
//	COPY [schema.]table [(columns)] FROM stdin …;
//	SET standard_conforming_strings = off;
//
// and for whether the end marker was the last that came.
type statement struct {
	expect      expectation
	table       tableName // of the COPY
	backslashes bool      // they escape in plain strings, because standard_conforming_strings is off
	ended       bool      // the end marker came, and nothing of weight after it
	foreign     bool      // a command of psql came that pg_dump does not write
}

// expectation says what token a statement can go on with.
type expectation int

const (
	expectStart   expectation = iota
	expectNothing             // what comes up to the end of the statement does not matter
	expectTable               // COPY …
	expectDotOrOn             // COPY name …
	expectPart                // COPY schema. …
	expectColumns             // COPY table (…
	expectFrom                // COPY table (columns) …
	expectStdin               // COPY table FROM …
	expectData                // COPY table FROM stdin …
	expectSetting             // SET …
	expectEquals              // SET standard_conforming_strings …
	expectValue               // SET standard_conforming_strings = …
)

// word takes a keyword or a name without quotes.
func (s *statement) word(word []byte) {
	s.ended = false
	is := func(keyword string) bool { return bytes.EqualFold(word, []byte(keyword)) }
	next := expectNothing
	switch s.expect {
	case expectNothing:
		return
	case expectStart:
		if is("COPY") {
			next = expectTable
		} else if is("SET") {
			next = expectSetting
		}
	case expectTable, expectPart:
		s.name(word)
		return
	case expectDotOrOn, expectFrom:
		if is("FROM") {
			next = expectStdin
		}
	case expectStdin:
		if is("STDIN") {
			next = expectData
		}
	case expectColumns, expectData:
		next = s.expect
	case expectSetting:
		if is("standard_conforming_strings") {
			next = expectEquals
		}
	case expectEquals:
		if is("TO") {
			next = expectValue
		}
	case expectValue:
		s.backslashes = is("off")
	}
	s.expect = next
}

// name takes a name in quotes, without these.
func (s *statement) name(name []byte) {
	s.ended = false
	switch s.expect {
	case expectTable:
		s.table = tableName{name: string(name)}
		s.expect = expectDotOrOn
	case expectPart:
		s.table = tableName{schema: s.table.name, name: string(name)}
		s.expect = expectFrom
	case expectColumns, expectData:
	default:
		s.expect = expectNothing
	}
}

// symbol takes any other token: a sign of punctuation, or the quote of a string.
func (s *statement) symbol(c byte) {
	s.ended = false
	switch {
	case s.expect == expectDotOrOn && c == '.':
		s.expect = expectPart
	case (s.expect == expectDotOrOn || s.expect == expectFrom) && c == '(':
		s.expect = expectColumns
	case s.expect == expectColumns && c == ')':
		s.expect = expectFrom
	case s.expect == expectEquals && c == '=':
		s.expect = expectValue
	case s.expect == expectColumns, s.expect == expectData:
	default:
		s.expect = expectNothing
	}
}

// end takes the semicolon, and says whether data follows on the next line.
func (s *statement) end() (data bool) {
	data = s.expect == expectData
	s.ended = false
	s.expect = expectStart
	return data
}

// comment takes what follows -- on its line.
func (s *statement) comment(text []byte) {
	if s.expect == expectStart && string(text) == endMarker {
		s.ended = true
	}
}

// pgDumpCommand is a command of psql as pg_dump writes it from 15.14 on, around all of its output.
var pgDumpCommand = regexp.MustCompile(`^(un)?restrict [A-Za-z0-9]{1,256}$`)

// command takes a line of psql commands, without its first backslash. pg_dump ends with \unrestrict.
func (s *statement) command(text []byte) {
	match := pgDumpCommand.FindSubmatch(bytes.TrimRight(text, "\r"))
	if match == nil {
		s.foreign = true
	}
	if match == nil || len(match[1]) == 0 {
		s.ended = false
	}
}
