package api

import (
	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/controlplane/api/guard"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

type sessionService struct {
	pgharborv1.UnimplementedSessionServiceServer
	*API
}

// Connect serves the session of the instance that the certificate names.
func (s *sessionService) Connect(stream grpc.BidiStreamingServer[pgharborv1.ConnectRequest, pgharborv1.ConnectResponse]) error {
	return s.Sessions.Serve(stream, guard.CallerFrom(stream.Context()).Name)
}
