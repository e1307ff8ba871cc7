package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
)

// refused are databases whose backup goes well and whose restore does not, each because the server refuses a row, and
// quotes it in another part of its words.
func refused(row string) []struct{ name, sql, condition string } {
	fits := func(returns, body string) string {
		return fmt.Sprintf("CREATE OR REPLACE FUNCTION public.fits(it text) RETURNS %s IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN %s; END $$;", returns, body)
	}
	planted := "'" + row + "'"
	return []struct{ name, sql, condition string }{
		{
			"raised", fits("bool", "RETURN true") + "CREATE TABLE goods (name text CHECK (public.fits(name))); INSERT INTO goods VALUES (" + planted + ");" +
				fits("bool", "RAISE EXCEPTION 'the address % is none', it"), "raise_exception (SQLSTATE P0001)",
		},
		{
			"unique", fits("text", "RETURN it || random()") + "CREATE TABLE goods (name text); CREATE UNIQUE INDEX ON goods (public.fits(name));" +
				"INSERT INTO goods VALUES (" + planted + "), (" + planted + ");" + fits("text", "RETURN it"), "unique_violation (SQLSTATE 23505)",
		},
		{
			"strayed", "CREATE TABLE goods (name text PRIMARY KEY); CREATE TABLE sold (name text REFERENCES goods); SET session_replication_role = replica;" +
				"INSERT INTO sold VALUES (" + planted + ")", "foreign_key_violation (SQLSTATE 23503), schema public, table sold, constraint sold_name_fkey",
		},
		{
			"copied", fits("bool", "RETURN true") + "CREATE DOMAIN public.word AS text CONSTRAINT fitting CHECK (public.fits(VALUE)); CREATE TABLE goods (name public.word);" +
				"INSERT INTO goods VALUES (" + planted + ");" + fits("bool", "RETURN false"), "check_violation (SQLSTATE 23514), schema public, data type word, constraint fitting",
		},
		{
			"checked", fits("bool", "RETURN true") + "CREATE TABLE goods (name text CONSTRAINT fitting CHECK (public.fits(name))); INSERT INTO goods VALUES (" + planted + ");" +
				fits("bool", "RETURN false"), "check_violation (SQLSTATE 23514), schema public, table goods, constraint fitting",
		},
	}
}

// brokenDump is a pg_dump that fails of one database as the real one does, with a row in the server's words, and says
// something of another.
func (w *world) brokenDump(server *postgrestest.Server, row string) {
	w.Helper()
	dir := w.path("tools")
	if err := os.Mkdir(dir, 0o755); err != nil {
		w.Fatal(err)
	}
	script := fmt.Sprintf(`#!/bin/sh
case "$PGDATABASE:$*" in
*--version*) ;;
broken:*)
	echo 'pg_dump: error: Dumping the contents of table "goods" failed: PQgetResult() failed.' >&2
	echo 'pg_dump: detail: Error message from server: ERROR:  could not read block 7 in file "base/5/16384": the row is %[1]s' >&2
	echo 'CONTEXT:  COPY goods, line 1: "%[1]s"' >&2
	exit 1 ;;
noisy:*) echo 'WARNING:  the row is %[1]s' >&2 ;;
esac
exec %[2]s/pg_dump "$@"
`, row, server.Bin)
	if err := os.WriteFile(filepath.Join(dir, "pg_dump"), []byte(script), 0o755); err != nil {
		w.Fatal(err)
	}
	w.env = append(w.env, "PATH="+dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// fails wants a program to exit with something else than 0, and returns all that it said.
func (w *world) fails(program string, args ...string) string {
	w.Helper()
	said, err := w.command(program, args...).CombinedOutput()
	if _, exited := err.(*exec.ExitError); !exited { //nolint:errorlint // exec returns it bare
		w.Fatalf("%s %q: %v\n%s", program, args, err, said)
	}
	return string(said)
}

// pointsToTheHost is a hint that ends with where the server's own words are, whatever it says before.
var pointsToTheHost = regexp.MustCompile(`(?m)^\s*hint: .*the server's own words are on the host of shop-db: pgharbor-agent runs `)

// refusals makes dumps, restores and test restores fail with a row in the words of the server, and
// asks in every way how they ended. Neither the answers nor the commands have the row; the host of
// the agent has it.
func (w *world) refusals(row string) {
	w.Helper()
	answers := map[string]string{}
	full := map[string]string{} // by what failed: the id to look for on the host
	var listed struct {
		Backups []struct{ ID, Database string } `json:"backups"`
	}
	for _, test := range refused(row) {
		w.server.CreateDatabase(w.T, test.name)
		w.server.Exec(w.T, test.name, test.sql)
		w.run("pgharbor", "backup", "shop-db", "--database", test.name)
		w.decode(&listed, "pgharbor", "list", "--database", test.name, "-o", "json")
		id := listed.Backups[0].ID
		said := w.fails("pgharbor", "restore", id, "--to-database", "again-"+test.name, "--confirm", "again-"+test.name, "--reason", "to see it fail")
		if !strings.Contains(said, test.condition) || !pointsToTheHost.MatchString(said) {
			w.Errorf("the restore of %s says: %s", test.name, said)
		}
		answers["restore "+test.name] = said
		_, host, _ := strings.Cut(strings.TrimSpace(said), "pgharbor-agent runs ")
		full["restore "+test.name] = host
	}
	w.decode(&listed, "pgharbor", "list", "--database", "raised", "-o", "json")
	tested := listed.Backups[0].ID
	answers["verify"] = w.fails("pgharbor", "verify", tested)
	full["verify"] = tested
	for _, name := range []string{"broken", "noisy"} {
		w.server.CreateDatabase(w.T, name)
	}
	answers["backup"] = w.fails("pgharbor", "backup", "shop-db", "--database", "broken")
	w.run("pgharbor", "backup", "shop-db", "--database", "noisy")
	var runs struct {
		Runs []struct{ ID, Database, Error string } `json:"runs"`
	}
	w.decode(&runs, "pgharbor", "runs", "-o", "json")
	for _, run := range runs.Runs {
		if run.Database == "broken" || run.Database == "noisy" {
			full["backup "+run.Database] = run.ID
		}
		if run.Database == "broken" && run.Error != "pg_dump: exit status 1, at table goods: io_error (SQLSTATE 58030)" {
			w.Errorf("the dump is said to have failed so: %s", run.Error)
		}
	}
	w.askAll(answers, "show "+tested)
	for asked, answer := range answers {
		if strings.Contains(answer, row) {
			w.Errorf("%s answers with the row: %s", asked, answer)
		}
	}
	if len(full) != len(refused(row))+3 {
		w.Errorf("of what failed, this is known: %v", full)
	}
	for what, id := range full {
		if told := w.run("pgharbor-agent", "runs", id); !strings.Contains(told, row) {
			w.Errorf("%s: pgharbor-agent runs %s does not have the server's words:\n%s", what, id, told)
		}
	}
}

// askAll adds what the commands that list and show print, in both formats.
func (w *world) askAll(answers map[string]string, show string) {
	w.Helper()
	for _, asked := range []string{show, "runs", "runs --failed", "restores", "health", "list", "audit list", "alerts list", "agents list"} {
		for _, format := range []string{"table", "json"} {
			answers[asked+" "+format] = w.run("pgharbor", append(strings.Fields(asked), "-o", format)...)
		}
	}
}
