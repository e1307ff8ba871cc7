package catalog

import (
	"context"
	"strings"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
)

// instance adds the condition that the instance in a column is the one named, or
// one that the name matches as a glob; an empty name says nothing.
func (f *filter) instance(column, name string) {
	switch {
	case name == "":
	case fleet.IsGlob(name):
		f.where(column+" GLOB ?", name)
	default:
		f.where(column+" = ?", name)
	}
}

// CheckKnown returns fleet.ErrNotFound if no instance in scope has the name or matches
// it as a glob, or if none of these has, had or tried to back up the database. An empty
// name or database says nothing. What is found nowhere because of a typo must not look
// like a list that is empty for good reasons.
func (s Agents) CheckKnown(ctx context.Context, scope fleet.Scope, name, database string) error {
	var f filter
	f.instance("name", name)
	f.scope("name", scope)
	var known bool
	err := s.db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM agents`+f.sql()+`)`, f.args...).Scan(&known)
	switch {
	case err != nil:
		return err
	case !known && fleet.IsGlob(name):
		return fleet.NewProblem(fleet.ErrNotFound, "no instance is called as %q says", name).WithHint("pgharbor agents list")
	case !known && name != "":
		return fleet.NewProblem(fleet.ErrNotFound, "there is no instance %q", name).WithHint("pgharbor agents list")
	case database == "":
		return nil
	}
	return s.checkDatabase(ctx, scope, name, database)
}

func (s Agents) checkDatabase(ctx context.Context, scope fleet.Scope, name, database string) error {
	var args []any
	from := func(table, column, condition string) string {
		var f filter
		f.where(condition, database)
		f.instance(column, name)
		f.scope(column, scope)
		args = append(args, f.args...)
		return `EXISTS (SELECT 1 FROM ` + table + f.sql() + `)`
	}
	any := []string{
		from(`agents, json_each(agents.status, '$.databases') AS listed`, "agents.name", `listed.value ->> 'name' = ?`),
		from("backups", "instance", "database = ?"),
		from("runs", "instance", "database = ?"),
	}
	var known bool
	err := s.db.QueryRowContext(ctx, `SELECT `+strings.Join(any, ` OR `), args...).Scan(&known)
	if err != nil || known {
		return err
	}
	return fleet.NewProblem(fleet.ErrNotFound, "nothing is known of a database %q", database).WithHint("pgharbor health")
}
