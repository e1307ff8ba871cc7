package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Whoever owns a database sets what its sessions begin with, and would have other sessions than their own find their
// functions before the catalog's. So all sessions, the tools' too, begin with parameters that the server takes from who
// connects before those of databases and roles.

// purpose is what a session is for.
type purpose int

const (
	// looking reads the catalog. The session is read-only, and none of its statements takes long.
	looking purpose = iota
	// working makes and changes what may take as long as it takes, such as a database. It gives up waiting for a lock.
	working
	// feeding is a tool's session: what is bounded in it is bounded by the tool, or by who reads from it and writes to it.
	feeding
)

// cleanPath is the search path of all sessions: the catalog, and before it nothing. It names pg_temp because temporary
// relations would come first where it is not named.
const cleanPath = "pg_catalog,pg_temp"

// How long things may take in a session that looks. To measure databases of millions of files takes minutes.
const (
	lookTimeout     = 10 * time.Minute
	lookLockTimeout = time.Minute
)

// idleTimeout is how long a transaction of ours may stand idle, as when this host is cut off, before it gives up its locks.
const idleTimeout = 10 * time.Minute

// ErrPooler reports that the server does not take the parameters that keep a session clean.
var ErrPooler = errors.New("what answers does not take the parameters that sessions begin with, as connection poolers don't")

// parameter is one that a session begins with.
type parameter struct{ name, value string }

// parameters are those of a session. A server refuses one that it does not know or the login may not set. Source:
// PostgreSQL's guc_tables.c, whatever an owner of a database may set and our statements or dumps depend on.
func (t traits) parameters(p purpose, lock time.Duration) []parameter {
	list := []parameter{
		{"search_path", cleanPath},
		{"local_preload_libraries", ""}, // no library into our sessions, nor a missing one that keeps them out
		{"row_security", "off"},         // an error, and not some of the rows
		{"constraint_exclusion", "off"}, // it would run functions of tables' checks
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_deferrable", "off"},
		{"client_min_messages", "warning"},
		{"exit_on_error", "off"},
		// What our statements mean, and what a dump looks like.
		{"standard_conforming_strings", "on"},
		{"transform_null_equals", "off"},
		{"array_nulls", "on"},
		{"quote_all_identifiers", "off"},
		{"bytea_output", "hex"},
	}
	statements, idle := time.Duration(0), time.Duration(0)
	switch p {
	case looking:
		statements, lock, idle = lookTimeout, lookLockTimeout, idleTimeout
	case working:
		idle = idleTimeout
	case feeding:
		lock = 0
	}
	list = append(list,
		parameter{"statement_timeout", milliseconds(statements)},
		parameter{"lock_timeout", milliseconds(lock)},
		parameter{"idle_in_transaction_session_timeout", milliseconds(idle)})
	if t.major >= 14 {
		list = append(list, parameter{"idle_session_timeout", "0"})
	}
	if t.major >= 17 {
		list = append(list, parameter{"transaction_timeout", "0"})
	}
	if t.superuser {
		list = append(list, parameter{"lc_messages", "C"})
		if t.major >= 17 { // the first that has event triggers at login
			list = append(list, parameter{"event_triggers", "off"})
		}
	}
	return list
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// startRole keeps a database from making its sessions another role's.
const startRole = "-c role=none"

// options are those of a session: what was configured, which may name a role too. Of a server that is not known yet, the
// login's own rights are to be learned.
func (t traits) options(configured string) string {
	switch {
	case configured == "":
		return startRole
	case t.major == 0:
		return configured + " " + startRole
	default:
		return startRole + " " + configured
	}
}

// option is the parameter as one of the server's command line, which PGOPTIONS and the keyword options are.
func (p parameter) option() string {
	return "-c " + p.name + "=" + strings.NewReplacer(`\`, `\\`, " ", `\ `).Replace(p.value)
}

// begin makes a session that was just opened what it is for, or closes it: where the parameters did not get to the server, as
// a pooler that is told to ignore them opens sessions, nothing is asked.
func begin(ctx context.Context, conn *Session, p purpose) (*Session, error) {
	// Not by a parameter at the start: the session is to be read-only and not the server, for target_session_attrs.
	readOnly := "off"
	if p == looking {
		readOnly = "on"
	}
	results, err := conn.Exec(ctx, "SHOW search_path; SET default_transaction_read_only = "+readOnly).ReadAll()
	if err == nil && (len(results[0].Rows) != 1 || string(results[0].Rows[0][0]) != cleanPath) {
		err = fmt.Errorf("%w, and ignores them", ErrPooler)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	return conn, nil
}
