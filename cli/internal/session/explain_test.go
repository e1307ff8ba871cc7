package session

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pgharbor/pgharbor/internal/exit"
)

func TestTransportErrorsAreReadable(t *testing.T) {
	s := &Session{address: "harbor:7443"}
	tests := map[string]string{
		`connection error: desc = "transport: Error while dialing: dial tcp 10.0.0.1:7443: connect: connection refused"`: "the control plane at harbor:7443 can't be reached: dial tcp 10.0.0.1:7443: connect: connection refused",
		`connection error: desc = "transport: authentication handshake failed: EOF"`:                                     "the control plane at harbor:7443 can't be reached: EOF",
		`error reading from server: EOF`: "the control plane at harbor:7443 can't be reached: error reading from server: EOF",
	}
	for text, want := range tests {
		if got := s.Explain(status.Error(codes.Unavailable, text)); got.Text != want || got.Hint == "" || got.Code != exit.Unreachable {
			t.Errorf("%+v, want %q", got, want)
		}
	}
}
