package load

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/pgharbor/pgharbor/agent/postgres"
)

// trust asks which of the roles that are to own something are superusers, or the session's own.
func (l *loader) trust(ctx context.Context, s *loadSessions) error {
	for _, role := range slices.Sorted(maps.Keys(l.Definitions.Owners)) {
		rows, err := s.catalog.query(ctx, `SELECT `+trustedRole+`::pg_catalog.text FROM pg_catalog.pg_roles r WHERE r.rolname = $1`, role)
		if err != nil {
			return err
		}
		l.trusted[role] = len(rows) > 0 && rows[0][0] == "true"
		l.several = l.several || l.mixed && !l.trusted[role]
		l.mixed = l.mixed || !l.trusted[role]
	}
	l.shared = l.mixed && len(l.trusted) > 1
	return l.findPaths(ctx, s)
}

// pathsOfRoles are the search paths that roles have in all databases.
const pathsOfRoles = `SELECT r.rolname, pg_catalog.substr(c.setting, 13) FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_roles r ON r.oid = s.setrole,
	pg_catalog.unnest(s.setconfig) AS c (setting) WHERE s.setdatabase = 0 AND pg_catalog.starts_with(c.setting, 'search_path=')`

// findPaths looks for the search paths of the owners' own, which go before that of the database. A login has none of a role's settings.
func (l *loader) findPaths(ctx context.Context, s *loadSessions) error {
	if !l.mixed {
		return nil
	}
	rows, err := s.catalog.query(ctx, pathsOfRoles)
	for _, row := range rows {
		if l.Definitions.Owners[row[0]] {
			l.paths[row[0]] = row[1]
		}
	}
	maps.Copy(l.paths, l.RolePaths)
	return err
}

// pathOfAll is the search path that all roles have in all databases.
const pathOfAll = `SELECT pg_catalog.substr(c.setting, 13) FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) AS c (setting)
	WHERE s.setdatabase = 0 AND s.setrole = 0 AND pg_catalog.starts_with(c.setting, 'search_path=')`

// pathOfServer is the one in the server's configuration, for who may read that.
const pathOfServer = `SELECT f.setting FROM pg_catalog.pg_file_settings f WHERE f.name = 'search_path' AND f.applied ORDER BY f.seqno DESC LIMIT 1`

// pathOfPostgres is what sessions begin with where nothing is set.
const pathOfPostgres = `"$user", public`

// findDefaultPath looks for the search path with which sessions begin where the database has none of its own.
func (l *loader) findDefaultPath(ctx context.Context, s *loadSessions) error {
	for _, sql := range []string{pathOfAll, pathOfServer} {
		if l.SearchPath != "" {
			return nil
		}
		rows, err := s.catalog.query(ctx, sql)
		if err != nil && postgres.SQLState(err) != postgres.StateNoPrivilege {
			return err
		}
		if len(rows) > 0 {
			l.SearchPath = rows[0][0]
		}
	}
	l.SearchPath = cmp.Or(l.SearchPath, pathOfPostgres)
	return nil
}

// searchPath is the path of the database as a role has it.
func (l *loader) searchPath(key sessionKey) string {
	path := cmp.Or(l.paths[key.owner], l.SearchPath)
	if path == "" {
		return emptyPath
	}
	if key.owner != "" {
		path = strings.ReplaceAll(path, `"$user"`, postgres.QuoteName(key.owner))
	}
	return postgres.SearchPathTo(path)
}
