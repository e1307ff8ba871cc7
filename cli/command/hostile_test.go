package command

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/pgharbor/pgharbor/internal/exit"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// answerTheRest makes an answer for any method, by its description.
func (f *fleet) answerTheRest(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	response, err := handler(ctx, request)
	if !f.hostile || status.Code(err) != codes.Unimplemented {
		return response, err
	}
	name := protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(info.FullMethod, "/"), "/", "."))
	method, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		return nil, err
	}
	kind, err := protoregistry.GlobalTypes.FindMessageByName(method.(protoreflect.MethodDescriptor).Output().FullName())
	if err != nil {
		return nil, err
	}
	return fill(kind.New().Interface()), nil
}

// The other commands than those of TestNothingThatIsPrintedDrivesATerminal. Some fail, because the answers make no
// sense; what they say of that is harmless too.
func TestNoTextOfAControlPlaneReachesTheTerminalRaw(t *testing.T) {
	f := loggedIn(t)
	f.hostile = true
	f.backups = []*pgharborv1.Backup{fill(&pgharborv1.Backup{})}
	f.backups[0].Id = "id1"
	job := fill(&pgharborv1.Job{})
	job.State = "failed" // a wait for it must end
	f.watch = ends(job)
	for _, line := range []string{
		"thresholds list", "thresholds set x --stale-after 1h", "thresholds remove x", "alerts list", "alerts test",
		"hold id1 --reason x", "release id1 --reason x", "verify id1", "contexts list", "show id1",
		"restore id1 --to-database x --preview", "restore id1 --to-database x --confirm x --reason y", "backup x", "undo id1 --confirm x",
	} {
		got := f.run(t, strings.Fields(line)...)
		if strings.ContainsAny(got.stdout+got.stderr, "\x1b\r\u202e\u200b") {
			t.Errorf("%s: %+v", line, got)
		}
		if got.code == exit.Usage {
			t.Errorf("%s is no command line: %+v", line, got)
		}
	}
}
