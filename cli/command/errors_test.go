package command

import (
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/internal/exit"
)

func TestExitCodesOfAnswers(t *testing.T) {
	f := loggedIn(t)
	tests := map[codes.Code]int{
		codes.InvalidArgument: exit.Usage, codes.PermissionDenied: exit.Denied, codes.Unauthenticated: exit.Denied,
		codes.NotFound: exit.NotFound, codes.DataLoss: exit.Integrity, codes.Unavailable: exit.Unreachable,
		codes.DeadlineExceeded: exit.Unreachable, codes.FailedPrecondition: exit.Failed, codes.AlreadyExists: exit.Failed,
		codes.Internal: exit.Failed, codes.Unknown: exit.Failed, codes.Canceled: exit.Failed, codes.Unimplemented: exit.Failed,
	}
	for code, want := range tests {
		f.failWith = status.Error(code, "because")
		got := f.run(t, "list")
		if got.code != want || got.stdout != "" {
			t.Errorf("%s: %+v, want exit code %d", code, got, want)
		}
		wantError(t, got)
	}
}

func TestTheControlPlanesHintIsShown(t *testing.T) {
	f := loggedIn(t)
	described, err := status.New(codes.Unavailable, "the agent of shop-db is away\nsince noon").WithDetails(
		&errdetails.ErrorInfo{Reason: "Unavailable", Metadata: map[string]string{"hint": "pgharbor agents list"}})
	if err != nil {
		t.Fatal(err)
	}
	f.failWith = described.Err()
	got := f.run(t, "list")
	if want := "pgharbor: list: the agent of shop-db is away; since noon\nhint: pgharbor agents list\n"; got.stderr != want || got.code != exit.Unreachable {
		t.Errorf("%+v", got)
	}
}

func TestAnErrorCantDriveTheTerminal(t *testing.T) {
	f := loggedIn(t)
	f.failWith = status.Error(codes.Internal, "\x1b[2Jgone \u202e")
	if got := f.run(t, "list"); strings.ContainsAny(got.stderr, "\x1b\u202e") {
		t.Errorf("%q", got.stderr)
	}
}
