package server_test

import (
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// idFields are the fields of a request that hold the id of something; request_id is
// the caller's own word.
func idFields(input protoreflect.MessageDescriptor) (names []string) {
	for i := range input.Fields().Len() {
		name := string(input.Fields().Get(i).Name())
		if name != "request_id" && (name == "id" || strings.HasSuffix(name, "_id")) {
			names = append(names, name)
		}
	}
	return names
}

// An id says nothing to somebody who may not see what it names: whatever they ask
// about it, they are answered as if there were no such thing, to the letter. Every
// RPC is tried with every kind of id.
func TestIDsMeanNothingToStrangers(t *testing.T) {
	cp := servertest.Start(t)
	valid, _ := everyCaller(t, cp)
	things := everyThing(t, cp, valid)
	things["device"] = deviceOf(t, cp.User(t, "dora", fleet.RoleViewer))
	tried := 0
	for method, streams := range methods(t) {
		requests := map[string]func(id string) proto.Message{}
		for _, field := range idFields(inputOf(t, method)) {
			requests[field] = func(id string) proto.Message { return requestWith(t, inputOf(t, method), field, id) }
		}
		if strings.HasSuffix(method, "/Upload") { // its id is in the first message of the stream
			requests["transfer_id"] = func(id string) proto.Message {
				return &pgharborv1.UploadRequest{Part: &pgharborv1.UploadRequest_Header{Header: &pgharborv1.UploadHeader{TransferId: id}}}
			}
		}
		for field, request := range requests {
			for _, c := range valid {
				if c.scope != "elsewhere" && c.name != "other agent" {
					continue
				}
				nothing := fleet.NewID()
				strange := answerTo(t, c.conn, method, streams, request(nothing), nothing)
				for kind, id := range things {
					if kind == "transfer" && c.name == "agent" {
						continue
					}
					tried++
					if answer := answerTo(t, c.conn, method, streams, request(id), id); answer != strange {
						t.Errorf("%s asks %s with a %s for its %s: %s\nwhere there is none: %s", c.name, method, kind, field, answer, strange)
					}
				}
			}
		}
	}
	if tried < 300 {
		t.Errorf("only %d questions were asked", tried)
	}
}

// answerTo is all that a caller is told, with the id that they gave left out.
func answerTo(t *testing.T, conn *grpc.ClientConn, method string, streams grpc.StreamDesc, request proto.Message, id string) string {
	t.Helper()
	response, err := call(t, conn, method, streams, request)
	told := prototext.Format(status.Convert(err).Proto()) + string(response)
	return strings.ReplaceAll(told, id, "ID")
}

// A refusal is in the audit log, with what it was about, whether there is such a thing or not.
func TestProbingForIDsIsInTheAuditLog(t *testing.T) {
	cp := servertest.Start(t)
	backup := connectAgent(t, cp, "db1").hasBackup(t, 4)
	backups := pgharborv1.NewBackupServiceClient(cp.User(t, "olga", fleet.RoleOperator, "away-*"))
	for _, id := range []string{backup, fleet.NewID(), "no id at all"} {
		if _, err := backups.GetBackup(bounded(t), &pgharborv1.GetBackupRequest{Id: id}); status.Code(err) != codes.NotFound {
			t.Errorf("%s: %v", id, err)
		}
	}
	told := auditLog(t, cp, "BackupService/GetBackup")
	if len(told) != 2 || told[0].Outcome != "denied" || told[0].Instance != "db1" || !strings.Contains(told[0].Detail, "db1 is not in it") ||
		told[1].Outcome != "denied" || told[1].Instance != "" {
		t.Errorf("the audit log: %+v", told)
	}
}
