package postgres

import (
	"context"
	"strings"
)

// knownSettings are the parameters that the server knows, each with whether any role may set it for itself.
const knownSettings = `SELECT pg_catalog.lower(name), (context = 'user')::pg_catalog.text FROM pg_catalog.pg_settings
	UNION SELECT 'role', 'true'` // which it does not show

// modules begin the names of parameters that the server learns of when it loads what has them: an extension, a language, or a library.
const modules = `SELECT pg_catalog.lower(name) FROM pg_catalog.pg_available_extensions UNION SELECT pg_catalog.lower(lanname) FROM pg_catalog.pg_language
	UNION SELECT name FROM (VALUES ('auto_explain'), ('sepgsql')) AS of_no_extension (name)`

// freeSettings says which parameters a role may have without having got them from a superuser.
type freeSettings struct {
	known   map[string]bool // whether any role may set it
	modules map[string]bool
}

func (c *Connection) freeSettings(ctx context.Context) (f freeSettings, err error) {
	rows, err := c.Query(ctx, knownSettings)
	if err != nil {
		return f, err
	}
	f.known = map[string]bool{}
	for _, row := range rows {
		f.known[row[0]] = row[1] == "true"
	}
	f.modules, err = c.set(ctx, modules)
	return f, err
}

// has reports whether a parameter is one that any role may set, or of an application's own. What begins like a module is neither: the
// server would take it as what a superuser has set once it loads that, and does not say before whether it takes one.
func (f freeSettings) has(name string) bool {
	name = strings.ToLower(name)
	if free, known := f.known[name]; known {
		return free
	}
	module, _, dotted := strings.Cut(name, ".")
	return dotted && !f.modules[module]
}
