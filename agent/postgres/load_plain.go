package postgres

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"regexp"
	"strconv"
)

// dataStatement is the SQL with which pg_dump sets sequences and fills large objects, and nothing else.
var dataStatement = regexp.MustCompile(`^(?:BEGIN|COMMIT|SELECT pg_catalog\.(?:` +
	`setval\('(?:[^'\\]|'')*', -?\d+, (?:true|false)\)|lo_open\('\d+', \d+\)|lowrite\(0, '\\x[0-9a-f]*'\)|lo_close\(0\)))$`)

// loadPlain reads the dump once more and loads its rows. Whatever else stands in it was run from the definitions.
func (l *guardedLoader) loadPlain(ctx context.Context, s *loadSessions) error {
	src := bufio.NewReaderSize(l.Plain, 1<<20)
	var found []string
	split := splitter{emit: func(sql string) error { found = append(found, sql); return nil }}
	for {
		line, err := src.ReadSlice('\n')
		if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
			return err
		}
		ended := err == io.EOF
		if _, err := split.Write(line); err != nil {
			return err
		}
		for _, sql := range found {
			if err := l.dataStatement(ctx, s, sql, src); err != nil {
				return err
			}
		}
		found = found[:0]
		if ended {
			return nil
		}
	}
}

// dataStatement runs a statement that loads data; src is at the rows of a COPY.
func (l *guardedLoader) dataStatement(ctx context.Context, s *loadSessions, sql string, src *bufio.Reader) error {
	st := statement{sql: sql, words: readWords(sql, 3)}
	switch {
	case st.begins("COPY"):
		if !l.Definitions.copies[sql] {
			return errNotDumped
		}
		name, copySQL := copyTarget(sql + ";")
		return l.copyRows(ctx, s, name, copySQL, &rowsReader{src: src, begins: true})
	case st.isData():
		if !dataStatement.MatchString(sql) {
			return fmt.Errorf("%w: %s", errNotDumped, firstWords(sql))
		}
		return s.runSQL(ctx, sql)
	}
	return nil
}

// copyRows loads the rows of one table, by the session that may. Into a table that is new, in the same transaction as nothing
// else, they are written as what everybody sees, so that nobody has to write its pages again for that.
func (l *guardedLoader) copyRows(ctx context.Context, s *loadSessions, name, copySQL string, rows io.Reader) error {
	info, err := l.table(ctx, s, name)
	if err != nil {
		return err
	}
	session, err := l.sessionFor(ctx, s, info)
	if err != nil {
		return err
	}
	if copySQL, err = session.beginRows(ctx, info, copySQL); err != nil {
		return fmt.Errorf("table %s: %w", name, err)
	}
	source := &countedReader{src: rows, read: func(int) {}}
	tag, err := session.conn.CopyFrom(ctx, source, copySQL)
	if err != nil || source.failed != nil {
		err = cmp.Or(source.failed, err)
		switch {
		case source.failed != nil:
		case session.login != "":
			err = contentError("table "+name, info.owner, err)
		case info.code && l.callable && NameNotFound(err):
			err = &ContentError{Object: "table " + name, Why: "it belongs to a superuser, and its code finds names by the search path, which others have a part in", Err: err}
		}
		return fmt.Errorf("table %s: %w", name, err)
	}
	if _, err := session.conn.Exec(ctx, "COMMIT").ReadAll(); err != nil {
		return fmt.Errorf("table %s: %w", name, err)
	}
	l.count(tableOf(name), tag.RowsAffected())
	return nil
}

// armed says whether the table $1 has anything that runs when a row is loaded, other than what its definitions gave it before
// any code ran: a trigger, a rule, a check, a default that is computed.
const armed = `SELECT (EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal)
		OR EXISTS (SELECT FROM pg_catalog.pg_rewrite w WHERE w.ev_class = c.oid)
		OR EXISTS (SELECT FROM pg_catalog.pg_index x WHERE x.indrelid = c.oid)
		OR NOT $2::pg_catalog.bool AND (EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c')
			OR EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.attgenerated <> '')))::pg_catalog.text
	FROM pg_catalog.pg_class c WHERE c.oid = $1::pg_catalog.oid`

// beginRows begins the transaction that loads a table. A superuser locks it first and looks at it again: code of its owner that
// has run before, or its owner in a session of their own, may have put something on it.
func (s *loadSession) beginRows(ctx context.Context, info tableInfo, copySQL string) (string, error) {
	if !info.own {
		return copySQL, run(ctx, s.conn, "BEGIN")
	}
	if err := run(ctx, s.conn, "BEGIN"); err != nil {
		return "", err
	}
	if s.login == "" {
		if err := run(ctx, s.conn, "LOCK TABLE ONLY "+info.name+" IN ACCESS EXCLUSIVE MODE"); err != nil {
			return "", err
		}
		found, err := ask(ctx, s.conn, armed, info.oid, strconv.FormatBool(info.code))
		if err != nil {
			return "", err
		}
		if len(found) != 1 || found[0][0] != "false" {
			return "", &ContentError{Object: "table " + info.name, Why: "something was put on it while the dump was loaded"}
		}
	}
	return copySQL + " WITH (FREEZE)", run(ctx, s.conn, "TRUNCATE ONLY "+info.name)
}

// sessionFor is the session that may load rows of a table.
func (l *guardedLoader) sessionFor(ctx context.Context, s *loadSessions, info tableInfo) (*loadSession, error) {
	switch {
	case !info.own, !info.code:
		return s.admin(ctx)
	case !info.trusted:
		return s.session(ctx, sessionKey{owner: info.owner, withPath: true})
	}
	if err := l.superusersOnly(ctx, s, info); err != nil {
		return nil, err
	}
	return s.session(ctx, sessionKey{withPath: !l.callable})
}

// rowsReader reads the rows of a COPY up to the line that ends them, which it takes too.
type rowsReader struct {
	src    *bufio.Reader
	begins bool // the next byte begins a line
	ended  bool
}

// Read implements io.Reader.
func (r *rowsReader) Read(p []byte) (int, error) {
	if r.ended {
		return 0, io.EOF
	}
	if r.begins {
		head, err := r.src.Peek(2)
		if string(head) == `\.` {
			r.ended = true
			_, err = r.src.ReadSlice('\n')
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			if err == nil {
				err = io.EOF
			}
			return 0, err
		}
		if len(head) == 0 {
			return 0, cmp.Or(notEOF(err), io.ErrUnexpectedEOF)
		}
	} else if _, err := r.src.Peek(1); err != nil {
		return 0, cmp.Or(notEOF(err), io.ErrUnexpectedEOF)
	}
	ready, _ := r.src.Peek(min(r.src.Buffered(), len(p)))
	n := len(ready)
	if last := bytes.Index(ready, []byte("\n\\.")); last >= 0 {
		n = last + 1
	} else if last := bytes.LastIndexByte(ready, '\n'); last >= 0 {
		n = last + 1
	}
	r.begins = ready[n-1] == '\n'
	copy(p, ready[:n])
	return r.src.Discard(n)
}

// notEOF is an error that is not the regular end.
func notEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}
