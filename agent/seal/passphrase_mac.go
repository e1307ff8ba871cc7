package seal

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"io"
)

// MACScheme names how a PassphraseMAC is made: HMAC-SHA-256 (RFC 2104) under a key that
// PBKDF2-HMAC-SHA-256 (RFC 8018) derives from the passphrase.
const MACScheme = "hmac-sha256-pbkdf2"

const (
	// macIterations is ten times what `openssl enc` takes, so that a MAC is never the easier way to
	// a passphrase.
	macIterations = 100_000
	// maxMACIterations bounds the work that somebody else's MAC asks for.
	maxMACIterations = 10_000_000
	macSalt          = 16
	// macContext keeps the key apart from those that openssl derives from the same passphrase.
	macContext = "pgharbor proof\x00"
)

// PassphraseMAC shows that the writer of a message had the passphrase: what CBC can't do for the
// file itself.
type PassphraseMAC struct {
	Scheme     string `json:"scheme"`
	Iterations int    `json:"iterations"`
	Salt       string `json:"salt"`  // base64
	Value      string `json:"value"` // base64
}

// NewPassphraseMAC begins a MAC, whose Value Sum then gives. Random is crypto/rand.Reader but in
// tests.
func NewPassphraseMAC(random io.Reader) (PassphraseMAC, error) {
	salt := make([]byte, macSalt)
	if _, err := io.ReadFull(random, salt); err != nil {
		return PassphraseMAC{}, err
	}
	return PassphraseMAC{Scheme: MACScheme, Iterations: macIterations, Salt: base64.StdEncoding.EncodeToString(salt)}, nil
}

// Sum returns the Value for a message.
func (p PassphraseMAC) Sum(passphrase string, message []byte) (string, error) {
	key, err := p.key(passphrase)
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(message)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil)), nil
}

// Holds reports whether one of the passphrases made the MAC of the message. One of an unknown
// scheme holds for none.
func (p PassphraseMAC) Holds(passphrases Passphrases, message []byte) bool {
	if p.Scheme != MACScheme || p.Iterations < 1 || p.Iterations > maxMACIterations {
		return false
	}
	for _, passphrase := range passphrases.All() {
		value, err := p.Sum(passphrase, message)
		if err == nil && hmac.Equal([]byte(value), []byte(p.Value)) {
			return true
		}
	}
	return false
}

func (p PassphraseMAC) key(passphrase string) ([]byte, error) {
	salt, err := base64.StdEncoding.DecodeString(p.Salt)
	if err != nil {
		return nil, err
	}
	return pbkdf2.Key(sha256.New, passphrase, append([]byte(macContext), salt...), p.Iterations, sha256.Size)
}
