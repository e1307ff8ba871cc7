package backup_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/store/local"
)

const publicRights = "SELECT coalesce(nspacl::text, '') FROM pg_namespace WHERE nspname = 'public'"

// smallAgent is a server with a role of what docs/agent.md gives an agent that is no superuser, and a database of app's with objects in
// public.
func smallAgent(t *testing.T, grants string) (server *postgrestest.Server, environ []string) {
	t.Helper()
	server = postgrestest.Start(t)
	server.Exec(t, "postgres", `CREATE ROLE app; CREATE ROLE reader; CREATE ROLE agent LOGIN CREATEDB CREATEROLE BYPASSRLS; GRANT app TO agent WITH ADMIN OPTION;
		GRANT pg_read_all_data, pg_read_all_settings, pg_read_all_stats, pg_signal_backend TO agent`)
	server.CreateDatabase(t, "shop")
	server.Exec(t, "postgres", "ALTER DATABASE shop OWNER TO app")
	server.Exec(t, "shop", grants+`; SET ROLE app; CREATE FUNCTION public.ok(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
		CREATE TABLE public.goods (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text CHECK (public.ok(name))); INSERT INTO public.goods (name) VALUES ('x');
		CREATE VIEW public.v AS SELECT public.ok(name) FROM public.goods; GRANT SELECT ON public.goods TO reader; RESET ROLE`)
	return server, append(server.Environ(), "PGUSER=agent")
}

// A database's owner makes objects in public by owning the database, which is the agent's while it is restored: the owner is lent that
// right, and keeps it only where the dump says so.
func TestASmallAgentRestoresWhatADatabasesOwnerHasInPublic(t *testing.T) {
	for name, grants := range map[string]string{
		"by owning it": "", "by a grant": "GRANT CREATE ON SCHEMA public TO app", "closed to others": "REVOKE ALL ON SCHEMA public FROM PUBLIC; GRANT USAGE ON SCHEMA public TO reader",
	} {
		t.Run(name, func(t *testing.T) {
			server, environ := smallAgent(t, grants)
			for _, format := range []string{postgres.FormatPlain, postgres.FormatCustom, ""} { // the last one trusts the content
				agent := newConfig(t, environ...)
				agent.Format = format
				manifest := backUp(t, agent, "shop")
				if err := backup.New(*agent).Restorer.Restore(t.Context(), backup.RestoreRequest{
					From: local.File(filepath.Join(folderOf(agent).Dir(), "shop", manifest.Filename)), Manifest: &manifest, Target: "again", RestoreID: "small", TrustContent: format == "",
				}); err != nil {
					t.Errorf("%s: %v\n%s", format, err, postgres.Words(err))
					continue
				}
				if diff := cmp.Diff(server.Value(t, "shop", publicRights), server.Value(t, "again", publicRights)); diff != "" {
					t.Errorf("%s: rights on public (-before +after):\n%s", format, diff)
				}
				if got := server.Value(t, "again", "SELECT proowner::regrole || ' ' || (SELECT count(*) FROM public.goods) FROM pg_proc WHERE proname = 'ok'"); got != "app 1" {
					t.Errorf("%s: %s", format, got)
				}
				server.DropDatabase(t, "again")
			}
		})
	}
}

// Who owns something in a schema may have no right to make anything there.
func TestASmallAgentRestoresWhatStandsWhereItsOwnerMayMakeNothing(t *testing.T) {
	server, environ := smallAgent(t, `CREATE ROLE dora; GRANT dora TO agent WITH ADMIN OPTION; CREATE SCHEMA c AUTHORIZATION app; CREATE FUNCTION c.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER FUNCTION c.f() OWNER TO dora;
		CREATE TABLE c.t (id int PRIMARY KEY); INSERT INTO c.t VALUES (1); ALTER TABLE c.t OWNER TO dora; CREATE VIEW c.v AS SELECT 1; ALTER VIEW c.v OWNER TO dora`)
	for _, format := range []string{postgres.FormatPlain, postgres.FormatCustom} {
		agent := newConfig(t, environ...)
		agent.Format = format
		manifest := backUp(t, agent, "shop")
		if err := backup.New(*agent).Restorer.Restore(t.Context(), backup.RestoreRequest{
			From: local.File(filepath.Join(folderOf(agent).Dir(), "shop", manifest.Filename)), Manifest: &manifest, Target: "again", RestoreID: "small",
		}); err != nil {
			t.Fatalf("%s: %v\n%s", format, err, postgres.Words(err))
		}
		const owners = "SELECT string_agg(relname || ' ' || relowner::regrole, ', ' ORDER BY relname) || has_schema_privilege('dora', 'c', 'CREATE') FROM pg_class WHERE relnamespace = 'c'::regnamespace"
		if got := server.Value(t, "again", owners); got != "t dora, t_pkey dora, v dorafalse" {
			t.Errorf("%s: %s", format, got)
		}
		server.DropDatabase(t, "again")
	}
}

// Where nothing is kept that says who owned the database, it is foretold.
func TestPreviewForetellsWhatASmallAgentMayNotGiveInPublic(t *testing.T) {
	_, environ := smallAgent(t, "")
	agent := newConfig(t, environ...)
	manifest := backUp(t, agent, "shop")
	look := func() string {
		return lineOf(backup.New(*agent).Restorer.Preview(t.Context(), backup.RestoreRequest{
			From: local.File(filepath.Join(folderOf(agent).Dir(), "shop", manifest.Filename)), Manifest: &manifest, Target: "again",
		}), "owners")
	}
	if got := look(); !strings.HasPrefix(got, "OK") {
		t.Error(got)
	}
	manifest.Globals = nil
	if got := look(); !strings.HasPrefix(got, "WARN owners: nothing says who owned the database") {
		t.Error(got)
	}
}
