package postgres

import (
	"errors"
	"fmt"
	"strings"
)

// MaxName is how many bytes PostgreSQL keeps of a name; it cuts longer ones off without an error.
const MaxName = 63

// CheckName refuses names that would not be the database's name in the end.
func CheckName(name string) error {
	switch {
	case name == "":
		return errors.New("the name of the database is empty")
	case len(name) > MaxName:
		return fmt.Errorf("the name of the database is longer than %d bytes: %q", MaxName, name)
	case strings.ContainsRune(name, 0):
		return fmt.Errorf("the name of the database holds a NUL byte: %q", name)
	}
	return nil
}

// QuoteName quotes an identifier.
func QuoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// QuoteLiteral quotes a string whatever standard_conforming_strings is.
func QuoteLiteral(text string) string {
	return " E'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(text) + "'"
}
