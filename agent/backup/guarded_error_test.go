package backup

import (
	"errors"
	"fmt"
	"testing"

	"github.com/pgharbor/pgharbor/agent/dump"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// What the host lacks, room or a login, is none of the content.
func TestOnlyWhatADumpHoldsIsItsContent(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"a right":  {&postgres.ServerError{SQLState: "42501"}, FailureContent},
		"room":     {&postgres.ServerError{SQLState: "53100"}, FailureOther},
		"a login":  {fmt.Errorf("%w: %w", postgres.ErrNoLogin, &postgres.ServerError{SQLState: "28000"}), FailureOther},
		"a way in": {&postgres.NoWayIn{Line: "local all all scram-sha-256", Err: errors.New("no")}, FailureOther},
	} {
		if got := Failure(guardedError(&dump.ContentError{Object: "table t", Why: "its owner can't load it", Err: test.err})); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}
