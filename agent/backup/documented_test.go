package backup_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/store/local"
)

// The statements of the documentation are enough for backups, restores and replacements, and the look ahead says so.
func TestTheDocumentedRightsAreEnough(t *testing.T) {
	page, err := os.ReadFile("../../docs/agent.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "\n## An agent that is no superuser\n")
	blocks := strings.Split(text, "```sql\n")
	if len(blocks) < 2 {
		t.Fatal("the documentation has no statements")
	}
	instance, _, _ := strings.Cut(blocks[1], "```")
	server := postgrestest.Start(t)
	server.Exec(t, "postgres", "CREATE ROLE shop_owner LOGIN; "+instance)
	server.Exec(t, "postgres", "CREATE DATABASE shop OWNER shop_owner")
	server.Exec(t, "shop", `SET ROLE shop_owner; CREATE TABLE public.goods (n int PRIMARY KEY CHECK (n > 0), twice int GENERATED ALWAYS AS (n * 2) STORED);
		INSERT INTO public.goods SELECT generate_series(1, 10); ALTER TABLE public.goods ENABLE ROW LEVEL SECURITY; ALTER TABLE public.goods FORCE ROW LEVEL SECURITY;
		CREATE POLICY few ON public.goods USING (n < 5)`)
	for _, format := range []string{"plain", "custom"} {
		config := newConfig(t, append(server.Environ(), "PGUSER=pgharbor_agent")...)
		config.Format = format
		manifest := backUp(t, config, "shop")
		for _, replace := range []bool{false, true} {
			request := backup.RestoreRequest{
				From: local.File(filepath.Join(folderOf(config).Dir(), "shop", manifest.Filename)), Manifest: &manifest, Target: "again", RestoreID: "documented", Replace: replace,
			}
			if replace {
				request.Target = "shop"
			}
			for _, check := range backup.New(*config).Restorer.Preview(t.Context(), request) {
				if check.Result != backup.CheckOK {
					t.Errorf("%s: %s %v", format, check.Result, check)
				}
			}
			if err := backup.New(*config).Restorer.Restore(t.Context(), request); err != nil {
				t.Fatalf("%s: %v", format, err)
			}
			if got := server.Value(t, request.Target, "SELECT sum(twice) || ' ' || (SELECT tableowner FROM pg_tables WHERE tablename = 'goods') FROM public.goods"); got != "110 shop_owner" {
				t.Errorf("%s: %s", format, got)
			}
		}
		server.DropDatabase(t, "again")
		server.DropDatabase(t, "shop_before_documented")
	}
}
