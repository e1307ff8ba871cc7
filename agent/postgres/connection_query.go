package postgres

import (
	"context"
	"slices"
	"strings"
)

// Query asks one question in a session that only looks, for the whole instance. Rows come as text, NULL as "".
func (c *Connection) Query(ctx context.Context, sql string, args ...string) ([][]string, error) {
	conn, err := c.inSome(nil, func(database string) (*Session, error) { return c.Look(ctx, database) })
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return Ask(ctx, conn, sql, args...)
}

// QueryIn asks something in a database itself: a role may have a name that only its encoding can say.
func (c *Connection) QueryIn(ctx context.Context, database, sql string, args ...string) ([][]string, error) {
	conn, err := c.Look(ctx, database)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return Ask(ctx, conn, sql, args...)
}

// Execute runs one statement in a session for the whole instance.
func (c *Connection) Execute(ctx context.Context, sql string) error {
	conn, err := c.administer(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return Run(ctx, conn, sql)
}

// executeTogether runs statements in one transaction of a session for the whole instance.
func (c *Connection) executeTogether(ctx context.Context, statements []string) error {
	conn, err := c.administer(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return Run(ctx, conn, slices.Concat([]string{"BEGIN"}, statements, []string{"COMMIT"})...)
}

// ExecuteIn runs one statement in a database.
func (c *Connection) ExecuteIn(ctx context.Context, database, sql string) error {
	conn, err := c.Connect(ctx, database)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return Run(ctx, conn, sql)
}

// missing are those of the names that a query does not find.
func (c *Connection) missing(ctx context.Context, sql string, names []string) ([]string, error) {
	found, err := c.set(ctx, sql)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return found[name] }), nil
}

// set is the first column of what a query finds.
func (c *Connection) set(ctx context.Context, sql string) (map[string]bool, error) {
	rows, err := c.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	for _, row := range rows {
		found[row[0]] = true
	}
	return found, nil
}

// Ask runs one statement in a session. Rows come as text, NULL as "".
func Ask(ctx context.Context, conn *Session, sql string, args ...string) ([][]string, error) {
	values := make([][]byte, len(args))
	for n, arg := range args {
		values[n] = []byte(arg)
	}
	result := conn.ExecParams(ctx, sql, values, nil, nil, nil).Read()
	if result.Err != nil {
		return nil, result.Err
	}
	rows := make([][]string, len(result.Rows))
	for n, row := range result.Rows {
		for _, column := range row {
			rows[n] = append(rows[n], string(column))
		}
	}
	return rows, nil
}

// Run runs statements, one after the other, and says no more of them than the server does: they may hold a password.
func Run(ctx context.Context, conn *Session, statements ...string) error {
	for _, sql := range statements {
		if err := conn.ExecParams(ctx, sql, nil, nil, nil, nil).Read().Err; err != nil {
			return err
		}
	}
	return nil
}

// IsAnswer reports whether an error is what the server answered, so that it is certain that it did not do what it was asked.
func IsAnswer(err error) bool {
	// Of a session that is ended, class 57, the last statement may have been carried out.
	state := SQLState(err)
	return state != "" && !strings.HasPrefix(state, "57P")
}
