package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pgharbor/pgharbor/cli/output"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func (a *app) usersCommand() *cobra.Command {
	return a.noun("users", "The people who use the fleet",
		a.usersListCommand(), a.usersInviteCommand(), a.usersGrantCommand(), a.usersRevokeCommand())
}

func (a *app) usersListCommand() *cobra.Command {
	return a.printing(&cobra.Command{
		Use:   "list",
		Short: "List the people, their roles and grants",
		Args:  cobra.NoArgs,
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, _ []string) error {
			users := pgharborv1.NewUserServiceClient(conn)
			all := &pgharborv1.ListUsersResponse{}
			err := eachPage(func(token string) (string, error) {
				page, err := users.ListUsers(ctx, &pgharborv1.ListUsersRequest{PageToken: token})
				all.Users = append(all.Users, page.GetUsers()...)
				return page.GetNextPageToken(), err
			})
			if err != nil {
				return err
			}
			return a.print(all, func() error { return a.userTable(all.GetUsers()).Write(a.Stdout, "No users.") })
		}),
	})
}

func (a *app) userTable(users []*pgharborv1.User) *output.Table {
	table := output.NewTable("NAME", "ROLE", "STATE", "SINCE", "GRANTS")
	for _, user := range users {
		table.Add(output.Name(user.GetName()), output.Name(user.GetRole()), output.Name(user.GetState()),
			output.Time(user.GetCreatedAt(), a.Now().Location()), output.Line(strings.Join(user.GetGrants(), ", ")))
	}
	return table
}

func (a *app) usersInviteCommand() *cobra.Command {
	var role string
	var ttl time.Duration
	cmd := a.printing(&cobra.Command{
		Use:   "invite NAME --role ROLE",
		Short: "Invite a person, or a further device of one",
		Args:  cobra.ExactArgs(1),
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
			response, err := pgharborv1.NewUserServiceClient(conn).CreateUserInvite(ctx, &pgharborv1.CreateUserInviteRequest{
				Name: args[0], Role: strings.ToUpper(role), Ttl: durationpb.New(ttl),
			})
			if err != nil {
				return err
			}
			return a.print(response, func() error {
				a.say("For %s as %s, once, until %s. On their machine: pgharbor login INVITE", output.Name(args[0]),
					strings.ToUpper(role), output.Time(response.GetExpiresAt(), a.Now().Location()))
				_, err := fmt.Fprintln(a.Stdout, output.Name(response.GetInvite()))
				return err
			})
		}),
	})
	cmd.Flags().StringVar(&role, "role", "", "OWNER, OPERATOR or VIEWER")
	cmd.Flags().DurationVar(&ttl, "ttl", inviteLife, "how long the invite holds")
	a.require(cmd, "role")
	_ = cmd.RegisterFlagCompletionFunc("role",
		cobra.FixedCompletions([]string{"OWNER", "OPERATOR", "VIEWER"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (a *app) usersGrantCommand() *cobra.Command {
	return a.printing(&cobra.Command{
		Use:   "grant NAME PERMISSION",
		Short: "Give a person a permission beyond the role, such as backup.restore",
		Args:  cobra.ExactArgs(2),
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
			response, err := pgharborv1.NewUserServiceClient(conn).GrantPermission(ctx,
				&pgharborv1.GrantPermissionRequest{Name: args[0], Permission: args[1]})
			if err != nil {
				return err
			}
			return a.print(response, func() error {
				user := response.GetUser()
				_, err := fmt.Fprintf(a.Stdout, "%s (%s) now has: %s\n", output.Name(user.GetName()), output.Name(user.GetRole()),
					output.Line(strings.Join(user.GetGrants(), ", ")))
				return err
			})
		}),
	})
}

func (a *app) usersRevokeCommand() *cobra.Command {
	return a.printing(&cobra.Command{
		Use:   "revoke NAME",
		Short: "End every certificate of a person",
		Args:  cobra.ExactArgs(1),
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
			response, err := pgharborv1.NewUserServiceClient(conn).RevokeUser(ctx, &pgharborv1.RevokeUserRequest{Name: args[0]})
			if err != nil {
				return err
			}
			return a.print(response, func() error {
				_, err := fmt.Fprintf(a.Stdout, "Revoked %s.\n", output.Name(response.GetUser().GetName()))
				return err
			})
		}),
	})
}
