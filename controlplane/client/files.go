package client

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"github.com/pgharbor/pgharbor/controlplane/pki"
	"github.com/pgharbor/pgharbor/internal/disk"
)

// The folder of an identity (0700, its files 0600). Key and certificate share a
// file, so that one rename replaces both. The file of the CAs that are trusted was
// last compared with the control plane's at the time of its modification.
const (
	addressFile = "control-plane.json"
	caFile      = "ca.crt"
	keyPairFile = "identity.pem"
	lockFile    = "lock"
)

var errLocked = errors.New("another process holds the lock")

type files struct {
	address string
	trusted []*x509.Certificate
	cert    *tls.Certificate
}

type addressJSON struct {
	Address string `json:"address"`
}

func readFiles(dir string) (files, error) {
	if err := makePrivate(dir); err != nil {
		return files{}, fmt.Errorf("read the identity: %w", err)
	}
	content, err := os.ReadFile(filepath.Join(dir, addressFile))
	if err != nil {
		return files{}, fmt.Errorf("read the identity: %w", err)
	}
	var stored addressJSON
	if err := json.Unmarshal(content, &stored); err != nil {
		return files{}, fmt.Errorf("%s: %w", filepath.Join(dir, addressFile), err)
	}
	if err := pki.ValidAddress(stored.Address); err != nil {
		return files{}, fmt.Errorf("%s: %w", filepath.Join(dir, addressFile), err)
	}
	trusted, err := readTrusted(dir)
	if err != nil {
		return files{}, err
	}
	cert, err := readKeyPair(dir)
	if err != nil {
		return files{}, err
	}
	return files{address: stored.Address, trusted: trusted, cert: cert}, nil
}

// makePrivate takes from others what the folder or the key gives them, as after a
// copy that was not careful.
func makePrivate(dir string) error {
	for path, mode := range map[string]fs.FileMode{dir: 0o700, filepath.Join(dir, keyPairFile): 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 == 0 {
			continue
		}
		// Somebody else's is theirs to change.
		if err := os.Chmod(path, mode); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return nil
}

func readTrusted(dir string) ([]*x509.Certificate, error) {
	content, err := os.ReadFile(filepath.Join(dir, caFile))
	if err != nil {
		return nil, fmt.Errorf("read the identity: %w", err)
	}
	trusted, err := pki.ParseCertificates(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, caFile), err)
	}
	return trusted, nil
}

func readKeyPair(dir string) (*tls.Certificate, error) {
	content, err := os.ReadFile(filepath.Join(dir, keyPairFile))
	if err != nil {
		return nil, fmt.Errorf("read the identity: %w", err)
	}
	cert, err := tls.X509KeyPair(content, content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, keyPairFile), err)
	}
	return &cert, nil
}

func writeFiles(dir, address string, ca *x509.Certificate, key crypto.Signer, chain [][]byte) error {
	content, err := json.Marshal(addressJSON{Address: address})
	if err != nil {
		return fmt.Errorf("write the identity: %w", err)
	}
	if err := writeFile(dir, addressFile, append(content, '\n')); err != nil {
		return err
	}
	if err := writeTrusted(dir, []*x509.Certificate{ca}); err != nil {
		return err
	}
	return writeKeyPair(dir, key, chain)
}

func writeTrusted(dir string, trusted []*x509.Certificate) error {
	var content bytes.Buffer
	for _, ca := range trusted {
		if err := pem.Encode(&content, &pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw}); err != nil {
			return fmt.Errorf("write the identity: %w", err)
		}
	}
	return writeFile(dir, caFile, content.Bytes())
}

func writeKeyPair(dir string, key crypto.Signer, chain [][]byte) error {
	keyPEM, err := pki.EncodeKey(key)
	if err != nil {
		return err
	}
	content := bytes.NewBuffer(keyPEM)
	for _, der := range chain {
		if err := pem.Encode(content, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
			return fmt.Errorf("write the identity: %w", err)
		}
	}
	return writeFile(dir, keyPairFile, content.Bytes())
}

// writeFile replaces a file in one step that survives a crash. renameio leaves the
// fsync of the folder out.
func writeFile(dir, name string, content []byte) error {
	if err := renameio.WriteFile(filepath.Join(dir, name), content, 0o600, renameio.WithTempDir(dir)); err != nil {
		return fmt.Errorf("write the identity: %w", err)
	}
	return disk.SyncFolder(dir)
}

// lock keeps other processes from renewing the same identity. It does not wait:
// it fails with errLocked.
func lock(dir string) (unlock func() error, err error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the identity: %w", err)
	}
	if err := disk.TryLock(f); err != nil {
		if errors.Is(err, disk.ErrLocked) {
			err = errLocked
		}
		return nil, errors.Join(fmt.Errorf("lock the identity: %w", err), f.Close())
	}
	return f.Close, nil
}
