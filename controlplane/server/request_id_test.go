package server_test

import (
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// repeatable is a request for each RPC that takes a request id, on db1; an RPC without a row fails
// the test. Nothing is in its way.
func repeatable(backup, restore string) map[string]proto.Message {
	return map[string]proto.Message{
		"/pgharbor.v1.BackupService/StartBackup":   &pgharborv1.StartBackupRequest{Instance: "db1", Database: "shop"},
		"/pgharbor.v1.BackupService/VerifyBackup":  &pgharborv1.VerifyBackupRequest{Id: backup},
		"/pgharbor.v1.BackupService/HoldBackup":    &pgharborv1.HoldBackupRequest{Id: backup, Reason: "audit"},
		"/pgharbor.v1.BackupService/ReleaseBackup": &pgharborv1.ReleaseBackupRequest{Id: backup, Reason: "it is over"},
		"/pgharbor.v1.RestoreService/CreateRestore": &pgharborv1.CreateRestoreRequest{
			BackupId: backup, TargetDatabase: "again", Confirm: "again", Reason: "drill",
		},
		"/pgharbor.v1.RestoreService/PreviewRestore": &pgharborv1.PreviewRestoreRequest{BackupId: backup, TargetDatabase: "again"},
		"/pgharbor.v1.RestoreService/UndoRestore":    &pgharborv1.UndoRestoreRequest{RestoreId: restore, Confirm: "shop", Reason: "a mistake"},
	}
}

// replaced makes a restore that has replaced the database shop and can be undone.
func (a *agent) replaced(t *testing.T, conn *grpc.ClientConn, backup string) string {
	t.Helper()
	created, err := pgharborv1.NewRestoreServiceClient(conn).CreateRestore(bounded(t), &pgharborv1.CreateRestoreRequest{
		BackupId: backup, TargetDatabase: "shop", Confirm: "shop", Reason: "ticket 7", Replace: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	id := created.GetRestore().GetId()
	a.offer(t)
	a.finishesWith(t, id, &pgharborv1.RestoreOutcome{RestoreId: id, KeptDatabase: "shop_before_x", KeptUntil: timestamppb.Now()})
	return id
}

// edits returns the request once for each field that makes another one of it, with
// another value there.
func edits(t *testing.T, request proto.Message, others map[string]string) map[string]proto.Message {
	t.Helper()
	all, fields := map[string]proto.Message{}, request.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		field, other := fields.Get(i), proto.Clone(request)
		set := func(name protoreflect.Name, text string) {
			other.ProtoReflect().Set(fields.ByName(name), protoreflect.ValueOfString(text))
		}
		switch name := field.Name(); {
		case name == "request_id" || name == "confirm": // the one is what is shown here, the other repeats a name
			continue
		case others[string(name)] != "":
			set(name, others[string(name)])
		case field.Kind() == protoreflect.BoolKind:
			other.ProtoReflect().Set(field, protoreflect.ValueOfBool(!request.ProtoReflect().Get(field).Bool()))
		case field.Kind() == protoreflect.StringKind:
			set(name, "edited")
		default:
			t.Fatalf("no edit is known for the field %s", field.FullName())
		}
		if confirm := fields.ByName("confirm"); confirm != nil && field.Name() == "target_database" {
			set("confirm", "edited")
		}
		all[string(field.Name())] = other
	}
	return all
}

// A request id is good for one request and that alone: with another word in any
// field it is refused, and never answered with what was asked for before.
func TestRequestIDStandsForOneRequest(t *testing.T) {
	cp := servertest.Start(t)
	a := connectAgent(t, cp, "db1")
	connectAgent(t, cp, "db2")
	owner, backup := cp.Owner(t), a.hasBackup(t, 4)
	others := map[string]string{
		"instance": "db2", "target_instance": "db2", "id": a.hasBackup(t, 4), "with_roles": "missing",
		"restore_id": a.replaced(t, owner, backup),
	}
	others["backup_id"] = others["id"]
	requests := repeatable(backup, a.replaced(t, owner, backup))
	for method, streams := range methods(t) {
		request := requests[method]
		if request == nil {
			if inputOf(t, method).Fields().ByName("request_id") != nil {
				t.Errorf("say how %s is called: it takes a request id", method)
			}
			continue
		}
		t.Run(method, func(t *testing.T) {
			ask := func(request proto.Message) ([]byte, error) {
				request.ProtoReflect().Set(request.ProtoReflect().Descriptor().Fields().ByName("request_id"), protoreflect.ValueOfString("of "+method))
				return call(t, owner, method, streams, request)
			}
			if _, err := ask(request); err != nil {
				t.Fatal(err)
			}
			a.offer(t)
			for field, other := range edits(t, request, others) {
				if answer, err := ask(other); status.Code(err) != codes.AlreadyExists {
					t.Errorf("with another %s: %q, %v", field, answer, err)
				}
			}
			if _, err := ask(request); err != nil {
				t.Errorf("the same request again: %v", err)
			}
		})
	}
}
