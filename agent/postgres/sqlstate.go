package postgres

import (
	_ "embed"
	"errors"
	"strings"
)

// SQLSTATEs that the agent acts on, by code. Two meanings of one code have a name each.
const (
	StateNotRevoked           = "01006" // a warning: nothing was revoked
	StateNotGranted           = "01007" // a warning: nothing was granted
	StateProtocolViolation    = "08P01"
	StateNotSupported         = "0A000"
	StateOtherEncoding        = "22021" // the bytes are none of the database's encoding
	StateInvalidParameter     = "22023"
	StateInvalidAuthorization = "28000"
	StateInvalidPassword      = "28P01"
	StateDependents           = "2BP01" // a role still owns something
	StateInvalidCatalogName   = "3D000"
	StateDeadlock             = "40P01"
	StateNoPrivilege          = "42501"
	StateUndefinedObject      = "42704" // of a parameter, too
	StateUndefinedFunction    = "42883"
	StateUndefinedTable       = "42P01"
	StateDuplicateDatabase    = "42P04"
	StateDiskFull             = "53100"
	StateNotAccepting         = "55000" // the database takes no connections
	StateNotReady             = "55000" // a materialized view is not filled
	StateObjectInUse          = "55006"
	StateFixedParameter       = "55P02" // it can't be changed while the server runs
	StateLockNotAvailable     = "55P03"
	StateRaised               = "P0001" // by a function
	StateInternal             = "XX000"
)

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
