package postgres_test

import (
	"testing"

	"github.com/pgharbor/pgharbor/agent/postgres"
)

// pg_restore tells no SQLSTATE: what to do about a source that does not load hangs on what its words are known to stand for.
func TestARefusedIndexIsKnownByItsWords(t *testing.T) {
	for _, words := range []string{
		"functions in index expression must be marked IMMUTABLE",
		"functions in index predicate must be marked IMMUTABLE",
		"generation expression is not immutable",
	} {
		err := &postgres.ToolError{Tool: "pg_restore", Exit: 1, Stderr: "pg_restore: error: could not execute query: ERROR:  " + words + "\nCommand was: CREATE INDEX i;\n"}
		if refused := err.Refusal(); refused == nil || refused.SQLState != "42P17" {
			t.Errorf("%s: %v", words, refused)
		}
	}
}
