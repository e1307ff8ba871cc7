package postgres

import (
	_ "embed"
	"errors"
	"strings"
)

// SQLSTATEs that this package acts on.
const (
	stateInvalidCatalogName   = "3D000"
	stateInvalidAuthorization = "28000"
	stateInvalidPassword      = "28P01"
	stateDuplicateDatabase    = "42P04"
	StateNoPrivilege          = "42501"
	stateInvalidParameter     = "22023"
	stateOtherEncoding        = "22021" // the bytes are none of the database's encoding
	StateUndefinedObject      = "42704" // of a parameter, too
	stateProtocolViolation    = "08P01"
	stateNotAccepting         = "55000" // the database takes no connections
	StateNotReady             = "55000" // a materialized view is not filled
	stateObjectInUse          = "55006"
	stateLockNotAvailable     = "55P03"
	StateDeadlock             = "40P01"
	stateInternal             = "XX000"
)

// SQLSTATEs of names that lead to nothing.
const (
	stateUndefinedFunction = "42883"
	stateUndefinedTable    = "42P01"
)

// StateDependents is the SQLSTATE of a role that still owns something.
const StateDependents = "2BP01"

// SQLState returns the SQLSTATE of a server's answer, or "".
func SQLState(err error) string {
	var answer *ServerError
	if errors.As(err, &answer) {
		return answer.SQLState
	}
	return ""
}

// conditions are the lines "SQLSTATE name" of appendix A.
//
//go:embed conditions.txt
var conditions string

// Condition is the name that PostgreSQL's documentation gives an SQLSTATE, such as unique_violation; "" for one that is not in it.
func Condition(sqlState string) string {
	for line := range strings.Lines(conditions) {
		if state, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " "); state == sqlState {
			return name
		}
	}
	return ""
}

// validState reports whether text has the form of an SQLSTATE.
func validState(text string) bool {
	return len(text) == 5 && strings.IndexFunc(text, func(r rune) bool { return (r < '0' || r > '9') && (r < 'A' || r > 'Z') }) < 0
}
