package attack_test

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/seal"
	"github.com/pgharbor/pgharbor/agent/store/local"
)

// verifyHost is the host of an agent: a server that lives, and what the agent keeps. All of it is open to every user of the
// host, so that nothing but the cage keeps a test restore away from it.
type verifyHost struct {
	*postgrestest.Server
	config                    *backup.Config
	state, backups, marks     string
	passphrase, others, proof string
	tcp                       string
	called                    atomic.Int64 // connections to tcp
}

func newVerifyHost(t *testing.T) *verifyHost {
	t.Helper()
	base, err := os.MkdirTemp("/tmp", "pga")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	h := &verifyHost{
		Server: postgrestest.Start(t), state: base + "/state", backups: base + "/backups", marks: base + "/marks", proof: base + "/proof",
	}
	h.passphrase, h.others = h.state+"/passphrase", h.backups+"/other"
	for _, dir := range []string{h.state, h.backups, h.marks, h.proof} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	h.heal(t)
	for _, dir := range []string{base, h.state, h.backups, h.marks, h.proof, h.SocketDir} {
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	h.listen(t)
	h.config = h.newConfig(t, base)
	return h
}

// heal undoes whatever an attack has done.
func (h *verifyHost) heal(t *testing.T) {
	t.Helper()
	marks, err := filepath.Glob(h.marks + "/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, mark := range marks {
		if err := os.Remove(mark); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{h.passphrase, h.others} {
		if err := errors.Join(os.WriteFile(file, []byte("of-nobody-else\n"), 0o600), os.Chmod(file, 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	h.Exec(t, "postgres", "DROP ROLE IF EXISTS intruder")
	h.called.Store(0)
}

func (h *verifyHost) listen(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			h.called.Add(1)
			conn.Close()
		}
	}()
	t.Cleanup(func() { listener.Close(); <-done })
	h.tcp = strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
}

func (h *verifyHost) newConfig(t *testing.T, base string) *backup.Config {
	t.Helper()
	settings, err := postgres.SettingsFrom(h.Environ())
	if err != nil {
		t.Fatal(err)
	}
	instance, err := postgres.Open(settings, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	files, err := local.Open(base + "/backups")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(instance.Close(), files.Close()); err != nil {
			t.Error(err)
		}
	})
	return &backup.Config{
		Instance: instance, Store: files, Keys: seal.Ring{Passphrases: seal.Passphrases{Current: "of-nobody-else"}}, Format: "plain", Compression: "none",
		InstanceName: "harbour", Location: time.UTC, Now: time.Now,
	}
}

// harm is what an attack has done; nothing of it may be.
func (h *verifyHost) harm(t *testing.T) (found []string) {
	t.Helper()
	marks, err := filepath.Glob(h.marks + "/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, mark := range marks {
		found = append(found, filepath.Base(mark))
	}
	if _, err := os.Stat(h.others); err != nil {
		found = append(found, "deleted")
	}
	if content, err := os.ReadFile(h.passphrase); err != nil || len(content) == 0 {
		found = append(found, "emptied")
	}
	if h.Value(t, "postgres", "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'intruder%'") != "0" {
		found = append(found, "intruder")
	}
	if h.called.Load() > 0 {
		found = append(found, "called")
	}
	slices.Sort(found)
	return found
}

// verifyAttacks are statements that a function runs once it runs as a superuser, each by the harm that it does.
func (h *verifyHost) verifyAttacks() map[string]string {
	live := fmt.Sprintf("host=%s port=%d user=postgres dbname=postgres", h.SocketDir, h.Port)
	return map[string]string{
		"secret":  fmt.Sprintf(`COPY (SELECT pg_read_file('%s')) TO '%s/secret'`, h.passphrase, h.marks),
		"listed":  fmt.Sprintf(`COPY (SELECT pg_ls_dir('%s')) TO '%s/listed'`, h.state, h.marks),
		"environ": fmt.Sprintf(`COPY (SELECT pg_read_binary_file('/proc/%d/status')) TO '%s/environ'`, os.Getpid(), h.marks),
		"deleted": fmt.Sprintf(`COPY (SELECT 1) TO PROGRAM 'rm -f %s'`, h.others),
		"emptied": fmt.Sprintf(`COPY (SELECT 1 WHERE false) TO '%s'`, h.passphrase),
		"intruder": fmt.Sprintf(`PERFORM public.dblink_exec('%s', 'CREATE ROLE intruder SUPERUSER')`,
			live),
		"called": fmt.Sprintf(`PERFORM public.dblink_connect('host=127.0.0.1 port=%s dbname=x user=x password=x')`, h.tcp),
		"ran":    fmt.Sprintf(`COPY (SELECT 1) TO PROGRAM 'touch %s/ran'`, h.marks),
	}
}

// script is a function that tries all attacks, in a throwaway server alone, and says nothing of how that went.
func (h *verifyHost) script(harms ...string) string {
	attacks := h.verifyAttacks()
	if len(harms) == 0 {
		harms = slices.Sorted(maps.Keys(attacks))
		slices.Reverse(harms) // "secret" is read before it is "emptied"
	}
	var body strings.Builder
	for _, harm := range harms {
		fmt.Fprintf(&body, "BEGIN %s; EXCEPTION WHEN OTHERS THEN NULL; END;\n", attacks[harm])
	}
	return `CREATE FUNCTION public.harmless(int) RETURNS bool LANGUAGE plpgsql AS $x$ BEGIN
		IF session_user = 'postgres' THEN RETURN true; END IF;
		` + body.String() + `RETURN true; END $x$;
	`
}

func (h *verifyHost) prove(t *testing.T, change func(*backup.TestRestoreRequest)) (backup.TestRestore, error) {
	t.Helper()
	request := backup.TestRestoreRequest{ID: "attack", Dir: h.proof}
	change(&request)
	return backup.New(*h.config).TestRestorer.Run(t.Context(), request)
}

// The owner of a database, whose backup is signed and loaded as it was, has a CHECK that runs wherever rows are loaded. The
// test restore proves the backup, which is whole, and nothing else comes of it. Without a cage, all of it does.
func TestATenantsFunctionReachesNothingFromATestRestore(t *testing.T) {
	for _, format := range []string{"plain", "custom"} {
		t.Run(format, func(t *testing.T) {
			h := newVerifyHost(t)
			h.config.Format = format
			h.Exec(t, "postgres", "CREATE ROLE tenant")
			h.Exec(t, "postgres", "CREATE DATABASE tenants OWNER tenant")
			h.Exec(t, "tenants", "CREATE EXTENSION dblink; "+h.script()+
				"CREATE TABLE public.t (a int CHECK (public.harmless(a))); ALTER TABLE public.t OWNER TO tenant; INSERT INTO public.t VALUES (1);"+
				// What a restore refuses is loaded here as stock tools load it, by the superuser.
				"ALTER FUNCTION public.harmless(int) OWNER TO tenant; CREATE MATERIALIZED VIEW public.refused AS SELECT public.harmless(1) WHERE false")
			manifest, err := backup.New(*h.config).Dumper.Backup(t.Context(), backup.BackupRequest{Database: "tenants", RunID: "run1", Trigger: backup.TriggerManual})
			if err != nil {
				t.Fatal(err)
			}
			stored, err := backup.New(*h.config).Repository.Find(manifest.ID)
			if err != nil {
				t.Fatal(err)
			}
			for _, caged := range []bool{true, false} {
				h.heal(t)
				proof, err := h.prove(t, func(r *backup.TestRestoreRequest) {
					r.From, r.Manifest, r.WithoutCage = backup.New(*h.config).Repository.SourceOf(stored), &stored.Manifest, !caged
				})
				if err != nil || proof.State != backup.TestRestoreSucceeded || proof.Rows != 1 {
					t.Errorf("caged: %v: %+v, %v", caged, proof, err)
				}
				harm := h.harm(t)
				if caged && len(harm) > 0 {
					t.Errorf("it did harm: %q", harm)
				}
				if want := slices.Sorted(maps.Keys(h.verifyAttacks())); !caged && !slices.Equal(harm, want) {
					t.Errorf("without a cage it did %q, so that it shows nothing of the rest of %q", harm, want)
				}
			}
		})
	}
}

// Nobody knows who made these files. They do what they do as the throwaway server's superuser, and do it in a cage.
func TestAFileOfUnknownOriginReachesNothingFromATestRestore(t *testing.T) {
	h := newVerifyHost(t)
	const table = "CREATE TABLE public.t (a int);\nCOPY public.t (a) FROM stdin;\n1\n\\.\n"
	for name, script := range map[string]string{
		"a view in the catalog's place": h.script("ran") + `CREATE VIEW public.pg_class AS SELECT c.* FROM pg_catalog.pg_class c WHERE public.harmless(1);
			DO $x$ BEGIN EXECUTE 'ALTER DATABASE ' || quote_ident(current_database()) || ' SET search_path = public, pg_catalog'; END $x$;
			SELECT count(*) FROM public.pg_class;`,
		"an event trigger": h.script("ran") + `CREATE FUNCTION public.fire() RETURNS event_trigger LANGUAGE plpgsql AS $x$ BEGIN PERFORM public.harmless(1); END $x$;
			CREATE EVENT TRIGGER fire ON ddl_command_end EXECUTE FUNCTION public.fire(); ALTER EVENT TRIGGER fire ENABLE ALWAYS; CREATE TABLE public.u (); DO $x$ BEGIN END $x$;`,
		"a check": h.script("ran", "secret") + "CREATE TABLE public.u (a int CHECK (public.harmless(a)));\nINSERT INTO public.u VALUES (1);",
		"an operator": h.script("ran") + `CREATE FUNCTION public.same(name, name) RETURNS bool LANGUAGE plpgsql AS $x$ BEGIN RETURN public.harmless(1); END $x$;
			CREATE OPERATOR public.= (LEFTARG = name, RIGHTARG = name, FUNCTION = public.same);
			DO $x$ BEGIN EXECUTE 'ALTER DATABASE ' || quote_ident(current_database()) || ' SET search_path = public, pg_catalog'; END $x$;
			SELECT 'a'::name OPERATOR(public.=) 'a'::name;`,
		"a copy to a program":     fmt.Sprintf("COPY (SELECT 1) TO PROGRAM 'touch %s/ran';", h.marks),
		"a copy to a file":        fmt.Sprintf("COPY (SELECT 1) TO '%s/written';", h.marks),
		"a setting of the server": fmt.Sprintf("COMMIT;\nALTER SYSTEM SET session_preload_libraries = 'nowhere';\nCOPY (SELECT 1) TO PROGRAM 'touch %s/ran';", h.marks),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "backup.sql")
			dump := "SET client_encoding = 'UTF8';\n" + table + script + "\n--\n-- PostgreSQL database dump complete\n--\n"
			if err := os.WriteFile(path, []byte(dump), 0o600); err != nil {
				t.Fatal(err)
			}
			h.heal(t)
			if _, err := h.prove(t, func(r *backup.TestRestoreRequest) { r.From, r.Sandboxed = local.File(path), true }); err != nil {
				t.Logf("it is not proven: %v", err)
			}
			if harm := h.harm(t); len(harm) > 0 {
				t.Errorf("it did harm: %q", harm)
			}
			h.heal(t)
			proof, err := h.prove(t, func(r *backup.TestRestoreRequest) { r.From, r.WithoutCage = local.File(path), true })
			if len(h.harm(t)) == 0 {
				t.Errorf("without a cage it does no harm, so that it shows nothing: %+v, %v", proof, err)
			}
		})
	}
}
