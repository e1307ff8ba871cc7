package server_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/server"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// nextYear is when this year's entries can be sealed off.
func nextYear() time.Time { return time.Date(time.Now().UTC().Year()+1, 1, 2, 0, 0, 0, 0, time.UTC) }

func seal(t *testing.T, dir string, year int) (server.Sealed, string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "trail.jsonl")
	sealed, err := server.SealAudit(t.Context(), server.SealOptions{DataDir: dir, Year: year, File: file, Now: nextYear})
	return sealed, file, err
}

// What was sealed off is in the file, whole, and the rest continues from its checkpoint; an edit of
// the rest, and of the seal, is found as before.
func TestAuditLogGoesOnFromWhatWasSealedOff(t *testing.T) {
	dir, checkpoint := auditLogOnDisk(t, 1200) // more than are deleted at once
	year := time.Now().UTC().Year()
	sealed, file, err := seal(t, dir, year)
	if err != nil || sealed.From != 1 || sealed.Checkpoint != checkpoint {
		t.Fatalf("sealed %+v, %v; the checkpoint was %s", sealed, err, checkpoint)
	}
	content, err := os.ReadFile(file)
	if err != nil || strings.Count(string(content), "\n") != 1200 {
		t.Errorf("the file has %d lines, %v", strings.Count(string(content), "\n"), err)
	}
	c, err := catalog.Open(t.Context(), filepath.Join(dir, "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	rest, err := c.AuditLog.After(t.Context(), 0, 10_000)
	if err := errors.Join(err, c.Close()); err != nil {
		t.Fatal(err)
	}
	if len(rest) != 2 || rest[0].Sequence != 1201 || rest[0].PreviousHash != checkpoint.Hash || rest[0].Action != "audit.seal" {
		t.Errorf("there are %d entries left, the first is %+v", len(rest), rest[0])
	}
	if got, err := server.VerifyAudit(t.Context(), dir, checkpoint); err != nil || got.Sequence != 1202 {
		t.Errorf("verified up to %s, %v", got, err)
	}
	older := chain.Checkpoint{Sequence: 7, Hash: strings.Repeat("0", 64)}
	_, err = server.VerifyAudit(t.Context(), dir, older)
	if !errors.Is(err, fleet.ErrConflict) || !strings.Contains(err.Error(), "can't be checked: entry 7 is in what was sealed off") {
		t.Errorf("held to a checkpoint that was sealed off: %v", err)
	}
	other := chain.Checkpoint{Sequence: checkpoint.Sequence, Hash: strings.Repeat("0", 64)}
	if _, err := server.VerifyAudit(t.Context(), dir, other); !errors.Is(err, fleet.ErrIntegrity) {
		t.Errorf("somebody has seen another head: %v", err)
	}
	if _, _, err := seal(t, dir, year-1); !errors.Is(err, fleet.ErrConflict) {
		t.Errorf("with nothing left of then: %v", err)
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	d := tamper{DB: db, t: t}
	d.do(`DROP TRIGGER sealed_no_update`)
	d.do(`UPDATE sealed SET hash = ?`, strings.Repeat("0", 64))
	if _, err := server.VerifyAudit(t.Context(), dir); !errors.Is(err, fleet.ErrIntegrity) {
		t.Errorf("with another seal: %v", err)
	}
}

// exported are the sequences of an export, and the seal before it.
func exported(t *testing.T, cp *servertest.ControlPlane) (sequences []int64, sealed *pgharborv1.TrailSeal) {
	t.Helper()
	client := pgharborv1.NewAuditServiceClient(cp.Owner(t))
	checkpoints, err := client.ListTrailHeads(bounded(t), &pgharborv1.ListTrailHeadsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	stream, err := client.ExportAuditEntries(bounded(t), &pgharborv1.ExportAuditEntriesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		part, err := stream.Recv()
		if err != nil {
			return sequences, checkpoints.GetSeal()
		}
		for _, e := range part.GetEntries() {
			sequences = append(sequences, e.GetSequence())
		}
	}
}

// Beside a control plane that serves, what is under way keeps its entries, and the
// next part follows the first.
func TestAuditLogIsSealedOffWhileItIsServed(t *testing.T) {
	cp := servertest.Start(t)
	cp.InviteAgent(t, "db1")
	year := time.Now().UTC().Year()
	if _, _, err := seal(t, cp.DataDir, year+1); !errors.Is(err, fleet.ErrInvalid) {
		t.Errorf("a year that is not over: %v", err)
	}
	first, _, err := seal(t, cp.DataDir, year)
	if err != nil || first.Checkpoint.Sequence != 2 { // what follows is controlplane.serve, which goes on
		t.Fatalf("sealed %+v, %v", first, err)
	}
	if rest, sealed := exported(t, cp); rest[0] != 3 || sealed.GetSequence() != 2 || sealed.GetHash() != first.Checkpoint.Hash || len(sealed.GetSignature()) == 0 {
		t.Errorf("the export begins with %d, after %v", rest[0], sealed)
	}
	cp.Stop(t)
	cp.Run(t) // the first one's entry has ended
	second, file, err := seal(t, cp.DataDir, year)
	if err != nil || second.From != 3 || second.Checkpoint.Sequence <= 3 {
		t.Fatalf("sealed %+v, %v", second, err)
	}
	if _, err := server.VerifyAudit(t.Context(), cp.DataDir); err != nil {
		t.Error(err)
	}
	cp.InviteAgent(t, "db2") // the audit log can be written to as before
	if rest, _ := exported(t, cp); rest[0] != second.Checkpoint.Sequence+1 {
		t.Errorf("the export begins with %d, after %s", rest[0], second.Checkpoint)
	}
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
	// An agent that has seen the part that is gone knows of no other audit log.
	c, err := catalog.OpenReadOnly(context.WithoutCancel(t.Context()), filepath.Join(cp.DataDir, "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for seen, disputed := range map[chain.Checkpoint]bool{
		first.Checkpoint: false, second.Checkpoint: false, {Sequence: second.Checkpoint.Sequence, Hash: strings.Repeat("0", 64)}: true,
		{Sequence: second.Checkpoint.Sequence + 1000, Hash: second.Checkpoint.Hash}: true,
	} {
		if dispute, err := c.AuditLog.Dispute(t.Context(), seen); err != nil || (dispute != "") != disputed {
			t.Errorf("%s: %q, %v", seen, dispute, err)
		}
	}
}

// A file that is there is not written over, and the catalog keeps what it has.
func TestSealWritesOverNoFile(t *testing.T) {
	dir, checkpoint := auditLogOnDisk(t, 10)
	file := filepath.Join(t.TempDir(), "kept")
	if err := os.WriteFile(file, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := server.SealAudit(t.Context(), server.SealOptions{DataDir: dir, Year: time.Now().UTC().Year(), File: file, Now: nextYear})
	if !errors.Is(err, os.ErrExist) {
		t.Errorf("got %v", err)
	}
	if content, err := os.ReadFile(file); err != nil || string(content) != "kept" {
		t.Errorf("the file is %q, %v", content, err)
	}
	if got, err := server.VerifyAudit(t.Context(), dir, checkpoint); err != nil || got != checkpoint {
		t.Errorf("the audit log: %s, %v", got, err)
	}
}
