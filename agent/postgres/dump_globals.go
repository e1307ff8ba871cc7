package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pgharbor/pgharbor/agent/dump"
)

// maxGlobals bounds what is kept in memory of an instance's roles and tablespaces: room for some 100,000 roles.
const maxGlobals = 64 << 20

// globalsEnd is the comment with which pg_dumpall ends. Its exit status does not say whether all of its output arrived:
// measured with PostgreSQL 15.18, onto a full disk it exits 0 with a third of it.
const globalsEnd = "-- PostgreSQL database cluster dump complete\n"

var errGlobalsCut = errors.New("exited 0 without its end marker")

// Globals is what belongs to an instance and not to a database: roles and tablespaces.
type Globals struct {
	Script    []byte   // SQL, as pg_dumpall wrote it
	Passwords bool     // whether the roles' passwords are in it, as hashes
	Roles     []string // that the script makes
}

// Globals runs pg_dumpall for roles and tablespaces, whole or not at all. Where this role may not read passwords, they are
// left out. pg_dumpall fails on a role whose name is none in the encoding of its database: then it tries another one.
func (d *Dumper) Globals(ctx context.Context, other string) (Globals, error) {
	tool, _, err := d.tools.find(ctx, "pg_dumpall")
	if err != nil {
		return Globals{}, err
	}
	rows, err := d.connection.Query(ctx, "SELECT pg_catalog.current_database(), pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT')::pg_catalog.text")
	if err != nil {
		return Globals{}, err
	}
	globals := Globals{Passwords: rows[0][1] == "true"}
	args := []string{"--globals-only", "--no-password"}
	if !globals.Passwords {
		args = append(args, "--no-role-passwords")
	}
	// By default it would go to the database postgres, which an instance may do without.
	from := func(database string) ([]byte, error) {
		return d.collect(ctx, tool, append(args, "--database=dbname="+quoteConninfo(database))...)
	}
	if globals.Script, err = from(rows[0][0]); err != nil && ctx.Err() == nil && other != rows[0][0] {
		if script, again := from(other); again == nil {
			globals.Script, err = script, nil
		}
	}
	if err != nil {
		return Globals{}, err
	}
	globals.Roles = rolesMade(dump.SplitScript(globals.Script))
	return globals, nil
}

// collect runs pg_dumpall and returns all of its output, or an error.
func (d *Dumper) collect(ctx context.Context, tool Tool, args ...string) ([]byte, error) {
	process := d.tools.newProcess(ctx, tool, "postgres", args...)
	output := &limitedBuffer{limit: maxGlobals}
	process.cmd.Stdout = output
	if err := process.start(); err != nil {
		return nil, err
	}
	if err := process.wait(); err != nil {
		return nil, err
	}
	script := output.Bytes()
	fail := func(err error) ([]byte, error) {
		return nil, &ToolError{Tool: tool.Name, Stderr: process.stderr.String(), Err: err}
	}
	switch {
	case output.full:
		return fail(fmt.Errorf("wrote more than %d bytes", output.limit))
	case strings.Contains(process.stderr.String(), "pg_dumpall: error:"):
		return fail(errSaidError)
	case !endsWith(script, globalsEnd):
		return fail(errGlobalsCut)
	}
	return script, nil
}

// endsWith reports whether a line is the script's last but for blank ones, comments and psql's \unrestrict.
func endsWith(script []byte, line string) bool {
	at := bytes.LastIndex(script, []byte("\n"+line))
	if at < 0 {
		return false
	}
	for rest := range bytes.Lines(script[at+1:]) {
		rest = bytes.TrimSpace(rest)
		if len(rest) > 0 && !bytes.HasPrefix(rest, []byte("--")) && !bytes.HasPrefix(rest, []byte(`\unrestrict `)) {
			return false
		}
	}
	return true
}

// limitedBuffer keeps what is written to it up to its limit, and takes the rest without keeping it.
type limitedBuffer struct {
	bytes.Buffer
	limit int
	full  bool
}

// Write implements io.Writer.
func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.limit {
		b.full = true
		return len(p), nil
	}
	return b.Buffer.Write(p)
}
