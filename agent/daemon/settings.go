package daemon

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/job"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/retention"
	"github.com/pgharbor/pgharbor/agent/seal"
)

const (
	defaultDir           = "./backups"
	defaultSchedule      = "0 1 * * *"
	defaultRetentionDays = 30
	defaultKeepLast      = 3
	defaultConcurrency   = 1
	defaultScrubDays     = 7
	defaultScrubMBPS     = 32
	defaultVerifyTimeout = 6 * time.Hour

	defaultKeepOldDays = 7

	maxRetentionDays = 36500
	maxKeepLast      = 10000
	maxConcurrency   = 64
	maxScrubDays     = 3650
	maxScrubMBPS     = 100000
	maxReserveMB     = 1 << 30
)

// variables are the agent's own settings as the environment has them. All are
// text here, so that what is refused can be refused by its name.
type variables struct {
	Enabled            string `env:"ENABLE_BACKUPS"`
	Dir                string `env:"BACKUP_DIR"`
	RetentionDays      string `env:"BACKUP_RETENTION_DAYS"`
	KeepLast           string `env:"BACKUP_KEEP_LAST"`
	Passphrase         string `env:"BACKUP_ENCRYPT_PASSPHRASE"`
	PassphraseFile     string `env:"BACKUP_ENCRYPT_PASSPHRASE_FILE"`
	OldPassphrasesFile string `env:"BACKUP_OLD_PASSPHRASES_FILE"`
	Schedule           string `env:"BACKUP_SCHEDULE"`
	Timezone           string `env:"BACKUP_TIMEZONE"`
	Databases          string `env:"BACKUP_DATABASES"`
	ImportDatabase     string `env:"BACKUP_ADOPT_DATABASE"`
	Format             string `env:"BACKUP_FORMAT"`
	Compression        string `env:"BACKUP_COMPRESSION"`
	Concurrency        string `env:"BACKUP_CONCURRENCY"`
	ScrubDays          string `env:"BACKUP_SCRUB_DAYS"`
	ScrubMBPS          string `env:"BACKUP_SCRUB_MBPS"`
	KeepOldDays        string `env:"RESTORE_KEEP_OLD_DAYS"`
	VerifySchedule     string `env:"BACKUP_VERIFY_SCHEDULE"`
	VerifyDir          string `env:"BACKUP_VERIFY_DIR"`
	VerifyBin          string `env:"BACKUP_VERIFY_BINDIR"`
	VerifyInInstance   string `env:"BACKUP_VERIFY_IN_INSTANCE"`
	VerifyWithoutCage  string `env:"BACKUP_VERIFY_WITHOUT_CAGE"`
	VerifyTimeout      string `env:"BACKUP_VERIFY_TIMEOUT"`
	RestoreJobs        string `env:"RESTORE_JOBS"`
	ReserveMB          string `env:"BACKUP_RESERVE_MB"`
}

// settings are the variables, understood. Empty variables count as not set.
type settings struct {
	Connection  postgres.Settings
	Enabled     bool
	Dir         string
	Policy      retention.Policy
	Passphrases seal.Passphrases
	Schedule    *job.Schedule
	Location    *time.Location
	Timezone    string // the name of Location
	Databases   []string
	// ImportDatabase is the one that the old script files are of; empty: the one of Connection.
	ImportDatabase string
	Format         string
	Compression    string
	Concurrency    int
	Scrub          job.Scrub
	KeepOldDays    int // 0: until it is dropped by hand
	Verify         job.Verify
	RestoreJobs    int   // 0: as many as there are processors, at most 4
	Reserve        int64 // bytes of the disk that stay free of what others ask; negative: a part of the disk
	// SecretFiles are the files with secrets that the settings name.
	SecretFiles []job.SecretFile
	// Hidden are the files and folders of the agent's own that no tool of PostgreSQL's has a use for; absolute.
	Hidden []string
}

// readSettings refuses what is wrong at once, all of it, each by the variable's
// name and with what is allowed.
func readSettings(environ []string) (settings, error) {
	environment := env.ToMap(environ)
	v, err := env.ParseAsWithOptions[variables](env.Options{Environment: environment})
	if err != nil {
		return settings{}, err
	}
	s := settings{Dir: cmp.Or(v.Dir, defaultDir), ImportDatabase: v.ImportDatabase}
	var problems []error
	check := func(err error) { problems = append(problems, err) }

	s.Connection, err = postgres.SettingsFrom(environ)
	check(err)
	s.Enabled, err = truth("ENABLE_BACKUPS", v.Enabled)
	check(err)
	s.Policy.Days, err = number("BACKUP_RETENTION_DAYS", v.RetentionDays, defaultRetentionDays, maxRetentionDays)
	check(err)
	s.Policy.KeepLast, err = number("BACKUP_KEEP_LAST", v.KeepLast, defaultKeepLast, maxKeepLast)
	check(err)
	s.Concurrency, err = number("BACKUP_CONCURRENCY", v.Concurrency, defaultConcurrency, maxConcurrency)
	check(err)
	s.KeepOldDays, err = numberFrom(0, "RESTORE_KEEP_OLD_DAYS", v.KeepOldDays, defaultKeepOldDays, maxRetentionDays)
	check(err)
	s.RestoreJobs, err = numberFrom(0, "RESTORE_JOBS", v.RestoreJobs, 0, maxConcurrency)
	check(err)
	reserve, err := numberFrom(0, "BACKUP_RESERVE_MB", v.ReserveMB, -1, maxReserveMB)
	check(err)
	s.Reserve = int64(reserve) << 20
	s.Format, err = oneOf("BACKUP_FORMAT", v.Format, postgres.FormatPlain, postgres.FormatCustom)
	check(err)
	s.Compression, err = oneOf("BACKUP_COMPRESSION", v.Compression, backup.CompressionNone, backup.CompressionZstd)
	check(err)
	s.Databases, err = list("BACKUP_DATABASES", v.Databases)
	check(err)
	s.Location, s.Timezone, err = zone(v.Timezone, environment)
	check(err)
	if s.Location != nil {
		s.Schedule, err = job.ParseSchedule(cmp.Or(v.Schedule, defaultSchedule), s.Location)
		check(refusal("BACKUP_SCHEDULE", v.Schedule, "a cron expression of five fields such as \"0 1 * * *\"", err))
	}
	s.Passphrases, err = passphrases(v)
	check(err)
	s.SecretFiles = secretFiles(v, s.Connection)
	s.Hidden, err = absolute(s.Dir, v.PassphraseFile, v.OldPassphrasesFile)
	check(err)
	s.Scrub, err = scrub(v)
	check(err)
	s.Verify, err = verify(v, s.Location)
	check(err)
	return s, errors.Join(problems...)
}

// absolute makes paths absolute that are not empty.
func absolute(paths ...string) ([]string, error) {
	var all []string
	for _, path := range paths {
		if path == "" {
			continue
		}
		path, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		all = append(all, path)
	}
	return all, nil
}

// verify is how backups are restored to prove them: by hand only, if no schedule is set.
func verify(v variables, location *time.Location) (job.Verify, error) {
	verify := job.Verify{Dir: v.VerifyDir, Bin: v.VerifyBin, Timeout: defaultVerifyTimeout}
	var problems []error
	if v.VerifySchedule != "" && location != nil {
		schedule, err := job.ParseSchedule(v.VerifySchedule, location)
		verify.Schedule = schedule
		problems = append(problems, refusal("BACKUP_VERIFY_SCHEDULE", v.VerifySchedule, "a cron expression of five fields such as \"0 4 * * 0\"", err))
	}
	var err error
	verify.InInstance, err = truth("BACKUP_VERIFY_IN_INSTANCE", v.VerifyInInstance)
	problems = append(problems, err)
	verify.WithoutCage, err = truth("BACKUP_VERIFY_WITHOUT_CAGE", v.VerifyWithoutCage)
	problems = append(problems, err)
	if v.VerifyTimeout != "" {
		verify.Timeout, err = time.ParseDuration(v.VerifyTimeout)
		if err != nil || verify.Timeout <= 0 {
			problems = append(problems, fmt.Errorf("BACKUP_VERIFY_TIMEOUT=%q is not valid: it must be a time such as 90m or 6h", v.VerifyTimeout))
		}
	}
	if v.VerifyBin != "" && !filepath.IsAbs(v.VerifyBin) {
		problems = append(problems, fmt.Errorf("BACKUP_VERIFY_BINDIR=%q is not valid: it must be an absolute path", v.VerifyBin))
	}
	return verify, errors.Join(problems...)
}

// refusal reports which variable is wrong and what is allowed; nil for no error.
func refusal(name, value, allowed string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s=%q is not valid: it must be %s (%w)", name, value, allowed, err)
}

func truth(name, value string) (bool, error) {
	switch strings.ToLower(value) {
	case "", "false", "0":
		return false, nil
	case "true", "1":
		return true, nil
	default:
		return false, fmt.Errorf("%s=%q is not valid: it must be true or false", name, value)
	}
}

func number(name, value string, standard, most int) (int, error) {
	return numberFrom(1, name, value, standard, most)
}

// numberFrom is number for one that may be less than 1.
func numberFrom(least int, name, value string, standard, most int) (int, error) {
	if value == "" {
		return standard, nil
	}
	n, err := strconv.Atoi(strings.TrimSpace(value))
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%s=%q is not valid: it must be a number from %d to %d", name, value, least, most)
	}
	return n, nil
}

// scrub is how stored files are read again: never, if the days are 0.
func scrub(v variables) (job.Scrub, error) {
	days, err := numberFrom(0, "BACKUP_SCRUB_DAYS", v.ScrubDays, defaultScrubDays, maxScrubDays)
	mbps, mbpsErr := number("BACKUP_SCRUB_MBPS", v.ScrubMBPS, defaultScrubMBPS, maxScrubMBPS)
	return job.Scrub{Every: time.Duration(days) * 24 * time.Hour, BytesPerSecond: int64(mbps) << 20}, errors.Join(err, mbpsErr)
}

func oneOf(name, value, standard, other string) (string, error) {
	switch value {
	case "", standard:
		return standard, nil
	case other:
		return other, nil
	default:
		return "", fmt.Errorf("%s=%q is not valid: it must be %s or %s", name, value, standard, other)
	}
}

// list reads names separated by commas; one that has a comma itself is in double quotes.
func list(name, value string) ([]string, error) {
	if strings.TrimSpace(value) == "" {
		return nil, nil
	}
	reader := csv.NewReader(strings.NewReader(value))
	reader.TrimLeadingSpace, reader.LazyQuotes = true, true
	names, err := reader.Read()
	if err != nil {
		return nil, refusal(name, value, "names of databases, separated by commas", err)
	}
	for _, database := range names {
		if database == "" || strings.ContainsRune(database, 0) {
			return nil, fmt.Errorf("%s=%q is not valid: it must be names of databases, separated by commas; one is empty", name, value)
		}
	}
	return names, nil
}

func zone(name string, environment map[string]string) (*time.Location, string, error) {
	if name == "" {
		return time.Local, localZoneName(environment), nil
	}
	location, err := time.LoadLocation(name)
	if err != nil {
		return nil, "", refusal("BACKUP_TIMEZONE", name, "a zone of the tz database such as Europe/Berlin, or UTC", err)
	}
	return location, name, nil
}

// localZoneName is the name of the zone that time.Local is, as far as the system
// says it.
func localZoneName(environment map[string]string) string {
	if name, set := environment["TZ"]; set {
		return cmp.Or(strings.TrimPrefix(name, ":"), "UTC")
	}
	if target, err := filepath.EvalSymlinks("/etc/localtime"); err == nil {
		if _, name, found := strings.Cut(target, "zoneinfo/"); found {
			return name
		}
	}
	return time.Local.String()
}

func passphrases(v variables) (seal.Passphrases, error) {
	p := seal.Passphrases{Current: v.Passphrase}
	var problems []error
	if v.PassphraseFile != "" {
		current, err := seal.ReadPassphraseFile(v.PassphraseFile)
		if err = errors.Join(err, unchangeable(v.PassphraseFile)); err != nil {
			problems = append(problems, fmt.Errorf("BACKUP_ENCRYPT_PASSPHRASE_FILE: %w", err))
		}
		p.Current = current
	}
	if v.OldPassphrasesFile != "" {
		old, err := seal.ReadPassphrases(v.OldPassphrasesFile)
		if err = errors.Join(err, unchangeable(v.OldPassphrasesFile)); err != nil {
			problems = append(problems, fmt.Errorf("BACKUP_OLD_PASSPHRASES_FILE: %w", err))
		}
		p.Old = old
	}
	return p, errors.Join(problems...)
}
