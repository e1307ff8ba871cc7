package load

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/pgharbor/pgharbor/agent/postgres"
)

// meaningful are the settings that change what code computes. What is no such setting could break a load.
var meaningful = []string{"datestyle", "default_text_search_config", "lc_monetary", "lc_numeric", "lc_time", "timezone", "xmlbinary", "xmloption"}

// meanings are statements that set what changes what code computes, as the database has it: a materialized view by day
// has other rows in another time zone. Settings of the application count too. Those of procedural languages do not,
// since they may name a function to run.
func meanings(all map[string]string) []string {
	var settings []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		ofApplication := strings.Contains(name, ".") && !strings.HasPrefix(strings.ToLower(name), "pl")
		if ofApplication || slices.Contains(meaningful, strings.ToLower(name)) {
			settings = append(settings, "SELECT pg_catalog.set_config("+postgres.QuoteLiteral(name)+", "+postgres.QuoteLiteral(all[name])+", false)")
		}
	}
	return settings
}

// mean runs these statements, and goes on if the server refuses one: a setting that only superusers may set is for the
// server's own work, and one that the server does not know changes nothing, or its extension is not made yet.
func (s *loadSession) mean(ctx context.Context, meanings []string) error {
	for _, sql := range meanings {
		if err := postgres.Run(ctx, s.conn, sql); err != nil && postgres.SQLState(err) == "" {
			return err
		}
	}
	return nil
}

// meanAgain runs them again in sessions that began before all objects that they may name were made.
func (s *loadSessions) meanAgain(ctx context.Context) error {
	for _, session := range s.open {
		if err := session.mean(ctx, s.source.meanings); err != nil {
			return err
		}
	}
	return nil
}
