package seal

import (
	"bytes"
	"crypto/rand"
	"io"
)

// Encryption is how a file is encrypted, as its manifest says.
type Encryption struct {
	Scheme     string `json:"scheme"` // SchemeNone or another
	KDF        string `json:"kdf,omitempty"`
	Iterations int    `json:"iterations,omitempty"`
}

// Ring is all that a host has to encrypt new files with and to open stored ones. It answers for
// each scheme; a scheme is known nowhere else. It prints and logs no key.
type Ring struct{ Passphrases Passphrases }

// Encryption is how new files are encrypted: by SchemeNone if there is nothing to encrypt with.
func (r Ring) Encryption() Encryption {
	if r.Passphrases.Current == "" {
		return Describe(SchemeNone)
	}
	return Describe(SchemeOpenSSL)
}

// Describe says of a scheme what a manifest says.
func Describe(scheme string) Encryption {
	if scheme == SchemeOpenSSL {
		return Encryption{Scheme: scheme, KDF: OpenSSLKDF, Iterations: OpenSSLIterations}
	}
	return Encryption{Scheme: scheme}
}

// Encrypts reports whether new files are encrypted.
func (r Ring) Encrypts() bool { return r.Encryption().Scheme != SchemeNone }

// Encrypt returns a writer of plain bytes that writes encrypted ones to w, as Encryption says. Its
// Close writes what is left, and does not close w.
func (r Ring) Encrypt(w io.Writer) (io.WriteCloser, error) {
	return NewOpenSSL(r.Passphrases.Current, rand.Reader).Seal(w)
}

// Known says whether this program knows a scheme, with or without a key for it.
func Known(scheme string) bool { return scheme == SchemeNone || scheme == SchemeOpenSSL }

// StartSize is how many bytes of a file tell its scheme.
const StartSize = len(opensslMagic)

// SchemeOf tells how a file is encrypted that begins with these bytes, up to StartSize of them. A
// name may be anybody's.
func SchemeOf(start []byte) string {
	if bytes.Equal(start, []byte(opensslMagic)) {
		return SchemeOpenSSL
	}
	return SchemeNone
}

// Openers are what may open a file of a scheme, the likeliest first; none if this host has no key
// for it.
func (r Ring) Openers(scheme string) []Opener {
	if scheme != SchemeOpenSSL {
		return nil
	}
	var openers []Opener
	for _, passphrase := range r.Passphrases.All() {
		openers = append(openers, NewOpenSSL(passphrase, rand.Reader))
	}
	return openers
}

// NewPassphraseMAC begins a MAC that shows that this host wrote a message; nil if it has nothing
// to show it with.
func (r Ring) NewPassphraseMAC() (*PassphraseMAC, error) {
	if r.Passphrases.Current == "" {
		return nil, nil
	}
	mac, err := NewPassphraseMAC(rand.Reader)
	return &mac, err
}

// MAC returns the Value of such a MAC for a message.
func (r Ring) MAC(p PassphraseMAC, message []byte) (string, error) {
	return p.Sum(r.Passphrases.Current, message)
}

// Holds reports whether a key of this ring made the MAC of a message.
func (r Ring) Holds(p PassphraseMAC, message []byte) bool { return p.Holds(r.Passphrases, message) }
