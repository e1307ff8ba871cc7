package load

import (
	"context"
	"strconv"
	"strings"
)

// catalog asks the server's catalog what there is and whose it is. It asks in the superuser's session of one goroutine.
type catalog struct {
	admin func(ctx context.Context) (*loadSession, error)
}

// query runs a query and returns its rows as texts. What is asked for each table is prepared: to plan it takes longer
// than to run it.
func (c catalog) query(ctx context.Context, sql string, args ...string) ([][]string, error) {
	admin, err := c.admin(ctx)
	if err != nil {
		return nil, err
	}
	values := make([][]byte, len(args))
	for n, arg := range args {
		values[n] = []byte(arg)
	}
	name, err := admin.prepare(ctx, sql)
	if err != nil {
		return nil, err
	}
	result := admin.conn.ExecPrepared(ctx, name, values).Read()
	rows := make([][]string, len(result.Rows))
	for n, row := range result.Rows {
		for _, column := range row {
			rows[n] = append(rows[n], string(column))
		}
	}
	return rows, result.Err
}

// oids returns the first column of a query's rows.
func (c catalog) oids(ctx context.Context, sql string, args ...string) ([]string, error) {
	rows, err := c.query(ctx, sql, args...)
	var oids []string
	for _, row := range rows {
		oids = append(oids, row[0])
	}
	return oids, err
}

// prepare prepares a query, once.
func (s *loadSession) prepare(ctx context.Context, sql string) (name string, err error) {
	if name := s.prepared[sql]; name != "" {
		return name, nil
	}
	name = "query_" + strconv.Itoa(len(s.prepared)+1)
	if err := s.conn.Prepare(ctx, name, sql); err != nil {
		return "", err
	}
	if s.prepared == nil {
		s.prepared = map[string]string{}
	}
	s.prepared[sql] = name
	return name, nil
}

// textArray is a text[] as the server reads it.
func textArray(texts []string) string {
	quoted := make([]string, len(texts))
	for n, text := range texts {
		quoted[n] = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
	}
	return "{" + strings.Join(quoted, ",") + "}"
}

func oidArray(oids []string) string { return "{" + strings.Join(oids, ",") + "}" }
