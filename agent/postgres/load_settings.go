package postgres

import (
	"slices"
	"strings"
)

// LoadSettings are the parameters of sessions that load a dump: it has event triggers of its own, which must not fire for
// what comes after them in the dump. In the role of a replica no trigger fires that is not marked ALWAYS or REPLICA, and the
// dump makes its others when its rows are loaded. Only a superuser may set it; nobody else can have made event triggers.
func LoadSettings(server Server) []string {
	switch {
	case !server.Superuser:
		return nil
	case server.Number >= 170000:
		return []string{"event_triggers=off"}
	default:
		return []string{"session_replication_role=replica"}
	}
}

// restoreSettings are loadSettings of pg_restore, which does not tell SQLSTATEs: what words stand for is known in English.
func restoreSettings(server Server) []string {
	if !server.Superuser {
		return nil // who may not choose the language either
	}
	return append(LoadSettings(server), "lc_messages=C")
}

// withOptions adds parameters of the session to a tool's environment.
func withOptions(environ, settings []string) []string {
	const variable = "PGOPTIONS="
	var options []string
	environ = slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		value, ok := strings.CutPrefix(entry, variable)
		if ok && value != "" {
			options = append(options, value)
		}
		return ok
	})
	for _, setting := range settings {
		options = append(options, "-c "+setting)
	}
	return append(environ, variable+strings.Join(options, " "))
}

// NoWait lets commits not wait for the disk: a restored database gets its name by one that does, and the log has an order.
const NoWait = "synchronous_commit=off"
