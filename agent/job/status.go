package job

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pgharbor/pgharbor/agent/policy"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/seal"
	"github.com/pgharbor/pgharbor/agent/store"
)

// Status is what the agent says of itself and its instance, as last looked at. Times are UTC; zero
// if there is none.
type Status struct {
	ServerVersion  string
	DumpVersion    string
	Enabled        bool
	Schedule       string
	NextRun        time.Time
	NextPurge      time.Time
	RetentionDays  int
	KeepLast       int
	ScrubDays      int // 0: stored files are not read again
	VerifySchedule string
	NextVerify     time.Time
	Encrypting     bool
	Databases      []Database
	Warnings       []string // one sentence each
	// FreeBytes is what the disk of the backup folder has left, unless
	// FolderWarning says why the folder can't be used.
	FreeBytes     int64
	FolderWarning string
	// RetentionBlocked is why retention removes nothing, or empty.
	RetentionBlocked string
	// KeyWarning is which backups are encrypted and can't be opened with the keys that this host has, or empty.
	KeyWarning string
	// HostPolicy is what the control plane may ask for: nothing, if PolicyWarning says why the
	// policy can't be used.
	HostPolicy    policy.Policy
	PolicyWarning string
}

// Database is one database of the instance.
type Database struct {
	Name    string
	Covered bool // by the schedule
}

const (
	statusAgain   = 5 * time.Second // after a look that failed
	statusTimeout = 15 * time.Second
)

// server is the instance and its tools, for those who report their state.
type server interface {
	Server(context.Context) (postgres.Server, error)
	ToolVersions(context.Context) ([]postgres.Tool, error)
}

// backupFolder is where backups are stored, for those who report their state.
type backupFolder interface {
	// Usable says why nothing can be stored there, if so.
	Usable() error
	store.Spacious
}

// StatusReader looks at the instance and the backup folder, and remembers what it
// saw.
type StatusReader struct {
	server      server
	folder      backupFolder
	encrypting  bool
	plans       *Plans
	coverage    *coverage
	admission   *admission
	purger      *purger
	upcoming    *upcoming
	warnings    *warnings
	secretFiles []SecretFile
	configured  []string // warnings of the configuration

	mu   sync.Mutex
	last Status
}

// Last returns what the last look at the instance found.
func (s *StatusReader) Last() Status {
	s.mu.Lock()
	status := s.last
	s.mu.Unlock()
	plan := s.plans.Get()
	status.Enabled = plan.Schedule != nil
	if plan.Schedule != nil {
		status.Schedule = plan.Schedule.String()
	}
	nextRun, nextVerify := s.upcoming.times()
	status.NextRun, status.NextPurge = nextRun, s.purger.next(nextRun)
	status.RetentionDays, status.KeepLast = plan.Retention.Days, plan.Retention.KeepLast
	if plan.Verify.Schedule != nil {
		status.VerifySchedule, status.NextVerify = plan.Verify.Schedule.String(), nextVerify
	}
	status.ScrubDays = int(plan.Scrub.Every / purgeEvery)
	status.Encrypting = s.encrypting
	status.KeyWarning = s.warnings.of(warnKeys)
	status.RetentionBlocked = cmp.Or(s.warnings.of(warnPurge), s.warnings.of(warnClock))
	status.Warnings = slices.Concat(s.configured, status.Warnings, s.warnings.texts())
	return status
}

// LookEvery is how often the agent looks at its instance and its backup folder, if nobody says
// otherwise.
const LookEvery = 30 * time.Second

// Refresh looks at the instance now, for some seconds at most, and says
// whether it could be asked.
func (s *StatusReader) Refresh(ctx context.Context) bool {
	looking, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	status, asked := s.look(looking)
	if ctx.Err() != nil {
		return false
	}
	if !asked {
		status.Databases = s.coverage.assumed()
	}
	status.FreeBytes, status.FolderWarning = s.lookAtFolder()
	status.Warnings = append(status.Warnings, s.lookAtSecrets()...)
	status.HostPolicy, status.PolicyWarning = s.admission.lookAtPolicy()
	s.coverage.see(status.Databases)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !asked {
		status.ServerVersion = s.last.ServerVersion
	}
	s.last = status
	return asked
}

// lookAtFolder reports what the backup folder has left, or why it can't be used.
func (s *StatusReader) lookAtFolder() (free int64, warning string) {
	if err := s.folder.Usable(); err != nil {
		return 0, strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	space, err := s.folder.Space()
	if err != nil {
		return 0, err.Error()
	}
	return space.Free, ""
}

func (s *StatusReader) look(ctx context.Context) (status Status, asked bool) {
	server, err := s.server.Server(ctx)
	if err != nil {
		status.Warnings = append(status.Warnings, sentence("PostgreSQL can't be reached", err))
		return status, false
	}
	status.ServerVersion = server.Version
	tools, err := s.server.ToolVersions(ctx)
	if err != nil {
		status.Warnings = append(status.Warnings, sentence("the tools of PostgreSQL don't serve", err))
	}
	if older := (*postgres.OlderToolError)(nil); errors.As(err, &older) && older.Tool.Name == "pg_dump" {
		status.DumpVersion = older.Tool.Version
	}
	if len(tools) > 0 {
		status.DumpVersion = tools[0].Version
	}
	status.Warnings = append(status.Warnings, VulnerableTools(tools)...)
	databases, err := s.coverage.databases(ctx)
	if err != nil {
		status.Warnings = append(status.Warnings, sentence("the databases can't be listed", err))
		return status, false
	}
	plan := s.plans.Get()
	missing := slices.Clone(plan.Databases)
	for _, database := range databases {
		missing = slices.DeleteFunc(missing, func(name string) bool { return name == database.Name })
		status.Databases = append(status.Databases, Database{
			Name: database.Name, Covered: plan.Schedule != nil && plan.covers(database.Name),
		})
	}
	for _, name := range missing {
		status.Warnings = append(status.Warnings, fmt.Sprintf("BACKUP_DATABASES names %q, which the instance does not have", name))
	}
	return status, true
}

// safeMinor is the first minor release of each major whose psql and pg_dump run
// no shell commands from a crafted dump (CVE-2026-18408, CVE-2026-6464,
// CVE-2026-116314).
var safeMinor = map[int]int{15: 20, 16: 16, 17: 12, 18: 7}

// VulnerableTools says of each tool, in a sentence, whether a crafted dump can
// make it run shell commands.
func VulnerableTools(tools []postgres.Tool) []string {
	var sentences []string
	for _, tool := range tools {
		major, minor := tool.Number/10000, tool.Number%10000
		safe, listed := safeMinor[major]
		switch {
		case tool.Number == 0, tool.Name == "pg_restore", major > 18, listed && minor >= safe:
		case listed:
			sentences = append(sentences, fmt.Sprintf(
				"%s %s runs shell commands from a crafted dump (CVE-2026-18408); upgrade the PostgreSQL client to %d.%d",
				tool.Name, tool.Version, major, safe))
		default:
			sentences = append(sentences, fmt.Sprintf(
				"%s %s gets no security fixes and runs shell commands from a crafted dump (CVE-2026-18408); upgrade the PostgreSQL client",
				tool.Name, tool.Version))
		}
	}
	return sentences
}

// NoPassphrase is the warning for backups that are not sealed.
const NoPassphrase = "backups are not encrypted: neither BACKUP_ENCRYPT_PASSPHRASE nor BACKUP_ENCRYPT_PASSPHRASE_FILE is set"

// Unencrypted reports whether new backups are plain files.
func Unencrypted(keys seal.Ring) bool { return !keys.Encrypts() }

// sentence is "" if nothing is wrong.
func sentence(what string, err error) string {
	if err == nil {
		return ""
	}
	return what + ": " + strings.ReplaceAll(err.Error(), "\n", "; ")
}
