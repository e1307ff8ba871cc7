package postgres

import (
	"context"
	"fmt"
	"strconv"
)

// Table is a table of a database. Schema may be empty: then it is looked for as the server looks for names.
type Table struct{ Schema, Name string }

func (t Table) quoted() string {
	if t.Schema == "" {
		return quoteName(t.Name)
	}
	return quoteName(t.Schema) + "." + quoteName(t.Name)
}

// TableCount is what a database holds of a table, without the tables that inherit from it.
type TableCount struct {
	Rows int64
	// OfExtension: the table came with an extension, which may put rows of its own into it.
	OfExtension bool
	// Hidden: row security would hide rows of it from this role, so they were not counted.
	Hidden bool
}

// CountRows counts the rows of tables, in their order, and calls counted after each. A table that is missing is an error.
func (i *Instance) CountRows(ctx context.Context, database string, tables []Table, counted func()) ([]TableCount, error) {
	conn, err := i.connect(ctx, database)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	counts := make([]TableCount, len(tables))
	for n, table := range tables {
		if counts[n], err = countRows(ctx, conn, table.quoted()); err != nil {
			return nil, fmt.Errorf("count the rows of %s: %w", table.quoted(), err)
		}
		counted()
	}
	return counts, nil
}

func countRows(ctx context.Context, conn *session, table string) (count TableCount, err error) {
	about := conn.ExecParams(ctx, `SELECT row_security_active($1::text)::text, EXISTS (SELECT FROM pg_depend
		WHERE classid = 'pg_class'::regclass AND objid = $1::text::regclass AND deptype = 'e')::text`, [][]byte{[]byte(table)}, nil, nil, nil).Read()
	if about.Err != nil {
		return count, about.Err
	}
	count.Hidden, count.OfExtension = string(about.Rows[0][0]) == "true", string(about.Rows[0][1]) == "true"
	if count.Hidden {
		return count, nil
	}
	result := conn.ExecParams(ctx, "SELECT count(*) FROM ONLY "+table, nil, nil, nil, nil).Read()
	if result.Err != nil {
		return count, result.Err
	}
	count.Rows, err = strconv.ParseInt(string(result.Rows[0][0]), 10, 64)
	return count, err
}
