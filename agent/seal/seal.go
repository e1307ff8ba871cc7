// Package seal encrypts and decrypts backups. There is a file for each scheme, and a Ring that answers for all of them.
package seal

import (
	"errors"
	"io"
)

// Schemes, as a manifest names them.
const (
	SchemeNone    = "none"
	SchemeOpenSSL = "openssl-aes-256-cbc-pbkdf2"
)

// ErrCorrupt reports that sealed data can't be opened: it is no such format, it was cut or changed,
// or the passphrase is wrong. The schemes without authentication cannot tell these apart, and miss
// some.
var ErrCorrupt = errors.New("sealed data is corrupt or the passphrase is wrong")

// Sealer encrypts a stream.
type Sealer interface {
	// Seal returns a writer of plain bytes that writes sealed ones to w. Its Close writes what is left, and does not
	// close w.
	Seal(w io.Writer) (io.WriteCloser, error)
}

// Opener decrypts a stream.
type Opener interface {
	// Open returns a reader of the plain bytes. It hands out bytes before the end has been seen; only io.EOF says that
	// all of it could be opened. Anything else that the data causes wraps ErrCorrupt.
	Open(r io.Reader) (io.Reader, error)
}

// OpenerAt is an Opener whose scheme lets a file be opened from any place on.
type OpenerAt interface {
	// OpenAt takes what is sealed; it must not change.
	OpenAt(sealed io.ReaderAt) (Ranges, error)
}

// Ranges are the plain bytes of a file, to be read from any place on.
type Ranges interface {
	// From reads length plain bytes from an offset on. Errors are as those of an Opener.
	From(offset, length int64) io.Reader
}
