package session_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// inChain gives a backup its place among those that one key signed.
func inChain(sequence int64) func(*pgharborv1.Backup) {
	return func(b *pgharborv1.Backup) { b.Sequence, b.SignedBy = sequence, "0123456789abcdef" }
}

// auditLog returns the details of the entries with an action, newest first.
func (cp *controlPlane) auditLog(t *testing.T, action string) []string {
	t.Helper()
	entries, _, err := cp.Catalog.AuditLog.List(t.Context(), catalog.AuditQuery{Action: action})
	if err != nil {
		t.Fatal(err)
	}
	var details []string
	for _, e := range entries {
		details = append(details, e.Detail)
	}
	return details
}

// A backup that comes back as another file, and a chain that goes back, are damage that the audit
// log reports once. Nothing is forgotten by that.
func TestTheCatalogIsAWitness(t *testing.T) {
	cp := start(t)
	a := cp.connect(t, "db1", &pgharborv1.Hello{})
	first, second := aBackup(inChain(1)), aBackup(inChain(2))
	a.report(t, runFinished(aRun(), first))
	a.report(t, runFinished(aRun(), second))

	swapped := aBackup(inChain(1), func(b *pgharborv1.Backup) { b.Id, b.Sha256 = first.GetId(), strings.Repeat("f", 64) })
	rolledBack, next := aBackup(inChain(2)), aBackup(inChain(3))
	for range 2 {
		a.send(t, inventory("swapped", next, swapped, second, rolledBack))
		a.allTaken(t)
	}
	states := cp.backups(t, "db1")
	for id, want := range map[string]string{
		first.GetId(): fleet.BackupDamaged, second.GetId(): fleet.BackupPresent, rolledBack.GetId(): fleet.BackupDamaged, next.GetId(): fleet.BackupPresent,
	} {
		if states[id] != want {
			t.Errorf("%s is %q, want %q", id, states[id], want)
		}
	}
	kept, err := cp.Catalog.Backups.Get(t.Context(), first.GetId())
	if err != nil || kept.Manifest.SHA256 != first.GetSha256() {
		t.Errorf("the hash that was seen first is forgotten: %v, %v", kept.Manifest.SHA256, err)
	}
	told := cp.auditLog(t, "backup.suspect")
	if len(told) != 2 || !strings.Contains(strings.Join(told, "\n"), second.GetId()) {
		t.Errorf("the audit log tells %q", told)
	}
}

// Each backup that was swapped is one to know of: none is only counted, also if an inventory brings
// many, and none is told of twice.
func TestEachSuspectBackupIsInTheAuditLog(t *testing.T) {
	cp := start(t)
	cp.Catalog.SetShare(fleet.Share{Databases: 10, Backups: 32, Runs: 1000, Bytes: 64 << 20})
	a := cp.connect(t, "db1", &pgharborv1.Hello{})
	var swapped []*pgharborv1.Backup
	for n := range 30 {
		b := aBackup(inChain(int64(n + 1)))
		a.report(t, runFinished(aRun(), b))
		swapped = append(swapped, aBackup(inChain(int64(n+1)), func(s *pgharborv1.Backup) { s.Id, s.Sha256 = b.GetId(), strings.Repeat("f", 64) }))
	}
	good := aBackup(inChain(31))
	a.report(t, runFinished(aRun(), good))
	swapped = append(swapped, good)
	for _, digest := range []string{"swapped", "swapped again"} {
		a.send(t, inventory(digest, swapped...))
		a.allTaken(t)
	}
	told := cp.auditLog(t, "backup.suspect")
	if len(told) != 30 {
		t.Errorf("30 backups are suspect, and %d are in the audit log: %q", len(told), told)
	}
	// Of what the agent's share has no room for, nothing is kept, and nothing told.
	for _, digest := range []string{"more", "more again"} {
		a.send(t, inventory(digest, append(swapped, aBackup(inChain(1)), aBackup(inChain(2)))...))
		a.allTaken(t)
	}
	if told := cp.auditLog(t, "backup.suspect"); len(told) != 31 {
		t.Errorf("one more is kept, and the audit log tells %q", told)
	}
}

// An old catalog hears of several new backups at once, the newest first.
func TestAnOldCatalogIsNoWitnessAgainstNewBackups(t *testing.T) {
	cp := start(t)
	a := cp.connect(t, "db1", &pgharborv1.Hello{})
	a.report(t, runFinished(aRun(), aBackup(inChain(1))))
	b2, b3 := aBackup(inChain(2)), aBackup(inChain(3))
	a.send(t, inventory("more", b3, b2))
	a.allTaken(t)
	for _, b := range []*pgharborv1.Backup{b2, b3} {
		if got := cp.backups(t, "db1")[b.GetId()]; got != fleet.BackupPresent {
			t.Errorf("the backup %d is %s", b.GetSequence(), got)
		}
	}
}

// The first key is the one to know an agent by. Another one is told of, until an OWNER has the agent enrolled again.
func TestSigningKeys(t *testing.T) {
	cp := start(t)
	key, other := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	warned := func() bool {
		agent, err := cp.Catalog.Agents.Get(t.Context(), "db1")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(strings.Join(agent.Status.Warnings, "\n"), fleet.KeyID(other))
	}
	for _, step := range []struct {
		name    string
		key     []byte
		warned  bool
		entries int
	}{{"the first", key, false, 1}, {"the same", key, false, 1}, {"none", nil, false, 1}, {"another", other, true, 2}, {"another, again", other, true, 2}} {
		a := cp.connect(t, "db1", &pgharborv1.Hello{SigningKey: step.key})
		if got := warned(); got != step.warned {
			t.Errorf("%s: warned of is %v", step.name, got)
		}
		a.send(t, heartbeat(&pgharborv1.Heartbeat{Status: &pgharborv1.AgentStatus{}}))
		a.allTaken(t)
		if got := warned(); got != step.warned {
			t.Errorf("%s, after a heartbeat: warned of is %v", step.name, got)
		}
		if told := cp.auditLog(t, "agent.signing-key"); len(told) != 2*step.entries {
			t.Errorf("%s: the audit log tells %q", step.name, told)
		}
		known, err := cp.Catalog.Agents.SigningKey(t.Context(), "db1")
		if err != nil || !bytes.Equal(known.Pinned, key) {
			t.Errorf("%s: it is known by %x, %v", step.name, known.Pinned, err)
		}
		a.end()
	}
}
