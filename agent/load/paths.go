package load

import (
	"cmp"
	"context"

	"github.com/pgharbor/pgharbor/agent/postgres"
)

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
		rows, err := s.query(ctx, sql)
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
