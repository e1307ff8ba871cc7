package backup_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/seal"
	"github.com/pgharbor/pgharbor/agent/signing"
	"github.com/pgharbor/pgharbor/agent/store"
	"github.com/pgharbor/pgharbor/internal/subject"
)

func TestTheKindAndTheSubjectOfABackupAreWrittenAndProven(t *testing.T) {
	sample(t, "harbour")
	config := signed(t, newConfig(t))
	config.Keys.Passphrases = seal.Passphrases{Current: "open sesame"}
	made := backUp(t, config, "harbour")
	content := manifestOf(t, config, made.ID)
	for _, line := range []string{"\n  \"kind\": \"logical\",\n", "\n  \"subject\": \"database\",\n", "\n  \"database\": \"harbour\",\n"} {
		if !bytes.Contains(content, []byte(line)) {
			t.Errorf("%q is not in %s", line, content)
		}
	}
	if made.Series() != subject.LogicalOf("harbour") {
		t.Errorf("it is of %s", made.Series())
	}
	key, err := config.Signer.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	for old, changed := range map[string]string{
		"  \"kind\": \"logical\",\n": "", `"kind": "logical"`: `"kind": "unheard"`, "  \"subject\": \"database\",\n": "", `"subject": "database"`: `"subject": "tablespace"`,
	} {
		mustBreak(t, old+" made "+changed, bytes.Replace(content, []byte(old), []byte(changed), 1), key)
	}
}

func TestTheSubjectOfAnImportedFileIsWritten(t *testing.T) {
	for _, database := range []string{"harbour", ""} {
		config := newConfig(t)
		dump := "--\n-- PostgreSQL database dump\n--\n\n--\n-- PostgreSQL database dump complete\n--\n\n"
		if err := os.WriteFile(folderOf(config).Dir()+"/backup-2026-06-30-01-00-00.sql", []byte(dump), 0o600); err != nil {
			t.Fatal(err)
		}
		imported, err := backup.New(*config).Importer.Import(t.Context(), database)
		if err != nil || len(imported) != 1 {
			t.Fatalf("%d imported, %v", len(imported), err)
		}
		stored, err := backup.New(*config).Repository.Find(imported[0].ID)
		if err != nil || stored.Series() != subject.LogicalOf(database) || stored.Kind != "logical" || stored.Series().Subject == subject.Instance() {
			t.Errorf("imported for %q, it is of %s, kind %q, %v", database, stored.Series(), stored.Kind, err)
		}
	}
}

// changeManifest writes a manifest again, of a config that does not sign.
func changeManifest(t *testing.T, config *backup.Config, id, old, changed string) {
	t.Helper()
	stored, err := backup.New(*config).Repository.Find(id)
	if err != nil {
		t.Fatal(err)
	}
	content := manifestOf(t, config, id)
	if !bytes.Contains(content, []byte(old)) {
		t.Fatalf("%q is not in %s", old, content)
	}
	content = bytes.Replace(content, []byte(old), []byte(changed), 1)
	if err := os.WriteFile(folderOf(config).Path(stored.Location)+".manifest.json", content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestABackupOfANewerKindIsKeptHashedAndNotRestored(t *testing.T) {
	sample(t, "harbour")
	config := newConfig(t)
	made := backUp(t, config, "harbour")
	changeManifest(t, config, made.ID, `"kind": "logical"`, `"kind": "unheard"`)
	stored, err := backup.New(*config).Repository.Find(made.ID)
	if err != nil || stored.State != backup.StatePresent {
		t.Fatalf("%+v, %v", stored, err)
	}
	if damage, err := backup.New(*config).Repository.Scrub(t.Context(), stored, nil); damage != "" || err != nil {
		t.Errorf("read again: %q, %v", damage, err)
	}
	mustBeOfANewerOne(t, config, stored)
}

func TestABackupOfSomethingElseDoesNotBelongIntoTheFolderOfADatabase(t *testing.T) {
	sample(t, "harbour")
	config := newConfig(t)
	made := backUp(t, config, "harbour")
	changeManifest(t, config, made.ID, `"subject": "database"`, `"subject": "tablespace"`)
	if _, err := backup.New(*config).Repository.Inventory(); !errors.Is(err, backup.ErrForged) || !strings.Contains(err.Error(), "tablespace") {
		t.Errorf("the inventory says %v", err)
	}
}

// mustBeOfANewerOne asserts that all that would read what is in a backup refuses, and says why.
func mustBeOfANewerOne(t *testing.T, config *backup.Config, stored backup.Stored) {
	t.Helper()
	request := backup.RestoreRequest{From: backup.New(*config).Repository.SourceOf(stored), Manifest: &stored.Manifest, Target: "harbour_newer", RestoreID: "newer"}
	_, proveErr := backup.New(*config).TestRestorer.Run(t.Context(), backup.TestRestoreRequest{ID: "newer", From: backup.New(*config).Repository.SourceOf(stored), Manifest: &stored.Manifest, Dir: t.TempDir()})
	for name, err := range map[string]error{
		"restore": backup.New(*config).Restorer.Restore(t.Context(), request), "look ahead": backup.New(*config).Restorer.Preflight(t.Context(), request), "verify": proveErr,
	} {
		if !errors.Is(err, subject.ErrNewer) || !strings.Contains(err.Error(), `of a newer pgharbor: its kind is "unheard"`) {
			t.Errorf("%s: %v", name, err)
		}
		if backup.Failure(err) == backup.FailureIntegrity {
			t.Errorf("%s: it counts as damaged", name)
		}
	}
	checks := backup.New(*config).Restorer.Preview(t.Context(), request)
	if len(checks) != 1 || checks[0].Result != backup.CheckFailed || !strings.Contains(checks[0].Remedy, "upgrade pgharbor") {
		t.Errorf("the look ahead shows %v", checks)
	}
	const left = "SELECT datname FROM pg_database WHERE datname IN ('harbour_newer', 'pgharbor_restore_newer')"
	if made := postgrestest.Shared(t).Query(t, "postgres", left); len(made) != 0 {
		t.Errorf("it made %v", made)
	}
}

func TestABackupOfTheWholeInstanceHasAPlaceOfItsOwnInTheStore(t *testing.T) {
	config := newConfig(t)
	place := subject.Instance().Place()
	unlock, err := config.Store.Lock(place)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	file, err := config.Store.Create(place, "backup-2026-06-30-01-00-00.tar.zst", "run")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write([]byte("a base backup")); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("a base backup"))
	if _, err := file.Commit(func(at store.Location) ([]byte, error) {
		return json.Marshal(backup.Manifest{
			Version: 1, ID: "base", Instance: "test", Kind: "unheard", Subject: subject.Instance().Word(), Filename: at.File, Complete: true,
			SizeBytes: 13, SHA256: hex.EncodeToString(sum[:]), CreatedAt: start, DependsOn: []string{"another"},
		})
	}); err != nil {
		t.Fatal(err)
	}
	inventory, err := backup.New(*config).Repository.Inventory()
	if err != nil || len(inventory) != 1 || inventory[0].State != backup.StatePresent || inventory[0].Series().Subject != subject.Instance() {
		t.Fatalf("%+v, %v", inventory, err)
	}
	if damage, err := backup.New(*config).Repository.Scrub(t.Context(), inventory[0], nil); damage != "" || err != nil {
		t.Errorf("read again: %q, %v", damage, err)
	}
	mustBeOfANewerOne(t, config, inventory[0])
	if err := backup.New(*config).Repository.Remove("base"); err != nil || len(files(t, config)) != 0 {
		t.Errorf("%v are left, %v", files(t, config), err)
	}
}

func TestAManifestThatContradictsItselfIsDamaged(t *testing.T) {
	content := `{"version":1,"id":"a","filename":"backup-2026-06-30-01-00-00.sql","sha256":"a","created_at":"2026-06-30T01:00:00Z",`
	for _, of := range []string{`"subject":"database","database":""}`, `"subject":"instance","database":"harbour"}`} {
		if m, err := backup.ParseManifest([]byte(content + of)); !errors.Is(err, backup.ErrDamaged) {
			t.Errorf("%s is of %s, %v", of, m.Series(), err)
		}
	}
	m, err := backup.ParseManifest([]byte(content + `"subject":"instance","database":""}`))
	if err != nil || m.Series().Subject != subject.Instance() || !errors.Is(m.Series().Check(), subject.ErrNewer) {
		t.Errorf("of a whole instance: %s, %v", m.Series(), err)
	}
}

func TestEachSeriesHasItsOwnChainOfSignatures(t *testing.T) {
	signer := signing.Open(t.TempDir())
	if err := signer.Begin(func() ([]string, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	sign := func(series subject.Series) (got int64) {
		_, err := signer.Extend(series.Key(), func(sequence int64, _ string) ([]byte, error) {
			got = sequence
			return []byte(series.String()), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	base := subject.ReadKind("unheard")
	for _, series := range []subject.Series{
		subject.LogicalOf("harbour"), {Subject: subject.Database("harbour"), Kind: base}, {Subject: subject.Instance(), Kind: base},
		{Subject: subject.Instance()}, subject.LogicalOf("instance"), subject.LogicalOf(""),
	} {
		if first, second := sign(series), sign(series); first != 1 || second != 2 {
			t.Errorf("%s: %d, %d", series, first, second)
		}
	}
	if link, err := signer.Head("harbour"); err != nil || link.Sequence != 2 {
		t.Errorf("the chain of before is at %d, %v", link.Sequence, err)
	}
}
