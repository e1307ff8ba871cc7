package store

import (
	"fmt"
	"regexp"
	"time"
)

const (
	manifestSuffix = ".manifest.json"
	globalsSuffix  = ".globals"
	timeLayout     = "2006-01-02-15-04-05"
	// MaxName is the most bytes that a name may have, its manifest's suffix included: every file system of Linux that
	// matters takes them.
	MaxName = 255
)

var (
	backupNames = regexp.MustCompile(`^backup-(\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d)(\.[a-z]{1,16}(?:\.zst)?(?:\.enc)?)$`) // of any kind, a newer one's too
	looseNames  = regexp.MustCompile(`^backup-[^/\x00]*\.sql(?:\.enc)?$`)
	ids         = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)
)

// ManifestName is the name of the manifest of a backup's file.
func ManifestName(file string) string { return file + manifestSuffix }

// GlobalsName is the name of the companion of a backup's file.
func GlobalsName(file string) string { return file + globalsSuffix }

// Of is the name of a part of the backup whose file has this name.
func (p Part) Of(file string) string {
	switch p {
	case Globals:
		return GlobalsName(file)
	case Manifest:
		return ManifestName(file)
	default:
		return file
	}
}

// IsBackup reports whether a name is one that a new backup gets: backup-YYYY-MM-DD-HH-mm-ss.TYPE[.zst][.enc], where TYPE is
// up to 16 letters, such as sql.
func IsBackup(name string) bool { return backupNames.MatchString(name) }

// IsLoose reports whether a name is one that the old script gave its files: backup-*.sql[.enc].
func IsLoose(name string) bool { return looseNames.MatchString(name) }

// Unmanaged reports whether the file stands where the old script left its own, directly in the store's folder. Such a place
// says nothing of the database that the file is of. Each other place is that of a subject, see subject.Subject.Place.
func (l Location) Unmanaged() bool { return l.Database == "" }

// Check returns ErrName for a location that no backup has. Whatever passes is safe as a name of a file.
func (l Location) Check() error {
	if len(ManifestName(l.File)) <= MaxName && (IsBackup(l.File) || l.Unmanaged() && IsLoose(l.File)) {
		return nil
	}
	return fmt.Errorf("%w: %q of database %q", ErrName, l.File, l.Database)
}

// CheckNew returns ErrName where a backup can't be made of this database, name or run.
func CheckNew(database, name, runID string) error {
	if database == "" || !IsBackup(name) || !ids.MatchString(runID) {
		return fmt.Errorf("%w: %q of database %q, run %q", ErrName, name, database, runID)
	}
	return nil
}

// CheckID returns ErrName for an id that is not 1 to 64 characters of [a-z0-9-].
func CheckID(id string) error {
	if !ids.MatchString(id) {
		return fmt.Errorf("%w: %q is no id", ErrName, id)
	}
	return nil
}

// NextSecond returns the name that a backup of one second later has.
func NextSecond(name string) (string, error) {
	parts := backupNames.FindStringSubmatch(name)
	if parts == nil {
		return "", fmt.Errorf("%w: %q", ErrName, name)
	}
	t, err := time.Parse(timeLayout, parts[1])
	if err != nil {
		return "", fmt.Errorf("%w: %q", ErrName, name)
	}
	return "backup-" + t.Add(time.Second).Format(timeLayout) + parts[2], nil
}
