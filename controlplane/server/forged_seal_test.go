package server_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/server"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// claims writes into the catalog that the audit log was sealed off at a checkpoint that the control
// plane has signed, and drops what is before it.
func (d tamper) claims(h chain.SignedCheckpoint, file string) {
	d.t.Helper()
	d.do(`INSERT INTO sealed (sequence, hash, at, signature, certificate, file_sha256) VALUES (?, ?, ?, ?, ?, ?)`,
		h.Sequence, h.Hash, h.At.UnixMicro(), h.Signature, h.Certificate, file)
	d.do(`DELETE FROM audit WHERE sequence <= ?`, h.Sequence)
}

// Anyone who writes the catalog's file has signed checkpoints available: any agent and any OWNER is
// sent one. None of them makes the past one that was sealed off, not even with the entry of a seal
// after it.
func TestSignedCheckpointIsNoSeal(t *testing.T) {
	cp := servertest.Start(t)
	cp.InviteAgent(t, "db1")
	checkpoints, err := pgharborv1.NewAuditServiceClient(cp.Owner(t)).ListTrailHeads(bounded(t), &pgharborv1.ListTrailHeadsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	signed, file := checkpointFrom(checkpoints.GetHead()), strings.Repeat("a", 64)
	cp.InviteAgent(t, "after")
	cp.Stop(t)
	notes(t, cp.DataDir, chain.Seal{Checkpoint: signed.Checkpoint, FileSHA256: file})
	behind(t, cp.DataDir).claims(signed, file)
	if got, err := server.VerifyAudit(t.Context(), cp.DataDir); !errors.Is(err, fleet.ErrIntegrity) {
		t.Errorf("verified up to %s, %v", got, err)
	}
	if sealed, _, err := seal(t, cp.DataDir, nextYear().Year()-1); !errors.Is(err, fleet.ErrIntegrity) {
		t.Errorf("the next seal attests it: %+v, %v", sealed, err)
	}
	cp.Run(t)
	again, err := pgharborv1.NewAuditServiceClient(cp.Owner(t)).ListTrailHeads(bounded(t), &pgharborv1.ListTrailHeadsRequest{})
	if status.Code(err) != codes.DataLoss {
		t.Errorf("the control plane signs it as a seal: %v, %v", again, err)
	}
	if all := auditLog(t, cp, audit.ActionDispute); len(all) != 1 || all[0].Actor != chain.ActorControlPlane {
		t.Errorf("the audit log: %+v", all)
	}
}

// notes writes an entry as that of a seal.
func notes(t *testing.T, dir string, seal chain.Seal) {
	t.Helper()
	c, err := catalog.Open(t.Context(), filepath.Join(dir, "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.AuditLog.Append(t.Context(), chain.Entry{
		At: nextYear(), Actor: "host", Action: chain.ActionSeal, Target: seal.String(), Outcome: chain.OutcomeStarted, Detail: seal.Note(1),
	})
	if err := errors.Join(err, c.Close()); err != nil {
		t.Fatal(err)
	}
}

// Nor does a control plane delete for a seal that it has not signed what is still
// there.
func TestNothingIsDeletedForASealThatDoesNotHold(t *testing.T) {
	cp := servertest.Start(t)
	checkpoints, err := pgharborv1.NewAuditServiceClient(cp.Owner(t)).ListTrailHeads(bounded(t), &pgharborv1.ListTrailHeadsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	cp.Stop(t)
	signed := checkpointFrom(checkpoints.GetHead())
	behind(t, cp.DataDir).do(`INSERT INTO sealed (sequence, hash, at, signature, certificate, file_sha256) VALUES (?, ?, ?, ?, ?, '')`,
		signed.Sequence, signed.Hash, signed.At.UnixMicro(), signed.Signature, signed.Certificate)
	cp.Run(t) // which prunes at its start
	cp.Stop(t)
	c, err := catalog.OpenReadOnly(t.Context(), filepath.Join(cp.DataDir, "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	entries, err := c.AuditLog.After(t.Context(), 0, 1)
	if err := errors.Join(err, c.Close()); err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 || entries[0].Sequence != 1 {
		t.Errorf("the audit log begins with %+v", entries)
	}
}

// A seal is part of the audit log: without its entry, what it lacks was dropped.
func TestSealThatTheAuditLogDoesNotSpeakOfDoesNotHold(t *testing.T) {
	dir, _ := auditLogOnDisk(t, 10)
	if _, _, err := seal(t, dir, nextYear().Year()-1); err != nil {
		t.Fatal(err)
	}
	d := behind(t, dir)
	d.do(`UPDATE audit SET target = 'user:x' WHERE action = 'audit.seal'`)
	d.rehash(11)
	if got, err := server.VerifyAudit(t.Context(), dir); !errors.Is(err, fleet.ErrIntegrity) || !strings.Contains(err.Error(), "entries 1 to 10 were dropped") {
		t.Errorf("verified up to %s, %v", got, err)
	}
}
