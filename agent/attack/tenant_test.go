package attack_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
)

// tenant is somebody who owns a database and is no superuser, and their traps in it.
type tenant struct {
	t      *testing.T
	server *postgrestest.Server
	fired  string // the file in which a trap tells that it ran
}

// newTenant gives mallory the database mal, in which everything of the catalog is shadowed.
func newTenant(t *testing.T) *tenant {
	t.Helper()
	server := postgrestest.Start(t)
	m := &tenant{t: t, server: server, fired: filepath.Join(server.SocketDir, "fired")}
	server.Exec(t, "postgres", "CREATE ROLE mallory LOGIN")
	server.Exec(t, "postgres", "CREATE DATABASE mal OWNER mallory")
	shadow, err := os.ReadFile("testdata/shadow.sql")
	if err != nil {
		t.Fatal(err)
	}
	m.psql(strings.ReplaceAll(string(shadow), "TRAP", "cat >> "+m.fired), "-U", "mallory")
	m.psql("ALTER DATABASE mal SET search_path = public, pg_catalog", "-U", "mallory")
	return m
}

// psql runs a script in mal.
func (m *tenant) psql(script string, args ...string) {
	m.t.Helper()
	cmd := exec.CommandContext(m.t.Context(), filepath.Join(m.server.Bin, "psql"), append([]string{"-XqAt", "-o", "/dev/null", "-v", "ON_ERROR_STOP=1", "-d", "mal"}, args...)...)
	cmd.Env, cmd.Stdin = m.server.Environ(), strings.NewReader(script)
	if output, err := cmd.CombinedOutput(); err != nil {
		m.t.Fatalf("%v\n%s", err, output)
	}
}

// caught returns the traps that somebody has run into, and sets them again.
func (m *tenant) caught() string {
	m.t.Helper()
	text, err := os.ReadFile(m.fired)
	if err == nil {
		err = os.Remove(m.fired)
	} else if os.IsNotExist(err) {
		err = nil
	}
	if err != nil {
		m.t.Fatal(err)
	}
	return string(text)
}

// each holds what an agent does against the traps.
func (m *tenant) each(what string, do func()) {
	m.t.Helper()
	do()
	if caught := m.caught(); caught != "" {
		m.t.Errorf("%s: %.2000s", what, caught)
	}
}

// The catalog's names lead to the tenant's objects for whoever does not take care: so the traps are live.
func (m *tenant) trapsAreLive() {
	m.t.Helper()
	for what, sql := range map[string]string{
		"relation pg_roles ran as postgres":            "SELECT rolname FROM pg_roles",
		"relation pg_class ran as postgres":            "SELECT relname FROM pg_class",
		"relation pg_database ran as postgres":         "SELECT datname FROM pg_database",
		"function strpos ran as postgres":              "SELECT strpos('a'::pg_catalog.text, 'b'::pg_catalog.text)",
		"function pg_get_userbyid ran as postgres":     "SELECT pg_get_userbyid(10::pg_catalog.oid)",
		"aggregate count ran as postgres":              "SELECT count(*) FROM pg_catalog.pg_class",
		"aggregate string_agg ran as postgres":         "SELECT string_agg('a'::pg_catalog.text, 'b'::pg_catalog.text)",
		"operator =(name, name) ran as postgres":       "SELECT 'a'::pg_catalog.name = 'b'::pg_catalog.name",
		"operator <>(oid, oid) ran as postgres":        "SELECT 1::pg_catalog.oid <> 1::pg_catalog.oid",
		"operator ||(text, text) ran as postgres":      "SELECT 'a'::pg_catalog.text || 'b'::pg_catalog.text",
		"operator ~~(name, text) ran as postgres":      "SELECT 'a'::pg_catalog.name LIKE 'b'::pg_catalog.text",
		"type text ran as postgres":                    "SELECT 'a'::text",
		"type regclass ran as postgres":                "SELECT 'pg_catalog.pg_class'::regclass",
		"function row_security_active ran as postgres": "SELECT row_security_active('pg_catalog.pg_class'::pg_catalog.text)",
	} {
		m.psql(sql)
		if caught := m.caught(); !strings.Contains(caught, what) {
			m.t.Errorf("%s: the trap is not live: %q", sql, caught)
		}
	}
	// Most have a shadow; what can't have one is of types that only C takes.
	for kind, least := range map[string]string{"relation": "130", "function": "2000", "aggregate": "90", "operator": "700", "type": "60"} {
		found := m.server.Value(m.t, "mal", "SET search_path = pg_catalog; SELECT count(*) >= "+least+" FROM public.shadows WHERE what LIKE '"+kind+" %'")
		if found != "t" {
			m.t.Errorf("there are fewer than %s shadows of the kind %s", least, kind)
		}
	}
}

func TestATenantsNamesAreNotTheCatalogs(t *testing.T) {
	m := newTenant(t)
	m.trapsAreLive()
	// The agent works from within the tenant's database, as where DATABASE_URL names it.
	h := newHost(t, append(m.server.Environ(), "PGDATABASE=mal")...)
	m.each("run", func() { h.serve("works alone") })
	m.each("check", func() { h.agent("check") })
	for _, format := range []string{"plain", "custom"} {
		h.environ = append(h.environ, "BACKUP_FORMAT="+format)
		m.each("backup", func() { h.agent("backup", "--database", "mal") })
		file := newest(t, filepath.Join(h.dir, "backups", "mal"))
		m.each("verify", func() { h.agent("verify", file) })
		m.each("verify in the instance", func() {
			in := *h
			in.environ = append(in.environ, "BACKUP_VERIFY_BINDIR="+t.TempDir(), "BACKUP_VERIFY_IN_INSTANCE=true")
			in.agent("verify", file)
		})
		m.each("preview", func() { h.agent("restore", file, "--to-database", "mal", "--replace", "--preview") })
		m.each("restore", func() { h.agent("restore", file, "--to-database", "mal_"+format, "--confirm", "mal_"+format) })
		m.each("replace", func() { h.agent("restore", file, "--to-database", "mal", "--confirm", "mal", "--replace") })
		m.each("undo", func() { h.agent("undo", restoreID(t, h), "--confirm", "mal") })
	}
	if super := m.server.Value(t, "postgres", "SELECT rolsuper FROM pg_roles WHERE rolname = 'mallory'"); super != "f" {
		t.Error("the tenant is a superuser")
	}
	m.trapsAreLive() // so that they were all the while, and are in what was restored
}

// A role that is no superuser has a password to lose, and backups to read.
func TestATenantsNamesAreNotTheCatalogsForASmallRole(t *testing.T) {
	m := newTenant(t)
	// It may run programs so that the traps can tell.
	m.server.Exec(t, "postgres", "CREATE ROLE keeper LOGIN; GRANT pg_read_all_data, pg_execute_server_program TO keeper")
	m.psql("SELECT rolname FROM pg_roles", "-U", "keeper")
	if caught := m.caught(); !strings.Contains(caught, "relation pg_roles ran as keeper") {
		t.Errorf("the trap is not live: %q", caught)
	}
	h := newHost(t, append(m.server.Environ(), "PGDATABASE=mal", "PGUSER=keeper", "BACKUP_DATABASES=mal")...)
	m.each("run", func() { h.serve("works alone") })
	m.each("check", func() { h.agent("check") })
	m.each("backup", func() { h.agent("backup", "--database", "mal") })
}

// inTables are functions in every place where the planner, ANALYZE or a dump may meet them: it runs those that are declared
// immutable while it plans, whoever asks.
const inTables = `SET search_path = pg_catalog;
	CREATE FUNCTION public.always() RETURNS bool IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN public.trap('a function of a table'); END $$;
	CREATE FUNCTION public.same(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM public.trap('a function of a table'); RETURN n; END $$;
	CREATE TABLE public.ledger (id int DEFAULT public.same(1) CHECK (public.always()), twice int GENERATED ALWAYS AS (public.same(2)) STORED);
	INSERT INTO public.ledger VALUES (1);
	CREATE INDEX ON public.ledger (id) WHERE public.always();
	CREATE INDEX ON public.ledger (public.same(id));
	CREATE STATISTICS public.about (mcv) ON (public.same(id)), (public.same(2)) FROM public.ledger;
	CREATE VIEW public.shown AS SELECT id FROM public.ledger WHERE public.always();
	CREATE MATERIALIZED VIEW public.stored AS SELECT public.same(id) AS id FROM public.ledger;
	CREATE FUNCTION public.fires() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM public.trap('a function of a table'); RETURN NULL; END $$;
	CREATE TRIGGER fires AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON public.ledger EXECUTE FUNCTION public.fires();
	CREATE TABLE public.guarded (id int); ALTER TABLE public.guarded ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
	CREATE POLICY p ON public.guarded USING (public.always());`

func TestWhatATenantPutsIntoTablesDoesNotRunInABackup(t *testing.T) {
	m := newTenant(t)
	m.psql(inTables, "-U", "mallory")
	m.psql("SELECT FROM public.ledger WHERE id OPERATOR(pg_catalog.=) 1")
	if caught := m.caught(); !strings.Contains(caught, "a function of a table ran as postgres") {
		t.Errorf("the trap is not live: %q", caught)
	}
	h := newHost(t, append(m.server.Environ(), "PGDATABASE=mal")...)
	m.each("run", func() { h.serve("works alone") })
	m.each("check", func() { h.agent("check") })
	m.each("backup", func() { h.agent("backup", "--database", "mal") })
	m.each("preview", func() {
		h.agent("restore", newest(t, filepath.Join(h.dir, "backups", "mal")), "--to-database", "mal", "--replace", "--preview")
	})
}

// newest is the newest backup in a folder.
func newest(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "backup-*"))
	if err != nil {
		t.Fatal(err)
	}
	for n := len(files) - 1; n >= 0; n-- {
		if !strings.HasSuffix(files[n], ".manifest.json") && !strings.HasSuffix(files[n], ".globals") {
			return files[n]
		}
	}
	t.Fatalf("there is no backup in %q", files)
	return ""
}

// restoreID is that of the restore that replaced something and was not undone.
func restoreID(t *testing.T, h *host) string {
	t.Helper()
	for line := range strings.Lines(h.agent("restores")) {
		if fields := strings.Fields(line); len(fields) > 3 && fields[3] == "-" { // the column UNDONE
			return fields[0]
		}
	}
	t.Fatal("there is no restore to undo")
	return ""
}
