package scan

import "bytes"

func (l *lexer) beginString(escapes bool) {
	l.state, l.escapes = inString, escapes
	l.needs.symbol('\'')
	l.statement.symbol('\'')
}

func (l *lexer) str(p []byte) []byte {
	stops := "'"
	if l.escapes {
		stops = `'\`
	}
	n := bytes.IndexAny(p, stops) // a single stop is searched for as IndexByte does
	if n < 0 {
		return nil
	}
	if p[n] == '\\' {
		l.state = inStringEscape
	} else {
		l.state = inStringEnd
	}
	return p[n+1:]
}

// strEnd looks at what follows a quote: a second one is a quote within the string, and one that white space with a newline
// parts from the first goes on with the string, its escapes included.
func (l *lexer) strEnd(p []byte) []byte {
	c := p[0]
	switch {
	case c == '\'' && l.state != inStringGap:
		l.state = inString
	case c == '\n' || c == '\r':
		l.state = inStringNewline
	case isSpace(c) && l.state == inStringEnd:
		l.state = inStringGap
	case isSpace(c):
	default:
		l.state = inText
		return p
	}
	return p[1:]
}

func (l *lexer) name(p []byte) []byte {
	n := bytes.IndexByte(p, '"')
	if n < 0 {
		l.keep(p)
		return nil
	}
	l.keep(p[:n])
	l.state = inNameEnd
	return p[n+1:]
}

func (l *lexer) nameEnd(p []byte) []byte {
	if p[0] == '"' {
		l.keep(p[:1])
		l.state = inName
		return p[1:]
	}
	l.state = inText
	l.needs.token(l.token, true)
	l.statement.name(l.token)
	return p
}

// tag reads on after a $, which begins a dollar quote if a second one ends its tag.
func (l *lexer) tag(p []byte) []byte {
	c := p[0]
	switch {
	case c == '$':
		l.state, l.matched = inDollar, 0
		l.statement.symbol('$')
	case isLetter(c), isDigit(c) && len(l.token) > 1:
	default:
		l.state = inText
		l.statement.symbol('$')
		return p
	}
	l.keep(p[:1])
	return p[1:]
}

// dollar looks for the tag that ends the quote. It has a $ at both ends and nowhere else, so that a match that fails can
// only begin again at the byte at which it failed.
func (l *lexer) dollar(p []byte) []byte {
	if l.matched == 0 {
		n := bytes.IndexByte(p, '$')
		if n < 0 {
			return nil
		}
		p = p[n:]
	}
	switch p[0] {
	case l.token[l.matched]:
		l.matched++
	case '$':
		l.matched = 1
	default:
		l.matched = 0
	}
	if l.matched == len(l.token) {
		l.state = inText
	}
	return p[1:]
}

// dash and slash read on after what may begin a comment.
func (l *lexer) dash(p []byte) []byte {
	if p[0] == '-' {
		l.begin(inLineComment)
		return p[1:]
	}
	l.state = inText
	l.statement.symbol('-')
	return p
}

func (l *lexer) slash(p []byte) []byte {
	if p[0] == '*' {
		l.state, l.depth = inComment, 1
		return p[1:]
	}
	l.state = inText
	l.statement.symbol('/')
	return p
}

func (l *lexer) comment(p []byte) []byte {
	c := p[0]
	switch {
	case c == '/' && l.state == inCommentStar:
		l.depth--
		l.state = inComment
		if l.depth == 0 {
			l.state = inText
		}
	case c == '*' && l.state == inCommentSlash:
		l.depth++
		l.state = inComment
	case c == '*':
		l.state = inCommentStar
	case c == '/':
		l.state = inCommentSlash
	default:
		l.state = inComment
	}
	return p[1:]
}

// line reads a comment or a psql command up to its end, which is that of the line.
func (l *lexer) line(p []byte) []byte {
	n := bytes.IndexAny(p, "\r\n")
	if n < 0 {
		l.keep(p)
		return nil
	}
	l.keep(p[:n])
	if l.state == inLineComment {
		l.statement.comment(l.token)
	} else {
		l.statement.command(l.token)
	}
	l.state = inText
	return p[n+1:]
}
