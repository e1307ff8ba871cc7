package job

import (
	"errors"

	"github.com/pgharbor/pgharbor/internal/secretfile"
)

// SecretFile is a file with a secret, and the setting that names it, as people know it.
type SecretFile struct{ Setting, Path string }

// lookAtSecrets returns a warning for each file with a secret that others can read or change. The
// path stays on the host.
func (s *StatusReader) lookAtSecrets() (warnings []string) {
	for _, file := range s.secretFiles {
		switch err := secretfile.Check(file.Path); {
		case errors.Is(err, secretfile.ErrReadable), errors.Is(err, secretfile.ErrChangeable):
			warnings = append(warnings, "a file with a secret is not private ("+file.Setting+"): "+err.Error()+"; "+secretfile.Remedy)
		default: // it is private, or anyone who needs it says that it can't be read
		}
	}
	return warnings
}
