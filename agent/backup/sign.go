package backup

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pgharbor/pgharbor/agent/seal"
	"github.com/pgharbor/pgharbor/agent/signing"
)

// Signature is an agent's signature of a manifest.
type Signature struct {
	Algorithm string `json:"algorithm"` // signing.Algorithm
	KeyID     string `json:"key_id"`    // signing.KeyID of the public key
	Value     string `json:"value"`     // base64
}

// signatureContext begins every message that is signed, so that no signature of a manifest is ever one of anything else.
const signatureContext = "pgharbor manifest 1\n"

// certify places a manifest in the chain of its series, proves and signs it, and returns it as it is to be stored.
//
// What is signed are the bytes of the stored file without the characters of the signature's value, after
// signatureContext. What the passphrase proves are the same bytes without those of the proof's value too. Both cover so
// whatever the file says, also in fields that only a newer pgharbor knows.
func (e *Engine) certify(m *Manifest) ([]byte, error) {
	if m.Encryption.Scheme != seal.SchemeNone {
		var err error
		if m.Proof, err = e.Keys.NewPassphraseMAC(); err != nil {
			return nil, err
		}
	}
	if e.Signer == nil {
		return e.prove(m)
	}
	stored, err := e.Signer.Extend(m.Series().Key(), func(sequence int64, previous string) ([]byte, error) {
		return e.sign(m, sequence, previous)
	})
	if err == nil {
		return stored, nil
	}
	// A state folder that is full is no reason for having no backup: it gets no place in the chain.
	m.Warnings = append(m.Warnings, "the backup has no place in the chain of signatures: "+err.Error())
	if stored, err = e.sign(m, 0, ""); err == nil {
		return stored, nil
	}
	m.Warnings = append(m.Warnings, "the manifest is not signed: "+err.Error())
	m.Signature = nil
	return e.prove(m)
}

func (e *Engine) sign(m *Manifest, sequence int64, previous string) ([]byte, error) {
	key, err := e.Signer.PublicKey()
	if err != nil {
		return nil, err
	}
	m.Sequence, m.PreviousSHA256 = sequence, previous
	m.Signature = &Signature{Algorithm: signing.Algorithm, KeyID: signing.KeyID(key)}
	unsigned, err := e.prove(m)
	if err != nil {
		return nil, err
	}
	value, err := e.Signer.Sign(append([]byte(signatureContext), unsigned...))
	if err != nil {
		return nil, err
	}
	m.Signature.Value = base64.StdEncoding.EncodeToString(value)
	return m.marshal()
}

// prove fills in the proof's value, where there is a proof, and returns the manifest as it is to be stored or signed.
func (e *Engine) prove(m *Manifest) ([]byte, error) {
	data, err := m.marshal()
	if err != nil || m.Proof == nil {
		return data, err
	}
	if m.Proof.Value, err = e.Keys.MAC(*m.Proof, data); err != nil {
		return nil, err
	}
	return m.marshal()
}

// BeginSigning makes the agent's key at first need. The manifests that stand in the store by then have no signature, and
// are known by their hash from now on.
func (e *Engine) BeginSigning() error {
	if e.Signer == nil {
		return nil
	}
	return e.Signer.Begin(func() (hashes []string, err error) {
		for entry, err := range e.Store.Manifests() {
			if entry.Manifest != nil {
				hashes = append(hashes, signing.Hash(entry.Manifest))
			} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
		return hashes, nil
	})
}

// signedBy reports whether a stored manifest bears the signature of a key.
func (m Manifest) signedBy(key ed25519.PublicKey, stored []byte) bool {
	value, err := base64.StdEncoding.Strict().DecodeString(m.Signature.Value)
	if err != nil || m.Signature.Algorithm != signing.Algorithm {
		return false
	}
	message, err := without(stored, m.Signature.Value)
	return err == nil && ed25519.Verify(key, append([]byte(signatureContext), message...), value)
}

// provenBy reports whether who wrote a stored manifest had one of the passphrases.
func (m Manifest) provenBy(keys seal.Ring, stored []byte) bool {
	if m.Proof == nil {
		return false
	}
	message, err := without(stored, m.Proof.Value)
	if err == nil && m.Signature != nil {
		message, err = without(message, m.Signature.Value)
	}
	return err == nil && keys.Holds(*m.Proof, message)
}

// without returns a manifest without a value that must stand in it exactly once.
func without(stored []byte, value string) ([]byte, error) {
	if value == "" || bytes.Count(stored, []byte(value)) != 1 {
		return nil, fmt.Errorf("%w: a value of its signature does not stand in it once", ErrForged)
	}
	return bytes.Replace(stored, []byte(value), nil, 1), nil
}
