package command

import (
	"context"
	"crypto"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pgharbor/pgharbor/cli/internal/auditlog"
	"github.com/pgharbor/pgharbor/controlplane/chain"
	"github.com/pgharbor/pgharbor/controlplane/pki"
	"github.com/pgharbor/pgharbor/internal/exit"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func (f *fleet) ExportAuditEntries(_ *pgharborv1.ExportAuditEntriesRequest, stream grpc.ServerStreamingServer[pgharborv1.ExportAuditEntriesResponse]) error {
	return stream.Send(&pgharborv1.ExportAuditEntriesResponse{Entries: f.entries})
}

func (f *fleet) ListTrailHeads(context.Context, *pgharborv1.ListTrailHeadsRequest) (*pgharborv1.ListTrailHeadsResponse, error) {
	return f.checkpoints, nil
}

// tells makes the control plane report an audit log of n entries, all by one actor, with the
// checkpoint that it should have.
func (f *fleet) tells(t *testing.T, n int, actor string) {
	t.Helper()
	f.entries = nil
	var last chain.Entry
	for range n {
		last = f.goesOn(last, chain.Entry{Actor: actor, Action: "a"})
	}
	f.checkpoints = &pgharborv1.ListTrailHeadsResponse{Head: signedCheckpoint(t, f.pki, chain.Checkpoint{Sequence: last.Sequence, Hash: last.Hash})}
}

// goesOn adds an entry after the last one.
func (f *fleet) goesOn(last, e chain.Entry) chain.Entry {
	e.Sequence, e.At, e.PreviousHash = last.Sequence+1, time.Unix(1e9, 0).UTC(), last.Hash
	e.Hash = e.Sum(last.Hash)
	f.entries = append(f.entries, &pgharborv1.AuditEntry{
		Sequence: e.Sequence, At: timestamppb.New(e.At), Actor: e.Actor, Action: e.Action, Target: e.Target, Outcome: e.Outcome, Detail: e.Detail,
		PreviousHash: e.PreviousHash, Hash: e.Hash,
	})
	return e
}

// sealedAt makes the control plane say that its audit log was sealed off at an entry, as one more
// entry says where noted.
func (f *fleet) sealedAt(t *testing.T, n int, recorded bool) {
	t.Helper()
	at := chain.Checkpoint{Sequence: int64(n), Hash: f.entries[n-1].GetHash()}
	key, certificate := auditKey(t, f.pki)
	seal, err := chain.SignSeal(at, strings.Repeat("a", 64), time.Now(), key, certificate)
	if err != nil {
		t.Fatal(err)
	}
	if recorded {
		last := f.goesOn(auditlog.EntryFrom(f.entries[len(f.entries)-1]), chain.Entry{
			Actor: "host", Action: chain.ActionSeal, Target: at.String(), Outcome: chain.OutcomeStarted, Detail: seal.Note(1),
		})
		f.checkpoints.Head = signedCheckpoint(t, f.pki, chain.Checkpoint{Sequence: last.Sequence, Hash: last.Hash})
	}
	f.checkpoints.Seal = &pgharborv1.TrailSeal{
		Sequence: seal.Sequence, Hash: seal.Hash, FileSha256: seal.FileSHA256, At: timestamppb.New(seal.At), Signature: seal.Signature, Certificate: seal.Certificate,
	}
	f.entries = f.entries[n:]
}

// signedCheckpoint is one that the control plane with its CA in a folder has signed.
func signedCheckpoint(t *testing.T, folder string, checkpoint chain.Checkpoint) *pgharborv1.TrailHead {
	t.Helper()
	key, certificate := auditKey(t, folder)
	signed, err := chain.Sign(checkpoint, time.Now(), key, certificate)
	if err != nil {
		t.Fatal(err)
	}
	return &pgharborv1.TrailHead{
		Sequence: signed.Sequence, Hash: signed.Hash, At: timestamppb.New(signed.At), Signature: signed.Signature, Certificate: signed.Certificate,
	}
}

func auditKey(t *testing.T, folder string) (crypto.Signer, []byte) {
	t.Helper()
	authorities, err := pki.LoadAuthorities(folder)
	if err != nil {
		t.Fatal(err)
	}
	key, certify, err := authorities.AuditKey(time.Now)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := certify()
	if err != nil {
		t.Fatal(err)
	}
	return key, certificate
}

// A control plane that lies makes an audit log whose hashes fit. It can't make one that fits what
// others hold.
func TestControlPlaneThatLiesAboutTheAuditLogIsFoundOut(t *testing.T) {
	strangers := t.TempDir()
	if _, err := pki.CreateCA(strangers, time.Now()); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		lie  func(t *testing.T, f *fleet)
		says string
	}{
		{"rewritten since", func(t *testing.T, f *fleet) { f.tells(t, 9, "user:b") }, "your own verification"},
		{"cut off since", func(t *testing.T, f *fleet) { f.tells(t, 4, "user:a") }, "cut off before entry 5"},
		{"less than its own head", func(t *testing.T, f *fleet) { f.tells(t, 9, "user:a"); f.entries = f.entries[:7] }, "the control plane's own signature has seen entry 9"},
		{"a checkpoint that it has not signed", func(t *testing.T, f *fleet) {
			f.tells(t, 9, "user:a")
			f.checkpoints.Head.At = timestamppb.New(time.Now().Add(-time.Minute))
		}, "not signed"},
		{"a checkpoint of another CA", func(t *testing.T, f *fleet) {
			f.tells(t, 9, "user:a")
			f.checkpoints.Head = signedCheckpoint(t, strangers, chain.Checkpoint{Sequence: 9, Hash: f.checkpoints.GetHead().GetHash()})
		}, "certificate of the audit log's key"},
		{"an agent has seen another", func(t *testing.T, f *fleet) {
			f.tells(t, 9, "user:a")
			seen := signedCheckpoint(t, f.pki, chain.Checkpoint{Sequence: 8, Hash: strings.Repeat("0", 64)})
			f.checkpoints.Witnessed = []*pgharborv1.WitnessedHead{{Instance: "shop-db", Head: seen}}
		}, "the agent of shop-db has seen it with 000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := loggedIn(t)
			f.tells(t, 6, "user:a")
			if got := f.run(t, "audit", "verify"); got.code != exit.Done || !strings.Contains(got.stdout, "6 entries") {
				t.Fatalf("before: %+v", got)
			}
			tt.lie(t, f)
			for range 2 { // what was verified before is not forgotten by a failure
				if got := f.run(t, "audit", "verify"); got.code != exit.Integrity || got.stdout != "" || !strings.Contains(got.stderr, tt.says) {
					t.Errorf("got %+v, want %q", got, tt.says)
				}
			}
		})
	}
}

// What was sealed off is not fetched any longer: the rest continues from its seal, and is still
// held to what was verified before.
func TestAuditLogThatWasSealedOffIsVerifiedFromThere(t *testing.T) {
	f := loggedIn(t)
	f.tells(t, 6, "user:a")
	if got := f.run(t, "audit", "verify"); got.code != exit.Done {
		t.Fatalf("before: %+v", got)
	}
	f.tells(t, 9, "user:a")
	f.sealedAt(t, 4, true)
	got := f.run(t, "audit", "verify")
	if got.code != exit.Done || !strings.Contains(got.stdout, "entries 1 to 4") || strings.Contains(got.stderr, "warning") {
		t.Errorf("sealed before what was verified: %+v", got)
	}
	f.checkpoints.Seal.Signature = []byte("no")
	if got := f.run(t, "audit", "verify"); got.code != exit.Integrity || !strings.Contains(got.stderr, "of what was sealed off") {
		t.Errorf("a seal without a signature: %+v", got)
	}
	f.tells(t, 9, "user:b") // rewritten, with a seal over it
	f.sealedAt(t, 4, true)
	if got := f.run(t, "audit", "verify"); got.code != exit.Integrity || !strings.Contains(got.stderr, "your own verification") {
		t.Errorf("rewritten before the seal: %+v", got)
	}
}

// A checkpoint that was signed at some moment makes nothing one that was sealed off, nor does a
// seal that the audit log does not mention.
func TestAuditLogWithoutItsBeginningThatWasNotSealedOffIsFoundOut(t *testing.T) {
	for says, lie := range map[string]func(f *fleet){
		"of what was sealed off: the seal of the audit log is not signed": func(f *fleet) {
			signed := signedCheckpoint(t, f.pki, chain.Checkpoint{Sequence: 4, Hash: f.entries[3].GetHash()})
			f.sealedAt(t, 4, true)
			f.checkpoints.Seal.At, f.checkpoints.Seal.Signature, f.checkpoints.Seal.Certificate = signed.GetAt(), signed.GetSignature(), signed.GetCertificate()
		},
		"entries 1 to 4 were dropped": func(f *fleet) { f.sealedAt(t, 4, false) },
	} {
		f := loggedIn(t)
		f.tells(t, 9, "user:a")
		lie(f)
		if got := f.run(t, "audit", "verify"); got.code != exit.Integrity || !strings.Contains(got.stderr, says) {
			t.Errorf("got %+v, want %q", got, says)
		}
	}
}

// A part is verified after the checkpoint of the part before it.
func TestPartOfAnAuditLogIsVerifiedAfterTheOneBefore(t *testing.T) {
	f := loggedIn(t)
	f.tells(t, 9, "user:a")
	checkpoint := fmt.Sprintf("4:%s", f.entries[3].GetHash())
	f.entries = f.entries[4:]
	part := filepath.Join(t.TempDir(), "part.jsonl")
	if err := os.WriteFile(part, []byte(f.run(t, "audit", "export").stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := f.run(t, "audit", "verify", "--file", part, "--after", checkpoint); got.code != exit.Done || !strings.Contains(got.stdout, "9 entries") {
		t.Errorf("after the one before: %+v", got)
	}
	for says, args := range map[string][]string{
		"entry 1 was dropped":   {"--file", part},
		"given a new hash":      {"--file", part, "--after", "4:" + strings.Repeat("0", 64)},
		"entry 3 was dropped":   {"--file", part, "--after", "2:" + strings.Repeat("0", 64)},
		"--after goes with":     {"--after", checkpoint},
		"before it was sealed ": {"--file", part, "--after", checkpoint, "--head", "4:" + strings.Repeat("0", 64)},
	} {
		if got := f.run(t, append([]string{"audit", "verify"}, args...)...); got.code == exit.Done || !strings.Contains(got.stderr, says) {
			t.Errorf("%v: %+v", args, got)
		}
	}
}

// A checkpoint under a CA that was rotated away proves nothing either way.
func TestCheckpointOfAnAgentThatCannotBeCheckedIsLeftOut(t *testing.T) {
	strangers := t.TempDir()
	if _, err := pki.CreateCA(strangers, time.Now()); err != nil {
		t.Fatal(err)
	}
	f := loggedIn(t)
	f.tells(t, 6, "user:a")
	f.checkpoints.Witnessed = []*pgharborv1.WitnessedHead{{Instance: "shop-db", Head: signedCheckpoint(t, strangers, chain.Checkpoint{Sequence: 3, Hash: strings.Repeat("0", 64)})}}
	got := f.run(t, "audit", "verify")
	if got.code != exit.Done || !strings.Contains(got.stderr, "what the agent of shop-db has seen is left out") || strings.Contains(got.stdout, "shop-db") {
		t.Errorf("got %+v", got)
	}
}

// What is verified is held to the last hundred verifications, so that a rewritten part is narrowed down.
func TestRewrittenPartIsNarrowedDown(t *testing.T) {
	f := loggedIn(t)
	for _, n := range []int{3, 6, 9} {
		f.tells(t, n, "user:a")
		if got := f.run(t, "audit", "verify"); got.code != exit.Done {
			t.Fatalf("%d entries: %+v", n, got)
		}
	}
	previous := f.entries[6].GetPreviousHash()
	for i := 6; i < 9; i++ { // from entry 7 on
		e := auditlog.EntryFrom(f.entries[i])
		e.Actor, e.PreviousHash = "user:b", previous
		e.Hash = e.Sum(previous)
		f.entries[i].Actor, f.entries[i].PreviousHash, f.entries[i].Hash = e.Actor, e.PreviousHash, e.Hash
		previous = e.Hash
	}
	f.checkpoints.Head = signedCheckpoint(t, f.pki, chain.Checkpoint{Sequence: 9, Hash: previous})
	got := f.run(t, "audit", "verify")
	if want := fmt.Sprintf("in one of the entries %d to %d", 7, 9); got.code != exit.Integrity || !strings.Contains(got.stderr, want) {
		t.Errorf("got %+v, want %q", got, want)
	}
}

// An audit log has an entry from its first moment: an export without any is what a full disk or a
// failed job has left.
func TestAnEmptyExportDoesNotHold(t *testing.T) {
	f := loggedIn(t)
	empty := filepath.Join(t.TempDir(), "empty.jsonl")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{}, {"--after", "4:" + strings.Repeat("0", 64)}} {
		got := f.run(t, append([]string{"audit", "verify", "--file", empty}, args...)...)
		if got.code != exit.Integrity || !strings.Contains(got.stderr, "there are no entries in it") || got.stdout != "" {
			t.Errorf("%v: %+v", args, got)
		}
	}
}
