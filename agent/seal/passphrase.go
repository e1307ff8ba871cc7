package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
)

// maxPassphrase is what `openssl -pass file:` reads of a line; it cuts a longer one without a word.
const maxPassphrase = 1023

const redacted = "[redacted]"

// Passphrases are the current one, with which is sealed, and earlier ones, with which may be opened. Empty means none.
// They print, log and marshal as redacted.
type Passphrases struct {
	Current string
	Old     []string
}

// All returns the passphrases to try when opening, the current one first.
func (p Passphrases) All() []string {
	var all []string
	if p.Current != "" {
		all = append(all, p.Current)
	}
	return append(all, p.Old...)
}

// String implements fmt.Stringer.
func (Passphrases) String() string { return redacted }

// GoString implements fmt.GoStringer.
func (Passphrases) GoString() string { return redacted }

// Format implements fmt.Formatter, for the verbs that ask neither of the two above.
func (Passphrases) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue implements slog.LogValuer.
func (Passphrases) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements encoding.TextMarshaler, which JSON uses too.
func (Passphrases) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// ReadPassphraseFile returns the first line of a file, as `openssl -pass file:` reads it: up to the newline, with a
// carriage return before it kept. It refuses what openssl would read as something else: an empty line, a NUL byte, and
// more than 1023 bytes.
func ReadPassphraseFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPassphrase+1))
	if err != nil {
		return "", err
	}
	line, _, _ := bytes.Cut(data, []byte("\n"))
	if err := checkPassphrase(string(line)); err != nil {
		return "", fmt.Errorf("passphrase file %s: the first line %w", path, err)
	}
	return string(line), nil
}

// ReadPassphrases returns the lines of a file that has a passphrase on each, without the empty ones. The same holds of
// every line as of the one that ReadPassphraseFile reads.
func ReadPassphrases(path string) ([]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var all []string
	number := 0
	for line := range strings.SplitSeq(string(data), "\n") {
		number++
		if line == "" {
			continue
		}
		if err := checkPassphrase(line); err != nil {
			return nil, fmt.Errorf("passphrase file %s: line %d %w", path, number, err)
		}
		all = append(all, line)
	}
	return all, nil
}

func checkPassphrase(line string) error {
	switch {
	case line == "":
		return errors.New("is empty")
	case len(line) > maxPassphrase:
		return fmt.Errorf("is longer than %d bytes", maxPassphrase)
	case strings.ContainsRune(line, 0):
		return errors.New("has a NUL byte")
	}
	return nil
}
