package seal

import "errors"

// Passphrases are the current one, with which is sealed, and earlier ones, with which may be opened. They print as
// redacted.
type Passphrases struct {
	Current string
	Old     []string
}

// ReadPassphraseFile returns the first line of a file, as `openssl -pass file:` reads it.
func ReadPassphraseFile(path string) (string, error) { return "", errors.ErrUnsupported }
