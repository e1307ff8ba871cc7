package chain

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"
)

// ActionSeal is the action of the entry that reports that the audit log was sealed off.
const ActionSeal = "audit.seal"

// Seal says up to where an audit log was sealed off, and what file has the entries. It is signed
// over a text of its own: a signed checkpoint, of which agents and people hold many, is none.
type Seal struct {
	Checkpoint
	FileSHA256  string
	At          time.Time
	Signature   []byte // ECDSA, ASN.1
	Certificate []byte // of the key that signed, DER
}

// SignSeal signs that the audit log is in a file up to a checkpoint.
func SignSeal(checkpoint Checkpoint, fileSHA256 string, at time.Time, key crypto.Signer, certificate []byte) (Seal, error) {
	seal := Seal{Checkpoint: checkpoint, FileSHA256: fileSHA256, At: at.UTC().Truncate(time.Microsecond), Certificate: certificate}
	digest := seal.digest()
	var err error
	if seal.Signature, err = key.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
		return Seal{}, fmt.Errorf("sign the seal of the audit log: %w", err)
	}
	return seal, nil
}

// SignedBy returns nil if the holder of the key has signed the seal, and an error that wraps
// ErrSignature otherwise.
func (s Seal) SignedBy(key crypto.PublicKey) error {
	if !s.Valid() || !hexHash.MatchString(s.FileSHA256) || !signedBy(key, s.digest(), s.Signature) {
		return fmt.Errorf("the seal of the audit log is %w", ErrSignature)
	}
	return nil
}

// Certified returns the certificate of the key that signed, and when it did.
func (s Seal) Certified() (certificate []byte, at time.Time) { return s.Certificate, s.At }

func (s Seal) digest() [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "pgharbor trail seal\n%d\n%s\n%d\n%s\n", s.Sequence, s.Hash, s.At.UnixMicro(), s.FileSHA256))
}

// Note is what the entry of a seal says of the entries that were sealed off, from one
// on.
func (s Seal) Note(from int64) string { return fmt.Sprintf("entries %d%s", from, s.note()) }

func (s Seal) note() string {
	return fmt.Sprintf(" to %d, in a file with the SHA-256 %s", s.Sequence, s.FileSHA256)
}

// RecordedIn reports whether an entry is the one that was written before this seal.
func (s Seal) RecordedIn(e Entry) bool {
	return e.Action == ActionSeal && e.Outcome == OutcomeStarted && e.Target == s.String() && strings.HasSuffix(e.Detail, s.note())
}
