package load

import (
	"context"
	"strconv"
	"strings"

	"github.com/pgharbor/pgharbor/agent/dump"
	"github.com/pgharbor/pgharbor/agent/postgres"
)

// armed reports whether the table $1 is not called $4 any more, or has anything that runs when a row is loaded and that
// its definitions did not give it before any code ran: a trigger, a rule, a check, a column that the dump has no values
// for.
const armed = `SELECT (pg_catalog.to_regclass($4::pg_catalog.text) IS DISTINCT FROM c.oid::pg_catalog.regclass
		OR EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid)
		OR EXISTS (SELECT FROM pg_catalog.pg_rewrite w WHERE w.ev_class = c.oid)
		OR EXISTS (SELECT FROM pg_catalog.pg_index x WHERE x.indrelid = c.oid)
		OR EXISTS (SELECT FROM pg_catalog.pg_statistic_ext e WHERE e.stxrelid = c.oid)
		OR NOT $2::pg_catalog.bool AND (EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c')
			OR EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
				AND NOT a.attname = ANY ($3::pg_catalog.text[]))))::pg_catalog.text
	FROM pg_catalog.pg_class c WHERE c.oid = $1::pg_catalog.oid`

// copyColumns are the names of the columns of a COPY.
func copyColumns(sql string) []string {
	var columns []string
	depth := 0
	for _, w := range dump.ReadWords(sql, 0) {
		change := dump.Parenthesis(w)
		if depth += change; depth == 1 && change == 0 && (w.Quoted || w.Text != ",") {
			columns = append(columns, strings.ReplaceAll(w.Text, `""`, `"`))
		}
	}
	return columns
}

// beginRows begins the transaction that loads a table. Rows of a new table are written as frozen, in a transaction that
// does nothing else, so that nobody has to write its pages again for that later. The table is locked first and looked
// at again: code that has run since may have put something on it, also by way of a table that it is a part of.
func (l *rowLoader) beginRows(ctx context.Context, s *loadSessions, session *loadSession, load rowsLoad) (copySQL string, err error) {
	if err := postgres.Run(ctx, session.conn, "BEGIN"); err != nil || !load.table.own || load.table.routed() || load.key.nobody != "" {
		return load.copySQL, err
	}
	if err := session.lockRows(ctx, load.table, copyColumns(load.copySQL)); err != nil {
		return "", err
	}
	if session.login == "" {
		if err := l.unchanged(ctx, s, load.table); err != nil {
			return "", err
		}
	}
	return load.copySQL + " WITH (FREEZE)", postgres.Run(ctx, session.conn, "TRUNCATE ONLY "+load.table.name)
}

// unchanged checks again, behind the lock, that the rows of a table run nobody's code.
func (l *rowLoader) unchanged(ctx context.Context, s *loadSessions, table tableInfo) error {
	if !l.owners.mixed || !table.own {
		return nil
	}
	now, err := s.catalog.table(ctx, table.name)
	if err != nil || now.oid == table.oid && !now.code {
		return err
	}
	if now.oid != table.oid || !table.code {
		return &dump.ContentError{Object: "table " + table.name, Why: "it was changed while the dump was loaded"}
	}
	code, err := s.code.find(ctx, reachOfRows.bySuperuser(true), start{tables: []string{table.oid}})
	if err == nil && len(code) > 0 {
		err = &dump.ContentError{Object: "table " + table.name, Why: "the " + code[0].String() + " was put on it while the dump was loaded"}
	}
	return err
}

// lockRows locks a table and checks that nothing runs on it that did not before. columns are those that the dump has
// values for.
func (s *loadSession) lockRows(ctx context.Context, table tableInfo, columns []string) error {
	if err := postgres.Run(ctx, s.conn, "LOCK TABLE ONLY "+table.name+" IN ACCESS EXCLUSIVE MODE"); err != nil {
		return err
	}
	found, err := postgres.Ask(ctx, s.conn, armed, table.oid, strconv.FormatBool(table.code), textArray(columns), table.name)
	if err != nil {
		return err
	}
	if len(found) != 1 || found[0][0] != "false" {
		return &dump.ContentError{Object: "table " + table.name, Why: "something was put on it while the dump was loaded"}
	}
	return nil
}
