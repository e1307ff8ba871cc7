package api

import (
	"context"

	"github.com/pgharbor/pgharbor/controlplane/access"
	"github.com/pgharbor/pgharbor/controlplane/audit"
	"github.com/pgharbor/pgharbor/controlplane/fleet"
	"github.com/pgharbor/pgharbor/controlplane/pki"
	"github.com/pgharbor/pgharbor/controlplane/session"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

type userService struct {
	pgharborv1.UnimplementedUserServiceServer
	*API
}

func (s *userService) ListUsers(ctx context.Context, _ *pgharborv1.ListUsersRequest) (*pgharborv1.ListUsersResponse, error) {
	users, err := s.Catalog.Users(ctx)
	if err != nil {
		return nil, err
	}
	return &pgharborv1.ListUsersResponse{Users: toProto(users, userToProto)}, nil
}

func (s *userService) CreateUserInvite(ctx context.Context, request *pgharborv1.CreateUserInviteRequest) (*pgharborv1.CreateUserInviteResponse, error) {
	if err := pki.ValidUserName(request.GetName()); err != nil {
		return nil, fleet.NewProblem(fleet.ErrInvalid, "%v", err)
	}
	role := fleet.Role(request.GetRole())
	if !role.Valid() {
		return nil, fleet.NewProblem(fleet.ErrInvalid, "%q is no role", request.GetRole()).WithHint("use --role OWNER, OPERATOR or VIEWER")
	}
	word, invite, err := s.invite(ctx, fleet.Invite{Kind: fleet.CallerUser, Name: request.GetName(), Role: role}, request.GetTtl())
	if err != nil {
		return nil, err
	}
	return &pgharborv1.CreateUserInviteResponse{Invite: word, ExpiresAt: stamp(invite.ExpiresAt)}, nil
}

func (s *userService) GrantPermission(ctx context.Context, request *pgharborv1.GrantPermissionRequest) (*pgharborv1.GrantPermissionResponse, error) {
	user, err := s.Catalog.User(ctx, request.GetName())
	if err != nil {
		return nil, err
	}
	permission := fleet.Permission(request.GetPermission())
	if !access.Grantable(user.Role, permission) {
		return nil, fleet.NewProblem(fleet.ErrInvalid, "the role %s of %s can't be given %q", user.Role, user.Name, permission).
			WithHint("an OPERATOR can be given backup.restore and backup.hold")
	}
	by := callerFrom(ctx).String()
	err = s.Trail.Do(ctx, audit.Action{Actor: by, Action: "user.grant", Target: "user:" + user.Name, Detail: string(permission)}, func() error {
		return s.Catalog.Grant(ctx, user.Name, permission, by, s.Now().UTC())
	})
	if err != nil {
		return nil, err
	}
	if user, err = s.Catalog.User(ctx, user.Name); err != nil {
		return nil, err
	}
	return &pgharborv1.GrantPermissionResponse{User: userToProto(user)}, nil
}

func (s *userService) RevokeUser(ctx context.Context, request *pgharborv1.RevokeUserRequest) (*pgharborv1.RevokeUserResponse, error) {
	revoked := fleet.Caller{Kind: fleet.CallerUser, Name: request.GetName()}
	err := s.Trail.Do(ctx, audit.Action{Actor: callerFrom(ctx).String(), Action: "user.revoke", Target: revoked.String()}, func() error {
		return s.Catalog.RevokeUser(ctx, revoked.Name, s.Now().UTC())
	})
	if err != nil {
		return nil, err
	}
	s.Bells.Ring(session.CallerBell(revoked.String()))
	user, err := s.Catalog.User(ctx, revoked.Name)
	if err != nil {
		return nil, err
	}
	return &pgharborv1.RevokeUserResponse{User: userToProto(user)}, nil
}
