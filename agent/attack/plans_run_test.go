package attack_test

import (
	"errors"
	"maps"
	"testing"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/store/local"
)

// What nobody had tried before: each of these plans gained something by a restore when it was written.
func TestNewPlansGainNothing(t *testing.T) {
	all := map[string]plan{}
	for _, some := range []map[string]plan{plansWhileLoaded, plansOfNames, plansOfText, plansOfDeputiesAgain, plansOfDefiners, plansBeforeAllIsThere} {
		maps.Copy(all, some)
	}
	for name, p := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := loadServer(t)
			p.prepare(t, server)
			p.gainsNothing(t, server, func(format string) *backup.Config { return loadConfig(t, server, format) })
			if p.ours {
				return
			}
			forget(t, server)
			stockArchive(t, server)
			if len(p.harm(t, server, "stock", true)) == 0 {
				t.Errorf("stock tools are not harmed: the plan is not live; sprung are %v", sprung(t, server))
			}
		})
	}
}

// The same by an agent that is no superuser.
func TestNewPlansGainNothingByASmallAgent(t *testing.T) {
	all := maps.Clone(plansWhileLoaded)
	delete(all, "delete and insert while nobody loads") // of a superuser's table, and so refused
	for name, p := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := loadServer(t)
			server.Exec(t, "postgres", smallRole)
			p.prepare(t, server)
			p.gainsNothing(t, server, func(format string) *backup.Config { return smallConfig(t, server, format) })
		})
	}
}

// What a superuser took from everybody on the server's own functions and an extension's is not given back, or it is told.
func TestASmallAgentTellsWhatItCannotTakeAgain(t *testing.T) {
	server := loadServer(t)
	server.Exec(t, "postgres", smallRole)
	as(t, server, "postgres", bobs+`RESET ROLE; CREATE EXTENSION fuzzystrmatch; REVOKE ALL ON FUNCTION public.soundex(text), pg_catalog.lo_create(oid) FROM PUBLIC;
		REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC; REVOKE SELECT ON pg_catalog.pg_proc FROM PUBLIC`)
	as(t, server, "mallory", "CREATE SCHEMA hers; CREATE TABLE hers.t (a int)")
	config := smallConfig(t, server, postgres.FormatCustom)
	manifest := loadDump(t, config)
	stored, err := backup.New(*config).Repository.Find(manifest.ID)
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	err = backup.New(*config).Restorer.Restore(t.Context(), backup.RestoreRequest{
		From: local.File(folderOf(config).Path(stored.Location)), Manifest: &stored.Manifest, Target: "guarded", RestoreID: "attack", OnWarning: func(string) { told++ },
	})
	if err != nil || told > 0 {
		return
	}
	for _, sql := range []string{
		"has_function_privilege('mallory', 'public.soundex(text)', 'EXECUTE')", "has_function_privilege('mallory', 'pg_catalog.lo_create(oid)', 'EXECUTE')",
		"has_language_privilege('mallory', 'plpgsql', 'USAGE')", "has_table_privilege('mallory', 'pg_catalog.pg_proc', 'SELECT')",
	} {
		if before, after := server.Value(t, "mal", "SELECT "+sql), server.Value(t, "guarded", "SELECT "+sql); before != after {
			t.Errorf("%s: %s before, %s after", sql, before, after)
		}
	}
}

// prepare makes what a plan has in the source, where it gains nothing.
func (p plan) prepare(t *testing.T, server *postgrestest.Server) {
	t.Helper()
	as(t, server, "postgres", bobs)
	as(t, server, "mallory", weapons+"CREATE TABLE hers.log (s text); GRANT USAGE ON SCHEMA hers TO PUBLIC; GRANT ALL ON hers.log TO PUBLIC")
	for _, step := range []struct{ role, sql string }{{"postgres", p.before}, {"mallory", p.hers}, {"postgres", p.after}} {
		as(t, server, step.role, step.sql)
	}
	for sql, want := range p.probe {
		if got := server.Value(t, "mal", sql); got != want {
			t.Errorf("it gains in the source already: %s = %s, want %s", sql, got, want)
		}
	}
}

// gainsNothing restores a plan's database in both formats, by one session and by four, and wants no harm.
func (p plan) gainsNothing(t *testing.T, server *postgrestest.Server, configOf func(format string) *backup.Config) {
	t.Helper()
	for format, jobs := range map[string]int{postgres.FormatPlain: 1, postgres.FormatCustom: 4} {
		config := configOf(format)
		config.RestoreJobs = jobs
		manifest := loadDump(t, config)
		forget(t, server)
		err := loadBackup(t, config, manifest, "guarded", false)
		wantNoLogins(t, server)
		if err != nil && !errors.Is(err, backup.ErrContent) {
			t.Fatalf("%s: %v", format, err)
		}
		for _, harm := range p.harm(t, server, "guarded", err == nil) {
			t.Errorf("%s: %s", format, harm)
		}
		if err == nil { // otherwise it is refused, with nothing left
			server.DropDatabase(t, "guarded")
		}
	}
}

// smallRole makes what an agent has that is no superuser.
const smallRole = `CREATE ROLE agent LOGIN CREATEDB CREATEROLE BYPASSRLS; GRANT mallory, bob TO agent WITH ADMIN OPTION;
	GRANT pg_read_all_data, pg_read_all_settings, pg_read_all_stats, pg_signal_backend TO agent`

// smallConfig is a config on a server, as that role.
func smallConfig(t *testing.T, server *postgrestest.Server, format string) *backup.Config {
	t.Helper()
	settings, err := postgres.SettingsFrom(append(server.Environ(), "PGUSER=agent"))
	if err != nil {
		t.Fatal(err)
	}
	instance, err := postgres.Open(settings, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := instance.Close(); err != nil {
			t.Error(err)
		}
	})
	config := loadConfig(t, server, format)
	config.Instance = instance
	return config
}
