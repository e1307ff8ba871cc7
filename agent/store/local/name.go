package local

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pgharbor/pgharbor/agent/store"
)

const (
	partialSuffix = ".partial"
	lockName      = ".lock"
)

var partials = regexp.MustCompile(`^\.(backup-[^/\x00]*?)(\.manifest\.json)?\.([a-z0-9-]{1,64})\.partial$`)

// encode returns the name of a database's folder: the database's own, with %XX for each byte that would be no plain name
// there: a slash, a percent sign, control characters, a leading dot, and what is not UTF-8.
func encode(database string) (string, error) {
	var out strings.Builder
	for i := 0; i < len(database); {
		r, size := utf8.DecodeRuneInString(database[i:])
		invalid := r == utf8.RuneError && size == 1
		if invalid || r == '/' || r == '%' || unicode.IsControl(r) || r == '.' && i == 0 {
			for _, b := range []byte(database[i : i+size]) {
				fmt.Fprintf(&out, "%%%02X", b)
			}
		} else {
			out.WriteString(database[i : i+size])
		}
		i += size
	}
	if out.Len() == 0 || out.Len() > store.MaxName {
		return "", fmt.Errorf("%w: database %q can't be the name of a folder", store.ErrName, database)
	}
	return out.String(), nil
}

// decode is the reverse of encode, and says no to what encode would not have written.
func decode(folder string) (string, bool) {
	var out strings.Builder
	for i := 0; i < len(folder); i++ {
		if folder[i] != '%' {
			out.WriteByte(folder[i])
			continue
		}
		var b byte
		if i+3 > len(folder) {
			return "", false
		}
		if _, err := fmt.Sscanf(folder[i+1:i+3], "%02X", &b); err != nil {
			return "", false
		}
		out.WriteByte(b)
		i += 2
	}
	again, err := encode(out.String())
	return out.String(), err == nil && again == folder
}

func partialName(name, runID string) string { return "." + name + "." + runID + partialSuffix }
