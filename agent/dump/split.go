package dump

import (
	"bytes"
	"errors"
	"strings"
)

// maxStatement bounds one statement of a dump: a function's body or the definition of a view.
const maxStatement = 64 << 20

// errLongStatement reports that a statement of a dump is longer than maxStatement.
var errLongStatement = errors.New("a statement of the dump is longer than 64 MiB")

// Splitter parts the SQL of a plain dump, without the rows of COPY, into its statements, where psql would: at each
// semicolon outside of quotes, comments, parentheses and the body of an SQL-standard function. Comments before a
// statement and psql's own commands fall away. Input may be cut anywhere. Source: psqlscan.l of PostgreSQL 18.
//
// Nothing depends on its agreeing with psql: each statement is sent to the server alone, which takes one at a time.
type Splitter struct {
	Emit    func(sql string) error // without the semicolon
	escapes bool                   // backslashes escape in plain strings: standard_conforming_strings is off

	statement []byte
	state     splitState
	last      byte   // before this one, in the states that need it
	tag       []byte // of the dollar quote, with both its signs
	begun     int    // where the text in the dollar quote begins in statement
	comments  int    // depth of nested comments
	parens    int
	body      int // depth of BEGIN ATOMIC and CASE in an SQL-standard body
	word      []byte
	before    string   // the word before, in capitals; "" where more than white space follows it
	words     []string // the first of the statement, in capitals
}

type splitState int

const (
	splitText splitState = iota
	splitWord
	splitString    // '…'
	splitEscapes   // '…' in which backslashes escape
	splitMaybeEnd  // after a quote in it, which another one makes a part of it
	splitName      // "…"
	splitTag       // $tag
	splitDollar    // $tag$…
	splitLine      // the rest of a line: a comment, or a command of psql
	splitComment   // /* … */
	splitMaxWords  = 4
	splitLongWords = 64
)

// Write implements io.Writer.
func (s *Splitter) Write(p []byte) (int, error) {
	for at := 0; at < len(p); {
		n, err := s.step(p[at:])
		if err != nil {
			return at, err
		}
		at += n
		if len(s.statement) > maxStatement {
			return at, errLongStatement
		}
	}
	return len(p), nil
}

// step takes some bytes from the front of p, at least one unless the state changes.
func (s *Splitter) step(p []byte) (int, error) {
	c := p[0]
	switch s.state {
	case splitText:
		return s.text(p)
	case splitWord:
		n := 0
		for n < len(p) && (isLetterByte(p[n]) || p[n] == '$' || '0' <= p[n] && p[n] <= '9') {
			n++
		}
		s.word = append(s.word, p[:min(n, splitLongWords)]...)
		s.keep(p[:n])
		if n < len(p) {
			s.endWord(p[n])
		}
		return n, nil
	case splitString, splitEscapes:
		return s.quoted(p, '\''), nil
	case splitMaybeEnd:
		if c != '\'' {
			s.state, s.last = splitText, 0
			return 0, nil
		}
		s.keep(p[:1])
		s.state = splitEscapes
		return 1, nil
	case splitName:
		return s.quoted(p, '"'), nil
	case splitTag:
		switch s.tag = append(s.tag, c); {
		case c == '$':
			s.state = splitDollar
			s.begun = len(s.statement) + 1
		case !isLetterByte(c) && (len(s.tag) == 2 || '0' > c || c > '9'):
			s.state = splitText
			return 0, nil
		}
		s.keep(p[:1])
		return 1, nil
	case splitDollar:
		return s.dollar(p), nil
	case splitLine:
		n := lineLength(p)
		if len(s.statement) > 0 {
			s.keep(p[:n])
		}
		if p[n-1] == '\n' {
			s.state = splitText
		}
		return n, nil
	default:
		s.comment(c)
		return 1, nil
	}
}

func (s *Splitter) keep(p []byte) { s.statement = append(s.statement, p...) }

// text takes what stands outside of words, quotes and comments.
func (s *Splitter) text(p []byte) (int, error) {
	c, last := p[0], s.last
	s.last = c
	begun, space := len(s.statement) > 0, strings.IndexByte(" \t\r\n\f\v", c) >= 0
	if !space && !isLetterByte(c) {
		s.before = ""
	}
	switch {
	case space && !begun:
		return 1, nil
	case c == '\\' && !begun:
		s.state = splitLine
		return 1, nil
	case c == '-' && last == '-':
		// The dash before it may have begun the statement.
		if s.state, s.last = splitLine, 0; string(s.statement) == "-" {
			s.statement = s.statement[:0]
			return 1, nil
		}
	case c == '*' && last == '/':
		s.state, s.comments, s.last = splitComment, 1, 0
	case isLetterByte(c):
		s.state, s.word = splitWord, s.word[:0]
		return 0, nil
	case c == '\'':
		s.state, s.last = splitString, 0
		if s.escapes {
			s.state = splitEscapes
		}
	case c == '"':
		s.state, s.last = splitName, 0
	case c == '$':
		s.state, s.tag = splitTag, append(s.tag[:0], c)
	case c == '(':
		s.parens++
	case c == ')':
		s.parens = max(s.parens-1, 0)
	case c == ';' && s.parens == 0 && s.body == 0:
		return 1, s.end()
	}
	s.keep(p[:1])
	return 1, nil
}

// endWord takes a word and the byte that follows it.
func (s *Splitter) endWord(next byte) {
	s.state = splitText
	s.last = 0
	if len(s.word) == 1 && s.word[0]|0x20 == 'e' && next == '\'' {
		s.state, s.last = splitEscapes, '\'' // the quote itself comes next
		return
	}
	word := strings.ToUpper(string(s.word))
	if len(s.words) < splitMaxWords {
		s.words = append(s.words, word)
	}
	if !s.routine() || s.parens > 0 {
		return
	}
	// BEGIN alone is a name that needs no quotes; the other two do.
	switch {
	case word == "ATOMIC" && s.before == "BEGIN" && s.body == 0, word == "CASE" && s.body > 0:
		s.body++
	case word == "END":
		s.body = max(s.body-1, 0)
	}
	s.before = word
}

// Rest is what came of a statement that did not end; "" where there is nothing.
func (s *Splitter) Rest() string {
	if s.state == splitComment {
		return "a comment"
	}
	return strings.TrimSpace(string(s.statement))
}

// routine reports whether the statement makes a function or a procedure, whose body may hold semicolons.
func (s *Splitter) routine() bool {
	words := s.words
	if len(words) > 3 && words[1] == "OR" && words[2] == "REPLACE" {
		words = append([]string{words[0]}, words[3:]...)
	}
	return len(words) > 1 && words[0] == "CREATE" && (words[1] == "FUNCTION" || words[1] == "PROCEDURE")
}

// quoted takes what is in quotes. A quote that is doubled is seen as an end and a begin, which comes to the same where
// nothing escapes.
func (s *Splitter) quoted(p []byte, quote byte) int {
	if s.state == splitEscapes {
		c := p[0]
		s.keep(p[:1])
		switch {
		case s.last == '\'': // the quote that begins it
			s.last = 0
		case s.last == '\\':
			s.last = 0
		case c == quote:
			s.state, s.last = splitMaybeEnd, 0
		default:
			s.last = c
		}
		return 1
	}
	n := bytes.IndexByte(p, quote)
	if n < 0 {
		s.keep(p)
		return len(p)
	}
	s.keep(p[:n+1])
	s.state, s.last = splitText, 0
	return n + 1
}

// dollar takes a dollar quote up to the tag that ends it.
func (s *Splitter) dollar(p []byte) int {
	n := bytes.IndexByte(p, '$') + 1
	if n == 0 {
		n = len(p)
	}
	s.keep(p[:n])
	if len(s.statement)-s.begun >= len(s.tag) && bytes.HasSuffix(s.statement, s.tag) {
		s.state, s.last = splitText, 0
	}
	return n
}

func (s *Splitter) comment(c byte) {
	s.keep([]byte{c})
	switch {
	case s.last == '*' && c == '/':
		s.comments--
		c = 0
	case s.last == '/' && c == '*':
		s.comments++
		c = 0
	}
	s.last = c
	if s.comments == 0 {
		s.state = splitText
	}
}

func (s *Splitter) end() error {
	sql := strings.TrimSpace(string(s.statement))
	s.statement, s.words, s.last, s.before = s.statement[:0], nil, 0, ""
	s.parens, s.body = 0, 0
	if words := ReadWords(sql, 4); len(words) == 4 && words[0].Is("SET") && words[1].Is("standard_conforming_strings") {
		s.escapes = words[3].Is("off")
	}
	if sql == "" {
		return nil
	}
	return s.Emit(sql)
}

func isLetterByte(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c >= 0x80 }

// ReadWords are the first words of a statement, at most so many; 0 is all.
func ReadWords(sql string, most int) []Word {
	var words []Word
	text := []byte(sql)
	for at := 0; at < len(text) && (most == 0 || len(words) < most); {
		if strings.IndexByte(" \t\r\n\f\v", text[at]) >= 0 {
			at++
			continue
		}
		w, length := ReadWord(text[at:])
		w.Start, w.End = at, at+length
		words = append(words, w)
		at += length
	}
	return words
}
