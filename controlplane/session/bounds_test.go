package session_test

import (
	"strings"
	"testing"

	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pgharbor/pgharbor/controlplane/access"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/session"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// agentMessages are those that an agent can send, by the table of who may call what, and all that
// can be in them.
func agentMessages(t *testing.T) map[protoreflect.FullName]protoreflect.MessageDescriptor {
	t.Helper()
	var _ = grpc_health_v1.Health_ServiceDesc // registers its messages
	all := map[protoreflect.FullName]protoreflect.MessageDescriptor{}
	for _, method := range access.Methods() {
		if rule, _ := access.RuleFor(method); !rule.Agent && !rule.Enrolled && !rule.Anonymous {
			continue
		}
		service, name, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
		found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
		if err != nil {
			t.Fatal(err)
		}
		addMessages(all, found.(protoreflect.ServiceDescriptor).Methods().ByName(protoreflect.Name(name)).Input())
	}
	return all
}

func addMessages(all map[protoreflect.FullName]protoreflect.MessageDescriptor, m protoreflect.MessageDescriptor) {
	if _, known := all[m.FullName()]; known || m.FullName().Parent() == "google.protobuf" {
		return
	}
	all[m.FullName()] = m
	for n := range m.Fields().Len() {
		if of := m.Fields().Get(n).Message(); of != nil {
			addMessages(all, of)
		}
	}
}

// Anyone who adds a field says what an agent may put in it.
func TestEveryFieldOfAnAgentHasABound(t *testing.T) {
	messages := agentMessages(t)
	if messages["pgharbor.v1.AgentStatus"] == nil || messages["pgharbor.v1.FetchRequest"] == nil {
		t.Fatalf("the messages are %d, without those that are known", len(messages))
	}
	for _, m := range messages {
		for n := range m.Fields().Len() {
			if field := m.Fields().Get(n); !session.HasBound(field) {
				t.Errorf("%s has no bound in bounds.go, or one that is not of its kind", field.FullName())
			}
		}
	}
	for _, name := range session.BoundFields() {
		if messages[name.Parent()] == nil || messages[name.Parent()].Fields().ByName(name.Name()) == nil {
			t.Errorf("bounds.go names %s, which no agent sends", name)
		}
	}
}

// The worst of each kind does not come through, whichever field it is in.
func TestWorstValueOfEachFieldIsNotTaken(t *testing.T) {
	const most = 16 << 20 // bytes; and what is left of a message of 17 MiB is less
	for _, m := range agentMessages(t) {
		for n := range m.Fields().Len() {
			field := m.Fields().Get(n)
			worst := worstOf(field)
			if worst == nil {
				continue
			}
			filled := proto.Clone(emptyOf(t, m))
			worst(filled.ProtoReflect())
			before := proto.Clone(filled)
			if err := session.Bound(filled); err == nil && (proto.Equal(before, filled) || proto.Size(filled) > most) {
				t.Errorf("%s: it is taken as it is", field.FullName())
			}
		}
	}
}

func emptyOf(t *testing.T, m protoreflect.MessageDescriptor) proto.Message {
	t.Helper()
	kind, err := protoregistry.GlobalTypes.FindMessageByName(m.FullName())
	if err != nil {
		t.Fatal(err)
	}
	return kind.New().Interface()
}

// worstOf puts the worst that there is into a field; nil if there is none.
func worstOf(field protoreflect.FieldDescriptor) func(protoreflect.Message) {
	var value protoreflect.Value
	switch field.Kind() {
	case protoreflect.StringKind:
		value = protoreflect.ValueOfString(strings.Repeat("x", 1<<20))
	case protoreflect.BytesKind:
		value = protoreflect.ValueOfBytes(make([]byte, 17<<20))
	case protoreflect.Int64Kind:
		value = protoreflect.ValueOfInt64(1<<63 - 1)
	case protoreflect.Int32Kind:
		value = protoreflect.ValueOfInt32(1<<31 - 1)
	case protoreflect.MessageKind:
		switch field.Message().FullName() {
		case "google.protobuf.Timestamp":
			value = protoreflect.ValueOfMessage((&timestamppb.Timestamp{Seconds: 1 << 60}).ProtoReflect())
		case "google.protobuf.Duration":
			value = protoreflect.ValueOfMessage((&durationpb.Duration{Seconds: 1 << 60}).ProtoReflect())
		default:
			if !field.IsList() {
				return nil // by its own fields
			}
			return func(m protoreflect.Message) {
				for items := m.Mutable(field).List(); items.Len() < 200_000; {
					items.AppendMutable()
				}
			}
		}
	default:
		return nil
	}
	return func(m protoreflect.Message) {
		if !field.IsList() {
			m.Set(field, value)
			return
		}
		m.Mutable(field).List().Append(value)
	}
}

// What is over costs what it is in, and no more.
func TestWhatIsOverIsLeftOutAlone(t *testing.T) {
	long, far := strings.Repeat("x", 1000), timestamppb.New(timestamppb.Now().AsTime().AddDate(500, 0, 0))
	hello := &pgharborv1.Hello{
		AgentVersion: long, RunningJobIds: []string{"../x", fleet.NewID()}, InventoryDigest: long,
		Status: &pgharborv1.AgentStatus{
			NextRunAt: far, NextPurgeAt: timestamppb.Now(), RetentionDays: 30, KeepLast: -1, Warnings: []string{"w", strings.Repeat("é", 2000)},
			Databases: []*pgharborv1.InstanceDatabase{{Name: "shop", Covered: true}, {Name: long}, {Name: "a\x00b"}, {Name: "a \"b\"\n' ä"}},
		},
	}
	if err := session.Bound(hello); err != nil {
		t.Fatal(err)
	}
	s := hello.GetStatus()
	if len(hello.GetAgentVersion()) != 100 || len(hello.GetRunningJobIds()) != 1 || hello.GetInventoryDigest() != "" {
		t.Errorf("the hello is %v", hello)
	}
	if s.GetNextRunAt() != nil || s.GetNextPurgeAt() == nil || s.GetRetentionDays() != 30 || s.GetKeepLast() != 0 {
		t.Errorf("the status is %v", s)
	}
	if w := s.GetWarnings(); len(w) != 2 || len(w[1]) > 1000 || !strings.HasPrefix(w[1], "éé") || !strings.HasSuffix(w[1], "…") {
		t.Errorf("the warnings are %q", w)
	}
	if d := s.GetDatabases(); len(d) != 2 || d[0].GetName() != "shop" || !d[0].GetCovered() || d[1].GetName() != "a \"b\"\n' ä" {
		t.Errorf("the databases are %v", d)
	}
	for name, change := range map[string]func(*pgharborv1.Backup){
		"a huge size":        func(b *pgharborv1.Backup) { b.SizeBytes = 1<<63 - 1 },
		"a huge size before": func(b *pgharborv1.Backup) { b.PlainSizeBytes = fleet.MaxSize + 1 },
		"a negative size":    func(b *pgharborv1.Backup) { b.SizeBytes = -1 },
		"before Postgres":    func(b *pgharborv1.Backup) { b.CreatedAt = &timestamppb.Timestamp{} },
		"the far future":     func(b *pgharborv1.Backup) { b.CreatedAt = far },
		"a huge sequence":    func(b *pgharborv1.Backup) { b.Sequence = 1<<63 - 1 },
	} {
		if err := session.Bound(aBackup(change)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if err := session.Bound(aBackup()); err != nil {
		t.Errorf("a good one: %v", err)
	}
}
