package attack_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgharbor/pgharbor/agent/backup"
	"github.com/pgharbor/pgharbor/agent/seal"
	"github.com/pgharbor/pgharbor/agent/signing"
	"github.com/pgharbor/pgharbor/agent/state"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// A control plane that was taken over invents an instance, a manifest and a file, and orders the restore. It can vouch for
// whatever it likes: the host wants a proof of its own.
func TestControlPlaneOrdersARestoreOfItsOwnFile(t *testing.T) {
	h := newTakenHost(t)
	unsigned := madeUp(t, "invented-db", "CREATE TABLE evil (id int);")
	strangers := planeRunner(t, h.Server, "invented-db", nil) // an agent of the attacker's own
	strangers.Engine.Keys.Passphrases = seal.Passphrases{}
	h.CreateDatabase(t, "bait")
	signed, _ := backedUp(t, strangers, "bait", backup.TriggerManual)
	claimed, _ := backedUp(t, strangers, "bait", backup.TriggerAdopted)
	attackers, err := strangers.Engine.Signer.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	imported := plunder{bytes.Replace(unsigned.manifest, []byte(`"manual"`), []byte(`"adopted"`), 1), unsigned.content}

	h.plane.refused("an unsigned manifest and an unsealed file", h.plane.sends(unsigned, "invented-db", nil, "evil"))
	h.plane.refused("the same with a key that is vouched for", h.plane.sends(unsigned, "invented-db", attackers, "evil"))
	h.plane.refused("the same, as a file that was adopted", h.plane.sends(imported, "invented-db", nil, "evil"))
	h.plane.refused("signed by the attacker, who is vouched for", h.plane.sends(signed, "invented-db", attackers, "evil"))
	h.plane.refused("the same, as a file that was adopted", h.plane.sends(claimed, "invented-db", attackers, "evil"))
	h.plane.refused("signed by the attacker", h.plane.sends(signed, "invented-db", nil, "evil"))
	mine := madeUp(t, "shop-db", "CREATE TABLE evil (id int);")
	if done := h.plane.sends(mine, "shop-db", nil, "evil"); done.GetState() != state.StateFailed {
		t.Errorf("under the host's own name it ends as %s", done.GetState())
	}
	if owner := h.ownerOf("evil"); owner != "" {
		t.Errorf("a database of it is there, of %s", owner)
	}

	// The trap is live: a host that allows it gets the database, confined.
	h.allows(`{"unproven": true}`)
	h.plane.succeeded("where it is allowed", h.plane.sends(unsigned, "invented-db", nil, "evil"))
	if owner := h.ownerOf("evil"); !strings.HasPrefix(owner, "pgharbor_restore_") {
		t.Errorf("where it is allowed, the database is of %q", owner)
	}
	// A key that a person on the host trusts needs no such word.
	h.allows(`{}`)
	trusted := filepath.Join(h.work.State.Dir(), "trusted-keys")
	if err := os.WriteFile(trusted, []byte(signing.Format(attackers)+" a friend\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.plane.succeeded("by a key in trusted-keys", h.plane.sends(signed, "invented-db", nil, "bait2"))
	if owner := h.ownerOf("bait2"); owner != "postgres" {
		t.Errorf("by a key in trusted-keys the database is of %q", owner)
	}
}

// Two hosts share a passphrase, and one of them was taken over: what it proves by the passphrase counts on the other only
// where that names it, and never under the other's own name.
func TestSharedPassphraseProvesNothingOfAnotherHost(t *testing.T) {
	h := newTakenHost(t)
	h.CreateDatabase(t, "goods")
	other := planeRunner(t, h.Server, "other-db", nil)
	theirs, _ := backedUp(t, other, "goods", backup.TriggerManual)
	key, err := other.Engine.Signer.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	h.plane.refused("from a host that nobody named", h.plane.sends(theirs, "other-db", nil, "goods2"))
	h.plane.refused("the same, vouched for", h.plane.sends(theirs, "other-db", key, "goods2"))
	other.Engine.InstanceName = "shop-db" // it can write whatever it likes into its manifests
	forged, _ := backedUp(t, other, "goods", backup.TriggerManual)
	if done := h.plane.sends(forged, "shop-db", nil, "goods2"); done.GetState() != state.StateFailed || !strings.Contains(done.GetError(), "does not come from another") {
		t.Errorf("under the host's own name it ends as %s: %s", done.GetState(), done.GetError())
	}
	if owner := h.ownerOf("goods2"); owner != "" {
		t.Errorf("a database of it is there, of %s", owner)
	}
	h.allows(`{"restore_from": ["third-*"]}`)
	h.plane.refused("where another is named", h.plane.sends(theirs, "other-db", nil, "goods2"))
	h.allows(`{"restore_from": ["other-*"]}`)
	h.plane.succeeded("where it is named", h.plane.sends(theirs, "other-db", nil, "goods2"))
	if owner := h.ownerOf("goods2"); owner != "postgres" {
		t.Errorf("where it is named, the database is of %q", owner)
	}
}

// A hold that was set on the host is none of the control plane's business, neither to end nor to put its own in its place.
func TestControlPlaneReleasesAHoldOfTheHost(t *testing.T) {
	h := newTakenHost(t)
	h.CreateDatabase(t, "goods")
	_, id := backedUp(t, h.work, "goods", backup.TriggerManual)
	hold := func(release bool) *pgharborv1.JobFinished {
		return h.plane.asks(&pgharborv1.Offer{Spec: &pgharborv1.Offer_Hold{Hold: &pgharborv1.HoldSpec{BackupId: id, Release: release, By: "user:mallory"}}})
	}
	held := func() *backup.Hold {
		stored, err := h.work.Engine.Find(id)
		if err != nil {
			t.Fatal(err)
		}
		return stored.Hold
	}
	if err := h.work.Holds.HoldHere(id, "host:root", "the audit"); err != nil {
		t.Fatal(err)
	}
	h.plane.refused("a release", hold(true))
	h.plane.refused("a hold of its own, to be released then", hold(false))
	if now := held(); now == nil || now.By != "host:root" || now.Reason != "the audit" {
		t.Fatalf("the hold is %+v", now)
	}
	path := filepath.Join(folderOf(h.work.Engine).Dir(), "goods")
	files, err := filepath.Glob(filepath.Join(path, "*.hold.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	if err := os.WriteFile(files[0], []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.plane.refused("a release of one that can't be read", hold(true))

	h.allows(`{"release_host_holds": true}`)
	h.plane.succeeded("a release, where it is allowed", hold(true))
	h.allows(`{}`)
	h.plane.succeeded("a hold of its own", hold(false))
	h.plane.succeeded("the release of its own", hold(true))
	if now := held(); now != nil {
		t.Errorf("it is held still: %+v", now)
	}
}

// What a host does not allow is not done: a database in service stays, superuser roles are not made, and jobs that are not
// named are not begun. A change of the file holds at once, and a file that is broken allows nothing.
func TestControlPlaneAsksForWhatTheHostDenies(t *testing.T) {
	h := newTakenHost(t)
	h.CreateDatabase(t, "goods")
	h.Exec(t, "goods", "CREATE TABLE stock AS SELECT 1 AS n")
	_, id := backedUp(t, h.work, "goods", backup.TriggerManual)
	h.Exec(t, "goods", "UPDATE stock SET n = 2")
	inService := func() string { return h.Value(t, "goods", "SELECT n FROM stock") }
	replace := &pgharborv1.RestoreSpec{BackupId: id, TargetDatabase: "goods", Replace: true}

	h.allows(`{"replace": false}`)
	h.plane.refused("a restore over a database in service", h.plane.restore(replace))
	h.plane.refused("a look ahead to it", h.plane.asks(&pgharborv1.Offer{Spec: &pgharborv1.Offer_Preview{Preview: replace}}))
	h.allows(`{}`)
	h.plane.refused("superuser roles", h.plane.restore(&pgharborv1.RestoreSpec{BackupId: id, TargetDatabase: "goods2", WithRoles: backup.RolesSuperuser}))
	if inService() != "2" {
		t.Error("the database in service was replaced")
	}
	done := h.plane.restore(replace)
	h.plane.succeeded("a restore over it, where it is allowed", done)
	if inService() != "1" {
		t.Error("where it is allowed, the database is not replaced")
	}
	undo := func() *pgharborv1.JobFinished {
		return h.plane.asks(&pgharborv1.Offer{Spec: &pgharborv1.Offer_Undo{Undo: &pgharborv1.UndoSpec{RestoreId: done.GetJobId()}}})
	}
	h.allows(`{"replace": false}`)
	h.plane.refused("its undo", undo())
	h.allows(`{"superuser_roles": true}`)
	h.plane.succeeded("its undo, where it is allowed", undo())
	h.plane.succeeded("superuser roles, where they are allowed", h.plane.restore(&pgharborv1.RestoreSpec{BackupId: id, TargetDatabase: "goods2", WithRoles: backup.RolesSuperuser}))

	everything := map[string]func() *pgharborv1.Offer{
		"backup": func() *pgharborv1.Offer {
			return &pgharborv1.Offer{Spec: &pgharborv1.Offer_Backup{Backup: &pgharborv1.BackupSpec{Database: "goods"}}}
		},
		"preview": func() *pgharborv1.Offer {
			return &pgharborv1.Offer{Spec: &pgharborv1.Offer_Preview{Preview: &pgharborv1.RestoreSpec{BackupId: id, TargetDatabase: "x"}}}
		},
		"hold": func() *pgharborv1.Offer {
			return &pgharborv1.Offer{Spec: &pgharborv1.Offer_Hold{Hold: &pgharborv1.HoldSpec{BackupId: id}}}
		},
		"send": func() *pgharborv1.Offer {
			return &pgharborv1.Offer{Spec: &pgharborv1.Offer_Send{Send: &pgharborv1.SendSpec{BackupId: id}}}
		},
		"verify": func() *pgharborv1.Offer {
			return &pgharborv1.Offer{Spec: &pgharborv1.Offer_Verify{Verify: &pgharborv1.VerifySpec{BackupId: id}}}
		},
	}
	for _, policy := range []string{`{"jobs": []}`, `{"jobs": ["backup"`, `{"jobs": ["bakcup"]}`} {
		h.allows(policy)
		for kind, offer := range everything {
			h.plane.refused(kind+" under "+policy, h.plane.asks(offer()))
		}
	}
	h.allows(`{"jobs": ["backup"]}`)
	h.plane.succeeded("a backup, where that alone is allowed", h.plane.asks(everything["backup"]()))
	h.plane.refused("a send, where a backup alone is allowed", h.plane.asks(everything["send"]()))
}

// A restore drops what is left in the database that is named after its id, and the control plane gives the id: one that makes it the
// name of somebody's database is refused, and nothing is cleaned up after it.
func TestControlPlaneNamesARestoreLikeADatabase(t *testing.T) {
	h := newTakenHost(t)
	h.CreateDatabase(t, "goods")
	_, id := backedUp(t, h.work, "goods", backup.TriggerManual)
	for name, policy := range map[string]string{"payroll": `{}`, "wages": `{"jobs": []}`} {
		h.CreateDatabase(t, "pgharbor_restore_"+name)
		h.allows(policy)
		done := h.plane.asks(&pgharborv1.Offer{JobId: name, Spec: &pgharborv1.Offer_Restore{Restore: &pgharborv1.RestoreSpec{BackupId: id, TargetDatabase: "again"}}})
		if done.GetState() != state.StateFailed {
			t.Errorf("under %s it ends as %s", policy, done.GetState())
		}
		if h.ownerOf("pgharbor_restore_"+name) == "" {
			t.Errorf("under %s the database is gone", policy)
		}
	}
}

// A file of unknown origin is restored, confined as it must be; then a backup of that is ordered, which the agent signs;
// then its restore. It is confined again.
func TestHostileFileIsLaunderedByABackup(t *testing.T) {
	h := newTakenHost(t)
	h.allows(`{"unproven": true}`)
	h.plane.succeeded("the file", h.plane.sends(madeUp(t, "invented-db", "CREATE TABLE evil (id int);"), "invented-db", nil, "evil"))
	h.allows(`{}`)
	h.CreateDatabase(t, "goods")
	for database, sandboxed := range map[string]bool{"evil": true, "goods": false} {
		h.plane.succeeded("a backup of "+database, h.plane.asks(&pgharborv1.Offer{Spec: &pgharborv1.Offer_Backup{Backup: &pgharborv1.BackupSpec{Database: database}}}))
		inventory, err := h.work.Engine.Inventory()
		if err != nil {
			t.Fatal(err)
		}
		id := ""
		for _, stored := range inventory {
			if stored.Database == database {
				id = stored.ID
			}
		}
		done := h.plane.restore(&pgharborv1.RestoreSpec{BackupId: id, TargetDatabase: database + "2"})
		h.plane.succeeded("its restore", done)
		// A role of this restore: that of the first one comes back as an owner with any backup of what it owns.
		if owner := h.ownerOf(database + "2"); (owner == "pgharbor_restore_"+done.GetJobId()) != sandboxed {
			t.Errorf("%s is restored for %q", database, owner)
		}
	}
}

// What a control plane asks for has bounds, whatever it is.
func TestControlPlaneAsksForWhatMakesNoSense(t *testing.T) {
	h := newTakenHost(t)
	long := strings.Repeat("x", 1<<20)
	source := func(change func(*pgharborv1.RestoreSource)) *pgharborv1.Offer {
		s := &pgharborv1.RestoreSource{Instance: "other-db", TransferId: "transfer"}
		change(s)
		return &pgharborv1.Offer{Spec: &pgharborv1.Offer_Restore{Restore: &pgharborv1.RestoreSpec{BackupId: "madeupmadeupmade", TargetDatabase: "evil", Source: s}}}
	}
	for name, offer := range map[string]*pgharborv1.Offer{
		"a database":        {Spec: &pgharborv1.Offer_Backup{Backup: &pgharborv1.BackupSpec{Database: long}}},
		"a target":          {Spec: &pgharborv1.Offer_Restore{Restore: &pgharborv1.RestoreSpec{BackupId: "madeupmadeupmade", TargetDatabase: long}}},
		"a backup's id":     {Spec: &pgharborv1.Offer_Verify{Verify: &pgharborv1.VerifySpec{BackupId: "../../etc/passwd"}}},
		"no backup's id":    {Spec: &pgharborv1.Offer_Send{Send: &pgharborv1.SendSpec{}}},
		"an offset":         {Spec: &pgharborv1.Offer_Send{Send: &pgharborv1.SendSpec{BackupId: "madeupmadeupmade", Offset: -1}}},
		"a restore's id":    {Spec: &pgharborv1.Offer_Undo{Undo: &pgharborv1.UndoSpec{RestoreId: "../kept"}}},
		"a reason":          {Spec: &pgharborv1.Offer_Hold{Hold: &pgharborv1.HoldSpec{BackupId: "madeupmadeupmade", Reason: long}}},
		"a person":          {Spec: &pgharborv1.Offer_Hold{Hold: &pgharborv1.HoldSpec{BackupId: "madeupmadeupmade", By: long}}},
		"a word for roles":  {Spec: &pgharborv1.Offer_Preview{Preview: &pgharborv1.RestoreSpec{BackupId: "madeupmadeupmade", TargetDatabase: "x", WithRoles: "all"}}},
		"a source's name":   source(func(s *pgharborv1.RestoreSource) { s.Instance = "Other DB" }),
		"no source's name":  source(func(s *pgharborv1.RestoreSource) { s.Instance = "" }),
		"a transfer's id":   source(func(s *pgharborv1.RestoreSource) { s.TransferId = long }),
		"a signing key":     source(func(s *pgharborv1.RestoreSource) { s.SigningKey = []byte("short") }),
		"nothing, in a job": {},
	} {
		done := h.plane.asks(offer)
		if done.GetState() != state.StateFailed || !strings.Contains(done.GetError(), "refused") && !strings.Contains(done.GetError(), "does not know") || len(done.GetError()) > 500 {
			t.Errorf("%s: it ends as %s: %.200s", name, done.GetState(), done.GetError())
		}
	}
}
