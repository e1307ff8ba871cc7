package seal

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"io"
)

// ProofScheme names how a Proof is made: HMAC-SHA-256 (RFC 2104) under a key that PBKDF2-HMAC-SHA-256 (RFC 8018)
// derives from the passphrase.
const ProofScheme = "hmac-sha256-pbkdf2"

const (
	// proofIterations is ten times what `openssl enc` takes, so that a proof is never the easier way to a passphrase.
	proofIterations = 100_000
	// maxProofIterations bounds the work that somebody else's proof asks for.
	maxProofIterations = 10_000_000
	proofSalt          = 16
	// proofContext keeps the key apart from those that openssl derives from the same passphrase.
	proofContext = "pgharbor proof\x00"
)

// Proof shows that whoever wrote a message had the passphrase: what CBC can't do for the file itself.
type Proof struct {
	Scheme     string `json:"scheme"`
	Iterations int    `json:"iterations"`
	Salt       string `json:"salt"`  // base64
	Value      string `json:"value"` // base64
}

// NewProof begins a proof, whose Value Prove then gives. Random is crypto/rand.Reader but in tests.
func NewProof(random io.Reader) (Proof, error) {
	salt := make([]byte, proofSalt)
	if _, err := io.ReadFull(random, salt); err != nil {
		return Proof{}, err
	}
	return Proof{Scheme: ProofScheme, Iterations: proofIterations, Salt: base64.StdEncoding.EncodeToString(salt)}, nil
}

// Prove returns the Value for a message.
func (p Proof) Prove(passphrase string, message []byte) (string, error) {
	key, err := p.key(passphrase)
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(message)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil)), nil
}

// Holds reports whether one of the passphrases proves the message. A proof of an unknown scheme holds for none.
func (p Proof) Holds(passphrases Passphrases, message []byte) bool {
	if p.Scheme != ProofScheme || p.Iterations < 1 || p.Iterations > maxProofIterations {
		return false
	}
	for _, passphrase := range passphrases.All() {
		value, err := p.Prove(passphrase, message)
		if err == nil && hmac.Equal([]byte(value), []byte(p.Value)) {
			return true
		}
	}
	return false
}

func (p Proof) key(passphrase string) ([]byte, error) {
	salt, err := base64.StdEncoding.DecodeString(p.Salt)
	if err != nil {
		return nil, err
	}
	return pbkdf2.Key(sha256.New, passphrase, append([]byte(proofContext), salt...), p.Iterations, sha256.Size)
}
