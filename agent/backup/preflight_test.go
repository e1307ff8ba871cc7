package backup_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/store/local"
)

// obstacles are what stands in the way of a restore, and the check that says so.
var obstacles = []struct {
	failed string // the check
	text   string // of its line
	change func(*backup.RestoreRequest, *backup.Manifest)
	role   string
}{
	{"target", "exists already", func(r *backup.RestoreRequest, _ *backup.Manifest) { r.Target = "harbour" }, ""},
	{"target", "longer than 63 bytes", func(r *backup.RestoreRequest, _ *backup.Manifest) { r.Target = strings.Repeat("x", 64) }, ""},
	{"target", "restores under way", func(r *backup.RestoreRequest, _ *backup.Manifest) { r.Target = "pgharbor_restore_x" }, ""},
	{"versions", "server of version 99 or newer", func(_ *backup.RestoreRequest, m *backup.Manifest) { m.ServerVersion = "99.1" }, ""},
	{"locale", "xx_XX.utf8: the server does not have the locale", func(_ *backup.RestoreRequest, m *backup.Manifest) { m.Collation = "xx_XX.utf8" }, ""},
	{"locale", "come with PostgreSQL 17", func(_ *backup.RestoreRequest, m *backup.Manifest) { m.LocaleProvider = "builtin" }, ""},
	{"extensions", "the server does not have the extensions nowhere", func(_ *backup.RestoreRequest, m *backup.Manifest) {
		m.Needs.Extensions = []string{"nowhere", "plpgsql"}
	}, ""},
	{"tablespaces", "tablespaces fast", func(_ *backup.RestoreRequest, m *backup.Manifest) { m.Needs.Tablespaces = []string{"fast"} }, ""},
	{"roles", "roles bosun", func(_ *backup.RestoreRequest, m *backup.Manifest) { m.Needs.Roles = []string{"bosun"} }, ""},
	{"disk", "make room", func(_ *backup.RestoreRequest, m *backup.Manifest) { m.PlainSizeBytes = 1 << 60 }, ""},
	{"rights", "lacks CREATEDB", func(*backup.RestoreRequest, *backup.Manifest) {}, "mate"},
	{"rights", `lacks the ownership of database "harbour"`, func(r *backup.RestoreRequest, _ *backup.Manifest) { r.Target, r.Replace = "harbour", true }, "maker"},
	{"event triggers", "only a superuser can", func(_ *backup.RestoreRequest, m *backup.Manifest) { m.Needs.EventTriggers = 1 }, "maker"},
}

// What stands in the way is told before a byte moves, by its name and with what to do, and the restore does not begin.
func TestPreviewFindsWhatStandsInTheWay(t *testing.T) {
	server := sample(t, "harbour")
	server.Exec(t, "postgres", "CREATE ROLE mate LOGIN; CREATE ROLE maker LOGIN CREATEDB")
	t.Cleanup(func() { server.Exec(t, "postgres", "DROP ROLE mate, maker") })
	stored := newConfig(t)
	stored.Keys.Passphrases.Current = "secret"
	manifest := backUp(t, stored, "harbour")
	if manifest.Needs == nil || !slices.Equal(manifest.Needs.Owners, []string{"postgres"}) {
		t.Fatalf("the manifest says that the dump needs %+v", manifest.Needs)
	}
	path := filepath.Join(folderOf(stored).Dir(), "harbour", manifest.Filename)
	for _, test := range obstacles {
		t.Run(test.failed+" "+test.text, func(t *testing.T) {
			config := newConfig(t)
			if test.role != "" {
				config = newConfig(t, "PGUSER="+test.role)
			}
			config.Store, config.Keys.Passphrases = stored.Store, stored.Keys.Passphrases
			changed, needs := manifest, *manifest.Needs
			changed.Needs = &needs
			request := backup.RestoreRequest{From: local.File(path), Manifest: &changed, Target: "harbour2", RestoreID: "look"}
			test.change(&request, &changed)
			guarded, mark := noPsql(t, config)
			if test.role == "" {
				config = guarded
			}
			checks := backup.New(*config).Restorer.Preview(t.Context(), request)
			failed := slices.DeleteFunc(slices.Clone(checks), func(c backup.PreflightCheck) bool { return c.Result != backup.CheckFailed })
			if test.role != "" { // who has no superuser's rights reads no setting data_directory, which is no failure
				failed = slices.DeleteFunc(failed, func(c backup.PreflightCheck) bool { return c.Name != test.failed })
			}
			if len(failed) != 1 || failed[0].Name != test.failed || !strings.Contains(failed[0].String(), test.text) || failed[0].Remedy == "" && test.failed != "target" {
				t.Errorf("failed are %v, of %v", failed, checks)
			}
			if err := backup.New(*config).Restorer.Restore(t.Context(), request); len(backup.FailedChecks(err)) == 0 {
				t.Errorf("the restore: %v", err)
			}
			if _, err := os.Stat(mark); err == nil {
				t.Error("psql was started")
			}
			untouched(t, "harbour2")
		})
	}
}

// A manifest from before dumps were looked at for what they need makes the preview read the whole file.
func TestPreviewReadsTheFileWhereTheManifestDoesNotSay(t *testing.T) {
	sample(t, "harbour")
	config := newConfig(t)
	manifest := backUp(t, config, "harbour")
	manifest.Needs = nil
	checks := backup.New(*config).Restorer.Preview(t.Context(), backup.RestoreRequest{
		From: local.File(filepath.Join(folderOf(config).Dir(), "harbour", manifest.Filename)), Manifest: &manifest, Target: "harbour2", RestoreID: "look",
	})
	var names []string
	for _, check := range checks {
		names = append(names, check.Name)
		if check.Result == backup.CheckFailed {
			t.Error(check)
		}
	}
	if !slices.Contains(names, "content") || !slices.Contains(names, "roles") {
		t.Errorf("looked at %v", names)
	}
}
