package store

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	manifestSuffix = ".manifest.json"
	partialSuffix  = ".partial"
	lockName       = ".lock"
	timeLayout     = "2006-01-02-15-04-05"
	maxName        = 255 // bytes, of every file system of Linux that matters
)

var (
	baseNames  = regexp.MustCompile(`^backup-(\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d)(\.[a-z]{1,16}(?:\.zst)?(?:\.enc)?)$`) // of any kind, a newer one's too
	looseNames = regexp.MustCompile(`^backup-[^/\x00]*\.sql(?:\.enc)?$`)
	runIDs     = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)
	partials   = regexp.MustCompile(`^\.(backup-[^/\x00]*?)(\.manifest\.json)?\.([a-z0-9-]{1,64})\.partial$`)
)

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
	if out.Len() == 0 || out.Len() > maxName {
		return "", fmt.Errorf("%w: database %q can't be the name of a folder", ErrName, database)
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

// Unmanaged reports whether the file stands directly in the store's folder, as the old script left its own. Such a place
// says nothing of the database that the file is of. Each other place is that of a subject, see subject.Subject.Place.
func (l Location) Unmanaged() bool { return l.Database == "" }

// valid reports whether a location may be looked up. Within a database's folder all names are the store's own.
func (l Location) valid() bool {
	if len(l.File)+len(manifestSuffix) > maxName {
		return false
	}
	return baseNames.MatchString(l.File) || l.Unmanaged() && looseNames.MatchString(l.File)
}

// nextSecond returns the name that a backup of one second later has.
func nextSecond(baseName string) (string, error) {
	parts := baseNames.FindStringSubmatch(baseName)
	if parts == nil {
		return "", fmt.Errorf("%w: %q", ErrName, baseName)
	}
	t, err := time.Parse(timeLayout, parts[1])
	if err != nil {
		return "", fmt.Errorf("%w: %q", ErrName, baseName)
	}
	return "backup-" + t.Add(time.Second).Format(timeLayout) + parts[2], nil
}

func partialName(name, runID string) string { return "." + name + "." + runID + partialSuffix }
