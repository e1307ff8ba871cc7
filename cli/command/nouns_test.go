package command

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/pgharbor/pgharbor/internal/exit"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// hostile is what an agent could call something.
const hostile = "evil\x1b[2J\r\nsecond \u202eline\u200b"

// fill gives every field of a message a value, and every text the hostile one.
func fill[M proto.Message](message M) M {
	fillMessage(message.ProtoReflect(), 0)
	return message
}

func fillMessage(m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		switch {
		case field.Name() == "next_page_token" || field.IsMap() || depth > 6:
		case field.IsList():
			list := m.Mutable(field).List()
			if field.Message() != nil {
				fillMessage(list.AppendMutable().Message(), depth+1)
			} else if field.Kind() == protoreflect.StringKind {
				list.Append(protoreflect.ValueOfString(hostile))
			}
		case field.Message() != nil && field.Message().FullName().Parent() == "google.protobuf":
			m.Mutable(field)
		case field.Message() != nil:
			fillMessage(m.Mutable(field).Message(), depth+1)
		case field.Kind() == protoreflect.StringKind:
			m.Set(field, protoreflect.ValueOfString(hostile))
		case field.Kind() == protoreflect.Int64Kind:
			m.Set(field, protoreflect.ValueOfInt64(7))
		}
	}
}

func (f *fleet) ListRuns(context.Context, *pgharborv1.ListRunsRequest) (*pgharborv1.ListRunsResponse, error) {
	return fill(&pgharborv1.ListRunsResponse{}), nil
}

func (f *fleet) ListRestores(context.Context, *pgharborv1.ListRestoresRequest) (*pgharborv1.ListRestoresResponse, error) {
	if f.restores != nil {
		return &pgharborv1.ListRestoresResponse{Restores: f.restores}, nil
	}
	return fill(&pgharborv1.ListRestoresResponse{}), nil
}

func (f *fleet) ListAgents(context.Context, *pgharborv1.ListAgentsRequest) (*pgharborv1.ListAgentsResponse, error) {
	return fill(&pgharborv1.ListAgentsResponse{}), nil
}

func (f *fleet) GetAgent(context.Context, *pgharborv1.GetAgentRequest) (*pgharborv1.GetAgentResponse, error) {
	return fill(&pgharborv1.GetAgentResponse{}), nil
}

func (f *fleet) CreateAgentInvite(context.Context, *pgharborv1.CreateAgentInviteRequest) (*pgharborv1.CreateAgentInviteResponse, error) {
	return fill(&pgharborv1.CreateAgentInviteResponse{}), nil
}

func (f *fleet) RevokeAgent(context.Context, *pgharborv1.RevokeAgentRequest) (*pgharborv1.RevokeAgentResponse, error) {
	return fill(&pgharborv1.RevokeAgentResponse{}), nil
}

func (f *fleet) ListUsers(context.Context, *pgharborv1.ListUsersRequest) (*pgharborv1.ListUsersResponse, error) {
	return fill(&pgharborv1.ListUsersResponse{}), nil
}

func (f *fleet) CreateUserInvite(context.Context, *pgharborv1.CreateUserInviteRequest) (*pgharborv1.CreateUserInviteResponse, error) {
	return fill(&pgharborv1.CreateUserInviteResponse{}), nil
}

func (f *fleet) GrantPermission(context.Context, *pgharborv1.GrantPermissionRequest) (*pgharborv1.GrantPermissionResponse, error) {
	return fill(&pgharborv1.GrantPermissionResponse{}), nil
}

func (f *fleet) UpdateUser(context.Context, *pgharborv1.UpdateUserRequest) (*pgharborv1.UpdateUserResponse, error) {
	return fill(&pgharborv1.UpdateUserResponse{}), nil
}

func (f *fleet) RevokePermission(context.Context, *pgharborv1.RevokePermissionRequest) (*pgharborv1.RevokePermissionResponse, error) {
	return fill(&pgharborv1.RevokePermissionResponse{}), nil
}

func (f *fleet) ListDevices(context.Context, *pgharborv1.ListDevicesRequest) (*pgharborv1.ListDevicesResponse, error) {
	return fill(&pgharborv1.ListDevicesResponse{}), nil
}

func (f *fleet) ListUserDevices(context.Context, *pgharborv1.ListUserDevicesRequest) (*pgharborv1.ListUserDevicesResponse, error) {
	return fill(&pgharborv1.ListUserDevicesResponse{}), nil
}

func (f *fleet) RevokeUserDevice(context.Context, *pgharborv1.RevokeUserDeviceRequest) (*pgharborv1.RevokeUserDeviceResponse, error) {
	return fill(&pgharborv1.RevokeUserDeviceResponse{}), nil
}

func (f *fleet) RevokeUser(context.Context, *pgharborv1.RevokeUserRequest) (*pgharborv1.RevokeUserResponse, error) {
	return fill(&pgharborv1.RevokeUserResponse{}), nil
}

func (f *fleet) ListRetentions(context.Context, *pgharborv1.ListRetentionsRequest) (*pgharborv1.ListRetentionsResponse, error) {
	return fill(&pgharborv1.ListRetentionsResponse{}), nil
}

func (f *fleet) ListAuditEntries(context.Context, *pgharborv1.ListAuditEntriesRequest) (*pgharborv1.ListAuditEntriesResponse, error) {
	return fill(&pgharborv1.ListAuditEntriesResponse{}), nil
}

// Whatever the control plane says, a terminal only prints it, and a script gets all of it.
func TestNothingThatIsPrintedDrivesATerminal(t *testing.T) {
	f := loggedIn(t)
	f.backups = []*pgharborv1.Backup{fill(&pgharborv1.Backup{})}
	f.health = fill(&pgharborv1.GetHealthResponse{})
	f.watch = ends(fill(&pgharborv1.Job{}))
	f.backups[0].Id = "id1"
	lines := map[string]string{ // and the field that its JSON is about
		"list": "backups", "show id1": "backup", "runs": "runs", "restores": "restores", "health": "databases", "retention": "retentions",
		"agents list": "agents", "agents show x": "agent", "agents invite x": "invite", "agents revoke x": "agent", "users list": "users",
		"users invite x --role VIEWER": "invite", "users grant x y": "user", "users revoke x": "user", "users set x --role VIEWER": "user",
		"users devices": "devices", "users devices x": "devices", "users revoke x --device y": "device", "users revoke x --permission y": "user", "audit list": "entries",
		"approvals list --all": "approvals", "approvals show x": "approval", "approvals approve x": "approval", "approvals deny x --comment y": "approval",
		"policies list": "policies", "policies set x --require-approval download": "policy", "policies remove x": "policy",
		"restore id1 --to-database x --confirm x --reason y --wait=false": "restore", "backup x --wait=false": "job",
	}
	for line, field := range lines {
		got := f.run(t, strings.Fields(line)...)
		if got.code != exit.Done || strings.ContainsAny(got.stdout+got.stderr, "\x1b\r\u202e\u200b") {
			t.Errorf("%s: %+v", line, got)
		}
		got = f.run(t, append(strings.Fields(line), "-o", "json")...)
		var printed map[string]any
		if err := json.Unmarshal([]byte(got.stdout), &printed); err != nil || printed[field] == nil {
			t.Errorf("%s -o json: %v: %s", line, err, got.stdout)
		}
	}
}
