package seal

import (
	"errors"
	"io"
)

// OpenSSL is the format of `openssl enc -aes-256-cbc -pbkdf2`.
type OpenSSL struct{}

// NewOpenSSL returns the Sealer and Opener of one passphrase. Salts come from random.
func NewOpenSSL(passphrase string, random io.Reader) *OpenSSL { return &OpenSSL{} }

// Seal implements Sealer.
func (o *OpenSSL) Seal(w io.Writer) (io.WriteCloser, error) { return nil, errors.ErrUnsupported }

// Open implements Opener.
func (o *OpenSSL) Open(r io.Reader) (io.Reader, error) { return nil, errors.ErrUnsupported }
