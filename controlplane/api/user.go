package api

import (
	"context"
	"slices"
	"strings"

	"github.com/pgharbor/pgharbor/controlplane/access"
	"github.com/pgharbor/pgharbor/controlplane/api/guard"
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
	users, err := s.Catalog.Users.List(ctx)
	if err != nil {
		return nil, err
	}
	return &pgharborv1.ListUsersResponse{Users: toProto(users, userToProto)}, nil
}

func (s *userService) CreateUserInvite(ctx context.Context, request *pgharborv1.CreateUserInviteRequest) (*pgharborv1.CreateUserInviteResponse, error) {
	if err := pki.ValidUserName(request.GetName()); err != nil {
		return nil, fleet.NewProblem(fleet.ErrInvalid, "%v", err)
	}
	role, err := roleFrom(request.GetRole())
	if err != nil {
		return nil, err
	}
	scope, err := fleet.NewScope(request.GetInstances()...)
	if err != nil {
		return nil, err
	}
	life, err := inviteLife(request.GetTtl())
	if err != nil {
		return nil, err
	}
	made, err := s.Approvals.PassInvite(ctx, guard.CallerFrom(ctx), fleet.Invite{Kind: fleet.CallerUser, Name: request.GetName(), Role: role, Instances: scope}, life)
	if err != nil {
		return nil, err
	}
	word, invite, err := s.Invites.Invite(ctx, guard.CallerFrom(ctx), made, life)
	if err != nil {
		return nil, err
	}
	return &pgharborv1.CreateUserInviteResponse{Invite: word, ExpiresAt: stamp(invite.ExpiresAt)}, nil
}

func (s *userService) UpdateUser(ctx context.Context, request *pgharborv1.UpdateUserRequest) (*pgharborv1.UpdateUserResponse, error) {
	change, words := fleet.UserChange{}, []string{}
	if request.GetRole() != "" {
		role, err := roleFrom(request.GetRole())
		if err != nil {
			return nil, err
		}
		change.Role, words = role, append(words, string(role))
	}
	if request.GetScope() != nil {
		scope, err := fleet.NewScope(request.GetScope().GetInstances()...)
		if err != nil {
			return nil, err
		}
		change.Instances, words = &scope, append(words, "on "+scope.String())
	}
	if len(words) == 0 {
		return nil, fleet.NewProblem(fleet.ErrInvalid, "neither a role nor a scope is given").WithHint("use --role, --instances or both")
	}
	change, err := s.Approvals.PassChange(ctx, guard.CallerFrom(ctx), request.GetName(), change, strings.Join(words, " "))
	if err != nil {
		return nil, err
	}
	user, err := s.changeUser(ctx, request.GetName(), "user.set", strings.Join(words, " "), func(by string) error {
		return s.Catalog.Users.Change(ctx, request.GetName(), change, by, s.Now().UTC())
	})
	if err != nil {
		return nil, err
	}
	return &pgharborv1.UpdateUserResponse{User: user}, nil
}

func (s *userService) GrantPermission(ctx context.Context, request *pgharborv1.GrantPermissionRequest) (*pgharborv1.GrantPermissionResponse, error) {
	user, err := s.Catalog.Users.Get(ctx, request.GetName())
	if err != nil {
		return nil, err
	}
	scope, err := fleet.NewScope(request.GetInstances()...)
	if err != nil {
		return nil, err
	}
	grant := fleet.Grant{Permission: fleet.Permission(request.GetPermission()), Instances: scope}
	if !access.Grantable(user.Role, grant.Permission) {
		return nil, fleet.NewProblem(fleet.ErrInvalid, "the role %s of %s can't be given %q", user.Role, user.Name, grant.Permission).
			WithHint("an OPERATOR can be given backup.restore, backup.hold and backup.export")
	}
	seen, err := s.Approvals.PassGrant(ctx, guard.CallerFrom(ctx), user, grant)
	if err != nil {
		return nil, err
	}
	granted, err := s.changeUser(ctx, user.Name, "user.grant", grant.String(), func(by string) error {
		return s.Catalog.Users.Grant(ctx, user.Name, seen, grant, by, s.Now().UTC())
	})
	if err != nil {
		return nil, err
	}
	return &pgharborv1.GrantPermissionResponse{User: granted}, nil
}

func (s *userService) RevokePermission(ctx context.Context, request *pgharborv1.RevokePermissionRequest) (*pgharborv1.RevokePermissionResponse, error) {
	permission := fleet.Permission(request.GetPermission())
	if !access.Named(permission) {
		return nil, fleet.NewProblem(fleet.ErrInvalid, "%q is no permission", permission)
	}
	user, err := s.changeUser(ctx, request.GetName(), "user.revoke-grant", string(permission), func(string) error {
		return s.Catalog.Users.RevokeGrant(ctx, request.GetName(), permission)
	})
	if err != nil {
		return nil, err
	}
	return &pgharborv1.RevokePermissionResponse{User: user}, nil
}

func (s *userService) RevokeUser(ctx context.Context, request *pgharborv1.RevokeUserRequest) (*pgharborv1.RevokeUserResponse, error) {
	user, err := s.changeUser(ctx, request.GetName(), "user.revoke", "", func(string) error {
		return s.Catalog.Users.Revoke(ctx, request.GetName(), s.Now().UTC())
	})
	if err == nil {
		whose := fleet.Caller{Kind: fleet.CallerUser, Name: request.GetName()}.String()
		err = s.Sessions.CancelQueued(ctx, whose, whose+" was revoked")
	}
	if err != nil {
		return nil, err
	}
	warnings, err := s.lonely(ctx)
	if err != nil {
		return nil, err
	}
	return &pgharborv1.RevokeUserResponse{User: user, Warnings: warnings}, nil
}

// lonely warns of policies that ask for a second person if there is only one who manages people: of
// what waits for that, nothing can be approved.
func (s *userService) lonely(ctx context.Context) ([]string, error) {
	policies, err := s.Catalog.Policies.List(ctx)
	if err != nil {
		return nil, err
	}
	users, err := s.Catalog.Users.List(ctx)
	if err != nil {
		return nil, err
	}
	left := 0
	for _, u := range users {
		if u.Devices > 0 && u.RevokedAt.IsZero() && access.Has(u.Caller(), fleet.PermissionUserManage) {
			left++
		}
	}
	asks := slices.ContainsFunc(policies, func(p fleet.Policy) bool { return len(p.RequireApproval) > 0 })
	if !asks || left > 1 {
		return nil, nil
	}
	return []string{"policies ask for another person's approval, and one OWNER of the whole fleet is left: what takes that of another OWNER can't be done, " +
		"nor another be invited, until pgharbor-controlplane recover-owner --owner NAME on the control plane's host"}, nil
}

// changeUser changes what somebody may do, on behalf of the caller: the audit log first, then the
// change, then the notification, which ends the live streams that they may no longer have. It
// returns them as they are then.
func (s *userService) changeUser(ctx context.Context, name, action, detail string, change func(by string) error) (*pgharborv1.User, error) {
	if err := pki.ValidUserName(name); err != nil {
		return nil, fleet.NewProblem(fleet.ErrNotFound, "there is no such user: %v", err)
	}
	by, whose := guard.CallerFrom(ctx).String(), fleet.Caller{Kind: fleet.CallerUser, Name: name}.String()
	entry := audit.Action{Actor: by, Action: action, Target: whose, Detail: detail}
	if _, err := s.Catalog.Users.Get(ctx, name); err != nil {
		return nil, s.Audit.RefusedBefore(ctx, entry, err)
	}
	if err := s.Audit.Do(ctx, entry, func() error { return change(by) }); err != nil {
		return nil, err
	}
	s.Notifications.Notify(session.CallerChannel(whose))
	user, err := s.Catalog.Users.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	return userToProto(user), nil
}

func roleFrom(word string) (fleet.Role, error) {
	role := fleet.Role(word)
	if !role.Valid() {
		return "", fleet.NewProblem(fleet.ErrInvalid, "%q is no role", word).WithHint("use --role OWNER, OPERATOR or VIEWER")
	}
	return role, nil
}
