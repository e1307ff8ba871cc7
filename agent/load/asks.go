package load

import (
	"context"
	"strconv"
)

// query asks something in the superuser's session. What is asked for each table is prepared: to plan it takes longer than to run it.
func (s *loadSessions) query(ctx context.Context, sql string, args ...string) ([][]string, error) {
	admin, err := s.admin(ctx)
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
