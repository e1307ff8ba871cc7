package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/pgharbor/pgharbor/cli/internal/output"
	"github.com/pgharbor/pgharbor/cli/internal/session"
	"github.com/pgharbor/pgharbor/internal/words"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func usersCommand(a *app) *cobra.Command {
	return noun("users", "The people who use the fleet",
		usersListCommand(a), usersInviteCommand(a), usersSetCommand(a), usersGrantCommand(a), usersRevokeCommand(a),
		usersDevicesCommand(a))
}

func usersListCommand(a *app) *cobra.Command {
	return a.printing(&cobra.Command{
		Use:   "list",
		Short: "List the people, their roles, scopes and grants",
		Args:  cobra.NoArgs,
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, _ []string) error {
			users := pgharborv1.NewUserServiceClient(conn)
			all := &pgharborv1.ListUsersResponse{}
			err := session.EachPage(func(token string) (string, error) {
				page, err := users.ListUsers(ctx, &pgharborv1.ListUsersRequest{PageToken: token})
				all.Users = append(all.Users, page.GetUsers()...)
				return page.GetNextPageToken(), err
			})
			if err != nil {
				return err
			}
			return a.out.Print(all, func() error { return userTable(all.GetUsers(), a.out.Now()).Write(a.out.Stdout, "No users.") })
		}),
	})
}

func userTable(users []*pgharborv1.User, now time.Time) *output.Table {
	table := output.NewTable("NAME", "ROLE", "INSTANCES", "STATE", "SINCE", ">DEVICES", "GRANTS")
	for _, user := range users {
		table.Add(output.Name(user.GetName()), output.Name(user.GetRole()), scopeInWords(user.GetInstances()), output.Name(user.GetState()),
			output.Time(user.GetCreatedAt(), now.Location()), fmt.Sprint(user.GetDevices()), grantsInWords(user))
	}
	return table
}

// scopeInWords formats a scope for a cell or a sentence.
func scopeInWords(instances []string) string {
	if len(instances) == 0 {
		return "all"
	}
	return output.Line(strings.Join(instances, ","))
}

func grantsInWords(user *pgharborv1.User) string {
	var words []string
	for _, grant := range user.GetGrantScopes() {
		word := grant.GetPermission()
		if len(grant.GetInstances()) > 0 {
			word += " on " + strings.Join(grant.GetInstances(), ",")
		}
		words = append(words, word)
	}
	return output.Line(strings.Join(words, "; "))
}

// printUser prints what a person may do from now on.
func printUser(out *output.Printer, user *pgharborv1.User) error {
	grants := grantsInWords(user)
	if grants == "" {
		grants = "no grants"
	}
	_, err := fmt.Fprintf(out.Stdout, "%s is now %s on %s, with %s.\n", output.Name(user.GetName()), output.Name(user.GetRole()),
		scopeInWords(user.GetInstances()), grants)
	if err != nil || user.GetState() != "invited" {
		return err
	}
	_, err = fmt.Fprintln(out.Stdout, "Invites from before this are void, and nobody has logged in with one: make another.")
	return err
}

func usersInviteCommand(a *app) *cobra.Command {
	var role string
	var instances []string
	var ttl time.Duration
	cmd := a.printing(&cobra.Command{
		Use:   "invite NAME --role ROLE",
		Short: "Invite a person, or a further device of one",
		Long: `Invite makes an invite, good once, for a person or for a further device of one. With
--instances the person sees and touches only the instances whose names a glob matches.`,
		Args: cobra.ExactArgs(1),
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
			response, err := pgharborv1.NewUserServiceClient(conn).CreateUserInvite(ctx, &pgharborv1.CreateUserInviteRequest{
				Name: args[0], Role: strings.ToUpper(role), Ttl: durationpb.New(ttl), Instances: instances,
			})
			if err != nil {
				return err
			}
			return a.out.Print(response, func() error {
				a.out.Say("For %s as %s on %s, once, until %s. On their machine: pgharbor login INVITE", output.Name(args[0]),
					strings.ToUpper(role), scopeInWords(instances), output.Time(response.GetExpiresAt(), a.out.Now().Location()))
				_, err := fmt.Fprintln(a.out.Stdout, output.Name(response.GetInvite()))
				return err
			})
		}),
	})
	completeRole(cmd, &role)
	instancesFlag(cmd, &instances, "instances that the person may touch, as globs with commas between: 'prod-*,shop-db' (default: all)")
	cmd.Flags().DurationVar(&ttl, "ttl", inviteLife, "how long the invite holds")
	a.approvable(cmd)
	require(cmd, "role")
	return cmd
}

func completeRole(cmd *cobra.Command, role *string) {
	cmd.Flags().StringVar(role, "role", "", "OWNER, OPERATOR or VIEWER")
	_ = cmd.RegisterFlagCompletionFunc("role",
		cobra.FixedCompletions([]string{words.RoleOwner, words.RoleOperator, words.RoleViewer}, cobra.ShellCompDirectiveNoFileComp))
}

// instancesFlag gives a command the flag of a scope. An empty value, such as of a variable that a script forgot to set,
// is refused: it does not mean the whole fleet.
func instancesFlag(cmd *cobra.Command, instances *[]string, usage string) {
	const flag = "instances"
	cmd.Flags().StringSliceVar(instances, flag, nil, usage)
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if cmd.Flags().Changed(flag) && len(*instances) == 0 {
			return errors.New("--instances is empty; '*' is all of them")
		}
		return nil
	}
}
