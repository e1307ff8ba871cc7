// Package signing holds the key with which an agent signs the manifests of its backups, the keys of
// others that it trusts, and how far its signatures have come. All of it lives in the agent's state
// folder; the key is made at first need, is not the one of TLS, and is never renewed: what it has
// signed must be verifiable for as long as backups are kept.
package signing

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pgharbor/pgharbor/internal/secretfile"
)

// Algorithm is how manifests are signed: Ed25519 as in RFC 8032, without a hash before it.
const Algorithm = "ed25519"

const (
	keyName   = "signing.key"
	keyType   = "PRIVATE KEY"
	chainName = "signing.json"
	lockName  = "signing.lock"
)

// Signer signs for one agent. It is safe for concurrent use, by several processes too.
type Signer struct{ dir string }

// Open returns the signer of a state folder; it makes nothing.
func Open(dir string) *Signer { return &Signer{dir: dir} }

// KeyID is a short name of a public key: the first 8 bytes of its SHA-256, in hexadecimal.
func KeyID(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:8])
}

// PublicKey returns the agent's public key; fs.ErrNotExist before Begin made one.
func (s *Signer) PublicKey() (ed25519.PublicKey, error) {
	key, err := s.key()
	if err != nil {
		return nil, err
	}
	return key.Public().(ed25519.PublicKey), nil
}

// KeyPath is where the private key stands.
func (s *Signer) KeyPath() string { return filepath.Join(s.dir, keyName) }

func (s *Signer) key() (ed25519.PrivateKey, error) {
	data, err := os.ReadFile(s.KeyPath())
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	if err := secretfile.CheckChange(s.KeyPath()); err != nil {
		return nil, fmt.Errorf("signing key: %s: %w", s.KeyPath(), err)
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != keyType {
		return nil, fmt.Errorf("signing key: %s holds no private key", filepath.Join(s.dir, keyName))
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("signing key: %s is no Ed25519 key", filepath.Join(s.dir, keyName))
	}
	return key, nil
}

// Begin makes the key if there is none. What was stored before is grandfathered by its hash, as
// grandfathered returns it (SHA-256 of each manifest, hexadecimal): that has no signature, and is
// known anyway. On a folder that has a key it does nothing.
func (s *Signer) Begin(grandfathered func() ([]string, error)) error {
	if _, err := os.Lstat(filepath.Join(s.dir, keyName)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return s.locked(func() error {
		if _, err := os.Lstat(filepath.Join(s.dir, keyName)); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		hashes, err := grandfathered()
		if err != nil {
			return fmt.Errorf("signing key: what was stored before it can't be read: %w", err)
		}
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return err
		}
		encoded, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return err
		}
		// The chain first: a key without it would call unsigned backups of before forged.
		if err := s.writeChain(chain{Grandfathered: hashes, Heads: map[string]Link{}}); err != nil {
			return err
		}
		return s.write(keyName, pem.EncodeToMemory(&pem.Block{Type: keyType, Bytes: encoded}))
	})
}

// Sign signs a message.
func (s *Signer) Sign(message []byte) ([]byte, error) {
	key, err := s.key()
	if err != nil {
		return nil, err
	}
	return ed25519.Sign(key, message), nil
}

// Exists reports whether there is a key, so that the agent has signed since.
func (s *Signer) Exists() bool {
	_, err := os.Lstat(filepath.Join(s.dir, keyName))
	return err == nil
}
