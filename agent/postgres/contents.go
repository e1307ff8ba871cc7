package postgres

import (
	"cmp"
	"context"

	"github.com/pgharbor/pgharbor/agent/dump"
)

// Contents is for what is in the databases of an instance: it lists their tables, counts rows, and has the planner's statistics
// collected. It needs a connection alone, and is safe for concurrent use.
type Contents struct{ connection *Connection }

// NewContents works over a connection; it does not connect yet.
func NewContents(connection *Connection) *Contents { return &Contents{connection} }

// Table is a table of a database. Schema may be empty, as in dumps of old versions: then it is public.
type Table struct{ Schema, Name string }

func (t Table) schema() string { return cmp.Or(t.Schema, "public") }

func (t Table) quoted() string { return QuoteName(t.schema()) + "." + QuoteName(t.Name) }

// TableOf is the table that a qualified name in a dump means.
func TableOf(qualified string) Table {
	schema, name := dump.SplitQualified(qualified)
	return Table{Schema: dump.Unquoted(schema), Name: dump.Unquoted(name)}
}

// Tables lists the tables that a dump has rows of: no views, no parents of partitions, nothing of the system.
func (c *Contents) Tables(ctx context.Context, database string) ([]Table, error) {
	rows, err := c.connection.QueryIn(ctx, database, `SELECT n.nspname, c.relname
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'
		ORDER BY 1, 2`)
	tables := make([]Table, len(rows))
	for n, row := range rows {
		tables[n] = Table{Schema: row[0], Name: row[1]}
	}
	return tables, err
}
