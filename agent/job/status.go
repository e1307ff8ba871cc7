package job

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/pgharbor/pgharbor/agent/policy"
	"github.com/pgharbor/pgharbor/agent/postgres"
	"github.com/pgharbor/pgharbor/agent/seal"
	"github.com/pgharbor/pgharbor/internal/pause"
)

// Status is what the agent says of itself and its instance, as last looked at.
// Times are UTC; zero where there is none.
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
	// FolderTrouble says why the folder can't be used.
	FreeBytes     int64
	FolderTrouble string
	// RetentionBlocked is why retention removes nothing, or empty.
	RetentionBlocked string
	// HostPolicy is what the control plane may ask for: nothing, where PolicyTrouble says why the policy can't be used.
	HostPolicy    policy.Policy
	PolicyTrouble string
}

// Database is one database of the instance.
type Database struct {
	Name    string
	Covered bool // by the schedule
}

// Topics of trouble.
const (
	topicJournal   = "journal"
	topicInventory = "inventory"
	topicAdoption  = "adoption"
	topicPurge     = "purge"
	topicClock     = "clock"
	topicSkew      = "skew"
	topicScrub     = "scrub"
	topicChecks    = "checks"
	topicTrail     = "trail"
	topicVerify    = "verify"
	topicPolicy    = "policy"
)

const (
	statusAgain   = 5 * time.Second // after a look that failed
	statusTimeout = 15 * time.Second
)

// Status returns what the last look at the instance found.
func (r *Runner) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	status := r.status
	status.Enabled = r.Schedule != nil
	if r.Schedule != nil {
		status.Schedule = r.Schedule.String()
	}
	status.NextRun, status.NextPurge = r.nextRun, r.nextPurge()
	status.RetentionDays, status.KeepLast = r.Policy.Days, r.Policy.KeepLast
	if r.Verify.Schedule != nil {
		status.VerifySchedule, status.NextVerify = r.Verify.Schedule.String(), r.nextVerify
	}
	status.ScrubDays = int(r.Scrub.Every / purgeEvery)
	status.Encrypting = r.Engine.Passphrases.Current != ""
	status.RetentionBlocked = cmp.Or(r.troubles[topicPurge], r.troubles[topicClock])
	status.Warnings = slices.Concat(r.Warnings, status.Warnings, r.troubleTexts())
	return status
}

// troubleTexts leaves out what the status says in a field of its own.
func (r *Runner) troubleTexts() []string {
	var texts []string
	for topic, text := range r.troubles {
		if topic != topicPurge && topic != topicClock {
			texts = append(texts, text)
		}
	}
	sort.Strings(texts)
	return texts
}

// LookEvery is how often the agent looks at its instance and its backup folder,
// where nobody says otherwise.
const LookEvery = 30 * time.Second

// keepStatus looks at the instance again and again.
func (r *Runner) keepStatus(ctx context.Context) {
	for {
		wait := cmp.Or(r.LookEvery, LookEvery)
		if !r.RefreshStatus(ctx) {
			wait = min(wait, statusAgain)
		}
		r.retryLeftovers(ctx)
		r.tendKept(ctx)
		r.tendRoles(ctx)
		if !pause.For(ctx, wait) {
			return
		}
	}
}

// RefreshStatus looks at the instance now, for some seconds at most, and says
// whether it could be asked.
func (r *Runner) RefreshStatus(ctx context.Context) bool {
	looking, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	status, asked := r.look(looking)
	if ctx.Err() != nil {
		return false
	}
	if !asked {
		status.Databases = r.assumed()
	}
	status.FreeBytes, status.FolderTrouble = r.lookAtFolder()
	status.Warnings = append(status.Warnings, r.lookAtSecrets()...)
	status.HostPolicy, status.PolicyTrouble = r.lookAtPolicy()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !asked {
		status.ServerVersion = r.status.ServerVersion
	}
	r.status = status
	return asked
}

// lookAtFolder says what the backup folder has left, or why it can't be used.
func (r *Runner) lookAtFolder() (free int64, trouble string) {
	if err := r.Engine.Store.Usable(); err != nil {
		return 0, strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	free, err := r.Engine.Store.Free()
	if err != nil {
		return 0, err.Error()
	}
	return free, ""
}

// assumed are the databases that the instance has for all that is known while it
// can't be asked.
func (r *Runner) assumed() []Database {
	names := r.Databases
	if len(names) == 0 {
		names = r.lastKnown()
	}
	var databases []Database
	for _, name := range names {
		databases = append(databases, Database{Name: name, Covered: r.Schedule != nil})
	}
	return databases
}

func (r *Runner) look(ctx context.Context) (status Status, asked bool) {
	instance := r.Engine.Instance
	server, err := instance.Server(ctx)
	if err != nil {
		status.Warnings = append(status.Warnings, sentence("PostgreSQL can't be reached", err))
		return status, false
	}
	status.ServerVersion = server.Version
	tools, err := instance.ToolVersions(ctx)
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
	databases, err := r.databases(ctx)
	if err != nil {
		status.Warnings = append(status.Warnings, sentence("the databases can't be listed", err))
		return status, false
	}
	missing := slices.Clone(r.Databases)
	for _, database := range databases {
		named := slices.Contains(r.Databases, database.Name)
		missing = slices.DeleteFunc(missing, func(name string) bool { return name == database.Name })
		status.Databases = append(status.Databases, Database{
			Name: database.Name, Covered: r.Schedule != nil && (named || len(r.Databases) == 0),
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

// Unencrypted says whether new backups are plain files.
func Unencrypted(passphrases seal.Passphrases) bool { return passphrases.Current == "" }

// sentence is "" where nothing is wrong.
func sentence(what string, err error) string {
	if err == nil {
		return ""
	}
	return what + ": " + strings.ReplaceAll(err.Error(), "\n", "; ")
}
