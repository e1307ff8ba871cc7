package chain

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Checkpoint is where an audit log ends: as every hash covers the one before it, a checkpoint
// stands for the whole audit log up to it. The zero Checkpoint is that of an empty audit log.
type Checkpoint struct {
	Sequence int64  `json:"sequence"`
	Hash     string `json:"hash"`
}

// String is "SEQUENCE:HASH", as ParseCheckpoint reads it.
func (h Checkpoint) String() string { return fmt.Sprintf("%d:%s", h.Sequence, h.Hash) }

var hexHash = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Valid reports whether the checkpoint can be that of an audit log with entries.
func (h Checkpoint) Valid() bool { return h.Sequence > 0 && hexHash.MatchString(h.Hash) }

// ParseCheckpoint reads what String writes.
func ParseCheckpoint(text string) (Checkpoint, error) {
	sequence, hash, _ := strings.Cut(text, ":")
	number, err := strconv.ParseInt(sequence, 10, 64)
	if checkpoint := (Checkpoint{number, hash}); err == nil && checkpoint.Valid() {
		return checkpoint, nil
	}
	return Checkpoint{}, fmt.Errorf("%.80q is no checkpoint of an audit log: it is SEQUENCE:HASH, with 64 hexadecimal digits", text)
}

// ErrSignature is wrapped if a checkpoint or a seal was not signed by whom it should be.
var ErrSignature = errors.New("not signed by the control plane")

// Signed is what the key of the audit log has signed: a SignedCheckpoint, or a Seal.
type Signed interface {
	// SignedBy returns an error that wraps ErrSignature if the holder of the key has not signed it.
	// Whose key it is, is the caller's to know.
	SignedBy(key crypto.PublicKey) error
	// Certified returns the certificate of the key that signed, and when it did.
	Certified() (certificate []byte, at time.Time)
}

// SignedCheckpoint is a checkpoint that the control plane cannot take back.
type SignedCheckpoint struct {
	Checkpoint
	At        time.Time `json:"at"`
	Signature []byte    `json:"signature"` // ECDSA, ASN.1
	// Certificate is that of the key that signed, DER.
	Certificate []byte `json:"certificate"`
}

// Sign signs a checkpoint with an ECDSA key whose certificate is given.
func Sign(checkpoint Checkpoint, at time.Time, key crypto.Signer, certificate []byte) (SignedCheckpoint, error) {
	signed := SignedCheckpoint{Checkpoint: checkpoint, At: at.UTC().Truncate(time.Microsecond), Certificate: certificate}
	digest := signed.digest()
	var err error
	if signed.Signature, err = key.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
		return SignedCheckpoint{}, fmt.Errorf("sign the checkpoint of the audit log: %w", err)
	}
	return signed, nil
}

// SignedBy returns nil if the holder of the key has signed the checkpoint, and an error that wraps
// ErrSignature otherwise. Whose key it is, is the caller's to know.
func (h SignedCheckpoint) SignedBy(key crypto.PublicKey) error {
	if !h.Valid() || !signedBy(key, h.digest(), h.Signature) {
		return fmt.Errorf("the checkpoint of the audit log is %w", ErrSignature)
	}
	return nil
}

// Certified returns the certificate of the key that signed, and when it did.
func (h SignedCheckpoint) Certified() (certificate []byte, at time.Time) { return h.Certificate, h.At }

func signedBy(key crypto.PublicKey, digest [sha256.Size]byte, signature []byte) bool {
	public, ok := key.(*ecdsa.PublicKey)
	return ok && ecdsa.VerifyASN1(public, digest[:], signature)
}

// digest is what is signed: SHA-256 of a text that nothing else of pgharbor has
// the form of, a seal neither.
func (h SignedCheckpoint) digest() [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "pgharbor trail head\n%d\n%s\n%d\n", h.Sequence, h.Hash, h.At.UnixMicro()))
}
