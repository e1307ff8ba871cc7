package backup_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/seal"
	"github.com/pgharbor/pgharbor/agent/signing"
	"github.com/pgharbor/pgharbor/agent/store"
	"github.com/pgharbor/pgharbor/agent/store/local"
	"github.com/pgharbor/pgharbor/internal/subject"
)

// corpus are the manifests of before there were kinds and subjects; see testdata/manifests/README.md. Origin is how an agent
// that has the passphrase and whose control plane knows the key tells who made one, alone how one tells that has only the
// passphrase, and was made by another instance's agent.
var corpus = map[string]struct {
	database      string
	origin, alone backup.OriginKind
	tables        int
}{
	"first-plain":             {"harbour", backup.OriginUnknown, backup.OriginUnknown, 2},
	"first-archive-sealed":    {"harbour", backup.OriginUnknown, backup.OriginUnknown, 2},
	"first-imported":          {"harbour", backup.OriginUnknown, backup.OriginUnknown, 0},
	"first-imported-nameless": {"", backup.OriginUnknown, backup.OriginUnknown, 0},
	"globals":                 {"harbour", backup.OriginUnknown, backup.OriginUnknown, 2},
	"signed":                  {"harbour", backup.OriginShared, backup.OriginShared, 2},
	"signed-2":                {"harbour", backup.OriginShared, backup.OriginShared, 2},
	"signed-unsealed":         {"harbour", backup.OriginAttested, backup.OriginUnknown, 2},
	"names-lost":              {"odd", backup.OriginShared, backup.OriginShared, 1},
	"needs":                   {"harbour", backup.OriginShared, backup.OriginShared, 2},
	"names-escaped":           {"odd", backup.OriginShared, backup.OriginShared, 1},
	"unproven":                {"harbour_again", backup.OriginShared, backup.OriginShared, 2},
	"last":                    {"harbour", backup.OriginShared, backup.OriginShared, 2},
	"last-2":                  {"harbour", backup.OriginShared, backup.OriginShared, 2},
	"last-imported-nameless":  {"", backup.OriginUnknown, backup.OriginUnknown, 0},
}

func readCorpus(t *testing.T, name string) (stored []byte, m backup.Manifest, key ed25519.PublicKey) {
	t.Helper()
	path := filepath.Join("testdata", "manifests", name)
	stored, err := os.ReadFile(path + ".json")
	if err != nil {
		t.Fatal(err)
	}
	if m, err = backup.ParseManifest(stored); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path + ".key")
	if errors.Is(err, os.ErrNotExist) {
		return stored, m, nil
	}
	if err != nil {
		t.Fatal(err)
	}
	if key, err = base64.StdEncoding.DecodeString(strings.TrimSpace(string(text))); err != nil {
		t.Fatal(err)
	}
	return stored, m, key
}

// reader is a config that has what the corpus was sealed with and has made none of it.
func reader(t *testing.T) *backup.Config {
	t.Helper()
	return &backup.Config{
		InstanceName: "elsewhere", Signer: signing.Open(t.TempDir()), Keys: seal.Ring{Passphrases: seal.Passphrases{Current: "open sesame"}},
	}
}

func TestManifestsOfBeforeAreReadAsTheyAre(t *testing.T) {
	for name, want := range corpus {
		stored, m, _ := readCorpus(t, name)
		if m.Series() != subject.LogicalOf(want.database) || m.Series().Check() != nil {
			t.Errorf("%s: it is of %s, want a dump of %q", name, m.Series(), want.database)
		}
		if m.Kind != "" || m.Subject != "" || m.DependsOn != nil || bytes.Contains(stored, []byte(`"kind"`)) {
			t.Errorf("%s is none of before: kind %q, subject %q", name, m.Kind, m.Subject)
		}
		if len(m.Tables) != want.tables || !m.Complete || m.SHA256 == "" {
			t.Errorf("%s: %d tables, complete %t", name, len(m.Tables), m.Complete)
		}
	}
	files, err := filepath.Glob("testdata/manifests/*.json")
	if err != nil || len(files) != len(corpus) {
		t.Errorf("%d files, and %d are tested: %v", len(files), len(corpus), err)
	}
}

func TestManifestsOfBeforeAreProvenAsBefore(t *testing.T) {
	for name, want := range corpus {
		stored, m, key := readCorpus(t, name)
		for _, look := range []struct {
			key  ed25519.PublicKey
			want backup.OriginKind
		}{{key, want.origin}, {nil, want.alone}} {
			origin, err := backup.New(*reader(t)).Origins.Of(stored, m, look.key)
			if err != nil || origin.Kind != look.want {
				t.Errorf("%s: %q, %v, want %q", name, origin.Kind, err, look.want)
			}
		}
	}
}

func TestTheHostThatHasThePassphraseKnowsItsManifestsOfBefore(t *testing.T) {
	for name, want := range corpus {
		if want.alone != backup.OriginShared {
			continue
		}
		stored, m, _ := readCorpus(t, name)
		maker := reader(t)
		maker.InstanceName = m.Instance
		kind := backup.OriginPassphrase
		if name == "unproven" {
			kind = backup.OriginRestored
		}
		if origin, err := backup.New(*maker).Origins.Of(stored, m, nil); err != nil || origin.Kind != kind {
			t.Errorf("%s: %q, %v, want %q", name, origin.Kind, err, kind)
		}
		maker.Keys.Passphrases.Current = "close sesame"
		if origin, err := backup.New(*maker).Origins.Of(stored, m, nil); err != nil || origin.Kind != backup.OriginUnknown {
			t.Errorf("%s, with another passphrase: %q, %v", name, origin.Kind, err)
		}
	}
}

func TestAStoreOfBeforeIsListedAndNotedWhenTheAgentBeginsToSign(t *testing.T) {
	for name, want := range corpus {
		t.Run(name, func(t *testing.T) {
			files, err := local.Open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = files.Close() })
			config := reader(t)
			config.Store = files
			stored, m, _ := readCorpus(t, name)
			at := store.Location{Database: m.Database, File: m.Filename}
			if m.Trigger == backup.TriggerImported {
				at.Database = ""
			}
			path := files.Path(at) + ".manifest.json"
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, stored, 0o600)); err != nil {
				t.Fatal(err)
			}
			if err := backup.New(*config).Repository.BeginSigning(); err != nil {
				t.Fatal(err)
			}
			inventory, err := backup.New(*config).Repository.Inventory()
			if err != nil || len(inventory) != 1 || inventory[0].State != backup.StateMissing || inventory[0].Series() != subject.LogicalOf(want.database) {
				t.Fatalf("%+v, %v", inventory, err)
			}
			if m.Signature == nil && m.Trigger != backup.TriggerImported {
				if origin, err := backup.New(*config).Origins.Of(stored, m, nil); err != nil || origin.Kind != backup.OriginGrandfathered {
					t.Errorf("%q, %v", origin.Kind, err)
				}
			}
		})
	}
}

func TestAKindThatIsAddedToAManifestOfBeforeBreaksItsSignatureAndMAC(t *testing.T) {
	for name := range corpus {
		stored, _, key := readCorpus(t, name)
		if key == nil {
			continue
		}
		for _, added := range []string{`"kind": "logical"`, `"subject": "database"`, `"depends_on": ["a"]`} {
			mustBreak(t, name, bytes.Replace(stored, []byte("{\n"), []byte("{\n  "+added+",\n"), 1), key)
		}
	}
}

// mustBreak asserts that nothing that proves a manifest holds for one that was changed.
func mustBreak(t *testing.T, name string, changed []byte, key ed25519.PublicKey) {
	t.Helper()
	m, err := backup.ParseManifest(changed)
	if err != nil {
		t.Fatal(name, err)
	}
	if origin, err := backup.New(*reader(t)).Origins.Of(changed, m, key); !errors.Is(err, backup.ErrForged) {
		t.Errorf("%s: its signature holds: %q, %v", name, origin.Kind, err)
	}
	if origin, err := backup.New(*reader(t)).Origins.Of(changed, m, nil); err != nil || origin.Kind != backup.OriginUnknown {
		t.Errorf("%s: its MAC holds: %q, %v", name, origin.Kind, err)
	}
}

func TestTheChainOfBeforeHolds(t *testing.T) {
	for first, second := range map[string]string{"signed": "signed-2", "last": "last-2"} {
		stored, one, _ := readCorpus(t, first)
		_, two, _ := readCorpus(t, second)
		if one.Sequence != 1 || two.Sequence != 2 || two.PreviousSHA256 != signing.Hash(stored) {
			t.Errorf("%s is %d, %s is %d after %s", first, one.Sequence, second, two.Sequence, two.PreviousSHA256)
		}
	}
}
