package server_test

import (
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// fetch asks for another instance's backup and returns all that came.
func (a *agent) fetch(t *testing.T, transfer string) (manifest, content string, err error) {
	t.Helper()
	stream, err := pgharborv1.NewTransferServiceClient(a.conn).Fetch(bounded(t), &pgharborv1.FetchRequest{TransferId: transfer})
	if err != nil {
		t.Fatal(err)
	}
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return manifest, content, nil
		}
		if err != nil {
			return manifest, content, err
		}
		manifest += string(part.GetHeader().GetManifest())
		content += string(part.GetChunk())
	}
}

// sendsWhole answers the next offer with a manifest and a file, and tells how that
// went.
func (a *agent) sendsWhole(t *testing.T, file string) <-chan error {
	t.Helper()
	uploaded := make(chan error, 1)
	go func() {
		send := a.offer(t)
		if !send.GetSend().GetWhole() {
			t.Errorf("the source is offered %v", send)
		}
		stream, err := pgharborv1.NewTransferServiceClient(a.conn).Upload(t.Context())
		if err == nil {
			err = stream.Send(&pgharborv1.UploadRequest{Part: &pgharborv1.UploadRequest_Header{
				Header: &pgharborv1.UploadHeader{TransferId: send.GetJobId(), Manifest: []byte("signed")},
			}})
		}
		if err == nil {
			err = errors.Join(stream.Send(chunk(file[:2])), stream.Send(chunk(file[2:])))
		}
		if err == nil {
			_, err = stream.CloseAndRecv()
		}
		uploaded <- err
	}()
	return uploaded
}

// restoreElsewhere asks for a restore of db1's backup on db2, and returns what db2 is offered.
func restoreElsewhere(t *testing.T, cp *servertest.ControlPlane, target *agent, backup string) *pgharborv1.Offer {
	t.Helper()
	_, err := pgharborv1.NewRestoreServiceClient(cp.Owner(t)).CreateRestore(bounded(t), &pgharborv1.CreateRestoreRequest{
		BackupId: backup, TargetDatabase: "again", TargetInstance: target.name, Confirm: "again", Reason: "ticket 7",
	})
	if err != nil {
		t.Fatal(err)
	}
	return target.offer(t)
}

// The sealed bytes and the manifest go from the agent that has them to the one that wants them, and
// to no other; and the audit log says so before and after.
func TestFetch(t *testing.T) {
	cp := servertest.Start(t)
	source, target, other := connectAgent(t, cp, "db1"), connectAgent(t, cp, "db2"), connectAgent(t, cp, "db3")
	const file = "sealed"
	backup := source.hasBackup(t, int64(len(file)))
	offer := restoreElsewhere(t, cp, target, backup)
	from := offer.GetRestore().GetSource()
	if from.GetInstance() != "db1" || from.GetTransferId() == "" || offer.GetRestore().GetBackupId() != backup {
		t.Fatalf("offered %v", offer)
	}
	for _, a := range []*agent{other, source} {
		if _, _, err := a.fetch(t, from.GetTransferId()); status.Code(err) != codes.NotFound {
			t.Errorf("%s fetches what was offered to another: %v", a.name, err)
		}
	}
	uploaded := source.sendsWhole(t, file)
	manifest, content, err := target.fetch(t, from.GetTransferId())
	if manifest != "signed" || content != file || err != nil {
		t.Errorf("got the manifest %q and %q, %v", manifest, content, err)
	}
	if err := <-uploaded; err != nil {
		t.Error(err)
	}
	told := auditLog(t, cp, "backup.fetch")
	if len(told) != 2 || told[0].Actor != "user:owner" || told[0].Instance != "db1" || told[0].Reason != "ticket 7" ||
		told[1].Outcome != "succeeded" || !strings.HasPrefix(told[1].Detail, "6 of 6 bytes left for db2") {
		t.Errorf("the audit log tells %+v", told)
	}
	// Once the restore has ended, nothing is available any more.
	target.finishes(t, offer.GetJobId(), string(fleet.JobSucceeded), "", "")
	if _, _, err := target.fetch(t, from.GetTransferId()); status.Code(err) != codes.NotFound {
		t.Errorf("after the end: %v", err)
	}
}

// A source that can't send, or breaks off, is an error for who fetches, and at once.
func TestFetchFromASourceThatFails(t *testing.T) {
	cp := servertest.Start(t)
	source, target := connectAgent(t, cp, "db1"), connectAgent(t, cp, "db2")
	offer := restoreElsewhere(t, cp, target, source.hasBackup(t, 6))
	var failing sync.WaitGroup
	failing.Go(func() {
		source.finishes(t, source.offer(t).GetJobId(), string(fleet.JobFailed), "not-found", "the file is gone")
	})
	if _, _, err := target.fetch(t, offer.GetJobId()); status.Code(err) != codes.NotFound || !strings.Contains(err.Error(), "the file is gone") {
		t.Errorf("a source without the file: %v", err)
	}
	failing.Wait()
}

func TestRestoreElsewhereNeedsBothAgents(t *testing.T) {
	cp := servertest.Start(t)
	source := connectAgent(t, cp, "db1")
	backup := source.hasBackup(t, 6)
	cp.Agent(t, "db2") // is enrolled, and away
	restores := pgharborv1.NewRestoreServiceClient(cp.Owner(t))
	request := func(instance string) *pgharborv1.CreateRestoreRequest {
		return &pgharborv1.CreateRestoreRequest{BackupId: backup, TargetDatabase: "again", TargetInstance: instance, Confirm: "again", Reason: "drill"}
	}
	if _, err := restores.CreateRestore(bounded(t), request("db2")); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "db2") {
		t.Errorf("without the target's agent: %v", err)
	}
	if _, err := restores.CreateRestore(bounded(t), request("db9")); status.Code(err) != codes.NotFound {
		t.Errorf("on an instance that is not: %v", err)
	}
	connectAgent(t, cp, "db4")
	if err := source.stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	_ = source.ended()
	if _, err := restores.CreateRestore(bounded(t), request("db4")); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "db1") {
		t.Errorf("without the source's agent: %v", err)
	}
	// Anyone who may restore on one of the two alone may not do this.
	for scope, code := range map[string]codes.Code{"db1": codes.PermissionDenied, "db4": codes.NotFound} {
		conn := cp.User(t, "at-"+scope, fleet.RoleOwner, scope)
		if _, err := pgharborv1.NewRestoreServiceClient(conn).CreateRestore(bounded(t), request("db4")); status.Code(err) != code {
			t.Errorf("who may touch %s: %v", scope, err)
		}
	}
}
