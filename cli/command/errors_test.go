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

func TestTransportErrorsAreReadable(t *testing.T) {
	a := &app{address: "harbor:7443"}
	tests := map[string]string{
		`connection error: desc = "transport: Error while dialing: dial tcp 10.0.0.1:7443: connect: connection refused"`: "the control plane at harbor:7443 can't be reached: dial tcp 10.0.0.1:7443: connect: connection refused",
		`connection error: desc = "transport: authentication handshake failed: EOF"`:                                     "the control plane at harbor:7443 can't be reached: EOF",
		`error reading from server: EOF`: "the control plane at harbor:7443 can't be reached: error reading from server: EOF",
	}
	for text, want := range tests {
		if got := a.explain(status.Error(codes.Unavailable, text)); got.Text != want || got.Hint == "" || got.Code != exit.Unreachable {
			t.Errorf("%+v, want %q", got, want)
		}
	}
}
