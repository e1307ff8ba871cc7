package job

import (
	"context"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/policy"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/signing"
	"github.com/pgharbor/pgharbor/agent/state"
	"github.com/pgharbor/pgharbor/agent/store"
)

// withPsql lets a runner find a psql that says it is of some version.
func withPsql(t *testing.T, version string) *Runner {
	t.Helper()
	dir := t.TempDir()
	script := "#!/bin/sh\n[ \"$1\" = --version ] && echo 'psql (PostgreSQL) " + version + "' && exit\nexec psql \"$@\"\n"
	if err := os.WriteFile(filepath.Join(dir, "psql"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	settings, err := postgres.SettingsFrom(append(postgrestest.Shared(t).Environ(), "PATH="+dir+":"+os.Getenv("PATH")))
	if err != nil {
		t.Fatal(err)
	}
	instance, err := postgres.Open(settings, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = instance.Close() })
	return newRunner(t, func(c *Config) { c.Engine.Instance = instance })
}

// By who made a file, by what somebody says of it and by what psql is, it is loaded as it is,
// sandboxed, or not at all.
func TestAdmit(t *testing.T) {
	safe, vulnerable := withPsql(t, "18.7"), withPsql(t, "15.19")
	tests := []struct {
		kind      backup.OriginKind
		runner    *Runner
		consent   Consent
		sandboxed bool
		err       error
	}{
		{backup.OriginSigned, vulnerable, "", false, nil},
		{backup.OriginPassphrase, vulnerable, "", false, nil},
		{backup.OriginNoted, vulnerable, "", false, nil},
		{backup.OriginVouched, safe, "", true, nil},
		{backup.OriginVouched, vulnerable, "", false, backup.ErrUnproven},
		{backup.OriginShared, safe, "", true, nil},
		{backup.OriginShared, vulnerable, "", false, backup.ErrUnproven},
		{backup.OriginRestored, safe, "", true, nil},
		{backup.OriginRestored, vulnerable, "", false, backup.ErrUnproven},
		{backup.OriginFolder, vulnerable, "", true, nil},
		{backup.OriginUnknown, safe, "", true, nil},
		{backup.OriginUnknown, vulnerable, "", false, backup.ErrUnproven},
		{backup.OriginUnknown, vulnerable, ConsentUnsigned, true, nil},
		{backup.OriginUnknown, vulnerable, ConsentTrust, false, nil},
	}
	for _, test := range tests {
		sandboxed, err := test.runner.admission.admit(t.Context(), backup.Origin{Kind: test.kind}, test.consent)
		if sandboxed != test.sandboxed || !errors.Is(err, test.err) {
			t.Errorf("%s with %q: sandboxed is %t, %v", test.kind, test.consent, sandboxed, err)
		}
	}
}

// lender is another instance's agent, and the control plane between.
type lender struct {
	manifest []byte
	content  []byte
	broken   error // how the stream ends, after half of it
	begun    error // how Begin was answered
}

// Fetch implements Fetcher.
func (l *lender) Fetch(_ context.Context, _ string, to Receiver) error {
	if l.begun = to.Begin(l.manifest); l.begun != nil {
		return l.begun
	}
	half := len(l.content) / 2
	if _, err := to.Write(l.content[:half]); err != nil || l.broken != nil {
		return errors.Join(err, l.broken)
	}
	_, err := to.Write(l.content[half:])
	return err
}

// lend makes a backup on another instance and returns what its agent would send.
func lend(t *testing.T, database string) (lender, backup.Manifest, ed25519.PublicKey) {
	t.Helper()
	other := newRunner(t, func(c *Config) { c.Engine.InstanceName = "other-db" })
	outcomes := other.Runs.BackUp(t.Context(), Request{Trigger: state.TriggerManual, Databases: []string{database}})
	if err := Failures(outcomes); err != nil {
		t.Fatal(err)
	}
	stored, err := other.Engine.Find(outcomes[0].Manifest.ID)
	if err != nil {
		t.Fatal(err)
	}
	path := folderOf(other.Engine).Path(stored.Location)
	var l lender
	for name, into := range map[string]*[]byte{path: &l.content, store.ManifestName(path): &l.manifest} {
		if *into, err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	if stored.Globals != nil {
		globals, err := os.ReadFile(path + ".globals")
		if err != nil {
			t.Fatal(err)
		}
		l.content = append(l.content, globals...)
	}
	key, err := other.Engine.Signer.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return l, stored.Manifest, key
}

// dropRestored drops a restored database, and the roles of restores.
func dropRestored(t *testing.T, database string) {
	t.Helper()
	server := postgrestest.Shared(t)
	server.DropDatabase(t, database)
	for _, row := range server.Query(t, "postgres", "SELECT rolname FROM pg_roles WHERE rolname LIKE 'pgharbor_restore_%'") {
		server.Exec(t, "postgres", `DROP ROLE "`+row[0]+`"`)
	}
}

// Another instance's backup is restored if it is what that instance's agent signed, and whatever
// was fetched is gone in the end.
func TestRestoreOfAnotherInstancesBackup(t *testing.T) {
	server := postgrestest.Shared(t)
	server.CreateDatabase(t, "lent")
	server.Exec(t, "lent", "CREATE TABLE goods AS SELECT generate_series(1, 100) AS id")
	good, manifest, key := lend(t, "lent")
	stranger, err := signing.Open(t.TempDir()), error(nil)
	if err = stranger.Begin(func() ([]string, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	strange, err := stranger.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		change  func(l *lender, s *RestoreSpec)
		failure string // "" if it succeeds
		says    string
	}{
		"as it is":         {func(*lender, *RestoreSpec) {}, "", ""},
		"another key":      {func(_ *lender, s *RestoreSpec) { s.Source.Key = strange }, backup.FailureIntegrity, "signed by the key"},
		"another backup":   {func(_ *lender, s *RestoreSpec) { s.BackupID = "abcdefghijklmnop" }, backup.FailureIntegrity, "it is that of"},
		"itself":           {func(_ *lender, s *RestoreSpec) { s.Source.Instance = "shop-db" }, backup.FailureOther, "does not come from another"},
		"another instance": {func(_ *lender, s *RestoreSpec) { s.Source.Instance = "third-db" }, backup.FailureIntegrity, "it is that of"},
		"no manifest":      {func(l *lender, _ *RestoreSpec) { l.manifest = nil }, backup.FailureOther, "older"},
		"more rows in it": {func(l *lender, _ *RestoreSpec) {
			l.manifest = []byte(strings.Replace(string(l.manifest), "100", "101", 1))
		}, backup.FailureIntegrity, "does not hold"},
		"a byte changed":          {func(l *lender, _ *RestoreSpec) { l.content[len(l.content)/3] ^= 1 }, backup.FailureIntegrity, ""},
		"a byte too many":         {func(l *lender, _ *RestoreSpec) { l.content = append(l.content, 0) }, backup.FailureIntegrity, "more came"},
		"a byte too few":          {func(l *lender, _ *RestoreSpec) { l.content = l.content[:len(l.content)-1] }, "", ""},
		"cut":                     {func(l *lender, _ *RestoreSpec) { l.content = l.content[:len(l.content)/4] }, backup.FailureIntegrity, ""},
		"broken off in its midst": {func(l *lender, _ *RestoreSpec) { l.broken = errors.New("the line went dead") }, backup.FailureOther, "went dead"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l := good
			l.content = append([]byte(nil), good.content...)
			spec := &RestoreSpec{BackupID: manifest.ID, Target: "lent2", Source: &Source{Instance: "other-db", TransferID: "t", Key: key, From: &l}}
			test.change(&l, spec)
			r := newRunner(t, func(c *Config) {
				c.HostPolicy = func() (policy.Policy, error) { return policy.Parse([]byte(`{"unproven": true}`)) }
			})
			t.Cleanup(func() { dropRestored(t, "lent2") })
			result := accept(t, r, Job{ID: "job1", Spec: *spec})
			if result.Failure != test.failure || !strings.Contains(result.Error, test.says) {
				t.Errorf("it ends as %s, %q: %s", result.State, result.Failure, result.Error)
			}
			if test.failure == "" && server.Value(t, "lent2", "SELECT count(*) FROM goods") != "100" {
				t.Error("the rows are not there")
			}
			left, err := filepath.Glob(filepath.Join(folderOf(r.Engine).Dir(), ".incoming", "*"))
			if err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// What a killed agent had fetched goes when the next one starts.
func TestRecoverRemovesWhatWasFetched(t *testing.T) {
	r := newRunner(t, nil)
	file, err := r.Engine.Store.CreateIncoming("job1", store.Dump)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	abandon(t, r.State, state.Record{ID: "job-job1", JobID: "job1", Restore: &state.Restore{ID: "job1", Target: "lent2"}})
	if err := r.Recovery.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Join(folderOf(r.Engine).Dir(), ".incoming", "*")); err != nil || len(left) > 0 {
		t.Errorf("it is still there: %v, %v", left, err)
	}
}

// Anyone who is refused a file of another host is told which word of the policy would allow it, and
// of whom.
func TestADeniedInstanceIsNamedWithItsRule(t *testing.T) {
	r := newRunner(t, nil)
	_, err := r.admission.admitAsked(t.Context(), policy.Default(), backup.Origin{Kind: backup.OriginShared}, backup.Manifest{Instance: "spare-db"})
	const want = `does not allow a restore from "spare-db": restore_from in the policy file there does not name that instance`
	if backup.Failure(err) != backup.FailureNotAllowed || !strings.Contains(err.Error(), want) {
		t.Errorf("error = %v", err)
	}
}
