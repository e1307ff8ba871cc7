package postgres

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// maxServerName bounds a name in the text of a ServerError, in bytes; PostgreSQL's own have 63.
const maxServerName = 128

// ServerError is what a server refused something with. Its text is fit to leave the host: it says the SQLSTATE, the condition's name
// and which object it is about. What the server said beside that may quote rows and is translated; Words has it, for
// people on this host.
type ServerError struct {
	SQLState string // five characters, as in appendix A of PostgreSQL's documentation
	// Names of the object that it is about; empty where the server does not say.
	Schema, Table, Column, DataType, Constraint string

	routine string // of the server's source, which no language changes
	words   string
	err     error // the one that the session gave, or nil
}

// Error implements error.
func (e *ServerError) Error() string {
	text := fmt.Sprintf("SQLSTATE %s", e.SQLState)
	if name := Condition(e.SQLState); name != "" {
		text = fmt.Sprintf("%s (SQLSTATE %s)", name, e.SQLState)
	}
	for _, object := range []struct{ kind, name string }{
		{"schema", e.Schema}, {"table", e.Table}, {"column", e.Column}, {"data type", e.DataType}, {"constraint", e.Constraint},
	} {
		if object.name != "" {
			text += fmt.Sprintf(", %s %s", object.kind, shownName(object.name))
		}
	}
	return text
}

// Unwrap returns the session's own error. Its text must not leave the host.
func (e *ServerError) Unwrap() error { return e.err }

// Words are the server's and the tools' own words of an error, line by line; "" where it has none. They may quote rows,
// keys and statements, so that they are for this host alone.
func Words(err error) string {
	var all []string
	collectWords(err, func(words string) {
		if words = strings.TrimSpace(words); words != "" {
			all = append(all, words)
		}
	})
	return strings.Join(all, "\n")
}

func collectWords(err error, take func(words string)) {
	switch e := err.(type) { //nolint:errorlint // every error of the tree is looked at by itself
	case *ServerError:
		take(e.words)
		return // what it wraps says the same
	case *ToolError:
		take(e.Stderr)
		collectWords(e.Err, take)
		return
	}
	switch e := err.(type) { //nolint:errorlint // likewise
	case interface{ Unwrap() error }:
		collectWords(e.Unwrap(), take)
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			collectWords(inner, take)
		}
	}
}

// shownName is a name as it stands in a text: bare where it has nothing but letters, digits and the like, quoted otherwise.
func shownName(name string) string {
	if len(name) > maxServerName {
		name = strings.ToValidUTF8(name[:maxServerName], "") + "…"
	}
	bare := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_$-…", r)
	}
	if strings.IndexFunc(name, func(r rune) bool { return !bare(r) }) < 0 {
		return name
	}
	return strconv.Quote(name)
}
