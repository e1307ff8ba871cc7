package daemon

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSettingsByDefault(t *testing.T) {
	s, err := readSettings([]string{"BACKUP_DIR=", "BACKUP_RETENTION_DAYS=", "TZ=Europe/Berlin"})
	if err != nil {
		t.Fatal(err)
	}
	if s.Enabled || s.Dir != "./backups" || s.Policy.Days != 30 || s.Policy.KeepLast != 3 || s.Concurrency != 1 ||
		s.Schedule.String() != "0 1 * * *" || s.Format != "plain" || s.Compression != "none" || s.Timezone != "Europe/Berlin" ||
		s.Passphrases.Current != "" || s.Databases != nil || s.ImportDatabase != "" {
		t.Errorf("defaults: %+v", s)
	}
}

func TestSettingsOfTestRestores(t *testing.T) {
	s, err := readSettings([]string{"TZ=UTC"})
	if err != nil {
		t.Fatal(err)
	}
	if s.Scrub.Every != 7*24*time.Hour || s.Scrub.BytesPerSecond != 32<<20 || s.Verify.Schedule != nil || s.Verify.Timeout != 6*time.Hour || s.Verify.InInstance || s.Verify.WithoutCage {
		t.Errorf("defaults: %+v, %+v", s.Scrub, s.Verify)
	}
	s, err = readSettings([]string{
		"BACKUP_SCRUB_DAYS=0", "BACKUP_VERIFY_SCHEDULE=0 4 * * 0", "BACKUP_VERIFY_TIMEOUT=90m", "BACKUP_VERIFY_IN_INSTANCE=true",
		"BACKUP_VERIFY_WITHOUT_CAGE=true", "BACKUP_TIMEZONE=Europe/Berlin",
	})
	if err != nil {
		t.Fatal(err)
	}
	// Sundays at four, there.
	next := s.Verify.Schedule.Next(time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC))
	if s.Scrub.Every != 0 || s.Verify.Timeout != 90*time.Minute || !s.Verify.InInstance || !s.Verify.WithoutCage || !next.Equal(time.Date(2026, 11, 29, 3, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v, %+v, next %s", s.Scrub, s.Verify, next)
	}
}

func TestSettingsThatAreRefused(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for variable, allowed := range map[string]string{
		"ENABLE_BACKUPS=yes":                          "true or false",
		"BACKUP_RETENTION_DAYS=0":                     "from 1 to",
		"BACKUP_RETENTION_DAYS=-30":                   "from 1 to",
		"BACKUP_RETENTION_DAYS=30d":                   "from 1 to",
		"BACKUP_RETENTION_DAYS=99999999999999999999":  "from 1 to",
		"BACKUP_KEEP_LAST=0":                          "from 1 to",
		"BACKUP_CONCURRENCY=0":                        "from 1 to",
		"RESTORE_JOBS=all":                            "from 0 to",
		"BACKUP_SCHEDULE=daily":                       "cron expression",
		"BACKUP_SCHEDULE=0 0 30 2 *":                  "cron expression",
		"BACKUP_TIMEZONE=Mars/Olympus":                "tz database",
		"BACKUP_SCRUB_DAYS=-1":                        "from 0 to",
		"BACKUP_SCRUB_MBPS=0":                         "from 1 to",
		"BACKUP_VERIFY_SCHEDULE=weekly":               "cron expression",
		"BACKUP_VERIFY_IN_INSTANCE=perhaps":           "true or false",
		"BACKUP_VERIFY_TIMEOUT=6":                     "such as 90m",
		"BACKUP_VERIFY_BINDIR=bin":                    "absolute path",
		"BACKUP_FORMAT=tar":                           "plain or custom",
		"BACKUP_COMPRESSION=gzip":                     "none or zstd",
		"BACKUP_DATABASES=a,,b":                       "separated by commas",
		"BACKUP_ENCRYPT_PASSPHRASE_FILE=" + empty:     "passphrase",
		"BACKUP_ENCRYPT_PASSPHRASE_FILE=/no/such":     "no such file",
		"BACKUP_OLD_PASSPHRASES_FILE=/no/such":        "no such file",
		"DATABASE_URL=postgres://host/db?colour=blue": "colour",
	} {
		name, _, _ := strings.Cut(variable, "=")
		_, err := readSettings([]string{variable})
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), allowed) {
			t.Errorf("%s: %v", variable, err)
		}
	}
	// All at once.
	_, err := readSettings([]string{"BACKUP_FORMAT=tar", "BACKUP_TIMEZONE=Mars"})
	if err == nil || !strings.Contains(err.Error(), "BACKUP_FORMAT") || !strings.Contains(err.Error(), "BACKUP_TIMEZONE") {
		t.Errorf("two at once: %v", err)
	}
}

func TestPassphraseFileWins(t *testing.T) {
	file := filepath.Join(t.TempDir(), "passphrase")
	if err := os.WriteFile(file, []byte("from the file\nand a second line\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := readSettings([]string{
		"BACKUP_ENCRYPT_PASSPHRASE=from the environment", "BACKUP_ENCRYPT_PASSPHRASE_FILE=" + file, "BACKUP_OLD_PASSPHRASES_FILE=" + file,
	})
	if err != nil {
		t.Fatal(err)
	}
	if s.Passphrases.Current != "from the file" {
		t.Error("the file does not win")
	}
	if diff := cmp.Diff([]string{"from the file", "and a second line"}, s.Passphrases.Old); diff != "" {
		t.Errorf("earlier ones (-want +got):\n%s", diff)
	}
}

// Anyone who may change a passphrase chooses with what backups are sealed. Anyone who may only read
// it is said, and keeps nobody from having backups.
func TestAPassphraseFileThatOthersMayChangeIsRefused(t *testing.T) {
	for _, variable := range []string{"BACKUP_ENCRYPT_PASSPHRASE_FILE", "BACKUP_OLD_PASSPHRASES_FILE"} {
		for mode, refused := range map[fs.FileMode]bool{0o600: false, 0o400: false, 0o644: false, 0o664: true, 0o666: true} {
			file := filepath.Join(t.TempDir(), "passphrase")
			if err := errors.Join(os.WriteFile(file, []byte("secret\n"), 0o600), os.Chmod(file, mode)); err != nil {
				t.Fatal(err)
			}
			s, err := readSettings([]string{variable + "=" + file})
			if (err != nil) != refused || refused && !strings.Contains(err.Error(), variable) {
				t.Errorf("%s of mode %04o: %v", variable, mode, err)
			}
			if !refused && (len(s.SecretFiles) != 1 || s.SecretFiles[0].Path != file) {
				t.Errorf("looked at are %v", s.SecretFiles)
			}
		}
	}
}

func TestNamesOfDatabases(t *testing.T) {
	for value, want := range map[string][]string{
		"shop":              {"shop"},
		"shop, crm":         {"shop", "crm"},
		`"a,b",it's,sa"y`:   {"a,b", "it's", `sa"y`},
		"../up,-x,with sp ": {"../up", "-x", "with sp "},
		" ":                 nil,
	} {
		got, err := list("BACKUP_DATABASES", value)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v (-want +got):\n%s", value, err, diff)
		}
	}
}
