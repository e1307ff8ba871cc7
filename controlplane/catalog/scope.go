package catalog

import (
	"fmt"
	"strings"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// scope adds the condition that the instance in a column is in scope. The globs
// mean to SQLite what they mean to fleet.Scope.
func (f *filter) scope(column string, s fleet.Scope) {
	if s.Whole() {
		return
	}
	globs := make([]string, len(s))
	args := make([]any, len(s))
	for i, glob := range s {
		globs[i], args[i] = column+" GLOB ?", glob
	}
	f.where("("+strings.Join(globs, " OR ")+")", args...)
}

// globs is a scope as a column keeps it.
func globs(s fleet.Scope) string { return strings.Join(s, ",") }

// scoped scans a column of globs into a scope. What is not a scope is an error:
// it must not be taken for the whole fleet.
type scoped struct{ to *fleet.Scope }

// Scan implements sql.Scanner.
func (s scoped) Scan(value any) error {
	text, ok := value.(string)
	if !ok {
		return fmt.Errorf("a scope column holds %T", value)
	}
	*s.to = nil
	if text == "" {
		return nil
	}
	scope, err := fleet.NewScope(strings.Split(text, ",")...)
	*s.to = scope
	return err
}
