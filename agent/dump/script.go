package dump

import (
	"bytes"
	"strings"
)

// Statement is one statement of a script that pg_dumpall wrote.
type Statement struct {
	SQL   string // without the semicolon
	Words []Word
}

// Word is a keyword, a name, a string or a sign of a statement.
type Word struct {
	Text       string // of a name or a string: what is in its quotes, as it stands there
	Quoted     bool   // by double quotes
	Start, End int    // in the statement's sql
}

// Is reports whether the word is a keyword, which has no quotes.
func (w Word) Is(keyword string) bool { return !w.Quoted && strings.EqualFold(w.Text, keyword) }

// Begins reports whether a statement begins with these keywords.
func (s Statement) Begins(keywords ...string) bool {
	for n, keyword := range keywords {
		if n >= len(s.Words) || !s.Words[n].Is(keyword) {
			return false
		}
	}
	return true
}

// Find returns the position of a keyword from a position on; -1 where it does not come.
func (s Statement) Find(from int, keyword string) int {
	for n := from; n < len(s.Words); n++ {
		if s.Words[n].Is(keyword) {
			return n
		}
	}
	return -1
}

// Name is the text of the word at a position; "" where there is none.
func (s Statement) Name(at int) string {
	if at < 0 || at >= len(s.Words) {
		return ""
	}
	return s.Words[at].Text
}

// Literal is the value of the string at a position; false where there is none, or one with an escape that pg_dumpall does
// not write.
func (s Statement) Literal(at int) (value string, ok bool) {
	if at < 0 || at >= len(s.Words) || !s.Words[at].Quoted {
		return "", false
	}
	w := s.Words[at]
	inside := strings.ReplaceAll(w.Text, "''", "'")
	switch s.SQL[w.Start] {
	case '\'':
		return inside, true
	case 'E', 'e':
		value := strings.ReplaceAll(w.Text, `\\`, "")
		return strings.ReplaceAll(inside, `\\`, `\`), !strings.Contains(value, `\`)
	default:
		return "", false // a name
	}
}

// SplitScript parts a script in the manner of pg_dumpall into its statements. Comments between them and psql's commands
// fall away. It knows strings with and without escapes and names in quotes; function bodies do not come in such scripts.
func SplitScript(script []byte) []Statement {
	var (
		statements []Statement
		current    Statement
		begin      = -1 // of the current statement in the script
	)
	for at := 0; at < len(script); {
		c, rest := script[at], script[at:]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			at++
		case begin < 0 && c == '\\', bytes.HasPrefix(rest, []byte("--")):
			at += lineLength(rest)
		case c == ';':
			if begin >= 0 {
				current.SQL = string(script[begin:at])
				statements = append(statements, current)
			}
			current, begin = Statement{}, -1
			at++
		default:
			if begin < 0 {
				begin = at
			}
			w, length := ReadWord(rest)
			w.Start, w.End = at-begin, at-begin+length
			current.Words = append(current.Words, w)
			at += length
		}
	}
	return statements // what has no semicolon is none
}

func lineLength(text []byte) int {
	if n := bytes.IndexByte(text, '\n'); n >= 0 {
		return n + 1
	}
	return len(text)
}

// ReadWord reads the word with which a text begins, and how many bytes it has.
func ReadWord(text []byte) (Word, int) {
	switch c := text[0]; {
	case c == '"':
		inside, length := readQuoted(text, '"', false)
		return Word{Text: strings.ReplaceAll(inside, `""`, `"`), Quoted: true}, length
	case c == '\'':
		inside, length := readQuoted(text, '\'', false)
		return Word{Text: inside, Quoted: true}, length
	case (c == 'E' || c == 'e') && len(text) > 1 && text[1] == '\'':
		inside, length := readQuoted(text[1:], '\'', true)
		return Word{Text: inside, Quoted: true}, length + 1
	case c == '$':
		if inside, length := readDollar(text); length > 0 {
			return Word{Text: inside, Quoted: true}, length
		}
	}
	n := 0
	for n < len(text) && isNameByte(text[n]) {
		n++
	}
	n = max(n, 1)
	return Word{Text: string(text[:n])}, n
}

// readDollar reads a string between two tags such as $$ or $body$; its length is 0 where there is none.
func readDollar(text []byte) (inside string, length int) {
	n := 1
	for n < len(text) && (isLetterByte(text[n]) || n > 1 && '0' <= text[n] && text[n] <= '9') {
		n++
	}
	if n == len(text) || text[n] != '$' {
		return "", 0
	}
	tag := text[:n+1]
	end := bytes.Index(text[len(tag):], tag)
	if end < 0 {
		return string(text[len(tag):]), len(text)
	}
	return string(text[len(tag) : len(tag)+end]), end + 2*len(tag)
}

func isNameByte(c byte) bool {
	return c == '_' || c == '$' || c == '.' || c >= 0x80 || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// readQuoted reads from a quote to the one that ends it, and returns what is in between and the length of the whole.
func readQuoted(text []byte, quote byte, escapes bool) (inside string, length int) {
	for n := 1; n < len(text); n++ {
		switch {
		case escapes && text[n] == '\\':
			n++
		case text[n] == quote && n+1 < len(text) && text[n+1] == quote:
			n++
		case text[n] == quote:
			return string(text[1:n]), n + 1
		}
	}
	return string(text[1:]), len(text)
}
