package scan

import "bytes"

// maxToken bounds what is kept of a token, and is more than any name of Postgres can have.
const maxToken = 64 << 10

// lexer splits SQL, and psql's commands in it, into tokens as psql does, and hands them to a statement. All its state is in
// here, so that input may be cut anywhere.
type lexer struct {
	state     lexState
	token     []byte // of a word, a quoted name, a comment, a psql command, or a dollar quote's tag with both its $
	matched   int    // bytes of token that the end of a dollar quote has shown so far
	depth     int    // of nested comments
	escapes   bool   // whether backslashes escape within the current string
	lost      bool   // whether a token was too long to tell what follows it
	statement statement
	needs     needs
}

type lexState int

const (
	inText          lexState = iota
	inWord                   // a keyword or a plain name
	inString                 // '…', or E'…' if escapes
	inStringEscape           // after the backslash
	inStringEnd              // after its quote
	inStringGap              // after white space after it
	inStringNewline          // after white space with a newline after it
	inName                   // "…"
	inNameEnd                // after its quote
	inTag                    // $tag
	inDollar                 // $tag$…
	inDash                   // after a - that may begin a comment
	inLineComment            // after --
	inSlash                  // after a / that may begin a comment
	inComment                // after /*
	inCommentStar            // after a * in it
	inCommentSlash           // after a / in it
	inCommand                // after the backslash of a psql command
	inCopyLine               // on the rest of the line on which a COPY's statement ended
)

// scan reads p up to where a COPY's data begins, and returns what is left of p and whose data it is; nil at the end of p.
func (l *lexer) scan(p []byte) (rest []byte, target *tableName) {
	for len(p) > 0 {
		switch l.state {
		case inText:
			p = l.text(p)
		case inWord:
			p = l.word(p)
		case inString:
			p = l.str(p)
		case inStringEscape:
			l.state = inString
			p = p[1:]
		case inStringEnd, inStringGap, inStringNewline:
			p = l.strEnd(p)
		case inName:
			p = l.name(p)
		case inNameEnd:
			p = l.nameEnd(p)
		case inTag:
			p = l.tag(p)
		case inDollar:
			p = l.dollar(p)
		case inDash:
			p = l.dash(p)
		case inSlash:
			p = l.slash(p)
		case inComment, inCommentStar, inCommentSlash:
			p = l.comment(p)
		case inLineComment, inCommand:
			p = l.line(p)
		case inCopyLine:
			end := bytes.IndexByte(p, '\n')
			if end < 0 {
				return nil, nil
			}
			l.state = inText
			target := l.statement.table
			return p[end+1:], &target
		}
	}
	return nil, nil
}

func (l *lexer) complete() bool { return !l.lost && l.state == inText && l.statement.ended }

// begin enters a state with an empty token.
func (l *lexer) begin(state lexState) {
	l.state = state
	l.token = l.token[:0]
}

// keep adds to the token what it may hold. The rest of a long comment is no loss; that of a name, or of a tag that is to
// be found again, is one.
func (l *lexer) keep(p []byte) {
	room := maxToken - len(l.token)
	if len(p) > room && l.state != inLineComment && l.state != inCommand {
		l.lost = true
	}
	l.token = append(l.token, p[:min(len(p), room)]...)
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f' || c == '\v'
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c >= 0x80 }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func (l *lexer) text(p []byte) []byte {
	n := 0
	for isSpace(p[n]) {
		if n++; n == len(p) {
			return nil
		}
	}
	c := p[n]
	switch {
	case isLetter(c):
		l.begin(inWord)
		return p[n:]
	case c == '\'':
		l.beginString(l.statement.backslashes)
	case c == '"':
		l.begin(inName)
	case c == '$':
		l.begin(inTag)
		l.keep(p[n : n+1])
	case c == '-':
		l.state = inDash
	case c == '/':
		l.state = inSlash
	case c == '\\':
		l.begin(inCommand)
	case c == ';':
		l.needs.end()
		if l.statement.end() {
			l.state = inCopyLine
		}
	default:
		l.needs.symbol(c)
		l.statement.symbol(c)
	}
	return p[n+1:]
}

func (l *lexer) word(p []byte) []byte {
	n := 0
	for n < len(p) && (isLetter(p[n]) || isDigit(p[n]) || p[n] == '$') {
		n++
	}
	l.keep(p[:n])
	if n == len(p) {
		return nil
	}
	if p[n] == '\'' && len(l.token) == 1 && l.token[0]|0x20 == 'e' {
		l.beginString(true)
		return p[n+1:]
	}
	l.state = inText
	l.needs.token(l.token, false)
	l.statement.word(l.token)
	return p[n:]
}
