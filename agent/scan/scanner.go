// Package scan reads a plain dump as it goes by: which tables have how many rows, whether its end was seen, and what a server
// must have for it. It changes nothing and keeps none of it.
package scan

import (
	"bytes"
	"io"

	"github.com/pgharbor/pgharbor/agent/postgres"
)

// TableRows is the number of rows of one table that went by in a dump.
type TableRows struct {
	Schema string `json:"schema"`
	Name   string `json:"name"`
	Rows   int64  `json:"rows"`
}

// Table is the table that the rows are of.
func (t TableRows) Table() postgres.Table { return postgres.Table{Schema: t.Schema, Name: t.Name} }

// Scanner reads a plain dump as it goes by: it counts the rows of every COPY, sees the end marker and what a server must have. It is a lexer of
// SQL and psql outside of COPY data (PostgreSQL's documentation, 4.1 and psql), so that no text within a string, a comment
// or a function body is taken for either. Its memory is bounded, but for the names of tables.
type Scanner struct {
	// Copied hears when the data of a table has gone by; may be nil.
	Copied func()
	// Definitions gets what is no data of a COPY; may be nil. It returns no error.
	Definitions io.Writer

	lexer  lexer
	copies bool // the data of a COPY goes by
	line   lineState
	rows   int64

	tables []TableRows
	index  map[tableName]int
	table  int // the index of the table whose data goes by
}

type tableName struct{ schema, name string }

// NewScanner returns a Scanner that has seen nothing.
func NewScanner() *Scanner {
	return &Scanner{index: make(map[tableName]int)}
}

// Write scans the next bytes; it keeps none of p and returns no error. Where p is cut makes no difference.
func (s *Scanner) Write(p []byte) (int, error) {
	rest := p
	for len(rest) > 0 {
		if s.copies {
			rest = s.data(rest)
			continue
		}
		var target *tableName
		sql := rest
		rest, target = s.lexer.scan(rest)
		if s.Definitions != nil {
			_, _ = s.Definitions.Write(sql[:len(sql)-len(rest)]) // it returns no error
		}
		if target != nil {
			s.begin(*target)
		}
	}
	return len(p), nil
}

// Complete reports whether pg_dump's end marker came, with nothing but comments, blank lines and \unrestrict after it.
func (s *Scanner) Complete() bool { return !s.copies && s.lexer.complete() }

// Foreign reports whether a command of psql went by that pg_dump does not write, such as \! or \connect.
func (s *Scanner) Foreign() bool { return s.lexer.statement.foreign }

// Needs returns what the dump needs of a server, as far as it has gone by.
func (s *Scanner) Needs() Needs { return s.lexer.needs.Needs }

// Tables returns the rows of each table, in the order of the dump. A table that came twice is summed.
func (s *Scanner) Tables() []TableRows { return s.tables }

func (s *Scanner) begin(target tableName) {
	table, ok := s.index[target]
	if !ok {
		table = len(s.tables)
		s.index[target] = table
		s.tables = append(s.tables, TableRows{Schema: target.schema, Name: target.name})
	}
	s.table = table
	s.copies, s.line, s.rows = true, lineBegins, 0
}

// lineState says how much of COPY's last line, `\.`, the current line may still be.
type lineState int

const (
	lineOther  lineState = iota // it is a row
	lineBegins                  // nothing of it came yet
	lineBackslash
	lineDot
	lineReturn // psql takes `\.` before CR LF too
)

// data takes COPY's data from the front of p and returns what comes after it. In text format a newline within a value is
// written `\n` and a backslash `\\`, so that each line is a row and only the last one reads `\.`.
func (s *Scanner) data(p []byte) []byte {
	for i := 0; i < len(p); i++ {
		if s.line == lineOther {
			i += s.skipRows(p[i:])
			if i >= len(p) {
				break
			}
		}
		c := p[i]
		switch {
		case s.line == lineBegins && c == '\\':
			s.line = lineBackslash
		case s.line == lineBackslash && c == '.':
			s.line = lineDot
		case s.line == lineDot && c == '\r':
			s.line = lineReturn
		case s.line >= lineDot && c == '\n':
			s.tables[s.table].Rows += s.rows
			s.copies = false
			if s.Copied != nil {
				s.Copied()
			}
			return p[i+1:]
		case c == '\n':
			s.rows++
			s.line = lineBegins
		default:
			s.line = lineOther
		}
	}
	return nil
}

// skipRows counts the rows in p, which begins within one, up to the first line that begins as the last one does. It
// returns how many bytes it took and leaves the state of the line that follows them. This is where nearly all bytes of a
// dump go by.
func (s *Scanner) skipRows(p []byte) int {
	last := bytes.Index(p, []byte("\n\\."))
	if last >= 0 {
		p = p[:last+len("\n\\.")]
	}
	s.rows += int64(bytes.Count(p, []byte("\n")))
	switch {
	case last >= 0:
		s.line = lineDot
	case bytes.HasSuffix(p, []byte("\n")):
		s.line = lineBegins
	case bytes.HasSuffix(p, []byte("\n\\")):
		s.line = lineBackslash
	}
	return len(p)
}

// BetweenStatements says that whatever comes next begins a statement.
func (s *Scanner) BetweenStatements() bool {
	return !s.copies && s.lexer.state == inText && s.lexer.statement.expect == expectStart
}
