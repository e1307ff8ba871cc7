package job

import (
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/seal"
	"github.com/pgharbor/pgharbor/agent/state"
)

// A passphrase that was lost or changed shows before the worst day, in the status of the agent.
func TestBackupsThatNoKeyOpensAreTold(t *testing.T) {
	postgrestest.Shared(t).CreateDatabase(t, "locked")
	const before, after = "the passphrase of before", "the passphrase of now"
	first := newRunner(t, func(c *Config) { c.Host.Keys = seal.Ring{Passphrases: seal.Passphrases{Current: before}} })
	var newest string
	for range 2 {
		outcome := first.Runs.BackUp(t.Context(), Request{Databases: []string{"locked"}, Trigger: state.TriggerManual})[0]
		if outcome.Err != nil {
			t.Fatal(outcome.Err)
		}
		newest = outcome.Manifest.ID
	}
	for name, test := range map[string]struct {
		keys seal.Passphrases
		want string // part of the warning; empty is none
	}{
		"the same":            {seal.Passphrases{Current: before}, ""},
		"kept as an old one":  {seal.Passphrases{Current: after, Old: []string{before}}, ""},
		"changed":             {seal.Passphrases{Current: after}, backup.ErrWrongPassphrase.Error()},
		"lost":                {seal.Passphrases{}, backup.ErrNoPassphrase.Error()},
		"only another is old": {seal.Passphrases{Current: after, Old: []string{"neither"}}, backup.ErrWrongPassphrase.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			r := newOffline(t, func(c *Config) { c.Host.Store, c.Host.Keys = first.Host.Store, seal.Ring{Passphrases: test.keys} })
			r.Inventory.Fresh()
			warning := r.Status.Last().KeyWarning
			switch {
			case test.want == "" && warning != "":
				t.Errorf("it warns: %s", warning)
			case test.want != "" && (!strings.HasPrefix(warning, "2 backups") || !strings.Contains(warning, newest) || !strings.HasSuffix(warning, test.want)):
				t.Errorf("it says %q, want 2 backups, the newest %s, and %q", warning, newest, test.want)
			}
		})
	}
}
