package signing

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pgharbor/pgharbor/internal/disk"
)

// Link is the place of a manifest among those of its database.
type Link struct {
	Sequence int64  `json:"sequence"` // from 1 on, ascending; a run that failed late leaves a gap
	SHA256   string `json:"sha256"`   // of the manifest as it is stored, hexadecimal
}

// chain is what the agent remembers of its signatures.
type chain struct {
	Heads         map[string]Link `json:"heads"` // the newest link of each database
	Grandfathered []string        `json:"noted"` // SHA-256 of the manifests from before the key
}

// Extend adds a link to a database's chain. sign gets the sequence of the new link and the hash of the one before it,
// and returns the manifest as it will be stored. The link counts before the manifest is stored, so that no sequence is
// ever given twice.
func (s *Signer) Extend(database string, sign func(sequence int64, previous string) ([]byte, error)) ([]byte, error) {
	var stored []byte
	err := s.locked(func() error {
		c, err := s.readChain()
		if err != nil {
			return err
		}
		head := c.Heads[database]
		if stored, err = sign(head.Sequence+1, head.SHA256); err != nil {
			return err
		}
		c.Heads[database] = Link{Sequence: head.Sequence + 1, SHA256: Hash(stored)}
		return s.writeChain(c)
	})
	return stored, err
}

// Head returns the newest link of a database's chain; zero if nothing was signed.
func (s *Signer) Head(database string) (Link, error) {
	c, err := s.readChain()
	return c.Heads[database], err
}

// Grandfathered are the hashes of the manifests without a signature that were there before the key.
func (s *Signer) Grandfathered() (map[string]bool, error) {
	c, err := s.readChain()
	grandfathered := make(map[string]bool, len(c.Grandfathered))
	for _, hash := range c.Grandfathered {
		grandfathered[hash] = true
	}
	return grandfathered, err
}

// Hash is the hash by which manifests are told apart: SHA-256, hexadecimal.
func Hash(stored []byte) string {
	sum := sha256.Sum256(stored)
	return hex.EncodeToString(sum[:])
}

func (s *Signer) readChain() (chain, error) {
	c := chain{}
	data, err := os.ReadFile(filepath.Join(s.dir, chainName))
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	if err != nil {
		return chain{}, fmt.Errorf("chain of signatures: %w", err)
	}
	if c.Heads == nil {
		c.Heads = map[string]Link{}
	}
	return c, nil
}

func (s *Signer) writeChain(c chain) error {
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if err := s.write(chainName, data); err != nil {
		return fmt.Errorf("chain of signatures: %w", err)
	}
	return nil
}

// locked runs f while no other process reads or extends the chain.
func (s *Signer) locked(f func() error) (err error) {
	lock, err := os.OpenFile(filepath.Join(s.dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("signing: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := disk.Lock(lock); err != nil {
		return err
	}
	return f()
}

// write makes a file of the folder hold content, durably and all or nothing. The caller holds the lock.
func (s *Signer) write(name string, content []byte) (err error) {
	path := filepath.Join(s.dir, name)
	f, err := os.OpenFile(path+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return err
	}
	return disk.SyncFolder(s.dir)
}
