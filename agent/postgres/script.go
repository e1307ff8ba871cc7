package postgres

import (
	"bytes"
	"strings"
)

// statement is one statement of a script that pg_dumpall wrote.
type statement struct {
	sql   string // without the semicolon
	words []word
}

// word is a keyword, a name, a string or a sign of a statement.
type word struct {
	text       string // of a name or a string: what is in its quotes, as it stands there
	quoted     bool   // by double quotes
	start, end int    // in the statement's sql
}

// is says whether the word is a keyword, which has no quotes.
func (w word) is(keyword string) bool { return !w.quoted && strings.EqualFold(w.text, keyword) }

// begins says whether a statement begins with these keywords.
func (s statement) begins(keywords ...string) bool {
	for n, keyword := range keywords {
		if n >= len(s.words) || !s.words[n].is(keyword) {
			return false
		}
	}
	return true
}

// find returns the position of a keyword from a position on; -1 where it does not come.
func (s statement) find(from int, keyword string) int {
	for n := from; n < len(s.words); n++ {
		if s.words[n].is(keyword) {
			return n
		}
	}
	return -1
}

// name is the text of the word at a position; "" where there is none.
func (s statement) name(at int) string {
	if at < 0 || at >= len(s.words) {
		return ""
	}
	return s.words[at].text
}

// literal is the value of the string at a position; false where there is none, or one with an escape that pg_dumpall does
// not write.
func (s statement) literal(at int) (value string, ok bool) {
	if at < 0 || at >= len(s.words) || !s.words[at].quoted {
		return "", false
	}
	w := s.words[at]
	inside := strings.ReplaceAll(w.text, "''", "'")
	switch s.sql[w.start] {
	case '\'':
		return inside, true
	case 'E', 'e':
		value := strings.ReplaceAll(w.text, `\\`, "")
		return strings.ReplaceAll(inside, `\\`, `\`), !strings.Contains(value, `\`)
	default:
		return "", false // a name
	}
}

// splitScript parts a script in the manner of pg_dumpall into its statements. Comments between them and psql's commands
// fall away. It knows strings with and without escapes and names in quotes; function bodies do not come in such scripts.
func splitScript(script []byte) []statement {
	var (
		statements []statement
		current    statement
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
				current.sql = string(script[begin:at])
				statements = append(statements, current)
			}
			current, begin = statement{}, -1
			at++
		default:
			if begin < 0 {
				begin = at
			}
			w, length := readWord(rest)
			w.start, w.end = at-begin, at-begin+length
			current.words = append(current.words, w)
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

// readWord reads the word with which a text begins, and how many bytes it has.
func readWord(text []byte) (word, int) {
	switch c := text[0]; {
	case c == '"':
		inside, length := readQuoted(text, '"', false)
		return word{text: strings.ReplaceAll(inside, `""`, `"`), quoted: true}, length
	case c == '\'':
		inside, length := readQuoted(text, '\'', false)
		return word{text: inside, quoted: true}, length
	case (c == 'E' || c == 'e') && len(text) > 1 && text[1] == '\'':
		inside, length := readQuoted(text[1:], '\'', true)
		return word{text: inside, quoted: true}, length + 1
	case c == '$':
		if inside, length := readDollar(text); length > 0 {
			return word{text: inside, quoted: true}, length
		}
	}
	n := 0
	for n < len(text) && isNameByte(text[n]) {
		n++
	}
	n = max(n, 1)
	return word{text: string(text[:n])}, n
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
