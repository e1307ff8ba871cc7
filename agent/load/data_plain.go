package load

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/pgharbor/pgharbor/agent/dump"
)

// dataStatement is the SQL with which pg_dump sets sequences and fills large objects, and nothing else. It is for
// strings in which backslashes do not escape: a name may have one.
var dataStatement = regexp.MustCompile(`^(?:BEGIN|COMMIT|SELECT pg_catalog\.(?:` +
	`setval\('(?:[^']|'')*', -?\d+, (?:true|false)\)|lo_open\('\d+', \d+\)|lowrite\(0, '\\x[0-9a-f]*'\)|lo_close\(0\)))$`)

// loadPlain reads the dump again and loads its rows. Everything else in it was already run from the definitions.
func (l *dataLoader) loadPlain(ctx context.Context, s *loadSessions, script io.Reader, pass dataPass) error {
	src := bufio.NewReaderSize(script, 1<<20)
	var found []string
	split := dump.Splitter{Emit: func(sql string) error { found = append(found, sql); return nil }}
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
			if err := l.dataStatement(ctx, s, sql, src, pass); err != nil {
				return err
			}
		}
		found = found[:0]
		if ended {
			return nil
		}
	}
}

// dataStatement runs a statement that loads data, where it belongs to the pass; src is at the rows of a COPY.
func (l *dataLoader) dataStatement(ctx context.Context, s *loadSessions, sql string, src *bufio.Reader, pass dataPass) error {
	st := dump.Statement{SQL: sql, Words: dump.ReadWords(sql, 3)}
	switch {
	case st.Begins("COPY"):
		if !l.definitions.Copies[sql] {
			return errNotDumped
		}
		name, copySQL := dump.CopyTarget(sql + ";")
		rows := &rowsReader{src: src, begins: true}
		if !pass.tables(name) {
			_, err := io.Copy(io.Discard, rows)
			return err
		}
		if err := l.rows.copy(ctx, s, name, copySQL, rows); err != nil || !pass.serial {
			return err
		}
		if err := l.guards.guard(ctx, s, name); err != nil {
			return err
		}
		return l.guards.giveBack(ctx, s, name)
	case st.Begins("SELECT", "pg_catalog.setval") && !pass.last, !st.Begins("SELECT", "pg_catalog.setval") && !pass.first:
		return nil
	case st.IsData():
		if !dataStatement.MatchString(sql) || !l.definitions.PlainStrings() && strings.Contains(sql, `\`) {
			return fmt.Errorf("%w: %s", errNotDumped, dump.FirstWords(sql))
		}
		return s.runSQL(ctx, sql)
	}
	return nil
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
