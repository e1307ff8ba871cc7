package postgres

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Session is a connection to a server. It is the only way in which SQL gets there, and its errors are where a server's
// words come into the agent: each is a *ServerError, whose text may go anywhere.
type Session struct {
	conn    *pgconn.PgConn
	warning string // SQLSTATE of the last notice
}

// TakeWarning returns the SQLSTATE of the last notice since it was called before; "" is none.
func (s *Session) TakeWarning() string {
	warning := s.warning
	s.warning = ""
	return warning
}

// Exec prepares to run statements by the simple protocol.
func (s *Session) Exec(ctx context.Context, sql string) *Script {
	return &Script{s.conn.Exec(ctx, sql)}
}

// ExecParams prepares to run one statement by the extended protocol.
func (s *Session) ExecParams(ctx context.Context, sql string, values [][]byte, oids []uint32, formats, resultFormats []int16) *Execution {
	return &Execution{s.conn.ExecParams(ctx, sql, values, oids, formats, resultFormats)}
}

// Prepare has the server keep a statement under a name, for ExecPrepared.
func (s *Session) Prepare(ctx context.Context, name, sql string) error {
	_, err := s.conn.Prepare(ctx, name, sql, nil)
	return serverError(err)
}

// ExecPrepared prepares to run such a statement with values.
func (s *Session) ExecPrepared(ctx context.Context, name string, values [][]byte) *Execution {
	return &Execution{s.conn.ExecPrepared(ctx, name, values, nil, nil)}
}

// CopyFrom runs a COPY … FROM STDIN of what rows has.
func (s *Session) CopyFrom(ctx context.Context, rows io.Reader, sql string) (pgconn.CommandTag, error) {
	tag, err := s.conn.CopyFrom(ctx, rows, sql)
	return tag, serverError(err)
}

// CopyTo runs a COPY … TO STDOUT, and writes what it says.
func (s *Session) CopyTo(ctx context.Context, rows io.Writer, sql string) (pgconn.CommandTag, error) {
	tag, err := s.conn.CopyTo(ctx, rows, sql)
	return tag, serverError(err)
}

// ParameterStatus is what the server last said of a parameter.
func (s *Session) ParameterStatus(name string) string { return s.conn.ParameterStatus(name) }

// Close ends the session.
func (s *Session) Close(ctx context.Context) error { return serverError(s.conn.Close(ctx)) }

// Script is the answer to statements.
type Script struct{ results *pgconn.MultiResultReader }

// ReadAll waits for the end of all of them.
func (s *Script) ReadAll() ([]*pgconn.Result, error) {
	results, err := s.results.ReadAll()
	for _, result := range results {
		result.Err = serverError(result.Err)
	}
	return results, serverError(err)
}

// Execution is the answer to one statement.
type Execution struct{ result *pgconn.ResultReader }

// Read waits for its end.
func (e *Execution) Read() *pgconn.Result {
	result := e.result.Read()
	result.Err = serverError(result.Err)
	return result
}

// serverError makes a *ServerError of an error in which a server has said something, and returns any other as it is.
func serverError(err error) error {
	var said *pgconn.PgError
	if !errors.As(err, &said) {
		return err
	}
	state := said.Code
	if !validState(state) {
		state = StateInternal
	}
	words := []string{said.Severity + ":  " + said.Code + ": " + said.Message}
	for _, more := range []struct{ label, text string }{
		{"DETAIL", said.Detail}, {"HINT", said.Hint}, {"QUERY", said.InternalQuery}, {"CONTEXT", said.Where},
	} {
		if more.text != "" {
			words = append(words, more.label+":  "+more.text)
		}
	}
	return &ServerError{
		SQLState: state, Schema: said.SchemaName, Table: said.TableName, Column: said.ColumnName,
		DataType: said.DataTypeName, Constraint: said.ConstraintName,
		routine: said.Routine, words: strings.Join(words, "\n"), err: err,
	}
}
