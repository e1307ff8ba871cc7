package fleet

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
)

// SigningKey is by which public key, Ed25519, an agent's signatures are known.
type SigningKey struct {
	Pinned []byte // the first one since the agent was enrolled
	Last   []byte // the one that it told last
	// Enrolled: it was enrolled again since, with an invite of an OWNER's, so that
	// its next key is the one to know it by.
	Enrolled bool
}

// Pins reports whether a key that the agent tells is the one to know it by from now
// on.
func (k SigningKey) Pins(key []byte) bool {
	return !bytes.Equal(k.Pinned, key) && (len(k.Pinned) == 0 || k.Enrolled)
}

// Changed reports whether the agent tells another key than it is known by, although
// nobody enrolled it again.
func (k SigningKey) Changed(key []byte) bool {
	return !bytes.Equal(k.Pinned, key) && !k.Pins(key)
}

// KeyID is the name of a public key, as agents write it into manifests: the first
// 8 bytes of its SHA-256, hexadecimal.
func KeyID(key []byte) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:8])
}
