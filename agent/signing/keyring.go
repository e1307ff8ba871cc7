package signing

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/pgharbor/pgharbor/internal/secretfile"
)

// trustedName is the file in the state folder that lists the public keys of earlier state folders and of other agents.
const trustedName = "trusted-keys"

// Format returns a public key as a line of the file trusted-keys holds it: base64.
func Format(key ed25519.PublicKey) string { return base64.StdEncoding.EncodeToString(key) }

// Known returns the public key of this id that the agent trusts: its own, or one of the file
// trusted-keys; nil if there is none. An error names what could not be read, and nobody is trusted
// by it.
func (s *Signer) Known(keyID string) (ed25519.PublicKey, error) {
	own, err := s.PublicKey()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if own != nil && KeyID(own) == keyID {
		return own, nil
	}
	keys, err := s.trusted()
	for _, key := range keys {
		if KeyID(key) == keyID {
			return key, err
		}
	}
	return nil, err
}

func (s *Signer) trusted() ([]ed25519.PublicKey, error) {
	path := filepath.Join(s.dir, trustedName)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("trusted keys: %w", err)
	}
	if err := secretfile.CheckChange(path); err != nil {
		return nil, fmt.Errorf("trusted keys: %s: %w", path, err)
	}
	keys, err := ParseKeys(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return keys, nil
}

// ParseKeys reads public keys, one a line, as Format writes them; what follows a key on its line is a comment, as is a
// line that begins with #.
func ParseKeys(data []byte) ([]ed25519.PublicKey, error) {
	var keys []ed25519.PublicKey
	lines := bufio.NewScanner(bytes.NewReader(data))
	for number := 1; lines.Scan(); number++ {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(fields[0])
		if err != nil || len(key) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("line %d is no public key: it takes the base64 that pgharbor-agent check shows", number)
		}
		keys = append(keys, key)
	}
	return keys, lines.Err()
}
