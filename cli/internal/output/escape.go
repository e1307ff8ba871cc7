package output

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const shownSpace = `\x20`

// Name makes a name safe to show: whatever a terminal would act upon or hide (control characters, escape sequences,
// bidirectional and invisible marks, invalid UTF-8, outer spaces) is written as Go writes it in a string, the backslash
// too, so that no two names look the same.
func Name(s string) string {
	inner := strings.Trim(s, " ")
	if inner == "" {
		return strings.Repeat(shownSpace, len(s))
	}
	before := strings.Index(s, inner)
	after := len(s) - before - len(inner)
	return strings.Repeat(shownSpace, before) + escape(inner, true) + strings.Repeat(shownSpace, after)
}

// Line makes a text, such as an error of a tool, one line that is safe to show.
func Line(s string) string {
	var lines []string
	for line := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == '\n' || r == '\r' }) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return escape(strings.ReplaceAll(strings.Join(lines, "; "), "\t", " "), false)
}

// Short is Line cut to width characters.
func Short(s string, width int) string {
	runes := []rune(Line(s))
	if len(runes) <= width {
		return string(runes)
	}
	return string(runes[:width-1]) + "…"
}

func escape(s string, backslash bool) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '\\' && backslash:
			b.WriteString(`\\`)
		case r == utf8.RuneError && size == 1:
			b.WriteString(`\x` + strconv.FormatUint(uint64(s[i])|0x100, 16)[1:])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		i += size
	}
	return b.String()
}
