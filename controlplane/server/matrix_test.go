package server_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/pgharbor/pgharbor/controlplane/catalog"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/pki"
	"github.com/pgharbor/pgharbor/controlplane/server"
	"github.com/pgharbor/pgharbor/controlplane/server/servertest"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// caller is somebody who tries every RPC on db1.
type caller struct {
	name string
	as   string // the name in the table allowed
	// Where their scope ends: "" (nowhere), "at db*" (db1 is in it) or "elsewhere".
	scope string
	conn  *grpc.ClientConn
}

func TestEveryRPCWithEveryCaller(t *testing.T) {
	served := methods(t)
	cp := servertest.Start(t)
	valid, void := everyCaller(t, cp)
	things := everyThing(t, cp, valid)
	for method, streams := range served {
		if allowed[method] == "" || touches[method] == "" {
			t.Errorf("the test's two tables have to say who may call %s, and what it touches", method)
			continue
		}
		request := requestFor(t, method, things)
		for _, c := range valid {
			response, err := call(t, c.conn, method, streams, request)
			want := c.may(method)
			if got := passed(method, err); got != want {
				t.Errorf("%s by %s: allowed %t, want %t: %v", method, c.name, got, want, err)
			}
			if shown := bytes.Contains(response, []byte("db1")); want && shown != c.sees(method, shown) {
				t.Errorf("%s shows %s something of db1: %t", method, c.name, shown)
			}
		}
		for name, conn := range void {
			if _, err := call(t, conn, method, streams, request); passed(method, err) {
				t.Errorf("%s by %s: %v", method, name, err)
			}
		}
	}
	for _, table := range []map[string]string{allowed, touches} {
		for method := range table {
			if _, ok := served[method]; !ok {
				t.Errorf("the test's tables name %s, which is not served", method)
			}
		}
	}
}

// may is what the two tables say of a caller with a valid certificate.
func (c caller) may(method string) bool {
	if !slices.Contains(strings.Fields(allowed[method]), c.as) {
		return false
	}
	switch touches[method] {
	case "nothing", "list", "owners' list", "own":
		return true
	case "own transfer":
		return c.name != "other agent"
	case "fleet":
		return c.scope == ""
	default:
		return c.scope != "elsewhere"
	}
}

// sees reports whether db1 is in what a list shows a caller. What else answers may
// name it or not.
func (c caller) sees(method string, shown bool) bool {
	switch touches[method] {
	case "list":
		return c.scope != "elsewhere"
	case "owners' list":
		return c.scope != "elsewhere" && c.as == "owner"
	default:
		return shown
	}
}

// peopleWhoCall are those who call, with what they were given.
var peopleWhoCall = []struct {
	caller
	role    fleet.Role
	within  string // the scope
	granted string // the scope of a grant of backup.restore, or "no"
}{
	{caller{name: "owner", as: "owner"}, fleet.RoleOwner, "", "no"},
	{caller{name: "operator", as: "operator"}, fleet.RoleOperator, "", "no"},
	{caller{name: "operator+restore", as: "operator+restore"}, fleet.RoleOperator, "", ""},
	{caller{name: "operator+restore at db*", as: "operator+restore", scope: "at db*"}, fleet.RoleOperator, "", "db*"},
	{caller{name: "operator+restore elsewhere", as: "operator"}, fleet.RoleOperator, "", "away-*"},
	{caller{name: "viewer", as: "viewer"}, fleet.RoleViewer, "", "no"},
	{caller{name: "owner at db*", as: "owner", scope: "at db*"}, fleet.RoleOwner, "d?*", "no"},
	{caller{name: "owner elsewhere", as: "owner", scope: "elsewhere"}, fleet.RoleOwner, "away-*", "no"},
	{caller{name: "operator elsewhere", as: "operator+restore", scope: "elsewhere"}, fleet.RoleOperator, "away-*", ""},
	{caller{name: "viewer elsewhere", as: "viewer", scope: "elsewhere"}, fleet.RoleViewer, "away-*", "no"},
}

// everyCaller returns those with a valid certificate, and connections with others,
// by name.
func everyCaller(t *testing.T, cp *servertest.ControlPlane) (valid []caller, void map[string]*grpc.ClientConn) {
	void = map[string]*grpc.ClientConn{}
	ca, foreign := authority(t, cp), foreignCA(t)
	enrol := func(c caller, invite func(name string) string) {
		name := strings.NewReplacer(" ", "-", "+", "-", "*", "").Replace("the " + c.name)
		if c.name == "agent" {
			name = "db1"
		}
		dir := cp.Enroll(t, invite(name))
		c.conn = cp.Dial(t, dir)
		valid = append(valid, c)
		principal, err := pki.FromCertificate(certificateIn(t, dir).Leaf)
		if err != nil {
			t.Fatal(err)
		}
		void[c.name+", expired"] = dialWith(t, cp, sign(t, ca, principal, time.Now().Add(-3*time.Hour)))
		void[c.name+", foreign CA"] = dialWith(t, cp, sign(t, foreign, principal, time.Now()))
		revoked := cp.Enroll(t, invite(name+"-revoked"))
		standing := cp.Dial(t, revoked)
		if _, err := pgharborv1.NewIdentityServiceClient(standing).GetIdentity(bounded(t), &pgharborv1.GetIdentityRequest{}); err != nil {
			t.Fatal(err)
		}
		if c.as == "agent" {
			revokeAgent(t, cp, name+"-revoked")
		} else {
			revokeUser(t, cp, name+"-revoked")
		}
		void[c.name+", revoked"], void[c.name+", revoked, on a connection from before"] = cp.Dial(t, revoked), standing
	}
	for _, c := range peopleWhoCall {
		enrol(c.caller, func(name string) string {
			invite := cp.InviteUser(t, name, c.role, globsOf(c.within)...)
			if c.granted != "no" {
				grant(t, cp, name, "backup.restore", globsOf(c.granted)...)
				invite = cp.InviteUser(t, name, c.role, globsOf(c.within)...) // the one from before is void
			}
			return invite
		})
	}
	invite := func(name string) string { return cp.InviteAgent(t, name) }
	enrol(caller{name: "other agent", as: "agent"}, invite) // first: what it can't claim is still there
	enrol(caller{name: "agent", as: "agent"}, invite)
	valid = append(valid, caller{name: "nobody", as: "nobody", conn: dialWith(t, cp, nil)})
	return valid, void
}

func globsOf(scope string) []string {
	if scope == "" {
		return nil
	}
	return []string{scope}
}

func grant(t *testing.T, cp *servertest.ControlPlane, name, permission string, instances ...string) {
	t.Helper()
	_, err := pgharborv1.NewUserServiceClient(cp.Owner(t)).GrantPermission(bounded(t),
		&pgharborv1.GrantPermissionRequest{Name: name, Permission: permission, Instances: instances})
	if err != nil {
		t.Fatal(err)
	}
}

// raiseAlert leaves an alert, as a look at the fleet would.
func raiseAlert(t *testing.T, cp *servertest.ControlPlane, instance string) {
	t.Helper()
	c, err := catalog.Open(t.Context(), filepath.Join(cp.DataDir, "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	alert := fleet.Alert{AlertKey: fleet.AlertKey{Instance: instance, Verdict: fleet.VerdictClock}, Since: time.Now()}
	if err := errors.Join(c.Alerts.TakeStep(t.Context(), fleet.AlertStep{Keep: []fleet.Alert{alert}}, nil), c.Close()); err != nil {
		t.Fatal(err)
	}
}

// everyThing makes something of each kind on db1, whose agent is enrolled, and
// returns the ids by kind.
func everyThing(t *testing.T, cp *servertest.ControlPlane, callers []caller) map[string]string {
	a := &agent{name: "db1", conn: callers[slices.IndexFunc(callers, func(c caller) bool { return c.name == "agent" })].conn}
	a.connect(t)
	backup := a.hasBackup(t, 1<<40)
	restore, err := pgharborv1.NewRestoreServiceClient(cp.Owner(t)).CreateRestore(bounded(t), &pgharborv1.CreateRestoreRequest{
		BackupId: backup, TargetDatabase: "again", Confirm: "again", Reason: "drill",
	})
	if err != nil {
		t.Fatal(err)
	}
	a.offer(t)
	download(t, cp.Owner(t), &pgharborv1.DownloadRequest{BackupId: backup})
	raiseAlert(t, cp, "db1")
	transfer := a.offer(t).GetJobId()
	owners := pgharborv1.NewPolicyServiceClient(cp.Owner(t))
	_, err = owners.SetPolicy(bounded(t), &pgharborv1.SetPolicyRequest{Glob: "db1", RequireApproval: []string{"download"}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = pgharborv1.NewHealthServiceClient(cp.Owner(t)).SetThreshold(bounded(t),
		&pgharborv1.SetThresholdRequest{Threshold: &pgharborv1.Threshold{Pattern: "db1/*", SizePercent: 40}})
	if err != nil {
		t.Fatal(err)
	}
	decided := waitsFor(t, tryDownload(t, cp.Owner(t), &pgharborv1.DownloadRequest{BackupId: backup}))
	waitsFor(t, tryDownload(t, cp.Owner(t), &pgharborv1.DownloadRequest{BackupId: backup, Reason: "stays listed"}))
	return map[string]string{
		"backup": backup, "job": restore.GetRestore().GetId(), "transfer": transfer, "approval": decided,
	}
}

// requestFor is a request that names what the table says it touches, and is
// otherwise empty, so that who may make it changes nothing much.
func requestFor(t *testing.T, method string, things map[string]string) proto.Message {
	t.Helper()
	if touches[method] == "own transfer" {
		return &pgharborv1.UploadRequest{Part: &pgharborv1.UploadRequest_Header{
			Header: &pgharborv1.UploadHeader{TransferId: things["transfer"]},
		}}
	}
	field, value, ok := strings.Cut(touches[method], "=")
	if !ok {
		return &emptypb.Empty{}
	}
	if id, ok := things[value]; ok {
		value = id
	}
	return requestWith(t, inputOf(t, method), field, value)
}

// requestWith is an empty request but for one text.
func requestWith(t *testing.T, input protoreflect.MessageDescriptor, field, value string) proto.Message {
	t.Helper()
	kind, err := protoregistry.GlobalTypes.FindMessageByName(input.FullName())
	if err != nil {
		t.Fatal(err)
	}
	request := kind.New()
	request.Set(kind.Descriptor().Fields().ByName(protoreflect.Name(field)), protoreflect.ValueOfString(value))
	return request.Interface()
}

// inputOf is what an RPC is asked with.
func inputOf(t *testing.T, method string) protoreflect.MessageDescriptor {
	t.Helper()
	service, name, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service + "." + name))
	if err != nil {
		t.Fatal(err)
	}
	return found.(protoreflect.MethodDescriptor).Input()
}

// methods returns every RPC of the server, and whether it streams.
func methods(t *testing.T) map[string]grpc.StreamDesc {
	all := map[string]grpc.StreamDesc{}
	for service, info := range server.Services(t) {
		for _, m := range info.Methods {
			all["/"+service+"/"+m.Name] = grpc.StreamDesc{ClientStreams: m.IsClientStream, ServerStreams: m.IsServerStream}
		}
	}
	return all
}

// call sends one message and returns how it was answered.
func call(t *testing.T, conn *grpc.ClientConn, method string, streams grpc.StreamDesc, request proto.Message) ([]byte, error) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream, err := conn.NewStream(ctx, &streams, method)
	if err != nil {
		return nil, err
	}
	if err := stream.SendMsg(request); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err := stream.CloseSend(); err != nil {
		return nil, err
	}
	response := &emptypb.Empty{}
	err = stream.RecvMsg(response)
	return response.ProtoReflect().GetUnknown(), err
}

// passed reports whether a call got as far as its method.
func passed(method string, err error) bool {
	if strings.HasSuffix(method, "/Enroll") { // it refuses an empty secret itself
		return strings.Contains(status.Convert(err).Message(), "the invite is not one of this control plane")
	}
	switch status.Code(err) {
	case codes.Unauthenticated, codes.PermissionDenied, codes.Unavailable, codes.Unimplemented:
		return false
	case codes.NotFound: // another agent's transfer, and every id that is out of scope
		_, thing, _ := strings.Cut(touches[method], "=")
		return thing != "backup" && thing != "job" && thing != "approval" && !strings.HasSuffix(method, "/Upload")
	default:
		return true
	}
}

func foreignCA(t *testing.T) *pki.CA {
	t.Helper()
	ca, err := pki.CreateCA(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return ca
}
