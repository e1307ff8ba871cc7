package command

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"github.com/pgharbor/pgharbor/cli/internal/output"
	"github.com/pgharbor/pgharbor/internal/exit"
	pgharborv1 "github.com/pgharbor/pgharbor/proto/pgharbor/v1"
)

func usersSetCommand(a *app) *cobra.Command {
	var role string
	var instances []string
	cmd := a.printing(&cobra.Command{
		Use:   "set NAME [--role ROLE] [--instances GLOBS]",
		Short: "Change the role or the scope of a person, from their next call on",
		Long: `Set changes what a person may do, on all of their devices at once. What is not given
stays. --instances '*' is the whole fleet. A change of role takes the single grants back,
which were made to another role. Invites of theirs that nobody has used are void from
then on.`,
		Args: cobra.ExactArgs(1),
	})
	cmd.RunE = a.connected(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		request := &pgharborv1.UpdateUserRequest{Name: args[0], Role: strings.ToUpper(role)}
		if cmd.Flags().Changed("instances") {
			request.Scope = &pgharborv1.NewScope{Instances: instances}
		}
		response, err := pgharborv1.NewUserServiceClient(conn).UpdateUser(ctx, request)
		if err != nil {
			return err
		}
		return a.out.Print(response, func() error { return printUser(a.out, response.GetUser()) })
	})
	completeRole(cmd, &role)
	instancesFlag(cmd, &instances, "instances that the person may touch from now on, as globs with commas between; '*' is all")
	a.approvable(cmd)
	cmd.MarkFlagsOneRequired("role", "instances")
	return cmd
}

func usersGrantCommand(a *app) *cobra.Command {
	var instances []string
	cmd := a.printing(&cobra.Command{
		Use:   "grant NAME PERMISSION",
		Short: "Give a person a permission beyond the role, such as backup.restore",
		Long: `Grant gives a person a single permission that the role can be given: an OPERATOR
backup.restore, backup.hold and, to restore a backup on another instance than its own,
backup.export. With --instances it holds there alone, and never beyond the person's own
scope. A second grant of the same permission replaces the first. Invites of theirs that
nobody has used are void from then on.
Taken back by: pgharbor users revoke NAME --permission PERMISSION.`,
		Args: cobra.ExactArgs(2),
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
			response, err := pgharborv1.NewUserServiceClient(conn).GrantPermission(ctx,
				&pgharborv1.GrantPermissionRequest{Name: args[0], Permission: args[1], Instances: instances})
			if err != nil {
				return err
			}
			return a.out.Print(response, func() error { return printUser(a.out, response.GetUser()) })
		}),
	})
	instancesFlag(cmd, &instances, "instances on which the grant holds, as globs with commas between (default: all that the person may touch)")
	a.approvable(cmd)
	return cmd
}

func usersRevokeCommand(a *app) *cobra.Command {
	var permission, device, confirm string
	cmd := a.printing(&cobra.Command{
		Use:   "revoke NAME",
		Short: "End every device of a person, or one of them, or take back one permission",
		Long: `Revoke ends every certificate of a person: new connections are refused at once, and what
runs over old ones ends within seconds. With --device it ends one device alone, which
everybody may do to their own; pgharbor users devices lists them. With --permission it
takes back what users grant gave. To end every device of your own takes a confirmation:
you are nobody after it, until somebody invites you again.`,
		Args: cobra.ExactArgs(1),
		RunE: a.connected(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
			switch {
			case permission != "":
				return revokePermission(ctx, a.out, conn, args[0], permission)
			case device != "":
				return revokeDevice(ctx, a.out, conn, args[0], device)
			default:
				if err := confirmSelf(ctx, a, conn, args[0], confirm); err != nil {
					return err
				}
				return revokeUser(ctx, a.out, conn, args[0])
			}
		}),
	})
	cmd.Flags().StringVar(&confirm, "confirm", "", "your own name again, to revoke yourself")
	cmd.Flags().StringVar(&permission, "permission", "", "take back this permission, and nothing else")
	cmd.Flags().StringVar(&device, "device", "", "end the device with this id, and nothing else")
	cmd.MarkFlagsMutuallyExclusive("permission", "device")
	return cmd
}

// confirmSelf asks who revokes themselves whether they mean it.
func confirmSelf(ctx context.Context, a *app, conn *grpc.ClientConn, name, confirm string) error {
	mine, err := isMe(ctx, conn, name)
	if err != nil || !mine || confirm == name {
		return err
	}
	if confirm != "" {
		return exit.Fail(exit.Usage, "--confirm is %q, and you are %q", confirm, name)
	}
	if !a.prompt.Interactive() {
		return exit.Fail(exit.Usage, "this ends every device of your own, and --confirm is missing").
			WithHint("of this machine alone: pgharbor logout; of all: pgharbor users revoke %s --confirm %s", name, name)
	}
	answer, err := a.prompt.Ask(ctx, "This ends every device of your own. Type your name to go on: ")
	if err != nil {
		return err
	}
	if answer != name {
		return exit.Fail(exit.Usage, "that is not your name: nothing was done")
	}
	return nil
}

func revokeUser(ctx context.Context, out *output.Printer, conn *grpc.ClientConn, name string) error {
	response, err := pgharborv1.NewUserServiceClient(conn).RevokeUser(ctx, &pgharborv1.RevokeUserRequest{Name: name})
	if err != nil {
		return err
	}
	return out.Print(response, func() error {
		_, err := fmt.Fprintf(out.Stdout, "Revoked %s.\n", output.Name(response.GetUser().GetName()))
		for _, warning := range response.GetWarnings() {
			out.Say("warning: %s", output.Line(warning))
		}
		return err
	})
}

func revokePermission(ctx context.Context, out *output.Printer, conn *grpc.ClientConn, name, permission string) error {
	response, err := pgharborv1.NewUserServiceClient(conn).RevokePermission(ctx,
		&pgharborv1.RevokePermissionRequest{Name: name, Permission: permission})
	if err != nil {
		return err
	}
	return out.Print(response, func() error { return printUser(out, response.GetUser()) })
}
