package server_test

import (
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// replacing is twoOwners if a restore over an existing database waits, and the request for one that
// bob has approved.
func replacing(t *testing.T) (a *agent, owner, bob *grpc.ClientConn, request *pgharborv1.CreateRestoreRequest, id string) {
	t.Helper()
	cp, a, owner, bob := twoOwners(t)
	connectAgent(t, cp, "prod-spare")
	setPolicy(t, owner, &pgharborv1.SetPolicyRequest{Glob: "prod-*", RequireApproval: []string{"replace"}})
	request = &pgharborv1.CreateRestoreRequest{
		BackupId: a.hasBackup(t, 4), TargetDatabase: "shop", Confirm: "shop", Reason: "the goods are gone", Replace: true,
	}
	id = waitsFor(t, restoring(t, owner, request))
	mustApprove(t, bob, id)
	return a, owner, bob, request, id
}

func restoring(t *testing.T, conn *grpc.ClientConn, request *pgharborv1.CreateRestoreRequest) error {
	t.Helper()
	_, err := pgharborv1.NewRestoreServiceClient(conn).CreateRestore(bounded(t), request)
	return err
}

// edited returns the request with another value in a field; nil if a request is the same whatever
// the field says.
func edited(t *testing.T, a *agent, request *pgharborv1.CreateRestoreRequest, field protoreflect.FieldDescriptor) *pgharborv1.CreateRestoreRequest {
	t.Helper()
	other := proto.CloneOf(request)
	switch name := field.Name(); {
	case name == "request_id", name == "confirm": // one is for retries, the other repeats the target
		return nil
	case name == "backup_id":
		other.BackupId = a.hasBackup(t, 4)
	case name == "target_database":
		other.TargetDatabase, other.Confirm = "bank", "bank"
	case name == "target_instance":
		other.TargetInstance = "prod-spare"
	case name == "with_roles":
		other.WithRoles = fleet.RolesMissing
	case field.Kind() == protoreflect.StringKind:
		other.ProtoReflect().Set(field, protoreflect.ValueOfString("edited"))
	case field.Kind() == protoreflect.BoolKind:
		other.ProtoReflect().Set(field, protoreflect.ValueOfBool(!request.ProtoReflect().Get(field).Bool()))
	default:
		t.Fatalf("no edit is known for the field %s", name)
	}
	return other
}

// Whichever field of it is edited, an approved restore is another request.
func TestEditedRestoreIsNotTheOneThatWasApproved(t *testing.T) {
	a, owner, bob, request, id := replacing(t)
	fields := request.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		other := edited(t, a, request, fields.Get(i))
		switch {
		case other == nil:
		case !other.GetReplace(): // it is a restore into a new database, for which nobody else is asked
			if err := restoring(t, owner, other); err != nil {
				t.Error(err)
			}
			a.offer(t)
		case waitsFor(t, restoring(t, owner, other)) == id:
			t.Errorf("the approval is good for another %s", fields.Get(i).Name())
		}
	}
	if waitsFor(t, restoring(t, bob, request)) == id {
		t.Error("the approval is good for another person")
	}
	if state := stateOf(t, owner, id); state != "approved" {
		t.Fatalf("after all of that it is %s", state)
	}
	if err := restoring(t, owner, request); err != nil {
		t.Fatal(err)
	}
	if offer := a.offer(t).GetRestore(); offer.GetBackupId() != request.GetBackupId() || !offer.GetReplace() {
		t.Errorf("offered %v", offer)
	}
	if next := waitsFor(t, restoring(t, owner, request)); next == id {
		t.Error("the approval was good for a second restore")
	}
}

// Of many who repeat an approved restore at once, one does it.
func TestReplacementPassesOnceUnderAnyRace(t *testing.T) {
	a, owner, _, request, _ := replacing(t)
	const racers = 50
	outcomes, start := make(chan error, racers), make(chan struct{})
	for range racers {
		go func() {
			<-start
			outcomes <- restoring(t, owner, request)
		}()
	}
	close(start)
	won := 0
	for range racers {
		switch err := <-outcomes; status.Code(err) {
		case codes.OK:
			won++
		case codes.FailedPrecondition:
		default:
			t.Errorf("got %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d passed", won, racers)
	}
	if a.offer(t).GetRestore() == nil {
		t.Error("the agent is offered something else")
	}
}

// A reply that was lost costs no second approval.
func TestReplacementThatIsSentAgainIsTheSame(t *testing.T) {
	a, owner, _, request, id := replacing(t)
	request.RequestId = "once"
	for range 3 {
		if err := restoring(t, owner, request); err != nil {
			t.Fatal(err)
		}
	}
	if state := stateOf(t, owner, id); state != "used" {
		t.Errorf("it is %s", state)
	}
	a.offer(t)
}

// A preflight touches nothing, and waits for nobody.
func TestAPreflightWaitsForNobody(t *testing.T) {
	_, owner, _, request, id := replacing(t)
	_, err := pgharborv1.NewRestoreServiceClient(owner).PreviewRestore(bounded(t), &pgharborv1.PreviewRestoreRequest{
		BackupId: request.GetBackupId(), TargetDatabase: "shop", Replace: true,
	})
	if err != nil || stateOf(t, owner, id) != "approved" {
		t.Errorf("got %v", err)
	}
}

// Anyone who is asked to approve, or has somebody asked, what the host does not do, hears so before
// the approval is used up.
func TestAnApprovalThatTheHostMakesWorthlessIsToldBefore(t *testing.T) {
	cp, a, owner, _ := guarded(t)
	dev := connectAgent(t, cp, "dev-1")
	request := &pgharborv1.CreateRestoreRequest{
		BackupId: a.hasBackup(t, 4), TargetDatabase: "shop", Confirm: "shop", Reason: "drill", TargetInstance: "dev-1",
	}
	for from, warned := range map[string]bool{"other-*": true, "prod-*": false} {
		dev.send(t, &pgharborv1.ConnectRequest{Message: &pgharborv1.ConnectRequest_Heartbeat{Heartbeat: &pgharborv1.Heartbeat{
			Status: &pgharborv1.AgentStatus{Policy: &pgharborv1.HostPolicy{Jobs: []string{"restore"}, RestoreFrom: []string{from}}}, InventoryDigest: from,
		}}})
		if asked := dev.receive(t); asked.GetInventoryRequest() == nil {
			t.Fatalf("the heartbeat is answered with %v", asked)
		}
		err := restoring(t, owner, request)
		waitsFor(t, err)
		if hint := hintOf(err); strings.Contains(hint, `restore_from does not name "prod-1"`) != warned {
			t.Errorf("restore_from %s: %s", from, hint)
		}
	}
}

// hintOf is the next step that an answer tells.
func hintOf(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.GetMetadata()["hint"]
		}
	}
	return ""
}

// A backup that leaves its instance by a restore elsewhere waits if it would wait to be downloaded.
func TestRestoreElsewhereWaitsAsADownloadDoes(t *testing.T) {
	cp, a, owner, bob := guarded(t)
	dev := connectAgent(t, cp, "dev-1")
	request := &pgharborv1.CreateRestoreRequest{
		BackupId: a.hasBackup(t, 4), TargetDatabase: "shop", Confirm: "shop", Reason: "drill", TargetInstance: "dev-1",
	}
	id := waitsFor(t, restoring(t, owner, request))
	shown, err := pgharborv1.NewApprovalServiceClient(bob).GetApproval(bounded(t), &pgharborv1.GetApprovalRequest{Id: id})
	if got := shown.GetApproval(); err != nil || got.GetAction() != "restore.elsewhere" || got.GetInstance() != "dev-1" || got.GetSourceInstance() != "prod-1" {
		t.Errorf("who decides is shown %v, %v", shown, err)
	}
	mustApprove(t, bob, id)
	if err := restoring(t, owner, request); err != nil {
		t.Fatal(err)
	}
	if offer := dev.offer(t).GetRestore(); offer.GetSource().GetInstance() != "prod-1" {
		t.Errorf("offered %v", offer)
	}
	if next := waitsFor(t, restoring(t, owner, request)); next == id {
		t.Error("the approval was good for a second restore")
	}
	// At home it leaves nothing, and the other way round no policy is met.
	for _, passes := range []*pgharborv1.CreateRestoreRequest{
		{BackupId: request.GetBackupId(), TargetDatabase: "shop", Confirm: "shop", Reason: "drill"},
		{BackupId: request.GetBackupId(), TargetDatabase: "shop", Confirm: "shop", Reason: "drill", TargetInstance: "prod-1"},
		{BackupId: dev.hasBackup(t, 4), TargetDatabase: "shop", Confirm: "shop", Reason: "drill", TargetInstance: "prod-1"},
	} {
		if err := restoring(t, owner, passes); err != nil {
			t.Errorf("%v: %v", passes, err)
		}
		a.offer(t)
	}
}
