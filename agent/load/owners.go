package load

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/pgharbor/pgharbor/agent/postgres"
)

// owners are the roles that own something in a dump: which of them are trusted, and what search paths they have. They
// are found before anything is loaded, and do not change after that.
type owners struct {
	trusted map[string]bool   // by role: it is a superuser here, or the role that restores
	mixed   bool              // one of them is not trusted, so there may be code that must not run with a superuser's rights
	several bool              // two or more are not trusted
	shared  bool              // there are two or more, and one is not trusted
	path    string            // the search path of the database
	paths   map[string]string // by role: the search path that it has instead
}

// findOwners looks at the owners that a dump names.
func findOwners(ctx context.Context, c catalog, load Guarded) (*owners, error) {
	o := &owners{trusted: map[string]bool{}, path: load.SearchPath, paths: map[string]string{}}
	if err := o.findTrusted(ctx, c, load.Definitions.Owners); err != nil {
		return nil, err
	}
	if err := o.findPaths(ctx, c, load.RolePaths); err != nil {
		return nil, err
	}
	return o, o.findDefaultPath(ctx, c)
}

// findTrusted asks which of some roles are superusers, or the session's own.
func (o *owners) findTrusted(ctx context.Context, c catalog, roles map[string]bool) error {
	for _, role := range slices.Sorted(maps.Keys(roles)) {
		rows, err := c.query(ctx, `SELECT `+trustedRole+`::pg_catalog.text FROM pg_catalog.pg_roles r WHERE r.rolname = $1`, role)
		if err != nil {
			return err
		}
		o.trusted[role] = len(rows) > 0 && rows[0][0] == "true"
		o.several = o.several || o.mixed && !o.trusted[role]
		o.mixed = o.mixed || !o.trusted[role]
	}
	o.shared = o.mixed && len(o.trusted) > 1
	return nil
}

// pathsOfRoles are the search paths that roles have in all databases.
const pathsOfRoles = `SELECT r.rolname, pg_catalog.substr(c.setting, 13) FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_roles r ON r.oid = s.setrole,
	pg_catalog.unnest(s.setconfig) AS c (setting) WHERE s.setdatabase = 0 AND pg_catalog.starts_with(c.setting, 'search_path=')`

// findPaths looks for the search paths that owners have, which apply in place of the database's. A login has none of
// its owner's settings.
func (o *owners) findPaths(ctx context.Context, c catalog, ofDatabase map[string]string) error {
	if !o.mixed {
		return nil
	}
	rows, err := c.query(ctx, pathsOfRoles)
	for _, row := range rows {
		if _, owns := o.trusted[row[0]]; owns {
			o.paths[row[0]] = row[1]
		}
	}
	maps.Copy(o.paths, ofDatabase)
	return err
}

// pathOfAll is the search path that all roles have in all databases.
const pathOfAll = `SELECT pg_catalog.substr(c.setting, 13) FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) AS c (setting)
	WHERE s.setdatabase = 0 AND s.setrole = 0 AND pg_catalog.starts_with(c.setting, 'search_path=')`

// pathOfServer is the one in the server's configuration, for who may read that.
const pathOfServer = `SELECT f.setting FROM pg_catalog.pg_file_settings f WHERE f.name = 'search_path' AND f.applied ORDER BY f.seqno DESC LIMIT 1`

// pathOfPostgres is what sessions begin with where nothing is set.
const pathOfPostgres = `"$user", public`

// findDefaultPath looks for the search path with which sessions begin if the database has none.
func (o *owners) findDefaultPath(ctx context.Context, c catalog) error {
	for _, sql := range []string{pathOfAll, pathOfServer} {
		if o.path != "" {
			return nil
		}
		rows, err := c.query(ctx, sql)
		if err != nil && postgres.SQLState(err) != postgres.StateNoPrivilege {
			return err
		}
		if len(rows) > 0 {
			o.path = rows[0][0]
		}
	}
	o.path = cmp.Or(o.path, pathOfPostgres)
	return nil
}

// searchPath is the statement that sets the search path for code that a session runs.
func (o *owners) searchPath(key sessionKey) string {
	path := cmp.Or(o.paths[key.owner], o.path)
	if path == "" {
		return emptyPath
	}
	if key.owner != "" {
		path = strings.ReplaceAll(path, `"$user"`, postgres.QuoteName(key.owner))
	}
	return postgres.SearchPathTo(path)
}
