package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha256"
	"fmt"
	"io"
)

// The format of openssl-enc(1) with -aes-256-cbc -pbkdf2: "Salted__", 8 bytes of salt, then CBC
// with PKCS#7 padding (RFC 5652, 6.3). Key and IV are 48 bytes of PBKDF2-HMAC-SHA256 (RFC 8018,
// 5.2) with the 10,000 iterations that are OpenSSL's default.
const (
	opensslMagic = "Salted__"
	saltSize     = 8
	headerSize   = len(opensslMagic) + saltSize
	keySize      = 32

	// OpenSSLIterations and OpenSSLKDF are for the manifest: what opens the file, should OpenSSL's defaults change.
	OpenSSLIterations = 10_000
	OpenSSLKDF        = "pbkdf2-hmac-sha256"

	// chunkSize is what is encrypted at once: calls are few, and the chunk stays in the processor's cache.
	chunkSize = 256 << 10
)

// OpenSSL is the format of `openssl enc -aes-256-cbc -pbkdf2`. It proves nothing about integrity: who opens it compares
// a hash. It is safe for concurrent use if its source of randomness is.
type OpenSSL struct {
	// derive holds the passphrase in a closure, where no formatting of the struct finds it.
	derive func(salt []byte) ([]byte, error)
	random io.Reader
}

// NewOpenSSL returns the Sealer and Opener of one passphrase, which is taken byte for byte. Salts come from random,
// crypto/rand.Reader outside of tests.
func NewOpenSSL(passphrase string, random io.Reader) *OpenSSL {
	derive := func(salt []byte) ([]byte, error) {
		return pbkdf2.Key(sha256.New, passphrase, salt, OpenSSLIterations, keySize+aes.BlockSize)
	}
	return &OpenSSL{derive: derive, random: random}
}

// Seal writes the header to w and returns a writer that buffers up to 256 KiB.
func (o *OpenSSL) Seal(w io.Writer) (io.WriteCloser, error) {
	header := make([]byte, headerSize)
	copy(header, opensslMagic)
	salt := header[len(opensslMagic):]
	if _, err := io.ReadFull(o.random, salt); err != nil {
		return nil, fmt.Errorf("salt: %w", err)
	}
	block, iv, err := o.key(salt)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(header); err != nil {
		return nil, err
	}
	return &cbcWriter{w: w, mode: cipher.NewCBCEncrypter(block, iv), buf: make([]byte, 0, chunkSize)}, nil
}

// Open reads the header from r and returns a reader of what is in it. It reads r in chunks of 256
// KiB and keeps the last block back until r ends, because only then its padding is known for one.
// An error of r comes back as it is.
func (o *OpenSSL) Open(r io.Reader) (io.Reader, error) {
	header := make([]byte, headerSize)
	n, _, err := readUntil(r, header)
	if err != nil {
		return nil, err
	}
	if n < headerSize || string(header[:len(opensslMagic)]) != opensslMagic {
		return nil, fmt.Errorf("%w: it does not begin with %q and a salt", ErrCorrupt, opensslMagic)
	}
	block, iv, err := o.key(header[len(opensslMagic):])
	if err != nil {
		return nil, err
	}
	return &cbcReader{r: r, mode: cipher.NewCBCDecrypter(block, iv), buf: make([]byte, chunkSize)}, nil
}

func (o *OpenSSL) key(salt []byte) (cipher.Block, []byte, error) {
	derived, err := o.derive(salt)
	if err != nil {
		return nil, nil, fmt.Errorf("derive the key: %w", err)
	}
	block, err := aes.NewCipher(derived[:keySize])
	return block, derived[keySize:], err
}
