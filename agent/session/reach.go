package session

import (
	"context"

	"google.golang.org/grpc"

	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

// Reach asks the control plane who it takes the agent for.
func Reach(ctx context.Context, conn grpc.ClientConnInterface) (name string, err error) {
	reply, err := pgharborv1.NewIdentityServiceClient(conn).GetIdentity(ctx, &pgharborv1.GetIdentityRequest{})
	return reply.GetName(), err
}
