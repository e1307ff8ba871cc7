package postgres

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/pgharbor/pgharbor/agent/cage"
	"github.com/pgharbor/pgharbor/agent/dump"
)

// NameNotFound reports whether a load failed because a name was not found. The function of a check, an index or a materialized
// view may look for names in the search path of the database, which a dump empties.
func NameNotFound(err error) bool {
	switch SQLState(err) {
	case StateUndefinedFunction, StateUndefinedTable, StateUndefinedObject:
		return true
	}
	return false
}

// These are how a server says, in English, that something of the instance is not there, which no dump of one database
// brings along. Its name is nowhere but in the words; a throwaway server speaks English.
var (
	lackingRole       = regexp.MustCompile(`ERROR:  (?:[0-9A-Z]{5}: )?.*?role "(.+)" does not exist`)
	lackingTablespace = regexp.MustCompile(`ERROR:  (?:[0-9A-Z]{5}: )?(?:.*?tablespace "(.+)" does not exist|invalid value for parameter "default_tablespace": "(.+)")`)
)

// Lacks says of a load that failed which role or tablespace the server lacked; empty where it was something else.
func Lacks(err error) (role, tablespace string) {
	if state := SQLState(err); state != StateUndefinedObject && state != StateInvalidParameter {
		return "", ""
	}
	words := Words(err)
	if match := lackingRole.FindStringSubmatch(words); match != nil {
		return match[1], ""
	}
	if match := lackingTablespace.FindStringSubmatch(words); match != nil {
		return "", match[1] + match[2]
	}
	return "", ""
}

// foreignUnreachable is how a throwaway server, which speaks English and connects nowhere, says that a foreign table or a
// connection of dblink's leads out of it; from pg_restore there is no SQLSTATE.
var foreignUnreachable = regexp.MustCompile(`ERROR:  (?:08001: )?.*(could not connect to server ".+"|could not establish connection)`)

// ForeignUnreachable reports whether a load failed because something in it reads another server. No dump can be blamed for it.
func ForeignUnreachable(err error) bool {
	var tool *ToolError
	return errors.As(err, &tool) && foreignUnreachable.MatchString(tool.Stderr)
}

// hiddenRows is how a throwaway server, which speaks English, says that an owner does not see all rows that a materialized
// view of theirs reads. A dump asks for that error, and tools can't be told otherwise.
var hiddenRows = regexp.MustCompile(`ERROR:  (?:42501: )?query would be affected by row-level security policy`)

// RowsHidden reports whether a load failed because a materialized view reads rows that its owner does not see all of.
func RowsHidden(err error) bool {
	var tool *ToolError
	return errors.As(err, &tool) && hiddenRows.MatchString(tool.Stderr)
}

// RefusesRows reports whether a session of ours failed because what the dump holds breaks a rule of the dump itself: a value that
// is none of its type, a row that a constraint does not let in.
func RefusesRows(err error) bool {
	var content *dump.ContentError
	state := SQLState(err)
	return !errors.As(err, &content) && (strings.HasPrefix(state, "22") || strings.HasPrefix(state, "23"))
}

// CodeRefused says of a *ContentError whether it came while code of the dump may have run: then that code may have refused
// by itself to run with no more rights than its owner's, to have it run with more.
func CodeRefused(err error) bool {
	var content *dump.ContentError
	return errors.As(err, &content) && SQLState(content.Err) != "" && !LacksLogin(err)
}

// LacksLogin says of a *ContentError whether it is not the dump that is at fault, but that no login of an owner can be had.
func LacksLogin(err error) bool { return errors.Is(err, ErrNoLogin) }

// DiskFull reports whether the server had no room, to a session of ours or to a tool.
func DiskFull(err error) bool {
	if SQLState(err) == StateDiskFull {
		return true
	}
	var tool *ToolError
	if !errors.As(err, &tool) {
		return false
	}
	refused := tool.Refusal()
	return refused != nil && refused.SQLState == StateDiskFull
}

// instanceRoutines are the functions of the server that look for a role, a tablespace or a setting; their names are in no
// language.
var instanceRoutines = []string{"get_role_oid", "get_rolespec_oid", "get_rolespec_tuple", "get_tablespace_oid", "find_option"}

// preloaded is what extensions say of themselves that are to be loaded with the server, each with an SQLSTATE of its own.
var preloaded = regexp.MustCompile(`shared_preload_libraries|must be (pre)?loaded`)

// BlamesServer says of a load that failed whether the server or its host, and not the dump, may be at fault: no room, no
// such extension, no right, a server that ended. So does whatever is neither a failure of a tool nor a server's refusal.
func BlamesServer(err error) bool {
	var tool *ToolError
	var refused *ServerError
	switch {
	case ForeignUnreachable(err):
		return true
	case errors.As(err, &tool):
		if tool.Exit <= 0 || tool.Exit == cage.Failed {
			return true
		}
		if refused = tool.Refusal(); refused == nil {
			return false
		}
	case !errors.As(err, &refused):
		return true
	}
	role, tablespace := Lacks(err)
	switch state := refused.SQLState; state[:2] {
	case "08", "28", "53", "58", "XX": // connection, authorization, resources, system, internal
		return true
	case "57": // operator intervention
		return true
	default:
		return state == StateNoPrivilege || state == StateNotAccepting || state == StateFixedParameter || state == StateNotSupported || state == StateLockNotAvailable ||
			state == StateInvalidParameter || role != "" || tablespace != "" ||
			slices.Contains(instanceRoutines, refused.routine) || preloaded.MatchString(Words(err))
	}
}
