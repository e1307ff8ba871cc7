package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// TableCount is what a database holds of a table, without the tables that inherit from it.
type TableCount struct {
	Rows int64
	// OfExtension: the table came with an extension, which may put rows of its own into it.
	OfExtension bool
	// Hidden: row security would hide rows of it from this role, so they were not counted.
	Hidden bool
}

// CountRows counts the rows of tables, in their order, and calls counted after each. A table that is missing is an error.
func (c *Contents) CountRows(ctx context.Context, database string, tables []Table, counted func()) ([]TableCount, error) {
	conn, err := c.connection.Connect(ctx, database)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	counts := make([]TableCount, len(tables))
	for n, table := range tables {
		if counts[n], err = countRows(ctx, conn, table); err != nil {
			return nil, fmt.Errorf("count the rows of %s: %w", table.quoted(), err)
		}
		counted()
	}
	return counts, nil
}

// aboutTable is what is to be known of the table $2 of the schema $1 before its rows are counted.
const aboutTable = `SELECT pg_catalog.row_security_active(c.oid)::pg_catalog.text, EXISTS (SELECT FROM pg_catalog.pg_depend d
		WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')::pg_catalog.text
	FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')`

func countRows(ctx context.Context, conn *Session, table Table) (count TableCount, err error) {
	about, err := Ask(ctx, conn, aboutTable, table.schema(), table.Name)
	switch {
	case err != nil:
		return count, err
	case len(about) == 0:
		return count, errors.New("there is no such table")
	}
	count.Hidden, count.OfExtension = about[0][0] == "true", about[0][1] == "true"
	if count.Hidden {
		return count, nil
	}
	rows, err := Ask(ctx, conn, "SELECT pg_catalog.count(*) FROM ONLY "+table.quoted())
	switch {
	case NameNotFound(err):
		count.Rows, err = copiedRows(ctx, conn, table, err)
	case err == nil:
		count.Rows, err = strconv.ParseInt(rows[0][0], 10, 64)
	}
	return count, err
}

// narrowColumn is the column of the table $2 of the schema $1 that says least of a row, whether there is one or not.
const narrowColumn = `SELECT c.relkind::pg_catalog.text, COALESCE((SELECT a.attname::pg_catalog.text FROM pg_catalog.pg_attribute a
		WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
		ORDER BY a.attlen < 0, a.attlen, a.attnum LIMIT 1), '')
	FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')`

// copiedRows counts the rows of a table that the server can't plan a query of. A plan looks into the expressions of indexes,
// puts functions in SQL in their place, and fails where these look for names in a search path, as earthdistance's
// ll_to_earth does. A COPY has no plan.
func copiedRows(ctx context.Context, conn *Session, table Table, unplanned error) (int64, error) {
	about, err := Ask(ctx, conn, narrowColumn, table.schema(), table.Name)
	switch {
	case err != nil || len(about) == 0:
		return 0, unplanned
	case about[0][0] == "p": // its rows are in its partitions
		return 0, nil
	}
	column := ""
	if name := about[0][1]; name != "" {
		column = " (" + QuoteName(name) + ")"
	}
	tag, err := conn.CopyTo(ctx, io.Discard, "COPY "+table.quoted()+column+" TO STDOUT")
	if err != nil {
		return 0, errors.Join(unplanned, err)
	}
	return tag.RowsAffected(), nil
}
