// Package shell writes commands that people paste: next steps, hints, what a mail tells them to do.
// What is in them comes from databases, files and other hosts, and must reach the program as the
// one word that it is.
package shell

import (
	"fmt"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"
)

// unsafeWord stands for a word that can't be pasted.
const unsafeWord = "NAME"

// note says what unsafeWord is.
const note = " (" + unsafeWord + " stands for a name with characters that a terminal hides or acts upon: put it in by hand)"

// Words are words of a command that are quoted already.
type Words string

// Command is fmt.Sprintf for a text that has commands in it. Every argument that is no number
// becomes one word of a POSIX shell, but for Words, which stay as they are. A word with a character
// that can't be seen, such as a line feed, is replaced by NAME, and the text says so.
//
// A word that begins with "-" is an option to most programs: it must be the value of a flag, or to come after "--".
func Command(format string, args ...any) string {
	words := make([]any, len(args))
	hidden := false
	for i, arg := range args {
		if number(arg) {
			words[i] = arg
			continue
		}
		text := fmt.Sprint(arg)
		if _, quoted := arg.(Words); quoted {
			words[i] = text
			continue
		}
		word, ok := quote(text)
		hidden = hidden || !ok
		words[i] = word
	}
	text := fmt.Sprintf(format, words...)
	if hidden {
		text += note
	}
	return text
}

func number(arg any) bool {
	kind := reflect.ValueOf(arg).Kind()
	_, speaks := arg.(fmt.Stringer)
	return kind >= reflect.Int && kind <= reflect.Float64 && !speaks
}

// quote puts a backslash before whatever a shell could act upon, which works wherever the word is:
// quotation marks would not, once the text around them has an apostrophe.
func quote(word string) (quoted string, ok bool) {
	if word == "" {
		return "''", true
	}
	var b strings.Builder
	for i := 0; i < len(word); {
		r, size := utf8.DecodeRuneInString(word[i:])
		if r == utf8.RuneError && size == 1 || !unicode.IsPrint(r) {
			return unsafeWord, false
		}
		if !plain(r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
		i += size
	}
	return b.String(), true
}

// plain are the characters that no shell gives a meaning, at any place in a word.
func plain(r rune) bool {
	return r >= utf8.RuneSelf || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./:,@%+", r)
}
