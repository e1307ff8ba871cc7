package signing_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/pgharbor/pgharbor/agent/signing"
	"github.com/pgharbor/pgharbor/internal/secretfile"
)

func nothing() ([]string, error) { return nil, nil }

func begin(t *testing.T, dir string) *signing.Signer {
	t.Helper()
	s := signing.Open(dir)
	if err := s.Begin(nothing); err != nil {
		t.Fatal(err)
	}
	return s
}

// The key is made once, for this user alone, and signs for good.
func TestTheKeyStays(t *testing.T) {
	dir := t.TempDir()
	if _, err := signing.Open(dir).PublicKey(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before the key: %v", err)
	}
	key, err := begin(t, dir).PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "signing.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("signing.key: %v, %v", info.Mode(), err)
	}
	again, err := begin(t, dir).PublicKey()
	if err != nil || !key.Equal(again) {
		t.Errorf("a second start has another key: %v", err)
	}
	signature, err := signing.Open(dir).Sign([]byte("manifest"))
	if err != nil || !ed25519.Verify(key, []byte("manifest"), signature) {
		t.Errorf("the signature does not hold: %v", err)
	}
}

// Anyone who may write to the key or to the list of those who are trusted would decide who is.
func TestFilesThatOthersMayChangeTrustNobody(t *testing.T) {
	dir := t.TempDir()
	s := begin(t, dir)
	trusted := filepath.Join(dir, "trusted-keys")
	other, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(trusted, []byte(signing.Format(other)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	known := func() bool {
		key, err := s.Known(signing.KeyID(other))
		return err == nil && key.Equal(other)
	}
	for mode, want := range map[fs.FileMode]bool{0o600: true, 0o644: true, 0o664: false, 0o666: false} {
		if err := os.Chmod(trusted, mode); err != nil {
			t.Fatal(err)
		}
		if known() != want {
			t.Errorf("trusted-keys of mode %04o: known is %v", mode, !want)
		}
	}
	if err := os.Chmod(s.KeyPath(), 0o660); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sign([]byte("x")); !errors.Is(err, secretfile.ErrChangeable) {
		t.Errorf("a key that others may change signs: %v", err)
	}
}

// However many processes extend the chains at once, no place is given twice and each names the hash before it.
func TestEachLinkFollowsTheOneBefore(t *testing.T) {
	dir := t.TempDir()
	begin(t, dir)
	var mu sync.Mutex
	previous := map[string]map[int64]string{"shop": {}, "crm": {}}
	stored := map[string]map[int64]string{"shop": {}, "crm": {}}
	var work sync.WaitGroup
	for n := range 40 {
		database := []string{"shop", "crm"}[n%2]
		work.Go(func() {
			_, err := signing.Open(dir).Extend(database, func(sequence int64, before string) ([]byte, error) {
				content := []byte(fmt.Sprintf("%s %d", database, sequence))
				mu.Lock()
				defer mu.Unlock()
				if _, taken := stored[database][sequence]; taken {
					t.Errorf("%s: the place %d was given twice", database, sequence)
				}
				previous[database][sequence], stored[database][sequence] = before, signing.Hash(content)
				return content, nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	for database, links := range previous {
		for sequence := int64(1); sequence <= 20; sequence++ {
			if links[sequence] != stored[database][sequence-1] {
				t.Errorf("%s: the link %d does not name the hash of the one before", database, sequence)
			}
		}
	}
}

// What was there before the key is known by its hash, and nothing else is.
func TestGrandfathered(t *testing.T) {
	s := signing.Open(t.TempDir())
	if err := s.Begin(func() ([]string, error) { return []string{signing.Hash([]byte("old"))}, nil }); err != nil {
		t.Fatal(err)
	}
	grandfathered, err := s.Grandfathered()
	if err != nil || !grandfathered[signing.Hash([]byte("old"))] || grandfathered[signing.Hash([]byte("new"))] {
		t.Errorf("grandfathered are %v, %v", grandfathered, err)
	}
}

func TestTrustedKeys(t *testing.T) {
	other, err := begin(t, t.TempDir()).PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s := begin(t, dir)
	if key, err := s.Known(signing.KeyID(other)); key != nil || err != nil {
		t.Errorf("a stranger's key is known: %v", err)
	}
	write := func(content string) {
		if err := os.WriteFile(filepath.Join(dir, "trusted-keys"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# earlier hosts\n\n" + signing.Format(other) + " db1, until 2026\n")
	if key, err := s.Known(signing.KeyID(other)); !other.Equal(key) || err != nil {
		t.Errorf("a trusted key is not known: %v", err)
	}
	write("no key\n")
	if key, err := s.Known(signing.KeyID(other)); key != nil || err == nil {
		t.Errorf("a file that can't be read: %v, %v", key, err)
	}
}

func FuzzParseKeys(f *testing.F) {
	f.Add([]byte("# a comment\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= x\n"))
	f.Add([]byte("AAAA"))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := signing.ParseKeys(data)
		for _, key := range keys {
			if len(key) != ed25519.PublicKeySize || err != nil {
				t.Errorf("%d bytes, %v", len(key), err)
			}
		}
	})
}
