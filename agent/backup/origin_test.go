package backup_test

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/postgres/postgrestest"
	"github.com/pgharbor/pgharbor/agent/seal"
	"github.com/pgharbor/pgharbor/agent/signing"
)

// signed makes a config sign, with a key of its own.
func signed(t *testing.T, config *backup.Config) *backup.Config {
	t.Helper()
	config.Signer = signing.Open(t.TempDir())
	if err := backup.New(*config).Repository.BeginSigning(); err != nil {
		t.Fatal(err)
	}
	return config
}

// manifestOf returns a manifest as it is stored.
func manifestOf(t *testing.T, config *backup.Config, id string) []byte {
	t.Helper()
	stored, err := backup.New(*config).Repository.Find(id)
	if err != nil {
		t.Fatal(err)
	}
	content, err := backup.New(*config).Repository.ReadManifest(stored.Location)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func originOf(config *backup.Config, content []byte, vouched *backup.Config) (backup.OriginKind, error) {
	manifest, err := backup.ParseManifest(content)
	if err != nil {
		return "", err
	}
	var key []byte
	if vouched != nil {
		key, err = vouched.Signer.PublicKey()
		if err != nil {
			return "", err
		}
	}
	origin, err := backup.New(*config).Origins.Of(content, manifest, key)
	return origin.Kind, err
}

// Who made a backup is told by whoever can know it: by the agent itself, by an agent that trusts its key, by who has the
// passphrase, and by nobody else.
func TestOrigin(t *testing.T) {
	sample(t, "harbour")
	maker, plain, stranger, sharing := signed(t, newConfig(t)), signed(t, newConfig(t)), signed(t, newConfig(t)), signed(t, newConfig(t))
	trusting, again := signed(t, newConfig(t)), signed(t, newConfig(t)) // the second: after its state folder was lost
	stranger.InstanceName, sharing.InstanceName, trusting.InstanceName = "elsewhere", "elsewhere", "elsewhere"
	trusting.Trusts = func(instance string) bool { return instance == maker.InstanceName }
	trusting.Keys.Passphrases, again.Keys.Passphrases = seal.Passphrases{Current: "secret"}, seal.Passphrases{Current: "secret"}
	maker.Keys.Passphrases = seal.Passphrases{Current: "secret"}
	sharing.Keys.Passphrases = seal.Passphrases{Current: "another", Old: []string{"secret"}}
	content := manifestOf(t, maker, backUp(t, maker, "harbour").ID)
	bare := manifestOf(t, plain, backUp(t, plain, "harbour").ID)
	newer := bytes.Replace(bare, []byte("{\n"), []byte("{\n  \"of_a_newer_pgharbor\": 1,\n"), 1)

	other := signed(t, newConfig(t))
	other.InstanceName, other.Keys.Passphrases = "third-db", maker.Keys.Passphrases
	foreign := manifestOf(t, other, backUp(t, other, "harbour").ID)
	adoptedThere := manifestOf(t, maker, adoptedBackup(t, maker, "harbour").ID)
	adopted := bytes.Replace(unsignedManifest(t, bare), []byte(`"trigger": "manual"`), []byte(`"trigger": "adopted"`), 1)

	tests := map[string]struct {
		config  *backup.Config
		content []byte
		vouched *backup.Config
		want    backup.OriginKind
		err     error
	}{
		"its own":                     {maker, content, nil, backup.OriginSigned, nil},
		"its own, without passphrase": {plain, bare, nil, backup.OriginSigned, nil},
		"a stranger's":                {stranger, bare, nil, backup.OriginUnknown, nil},
		"a stranger's, sealed with another's word":      {stranger, content, nil, backup.OriginUnknown, nil},
		"sealed with a passphrase that is here":         {sharing, content, nil, backup.OriginShared, nil},
		"the same, of an instance that is named":        {trusting, content, nil, backup.OriginPassphrase, nil},
		"the same, of an instance that is not named":    {trusting, foreign, nil, backup.OriginShared, nil},
		"its own, by the passphrase alone":              {again, content, nil, backup.OriginPassphrase, nil},
		"adopted there, by its word and the passphrase": {sharing, adoptedThere, nil, backup.OriginShared, nil},
		"adopted there, and vouched for":                {stranger, adoptedThere, maker, backup.OriginAttested, nil},
		"vouched for":                                   {stranger, bare, plain, backup.OriginAttested, nil},
		"vouched for, and the passphrase is here":       {sharing, content, maker, backup.OriginShared, nil},
		"vouched for with another key":                  {stranger, bare, maker, "", backup.ErrForged},
		"changed":                                       {plain, bytes.Replace(bare, []byte(`"public"`), []byte(`"pubLic"`), 1), nil, "", backup.ErrForged},
		"a field more":                                  {plain, newer, nil, "", backup.ErrForged},
		"changed, and vouched for":                      {stranger, newer, plain, "", backup.ErrForged},
		"changed, and the passphrase is here":           {sharing, bytes.Replace(content, []byte(`"public"`), []byte(`"pubLic"`), 1), nil, backup.OriginUnknown, nil},
		"its signature taken off":                       {plain, unsignedManifest(t, bare), nil, "", backup.ErrUnsigned},
		"its own, of an adopted file by its word alone": {plain, adopted, nil, backup.OriginUnknown, nil},
		"a stranger's, of an adopted file likewise":     {stranger, adopted, nil, backup.OriginUnknown, nil},
		"another's, its signature taken off":            {stranger, unsignedManifest(t, bare), nil, backup.OriginUnknown, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			kind, err := originOf(test.config, test.content, test.vouched)
			if !errors.Is(err, test.err) || (err == nil && kind != test.want) {
				t.Errorf("%q, %v, want %q, %v", kind, err, test.want, test.err)
			}
			if err != nil && backup.Failure(err) != backup.FailureIntegrity {
				t.Errorf("%v is a failure of the kind %s", err, backup.Failure(err))
			}
		})
	}
}

// adoptedBackup is a backup that says of itself that it was adopted, as somebody would who has the passphrase.
func adoptedBackup(t *testing.T, config *backup.Config, database string) backup.Manifest {
	t.Helper()
	manifest, err := backup.New(*config).Dumper.Backup(t.Context(), backup.BackupRequest{RunID: "run", Database: database, Trigger: backup.TriggerImported})
	if err != nil {
		t.Fatal(err)
	}
	return manifest
}

// unsignedManifest takes the signature off, as somebody would who has no key.
func unsignedManifest(t *testing.T, content []byte) []byte {
	t.Helper()
	at := bytes.Index(content, []byte(",\n  \"signature\""))
	if at < 0 {
		t.Fatalf("no signature in %s", content)
	}
	return append(append([]byte(nil), content[:at]...), "\n}\n"...)
}

// What stood in the folder when the agent began to sign is its own; what loses its signature after that is damage, in
// the inventory too, and so is what was changed.
func TestBackupsFromBeforeSignatures(t *testing.T) {
	sample(t, "harbour")
	config := newConfig(t)
	old := backUp(t, config, "harbour")
	signed(t, config)
	if kind, err := originOf(config, manifestOf(t, config, old.ID), nil); kind != backup.OriginGrandfathered || err != nil {
		t.Errorf("from before: %q, %v", kind, err)
	}
	made := backUp(t, config, "harbour")
	stored, err := backup.New(*config).Repository.Find(made.ID)
	if err != nil || made.Sequence != 1 || made.Signature == nil {
		t.Fatalf("the first that is signed: %+v, %v", made, err)
	}
	content := manifestOf(t, config, made.ID)
	path := folderOf(config).Path(stored.Location) + ".manifest.json"
	for name, forged := range map[string][]byte{
		"without its signature": unsignedManifest(t, content),
		"with more rows":        bytes.Replace(content, []byte(`"rows": 2000`), []byte(`"rows": 2001`), 1),
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, forged, 0o600); err != nil {
				t.Fatal(err)
			}
			inventory, err := backup.New(*config).Repository.Inventory()
			if err == nil || !strings.Contains(err.Error(), made.Filename) || len(inventory) != 2 {
				t.Fatalf("%d backups, %v", len(inventory), err)
			}
			states := map[string]string{inventory[0].ID: inventory[0].State, inventory[1].ID: inventory[1].State}
			if states[old.ID] != backup.StatePresent || states[made.ID] != backup.StateDamaged {
				t.Errorf("the states are %v", states)
			}
			if told := inventory[0].Damage + inventory[1].Damage; !strings.HasPrefix(told, "the manifest ") {
				t.Errorf("what is wrong is said to be %q", told)
			}
		})
	}
}

// Each manifest names the hash of the one before it.
func TestChain(t *testing.T) {
	sample(t, "harbour")
	config := signed(t, newConfig(t))
	first, second := backUp(t, config, "harbour"), backUp(t, config, "harbour")
	if first.Sequence != 1 || first.PreviousSHA256 != "" || second.Sequence != 2 || second.PreviousSHA256 != signing.Hash(manifestOf(t, config, first.ID)) {
		t.Errorf("the first is %d after %q, the second %d after %q", first.Sequence, first.PreviousSHA256, second.Sequence, second.PreviousSHA256)
	}
}

// A state folder that can't be written costs the place in the chain, and no backup.
func TestChainThatCannotBeKept(t *testing.T) {
	sample(t, "harbour")
	config := newConfig(t)
	dir := t.TempDir()
	config.Signer = signing.Open(dir)
	if err := backup.New(*config).Repository.BeginSigning(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/signing.json", []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	made := backUp(t, config, "harbour")
	if made.Sequence != 0 || len(made.Warnings) != 1 {
		t.Errorf("the place is %d, the warnings %q", made.Sequence, made.Warnings)
	}
	if kind, err := originOf(config, manifestOf(t, config, made.ID), nil); kind != backup.OriginSigned || err != nil {
		t.Errorf("%q, %v", kind, err)
	}
}

// Whatever byte of a signed manifest is another one, it is not what the agent signed.
func FuzzSignedManifest(f *testing.F) {
	postgrestest.Shared(f).CreateDatabase(f, "fuzzed")
	config := newConfig(f)
	config.Signer = signing.Open(f.TempDir())
	if err := backup.New(*config).Repository.BeginSigning(); err != nil {
		f.Fatal(err)
	}
	config.Keys.Passphrases.Current = "secret"
	made, err := backup.New(*config).Dumper.Backup(f.Context(), backup.BackupRequest{RunID: "run", Database: "fuzzed", Trigger: backup.TriggerManual})
	if err != nil {
		f.Fatal(err)
	}
	stored, err := backup.New(*config).Repository.Find(made.ID)
	if err != nil {
		f.Fatal(err)
	}
	content, err := backup.New(*config).Repository.ReadManifest(stored.Location)
	if err != nil {
		f.Fatal(err)
	}
	for at := range content {
		f.Add(at, content[at]^1)
	}
	config.Keys.Passphrases = seal.Passphrases{} // its proof would be another way to be believed
	f.Fuzz(func(t *testing.T, at int, with byte) {
		if at < 0 || at >= len(content) || content[at] == with {
			return
		}
		changed := bytes.Clone(content)
		changed[at] = with
		if kind, err := originOf(config, changed, nil); kind == backup.OriginSigned && err == nil {
			t.Errorf("with %q in place of %q at %d it is believed:\n%s", with, content[at], at, changed)
		}
	})
}
