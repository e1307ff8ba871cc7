package job

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sort"
	"sync"
	"time"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/retention"
	"github.com/pgharbor/pgharbor/agent/scan"
	"github.com/pgharbor/pgharbor/agent/state"
	"github.com/pgharbor/pgharbor/agent/store"
	"github.com/pgharbor/pgharbor/internal/intact"
)

// Backup is a stored backup, what checks of it have found, and what retention
// says of it. Its Tables are left
// out: an inventory is held in memory, and they are most of a manifest.
type Backup struct {
	backup.Stored
	Check     state.CheckState
	Retention retention.Decision
}

// Inventory is all backups that the agent has, oldest first.
type Inventory struct {
	Backups []Backup
	// Digest is the SHA-256, hexadecimal, of the sorted lines "id sha256 size
	// status findings\n": two inventories that a control plane would show alike
	// have the same. When files were read again is left out: reports tell that.
	Digest string
}

// inventoryLife is how long an inventory is taken for current: another process
// may back up, and a file may vanish.
const inventoryLife = 30 * time.Second

// storedFiles is what the inventory lists.
type storedFiles interface {
	// Inventory lists what is stored, as far as it can be read; the error says what can't.
	Inventory() ([]backup.Stored, error)
}

// manifests are those of stored files, as they are stored.
type manifests interface {
	ReadManifest(store.Location) ([]byte, error)
}

// InventoryReader reads the inventory, and remembers it for a moment.
type InventoryReader struct {
	files     storedFiles
	manifests manifests
	checks    *state.Checks
	plans     *Plans
	clock     *Clock
	warnings  *warnings
	keys      *keyCheck
	changed   chan struct{} // holds one token once the inventory has

	mu   sync.Mutex
	last Inventory
	at   time.Time // of last; zero: it is not current
	// forgets counts: what was read before the last time is not current either.
	forgets int
}

// Current lists the backups as they were seen at most half a minute ago. What
// can't be read is in the status's warnings.
func (i *InventoryReader) Current() Inventory {
	i.mu.Lock()
	last, at := i.last, i.at
	i.mu.Unlock()
	age := i.clock.Now().Sub(at)
	if !at.IsZero() && age >= 0 && age < inventoryLife {
		return last
	}
	return i.read()
}

// Fresh lists the backups as they are now.
func (i *InventoryReader) Fresh() Inventory {
	i.forget()
	return i.Current()
}

// forget makes the next look a fresh one.
func (i *InventoryReader) forget() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.at = time.Time{}
	i.forgets++
}

// forgotten reports how often the next look was made a fresh one.
func (i *InventoryReader) forgotten() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.forgets
}

// good reports whether a backup counts: it is whole as far as known, and no test restore of it has
// failed.
func (b Backup) good() bool {
	testRestore := ""
	if b.Check.TestRestore != nil {
		testRestore = b.Check.TestRestore.State
	}
	return intact.Is(b.Complete, b.State, testRestore)
}

// announce makes the next look a fresh one, and has the control plane
// told at once.
func (i *InventoryReader) announce() {
	i.forget()
	notify(i.changed)
}

// Changed holds one token once something has changed about the backups that no report tells.
func (i *InventoryReader) Changed() <-chan struct{} { return i.changed }

// read does not keep what it read while something ended that changed it:
// the control plane would take the backup that was just made for missing.
func (i *InventoryReader) read() Inventory {
	forgets := i.forgotten()
	now := i.clock.Now()
	stored, err := i.files.Inventory()
	i.warnings.set(warnInventory, sentence("some of the backup folder can't be read", err))
	checks, err := i.checks.All()
	i.warnings.set(warnChecks, sentence("what checks of backups have found can't all be read", err))
	read := evaluated(stored, checks, i.plans.Get().Retention, now)
	i.keys.look(read.Backups)
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.forgets == forgets {
		i.last, i.at = read, now
	}
	return read
}

// evaluated is the inventory of what is stored, with what checks have found and what retention says of it.
func evaluated(stored []backup.Stored, checks map[string]state.CheckState, policy retention.Policy, now time.Time) Inventory {
	backups := make([]Backup, len(stored))
	aged := make([]retention.Backup, len(stored))
	for n, s := range stored {
		s.Tables = nil
		check := checks[s.ID]
		if check.Damage != "" && s.State == backup.StatePresent {
			s.State, s.Damage = backup.StateDamaged, check.Damage
		}
		backups[n] = Backup{Stored: s, Check: check}
		aged[n] = retention.Backup{
			ID: s.ID, Of: s.Series(), CreatedAt: s.CreatedAt, DependsOn: s.DependsOn,
			Good: backups[n].good(), Held: s.Hold != nil, // one that is in use stays as well: see remove
		}
	}
	decisions := map[string]retention.Decision{}
	for _, decision := range retention.Plan(aged, policy, now) {
		decisions[decision.ID] = decision
	}
	for n := range backups {
		backups[n].Retention = decisions[backups[n].ID]
	}
	return Inventory{Backups: backups, Digest: digest(backups)}
}

func digest(backups []Backup) string {
	lines := make([]string, 0, len(backups))
	for _, b := range backups {
		lines = append(lines, fmt.Sprintf("%s %s %d %s%s\n", b.ID, b.SHA256, b.SizeBytes, b.ReportedStatus(), b.findings()))
	}
	sort.Strings(lines)
	sum := sha256.New()
	for _, line := range lines {
		sum.Write([]byte(line))
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// ReportedStatus is retention's word for the backup, or what is wrong with its
// file.
func (b Backup) ReportedStatus() string {
	if b.State != backup.StatePresent {
		return b.State
	}
	return b.Retention.Status
}

// findings is what the digest has of a backup's hold and checks; "" if there is nothing, as in the
// digests of agents that know neither.
func (b Backup) findings() string {
	text := ""
	if b.Hold != nil {
		text += fmt.Sprintf(" held %q %q", b.Hold.Reason, b.Hold.By)
	}
	if b.Damage != "" {
		text += fmt.Sprintf(" %q", b.Damage)
	}
	if testRestore := b.Check.TestRestore; testRestore != nil {
		text += fmt.Sprintf(" %s %d", testRestore.State, testRestore.FinishedAt.UnixMilli())
	}
	return text
}

// Tables returns the rows of each table of a backup, read from its manifest; nil if that has gone
// meanwhile.
func (i *InventoryReader) Tables(b Backup) []scan.TableRows {
	content, err := i.manifests.ReadManifest(b.Location)
	if err != nil {
		return nil
	}
	var manifest struct {
		Tables []scan.TableRows `json:"tables"`
	}
	if err := json.Unmarshal(content, &manifest); err != nil {
		return nil
	}
	return manifest.Tables
}
